//! The baseline: nodes in an array, every rule evaluated on every node for every pod, the best rank taken.

use std::cmp::Reverse;

use muster::cluster::facts::NodeFact;
use muster::cluster::load::Band;
use muster::plugins::admits;
use muster::workload::ask::Ask;
use muster::workload::constraints::TaintEffect;

use crate::fleet::GPU;

/// A node as a struct.
pub(crate) struct ScanNode {
    fact: NodeFact,
    /// In the order of `fact.allocatable`.
    free: Vec<i64>,
}

/// All nodes.
pub(crate) struct Scan {
    nodes: Vec<ScanNode>,
}

impl Scan {
    pub(crate) fn new(facts: &[NodeFact]) -> Self {
        let node = |fact: &NodeFact| ScanNode {
            fact: fact.clone(),
            free: fact.allocatable.iter().map(|(_, amount)| *amount).collect(),
        };
        Self { nodes: facts.iter().map(node).collect() }
    }

    /// The best node for a pod packed by cards.
    pub(crate) fn choose(&self, ask: &Ask) -> Option<usize> {
        let ranked = self.nodes.iter().enumerate().filter_map(|(at, node)| {
            if !node.fits(ask) || !admits(ask, &node.fact) {
                return None;
            }
            Some((points(ask, &node.fact), Reverse(Band::of(node.free_of(GPU))), Reverse(at)))
        });
        ranked.max().map(|(_, _, Reverse(at))| at)
    }

    /// Takes what a pod asks for, or gives it back.
    pub(crate) fn shift(&mut self, at: usize, ask: &Ask, sign: i64) {
        let node = &mut self.nodes[at];
        for (free, (name, _)) in node.free.iter_mut().zip(&node.fact.allocatable) {
            let asked = ask
                .requests
                .iter()
                .find(|(asked, _)| asked == name)
                .map_or(0, |(_, amount)| *amount);
            let asked = if &**name == "pods" { 1 } else { asked };
            *free += sign * asked;
        }
    }
}

impl ScanNode {
    fn free_of(&self, resource: &str) -> i64 {
        let at = self.fact.allocatable.iter().position(|(name, _)| &**name == resource);
        at.map_or(0, |at| self.free[at])
    }

    fn fits(&self, ask: &Ask) -> bool {
        self.free_of("pods") >= 1
            && ask.requests.iter().all(|(name, amount)| self.free_of(name) >= *amount)
    }
}

/// Soft taints; these pods have no preferred terms and all want cards.
fn points(ask: &Ask, fact: &NodeFact) -> i64 {
    let soft = fact.taints.iter().filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
    -(soft.filter(|taint| !ask.tolerations.iter().any(|t| t.tolerates(taint))).count() as i64)
}
