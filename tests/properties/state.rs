//! What places and releases keep current equals a recount, and a trial leaves no trace.

use std::sync::Arc;

use muster::base::names::Name;
use muster::base::random::Random;
use muster::cluster::audit::audit;
use muster::cluster::draft::{Draft, Step};
use muster::cluster::ids::{AskId, PodId, SignatureId};
use muster::cluster::node_set::NodeSet;
use muster::cluster::{Cluster, Held};
use muster::planner::Planner;
use muster::workload::scored::Counted;

use crate::world::{self, Shape};

const SMALL: Shape = Shape { nodes: 30, cards: 8, cores: 100 };

/// Does one random thing to the cluster: any fact, in any order, about anything.
fn disturb(random: &mut Random, cluster: &mut Cluster, asks: &[AskId]) {
    let pod = PodId(random.below(60) as u32);
    let node = random.below(SMALL.nodes);
    match random.below(11) {
        0..=1 => {
            cluster.observe_node(&world::draw_node(random, node, SMALL));
        }
        2 => {
            cluster.remove_node(&format!("n{node}"));
        }
        3..=4 => {
            cluster.release(pod);
        }
        5 => {
            let held = world::draw_amounts(random, SMALL);
            let id = cluster.node_or_unknown(&format!("n{node}").into());
            cluster.occupy(pod, Held::Other { amounts: &held, counted: Counted::NONE }, id);
        }
        6 => {
            let ask = Arc::new(world::draw_ask(random, SMALL));
            let ask = cluster.intern(&ask);
            cluster.forget_ask(ask);
        }
        7 => {
            cluster.put_nodes_in_order();
        }
        _ => {
            let id = cluster.node_or_unknown(&format!("n{node}").into());
            cluster.occupy(pod, Held::AsAsked(*random.pick(asks)), id);
        }
    }
}

fn draw_asks(random: &mut Random, cluster: &mut Cluster) -> Vec<AskId> {
    (0..5).map(|_| cluster.intern(&Arc::new(world::draw_ask(random, SMALL)))).collect()
}

/// Everything that a search can see of the load, as text.
fn load_of(cluster: &Cluster) -> String {
    let mut cluster = cluster.clone();
    cluster.catch_up();
    let kinds = ["pods", "cpu", world::GPU].map(|name| cluster.resources().known(name));
    let mut text = String::new();
    for node in cluster.nodes().present() {
        let free = kinds.map(|kind| kind.map(|kind| cluster.load().free(node, kind)));
        text += &format!("{node:?} {free:?}\n");
    }
    for kind in kinds.into_iter().flatten() {
        let bands = cluster.load().bands(kind).bands_from(muster::cluster::load::Band::NONE);
        for (band, nodes) in bands {
            text += &format!("{kind:?} {band:?} {:?}\n", nodes.iter().collect::<Vec<_>>());
        }
        text += &format!("{kind:?} {}\n", cluster.schedulable_free(kind));
    }
    text
}

#[test]
fn what_is_kept_current_equals_a_recount() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut cluster = Cluster::new();
        let asks = draw_asks(&mut random, &mut cluster);
        for round in 0..400 {
            disturb(&mut random, &mut cluster, &asks);
            if round % 10 == 0 {
                audit(&cluster)
                    .unwrap_or_else(|wrong| panic!("seed {seed}, round {round}: {wrong}"));
            }
        }
    }
}

#[test]
fn nodes_are_put_in_the_order_of_their_names_and_nothing_else_changes() {
    let mut moved = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut cluster = Cluster::new();
        let asks = draw_asks(&mut random, &mut cluster);
        for _ in 0..20 {
            for _ in 0..random.below(30) {
                disturb(&mut random, &mut cluster, &asks);
            }
            let before = by_name(&cluster);
            let new = cluster.put_nodes_in_order();
            assert_eq!(by_name(&cluster), before, "seed {seed}");
            audit(&cluster).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
            let number = |name: &Name| name[1..].parse::<u64>().expect("names are n and a number");
            let ids = cluster.nodes().present().iter();
            let numbers: Vec<u64> = ids.map(|id| number(cluster.node_name(id))).collect();
            assert!(numbers.is_sorted(), "seed {seed}: {numbers:?}");
            assert_eq!(cluster.put_nodes_in_order(), None, "seed {seed}: once is enough");
            moved += usize::from(new.is_some());
        }
    }
    assert!(moved > 100, "only {moved} times was anything out of order");
}

