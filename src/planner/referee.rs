//! The referee: judges every plan by recounting from facts. It uses no index, no cache, and no rule's
//! code; a mistake of the search must not be able to hide in what both share.
//! Reads the facts of the plan's nodes and the pods on them. A plan that it rejects is our bug and ends the process.

mod beside;
mod ledger;
mod volumes;

use std::fmt;
use std::iter::once;

use smallvec::SmallVec;

use self::beside::Seated;
use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::asks::looks_for;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::{AskId, NodeId, PodId, ResourceId};
use crate::cluster::nominations::Expected;
use crate::planner::demand::Demand;
use crate::planner::plan::Plan;
use crate::workload::ask::Ask;
use crate::workload::constraints::NodeOperator;
use crate::workload::constraints::NodeRequirement;
use crate::workload::constraints::NodeTerm;
use crate::workload::constraints::TaintEffect;
use crate::workload::constraints::TolerationOperator;

/// Why a plan must not be carried out. A planner's bug, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A pod that is not a member of the demand, or has two seats.
    WrongMembers,
    /// Fewer seats than the gang's minimum.
    BelowMinimum {
        /// How many seats the plan has.
        seats: usize,
        /// How many it needs.
        minimum: usize,
    },
    /// A node whose object does not exist, or that its object, by its own words, closes to the pod.
    NodeClosed {
        /// Which.
        node: Name,
        /// Why.
        because: &'static str,
    },
    /// More is promised than the node has.
    Overbooked {
        /// Which.
        node: Name,
        /// Of what.
        resource: Name,
        /// By how much.
        excess: i64,
    },
    /// A pod asks for what Muster does not honour.
    Unsupported,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongMembers => {
                f.write_str("the plan seats a pod twice, or one that was not asked for")
            }
            Self::BelowMinimum { seats, minimum } => {
                write!(f, "the plan has {seats} seats, the gang needs {minimum}")
            }
            Self::NodeClosed { node, because } => {
                write!(f, "node {node} is closed to the pod: {because}")
            }
            Self::Overbooked { node, resource, excess } => {
                write!(f, "node {node} would be overbooked by {excess} of {resource}")
            }
            Self::Unsupported => f.write_str("a pod asks for what is not supported"),
        }
    }
}

/// Judges `plan` against the cluster it was made for, before any of it is assumed.
/// Reads the facts of the nodes in the plan and the pods on them; nothing else.
///
/// # Errors
/// The first violation found.
pub fn judge(cluster: &Cluster, demand: &Demand, plan: &Plan) -> Result<(), Violation> {
    if plan.seats.len() < demand.minimum.max(1) {
        return Err(Violation::BelowMinimum { seats: plan.seats.len(), minimum: demand.minimum });
    }
    let mut seated = asks_of_seats(cluster, demand, plan)?;
    let seats = || plan.seats.iter().zip(&seated).map(|(seat, (_, ask))| (seat.pod, *ask));
    if seats().any(|(pod, ask)| beside::concerns(cluster, pod, ask)) {
        beside::judge(cluster, &in_order(plan, &seated), 0)?;
    }
    if seated.iter().any(|(_, ask)| !cluster.ask(*ask).volumes.is_empty()) {
        volumes::judge(cluster, &in_order(plan, &seated), 0)?;
    }
    judge_beside_expected(cluster, demand, &in_order(plan, &seated))?;
    seated.sort_unstable();
    for on_node in seated.chunk_by(|a, b| a.0 == b.0) {
        judge_node(cluster, on_node, &demand.expected)?;
    }
    Ok(())
}

/// The seats in the plan's order.
fn in_order(plan: &Plan, seated: &[(NodeId, AskId)]) -> Vec<Seated> {
    let seats = plan.seats.iter().zip(seated);
    seats.map(|(seat, (node, ask))| Seated { pod: seat.pod, node: *node, ask: *ask }).collect()
}

