//! Resource amounts: kube-scheduler's pod request formula (component-helpers `resource.PodRequests`, 1.37).
//! Sums are exact; only the totals are rounded up, cpu to millicores and all else to whole units, as upstream does.
//! Knows containers and statuses, not what a node has left.

use std::collections::BTreeMap;
use std::fmt;

use super::objects::Container;
use super::objects::ContainerStatus;
use super::objects::PodObject;
use super::objects::ResourceList;
use super::objects::Resources;
use super::shelves::Shelves;
use crate::base::quantity::Quantity;
use crate::workload::ask::Amounts;
use crate::workload::scored::Counted;

/// Exact amounts by resource name.
type Totals = BTreeMap<String, Quantity>;

/// What a container counts as that asks for none of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unstated {
    cpu: Missing,
    memory: Missing,
}

/// What stands for an amount that is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// Nothing is asked for, as filters see it.
    IsNothing,
    /// A little, as scores see it: see [`Counted::UNSTATED`].
    IsALittle,
}

impl Unstated {
    const NOTHING: Self = Self { cpu: Missing::IsNothing, memory: Missing::IsNothing };
    const A_LITTLE: Self = Self { cpu: Missing::IsALittle, memory: Missing::IsALittle };

    /// As pods on nodes count that ask for something as a whole: a little only of what nobody in them asks for.
    fn beside(levels: &Totals, asked: &Totals) -> Self {
        let missing = |name| match levels.is_empty() || !asked.contains_key(name) {
            true => Missing::IsALittle,
            false => Missing::IsNothing,
        };
        Self { cpu: missing("cpu"), memory: missing("memory") }
    }

    fn fill(self, totals: &mut Totals) {
        let Counted { cpu, memory } = Counted::UNSTATED;
        if self.cpu == Missing::IsALittle {
            totals.entry("cpu".to_owned()).or_insert(Quantity::milli(cpu));
        }
        if self.memory == Missing::IsALittle {
            totals.entry("memory".to_owned()).or_insert(Quantity::whole(memory));
        }
    }
}

/// Which of a container's amounts are added up. They differ while a pod is resized in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    /// What the spec asks for.
    Spec,
    /// What the kubelet has set aside.
    Allocated,
    /// What is in force.
    Actuated,
}

/// How a container's amounts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    view: View,
    unstated: Unstated,
}

/// What is written in the spec.
const SPEC: Look = Look { view: View::Spec, unstated: Unstated::NOTHING };

/// What a pod that is to be placed asks for: the spec alone.
/// Problems with single quantities go to `problems` (field, value, remedy) and count as nothing asked.
pub(super) fn asked(pod: &PodObject, shelves: &mut Shelves, problems: &mut Vec<String>) -> Amounts {
    rounded(asked_totals(pod, Unstated::NOTHING, problems), shelves)
}

/// What a pod counts as in scores: while it is to be placed, when upstream does not look at what it asks for as a
/// whole; and on its node as long as no kubelet has reported.
pub(super) fn counted(pod: &PodObject, shelves: &mut Shelves) -> (Amounts, Counted) {
    let ignored = &mut Vec::new();
    let little = Look { view: View::Spec, unstated: Unstated::A_LITTLE };
    let mut asking = containers_total(pod, little, ignored);
    add(&mut asking, &parsed(&"spec.overhead", &pod.spec.overhead, ignored));
    let stated = asked_totals(pod, Unstated::NOTHING, ignored);
    let levels = pod_level_requests(pod, &containers_total(pod, SPEC, ignored), ignored);
    let unstated = Unstated::beside(&levels, &stated);
    (rounded(asking, shelves), in_units(&asked_totals(pod, unstated, ignored)))
}

/// What a pod on a node counts as in scores once a kubelet has reported: see [`held`].
pub(super) fn held_counted(pod: &PodObject) -> Counted {
    let ignored = &mut Vec::new();
    let levels = pod_level_requests(pod, &containers_total(pod, SPEC, ignored), ignored);
    let unstated = Unstated::beside(&levels, &held_totals(pod, Unstated::NOTHING));
    in_units(&held_totals(pod, unstated))
}

fn in_units(totals: &Totals) -> Counted {
    let amount = |name| totals.get(name).map_or(0, |quantity| units(name, quantity));
    Counted { cpu: amount("cpu"), memory: amount("memory") }
}

fn asked_totals(pod: &PodObject, unstated: Unstated, problems: &mut Vec<String>) -> Totals {
    let stated = containers_total(pod, SPEC, problems);
    let levels = pod_level_requests(pod, &stated, problems);
    let mut totals = match unstated == Unstated::NOTHING {
        true => stated,
        false => containers_total(pod, Look { view: View::Spec, unstated }, &mut Vec::new()),
    };
    totals.extend(levels);
    add(&mut totals, &parsed(&"spec.overhead", &pod.spec.overhead, problems));
    totals
}

