//! Pods of one card on a cluster of which nine tenths are taken; each that comes lets an older one go.
//! Counted per pod: its fact, the decision, the outcome, the fact that it runs, and that the other is gone.
//! The best of several rounds counts; the first wears the layout down to the one of a long stream.

use std::time::Duration;
use std::time::Instant;

use muster::base::random::Random;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::engine::Engine;
use muster::engine::event::Event;
use muster::engine::event::Outcome;
use muster::workload::ask::SharedAsk;

use crate::fleet;
use crate::pods;
use crate::pods::Pods;

const PODS_PER_ROUND: usize = 60_000;
const ROUNDS: usize = 5;

pub(crate) fn run() {
    println!(
        "single pods of one card, nine tenths of all cards taken, each comes and an older one goes"
    );
    for nodes in [1_000, 15_000, 100_000] {
        for batch in [1, 64] {
            let mut stream = Stream::new(nodes);
            let rounds: Vec<Spent> = (0..ROUNDS).map(|_| stream.round(batch)).collect();
            let best = rounds.iter().min_by_key(|spent| spent.all()).expect("there are rounds");
            best.print(nodes, batch);
        }
    }
}

/// Time spent in each part of the lives of many pods.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    gone: Duration,
    arrived: Duration,
    decided: Duration,
    settled: Duration,
    ran: Duration,
}

impl Spent {
    fn all(&self) -> Duration {
        self.gone + self.arrived + self.decided + self.settled + self.ran
    }

    fn print(&self, nodes: usize, batch: usize) {
        let each = |spent: Duration| spent.as_nanos() / PODS_PER_ROUND as u128;
        let per_second = 1_000_000_000 / each(self.all()).max(1);
        println!(
            "  {nodes:>7} nodes, {batch:>2} pods per cycle: {:>6} ns per pod, {per_second:>7} per second; \
             of that decide {} ns; arrival {} ns, outcome {} ns, running {} ns, the other gone {} ns",
            each(self.all()),
            each(self.decided),
            each(self.arrived),
            each(self.settled),
            each(self.ran),
            each(self.gone),
        );
    }
}

/// Adds the time that `work` takes to `spent`.
fn clocked<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *spent += start.elapsed();
    result
}

/// An engine with pods that come and go.
struct Stream {
    engine: Engine,
    pods: Pods,
    ask: SharedAsk,
    random: Random,
    now: Time,
    /// Numbers of the pods that run.
    living: Vec<u64>,
    next: u64,
}

impl Stream {
    fn new(nodes: usize) -> Self {
        let (pods, ask) = (Pods::plain(), pods::ask(1));
        let mut engine = pods::engine(nodes);
        let mut random = Random::new(7);
        let mut seats: Vec<usize> = (0..nodes * fleet::CARDS as usize).collect();
        // Free cards are scattered over many nodes, as after a long time.
        random.shuffle(&mut seats);
        seats.truncate(seats.len() * 9 / 10);
        for (number, seat) in seats.iter().enumerate() {
            let node = fleet::node_name(seat / fleet::CARDS as usize);
            let fact = pods.running(number as u64, &ask, &node);
            engine.observe(Time::EPOCH, Event::Pod(fact));
        }
        let next = seats.len() as u64;
        Self { engine, pods, ask, random, now: Time::EPOCH, living: (0..next).collect(), next }
    }

    fn round(&mut self, batch: usize) -> Spent {
        let mut spent = Spent::default();
        for _ in 0..PODS_PER_ROUND / batch {
            self.cycle(batch, &mut spent);
        }
        spent
    }

    fn cycle(&mut self, batch: usize, spent: &mut Spent) {
        let arrivals: Vec<_> =
            (0..batch as u64).map(|at| self.pods.pending(self.next + at, &self.ask)).collect();
        self.next += batch as u64;
        let leaving: Vec<_> = (0..batch)
            .map(|_| {
                let at = self.random.below(self.living.len() as u64) as usize;
                self.pods.gone(self.living.swap_remove(at))
            })
            .collect();
        self.now = self.now + Span::milliseconds(1);
        let (engine, now) = (&mut self.engine, self.now);
        clocked(&mut spent.gone, || {
            for gone in leaving {
                engine.observe(now, gone);
            }
        });
        clocked(&mut spent.arrived, || {
            for pod in arrivals {
                engine.observe(now, Event::Pod(pod));
            }
        });
        let cycle = clocked(&mut spent.decided, || engine.decide(now));
        assert_eq!(cycle.orders.len(), batch, "there is room for everybody");
        clocked(&mut spent.settled, || {
            for order in &cycle.orders {
                engine.observe(now, Event::Settled { order: order.id, outcome: Outcome::Done });
            }
        });
        let mut facts = Vec::with_capacity(batch);
        for order in &cycle.orders {
            let (number, node) = pods::bound(order);
            self.living.push(number);
            facts.push(self.pods.running(number, &self.ask, node));
        }
        clocked(&mut spent.ran, || {
            for fact in facts {
                engine.observe(now, Event::Pod(fact));
            }
        });
    }
}
