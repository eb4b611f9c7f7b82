//! Server-side apply: ownership, conflicts, removal of what is no longer applied, lists by their keys.

use serde_json::Value;
use serde_json::json;

use super::PODS;
use super::done;
use super::refused;
use super::send_as;
use super::server;
use crate::apiserver::server::Server;

const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";
const APPLY: &str = "application/apply-patch+yaml";

fn deployment(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "example.org/web:1"}]},
            },
        },
    });
    let fields = object["spec"].as_object_mut().expect("written above");
    fields.extend(spec.as_object().cloned().unwrap_or_default());
    object
}

fn apply(server: &mut Server, target: &str, options: &str, config: &Value) -> (u16, Value) {
    send_as(server, "PATCH", &format!("{target}?{options}"), APPLY, config.clone())
}

#[track_caller]
fn applied(server: &mut Server, manager: &str, config: &Value) -> Value {
    let (code, answer) = apply(server, WEB, &format!("fieldManager={manager}"), config);
    assert!(code < 300, "{code}: {answer}");
    answer
}

#[test]
fn what_is_applied_is_created_owned_and_left_alone_when_applied_again() {
    let mut server = server();
    let (code, made) =
        apply(&mut server, WEB, "fieldManager=a", &deployment(json!({"replicas": 2})));
    assert_eq!(code, 201);
    assert_eq!(made["spec"]["strategy"]["type"], "RollingUpdate", "defaults are filled in");
    assert_eq!(
        made["metadata"]["managedFields"],
        json!([{
            "manager": "a", "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-11-02T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {
                "f:replicas": {},
                "f:selector": {},
                "f:template": {
                    "f:metadata": {"f:labels": {"f:app": {}}},
                    "f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:image": {}, "f:name": {}}}},
                },
            }},
        }])
    );
    let again = apply(&mut server, WEB, "fieldManager=a", &deployment(json!({"replicas": 2})));
    assert_eq!(again, (200, made));
}

#[test]
fn fields_of_others_conflict_unless_equal_or_forced() {
    let mut server = server();
    applied(&mut server, "a", &deployment(json!({"replicas": 2})));
    applied(&mut server, "b", &deployment(json!({"replicas": 2})));
    let changed = deployment(json!({"replicas": 3}));
    let (code, status) = apply(&mut server, WEB, "fieldManager=b", &changed);
    assert_eq!(code, 409);
    assert_eq!(status["reason"], "Conflict");
    assert_eq!(
        status["message"],
        "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas"
    );
    let cause = json!({"reason": "FieldManagerConflict", "message": "conflict with \"a\"", "field": ".spec.replicas"});
    assert_eq!(status["details"], json!({"causes": [cause]}));
    let (code, forced) = apply(&mut server, WEB, "fieldManager=b&force=true", &changed);
    assert_eq!((code, &forced["spec"]["replicas"]), (200, &json!(3)));
    let (code, status) = apply(
        &mut server,
        WEB,
        "fieldManager=a",
        &deployment(json!({"replicas": 4, "paused": true})),
    );
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        "Apply failed with 1 conflict: conflict with \"b\": .spec.replicas"
    );
}

#[test]
fn conflicts_of_several_fields_are_listed_by_manager() {
    let mut server = server();
    done(
        &mut server,
        "POST",
        &format!("{}?fieldManager=maker", WEB.trim_end_matches("/web")),
        deployment(json!({})),
    );
    let mut other = deployment(json!({"replicas": 7}));
    other["spec"]["template"]["spec"]["containers"][0]["image"] = json!("example.org/web:2");
    let (code, status) = apply(&mut server, WEB, "fieldManager=b", &other);
    assert_eq!(code, 409);
    assert_eq!(
        status["message"],
        "Apply failed with 2 conflicts: conflicts with \"maker\" using apps/v1:\n- .spec.replicas\n\
         - .spec.template.spec.containers[name=\"main\"].image"
    );
}

