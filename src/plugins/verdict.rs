//! What the rules on node objects say about one constraint: evaluated once over sets, kept until a node
//! object changes, shared by all asks that differ only in amounts. The cache is bounded.
//! Knows no load: what nodes have left changes with every bind, and is read from the index instead.

use std::sync::Arc;

use super::cures::Cures;
use super::points::{Class, Points};
use super::{Filter, REGISTRY};
use crate::base::id::Id;
use crate::cluster::Cluster;
use crate::cluster::ids::{ConstraintId, NodeId};
use crate::cluster::node_set::NodeSet;
use crate::workload::ask::SharedAsk;

/// More verdicts than this are not kept: one takes a few kilobytes at 15,000 nodes.
const VERDICTS_MAX: usize = 2_048;

/// Verdict on all nodes for one constraint.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Nodes that no rule on node objects rejects.
    pub allowed: NodeSet,
    /// `allowed` by points, best class first.
    pub classes: Vec<Class>,
    /// How many nodes each rule rejected that no earlier rule had rejected; none is 0.
    pub rejected: Vec<Rejected>,
    example: SharedAsk,
    version: u64,
    used: u64,
}

/// Nodes rejected for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub count: usize,
    /// Why, in kube-scheduler's words.
    pub reason: &'static str,
    /// What may turn it.
    pub cured_by: Cures,
}

impl Verdict {
    fn new(ask: &SharedAsk, cluster: &Cluster) -> Self {
        let nodes = cluster.nodes();
        let mut allowed = nodes.present().clone();
        let mut rejected = Vec::new();
        for rule in super::rules(ask) {
            let Filter::Objects { retain, reason, .. } = rule.filter else { continue };
            let before = allowed.len();
            retain(ask, nodes, &mut allowed);
            let count = before - allowed.len();
            if count > 0 {
                rejected.push(Rejected { count, reason, cured_by: rule.cured_by });
            }
        }
        let mut classes = Vec::new();
        let mut points = Points::begin(&allowed, &mut classes);
        for score in REGISTRY.iter().filter_map(|rule| rule.score) {
            score(ask, nodes, &mut points);
        }
        let version = nodes.version();
        Self { allowed, classes, rejected, example: ask.clone(), version, used: 0 }
    }

    /// The points of `node`, if it is allowed.
    pub fn points(&self, node: NodeId) -> Option<i64> {
        self.classes.iter().find(|class| class.nodes.contains(node)).map(|class| class.points)
    }
}

/// Verdicts by constraint.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    rows: Vec<Option<Box<Verdict>>>,
    kept: usize,
    clock: u64,
}

impl Verdicts {
    /// Makes the verdict on `constraint` current; [`Self::get`] then gives it.
    pub fn refresh(&mut self, cluster: &Cluster, constraint: ConstraintId) {
        self.clock += 1;
        let clock = self.clock;
        let ask = cluster.constraint(constraint);
        if let Some(verdict) = self.current_mut(cluster, constraint) {
            verdict.used = clock;
            return;
        }
        if self.kept >= VERDICTS_MAX {
            self.drop_long_unused();
        }
        let at = constraint.index();
        if self.rows.len() <= at {
            self.rows.resize(at + 1, None);
        }
        self.kept += usize::from(self.rows[at].is_none());
        let mut verdict = Verdict::new(ask, cluster);
        verdict.used = clock;
        self.rows[at] = Some(Box::new(verdict));
    }

    /// The verdict on `constraint`, made current by [`Self::refresh`].
    #[inline]
    pub fn get(&self, constraint: ConstraintId) -> &Verdict {
        self.rows[constraint.index()]
            .as_deref()
            .expect("verdicts are refreshed before they are read")
    }

    /// The verdict on `constraint` if it is at hand and current.
    #[inline]
    pub fn current(&self, cluster: &Cluster, constraint: ConstraintId) -> Option<&Verdict> {
        let verdict = self.rows.get(constraint.index())?.as_deref()?;
        // The id may have been given to another constraint since.
        let same = Arc::ptr_eq(&verdict.example, cluster.constraint(constraint));
        (same && verdict.version == cluster.nodes().version()).then_some(verdict)
    }

    fn current_mut(&mut self, cluster: &Cluster, constraint: ConstraintId) -> Option<&mut Verdict> {
        self.current(cluster, constraint)?;
        self.rows[constraint.index()].as_deref_mut()
    }

    /// Drops what was not among the last uses: at least half of all.
    fn drop_long_unused(&mut self) {
        let oldest = self.clock.saturating_sub(VERDICTS_MAX as u64 / 2);
        for row in &mut self.rows {
            if row.as_ref().is_some_and(|verdict| verdict.used < oldest) {
                *row = None;
                self.kept -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixture::{Fixture, node, taint};
    use super::{VERDICTS_MAX, Verdicts};
    use crate::cluster::facts::NodeFact;
    use crate::workload::ask::Ask;
    use crate::workload::constraints::TaintEffect;

    fn selecting(value: &str) -> Arc<Ask> {
        Arc::new(Ask { node_selector: vec![("zone".into(), value.into())], ..Ask::default() })
    }

    #[test]
    fn the_first_rule_that_rejects_gives_the_reason() {
        let both = NodeFact {
            unschedulable: true,
            taints: vec![taint("gpu", "", TaintEffect::NoSchedule)],
            ..node("both")
        };
        let tainted = NodeFact { unschedulable: false, name: "tainted".into(), ..both.clone() };
        let mut fixture = Fixture::new([node("wrong-zone"), both, tainted]);
        let ask = fixture.cluster.intern(&selecting("east"));
        let constraint = fixture.cluster.interned(ask).constraint;
        let mut verdicts = Verdicts::default();
        verdicts.refresh(&fixture.cluster, constraint);
        let reasons: Vec<_> =
            verdicts.get(constraint).rejected.iter().map(|r| (r.count, r.reason)).collect();
        assert_eq!(
            reasons,
            [
                (1, "node(s) were unschedulable"),
                (1, "node(s) had untolerated taint(s)"),
                (1, "node(s) didn't match Pod's node affinity/selector"),
            ]
        );
    }

    #[test]
    fn a_verdict_follows_the_node_objects() {
        let mut fixture = Fixture::new([node("a")]);
        let ask = fixture.cluster.intern(&selecting("east"));
        let constraint = fixture.cluster.interned(ask).constraint;
        let mut verdicts = Verdicts::default();
        verdicts.refresh(&fixture.cluster, constraint);
        assert!(verdicts.get(constraint).allowed.is_empty());
        let east = NodeFact { labels: vec![("zone".into(), "east".into())], ..node("a") };
        fixture.cluster.observe_node(&east);
        assert!(verdicts.current(&fixture.cluster, constraint).is_none());
        verdicts.refresh(&fixture.cluster, constraint);
        assert_eq!(verdicts.get(constraint).allowed.len(), 1);
    }

    #[test]
    fn the_cache_is_bounded_and_never_answers_for_another_constraint() {
        let east = NodeFact { labels: vec![("zone".into(), "7".into())], ..node("a") };
        let mut fixture = Fixture::new([east]);
        let mut verdicts = Verdicts::default();
        for round in 0..3 * VERDICTS_MAX {
            let ask = fixture.cluster.intern(&selecting(&round.to_string()));
            let constraint = fixture.cluster.interned(ask).constraint;
            verdicts.refresh(&fixture.cluster, constraint);
            assert_eq!(verdicts.get(constraint).allowed.len(), usize::from(round == 7));
            fixture.cluster.forget_ask(ask);
            assert!(verdicts.kept <= VERDICTS_MAX);
        }
    }
}
