//! A stream of single-GPU pods on a cluster that is 90% full, one pod leaving for each that comes.
//! A decision is: plan, assume, and the release of another pod; with the referee it is what the engine does.

use std::time::Duration;
use std::time::Instant;

use muster::base::random::Random;
use muster::cluster::Cluster;
use muster::cluster::ids::AskId;
use muster::cluster::ids::NodeId;
use muster::cluster::ids::PodId;
use muster::cluster::ids::SignatureId;
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
        let demand = Demand {
            roles: vec![Role { ask, signature: SignatureId::NONE, members: vec![next] }],
            minimum: 1,
            expected: Vec::new(),
        };
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

    /// Draws who leaves after each of the next placements: who left is placed next. Off the clock, since
    /// to pick pods at random is not deciding.
    fn draw_leaving(&mut self, leaving: &mut [PodId]) {
        let mut placed = self.demand.roles[0].members[0];
        for pod in leaving {
            let at = self.random.below(self.running.len() as u64) as usize;
            *pod = std::mem::replace(&mut self.running[at], placed);
            placed = *pod;
        }
    }

    /// Takes a pod away; its id is the next to be placed.
    fn leave(&mut self, pod: PodId) {
        self.cluster.release(pod);
        self.demand.roles[0].members[0] = pod;
    }

    /// The time per decision over a long stream.
    fn stream(&mut self, referee: Referee) -> Duration {
        let mut leaving = [PodId(0); 1_000];
        let (mut spent, mut decisions) = (Duration::ZERO, 0);
        while spent < Duration::from_millis(300) {
            self.draw_leaving(&mut leaving);
            let start = Instant::now();
            for pod in leaving {
                self.decide(referee);
                self.leave(pod);
            }
            spent += start.elapsed();
            decisions += leaving.len() as u32;
        }
        spent / decisions
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
        let mut leaving = [PodId(0)];
        self.draw_leaving(&mut leaving);
        let [pod] = leaving;
        let node = self.cluster.node_of(pod).expect("it runs");
        self.leave(pod);
        self.scan.shift(node.0 as usize, &self.shared, 1);
    }
}

pub(crate) fn run() {
    println!("single-GPU pods, 90% of all cards taken, one pod leaves for each that comes");
    let mut least: Option<(Duration, Duration)> = None;
    for nodes in [1_000, 5_000, 15_000, 100_000] {
        let mut bench = Bench::new(nodes, 90);
        for _ in 0..20 {
            bench.decide_both();
        }
        let scan = report::time_per_round(Duration::from_millis(500), || {
            std::hint::black_box(bench.scan.choose(&bench.shared));
        });
        // The first rounds wear the layout down to the one that a long stream leaves behind.
        let mut stream = |referee| report::best_of(6, || bench.stream(referee));
        let (decision, judged) = (stream(Referee::Absent), stream(Referee::Present));
        let (first, first_judged) = *least.get_or_insert((decision, judged));
        let per_second = 1_000_000_000 / decision.as_nanos().max(1);
        println!(
            "  {nodes:>7} nodes: {:>8} per decision ({per_second} per second, {} of the first), \
             {:>8} with the referee ({}); scan {:>8}, {} longer",
            report::shown(decision),
            report::times(decision, first),
            report::shown(judged),
            report::times(judged, first_judged),
            report::shown(scan),
            report::times(scan, decision),
        );
    }
}
