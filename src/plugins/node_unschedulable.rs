//! Cordoned nodes take no new pods, except those that tolerate the taint that stands for the cordon.
//! Follows kube-scheduler's NodeUnschedulable.
//! Reads `spec.unschedulable` and the pod's tolerations, nothing else; an uncordon or a new node may turn its "no".

use std::sync::LazyLock;

use super::cures::Cures;
use super::{Filter, Rule};
use crate::cluster::facts::NodeFact;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nodes::Nodes;
use crate::workload::ask::Ask;
use crate::workload::constraints::{Taint, TaintEffect};

/// The row.
pub const RULE: Rule = Rule {
    name: "NodeUnschedulable",
    filter: Filter::Objects { retain, admits, reason: "node(s) were unschedulable" },
    score: None,
    cured_by: Cures::UNCORDONED.and(Cures::NODE_ADDED),
};

/// The taint that a cordon stands for, whether or not the node carries it.
static CORDON: LazyLock<Taint> = LazyLock::new(|| Taint {
    key: "node.kubernetes.io/unschedulable".into(),
    value: "".into(),
    effect: TaintEffect::NoSchedule,
});

fn tolerates_cordon(ask: &Ask) -> bool {
    ask.tolerations.iter().any(|toleration| toleration.tolerates(&CORDON))
}

fn retain(ask: &Ask, nodes: &Nodes, passing: &mut NodeSet) {
    if !nodes.cordoned().is_empty() && !tolerates_cordon(ask) {
        passing.subtract(nodes.cordoned());
    }
}

fn admits(ask: &Ask, fact: &NodeFact) -> bool {
    !fact.unschedulable || tolerates_cordon(ask)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node, toleration};
    use super::{Ask, RULE, TaintEffect};
    use crate::workload::constraints::TolerationOperator;

    #[test]
    fn a_cordoned_node_takes_only_pods_that_tolerate_the_cordon() {
        let mut cordoned = node("cordoned");
        cordoned.unschedulable = true;
        let fixture = Fixture::new([node("open"), cordoned]);
        let tolerant =
            toleration("node.kubernetes.io/unschedulable", TolerationOperator::Exists, "", None);
        let mistaken = toleration(
            "node.kubernetes.io/unschedulable",
            TolerationOperator::Exists,
            "",
            Some(TaintEffect::NoExecute),
        );
        let ask = |tolerations| Ask { tolerations, ..Ask::default() };
        assert_eq!(fixture.passing(&RULE, &ask(vec![])), ["open"]);
        assert_eq!(fixture.passing(&RULE, &ask(vec![mistaken])), ["open"]);
        assert_eq!(fixture.passing(&RULE, &ask(vec![tolerant])), ["open", "cordoned"]);
    }
}
