//! The index chooses what a scan over all nodes would choose, and counts what a scan would count.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use muster::base::random::Random;
use muster::cluster::Cluster;
use muster::cluster::ids::{NodeId, PodId};
use muster::cluster::load::Band;
use muster::cluster::node_set::NodeSet;
use muster::planner::Planner;
use muster::planner::refusal::Refusal;
use muster::workload::ask::Ask;

use crate::brute;
use crate::world::{self, GPU, Members, Running, Shape, World};

const MANY: Shape = Shape { nodes: 150, cards: 8, cores: 40 };

/// The best node by a scan: object points, then the tightest band of the packed resource, then the first.
fn scan(world: &World, cluster: &Cluster, ask: &Ask) -> Option<NodeId> {
    let asked = |kind: &str| world::amount(&ask.requests, kind) > 0;
    let packed_by =
        [GPU, "example.com/rare", "cpu"].into_iter().find(|kind| asked(kind)).unwrap_or("pods");
    let fits = |node: &muster::cluster::facts::NodeFact| {
        brute::rejected(ask, node).is_none()
            && world.free(node, "pods") >= 1
            && ask.requests.iter().all(|(name, amount)| world.free(node, name) >= *amount)
    };
    let ranked = world.nodes.iter().filter(|node| fits(node)).map(|node| {
        let id = cluster.node(&node.name).expect("all nodes are known");
        (brute::worth(ask, node), Reverse(Band::of(world.free(node, packed_by))), Reverse(id))
    });
    ranked.max().map(|(_, _, Reverse(id))| id)
}

#[test]
fn the_index_chooses_what_a_scan_would_choose() {
    let (mut chosen, mut refused) = (0, 0);
    for seed in 0..120 {
        let mut random = Random::new(seed);
        let mut world = World::draw(&mut random, MANY);
        let mut cluster = world.cluster();
        let mut planner = Planner::default();
        for round in 0..30 {
            let ask = world::draw_ask(&mut random, MANY);
            let count = 1 + random.below(8) as usize;
            let members = [Members { ask: ask.clone(), count }];
            let demand = world::demand(&mut cluster, &members, 1);
            let plan = planner.plan(&mut cluster, &demand, &NodeSet::new());
            let seats = plan.as_ref().map_or(&[][..], |plan| &plan.seats[..]);
            for at in 0..count {
                let expected = scan(&world, &cluster, &ask);
                let seat = seats.get(at).map(|seat| seat.node);
                assert_eq!(seat, expected, "seed {seed}, round {round}, member {at}: {ask:?}");
                let Some(node) = expected else {
                    refused += 1;
                    break;
                };
                chosen += 1;
                let pod = PodId(world.running.len() as u32);
                cluster.assume(pod, demand.roles[0].ask, node);
                let node = cluster.node_name(node).clone();
                world.running.push(Running { held: ask.requests.clone(), node });
            }
        }
    }
    assert!(chosen > 3_000 && refused > 300, "{chosen} chosen, {refused} refused");
}

/// Every node counted by its first reason, or by every resource that it lacks.
fn count_reasons(world: &World, ask: &Ask) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in &world.nodes {
        if let Some(reason) = brute::rejected(ask, node) {
            *counts.entry(reason.into()).or_default() += 1;
            continue;
        }
        if world.free(node, "pods") < 1 {
            *counts.entry("Too many pods".into()).or_default() += 1;
        }
        for (name, amount) in &ask.requests {
            if world.free(node, name) < *amount {
                *counts.entry(format!("Insufficient {name}")).or_default() += 1;
            }
        }
    }
    let mut texts: Vec<String> =
        counts.into_iter().map(|(text, count)| format!("{count} {text}")).collect();
    texts.sort();
    texts
}

fn shown(refusal: &Refusal) -> Vec<String> {
    refusal.reasons.iter().map(ToString::to_string).collect()
}

#[test]
fn a_refusal_counts_what_a_scan_would_count() {
    let mut refused = 0;
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let shape = Shape { nodes: 1 + random.below(100), cards: 3, cores: 6 };
        let world = World::draw(&mut random, shape);
        let mut cluster = world.cluster();
        let wide = Shape { nodes: 0, cards: 12, cores: 40 };
        let ask = world::draw_ask(&mut random, wide);
        let demand = world::demand(&mut cluster, &[Members { ask: ask.clone(), count: 1 }], 1);
        let Err(refusal) = Planner::default().plan(&mut cluster, &demand, &NodeSet::new()) else {
            continue;
        };
        refused += 1;
        let expected = count_reasons(&world, &ask);
        assert_eq!(shown(&refusal), expected, "seed {seed}: {ask:?}");
        let count = world.nodes.len();
        let text = format!("0/{count} nodes are available: {}.", expected.join(", "));
        assert_eq!(refusal.to_string(), text);
    }
    assert!(refused > 500, "{refused} refused");
}
