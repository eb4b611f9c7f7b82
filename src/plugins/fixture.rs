//! Small clusters for the rules' tests, made of facts alone.
//! Every verdict is asked of both forms of a rule, sets and single nodes, and they must agree.
//! Compiled for tests only; knows no gang and no plan.

use std::sync::Arc;

use super::census::Census;
use super::points::{Points, WISH_SCALE};
use super::relation::{Newcomer, is_wishing};
use super::weighing::Score;
use super::{Filter, Rule};
use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::{AskId, PodId};
use crate::cluster::relations::{Life, PodTraits};
use crate::workload::ask::Ask;
use crate::workload::constraints::{Taint, TaintEffect, Toleration, TolerationOperator};
use crate::workload::profile::Weighing;
use crate::workload::relations::PodLabels;

/// A node without labels and taints, with room for 110 pods.
pub(super) fn node(name: &str) -> NodeFact {
    NodeFact {
        name: name.into(),
        uid: name.into(),
        allocatable: vec![("pods".into(), 110)],
        ..NodeFact::default()
    }
}

pub(super) fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
    Taint { key: key.into(), value: value.into(), effect }
}

pub(super) fn toleration(
    key: &str,
    operator: TolerationOperator,
    value: &str,
    effect: Option<TaintEffect>,
) -> Toleration {
    Toleration { key: key.into(), operator, value: value.into(), effect }
}

/// Some nodes.
pub(super) struct Fixture {
    pub(super) cluster: Cluster,
    facts: Vec<NodeFact>,
}

impl Fixture {
    pub(super) fn new(facts: impl IntoIterator<Item = NodeFact>) -> Self {
        let facts: Vec<_> = facts.into_iter().collect();
        let mut cluster = Cluster::new();
        for fact in &facts {
            cluster.observe_node(fact);
        }
        Self { cluster, facts }
    }

    /// The names of the nodes that the rule lets pass, in the order in which they were given.
    pub(super) fn passing(&self, rule: &Rule, ask: &Ask) -> Vec<&str> {
        let Filter::Objects { retain, admits, .. } = rule.filter else {
            panic!("{} does not judge node objects", rule.name)
        };
        let nodes = self.cluster.nodes();
        let mut passing = nodes.present().clone();
        retain(ask, nodes, &mut passing);
        let names: Vec<&str> = passing.iter().map(|id| &**self.cluster.node_name(id)).collect();
        let one_by_one: Vec<&str> =
            self.facts.iter().filter(|fact| admits(ask, fact)).map(|fact| &*fact.name).collect();
        assert_eq!(names, one_by_one, "both forms of {} agree", rule.name);
        names
    }

    /// The points that the rule gives, node by node.
    pub(super) fn points(&self, rule: &Rule, ask: &Ask) -> Vec<i64> {
        let score = rule.score.expect("the rule scores");
        let mut classes = Vec::new();
        let mut points = Points::begin(self.cluster.nodes().present(), &mut classes);
        score(ask, self.cluster.nodes(), &mut points);
        let of = |name: &Name| {
            let id = self.cluster.node(name).expect("all nodes are known");
            classes.iter().find(|class| class.nodes.contains(id)).expect("in a class").points
        };
        self.facts.iter().map(|fact| of(&fact.name)).collect()
    }

    /// Lets a pod run on a node. Pods are numbered by the caller.
    pub(super) fn run(&mut self, pod: u32, node: &str, ask: &Ask, labels: &[(&str, &str)]) {
        let id = self.describe(pod, ask, labels, Life::Staying);
        let node = self.cluster.node_or_unknown(&node.into());
        self.cluster.assume(PodId(pod), id, node);
    }

