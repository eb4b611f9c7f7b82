//! A plan is found exactly where brute force finds one: for single pods, equal members, and unequal ones.

use std::cmp::Reverse;

use muster::base::random::Random;
use muster::cluster::ids::PodId;
use muster::cluster::node_set::NodeSet;
use muster::cluster::{Cluster, Held};
use muster::planner::Planner;
use muster::planner::demand::Demand;
use muster::planner::plan::Plan;
use muster::planner::referee;
use muster::planner::refusal::{Certainty, SearchEnd};
use muster::workload::scored::Counted;

use crate::brute;
use crate::world::{self, Members, TINY, World};

/// Draws a world and a gang that differ from seed to seed; every third gang fills its nodes to the brim.
fn draw(seed: u64) -> (World, Vec<Members>, usize) {
    let mut random = Random::new(seed);
    if seed.is_multiple_of(3) {
        return world::draw_tight(&mut random);
    }
    let world = World::draw(&mut random, TINY);
    let (members, minimum) = world::draw_gang(&mut random, TINY);
    (world, members, minimum)
}

#[test]
fn a_plan_exists_exactly_where_brute_force_finds_one() {
    let (mut found, mut refused, mut greedy_is_not_enough) = (0, 0, 0);
    for seed in 0..6_000 {
        let (world, members, minimum) = draw(seed);
        let most = brute::most_members(&world, &members);
        let mut cluster = world.cluster();
        let demand = world::demand(&mut cluster, &members, minimum);
        let mut planner = Planner::default();
        match planner.plan(&mut cluster, &demand, &NodeSet::new()) {
            Ok(plan) => {
                found += 1;
                assert!(
                    most >= minimum,
                    "seed {seed}: placed {} of at most {most}",
                    plan.seats.len()
                );
                referee::judge(&cluster, &demand, &plan)
                    .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
                greedy_is_not_enough += usize::from(largest_first(&world, &members) < minimum);
                assert_nothing_more_fits(&mut cluster, &demand, &plan, seed);
            }
            Err(refusal) => {
                refused += 1;
                assert!(most < minimum, "seed {seed}: {most} of {minimum} fit, but: {refusal}");
                assert_eq!(refusal.search, SearchEnd::Exhausted, "seed {seed}");
                let Some(gang) = refusal.gang else { continue };
                match gang.certainty {
                    Certainty::AtMost => assert_eq!(gang.fitting, most, "seed {seed}: {refusal}"),
                    Certainty::AtLeast => assert!(gang.fitting <= most, "seed {seed}: {refusal}"),
                }
            }
        }
    }
    // The drawn worlds are worth something only if all of this occurs.
    assert!(found > 1_000 && refused > 1_000, "{found} found, {refused} refused");
    assert!(greedy_is_not_enough > 300, "only {greedy_is_not_enough} needed more than greed");
}

/// How many members find room if the largest goes first and each takes the first node that has any.
fn largest_first(world: &World, members: &[Members]) -> usize {
    let mut world = world.clone();
    let mut members = members.to_vec();
    members.sort_by_key(|of_role| {
        Reverse(of_role.ask.requests.iter().map(|(_, amount)| *amount).sum::<i64>())
    });
    let mut placed = 0;
    for of_role in &members {
        for _ in 0..of_role.count {
            let fits = |node: &&muster::cluster::facts::NodeFact| {
                brute::rejected(&of_role.ask, node).is_none()
                    && world.free(node, "pods") >= 1
                    && of_role
                        .ask
                        .requests
                        .iter()
                        .all(|(name, amount)| world.free(node, name) >= *amount)
            };
            let Some(node) = world.nodes.iter().find(fits).map(|node| node.name.clone()) else {
                break;
            };
            world.running.push(world::Running { held: of_role.ask.requests.clone(), node });
            placed += 1;
        }
    }
    placed
}

