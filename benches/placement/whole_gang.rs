//! A gang of 4,096 pods of 8 cards on 15,000 nodes of which 60% are full and the rest idle.

use std::time::Instant;

use muster::cluster::Cluster;
use muster::cluster::ids::NodeId;
use muster::cluster::ids::PodId;
use muster::cluster::ids::SignatureId;
use muster::cluster::node_set::NodeSet;
use muster::planner::Planner;
use muster::planner::demand::Demand;
use muster::planner::demand::Role;
use muster::planner::referee;

use crate::fleet;
use crate::report;
use crate::scan::Scan;

const NODES: usize = 15_000;
const MEMBERS: usize = 4_096;

pub(crate) fn run() {
    println!("a gang of {MEMBERS} pods of 8 cards on {NODES} nodes, 60% full, the rest idle");
    let facts = fleet::nodes(NODES);
    let (mut cluster, mut scan) = (Cluster::new(), Scan::new(&facts));
    let shared = fleet::ask(8, 100_000);
    let ask = {
        for fact in &facts {
            cluster.observe_node(fact);
        }
        cluster.intern(&shared)
    };
    for at in (0..NODES).filter(|at| at % 5 < 3) {
        cluster.assume(PodId((MEMBERS + at) as u32), ask, NodeId(at as u32));
        scan.shift(at, &shared, -1);
    }
    let members: Vec<PodId> = (0..MEMBERS as u32).map(PodId).collect();
    let demand = Demand {
        roles: vec![Role { ask, signature: SignatureId::NONE, members: members.clone() }],
        minimum: MEMBERS,
        expected: Vec::new(),
    };
    let mut planner = Planner::default();
    let nothing = NodeSet::new();

    let start = Instant::now();
    let plan = planner.plan(&mut cluster, &demand, &nothing).expect("6,000 nodes are idle");
    let first = start.elapsed();
    let planning = report::best_of(20, || {
        let start = Instant::now();
        std::hint::black_box(planner.plan(&mut cluster, &demand, &nothing).is_ok());
        start.elapsed()
    });
    let judging = report::best_of(20, || {
        let start = Instant::now();
        referee::judge(&cluster, &demand, &plan).expect("the planner keeps the rules");
        start.elapsed()
    });
    let holding = report::best_of(20, || {
        let start = Instant::now();
        for seat in &plan.seats {
            cluster.assume(seat.pod, ask, seat.node);
        }
        let spent = start.elapsed();
        for pod in &members {
            cluster.release(*pod);
        }
        spent
    });
    let start = Instant::now();
    for seat in &plan.seats {
        let chosen = scan.choose(&shared).expect("6,000 nodes are idle");
        assert_eq!(seat.node, NodeId(chosen as u32), "the index and the scan choose alike");
        scan.shift(chosen, &shared, -1);
    }
    let scanning = start.elapsed();
    let decided = planning + judging + holding;
    println!(
        "  plan {} (the first {}), referee {}, hold {}: decided in {}; scan {}, {} longer",
        report::shown(planning),
        report::shown(first),
        report::shown(judging),
        report::shown(holding),
        report::shown(decided),
        report::shown(scanning),
        report::times(scanning, decided),
    );
}
