//! Topology spread constraints of kind `DoNotSchedule`. Follows kube-scheduler's PodTopologySpread: no domain may
//! be ahead of the last one by more than `maxSkew`, once the pod is counted. Nodes count that carry the keys of
//! all constraints and that the constraint's inclusion policies let in.
//! Pods that come or leave, and nodes that change, may turn its "no".

use super::census::{SpreadTally, is_spread_by_system};
use super::cures::Cures;
use super::points::WISH_SCALE;
use super::relation::{Judge, Newcomer, Reasons, Stranger};
use super::weighing::{Follows, MOST, Score};
use super::{Filter, Rule};
use crate::cluster::ids::NodeId;
use crate::cluster::relations::domains::Domain;

/// The row.
pub const RULE: Rule = Rule {
    name: "PodTopologySpread",
    filter: Filter::Relation(&PodTopologySpread),
    score: None,
    cured_by: Cures::PODS.and(Cures::LABELS).and(Cures::TAINTS).and(Cures::NODE_ADDED),
};

/// The key of which every node counts as a domain of its own.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// kube-scheduler's words.
const SKEWED: &str = "node(s) didn't match pod topology spread constraints";
const WITHOUT_LABEL: &str =
    "node(s) didn't match pod topology spread constraints (missing required label)";

#[derive(Debug)]
struct PodTopologySpread;

impl Judge for PodTopologySpread {
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool {
        objection(newcomer, node).is_none()
    }

    /// A node without a key takes it never, nor does one whose domain stays ahead wherever the others of its gang go.
    fn rules_out(&self, stranger: &Stranger<'_>, node: NodeId) -> bool {
        let Stranger { cluster, ask, signature, company, hopes } = *stranger;
        let role = company.iter().position(|kind| *kind == (ask, signature));
        let (Some(role), Some(census)) = (role, hopes) else { return false };
        objection(&Newcomer { cluster, ask: cluster.interned(ask), census, role }, node).is_some()
    }

    fn reasons(&self, newcomer: &Newcomer<'_>, node: NodeId) -> Reasons {
        objection(newcomer, node).into_iter().map(Into::into).collect()
    }

    fn score(&self, newcomer: &Newcomer<'_>, nodes: &[NodeId], points: &mut [i64]) {
        for (points, part) in points.iter_mut().zip(parts(newcomer, nodes)) {
            *points += WISH_SCALE * part;
        }
    }
}

/// Its score, for constraints that are only wished for.
pub const SCORE: Score = Score {
    name: RULE.name,
    weight: 2,
    follows: Follows::Pods,
    score: |newcomer, _, nodes| parts(newcomer, nodes),
};

/// Up to 100 for nodes whose domains count fewest, 0 for those that lack a key. As upstream, a domain weighs the more
/// the more domains of its key there are.
fn parts(newcomer: &Newcomer<'_>, nodes: &[NodeId]) -> Vec<i64> {
    let wished = &newcomer.census.role(newcomer.role).wished_spread;
    let mut parts = vec![0; nodes.len()];
    if wished.is_empty() {
        return parts;
    }
    let crowds = crowds(newcomer, wished, nodes);
    let known = || crowds.iter().flatten();
    let (Some(least), Some(most)) = (known().min(), known().max()) else { return parts };
    for (part, crowd) in parts.iter_mut().zip(&crowds) {
        let Some(crowd) = crowd else { continue };
        *part = if *most == 0 { MOST } else { MOST * (most + least - crowd) / most };
    }
    parts
}

/// How crowded the domains of each node are; `None` for nodes that lack a key, unless the system spreads: then the
/// keys count that it has.
fn crowds(newcomer: &Newcomer<'_>, wished: &[SpreadTally], nodes: &[NodeId]) -> Vec<Option<i64>> {
    let Newcomer { cluster, census, .. } = *newcomer;
    let domain = |spread: &SpreadTally, node: NodeId| {
        cluster.relations().key(census.tally(spread.tally).key).domain(node)
    };
    let by_system = is_spread_by_system(&newcomer.ask.ask);
    let has_all = |node: &NodeId| wished.iter().all(|spread| domain(spread, *node).is_some());
    let mut crowds: Vec<Option<i128>> =
        nodes.iter().map(|node| (by_system || has_all(node)).then_some(0)).collect();
    for spread in wished {
        let mut domains: Vec<Option<Domain>> = nodes
            .iter()
            .zip(&crowds)
            .filter(|(_, crowd)| crowd.is_some())
            .map(|(node, _)| domain(spread, *node))
            .collect();
        let key = cluster.relations().key(census.tally(spread.tally).key);
        if key.name() != HOSTNAME {
            // Nodes that lack the key are one domain together here, as upstream.
            domains.sort_unstable();
            domains.dedup();
        }
        let weight = logarithm(domains.len() as u64 + 2);
        for (crowd, node) in crowds.iter_mut().zip(nodes) {
            if let (Some(crowd), Some(domain)) = (crowd, domain(spread, *node)) {
                let count = census.tally(spread.tally).count(domain);
                *crowd +=
                    i128::from(count) * weight + (i128::from(spread.max_skew - 1) << FRACTION);
            }
        }
    }
    let rounded = |crowd: i128| (crowd + (1 << (FRACTION - 1))) >> FRACTION;
    let rounded = |crowd| i64::try_from(rounded(crowd)).expect("as many as there are pods");
    crowds.into_iter().map(|crowd| crowd.map(rounded)).collect()
}

