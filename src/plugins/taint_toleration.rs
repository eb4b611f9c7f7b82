//! Taints keep pods away that do not tolerate them; taints of effect PreferNoSchedule make a node the
//! worse choice, by their number. Follows kube-scheduler's TaintToleration.
//! Reads taints and tolerations, nothing else; a change of taints or a new node may turn its "no".

use super::cures::Cures;
use super::points::{Points, TAINT_SCALE};
use super::relation::Newcomer;
use super::weighing::{self, Follows, Score};
use super::{Filter, Rule};
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::NodeId;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nodes::Nodes;
use crate::workload::ask::Ask;
use crate::workload::constraints::{Taint, TaintEffect};
use crate::workload::profile::Weighing;

/// The row.
pub const RULE: Rule = Rule {
    name: "TaintToleration",
    filter: Filter::Objects { retain, admits, reason: "node(s) had untolerated taint(s)" },
    score: Some(score),
    cured_by: Cures::TAINTS.and(Cures::NODE_ADDED),
};

fn tolerated(ask: &Ask, taint: &Taint) -> bool {
    ask.tolerations.iter().any(|toleration| toleration.tolerates(taint))
}

const fn keeps_away(taint: &Taint) -> bool {
    match taint.effect {
        TaintEffect::NoSchedule | TaintEffect::NoExecute => true,
        TaintEffect::PreferNoSchedule => false,
    }
}

/// Takes the nodes with a taint that is not tolerated out of the set.
pub(super) fn retain(ask: &Ask, nodes: &Nodes, passing: &mut NodeSet) {
    for (taint, tainted) in nodes.taints() {
        if keeps_away(taint) && !tolerated(ask, taint) {
            passing.subtract(tainted);
        }
    }
}

fn admits(ask: &Ask, fact: &NodeFact) -> bool {
    fact.taints.iter().all(|taint| !keeps_away(taint) || tolerated(ask, taint))
}

/// A point less for each distinct PreferNoSchedule taint that is not tolerated.
fn score(ask: &Ask, nodes: &Nodes, points: &mut Points<'_>) {
    for (taint, tainted) in nodes.taints() {
        if !keeps_away(taint) && !tolerated(ask, taint) {
            points.add(tainted, -TAINT_SCALE);
        }
    }
}

/// Its score: the fewer such taints, the better.
pub const SCORE: Score =
    Score { name: RULE.name, weight: 3, follows: Follows::Objects, score: weigh };

fn weigh(newcomer: &Newcomer<'_>, _: &Weighing, nodes: &[NodeId]) -> Vec<i64> {
    let all = newcomer.cluster.nodes();
    let shunned = all
        .taints()
        .filter(|(taint, _)| !keeps_away(taint) && !tolerated(&newcomer.ask.ask, taint));
    let shunned: Vec<&NodeSet> = shunned.map(|(_, tainted)| tainted).collect();
    let count = |node: &NodeId| shunned.iter().map(|set| i64::from(set.contains(*node))).sum();
    let mut counts: Vec<i64> = nodes.iter().map(count).collect();
    weighing::less_is_better(&mut counts);
    counts
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node, taint, toleration};
    use super::{Ask, NodeFact, RULE, TAINT_SCALE, TaintEffect};
    use crate::workload::constraints::TolerationOperator::{Equal, Exists, Never};

    fn tainted(name: &str, effect: TaintEffect) -> NodeFact {
        NodeFact { taints: vec![taint("gpu", "present", effect)], ..node(name) }
    }

    #[test]
    fn only_tolerated_taints_let_a_pod_in() {
        let fixture = Fixture::new([
            node("clean"),
            tainted("no-schedule", TaintEffect::NoSchedule),
            tainted("no-execute", TaintEffect::NoExecute),
            tainted("prefer", TaintEffect::PreferNoSchedule),
        ]);
        let cases = [
            (vec![], vec!["clean", "prefer"]),
            (
                vec![toleration("gpu", Equal, "present", Some(TaintEffect::NoSchedule))],
                vec!["clean", "no-schedule", "prefer"],
            ),
            (vec![toleration("gpu", Equal, "absent", None)], vec!["clean", "prefer"]),
            (vec![toleration("gpu", Never, "present", None)], vec!["clean", "prefer"]),
            (
                vec![toleration("gpu", Exists, "", None)],
                vec!["clean", "no-schedule", "no-execute", "prefer"],
            ),
            (
                vec![toleration("", Exists, "", Some(TaintEffect::NoExecute))],
                vec!["clean", "no-execute", "prefer"],
            ),
        ];
        for (tolerations, expected) in cases {
            let ask = Ask { tolerations, ..Ask::default() };
            assert_eq!(fixture.passing(&RULE, &ask), expected, "{:?}", ask.tolerations);
        }
    }

    #[test]
    fn each_soft_taint_that_is_not_tolerated_costs() {
        let twice = NodeFact {
            taints: vec![
                taint("gpu", "present", TaintEffect::PreferNoSchedule),
                taint("old", "", TaintEffect::PreferNoSchedule),
            ],
            ..node("twice")
        };
        let fixture =
            Fixture::new([node("clean"), tainted("prefer", TaintEffect::PreferNoSchedule), twice]);
        let points = |tolerations| fixture.points(&RULE, &Ask { tolerations, ..Ask::default() });
        assert_eq!(points(vec![]), [0, -TAINT_SCALE, -2 * TAINT_SCALE]);
        assert_eq!(points(vec![toleration("gpu", Exists, "", None)]), [0, 0, -TAINT_SCALE]);
    }
}
