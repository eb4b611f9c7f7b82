//! What pods ask for, hold, and count as, example by example; each follows kube-scheduler's formula.
//! Knows objects as JSON and nothing of nodes.

use serde_json::Value;
use serde_json::json;

use super::{Counted, asked, counted, held};
use crate::kubernetes::translate::objects::PodObject;
use crate::kubernetes::translate::read::read;
use crate::kubernetes::translate::shelves::Shelves;

fn shown(amounts: &[(crate::base::names::Name, i64)]) -> String {
    let parts: Vec<String> =
        amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
    parts.join(" ")
}

fn asks(spec: Value) -> String {
    let read = read::<PodObject>(&json!({"spec": spec}));
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    let mut problems = Vec::new();
    let amounts = asked(&read.object, &mut Shelves::new(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    shown(&amounts)
}

fn holds(pod: Value) -> String {
    let read = read::<PodObject>(&pod);
    assert!(read.problems.is_empty(), "{:?}", read.problems);
    shown(&held(&read.object, &mut Shelves::new()))
}

fn c(requests: Value) -> Value {
    json!({"name": "c", "resources": {"requests": requests}})
}

fn sidecar(requests: Value) -> Value {
    json!({"name": "s", "restartPolicy": "Always", "resources": {"requests": requests}})
}

#[test]
fn containers_add_up_exactly_and_are_rounded_once() {
    let got = asks(json!({"containers": [
        c(json!({"cpu": "0.5m", "memory": "0.5", "nvidia.com/gpu": "1"})),
        c(json!({"cpu": "0.5m", "memory": "0.5", "nvidia.com/gpu": 2})),
    ]}));
    assert_eq!(got, "cpu=1 memory=1 nvidia.com/gpu=3");
    assert_eq!(
        asks(json!({"containers": [c(json!({"cpu": "1", "ephemeral-storage": "0"}))]})),
        "cpu=1000"
    );
    assert_eq!(asks(json!({"containers": []})), "");
}

#[test]
fn a_limit_without_a_request_is_a_request() {
    let container = json!({"name": "c", "resources": {"limits": {"nvidia.com/gpu": "8", "cpu": "4"}, "requests": {"cpu": "2"}}});
    assert_eq!(asks(json!({"containers": [container]})), "cpu=2000 nvidia.com/gpu=8");
}

#[test]
fn the_hungriest_init_container_counts_where_it_is_more() {
    let got = asks(json!({
        "initContainers": [c(json!({"cpu": "3", "memory": "1Ki"})), c(json!({"cpu": "2", "memory": "3Ki"}))],
        "containers": [c(json!({"cpu": "1", "memory": "1Ki"})), c(json!({"cpu": "1", "memory": "1Ki"}))],
    }));
    assert_eq!(got, "cpu=3000 memory=3072");
}

#[test]
fn sidecars_run_beside_the_containers_and_beside_later_init_containers() {
    // Before the sidecar: 4. After it: 3 + 2 = 5. Running: 1 + 2 = 3.
    let after = json!({
        "initContainers": [c(json!({"cpu": "4"})), sidecar(json!({"cpu": "2"})), c(json!({"cpu": "3"}))],
        "containers": [c(json!({"cpu": "1"}))],
    });
    assert_eq!(asks(after), "cpu=5000");
    // The order matters: an init container before the sidecar does not see it.
    let before = json!({
        "initContainers": [c(json!({"cpu": "3"})), sidecar(json!({"cpu": "2"}))],
        "containers": [c(json!({"cpu": "2"}))],
    });
    assert_eq!(asks(before), "cpu=4000");
    // Two sidecars start one after the other and both stay.
    let two = json!({
        "initContainers": [sidecar(json!({"cpu": "1"})), sidecar(json!({"cpu": "2"})), c(json!({"cpu": "1"}))],
        "containers": [],
    });
    assert_eq!(asks(two), "cpu=4000");
}

#[test]
fn pod_level_amounts_replace_those_of_containers() {
    let spec = |resources: Value| {
        json!({
            "containers": [c(json!({"cpu": "2", "memory": "1Ki", "nvidia.com/gpu": "1"}))],
            "resources": resources,
        })
    };
    assert_eq!(
        asks(spec(json!({"requests": {"cpu": "5"}}))),
        "cpu=5000 memory=1024 nvidia.com/gpu=1"
    );
    assert_eq!(
        asks(spec(json!({"requests": {"cpu": "1"}}))),
        "cpu=1000 memory=1024 nvidia.com/gpu=1"
    );
    // Only cpu, memory, and huge pages exist at pod level.
    assert_eq!(
        asks(spec(json!({"requests": {"nvidia.com/gpu": "7", "hugepages-2Mi": "2Mi"}}))),
        "cpu=2000 hugepages-2Mi=2097152 memory=1024 nvidia.com/gpu=1"
    );
    // A limit stands in for a request only where no container asks.
    assert_eq!(
        asks(spec(json!({"limits": {"cpu": "9"}}))),
        "cpu=2000 memory=1024 nvidia.com/gpu=1"
    );
    assert_eq!(
        asks(json!({"containers": [c(json!({}))], "resources": {"limits": {"cpu": "9"}}})),
        "cpu=9000"
    );
    assert_eq!(
        asks(json!({
            "containers": [c(json!({"hugepages-2Mi": "2Mi"}))],
            "resources": {"limits": {"hugepages-2Mi": "4Mi"}},
        })),
        "hugepages-2Mi=4194304"
    );
}

#[test]
fn what_a_container_states_is_stated_for_a_pod_that_asks_for_anything_as_a_whole() {
    let spec = json!({"containers": [c(json!({"cpu": "1"})), c(json!({}))], "resources": {"limits": {"cpu": "0"}}});
    let pod = read::<PodObject>(&json!({"spec": spec})).object;
    let (_, counted) = counted(&pod, &mut Shelves::new());
    assert_eq!((counted.cpu, counted.memory), (1000, 2 * Counted::UNSTATED.memory));
}

#[test]
fn overhead_comes_last() {
    let got = asks(json!({
        "containers": [c(json!({"cpu": "1"}))],
        "resources": {"requests": {"cpu": "3"}},
        "overhead": {"cpu": "250m", "memory": "1Ki"},
    }));
    assert_eq!(got, "cpu=3250 memory=1024");
}

#[test]
fn a_wrong_quantity_is_named_and_costs_only_itself() {
    let read = read::<PodObject>(
        &json!({"spec": {"containers": [c(json!({"cpu": "four", "memory": "-1", "nvidia.com/gpu": "1"}))]}}),
    );
    let mut problems = Vec::new();
    let amounts = asked(&read.object, &mut Shelves::new(), &mut problems);
    assert_eq!(shown(&amounts), "nvidia.com/gpu=1");
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0]
            .starts_with("spec.containers[0].resources.requests.cpu: \"four\" is no quantity"),
        "{problems:?}"
    );
    assert!(problems[1].contains("requests.memory: \"-1\" is negative"), "{problems:?}");
}

