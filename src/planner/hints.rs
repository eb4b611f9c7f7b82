//! Queueing hints: whether a change of the cluster could help a demand that was refused, told without a search.
//! Knows one change and the cluster after it, no line and no turn.
//! Invariant: where a search would find more room than before, the hint says yes; it may say yes too often.

use super::decide::Planner;
use super::diagnose;
use crate::cluster::Cluster;
use crate::cluster::change::Changes;
use crate::cluster::ids::{AskId, NodeId, SignatureId};
use crate::plugins::census::{Census, Waiting};
use crate::plugins::relation::{Newcomer, Stranger, is_related};
use crate::plugins::{self, node_resources_fit, pod_topology_spread};

/// Whether a pod is placed with others that may make room for it.
#[derive(Clone, Copy, Debug)]
pub enum Company<'a> {
    /// It is placed alone, beside what the census of it counts.
    Alone(&'a Census),
    /// It is placed in a gang of these kinds, its own among them.
    Gang {
        /// The kinds.
        kinds: &'a [(AskId, SignatureId)],
        /// What [`Planner::hopes`] says of them.
        hopes: &'a Hopes,
    },
}

/// What the members of a gang could make of its spread constraints.
#[derive(Clone, Debug)]
pub enum Hopes {
    /// It has none, or not all members are bound by them.
    Unneeded,
    /// Counts by domain, role by role, the least of each as high as members could lift it.
    Some(Census),
    /// Even so a constraint keeps it below what it needs, wherever there is room now.
    Lost,
}

impl Planner {
    /// True if `changes` could let one more member with `ask` fit: the queueing hint. Every placement
    /// that becomes possible by a change needs room for a member on the node that changed.
    pub fn could_help(&self, cluster: &Cluster, changes: &Changes, ask: AskId) -> bool {
        let Some(node) = changes.node.filter(|_| !changes.is_none()) else { return false };
        let interned = cluster.interned(ask);
        let objects = changes.added || changes.labels || changes.taints || changes.uncordoned;
        let touched =
            || interned.looked_for.iter().any(|(resource, _)| changes.grew.may_contain(*resource));
        (objects || touched())
            && cluster.node_exists(node)
            && node_resources_fit::fits(interned, cluster, node)
            && self.admits(cluster, ask, node)
    }

    /// What the members of a gang could make of its spread constraints, where all are bound by them. The cluster's domains
    /// must be fresh.
    pub fn hopes(
        &self,
        cluster: &Cluster,
        kinds: &[(AskId, SignatureId)],
        waiting: Waiting<'_>,
    ) -> Hopes {
        let wants = |(ask, _): &(AskId, _)| cluster.relations().wants(*ask);
        let is_free =
            |(ask, _): &(AskId, _)| cluster.ask(*ask).turns_off(pod_topology_spread::RULE.name);
        if kinds.iter().any(is_free)
            || !kinds.iter().filter_map(wants).any(|wants| !wants.spread.is_empty())
        {
            return Hopes::Unneeded;
        }
        let mut census = Census::take(cluster, kinds);
        let is_enough = census.lift(cluster, waiting, |kind, node| {
            let (ask, _) = kinds[kind];
            match self.admits(cluster, ask, node) {
                true => node_resources_fit::seats(cluster.interned(ask), cluster, node),
                false => 0,
            }
        });
        if is_enough { Hopes::Some(census) } else { Hopes::Lost }
    }

    /// True if rules about other pods keep a pod off `node` whatever is free there, and whoever of its gang is placed
    /// first. The cluster's domains must be fresh.
    pub fn is_ruled_out(
        &self,
        cluster: &Cluster,
        (ask, signature): (AskId, SignatureId),
        node: NodeId,
        company: Company<'_>,
    ) -> bool {
        if !is_related(cluster, ask, signature) {
            return false;
        }
        match company {
            Company::Gang { kinds, hopes } => {
                let hopes = match hopes {
                    Hopes::Unneeded => None,
                    Hopes::Some(census) => Some(census),
                    Hopes::Lost => return true,
                };
                let stranger = Stranger { cluster, ask, signature, company: kinds, hopes };
                plugins::ruled_out(&stranger, node)
            }
            Company::Alone(census) => {
                let ask = cluster.interned(ask);
                !plugins::admits_beside(&Newcomer { cluster, ask, census, role: 0 }, node)
            }
        }
    }

    /// True if rules on node objects allow `ask` on `node`, which must exist.
    pub fn admits(&self, cluster: &Cluster, ask: AskId, node: NodeId) -> bool {
        let interned = cluster.interned(ask);
        let verdict = self.verdicts.current(cluster, interned.constraint);
        diagnose::admits(cluster, &interned.ask, verdict, node)
    }
}