#[test]
fn fields_that_are_no_longer_applied_go_unless_somebody_else_has_them() {
    let mut server = server();
    let mut first = deployment(json!({"replicas": 2, "minReadySeconds": 5, "paused": true}));
    first["metadata"]["labels"] = json!({"team": "x", "tier": "y"});
    first["spec"]["template"]["spec"]["containers"] = json!([
        {"name": "main", "image": "i:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"name": "side", "image": "s:1"},
    ]);
    applied(&mut server, "a", &first);
    let mut shared = deployment(json!({"minReadySeconds": 5}));
    shared["spec"]["template"]["spec"]["containers"] = json!([{"name": "main", "image": "i:1"}]);
    applied(&mut server, "b", &shared);
    let mut second = shared.clone();
    second["metadata"]["labels"] = json!({"team": "x"});
    second["spec"].as_object_mut().expect("an object").remove("minReadySeconds");
    second["spec"]["template"]["spec"]["containers"] =
        json!([{"name": "main", "image": "i:1", "env": [{"name": "B", "value": "2"}]}]);
    let now = applied(&mut server, "a", &second);
    assert_eq!(now["metadata"]["labels"], json!({"team": "x"}));
    assert_eq!(now["spec"]["replicas"], 1, "nobody's any more: the default");
    assert_eq!(now["spec"]["minReadySeconds"], 5, "b still wants it");
    assert_eq!(now["spec"].get("paused"), None);
    let containers = now.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let containers = containers.expect("a list");
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0]["env"], json!([{"name": "B", "value": "2"}]));
}

#[test]
fn updates_take_what_they_change_and_objects_of_nobody_belong_to_one_from_before() {
    let mut server = server();
    done(&mut server, "POST", WEB.trim_end_matches("/web"), deployment(json!({"replicas": 2})));
    let plain = done(&mut server, "GET", WEB, json!(null));
    assert_eq!(plain["metadata"].get("managedFields"), None);
    let (_, status) =
        apply(&mut server, WEB, "fieldManager=a", &deployment(json!({"replicas": 3})));
    assert_eq!(
        status["message"],
        "Apply failed with 1 conflict: conflict with \"before-first-apply\" using apps/v1: .spec.replicas"
    );
    applied(&mut server, "a", &deployment(json!({"replicas": 2})));
    let merge = "application/merge-patch+json";
    send_as(
        &mut server,
        "PATCH",
        &format!("{WEB}?fieldManager=hand"),
        merge,
        json!({"spec": {"replicas": 5}}),
    );
    let (_, status) =
        apply(&mut server, WEB, "fieldManager=a", &deployment(json!({"replicas": 2})));
    assert_eq!(
        status["message"],
        "Apply failed with 1 conflict: conflict with \"hand\" using apps/v1: .spec.replicas"
    );
    let forget = json!({"metadata": {"managedFields": [{}]}});
    let (_, bare) = send_as(&mut server, "PATCH", WEB, merge, forget);
    assert_eq!(bare["metadata"].get("managedFields"), None);
}

#[test]
fn what_admission_and_the_kind_add_is_owned_by_nobody() {
    let mut server = server();
    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"template": {
            "metadata": {"labels": {"app": "once"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "i"}]},
        }},
    });
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let made = done(&mut server, "POST", &format!("{jobs}?fieldManager=maker"), job.clone());
    assert!(made["spec"]["selector"].is_object(), "the kind adds a selector");
    let owned = &made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
    assert!(owned["f:backoffLimit"].is_object(), "defaults are the maker's: {owned}");
    assert_eq!(owned.get("f:selector"), None);
    let labels = &owned["f:template"]["f:metadata"]["f:labels"];
    assert_eq!(labels, &json!({".": {}, "f:app": {}}));

    // What kubectl does to take over what it once applied from its own side.
    let mut managers = made["metadata"]["managedFields"].clone();
    managers[0]["manager"] = json!("kubectl");
    managers[0]["operation"] = json!("Apply");
    let patch = json!({"metadata": {"managedFields": managers}});
    let merge = "application/merge-patch+json";
    let once = format!("{jobs}/once");
    let (code, answer) = send_as(&mut server, "PATCH", &once, merge, patch);
    assert_eq!(code, 200, "{answer}");
    let (code, answer) = apply(&mut server, &once, "fieldManager=kubectl", &job);
    assert_eq!(code, 200, "{answer}");
    assert_eq!(answer["spec"]["selector"], made["spec"]["selector"]);

    let pods = "/api/v1/namespaces/default/pods?fieldManager=maker";
    let pod = done(&mut server, "POST", pods, super::pod("p"));
    let owned = &pod["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"];
    assert!(pod["spec"]["tolerations"].is_array() && owned["f:containers"].is_object(), "{owned}");
    assert_eq!((owned.get("f:tolerations"), owned.get("f:priority")), (None, None));
}

