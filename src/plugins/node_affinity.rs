//! `spec.nodeSelector`, required and preferred node affinity. Follows kube-scheduler's NodeAffinity:
//! all selector labels and one required term must match; an empty term or one that does not parse
//! matches nothing; the weights of matching preferred terms add up.

use super::cures::Cures;
use super::points::{Points, WISH_SCALE};
use super::relation::Newcomer;
use super::weighing::{self, Follows, Score};
use super::{Filter, Rule};
use crate::base::names::Name;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::NodeId;
use crate::cluster::labels::NodeGroup;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nodes::Nodes;
use crate::workload::ask::Ask;
use crate::workload::constraints::{NodeOperator, NodeRequirement, NodeTerm, PreferredTerm};
use crate::workload::profile::Weighing;

/// The row.
pub const RULE: Rule = Rule {
    name: "NodeAffinity",
    filter: Filter::Objects {
        retain,
        admits,
        reason: "node(s) didn't match Pod's node affinity/selector",
    },
    score: Some(score),
    cured_by: Cures::LABELS.and(Cures::NODE_ADDED),
};

/// The row of terms that contradict each other: each names nodes, and no node is named by all of its requirements.
/// kube-scheduler notices before it looks at any node, so its words come before all others.
pub const CONFLICT: Rule = Rule {
    name: RULE.name,
    filter: Filter::Objects {
        retain: |ask, _, passing| {
            if is_contradictory(ask) {
                passing.clear();
            }
        },
        admits: |ask, _| !is_contradictory(ask),
        reason: "pod affinity terms conflict",
    },
    score: None,
    cured_by: Cures::NONE,
};

/// True if the terms contradict each other.
pub(super) fn is_contradictory(ask: &Ask) -> bool {
    named_nodes(ask).is_some_and(|names| names.is_empty())
}

/// The row of terms that all name nodes: kube-scheduler looks at no other node, and has one reason for all of them.
pub const NAMED: Rule = Rule {
    name: RULE.name,
    filter: Filter::Objects {
        retain: retain_named,
        admits: |ask, fact| named_nodes(ask).is_none_or(|names| names.contains(&&fact.name)),
        reason: "node(s) didn't satisfy plugin(s) [NodeAffinity]",
    },
    score: None,
    cured_by: RULE.cured_by,
};

/// The row of the affinity that a profile adds to every pod's own.
pub const ENFORCED: Rule = Rule {
    name: RULE.name,
    filter: Filter::Objects {
        retain: |ask, nodes, passing| {
            if let Some(terms) = added_terms(ask) {
                retain_any(terms, nodes, passing);
            }
        },
        admits: |ask, fact| {
            added_terms(ask).is_none_or(|terms| terms.iter().any(|term| term_admits(term, fact)))
        },
        reason: "node(s) didn't match scheduler-enforced node affinity",
    },
    score: None,
    cured_by: RULE.cured_by,
};

/// The one field that `matchFields` knows.
const NAME_FIELD: &str = "metadata.name";

/// The nodes that the required terms name, where every term names some by `In`; empty if they contradict.
fn named_nodes(ask: &Ask) -> Option<Vec<&Name>> {
    let terms = ask.required_terms.as_ref().filter(|terms| !terms.is_empty())?;
    let mut named = Vec::new();
    for term in terms {
        let mut of_term: Option<Vec<&Name>> = None;
        let is_name = |wanted: &&NodeRequirement| {
            &*wanted.key == NAME_FIELD && wanted.operator == NodeOperator::In
        };
        for wanted in term.match_fields.iter().filter(is_name) {
            of_term = Some(match of_term {
                None => wanted.values.iter().collect(),
                Some(names) => {
                    names.into_iter().filter(|name| wanted.values.contains(name)).collect()
                }
            });
        }
        named.extend(of_term?);
    }
    Some(named)
}

fn retain_named(ask: &Ask, nodes: &Nodes, passing: &mut NodeSet) {
    let Some(names) = named_nodes(ask) else { return };
    let named: NodeSet = names.into_iter().filter_map(|name| nodes.present_id(name)).collect();
    passing.intersect_with(&named);
}

