//! Gangs are bound whole or not at all, and none waits that would fit.
//! Reads PodGroups and pods as the API shows them; knows no plan, no commitment, and no seat.
//! What it remembers between two looks: which groups had their minimum, and since when one is bound in part.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    GroupKey, Snapshot, Violation, fit, group_key, has_ended, is_leaving, loads, node_of, seats,
    words,
};
use crate::base::time::{Span, Time};
use crate::cluster::facts::GroupSource;
use crate::sim::object::Object;

/// What is remembered of gangs.
#[derive(Debug)]
pub(super) struct Gangs {
    partial_for: Span,
    /// Groups (by uid) whose minimum was bound once: their replacements come one by one.
    started: BTreeSet<String>,
    /// Groups that are bound in part, since when.
    partial_since: BTreeMap<GroupKey, Time>,
}

/// The members of a group by what they do.
#[derive(Clone, Debug, Default)]
struct Muster<'a> {
    /// Bound and alive, or finished well.
    counted: usize,
    /// Unbound and free to be bound.
    ready: Vec<&'a Value>,
}

impl Gangs {
    pub(super) const fn new(partial_for: Span) -> Self {
        Self { partial_for, started: BTreeSet::new(), partial_since: BTreeMap::new() }
    }

    /// Every gang that got members has its minimum, or has had it before.
    pub(super) fn inspect(
        &mut self,
        now: Time,
        snapshot: &Snapshot,
        fresh: &[&Value],
        violations: &mut Vec<Violation>,
    ) {
        let groups = groups(snapshot);
        let musters = musters(snapshot);
        for (key, group) in &groups {
            // Whom a kubelet turned away in the instant of its bind was bound with the others.
            let rejected = fresh.iter().filter(|pod| {
                pod["status"]["phase"] == "Failed" && group_key(pod).as_ref() == Some(key)
            });
            let counted = musters.get(key).map_or(0, |muster| muster.counted) + rejected.count();
            if counted > 0 && counted >= minimum(key, group) {
                self.started.insert(Object(group).uid().to_owned());
            }
        }
        for pod in fresh {
            let Some(key) = group_key(pod) else {
                continue;
            };
            if groups.contains_key(&key) {
                self.partial_since.entry(key).or_insert(now);
            } else {
                violations.push(Violation(format!(
                    "pod {} was bound although its PodGroup {} does not exist",
                    Object(pod).object_name(),
                    key.1
                )));
            }
        }
        let under_way: Vec<(GroupKey, Time)> =
            self.partial_since.iter().map(|(key, since)| (key.clone(), *since)).collect();
        for (key, since) in under_way {
            let (Some(group), Some(muster)) = (groups.get(&key), musters.get(&key)) else {
                self.partial_since.remove(&key);
                continue;
            };
            let uid = Object(group).uid();
            let minimum = minimum(&key, group);
            if self.started.contains(uid) {
                self.partial_since.remove(&key);
            } else if muster.counted + muster.ready.len() < minimum || muster.counted == 0 {
                // Members left while it was bound: nobody could have completed it, or nothing is bound any more.
                continue;
            } else if now - since >= self.partial_for {
                violations.push(Violation(format!(
                    "gang {} is bound in part since {since:?}: {} of {minimum}, {} more could be bound",
                    key.1,
                    muster.counted,
                    muster.ready.len()
                )));
            }
        }
    }

    /// No gang of equal members is called unschedulable although its minimum fits.
    pub(super) fn conclude(&self, snapshot: &Snapshot, violations: &mut Vec<Violation>) {
        let loads = loads(snapshot.pods());
        let musters = musters(snapshot);
        for (key, group) in groups(snapshot) {
            let Some(muster) = musters.get(&key) else {
                continue;
            };
            let called_unschedulable =
                |pod: &Value| words::said(pod).map(|said| said.reason) == Some("Unschedulable");
            let Some(first) = muster.ready.first().filter(|pod| called_unschedulable(pod)) else {
                continue;
            };
            let equal = muster.ready.iter().all(|pod| wishes(pod) == wishes(first));
            let has_floor =
                group["spec"]["minResources"].as_object().is_some_and(|floor| !floor.is_empty());
            if !equal || has_floor || fit::depends_on_others(first, snapshot) {
                continue;
            }
            // Beyond the minimum, a single member that fits must not wait either.
            let missing = minimum(&key, group).saturating_sub(muster.counted).max(1);
            let free: i64 = snapshot.nodes().map(|node| seats(first, node, &loads)).sum();
            if usize::try_from(free).unwrap_or(0) >= missing {
                violations.push(Violation(format!(
                    "gang {} is called unschedulable and fits: {missing} seats are wanted, {free} are free",
                    key.1
                )));
            }
        }
    }
}

/// What makes two members equal for placement.
fn wishes(pod: &Value) -> [&Value; 9] {
    let spec = &pod["spec"];
    [
        &spec["containers"],
        &spec["initContainers"],
        &spec["resources"],
        &spec["overhead"],
        &spec["nodeSelector"],
        &spec["affinity"],
        &spec["tolerations"],
        &spec["topologySpreadConstraints"],
        &spec["volumes"],
    ]
}

/// How many members must be bound together; 1 where the group names no number.
fn minimum(key: &GroupKey, group: &Value) -> usize {
    let spec = &group["spec"];
    let written = if key.0 == GroupSource::Native {
        &spec["schedulingPolicy"]["gang"]["minCount"]
    } else {
        &spec["minMember"]
    };
    written.as_u64().and_then(|minimum| usize::try_from(minimum).ok()).unwrap_or(1)
}

/// All groups.
fn groups(snapshot: &Snapshot) -> BTreeMap<GroupKey, &Value> {
    let sources = [
        (GroupSource::Coscheduling, &snapshot.labelled_groups),
        (GroupSource::Native, &snapshot.native_groups),
    ];
    let keyed = sources.into_iter().flat_map(|(source, groups)| {
        groups.iter().map(move |group| ((source, Object(group).object_name()), &**group))
    });
    keyed.collect()
}

/// The members of every group.
fn musters(snapshot: &Snapshot) -> BTreeMap<GroupKey, Muster<'_>> {
    let mut musters: BTreeMap<GroupKey, Muster<'_>> = BTreeMap::new();
    for pod in snapshot.pods() {
        let Some(key) = group_key(pod) else {
            continue;
        };
        let muster = musters.entry(key).or_default();
        let gated = super::request::list(&pod["spec"]["schedulingGates"]).next().is_some();
        let ended_well = pod["status"]["phase"] == "Succeeded";
        let alive = !has_ended(pod) && !is_leaving(pod);
        if ended_well || (alive && node_of(pod).is_some()) {
            muster.counted += 1;
        } else if alive && !gated {
            muster.ready.push(pod);
        }
    }
    musters
}
