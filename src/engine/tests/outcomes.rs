//! What becomes of orders: every outcome, early, late, twice, and never.

use super::stage::{Stage, group, member, pod};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{PodFact, PodPhase};
use crate::engine::WakeReason;
use crate::engine::event::Outcome;
use crate::engine::order::WaitReason;
use crate::engine::settings::{Notices, Settings};

fn conflict() -> Outcome {
    Outcome::Conflict("the object has been modified".to_owned())
}

fn unknown() -> Outcome {
    Outcome::Unknown("timed out".to_owned())
}

#[test]
fn a_conflict_is_retried_at_once_when_the_newer_version_is_known() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.change("a", |_| ());
    stage.outcome(&order, conflict());
    stage.settle();
    assert_eq!(stage.binds, ["a n1"]);
}

#[test]
fn a_conflict_waits_for_the_newer_version_or_the_backoff() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.outcome(&order, conflict());
    assert!(stage.decide().orders.is_empty());
    stage.change("a", |_| ());
    stage.settle();
    assert_eq!(stage.binds, ["a n1"]);
}

#[test]
fn failures_in_a_row_wait_longer_each_time_up_to_a_limit() {
    let silent = Settings { notices: Notices::Silent, ..Settings::default() };
    let mut stage = Stage::with(silent, &[("n1", 1)]);
    stage.put(pod("a", 1));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let order = stage.decide().orders.remove(0);
        stage.outcome(&order, Outcome::Refused("denied".to_owned()));
        stage.decide();
        let Some((at, WakeReason::BackoffEnds)) = stage.engine.wakeup() else {
            panic!("a failed gang backs off");
        };
        waits.push((at - stage.now).to_string());
        stage.now = at;
    }
    assert_eq!(waits, ["1s", "2s", "4s", "8s", "10s", "10s"]);
    stage.settle();
    stage.change("a", |fact| fact.phase = PodPhase::Succeeded);
    stage.engine.audit().expect("every belief survives a recount");
}

#[test]
fn an_unknown_bind_keeps_its_seat_until_a_fact_tells() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    stage.put(pod("b", 1));
    let order = stage.decide().orders.remove(0);
    stage.outcome(&order, unknown());
    stage.wait(Span::milliseconds(900));
    assert!(stage.decide().orders.is_empty(), "the seat is not given to b");
    assert_eq!(stage.reasons(), [("b".to_owned(), WaitReason::Unschedulable)]);
    stage.change("a", |fact| fact.node = Some("n1".into()));
    stage.settle();
    assert_eq!(stage.engine.orders_under_way(), 0);
    assert_eq!(stage.engine.counters().binds_done, 1);
}

#[test]
fn an_unknown_bind_is_ordered_again_after_growing_pauses_until_its_answer_is_known() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let first = stage.decide().orders.remove(0);
    stage.outcome(&first, unknown());
    let mut waits = Vec::new();
    let mut last = first.clone();
    for _ in 0..7 {
        assert_eq!(stage.decide().orders, []);
        let Some((at, WakeReason::DoubtDue)) = stage.engine.wakeup() else {
            panic!("what is in doubt is asked about: {:?}", stage.engine.wakeup());
        };
        waits.push((at - stage.now).to_string());
        stage.now = at;
        let again = stage.decide().orders.remove(0);
        assert_eq!(again.action, first.action, "the same uid, version, node, and epoch");
        stage.outcome(&last, Outcome::Done);
        assert_eq!(stage.engine.counters().binds_done, 0, "an order comes back once");
        stage.outcome(&again, unknown());
        stage.outcome(&again, unknown());
        last = again;
        stage.engine.audit().expect("every belief survives a recount");
    }
    assert_eq!(waits, ["1s", "2s", "4s", "8s", "10s", "10s", "10s"]);
    stage.now = stage.engine.wakeup().expect("it is asked about").0;
    let again = stage.decide().orders.remove(0);
    stage.apply(&again);
    stage.settle();
    assert_eq!(
        (stage.binds.as_slice(), stage.engine.orders_under_way()),
        (&["a n1".to_owned()][..], 0)
    );
    assert_eq!(stage.engine.wakeup(), None);
}

