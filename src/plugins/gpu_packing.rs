//! Packing: pods that need accelerators go where the fewest are left, so that whole nodes stay free for
//! gangs that need them; pods that need none stay off accelerated nodes where they can, and are packed by
//! cpu or memory. Muster's own; kube-scheduler's default spreads instead.

use std::cmp::Reverse;

use super::cures::Cures;
use super::points::{AVOID_SCALE, Points};
use super::{Filter, Rule};
use crate::cluster::asks::wants_accelerator;
use crate::cluster::ids::NodeId;
use crate::cluster::load::Band;
use crate::cluster::nodes::Nodes;
use crate::workload::ask::Ask;

/// The row.
pub const RULE: Rule =
    Rule { name: "GpuPacking", filter: Filter::Nothing, score: Some(score), cured_by: Cures::NONE };

fn score(ask: &Ask, nodes: &Nodes, points: &mut Points<'_>) {
    if !wants_accelerator(ask) {
        points.add(nodes.accelerated(), -AVOID_SCALE);
    }
}

/// How good a node is for an ask; the greatest is chosen. `points` are what rules on node objects gave,
/// `free` is what the node has left of the resource by which the ask is packed. Nodes in one band of
/// free amounts are equally good; then the lower id wins, so that there are no ties.
pub const fn rank(points: i64, free: i64, node: NodeId) -> Rank {
    Rank { points, band: Reverse(Band::of(free)), node: Reverse(node) }
}

/// Compares nodes for one ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    points: i64,
    band: Reverse<Band>,
    node: Reverse<NodeId>,
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{AVOID_SCALE, Ask, NodeId, RULE, rank};
    use crate::cluster::facts::NodeFact;

    #[test]
    fn pods_without_accelerators_shun_the_nodes_that_have_them() {
        let fixture = Fixture::new([
            NodeFact { allocatable: vec![("nvidia.com/gpu".into(), 8)], ..node("gpu") },
            NodeFact { allocatable: vec![("nvidia.com/mig-1g.10gb".into(), 7)], ..node("mig") },
            NodeFact { allocatable: vec![("nvidia.com/gpu".into(), 0)], ..node("broken") },
            node("plain"),
        ]);
        assert_eq!(fixture.points(&RULE, &Ask::default()), [-AVOID_SCALE, -AVOID_SCALE, 0, 0]);
        for resource in ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb"] {
            let wants = Ask { requests: vec![(resource.into(), 1)], ..Ask::default() };
            assert_eq!(fixture.points(&RULE, &wants), [0; 4]);
        }
    }

    #[test]
    fn points_go_before_packing_and_packing_before_order() {
        let best_first = [
            rank(1, 8, NodeId(9)),
            rank(0, 1, NodeId(5)),
            rank(0, 1, NodeId(6)),
            rank(0, 2, NodeId(0)),
            rank(-1, 1, NodeId(0)),
        ];
        assert!(best_first.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
