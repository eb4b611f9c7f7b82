//! Small random worlds: nodes, running pods, and demands that contend for the same few resources.

use std::sync::Arc;

use muster::base::names::Name;
use muster::base::random::Random;
use muster::cluster::facts::NodeFact;
use muster::cluster::ids::{PodId, SignatureId};
use muster::cluster::{Cluster, Held};
use muster::planner::demand::{Demand, Role};
use muster::workload::ask::{Amounts, Ask};
use muster::workload::constraints::{
    NodeOperator, NodeRequirement, NodeTerm, PreferredTerm, Taint, TaintEffect, Toleration,
    TolerationOperator,
};
use muster::workload::scored::Counted;

pub(crate) const GPU: &str = "nvidia.com/gpu";

/// A running pod: what it holds, and on which node.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) held: Amounts,
    pub(crate) node: Name,
}

/// A world in facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) nodes: Vec<NodeFact>,
    pub(crate) running: Vec<Running>,
}

/// Members with one ask.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    pub(crate) ask: Ask,
    pub(crate) count: usize,
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) nodes: u64,
    pub(crate) cards: u64,
    pub(crate) cores: u64,
}

pub(crate) const TINY: Shape = Shape { nodes: 4, cards: 8, cores: 12 };

impl World {
    pub(crate) fn draw(random: &mut Random, shape: Shape) -> Self {
        let count = 1 + random.below(shape.nodes);
        let nodes: Vec<NodeFact> = (0..count).map(|at| draw_node(random, at, shape)).collect();
        let mut running = Vec::new();
        for node in &nodes {
            for _ in 0..random.below(3) {
                let held = draw_amounts(random, shape);
                running.push(Running { held, node: node.name.clone() });
            }
        }
        Self { nodes, running }
    }

    /// The cluster that believes this world. Running pods have the ids from 0 on.
    pub(crate) fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::new();
        for node in &self.nodes {
            cluster.observe_node(node);
        }
        for (at, pod) in self.running.iter().enumerate() {
            let node = cluster.node_or_unknown(&pod.node);
            cluster.occupy(
                PodId(at as u32),
                Held::Other { amounts: &pod.held, counted: Counted::NONE },
                node,
            );
        }
        cluster
    }

    /// What a node has left of a resource, recounted. One of `pods` for each pod.
    pub(crate) fn free(&self, node: &NodeFact, resource: &str) -> i64 {
        let used = |pod: &Running| if resource == "pods" { 1 } else { amount(&pod.held, resource) };
        let here = self.running.iter().filter(|pod| pod.node == node.name);
        amount(&node.allocatable, resource) - here.map(used).sum::<i64>()
    }
}

pub(crate) fn amount(amounts: &Amounts, resource: &str) -> i64 {
    amounts.iter().find(|(name, _)| &**name == resource).map_or(0, |(_, amount)| *amount)
}

/// The demand for these members, whose pods have the ids from 1,000 on.
pub(crate) fn demand(cluster: &mut Cluster, members: &[Members], minimum: usize) -> Demand {
    let mut next = 1_000;
    let mut roles = Vec::new();
    for of_role in members {
        let ask = cluster.intern(&Arc::new(of_role.ask.clone()));
        let pods = (next..next + of_role.count as u32).map(PodId).collect();
        next += of_role.count as u32;
        roles.push(Role { ask, signature: SignatureId::NONE, members: pods });
    }
    Demand { roles, minimum, expected: Vec::new() }
}

pub(crate) fn draw_node(random: &mut Random, at: u64, shape: Shape) -> NodeFact {
    let name: Name = format!("n{at}").into();
    let mut labels = vec![("host".into(), name.clone())];
    if random.chance(60) {
        labels.push(("rank".into(), random.below(4).to_string().into()));
    }
    if random.chance(70) {
        labels.push(("zone".into(), (*random.pick(&["a", "b"])).into()));
    }
    let mut allocatable: Amounts = vec![("cpu".into(), random.below(shape.cores + 1) as i64)];
    if random.chance(80) {
        allocatable.push((GPU.into(), random.below(shape.cards + 1) as i64));
    }
    if random.chance(90) {
        allocatable.push(("pods".into(), 1 + random.below(6) as i64));
    }
    NodeFact {
        uid: name.clone(),
        name,
        labels,
        taints: draw_taints(random),
        unschedulable: random.chance(5),
        allocatable,
        ..NodeFact::default()
    }
}

fn draw_taints(random: &mut Random) -> Vec<Taint> {
    let effects = [TaintEffect::NoSchedule, TaintEffect::NoExecute, TaintEffect::PreferNoSchedule];
    let mut taints = Vec::new();
    for key in ["x", "y"] {
        if random.chance(15) {
            taints.push(Taint {
                key: key.into(),
                value: "".into(),
                effect: *random.pick(&effects),
            });
        }
    }
    taints
}

