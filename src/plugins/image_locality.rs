//! A node is the better the more of the pod's images it holds already, by their size: kube-scheduler's ImageLocality.
//! An image that few nodes hold counts for less, so that its pods do not all go to those.
//! Filters nothing. Reads node objects and what the pod uses; images come and go without a mark on any verdict.

use rustc_hash::FxHashMap;

use super::relation::Newcomer;
use super::weighing::{Follows, MOST, Score};
use crate::base::binary64::Binary64;
use crate::cluster::ids::NodeId;
use crate::workload::profile::Weighing;

/// Its score.
pub const SCORE: Score =
    Score { name: "ImageLocality", weight: 1, follows: Follows::Objects, score };

const MEBIBYTE: i64 = 1024 * 1024;
/// So much in all is worth nothing.
const LEAST_BYTES: i64 = 23 * MEBIBYTE;
/// So much per image is worth most.
const MOST_BYTES_PER_IMAGE: i64 = 1_000 * MEBIBYTE;

fn score(newcomer: &Newcomer<'_>, _: &Weighing, nodes: &[NodeId]) -> Vec<i64> {
    let Some(scored) = &newcomer.ask.ask.scored else { return vec![0; nodes.len()] };
    let all = newcomer.cluster.nodes();
    let mut bytes: FxHashMap<NodeId, i64> = FxHashMap::default();
    for image in &scored.images {
        let holders = all.images().holders(image);
        let share = whole(holders.len()) / whole(all.present().len());
        for (node, size) in holders {
            *bytes.entry(*node).or_default() += (Binary64::of(*size) * share).truncated();
        }
    }
    let images = i64::try_from(scored.images.len()).expect("few images");
    let most = MOST_BYTES_PER_IMAGE * images.max(1);
    let on = |node: &NodeId| {
        let bytes = bytes.get(node).copied().unwrap_or(0).clamp(LEAST_BYTES, most);
        MOST * (bytes - LEAST_BYTES) / (most - LEAST_BYTES)
    };
    nodes.iter().map(on).collect()
}

fn whole(count: usize) -> Binary64 {
    Binary64::of(i64::try_from(count).expect("fewer nodes than that"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{MEBIBYTE, SCORE};
    use crate::cluster::facts::NodeFact;
    use crate::workload::ask::Ask;
    use crate::workload::scored::Scored;

    #[test]
    fn what_a_node_holds_counts_by_size_and_by_how_many_hold_it() {
        let holding = |name: &str, images: &[(&str, i64)]| {
            let size = |(name, mebibytes): &(&str, i64)| ((*name).into(), mebibytes * MEBIBYTE);
            NodeFact { images: images.iter().map(size).collect(), ..node(name) }
        };
        let mut fixture = Fixture::new([
            holding("both", &[("large:1", 2_000), ("small:1", 30)]),
            holding("large", &[("large:1", 2_000)]),
            holding("small", &[("small:1", 30)]),
            holding("other", &[("other:1", 9_000)]),
        ]);
        let using = |images: &[&str]| {
            let images = images.iter().map(|image| (*image).into()).collect();
            Ask { scored: Some(Box::new(Scored { images, ..Scored::default() })), ..Ask::default() }
        };
        // Half of all nodes hold it: 1,000 MiB of 23 to 1,000.
        assert_eq!(fixture.scores(&SCORE, &using(&["large:1"])), [100, 100, 0, 0]);
        // 15 MiB are not worth the way.
        assert_eq!(fixture.scores(&SCORE, &using(&["small:1"])), [0; 4]);
        // 1,015 and 1,000 of 23 to 2,000.
        assert_eq!(fixture.scores(&SCORE, &using(&["large:1", "small:1"])), [50, 49, 0, 0]);
        assert_eq!(fixture.scores(&SCORE, &using(&["unknown:1"])), [0; 4]);
        assert_eq!(fixture.scores(&SCORE, &Ask::default()), [0; 4]);
    }
}
