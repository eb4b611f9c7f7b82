//! What pods say about why they wait is said in time and does not contradict the truth.
//! Reads conditions as people do: reason and message; knows none of the sentences that the engine makes.
//! A word that is not on the list of reasons is a broken promise, since nobody could look it up.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Snapshot, Violation, group_key, has_ended, is_leaving, node_of};
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::cluster::facts::GroupSource;
use crate::sim::object::Object;

/// The reasons that the condition may give; anything else is a word nobody can look up.
const REASONS: [&str; 9] = [
    "Unschedulable",
    "WaitingForMembers",
    "WaitingForTurn",
    "WaitingForVictims",
    "WaitingForVolumes",
    "SchedulingGated",
    "InvalidGang",
    "Unsupported",
    "GangAborted",
];

/// What is remembered of waiting gangs.
#[derive(Debug)]
pub(super) struct Words {
    silent_for: Span,
    /// Since when no waiting pod of a gang says why: a gang is a group, or a pod without one.
    silent_since: BTreeMap<(Option<GroupSource>, ObjectName), Time>,
}

/// The condition `PodScheduled`, where it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// What `pod` says about why it has no node.
pub(super) fn said(pod: &Value) -> Option<Said<'_>> {
    let condition = scheduled_condition(pod)?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default();
    (text("status") == "False").then(|| Said { reason: text("reason"), message: text("message") })
}

fn scheduled_condition(pod: &Value) -> Option<&Value> {
    super::request::list(&pod["status"]["conditions"])
        .find(|condition| condition["type"] == "PodScheduled")
}

impl Words {
    pub(super) const fn new(silent_for: Span) -> Self {
        Self { silent_for, silent_since: BTreeMap::new() }
    }

    pub(super) fn inspect(
        &mut self,
        now: Time,
        snapshot: &Snapshot,
        scheduler_names: &[String],
        violations: &mut Vec<Violation>,
    ) {
        let mut waiting: BTreeMap<(Option<GroupSource>, ObjectName), Vec<&Value>> = BTreeMap::new();
        for pod in snapshot.pods() {
            let name = Object(pod).object_name();
            let condition = scheduled_condition(pod).map(|condition| condition["status"].as_str());
            let bound = node_of(pod).is_some();
            if bound == (condition == Some(Some("False"))) && condition.is_some() {
                violations.push(Violation(format!(
                    "pod {name} has {} and says PodScheduled={}",
                    if bound { "a node" } else { "no node" },
                    condition.flatten().unwrap_or_default()
                )));
            }
            if let Some(said) = said(pod)
                && (!REASONS.contains(&said.reason) || said.message.is_empty())
            {
                violations.push(Violation(format!(
                    "pod {name} gives as reason {:?} with message {:?}",
                    said.reason, said.message
                )));
            }
            let scheduler = pod["spec"]["schedulerName"].as_str().unwrap_or_default();
            let ours = scheduler_names.iter().any(|known| known == scheduler);
            if ours && !bound && !has_ended(pod) && !is_leaving(pod) {
                let gang =
                    group_key(pod).map_or((None, name), |(source, group)| (Some(source), group));
                waiting.entry(gang).or_default().push(pod);
            }
        }
        waiting.retain(|_, pods| pods.iter().all(|pod| said(pod).is_none()));
        self.silent_since.retain(|gang, _| waiting.contains_key(gang));
        for gang in waiting.into_keys() {
            let since = *self.silent_since.entry(gang.clone()).or_insert(now);
            if now - since > self.silent_for {
                violations.push(Violation(format!(
                    "gang {} has waited {} and says nothing",
                    gang.1,
                    now - since
                )));
            }
        }
    }
}
