//! A gang of 4,096 pods of eight cards on 15,000 nodes, six tenths of them full and the rest idle.

use std::time::Instant;

use muster::base::names::ObjectName;
use muster::base::time::Time;
use muster::cluster::facts::GroupFact;
use muster::cluster::facts::GroupName;
use muster::cluster::facts::GroupSource;
use muster::cluster::facts::GroupStatus;
use muster::engine::Engine;
use muster::engine::event::Event;
use muster::engine::event::Outcome;
use muster::engine::order::Action;
use muster::engine::order::Order;

use crate::fleet;
use crate::pods;
use crate::pods::Pods;

const NODES: usize = 15_000;
const MEMBERS: u64 = 4_096;

pub(crate) fn run() {
    println!("a gang of {MEMBERS} pods of eight cards on {NODES} nodes, six tenths of them full");
    for round in 1..=3 {
        measure(round);
    }
}

fn measure(round: u32) {
    let now = Time::EPOCH;
    let mut engine = pods::engine(NODES);
    let ask = pods::ask(8);
    let plain = Pods::plain();
    for at in 0..NODES * 6 / 10 {
        let running = plain.running(1_000_000 + at as u64, &ask, &fleet::node_name(at));
        engine.observe(now, Event::Pod(running));
    }
    let group = Box::new(GroupFact {
        name: GroupName {
            name: ObjectName::new("team", "train"),
            source: GroupSource::Coscheduling,
        },
        uid: "group".into(),
        resource_version: 1,
        generation: 1,
        created: now,
        minimum: Some(MEMBERS as u32),
        min_resources: Vec::new(),
        schedule_timeout: None,
        priority: None,
        unsupported: Vec::new(),
        malformed: None,
        commit: None,
        status: GroupStatus::default(),
    });
    let gang = Pods::of_gang("train");
    let members: Vec<_> = (0..MEMBERS).map(|number| gang.pending(number, &ask)).collect();

    let start = Instant::now();
    engine.observe(now, Event::Group(group));
    for member in members {
        engine.observe(now, Event::Pod(member));
    }
    let observed = start.elapsed();
    let start = Instant::now();
    let proposed = engine.decide(now).orders;
    let decided = start.elapsed();
    // The plan is proposed, decided, and verified before its binds go out.
    let binds = settle(&mut engine, now, proposed);
    assert_eq!(binds.len() as u64, MEMBERS, "the gang fits");
    let start = Instant::now();
    for order in &binds {
        engine.observe(now, Event::Settled { order: order.id, outcome: Outcome::Done });
    }
    let settled = start.elapsed();
    println!(
        "  round {round}: observed in {observed:.2?}, decided in {decided:.2?}, settled in {settled:.2?}"
    );
}

/// Grants what is ordered until binds are, and returns these.
fn settle(engine: &mut Engine, now: Time, mut orders: Vec<Order>) -> Vec<Order> {
    let mut version = 1;
    while orders.iter().all(|order| !matches!(order.action, Action::Bind { .. })) {
        for order in &orders {
            version += 1;
            let outcome = order.action.granted(version);
            engine.observe(now, Event::Settled { order: order.id, outcome });
        }
        orders = engine.decide(now).orders;
    }
    orders
}