/// Takes the nodes that node selector and required affinity reject out of the set.
pub(super) fn retain(ask: &Ask, nodes: &Nodes, passing: &mut NodeSet) {
    for (key, value) in &ask.node_selector {
        retain_group(passing, nodes.labels().value(key, value));
    }
    if let Some(terms) = &ask.required_terms {
        retain_any(terms, nodes, passing);
    }
}

/// Keeps the nodes that at least one term matches.
fn retain_any(terms: &[NodeTerm], nodes: &Nodes, passing: &mut NodeSet) {
    let mut matched = NodeSet::new();
    for term in terms {
        let mut by_term = passing.clone();
        retain_term(term, nodes, &mut by_term);
        matched.unite_with(&by_term);
    }
    *passing = matched;
}

fn added_terms(ask: &Ask) -> Option<&[NodeTerm]> {
    ask.profile.as_ref()?.added_required.as_deref()
}

fn score(ask: &Ask, nodes: &Nodes, points: &mut Points<'_>) {
    for preferred in preferred_terms(ask) {
        let mut matched = nodes.present().clone();
        retain_term(&preferred.term, nodes, &mut matched);
        points.add(&matched, i64::from(preferred.weight) * WISH_SCALE);
    }
}

/// Its score: the weights of the preferred terms that match, those that the profile adds included.
pub const SCORE: Score =
    Score { name: RULE.name, weight: 2, follows: Follows::Objects, score: weigh };

fn weigh(newcomer: &Newcomer<'_>, _: &Weighing, nodes: &[NodeId]) -> Vec<i64> {
    let all = newcomer.cluster.nodes();
    let mut counts = vec![0; nodes.len()];
    for preferred in preferred_terms(&newcomer.ask.ask) {
        let mut matched = all.present().clone();
        retain_term(&preferred.term, all, &mut matched);
        for (count, _) in counts.iter_mut().zip(nodes).filter(|(_, node)| matched.contains(**node))
        {
            *count += i64::from(preferred.weight);
        }
    }
    weighing::greater_is_better(&mut counts);
    counts
}

fn preferred_terms(ask: &Ask) -> impl Iterator<Item = &PreferredTerm> {
    let added = ask.profile.iter().flat_map(|profile| &profile.added_preferred);
    ask.preferred_terms.iter().chain(added)
}

/// True if the term can match anything at all: it says something, and all of it makes sense.
fn is_sound(term: &NodeTerm) -> bool {
    term.malformed.is_none()
        && !(term.match_expressions.is_empty() && term.match_fields.is_empty())
        && term.match_expressions.iter().all(expression_is_sound)
        && term.match_fields.iter().all(field_is_sound)
}

fn expression_is_sound(requirement: &NodeRequirement) -> bool {
    match requirement.operator {
        NodeOperator::In | NodeOperator::NotIn => !requirement.values.is_empty(),
        NodeOperator::Exists | NodeOperator::DoesNotExist => requirement.values.is_empty(),
        NodeOperator::Gt | NodeOperator::Lt => bound(requirement).is_some(),
    }
}

fn field_is_sound(requirement: &NodeRequirement) -> bool {
    &*requirement.key == NAME_FIELD
        && requirement.values.len() == 1
        && match requirement.operator {
            NodeOperator::In | NodeOperator::NotIn => true,
            NodeOperator::Exists
            | NodeOperator::DoesNotExist
            | NodeOperator::Gt
            | NodeOperator::Lt => false,
        }
}

/// The one integer that `Gt` and `Lt` compare with.
fn bound(requirement: &NodeRequirement) -> Option<i64> {
    match &requirement.values[..] {
        [value] => value.parse().ok(),
        _ => None,
    }
}

fn compares(operator: NodeOperator, value: &str, bound: i64) -> bool {
    let Ok(value) = value.parse::<i64>() else { return false };
    if operator == NodeOperator::Gt { value > bound } else { value < bound }
}

fn retain_term(term: &NodeTerm, nodes: &Nodes, matched: &mut NodeSet) {
    if !is_sound(term) {
        matched.clear();
        return;
    }
    for requirement in &term.match_fields {
        let named: NodeSet = nodes.present_id(&requirement.values[0]).into_iter().collect();
        if requirement.operator == NodeOperator::In {
            matched.intersect_with(&named);
        } else {
            matched.subtract(&named);
        }
    }
    for requirement in &term.match_expressions {
        retain_requirement(requirement, nodes, matched);
    }
}

