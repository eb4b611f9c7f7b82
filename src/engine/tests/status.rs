//! The status of PodGroups: phases, counters, owners, and the native condition.

use super::stage::{Stage, group, group_name, member, node};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{GroupFact, GroupName, GroupSource, GroupStatus, PodFact, PodPhase};
use crate::engine::event::Event;
use crate::engine::order::Notice;

/// The last status told, as `PHASE running/succeeded/failed by OWNERS`, or the condition.
fn status(stage: &mut Stage) -> Option<String> {
    let end = stage.now + Span::seconds(30);
    stage.settle_until(end);
    let statuses =
        std::mem::take(&mut stage.notices).into_iter().filter_map(|notice| match notice {
            Notice::Group { status, .. } => Some(status),
            Notice::Waiting { .. } | Notice::Event { .. } => None,
        });
    statuses.last().map(|status| shown(&status))
}

fn shown(status: &GroupStatus) -> String {
    match &status.condition {
        Some(condition) => {
            format!("{} {}: {}", condition.holds, condition.reason, condition.message)
        }
        None => format!(
            "{} {}/{}/{} by {:?}",
            status.phase, status.running, status.succeeded, status.failed, status.occupied_by
        ),
    }
}

#[test]
fn phases_and_counters_follow_the_members() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 2));
    assert_eq!(status(&mut stage).as_deref(), Some("Pending 0/0/0 by \"\""));
    let owned =
        |name: &str| PodFact { controller: Some("Job/train".into()), ..member(name, "train", 1) };
    stage.put(owned("a"));
    assert_eq!(status(&mut stage), None, "it still stands as it was written");
    stage.put(PodFact { gates: vec!["hold".into()], ..owned("b") });
    assert_eq!(status(&mut stage).as_deref(), Some("Scheduling 0/0/0 by \"team/train\""));
    stage.change("b", |fact| fact.gates.clear());
    assert_eq!(status(&mut stage).as_deref(), Some("Running 2/0/0 by \"team/train\""));
    stage.change("a", |fact| fact.phase = PodPhase::Failed);
    assert_eq!(status(&mut stage).as_deref(), Some("Failed 1/0/1 by \"team/train\""));
    stage.delete("a");
    stage.put(PodFact { uid: "again".into(), ..owned("a") });
    assert_eq!(
        status(&mut stage).as_deref(),
        Some("Running 2/0/0 by \"team/train\""),
        "not failed for ever"
    );
    stage.change("a", |fact| fact.phase = PodPhase::Succeeded);
    stage.change("b", |fact| fact.phase = PodPhase::Succeeded);
    assert_eq!(status(&mut stage).as_deref(), Some("Finished 0/2/0 by \"team/train\""));
}

#[test]
fn a_status_that_stands_already_is_not_written() {
    let mut stage = Stage::new(&[("n1", 8)]);
    let pending = GroupStatus { phase: "Pending".to_owned(), ..GroupStatus::default() };
    stage.put_group(GroupFact { status: pending, ..group("train", 2) });
    assert_eq!(status(&mut stage), None);
}

#[test]
fn the_native_condition_says_why_not_and_then_that_it_was_scheduled_for_ever() {
    let mut stage = Stage::new(&[("n1", 1)]);
    let name = GroupName { source: GroupSource::Native, ..group_name("train") };
    let mut fact = GroupFact { name: name.clone(), generation: 3, ..group("train", 2) };
    stage.put_group(fact.clone());
    for pod in ["a", "b"] {
        stage.put(PodFact { group: Some(name.clone()), ..member(pod, "train", 1) });
    }
    let refused = status(&mut stage).expect("a refusal is told");
    assert!(refused.starts_with("false Unschedulable: 0/1 nodes are available:"), "{refused}");
    stage.tell(Event::Node(Box::new(node("n2", 1))));
    assert_eq!(
        status(&mut stage).as_deref(),
        Some("true Scheduled: 2 members are bound, 2 were needed")
    );
    fact.status.condition = Some(crate::cluster::facts::GroupCondition {
        holds: true,
        reason: "Scheduled".to_owned(),
        message: "2 members are bound, 2 were needed".to_owned(),
        observed_generation: 3,
    });
    stage.put_group(fact);
    stage.delete("a");
    stage.delete("b");
    stage.put(PodFact { group: Some(name), uid: "again".into(), ..member("a", "train", 9) });
    assert_eq!(status(&mut stage), None);
}

#[test]
fn a_status_is_written_at_most_once_a_second() {
    let mut stage = Stage::new(&[("n1", 100)]);
    stage.put_group(group("train", 1));
    for number in 0..50 {
        stage.put(member(&format!("a-{number}"), "train", 1));
        stage.settle_until(Time::EPOCH + Span::milliseconds(number * 20));
    }
    let written =
        stage.notices.iter().filter(|notice| matches!(notice, Notice::Group { .. })).count();
    assert!((1..=2).contains(&written), "{written} writes within a second");
}
