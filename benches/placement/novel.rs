//! Pods that each ask for something never seen: first amounts, then also a selector of their own.
//! A decision is: intern, plan, assume, release, forget.

use std::sync::Arc;
use std::time::Duration;

use muster::cluster::ids::PodId;
use muster::cluster::ids::SignatureId;
use muster::cluster::node_set::NodeSet;
use muster::planner::demand::Demand;
use muster::planner::demand::Role;
use muster::workload::ask::Ask;
use muster::workload::ask::SharedAsk;

use crate::fleet;
use crate::report;
use crate::singles::Bench;

/// What is new about each pod.
#[derive(Clone, Copy, Debug)]
enum Novelty {
    /// Its cpu.
    Amount,
    /// The node that it selects.
    Selector,
    /// More cpu than nodes with free cards have left, so that it is refused.
    Refused,
}

pub(crate) fn run() {
    for (novelty, title) in [
        (Novelty::Amount, "pods with an amount of cpu never seen before, 90% of all cards taken"),
        (Novelty::Selector, "pods with a node selector never seen before, 90% of all cards taken"),
        (Novelty::Refused, "pods with an amount of cpu never seen before that no node has"),
    ] {
        println!("{title}");
        for nodes in [1_000, 5_000, 15_000, 100_000] {
            measure(novelty, nodes);
        }
    }
}

fn draw(novelty: Novelty, number: usize, nodes: usize) -> SharedAsk {
    let number_in_millicores = number as i64;
    match novelty {
        Novelty::Amount => fleet::ask(1, 1 + number_in_millicores % 30_000),
        Novelty::Refused => fleet::ask(1, 127_001 + number_in_millicores),
        Novelty::Selector => {
            let mut ask = Ask::clone(&fleet::ask(1, 1_000));
            // Two labels at once: the rack alone would repeat too soon.
            let rack = format!("rack-{}", number % (nodes / 16));
            ask.node_selector.push(("topology.kubernetes.io/rack".into(), rack.into()));
            ask.required_terms = Some(vec![muster::workload::constraints::NodeTerm {
                match_expressions: vec![muster::workload::constraints::NodeRequirement {
                    key: "kubernetes.io/hostname".into(),
                    operator: muster::workload::constraints::NodeOperator::NotIn,
                    values: vec![format!("host-{number}").into()],
                }],
                ..Default::default()
            }]);
            Arc::new(ask)
        }
    }
}

fn measure(novelty: Novelty, nodes: usize) {
    let mut bench = Bench::new(nodes, 90);
    let pod = PodId(bench.running.len() as u32 + 1);
    let nothing = NodeSet::new();
    let mut number = 0;
    let scan = report::time_per_round(Duration::from_millis(500), || {
        number += 1;
        std::hint::black_box(bench.scan.choose(&draw(novelty, number, nodes)));
    });
    // Drawing an ask is not deciding on it, and its time is taken out.
    let drawing = report::time_per_round(Duration::from_millis(300), || {
        number += 1;
        std::hint::black_box(draw(novelty, number, nodes));
    });
    let mut placed = 0_usize;
    let both = report::time_per_round(Duration::from_millis(700), || {
        number += 1;
        let ask = bench.cluster.intern(&draw(novelty, number, nodes));
        let demand = Demand {
            roles: vec![Role { ask, signature: SignatureId::NONE, members: vec![pod] }],
            minimum: 1,
            expected: Vec::new(),
        };
        if let Ok(plan) = bench.planner.plan(&mut bench.cluster, &demand, &nothing) {
            bench.cluster.assume(pod, ask, plan.seats[0].node);
            bench.cluster.release(pod);
            placed += 1;
        }
        bench.cluster.forget_ask(ask);
    });
    let decision = both.saturating_sub(drawing);
    println!(
        "  {nodes:>7} nodes: {:>8} per decision ({placed} placed); scan {:>8}, {} longer",
        report::shown(decision),
        report::shown(scan.saturating_sub(drawing)),
        report::times(scan, decision),
    );
}
