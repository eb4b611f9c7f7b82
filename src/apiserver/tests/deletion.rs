//! Deletion: preconditions, finalizers, dependents, collections.

use serde_json::Value;
use serde_json::json;

use super::PODS;
use super::START;
use super::done;
use super::pod;
use super::refused;
use super::send;
use super::server;
use crate::apiserver::server::Server;
use crate::apiserver::store::state::DanglingOwners;
use crate::apiserver::store::state::Settings;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, owner: Option<&Value>) -> Value {
    let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    if let Some(owner) = owner {
        map["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            "controller": true, "blockOwnerDeletion": true,
        }]);
    }
    map
}

fn exists(server: &mut Server, name: &str) -> bool {
    send(server, "GET", &format!("{MAPS}/{name}"), json!(null)).0 == 200
}

/// An owner with a dependent that owns another.
fn family(server: &mut Server) {
    let owner = done(server, "POST", MAPS, map("owner", None));
    let child = done(server, "POST", MAPS, map("child", Some(&owner)));
    done(server, "POST", MAPS, map("grandchild", Some(&child)));
}

#[test]
fn preconditions_are_checked() {
    let mut server = server();
    let made = done(&mut server, "POST", PODS, pod("a"));
    let (uid, version) = (
        made["metadata"]["uid"].as_str().unwrap_or_default(),
        made["metadata"]["resourceVersion"].as_str().unwrap_or_default(),
    );
    let target = format!("{PODS}/a");
    assert_eq!(
        refused(&mut server, "DELETE", &target, json!({"preconditions": {"uid": "x"}})),
        (
            409,
            format!(
                "Operation cannot be fulfilled on Pod \"a\": the UID in the precondition (x) does not match the UID in record ({uid}). The object might have been deleted and then recreated"
            )
        )
    );
    assert_eq!(
        refused(&mut server, "DELETE", &target, json!({"preconditions": {"resourceVersion": "1"}})),
        (
            409,
            format!(
                "Operation cannot be fulfilled on Pod \"a\": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({version}). The object might have been modified"
            )
        )
    );
    done(
        &mut server,
        "DELETE",
        &target,
        json!({"preconditions": {"uid": uid, "resourceVersion": version}}),
    );
    assert_eq!(send(&mut server, "GET", &target, json!(null)).0, 404);
}

#[test]
fn a_finished_deletion_answers_with_a_status() {
    let mut server = server();
    let made = done(&mut server, "POST", MAPS, map("m", None));
    let answer = done(&mut server, "DELETE", &format!("{MAPS}/m"), json!(null));
    assert_eq!(
        (&answer["kind"], &answer["status"], &answer["details"]),
        (
            &json!("Status"),
            &json!("Success"),
            &json!({"name": "m", "kind": "configmaps", "uid": made["metadata"]["uid"]})
        )
    );
}

#[test]
fn finalizers_hold_an_object_until_the_last_is_gone() {
    let mut server = server();
    let mut held = map("m", None);
    held["metadata"]["finalizers"] = json!(["example.com/a"]);
    done(&mut server, "POST", MAPS, held);
    let mut going = done(&mut server, "DELETE", &format!("{MAPS}/m"), json!(null));
    assert_eq!(going["metadata"]["deletionTimestamp"], "2026-11-02T00:00:00Z");
    let mut more = going.clone();
    more["metadata"]["finalizers"] = json!(["example.com/a", "example.com/b"]);
    let (code, message) = refused(&mut server, "PUT", &format!("{MAPS}/m"), more);
    assert_eq!(
        (code, message.as_str()),
        (
            422,
            "ConfigMap \"m\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object \
             is being deleted, found new finalizers []string{\"example.com/b\"}"
        )
    );
    going["metadata"]["finalizers"] = json!([]);
    done(&mut server, "PUT", &format!("{MAPS}/m"), going);
    assert!(!exists(&mut server, "m"));
}

#[test]
fn dependents_go_with_their_owner_or_stay_as_orphans() {
    for (policy, left, finalizers) in [
        ("Background", false, json!(null)),
        ("Foreground", false, json!(["foregroundDeletion"])),
        ("Orphan", true, json!(["orphan"])),
    ] {
        let mut server = server();
        family(&mut server);
        let target = format!("{MAPS}/owner");
        let answer = done(&mut server, "DELETE", &target, json!({"propagationPolicy": policy}));
        // What the collector does follows the answer, which shows what it has to do.
        assert_eq!(answer.pointer("/metadata/finalizers").unwrap_or(&json!(null)), &finalizers);
        assert!(!exists(&mut server, "owner"), "{policy}");
        assert_eq!(exists(&mut server, "child"), left, "{policy}");
        assert_eq!(exists(&mut server, "grandchild"), left, "{policy}");
        if left {
            let child = done(&mut server, "GET", &format!("{MAPS}/child"), json!(null));
            assert_eq!(child["metadata"].get("ownerReferences"), None);
        }
    }
    let sideways = format!("{MAPS}/owner?propagationPolicy=Sideways");
    assert_eq!(refused(&mut server(), "DELETE", &sideways, json!(null)).0, 422);
}

