//! Nodes declare features of their kubelet; a pod whose spec uses one goes only where it is declared.
//! Follows kube-scheduler's NodeDeclaredFeatures, whose filter runs last there: of a node that lacks room as well,
//! Muster names the feature. Which fields use which feature is found where objects are read.

use super::cures::Cures;
use super::{Filter, Rule};
use crate::cluster::facts::NodeFact;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nodes::Nodes;
use crate::workload::ask::Ask;

/// The row.
pub const RULE: Rule = Rule {
    name: "NodeDeclaredFeatures",
    filter: Filter::Objects {
        retain,
        admits,
        reason: "node(s) didn't match Pod's required features",
    },
    score: None,
    cured_by: Cures::LABELS.and(Cures::NODE_ADDED),
};

/// Few pods use such a feature: they pay for looking at each node, once per constraint.
fn retain(ask: &Ask, nodes: &Nodes, passing: &mut NodeSet) {
    if ask.features.is_empty() {
        return;
    }
    let declares = |id: &_| nodes.get(*id).fact.as_ref().is_some_and(|fact| admits(ask, fact));
    *passing = passing.iter().filter(declares).collect();
}

fn admits(ask: &Ask, fact: &NodeFact) -> bool {
    ask.features.iter().all(|feature| fact.features.binary_search(feature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{Ask, NodeFact, RULE};

    #[test]
    fn a_node_must_declare_every_feature_that_the_pod_uses() {
        let declaring = |name: &str, features: &[&str]| NodeFact {
            features: features.iter().map(|feature| (*feature).into()).collect(),
            ..node(name)
        };
        let fixture = Fixture::new([
            declaring("both", &["A", "B"]),
            declaring("one", &["A"]),
            declaring("none", &[]),
        ]);
        let using = |features: &[&str]| Ask {
            features: features.iter().map(|feature| (*feature).into()).collect(),
            ..Ask::default()
        };
        assert_eq!(fixture.passing(&RULE, &using(&[])), ["both", "one", "none"]);
        assert_eq!(fixture.passing(&RULE, &using(&["A"])), ["both", "one"]);
        assert_eq!(fixture.passing(&RULE, &using(&["A", "B"])), ["both"]);
        assert_eq!(fixture.passing(&RULE, &using(&["C"])), [""; 0]);
    }
}
