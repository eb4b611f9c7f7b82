//! A node is the better the more the pod evens out what is asked of its resources: kube-scheduler's
//! NodeResourcesBalancedAllocation. It compares the deviation of the shares in use with the pod and without it.
//! Filters nothing. Reckons in floating point by integers, since the score is cut to a whole number.

use super::node_resources_fit::{Basis, Use, use_on};
use super::relation::Newcomer;
use super::weighing::{Follows, MOST, Score};
use crate::base::binary64::Binary64;
use crate::cluster::ids::NodeId;
use crate::workload::profile::Weighing;

/// Its score.
pub const SCORE: Score =
    Score { name: "NodeResourcesBalancedAllocation", weight: 1, follows: Follows::Load, score };

fn score(newcomer: &Newcomer<'_>, weighing: &Weighing, nodes: &[NodeId]) -> Vec<i64> {
    let unweighted = weighing.balanced.iter().map(|name| (name, 1));
    let resources = Basis::Stated.of(newcomer, unweighted);
    if resources.iter().all(|resource| resource.asked == 0) {
        // A pod that asks for nothing would pile up where the balance is best.
        return vec![0; nodes.len()];
    }
    let on = |node: &NodeId| {
        let uses: Vec<Use> = use_on(newcomer, &resources, *node).collect();
        let with = balance(uses.iter().map(|used| (used.requested, used.allocatable)));
        let without =
            balance(uses.iter().map(|used| (used.requested - used.asked, used.allocatable)));
        MOST / 2 + (MOST / 2 + with - without) / 2
    };
    nodes.iter().map(on).collect()
}

/// From 100, if the same share of each resource is in use, down to 50.
fn balance(uses: impl Iterator<Item = (i64, i64)>) -> i64 {
    let one = Binary64::of(1);
    let share = |(used, of): (i64, i64)| match used >= of {
        true => one,
        false => Binary64::of(used) / Binary64::of(of),
    };
    let shares: Vec<Binary64> = uses.map(share).collect();
    let deviation = match &shares[..] {
        [] | [_] => Binary64::ZERO,
        [first, second] => ((*first - *second) / Binary64::of(2)).abs(),
        several => {
            let count = Binary64::of(i64::try_from(several.len()).expect("few resources"));
            let sum = several.iter().fold(Binary64::ZERO, |sum, share| sum + *share);
            let mean = sum / count;
            let squares = several.iter().map(|share| (*share - mean) * (*share - mean));
            (squares.fold(Binary64::ZERO, |sum, square| sum + square) / count).sqrt()
        }
    };
    ((one - deviation) * Binary64::of(MOST)).truncated()
}

#[cfg(test)]
mod tests {
    use super::balance;

    #[test]
    fn balance_is_cut_as_floating_point_cuts_it() {
        for (uses, expected) in [
            (vec![], 100),
            (vec![(1, 2)], 100),
            (vec![(1, 2), (1, 2)], 100),
            (vec![(0, 2), (2, 2)], 50),
            (vec![(0, 2), (9, 2)], 50),
            // 0.3 and 0.1: a deviation of 0.09999999999999999.
            (vec![(3, 10), (1, 10)], 90),
            // 0.8 and 0.6: one of 0.10000000000000003.
            (vec![(8, 10), (6, 10)], 89),
            (vec![(1, 10), (2, 10), (9, 10)], 64),
        ] {
            assert_eq!(balance(uses.iter().copied()), expected, "{uses:?}");
        }
    }
}
