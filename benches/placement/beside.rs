//! Pods that each bring a combination of constraints never seen before, on 5,000 nodes with 50,000 running pods of
//! 500 applications: taints and node affinity alone, anti-affinity, spreading; and a gang with one member per node.
//! The plain side judges each pod on each node, after it has counted the pods that a term matches by domain.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use muster::base::labels::LabelSelector;
use muster::base::names::Name;
use muster::base::random::Random;
use muster::cluster::Cluster;
use muster::cluster::facts::NodeFact;
use muster::cluster::ids::PodId;
use muster::cluster::ids::SignatureId;
use muster::cluster::node_set::NodeSet;
use muster::cluster::relations::Life;
use muster::cluster::relations::PodTraits;
use muster::planner::Planner;
use muster::planner::demand::Demand;
use muster::planner::demand::Role;
use muster::planner::referee;
use muster::plugins::weighing::SCORES;
use muster::workload::ask::Ask;
use muster::workload::constraints::NodeOperator;
use muster::workload::constraints::NodeRequirement;
use muster::workload::constraints::NodeTerm;
use muster::workload::constraints::PreferredTerm;
use muster::workload::constraints::Toleration;
use muster::workload::constraints::TolerationOperator;
use muster::workload::profile::Profile;
use muster::workload::profile::Weighing;
use muster::workload::relations::InclusionPolicy;
use muster::workload::relations::PodLabels;
use muster::workload::relations::PodTerm;
use muster::workload::relations::Relations;
use muster::workload::relations::SharedLabels;
use muster::workload::relations::Spread;

use crate::fleet;
use crate::report;

const NODES: usize = 5_000;
const PODS: usize = 50_000;
const APPS: usize = 500;
const MEMBERS: usize = 1_000;
const HOST: &str = "kubernetes.io/hostname";
const RACK: &str = "topology.kubernetes.io/rack";
const ZONE: &str = "topology.kubernetes.io/zone";

/// What the single pods want.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// Nodes by their labels, and to tolerate some taints: nothing of other pods.
    Objects,
    /// No pod of some applications on their node.
    Apart,
    /// To be spread over zones.
    Spread,
}

/// The cluster, and the same for the plain side.
struct Bench {
    cluster: Cluster,
    facts: Vec<NodeFact>,
    running: Vec<(SharedLabels, usize)>,
}

pub(crate) fn run() {
    for (want, title) in [
        (Want::Objects, "pods with taints and affinity never seen before"),
        (Want::Apart, "pods with anti-affinity by hostname never seen before"),
        (Want::Spread, "pods spread over zones by a selector never seen before"),
    ] {
        println!("{title}, {NODES} nodes, {PODS} running pods");
        singles(want);
    }
    println!(
        "a gang of {MEMBERS} with anti-affinity by hostname, {NODES} nodes, {PODS} running pods"
    );
    gang();
    println!(
        "a gang of {MEMBERS} ranked by kube-scheduler's scores, {NODES} nodes, {PODS} running pods"
    );
    ranked();
}

impl Bench {
    fn new() -> Self {
        let facts = fleet::nodes(NODES);
        let mut cluster = Cluster::new();
        for fact in &facts {
            cluster.observe_node(fact);
        }
        let plain = fleet::ask(0, 1_000);
        let mut random = Random::new(11);
        let labels: Vec<SharedLabels> =
            (0..APPS).map(|app| labels(&format!("app-{app}"))).collect();
        let mut running = Vec::new();
        for pod in 0..PODS {
            let labels = random.pick(&labels).clone();
            let at = random.below(NODES as u64) as usize;
            let ask = cluster.intern(&plain);
            let traits = PodTraits { ask, labels: &labels, life: Life::Staying };
            cluster.describe(PodId(pod as u32), &traits);
            let node = cluster.node(&facts[at].name).expect("all nodes are known");
            cluster.assume(PodId(pod as u32), ask, node);
            running.push((labels, at));
        }
        Self { cluster, facts, running }
    }
}

fn labels(app: &str) -> SharedLabels {
    let pairs = vec![("app".into(), app.into()), ("team".into(), "research".into())];
    Arc::new(PodLabels { namespace: "default".into(), pairs })
}

/// A selector of a few applications, another for each number.
fn selector(number: usize) -> LabelSelector {
    let apps =
        [number % APPS, number / APPS % APPS, 7 * number % APPS].map(|app| format!("app-{app}"));
    LabelSelector::parse(&format!("app in ({})", apps.join(","))).expect("it parses")
}

