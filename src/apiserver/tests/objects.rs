//! Objects from creation to deletion: what the server fills in, versions, conflicts, status.

use serde_json::json;

use super::PODS;
use super::bind;
use super::done;
use super::node;
use super::pod;
use super::refused;
use super::send;
use super::send_as;
use super::server;

#[test]
fn a_new_pod_gets_what_only_the_server_gives() {
    let mut server = server();
    let created = done(&mut server, "POST", PODS, pod("web"));
    assert_eq!(created["metadata"]["namespace"], "default");
    assert_eq!(created["metadata"]["creationTimestamp"], "2026-11-02T00:00:00Z");
    assert_eq!(created["metadata"]["generation"], 1);
    assert_eq!(created["metadata"]["uid"].as_str().map(str::len), Some(36));
    assert_eq!(created["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    let spec = &created["spec"];
    assert_eq!(spec["restartPolicy"], "Always");
    assert_eq!(spec["schedulerName"], "default-scheduler");
    assert_eq!(spec["terminationGracePeriodSeconds"], 30);
    assert_eq!(spec["priority"], 0);
    assert_eq!(spec["preemptionPolicy"], "PreemptLowerPriority");
    assert_eq!(spec["containers"][0]["imagePullPolicy"], "IfNotPresent");
    assert_eq!(spec["tolerations"].as_array().map(Vec::len), Some(2));
    assert_eq!(spec["tolerations"][0]["key"], "node.kubernetes.io/not-ready");
    let (code, again) = send(&mut server, "POST", PODS, pod("web"));
    assert_eq!(code, 409);
    assert_eq!(again["reason"], "AlreadyExists");
    assert_eq!(again["message"], "pods \"web\" already exists");
    assert_eq!(again["details"], json!({"name": "web", "kind": "pods"}));
    assert_eq!(done(&mut server, "GET", &format!("{PODS}/web"), json!(null)), created);
}

#[test]
fn a_write_that_changes_nothing_moves_no_version() {
    let mut server = server();
    let created = done(&mut server, "POST", PODS, pod("web"));
    let version = server.version();
    assert_eq!(done(&mut server, "PUT", &format!("{PODS}/web"), created.clone()), created);
    let patch = json!({"metadata": {"labels": null}});
    let (code, same) = send_as(
        &mut server,
        "PATCH",
        &format!("{PODS}/web"),
        "application/merge-patch+json",
        patch,
    );
    assert_eq!((code, same), (200, created));
    assert_eq!(server.version(), version);
}

#[test]
fn a_stale_update_is_a_conflict() {
    let mut server = server();
    let mut first = done(&mut server, "POST", PODS, pod("web"));
    let mut second = first.clone();
    first["metadata"]["labels"] = json!({"turn": "first"});
    second["metadata"]["labels"] = json!({"turn": "second"});
    done(&mut server, "PUT", &format!("{PODS}/web"), first);
    assert_eq!(
        refused(&mut server, "PUT", &format!("{PODS}/web"), second),
        (
            409,
            "Operation cannot be fulfilled on pods \"web\": the object has been modified; please apply your \
             changes to the latest version and try again"
                .to_owned()
        )
    );
}

#[test]
fn status_and_spec_are_written_apart() {
    let mut server = server();
    let mut made = done(&mut server, "POST", "/api/v1/nodes", node("a1"));
    assert_eq!(made["status"]["allocatable"], made["status"]["capacity"]);
    made["spec"]["unschedulable"] = true.into();
    made["status"]["capacity"]["cpu"] = "16".into();
    let main = done(&mut server, "PUT", "/api/v1/nodes/a1", made.clone());
    assert_eq!(
        (&main["spec"]["unschedulable"], &main["status"]["capacity"]["cpu"]),
        (&json!(true), &json!("8"))
    );
    made["metadata"]["resourceVersion"] = main["metadata"]["resourceVersion"].clone();
    made["spec"]["unschedulable"] = false.into();
    let status = done(&mut server, "PUT", "/api/v1/nodes/a1/status", made);
    assert_eq!(
        (&status["spec"]["unschedulable"], &status["status"]["capacity"]["cpu"]),
        (&json!(true), &json!("16"))
    );
}

#[test]
fn a_binding_gives_a_pod_its_node_once() {
    let mut server = server();
    done(&mut server, "POST", PODS, pod("web"));
    assert_eq!(bind(&mut server, "web", "a1").0, 201);
    let bound = done(&mut server, "GET", &format!("{PODS}/web"), json!(null));
    assert_eq!(bound["spec"]["nodeName"], "a1");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    assert_eq!(bound["status"]["conditions"][0]["status"], "True");
    let (code, again) = bind(&mut server, "web", "a2");
    assert_eq!(code, 409);
    assert_eq!(
        again["message"],
        "Operation cannot be fulfilled on pods/binding \"web\": pod web is already assigned to node \"a1\""
    );
    let here =
        done(&mut server, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Da1", json!(null));
    assert_eq!(here["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_bound_pod_ends_in_two_steps_and_an_unbound_one_at_once() {
    let mut server = server();
    for name in ["bound", "unbound"] {
        done(&mut server, "POST", PODS, pod(name));
    }
    bind(&mut server, "bound", "a1");
    let going = done(&mut server, "DELETE", &format!("{PODS}/bound"), json!(null));
    assert_eq!(going["metadata"]["deletionTimestamp"], "2026-11-02T00:00:30Z");
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30);
    let sooner =
        done(&mut server, "DELETE", &format!("{PODS}/bound"), json!({"gracePeriodSeconds": 5}));
    assert_eq!(sooner["metadata"]["deletionTimestamp"], "2026-11-02T00:00:05Z");
    let longer =
        done(&mut server, "DELETE", &format!("{PODS}/bound"), json!({"gracePeriodSeconds": 60}));
    assert_eq!(longer, sooner);
    done(&mut server, "DELETE", &format!("{PODS}/bound"), json!({"gracePeriodSeconds": 0}));
    done(&mut server, "DELETE", &format!("{PODS}/unbound"), json!(null));
    for name in ["bound", "unbound"] {
        assert_eq!(
            refused(&mut server, "GET", &format!("{PODS}/{name}"), json!(null)),
            (404, format!("pods \"{name}\" not found"))
        );
    }
}
