//! A node object as a fact: name, labels, taints, cordon, and what it offers.
//! What cannot be used is left out and named: nothing is placed on what nobody can count.
//! Reads no conditions: as in kube-scheduler, what keeps pods away from a node in trouble is its taints.

use std::collections::BTreeMap;

use super::Scores;
use super::amounts;
use super::objects::NodeObject;
use super::objects::TaintObject;
use super::pod::pairs;
use super::pod::taint_effect;
use super::read::Read;
use super::shelves::Shelves;
use crate::base::names::Name;
use crate::cluster::facts::NodeFact;
use crate::workload::constraints::Taint;

/// The fact of a node object, and what of the object could not be used.
/// A resource whose quantity does not parse is left out: nothing is placed on what nobody can count.
pub(super) fn fact(
    read: &Read<NodeObject>,
    shelves: &mut Shelves,
    scores: Scores,
) -> (NodeFact, Vec<String>) {
    let node = &read.object;
    let mut problems = read.problems.clone();
    let (field, list) = match &node.status.allocatable {
        Some(list) => ("status.allocatable", list),
        // The API server fills allocatable in so where a node reports only its capacity.
        None => ("status.capacity", &node.status.capacity),
    };
    let allocatable = amounts::listed(field, list, shelves, &mut problems);
    if allocatable.is_empty() {
        problems.push(
            "status.allocatable: empty, so no pod fits here; wait for the kubelet to report it, or write cpu, memory, and pods"
                .to_owned(),
        );
    }
    let taints = node
        .spec
        .taints
        .iter()
        .filter_map(|written| taint(written, shelves, &mut problems))
        .collect();
    let mut features: Vec<Name> =
        node.status.declared_features.iter().map(|name| shelves.name(name)).collect();
    features.sort();
    let fact = NodeFact {
        name: shelves.name(&node.metadata.name),
        uid: node.metadata.uid.as_str().into(),
        labels: pairs(&node.metadata.labels, shelves),
        taints,
        unschedulable: node.spec.unschedulable,
        features,
        images: match scores {
            Scores::Read => images(node, shelves),
            Scores::Unread => Vec::new(),
        },
        allocatable,
    };
    (fact, problems)
}

/// By name, each once: the size that stands last.
fn images(node: &NodeObject, shelves: &mut Shelves) -> Vec<(Name, i64)> {
    let mut sizes: BTreeMap<&str, i64> = BTreeMap::new();
    for image in &node.status.images {
        sizes.extend(image.names.iter().map(|name| (name.as_str(), image.size_bytes)));
    }
    sizes.into_iter().map(|(name, size)| (shelves.name(name), size)).collect()
}

fn taint(
    written: &TaintObject,
    shelves: &mut Shelves,
    problems: &mut Vec<String>,
) -> Option<Taint> {
    let Some(effect) = taint_effect(&written.effect) else {
        problems.push(format!(
            "spec.taints[{}].effect: \"{}\" does not exist and keeps no pod away; \
             write NoSchedule, PreferNoSchedule, or NoExecute",
            written.key, written.effect
        ));
        return None;
    };
    Some(Taint { key: shelves.name(&written.key), value: shelves.name(&written.value), effect })
}
