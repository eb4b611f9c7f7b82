//! Points that rules give to nodes by their objects, kept as classes of nodes with equal points:
//! few classes stand for all nodes, and a search takes them best first.
//! Invariants: classes are disjoint and not empty, no two have equal points, the best comes first. Knows no load.

use crate::cluster::node_set::NodeSet;

/// One taint of effect PreferNoSchedule weighs more than all wishes of a pod,
/// and one wish more than keeping pods without accelerators off the nodes that have them.
pub const TAINT_SCALE: i64 = 1 << 40;
/// One unit of a preferred term's weight.
pub const WISH_SCALE: i64 = 1 << 8;
/// An accelerated node for a pod that needs none.
pub const AVOID_SCALE: i64 = 1;

/// Nodes with equal points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Their points.
    pub points: i64,
    /// The nodes; not empty.
    pub nodes: NodeSet,
}

/// A partition of some nodes by points, under construction.
#[derive(Debug)]
pub struct Points<'a> {
    classes: &'a mut Vec<Class>,
}

impl<'a> Points<'a> {
    /// Begins with all of `nodes` at 0 points; `classes` receives the result.
    pub fn begin(nodes: &NodeSet, classes: &'a mut Vec<Class>) -> Self {
        classes.clear();
        if !nodes.is_empty() {
            classes.push(Class { points: 0, nodes: nodes.clone() });
        }
        Self { classes }
    }

    /// Adds `points` to each node of `nodes`; those that are not in the partition are ignored.
    pub fn add(&mut self, nodes: &NodeSet, points: i64) {
        if points == 0 {
            return;
        }
        for at in 0..self.classes.len() {
            let class = &mut self.classes[at];
            let shared = class.nodes.common_len(nodes);
            if shared == class.nodes.len() {
                class.points += points;
            } else if shared > 0 {
                let mut raised = class.nodes.clone();
                raised.intersect_with(nodes);
                class.nodes.subtract(nodes);
                let points = class.points + points;
                self.classes.push(Class { points, nodes: raised });
            }
        }
        self.merge();
    }

    /// Orders classes by points, highest first, and joins those with equal points.
    fn merge(&mut self) {
        self.classes.sort_by_key(|class| std::cmp::Reverse(class.points));
        self.classes.dedup_by(|later, kept| {
            let equal = later.points == kept.points;
            if equal {
                kept.nodes.unite_with(&later.nodes);
            }
            equal
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, NodeSet, Points};
    use crate::base::random::Random;
    use crate::cluster::ids::NodeId;

    #[test]
    fn classes_partition_the_nodes_by_their_sums() {
        let mut random = Random::new(4);
        for _ in 0..200 {
            let draw = |random: &mut Random| -> NodeSet {
                (0..random.below(60)).map(|_| NodeId(random.below(100) as u32)).collect()
            };
            let all = draw(&mut random);
            let mut sums = [0; 100];
            let mut classes = Vec::new();
            let mut points = Points::begin(&all, &mut classes);
            for _ in 0..random.below(6) {
                let (some, add) = (draw(&mut random), random.below(5) as i64 - 2);
                points.add(&some, add);
                for node in &some {
                    sums[node.0 as usize] += add;
                }
            }
            let mut seen = 0;
            for Class { points, nodes } in &classes {
                assert!(!nodes.is_empty());
                assert!(
                    nodes.iter().all(|node| sums[node.0 as usize] == *points && all.contains(node))
                );
                seen += nodes.len();
            }
            assert_eq!(seen, all.len());
            assert!(classes.windows(2).all(|pair| pair[0].points > pair[1].points));
        }
    }
}