fn draw(want: Want, number: usize) -> Ask {
    let mut relations = Relations::default();
    let mut ask = Ask::clone(&fleet::ask(0, 500));
    match want {
        Want::Objects => constrain(&mut ask, number),
        Want::Apart => relations.anti_affinity.push(PodTerm {
            selector: Some(selector(number)),
            namespaces: vec!["default".into()],
            namespace_selector: None,
            topology_key: HOST.into(),
        }),
        Want::Spread => relations.spread.push(Spread {
            max_skew: 5,
            topology_key: ZONE.into(),
            selector: Some(selector(number)),
            namespace: "default".into(),
            min_domains: 1,
            node_affinity_policy: InclusionPolicy::Honor,
            node_taints_policy: InclusionPolicy::Ignore,
        }),
    }
    Ask { relations: relations.boxed(), ..ask }
}

/// Required and preferred node affinity and a toleration, of which no other number has all.
fn constrain(ask: &mut Ask, number: usize) {
    let requirement = |key: &str, operator, values: &[String]| NodeRequirement {
        key: key.into(),
        operator,
        values: values.iter().map(|value| value.as_str().into()).collect(),
    };
    let term =
        |requirement| NodeTerm { match_expressions: vec![requirement], ..NodeTerm::default() };
    let racks = [number, number / 7, number / 311].map(|n| format!("rack-{}", n % (NODES / 16)));
    let host = format!("node-{:06}", number % NODES);
    ask.required_terms = Some(vec![
        term(requirement(RACK, NodeOperator::In, &racks)),
        term(requirement(HOST, NodeOperator::NotIn, &[host])),
    ]);
    let zone = format!("zone-{}", number % 3);
    ask.preferred_terms = vec![PreferredTerm {
        weight: 1 + (number % 100) as i32,
        term: term(requirement(ZONE, NodeOperator::In, &[zone])),
    }];
    ask.tolerations.push(Toleration {
        key: "team".into(),
        operator: TolerationOperator::Equal,
        value: format!("team-{number}").into(),
        effect: None,
    });
}

fn singles(want: Want) {
    let mut bench = Bench::new();
    let mut planner = Planner::default();
    let nothing = NodeSet::new();
    let pod = PodId(PODS as u32);
    let own: Vec<SharedLabels> = (0..APPS).map(|app| labels(&format!("app-{app}"))).collect();
    let (mut number, mut placed) = (0, 0_usize);
    let decision = report::time_per_round(Duration::from_secs(2), || {
        number += 1;
        let cluster = &mut bench.cluster;
        let ask = cluster.intern(&Arc::new(draw(want, number)));
        let labels = &own[number % APPS];
        cluster.describe(pod, &PodTraits { ask, labels, life: Life::Staying });
        let signature = cluster.signature_of(pod);
        let demand = Demand {
            roles: vec![Role { ask, signature, members: vec![pod] }],
            minimum: 1,
            expected: Vec::new(),
        };
        if let Ok(plan) = planner.plan(cluster, &demand, &nothing) {
            referee::judge(cluster, &demand, &plan).expect("the planner keeps the rules");
            cluster.assume(pod, ask, plan.seats[0].node);
            cluster.release(pod);
            placed += 1;
        }
        cluster.undescribe(pod);
        cluster.forget_ask(ask);
    });
    let mut number = 0;
    let scan = report::time_per_round(Duration::from_secs(2), || {
        number += 1;
        std::hint::black_box(feasible(&bench, &draw(want, number), &own[number % APPS]));
    });
    println!(
        "  {} per decision ({placed} placed), {} decisions per second; plain {}, {} longer",
        report::shown(decision),
        1_000_000_000 / decision.as_nanos().max(1),
        report::shown(scan),
        report::times(scan, decision),
    );
}

/// The first node that the relations of the ask allow: pods are counted by domain, then every node is asked.
fn feasible(bench: &Bench, ask: &Ask, own: &PodLabels) -> Option<usize> {
    let nothing = Relations::default();
    let relations = ask.relations.as_deref().unwrap_or(&nothing);
    let of = |at: usize, key: &str| {
        bench.facts[at].labels.iter().find(|(name, _)| &**name == key).map(|(_, value)| value)
    };
    let count = |selector: &LabelSelector, key: &str| -> HashMap<&Name, usize> {
        let mut counts = HashMap::new();
        for (labels, at) in &bench.running {
            if selector.matches(|key| labels.get(key))
                && let Some(domain) = of(*at, key)
            {
                *counts.entry(domain).or_default() += 1;
            }
        }
        counts
    };
    let term = relations.anti_affinity.first();
    let apart = term.map(|term| count(term.selector.as_ref().expect("it has one"), HOST));
    let spread = relations.spread.first();
    let zones = spread.map(|spread| count(spread.selector.as_ref().expect("it has one"), ZONE));
    let mut first = None;
    for at in 0..bench.facts.len() {
        let free = apart
            .as_ref()
            .is_none_or(|apart| of(at, HOST).is_none_or(|domain| !apart.contains_key(domain)));
        let level = zones.as_ref().is_none_or(|zones| {
            let Some(domain) = of(at, ZONE) else { return false };
            let least = zones.values().min().copied().unwrap_or(0);
            let itself = spread
                .and_then(|spread| spread.selector.as_ref())
                .is_some_and(|selector| selector.matches(|key| own.get(key)));
            zones.get(domain).copied().unwrap_or(0) + usize::from(itself) <= least + 5
        });
        if free && level && muster::plugins::admits(ask, &bench.facts[at]) {
            first = first.or(Some(at));
        }
    }
    first
}

