//! The API as the model has it: two pods, one PodGroup, one record, single-object compare-and-swap, and nothing
//! else. Calls apply as an API server applies them; what a lost reply leaves open is judged as the rim judges it.

use std::sync::Arc;

use muster::base::names::{Name, ObjectName};
use muster::cluster::facts::{CommitMark, GroupName, GroupSource};
use muster::engine::commitment::Sight;
use muster::engine::event::Outcome;
use muster::engine::order::{Action, GroupRef};
use muster::engine::record::{RecordFact, RecordPhase};

/// Members of the gang.
pub(crate) const PODS: usize = 2;

/// Nodes, of one seat each.
pub(crate) const NODES: usize = 3;

/// A pod by the name of its place; it may be made again under another uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pod {
    pub(crate) exists: bool,
    pub(crate) incarnation: u8,
    pub(crate) version: u64,
    pub(crate) node: Option<u8>,
    /// The plan by which it was bound, as the bind stamped it.
    pub(crate) epoch: u32,
}

/// Everything that is stored, and what the judges remember of the past.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Api {
    pub(crate) pods: [Pod; PODS],
    pub(crate) group_version: u64,
    pub(crate) minimum: u32,
    pub(crate) commit: Option<CommitMark>,
    pub(crate) record: Option<Arc<RecordFact>>,
    /// The record before its last change.
    pub(crate) record_before: Option<Arc<RecordFact>>,
    /// Who holds the lease.
    pub(crate) leader: u8,
    /// A pod of another gang, bound by itself.
    pub(crate) rival: Option<u8>,
    /// The plan whose step is in effect.
    pub(crate) prepared: Option<u32>,
    /// The step of this plan, and of all before, was undone: it never takes effect again.
    pub(crate) step_undone: u32,
    /// Plans that were decided, in order.
    pub(crate) decided: Vec<Arc<RecordFact>>,
    /// The highest epoch that was called undone.
    pub(crate) undone: u32,
    /// A plan for fewer than the minimum was decided.
    pub(crate) decided_too_few: bool,
    /// A plan was sealed while a member that lived was not bound as planned.
    pub(crate) sealed_too_early: bool,
    /// A record went back.
    pub(crate) went_back: bool,
    /// A plan was called undone while its step was in effect.
    pub(crate) left_prepared: bool,
}

pub(crate) fn pod_name(pod: usize) -> ObjectName {
    ObjectName::new("d", ["p0", "p1"][pod])
}

pub(crate) fn uid(pod: usize, incarnation: u8) -> Name {
    format!("p{pod}-{incarnation}").as_str().into()
}

pub(crate) fn node_name(node: u8) -> Name {
    ["n0", "n1", "n2"][node as usize].into()
}

fn node_of(name: &str) -> u8 {
    name.as_bytes()[1] - b'0'
}

fn pod_of(name: &ObjectName) -> usize {
    usize::from(name.name.as_bytes()[1] - b'0')
}

pub(crate) fn group_name() -> GroupName {
    GroupName { name: ObjectName::new("d", "g"), source: GroupSource::Native }
}

/// How verification may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reads {
    pub(crate) lease: bool,
    pub(crate) any_plan_verifies: bool,
    pub(crate) stale: bool,
    pub(crate) commit_on_group: bool,
}

impl Api {
    pub(crate) fn new(minimum: u32) -> Self {
        let pod = Pod { exists: true, incarnation: 1, version: 1, node: None, epoch: 0 };
        Self {
            pods: [pod.clone(), pod],
            group_version: 1,
            minimum,
            commit: None,
            record: None,
            record_before: None,
            leader: 0,
            rival: None,
            prepared: None,
            step_undone: 0,
            decided: Vec::new(),
            undone: 0,
            decided_too_few: false,
            sealed_too_early: false,
            went_back: false,
            left_prepared: false,
        }
    }

    pub(crate) fn group(&self) -> GroupRef {
        GroupRef { name: group_name(), uid: "g".into(), resource_version: self.group_version }
    }

    /// True if another pod than the one with `uid` is bound to the node.
    pub(crate) fn is_taken_from(&self, node: u8, uid: &str) -> bool {
        (0..PODS).any(|at| {
            let pod = &self.pods[at];
            pod.exists && pod.node == Some(node) && *self.uid_of(at) != *uid
        })
    }

    pub(crate) fn uid_of(&self, pod: usize) -> Name {
        uid(pod, self.pods[pod].incarnation)
    }

