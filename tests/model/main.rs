//! GangCommit checked by exhaustion: the product's own state machine, driven by an adversary over a small API.
//! Two schedulers that both believe they lead; crashes, requests that are lost, late, or repeated, deletions and
//! recreations, a minimum that is raised, refused binds, a failing step, another gang that wants the same seat.
//! Each rule that the protocol rests on is taken away in turn, and the model must notice.
//!
//! `cargo test --test model` checks small budgets; `MUSTER_MODEL=large cargo test --release --test model` large ones.

mod api;
mod judge;
mod mischief;
mod symmetry;
mod world;

use std::collections::BTreeMap;
use std::time::Instant;

use muster::engine::commitment::Rules;
use stateright::{Checker, HasDiscoveries, Model};

use crate::judge::ALWAYS;
use crate::mischief::Budget;
use crate::world::World;

/// Threads of the checker.
const THREADS: usize = 2;

/// Checks everything that can happen in `world`; names of the broken promises, and of what was reached.
fn explore(name: &str, world: World) -> (Vec<&'static str>, Vec<&'static str>) {
    explore_within(name, world, usize::MAX)
}

/// The same for what can happen within so many steps.
fn explore_within(
    name: &str,
    world: World,
    steps: usize,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let begun = Instant::now();
    // A broken promise is enough; what must be reached does not end the search.
    let checker = world
        .checker()
        .threads(THREADS)
        .target_max_depth(steps)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let found: BTreeMap<_, _> = checker.discoveries().into_iter().collect();
    let mut broken = Vec::new();
    let mut reached = Vec::new();
    for (property, path) in &found {
        if ALWAYS.contains(property) {
            broken.push(*property);
            if std::env::var_os("MUSTER_MODEL_TRACE").is_some() {
                println!("{name}: {property}\n{:#?}", path.clone().into_actions());
            }
        } else {
            reached.push(*property);
        }
    }
    broken.sort_unstable();
    reached.sort_unstable();
    println!(
        "{name:<52} {:>9} states, depth {:>3}, {:>6.1?}: {}",
        checker.unique_state_count(),
        checker.max_depth(),
        begun.elapsed(),
        if broken.is_empty() { "all promises hold".to_owned() } else { broken.join("; ") }
    );
    (broken, reached)
}

