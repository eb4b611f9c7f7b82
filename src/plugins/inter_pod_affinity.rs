//! Required pod affinity and anti-affinity, both ways. Follows kube-scheduler's InterPodAffinity, in its order:
//! the pod's affinity, where pods that all terms match count, or none is there yet and the pod matches them
//! itself; its anti-affinity, term by term; the anti-affinity of pods that run. A node that lacks a term's key is
//! in no domain of it. Pods that come or leave, anywhere in a domain, may turn its "no".

use super::census::{AttractionTally, Census};
use super::cures::Cures;
use super::points::WISH_SCALE;
use super::relation::{Judge, Newcomer, Reasons, Stranger};
use super::weighing::{Follows, MOST, Score};
use super::{Filter, Rule};
use crate::base::binary64::Binary64;
use crate::cluster::Cluster;
use crate::cluster::ids::{KeyId, NodeId, SelectorId};
use crate::cluster::relations::column::Column;

/// The row.
pub const RULE: Rule = Rule {
    name: "InterPodAffinity",
    filter: Filter::Relation(&InterPodAffinity),
    score: None,
    cured_by: Cures::PODS.and(Cures::LABELS).and(Cures::NODE_ADDED),
};

/// kube-scheduler's words for each of the three, in its order.
const AFFINITY: &str = "node(s) didn't match pod affinity rules";
const ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

#[derive(Debug)]
struct InterPodAffinity;

impl Judge for InterPodAffinity {
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool {
        objection(newcomer, node).is_none()
    }