/// Members beyond the minimum are placed in the same plan where they fit.
fn assert_nothing_more_fits(cluster: &mut Cluster, demand: &Demand, plan: &Plan, seed: u64) {
    for seat in &plan.seats {
        let role =
            demand.roles.iter().find(|role| role.members.contains(&seat.pod)).expect("a member");
        cluster.assume(seat.pod, role.ask, seat.node);
    }
    for role in &demand.roles {
        let left: Vec<PodId> =
            role.members.iter().copied().filter(|pod| cluster.node_of(*pod).is_none()).collect();
        if left.is_empty() {
            continue;
        }
        let mut rest = role.clone();
        rest.members = left;
        let more = Planner::default().plan(
            cluster,
            &Demand { roles: vec![rest], minimum: 1, expected: Vec::new() },
            &NodeSet::new(),
        );
        assert!(more.is_err(), "seed {seed}: a member was left out though it fits");
    }
}

#[test]
fn the_order_in_which_facts_arrive_does_not_matter() {
    for seed in 0..1_500 {
        let (world, members, minimum) = draw(seed);
        let mut random = Random::new(seed + 1_000_000);
        let mut verdicts = Vec::new();
        for _ in 0..3 {
            let mut cluster = Cluster::new();
            let mut facts: Vec<usize> = (0..world.nodes.len() + world.running.len()).collect();
            random.shuffle(&mut facts);
            for fact in facts {
                if let Some(node) = world.nodes.get(fact) {
                    cluster.observe_node(node);
                    continue;
                }
                let at = fact - world.nodes.len();
                let node = cluster.node_or_unknown(&world.running[at].node);
                cluster.occupy(
                    PodId(at as u32),
                    Held::Other { amounts: &world.running[at].held, counted: Counted::NONE },
                    node,
                );
            }
            let mut members = members.clone();
            random.shuffle(&mut members);
            let demand = world::demand(&mut cluster, &members, minimum);
            verdicts.push(Planner::default().plan(&mut cluster, &demand, &NodeSet::new()).is_ok());
        }
        assert!(
            verdicts.iter().all(|verdict| *verdict == verdicts[0]),
            "seed {seed}: {verdicts:?}"
        );
    }
}

#[test]
fn a_place_is_kept_exactly_for_what_fits_an_empty_cluster() {
    let (mut kept, mut hopeless) = (0, 0);
    for seed in 0..1_500 {
        let (world, members, minimum) = draw(seed);
        let empty = World { running: Vec::new(), ..world.clone() };
        let fits = brute::most_members(&empty, &members) >= minimum;
        let mut cluster = world.cluster();
        let demand = world::demand(&mut cluster, &members, minimum);
        let mut planner = Planner::default();
        assert_eq!(planner.would_fit_empty(&mut cluster, &demand), fits, "seed {seed}");
        let place = planner.choose_place(&mut cluster, &demand);
        assert_eq!(place.is_empty(), !fits, "seed {seed}");
        kept += usize::from(fits);
        hopeless += usize::from(!fits);
        if fits {
            let mut only_there = empty.clone();
            only_there.nodes.retain(|node| {
                place.contains(cluster.node(&node.name).expect("all nodes of the world are known"))
            });
            assert!(
                brute::most_members(&only_there, &members) >= minimum,
                "seed {seed}: too small"
            );
        }
        muster::cluster::audit::audit(&cluster)
            .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    assert!(kept > 300 && hopeless > 300, "{kept} kept, {hopeless} hopeless");
}

#[test]
fn nodes_that_are_kept_for_another_are_not_used() {
    let mut refused_for_it = 0;
    for seed in 0..1_500 {
        let (world, members, minimum) = draw(seed);
        let mut cluster = world.cluster();
        let demand = world::demand(&mut cluster, &members, minimum);
        let kept = cluster.node(&world.nodes[0].name).expect("it is known");
        let keep_off: NodeSet = [kept].into_iter().collect();
        let mut without = world.clone();
        without.nodes.remove(0);
        let fits_beside = brute::most_members(&without, &members) >= minimum;
        match Planner::default().plan(&mut cluster, &demand, &keep_off) {
            Ok(plan) => assert!(fits_beside && plan.seats.iter().all(|seat| seat.node != kept)),
            Err(refusal) => {
                assert!(!fits_beside, "seed {seed}: {refusal}");
                let fits = brute::most_members(&world, &members) >= minimum;
                let for_it = refusal.cause == muster::planner::refusal::Cause::KeptForAnother;
                assert_eq!(for_it, fits, "seed {seed}: {refusal}");
                refused_for_it += usize::from(for_it);
            }
        }
    }
    assert!(refused_for_it > 100, "{refused_for_it} refused because of the kept place");
}
