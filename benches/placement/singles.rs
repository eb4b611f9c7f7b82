//! A stream of single-GPU pods on a cluster that is 90% full, one pod leaving for each that comes.
//! A decision is: plan, assume, and the release of another pod; with the referee it is what the engine does.

use std::time::Duration;

use muster::base::random::Random;
use muster::cluster::Cluster;
use muster::cluster::ids::AskId;
use muster::cluster::ids::NodeId;
use muster::cluster::ids::PodId;
use muster::cluster::node_set::NodeSet;
use muster::planner::Planner;
use muster::planner::demand::Demand;
use muster::planner::demand::Role;
use muster::planner::referee;
use muster::workload::ask::SharedAsk;

use crate::fleet;
use crate::report;
use crate::scan::Scan;

/// Whether the referee judges each plan.
#[derive(Clone, Copy, Debug)]
enum Referee {
    Present,
    Absent,
}

/// A cluster with pods on it, on both sides of the comparison.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) planner: Planner,
    pub(crate) scan: Scan,
    pub(crate) random: Random,
    /// Who runs, and where.
    pub(crate) running: Vec<PodId>,
    demand: Demand,
    no_nodes: NodeSet,
    ask: AskId,
    shared: SharedAsk,
}

impl Bench {
    /// `nodes` nodes of which random cards, `percent_full` of 100, are taken by pods of one card each.
    pub(crate) fn new(nodes: usize, percent_full: usize) -> Self {
        let facts = fleet::nodes(nodes);
        let mut cluster = Cluster::new();
        for fact in &facts {
            cluster.observe_node(fact);
        }
        let shared = fleet::ask(1, 12_000);
        let ask = cluster.intern(&shared);
        let mut scan = Scan::new(&facts);
        let mut random = Random::new(7);
        let cards = nodes * fleet::CARDS as usize;
        let mut seats: Vec<u32> = (0..cards as u32).collect();
        random.shuffle(&mut seats);
        let mut running = Vec::new();
        for (pod, seat) in seats.iter().take(cards * percent_full / 100).enumerate() {
            let node = seat / fleet::CARDS as u32;
            let pod = PodId(pod as u32);
            cluster.assume(pod, ask, NodeId(node));
            scan.shift(node as usize, &shared, -1);
            running.push(pod);
        }
        let next = PodId(running.len() as u32);
        let demand = Demand { roles: vec![Role { ask, members: vec![next] }], minimum: 1 };
        let no_nodes = NodeSet::new();
        Self {
            cluster,
            planner: Planner::default(),
            scan,
            random,
            running,
            demand,
            no_nodes,
            ask,
            shared,
        }
    }

    /// Places one pod; gives the node.
    fn decide(&mut self, referee: Referee) -> NodeId {
        let plan = self.planner.plan(&mut self.cluster, &self.demand, &self.no_nodes);
        let plan = plan.expect("a tenth of all cards is free");
        match referee {
            Referee::Absent => {}
            Referee::Present => {
                let verdict = referee::judge(&self.cluster, &self.demand, &plan);
                verdict.expect("the planner keeps the rules");
            }
        }
        let seat = plan.seats[0];
        self.cluster.assume(seat.pod, self.ask, seat.node);
        seat.node
    }

    /// Takes a random pod away; its id is the next to be placed.
    fn leave(&mut self) -> NodeId {
        let at = self.random.below(self.running.len() as u64) as usize;
        let pod = self.running[at];
        let node = self.cluster.node_of(pod).expect("it runs");
        self.running[at] = self.demand.roles[0].members[0];
        self.cluster.release(pod);
        self.demand.roles[0].members[0] = pod;
        node
    }

    /// The same stream decided by the scan; asserts that both choose alike.
    fn decide_both(&mut self) {
        let chosen = self.scan.choose(&self.shared).expect("a tenth of all cards is free");
        assert_eq!(
            self.decide(Referee::Present),
            NodeId(chosen as u32),
            "the index and the scan choose alike"
        );
        self.scan.shift(chosen, &self.shared, -1);
        let left = self.leave();
        self.scan.shift(left.0 as usize, &self.shared, 1);
    }
}

pub(crate) fn run() {
    println!("single-GPU pods, 90% of all cards taken, one pod leaves for each that comes");
    for nodes in [1_000, 5_000, 15_000, 100_000] {
        let mut bench = Bench::new(nodes, 90);
        for _ in 0..20 {
            bench.decide_both();
        }
        let scan = report::time_per_round(Duration::from_millis(500), || {
            std::hint::black_box(bench.scan.choose(&bench.shared));
        });
        // The first of three rounds wears the layout down to the one that a long stream leaves behind.
        let mut stream = |referee| {
            report::best_of(3, || {
                report::time_per_round(Duration::from_millis(500), || {
                    bench.decide(referee);
                    bench.leave();
                })
            })
        };
        let (decision, judged) = (stream(Referee::Absent), stream(Referee::Present));
        let per_second = 1_000_000_000 / decision.as_nanos().max(1);
        println!(
            "  {nodes:>7} nodes: {:>8} per decision ({per_second} per second), {:>8} with the referee; \
             scan {:>8}, {} longer",
            report::shown(decision),
            report::shown(judged),
            report::shown(scan),
            report::times(scan, decision),
        );
    }
}