    /// What a watch shows of the pod of that name, to who means the one with `uid`.
    pub(crate) fn sight(&self, name: &ObjectName, uid: &str) -> Sight {
        let at = pod_of(name);
        let pod = &self.pods[at];
        if !pod.exists || *self.uid_of(at) != *uid {
            return Sight::Lost;
        }
        match pod.node {
            Some(node) => Sight::Bound(node_name(node)),
            None => Sight::Unbound(pod.version),
        }
    }

    /// True if the record counts: its group carries it.
    pub(crate) fn is_decided(&self, record: &RecordFact, reads: Reads) -> bool {
        record.phase == RecordPhase::Proposed
            && (!reads.commit_on_group || self.commit == Some(record.mark))
    }

    fn living(&mut self, name: &ObjectName, uid: &str) -> Option<&mut Pod> {
        let at = pod_of(name);
        let same = self.pods[at].exists && *self.uid_of(at) == *uid;
        same.then(|| &mut self.pods[at])
    }

    /// Carries a call of scheduler `by` out.
    pub(crate) fn apply(&mut self, by: u8, action: &Action, reads: Reads) -> Outcome {
        match action {
            Action::Bind { pod, node, epoch, .. } => {
                let Some(known) = self.living(&pod.name, &pod.uid) else { return Outcome::Gone };
                let fits = pod.resource_version == 0 || pod.resource_version == known.version;
                match known.node {
                    Some(at) if at == node_of(node) => Outcome::Done,
                    None if fits => {
                        known.node = Some(node_of(node));
                        known.epoch = *epoch;
                        known.version += 1;
                        Outcome::Done
                    }
                    Some(_) | None => Outcome::Conflict(String::new()),
                }
            }
            Action::Fence { pod, .. } => {
                let Some(known) = self.living(&pod.name, &pod.uid) else { return Outcome::Gone };
                known.version += 1;
                match known.node {
                    Some(node) => Outcome::BoundTo(node_name(node)),
                    None => Outcome::Written { resource_version: known.version },
                }
            }
            Action::Evict { pod, .. } => {
                let Some(known) = self.living(&pod.name, &pod.uid) else { return Outcome::Gone };
                known.exists = false;
                known.node = None;
                known.version += 1;
                Outcome::Done
            }
            Action::Propose(record) => self.propose(record, reads),
            Action::Commit { group, mark } => self.commit(group, *mark),
            Action::Verify { mark, .. } => self.verify(by, *mark, reads),
            Action::Seal { record, .. } => {
                self.move_to(record.resource_version, RecordPhase::Bound)
            }
            Action::Abort { record, .. } => {
                self.move_to(record.resource_version, RecordPhase::Aborting)
            }
            Action::FinishAbort { record, .. } => {
                self.move_to(record.resource_version, RecordPhase::Aborted)
            }
            Action::RemoveRecord { .. } | Action::Volume { .. } => {
                unreachable!("nothing is removed here, and no pod has volumes")
            }
        }
    }

    fn store(&mut self, record: RecordFact) {
        if let Some(before) = &self.record {
            let order = |record: &RecordFact| (record.mark.epoch, record.phase);
            self.went_back |= order(&record) < order(before);
        }
        self.record_before = self.record.replace(Arc::new(record));
    }

    fn propose(&mut self, record: &RecordFact, reads: Reads) -> Outcome {
        let version = self.record.as_ref().map_or(0, |known| known.resource_version);
        if version != record.resource_version {
            return match &self.record {
                Some(known) => Outcome::Superseded(Box::new((**known).clone())),
                None => Outcome::Gone,
            };
        }
        let resource_version = version + 1;
        self.store(RecordFact { resource_version, ..record.clone() });
        if !reads.commit_on_group {
            self.decide();
        }
        Outcome::Written { resource_version }
    }

    /// The record as it is has been decided.
    fn decide(&mut self) {
        let Some(record) = &self.record else { return };
        self.decided_too_few |= (record.members.len() as u32) < self.minimum;
        self.decided.push(record.clone());
    }

    fn commit(&mut self, group: &GroupRef, mark: CommitMark) -> Outcome {
        if self.group_version != group.resource_version {
            return Outcome::Conflict(String::new());
        }
        self.group_version += 1;
        self.commit = Some(mark);
        if self.record.as_ref().is_some_and(|record| record.mark == mark) {
            self.decide();
        }
        Outcome::Written { resource_version: self.group_version }
    }

