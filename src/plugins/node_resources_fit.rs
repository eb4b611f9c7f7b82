//! A node must have left what the pod asks for, of every resource, and room for one pod more.
//! Follows kube-scheduler's NodeResourcesFit: what is not asked for is not checked, even where a node is
//! overbooked, and every resource that lacks is named. Its score is for profiles that ask for it.

use super::cures::Cures;
use super::relation::Newcomer;
use super::weighing::{Follows, MOST, Score};
use super::{Filter, Rule};
use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::asks::InternedAsk;
use crate::cluster::ids::{NodeId, ResourceId};
use crate::cluster::node_set::NodeSet;
use crate::cluster::resources::{CPU, MEMORY, PODS};
use crate::workload::profile::{Strategy, Weighing};

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
    cluster.load().fits(node, &ask.looked_for)
}

/// How many such pods `node` has room for.
#[inline]
pub fn seats(ask: &InternedAsk, cluster: &Cluster, node: NodeId) -> usize {
    usize::try_from(cluster.load().seats(node, &ask.looked_for)).expect("seats are never negative")
}

fn retain(ask: &InternedAsk, cluster: &Cluster, passing: &mut NodeSet) {
    let mut enough = NodeSet::new();
    for (resource, amount) in &ask.looked_for {
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
    for (resource, amount) in &ask.looked_for {
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

/// Its score: see [`Strategy`].
pub const SCORE: Score = Score { name: RULE.name, weight: 1, follows: Follows::Load, score };

/// What counts as asked for where a pod states nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// Nothing.
    Stated,
    /// Of cpu and memory a little.
    Counted,
}

/// A resource by which nodes are scored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    kind: ResourceId,
    basis: Basis,
    /// What the newcomer asks for.
    pub(super) asked: i64,
    weight: i64,
}

/// How much of a resource is in use on a node that offers any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// By all pods, the newcomer included.
    pub(super) requested: i64,
    /// By the newcomer.
    pub(super) asked: i64,
    /// What there is.
    pub(super) allocatable: i64,
    weight: i64,
}

impl Basis {
    /// The resources of these names, in this order, but for those of which no node can be scored: nobody has them, or
    /// they are devices that the newcomer does not ask for.
    pub(super) fn of<'a>(
        self,
        newcomer: &Newcomer<'_>,
        resources: impl Iterator<Item = (&'a Name, i64)>,
    ) -> Vec<Measured> {
        let measured = |(name, weight): (&'a Name, i64)| {
            let kind = newcomer.cluster.resources().known(name)?;
            let asked = match (self, &newcomer.ask.ask.scored) {
                (Self::Counted, Some(scored)) => {
                    let at = scored.asking.binary_search_by(|(known, _)| known.cmp(name));
                    at.map_or(0, |at| scored.asking[at].1)
                }
                (Self::Counted, None) | (Self::Stated, _) => newcomer.ask.request(kind),
            };
            let counts = ["cpu", "memory", "ephemeral-storage"].contains(&&**name)
                || asked > 0 && is_scalar(name);
            counts.then_some(Measured { kind, basis: self, asked, weight })
        };
        resources.filter_map(measured).collect()
    }
}

/// True for what upstream counts beside cpu, memory, and storage: devices, huge pages, attachable volumes.
fn is_scalar(name: &str) -> bool {
    name.contains('/') || name.starts_with("hugepages-") || name.starts_with("attachable-volumes-")
}

/// How much of each resource would be in use on the node with the newcomer there; of those that it offers.
pub(super) fn use_on<'a>(
    newcomer: &'a Newcomer<'_>,
    resources: &'a [Measured],
    node: NodeId,
) -> impl Iterator<Item = Use> + 'a {
    let load = newcomer.cluster.load();
    let counted = newcomer.cluster.counted(node);
    resources.iter().filter_map(move |measured| {
        let Measured { kind, basis, asked, weight } = *measured;
        let allocatable = load.allocatable(node, kind);
        let by_others = match (basis, kind) {
            (Basis::Counted, CPU) => counted.cpu,
            (Basis::Counted, MEMORY) => counted.memory,
            (Basis::Stated | Basis::Counted, kind) => {
                allocatable.saturating_sub(load.free(node, kind))
            }
        };
        let requested = by_others.saturating_add(asked);
        (allocatable > 0).then_some(Use { requested, asked, allocatable, weight })
    })
}

