//! What others do to a gang: the API refuses a member, somebody else binds one, a record is not what Muster wrote.

use std::sync::Arc;

use super::stage::{Stage, group, member, node};
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::cluster::facts::{GroupFact, NodeFact, PodFact};
use crate::engine::event::{Event, Outcome};
use crate::engine::order::Notice;
use crate::engine::record::RecordPhase;
use crate::workload::ask::Ask;
use crate::workload::relations::PodLabels;

/// The reasons of all events so far.
fn told(stage: &Stage) -> Vec<&'static str> {
    let reason = |notice: &Notice| match notice {
        Notice::Event { reason, .. } => Some(*reason),
        Notice::Waiting { .. } | Notice::Group { .. } => None,
    };
    stage.notices.iter().filter_map(reason).collect()
}

fn owned(name: &str) -> PodFact {
    PodFact { controller: Some("Job/train".into()), ..member(name, "g", 1) }
}

/// Lets time pass until the binds of `b` were refused so often; when that was. No other answer is ever heard.
fn refuse_b(stage: &mut Stage, times: usize) -> Vec<Time> {
    let mut refusals = Vec::new();
    while refusals.len() < times && stage.now < Time::EPOCH + Span::seconds(2_000) {
        for order in stage.decide().orders {
            if order.action.member().is_some_and(|pod| &*pod.name.name == "b") {
                refusals.push(stage.now);
                stage.outcome(&order, Outcome::Refused("denied by a webhook".to_owned()));
            } else {
                stage.outcome(&order, Outcome::Unknown("lost".to_owned()));
            }
        }
        let next = stage.engine.wakeup().map_or(stage.now + Span::seconds(1), |(at, _)| at);
        stage.now = next.max(stage.now + Span::milliseconds(100));
    }
    refusals
}

/// A gang of two whose member `b` was refused so often that it rests for minutes.
fn resting() -> Stage {
    let mut stage = Stage::new(&[("n1", 2), ("n2", 2)]);
    stage.put_group(group("g", 2));
    stage.put(owned("a"));
    stage.put(owned("b"));
    let refusals = refuse_b(&mut stage, 9);
    assert_eq!(refusals.len(), 9, "{refusals:?}");
    stage.decide();
    assert!(next_try(&stage) > stage.now + Span::seconds(100), "{}", stage.now.to_rfc3339());
    stage
}

/// When `explain` says that the gang is tried again.
fn next_try(stage: &Stage) -> Time {
    let name = ObjectName::new("team", "g");
    let explanation = stage.engine.explain(stage.now, &name).expect("it exists");
    let next = explanation.next_try.as_ref().expect("it rests");
    assert!(explanation.to_string().contains(&format!("next try: {next}, or soon")));
    Time::from_rfc3339(next).expect("a date")
}

#[test]
fn a_gang_that_rests_since_it_was_refused_is_tried_soon_once_a_person_edits_it() {
    type Edit = fn(&mut Stage);
    let edits: [(&str, Edit); 3] = [
        ("the group", |stage| {
            stage.put_group(GroupFact { generation: 2, schedule_timeout: None, ..group("g", 2) });
        }),
        ("a label", |stage| {
            stage.change("b", |pod| {
                let pairs = vec![("mended".into(), "yes".into())];
                pod.labels = Arc::new(PodLabels { pairs, ..PodLabels::clone(&pod.labels) });
            });
        }),
        ("what it asks for", |stage| {
            stage.change("b", |pod| pod.ask = Arc::new(Ask::default()));
        }),
    ];
    for (what, edit) in edits {
        let mut stage = resting();
        let before = next_try(&stage);
        // What Muster and kubelets write is no edit.
        stage.change("b", |_| ());
        stage.put_group(group("g", 2));
        stage.decide();
        assert_eq!(next_try(&stage), before, "{what}");
        stage.wait(Span::seconds(1));
        edit(&mut stage);
        stage.decide();
        let soon = next_try(&stage);
        assert!(soon <= stage.now + Span::seconds(10), "{what}: {}", soon.to_rfc3339());
        edit(&mut stage);
        stage.decide();
        assert_eq!(next_try(&stage), soon, "{what}: the next edit changes nothing");
        stage.settle_until(soon + Span::seconds(1));
        assert_eq!(stage.binds.len(), 2, "{what}: it is bound as soon as the API lets it");
    }
}