/// Judges each seat once more, as if those who are expected on its node were there already.
fn judge_beside_expected(
    cluster: &Cluster,
    demand: &Demand,
    seats: &[Seated],
) -> Result<(), Violation> {
    for (at, seat) in seats.iter().enumerate() {
        let there = demand.expected.iter().filter(|one| one.node == seat.node);
        let there = there.map(|one| Seated { pod: one.pod, node: one.node, ask: one.ask });
        let mut replayed: Vec<Seated> = there.collect();
        if replayed.is_empty() {
            continue;
        }
        replayed.extend_from_slice(&seats[..=at]);
        let last = replayed.len() - 1;
        beside::judge(cluster, &replayed, last)?;
        volumes::judge(cluster, &replayed, last)?;
    }
    Ok(())
}

/// The seats as node and ask, once it is sure that each member has one seat at most.
fn asks_of_seats(
    cluster: &Cluster,
    demand: &Demand,
    plan: &Plan,
) -> Result<SmallVec<[(NodeId, AskId); 4]>, Violation> {
    let mut members: SmallVec<[(PodId, AskId); 4]> = SmallVec::new();
    for role in &demand.roles {
        members.extend(role.members.iter().map(|pod| (*pod, role.ask)));
    }
    members.sort_unstable();
    let mut pods: SmallVec<[PodId; 4]> = plan.seats.iter().map(|seat| seat.pod).collect();
    pods.sort_unstable();
    if pods.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Violation::WrongMembers);
    }
    let mut seated = SmallVec::new();
    for seat in &plan.seats {
        let at = members.binary_search_by_key(&seat.pod, |(pod, _)| *pod);
        let (pod, ask) = members[at.map_err(|_| Violation::WrongMembers)?];
        if cluster.node_of(pod).is_some() {
            return Err(Violation::WrongMembers);
        }
        seated.push((seat.node, ask));
    }
    Ok(seated)
}

/// Judges all seats on one node; equal asks stand side by side.
fn judge_node(
    cluster: &Cluster,
    seats: &[(NodeId, AskId)],
    expected: &[Expected],
) -> Result<(), Violation> {
    let node = cluster.nodes().get(seats[0].0);
    let closed = |because| Violation::NodeClosed { node: node.name.clone(), because };
    let fact = node.fact.as_ref().ok_or_else(|| closed("its object does not exist"))?;
    let mut previous = None;
    for (_, ask) in seats {
        if previous == Some(*ask) {
            continue;
        }
        previous = Some(*ask);
        let ask = cluster.ask(*ask);
        if !ask.unsupported.is_empty() {
            return Err(Violation::Unsupported);
        }
        if let Some(because) = closed_by_object(ask, fact) {
            return Err(closed(because));
        }
    }
    judge_amounts(cluster, fact, seats, expected)
}

/// Sums by kind, of the kinds that a plan asks for on one node.
type Sums = SmallVec<[(ResourceId, i128); 8]>;

