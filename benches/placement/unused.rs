//! What rules cost that a pod does not use: the same stream of plain pods where nothing says anything about other
//! pods, and where applications do that the stream has nothing to do with, side by side in one run.
//!
//! Counted in instructions, which do not mind a busy machine:
//!
//! ```text
//! MUSTER_UNUSED=plain valgrind --tool=callgrind --toggle-collect='*::unused::decide' BENCH unused
//! MUSTER_UNUSED=others valgrind --tool=callgrind --toggle-collect='*::unused::decide' BENCH unused
//! ```
//!
//! where BENCH is the program that `cargo bench --bench placement --no-run` names; both print how many they decided.

use std::sync::Arc;
use std::time::Instant;

use muster::base::labels::LabelSelector;
use muster::cluster::Cluster;
use muster::cluster::ids::PodId;
use muster::cluster::node_set::NodeSet;
use muster::cluster::relations::Life;
use muster::cluster::relations::PodTraits;
use muster::planner::Planner;
use muster::planner::demand::Demand;
use muster::planner::demand::Role;
use muster::workload::ask::Ask;
use muster::workload::relations::PodLabels;
use muster::workload::relations::PodTerm;
use muster::workload::relations::Relations;

use crate::fleet;
use crate::report;

const NODES: usize = 2_000;
const APPS: usize = 100;
const DECISIONS: u32 = 20_000;

/// What the pods that run say about each other.
#[derive(Clone, Copy, Debug)]
enum Neighbours {
    /// Nothing.
    Plain,
    /// Each keeps others of its own application off its node.
    Apart,
}

pub(crate) fn run() {
    let only = std::env::var("MUSTER_UNUSED").ok();
    let both = [(Neighbours::Plain, "plain"), (Neighbours::Apart, "others")];
    let mut times = Vec::new();
    for (neighbours, name) in both {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let mut stream = Stream::begin(neighbours);
        let time = report::best_of(if only.is_some() { 1 } else { 20 }, || {
            let start = Instant::now();
            decide(&mut stream);
            start.elapsed() / DECISIONS
        });
        println!("  {name}: {} per decision, {DECISIONS} decided", report::shown(time));
        times.push(time);
    }
    if let [plain, others] = times[..] {
        let percent = others.as_nanos() * 100 / plain.as_nanos().max(1);
        println!("  beside others it takes {percent}% of that");
    }
}

/// Pods of one card that come and go.
struct Stream {
    cluster: Cluster,
    planner: Planner,
    nothing: NodeSet,
    demand: Demand,
    running: Vec<PodId>,
}

impl Stream {
    fn begin(neighbours: Neighbours) -> Self {
        let facts = fleet::nodes(NODES);
        let mut cluster = Cluster::new();
        for fact in &facts {
            cluster.observe_node(fact);
        }
        for (pod, fact) in facts.iter().enumerate() {
            let app = format!("app-{}", pod % APPS);
            let ask = cluster.intern(&Arc::new(neighbour(neighbours, &app)));
            let labels = labels(&app);
            let traits = PodTraits { ask, labels: &labels, life: Life::Staying };
            cluster.describe(PodId(pod as u32), &traits);
            let node = cluster.node(&fact.name).expect("all nodes are known");
            cluster.assume(PodId(pod as u32), ask, node);
        }
        let ask = cluster.intern(&fleet::ask(1, 1_000));
        let labels = labels("train");
        let mut running = Vec::new();
        for pod in NODES..3 * NODES {
            let id = PodId(pod as u32);
            cluster.describe(id, &PodTraits { ask, labels: &labels, life: Life::Staying });
            let node = cluster.node(&facts[pod % NODES].name).expect("all nodes are known");
            cluster.assume(id, ask, node);
            running.push(id);
        }
        let next = PodId(3 * NODES as u32);
        cluster.describe(next, &PodTraits { ask, labels: &labels, life: Life::Staying });
        let role = Role { ask, signature: cluster.signature_of(next), members: vec![next] };
        let demand = Demand { roles: vec![role], minimum: 1, expected: Vec::new() };
        Self { cluster, planner: Planner::default(), nothing: NodeSet::new(), demand, running }
    }
}

fn labels(app: &str) -> Arc<PodLabels> {
    Arc::new(PodLabels { namespace: "default".into(), pairs: vec![("app".into(), app.into())] })
}

fn neighbour(neighbours: Neighbours, app: &str) -> Ask {
    let ask = Ask::clone(&fleet::ask(0, 1_000));
    match neighbours {
        Neighbours::Plain => ask,
        Neighbours::Apart => {
            let selector = LabelSelector::parse(&format!("app={app}")).expect("it parses");
            let term = PodTerm {
                selector: Some(selector),
                namespaces: vec!["default".into()],
                namespace_selector: None,
                topology_key: "kubernetes.io/hostname".into(),
            };
            let relations = Relations { anti_affinity: vec![term], ..Relations::default() };
            Ask { relations: relations.boxed(), ..ask }
        }
    }
}

/// A decision: plan, assume, and the release of another pod.
#[inline(never)]
fn decide(stream: &mut Stream) {
    let Stream { cluster, planner, nothing, demand, running } = stream;
    for decision in 0..DECISIONS as usize {
        let plan = planner.plan(cluster, demand, nothing).expect("there is room");
        let pod = demand.roles[0].members[0];
        cluster.assume(pod, demand.roles[0].ask, plan.seats[0].node);
        let at = decision % running.len();
        let leaving = std::mem::replace(&mut running[at], pod);
        cluster.release(leaving);
        demand.roles[0].members[0] = leaving;
    }
}