#[test]
fn a_plan_is_undone_once_four_seats_of_a_member_were_refused_and_its_gang_rests_longer_each_time() {
    let mut stage = Stage::new(&[("n1", 2), ("n2", 2)]);
    stage.put_group(group("g", 2));
    stage.put(owned("a"));
    stage.put(owned("b"));
    let refusals = refuse_b(&mut stage, 7);
    assert_eq!(refusals.len(), 7, "it is tried again: {refusals:?}");
    assert!(stage.engine.counters().gangs_aborted >= 3, "each plan after the third is undone");
    assert!(
        refusals[3] - refusals[0] < Span::seconds(9),
        "another seat is tried soon: {refusals:?}"
    );
    assert!(refusals[5] - refusals[4] >= Span::seconds(19), "{refusals:?}");
    assert!(refusals[6] - refusals[5] >= Span::seconds(39), "{refusals:?}");
}

#[test]
fn the_last_that_was_missing_is_planned_beside_those_that_are_bound() {
    let mut stage = Stage::new(&[("n1", 1), ("n2", 1)]);
    stage.put_group(group("g", 2));
    stage.put(member("a", "g", 1));
    stage.settle();
    stage.change("a", |pod| pod.node = Some("n1".into()));
    assert_eq!(stage.engine.counters().binds_foreign, 1);
    stage.put(member("b", "g", 1));
    stage.settle();
    assert_eq!(stage.binds, ["b n2"]);
    assert!(told(&stage).contains(&"ForeignBinding"));
    let record =
        stage.records.values().next().expect("there is a record, by which it could be undone");
    assert_eq!((record.phase, record.members.len()), (RecordPhase::Bound, 2));
}

#[test]
fn a_member_that_a_fence_finds_gone_counts_no_more_though_no_watch_has_told() {
    let mut stage = Stage::new(&[("n1", 1), ("n2", 1), ("n3", 1)]);
    stage.put_group(group("g", 2));
    stage.put(member("a", "g", 1));
    stage.put(member("b", "g", 1));
    for order in stage.decide().orders {
        if order.action.member().is_some_and(|pod| &*pod.name.name == "a") {
            stage.apply(&order);
        } else {
            stage.outcome(&order, Outcome::Refused("denied by a webhook".to_owned()));
        }
    }
    // The next seat of `b` is elsewhere, so a fence asks first whether a bind to the one before has come through.
    stage.tell(Event::Node(Box::new(NodeFact { unschedulable: true, ..node("n2", 1) })));
    let b = stage.vanish("b");
    stage.settle_until(stage.now + Span::seconds(2));
    assert!(stage.writes.contains(&"fence"), "{:?}", stage.writes);
    assert_eq!(stage.engine.counters().gangs_sealed, 0, "one of two is no gang");
    stage.tell(Event::PodGone { name: b.name, uid: b.uid });
    stage.put(PodFact { uid: "b-again".into(), ..member("b", "g", 1) });
    stage.settle_until(stage.now + Span::seconds(20));
    assert_eq!(stage.binds, ["a n1", "b n3"]);
    let record = stage.records.values().next().expect("it is kept");
    assert_eq!((record.phase, record.members.len()), (RecordPhase::Bound, 2));
}

#[test]
fn a_record_that_says_bound_while_a_member_waits_is_not_believed() {
    let mut stage = Stage::new(&[("n1", 1), ("n2", 1)]);
    stage.put_group(group("g", 2));
    stage.put(member("a", "g", 1));
    stage.put(member("b", "g", 1));
    let orders = stage.decide().orders;
    stage.apply(&orders[0]);
    stage.outcome(&orders[1], Outcome::Refused("denied by a webhook".to_owned()));
    let mut lie = stage.records.values().next().expect("it is recorded").clone();
    lie.phase = RecordPhase::Bound;
    lie.resource_version += 1_000;
    stage.tell(Event::Record(Box::new(lie)));
    stage.settle_until(Time::EPOCH + Span::seconds(5));
    assert_eq!(stage.engine.counters().binds_late, 0, "the gang had not begun");
}

#[test]
fn a_record_that_cannot_be_read_is_said() {
    let mut stage = Stage::new(&[("n1", 2)]);
    stage.put_group(group("g", 2));
    stage.put(member("a", "g", 1));
    stage.put(member("b", "g", 1));
    stage.settle();
    let mut garbage = stage.records.values().next().expect("it is recorded").clone();
    garbage.resource_version += 1_000;
    garbage.malformed = Some("spec.members: \"who knows\" cannot be read".into());
    stage.tell(Event::Record(Box::new(garbage)));
    stage.settle();
    assert!(told(&stage).contains(&"InvalidGangPlan"), "{:?}", told(&stage));
    assert_eq!(stage.engine.counters().records_malformed, 1);
}
