//! What those who are expected on a node mean to one more pod there: as kube-scheduler, a node must admit it both with
//! them and without them, and those expected on other nodes are not looked at.
//! Invariant: the draft is as before.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::demand::Role;
use super::diagnose::first_reasons;
use crate::cluster::Cluster;
use crate::cluster::asks::Relation;
use crate::cluster::draft::Draft;
use crate::cluster::ids::{AskId, NodeId, SignatureId};
use crate::cluster::nominations::Expected;
use crate::plugins::census::Census;
use crate::plugins::cures::Cures;
use crate::plugins::relation::Newcomer;
use crate::plugins::{Rule, rules};

/// Why a node does not take one more pod beside those who are expected there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Met {
    /// The rule that says so.
    pub(super) rule: &'static str,
    /// Why, in kube-scheduler's words; not empty.
    pub(super) reasons: Vec<Cow<'static, str>>,
    /// What may turn it.
    pub(super) cured_by: Cures,
}

/// By node, why one more member does not go there beside those who are expected, if anything but the node's object speaks
/// against it. The draft keeps room for them.
pub(super) fn rejections(
    draft: &mut Draft<'_>,
    role: &Role,
    expected: &[Expected],
) -> BTreeMap<NodeId, Met> {
    let mut met = BTreeMap::new();
    if expected.is_empty() {
        return met;
    }
    draft.cluster_mut().refresh_domains();
    let mut roles = vec![(role.ask, role.signature)];
    roles.extend(kinds(expected));
    let mut census = Census::take(draft.cluster(), &roles);
    let mut nodes: Vec<NodeId> = expected.iter().map(|one| one.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    for node in nodes {
        let found = with_expected((draft, &mut census), 1, (node, expected), |draft, census| {
            let cluster = draft.cluster();
            let newcomer = &Newcomer { cluster, ask: cluster.interned(role.ask), census, role: 0 };
            rules(&newcomer.ask.ask).find_map(|rule| objection(rule, newcomer, node))
        });
        met.extend(found.map(|found| (node, found)));
    }
    met
}

/// The kinds of those who are expected, as roles of a census; each once.
pub(super) fn kinds(expected: &[Expected]) -> Vec<(AskId, SignatureId)> {
    let mut kinds: Vec<_> = expected.iter().map(|one| (one.ask, one.signature)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// What `look` says while those who are expected on the node are there. The roles of the census from `first` on are their
/// [`kinds`].
pub(super) fn with_expected<T>(
    (draft, census): (&mut Draft<'_>, &mut Census),
    first: usize,
    (node, expected): (NodeId, &[Expected]),
    look: impl FnOnce(&Draft<'_>, &Census) -> T,
) -> T {
    let kinds = kinds(expected);
    let there: Vec<(usize, &Expected)> = expected
        .iter()
        .filter(|one| one.node == node)
        .map(|one| {
            let kind = kinds.binary_search(&(one.ask, one.signature));
            (first + kind.expect("every kind is listed"), one)
        })
        .collect();
    let mark = draft.mark();
    for (role, one) in &there {
        draft.meet(one.step());
        census.shift(draft.cluster(), *role, node, 1);
    }
    let said = look(draft, census);
    for (role, _) in &there {
        census.shift(draft.cluster(), *role, node, -1);
    }
    draft.roll_back(mark);
    said
}

fn objection(rule: &Rule, newcomer: &Newcomer<'_>, node: NodeId) -> Option<Met> {
    let reasons = first_reasons(rule, newcomer, node);
    let (rule, cured_by) = (rule.name, rule.cured_by);
    (!reasons.is_empty()).then(|| Met { rule, reasons: reasons.into_vec(), cured_by })
}

/// True if any of those who are expected means anything to others by itself.
pub(super) fn means_anything(cluster: &Cluster, expected: &[Expected]) -> bool {
    expected.iter().any(|one| match cluster.interned(one.ask).relation {
        Relation::Some => true,
        Relation::None | Relation::Ranked => false,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::cluster::Cluster;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::ids::{NodeId, PodId};
    use crate::cluster::node_set::NodeSet;
    use crate::cluster::nominations::Expected;
    use crate::planner::demand::{Demand, Role};
    use crate::planner::plan::{Plan, Seat};
    use crate::planner::referee::{Violation, judge};
    use crate::planner::{Planner, Settings};
    use crate::workload::ask::Ask;
    use crate::workload::profile::Profile;
    use crate::workload::relations::{HostPort, Protocol, Relations};

    /// Nodes `n0` and so on, each with so much cpu.
    fn cluster(cpu: &[i64]) -> Cluster {
        let mut cluster = Cluster::new();
        for (at, cpu) in cpu.iter().enumerate() {
            cluster.observe_node(&NodeFact {
                name: format!("n{at}").into(),
                uid: "".into(),
                allocatable: vec![("cpu".into(), *cpu), ("pods".into(), 10)],
                ..NodeFact::default()
            });
        }
        cluster
    }

    fn asking(cpu: i64) -> Ask {
        Ask { requests: vec![("cpu".into(), cpu)], ..Ask::default() }
    }

    fn on_port(ask: Ask) -> Ask {
        let port = HostPort { address: None, protocol: Protocol::Tcp, port: 80 };
        let relations = Relations { host_ports: vec![port], ..Relations::default() };
        Ask { relations: Some(Box::new(relations)), ..ask }
    }

    fn role(cluster: &mut Cluster, ask: &Ask, members: std::ops::Range<u32>) -> Role {
        let ask = cluster.intern(&Arc::new(ask.clone()));
        let signature = cluster.signature_of(PodId(members.start));
        Role { ask, signature, members: members.map(PodId).collect() }
    }

    /// Whoever is expected on the node, as pod 90.
    fn expected(cluster: &mut Cluster, ask: &Ask, node: u32) -> Expected {
        let ask = cluster.intern(&Arc::new(ask.clone()));
        let (pod, node) = (PodId(90), NodeId(node));
        Expected { pod, node, ask, signature: cluster.signature_of(pod) }
    }

    /// The nodes of the seats, or what is said instead; a plan is judged by the referee.
    fn nodes(cluster: &mut Cluster, demand: &Demand) -> Result<Vec<u32>, String> {
        let mut planner = Planner::new(Settings::default());
        let plan = planner.plan(cluster, demand, &NodeSet::new());
        let plan = plan.map_err(|refusal| refusal.to_string())?;
        judge(cluster, demand, &plan).map_err(|violation| violation.to_string())?;
        let mut nodes: Vec<u32> = plan.seats.iter().map(|seat| seat.node.0).collect();
        nodes.sort_unstable();
        Ok(nodes)
    }

    #[test]
    fn room_is_left_to_who_is_expected_and_the_referee_sees_to_it() {
        let mut cluster = cluster(&[4, 4]);
        let roles = vec![role(&mut cluster, &asking(2), 0..2)];
        let mut demand = Demand { roles, minimum: 2, expected: Vec::new() };
        assert_eq!(nodes(&mut cluster, &demand), Ok(vec![0, 0]));
        demand.expected.push(expected(&mut cluster, &asking(3), 0));
        assert_eq!(nodes(&mut cluster, &demand), Ok(vec![1, 1]));
        let seats = [0, 1].map(|pod| Seat { pod: PodId(pod), node: NodeId(0) });
        let taken = judge(&cluster, &demand, &Plan { seats: seats.into_iter().collect() });
        assert!(matches!(taken, Err(Violation::Overbooked { excess: 3, .. })), "{taken:?}");
        demand.expected.push(expected(&mut cluster, &asking(3), 1));
        let said = nodes(&mut cluster, &demand).expect_err("both places are left to others");
        assert!(said.contains("2 Insufficient cpu"), "{said}");
        assert_eq!(crate::cluster::audit::audit(&cluster), Ok(()), "a plan leaves no trace");
    }

    #[test]
    fn what_an_expected_pod_means_to_others_counts_on_its_node() {
        let mut cluster = cluster(&[4, 4]);
        let roles = vec![role(&mut cluster, &on_port(asking(1)), 0..1)];
        let other = expected(&mut cluster, &on_port(asking(1)), 0);
        let mut demand = Demand { roles, minimum: 1, expected: vec![other] };
        assert_eq!(nodes(&mut cluster, &demand), Ok(vec![1]));
        let seats = [Seat { pod: PodId(0), node: NodeId(0) }];
        let clash = judge(&cluster, &demand, &Plan { seats: seats.into_iter().collect() });
        assert!(matches!(clash, Err(Violation::NodeClosed { .. })), "{clash:?}");
        demand.expected.push(Expected { pod: PodId(91), node: NodeId(1), ..other });
        let said = nodes(&mut cluster, &demand).expect_err("both ports are left to others");
        assert!(said.contains("2 node(s) didn't have free ports"), "{said}");
    }

    #[test]
    fn whoever_looks_for_no_room_takes_a_seat_beside_who_does() {
        let mut cluster = cluster(&[4]);
        let profile = Profile { filters_off: vec!["NodeResourcesFit"], ..Profile::default() };
        let lax = Ask { profile: Some(Arc::new(profile)), ..asking(4) };
        let roles = vec![role(&mut cluster, &asking(4), 0..1), role(&mut cluster, &lax, 1..4)];
        let demand = Demand { roles, minimum: 4, expected: Vec::new() };
        assert_eq!(nodes(&mut cluster, &demand), Ok(vec![0; 4]));
        let roles = vec![role(&mut cluster, &asking(4), 0..2), role(&mut cluster, &lax, 2..3)];
        let demand = Demand { roles, minimum: 3, expected: Vec::new() };
        let said = nodes(&mut cluster, &demand).expect_err("two look for room that one has");
        assert!(said.contains("1 Insufficient cpu"), "{said}");
    }
}