/// Recounts what runs on the node and what the plan adds, for each kind that the plan asks for.
fn judge_amounts(
    cluster: &Cluster,
    fact: &NodeFact,
    seats: &[(NodeId, AskId)],
    expected: &[Expected],
) -> Result<(), Violation> {
    let kind = |name: &str| cluster.resources().known(name).expect("asks make their kinds known");
    let mut needed = Sums::new();
    for equal in seats.chunk_by(|a, b| a.1 == b.1) {
        let ask = cluster.ask(equal[0].1);
        // Whose profile looks for no room is placed after those whose does, so what it takes is not taken from them.
        if ask.turns_off("NodeResourcesFit") {
            continue;
        }
        let pod = once(("pods", 1));
        let amounts = ask.requests.iter().map(|(name, amount)| (&**name, *amount));
        for (name, amount) in pod.chain(amounts).filter(|(name, _)| looks_for(ask, name)) {
            let (resource, sum) = (kind(name), i128::from(amount) * equal.len() as i128);
            match needed.iter_mut().find(|(known, _)| *known == resource) {
                Some((_, needed)) => *needed += sum,
                None => needed.push((resource, sum)),
            }
        }
    }
    // Pods with one ask hold the same amounts in the same place; they mostly come together.
    let (mut run, mut length): (&[(ResourceId, i64)], i128) = (&[], 0);
    for (_, held) in cluster.pods_on(seats[0].0) {
        if !std::ptr::eq(run, held) {
            add_held(&mut needed, run, length);
            (run, length) = (held, 0);
        }
        length += 1;
    }
    add_held(&mut needed, run, length);
    for one in expected.iter().filter(|one| one.node == seats[0].0) {
        let amounts = cluster.ask(one.ask).requests.iter();
        let mut held: SmallVec<[_; 4]> =
            amounts.map(|(name, amount)| (kind(name), *amount)).collect();
        held.push((kind("pods"), 1));
        add_held(&mut needed, &held, 1);
    }
    for (resource, sum) in needed {
        let name = cluster.resources().name(resource);
        let offered = fact.allocatable.iter().find(|(offered, _)| offered == name);
        let excess = sum - offered.map_or(0, |(_, amount)| i128::from(*amount));
        if excess > 0 {
            return Err(Violation::Overbooked {
                node: fact.name.clone(),
                resource: name.clone(),
                excess: i64::try_from(excess).unwrap_or(i64::MAX),
            });
        }
    }
    Ok(())
}

/// Adds what so many pods hold that hold the same, as far as anybody asks for it.
fn add_held(needed: &mut Sums, held: &[(ResourceId, i64)], pods: i128) {
    for (resource, amount) in held {
        if let Some((_, sum)) = needed.iter_mut().find(|(known, _)| known == resource) {
            *sum += i128::from(*amount) * pods;
        }
    }
}

/// What in the node's object keeps the pod away, if anything does.
fn closed_by_object(ask: &Ask, fact: &NodeFact) -> Option<&'static str> {
    if fact.unschedulable
        && !ask.turns_off("NodeUnschedulable")
        && !tolerates(ask, "node.kubernetes.io/unschedulable", "", TaintEffect::NoSchedule)
    {
        return Some("it is cordoned");
    }
    if !ask.turns_off("NodeDeclaredFeatures")
        && !ask.features.iter().all(|feature| fact.features.contains(feature))
    {
        return Some("it does not declare a feature that the pod uses");
    }
    let by_taints = || closed_by_taints(ask, fact).filter(|_| !ask.turns_off("TaintToleration"));
    let by_affinity = || {
        closed_by_profile(ask, fact)
            .or_else(|| closed_by_affinity(ask, fact))
            .filter(|_| !ask.turns_off("NodeAffinity"))
    };
    by_taints().or_else(by_affinity)
}

/// What the profile's affinity, which is not the pod's own, has against the node.
fn closed_by_profile(ask: &Ask, fact: &NodeFact) -> Option<&'static str> {
    let added = ask.profile.as_ref()?.added_required.as_ref()?;
    let matches = added.iter().any(|term| term_holds(term, fact));
    (!matches).then_some("no affinity term of the profile matches")
}

fn tolerates(ask: &Ask, key: &str, value: &str, effect: TaintEffect) -> bool {
    ask.tolerations.iter().any(|toleration| {
        let effect_covered = toleration.effect.is_none() || toleration.effect == Some(effect);
        let key_covered = toleration.key.is_empty() || &*toleration.key == key;
        let value_covered = match toleration.operator {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => &*toleration.value == value,
            TolerationOperator::Never => false,
        };
        effect_covered && key_covered && value_covered
    })
}

fn closed_by_taints(ask: &Ask, fact: &NodeFact) -> Option<&'static str> {
    let mut binding = fact.taints.iter().filter(|t| t.effect != TaintEffect::PreferNoSchedule);
    binding
        .any(|taint| !tolerates(ask, &taint.key, &taint.value, taint.effect))
        .then_some("it has a taint that the pod does not tolerate")
}

