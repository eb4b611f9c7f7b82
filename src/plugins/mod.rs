//! Floor 4: the rules. One rule per file: what it filters, how it scores, and which change may turn its "no".
//! Rules are pure: an ask and columns in, node sets and numbers out. They never see gangs or plans.
//! Adding a rule is a file, its `mod` line, and its row in [`REGISTRY`].

use std::borrow::Cow;

use crate::cluster::Cluster;
use crate::cluster::asks::InternedAsk;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::NodeId;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nodes::Nodes;
use crate::workload::ask::Ask;

pub mod gpu_packing;
pub mod image_locality;
pub mod inter_pod_affinity;
pub mod node_affinity;
pub mod node_declared_features;
pub mod node_ports;
pub mod node_quarantine;
pub mod node_resources_balanced_allocation;
pub mod node_resources_fit;
pub mod node_unschedulable;
pub mod node_volume_limits;
pub mod pod_topology_spread;
pub mod taint_toleration;
pub mod unsupported;
pub mod volume_binding;
pub mod volume_restrictions;
pub mod volume_zone;

pub mod census;
pub mod cures;
pub mod points;
pub mod relation;
pub mod verdict;
pub mod weighing;

use self::cures::Cures;
use self::points::Points;
use self::relation::{Judge, Newcomer, Stranger};

/// Every rule, in the order in which kube-scheduler runs its filters: of a node that several rules
/// reject, the first one gives the reason. Scores add up; their scales rank the rules that score.
pub const REGISTRY: &[Rule] = &[
    unsupported::RULE,
    node_affinity::CONFLICT,
    node_affinity::NAMED,
    node_unschedulable::RULE,
    taint_toleration::RULE,
    node_affinity::ENFORCED,
    node_affinity::RULE,
    node_quarantine::RULE,
    node_ports::RULE,
    node_resources_fit::RULE,
    volume_restrictions::RULE,
    node_volume_limits::RULE,
    volume_binding::RULE,
    volume_zone::RULE,
    pod_topology_spread::RULE,
    inter_pod_affinity::RULE,
    node_declared_features::RULE,
    gpu_packing::RULE,
];

/// A row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// kube-scheduler's name of the plugin where it has the same one. A plugin that rejects before it looks at
    /// nodes, and again for each node, has a row for each.
    pub name: &'static str,
    /// Which nodes it rejects.
    pub filter: Filter,
    /// How it ranks the others by their objects. Ranking by load is [`gpu_packing::rank`].
    pub score: Option<fn(&Ask, &Nodes, &mut Points<'_>)>,
    /// What may turn its rejection.
    pub cured_by: Cures,
}

/// What a rule's filter needs to know.
#[derive(Clone, Copy, Debug)]
pub enum Filter {
    /// Rejects nothing.
    Nothing,
    /// The ask alone: what is wrong with it, empty if nothing.
    Ask(fn(&Ask) -> &[crate::base::names::Name]),
    /// The ask and node objects. Evaluated once per constraint, over sets.
    Objects {
        /// Takes the nodes that it rejects out of the set.
        retain: fn(&Ask, &Nodes, &mut NodeSet),
        /// The same verdict for one node.
        admits: fn(&Ask, &NodeFact) -> bool,
        /// Why, in kube-scheduler's words.
        reason: &'static str,
    },
    /// What nodes have left. Read from the load index, never cached.
    Load {
        /// Takes the nodes without room for one pod out of the set.
        retain: fn(&InternedAsk, &Cluster, &mut NodeSet),
    },
    /// What other pods mean to one more pod: to place one changes the verdict on the next, so that each is
    /// judged on a draft beside those before it, and only asks that have such a relation pay.
    Relation(&'static dyn Judge),
}

/// The rules that hold for `ask`: all but those that its profile turns off.
pub fn rules(ask: &Ask) -> impl Iterator<Item = &'static Rule> {
    REGISTRY.iter().filter(|rule| !ask.turns_off(rule.name))
}

/// True if all rules on node objects allow `ask` on the node.
pub fn admits(ask: &Ask, fact: &NodeFact) -> bool {
    rules(ask).all(|rule| match rule.filter {
        Filter::Nothing | Filter::Load { .. } | Filter::Relation(_) => true,
        Filter::Ask(faults) => faults(ask).is_empty(),
        Filter::Objects { admits, .. } => admits(ask, fact),
    })
}

/// True if all rules about other pods allow the newcomer on the node.
pub fn admits_beside(newcomer: &Newcomer<'_>, node: NodeId) -> bool {
    rules(&newcomer.ask.ask).all(|rule| match rule.filter {
        Filter::Relation(judge) => judge.admits(newcomer, node),
        Filter::Nothing | Filter::Ask(_) | Filter::Objects { .. } | Filter::Load { .. } => true,
    })
}

/// True if a rule about other pods keeps the stranger off the node, whoever of its gang is placed first.
pub fn ruled_out(stranger: &Stranger<'_>, node: NodeId) -> bool {
    rules(stranger.cluster.ask(stranger.ask)).any(|rule| match rule.filter {
        Filter::Relation(judge) => judge.rules_out(stranger, node),
        Filter::Nothing | Filter::Ask(_) | Filter::Objects { .. } | Filter::Load { .. } => false,
    })
}

/// What keeps the newcomer from every node, and the rule that says so: kube-scheduler notices it before it looks at any
/// node, in the order of the rules.
pub fn fault(newcomer: &Newcomer<'_>) -> Option<(&'static Rule, Cow<'static, str>)> {
    let ask = &newcomer.ask.ask;
    // That, too, is noticed before any node, and earlier.
    if node_affinity::is_contradictory(ask) && !ask.turns_off(node_affinity::RULE.name) {
        return None;
    }
    rules(ask).find_map(|rule| match rule.filter {
        Filter::Relation(judge) => judge.fault(newcomer).map(|fault| (rule, fault)),
        Filter::Nothing | Filter::Ask(_) | Filter::Objects { .. } | Filter::Load { .. } => None,
    })
}

/// Points for what other pods are worth to the newcomer, node by node; all `nodes` admit it.
pub fn points_beside(newcomer: &Newcomer<'_>, nodes: &[NodeId]) -> Vec<i64> {
    let mut points = vec![0; nodes.len()];
    for rule in REGISTRY {
        match rule.filter {
            Filter::Relation(judge) => judge.score(newcomer, nodes, &mut points),
            Filter::Nothing | Filter::Ask(_) | Filter::Objects { .. } | Filter::Load { .. } => {}
        }
    }
    points
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use super::{Filter, REGISTRY};

    #[test]
    fn names_and_reasons_are_unique() {
        let reason = |filter: Filter| match filter {
            Filter::Objects { reason, .. } => reason,
            Filter::Nothing | Filter::Ask(_) | Filter::Load { .. } | Filter::Relation(_) => "",
        };
        let mut rows: Vec<_> =
            REGISTRY.iter().map(|rule| (rule.name, reason(rule.filter))).collect();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), REGISTRY.len());
    }
}
