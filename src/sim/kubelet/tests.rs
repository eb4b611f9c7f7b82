//! The life of a pod on a simulated node: started, run, ended, rejected, and taken down with grace.

use serde_json::json;

use super::*;
use crate::sim::write::Verb;

const SECOND: i64 = 1_000_000_000;

fn at(seconds: i64) -> Time {
    Time(seconds * SECOND)
}

fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "uid": format!("uid-{name}")},
        "status": {
            "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110", "nvidia.com/gpu": "4"},
            "allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110", "nvidia.com/gpu": "4"},
            "addresses": [{"type": "InternalIP", "address": "172.16.0.9"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A pod of one container bound to node n1, with a GPU and these annotations.
fn pod(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "d", "uid": format!("uid-{name}"), "annotations": annotations},
        "spec": {
            "nodeName": "n1",
            "initContainers": [{"name": "i", "image": "busybox"}],
            "containers": [{"name": "c", "image": "busybox",
                "resources": {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}}],
        },
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]},
    })
}

/// A kubelet in virtual time that has seen node n1.
fn kubelet() -> Kubelet {
    with(KubeletSettings::virtual_time())
}

fn with(settings: KubeletSettings) -> Kubelet {
    let mut kubelet = Kubelet::new(settings);
    kubelet.observe(at(0), Kind::Node, Sight::Present(&node("n1")));
    kubelet.act(at(0));
    kubelet
}

impl Kubelet {
    fn see(&mut self, now: Time, pod: &Value) -> Vec<Write> {
        self.observe(now, Kind::Pod, Sight::Present(pod));
        self.act(now)
    }
}

fn phase(write: &Write) -> String {
    write.body()["status"]["phase"].as_str().unwrap_or("").to_owned()
}

fn with_phase(mut pod: Value, phase: &str) -> Value {
    pod["status"]["phase"] = json!(phase);
    pod
}