    /// Pods that run keep it away, by its terms or theirs: no member of its gang changes that.
    fn rules_out(&self, stranger: &Stranger<'_>, node: NodeId) -> bool {
        let relations = stranger.cluster.relations();
        let is_near = |column: &Column, key: KeyId| {
            let domains = relations.key(key);
            domains.domain(node).is_some_and(|domain| {
                column.iter().any(|(other, _)| domains.domain(other) == Some(domain))
            })
        };
        let wants = relations.wants(stranger.ask);
        if let Some(near) = wants.and_then(|wants| wants.affinity.as_ref()) {
            let could_be_met = |selector: &SelectorId| {
                let is_company = |kind: &(_, _)| relations.matched(kind.1).contains(selector);
                // Whoever the whole gang wants to be near may be one of it, also of its first pods.
                stranger.company.iter().any(is_company)
                    || near.keys.iter().all(|key| is_near(relations.pods(*selector), *key))
            };
            if !near.selector.as_ref().is_some_and(could_be_met) {
                return true;
            }
        }
        let own = wants.map_or(&[][..], |wants| &wants.repulsion);
        let theirs = relations.matched(stranger.signature).iter();
        own.iter().any(|term| is_near(relations.pods(term.selector), term.key))
            || theirs
                .flat_map(|selector| relations.repelling(*selector))
                .any(|term| is_near(relations.carriers(*term), relations.term(*term).key))
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

/// Its score: what other pods are worth to the newcomer in a node's domains, both ways.
pub const SCORE: Score = Score {
    name: RULE.name,
    weight: 2,
    follows: Follows::Pods,
    score: |newcomer, _, nodes| parts(newcomer, nodes),
};

/// From 0 for the node whose domains are worth least to 100 for those that are worth most, as upstream.
fn parts(newcomer: &Newcomer<'_>, nodes: &[NodeId]) -> Vec<i64> {
    let Newcomer { cluster, census, .. } = *newcomer;
    let wishes = &census.role(newcomer.role).wishes;
    if wishes.is_empty() {
        return vec![0; nodes.len()];
    }
    let worth = |node: &NodeId| -> i64 {
        let of_wish = |(tally, weight): &(usize, i64)| {
            let tally = census.tally(*tally);
            let domain = cluster.relations().key(tally.key).domain(*node);
            domain.map_or(0, |domain| weight * tally.count(domain))
        };
        wishes.iter().map(of_wish).sum()
    };
    let mut worths: Vec<i64> = nodes.iter().map(worth).collect();
    let least = worths.iter().min().copied().unwrap_or(0);
    let span = worths.iter().max().copied().unwrap_or(0) - least;
    let (hundred, width) = (Binary64::of(MOST), Binary64::of(span));
    for worth in &mut worths {
        // In this order upstream reckons in floating point, where 100 * (29 / 50) is less than 58.
        *worth = (hundred * (Binary64::of(*worth - least) / width)).truncated();
    }
    worths
}

fn objection(newcomer: &Newcomer<'_>, node: NodeId) -> Option<&'static str> {
    let Newcomer { cluster, census, .. } = *newcomer;
    let of_role = census.role(newcomer.role);
    let has_any = |tally: &usize| counts_any(cluster, census, *tally, node);
    if let Some(attraction) = &of_role.attraction
        && !attracts(cluster, census, attraction, node)
    {
        return Some(AFFINITY);
    }
    if of_role.repulsion.iter().any(has_any) {
        return Some(ANTI_AFFINITY);
    }
    of_role.repelled_by.iter().any(has_any).then_some(EXISTING)
}

fn attracts(
    cluster: &Cluster,
    census: &Census,
    attraction: &AttractionTally,
    node: NodeId,
) -> bool {
    if attraction.tallies.iter().all(|tally| counts_any(cluster, census, *tally, node)) {
        return true;
    }
    let has_all_keys = || {
        let mut keys = attraction.keys.iter();
        keys.all(|key| cluster.relations().key(*key).domain(node).is_some())
    };
    attraction.matches_itself
        && attraction.tallies.iter().all(|tally| census.tally(*tally).total() == 0)
        && has_all_keys()
}

/// True if the node's domain counts any.
#[inline]
fn counts_any(cluster: &Cluster, census: &Census, tally: usize, node: NodeId) -> bool {
    let tally = census.tally(tally);
    let domain = cluster.relations().key(tally.key).domain(node);
    domain.is_some_and(|domain| tally.count(domain) > 0)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::super::relation::Stranger;
    use super::{AFFINITY, ANTI_AFFINITY, EXISTING, RULE};
    use crate::base::labels::LabelSelector;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::ids::PodId;
    use crate::cluster::relations::Life;
    use crate::workload::ask::Ask;
    use crate::workload::relations::{PodTerm, PodWish, Relations};

    /// A term about pods of namespace `team`.
    fn term(selector: &str, key: &str) -> PodTerm {
        let selector = LabelSelector::parse(selector).expect("the test's selector parses");
        PodTerm {
            selector: Some(selector),
            namespaces: vec!["team".into()],
            namespace_selector: None,
            topology_key: key.into(),
        }
    }

    fn near(terms: Vec<PodTerm>) -> Ask {
        Ask {
            relations: Relations { affinity: terms, ..Relations::default() }.boxed(),
            ..Ask::default()
        }
    }

    fn apart(terms: Vec<PodTerm>) -> Ask {
        let relations = Relations { anti_affinity: terms, ..Relations::default() };
        Ask { relations: relations.boxed(), ..Ask::default() }
    }

    /// Nodes a1, a2 in zone a, b1 in zone b, and one without a zone.
    fn fixture() -> Fixture {
        let of = |name: &str, zone: Option<&str>| {
            let mut labels = vec![("host".into(), name.into())];
            labels.extend(zone.map(|zone| ("zone".into(), zone.into())));
            NodeFact { labels, ..node(name) }
        };
        Fixture::new([
            of("a1", Some("a")),
            of("a2", Some("a")),
            of("b1", Some("b")),
            of("none", None),
        ])
    }

    const WEB: &[(&str, &str)] = &[("app", "web")];
    const DB: &[(&str, &str)] = &[("app", "db"), ("tier", "back")];

    #[test]
    fn affinity_wants_a_pod_in_the_domain_of_each_term() {
        let mut fixture = fixture();
        fixture.run(0, "a2", &Ask::default(), DB);
        fixture.run(1, "none", &Ask::default(), DB);
        let zone = near(vec![term("app=db", "zone")]);
        assert_eq!(fixture.objections(&RULE, &zone, WEB), ["", "", AFFINITY, AFFINITY]);
        let host = near(vec![term("app=db", "host")]);
        assert_eq!(fixture.objections(&RULE, &host, WEB), [AFFINITY, "", AFFINITY, ""]);
        let both = near(vec![term("app=db", "zone"), term("tier", "host")]);
        assert_eq!(fixture.objections(&RULE, &both, WEB), [AFFINITY, "", AFFINITY, AFFINITY]);
        // A pod counts only if all terms match it.
        let unmet = near(vec![term("app=db", "zone"), term("app=web", "zone")]);
        assert_eq!(fixture.objections(&RULE, &unmet, WEB), [AFFINITY; 4]);
    }

    #[test]
    fn the_first_pod_of_a_group_needs_no_other() {
        let mut fixture = fixture();
        let own = near(vec![term("app=web", "zone")]);
        assert_eq!(fixture.objections(&RULE, &own, WEB), ["", "", "", AFFINITY], "a key is needed");
        assert_eq!(fixture.objections(&RULE, &own, DB), [AFFINITY; 4], "it must match itself");
        let two = near(vec![term("app=web", "zone"), term("tier", "host")]);
        assert_eq!(fixture.objections(&RULE, &two, WEB), [AFFINITY; 4], "by all its terms");
        // One that matches, on a node without the key, is in no domain: it does not count as there.
        fixture.run(0, "none", &Ask::default(), WEB);
        assert_eq!(fixture.objections(&RULE, &own, WEB), ["", "", "", AFFINITY]);
        fixture.run(1, "b1", &Ask::default(), WEB);
        assert_eq!(fixture.objections(&RULE, &own, WEB), [AFFINITY, AFFINITY, "", AFFINITY]);
    }

    #[test]
    fn anti_affinity_wants_no_pod_in_the_domain_of_any_term() {
        let mut fixture = fixture();
        fixture.run(0, "a2", &Ask::default(), DB);
        fixture.run(1, "none", &Ask::default(), DB);
        let zone = apart(vec![term("app=db", "zone")]);
        assert_eq!(fixture.objections(&RULE, &zone, WEB), [ANTI_AFFINITY, ANTI_AFFINITY, "", ""]);
        let either = apart(vec![term("app=web", "zone"), term("tier=back", "host")]);
        assert_eq!(fixture.objections(&RULE, &either, WEB), ["", ANTI_AFFINITY, "", ANTI_AFFINITY]);
    }

    #[test]
    fn pods_that_run_keep_away_whom_their_terms_match_until_they_are_gone() {
        let mut fixture = fixture();
        fixture.run(0, "a1", &apart(vec![term("app=web", "zone")]), DB);
        let plain = Ask::default();
        assert_eq!(fixture.objections(&RULE, &plain, WEB), [EXISTING, EXISTING, "", ""]);
        assert_eq!(fixture.objections(&RULE, &plain, DB), [""; 4]);
        // One that is being deleted is still there.
        fixture.describe(0, &apart(vec![term("app=web", "zone")]), DB, Life::Leaving);
        assert_eq!(fixture.objections(&RULE, &plain, WEB), [EXISTING, EXISTING, "", ""]);
        fixture.cluster.release(PodId(0));
        assert_eq!(fixture.objections(&RULE, &plain, WEB), [""; 4]);
    }

    #[test]
    fn the_pods_own_affinity_gives_the_reason_before_its_anti_affinity_and_others() {
        let mut fixture = fixture();
        fixture.run(0, "a1", &apart(vec![term("app=web", "host")]), DB);
        let relations = Relations {
            affinity: vec![term("tier=front", "zone")],
            anti_affinity: vec![term("app=db", "zone")],
            ..Relations::default()
        };
        let all = Ask { relations: relations.boxed(), ..Ask::default() };
        assert_eq!(fixture.objections(&RULE, &all, WEB), [AFFINITY; 4]);
        let two = apart(vec![term("app=db", "zone")]);
        assert_eq!(fixture.objections(&RULE, &two, WEB), [ANTI_AFFINITY, ANTI_AFFINITY, "", ""]);
    }

    #[test]
    fn namespaces_are_named_selected_or_all() {
        let mut fixture = fixture();
        fixture.run(0, "a1", &Ask::default(), DB);
        let away = |namespaces: &[&str], selector: Option<&str>| {
            let selector = selector.map(|text| LabelSelector::parse(text).expect("it parses"));
            let namespaces = namespaces.iter().map(|name| (*name).into()).collect();
            let about =
                PodTerm { namespaces, namespace_selector: selector, ..term("app=db", "host") };
            apart(vec![about])
        };
        let closed = |fixture: &mut Fixture, ask: &Ask| {
            fixture.objections(&RULE, ask, WEB)[0] == ANTI_AFFINITY
        };
        assert!(closed(&mut fixture, &away(&["other", "team"], None)));
        assert!(!closed(&mut fixture, &away(&["other"], None)));
        assert!(closed(&mut fixture, &away(&[], Some(""))), "an empty selector selects all");
        assert!(!closed(&mut fixture, &away(&[], Some("env=prod"))));
        assert!(closed(&mut fixture, &away(&["team"], Some("env=prod"))), "either will do");
        let prod = [("env".into(), "prod".into())];
        fixture.cluster.observe_namespace(&"team".into(), Some(&prod));
        assert!(closed(&mut fixture, &away(&[], Some("env=prod"))));
        fixture.cluster.observe_namespace(&"team".into(), None);
        assert!(!closed(&mut fixture, &away(&[], Some("env=prod"))));
    }

    #[test]
    fn a_term_without_a_selector_matches_nobody_and_an_empty_one_everybody() {
        let mut fixture = fixture();
        fixture.run(0, "a1", &Ask::default(), DB);
        let nobody = PodTerm { selector: None, ..term("", "host") };
        assert_eq!(fixture.objections(&RULE, &apart(vec![nobody.clone()]), WEB), [""; 4]);
        assert_eq!(fixture.objections(&RULE, &near(vec![nobody]), WEB), [AFFINITY; 4]);
        let all = apart(vec![term("", "host")]);
        assert_eq!(fixture.objections(&RULE, &all, WEB), [ANTI_AFFINITY, "", "", ""]);
    }

    #[test]
    fn a_gang_is_ruled_out_where_nobody_is_whom_it_must_be_near_unless_one_of_its_own_could_be() {
        let mut fixture = fixture();
        fixture.run(0, "a2", &Ask::default(), DB);
        let worker = fixture.describe(1, &near(vec![term("app=db", "zone")]), WEB, Life::Staying);
        let leader = fixture.describe(2, &Ask::default(), DB, Life::Staying);
        let first = fixture.describe(3, &near(vec![term("app=web", "zone")]), WEB, Life::Staying);
        fixture.cluster.refresh_domains();
        let cluster = &fixture.cluster;
        let kind = |ask, pod| (ask, cluster.signature_of(PodId(pod)));
        let ruled_out = |ask, pod, company: &[_]| {
            let (ask, signature) = kind(ask, pod);
            let stranger = Stranger { cluster, ask, signature, company, hopes: None };
            ["a1", "a2", "b1", "none"].map(|name| {
                let node = cluster.node(name).expect("it is known");
                crate::plugins::ruled_out(&stranger, node)
            })
        };
        let workers = [kind(worker, 1)];
        assert_eq!(ruled_out(worker, 1, &workers), [false, false, true, true]);
        let led = [kind(worker, 1), kind(leader, 2)];
        assert_eq!(ruled_out(worker, 1, &led), [false; 4]);
        assert_eq!(ruled_out(first, 3, &[kind(first, 3)]), [false; 4], "one of them is the first");
    }

    #[test]
    fn wishes_weigh_the_pods_in_the_domain_on_both_sides() {
        let mut fixture = fixture();
        let wish = |weight, about: PodTerm| {
            let wishes = vec![PodWish { weight, term: about }];
            Ask {
                relations: Relations { wishes, ..Relations::default() }.boxed(),
                ..Ask::default()
            }
        };
        fixture.run(0, "a1", &Ask::default(), DB);
        fixture.run(1, "b1", &Ask::default(), DB);
        fixture.run(2, "b1", &Ask::default(), DB);
        let towards = wish(10, term("app=db", "zone"));
        assert_eq!(fixture.wishes(&RULE, &towards, WEB), [50, 50, 100, 0]);
        let away = wish(-10, term("app=db", "zone"));
        assert_eq!(fixture.wishes(&RULE, &away, WEB), [50, 50, 0, 100]);
        // Pods that run wish for others too, and required affinity makes them worth something.
        fixture.run(3, "a2", &wish(4, term("app=web", "host")), DB);
        assert_eq!(fixture.wishes(&RULE, &Ask::default(), WEB), [0, 100, 0, 0]);
        fixture.run(4, "none", &near(vec![term("app=web", "host")]), WEB);
        assert_eq!(fixture.wishes(&RULE, &Ask::default(), WEB), [0, 100, 0, 25]);
    }
}
