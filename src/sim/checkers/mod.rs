//! Judges of a simulated world, from the state of the API alone.
//!
//! They know nothing of the engine, its facts, or its plans: what is promised is promised to people who look at
//! the API, and is checked there, with code that shares nothing with what it checks. Each broken promise is told
//! with object and numbers. Invariant: a checker never changes the world, and never complains about the input.

mod fit;
mod gangs;
mod request;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use self::gangs::Gangs;
use self::request::{Load, add, allocatable, held, request};
use self::words::Words;
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::cluster::facts::GroupSource;
use crate::sim::object::Object;
use crate::workload::profile::{Ignored, Profile};

/// The state of the API at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All nodes.
    pub nodes: Vec<Arc<Value>>,
    /// All pods.
    pub pods: Vec<Arc<Value>>,
    /// PodGroups whose members carry a label.
    pub labelled_groups: Vec<Arc<Value>>,
    /// PodGroups that pods name in their spec.
    pub native_groups: Vec<Arc<Value>>,
}

impl Snapshot {
    /// All pods.
    fn pods(&self) -> impl Iterator<Item = &Value> {
        self.pods.iter().map(|pod| &**pod)
    }

    /// All nodes.
    fn nodes(&self) -> impl Iterator<Item = &Value> {
        self.nodes.iter().map(|node| &**node)
    }
}

/// How much is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    /// For how long a gang may be bound in part: no time at all where every request arrives,
    /// and as long as a binding may take where replies get lost.
    pub partial_for: Span,
    /// Within which time a waiting gang says what it waits for.
    pub silent_for: Span,
}

impl Default for Promises {
    fn default() -> Self {
        Self { partial_for: Span::ZERO, silent_for: Span::seconds(2) }
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// All checkers with what they remember from earlier moments.
#[derive(Debug)]
pub struct Checkers {
    /// `spec.schedulerName`s that the scheduler under test may touch.
    scheduler_names: Vec<String>,
    /// Pods by uid that were seen assigned to a node.
    assigned: BTreeMap<String, String>,
    /// Pods that come with their node and were not seen yet.
    given: BTreeSet<ObjectName>,
    gangs: Gangs,
    words: Words,
    /// Resources that some profile does not look for.
    ignored: Vec<Ignored>,
    /// Schedulers whose profile looks for no room at all.
    roomless: BTreeSet<String>,
}

impl Checkers {
    /// Checkers that have seen nothing, of a scheduler that answers to `scheduler_names`.
    pub fn new(scheduler_names: Vec<String>, promises: Promises) -> Self {
        Self {
            scheduler_names,
            assigned: BTreeMap::new(),
            given: BTreeSet::new(),
            gangs: Gangs::new(promises.partial_for),
            words: Words::new(promises.silent_for),
            ignored: Vec::new(),
            roomless: BTreeSet::new(),
        }
    }

    /// Where a node offers none of a resource that the profile of a scheduler ignores, it may hold pods that ask for it;
    /// and if the profile looks for no room, the scheduler's pods may be anywhere.
    pub fn overlook(&mut self, scheduler: &str, profile: &Profile) {
        self.ignored.push(profile.ignored.clone());
        if profile.turns_off("NodeResourcesFit") {
            self.roomless.insert(scheduler.to_owned());
        }
    }

    /// Takes it as given that the pod of this name comes with its node: the input or the script says so.
    pub fn take_as_given(&mut self, pod: ObjectName) {
        self.given.insert(pod);
    }

    /// Judges the world at a moment at which nothing more is under way.
    ///
    /// # Errors
    /// All promises that are broken.
    pub fn inspect(&mut self, now: Time, snapshot: &Snapshot) -> Result<(), Vec<Violation>> {
        let mut violations = Vec::new();
        let fresh = self.newly_assigned(snapshot, &mut violations);
        let looks = |pod: &Value| {
            let scheduler = pod["spec"]["schedulerName"].as_str().unwrap_or_default();
            !self.roomless.contains(scheduler)
        };
        check_places(
            &fresh,
            &loads(snapshot.pods().filter(|pod| looks(pod))),
            snapshot,
            &self.ignored,
            &mut violations,
        );
        self.gangs.inspect(now, snapshot, &fresh, &mut violations);
        self.words.inspect(now, snapshot, &self.scheduler_names, &mut violations);
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }

    /// Judges the world when nothing more will happen: what fits must not wait.
    ///
    /// # Errors
    /// All promises that are broken.
    pub fn conclude(&mut self, now: Time, snapshot: &Snapshot) -> Result<(), Vec<Violation>> {
        let mut violations = Vec::new();
        if let Err(found) = self.inspect(now, snapshot) {
            violations.extend(found);
        }
        self.gangs.conclude(snapshot, &mut violations);
        check_idle(snapshot, &mut violations);
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }

    /// Pods that got a node since the last look, and whether they were anyone's to bind.
    fn newly_assigned<'a>(
        &mut self,
        snapshot: &'a Snapshot,
        violations: &mut Vec<Violation>,
    ) -> Vec<&'a Value> {
        let mut fresh = Vec::new();
        for pod in snapshot.pods() {
            let object = Object(pod);
            let Some(node) = node_of(pod) else {
                continue;
            };
            match self.assigned.insert(object.uid().to_owned(), node.to_owned()) {
                None if self.given.remove(&object.object_name()) => continue,
                None => fresh.push(pod),
                Some(before) if before == node => continue,
                Some(before) => violations.push(Violation(format!(
                    "pod {} moved from {before} to {node} while it lived",
                    object.object_name()
                ))),
            }
            let scheduler = pod["spec"]["schedulerName"].as_str().unwrap_or_default();
            if !self.scheduler_names.iter().any(|name| name == scheduler) {
                violations.push(Violation(format!(
                    "pod {} belongs to scheduler {scheduler} and was bound",
                    object.object_name()
                )));
            }
            if request::list(&pod["spec"]["schedulingGates"]).next().is_some() {
                violations.push(Violation(format!(
                    "pod {} was bound behind its gate",
                    object.object_name()
                )));
            }
        }
        fresh
    }
}

