//! The pods of one owner, as seen and as under way. A pod that was asked for counts as existing until it is
//! seen or the wait is over, so that an old view never makes a pod twice; a repeated creation has the same
//! name and is refused by the API.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use super::expand::COMPLETION_INDEX;
use super::failure_policy::Ending;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::sim::object::Object;
use crate::sim::write::Write;

/// After how long a write that changed nothing is sent again; doubled each time, up to 64 times this.
const RETRY: Span = Span::seconds(5);

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

/// What a controller needs to know of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) phase: Phase,
    pub(super) ready: bool,
    /// `metadata.deletionTimestamp` is set.
    pub(super) deleting: bool,
    /// Bound to a node.
    pub(super) assigned: bool,
    pub(super) created: Time,
    /// Its index in an Indexed Job.
    pub(super) index: Option<u32>,
    /// The template that it was made from, by its hash.
    pub(super) revision: String,
    /// How it ended, if it failed or is going.
    pub(super) ending: Ending,
}

impl Child {
    /// Reads a pod; `revision_label` names the label that tells its template.
    pub(super) fn of(pod: Object<'_>) -> Self {
        let phase = match pod.0["status"]["phase"].as_str().unwrap_or("") {
            "Succeeded" => Phase::Succeeded,
            "Failed" => Phase::Failed,
            "Running" => Phase::Running,
            _ => Phase::Pending,
        };
        let revision = ["pod-template-hash", "controller-revision-hash"];
        Self {
            name: pod.name().to_owned(),
            uid: pod.uid().to_owned(),
            phase,
            ready: pod.condition("Ready") == "True",
            deleting: pod.deleting(),
            assigned: pod.0["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty()),
            created: pod.created().unwrap_or_default(),
            index: pod.annotation(COMPLETION_INDEX).and_then(|index| index.parse().ok()),
            ending: if phase == Phase::Failed || pod.deleting() {
                Ending::of(pod.0)
            } else {
                Ending::default()
            },
            revision: revision.iter().find_map(|key| pod.label(key)).unwrap_or("").to_owned(),
        }
    }

    /// True once its containers have ended for good.
    pub(super) fn ended(&self) -> bool {
        match self.phase {
            Phase::Pending | Phase::Running => false,
            Phase::Succeeded | Phase::Failed => true,
        }
    }
}

/// A write under way, and when to send it again.
#[derive(Clone, Debug)]
struct UnderWay {
    write: Write,
    index: Option<u32>,
    attempts: u32,
    again: Time,
}

/// The pods of one owner.
#[derive(Clone, Debug, Default)]
pub(super) struct Children {
    seen: BTreeMap<String, Child>,
    creating: BTreeMap<String, UnderWay>,
    /// By uid: what this controller removes.
    removing: BTreeMap<String, UnderWay>,
    /// Pods that went without having ended, and that this controller did not remove.
    lost: Vec<Child>,
    /// Names are numbered from here on.
    next_number: u64,
}

impl Children {
    /// Takes in a pod as it is now.
    pub(super) fn see(&mut self, pod: &Value) {
        let child = Child::of(Object(pod));
        self.creating.remove(&child.name);
        if child.deleting {
            // The API has the wish; the object goes when its node says so.
            if let Some(removal) = self.removing.get_mut(&child.uid) {
                removal.again = Time::FAR_FUTURE;
            }
        }
        if let Some(before) = self.seen.insert(child.name.clone(), child.clone())
            && before.uid != child.uid
        {
            self.part(before);
        }
    }

    /// A pod's object is gone.
    pub(super) fn miss(&mut self, pod: Object<'_>) {
        if self.seen.get(pod.name()).is_some_and(|child| child.uid == pod.uid())
            && let Some(child) = self.seen.remove(pod.name())
        {
            self.part(child);
        }
    }

    fn part(&mut self, child: Child) {
        let removed = self.removing.remove(&child.uid).is_some();
        if !removed && !child.ended() {
            self.lost.push(child);
        }
    }

    /// Pods that went without having ended and were not removed from here, once each.
    pub(super) fn take_lost(&mut self) -> Vec<Child> {
        std::mem::take(&mut self.lost)
    }

    /// Every pod that has an object, by name.
    pub(super) fn seen(&self) -> impl Iterator<Item = &Child> {
        self.seen.values()
    }

    /// The pod `name`.
    pub(super) fn named(&self, name: &str) -> Option<&Child> {
        self.seen.get(name)
    }

    /// True if this controller has asked for the removal of `child`.
    pub(super) fn is_removed(&self, child: &Child) -> bool {
        self.removing.contains_key(&child.uid)
    }

    /// Pods that have neither ended nor are about to go.
    pub(super) fn active(&self) -> impl Iterator<Item = &Child> {
        self.seen
            .values()
            .filter(|child| !child.ended() && !child.deleting && !self.is_removed(child))
    }

    /// How many pods are asked for and not seen yet.
    pub(super) fn expected(&self) -> usize {
        self.creating.len()
    }

    /// The completion indexes of pods that are asked for and not seen yet.
    pub(super) fn expected_indexes(&self) -> BTreeSet<u32> {
        self.creating.values().filter_map(|creation| creation.index).collect()
    }

    /// True if a pod `name` has an object or is asked for.
    pub(super) fn taken(&self, name: &str) -> bool {
        self.seen.contains_key(name) || self.creating.contains_key(name)
    }

    /// The first name that `make` gives for a number not used before, and that is free.
    pub(super) fn free_name(&mut self, make: impl Fn(u64) -> String) -> String {
        loop {
            let name = make(self.next_number);
            self.next_number += 1;
            if !self.taken(&name) {
                return name;
            }
        }
    }

    /// Asks for `pod`.
    pub(super) fn create(&mut self, now: Time, pod: Value, writes: &mut Vec<Write>) {
        let object = Object(&pod);
        let index = object.annotation(COMPLETION_INDEX).and_then(|index| index.parse().ok());
        let name = object.name().to_owned();
        let write = Write::create(format!("/api/v1/namespaces/{}/pods", object.namespace()), &pod);
        writes.push(write.clone());
        self.creating.insert(name, UnderWay { write, index, attempts: 0, again: now + RETRY });
    }

    /// Asks for the removal of the pod `name` of `namespace`.
    pub(super) fn remove(
        &mut self,
        now: Time,
        namespace: &str,
        name: &str,
        writes: &mut Vec<Write>,
    ) {
        let Some(child) = self.seen.get(name) else { return };
        if self.removing.contains_key(&child.uid) {
            return;
        }
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        let write = Write::delete(path, &child.uid, None);
        writes.push(write.clone());
        let removal = UnderWay { write, index: child.index, attempts: 0, again: now + RETRY };
        self.removing.insert(child.uid.clone(), removal);
    }

    /// Sends again what has not shown in time.
    pub(super) fn repeat(&mut self, now: Time, writes: &mut Vec<Write>) {
        for pending in self.creating.values_mut().chain(self.removing.values_mut()) {
            if pending.again <= now {
                pending.attempts += 1;
                pending.again = now + Span(RETRY.0 << pending.attempts.min(6));
                writes.push(pending.write.clone());
            }
        }
    }

    /// When [`Self::repeat`] has something to send.
    pub(super) fn wakeup(&self) -> Option<Time> {
        let pending = self.creating.values().chain(self.removing.values());
        pending.map(|pending| pending.again).filter(|again| *again < Time::FAR_FUTURE).min()
    }

    /// True if nothing is known here any more.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.creating.is_empty()
    }
}