/// Members go one after the other to the least used node, as kube-scheduler's default profile would have them.
fn ranked() {
    let mut bench = Bench::new();
    let named = |name: &str| (name.into(), 1);
    let weighing = Weighing {
        weights: SCORES
            .iter()
            .map(|score| (score.name, score.weight))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect(),
        resources: vec![named("cpu"), named("memory")],
        balanced: vec!["cpu".into(), "memory".into()],
        ..Weighing::default()
    };
    let profile = Some(Arc::new(Profile { weighing: Some(weighing), ..Profile::default() }));
    let ask = Arc::new(Ask { profile, ..Ask::clone(&fleet::ask(1, 500)) });
    let cluster = &mut bench.cluster;
    let ask = cluster.intern(&ask);
    let members: Vec<PodId> = (0..MEMBERS).map(|at| PodId((PODS + at) as u32)).collect();
    let demand = Demand {
        roles: vec![Role { ask, signature: SignatureId::NONE, members }],
        minimum: MEMBERS,
        expected: Vec::new(),
    };
    let mut planner = Planner::default();
    let nothing = NodeSet::new();
    let planning = report::best_of(3, || {
        let start = Instant::now();
        std::hint::black_box(planner.plan(cluster, &demand, &nothing).is_ok());
        start.elapsed()
    });
    println!("  plan {}", report::shown(planning));
}

fn gang() {
    let mut bench = Bench::new();
    let term = PodTerm {
        selector: Some(LabelSelector::parse("app=train").expect("it parses")),
        namespaces: vec!["default".into()],
        namespace_selector: None,
        topology_key: HOST.into(),
    };
    let relations = Relations { anti_affinity: vec![term], ..Relations::default() }.boxed();
    let ask = Arc::new(Ask { relations, ..Ask::clone(&fleet::ask(1, 500)) });
    let cluster = &mut bench.cluster;
    let (ask, labels) = (cluster.intern(&ask), labels("train"));
    let members: Vec<PodId> = (0..MEMBERS).map(|at| PodId((PODS + at) as u32)).collect();
    for pod in &members {
        cluster.describe(*pod, &PodTraits { ask, labels: &labels, life: Life::Staying });
    }
    let signature = cluster.signature_of(members[0]);
    assert_ne!(signature, SignatureId::NONE, "the term matches the gang itself");
    let demand = Demand {
        roles: vec![Role { ask, signature, members }],
        minimum: MEMBERS,
        expected: Vec::new(),
    };
    let mut planner = Planner::default();
    let nothing = NodeSet::new();
    let plan = planner.plan(cluster, &demand, &nothing).expect("there are more nodes than members");
    let planning = report::best_of(20, || {
        let start = Instant::now();
        std::hint::black_box(planner.plan(cluster, &demand, &nothing).is_ok());
        start.elapsed()
    });
    let judging = report::best_of(20, || {
        let start = Instant::now();
        referee::judge(cluster, &demand, &plan).expect("the planner keeps the rules");
        start.elapsed()
    });
    let start = Instant::now();
    let mut taken = vec![false; NODES];
    for _ in 0..MEMBERS {
        // Nobody of the gang runs, so that only the seats before count: a fact that spares the plain side a count.
        let admits = |at: &usize| {
            !taken[*at] && muster::plugins::admits(cluster.ask(ask), &bench.facts[*at])
        };
        let feasible: Vec<usize> = (0..NODES).filter(admits).collect();
        taken[*feasible.first().expect("there are more nodes than members")] = true;
    }
    let scan = start.elapsed();
    println!(
        "  plan {}, referee {}; plain {}, {} longer than the plan",
        report::shown(planning),
        report::shown(judging),
        report::shown(scan),
        report::times(scan, planning),
    );
}