/// Whether a kubelet has said anything of a pod's amounts; until then it holds what it asks for.
pub(super) fn is_reported(pod: &PodObject) -> bool {
    let status = &pod.status;
    let containers = status.container_statuses.iter().chain(&status.init_container_statuses);
    let mut reports =
        containers.map(|status| status.resources.is_some() || status.allocated_resources.is_some());
    status.resources.is_some()
        || status.allocated_resources.is_some()
        || status.conditions.iter().any(|condition| condition.kind == "PodResizePending")
        || reports.any(|reports| reports)
}

/// What a pod on a node holds: during an in-place resize the largest of what is asked, set aside, and in force,
/// except that an ask which the node calls infeasible does not count.
pub(super) fn held(pod: &PodObject, shelves: &mut Shelves) -> Amounts {
    rounded(held_totals(pod, Unstated::NOTHING), shelves)
}

fn held_totals(pod: &PodObject, unstated: Unstated) -> Totals {
    let look = |view| Look { view, unstated };
    // Problems were reported with what is asked; the kubelet's own figures always parse.
    let mut ignored = Vec::new();
    let infeasible =
        pod.status.conditions.iter().any(|condition| {
            condition.kind == "PodResizePending" && condition.reason == "Infeasible"
        });
    let status_resources = pod.status.resources.as_ref();
    let mut totals = containers_total(pod, look(View::Allocated), &mut ignored);
    let mut actuated = containers_total(pod, look(View::Actuated), &mut ignored);
    // A status without requests says nothing of them, here as in containers.
    let actuated_pod = status_resources.filter(|resources| !resources.requests.is_empty());
    if let Some((allocated_pod, actuated_pod)) =
        pod.status.allocated_resources.as_ref().zip(actuated_pod)
    {
        // What the pod-level lists do not name (devices, in some releases) is still held by the containers.
        totals.extend(parsed(&"status.allocatedResources", allocated_pod, &mut ignored));
        actuated.extend(parsed(&"status.resources.requests", &actuated_pod.requests, &mut ignored));
    }
    raise(&mut totals, &actuated);
    let spec = containers_total(pod, look(View::Spec), &mut ignored);
    let stated = containers_total(pod, SPEC, &mut ignored);
    let mut levels = pod_level_requests(pod, &stated, &mut ignored);
    if !infeasible {
        raise(&mut totals, &spec);
    }
    if let Some(resources) = status_resources.filter(|_| !levels.is_empty()) {
        if infeasible {
            levels = Totals::new();
        }
        let allocated = pod.status.allocated_resources.as_ref();
        for list in std::iter::once(&resources.requests).chain(allocated) {
            let mut list = parsed(&"status", list, &mut ignored);
            list.retain(|name, _| has_pod_level(name));
            raise(&mut levels, &list);
        }
    }
    totals.extend(levels);
    add(&mut totals, &parsed(&"spec.overhead", &pod.spec.overhead, &mut ignored));
    totals
}

/// Amounts of a list (a node's allocatable, a group's floor), rounded up; zeros are kept.
/// Negative amounts count as zero, and what does not parse is left out; both are named in `problems`.
pub(super) fn listed(
    field: &str,
    list: &ResourceList,
    shelves: &mut Shelves,
    problems: &mut Vec<String>,
) -> Amounts {
    let totals = parsed(&field, list, problems);
    totals
        .into_iter()
        .map(|(name, quantity)| (shelves.name(&name), units(&name, &quantity)))
        .collect()
}

/// Steps 1 and 2 of the formula: all containers together or the hungriest moment of initialisation.
fn containers_total(pod: &PodObject, look: Look, problems: &mut Vec<String>) -> Totals {
    let mut running = Totals::new();
    for (index, container) in pod.spec.containers.iter().enumerate() {
        let path = Path { list: "containers", index };
        add(
            &mut running,
            &container_amounts(path, container, &pod.status.container_statuses, look, problems),
        );
    }
    let mut sidecars = Totals::new();
    let mut initialising = Totals::new();
    for (index, container) in pod.spec.init_containers.iter().enumerate() {
        let path = Path { list: "initContainers", index };
        let mut need =
            container_amounts(path, container, &pod.status.init_container_statuses, look, problems);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut running, &need);
            add(&mut sidecars, &need);
            need.clone_from(&sidecars);
        } else {
            add(&mut need, &sidecars);
        }
        raise(&mut initialising, &need);
    }
    raise(&mut running, &initialising);
    running
}

/// Where a container stands in the spec, for messages.
#[derive(Clone, Copy)]
struct Path {
    list: &'static str,
    index: usize,
}

