//! Ten thousand gangs wait on a full cluster of 1,000 nodes; pods finish one by one, and each time the
//! engine is asked again. Counted per completion, with what it binds; with and without telling those who
//! wait why, of whom all are told anew every ten seconds, each by a fresh attempt.

use std::time::Duration;
use std::time::Instant;

use muster::base::random::Random;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::engine::event::Event;
use muster::engine::event::Outcome;
use muster::engine::settings::Notices;
use muster::workload::ask::SharedAsk;

use crate::fleet;
use crate::pods;
use crate::pods::Pods;

const NODES: usize = 1_000;
const WAITING: u64 = 10_000;
const COMPLETIONS: u64 = 5_000;

pub(crate) fn run() {
    println!(
        "{WAITING} waiting pods on {NODES} full nodes, {COMPLETIONS} completions, a cycle after each"
    );
    for notices in [Notices::Silent, Notices::Told] {
        for shapes in [1, 100, 10_000] {
            measure(shapes, notices);
        }
    }
}

/// An ask of one to eight cards; `shapes` of them differ.
fn ask(number: u64, shapes: u64) -> SharedAsk {
    let shape = (number % shapes) as i64;
    let cards = 1 + shape % 8;
    fleet::ask(cards, 1_000 * cards + shape)
}

fn measure(shapes: u64, notices: Notices) {
    let mut engine = pods::engine_with(NODES, notices);
    let mut random = Random::new(3);
    let (pods, full) = (Pods::plain(), pods::ask(1));
    let mut living: Vec<u64> = Vec::new();
    for at in 0..NODES * fleet::CARDS as usize {
        let number = WAITING + at as u64;
        living.push(number);
        let running = pods.running(number, &full, &fleet::node_name(at % NODES));
        engine.observe(Time::EPOCH, Event::Pod(running));
    }
    for number in 0..WAITING {
        engine.observe(Time::EPOCH, Event::Pod(pods.pending(number, &ask(number, shapes))));
    }
    while engine.wakeup().is_some_and(|(at, _)| at <= Time::EPOCH) {
        engine.decide(Time::EPOCH);
    }
    let refused = engine.counters().refused;
    let mut spent = Duration::ZERO;
    let mut now = Time::EPOCH;
    let mut bound = 0;
    for _ in 0..COMPLETIONS {
        let gone = living.swap_remove(random.below(living.len() as u64) as usize);
        let gone = pods.gone(gone);
        now = now + Span::milliseconds(20);
        let start = Instant::now();
        engine.observe(now, gone);
        let cycle = engine.decide(now);
        for order in &cycle.orders {
            engine.observe(now, Event::Settled { order: order.id, outcome: Outcome::Done });
        }
        spent += start.elapsed();
        for order in &cycle.orders {
            living.push(pods::bound(order).0);
        }
        bound += cycle.orders.len();
    }
    let each = spent.as_nanos() as u64 / COMPLETIONS;
    let words = match notices {
        Notices::Silent => "not told",
        Notices::WithoutEvents => "told without events",
        Notices::Told => "told",
    };
    let attempts = engine.counters().refused - refused;
    println!(
        "  {shapes:>6} shapes, people {words}: {each:>8} ns per completion, {bound} bound, {attempts} refused in between"
    );
}