fn closed_by_affinity(ask: &Ask, fact: &NodeFact) -> Option<&'static str> {
    if ask.node_selector.iter().any(|wanted| !fact.labels.contains(wanted)) {
        return Some("the node selector does not match");
    }
    let terms = ask.required_terms.as_ref()?;
    if terms.iter().any(|term| term_holds(term, fact)) {
        return None;
    }
    Some("no required affinity term matches")
}

fn term_holds(term: &NodeTerm, fact: &NodeFact) -> bool {
    let on_label = |wanted: &NodeRequirement| {
        let value =
            fact.labels.iter().find(|(key, _)| *key == wanted.key).map(|(_, value)| &**value);
        holds(wanted, value)
    };
    let on_field = |wanted: &NodeRequirement| {
        let by_list = matches!(wanted.operator, NodeOperator::In | NodeOperator::NotIn);
        by_list
            && &*wanted.key == "metadata.name"
            && wanted.values.len() == 1
            && holds(wanted, Some(&fact.name))
    };
    let says_something = !term.match_expressions.is_empty() || !term.match_fields.is_empty();
    says_something
        && term.malformed.is_none()
        && term.match_expressions.iter().all(on_label)
        && term.match_fields.iter().all(on_field)
}

/// True if the requirement makes sense and `value` meets it.
fn holds(wanted: &NodeRequirement, value: Option<&str>) -> bool {
    let listed = value.is_some_and(|value| wanted.values.iter().any(|listed| **listed == *value));
    let against = |meets: fn(i64, i64) -> bool| {
        let [limit] = &wanted.values[..] else { return false };
        let value = value.and_then(|value| value.parse().ok());
        value.zip(limit.parse().ok()).is_some_and(|(value, limit)| meets(value, limit))
    };
    match wanted.operator {
        NodeOperator::In => listed,
        NodeOperator::NotIn => !listed && !wanted.values.is_empty(),
        NodeOperator::Exists => value.is_some() && wanted.values.is_empty(),
        NodeOperator::DoesNotExist => value.is_none() && wanted.values.is_empty(),
        NodeOperator::Gt => against(|value, limit| value > limit),
        NodeOperator::Lt => against(|value, limit| value < limit),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Violation, judge};
    use crate::cluster::Cluster;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::ids::{AskId, NodeId, PodId, SignatureId};
    use crate::planner::demand::{Demand, Role};
    use crate::planner::plan::{Plan, Seat};
    use crate::workload::ask::Ask;
    use crate::workload::constraints::{Taint, TaintEffect};

    /// Nodes with 2 cards and 3 pods each: 0 is open, 1 cordoned, 2 tainted, 3 labelled.
    fn cluster() -> Cluster {
        let mut cluster = Cluster::new();
        let mut facts = ["open", "cordoned", "tainted", "labelled"].map(|name| NodeFact {
            name: name.into(),
            uid: name.into(),
            allocatable: vec![("example.com/gpu".into(), 2), ("pods".into(), 3)],
            ..NodeFact::default()
        });
        facts[1].unschedulable = true;
        facts[2].taints =
            vec![Taint { key: "k".into(), value: "".into(), effect: TaintEffect::NoExecute }];
        facts[3].labels = vec![("zone".into(), "east".into())];
        for fact in &facts {
            cluster.observe_node(fact);
        }
        cluster
    }

    fn gpus(cluster: &mut Cluster, count: i64) -> AskId {
        let requests = vec![("example.com/gpu".into(), count)];
        cluster.intern(&Arc::new(Ask { requests, ..Ask::default() }))
    }

    fn verdict(
        cluster: &Cluster,
        ask: AskId,
        minimum: usize,
        seats: &[(u32, u32)],
    ) -> Result<(), Violation> {
        let members = (0..4).map(PodId).collect();
        let demand = Demand {
            roles: vec![Role { ask, signature: SignatureId::NONE, members }],
            minimum,
            expected: Vec::new(),
        };
        let seat = |(pod, node): &(u32, u32)| Seat { pod: PodId(*pod), node: NodeId(*node) };
        judge(cluster, &demand, &Plan { seats: seats.iter().map(seat).collect() })
    }

    #[test]
    fn a_sound_plan_passes() {
        let mut cluster = cluster();
        let ask = gpus(&mut cluster, 1);
        assert_eq!(verdict(&cluster, ask, 3, &[(0, 0), (1, 0), (3, 3)]), Ok(()));
    }

    #[test]
    fn members_are_seated_once_and_enough_of_them() {
        let mut cluster = cluster();
        let ask = gpus(&mut cluster, 1);
        let wrong = Err(Violation::WrongMembers);
        assert_eq!(verdict(&cluster, ask, 2, &[(0, 0), (0, 3)]), wrong);
        assert_eq!(verdict(&cluster, ask, 1, &[(9, 0)]), wrong);
        let below = Violation::BelowMinimum { seats: 1, minimum: 2 };
        assert_eq!(verdict(&cluster, ask, 2, &[(0, 0)]), Err(below));
        cluster.assume(PodId(0), ask, NodeId(3));
        assert_eq!(verdict(&cluster, ask, 1, &[(0, 0)]), wrong, "it has a seat already");
    }

    #[test]
    fn closed_nodes_are_found() {
        let mut cluster = cluster();
        let ask = gpus(&mut cluster, 1);
        let because = |cluster: &Cluster, ask, node| match verdict(cluster, ask, 1, &[(0, node)]) {
            Err(Violation::NodeClosed { because, .. }) => because,
            other => panic!("{other:?}"),
        };
        assert_eq!(because(&cluster, ask, 1), "it is cordoned");
        assert_eq!(because(&cluster, ask, 2), "it has a taint that the pod does not tolerate");
        let east = Ask { node_selector: vec![("zone".into(), "east".into())], ..Ask::default() };
        let ask = cluster.intern(&Arc::new(east));
        assert_eq!(because(&cluster, ask, 0), "the node selector does not match");
        assert_eq!(verdict(&cluster, ask, 1, &[(0, 3)]), Ok(()));
        let nowhere = Ask { required_terms: Some(vec![]), ..Ask::default() };
        let ask = cluster.intern(&Arc::new(nowhere));
        assert_eq!(because(&cluster, ask, 0), "no required affinity term matches");
        let unknown = cluster.node_or_unknown(&"unknown".into());
        assert_eq!(because(&cluster, ask, unknown.0), "its object does not exist");
    }

    #[test]
    fn overbooking_is_found_with_what_runs_already() {
        let mut cluster = cluster();
        let one = gpus(&mut cluster, 1);
        let none = cluster.intern(&Arc::default());
        let excess = |resource: &str, excess| {
            Err(Violation::Overbooked { node: "open".into(), resource: resource.into(), excess })
        };
        assert_eq!(
            verdict(&cluster, one, 1, &[(0, 0), (1, 0), (2, 0)]),
            excess("example.com/gpu", 1)
        );
        assert_eq!(
            verdict(&cluster, none, 1, &[(0, 0), (1, 0), (2, 0), (3, 0)]),
            excess("pods", 1)
        );
        cluster.assume(PodId(7), one, NodeId(0));
        assert_eq!(verdict(&cluster, one, 1, &[(0, 0)]), Ok(()));
        assert_eq!(verdict(&cluster, one, 1, &[(0, 0), (1, 0)]), excess("example.com/gpu", 1));
    }

    #[test]
    fn what_is_not_honoured_is_never_placed() {
        let mut cluster = cluster();
        let wants = Ask { unsupported: vec!["spec.hostPort".into()], ..Ask::default() };
        let ask = cluster.intern(&Arc::new(wants));
        assert_eq!(verdict(&cluster, ask, 1, &[(0, 0)]), Err(Violation::Unsupported));
    }
}