/// The bits behind the point of logarithms and their sums: so many that their rounding is never seen.
const FRACTION: u32 = 50;

/// The natural logarithm of a number from 1 on: the bits of the logarithm to the base of two one by one, by squaring.
fn logarithm(number: u64) -> i128 {
    /// The logarithm of two, with 62 bits behind the point.
    const OF_TWO: u128 = 3196577161300663914;
    let whole = number.ilog2();
    // The number over its highest power of two, from 1 to 2, with 62 bits behind the point.
    let mut rest = (u128::from(number) << 62) >> whole;
    let mut binary = u128::from(whole);
    for _ in 0..FRACTION {
        rest = (rest * rest) >> 62;
        binary <<= 1;
        if rest >> 63 != 0 {
            rest >>= 1;
            binary += 1;
        }
    }
    i128::try_from((binary * OF_TWO) >> 62).expect("a logarithm is small")
}

fn objection(newcomer: &Newcomer<'_>, node: NodeId) -> Option<&'static str> {
    let Newcomer { cluster, census, .. } = *newcomer;
    for spread in &census.role(newcomer.role).spread {
        let tally = census.tally(spread.tally);
        let Some(domain) = cluster.relations().key(tally.key).domain(node) else {
            return Some(WITHOUT_LABEL);
        };
        let skew = tally.count(domain) + spread.itself - tally.least(spread.min_domains);
        if skew > spread.max_skew {
            return Some(SKEWED);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node, taint};
    use super::{RULE, SKEWED, WITHOUT_LABEL};
    use crate::base::labels::LabelSelector;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::relations::Life;
    use crate::workload::ask::Ask;
    use crate::workload::constraints::TaintEffect;
    use crate::workload::relations::{InclusionPolicy, Relations, Spread};

    const WEB: &[(&str, &str)] = &[("app", "web")];

    fn over(key: &str) -> Spread {
        Spread {
            max_skew: 1,
            topology_key: key.into(),
            selector: Some(LabelSelector::parse("app=web").expect("it parses")),
            namespace: "team".into(),
            min_domains: 1,
            node_affinity_policy: InclusionPolicy::Honor,
            node_taints_policy: InclusionPolicy::Ignore,
        }
    }

    fn spread(constraints: Vec<Spread>) -> Ask {
        let relations = Relations { spread: constraints, ..Relations::default() };
        Ask { relations: relations.boxed(), ..Ask::default() }
    }

    /// Nodes a1, a2 in zone a, b1 in zone b, and one without a zone.
    fn facts() -> [NodeFact; 4] {
        [("a1", Some("a")), ("a2", Some("a")), ("b1", Some("b")), ("none", None)].map(
            |(name, zone)| {
                let mut labels = vec![("host".into(), name.into())];
                labels.extend(zone.map(|zone| ("zone".into(), zone.into())));
                NodeFact { labels, ..node(name) }
            },
        )
    }

    #[test]
    fn no_domain_is_ahead_of_the_last_by_more_than_the_skew() {
        let mut fixture = Fixture::new(facts());
        let zone = spread(vec![over("zone")]);
        assert_eq!(fixture.objections(&RULE, &zone, WEB), ["", "", "", WITHOUT_LABEL]);
        fixture.run(0, "a1", &Ask::default(), WEB);
        fixture.run(1, "none", &Ask::default(), WEB);
        assert_eq!(fixture.objections(&RULE, &zone, WEB), [SKEWED, SKEWED, "", WITHOUT_LABEL]);
        let two = spread(vec![Spread { max_skew: 2, ..over("zone") }]);
        assert_eq!(fixture.objections(&RULE, &two, WEB), ["", "", "", WITHOUT_LABEL]);
        // A pod that the selector does not match adds nothing to its domain.
        let other = [("app", "db")];
        assert_eq!(fixture.objections(&RULE, &zone, &other), ["", "", "", WITHOUT_LABEL]);
        fixture.run(2, "b1", &Ask::default(), WEB);
        assert_eq!(fixture.objections(&RULE, &zone, WEB), ["", "", "", WITHOUT_LABEL]);
    }

    #[test]
    fn pods_that_leave_and_pods_of_other_namespaces_do_not_count() {
        let mut fixture = Fixture::new(facts());
        fixture.run(0, "a1", &Ask::default(), WEB);
        fixture.describe(0, &Ask::default(), WEB, Life::Leaving);
        assert_eq!(fixture.objections(&RULE, &spread(vec![over("zone")]), WEB)[..3], [""; 3]);
        fixture.run(1, "a2", &Ask::default(), WEB);
        let elsewhere = Spread { namespace: "other".into(), ..over("zone") };
        assert_eq!(fixture.objections(&RULE, &spread(vec![elsewhere]), WEB)[..3], [""; 3]);
    }

    #[test]
    fn with_too_few_domains_the_last_one_counts_as_empty() {
        let mut fixture = Fixture::new(facts());
        for (pod, node) in [(0, "a1"), (1, "b1")] {
            fixture.run(pod, node, &Ask::default(), WEB);
        }
        let of = |min_domains| spread(vec![Spread { min_domains, ..over("zone") }]);
        assert_eq!(fixture.objections(&RULE, &of(2), WEB)[..3], [""; 3]);
        assert_eq!(fixture.objections(&RULE, &of(3), WEB)[..3], [SKEWED; 3]);
    }

    #[test]
    fn nodes_count_that_carry_all_keys_and_that_the_policies_let_in() {
        let mut facts = facts();
        facts[2].taints = vec![taint("gpu", "", TaintEffect::NoSchedule)];
        let mut fixture = Fixture::new(facts);
        fixture.run(0, "a1", &Ask::default(), WEB);
        let with = |affinity, taints| {
            let constraint = Spread {
                node_affinity_policy: affinity,
                node_taints_policy: taints,
                ..over("zone")
            };
            let only_a = vec![("zone".into(), "a".into())];
            Ask { node_selector: only_a, ..spread(vec![constraint]) }
        };
        use InclusionPolicy::{Honor, Ignore};
        // Zone b is empty and counts, unless the selector or its taint keeps it out.
        assert_eq!(fixture.objections(&RULE, &with(Ignore, Ignore), WEB)[0], SKEWED);
        assert_eq!(fixture.objections(&RULE, &with(Honor, Ignore), WEB)[0], "");
        assert_eq!(fixture.objections(&RULE, &with(Ignore, Honor), WEB)[0], "");
        // With two keys the node without a zone is no host to count, though it is empty.
        let hosts = Spread { max_skew: 1, ..over("host") };
        fixture.run(1, "a2", &Ask::default(), WEB);
        fixture.run(2, "b1", &Ask::default(), WEB);
        let both = spread(vec![Spread { max_skew: 9, ..over("zone") }, hosts.clone()]);
        assert_eq!(fixture.objections(&RULE, &both, WEB), ["", "", "", WITHOUT_LABEL]);
        let alone = spread(vec![hosts]);
        assert_eq!(fixture.objections(&RULE, &alone, WEB), [SKEWED, SKEWED, SKEWED, ""]);
    }

    #[test]
    fn an_empty_selector_counts_no_pod_that_runs_and_an_absent_one_none_at_all() {
        let mut fixture = Fixture::new(facts());
        for pod in 0..3 {
            fixture.run(pod, "a1", &Ask::default(), WEB);
        }
        let empty = Spread { selector: Some(LabelSelector::everything()), ..over("zone") };
        let ask = |constraint| spread(vec![constraint]);
        assert_eq!(fixture.objections(&RULE, &ask(empty.clone()), WEB)[..3], [""; 3]);
        let absent = Spread { selector: None, ..over("zone") };
        assert_eq!(fixture.objections(&RULE, &ask(absent), WEB)[..3], [""; 3]);
    }
    #[test]
    fn constraints_that_are_wished_for_make_crowded_domains_worse() {
        let mut fixture = Fixture::new(facts());
        for (pod, node) in [(0, "a1"), (1, "a1"), (2, "b1")] {
            fixture.run(pod, node, &Ask::default(), WEB);
        }
        let wished = |wished_spread| {
            let relations = Relations { wished_spread, ..Relations::default() };
            Ask { relations: relations.boxed(), ..Ask::default() }
        };
        // Two pods in zone a and one in zone b, each at ln(4): 2.77 and 1.39, rounded to 3 and 1.
        let zone = wished(vec![over("zone")]);
        assert_eq!(fixture.wishes(&RULE, &zone, WEB), [33, 33, 100, 0]);
        // At ln(6) each: 3.58, 0, 1.79, and 0, rounded to 4, 0, 2, and 0.
        let host = wished(vec![over("host")]);
        assert_eq!(fixture.wishes(&RULE, &host, WEB), [0, 100, 50, 100]);
        let nobody = wished(vec![Spread { selector: None, ..over("zone") }]);
        assert_eq!(fixture.wishes(&RULE, &nobody, WEB), [100, 100, 100, 0]);
    }

    #[test]
    fn logarithms_are_those_of_the_tables() {
        const TENTHS_OF_BILLIONTHS: i128 = 10_000_000_000;
        for (number, expected) in [
            (1, 0),
            (2, 6_931_471_805),
            (3, 10_986_122_886),
            (10, 23_025_850_929),
            (5_002, 85_175_931_114),
        ] {
            let shown = (super::logarithm(number) * TENTHS_OF_BILLIONTHS) >> super::FRACTION;
            assert_eq!(shown, expected, "ln {number}");
        }
    }
}