    fn verify(&self, by: u8, mark: CommitMark, reads: Reads) -> Outcome {
        if reads.lease && self.leader != by {
            return Outcome::Conflict(String::new());
        }
        let record = if reads.stale && self.record_before.is_some() {
            &self.record_before
        } else {
            &self.record
        };
        let Some(record) = record else { return Outcome::Gone };
        if !reads.any_plan_verifies && record.mark != mark {
            return Outcome::Superseded(Box::new((**record).clone()));
        }
        let commit = reads.stale || !reads.commit_on_group || self.commit == Some(record.mark);
        if record.phase != RecordPhase::Proposed {
            return Outcome::Superseded(Box::new((**record).clone()));
        }
        if commit { Outcome::Done } else { Outcome::Conflict(String::new()) }
    }

    fn move_to(&mut self, version: u64, phase: RecordPhase) -> Outcome {
        let Some(record) = self.record.clone() else { return Outcome::Gone };
        if record.resource_version != version {
            return Outcome::Superseded(Box::new((*record).clone()));
        }
        match phase {
            RecordPhase::Bound => {
                let as_planned = record.members.iter().all(|entry| {
                    let name = ObjectName { namespace: "d".into(), name: entry.pod.clone() };
                    match self.sight(&name, &entry.uid) {
                        Sight::Lost => true,
                        Sight::Bound(node) => node == entry.node,
                        Sight::Unbound(_) => false,
                    }
                });
                self.sealed_too_early |= !as_planned;
            }
            RecordPhase::Aborted => {
                self.undone = self.undone.max(record.mark.epoch);
                self.left_prepared |= self.prepared == Some(record.mark.epoch);
            }
            RecordPhase::Proposed | RecordPhase::Aborting => {}
        }
        let resource_version = version + 1;
        self.store(RecordFact { phase, resource_version, ..(*record).clone() });
        Outcome::Written { resource_version }
    }

    /// The step of a plan takes effect, unless it was undone before.
    pub(crate) fn prepare(&mut self, epoch: u32) -> Outcome {
        if epoch <= self.step_undone {
            return Outcome::Conflict(String::new());
        }
        self.prepared = Some(epoch);
        Outcome::Done
    }

    /// The step of a plan is undone, for good.
    pub(crate) fn undo_step(&mut self, epoch: u32) -> Outcome {
        self.step_undone = self.step_undone.max(epoch);
        self.prepared = self.prepared.filter(|prepared| *prepared > epoch);
        Outcome::Done
    }

    /// What a read tells of a call whose reply was lost; `None`: it may be sent again.
    pub(crate) fn judge(&self, action: &Action) -> Option<Outcome> {
        match action {
            Action::Bind { pod, node, .. } => match self.sight(&pod.name, &pod.uid) {
                Sight::Lost => Some(Outcome::Gone),
                Sight::Bound(at) if at == *node => Some(Outcome::Done),
                Sight::Bound(_) => Some(Outcome::Conflict(String::new())),
                Sight::Unbound(version) => (pod.resource_version != 0
                    && version != pod.resource_version)
                    .then(|| Outcome::Conflict(String::new())),
            },
            Action::Propose(record) => {
                self.judge_record(record.mark, record.phase, record.resource_version)
            }
            Action::Seal { record, mark } => {
                self.judge_record(*mark, RecordPhase::Bound, record.resource_version)
            }
            Action::Abort { record, mark } => {
                self.judge_record(*mark, RecordPhase::Aborting, record.resource_version)
            }
            Action::FinishAbort { record, mark } => {
                self.judge_record(*mark, RecordPhase::Aborted, record.resource_version)
            }
            Action::Commit { group, mark } => {
                if self.commit == Some(*mark) {
                    return Some(Outcome::Written { resource_version: self.group_version });
                }
                (self.group_version != group.resource_version)
                    .then(|| Outcome::Conflict(String::new()))
            }
            Action::Fence { .. }
            | Action::Evict { .. }
            | Action::Verify { .. }
            | Action::RemoveRecord { .. }
            | Action::Volume { .. } => None,
        }
    }

    fn judge_record(&self, mark: CommitMark, phase: RecordPhase, from: u64) -> Option<Outcome> {
        let version = self.record.as_ref().map_or(0, |record| record.resource_version);
        if version == from {
            return None;
        }
        let record = self.record.as_ref()?;
        Some(if record.mark == mark && record.phase == phase {
            Outcome::Written { resource_version: version }
        } else {
            Outcome::Superseded(Box::new((**record).clone()))
        })
    }
}
