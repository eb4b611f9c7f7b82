//! kube-scheduler's ranking: the scores of its plugins, each brought to 0 to 100 over the nodes that fit, times their
//! weights, added up. For the pods whose profile asks for it; all others are ranked by Muster's own order.
//! Integers as upstream; where upstream reckons in floating point, in floating point by integers.
//! Knows no gang: whoever places members one after the other asks for each anew.

use super::relation::Newcomer;
use super::{
    image_locality, inter_pod_affinity, node_affinity, node_resources_balanced_allocation,
    node_resources_fit, pod_topology_spread, taint_toleration, volume_binding,
};
use crate::cluster::ids::NodeId;
use crate::workload::profile::Weighing;

/// The highest score that a plugin gives.
pub const MOST: i64 = 100;

/// Every plugin that scores.
pub const SCORES: &[Score] = &[
    taint_toleration::SCORE,
    node_affinity::SCORE,
    node_resources_fit::SCORE,
    pod_topology_spread::SCORE,
    inter_pod_affinity::SCORE,
    node_resources_balanced_allocation::SCORE,
    image_locality::SCORE,
    volume_binding::SCORE,
];

/// How a plugin scores.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// kube-scheduler's name of the plugin.
    pub name: &'static str,
    /// Its weight in the default profile.
    pub weight: i64,
    /// What of one more pod on a node changes it.
    pub follows: Follows,
    /// From 0 to 100 for each of the nodes, all of which admit the newcomer.
    pub score: fn(&Newcomer<'_>, &Weighing, &[NodeId]) -> Vec<i64>,
}

/// What changes a score when one more pod is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Nothing, as long as the same nodes admit the newcomer: it reads node objects.
    Objects,
    /// What is in use on a node, there and nowhere else.
    Load,
    /// What the pod means to others: anything, anywhere.
    Pods,
}

/// The sum for each of `nodes`, which are all that admit the newcomer; the highest is best.
pub fn totals(newcomer: &Newcomer<'_>, weighing: &Weighing, nodes: &[NodeId]) -> Vec<i64> {
    const ALL: &[Follows] = &[Follows::Objects, Follows::Load, Follows::Pods];
    totals_of(newcomer, weighing, nodes, ALL)
}

/// The same of the scores that follow these. Those by load alone may be asked of some of the nodes.
pub fn totals_of(
    newcomer: &Newcomer<'_>,
    weighing: &Weighing,
    nodes: &[NodeId],
    of: &[Follows],
) -> Vec<i64> {
    let mut totals = vec![0; nodes.len()];
    for score in SCORES.iter().filter(|score| of.contains(&score.follows)) {
        let weight = weighing.weight(score.name);
        if weight == 0 {
            continue;
        }
        for (total, points) in totals.iter_mut().zip((score.score)(newcomer, weighing, nodes)) {
            *total += weight * points;
        }
    }
    totals
}

/// Brings counts to 0 to 100, so that the greatest has 100: upstream's default way.
pub(super) fn greater_is_better(counts: &mut [i64]) {
    let most = counts.iter().copied().max().unwrap_or(0);
    for count in counts {
        *count = if most > 0 { MOST * *count / most } else { 0 };
    }
}

/// The same the other way round: the least has most, and 100 if it is nothing.
pub(super) fn less_is_better(counts: &mut [i64]) {
    greater_is_better(counts);
    for count in counts {
        *count = MOST - *count;
    }
}

#[cfg(test)]
mod tests {
    use super::{SCORES, greater_is_better, less_is_better};

    #[test]
    fn counts_are_brought_to_a_hundred() {
        let cases = [([3, 1, 0], [100, 33, 0], [0, 67, 100]), ([0, 0, 0], [0; 3], [100; 3])];
        for (counts, greater, less) in cases {
            let (mut one, mut other) = (counts, counts);
            greater_is_better(&mut one);
            less_is_better(&mut other);
            assert_eq!((one, other), (greater, less), "{counts:?}");
        }
    }

    #[test]
    fn no_plugin_scores_twice() {
        let mut names: Vec<_> = SCORES.iter().map(|score| score.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCORES.len());
    }
}
