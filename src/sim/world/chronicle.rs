//! What happened to pods and PodGroups, noted as their objects change.
//!
//! Reads only what anyone who watches the API sees; asks neither the engine nor the kubelet.
//! Invariant: entries are in the order of the API's writes; binds of one instant are in plan order.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::cluster::facts::GroupSource;
use crate::engine::order::EvictCause;
use crate::sim::object::Object;

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// To whom: the pod, or the PodGroup for [`What::Group`].
    pub name: ObjectName,
    /// The PodGroup's name, or the pod's own.
    pub gang: String,
    /// What.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The pod got a node.
    Bound {
        /// Which.
        node: String,
    },
    /// The pod's containers ended.
    Ended {
        /// `Succeeded` or `Failed`.
        phase: String,
        /// `status.reason`, such as `OutOfcpu`; usually empty.
        reason: String,
    },
    /// The scheduler makes the pod leave its node.
    Evicted {
        /// Where it runs.
        node: String,
        /// `GangRestarted` and the like: the reason of the condition `DisruptionTarget`.
        reason: String,
    },
    /// The pod is told to stop.
    Leaving,
    /// The pod's object is gone.
    Gone,
    /// The pod says why it waits.
    Waits {
        /// One of the words of `WaitReason`.
        reason: String,
        /// For people.
        message: String,
    },
    /// A PodGroup's status changed.
    Group {
        /// The status in one line.
        status: String,
    },
}

/// What was last seen of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    uid: String,
    node: String,
    phase: String,
    leaving: bool,
    waits: Option<(String, String)>,
}

/// The notes.
#[derive(Debug, Default)]
pub struct Chronicle {
    pods: BTreeMap<ObjectName, Seen>,
    groups: BTreeMap<(GroupSource, ObjectName), String>,
    entries: Vec<Entry>,
    /// The plan of each entry that is a bind, by number; 0 for others.
    plans: Vec<u64>,
    /// The instant of the latest bind, the first entry of it, and its highest plan: a gang of a hundred thousand is
    /// bound in one instant, and each of its binds comes here.
    instant: Option<(Time, usize, u64)>,
    /// The plan that each pod is bound by, by uid.
    planned: BTreeMap<String, u64>,
    last_change: Option<Time>,
}

impl Chronicle {
    /// Everything noted so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// When a pod last came, went, got a node, or changed its phase.
    pub const fn last_change(&self) -> Option<Time> {
        self.last_change
    }

    /// Tells by which plan, in the order in which plans were made, the pod of this uid is about to be bound.
    pub fn plan(&mut self, uid: &str, plan: u64) {
        self.planned.insert(uid.to_owned(), plan);
    }

    /// Notes a bind. Those of one instant stand in the order of their plans, however many calls each plan takes.
    fn note_bind(&mut self, entry: Entry, plan: u64) {
        let (begin, highest) = match self.instant {
            Some((at, begin, highest)) if at == entry.at => (begin, highest),
            Some(_) | None => (self.entries.partition_point(|known| known.at < entry.at), 0),
        };
        self.instant = Some((entry.at, begin, highest.max(plan)));
        let later = if plan == 0 || plan >= highest {
            None
        } else {
            self.plans[begin..].iter().position(|other| *other > plan)
        };
        let place = later.map_or(self.entries.len(), |later| begin + later);
        self.entries.insert(place, entry);
        self.plans.insert(place, plan);
    }

