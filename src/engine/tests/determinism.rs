//! The same facts at the same times give the same orders, byte for byte; the order in which facts
//! of one instant arrive does not matter.

use super::stage::{group, member, node, pod};
use crate::base::random::Random;
use crate::base::time::{Span, Time};
use crate::cluster::facts::{GroupFact, PodFact};
use crate::engine::Engine;
use crate::engine::event::{Event, Outcome};
use crate::engine::settings::Settings;

/// Facts of one instant: pods and gangs, more than the cluster holds.
fn arrivals(seed: u64) -> Vec<Event> {
    let mut random = Random::new(seed);
    let mut events = Vec::new();
    for gang in 0..12 {
        let size = 1 + random.below(5);
        let created = Time(random.below(4) as i64);
        let name = format!("gang-{gang}");
        let minimum = 1 + random.below(size) as u32;
        events.push(Event::Group(Box::new(GroupFact { created, ..group(&name, minimum) })));
        let gpus = 1 + random.below(4) as i64;
        for at in 0..size {
            events.push(Event::Pod(Box::new(member(&format!("{name}-{at}"), &name, gpus))));
        }
    }
    for at in 0..20 {
        let created = Time(random.below(4) as i64);
        let gpus = 1 + random.below(4) as i64;
        events.push(Event::Pod(Box::new(PodFact { created, ..pod(&format!("plain-{at}"), gpus) })));
    }
    events
}

/// Everything that the engine says while orders succeed and fail by turns.
fn transcript(arrivals: Vec<Event>) -> String {
    let mut engine = Engine::new(Settings::default());
    let mut now = Time::EPOCH;
    for at in 0..8 {
        engine.observe(now, Event::Node(Box::new(node(&format!("n{at}"), 4))));
    }
    engine.observe(now, Event::Synced);
    for event in arrivals {
        engine.observe(now, event);
    }
    let mut text = String::new();
    for _ in 0..50 {
        let cycle = engine.decide(now);
        text.push_str(&format!("{now:?} {:?}\n", cycle.orders));
        for order in cycle.orders {
            let outcome = if order.id.0 % 5 == 0 {
                Outcome::Refused("denied".to_owned())
            } else {
                Outcome::Done
            };
            engine.observe(now, Event::Settled { order: order.id, outcome });
        }
        engine.audit().expect("every belief survives a recount");
        now = engine.wakeup().map_or(now, |(at, _)| at.max(now)) + Span::milliseconds(1);
    }
    text.push_str(&format!("{:#?}\n", engine.waiting(now)));
    text
}

#[test]
fn the_same_facts_give_the_same_orders() {
    for seed in 0..20 {
        assert_eq!(transcript(arrivals(seed)), transcript(arrivals(seed)), "seed {seed}");
    }
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    for seed in 0..40 {
        let straight = transcript(arrivals(seed));
        assert!(straight.contains("Bind"), "seed {seed} binds nothing");
        let mut shuffled = arrivals(seed);
        Random::new(seed ^ 0xabcd).shuffle(&mut shuffled);
        assert_eq!(straight, transcript(shuffled), "seed {seed}");
    }
}
