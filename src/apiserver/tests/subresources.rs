//! Bindings with their preconditions, scales, paths that are not served, and installed faults.

use serde_json::Value;
use serde_json::json;

use super::PODS;
use super::START;
use super::bind;
use super::done;
use super::pod;
use super::refused;
use super::send;
use super::send_as;
use super::server;
use crate::apiserver::server::ReplyLost;
use crate::apiserver::server::Server;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::faults::FaultEffect;
use crate::apiserver::store::faults::FaultRule;
use crate::apiserver::store::faults::Target;
use crate::apiserver::store::faults::WatchEnd;
use crate::apiserver::store::request::Verb;

fn binding(metadata: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": {"kind": "Node", "name": "n1"}})
}

#[test]
fn a_binding_keeps_its_preconditions_and_copies_its_metadata() {
    let mut server = server();
    let made = done(&mut server, "POST", PODS, pod("a"));
    let uid = made["metadata"]["uid"].clone();
    let target = format!("{PODS}/a/binding");
    let (code, message) =
        refused(&mut server, "POST", &target, binding(json!({"name": "a", "uid": "x"})));
    assert_eq!(code, 409);
    assert!(
        message.contains("Precondition failed: UID in precondition: x, UID in object meta: "),
        "{message}"
    );
    let number = binding(json!({"name": "a", "labels": {"rank": 0}}));
    let (code, message) = refused(&mut server, "POST", &target, number);
    assert_eq!(code, 400);
    assert!(message.contains("metadata.labels holds a value that is no string"), "{message}");
    let stale = binding(json!({"name": "a", "uid": uid, "resourceVersion": "1"}));
    assert_eq!(refused(&mut server, "POST", &target, stale).0, 409);
    let metadata = json!({"name": "a", "uid": uid, "resourceVersion": made["metadata"]["resourceVersion"],
        "annotations": {"muster.dev/epoch": "7"}, "labels": {"rank": "0"}});
    let dry = done(&mut server, "POST", &format!("{target}?dryRun=All"), binding(metadata.clone()));
    assert_eq!(dry["status"], "Success");
    assert_eq!(
        done(&mut server, "GET", &format!("{PODS}/a"), json!(null))["spec"].get("nodeName"),
        None
    );
    let nominated = json!({"status": {"nominatedNodeName": "n9"}});
    send_as(
        &mut server,
        "PATCH",
        &format!("{PODS}/a/status"),
        "application/merge-patch+json",
        nominated,
    );
    let (code, _) = refused(&mut server, "POST", &target, binding(metadata.clone()));
    assert_eq!(code, 409, "the pod's version moved with its status");
    let current = done(&mut server, "GET", &format!("{PODS}/a"), json!(null));
    let mut metadata = metadata;
    metadata["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
    done(&mut server, "POST", &target, binding(metadata));
    let bound = done(&mut server, "GET", &format!("{PODS}/a"), json!(null));
    assert_eq!(bound["metadata"]["annotations"], json!({"muster.dev/epoch": "7"}));
    assert_eq!(bound["metadata"]["labels"], json!({"rank": "0"}));
    assert_eq!(bound["status"].get("nominatedNodeName"), None);
}

#[test]
fn gated_and_terminating_pods_are_not_bound() {
    let mut server = server();
    let mut gated = pod("gated");
    gated["spec"]["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    done(&mut server, "POST", PODS, gated);
    let mut held = pod("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    done(&mut server, "POST", PODS, held);
    done(&mut server, "DELETE", &format!("{PODS}/held"), json!(null));
    for (name, why) in [
        ("gated", "pod gated has non-empty .spec.schedulingGates"),
        ("held", "pod held is being deleted, cannot be assigned to a host"),
    ] {
        let (code, answer) = bind(&mut server, name, "n1");
        assert_eq!(code, 409);
        assert_eq!(
            answer["message"],
            format!("Operation cannot be fulfilled on pods/binding \"{name}\": {why}")
        );
    }
    assert_eq!(
        refused(&mut server, "POST", &format!("{PODS}/none/binding"), binding(json!({}))).0,
        404
    );
}

#[test]
fn a_scale_is_a_window_on_the_replicas() {
    let mut server = server();
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}},
        },
    });
    done(&mut server, "POST", "/apis/apps/v1/namespaces/default/replicasets", set);
    let target = "/apis/apps/v1/namespaces/default/replicasets/web/scale";
    let mut scale = done(&mut server, "GET", target, json!(null));
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    assert_eq!(scale["status"]["selector"], "app=web");
    scale["spec"]["replicas"] = 3.into();
    assert_eq!(done(&mut server, "PUT", target, scale)["spec"]["replicas"], 3);
    let patch = json!({"spec": {"replicas": 5}});
    let (code, patched) =
        send_as(&mut server, "PATCH", target, "application/merge-patch+json", patch);
    assert_eq!((code, &patched["spec"]["replicas"]), (200, &json!(5)));
    let set = done(&mut server, "GET", target.trim_end_matches("/scale"), json!(null));
    assert_eq!((&set["spec"]["replicas"], &set["metadata"]["generation"]), (&json!(5), &json!(3)));
}

