//! Plans become binds, binds become facts.

use super::stage::{Stage, group, member, pod};
use crate::base::time::Span;
use crate::cluster::facts::PodPhase;
use crate::engine::Engine;
use crate::engine::WakeReason;
use crate::engine::event::{Event, Outcome};
use crate::engine::settings::Settings;

#[test]
fn a_plain_pod_is_bound_and_a_second_waits_for_its_place() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("first", 1));
    stage.put(pod("second", 1));
    stage.settle();
    assert_eq!(stage.binds, ["first n1"]);
    stage.wait(Span::seconds(10));
    stage.change("first", |fact| fact.phase = PodPhase::Succeeded);
    stage.settle();
    assert_eq!(stage.binds, ["first n1", "second n1"]);
}

#[test]
fn a_gang_is_bound_whole_or_holds_nothing() {
    let mut stage = Stage::new(&[("n1", 4), ("n2", 3)]);
    stage.put_group(group("train", 4));
    for at in 0..4 {
        stage.put(member(&format!("train-{at}"), "train", 2));
    }
    stage.settle();
    assert_eq!(stage.binds, [""; 0]);
    stage.put(pod("small", 2));
    stage.settle();
    assert_eq!(stage.binds.len(), 1, "the gang held nothing");
    stage.tell(Event::Node(Box::new(super::stage::node("n3", 8))));
    stage.settle();
    assert_eq!(stage.binds.len(), 5);
}

#[test]
fn what_is_settled_asks_for_no_further_look() {
    let mut stage = Stage::new(&[("n1", 4)]);
    stage.put_group(group("train", 2));
    stage.put(member("train-0", "train", 2));
    stage.put(member("train-1", "train", 2));
    stage.settle();
    assert_eq!(stage.binds.len(), 2);
    let wakeup = stage.engine.wakeup();
    assert!(
        wakeup.is_none_or(|(_, reason)| reason != WakeReason::CallDue),
        "the limit of a binding that is over wakes nobody: {wakeup:?}"
    );
}

#[test]
fn nothing_is_decided_before_everything_was_told() {
    let mut engine = Engine::new(Settings::default());
    let now = crate::base::time::Time::EPOCH;
    engine.observe(now, Event::Node(Box::new(super::stage::node("n1", 1))));
    engine.observe(now, Event::Pod(Box::new(pod("first", 1))));
    assert_eq!(engine.wakeup(), None);
    assert!(engine.decide(now).orders.is_empty());
    engine.observe(now, Event::Synced);
    assert!(engine.wakeup().is_some());
    assert_eq!(engine.decide(now).orders.len(), 1);
}

#[test]
fn a_failed_bind_gives_its_seat_back_and_is_tried_again_later() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("first", 1));
    let order = stage.decide().orders.remove(0);
    stage.outcome(&order, Outcome::Refused("denied by a webhook".to_owned()));
    stage.settle();
    assert_eq!(
        stage.waiting(),
        ["first GangAborted: binding failed: denied by a webhook; tried again after 1s (first)"]
    );
    assert!(stage.binds.is_empty());
    stage.wait(Span::seconds(1));
    stage.settle();
    assert_eq!(stage.binds, ["first n1"]);
}