    /// Notes what is new about a pod.
    pub fn pod(&mut self, now: Time, pod: &Value) {
        let name = Object(pod).object_name();
        let seen = Seen {
            uid: Object(pod).uid().to_owned(),
            node: pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
            phase: pod["status"]["phase"].as_str().unwrap_or_default().to_owned(),
            leaving: Object(pod).deleting(),
            waits: waits(pod),
        };
        let before = self.pods.get(&name).filter(|before| before.uid == seen.uid).cloned();
        if before.as_ref() == Some(&seen) {
            return;
        }
        // A new object is a change in itself; node and phase that it came with were not given to it here.
        let known = before.is_some();
        let before = before.unwrap_or_else(|| Seen {
            node: seen.node.clone(),
            phase: seen.phase.clone(),
            ..Seen::default()
        });
        let lived = |seen: &Seen| (seen.node.clone(), seen.phase.clone(), seen.leaving);
        if !known || lived(&before) != lived(&seen) {
            self.last_change = Some(now);
        }
        let gang = gang_of(pod);
        let entry = |what: What| Entry { at: now, name: name.clone(), gang: gang.clone(), what };
        if seen.node != before.node {
            let plan = self.planned.remove(&seen.uid).unwrap_or(0);
            self.note_bind(entry(What::Bound { node: seen.node.clone() }), plan);
        }
        let mut note = |what: What| {
            self.plans.push(0);
            self.entries.push(entry(what));
        };
        if seen.phase != before.phase && matches!(seen.phase.as_str(), "Succeeded" | "Failed") {
            let reason = pod["status"]["reason"].as_str().unwrap_or_default().to_owned();
            note(What::Ended { phase: seen.phase.clone(), reason });
        }
        if seen.leaving && !before.leaving {
            match eviction(pod) {
                Some(reason) => note(What::Evicted { node: seen.node.clone(), reason }),
                // What has ended already has nothing left to stop.
                None if matches!(seen.phase.as_str(), "Succeeded" | "Failed") => {}
                None => note(What::Leaving),
            }
        }
        if seen.waits != before.waits
            && let Some((reason, message)) = seen.waits.clone()
        {
            note(What::Waits { reason, message });
        }
        self.pods.insert(name, seen);
    }

    /// Notes that a pod's object is gone; `pod` is what it was last.
    pub fn pod_gone(&mut self, now: Time, pod: &Value) {
        let name = Object(pod).object_name();
        self.pods.remove(&name);
        self.last_change = Some(now);
        self.plans.push(0);
        self.entries.push(Entry { at: now, name, gang: gang_of(pod), what: What::Gone });
    }

    /// Notes what is new about a PodGroup; `source` tells which API it is of.
    pub fn group(&mut self, now: Time, source: GroupSource, group: &Value) {
        let name = Object(group).object_name();
        let status = group_status(source, group);
        let before = self.groups.insert((source, name.clone()), status.clone());
        if status.is_empty() || before.as_ref() == Some(&status) {
            return;
        }
        let gang = name.name.to_string();
        self.plans.push(0);
        self.entries.push(Entry { at: now, name, gang, what: What::Group { status } });
    }

    /// Notes that a PodGroup is gone.
    pub fn group_gone(&mut self, source: GroupSource, group: &Value) {
        self.groups.remove(&(source, Object(group).object_name()));
    }
}

/// The PodGroup that a pod names, else its own name.
pub fn gang_of(pod: &Value) -> String {
    let pod = Object(pod);
    pod.group().map_or_else(|| pod.name(), |(_, group)| group).to_owned()
}

/// Reason and message of the condition `PodScheduled`, where it does not hold.
fn waits(pod: &Value) -> Option<(String, String)> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == "PodScheduled")?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    (condition["status"] == "False").then(|| (text("reason"), text("message")))
}

/// Why the scheduler evicts a pod, where it is the scheduler who does.
fn eviction(pod: &Value) -> Option<String> {
    let causes = [EvictCause::GangAborted, EvictCause::GangRestarted];
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    let condition = conditions.find(|condition| condition["type"] == "DisruptionTarget")?;
    let reason = condition["reason"].as_str()?;
    causes.iter().find(|cause| cause.as_str() == reason).map(|cause| cause.as_str().to_owned())
}

/// A PodGroup's status in one line; empty before it has one.
fn group_status(source: GroupSource, group: &Value) -> String {
    let status = &group["status"];
    if source == GroupSource::Native {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let told = conditions.map(|condition| {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            format!("{}={} {}", text("type"), text("status"), text("reason"))
        });
        return told.collect::<Vec<_>>().join(", ");
    }
    let Some(phase) = status["phase"].as_str().filter(|phase| !phase.is_empty()) else {
        return String::new();
    };
    let count = |field: &str| status[field].as_u64().unwrap_or(0);
    let mut line = phase.to_owned();
    for field in ["running", "succeeded", "failed"] {
        if count(field) > 0 {
            line.push_str(&format!(", {} {field}", count(field)));
        }
    }
    if let Some(owner) = status["occupiedBy"].as_str().filter(|owner| !owner.is_empty()) {
        line.push_str(&format!(", occupied by {owner}"));
    }
    line
}
