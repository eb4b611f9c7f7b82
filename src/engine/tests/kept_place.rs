//! Big gangs are not overtaken for ever.

use super::stage::{Stage, group, member, pod};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{GroupFact, PodFact, PodPhase};
use crate::engine::WakeReason;

/// Two nodes of two GPUs, each half used by a pod; a gang that needs both nodes whole; time passes.
fn overtaken() -> Stage {
    let mut stage = Stage::new(&[("n1", 2), ("n2", 2)]);
    stage.put(pod("left", 1));
    stage.put(pod("second", 1));
    stage.put(pod("right", 1));
    stage.settle();
    stage.change("second", |fact| fact.phase = PodPhase::Succeeded);
    stage.put_group(GroupFact { created: Time(1), ..group("big", 2) });
    stage.put(member("big-0", "big", 2));
    stage.put(member("big-1", "big", 2));
    stage.settle();
    stage
}

fn small(name: &str, created: i64) -> PodFact {
    PodFact { created: Time(created), ..pod(name, 1) }
}

#[test]
fn a_gang_refused_for_long_gets_a_place_kept() {
    let mut stage = overtaken();
    stage.put(small("early", 2));
    stage.settle();
    assert_eq!(stage.binds.len(), 4, "before the time is up, small ones pass");
    stage.settle_until(Time::EPOCH + Span::seconds(299));
    assert_eq!(stage.engine.counters().places_kept, 0);
    stage.settle_until(Time::EPOCH + Span::seconds(300));
    assert_eq!(stage.engine.counters().places_kept, 1);
    stage.put(small("late", 3));
    stage.settle();
    assert_eq!(
        stage.waiting()[1],
        "late WaitingForTurn: waiting for its turn: it would fit only on nodes that \
        are kept for team/big, which stands before it and was refused for long (late)"
    );
    let big = stage.engine.explain(stage.now, &pod("big", 0).name).expect("it exists");
    assert!(big.place_is_kept);
    // Who stands before the gang is not hindered.
    stage.put(PodFact { priority: 1, ..small("urgent", 4) });
    stage.settle();
    assert_eq!(stage.binds.len(), 5);
    for name in ["left", "right", "early", "urgent"] {
        stage.change(name, |fact| fact.phase = PodPhase::Succeeded);
        stage.settle();
    }
    assert_eq!(stage.binds[5..], ["big-0 n1", "big-1 n2"]);
    stage.change("big-0", |fact| fact.phase = PodPhase::Succeeded);
    stage.settle();
    assert_eq!(stage.binds[7..], ["late n1"]);
}

#[test]
fn a_place_is_given_up_when_its_gang_goes() {
    let mut stage = overtaken();
    stage.settle_until(Time::EPOCH + Span::seconds(300));
    stage.put(small("late", 3));
    stage.settle();
    assert_eq!(stage.binds.len(), 3);
    stage.delete("big-1");
    stage.settle();
    assert_eq!(stage.binds.len(), 4, "an incomplete gang keeps nothing");
}

#[test]
fn no_place_is_kept_for_what_no_empty_cluster_would_hold() {
    let mut stage = overtaken();
    stage.delete("big-0");
    stage.put(member("big-0", "big", 4));
    stage.settle_until(Time::EPOCH + Span::seconds(1000));
    assert_eq!(stage.engine.counters().places_kept, 0);
    stage.put(small("late", 3));
    stage.settle();
    assert_eq!(stage.binds.len(), 4);
    let next = stage.engine.wakeup().map(|(_, reason)| reason);
    assert_ne!(next, Some(WakeReason::Overtaking), "nothing is tried again and again");
}

#[test]
fn one_gang_at_a_time_the_first_in_turn() {
    let mut stage = overtaken();
    stage.put_group(GroupFact { created: Time(2), ..group("huge", 2) });
    stage.put(member("huge-0", "huge", 2));
    stage.put(member("huge-1", "huge", 2));
    stage.settle_until(Time::EPOCH + Span::seconds(400));
    assert_eq!(stage.engine.counters().places_kept, 1);
    for name in ["left", "right"] {
        stage.change(name, |fact| fact.phase = PodPhase::Succeeded);
    }
    stage.settle();
    assert_eq!(stage.binds[3..], ["big-0 n1", "big-1 n2"]);
    assert_eq!(stage.engine.counters().places_kept, 2, "then the next one's");
}