/// One world for each budget: those of every run, and in a large run the larger ones as well.
fn hold(name: &str, world: &World, budgets: [&[Budget]; 2], reaches: &[&'static str]) {
    let [small, large] = budgets;
    let is_large = std::env::var("MUSTER_MODEL").is_ok_and(|size| size == "large");
    let all = small.iter().chain(large.iter().filter(|_| is_large));
    for (number, budget) in all.enumerate() {
        let name = format!("{name} ({})", number + 1);
        let (broken, reached) = explore(&name, World { budget: *budget, ..world.clone() });
        assert_eq!(broken, [""; 0], "{name}");
        for property in reaches {
            assert!(reached.contains(property), "{name} never reaches: {property}");
        }
    }
}

const NONE: Budget = Budget::NONE;

/// What most rules are taken away under.
const TRYING: Budget = Budget { crashes: 1, timeouts: 1, aborts: 1, ..NONE };

/// So many steps are enough to notice that a rule is gone under [`TRYING`]. With all rules in force nothing may break
/// within them; that world as a whole does not fit into 24 GiB.
const NOTICED_WITHIN: usize = 15;

#[test]
fn a_gang_is_bound_whole_or_not_at_all() {
    let small = [Budget { crashes: 1, ..NONE }];
    let large = [Budget { timeouts: 1, ..NONE }, Budget { losses: 1, crashes: 1, ..NONE }];
    hold("crashes and late requests", &World::new(NONE), [&small, &large], &[judge::BOUND]);
}

#[test]
fn what_is_given_up_is_undone() {
    let reaches = [judge::BOUND, judge::ABORTED_THEN_BOUND];
    let small = [Budget { aborts: 1, crashes: 1, ..NONE }];
    let alone = World { schedulers: 1, ..World::new(NONE) };
    hold("giving up, one scheduler", &alone, [&small, &[]], &reaches);
    let large = [Budget { aborts: 1, ..NONE }];
    hold("giving up", &World::new(NONE), [&[], &large], &reaches);
}

#[test]
fn members_come_and_go() {
    let small = [Budget { deletions: 1, ..NONE }];
    hold("deleted and made again", &World::new(NONE), [&small, &[]], &[judge::BOUND]);
}

#[test]
fn a_stale_view_of_the_minimum_decides_nothing() {
    let small = [Budget { raises: 1, ..NONE }];
    let large = [Budget { raises: 1, crashes: 1, ..NONE }];
    let world = World { minimum: 1, ..World::new(NONE) };
    hold("the minimum is raised at any moment", &world, [&small, &large], &[judge::BOUND]);
}

#[test]
fn a_repair_keeps_the_bound_where_they_are() {
    let small = [Budget { denials: 1, ..NONE }];
    let large = [Budget { denials: 1, crashes: 1, ..NONE }];
    hold("a bind is refused", &World::new(NONE), [&small, &large], &[judge::REPAIRED]);
}

#[test]
fn a_step_that_fails_is_undone() {
    let small = [Budget { failing_steps: 1, ..NONE }];
    let world = World { step: true, ..World::new(NONE) };
    let reaches = [judge::BOUND, judge::ABORTED_THEN_BOUND];
    hold("a step fails", &world, [&small, &[]], &reaches);
}

#[test]
fn two_gangs_that_want_one_seat_never_share_it() {
    let small = [Budget { passes: 1, rivals: 1, ..NONE }];
    let large = [Budget { passes: 1, rivals: 1, timeouts: 1, ..NONE }];
    let world = World { elected: true, lease: true, ..World::new(NONE) };
    hold("another gang takes a seat", &world, [&small, &large], &[judge::BOUND]);
}

#[test]
fn every_rule_is_needed() {
    let basic = || World::new(TRYING);
    let all = Rules::ALL;
    let without = |rules| World { rules, ..basic() };
    let raised = World { minimum: 1, ..World::new(Budget { raises: 1, ..NONE }) };
    let failing = World { step: true, ..World::new(Budget { failing_steps: 1, ..NONE }) };
    let rival = World { elected: true, ..World::new(Budget { passes: 1, rivals: 1, ..NONE }) };
    let alone = World { schedulers: 1, ..World::new(Budget { denials: 1, ..NONE }) };
    let (broken, _) = explore("one scheduler by itself", alone.clone());
    assert_eq!(broken, [""; 0], "one scheduler by itself");
    let (broken, _) = explore_within("all rules in force", basic(), NOTICED_WITHIN);
    assert_eq!(broken, [""; 0], "all rules in force");
    let worlds = [
        ("no record before the binds", without(Rules { record_before_binds: false, ..all })),
        ("binds name no version", without(Rules { binds_name_versions: false, ..all })),
        ("no fences", without(Rules { fences: false, ..all })),
        (
            "verified before the versions are known",
            without(Rules { versions_before_verification: false, ..all }),
        ),
        ("doubt counts as failure", without(Rules { doubt_is_no_failure: false, ..all })),
        ("a verification ignores the epoch", World { any_plan_verifies: true, ..basic() }),
        ("a verification reads the past", World { stale_reads: true, ..basic() }),
        (
            "the plan is not decided on the group",
            World { rules: Rules { commit_on_group: false, ..all }, ..raised },
        ),
        (
            "a repair moves the bound",
            World { rules: Rules { repairs_pin_the_bound: false, ..all }, ..alone },
        ),
        (
            "steps are not undone",
            World { rules: Rules { steps_are_undone: false, ..all }, ..failing },
        ),
        ("the lease is not read", rival),
    ];
    let unnoticed: Vec<&str> = worlds
        .into_iter()
        .filter_map(|(name, world)| explore(name, world).0.is_empty().then_some(name))
        .collect();
    assert_eq!(unnoticed, [""; 0], "nothing notices that these rules are gone");
}