    /// Tells what a pod of namespace `team` is.
    pub(super) fn describe(
        &mut self,
        pod: u32,
        ask: &Ask,
        labels: &[(&str, &str)],
        life: Life,
    ) -> AskId {
        let ask = self.cluster.intern(&Arc::new(ask.clone()));
        let pairs = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let labels = Arc::new(PodLabels { namespace: "team".into(), pairs });
        let traits = PodTraits { ask, labels: &labels, life };
        self.cluster.describe(PodId(pod), &traits);
        let shared = self.cluster.interned(ask).ask.clone();
        self.cluster.declare_volumes(PodId(pod), &shared);
        ask
    }

    /// Node by node in the given order: what a rule about other pods has against the pod of this number;
    /// empty where it may go.
    pub(super) fn objections(
        &mut self,
        rule: &Rule,
        ask: &Ask,
        labels: &[(&str, &str)],
    ) -> Vec<String> {
        let Filter::Relation(judge) = rule.filter else {
            panic!("{} does not judge by other pods", rule.name)
        };
        let pod = 1_000_000;
        let id = self.describe(pod, ask, labels, Life::Staying);
        self.cluster.refresh_domains();
        let cluster = &self.cluster;
        let census = Census::take(cluster, &[(id, cluster.signature_of(PodId(pod)))]);
        let newcomer = Newcomer { cluster, ask: cluster.interned(id), census: &census, role: 0 };
        let on = |fact: &NodeFact| {
            let node = cluster.node(&fact.name).expect("all nodes are known");
            if judge.admits(&newcomer, node) {
                return String::new();
            }
            judge.reasons(&newcomer, node).join(", ")
        };
        self.facts.iter().map(on).collect()
    }

    /// Node by node in the given order: the points that a rule about other pods gives to a new pod, on the scale
    /// of a wish's weight.
    pub(super) fn wishes(&mut self, rule: &Rule, ask: &Ask, labels: &[(&str, &str)]) -> Vec<i64> {
        let Filter::Relation(judge) = rule.filter else {
            panic!("{} does not judge by other pods", rule.name)
        };
        let pod = 1_000_000;
        let id = self.describe(pod, ask, labels, Life::Staying);
        self.cluster.refresh_domains();
        let cluster = &self.cluster;
        let signature = cluster.signature_of(PodId(pod));
        assert!(is_wishing(cluster, id, signature), "the rule would not be asked");
        let census = Census::take(cluster, &[(id, signature)]);
        let newcomer = Newcomer { cluster, ask: cluster.interned(id), census: &census, role: 0 };
        let ids = self.facts.iter().map(|fact| cluster.node(&fact.name).expect("it is known"));
        let mut points = vec![0; self.facts.len()];
        judge.score(&newcomer, &ids.collect::<Vec<_>>(), &mut points);
        points.into_iter().map(|points| points / WISH_SCALE).collect()
    }

    /// Node by node in the given order: what a score gives to a new pod, with nothing said of resources.
    pub(super) fn scores(&mut self, score: &Score, ask: &Ask) -> Vec<i64> {
        self.scores_by(score, &Weighing::default(), ask)
    }

    /// The same, where the score is told how.
    pub(super) fn scores_by(&mut self, score: &Score, how: &Weighing, ask: &Ask) -> Vec<i64> {
        let id = self.describe(1_000_000, ask, &[], Life::Staying);
        self.cluster.refresh_domains();
        let cluster = &self.cluster;
        let census = Census::take(cluster, &[(id, cluster.signature_of(PodId(1_000_000)))]);
        let newcomer = Newcomer { cluster, ask: cluster.interned(id), census: &census, role: 0 };
        let ids = self.facts.iter().map(|fact| cluster.node(&fact.name).expect("it is known"));
        (score.score)(&newcomer, how, &ids.collect::<Vec<_>>())
    }

    /// The id of an ask for these amounts.
    pub(super) fn ask(&mut self, requests: &[(&str, i64)]) -> AskId {
        let requests = requests.iter().map(|(name, amount)| ((*name).into(), *amount)).collect();
        self.cluster.intern(&Arc::new(Ask { requests, ..Ask::default() }))
    }
}