/// Every fresh pod is where its node lets it be, and no node that got one holds more than it has.
/// `loads` are of pods whose places were looked for.
fn check_places(
    fresh: &[&Value],
    loads: &BTreeMap<String, Load>,
    snapshot: &Snapshot,
    ignored: &[Ignored],
    violations: &mut Vec<Violation>,
) {
    if fresh.is_empty() {
        return;
    }
    let nodes = nodes_by_name(snapshot);
    let mut received: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for pod in fresh {
        let name = Object(pod).object_name();
        let node_name = node_of(pod).unwrap_or_default();
        let Some(node) = nodes.get(node_name) else {
            violations.push(Violation(format!(
                "pod {name} was bound to {node_name}, which does not exist"
            )));
            continue;
        };
        if let Some(reason) = fit::refusal(pod, node) {
            violations.push(Violation(format!("pod {name} must not be on {node_name}: {reason}")));
        }
        received.entry(node_name).or_default().push(name.to_string());
    }
    for (node, pods) in received {
        let Some((object, load)) = nodes.get(node).zip(loads.get(node)) else {
            continue;
        };
        let offered = allocatable(object);
        let overlooked = |resource: &str| {
            offered.get(resource).is_none_or(|amount| *amount == 0)
                && ignored.iter().any(|ignored| ignored.holds(resource))
        };
        let looked_for = load.iter().filter(|(resource, _)| !overlooked(resource));
        let looked_for: Load = looked_for.map(|(name, amount)| (name.clone(), *amount)).collect();
        if let Some(excess) = excess(&looked_for, &offered) {
            violations.push(Violation(format!(
                "node {node} holds too much after {}: {excess}",
                pods.join(", ")
            )));
        }
    }
}

/// No plain pod that is called unschedulable would fit on some node as it is.
fn check_idle(snapshot: &Snapshot, violations: &mut Vec<Violation>) {
    let loads = loads(snapshot.pods());
    for pod in snapshot.pods() {
        let plain = Object(pod).group().is_none();
        if !plain
            || node_of(pod).is_some()
            || words::said(pod).map(|said| said.reason) != Some("Unschedulable")
            || fit::depends_on_others(pod, snapshot)
        {
            continue;
        }
        if let Some(node) = snapshot.nodes().find(|node| seats(pod, node, &loads) > 0) {
            violations.push(Violation(format!(
                "pod {} is called unschedulable and fits on {}",
                Object(pod).object_name(),
                Object(node).name()
            )));
        }
    }
}

/// How many more pods like `pod` the node could take.
fn seats(pod: &Value, node: &Value, loads: &BTreeMap<String, Load>) -> i64 {
    if fit::refusal(pod, node).is_some() {
        return 0;
    }
    let offered = allocatable(node);
    let empty = Load::new();
    let taken = loads.get(Object(node).name()).unwrap_or(&empty);
    let free = |resource: &str| {
        offered.get(resource).copied().unwrap_or(0) - taken.get(resource).copied().unwrap_or(0)
    };
    let mut seats = free("pods");
    for (resource, amount) in request(pod) {
        seats = seats.min(free(&resource).div_euclid(amount));
    }
    seats.max(0)
}

/// What the pods of each node hold together, the count of pods included.
fn loads<'a>(pods: impl Iterator<Item = &'a Value>) -> BTreeMap<String, Load> {
    let mut loads: BTreeMap<String, Load> = BTreeMap::new();
    for pod in pods {
        let Some(node) = node_of(pod).filter(|_| !has_ended(pod)) else {
            continue;
        };
        let load = loads.entry(node.to_owned()).or_default();
        add(load, &held(pod));
        *load.entry("pods".to_owned()).or_default() += 1;
    }
    loads
}

/// The first resource of which there is more load than capacity.
fn excess(load: &Load, offered: &Load) -> Option<String> {
    load.iter().find_map(|(resource, amount)| {
        let capacity = offered.get(resource).copied().unwrap_or(0);
        (*amount > capacity).then(|| format!("{amount} of {resource}, it has {capacity}"))
    })
}

/// Nodes by name.
fn nodes_by_name(snapshot: &Snapshot) -> BTreeMap<&str, &Value> {
    snapshot.nodes().map(|node| (Object(node).name(), node)).collect()
}

/// The node that a pod is assigned to.
fn node_of(pod: &Value) -> Option<&str> {
    pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty())
}

/// True once all containers of a pod have ended.
fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// True once a pod is on its way out.
fn is_leaving(pod: &Value) -> bool {
    Object(pod).deleting()
}

/// Namespace, name, and source of a group.
type GroupKey = (GroupSource, ObjectName);

/// The group that a pod is a member of.
fn group_key(pod: &Value) -> Option<GroupKey> {
    let (source, group) = Object(pod).group()?;
    Some((source, ObjectName::new(Object(pod).namespace(), group)))
}