#[test]
fn in_the_foreground_an_owner_waits_for_those_that_block_it_and_no_others() {
    let mut server = server();
    let owner = done(&mut server, "POST", MAPS, map("owner", None));
    let other = done(&mut server, "POST", MAPS, map("other", None));
    let held = |name: &str, owner: &Value, block: bool| {
        let mut map = map(name, Some(owner));
        map["metadata"]["finalizers"] = json!(["example.com/a"]);
        map["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = json!(block);
        map
    };
    done(&mut server, "POST", MAPS, held("blocks", &owner, true));
    done(&mut server, "POST", MAPS, held("does-not", &owner, false));
    let mut shared = held("shared", &owner, true);
    let mut second = map("x", Some(&other))["metadata"]["ownerReferences"][0].clone();
    second["controller"] = json!(false);
    let references = shared["metadata"]["ownerReferences"].as_array_mut().expect("a list");
    references.push(second);
    done(&mut server, "POST", MAPS, shared);
    let policy = json!({"propagationPolicy": "Foreground"});
    done(&mut server, "DELETE", &format!("{MAPS}/owner"), policy);
    assert!(exists(&mut server, "owner"));
    let terminating = |server: &mut Server, name: &str| {
        let found = done(server, "GET", &format!("{MAPS}/{name}"), json!(null));
        found["metadata"].get("deletionTimestamp").is_some()
    };
    assert!(terminating(&mut server, "blocks"));
    assert!(!terminating(&mut server, "does-not"), "its turn comes when the owner is gone");
    let shared = done(&mut server, "GET", &format!("{MAPS}/shared"), json!(null));
    let owners = shared["metadata"]["ownerReferences"].as_array().map(Vec::len);
    assert_eq!((terminating(&mut server, "shared"), owners), (false, Some(1)));
    let mut blocking = done(&mut server, "GET", &format!("{MAPS}/blocks"), json!(null));
    blocking["metadata"]["finalizers"] = json!([]);
    done(&mut server, "PUT", &format!("{MAPS}/blocks"), blocking);
    assert!(!exists(&mut server, "owner"));
    assert!(terminating(&mut server, "does-not"));
}

#[test]
fn pods_of_a_job_stay_unless_its_deletion_says_otherwise() {
    let mut server = server();
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i"}]}}}});
    let made = done(&mut server, "POST", jobs, job);
    let mut member = pod("a");
    member["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job",
        "name": "j", "uid": made["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true}]);
    done(&mut server, "POST", PODS, member);
    let request =
        http::Request::builder().method("DELETE").uri(format!("{jobs}/j")).body(Vec::new());
    let response = server.handle(START, &request.expect("well formed"));
    let warning = response.headers().get("warning").and_then(|value| value.to_str().ok());
    assert!(warning.is_some_and(|text| text.contains("child pods are preserved by default")));
    assert_eq!(send(&mut server, "GET", &format!("{jobs}/j"), json!(null)).0, 404);
    assert_eq!(send(&mut server, "GET", &format!("{PODS}/a"), json!(null)).0, 200);
}

#[test]
fn a_foreground_deletion_waits_for_pods_to_end() {
    let mut server = server();
    let owner = done(&mut server, "POST", MAPS, map("owner", None));
    let mut member = pod("a");
    member["metadata"]["ownerReferences"] =
        map("x", Some(&owner))["metadata"]["ownerReferences"].clone();
    done(&mut server, "POST", PODS, member);
    super::bind(&mut server, "a", "n1");
    done(
        &mut server,
        "DELETE",
        &format!("{MAPS}/owner"),
        json!({"propagationPolicy": "Foreground"}),
    );
    let going = done(&mut server, "GET", &format!("{MAPS}/owner"), json!(null));
    assert_eq!(going["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    done(&mut server, "DELETE", &format!("{PODS}/a"), json!({"gracePeriodSeconds": 0}));
    assert!(!exists(&mut server, "owner"));
}

#[test]
fn what_never_had_an_owner_is_collected_unless_kept() {
    let ghost = json!({"metadata": {"name": "ghost", "uid": "no-such-uid"}});
    let mut server = server();
    done(&mut server, "POST", MAPS, map("m", Some(&ghost)));
    assert!(!exists(&mut server, "m"));
    let settings = Settings { dangling_owners: DanglingOwners::Kept, ..Settings::default() };
    let mut server = Server::new(settings, START);
    done(&mut server, "POST", MAPS, map("m", Some(&ghost)));
    assert!(exists(&mut server, "m"));
}

#[test]
fn a_collection_is_deleted_by_selector() {
    let mut server = server();
    for name in ["a", "b", "c"] {
        let mut map = map(name, None);
        map["metadata"]["labels"] = json!({"keep": if name == "b" { "yes" } else { "no" }});
        done(&mut server, "POST", MAPS, map);
    }
    done(&mut server, "DELETE", &format!("{MAPS}?labelSelector=keep%3Dno"), json!(null));
    assert!(!exists(&mut server, "a") && exists(&mut server, "b") && !exists(&mut server, "c"));
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut server = server();
    done(&mut server, "POST", MAPS, map("m", None));
    let version = server.version();
    done(&mut server, "POST", &format!("{PODS}?dryRun=All"), pod("a"));
    done(&mut server, "DELETE", &format!("{MAPS}/m?dryRun=All"), json!(null));
    done(&mut server, "DELETE", &format!("{MAPS}/m"), json!({"dryRun": ["All"]}));
    assert!(exists(&mut server, "m"));
    assert_eq!(send(&mut server, "GET", &format!("{PODS}/a"), json!(null)).0, 404);
    assert_eq!(server.version(), version);
}
