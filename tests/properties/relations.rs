//! Where pods mean something to each other: a plan is found exactly where some order of the members allows one,
//! refusals count what a scan would count, no change that cures is missed, and what is kept equals a recount.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster::base::random::Random;
use muster::cluster::Cluster;
use muster::cluster::audit::audit;
use muster::cluster::ids::{AskId, PodId};
use muster::cluster::node_set::NodeSet;
use muster::planner::demand::{Demand, Role};
use muster::planner::referee;
use muster::planner::refusal::{Certainty, SearchEnd};
use muster::planner::{Company, Planner};
use muster::plugins::census::{Census, Waiting};
use muster::workload::ask::Ask;
use muster::workload::profile::Profile;

use crate::beside::{self, Beside, FIRST_MEMBER};

#[test]
fn a_plan_exists_exactly_where_some_order_allows_one() {
    let (mut found, mut refused) = (0, 0);
    for seed in 0..12_000 {
        let mut random = Random::new(seed);
        let world = Beside::draw(&mut random);
        let most = world.most_members();
        let mut cluster = world.cluster();
        let demand = world.demand(&mut cluster);
        match Planner::default().plan(&mut cluster, &demand, &NodeSet::new()) {
            Ok(plan) => {
                found += 1;
                assert!(
                    most >= world.minimum,
                    "seed {seed}: {plan:?} of at most {most}: {world:?}"
                );
                referee::judge(&cluster, &demand, &plan)
                    .unwrap_or_else(|violation| panic!("seed {seed}: {violation}: {world:?}"));
            }
            Err(refusal) => {
                refused += 1;
                assert!(most < world.minimum, "seed {seed}: {most} fit, but: {refusal}: {world:?}");
                assert_eq!(refusal.search, SearchEnd::Exhausted, "seed {seed}");
                if let Some(gang) = refusal.gang
                    && gang.certainty == Certainty::AtMost
                {
                    assert_eq!(gang.fitting, most, "seed {seed}: {refusal}: {world:?}");
                }
            }
        }
        audit(&cluster).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    assert!(found > 3_000 && refused > 1_500, "{found} found, {refused} refused");
}

#[test]
fn the_referee_rejects_what_brute_force_rejects() {
    let (mut sound, mut unsound) = (0, 0);
    for seed in 0..12_000 {
        let mut random = Random::new(seed);
        let world = Beside { minimum: 1, ..Beside::draw(&mut random) };
        let mut cluster = world.cluster();
        let demand = world.demand(&mut cluster);
        let mut placed = vec![None; world.members.len()];
        let mut seats = Vec::new();
        let mut is_sound = true;
        let mut order: Vec<usize> = (0..world.members.len()).collect();
        random.shuffle(&mut order);
        for member in order.into_iter().take(1 + random.below(4) as usize) {
            let node = random.below(world.nodes.len() as u64) as usize;
            is_sound &= world.rejected(&placed, member, node).is_none();
            placed[member] = Some(node);
            let id = cluster.node(&world.nodes[node].name).expect("it exists");
            seats.push(muster::planner::plan::Seat {
                pod: PodId(FIRST_MEMBER + member as u32),
                node: id,
            });
        }
        let plan = muster::planner::plan::Plan { seats: seats.into_iter().collect() };
        let verdict = referee::judge(&cluster, &demand, &plan);
        // Rooms are counted for the plan as a whole: an order cannot overbook and be sound.
        assert_eq!(verdict.is_ok(), is_sound, "seed {seed}: {verdict:?}: {placed:?} {world:?}");
        sound += usize::from(is_sound);
        unsound += usize::from(!is_sound);
    }
    assert!(sound > 2_000 && unsound > 2_000, "{sound} sound, {unsound} not");
}

#[test]
fn a_refusal_counts_each_node_by_its_first_reason() {
    let mut refused = 0;
    for seed in 0..12_000 {
        let mut random = Random::new(seed);
        let mut world = Beside::draw(&mut random);
        world.members.truncate(1);
        world.minimum = 1;
        let mut cluster = world.cluster();
        let demand = world.demand(&mut cluster);
        let Err(refusal) = Planner::default().plan(&mut cluster, &demand, &NodeSet::new()) else {
            continue;
        };
        refused += 1;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for node in 0..world.nodes.len() {
            let reason = world.rejected(&[None], 0, node).expect("no node is feasible");
            *counts.entry(reason).or_default() += 1;
        }
        let mut expected: Vec<String> =
            counts.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        expected.sort();
        let shown: Vec<String> = refusal.reasons.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "seed {seed}: {world:?}");
    }
    assert!(refused > 1_000, "{refused} refused");
}

