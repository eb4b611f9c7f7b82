//! What others do to a gang: the API refuses a member, somebody else binds one, a record is not what Muster wrote.

use super::stage::{Stage, group, member};
use crate::base::time::{Span, Time};
use crate::cluster::facts::PodFact;
use crate::engine::event::{Event, Outcome};
use crate::engine::order::Notice;
use crate::engine::record::RecordPhase;

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

#[test]
fn a_plan_is_undone_once_four_seats_of_a_member_were_refused_and_its_gang_rests_longer_each_time() {
    let mut stage = Stage::new(&[("n1", 2), ("n2", 2)]);
    stage.put_group(group("g", 2));
    stage.put(owned("a"));
    stage.put(owned("b"));
    let mut refusals = Vec::new();
    while refusals.len() < 7 && stage.now < Time::EPOCH + Span::seconds(600) {
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
