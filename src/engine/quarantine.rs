//! Nodes whose kubelet turned pods away are avoided for a while, longer with each time in a row, for each
//! reason apart. Knows no gang and no plan: the believed cluster holds the set, a rule reads it.
//! Invariants: a node is in the set exactly while some rejection of it is in force; what was held against
//! a machine is not held against another of the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Engine;
use super::pods::Pod;
use super::settle::doubled;
use crate::base::names::Name;
use crate::base::time::{Span, Time};
use crate::cluster::facts::{NodeFact, PodFact, PodPhase};
use crate::cluster::node_set::Membership;

/// How the kubelet's words begin for a pod that it has no room for.
const OUT_OF: &str = "OutOf";

/// Nodes that turned pods away.
#[derive(Clone, Debug, Default)]
pub(super) struct Quarantine {
    /// By node and reason.
    rows: BTreeMap<(Name, Name), Row>,
    /// Ends of quarantines that are in force.
    ends: BTreeSet<(Time, Name, Name)>,
}

/// What is held against a node for one reason.
#[derive(Clone, Debug)]
struct Row {
    /// The node object's uid: another machine may come under the same name.
    machine: Name,
    /// Rejections in a row; those that come while one is in force are the same.
    times: u32,
    /// Avoided until then.
    until: Time,
    /// Forgotten then, if it does not happen again.
    forgotten: Time,
}

/// A quarantine that is in force, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which node.
    pub node: Name,
    /// `status.reason` of the pod that it turned away.
    pub reason: Name,
    /// How often in a row it did so.
    pub times: u32,
    /// Avoided until then.
    pub until: Time,
}

impl fmt::Display for Quarantined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, reason, times, until } = self;
        write!(f, "{node} until {} ({reason}, {times} in a row)", until.to_rfc3339())
    }
}

/// True if this is why a kubelet turns away a pod that was bound to it, before any container starts.
/// The words are the kubelet's (1.37); a pod that ran and failed, or was evicted, has others or none.
fn is_rejection(reason: &str) -> bool {
    reason.starts_with(OUT_OF)
        || matches!(
            reason,
            "UnexpectedAdmissionError"
                | "TopologyAffinityError"
                | "NodeAffinity"
                | "TaintToleration"
                | "NodeShutdown"
        )
}

impl Quarantine {
    /// When the next quarantine ends.
    pub(super) fn due(&self) -> Option<Time> {
        self.ends.first().map(|(until, ..)| *until)
    }

    fn holds(&self, node: &Name) -> bool {
        self.ends.iter().any(|(_, held, _)| held == node)
    }

    /// Those in force, by node and reason.
    fn in_force(&self) -> impl Iterator<Item = Quarantined> {
        let held =
            |(key, row): (&(Name, Name), &Row)| {
                let (node, reason) = key.clone();
                self.ends
                    .contains(&(row.until, node.clone(), reason.clone()))
                    .then_some(Quarantined { node, reason, times: row.times, until: row.until })
            };
        self.rows.iter().filter_map(held)
    }

    /// Forgets what is held against other machines of this name. True if there was anything.
    fn forget_others(&mut self, node: &NodeFact) -> bool {
        let others: Vec<(Name, Name)> = self
            .rows
            .iter()
            .filter(|((name, _), row)| *name == node.name && row.machine != node.uid)
            .map(|(key, _)| key.clone())
            .collect();
        for key in &others {
            let row = self.rows.remove(key).expect("it was just found");
            self.ends.remove(&(row.until, key.0.clone(), key.1.clone()));
        }
        !others.is_empty()
    }
}

impl Engine {
    /// Nodes that are avoided since they turned pods away.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.quarantine.in_force().collect()
    }

    /// Whether `fact` is the news that the kubelet turned away this pod of ours: its node and why.
    pub(super) fn rejection(&self, pod: &Pod, fact: &PodFact) -> Option<(Name, Name)> {
        let failed = fact.phase == PodPhase::Failed && pod.fact.phase != PodPhase::Failed;
        // What others overbook says nothing about the node.
        if !failed || !self.settings.answers_to(&fact.scheduler) {
            return None;
        }
        let reason = fact.reason.as_ref().filter(|reason| is_rejection(reason))?;
        // Nobody looked for room there, so that there was none says nothing about the node either.
        if reason.starts_with(OUT_OF) && fact.ask.turns_off("NodeResourcesFit") {
            return None;
        }
        let node = fact.node.as_ref().or(pod.fact.node.as_ref())?;
        Some((node.clone(), reason.clone()))
    }

    /// A node turned away a pod of ours.
    pub(super) fn node_rejected(&mut self, node: Name, reason: Name) {
        let Some(id) = self.cluster.nodes().present_id(&node) else { return };
        let fact = self.cluster.nodes().get(id).fact.as_ref().expect("present nodes have facts");
        let machine = fact.uid.clone();
        let key = (node, reason);
        let before = self.quarantine.rows.get(&key).filter(|row| row.machine == machine);
        if before.is_some_and(|row| self.now < row.until) {
            return;
        }
        let times = before.filter(|row| self.now < row.forgotten).map_or(0, |row| row.times) + 1;
        let Span(longest) = self.settings.quarantine_max;
        let wait = doubled(self.settings.quarantine_initial, times, Span(longest));
        let until = self.now + wait;
        let forgotten = until + Span(longest);
        self.quarantine.ends.insert((until, key.0.clone(), key.1.clone()));
        self.quarantine.rows.insert(key, Row { machine, times, until, forgotten });
        self.counters.nodes_quarantined += 1;
        self.cluster.quarantine(id, Membership::In);
    }

    /// Brings the set in line after a node's object was told: it may have been away, or be another machine.
    pub(super) fn requarantine(&mut self, fact: &NodeFact) {
        if self.quarantine.rows.is_empty() {
            return;
        }
        self.quarantine.forget_others(fact);
        if let Some(id) = self.cluster.nodes().present_id(&fact.name) {
            let membership = Membership::from(self.quarantine.holds(&fact.name));
            let changes = self.cluster.quarantine(id, membership);
            self.note(changes);
        }
    }

    /// Lets nodes be used again whose time is over.
    pub(super) fn end_quarantines(&mut self) {
        let mut ended = BTreeSet::new();
        while let Some((until, ..)) = self.quarantine.ends.first()
            && *until <= self.now
        {
            let (_, node, _) = self.quarantine.ends.pop_first().expect("there is a first");
            ended.insert(node);
        }
        if ended.is_empty() {
            return;
        }
        let now = self.now;
        self.quarantine.rows.retain(|_, row| now < row.forgotten);
        for node in ended {
            if self.quarantine.holds(&node) {
                continue;
            }
            if let Some(id) = self.cluster.nodes().present_id(&node) {
                let changes = self.cluster.quarantine(id, Membership::Out);
                self.note(changes);
                self.kept_places.reconsider();
            }
        }
    }
}