fn deleting(mut pod: Value, grace: i64) -> Value {
    pod["metadata"]["deletionTimestamp"] = json!("2026-11-01T12:00:00Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
    pod
}

#[test]
fn a_bound_pod_starts_at_once_and_ends_after_its_runtime() {
    let mut kubelet = kubelet();
    let pod = pod("p", &json!({RUNS_FOR: "10m"}));
    let started = kubelet.see(at(5), &pod);
    assert_eq!(started.len(), 1);
    let write = &started[0];
    assert_eq!(
        (write.verb, &*write.path),
        (Verb::StrategicMergePatch, "/api/v1/namespaces/d/pods/p/status")
    );
    assert_eq!(write.body()["metadata"]["uid"], "uid-p");
    let status = &write.body()["status"];
    assert_eq!(status["phase"], "Running");
    assert_eq!(status["startTime"], "1970-01-01T00:00:05Z");
    assert_eq!(status["hostIP"], "172.16.0.9");
    assert_eq!(status["podIP"], "10.0.0.1");
    assert_eq!(status["containerStatuses"][0]["ready"], true);
    assert_eq!(status["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
    let kinds: Vec<_> =
        status["conditions"].as_array().into_iter().flatten().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"]);

    assert!(kubelet.see(at(5), &with_phase(pod.clone(), "Running")).is_empty());
    assert_eq!(kubelet.wakeup(), Some(at(605)));
    assert!(kubelet.act(at(604)).is_empty());
    let ended = kubelet.act(at(605));
    assert_eq!((ended.len(), &*phase(&ended[0])), (1, "Succeeded"));
    assert_eq!(
        ended[0].body()["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"],
        0
    );
    assert!(kubelet.see(at(605), &with_phase(pod, "Succeeded")).is_empty());
    assert_eq!(kubelet.wakeup(), None);
}

#[test]
fn an_exit_code_makes_a_pod_fail() {
    let mut kubelet = kubelet();
    kubelet.see(at(0), &pod("p", &json!({RUNS_FOR: "1s", EXIT_CODE: "3"})));
    let ended = kubelet.act(at(1));
    assert_eq!(phase(&ended[0]), "Failed");
    let state = &ended[0].body()["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((&state["exitCode"], &state["reason"]), (&json!(3), &json!("Error")));
}

#[test]
fn a_pod_without_runtime_runs_for_ever() {
    let mut kubelet = kubelet();
    let pod = pod("p", &json!({}));
    kubelet.see(at(0), &pod);
    kubelet.see(at(0), &with_phase(pod, "Running"));
    assert_eq!(kubelet.wakeup(), None);
}

#[test]
fn the_groups_runtime_holds_for_members_that_have_none() {
    let group = |runs_for: &str| {
        json!({"apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
            "metadata": {"name": "g", "namespace": "d", "annotations": {RUNS_FOR: runs_for}}})
    };
    for label in ["scheduling.x-k8s.io/pod-group", "scheduling.k8s.io/pod-group"] {
        let mut kubelet = kubelet();
        let member = |name: &str, annotations: &Value| {
            let mut pod = pod(name, annotations);
            pod["metadata"]["labels"] = json!({label: "g"});
            pod
        };
        kubelet.observe(at(0), Kind::PodGroup, Sight::Present(&group("60s")));
        let (plain, own) = (member("plain", &json!({})), member("own", &json!({RUNS_FOR: "20s"})));
        kubelet.see(at(0), &plain);
        kubelet.see(at(0), &with_phase(plain, "Running"));
        kubelet.see(at(0), &own);
        kubelet.see(at(0), &with_phase(own, "Running"));
        assert_eq!(kubelet.wakeup(), Some(at(20)));
        assert_eq!(kubelet.act(at(20))[0].path, "/api/v1/namespaces/d/pods/own/status");
        // A change of the group's mind reaches members that run.
        kubelet.observe(at(20), Kind::PodGroup, Sight::Present(&group("30s")));
        let ended = kubelet.act(at(30));
        assert!(ended.iter().any(|write| write.path == "/api/v1/namespaces/d/pods/plain/status"
            && phase(write) == "Succeeded"));
    }
}

#[test]
fn a_native_group_is_not_a_coscheduling_group_of_the_same_name() {
    let mut kubelet = kubelet();
    let group = json!({"apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup",
        "metadata": {"name": "g", "namespace": "d", "annotations": {RUNS_FOR: "60s"}}});
    kubelet.observe(at(0), Kind::PodGroup, Sight::Present(&group));
    let mut labelled = pod("labelled", &json!({}));
    labelled["metadata"]["labels"] = json!({"scheduling.x-k8s.io/pod-group": "g"});
    let mut native = pod("native", &json!({}));
    native["spec"]["schedulingGroup"] = json!({"podGroupName": "g"});
    for pod in [labelled, native] {
        kubelet.see(at(0), &pod);
        kubelet.see(at(0), &with_phase(pod, "Running"));
    }
    assert_eq!(kubelet.act(at(60)).len(), 1);
}

#[test]
fn a_running_pod_that_was_here_before_ends_by_its_start_time() {
    let mut kubelet = kubelet();
    let mut pod = with_phase(pod("p", &json!({RUNS_FOR: "100s"})), "Running");
    pod["status"]["startTime"] = json!("1970-01-01T00:00:10Z");
    assert!(kubelet.see(at(50), &pod).is_empty());
    assert_eq!(kubelet.wakeup(), Some(at(110)));
}

#[test]
fn what_cannot_be_read_fails_the_pod_and_says_what_to_write() {
    let cases = [
        (
            json!({RUNS_FOR: "fast"}),
            "annotation muster.dev/runs-for: \"fast\" of Pod d/p: not a duration",
        ),
        (json!({RUNS_FOR: "-1s"}), "a runtime cannot be negative"),
        (json!({EXIT_CODE: "256"}), "write a number from 0 to 255"),
    ];
    for (annotations, part) in cases {
        let mut kubelet = kubelet();
        let writes = kubelet.see(at(0), &pod("p", &annotations));
        assert_eq!(phase(&writes[0]), "Failed");
        let body = writes[0].body();
        let message = body["status"]["message"].as_str().unwrap_or("");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn pods_beyond_the_nodes_devices_fail_and_ended_pods_make_room() {
    let mut kubelet = kubelet();
    for index in 0..4 {
        let writes = kubelet.see(at(0), &pod(&format!("p{index}"), &json!({RUNS_FOR: "10s"})));
        assert_eq!(phase(&writes[0]), "Running");
    }
    let rejected = kubelet.see(at(0), &pod("p4", &json!({})));
    assert_eq!(rejected[0].body()["status"]["reason"], "UnexpectedAdmissionError");
    let message = rejected[0].body()["status"]["message"].to_string();
    assert!(message.starts_with("\"Pod was rejected: Allocate failed due to"), "{message}");
    kubelet.act(at(10));
    assert_eq!(phase(&kubelet.see(at(10), &pod("p5", &json!({})))[0]), "Running");
}

#[test]
fn a_deleted_pod_is_removed_after_its_grace() {
    for (stopping, expected) in [
        (Stopping::WholeGrace, 30),
        (Stopping::Within(Span::seconds(2)), 2),
        (Stopping::Within(Span::seconds(60)), 30),
    ] {
        let mut kubelet = with(KubeletSettings { stopping, ..KubeletSettings::virtual_time() });
        let pod = with_phase(pod("p", &json!({})), "Running");
        kubelet.see(at(0), &pod);
        assert!(kubelet.see(at(0), &deleting(pod.clone(), 30)).is_empty());
        assert_eq!(kubelet.wakeup(), Some(at(expected)));
        let writes = kubelet.act(at(expected));
        assert_eq!(writes.len(), 1);
        assert_eq!(
            (writes[0].verb, &*writes[0].path),
            (Verb::Delete, "/api/v1/namespaces/d/pods/p")
        );
        assert_eq!(writes[0].body()["gracePeriodSeconds"], 0);
        assert_eq!(writes[0].body()["preconditions"]["uid"], "uid-p");
        kubelet.observe(at(expected), Kind::Pod, Sight::Gone(&pod));
        assert_eq!(kubelet.wakeup(), None);
    }
}

#[test]
fn a_shorter_grace_hastens_a_termination_and_none_needs_no_kubelet() {
    let mut kubelet = kubelet();
    let pod = with_phase(pod("p", &json!({})), "Running");
    kubelet.see(at(0), &pod);
    kubelet.see(at(0), &deleting(pod.clone(), 30));
    kubelet.see(at(1), &deleting(pod.clone(), 60));
    assert_eq!(kubelet.wakeup(), Some(at(30)), "a longer grace comes too late");
    kubelet.see(at(2), &deleting(pod.clone(), 5));
    assert_eq!(kubelet.wakeup(), Some(at(7)));
    kubelet.see(at(3), &deleting(pod, 0));
    assert_eq!(kubelet.act(at(7)).len(), 0, "the object only waits for finalizers");
}

#[test]
fn pods_that_do_not_run_are_removed_at_once() {
    for phase in ["Pending", "Succeeded", "Failed"] {
        let mut kubelet = kubelet();
        let pod = with_phase(pod("p", &json!({RUNS_FOR: "fast"})), phase);
        kubelet.see(at(0), &pod);
        let writes = kubelet.see(at(0), &deleting(with_phase(pod, "Failed"), 30));
        assert_eq!(writes.len(), 1, "{phase}");
        assert_eq!(writes[0].verb, Verb::Delete);
    }
}

#[test]
fn a_write_that_does_not_show_is_repeated_with_growing_waits() {
    let mut kubelet = kubelet();
    let pod = pod("p", &json!({}));
    let first = kubelet.see(at(0), &pod);
    assert!(kubelet.see(at(1), &pod).is_empty(), "the same sight again is no reason to write");
    assert_eq!(kubelet.wakeup(), Some(at(5)));
    assert_eq!(kubelet.act(at(5)), first);
    assert_eq!(kubelet.wakeup(), Some(at(15)));
    assert_eq!(kubelet.act(at(15)), first);
    kubelet.see(at(16), &with_phase(pod, "Running"));
    assert_eq!(kubelet.wakeup(), None);
}

#[test]
fn another_pod_of_the_same_name_starts_anew() {
    let mut kubelet = kubelet();
    kubelet.see(at(0), &pod("p", &json!({RUNS_FOR: "10s"})));
    let mut again = pod("p", &json!({RUNS_FOR: "10s"}));
    again["metadata"]["uid"] = json!("uid-2");
    let writes = kubelet.see(at(4), &again);
    assert_eq!(writes[0].body()["metadata"]["uid"], "uid-2");
    // A late word of the first one's end does not touch the second.
    kubelet.observe(at(5), Kind::Pod, Sight::Gone(&pod("p", &json!({}))));
    kubelet.see(at(5), &with_phase(again, "Running"));
    assert_eq!(kubelet.wakeup(), Some(at(14)));
}

#[test]
fn pods_wait_for_a_node_that_is_not_there_yet() {
    let mut kubelet = Kubelet::new(KubeletSettings::virtual_time());
    assert!(kubelet.see(at(0), &pod("p", &json!({}))).is_empty());
    kubelet.observe(at(3), Kind::Node, Sight::Present(&node("n1")));
    assert_eq!(phase(&kubelet.act(at(3))[0]), "Running");
}

#[test]
fn only_registered_nodes_are_served_beside_real_ones() {
    let settings =
        KubeletSettings { serves: Serves::RegisteredNodes, ..KubeletSettings::virtual_time() };
    let mut kubelet = Kubelet::new(settings);
    kubelet.observe(at(0), Kind::Node, Sight::Present(&node("n1")));
    assert!(kubelet.see(at(0), &pod("p", &json!({}))).is_empty());
    let mut other = node("n2");
    other["status"]["conditions"] = json!(null);
    kubelet.register(at(0), vec![other]);
    let writes = kubelet.act(at(0));
    assert_eq!(
        (writes.len(), writes[0].verb, &*writes[0].path),
        (1, Verb::Create, "/api/v1/nodes")
    );
    assert_eq!(Object(&writes[0].body()).condition("Ready"), "True");
    kubelet.observe(at(0), Kind::Node, Sight::Present(&node("n2")));
    let mut here = pod("q", &json!({}));
    here["spec"]["nodeName"] = json!("n2");
    assert_eq!(phase(&kubelet.see(at(0), &here)[0]), "Running");
}

#[test]
fn registration_is_repeated_until_the_node_shows() {
    let mut kubelet = Kubelet::new(KubeletSettings::virtual_time());
    kubelet.register(at(0), vec![node("n1")]);
    let first = kubelet.act(at(0));
    assert_eq!(kubelet.act(at(5)).len(), 1);
    assert_eq!(first[0].body()["metadata"]["name"], "n1");
    kubelet.observe(at(6), Kind::Node, Sight::Present(&node("n1")));
    assert!(kubelet.act(at(15)).is_empty());
    assert_eq!(kubelet.wakeup(), None);
}

#[test]
fn a_node_object_without_conditions_becomes_ready() {
    let mut kubelet = Kubelet::new(KubeletSettings::virtual_time());
    let mut bare = node("n1");
    bare["status"]["conditions"] = json!(null);
    kubelet.observe(at(0), Kind::Node, Sight::Present(&bare));
    let writes = kubelet.act(at(0));
    assert_eq!(writes[0].path, "/api/v1/nodes/n1/status");
    assert_eq!(Object(&writes[0].body()).condition("Ready"), "True");
}

#[test]
fn leases_are_made_once_and_renewed_at_their_interval() {
    let mut kubelet = with(KubeletSettings {
        lease_interval: Some(Span::seconds(10)),
        ..KubeletSettings::virtual_time()
    });
    let next = kubelet.wakeup().expect("a renewal is planned");
    assert!(next > at(0) && next <= at(10));
    let renewals: Vec<_> = (0..3).map(|round| next + Span::seconds(10 * round)).collect();
    for time in renewals {
        assert_eq!(kubelet.wakeup(), Some(time));
        let writes = kubelet.act(time);
        assert_eq!((writes.len(), writes[0].verb), (1, Verb::MergePatch));
        assert!(writes[0].path.ends_with("/namespaces/kube-node-lease/leases/n1"));
    }
}

#[test]
fn a_thousand_idle_nodes_renew_spread_over_the_interval() {
    let mut kubelet = Kubelet::new(KubeletSettings {
        lease_interval: Some(Span::seconds(10)),
        ..KubeletSettings::virtual_time()
    });
    for index in 0..1000 {
        kubelet.observe(at(0), Kind::Node, Sight::Present(&node(&format!("n{index:04}"))));
    }
    assert_eq!(kubelet.act(at(0)).len(), 1000);
    let first_half = kubelet.act(at(5)).len();
    let second_half = kubelet.act(at(10)).len();
    assert_eq!(first_half + second_half, 1000);
    assert!((300..700).contains(&first_half), "{first_half}");
}

#[test]
fn a_silent_node_is_marked_and_reports_when_it_is_back() {
    let mut kubelet = kubelet();
    let runs = pod("p", &json!({RUNS_FOR: "60s"}));
    kubelet.see(at(0), &runs);
    kubelet.see(at(0), &with_phase(runs, "Running"));
    kubelet.inject(at(10), "n1", Fault::Silent);
    assert!(kubelet.see(at(11), &pod("late", &json!({}))).is_empty(), "it hears nothing");
    let marked = kubelet.act(at(60));
    assert_eq!(marked.len(), 2, "{marked:?}");
    assert_eq!(Object(&marked[0].body()).condition("Ready"), "Unknown");
    let taints = &marked[1].body()["spec"]["taints"];
    assert_eq!(taints[1]["key"], "node.kubernetes.io/unreachable");
    assert_eq!(taints[1]["effect"], "NoExecute");
    let mut seen = node("n1");
    seen["status"]["conditions"] = marked[0].body()["status"]["conditions"].clone();
    seen["spec"]["taints"] = taints.clone();
    kubelet.observe(at(60), Kind::Node, Sight::Present(&seen));

    kubelet.heal(at(100), "n1");
    let back = kubelet.act(at(100));
    let told: Vec<_> = back.iter().map(|write| (&*write.path, phase(write))).collect();
    assert!(
        told.contains(&("/api/v1/namespaces/d/pods/p/status", "Succeeded".to_owned())),
        "{told:?}"
    );
    let node_status = back.iter().find(|write| write.path == "/api/v1/nodes/n1/status");
    assert_eq!(Object(&node_status.expect("told").body()).condition("Ready"), "True");
    let spec = back.iter().find(|write| write.path == "/api/v1/nodes/n1").expect("taints go");
    assert_eq!(spec.body()["spec"]["taints"], json!([]));
}

#[test]
fn devices_vanish_and_return_with_their_plugin() {
    let mut kubelet = kubelet();
    kubelet.inject(at(0), "n1", Fault::DevicePluginRestart(Span::seconds(10)));
    let gone = kubelet.act(at(0));
    assert_eq!(gone[0].body()["status"]["allocatable"], json!({"nvidia.com/gpu": "0"}));
    let mut seen = node("n1");
    seen["status"]["allocatable"]["nvidia.com/gpu"] = json!("0");
    kubelet.observe(at(0), Kind::Node, Sight::Present(&seen));
    let rejected = kubelet.see(at(1), &pod("p", &json!({})));
    assert_eq!(rejected[0].body()["status"]["reason"], "UnexpectedAdmissionError");
    let back: Vec<_> = (2..=10).flat_map(|second| kubelet.act(at(second))).collect();
    let allocatable = back.iter().map(|write| write.body()["status"]["allocatable"].clone());
    let written: Vec<_> = allocatable.filter(|value| !value.is_null()).collect();
    assert_eq!(written, [json!({"nvidia.com/gpu": "4"})]);
    kubelet.observe(at(10), Kind::Node, Sight::Present(&node("n1")));
    assert_eq!(phase(&kubelet.see(at(10), &pod("q", &json!({})))[0]), "Running");
}

#[test]
fn the_annotation_on_a_node_asks_for_faults_and_heals_them() {
    let mut kubelet = kubelet();
    let with_fault = |fault: &str| {
        let mut node = node("n1");
        node["metadata"]["annotations"] = json!({FAULT: fault});
        node
    };
    kubelet.observe(at(0), Kind::Node, Sight::Present(&with_fault("reject-next-pod")));
    assert_eq!(phase(&kubelet.see(at(0), &pod("p", &json!({})))[0]), "Failed");
    kubelet.observe(at(1), Kind::Node, Sight::Present(&with_fault("reject-next-pod")));
    assert_eq!(phase(&kubelet.see(at(1), &pod("q", &json!({})))[0]), "Running", "it acts once");
    kubelet.observe(at(2), Kind::Node, Sight::Present(&with_fault("unhealthy-devices=1")));
    let writes = kubelet.act(at(2));
    assert_eq!(writes[0].body()["status"]["allocatable"], json!({"nvidia.com/gpu": "3"}));
    kubelet.observe(at(3), Kind::Node, Sight::Present(&with_fault("brekdown")));
    let complaints = kubelet.complaints();
    assert_eq!(complaints.len(), 1);
    assert!(
        complaints[0].starts_with("node n1: annotation muster.dev/fault: \"brekdown\" is no fault")
    );
}

#[test]
fn faults_are_read_as_written() {
    let cases = [
        ("silent", Some(Fault::Silent)),
        ("device-plugin-restart", Some(Fault::DevicePluginRestart(Span::seconds(10)))),
        ("device-plugin-restart=3s", Some(Fault::DevicePluginRestart(Span::seconds(3)))),
        ("device-plugin-down", Some(Fault::DevicePluginDown)),
        ("unhealthy-devices=2", Some(Fault::UnhealthyDevices(2))),
        ("reject-pods", Some(Fault::RejectPods)),
        ("unhealthy-devices", None),
        ("unhealthy-devices=0", None),
        ("silent=1", None),
    ];
    for (text, fault) in cases {
        assert_eq!(Fault::parse(text).ok(), fault, "{text}");
    }
}

#[test]
fn a_resized_pod_holds_what_it_asks_for_now() {
    let mut kubelet = kubelet();
    let mut first = pod("p", &json!({}));
    first["metadata"]["generation"] = json!(1);
    kubelet.see(at(0), &first);
    first["metadata"]["generation"] = json!(2);
    first["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("8");
    kubelet.see(at(1), &with_phase(first.clone(), "Running"));
    let rejected = kubelet.see(at(1), &pod("q", &json!({})));
    assert_eq!(rejected[0].body()["status"]["reason"], "OutOfcpu");
    first["metadata"]["generation"] = json!(3);
    first["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("7");
    kubelet.see(at(2), &with_phase(first, "Running"));
    assert_eq!(phase(&kubelet.see(at(2), &pod("r", &json!({})))[0]), "Running");
}

#[test]
fn ten_thousand_pods_on_a_thousand_nodes_cost_one_write_each_per_change() {
    let mut kubelet = Kubelet::new(KubeletSettings::virtual_time());
    for index in 0..1000 {
        let mut node = node(&format!("n{index}"));
        node["status"]["allocatable"]["nvidia.com/gpu"] = json!("10");
        node["status"]["allocatable"]["cpu"] = json!("10");
        kubelet.observe(at(0), Kind::Node, Sight::Present(&node));
    }
    let pods: Vec<_> = (0..10_000)
        .map(|index| {
            let mut pod = pod(&format!("p{index}"), &json!({RUNS_FOR: "60s"}));
            pod["spec"]["nodeName"] = json!(format!("n{}", index % 1000));
            pod
        })
        .collect();
    for pod in &pods {
        kubelet.observe(at(1), Kind::Pod, Sight::Present(pod));
    }
    assert_eq!(kubelet.act(at(1)).len(), 10_000);
    for pod in &pods {
        kubelet.observe(at(1), Kind::Pod, Sight::Present(&with_phase(pod.clone(), "Running")));
    }
    assert!(kubelet.act(at(60)).is_empty());
    let ended = kubelet.act(at(61));
    assert_eq!(ended.iter().filter(|write| phase(write) == "Succeeded").count(), 10_000);
    for pod in &pods {
        kubelet.observe(at(61), Kind::Pod, Sight::Gone(pod));
    }
    assert_eq!(kubelet.wakeup(), None);
}
