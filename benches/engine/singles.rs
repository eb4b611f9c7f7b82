//! Pods of one card on a cluster of which nine tenths are taken; each that comes lets an older one go.
//! Counted per pod: its fact, the decision, the outcome, the fact that it runs, and that the other is gone.

use std::time::Duration;
use std::time::Instant;

use muster::base::names::Name;
use muster::base::random::Random;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::cluster::facts::PodFact;
use muster::engine::Engine;
use muster::engine::event::Event;
use muster::engine::event::Outcome;
use muster::engine::order::Action;

use crate::fleet;

const PODS: u64 = 60_000;

pub(crate) fn run() {
    println!(
        "single pods of one card, nine tenths of all cards taken, each comes and an older one goes"
    );
    for nodes in [1_000, 15_000, 100_000] {
        for batch in [1, 64] {
            measure(nodes, batch);
        }
    }
}

/// A pod that runs, as far as its end needs to know.
type Running = Box<PodFact>;

fn measure(nodes: usize, batch: usize) {
    let mut engine = fleet::engine(nodes);
    let ask = fleet::ask(1);
    let mut random = Random::new(7);
    let mut living: Vec<Running> = Vec::new();
    let mut number = 0;
    for at in 0..nodes * fleet::CARDS * 9 / 10 {
        // Spread so that free cards are scattered over many nodes, as after a long time.
        let node = fleet::node_name(at % nodes);
        living.push(fleet::running(&fleet::pod(number, &ask, None), &node));
        number += 1;
    }
    for pod in &living {
        engine.observe(Time::EPOCH, Event::Pod(pod.clone()));
    }
    let mut spent = Duration::ZERO;
    let mut now = Time::EPOCH;
    for _ in 0..PODS / batch as u64 {
        let arrivals: Vec<_> =
            (0..batch as u64).map(|at| fleet::pod(number + at, &ask, None)).collect();
        number += batch as u64;
        let leaving: Vec<_> = (0..batch)
            .map(|_| living.swap_remove(random.below(living.len() as u64) as usize))
            .collect();
        now = now + Span::milliseconds(1);
        let (took, bound) = one_round(&mut engine, now, arrivals, &leaving);
        spent += took;
        living.extend(bound);
    }
    let each = spent.as_nanos() as u64 / PODS;
    println!(
        "  {nodes:>7} nodes, {batch:>2} pods per cycle: {each:>6} ns per pod, {:>9} per second",
        1_000_000_000 / each.max(1)
    );
}

fn one_round(
    engine: &mut Engine,
    now: Time,
    arrivals: Vec<Running>,
    leaving: &[Running],
) -> (Duration, Vec<Running>) {
    let count = arrivals.len();
    let copies = arrivals.clone();
    let start = Instant::now();
    for pod in leaving {
        engine.observe(now, Event::PodGone { name: pod.name.clone(), uid: pod.uid.clone() });
    }
    for pod in arrivals {
        engine.observe(now, Event::Pod(pod));
    }
    let cycle = engine.decide(now);
    for order in &cycle.orders {
        engine.observe(now, Event::Settled { order: order.id, outcome: Outcome::Done });
    }
    let mut spent = start.elapsed();
    assert_eq!(cycle.orders.len(), count, "there is room for everybody");
    // The facts that come back are made off the clock.
    let bound: Vec<Running> = cycle
        .orders
        .iter()
        .map(|order| {
            let Action::Bind { pod, node, .. } = &order.action else {
                unreachable!("pods without a group are simply bound")
            };
            let copy = copies.iter().find(|copy| copy.uid == pod.uid).expect("it was told");
            fleet::running(copy, &Name::clone(node))
        })
        .collect();
    let facts = bound.clone();
    let start = Instant::now();
    for pod in facts {
        engine.observe(now, Event::Pod(pod));
    }
    spent += start.elapsed();
    (spent, bound)
}
