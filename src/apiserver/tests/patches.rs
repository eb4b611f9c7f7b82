//! Patches of the three forms: merge keys, directives, order, preconditions, media types.

use serde_json::Value;
use serde_json::json;

use super::PODS;
use super::done;
use super::node;
use super::pod;
use super::send_as;
use super::server;
use crate::apiserver::server::Server;

const STRATEGIC: &str = "application/strategic-merge-patch+json";

fn strategic(server: &mut Server, target: &str, patch: Value) -> Value {
    let (code, answer) = send_as(server, "PATCH", target, STRATEGIC, patch);
    assert_eq!(code, 200, "{answer}");
    answer
}

/// A deployment of two containers with some lists in them.
fn deployment(server: &mut Server) -> Value {
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
                         "args": ["one", "two"]},
                        {"name": "b", "image": "b:1", "ports": [{"containerPort": 80}]},
                    ],
                    "tolerations": [{"key": "gpu", "operator": "Exists"}],
                },
            },
        },
    });
    done(server, "POST", "/apis/apps/v1/namespaces/default/deployments", deployment)
}

const WEB: &str = "/apis/apps/v1/namespaces/default/deployments/web";

fn spec_of(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

#[test]
fn lists_merge_by_their_keys_and_others_are_replaced() {
    let mut server = server();
    deployment(&mut server);
    let patch = json!({"spec": {"template": {"spec": {
        "containers": [
            {"name": "b", "ports": [{"containerPort": 443}]},
            {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "3"}, {"name": "Z", "value": "4"}], "args": ["three"]},
        ],
        "tolerations": [{"key": "other", "operator": "Exists"}],
    }}}});
    let patched = strategic(&mut server, WEB, patch);
    let containers = &spec_of(&patched)["containers"];
    assert_eq!(containers[0]["name"], "b", "the patch's entries stand in its order");
    assert_eq!(containers[1]["image"], "a:2");
    assert_eq!(
        containers[1]["env"],
        json!([{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}, {"name": "Z", "value": "4"}])
    );
    assert_eq!(containers[1]["args"], json!(["three"]));
    assert_eq!(
        containers[0]["ports"],
        json!([{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 443, "protocol": "TCP"}])
    );
    assert_eq!(spec_of(&patched)["tolerations"], json!([{"key": "other", "operator": "Exists"}]));
    assert_eq!(patched["metadata"]["generation"], 2);
}

#[test]
fn directives_delete_replace_and_order() {
    let mut server = server();
    deployment(&mut server);
    let patch = json!({"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
        "containers": [
            {"name": "b", "$patch": "delete"},
            {"name": "c", "image": "c:1"},
            {"name": "a", "env": [{"name": "Q", "value": "9"}, {"$patch": "replace"}]},
        ],
    }}}});
    let patched = strategic(&mut server, WEB, patch);
    let containers = spec_of(&patched)["containers"].as_array().expect("a list").clone();
    assert_eq!(
        containers.iter().map(|container| container["name"].clone()).collect::<Vec<_>>(),
        ["c", "a"]
    );
    assert_eq!(containers[1]["env"], json!([{"name": "Q", "value": "9"}]));
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    assert_eq!(strategic(&mut server, WEB, patch)["spec"]["strategy"], json!({"type": "Recreate"}));
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}});
    let (code, answer) = send_as(&mut server, "PATCH", WEB, STRATEGIC, patch);
    assert_eq!(code, 500);
    assert_eq!(answer["message"], "map: map[image:x] does not contain declared merge key: name");
}

