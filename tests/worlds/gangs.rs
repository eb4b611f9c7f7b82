//! One gang as its PodGroup and the record of its plan show it, and what is promised of both, written by itself from
//! the description of the protocol: phases only go forward, binds follow a decided plan, what is undone stays undone.
//! Knows no state machine and no scheduler.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use muster::base::names::ObjectName;
use muster::cluster::facts::CommitMark;
use muster::engine::record::RecordPhase;
use muster::kubernetes::translate::COMMIT_ANNOTATION;
use muster::kubernetes::translate::record_of;
use serde_json::Value;

use crate::judge::epoch_of;
use crate::judge::lives;
use crate::judge::node_of;

/// A plan that was written down.
#[derive(Clone, Debug)]
struct Plan {
    group_uid: String,
    mark: CommitMark,
    /// Nodes by the uids of members.
    members: BTreeMap<String, String>,
    /// Whether its PodGroup carried its mark while the record proposed it.
    decided: bool,
}

/// A record as seen last.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    uid: String,
    pub(crate) mark: CommitMark,
    pub(crate) phase: RecordPhase,
    members: BTreeMap<String, String>,
}

/// A gang.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gang {
    /// Its PodGroup, while there is one.
    pub(crate) group: Option<Arc<Value>>,
    /// Its record, while there is one.
    pub(crate) record: Option<Record>,
    /// Whether its minimum, as it was then, was bound at one time.
    pub(crate) started: bool,
    /// Whether a person has changed or deleted its record.
    pub(crate) meddled: bool,
    /// Whether somebody else has bound a member.
    pub(crate) strangers: bool,
    /// Members that were bound at one time, by uid.
    pub(crate) ever_bound: BTreeSet<String>,
    /// Members that have ended well, by uid.
    pub(crate) ended_well: BTreeSet<String>,
    plans: Vec<Plan>,
    /// The least minimum that its PodGroup ever had.
    lowest: Option<u64>,
    /// The highest epoch that was undone, by the uid of the PodGroup.
    undone: BTreeMap<String, u32>,
}

/// How many members a group needs together; none where each is on its own.
fn minimum_of(group: &Value) -> Option<u64> {
    let spec = &group["spec"];
    let native = spec["schedulingPolicy"]["gang"]["minCount"].as_u64();
    native.or_else(|| spec["minMember"].as_u64())
}

fn mark_of(group: &Value) -> Option<CommitMark> {
    group["metadata"]["annotations"][COMMIT_ANNOTATION].as_str()?.parse().ok()
}

impl Gang {
    /// How many members it needs now; none while it has no PodGroup.
    pub(crate) fn minimum(&self) -> Option<u64> {
        self.group.as_ref().map(|group| minimum_of(group).unwrap_or(0))
    }

    /// The least that it ever needed.
    pub(crate) fn lowest_minimum(&self) -> u64 {
        self.lowest.unwrap_or(0)
    }

    /// True if its minimum was bound, though perhaps never at one time: that one was lost may not be known at once.
    fn began(&self) -> bool {
        self.started || self.ever_bound.len() as u64 >= self.lowest_minimum()
    }

    /// Its PodGroup is gone.
    pub(crate) fn group_gone(&mut self) {
        self.group = None;
    }

    /// Its PodGroup says this now; so many members are bound, and these live.
    pub(crate) fn group_seen(
        &mut self,
        group: Arc<Value>,
        living: &BTreeSet<String>,
        counted: u64,
    ) -> Result<(), String> {
        let minimum = minimum_of(&group).unwrap_or(0);
        self.lowest = Some(self.lowest.map_or(minimum, |lowest| lowest.min(minimum)));
        let before = self.group.as_deref().and_then(mark_of);
        let mark = mark_of(&group);
        let says = status_claims_start(&group);
        self.group = Some(group);
        if counted >= minimum {
            self.started = true;
        }
        if says && !self.began() {
            return Err("its status says that it was scheduled, and it never was".to_owned());
        }
        if mark == before {
            return Ok(());
        }
        let Some(mark) = mark else { return Ok(()) };
        self.decided(mark, living, minimum)
    }

    /// The plan of this mark was decided, if it is the one that is proposed.
    fn decided(
        &mut self,
        mark: CommitMark,
        living: &BTreeSet<String>,
        minimum: u64,
    ) -> Result<(), String> {
        let proposed = self
            .record
            .as_ref()
            .is_some_and(|record| record.mark == mark && record.phase == RecordPhase::Proposed);
        if !proposed {
            return Ok(());
        }
        let Some(plan) = self.plans.iter_mut().rev().find(|plan| plan.mark == mark) else {
            return Ok(());
        };
        plan.decided = true;
        let others = living.iter().filter(|uid| !plan.members.contains_key(*uid)).count();
        let holds = plan.members.len() + others + self.ended_well.len();
        if (holds as u64) < minimum {
            return Err(format!("a plan for {holds} members was decided, {minimum} are needed"));
        }
        Ok(())
    }

