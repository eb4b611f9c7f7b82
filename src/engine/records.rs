//! The records of all gangs' plans as observed or written last, whether or not their gangs are known yet.
//! Decides nothing; `atomic` resumes from here. Knows no pod and no capacity.
//! Invariant: of each object the newest version is kept, and a write of ours counts as soon as it is known.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::is_older;
use super::record::{RecordFact, RecordPart, RecordPhase, part_name, record_name};
use crate::base::names::{Name, ObjectName};
use crate::base::time::Time;
use crate::cluster::facts::GroupName;

/// All records.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    heads: BTreeMap<ObjectName, RecordFact>,
    parts: BTreeMap<ObjectName, RecordFact>,
    /// When each record that nobody needs any more may be removed.
    idle: BTreeMap<ObjectName, Time>,
    due: BTreeSet<(Time, ObjectName)>,
}

impl Records {
    /// The record of a group.
    pub(super) fn of(&self, group: &GroupName) -> Option<&RecordFact> {
        self.heads.get(&record_name(group))
    }

    /// Takes in an object. False if it is older than what is known.
    pub(super) fn observe(&mut self, fact: RecordFact) -> bool {
        let known = match fact.part {
            RecordPart::Head { .. } => &mut self.heads,
            RecordPart::Further { .. } => &mut self.parts,
        };
        let version = fact.resource_version;
        if known.get(&fact.name).is_some_and(|known| is_older(version, known.resource_version)) {
            return false;
        }
        known.insert(fact.name.clone(), fact);
        true
    }

    /// The record in question was moved to `phase` by ourselves.
    pub(super) fn moved(&mut self, name: &ObjectName, phase: RecordPhase, version: u64) {
        if let Some(head) = self.heads.get_mut(name)
            && !is_older(version, head.resource_version)
        {
            head.phase = phase;
            head.resource_version = version;
        }
    }

    /// An object is gone; an empty uid means whichever it is. Returns the head that it was.
    pub(super) fn forget(&mut self, name: &ObjectName, uid: &Name) -> Option<RecordFact> {
        let is_it = |fact: &RecordFact| uid.is_empty() || fact.uid.is_empty() || fact.uid == *uid;
        self.use_again(name);
        if self.parts.get(name).is_some_and(is_it) {
            self.parts.remove(name);
        }
        if self.heads.get(name).is_some_and(is_it) {
            return self.heads.remove(name);
        }
        None
    }

    /// The whole record of a group, its parts put together. `None` while one is missing.
    pub(super) fn whole(&self, group: &GroupName) -> Option<RecordFact> {
        let mut whole = self.of(group)?.clone();
        let RecordPart::Head { further } = whole.part else { return None };
        for index in 1..=further {
            let part = self.parts.get(&part_name(group, whole.mark.epoch, index))?;
            if part.mark != whole.mark {
                return None;
            }
            whole.members.extend(part.members.iter().cloned());
        }
        Some(whole)
    }

    /// Groups that have a record, by the name of the record.
    pub(super) fn groups(&self) -> Vec<GroupName> {
        self.heads.values().map(|head| head.group.clone()).collect()
    }

    /// The head or part of that name.
    pub(super) fn object(&self, name: &ObjectName) -> Option<&RecordFact> {
        self.heads.get(name).or_else(|| self.parts.get(name))
    }

    /// The parts of a group's record, of whatever epoch.
    pub(super) fn parts_of(&self, group: &GroupName) -> Vec<ObjectName> {
        let parts = self.parts.values().filter(|part| part.group == *group);
        parts.map(|part| part.name.clone()).collect()
    }

    /// Nobody needs this object any more: it may be removed at `until`, if nobody needs it by then.
    pub(super) fn leave_idle(&mut self, name: &ObjectName, until: Time) {
        if !self.idle.contains_key(name) {
            self.idle.insert(name.clone(), until);
            self.due.insert((until, name.clone()));
        }
    }

    /// Somebody needs this object.
    pub(super) fn use_again(&mut self, name: &ObjectName) {
        if let Some(until) = self.idle.remove(name) {
            self.due.remove(&(until, name.clone()));
        }
    }

    /// When the next idle object may be removed.
    pub(super) fn next_removal(&self) -> Option<Time> {
        self.due.first().map(|(until, _)| *until)
    }

    /// The next idle object whose time has come.
    pub(super) fn take_removal(&mut self, now: Time) -> Option<ObjectName> {
        let (_, name) = self.due.first().filter(|(until, _)| *until <= now)?.clone();
        self.use_again(&name);
        Some(name)
    }
}
