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

/// What a container holds of which no status says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unreported {
    /// What it asks for.
    AsAsked,
    /// Nothing: its node has called what the pod asks for infeasible.
    Nothing,
}

/// How a container's amounts are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    view: View,
    unstated: Unstated,
    unreported: Unreported,
}

impl Look {
    /// What the spec asks for.
    const fn spec(unstated: Unstated) -> Self {
        Self { view: View::Spec, unstated, unreported: Unreported::AsAsked }
    }
}

/// What is written in the spec.
const SPEC: Look = Look::spec(Unstated::NOTHING);

/// What a pod that is to be placed asks for: the spec alone.
/// Problems with single quantities go to `problems` (field, value, remedy) and count as nothing asked.
pub(super) fn asked(pod: &PodObject, shelves: &mut Shelves, problems: &mut Vec<String>) -> Amounts {
    rounded(asked_totals(pod, Unstated::NOTHING, problems), shelves)
}

/// What a pod counts as in scores: while it is to be placed, when upstream does not look at what it asks for as a
/// whole; and on its node as long as no kubelet has reported.
pub(super) fn counted(pod: &PodObject, shelves: &mut Shelves) -> (Amounts, Counted) {
    let ignored = &mut Vec::new();
    let mut asking = containers_total(pod, Look::spec(Unstated::A_LITTLE), ignored);
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
        false => containers_total(pod, Look::spec(unstated), &mut Vec::new()),
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
    // Problems were reported with what is asked; the kubelet's own figures always parse.
    let mut ignored = Vec::new();
    let infeasible =
        pod.status.conditions.iter().any(|condition| {
            condition.kind == "PodResizePending" && condition.reason == "Infeasible"
        });
    let unreported = if infeasible { Unreported::Nothing } else { Unreported::AsAsked };
    let look = |view| Look { view, unstated, unreported };
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
    let spec = containers_total(pod, Look::spec(unstated), &mut ignored);
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
    let mut totals = match (reported, look.unreported) {
        (Some(list), _) => parsed(&"status", list, problems),
        (None, Unreported::Nothing) => Totals::new(),
        (None, Unreported::AsAsked) => requests(
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
mod tests;