#[test]
fn nobody_asks_about_a_bind_whose_truth_a_fact_has_told() {
    for end in ["bound", "gone", "newer"] {
        let mut stage = Stage::new(&[("n1", 1)]);
        stage.put(pod("a", 1));
        let order = stage.decide().orders.remove(0);
        stage.outcome(&order, unknown());
        match end {
            "bound" => stage.change("a", |fact| fact.node = Some("n1".into())),
            "gone" => stage.delete("a"),
            _ => stage.change("a", |_| ()),
        }
        stage.settle_until(Time::EPOCH + Span::seconds(100));
        assert_eq!(stage.engine.counters().binds_repeated, 0, "{end}");
        stage.engine.audit().expect("every belief survives a recount");
    }
}

#[test]
fn an_unknown_bind_is_retried_when_a_newer_version_is_unbound() {
    for newer_first in [false, true] {
        let mut stage = Stage::new(&[("n1", 1)]);
        stage.put(pod("a", 1));
        let order = stage.decide().orders.remove(0);
        if newer_first {
            stage.change("a", |_| ());
            stage.outcome(&order, unknown());
        } else {
            stage.outcome(&order, unknown());
            stage.change("a", |_| ());
        }
        stage.settle();
        assert_eq!(stage.binds, ["a n1"], "newer first: {newer_first}");
    }
}

#[test]
fn a_bind_seen_before_its_outcome_is_done_and_the_outcome_is_ignored() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.change("a", |fact| fact.node = Some("n1".into()));
    stage.outcome(&order, conflict());
    stage.settle();
    assert!(stage.waiting().is_empty());
    assert_eq!(stage.engine.counters().binds_done, 1);
    stage.engine.audit().expect("every belief survives a recount");
}

#[test]
fn a_bind_by_somebody_else_is_believed() {
    let mut stage = Stage::new(&[("n1", 1), ("n2", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.change("a", |fact| fact.node = Some("n2".into()));
    stage.outcome(&order, conflict());
    stage.put(pod("b", 1));
    stage.settle();
    assert_eq!(stage.binds, ["b n1"]);
    assert_eq!(stage.engine.counters().binds_foreign, 1);
}

#[test]
fn a_fact_read_before_the_bind_does_not_unbind() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.outcome(&order, Outcome::Done);
    // The status of the unbound pod had been written just before.
    stage.change("a", |_| ());
    stage.put(pod("b", 1));
    stage.settle();
    assert_eq!(stage.reasons(), [("b".to_owned(), WaitReason::Unschedulable)]);
}

#[test]
fn a_pod_that_is_gone_frees_its_seat_and_its_order_means_nothing_more() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.delete("a");
    stage.put(pod("b", 1));
    stage.settle();
    stage.outcome(&order, Outcome::Done);
    stage.settle();
    assert_eq!(stage.binds, ["b n1"]);
    stage.engine.audit().expect("every belief survives a recount");
}

#[test]
fn a_pod_deleted_during_its_bind_is_not_bound_again() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.change("a", |fact| fact.deleting = true);
    stage.outcome(&order, conflict());
    stage.settle_until(stage.now + Span::seconds(60));
    assert!(stage.binds.is_empty() && stage.waiting().is_empty());
}

#[test]
fn the_others_of_a_gang_stay_when_one_bind_fails_and_it_is_repaired() {
    let mut stage = Stage::new(&[("n1", 2), ("n2", 2)]);
    stage.put_group(group("train", 2));
    stage.put(member("a", "train", 2));
    stage.put(member("b", "train", 2));
    stage.put(PodFact { created: Time(1), ..pod("small", 1) });
    let orders = stage.decide().orders;
    assert_eq!(orders.len(), 2, "small finds no place beside the gang");
    stage.apply(&orders[0]);
    stage.outcome(&orders[1], Outcome::Refused("denied".to_owned()));
    stage.decide();
    let explanation = stage.engine.explain(stage.now, &pod("train", 0).name).expect("it exists");
    assert_eq!(explanation.commitment, Some("publishing"));
    assert_eq!(stage.engine.wakeup().map(|(_, reason)| reason), Some(WakeReason::NoticeDue));
    stage.delete("small");
    stage.wait(Span::seconds(1));
    stage.settle();
    assert_eq!(stage.binds.len(), 2);
    let explanation = stage.engine.explain(stage.now, &pod("train", 0).name).expect("it exists");
    assert_eq!((explanation.commitment, explanation.epoch), (Some("sealed"), 2));
}
