//! The same facts at the same times give the same orders, byte for byte; the order in which facts
//! of one instant arrive does not matter.

use std::sync::Arc;

use super::stage::{GPU, amounts, group, member, node, pod};
use crate::base::random::Random;
use crate::base::time::{Span, Time};
use crate::cluster::facts::{GroupFact, NodeFact, PodFact};
use crate::engine::Engine;
use crate::engine::event::{Event, Outcome};
use crate::engine::settings::{Notices, Settings};
use crate::workload::ask::{Ask, SharedAsk};

/// What is told, in three portions: before the engine may decide, with it, and later.
type Told = [Vec<Event>; 3];

/// Facts of a small cluster that more is asked of than it holds: nodes whose names are in no order,
/// alike but for two kinds of machines, gangs of members that differ, and single pods.
fn facts(seed: u64) -> Told {
    let mut random = Random::new(seed);
    let mut told = Told::default();
    for at in 0..12 {
        let name = format!("{}{}", random.pick(&["n", "gpu-", "b"]), random.below(20) * 12 + at);
        let machine = machine(&name, &mut random);
        told[random.below(3) as usize].push(Event::Node(Box::new(machine)));
    }
    for gang in 0..12 {
        let portion = random.below(3) as usize;
        let size = 1 + random.below(5);
        let created = Time(random.below(4) as i64);
        let name = format!("gang-{gang}");
        let minimum = 1 + random.below(size) as u32;
        told[portion].push(Event::Group(Box::new(GroupFact { created, ..group(&name, minimum) })));
        let mixed = random.chance(50);
        let mut gpus = 1 + random.below(4) as i64;
        for at in 0..size {
            if mixed {
                gpus = random.below(4) as i64;
            }
            let ask = asking(&mut random, gpus);
            let fact = PodFact { ask, ..member(&format!("{name}-{at}"), &name, gpus) };
            told[portion].push(Event::Pod(Box::new(fact)));
        }
    }
    for at in 0..20 {
        let created = Time(random.below(4) as i64);
        let gpus = random.below(4) as i64;
        let ask = asking(&mut random, gpus);
        let fact = PodFact { created, ask, ..pod(&format!("plain-{at}"), gpus) };
        told[random.below(3) as usize].push(Event::Pod(Box::new(fact)));
    }
    told
}

fn machine(name: &str, random: &mut Random) -> NodeFact {
    let mut machine = node(name, 4);
    if random.chance(30) {
        machine.allocatable = amounts(&[("cpu", 64_000), ("pods", 110), ("rdma/hca", 2), (GPU, 4)]);
    }
    machine
}

fn asking(random: &mut Random, gpus: i64) -> SharedAsk {
    let mut requests = vec![("cpu", 1_000)];
    if gpus > 0 {
        requests.push((GPU, gpus));
    }
    if random.chance(15) {
        requests.push(("rdma/hca", 1));
    }
    Arc::new(Ask { requests: amounts(&requests), ..Ask::default() })
}

/// Everything that the engine says while orders succeed and fail by turns.
fn transcript([before, with, later]: Told) -> String {
    // Words are told in portions, which wake the engine at other times; orders are compared here.
    let mut engine = Engine::new(Settings { notices: Notices::Silent, ..Settings::default() });
    let mut now = Time::EPOCH;
    for event in before.into_iter().chain([Event::Synced]).chain(with) {
        engine.observe(now, event);
    }
    let mut later = Some(later);
    let mut text = String::new();
    for round in 0..50 {
        let cycle = engine.decide(now);
        text.push_str(&format!("{now:?} {:?}\n", cycle.orders));
        for order in cycle.orders {
            let outcome = match order.id.0 % 7 {
                0 | 3 => Outcome::Refused("denied".to_owned()),
                1 => Outcome::Unknown("timed out".to_owned()),
                _ => Outcome::Done,
            };
            engine.observe(now, Event::Settled { order: order.id, outcome });
        }
        if round == 5 {
            for event in later.take().into_iter().flatten() {
                engine.observe(now, event);
            }
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
        assert_eq!(transcript(facts(seed)), transcript(facts(seed)), "seed {seed}");
    }
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    for seed in 0..60 {
        let straight = transcript(facts(seed));
        assert!(straight.contains("Bind"), "seed {seed} binds nothing");
        for round in 0..3 {
            let mut shuffled = facts(seed);
            let mut random = Random::new(seed ^ 0xabcd ^ round << 32);
            shuffled.iter_mut().for_each(|portion| random.shuffle(portion));
            let shuffled = transcript(shuffled);
            let differs =
                straight.lines().zip(shuffled.lines()).find(|(left, right)| left != right);
            assert_eq!(differs, None, "seed {seed}");
        }
    }
}