fn score(newcomer: &Newcomer<'_>, weighing: &Weighing, nodes: &[NodeId]) -> Vec<i64> {
    let weighted = weighing.resources.iter().map(|(name, weight)| (name, *weight));
    let resources = Basis::Counted.of(newcomer, weighted);
    let on = |node: &NodeId| mean(&weighing.strategy, use_on(newcomer, &resources, *node));
    nodes.iter().map(on).collect()
}

/// The weighted mean of what the strategy says of each resource, rounded as upstream rounds it.
fn mean(strategy: &Strategy, uses: impl Iterator<Item = Use>) -> i64 {
    let (mut sum, mut weights) = (0, 0);
    for used in uses {
        let points = points(strategy, used);
        match strategy {
            // A resource that is worth nothing is left out.
            Strategy::RequestedToCapacityRatio(_) if points == 0 => continue,
            Strategy::RequestedToCapacityRatio(_)
            | Strategy::LeastAllocated
            | Strategy::MostAllocated => {}
        }
        sum += points * used.weight;
        weights += used.weight;
    }
    match strategy {
        _ if weights == 0 => 0,
        Strategy::RequestedToCapacityRatio(_) => (2 * sum + weights) / (2 * weights),
        Strategy::LeastAllocated | Strategy::MostAllocated => sum / weights,
    }
}

fn points(strategy: &Strategy, used: Use) -> i64 {
    let percent = |amount: i64| {
        let hundredfold = i128::from(amount) * i128::from(MOST) / i128::from(used.allocatable);
        i64::try_from(hundredfold).expect("no more than a hundred")
    };
    let overbooked = used.requested > used.allocatable;
    match strategy {
        Strategy::LeastAllocated if overbooked => 0,
        Strategy::LeastAllocated => percent(used.allocatable - used.requested),
        Strategy::MostAllocated if overbooked => MOST,
        Strategy::MostAllocated => percent(used.requested),
        Strategy::RequestedToCapacityRatio(shape) if overbooked => at(shape, MOST),
        Strategy::RequestedToCapacityRatio(shape) => at(shape, percent(used.requested)),
    }
}

