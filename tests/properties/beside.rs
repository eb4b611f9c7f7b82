//! Small random worlds whose pods mean something to each other, and what is true of them, found the plain way:
//! every rule read off the facts pod by pod, every order of the members and every node tried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster::base::labels::LabelSelector;
use muster::base::names::Name;
use muster::base::random::Random;
use muster::cluster::Cluster;
use muster::cluster::facts::NodeFact;
use muster::cluster::ids::PodId;
use muster::cluster::relations::{Life, PodTraits};
use muster::planner::demand::{Demand, Role};
use muster::workload::ask::Ask;
use muster::workload::constraints::{Taint, TaintEffect};
use muster::workload::relations::{
    HostPort, InclusionPolicy, PodLabels, PodTerm, Protocol, Relations, SharedLabels, Spread,
};

/// A pod as other pods see it.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) ask: Arc<Ask>,
    pub(crate) labels: SharedLabels,
    pub(crate) life: Life,
}

impl Pod {
    /// The same pod with the host ports of another: who runs keeps them.
    pub(crate) fn with_ports_of(self, other: &Self) -> Self {
        let ports = other.ask.relations.as_ref().map(|relations| relations.host_ports.clone());
        let mut wants = self.ask.relations.as_deref().cloned().unwrap_or_default();
        wants.host_ports = ports.unwrap_or_default();
        let ask = Ask { relations: wants.boxed(), ..Ask::clone(&self.ask) };
        Self { ask: Arc::new(ask), ..self }
    }
}

/// Nodes, pods on them, and a gang.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    pub(crate) nodes: Vec<NodeFact>,
    /// With the number of the node.
    pub(crate) running: Vec<(Pod, usize)>,
    pub(crate) members: Vec<Pod>,
    pub(crate) minimum: usize,
}

/// Running pods have the ids from 0 on, members from here.
pub(crate) const FIRST_MEMBER: u32 = 1_000;