fn container_amounts(
    path: Path,
    container: &Container,
    statuses: &[ContainerStatus],
    look: Look,
    problems: &mut Vec<String>,
) -> Totals {
    let status = statuses.iter().find(|status| status.name == container.name);
    let allocated = status.and_then(|status| status.allocated_resources.as_ref());
    // A status without requests says nothing of them: the API server drops lists that are empty.
    let actuated = status.and_then(|status| status.resources.as_ref());
    let actuated = actuated.map(|resources| &resources.requests).filter(|list| !list.is_empty());
    let reported = match look.view {
        View::Spec => None,
        View::Allocated => allocated,
        View::Actuated => actuated.or(allocated),
    };
    let mut totals = match reported {
        Some(list) => parsed(&"status", list, problems),
        None => requests(
            &format_args!("spec.{}[{}].resources", path.list, path.index),
            &container.resources,
            problems,
        ),
    };
    look.unstated.fill(&mut totals);
    totals
}

/// Requests, where a limit without a request is a request (the API server fills this in; files may lack it).
fn requests(field: &dyn fmt::Display, resources: &Resources, problems: &mut Vec<String>) -> Totals {
    let mut totals = parsed(&format_args!("{field}.limits"), &resources.limits, problems);
    totals.extend(parsed(&format_args!("{field}.requests"), &resources.requests, problems));
    totals
}

/// Step 3: what the pod as a whole asks for, in the resources that it names, as the API server fills it in: of what can
/// be overcommitted, what containers ask for together; of all else, the limit.
fn pod_level_requests(pod: &PodObject, containers: &Totals, problems: &mut Vec<String>) -> Totals {
    let Some(resources) = &pod.spec.resources else { return Totals::new() };
    if resources.limits.is_empty() && resources.requests.is_empty() {
        return Totals::new();
    }
    let mut levels = parsed(&"spec.resources.limits", &resources.limits, problems);
    let together = containers.iter().filter(|(name, _)| *name == "cpu" || *name == "memory");
    levels.extend(together.map(|(name, quantity)| (name.clone(), *quantity)));
    levels.extend(parsed(&"spec.resources.requests", &resources.requests, problems));
    levels.retain(|name, _| has_pod_level(name));
    levels
}

/// Only these can be asked for by a pod as a whole.
fn has_pod_level(name: &str) -> bool {
    name == "cpu" || name == "memory" || name.starts_with("hugepages-")
}

/// Amounts of a list by name. `field` is written only where something is wrong: most lists are right.
fn parsed(field: &dyn fmt::Display, list: &ResourceList, problems: &mut Vec<String>) -> Totals {
    let mut totals = Totals::new();
    for (name, raw) in list {
        match Quantity::parse(&raw.0) {
            Ok(quantity) if quantity.is_negative() => problems.push(format!(
                "{field}.{name}: \"{}\" is negative; write an amount of zero or more",
                raw.0
            )),
            Ok(quantity) => {
                totals.insert(name.clone(), quantity);
            }
            Err(_) => problems.push(format!(
                "{field}.{name}: \"{}\" is no quantity; write a number with an optional unit such as 500m, 2, or 64Gi",
                raw.0
            )),
        }
    }
    totals
}

fn add(totals: &mut Totals, more: &Totals) {
    for (name, quantity) in more {
        match totals.get_mut(name) {
            Some(total) => *total = *total + *quantity,
            None => {
                totals.insert(name.clone(), *quantity);
            }
        }
    }
}

fn raise(totals: &mut Totals, floor: &Totals) {
    for (name, quantity) in floor {
        match totals.get_mut(name) {
            Some(total) => *total = (*total).max(*quantity),
            None => {
                totals.insert(name.clone(), *quantity);
            }
        }
    }
}

fn rounded(totals: Totals, shelves: &mut Shelves) -> Amounts {
    let amounts =
        totals.into_iter().map(|(name, quantity)| (shelves.name(&name), units(&name, &quantity)));
    amounts.filter(|(_, amount)| *amount != 0).collect()
}

fn units(name: &str, quantity: &Quantity) -> i64 {
    if name == "cpu" { quantity.milli_ceil() } else { quantity.ceil() }
}

#[cfg(test)]
mod tests {
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
        let deferred =
            json!([{"type": "PodResizePending", "status": "True", "reason": "Deferred"}]);
        assert_eq!(holds(resized("9", status("2", "1"), deferred)), "cpu=9000");
        // Without a status of its own, a container counts by its spec, infeasible or not.
        assert_eq!(holds(resized("4", json!({"name": "other"}), infeasible)), "cpu=4000");
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
        let silent = |allocated: Value| json!({"name": "c", "allocatedResources": allocated, "resources": {}});
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
        // The container's GPU is in neither pod-level list, yet nobody gave it back.
        assert_eq!(holds(pod("6", infeasible)), "cpu=3100 nvidia.com/gpu=1");
    }
}