/// The function through these points at `share`; beside them it is level.
pub(super) fn at(shape: &[(i64, i64)], share: i64) -> i64 {
    let next = shape.iter().position(|(utilization, _)| share <= *utilization);
    match next {
        Some(0) => shape[0].1,
        Some(next) => {
            let ((from, low), (to, high)) = (shape[next - 1], shape[next]);
            low + (high - low) * (share - from) / (to - from)
        }
        None => shape.last().map_or(0, |(_, points)| *points),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{NodeId, SCORE, Strategy, Weighing, count_lacking, fits, reason, retain, seats};
    use crate::cluster::Held;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::ids::PodId;
    use crate::workload::ask::Ask;
    use crate::workload::scored::{Counted, Scored};

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
        fixture.cluster.occupy(
            PodId(0),
            Held::Other { amounts: &overbooked, counted: Counted::NONE },
            NodeId(0),
        );
        let cluster = &fixture.cluster;
        let counts = count_lacking(cluster.interned(ask), cluster, cluster.nodes().present());
        let texts: Vec<String> =
            counts.iter().map(|(id, count)| format!("{count} {}", reason(cluster, *id))).collect();
        assert_eq!(
            texts,
            ["1 Too many pods", "1 Insufficient cpu", "2 Insufficient nvidia.com/gpu"]
        );
    }

    /// Three nodes of which cards are in use by half, by a quarter more, and wholly; the last has little cpu.
    fn scored(strategy: Strategy, resources: &[(&str, i64)], requests: &[(&str, i64)]) -> Vec<i64> {
        let amounts = |cpu| [("cpu", cpu), ("nvidia.com/gpu", 8), ("pods", 110)];
        let mut fixture = Fixture::new([
            offering("half", &amounts(10_000)),
            offering("more", &amounts(10_000)),
            offering("all", &amounts(1_000)),
        ]);
        for (pod, cards) in [(0, 4), (1, 6), (2, 8)] {
            let ask = fixture.ask(&[("nvidia.com/gpu", cards), ("cpu", 1_000)]);
            fixture.cluster.assume(PodId(pod), ask, NodeId(pod));
        }
        let resources = resources.iter().map(|(name, weight)| ((*name).into(), *weight)).collect();
        let how = Weighing { strategy, resources, ..Weighing::default() };
        let requests = requests.iter().map(|(name, amount)| ((*name).into(), *amount)).collect();
        fixture.scores_by(&SCORE, &how, &Ask { requests, ..Ask::default() })
    }

    #[test]
    fn strategies_say_whether_more_or_less_is_better() {
        const CARDS: &[(&str, i64)] = &[("nvidia.com/gpu", 1)];
        assert_eq!(scored(Strategy::LeastAllocated, CARDS, &[("nvidia.com/gpu", 1)]), [37, 12, 0]);
        assert_eq!(scored(Strategy::MostAllocated, CARDS, &[("nvidia.com/gpu", 1)]), [62, 87, 100]);
        // Cards count only for pods that ask for some; so nothing is left to score by.
        assert_eq!(scored(Strategy::MostAllocated, CARDS, &[("cpu", 1_000)]), [0; 3]);
        let both = &[("nvidia.com/gpu", 3), ("ephemeral-storage", 9), ("unknown/device", 5)];
        assert_eq!(scored(Strategy::MostAllocated, both, &[("nvidia.com/gpu", 1)]), [62, 87, 100]);
    }

    #[test]
    fn a_shape_is_a_function_and_what_scores_nothing_is_left_out() {
        const CARDS: &[(&str, i64)] = &[("nvidia.com/gpu", 1)];
        let shape = |points: &[(i64, i64)]| Strategy::RequestedToCapacityRatio(points.to_vec());
        let one = &[("nvidia.com/gpu", 1)];
        // 62, 87, and more than 100 of 100.
        assert_eq!(scored(shape(&[(0, 0), (100, 100)]), CARDS, one), [62, 87, 100]);
        assert_eq!(scored(shape(&[(70, 100), (80, 10)]), CARDS, one), [100, 10, 10]);
        assert_eq!(scored(shape(&[(50, 0), (90, 80)]), CARDS, one), [24, 74, 80]);
        // Ephemeral storage, which no node offers, and cards that score 0 do not lower the mean.
        let steps = shape(&[(62, 0), (63, 100)]);
        let both = &[("nvidia.com/gpu", 3), ("ephemeral-storage", 1)];
        assert_eq!(scored(steps, both, one), [0, 100, 100]);
    }

    #[test]
    fn what_counts_of_cpu_and_memory_is_told_by_the_pod() {
        let mut fixture = Fixture::new([offering("a", &[("cpu", 1_000), ("pods", 110)])]);
        let little = |cpu| Counted { cpu, memory: 0 };
        let asking = vec![("cpu".into(), 100)];
        let scored = Scored { asking, holding: little(300), ..Scored::default() };
        let silent = Ask { scored: Some(Box::new(scored)), ..Ask::default() };
        let resources = vec![("cpu".into(), 1)];
        let how = Weighing { resources, ..Weighing::default() };
        assert_eq!(fixture.scores_by(&SCORE, &how, &silent), [90]);
        fixture.run(0, "a", &silent, &[]);
        assert_eq!(fixture.scores_by(&SCORE, &how, &silent), [60]);
        crate::cluster::audit::audit(&fixture.cluster).expect("what counts is recounted");
        fixture.cluster.release(PodId(0));
        assert_eq!(fixture.scores_by(&SCORE, &how, &silent), [90]);
    }
}