impl Beside {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let nodes: Vec<NodeFact> =
            (0..1 + random.below(4)).map(|at| draw_node(random, at)).collect();
        let running = (0..random.below(4))
            .map(|_| (draw_pod(random, 40), random.below(nodes.len() as u64) as usize))
            .collect();
        let kinds: Vec<Pod> = (0..1 + random.below(2)).map(|_| draw_pod(random, 90)).collect();
        let members: Vec<Pod> = (0..1 + random.below(4))
            .map(|_| {
                let kind = random.pick(&kinds);
                let labels = match random.chance(20) {
                    true => draw_labels(random, &kind.labels.namespace),
                    false => kind.labels.clone(),
                };
                Pod { labels, life: Life::Staying, ..kind.clone() }
            })
            .collect();
        let total = members.len() as u64;
        let minimum = if random.chance(70) { total } else { 1 + random.below(total) } as usize;
        Self { nodes, running, members, minimum }
    }

    pub(crate) fn cluster(&self) -> Cluster {
        let mut cluster = Cluster::new();
        for node in &self.nodes {
            cluster.observe_node(node);
        }
        for (at, (pod, node)) in self.running.iter().enumerate() {
            run(&mut cluster, at as u32, pod, &self.nodes[*node].name);
        }
        cluster
    }

    /// The members by role, as the engine would sort them.
    pub(crate) fn demand(&self, cluster: &mut Cluster) -> Demand {
        let mut roles: Vec<Role> = Vec::new();
        let asks: Vec<_> = (FIRST_MEMBER..)
            .zip(&self.members)
            .map(|(id, pod)| describe(cluster, id, pod))
            .collect();
        for (id, ask) in (FIRST_MEMBER..).map(PodId).zip(asks) {
            let signature = cluster.signature_of(id);
            match roles.iter_mut().find(|role| (role.ask, role.signature) == (ask, signature)) {
                Some(role) => role.members.push(id),
                None => roles.push(Role { ask, signature, members: vec![id] }),
            }
        }
        Demand { roles, minimum: self.minimum, expected: Vec::new() }
    }

    /// The most members that can be placed, each admitted beside those before it.
    pub(crate) fn most_members(&self) -> usize {
        let mut seen = BTreeSet::new();
        let mut placed = vec![None; self.members.len()];
        self.most_from(&mut placed, &mut seen)
    }

    fn most_from(
        &self,
        placed: &mut Vec<Option<usize>>,
        seen: &mut BTreeSet<Vec<Option<usize>>>,
    ) -> usize {
        if !seen.insert(placed.clone()) {
            return 0;
        }
        let mut best = placed.iter().flatten().count();
        for member in 0..placed.len() {
            if placed[member].is_some() {
                continue;
            }
            for node in 0..self.nodes.len() {
                if best < placed.len() && self.rejected(placed, member, node).is_none() {
                    placed[member] = Some(node);
                    best = best.max(self.most_from(placed, seen));
                    placed[member] = None;
                }
            }
        }
        best
    }

    /// kube-scheduler's reason against a member on a node, the first in its order, beside those placed.
    pub(crate) fn rejected(
        &self,
        placed: &[Option<usize>],
        member: usize,
        node: usize,
    ) -> Option<&'static str> {
        let seated = placed.iter().zip(&self.members).filter_map(|(at, pod)| Some((pod, (*at)?)));
        let there: Vec<(&Pod, usize)> =
            self.running.iter().map(|(pod, at)| (pod, *at)).chain(seated).collect();
        let pod = &self.members[member];
        if self.nodes[node].taints.iter().any(|taint| taint.effect == TaintEffect::NoSchedule) {
            return Some("node(s) had untolerated taint(s)");
        }
        if pod.ask.node_selector.iter().any(|label| !self.nodes[node].labels.contains(label)) {
            return Some("node(s) didn't match Pod's node affinity/selector");
        }
        let ports = |pod: &Pod| wants(pod).host_ports.clone();
        let mine = ports(pod);
        let here = there.iter().filter(|(_, at)| *at == node);
        if here.clone().flat_map(|(other, _)| ports(other)).any(|port| mine.contains(&port)) {
            return Some("node(s) didn't have free ports for the requested pod ports");
        }
        let room = self.nodes[node].allocatable[0].1;
        if here.count() as i64 >= room {
            return Some("Too many pods");
        }
        self.spread_rejects(&there, pod, node).or_else(|| self.others_reject(&there, pod, node))
    }

    fn spread_rejects(
        &self,
        there: &[(&Pod, usize)],
        pod: &Pod,
        node: usize,
    ) -> Option<&'static str> {
        let constraints = wants(pod).spread;
        for spread in &constraints {
            let Some(domain) = self.value(node, &spread.topology_key) else {
                return Some(
                    "node(s) didn't match pod topology spread constraints (missing required label)",
                );
            };
            let mut counts: BTreeMap<&Name, u32> = BTreeMap::new();
            for at in 0..self.nodes.len() {
                let node = &self.nodes[at];
                let keys = constraints.iter().all(|c| self.value(at, &c.topology_key).is_some());
                let selected = pod.ask.node_selector.iter().all(|l| node.labels.contains(l));
                let affine = spread.node_affinity_policy == InclusionPolicy::Ignore || selected;
                let clean = !node.taints.iter().any(|t| t.effect == TaintEffect::NoSchedule);
                let clean = spread.node_taints_policy == InclusionPolicy::Ignore || clean;
                if !keys || !affine || !clean {
                    continue;
                }
                let domain = self.value(at, &spread.topology_key).expect("it has all keys");
                let count = there.iter().filter(|(other, place)| {
                    *place == at
                        && other.life == Life::Staying
                        && other.labels.namespace == spread.namespace
                        && spread.selector.as_ref().is_some_and(|selector| {
                            !selector.is_everything() && selects(selector, &other.labels)
                        })
                });
                *counts.entry(domain).or_default() += count.count() as u32;
            }
            let enough = counts.len() >= spread.min_domains as usize;
            let least = counts.values().min().copied().filter(|_| enough).unwrap_or(0);
            let itself = spread.selector.as_ref().is_some_and(|s| selects(s, &pod.labels));
            let here = counts.get(domain).copied().unwrap_or(0);
            if here + u32::from(itself) > least + spread.max_skew {
                return Some("node(s) didn't match pod topology spread constraints");
            }
        }
        None
    }

    fn others_reject(
        &self,
        there: &[(&Pod, usize)],
        pod: &Pod,
        node: usize,
    ) -> Option<&'static str> {
        let wanted = wants(pod);
        let shares = |other: usize, key: &str| {
            self.value(node, key).is_some() && self.value(node, key) == self.value(other, key)
        };
        if !wanted.affinity.is_empty() {
            let all = |other: &Pod| wanted.affinity.iter().all(|term| about(term, &other.labels));
            let near = wanted.affinity.iter().all(|term| {
                there.iter().any(|(other, at)| all(other) && shares(*at, &term.topology_key))
            });
            let counted = there.iter().any(|(other, at)| {
                let in_some =
                    wanted.affinity.iter().any(|t| self.value(*at, &t.topology_key).is_some());
                all(other) && in_some
            });
            let keys = wanted.affinity.iter().all(|t| self.value(node, &t.topology_key).is_some());
            if !near && (counted || !keys || !all(pod)) {
                return Some("node(s) didn't match pod affinity rules");
            }
        }
        let against = |pod: &Pod, other: &Pod, at: usize| {
            wants(pod)
                .anti_affinity
                .iter()
                .any(|term| about(term, &other.labels) && shares(at, &term.topology_key))
        };
        if there.iter().any(|(other, at)| against(pod, other, *at)) {
            return Some("node(s) didn't match pod anti-affinity rules");
        }
        let existing = there.iter().any(|(other, at)| against(other, pod, *at));
        existing.then_some("node(s) didn't satisfy existing pods anti-affinity rules")
    }

    fn value(&self, node: usize, key: &str) -> Option<&Name> {
        self.nodes[node].labels.iter().find(|(name, _)| &**name == key).map(|(_, value)| value)
    }
}