#[test]
fn finalizers_are_a_set_and_can_be_deleted_from() {
    let mut server = server();
    done(&mut server, "POST", PODS, pod("web"));
    let web = format!("{PODS}/web");
    let added = strategic(
        &mut server,
        &web,
        json!({"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}),
    );
    assert_eq!(added["metadata"]["finalizers"], json!(["example.com/a", "example.com/b"]));
    let patch = json!({"metadata": {
        "$deleteFromPrimitiveList/finalizers": ["example.com/a"],
        "$setElementOrder/finalizers": ["example.com/c", "example.com/b"],
        "finalizers": ["example.com/c"],
    }});
    assert_eq!(
        strategic(&mut server, &web, patch)["metadata"]["finalizers"],
        json!(["example.com/c", "example.com/b"])
    );
}

#[test]
fn conditions_merge_by_type_through_the_status() {
    let mut server = server();
    done(&mut server, "POST", "/api/v1/nodes", node("a1"));
    let ready =
        |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    strategic(&mut server, "/api/v1/nodes/a1/status", ready("True"));
    let pressure = json!({"status": {"conditions": [{"type": "DiskPressure", "status": "False"}]}});
    strategic(&mut server, "/api/v1/nodes/a1/status", pressure);
    let patched = strategic(&mut server, "/api/v1/nodes/a1/status", ready("False"));
    assert_eq!(
        patched["status"]["conditions"],
        json!([{"type": "Ready", "status": "False"}, {"type": "DiskPressure", "status": "False"}])
    );
}

#[test]
fn cordon_and_taint_as_kubectl_sends_them() {
    let mut server = server();
    done(&mut server, "POST", "/api/v1/nodes", node("a1"));
    let cordoned =
        strategic(&mut server, "/api/v1/nodes/a1", json!({"spec": {"unschedulable": true}}));
    assert_eq!(cordoned["spec"]["unschedulable"], true);
    let uncordoned =
        strategic(&mut server, "/api/v1/nodes/a1", json!({"spec": {"unschedulable": null}}));
    assert_eq!(uncordoned["spec"].get("unschedulable"), None);
    let taints = json!([{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]);
    let tainted = strategic(&mut server, "/api/v1/nodes/a1", json!({"spec": {"taints": taints}}));
    assert_eq!(tainted["spec"]["taints"], taints);
}

#[test]
fn a_version_in_a_patch_is_a_precondition() {
    let mut server = server();
    done(&mut server, "POST", PODS, pod("web"));
    let patch = json!({"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}});
    let (code, answer) = send_as(
        &mut server,
        "PATCH",
        &format!("{PODS}/web"),
        "application/merge-patch+json",
        patch,
    );
    assert_eq!((code, &answer["reason"]), (409, &json!("Conflict")));
    let patch = json!({"metadata": {"uid": "other", "labels": {"a": "b"}}});
    let (code, answer) = send_as(
        &mut server,
        "PATCH",
        &format!("{PODS}/web"),
        "application/merge-patch+json",
        patch,
    );
    let expected =
        "Pod \"web\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable";
    assert_eq!((code, &answer["message"]), (422, &json!(expected)));
}

#[test]
fn json_patches_apply_whole_or_not_at_all() {
    let mut server = server();
    done(&mut server, "POST", PODS, pod("web"));
    let web = format!("{PODS}/web");
    let patch = json!([{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]);
    let (code, answer) = send_as(&mut server, "PATCH", &web, "application/json-patch+json", patch);
    assert_eq!((code, &answer["metadata"]["labels"]), (200, &json!({"a": "b"})));
    let patch = json!([
        {"op": "add", "path": "/metadata/labels/c", "value": "d"},
        {"op": "test", "path": "/metadata/labels/a", "value": "x"},
    ]);
    let (code, answer) = send_as(&mut server, "PATCH", &web, "application/json-patch+json", patch);
    assert_eq!((code, &answer["reason"]), (422, &json!("Invalid")));
    let unchanged = done(&mut server, "GET", &web, json!(null));
    assert_eq!(unchanged["metadata"]["labels"], json!({"a": "b"}));
}

#[test]
fn an_unknown_form_of_patch_is_refused_with_those_that_are_known() {
    let mut server = server();
    done(&mut server, "POST", PODS, pod("web"));
    let target = format!("{PODS}/web");
    let (code, answer) =
        send_as(&mut server, "PATCH", &target, "application/apply-patch+cbor", json!({}));
    assert_eq!(code, 415);
    assert_eq!(
        answer["message"],
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
         application/apply-patch+yaml"
    );
}