    /// Its record says this now; these are its members.
    pub(crate) fn record_seen(
        &mut self,
        object: &Value,
        pods: &[Arc<Value>],
    ) -> Result<(), String> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let fact = record_of(object, &ObjectName::new(text("namespace"), text("name")));
        let members: BTreeMap<String, String> = fact
            .members
            .iter()
            .map(|member| (member.uid.to_string(), member.node.to_string()))
            .collect();
        let record =
            Record { uid: fact.uid.to_string(), mark: fact.mark, phase: fact.phase, members };
        let before = self.record.replace(record.clone());
        let before = before.filter(|before| before.uid == record.uid);
        if let Some(before) = &before {
            forward(before, &record)?;
        }
        let is_new = before.is_none_or(|before| before.mark != record.mark);
        let group_uid = fact.group_uid.to_string();
        if is_new {
            self.plans.push(Plan {
                group_uid: group_uid.clone(),
                mark: record.mark,
                members: record.members.clone(),
                decided: false,
            });
        }
        match record.phase {
            RecordPhase::Proposed | RecordPhase::Aborting => Ok(()),
            RecordPhase::Bound if self.meddled => Ok(()),
            RecordPhase::Bound => all_bound(&record, pods),
            RecordPhase::Aborted => {
                let undone = self.undone.entry(group_uid).or_default();
                *undone = record.mark.epoch.max(*undone);
                if self.meddled { Ok(()) } else { none_bound(&record, pods) }
            }
        }
    }

    /// Whether a member may be bound to a node by a plan.
    pub(crate) fn may_bind(
        &self,
        uid: &str,
        node: &str,
        (epoch, late): (u32, bool),
    ) -> Result<(), String> {
        let said = |plan: &&Plan| plan.mark.epoch == epoch && plan.members.contains_key(uid);
        let mut plans = self.plans.iter().filter(said).peekable();
        if late {
            // A member may have failed before the last was bound: then no instant shows them all.
            let all_were = |plan: &Plan| {
                plan.decided && plan.members.keys().all(|uid| self.ever_bound.contains(uid))
            };
            return if self.started || self.meddled || self.plans.iter().any(all_were) {
                Ok(())
            } else {
                Err("late, before it began".to_owned())
            };
        }
        // One that is enough is bound by itself, whatever a plan says that was never decided.
        let is_alone = self.lowest_minimum() <= 1;
        let alone = |why: &str| if is_alone { Ok(()) } else { Err(why.to_owned()) };
        if plans.peek().is_none() {
            return alone("no record has it");
        }
        let right: Vec<&Plan> = plans.filter(|plan| plan.members[uid] == node).collect();
        // Plans of a PodGroup that was deleted and made again count their epochs anew.
        let decided = right.iter().find(|plan| plan.decided);
        let Some(plan) = decided.or(right.first().filter(|_| self.meddled)) else {
            return alone("no record that was decided has it there");
        };
        if self.undone.get(&plan.group_uid).is_some_and(|undone| *undone >= epoch) {
            return Err("it was undone before".to_owned());
        }
        Ok(())
    }
}

/// Phases and epochs go forward, and within an epoch only the phase changes.
fn forward(before: &Record, now: &Record) -> Result<(), String> {
    let place = |record: &Record| (record.mark.epoch, record.phase);
    if place(now) < place(before) {
        return Err(format!("went back from {:?} to {:?}", place(before), place(now)));
    }
    let same = before.mark == now.mark && before.members == now.members;
    if before.mark.epoch == now.mark.epoch && !same {
        return Err(format!("plan {} changed what it says", now.mark.epoch));
    }
    let skipped = before.phase == RecordPhase::Bound && now.phase != RecordPhase::Bound;
    if before.mark.epoch == now.mark.epoch && skipped {
        return Err(format!("plan {} was bound, and then undone", now.mark.epoch));
    }
    Ok(())
}

/// A record that says Bound is right about every member that lives.
fn all_bound(record: &Record, pods: &[Arc<Value>]) -> Result<(), String> {
    for pod in pods.iter().filter(|pod| lives(pod)) {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        let Some(planned) = record.members.get(uid) else { continue };
        if node_of(pod) != Some(planned) {
            return Err(format!(
                "it says Bound, and {} is on {:?} instead of {planned}",
                pod["metadata"]["name"],
                node_of(pod)
            ));
        }
    }
    Ok(())
}

/// Nothing that lives was bound by a plan that is undone, or by one before.
fn none_bound(record: &Record, pods: &[Arc<Value>]) -> Result<(), String> {
    let left = pods.iter().filter(|pod| lives(pod) && node_of(pod).is_some());
    for pod in left {
        if epoch_of(pod).is_some_and(|epoch| epoch <= record.mark.epoch) {
            return Err(format!("it says Aborted, and {} lives", pod["metadata"]["name"]));
        }
    }
    Ok(())
}

/// True if the status says that the minimum is or was bound.
fn status_claims_start(group: &Value) -> bool {
    let conditions = group["status"]["conditions"].as_array();
    let scheduled = conditions.into_iter().flatten().any(|condition| {
        condition["type"] == "PodGroupInitiallyScheduled" && condition["status"] == "True"
    });
    scheduled || group["status"]["phase"] == "Running"
}
