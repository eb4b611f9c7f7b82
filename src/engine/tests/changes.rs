//! What changes while a gang waits, is being bound, or runs.

use super::stage::{Stage, bind_of, group, group_name, member, node, pod};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{GroupCondition, PodFact, PodPhase};
use crate::engine::event::{Event, Outcome};
use crate::engine::order::WaitReason;

#[test]
fn a_minimum_that_is_raised_or_lowered_counts_at_the_next_decision() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 3));
    stage.put(member("a", "train", 1));
    stage.put(member("b", "train", 1));
    stage.settle();
    assert!(stage.binds.is_empty());
    stage.put_group(group("train", 2));
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n1"]);
    // Raised beyond what runs: the members that are missing come together or not at all.
    stage.put_group(group("train", 4));
    stage.put(member("c", "train", 1));
    stage.settle();
    assert_eq!(stage.waiting(), ["train WaitingForMembers: waiting for members: 3 of 4 exist (c)"]);
    stage.put(member("d", "train", 1));
    stage.settle();
    assert_eq!(stage.binds.len(), 4);
}

#[test]
fn a_replacement_of_a_gang_that_started_is_placed_alone() {
    let mut stage = Stage::new(&[("n1", 4)]);
    stage.put_group(group("train", 4));
    for at in 0..4 {
        stage.put(member(&format!("train-{at}"), "train", 1));
    }
    stage.settle();
    stage.delete("train-1");
    stage.delete("train-2");
    stage.put(PodFact { uid: "again".into(), ..member("train-1", "train", 1) });
    stage.settle();
    assert_eq!(stage.binds.len(), 5, "it does not wait for the other lost one");
}

#[test]
fn a_gang_found_half_bound_at_the_start_is_finished_whole() {
    let mut stage = Stage::new(&[("n1", 4)]);
    stage.put_group(group("train", 4));
    for name in ["a", "b"] {
        let fact = member(name, "train", 1);
        stage.put(PodFact { node: Some("n1".into()), phase: PodPhase::Running, ..fact });
    }
    stage.put(member("c", "train", 1));
    stage.settle();
    assert_eq!(stage.waiting(), ["train WaitingForMembers: waiting for members: 3 of 4 exist (c)"]);
    stage.put(member("d", "train", 1));
    stage.settle();
    assert_eq!(stage.binds, ["c n1", "d n1"]);
}

#[test]
fn a_gang_that_an_earlier_run_had_started_gets_its_replacements_alone() {
    let mut stage = Stage::new(&[("n1", 4)]);
    let mut fact = group("train", 4);
    fact.status.condition = Some(GroupCondition {
        holds: true,
        reason: "Scheduled".to_owned(),
        message: String::new(),
        observed_generation: 1,
    });
    stage.put_group(fact);
    let survivor = member("a", "train", 1);
    stage.put(PodFact { node: Some("n1".into()), phase: PodPhase::Running, ..survivor });
    stage.put(member("b", "train", 1));
    stage.settle();
    assert_eq!(stage.binds, ["b n1"]);
}

#[test]
fn a_gang_that_lost_everybody_starts_over_whole() {
    let mut stage = Stage::new(&[("n1", 4)]);
    stage.put_group(group("train", 2));
    stage.put(member("a", "train", 1));
    stage.put(member("b", "train", 1));
    stage.settle();
    stage.change("a", |fact| fact.phase = PodPhase::Failed);
    stage.change("b", |fact| fact.phase = PodPhase::Failed);
    stage.put(member("c", "train", 1));
    stage.settle();
    assert_eq!(stage.reasons(), [("train".to_owned(), WaitReason::WaitingForMembers)]);
}

#[test]
fn a_terminating_pod_holds_its_place_until_it_is_gone() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    stage.settle();
    stage.change("a", |fact| fact.deleting = true);
    stage.put(pod("b", 1));
    stage.settle();
    assert_eq!(stage.binds, ["a n1"]);
    stage.delete("a");
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n1"]);
}

