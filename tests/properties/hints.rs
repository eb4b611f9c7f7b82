//! Queueing hints never miss: a refused demand that a change makes possible is woken by that change.

use muster::base::random::Random;
use muster::cluster::change::Changes;
use muster::cluster::ids::PodId;
use muster::cluster::node_set::NodeSet;
use muster::cluster::{Cluster, Held};
use muster::planner::Planner;
use muster::workload::scored::Counted;

use crate::world::{self, TINY, World};

/// Changes one thing in the world, for better or worse.
fn change(random: &mut Random, world: &World, cluster: &mut Cluster) -> Changes {
    let running = world.running.len() as u64;
    if running > 0 && random.chance(60) {
        let pod = random.below(running);
        if random.chance(60) {
            return cluster.release(PodId(pod as u32));
        }
        let held = world::draw_amounts(random, TINY);
        let node = cluster.node_or_unknown(&world.running[pod as usize].node);
        return cluster.occupy(
            PodId(pod as u32),
            Held::Other { amounts: &held, counted: Counted::NONE },
            node,
        );
    }
    let fresh = world.nodes.len() as u64;
    let at = if random.chance(30) { fresh } else { random.below(fresh) };
    if at < fresh && random.chance(50) {
        // The same node, one thing changed.
        let mut fact = world.nodes[at as usize].clone();
        match random.below(4) {
            0 => fact.taints.clear(),
            1 => fact.unschedulable = !fact.unschedulable,
            2 => fact.labels = vec![("rank".into(), "2".into()), ("zone".into(), "a".into())],
            _ => {
                fact.allocatable =
                    vec![("cpu".into(), 20), (world::GPU.into(), 10), ("pods".into(), 9)]
            }
        }
        return cluster.observe_node(&fact);
    }
    cluster.observe_node(&world::draw_node(random, at, TINY))
}

#[test]
fn a_change_that_makes_a_demand_possible_could_help_it() {
    let (mut cured, mut spared) = (0, 0);
    for seed in 0..6_000 {
        let mut random = Random::new(seed);
        let world = World::draw(&mut random, TINY);
        let mut cluster = world.cluster();
        let (members, minimum) = world::draw_gang(&mut random, TINY);
        let demand = world::demand(&mut cluster, &members, minimum);
        let mut planner = Planner::default();
        if planner.plan(&mut cluster, &demand, &NodeSet::new()).is_ok() {
            continue;
        }
        for _ in 0..3 {
            let changes = change(&mut random, &world, &mut cluster);
            let helps =
                demand.roles.iter().any(|role| planner.could_help(&cluster, &changes, role.ask));
            let possible = planner.plan(&mut cluster, &demand, &NodeSet::new()).is_ok();
            assert!(helps || !possible, "seed {seed}: {changes:?} was missed");
            spared += usize::from(!helps);
            cured += usize::from(possible);
            if possible {
                break;
            }
        }
    }
    assert!(cured > 300 && spared > 1_000, "{cured} cured, {spared} attempts spared");
}