fn retain_requirement(requirement: &NodeRequirement, nodes: &Nodes, matched: &mut NodeSet) {
    let labels = nodes.labels();
    match requirement.operator {
        NodeOperator::In => match &requirement.values[..] {
            [value] => retain_group(matched, labels.value(&requirement.key, value)),
            values => matched.intersect_with(&with_any_value(nodes, &requirement.key, values)),
        },
        NodeOperator::NotIn => {
            matched.subtract(&with_any_value(nodes, &requirement.key, &requirement.values));
        }
        NodeOperator::Exists => {
            retain_group(matched, labels.key(&requirement.key).map(|key| &key.nodes));
        }
        NodeOperator::DoesNotExist => {
            if let Some(key) = labels.key(&requirement.key) {
                let mut labelled = NodeSet::new();
                key.nodes.add_to(&mut labelled);
                matched.subtract(&labelled);
            }
        }
        operator @ (NodeOperator::Gt | NodeOperator::Lt) => {
            let bound = bound(requirement).expect("an unsound term was turned away before");
            let mut beyond = NodeSet::new();
            if let Some(key) = labels.key(&requirement.key) {
                for (value, nodes) in &key.values {
                    if compares(operator, value, bound) {
                        nodes.add_to(&mut beyond);
                    }
                }
            }
            matched.intersect_with(&beyond);
        }
    }
}

fn with_any_value(nodes: &Nodes, key: &str, values: &[Name]) -> NodeSet {
    let mut found = NodeSet::new();
    for value in values {
        if let Some(group) = nodes.labels().value(key, value) {
            group.add_to(&mut found);
        }
    }
    found
}

/// Keeps the nodes of `group`, without a pass over all nodes where the group is small.
fn retain_group(matched: &mut NodeSet, group: Option<&NodeGroup>) {
    match group {
        None => matched.clear(),
        Some(NodeGroup::Set(nodes)) => matched.intersect_with(nodes),
        Some(NodeGroup::List(nodes)) => {
            *matched = nodes.iter().copied().filter(|node| matched.contains(*node)).collect();
        }
    }
}

fn admits(ask: &Ask, fact: &NodeFact) -> bool {
    ask.node_selector.iter().all(|(key, value)| label(fact, key) == Some(value))
        && ask
            .required_terms
            .as_ref()
            .is_none_or(|terms| terms.iter().any(|term| term_admits(term, fact)))
}