#[test]
fn what_is_not_served_says_so() {
    let mut server = server();
    done(&mut server, "POST", PODS, pod("a"));
    for (method, target, code, message) in [
        (
            "GET",
            format!("{PODS}/a/eviction"),
            405,
            "the server does not allow this method on the requested resource",
        ),
        (
            "GET",
            "/apis/example.com/v1/things".to_owned(),
            404,
            "the server could not find the requested resource",
        ),
        (
            "PUT",
            PODS.to_owned(),
            405,
            "the server does not allow this method on the requested resource",
        ),
        (
            "DELETE",
            "/api/v1/pods".to_owned(),
            405,
            "the server does not allow this method on the requested resource",
        ),
        (
            "GET",
            format!("{PODS}/a/binding"),
            405,
            "the server does not allow this method on the requested resource",
        ),
    ] {
        assert_eq!(
            refused(&mut server, method, &target, json!(null)),
            (code, message.to_owned()),
            "{method} {target}"
        );
    }
}

fn install(
    server: &mut Server,
    target: Target,
    skip: u32,
    times: Option<u32>,
    effect: FaultEffect,
) {
    server.faults().add(FaultRule { target, skip, times, effect });
}

#[test]
fn faults_hit_just_what_they_pick() {
    let mut server = server();
    for name in ["a", "b", "c"] {
        done(&mut server, "POST", PODS, pod(name));
    }
    let busy = Failure::new(503, "ServiceUnavailable", "etcd is not there");
    let binds = Target::of(Verb::Create, "pods/binding");
    install(&mut server, binds.clone(), 1, Some(1), FaultEffect::FailBefore(busy.clone()));
    assert_eq!(bind(&mut server, "a", "n1").0, 201);
    assert_eq!(bind(&mut server, "b", "n1").0, 503);
    assert_eq!(
        done(&mut server, "GET", &format!("{PODS}/b"), json!(null))["spec"].get("nodeName"),
        None
    );
    assert_eq!(bind(&mut server, "b", "n1").0, 201);
    install(&mut server, binds, 0, Some(1), FaultEffect::FailAfter(busy));
    assert_eq!(bind(&mut server, "c", "n1").0, 503);
    assert_eq!(
        done(&mut server, "GET", &format!("{PODS}/c"), json!(null))["spec"]["nodeName"],
        "n1"
    );
    let one = Target::of(Verb::Delete, "pods").named("default", "c");
    install(&mut server, one, 0, None, FaultEffect::Deny);
    assert_eq!(
        refused(&mut server, "DELETE", &format!("{PODS}/c"), json!(null)),
        (
            403,
            "pods \"c\" is forbidden: User \"system:anonymous\" cannot delete resource \"pods\" in API group \"\" in \
             the namespace \"default\""
                .to_owned()
        )
    );
    server.faults().clear();
    done(&mut server, "DELETE", &format!("{PODS}/c"), json!(null));
}

#[test]
fn a_lost_reply_is_marked_and_applied_and_a_lost_request_is_not() {
    let mut server = server();
    for (effect, applied) in [(FaultEffect::LoseReply, true), (FaultEffect::LoseRequest, false)] {
        install(&mut server, Target::of(Verb::Create, "pods"), 0, Some(1), effect);
        let name = if applied { "a" } else { "b" };
        let request = http::Request::post(PODS)
            .body(pod(name).to_string().into_bytes())
            .expect("well formed");
        let response = server.handle(START, &request);
        assert!(response.extensions().get::<ReplyLost>().is_some());
        assert_eq!(
            send(&mut server, "GET", &format!("{PODS}/{name}"), json!(null)).0 == 200,
            applied
        );
    }
}

#[test]
fn watches_can_be_cut() {
    let mut server = server();
    let mut pods = server.watch(PODS).expect("begins");
    let mut nodes = server.watch("/api/v1/nodes").expect("begins");
    server.faults().cut_watches("pods", WatchEnd::Cut);
    done(&mut server, "POST", PODS, pod("a"));
    done(&mut server, "POST", "/api/v1/nodes", super::node("n1"));
    assert!(server.poll(&mut pods).is_empty() && pods.has_ended());
    assert_eq!(server.poll(&mut nodes).len(), 1);
    let mut again = server.watch(PODS).expect("begins");
    assert_eq!(server.poll(&mut again).len(), 1);
    server.faults().cut_watches("", WatchEnd::Expired);
    let events = server.poll(&mut again);
    assert_eq!((events.len(), events[0].kind()), (1, "ERROR"));
    install(&mut server, Target::of(Verb::Watch, "pods"), 0, None, FaultEffect::Deny);
    assert_eq!(server.watch(PODS).map(|_| ()).expect_err("is denied").code, 403);
}

#[test]
fn an_eviction_deletes_a_pod_under_its_preconditions() {
    let mut server = server();
    let made = done(&mut server, "POST", PODS, pod("a"));
    super::bind(&mut server, "a", "n1");
    let target = format!("{PODS}/a/eviction");
    let eviction = |options: Value| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}, "deleteOptions": options});
    let (code, message) =
        refused(&mut server, "POST", &target, eviction(json!({"preconditions": {"uid": "x"}})));
    assert_eq!(code, 409);
    assert!(message.contains("the UID in the precondition (x) does not match"), "{message}");
    let mut other = eviction(json!({}));
    other["metadata"]["name"] = json!("b");
    assert_eq!(
        refused(&mut server, "POST", &target, other),
        (400, "name in URL does not match name in Eviction object".to_owned())
    );
    let options =
        json!({"preconditions": {"uid": made["metadata"]["uid"]}, "gracePeriodSeconds": 7});
    let answer = send(&mut server, "POST", &target, eviction(options));
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    assert_eq!(answer, (201, success));
    let going = done(&mut server, "GET", &format!("{PODS}/a"), json!(null));
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 7);
    let (code, _) =
        refused(&mut server, "POST", &format!("{PODS}/none/eviction"), json!({"kind": "Eviction"}));
    assert_eq!(code, 404);
}