/// A pod whose one container asks for `spec` cpu, with `status` as its container status.
fn resized(spec: &str, status: Value, conditions: Value) -> Value {
    json!({
        "spec": {"nodeName": "n", "containers": [c(json!({"cpu": spec}))]},
        "status": {"containerStatuses": [status], "conditions": conditions},
    })
}

#[test]
fn a_pod_on_a_node_holds_the_largest_of_asked_allocated_and_actuated() {
    let status = |allocated: &str, actuated: &str| json!({"name": "c", "allocatedResources": {"cpu": allocated}, "resources": {"requests": {"cpu": actuated}}});
    assert_eq!(holds(resized("3", status("2", "1"), json!([]))), "cpu=3000");
    assert_eq!(holds(resized("1", status("3", "2"), json!([]))), "cpu=3000");
    assert_eq!(holds(resized("1", status("2", "3"), json!([]))), "cpu=3000");
    let infeasible =
        json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
    assert_eq!(holds(resized("9", status("2", "1"), infeasible.clone())), "cpu=2000");
    let deferred = json!([{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]);
    assert_eq!(holds(resized("9", status("2", "1"), deferred)), "cpu=9000");
    // A container of which no status says anything holds nothing then, as upstream counts.
    assert_eq!(holds(resized("4", json!({"name": "other"}), infeasible)), "");
}

#[test]
fn each_view_is_summed_before_the_largest_is_taken() {
    let pod = json!({
        "spec": {"nodeName": "n", "containers": [
            {"name": "a", "resources": {"requests": {"cpu": "1"}}},
            {"name": "b", "resources": {"requests": {"cpu": "4"}}},
        ]},
        "status": {"containerStatuses": [
            {"name": "a", "allocatedResources": {"cpu": "4"}},
            {"name": "b", "allocatedResources": {"cpu": "1"}},
        ]},
    });
    // 5 by either view; element-wise per container it would be 8.
    assert_eq!(holds(pod), "cpu=5000");
}

#[test]
fn statuses_of_init_containers_count_too() {
    let pod = json!({
        "spec": {"nodeName": "n", "initContainers": [sidecar(json!({"cpu": "1"}))], "containers": [c(json!({"cpu": "1"}))]},
        "status": {"initContainerStatuses": [{"name": "s", "allocatedResources": {"cpu": "2"}}]},
    });
    assert_eq!(holds(pod), "cpu=3000");
}

#[test]
fn a_status_that_names_no_requests_leaves_what_is_set_aside_or_asked() {
    let silent =
        |allocated: Value| json!({"name": "c", "allocatedResources": allocated, "resources": {}});
    assert_eq!(holds(resized("1", silent(json!({"cpu": "3"})), json!([]))), "cpu=3000");
    let pod = json!({
        "spec": {"nodeName": "n", "containers": [
            {"name": "a", "resources": {}},
            {"name": "b", "resources": {"requests": {"cpu": "4"}}},
        ]},
        "status": {"containerStatuses": [
            {"name": "a", "resources": {"requests": {"cpu": "4"}}},
            {"name": "b", "resources": {}},
        ]},
    });
    assert_eq!(holds(pod), "cpu=8000");
}

#[test]
fn a_pod_level_resize_counts_at_pod_level() {
    let pod = |spec: &str, conditions: Value| {
        json!({
            "spec": {"nodeName": "n", "containers": [c(json!({"cpu": "1", "nvidia.com/gpu": "1"}))],
                     "resources": {"requests": {"cpu": spec}}, "overhead": {"cpu": "100m"}},
            "status": {"allocatedResources": {"cpu": "3"}, "resources": {"requests": {"cpu": "2"}}, "conditions": conditions},
        })
    };
    assert_eq!(holds(pod("2", json!([]))), "cpu=3100 nvidia.com/gpu=1");
    assert_eq!(holds(pod("6", json!([]))), "cpu=6100 nvidia.com/gpu=1");
    let infeasible =
        json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
    // The container's GPU is in neither pod-level list, and no status of the container says that it has one.
    assert_eq!(holds(pod("6", infeasible)), "cpu=3100");
}
