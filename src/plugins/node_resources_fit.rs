//! A node must have left what the pod asks for, of every resource, and room for one pod more.
//! Follows kube-scheduler's NodeResourcesFit: what is not asked for is not checked, even where a node is
//! overbooked, and every resource that lacks is named.

use super::cures::Cures;
use super::{Filter, Rule};
use crate::cluster::Cluster;
use crate::cluster::asks::InternedAsk;
use crate::cluster::ids::{NodeId, ResourceId};
use crate::cluster::node_set::NodeSet;
use crate::cluster::resources::PODS;

/// The row.
pub const RULE: Rule = Rule {
    name: "NodeResourcesFit",
    filter: Filter::Load { retain },
    score: None,
    cured_by: Cures::CAPACITY.and(Cures::NODE_ADDED),
};

/// True if `node` has room for one pod.
#[inline]
pub fn fits(ask: &InternedAsk, cluster: &Cluster, node: NodeId) -> bool {
    cluster.load().fits(node, &ask.requests)
}

/// How many such pods `node` has room for.
#[inline]
pub fn seats(ask: &InternedAsk, cluster: &Cluster, node: NodeId) -> usize {
    usize::try_from(cluster.load().seats(node, &ask.requests)).expect("seats are never negative")
}

fn retain(ask: &InternedAsk, cluster: &Cluster, passing: &mut NodeSet) {
    let mut enough = NodeSet::new();
    for (resource, amount) in &ask.requests {
        enough.clear();
        cluster.load().nodes_with(*resource, *amount, &mut enough);
        passing.intersect_with(&enough);
    }
}

/// Of the nodes `among`, how many lack each resource that is asked for; those that none lacks are left out.
pub fn count_lacking(
    ask: &InternedAsk,
    cluster: &Cluster,
    among: &NodeSet,
) -> Vec<(ResourceId, usize)> {
    let mut enough = NodeSet::new();
    let mut counts = Vec::new();
    for (resource, amount) in &ask.requests {
        enough.clear();
        cluster.load().nodes_with(*resource, *amount, &mut enough);
        let lacking = among.len() - among.common_len(&enough);
        if lacking > 0 {
            counts.push((*resource, lacking));
        }
    }
    counts
}

/// kube-scheduler's words for a node that lacks `resource`.
pub fn reason(cluster: &Cluster, resource: ResourceId) -> String {
    if resource == PODS {
        return "Too many pods".into();
    }
    format!("Insufficient {}", cluster.resources().name(resource))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{NodeId, count_lacking, fits, reason, retain, seats};
    use crate::cluster::Held;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::ids::PodId;

    fn offering(name: &str, amounts: &[(&str, i64)]) -> NodeFact {
        let allocatable = amounts.iter().map(|(name, amount)| ((*name).into(), *amount)).collect();
        NodeFact { allocatable, ..node(name) }
    }

    fn fixture() -> Fixture {
        Fixture::new([
            offering("big", &[("cpu", 8000), ("nvidia.com/gpu", 8), ("pods", 110)]),
            offering("small", &[("cpu", 1000), ("nvidia.com/gpu", 1), ("pods", 2)]),
            offering("podless", &[("cpu", 8000), ("nvidia.com/gpu", 8)]),
            offering("cardless", &[("cpu", 64_000), ("pods", 110)]),
        ])
    }

    #[test]
    fn seats_are_bounded_by_the_scarcest_resource() {
        let mut fixture = fixture();
        let ask = fixture.ask(&[("cpu", 500), ("nvidia.com/gpu", 1)]);
        let (cluster, ask) = (&fixture.cluster, fixture.cluster.interned(ask));
        let counted: Vec<usize> = (0..4).map(|node| seats(ask, cluster, NodeId(node))).collect();
        assert_eq!(counted, [8, 1, 0, 0]);
        let fitting: Vec<bool> = (0..4).map(|node| fits(ask, cluster, NodeId(node))).collect();
        assert_eq!(fitting, [true, true, false, false]);
        let mut passing = cluster.nodes().present().clone();
        retain(ask, cluster, &mut passing);
        assert!(passing.iter().eq([NodeId(0), NodeId(1)]));
    }

    #[test]
    fn every_lacking_resource_is_counted_and_what_is_not_asked_for_is_not() {
        let mut fixture = fixture();
        let ask = fixture.ask(&[("cpu", 2000), ("nvidia.com/gpu", 2)]);
        let overbooked = vec![("memory".into(), 1 << 40)];
        fixture.cluster.occupy(PodId(0), Held::Other(&overbooked), NodeId(0));
        let cluster = &fixture.cluster;
        let counts = count_lacking(cluster.interned(ask), cluster, cluster.nodes().present());
        let texts: Vec<String> =
            counts.iter().map(|(id, count)| format!("{count} {}", reason(cluster, *id))).collect();
        assert_eq!(
            texts,
            ["1 Too many pods", "1 Insufficient cpu", "2 Insufficient nvidia.com/gpu"]
        );
    }
}