fn label<'a>(fact: &'a NodeFact, key: &Name) -> Option<&'a Name> {
    fact.labels.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn term_admits(term: &NodeTerm, fact: &NodeFact) -> bool {
    let named = |requirement: &NodeRequirement| {
        let same = requirement.values[0] == fact.name;
        same == (requirement.operator == NodeOperator::In)
    };
    let labelled = |requirement: &NodeRequirement| {
        let value = label(fact, &requirement.key);
        let listed = value.is_some_and(|value| requirement.values.contains(value));
        match requirement.operator {
            NodeOperator::In => listed,
            NodeOperator::NotIn => !listed,
            NodeOperator::Exists => value.is_some(),
            NodeOperator::DoesNotExist => value.is_none(),
            operator @ (NodeOperator::Gt | NodeOperator::Lt) => value
                .zip(bound(requirement))
                .is_some_and(|(value, bound)| compares(operator, value, bound)),
        }
    };
    is_sound(term)
        && term.match_fields.iter().all(named)
        && term.match_expressions.iter().all(labelled)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixture::{Fixture, node};
    use super::{
        Ask, CONFLICT, ENFORCED, NAMED, NodeFact, NodeOperator, NodeRequirement, NodeTerm, RULE,
        WISH_SCALE,
    };
    use crate::workload::constraints::PreferredTerm;
    use crate::workload::profile::Profile;

    fn labelled(name: &str, labels: &[(&str, &str)]) -> NodeFact {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        NodeFact { labels, ..node(name) }
    }

    fn fixture() -> Fixture {
        Fixture::new([
            labelled("a", &[("cards", "8"), ("zone", "east")]),
            labelled("b", &[("cards", "4"), ("zone", "west")]),
            labelled("c", &[("cards", "many")]),
            labelled("d", &[("zone", "")]),
        ])
    }

    fn requirement(key: &str, operator: NodeOperator, values: &[&str]) -> NodeRequirement {
        NodeRequirement {
            key: key.into(),
            operator,
            values: values.iter().map(|value| (*value).into()).collect(),
        }
    }

    fn on_labels(key: &str, operator: NodeOperator, values: &[&str]) -> NodeTerm {
        NodeTerm {
            match_expressions: vec![requirement(key, operator, values)],
            ..NodeTerm::default()
        }
    }

    fn on_fields(key: &str, operator: NodeOperator, values: &[&str]) -> NodeTerm {
        NodeTerm { match_fields: vec![requirement(key, operator, values)], ..NodeTerm::default() }
    }

    fn required(terms: Vec<NodeTerm>) -> Ask {
        Ask { required_terms: Some(terms), ..Ask::default() }
    }

    #[test]
    fn every_operator_on_labels() {
        let fixture = fixture();
        let cases: [(NodeTerm, &[&str]); 16] = [
            (on_labels("zone", NodeOperator::In, &["east", "north"]), &["a"]),
            (on_labels("zone", NodeOperator::In, &["west"]), &["b"]),
            (on_labels("zone", NodeOperator::In, &[""]), &["d"]),
            (on_labels("zone", NodeOperator::In, &[]), &[]),
            (on_labels("zone", NodeOperator::NotIn, &["east"]), &["b", "c", "d"]),
            (on_labels("zone", NodeOperator::NotIn, &[]), &[]),
            (on_labels("zone", NodeOperator::Exists, &[]), &["a", "b", "d"]),
            (on_labels("zone", NodeOperator::Exists, &["east"]), &[]),
            (on_labels("zone", NodeOperator::DoesNotExist, &[]), &["c"]),
            (on_labels("unheard", NodeOperator::DoesNotExist, &[]), &["a", "b", "c", "d"]),
            (on_labels("cards", NodeOperator::Gt, &["4"]), &["a"]),
            (on_labels("cards", NodeOperator::Gt, &["-1"]), &["a", "b"]),
            (on_labels("cards", NodeOperator::Lt, &["8"]), &["b"]),
            (on_labels("cards", NodeOperator::Lt, &["8", "9"]), &[]),
            (on_labels("cards", NodeOperator::Gt, &["few"]), &[]),
            (on_labels("unheard", NodeOperator::Gt, &["0"]), &[]),
        ];
        for (term, expected) in cases {
            let ask = required(vec![term]);
            assert_eq!(fixture.passing(&RULE, &ask), expected, "{:?}", ask.required_terms);
        }
    }

    #[test]
    fn fields_name_one_node() {
        let fixture = fixture();
        let cases: [(NodeTerm, &[&str]); 6] = [
            (on_fields("metadata.name", NodeOperator::In, &["b"]), &["b"]),
            (on_fields("metadata.name", NodeOperator::In, &["unheard"]), &[]),
            (on_fields("metadata.name", NodeOperator::NotIn, &["b"]), &["a", "c", "d"]),
            (on_fields("metadata.name", NodeOperator::In, &["a", "b"]), &[]),
            (on_fields("metadata.name", NodeOperator::Exists, &[]), &[]),
            (on_fields("metadata.uid", NodeOperator::In, &["b"]), &[]),
        ];
        for (term, expected) in cases {
            let ask = required(vec![term]);
            assert_eq!(fixture.passing(&RULE, &ask), expected, "{:?}", ask.required_terms);
        }
    }

    #[test]
    fn a_profile_adds_terms_and_turns_filters_off() {
        let fixture = fixture();
        let east = on_labels("zone", NodeOperator::In, &["east"]);
        let wish = PreferredTerm { weight: 7, term: on_labels("zone", NodeOperator::Exists, &[]) };
        let with = |profile: Profile| Ask { profile: Some(Arc::new(profile)), ..Ask::default() };
        let added = with(Profile {
            added_required: Some(vec![east.clone()]),
            added_preferred: vec![wish],
            ..Profile::default()
        });
        assert_eq!(fixture.passing(&ENFORCED, &added), ["a"]);
        assert_eq!(fixture.passing(&RULE, &added), ["a", "b", "c", "d"]);
        let points = fixture.points(&RULE, &added);
        assert_eq!(points, [7 * WISH_SCALE, 7 * WISH_SCALE, 0, 7 * WISH_SCALE]);
        let none = with(Profile { added_required: Some(vec![]), ..Profile::default() });
        assert_eq!(fixture.passing(&ENFORCED, &none), [""; 0]);
        let off = Profile { filters_off: vec!["NodeAffinity"], ..Profile::default() };
        let off = Ask { required_terms: Some(vec![]), ..with(off) };
        assert!(crate::plugins::admits(&off, &node("c")));
        assert!(!crate::plugins::admits(&required(vec![]), &node("c")));
    }

    #[test]
    fn terms_that_all_name_nodes_leave_no_others_to_look_at() {
        let fixture = fixture();
        let named = |name: &str| on_fields("metadata.name", NodeOperator::In, &[name]);
        let both = NodeTerm {
            match_fields: vec![
                named("a").match_fields.remove(0),
                named("b").match_fields.remove(0),
            ],
            ..NodeTerm::default()
        };
        let all: &[&str] = &["a", "b", "c", "d"];
        let cases: [(Vec<NodeTerm>, &[&str], &[&str]); 6] = [
            (vec![named("a")], all, &["a"]),
            (vec![named("a"), named("d"), named("unheard")], all, &["a", "d"]),
            (vec![named("a"), on_labels("zone", NodeOperator::Exists, &[])], all, all),
            (vec![both.clone()], &[], &[]),
            (vec![both, named("c")], all, &["c"]),
            (vec![], all, all),
        ];
        for (terms, sound, passing) in cases {
            let ask = required(terms);
            assert_eq!(fixture.passing(&CONFLICT, &ask), sound, "{:?}", ask.required_terms);
            assert_eq!(fixture.passing(&NAMED, &ask), passing, "{:?}", ask.required_terms);
        }
    }

    #[test]
    fn terms_are_alternatives_and_a_broken_one_matches_nothing() {
        let fixture = fixture();
        let east = on_labels("zone", NodeOperator::In, &["east"]);
        let west = on_labels("zone", NodeOperator::In, &["west"]);
        let broken = NodeTerm { malformed: Some("values: must be one".into()), ..east.clone() };
        let both = NodeTerm {
            match_expressions: [&east, &west]
                .map(|term| term.match_expressions[0].clone())
                .to_vec(),
            ..NodeTerm::default()
        };
        let cases: [(Vec<NodeTerm>, &[&str]); 6] = [
            (vec![east.clone(), west.clone()], &["a", "b"]),
            (vec![broken.clone(), west], &["b"]),
            (vec![broken], &[]),
            (vec![both], &[]),
            (vec![NodeTerm::default()], &[]),
            (vec![], &[]),
        ];
        for (terms, expected) in cases {
            assert_eq!(fixture.passing(&RULE, &required(terms.clone())), expected, "{terms:?}");
        }
    }

    #[test]
    fn the_selector_and_the_affinity_must_both_match() {
        let fixture = fixture();
        let selector = |labels: &[(&str, &str)]| Ask {
            node_selector: labels
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
            ..required(vec![on_labels("cards", NodeOperator::Exists, &[])])
        };
        assert_eq!(fixture.passing(&RULE, &selector(&[("zone", "east")])), ["a"]);
        assert_eq!(fixture.passing(&RULE, &selector(&[("zone", "")])), [""; 0]);
        assert_eq!(fixture.passing(&RULE, &selector(&[("zone", "east"), ("cards", "4")])), [""; 0]);
        assert_eq!(fixture.passing(&RULE, &selector(&[])), ["a", "b", "c"]);
    }

    #[test]
    fn weights_of_matching_wishes_add_up() {
        let wish = |weight, term| PreferredTerm { weight, term };
        let ask = Ask {
            preferred_terms: vec![
                wish(10, on_labels("zone", NodeOperator::Exists, &[])),
                wish(5, on_labels("cards", NodeOperator::Gt, &["4"])),
                wish(100, NodeTerm::default()),
            ],
            ..Ask::default()
        };
        let points = fixture().points(&RULE, &ask);
        assert_eq!(points, [15 * WISH_SCALE, 10 * WISH_SCALE, 0, 10 * WISH_SCALE]);
    }
}