/// Everything that is known of each node, by its name.
fn by_name(cluster: &Cluster) -> Vec<String> {
    let kinds = ["pods", "cpu", world::GPU].map(|name| cluster.resources().known(name));
    let mut nodes: Vec<String> = cluster
        .nodes()
        .present()
        .iter()
        .map(|id| {
            let load = kinds.map(|kind| {
                kind.map(|kind| {
                    (cluster.load().free(id, kind), cluster.load().allocatable(id, kind))
                })
            });
            let mut pods: Vec<String> =
                cluster.pods_on(id).map(|(pod, held)| format!("{pod:?} {held:?}")).collect();
            pods.sort();
            format!(
                "{} {load:?} {pods:?} {:?}",
                cluster.node_name(id),
                cluster.nodes().get(id).fact
            )
        })
        .collect();
    nodes.sort();
    nodes
}

#[test]
fn a_fact_told_twice_changes_nothing() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut cluster = Cluster::new();
        let ask = cluster.intern(&Arc::new(world::draw_ask(&mut random, SMALL)));
        let fact = world::draw_node(&mut random, 0, SMALL);
        cluster.observe_node(&fact);
        let node = cluster.node(&fact.name).expect("it was just told");
        cluster.occupy(PodId(0), Held::AsAsked(ask), node);
        let version = cluster.version();
        assert!(cluster.observe_node(&fact).is_none());
        assert!(cluster.occupy(PodId(0), Held::AsAsked(ask), node).is_none());
        assert!(cluster.release(PodId(1)).is_none());
        assert!(cluster.remove_node("unheard").is_none());
        assert_eq!(cluster.version(), version, "seed {seed}");
    }
}

#[test]
fn every_change_that_a_filter_could_see_moves_the_version() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut cluster = Cluster::new();
        let asks = draw_asks(&mut random, &mut cluster);
        for _ in 0..200 {
            let (before, version) = (load_of(&cluster), cluster.version());
            disturb(&mut random, &mut cluster, &asks);
            assert!(cluster.version() >= version);
            if load_of(&cluster) != before {
                assert_ne!(cluster.version(), version, "seed {seed}");
            }
        }
    }
}

#[test]
fn a_trial_leaves_no_trace() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut cluster = Cluster::new();
        let asks = draw_asks(&mut random, &mut cluster);
        for _ in 0..150 {
            disturb(&mut random, &mut cluster, &asks);
        }
        if cluster.node_count() == 0 {
            continue;
        }
        let (before, version) = (load_of(&cluster), cluster.version());
        let nodes: Vec<_> = cluster.nodes().present().iter().collect();
        let mut log = Vec::new();
        let mut draft = Draft::open(&mut cluster, &mut log);
        let mut place = |draft: &mut Draft<'_>| {
            let (node, ask) = (*random.pick(&nodes), *random.pick(&asks));
            draft.place(Step {
                node,
                ask,
                signature: SignatureId::NONE,
                count: 1 + random.below(3) as u32,
            });
        };
        place(&mut draft);
        let (mark, at_mark) = (draft.mark(), load_of(draft.cluster()));
        assert_ne!(at_mark, before, "each pod takes one of `pods`");
        draft.remove_all();
        (0..10).for_each(|_| place(&mut draft));
        draft.roll_back(mark);
        assert_eq!(load_of(draft.cluster()), at_mark, "seed {seed}: rolled back to the mark");
        (0..10).for_each(|_| place(&mut draft));
        drop(draft);
        assert_eq!(load_of(&cluster), before, "seed {seed}");
        assert_eq!(cluster.version(), version);
        audit(&cluster).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

#[test]
fn planning_leaves_no_trace() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let world = world::World::draw(&mut random, world::TINY);
        let mut cluster = world.cluster();
        let (members, minimum) = world::draw_gang(&mut random, world::TINY);
        let demand = world::demand(&mut cluster, &members, minimum);
        let (before, version) = (load_of(&cluster), cluster.version());
        let mut planner = Planner::default();
        let first = planner.plan(&mut cluster, &demand, &NodeSet::new());
        planner.choose_place(&mut cluster, &demand);
        assert_eq!(load_of(&cluster), before, "seed {seed}");
        assert_eq!(cluster.version(), version);
        let again = planner.plan(&mut cluster, &demand, &NodeSet::new());
        assert_eq!(first, again, "seed {seed}: the same state gives the same answer");
    }
}