/// Amounts in name order, no zeros.
pub(crate) fn draw_amounts(random: &mut Random, shape: Shape) -> Amounts {
    let mut amounts = Vec::new();
    if random.chance(70) {
        amounts.push(("cpu".into(), 1 + random.below(shape.cores / 3 + 1) as i64));
    }
    if random.chance(60) {
        amounts.push((GPU.into(), 1 + random.below(shape.cards / 2 + 1) as i64));
    }
    if random.chance(5) {
        amounts.push(("example.com/rare".into(), 1));
    }
    amounts.sort();
    amounts
}

pub(crate) fn draw_ask(random: &mut Random, shape: Shape) -> Ask {
    let mut ask = Ask { requests: draw_amounts(random, shape), ..Ask::default() };
    if random.chance(15) {
        ask.node_selector.push(("zone".into(), "a".into()));
    }
    if random.chance(20) {
        ask.required_terms = Some((0..random.below(3)).map(|_| draw_term(random)).collect());
    }
    for _ in 0..random.below(3) {
        if random.chance(40) {
            let weight = 1 + random.below(100) as i32;
            ask.preferred_terms.push(PreferredTerm { weight, term: draw_term(random) });
        }
    }
    if random.chance(30) {
        ask.tolerations.push(Toleration {
            key: (*random.pick(&["x", "y", "", "node.kubernetes.io/unschedulable"])).into(),
            operator: TolerationOperator::Exists,
            value: "".into(),
            effect: None,
        });
    }
    ask
}

fn draw_term(random: &mut Random) -> NodeTerm {
    let values =
        |values: &[&str]| values.iter().map(|value| (*value).into()).collect::<Vec<Name>>();
    let requirement =
        |key: &str, operator, values| NodeRequirement { key: key.into(), operator, values };
    let expression = match random.below(6) {
        0 => requirement("zone", NodeOperator::In, values(&["a", "c"])),
        1 => requirement("zone", NodeOperator::NotIn, values(&["a"])),
        2 => requirement("rank", NodeOperator::Gt, values(&["1"])),
        3 => requirement("rank", NodeOperator::Lt, values(&["3"])),
        4 => requirement("rank", NodeOperator::DoesNotExist, values(&[])),
        _ => requirement("zone", NodeOperator::Exists, values(&[])),
    };
    let mut term = NodeTerm { match_expressions: vec![expression], ..NodeTerm::default() };
    if random.chance(10) {
        term.match_fields.push(requirement("metadata.name", NodeOperator::NotIn, values(&["n1"])));
    }
    term
}

/// Roles with different asks, few enough members for brute force, and a minimum.
pub(crate) fn draw_gang(random: &mut Random, shape: Shape) -> (Vec<Members>, usize) {
    let mut members: Vec<Members> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let ask = draw_ask(random, shape);
        if members.iter().all(|other| other.ask != ask) {
            members.push(Members { ask, count: 1 + random.below(3) as usize });
        }
    }
    let total: usize = members.iter().map(|of_role| of_role.count).sum();
    let minimum = if random.chance(60) { total } else { 1 + random.below(total as u64) as usize };
    (members, minimum)
}

/// A gang cut out of what the nodes have, so that it fits only as it was cut; at times one card too big.
pub(crate) fn draw_tight(random: &mut Random) -> (World, Vec<Members>, usize) {
    let mut world = World::default();
    let mut members: Vec<Members> = Vec::new();
    for at in 0..2 + random.below(2) {
        let (cards, cores) = (4 + random.below(9) as i64, 4 + random.below(9) as i64);
        let name: Name = format!("n{at}").into();
        world.nodes.push(NodeFact {
            uid: name.clone(),
            name,
            allocatable: vec![("cpu".into(), cores), (GPU.into(), cards), ("pods".into(), 9)],
            ..NodeFact::default()
        });
        let pieces = 1 + random.below(4) as usize;
        let (cards, cores) = (cut(random, cards, pieces), cut(random, cores, pieces));
        for (cards, cores) in cards.into_iter().zip(cores) {
            let amounts = [("cpu", cores), (GPU, cards)];
            let asked = amounts.into_iter().filter(|(_, amount)| *amount > 0);
            let requests = asked.map(|(name, amount)| (name.into(), amount)).collect();
            add_member(&mut members, Ask { requests, ..Ask::default() });
        }
    }
    let total: usize = members.iter().map(|of_role| of_role.count).sum();
    if random.chance(20) {
        let mut bigger = members.pop().expect("each node was cut into at least one").ask;
        bigger.requests.retain(|(name, _)| &**name != GPU);
        bigger.requests.push((GPU.into(), 1 + random.below(12) as i64));
        add_member(&mut members, bigger);
    }
    let left: usize = members.iter().map(|of_role| of_role.count).sum();
    (world, members, left.min(total))
}

/// Cuts `whole` into `pieces`, some of which may be 0.
fn cut(random: &mut Random, whole: i64, pieces: usize) -> Vec<i64> {
    let mut cuts: Vec<i64> = (1..pieces).map(|_| random.below(whole as u64 + 1) as i64).collect();
    cuts.extend([0, whole]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn add_member(members: &mut Vec<Members>, ask: Ask) {
    match members.iter_mut().find(|of_role| of_role.ask == ask) {
        Some(of_role) => of_role.count += 1,
        None => members.push(Members { ask, count: 1 }),
    }
}
