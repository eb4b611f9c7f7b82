//! One workload object and what its controller remembers of it: the view, the status last written,
//! and what a reconciliation may use. A reconciliation is idempotent: nothing changed, nothing written.
//! A write that does not show is sent again after growing pauses, for as long as it is wanted.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::children::Children;
use super::daemon_set::DaemonMemory;
use super::job::JobMemory;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::sim::object::Object;
use crate::sim::object::timestamp;
use crate::sim::write::Write;

/// After how long a patch that did not show is sent again.
const RETRY: Span = Span::seconds(5);

/// A patch under way.
#[derive(Clone, Debug)]
struct Sent {
    status: Map<String, Value>,
    again: Time,
    attempts: u32,
}

/// A write other than to the status, under way.
#[derive(Clone, Debug)]
struct Ensured {
    write: Write,
    again: Time,
    attempts: u32,
    /// Whether the last round still wanted it.
    wanted: bool,
}

/// What a controller remembers of one object beside the object itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    status: Option<Sent>,
    ensured: BTreeMap<String, Ensured>,
    /// Counts of a Job that its pods no longer tell.
    pub(super) job: JobMemory,
    /// Pods of a DaemonSet that ended.
    pub(super) daemon: DaemonMemory,
}

impl Memory {
    /// A round begins: what it does not ask for again is no longer under way.
    pub(super) fn begin_round(&mut self) {
        for ensured in self.ensured.values_mut() {
            ensured.wanted = false;
        }
    }

    /// A round has ended.
    pub(super) fn end_round(&mut self) {
        self.ensured.retain(|_, ensured| ensured.wanted);
    }
}

/// One reconciliation: the object, what belongs to it, and where writes go.
#[derive(Debug)]
pub(super) struct Round<'a> {
    pub(super) now: Time,
    pub(super) owner: Object<'a>,
    pub(super) memory: &'a mut Memory,
    pub(super) children: &'a mut Children,
    pub(super) writes: &'a mut Vec<Write>,
    /// When to reconcile again if nothing is observed before.
    pub(super) wake: Option<Time>,
}

impl Round<'_> {
    /// Asks for another round at `time` or earlier.
    pub(super) fn wake_at(&mut self, time: Time) {
        self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
    }

    /// A whole number in `spec`.
    pub(super) fn spec_count(&self, field: &str) -> Option<usize> {
        self.owner.0["spec"][field].as_u64().and_then(|count| usize::try_from(count).ok())
    }

    /// Asks for `pod`.
    pub(super) fn create(&mut self, pod: Value) {
        self.children.create(self.now, pod, self.writes);
    }

    /// Asks for the removal of these pods.
    pub(super) fn remove(&mut self, names: &[String]) {
        for name in names {
            self.children.remove(self.now, self.owner.namespace(), name, self.writes);
        }
    }

    /// Sends `write` about `subject`, unless it is under way already; sends it again if it does not show.
    /// To be called in each round in which the write is still wanted.
    pub(super) fn ensure(&mut self, subject: &str, write: Write) {
        let before = self.memory.ensured.get_mut(subject).filter(|sent| sent.write == write);
        let attempts = before.as_ref().map_or(0, |sent| sent.attempts + 1);
        if let Some(sent) = before
            && self.now < sent.again
        {
            sent.wanted = true;
            let again = sent.again;
            self.wake_at(again);
            return;
        }
        let again = self.now + Span(RETRY.0 << attempts.min(6));
        self.writes.push(write.clone());
        let ensured = Ensured { write, again, attempts, wanted: true };
        self.memory.ensured.insert(subject.to_owned(), ensured);
        self.wake_at(again);
    }

    /// The status as it is, or as it will be once the last write shows.
    pub(super) fn believed_status(&self) -> Value {
        let mut status = self.owner.0["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        for (field, value) in self.memory.status.iter().flat_map(|sent| &sent.status) {
            status[field] = value.clone();
        }
        status
    }

    /// Writes `wanted` into the status of the object at `path`, where it differs; `null` removes a field.
    pub(super) fn write_status(&mut self, path: &str, wanted: Map<String, Value>) {
        let seen = &self.owner.0["status"];
        if wanted.iter().all(|(field, value)| seen[field] == *value) {
            self.memory.status = None;
            return;
        }
        let mut attempts = 0;
        if let Some(sent) = self.memory.status.as_ref().filter(|sent| sent.status == wanted) {
            if self.now < sent.again {
                self.wake_at(sent.again);
                return;
            }
            attempts = sent.attempts + 1;
        }
        let again = self.now + Span(RETRY.0 << attempts.min(6));
        let body = json!({"metadata": {"uid": self.owner.uid()}, "status": wanted});
        self.writes.push(Write::merge(format!("{path}/status"), &body));
        self.memory.status = Some(Sent { status: wanted, again, attempts });
        self.wake_at(again);
    }
}

/// A condition as a controller wants it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// `conditions` with `wanted` in it. One that says the same already stays as it is,
/// so that writing it again changes nothing.
pub(super) fn put_condition(conditions: &mut Vec<Value>, wanted: Condition<'_>, now: Time) {
    let mut condition = json!({
        "type": wanted.kind,
        "status": wanted.status,
        "lastTransitionTime": timestamp(now),
        "reason": wanted.reason,
        "message": wanted.message,
    });
    match conditions.iter_mut().find(|one| one["type"] == wanted.kind) {
        None => conditions.push(condition),
        Some(one) => {
            let same =
                ["status", "reason", "message"].iter().all(|field| one[field] == condition[field]);
            if one["status"] == wanted.status {
                condition["lastTransitionTime"] = one["lastTransitionTime"].clone();
            }
            if !same {
                *one = condition;
            }
        }
    }
}

/// A count as the API shows it where zero is left out.
pub(super) fn positive(count: usize) -> Value {
    if count == 0 { Value::Null } else { json!(count) }
}