fn wants(pod: &Pod) -> Relations {
    pod.ask.relations.as_deref().cloned().unwrap_or_default()
}

fn selects(selector: &LabelSelector, labels: &PodLabels) -> bool {
    selector.matches(|key| labels.get(key))
}

/// Namespaces of these worlds have no labels.
fn about(term: &PodTerm, labels: &PodLabels) -> bool {
    let all = term.namespace_selector.as_ref().is_some_and(LabelSelector::is_everything);
    (all || term.namespaces.contains(&labels.namespace))
        && term.selector.as_ref().is_some_and(|selector| selects(selector, labels))
}

/// Tells what a pod is; returns its ask.
pub(crate) fn describe(cluster: &mut Cluster, id: u32, pod: &Pod) -> muster::cluster::ids::AskId {
    let ask = cluster.intern(&pod.ask);
    cluster.describe(PodId(id), &PodTraits { ask, labels: &pod.labels, life: pod.life });
    ask
}

/// Lets a pod run.
pub(crate) fn run(cluster: &mut Cluster, id: u32, pod: &Pod, node: &Name) {
    let ask = describe(cluster, id, pod);
    let node = cluster.node_or_unknown(node);
    cluster.assume(PodId(id), ask, node);
}

pub(crate) fn draw_node(random: &mut Random, at: u64) -> NodeFact {
    let name: Name = format!("n{at}").into();
    let mut labels: Vec<(Name, Name)> = vec![("host".into(), name.clone())];
    if random.chance(85) {
        labels.push(("zone".into(), (*random.pick(&["a", "b"])).into()));
    }
    let taint = Taint { key: "x".into(), value: "".into(), effect: TaintEffect::NoSchedule };
    NodeFact {
        uid: name.clone(),
        name,
        labels,
        taints: if random.chance(10) { vec![taint] } else { vec![] },
        allocatable: vec![("pods".into(), 1 + random.below(4) as i64)],
        ..NodeFact::default()
    }
}

fn draw_labels(random: &mut Random, namespace: &str) -> SharedLabels {
    let mut pairs: Vec<(Name, Name)> = vec![("app".into(), (*random.pick(&["a", "b"])).into())];
    if random.chance(30) {
        pairs.push(("tier".into(), "t".into()));
    }
    Arc::new(PodLabels { namespace: namespace.into(), pairs })
}

/// A pod that wants something of others in `percent` of 100 draws.
pub(crate) fn draw_pod(random: &mut Random, percent: u64) -> Pod {
    let namespace = if random.chance(85) { "team" } else { "other" };
    let mut wants = Relations::default();
    if random.chance(percent) {
        if random.chance(20) {
            let port = 80 + random.below(2) as u16;
            wants.host_ports.push(HostPort { port, protocol: Protocol::Tcp, address: None });
        }
        for _ in 0..random.below(3) {
            match random.below(5) {
                0 => wants.affinity.push(draw_term(random)),
                1 | 2 => wants.anti_affinity.push(draw_term(random)),
                _ => wants.spread.push(draw_spread(random, namespace)),
            }
        }
    }
    let node_selector = match random.chance(10) {
        true => vec![("zone".into(), "a".into())],
        false => vec![],
    };
    let ask = Ask { node_selector, relations: wants.boxed(), ..Ask::default() };
    let life = if random.chance(15) { Life::Leaving } else { Life::Staying };
    Pod { ask: Arc::new(ask), labels: draw_labels(random, namespace), life }
}

fn draw_selector(random: &mut Random) -> Option<LabelSelector> {
    let text = *random.pick(&["app=a", "app=b", "app in (a,b)", "tier", "!tier,app=a", "", "-"]);
    (text != "-").then(|| LabelSelector::parse(text).expect("all of these parse"))
}

fn draw_term(random: &mut Random) -> PodTerm {
    let all = random.chance(15);
    PodTerm {
        selector: draw_selector(random),
        namespaces: if all { vec![] } else { vec!["team".into()] },
        namespace_selector: all.then(LabelSelector::everything),
        topology_key: (*random.pick(&["host", "zone"])).into(),
    }
}

fn draw_spread(random: &mut Random, namespace: &str) -> Spread {
    let policy = |random: &mut Random| match random.chance(50) {
        true => InclusionPolicy::Honor,
        false => InclusionPolicy::Ignore,
    };
    Spread {
        max_skew: 1 + random.below(2) as u32,
        topology_key: (*random.pick(&["host", "zone"])).into(),
        selector: draw_selector(random),
        namespace: namespace.into(),
        min_domains: 1 + random.below(3) as u32,
        node_affinity_policy: policy(random),
        node_taints_policy: policy(random),
    }
}