/// Changes one thing about pods or nodes, for better or worse. True if the changes of the node alone could help.
fn change(
    random: &mut Random,
    world: &Beside,
    cluster: &mut Cluster,
    planner: &Planner,
    demand: &Demand,
) -> bool {
    let node = random.below(world.nodes.len() as u64) as usize;
    let changes = match random.below(5) {
        0 if !world.running.is_empty() => {
            cluster.release(PodId(random.below(world.running.len() as u64) as u32))
        }
        1 => {
            let pod = beside::draw_pod(random, 40);
            let id = 500 + random.below(3) as u32;
            // Who runs stays where it is.
            if cluster.node_of(PodId(id)).is_none() {
                beside::run(cluster, id, &pod, &world.nodes[node].name);
            }
            return false;
        }
        2 if !world.running.is_empty() => {
            let at = random.below(world.running.len() as u64) as usize;
            let pod = beside::draw_pod(random, 40);
            beside::describe(cluster, at as u32, &pod.with_ports_of(&world.running[at].0));
            return false;
        }
        3 => cluster.remove_node(&world.nodes[node].name),
        _ => cluster.observe_node(&beside::draw_node(random, node as u64)),
    };
    let Some(node) = changes.node else { return false };
    cluster.refresh_domains();
    let alone = matches!(&demand.roles[..], [role] if role.members.len() == 1);
    let kinds: Vec<_> = demand.roles.iter().map(|role| (role.ask, role.signature)).collect();
    let members: Vec<u32> = demand.roles.iter().map(|role| role.members.len() as u32).collect();
    let waiting = Waiting { members: &members, needed: demand.minimum as u32 };
    let hopes = planner.hopes(cluster, &kinds, waiting);
    kinds.iter().any(|kind| {
        let census = Census::take(cluster, &[*kind]);
        let company = match alone {
            true => Company::Alone(&census),
            false => Company::Gang { kinds: &kinds, hopes: &hopes },
        };
        planner.could_help(cluster, &changes, kind.0)
            && !planner.is_ruled_out(cluster, *kind, node, company)
    })
}

fn kind<'a>(cluster: &'a Cluster, role: &Role) -> (AskId, &'a Ask) {
    (role.ask, cluster.ask(role.ask))
}

/// Gives the members a profile under which no constraint spreads them.
fn spread_as_they_like(world: &mut Beside) {
    let profile = Profile { filters_off: vec!["PodTopologySpread"], ..Profile::default() };
    let profile = Some(Arc::new(profile));
    for member in &mut world.members {
        member.ask = Arc::new(Ask { profile: profile.clone(), ..Ask::clone(&member.ask) });
    }
}

#[test]
fn a_change_that_makes_a_demand_possible_could_help_it() {
    let (mut cured, mut spared) = (0, 0);
    for seed in 0..12_000 {
        let mut random = Random::new(seed);
        let mut world = Beside::draw(&mut random);
        if random.chance(10) {
            spread_as_they_like(&mut world);
        }
        let mut cluster = world.cluster();
        let demand = world.demand(&mut cluster);
        let mut planner = Planner::default();
        if planner.plan(&mut cluster, &demand, &NodeSet::new()).is_ok() {
            continue;
        }
        for _ in 0..3 {
            cluster.take_moved();
            let by_node = change(&mut random, &world, &mut cluster, &planner, &demand);
            let moved = cluster.take_moved();
            let resigned = world.demand(&mut cluster);
            let relations = cluster.relations();
            let by_others = demand
                .roles
                .iter()
                .any(|role| relations.could_help(&moved, kind(&cluster, role), role.signature));
            // Who is matched by other selectors than before is judged anew, whatever else changed.
            let helps = by_node || by_others || resigned != demand;
            let possible = planner.plan(&mut cluster, &resigned, &NodeSet::new()).is_ok();
            assert!(helps || !possible, "seed {seed}: {moved:?} was missed: {world:?}");
            spared += usize::from(!helps);
            cured += usize::from(possible);
            if possible || resigned != demand {
                break;
            }
        }
    }
    assert!(cured > 300 && spared > 500, "{cured} cured, {spared} attempts spared");
}

#[test]
fn what_is_kept_of_pods_and_their_labels_equals_a_recount() {
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let mut cluster = Cluster::new();
        let mut asks: BTreeMap<u32, muster::cluster::ids::AskId> = BTreeMap::new();
        for round in 0..200 {
            let id = random.below(20) as u32;
            match random.below(8) {
                0 => {
                    let at = random.below(5);
                    cluster.observe_node(&beside::draw_node(&mut random, at));
                }
                1 => {
                    cluster.remove_node(&format!("n{}", random.below(5)));
                }
                2 => {
                    cluster.release(PodId(id));
                }
                3 => {
                    if let Some(ask) = asks.remove(&id) {
                        cluster.release(PodId(id));
                        cluster.undescribe(PodId(id));
                        cluster.forget_ask(ask);
                    }
                }
                4 => {
                    let labels = [("env".into(), "prod".into())];
                    let labels = random.chance(50).then_some(&labels[..]);
                    cluster.observe_namespace(&"team".into(), labels);
                }
                5 => {
                    cluster.put_nodes_in_order();
                }
                6 => {
                    let pod = beside::draw_pod(&mut random, 60);
                    let ask = beside::describe(&mut cluster, id, &pod);
                    if let Some(before) = asks.insert(id, ask) {
                        cluster.forget_ask(before);
                    }
                }
                _ => {
                    if let Some(ask) = asks.get(&id) {
                        let node = cluster.node_or_unknown(&format!("n{}", random.below(5)).into());
                        cluster.assume(PodId(id), *ask, node);
                    }
                }
            }
            audit(&cluster).unwrap_or_else(|wrong| panic!("seed {seed}, round {round}: {wrong}"));
        }
    }
}
