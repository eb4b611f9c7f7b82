//! Ten thousand gangs wait on a full cluster of 1,000 nodes; pods finish one by one, and each time the
//! engine is asked again. Counted per completion, with what it binds.

use std::time::Duration;
use std::time::Instant;

use muster::base::random::Random;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::cluster::facts::PodFact;
use muster::engine::event::Event;
use muster::engine::event::Outcome;
use muster::engine::order::Action;

use crate::fleet;

const NODES: usize = 1_000;
const WAITING: u64 = 10_000;
const COMPLETIONS: u64 = 5_000;

pub(crate) fn run() {
    println!(
        "{WAITING} waiting pods on {NODES} full nodes, {COMPLETIONS} completions, a cycle after each"
    );
    for shapes in [1, 100, 10_000] {
        measure(shapes);
    }
}

/// An ask of one to eight cards; `shapes` of them differ.
fn ask(number: u64, shapes: u64) -> muster::workload::ask::SharedAsk {
    let shape = number % shapes;
    let mut ask = (*fleet::ask(1 + (shape % 8) as i64)).clone();
    ask.requests[0].1 += shape as i64;
    ask.into()
}

fn measure(shapes: u64) {
    let mut engine = fleet::engine(NODES);
    let mut random = Random::new(3);
    let full = fleet::ask(1);
    let mut living: Vec<Box<PodFact>> = Vec::new();
    for at in 0..NODES * fleet::CARDS {
        let pod = fleet::pod(1_000_000 + at as u64, &full, None);
        living.push(fleet::running(&pod, &fleet::node_name(at % NODES)));
        engine.observe(Time::EPOCH, Event::Pod(living[at].clone()));
    }
    let waiting: Vec<_> =
        (0..WAITING).map(|number| fleet::pod(number, &ask(number, shapes), None)).collect();
    for pod in &waiting {
        engine.observe(Time::EPOCH, Event::Pod(pod.clone()));
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
        now = now + Span::milliseconds(20);
        let start = Instant::now();
        engine.observe(now, Event::PodGone { name: gone.name, uid: gone.uid });
        let cycle = engine.decide(now);
        for order in &cycle.orders {
            engine.observe(now, Event::Settled { order: order.id, outcome: Outcome::Done });
        }
        spent += start.elapsed();
        for order in &cycle.orders {
            let Action::Bind { pod, node, .. } = &order.action else {
                unreachable!("pods without a group are simply bound")
            };
            let fact = waiting.iter().find(|fact| fact.uid == pod.uid).expect("it waited");
            living.push(fleet::running(fact, node));
        }
        bound += cycle.orders.len();
    }
    let each = spent.as_nanos() as u64 / COMPLETIONS;
    let attempts = engine.counters().refused - refused;
    println!(
        "  {shapes:>6} shapes: {each:>8} ns per completion, {bound} bound, {attempts} refused in between"
    );
}