#[test]
fn a_waiting_gang_is_bound_the_moment_its_cure_comes() {
    let mut stage = Stage::new(&[("n1", 1), ("n2", 1)]);
    stage.put(pod("running", 1));
    stage.put_group(group("train", 2));
    stage.put(PodFact { created: Time(1), ..member("a", "train", 1) });
    stage.put(PodFact { created: Time(1), ..member("b", "train", 1) });
    stage.settle_until(Time::EPOCH + Span::seconds(600));
    assert_eq!(stage.binds.len(), 1);
    stage.change("running", |fact| fact.phase = PodPhase::Succeeded);
    stage.settle();
    assert_eq!(stage.now, Time::EPOCH + Span::seconds(600));
    assert_eq!(stage.binds.len(), 3);
}

#[test]
fn what_cannot_help_wakes_nobody() {
    let mut stage = Stage::new(&[("n1", 1), ("n2", 8)]);
    stage.put(pod("small", 1));
    stage.put(pod("large", 8));
    stage.put(pod("waiting", 8));
    stage.settle();
    let refused = stage.engine.counters().refused;
    stage.change("small", |fact| fact.phase = PodPhase::Succeeded);
    stage.tell(Event::Node(Box::new(node("n3", 4))));
    stage.tell(Event::NodeGone("n3".into()));
    stage.settle();
    assert_eq!(stage.engine.counters().refused, refused, "no attempt was made in vain");
    stage.tell(Event::Node(Box::new(node("n4", 8))));
    stage.settle();
    assert_eq!(stage.binds.last().map(String::as_str), Some("waiting n4"));
}

#[test]
fn a_pod_whose_request_shrinks_while_it_waits_fits() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 2));
    stage.settle();
    let smaller = pod("a", 1).ask;
    stage.change("a", |fact| fact.ask = smaller);
    stage.settle();
    assert_eq!(stage.binds, ["a n1"]);
}

#[test]
fn a_label_that_moves_during_the_bind_takes_the_seat_along() {
    let mut stage = Stage::new(&[("n1", 4)]);
    stage.put_group(group("left", 1));
    stage.put_group(group("right", 2));
    stage.put(member("a", "left", 1));
    let orders = stage.decide().orders;
    stage.change("a", |fact| fact.group = Some(group_name("right")));
    stage.put(member("b", "right", 1));
    let more = stage.decide().orders;
    assert_eq!(more.len(), 1, "the seat of a counts for right now");
    // The label moved the version, so the bind meets a conflict and is sent again.
    stage.outcome(&orders[0], Outcome::Conflict("the object has been modified".to_owned()));
    stage.apply(&more[0]);
    stage.settle();
    assert_eq!(stage.binds, ["b n1", "a n1"]);
    stage.engine.audit().expect("every belief survives a recount");
}

#[test]
fn epochs_count_the_plans_of_a_gang() {
    let mut stage = Stage::new(&[("n1", 4)]);
    stage.put_group(group("train", 2));
    for name in ["a", "b", "c"] {
        stage.put(member(name, "train", 1));
    }
    stage.put(pod("plain", 1));
    let epochs = |orders: &[crate::engine::order::Order]| -> Vec<(String, u32)> {
        let epoch = |order: &crate::engine::order::Order| {
            let bind = bind_of(order);
            (bind.pod.name.name.to_string(), bind.epoch)
        };
        orders.iter().map(epoch).collect()
    };
    let orders = stage.decide().orders;
    let named = |name: &str, epoch| (name.to_owned(), epoch);
    assert_eq!(epochs(&orders), [named("plain", 0), named("a", 1), named("b", 1), named("c", 1)]);
    stage.apply(&orders[1]);
    for order in &orders[2..] {
        stage.outcome(order, Outcome::Refused("denied".to_owned()));
    }
    stage.wait(Span::seconds(1));
    let repair = stage.decide().orders;
    assert_eq!(epochs(&repair), [named("b", 2), named("c", 2)]);
    for order in &repair {
        stage.apply(order);
    }
    stage.put(member("d", "train", 1));
    stage.apply(&orders[0]);
    stage.tell(Event::Node(Box::new(node("n2", 1))));
    assert_eq!(epochs(&stage.decide().orders), [named("d", 2)], "late members carry the epoch");
}
