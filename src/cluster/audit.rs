//! The audit: recounts the believed state from facts and placements alone and compares it with what
//! places and releases have kept current. Any difference is our bug, and a reason to stop.
//! Changes nothing. Takes time in proportion to nodes, pods, and labels, so it is for tests and for doubts.

use std::collections::BTreeMap;
use std::fmt;

use super::ids::{NodeId, ResourceId};
use super::load::Band;
use super::node_set::NodeSet;
use super::state::Cluster;
use crate::base::id::Id;
use crate::base::names::Name;
use crate::workload::scored::Counted;

/// A difference between what is kept and what a recount gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discrepancy {
    /// A node's free amount.
    Free {
        /// Which node.
        node: Name,
        /// Which resource.
        resource: Name,
        /// What is kept.
        kept: i128,
        /// What a recount gives.
        recounted: i128,
    },
    /// A node stands in the wrong bucket of the index.
    Index {
        /// Which node.
        node: Name,
        /// Which resource.
        resource: Name,
    },
    /// A set of nodes, or a label or taint index, holds the wrong nodes.
    Set {
        /// Which.
        name: String,
    },
    /// The number of pods counted on a node.
    Pods {
        /// Which node.
        node: Name,
    },
    /// What pods mean to each other.
    Relations {
        /// What of it.
        what: String,
    },
    /// What the pods on a node count as in scores.
    Counted {
        /// Which node.
        node: Name,
    },
    /// What is indexed and counted of volumes.
    Storage {
        /// What of it.
        what: &'static str,
    },
    /// The sum over all schedulable nodes.
    Sum {
        /// Which resource.
        resource: Name,
    },
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free { node, resource, kept, recounted } => {
                write!(
                    f,
                    "node {node} keeps {kept} free of {resource}, a recount gives {recounted}"
                )
            }
            Self::Index { node, resource } => {
                write!(f, "node {node} stands in the wrong bucket of {resource}")
            }
            Self::Set { name } => write!(f, "the nodes of {name} are wrong"),
            Self::Pods { node } => write!(f, "the number of pods on node {node} is wrong"),
            Self::Counted { node } => write!(f, "what the pods on node {node} count as is wrong"),
            Self::Relations { what } => write!(f, "{what} are kept otherwise than a recount gives"),
            Self::Storage { what } => write!(f, "{what} are kept otherwise than a recount gives"),
            Self::Sum { resource } => write!(f, "the sum of free {resource} is wrong"),
        }
    }
}

/// Recounts everything. Takes time in proportion to nodes, pods, labels, and kinds of resources.
///
/// # Errors
/// The first difference found.
pub fn audit(cluster: &Cluster) -> Result<(), Discrepancy> {
    let used = recount_use(cluster)?;
    let mut sums = vec![0_i128; cluster.resources().len()];
    let mut load = cluster.load().clone();
    load.catch_up();
    for (id, node) in cluster.nodes.known() {
        for resource in kinds(cluster) {
            let offered = offered(cluster, id, resource);
            let free = i128::from(offered) - used.get(&(id, resource)).copied().unwrap_or(0);
            let kept = cluster.load().exact_free(id, resource);
            let name = || cluster.resources().name(resource).clone();
            if kept != free || cluster.load().allocatable(id, resource) != offered {
                return Err(Discrepancy::Free {
                    node: node.name.clone(),
                    resource: name(),
                    kept,
                    recounted: free,
                });
            }
            let band = Band::of(cluster.load().free(id, resource));
            let expected = if cluster.node_exists(id) { band } else { Band::NONE };
            let bands = load.bands(resource).bands_from(Band::of(1));
            let mut found = bands.filter(|(_, nodes)| nodes.contains(id)).map(|(band, _)| band);
            if found.next().unwrap_or(Band::NONE) != expected || found.next().is_some() {
                return Err(Discrepancy::Index { node: node.name.clone(), resource: name() });
            }
            if cluster.is_schedulable(id) {
                sums[resource.index()] += free;
            }
        }
    }
    if let Some(resource) =
        kinds(cluster).find(|id| cluster.schedulable_free(*id) != sums[id.index()])
    {
        return Err(Discrepancy::Sum { resource: cluster.resources().name(resource).clone() });
    }
    if let Some(what) =
        super::relations::audit::difference(&cluster.relations, &cluster.asks, &cluster.pods)
    {
        return Err(Discrepancy::Relations { what });
    }
    let place = |pod| cluster.node_of(pod).map(|node| cluster.node_name(node).clone());
    if let Some(what) = super::storage::audit::difference(cluster.storage(), place) {
        return Err(Discrepancy::Storage { what });
    }
    audit_sets(cluster)
}

