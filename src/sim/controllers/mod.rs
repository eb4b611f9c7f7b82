//! Workload controllers, small and pure: objects in, writes and a wake-up time out.
//! They make and remove pods as Kubernetes' own controllers do, and decide nothing about nodes.
//! Names of what they make follow from the owner, so that an old view never makes anything twice.

mod children;
mod daemon_set;
mod deployment;
mod expand;
mod failure_policy;
mod job;
mod job_status;
mod node_loss;
mod owner;
mod replica_set;
mod stateful_set;
mod template;
mod volumes;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use self::children::Children;
use self::daemon_set::Nodes;
pub use self::daemon_set::daemon_pods;
pub use self::expand::BadCount;
pub use self::expand::Expansion;
pub use self::expand::expand;
use self::node_loss::NodeLoss;
use self::owner::Memory;
use self::owner::Round;
pub(super) use self::template::claims_of_pod;
pub use self::volumes::Volumes;
use super::machinery::Kind;
use super::machinery::Sight;
use super::object::Object;
use super::timetable::Appointment;
use super::timetable::Timetable;
use super::write::Write;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;

/// Changes of pods are gathered for so long before their owner is looked at, so that an owner of
/// thousands of pods is not counted anew for each of them. (The Job controller waits a second.)
const GATHERING: Span = Span::milliseconds(100);

/// Which workload object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: Kind,
    name: ObjectName,
}

/// A workload object.
#[derive(Debug)]
struct Owner {
    object: Value,
    memory: Memory,
    /// When it is to be looked at again.
    next: Option<(Time, Appointment)>,
}

/// The controllers of one cluster.
#[derive(Debug, Default)]
pub struct Controllers {
    owners: BTreeMap<Key, Owner>,
    /// Pods by the uid of their owner.
    children: BTreeMap<String, Children>,
    /// Which owner's pods a pod was last counted with.
    parents: BTreeMap<ObjectName, String>,
    /// ReplicaSets by the uid of their Deployment.
    sets: BTreeMap<String, BTreeSet<ObjectName>>,
    due: BTreeSet<Key>,
    timetable: Timetable<Key>,
    node_loss: NodeLoss,
    nodes: Nodes,
}

impl Controllers {
    /// Takes in what was seen of an object. Kinds that no controller watches are passed over.
    pub fn observe(&mut self, now: Time, kind: Kind, sight: Sight<'_>) {
        match (kind, sight) {
            (Kind::Pod, Sight::Present(pod)) => {
                self.node_loss.see_pod(now, pod);
                self.see_pod(now, pod);
            }
            (Kind::Pod, Sight::Gone(pod)) => {
                let pod = Object(pod);
                self.node_loss.lose_pod(&pod.object_name());
                self.lose_pod(now, pod);
            }
            (Kind::Node, Sight::Present(node)) => {
                self.node_loss.see_node(now, node);
                if self.nodes.see(node) {
                    self.look_at_daemon_sets(now);
                }
            }
            (Kind::Node, Sight::Gone(node)) => {
                self.node_loss.lose_node(now, Object(node).name());
                self.nodes.lose(Object(node).name());
                self.look_at_daemon_sets(now);
            }
            (
                Kind::Job
                | Kind::Deployment
                | Kind::ReplicaSet
                | Kind::StatefulSet
                | Kind::DaemonSet,
                Sight::Present(owner),
            ) => self.see_owner(now, kind, owner),
            (
                Kind::Job
                | Kind::Deployment
                | Kind::ReplicaSet
                | Kind::StatefulSet
                | Kind::DaemonSet,
                Sight::Gone(owner),
            ) => self.lose_owner(now, kind, Object(owner)),
            (Kind::PodGroup | Kind::Storage(_), _) => {}
        }
    }

    /// What is to be written now, in order.
    pub fn act(&mut self, now: Time) -> Vec<Write> {
        while let Some((_, key)) = self.timetable.pop_due(now) {
            if let Some(owner) = self.owners.get_mut(&key) {
                owner.next = None;
            }
            self.due.insert(key);
        }
        let mut writes = Vec::new();
        self.node_loss.act(now, &mut writes);
        for key in std::mem::take(&mut self.due) {
            self.reconcile(now, &key, &mut writes);
        }
        writes
    }

    /// When to act again if nothing is observed before.
    pub fn wakeup(&self) -> Option<Time> {
        if !self.due.is_empty() {
            return Some(Time(i64::MIN));
        }
        self.timetable.next().into_iter().chain(self.node_loss.wakeup()).min()
    }

    fn see_owner(&mut self, now: Time, kind: Kind, value: &Value) {
        let object = Object(value);
        let key = Key { kind, name: object.object_name() };
        let known = self.owners.get(&key).map(|owner| Object(&owner.object).uid().to_owned());
        if known.is_some_and(|uid| uid != object.uid()) {
            self.lose_owner(now, kind, object);
        }
        let whole = with_type(kind, value);
        match self.owners.get_mut(&key) {
            Some(owner) => owner.object = whole,
            None => {
                let owner = Owner { object: whole, memory: Memory::default(), next: None };
                self.owners.insert(key.clone(), owner);
            }
        }
        if kind == Kind::ReplicaSet
            && let Some(deployment) = object.controller()
        {
            self.sets.entry(deployment.uid).or_default().insert(key.name.clone());
            self.look_at_parent(now, object);
        }
        self.due.insert(key);
    }

