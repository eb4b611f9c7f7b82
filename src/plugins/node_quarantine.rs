//! Nodes whose kubelet turned pods away a short while ago take no new pods. Muster's own: kube-scheduler
//! sends the replacement to the same node again.
//! Reads the set of such nodes, nothing else; who is in it, and for how long, is decided elsewhere.

use super::cures::Cures;
use super::{Filter, Rule};
use crate::cluster::facts::NodeFact;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nodes::Nodes;
use crate::workload::ask::Ask;

/// The row.
pub const RULE: Rule = Rule {
    name: "NodeQuarantine",
    filter: Filter::Objects {
        retain,
        admits,
        reason: "node(s) were in quarantine for turning pods away",
    },
    score: None,
    cured_by: Cures::QUARANTINE.and(Cures::NODE_ADDED),
};

fn retain(_: &Ask, nodes: &Nodes, passing: &mut NodeSet) {
    if !nodes.quarantined().is_empty() {
        passing.subtract(nodes.quarantined());
    }
}

/// Node objects do not say it; a gang may be woken once in vain.
fn admits(_: &Ask, _: &NodeFact) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::super::verdict::Verdicts;
    use crate::cluster::node_set::Membership;

    #[test]
    fn a_node_in_quarantine_takes_nobody_until_it_is_out() {
        let Fixture { mut cluster, .. } = Fixture::new([node("sound"), node("broken")]);
        let ask = cluster.intern(&std::sync::Arc::default());
        let constraint = cluster.interned(ask).constraint;
        let mut verdicts = Verdicts::default();
        let broken = cluster.node("broken").expect("it exists");
        assert!(cluster.quarantine(broken, Membership::In).is_none(), "it helps nobody");
        verdicts.refresh(&cluster, constraint);
        let verdict = verdicts.get(constraint);
        assert_eq!((verdict.allowed.len(), verdict.allowed.contains(broken)), (1, false));
        let reason = "node(s) were in quarantine for turning pods away";
        assert!(verdict.rejected.iter().map(|r| (r.count, r.reason)).eq([(1, reason)]));
        let changes = cluster.quarantine(broken, Membership::Out);
        assert_eq!((changes.node, changes.uncordoned), (Some(broken), true));
        verdicts.refresh(&cluster, constraint);
        assert_eq!(verdicts.get(constraint).allowed.len(), 2);
    }
}