fn kinds(cluster: &Cluster) -> impl Iterator<Item = ResourceId> + use<> {
    (0..cluster.resources().len()).map(ResourceId::from_index)
}

fn offered(cluster: &Cluster, node: NodeId, resource: ResourceId) -> i64 {
    let name = cluster.resources().name(resource);
    let fact = cluster.nodes.get(node).fact.as_ref();
    let found = fact.and_then(|fact| fact.allocatable.iter().find(|(offered, _)| offered == name));
    found.map_or(0, |(_, amount)| *amount)
}

fn recount_use(cluster: &Cluster) -> Result<BTreeMap<(NodeId, ResourceId), i128>, Discrepancy> {
    let mut used = BTreeMap::new();
    let mut pods: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut scored: BTreeMap<NodeId, Counted> = BTreeMap::new();
    for (pod, node) in cluster.pods.placed() {
        let counted = scored.entry(node).or_default();
        *counted = counted.plus(cluster.counted_by(pod), 1);
        *pods.entry(node).or_default() += 1;
        for (resource, amount) in cluster.holding(pod) {
            *used.entry((node, *resource)).or_default() += i128::from(*amount);
        }
    }
    for (id, node) in cluster.nodes.known() {
        let counted = pods.get(&id).copied().unwrap_or(0);
        if cluster.pods_on(id).len() != counted as usize {
            return Err(Discrepancy::Pods { node: node.name.clone() });
        }
        if cluster.counted(id) != scored.get(&id).copied().unwrap_or(Counted::NONE) {
            return Err(Discrepancy::Counted { node: node.name.clone() });
        }
    }
    Ok(used)
}

fn audit_sets(cluster: &Cluster) -> Result<(), Discrepancy> {
    let nodes = &cluster.nodes;
    let wrong = |name: &str| Err(Discrepancy::Set { name: name.into() });
    let facts = || nodes.known().filter_map(|(id, node)| Some((id, node.fact.as_ref()?)));
    if *nodes.present() != facts().map(|(id, _)| id).collect() {
        return wrong("present nodes");
    }
    if *nodes.cordoned()
        != facts().filter(|(_, fact)| fact.unschedulable).map(|(id, _)| id).collect()
    {
        return wrong("cordoned nodes");
    }
    let mut taints: BTreeMap<_, NodeSet> = BTreeMap::new();
    let mut labels: BTreeMap<_, NodeSet> = BTreeMap::new();
    for (id, fact) in facts() {
        for taint in &fact.taints {
            taints.entry(taint).or_default().insert(id);
        }
        for (key, value) in &fact.labels {
            labels.entry((key, value)).or_default().insert(id);
        }
    }
    if !nodes.taints().eq(taints.iter().map(|(taint, set)| (*taint, set))) {
        return wrong("taints");
    }
    for ((key, value), expected) in labels {
        let mut indexed = NodeSet::new();
        if let Some(group) = nodes.labels().value(key, value) {
            group.add_to(&mut indexed);
        }
        if indexed != expected {
            return wrong(&format!("label {key}={value}"));
        }
    }
    Ok(())
}