    fn lose_owner(&mut self, now: Time, kind: Kind, object: Object<'_>) {
        let key = Key { kind, name: object.object_name() };
        let Some(owner) = self.owners.remove(&key) else { return };
        let before = Object(&owner.object);
        if let Some((_, appointment)) = owner.next {
            self.timetable.cancel(appointment);
        }
        self.due.remove(&key);
        if self.children.get(before.uid()).is_some_and(Children::is_empty) {
            self.children.remove(before.uid());
        }
        if let Some(deployment) = before.controller().filter(|_| kind == Kind::ReplicaSet) {
            if let Some(sets) = self.sets.get_mut(&deployment.uid) {
                sets.remove(&key.name);
                if sets.is_empty() {
                    self.sets.remove(&deployment.uid);
                }
            }
            self.look_at_parent(now, before);
        }
    }

    fn see_pod(&mut self, now: Time, value: &Value) {
        let pod = Object(value);
        let name = pod.object_name();
        let parent = pod.controller().map(|controller| controller.uid);
        let before = self.parents.get(&name).cloned();
        if let Some(before) = before.filter(|before| Some(before) != parent.as_ref()) {
            self.part(&before, pod);
            self.parents.remove(&name);
        }
        if let Some(parent) = parent {
            self.children.entry(parent.clone()).or_default().see(value);
            self.parents.insert(name, parent);
            self.look_at_parent(now, pod);
        }
    }

    fn lose_pod(&mut self, now: Time, pod: Object<'_>) {
        if let Some(parent) = self.parents.remove(&pod.object_name()) {
            self.part(&parent, pod);
            self.look_at_parent(now, pod);
        }
    }

    /// A pod is no longer among the children of `parent`.
    fn part(&mut self, parent: &str, pod: Object<'_>) {
        let Some(children) = self.children.get_mut(parent) else { return };
        children.miss(pod);
        let known = |owner: &Owner| Object(&owner.object).uid() == parent;
        if children.is_empty() && !self.owners.values().any(known) {
            self.children.remove(parent);
        }
    }

    /// Plans a look at the owner of `object`, a little later.
    fn look_at_parent(&mut self, now: Time, object: Object<'_>) {
        let Some(controller) = object.controller() else { return };
        let kind = match controller.kind.as_str() {
            "Job" => Kind::Job,
            "Deployment" => Kind::Deployment,
            "ReplicaSet" => Kind::ReplicaSet,
            "StatefulSet" => Kind::StatefulSet,
            "DaemonSet" => Kind::DaemonSet,
            _ => return,
        };
        let name = ObjectName::new(object.namespace(), &controller.name);
        self.plan(now + GATHERING, Key { kind, name });
    }

    /// Nodes came, went, or changed: plans a look at every DaemonSet, a little later.
    fn look_at_daemon_sets(&mut self, now: Time) {
        let sets = self.owners.keys().filter(|key| key.kind == Kind::DaemonSet);
        let sets: Vec<Key> = sets.cloned().collect();
        for key in sets {
            self.plan(now + GATHERING, key);
        }
    }

    /// Plans a look at an owner at `at`, unless there is one earlier.
    fn plan(&mut self, at: Time, key: Key) {
        let Some(owner) = self.owners.get_mut(&key) else { return };
        match owner.next {
            Some((planned, _)) if planned <= at => return,
            Some((_, appointment)) => self.timetable.cancel(appointment),
            None => {}
        }
        owner.next = Some((at, self.timetable.plan(at, key)));
    }

    fn reconcile(&mut self, now: Time, key: &Key, writes: &mut Vec<Write>) {
        let Some(mut owner) = self.owners.remove(key) else { return };
        let object = Object(&owner.object);
        let children = self.children.entry(object.uid().to_owned()).or_default();
        children.repeat(now, writes);
        owner.memory.begin_round();
        let mut round =
            Round { now, owner: object, memory: &mut owner.memory, children, writes, wake: None };
        match key.kind {
            Kind::Job => job::reconcile(&mut round),
            Kind::ReplicaSet => replica_set::reconcile(&mut round),
            Kind::StatefulSet => stateful_set::reconcile(&mut round),
            Kind::DaemonSet => daemon_set::reconcile(&mut round, &mut self.nodes),
            Kind::Deployment => {
                let sets = self.sets.get(object.uid()).into_iter().flatten();
                let sets: Vec<&Value> = sets
                    .filter_map(|name| {
                        self.owners.get(&Key { kind: Kind::ReplicaSet, name: name.clone() })
                    })
                    .map(|set| &set.object)
                    .collect();
                deployment::reconcile(&mut round, &sets);
            }
            Kind::Node | Kind::Pod | Kind::PodGroup | Kind::Storage(_) => {}
        }
        let wake = round.wake.into_iter().chain(round.children.wakeup()).min();
        owner.memory.end_round();
        // Everything planned before was about what this round has dealt with.
        if let Some((_, appointment)) = owner.next.take() {
            self.timetable.cancel(appointment);
        }
        self.owners.insert(key.clone(), owner);
        if let Some(wake) = wake {
            self.plan(wake, key.clone());
        }
    }
}

/// The object with its type, which items of a typed list leave out; owner references need it.
fn with_type(kind: Kind, object: &Value) -> Value {
    let mut object = object.clone();
    let (version, name) = match kind {
        Kind::Job => ("batch/v1", "Job"),
        Kind::Deployment => ("apps/v1", "Deployment"),
        Kind::ReplicaSet => ("apps/v1", "ReplicaSet"),
        Kind::StatefulSet => ("apps/v1", "StatefulSet"),
        Kind::DaemonSet => ("apps/v1", "DaemonSet"),
        Kind::Node => ("v1", "Node"),
        Kind::Pod => ("v1", "Pod"),
        Kind::PodGroup => ("scheduling.x-k8s.io/v1alpha1", "PodGroup"),
        Kind::Storage(kind) => (kind.api_version(), kind.kind()),
    };
    object["apiVersion"] = Value::from(version);
    object["kind"] = Value::from(name);
    object
}