#[test]
fn kubectl_may_change_what_it_applied_from_its_own_side() {
    let mut server = server();
    let mut old = deployment(json!({"replicas": 2}));
    old["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": old.to_string()});
    done(&mut server, "POST", WEB.trim_end_matches("/web"), old);
    let (code, now) =
        apply(&mut server, WEB, "fieldManager=kubectl", &deployment(json!({"replicas": 3})));
    assert_eq!((code, &now["spec"]["replicas"]), (200, &json!(3)));
    let kept =
        now.pointer("/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration");
    assert!(kept.and_then(Value::as_str).is_some_and(|text| text.contains("\"replicas\":3")));
}

#[test]
fn the_status_is_applied_through_its_own_path() {
    let mut server = server();
    let (_, made) = apply(&mut server, WEB, "fieldManager=a", &{
        let mut config = deployment(json!({}));
        config["status"] = json!({"replicas": 9});
        config
    });
    assert_eq!(made["status"].get("replicas"), None);
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 8}, "status": {"replicas": 9}});
    let (code, now) = apply(&mut server, &format!("{WEB}/status"), "fieldManager=a", &status);
    assert_eq!(
        (code, &now["status"]["replicas"], &now["spec"]["replicas"]),
        (200, &json!(9), &json!(1))
    );
    let entry = now["metadata"]["managedFields"].as_array().and_then(|all| all.last().cloned());
    let entry = entry.expect("two entries");
    assert_eq!(
        (&entry["subresource"], &entry["fieldsV1"]),
        (&json!("status"), &json!({"f:status": {"f:replicas": {}}}))
    );
}

#[test]
fn a_configuration_must_fit_its_kind_and_name_a_manager() {
    let mut server = server();
    let (code, status) = apply(&mut server, WEB, "", &deployment(json!({})));
    assert_eq!(code, 422);
    assert_eq!(
        status["message"],
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    let (code, status) =
        apply(&mut server, WEB, "fieldManager=a", &deployment(json!({"replica": 2})));
    assert_eq!(code, 500);
    assert_eq!(
        status["message"],
        "failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema"
    );
    let mut twice = deployment(json!({}));
    twice["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A"}, {"name": "A"}]);
    let (_, status) = apply(&mut server, WEB, "fieldManager=a", &twice);
    assert_eq!(
        status["message"],
        "failed to create typed patch object (/web; apps/v1, Kind=Deployment): \
         .spec.template.spec.containers[name=\"main\"].env: duplicate entries for key [name=\"A\"]"
    );
    let mut foreign = deployment(json!({}));
    foreign["apiVersion"] = json!("apps/v2");
    let (code, status) = apply(&mut server, WEB, "fieldManager=a", &foreign);
    assert_eq!(code, 400);
    assert_eq!(status["message"], "invalid object type: apps/v2, Kind=Deployment");
    let mut owned = deployment(json!({}));
    owned["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    let (code, status) = apply(&mut server, WEB, "fieldManager=a", &owned);
    assert_eq!((code, &status["message"]), (400, &json!("metadata.managedFields must be nil")));
    let merge = "application/merge-patch+json";
    let (code, status) =
        send_as(&mut server, "PATCH", &format!("{WEB}?force=true"), merge, json!({}));
    assert_eq!(code, 422);
    assert_eq!(
        status["message"],
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
    );
}

#[test]
fn a_body_may_be_yaml_and_a_dry_run_keeps_nothing() {
    let mut server = server();
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - {name: main, image: i, ports: [{containerPort: 80}]}\n";
    let request = |query: &str| {
        http::Request::builder()
            .method("PATCH")
            .uri(format!("{PODS}/a?fieldManager=a{query}"))
            .header("content-type", APPLY)
            .body(text.as_bytes().to_vec())
            .expect("well formed")
    };
    assert_eq!(server.handle(super::START, &request("&dryRun=All")).status(), 201);
    assert_eq!(refused(&mut server, "GET", &format!("{PODS}/a"), json!(null)).0, 404);
    assert_eq!(server.handle(super::START, &request("")).status(), 201);
    let made = done(&mut server, "GET", &format!("{PODS}/a"), json!(null));
    let port = made.pointer(
        "/metadata/managedFields/0/fieldsV1/f:spec/f:containers/k:{\"name\":\"main\"}/f:ports",
    );
    let port = port.and_then(Value::as_object).and_then(|ports| ports.keys().next().cloned());
    assert_eq!(port.as_deref(), Some("k:{\"containerPort\":80,\"protocol\":\"TCP\"}"));
}
