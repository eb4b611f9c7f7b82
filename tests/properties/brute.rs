//! What is true of a tiny world, found the plain way: every rule read off the facts node by node, every
//! assignment of members to nodes tried.

use muster::cluster::facts::NodeFact;
use muster::workload::ask::Ask;
use muster::workload::constraints::{NodeOperator, NodeRequirement, NodeTerm, TaintEffect};

use crate::world::{GPU, Members, World};

/// kube-scheduler's reason why the node's object keeps the pod away, the first one in its order.
pub(crate) fn rejected(ask: &Ask, node: &NodeFact) -> Option<&'static str> {
    let tolerates_cordon = ask.tolerations.iter().any(|toleration| {
        toleration.key.is_empty() || &*toleration.key == "node.kubernetes.io/unschedulable"
    });
    if node.unschedulable && !tolerates_cordon {
        return Some("node(s) were unschedulable");
    }
    if untolerated(ask, node, |effect| effect != TaintEffect::PreferNoSchedule) > 0 {
        return Some("node(s) had untolerated taint(s)");
    }
    let selected = ask.node_selector.iter().all(|label| node.labels.contains(label));
    let affine = match &ask.required_terms {
        None => true,
        Some(terms) => terms.iter().any(|term| matches(term, node)),
    };
    (!selected || !affine).then_some("node(s) didn't match Pod's node affinity/selector")
}

/// Tolerations of these worlds have operator Exists and no effect: only the key counts.
fn untolerated(ask: &Ask, node: &NodeFact, effects: impl Fn(TaintEffect) -> bool) -> i64 {
    let tolerated = |key: &str| ask.tolerations.iter().any(|t| t.key.is_empty() || &*t.key == key);
    node.taints.iter().filter(|taint| effects(taint.effect) && !tolerated(&taint.key)).count()
        as i64
}

fn matches(term: &NodeTerm, node: &NodeFact) -> bool {
    let label =
        |key: &str| node.labels.iter().find(|(name, _)| &**name == key).map(|(_, value)| &**value);
    let number = |text: &str| text.parse::<i64>().ok();
    let holds = |requirement: &NodeRequirement, value: Option<&str>| {
        let listed = value.is_some_and(|value| requirement.values.iter().any(|v| &**v == value));
        match requirement.operator {
            NodeOperator::In => listed,
            NodeOperator::NotIn => !listed,
            NodeOperator::Exists => value.is_some(),
            NodeOperator::DoesNotExist => value.is_none(),
            NodeOperator::Gt => value.and_then(number) > number(&requirement.values[0]),
            NodeOperator::Lt => value
                .and_then(number)
                .is_some_and(|value| Some(value) < number(&requirement.values[0])),
        }
    };
    term.match_expressions.iter().all(|requirement| holds(requirement, label(&requirement.key)))
        && term.match_fields.iter().all(|requirement| holds(requirement, Some(&node.name)))
}

/// What a node is worth to an ask by its object alone; tuples compare by scale.
pub(crate) fn worth(ask: &Ask, node: &NodeFact) -> (i64, i64, i64) {
    let soft = untolerated(ask, node, |effect| effect == TaintEffect::PreferNoSchedule);
    let wishes = ask.preferred_terms.iter().filter(|wish| matches(&wish.term, node));
    let wants_cards = ask.requests.iter().any(|(name, _)| &**name == GPU);
    let has_cards = node.allocatable.iter().any(|(name, amount)| &**name == GPU && *amount > 0);
    (-soft, wishes.map(|wish| i64::from(wish.weight)).sum(), -i64::from(has_cards && !wants_cards))
}

/// The most members that can be placed together.
pub(crate) fn most_members(world: &World, members: &[Members]) -> usize {
    let kinds = ["pods", "cpu", GPU, "example.com/rare"];
    let mut free: Vec<Vec<i64>> = world
        .nodes
        .iter()
        .map(|node| kinds.iter().map(|kind| world.free(node, kind)).collect())
        .collect();
    let single: Vec<(Vec<i64>, Vec<bool>)> = members
        .iter()
        .flat_map(|of_role| {
            let request = |kind: &&str| match *kind {
                "pods" => 1,
                kind => crate::world::amount(&of_role.ask.requests, kind),
            };
            let requests: Vec<i64> = kinds.iter().map(request).collect();
            let allowed =
                world.nodes.iter().map(|node| rejected(&of_role.ask, node).is_none()).collect();
            std::iter::repeat_n((requests, allowed), of_role.count)
        })
        .collect();
    place_rest(&mut free, &single)
}

fn place_rest(free: &mut [Vec<i64>], members: &[(Vec<i64>, Vec<bool>)]) -> usize {
    let Some(((requests, allowed), rest)) = members.split_first() else { return 0 };
    let mut best = place_rest(free, rest);
    for node in 0..free.len() {
        if best == members.len() {
            break;
        }
        let fits = |free: &[i64]| requests.iter().zip(free).all(|(r, f)| *r == 0 || r <= f);
        if !allowed[node] || !fits(&free[node]) {
            continue;
        }
        for (free, request) in free[node].iter_mut().zip(requests) {
            *free -= request;
        }
        best = best.max(1 + place_rest(free, rest));
        for (free, request) in free[node].iter_mut().zip(requests) {
            *free += request;
        }
    }
    best
}
