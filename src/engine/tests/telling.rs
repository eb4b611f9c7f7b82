//! What is said about what waits: soon, truly, once, and not too much at a time.

use super::stage::{Stage, group, member, node, pod};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{PodFact, PodPhase};
use crate::engine::WakeReason;
use crate::engine::event::{Event, Outcome};
use crate::engine::order::{Notice, Subject};
use crate::engine::settings::{Notices, Settings};

/// `POD REASON: MESSAGE` of conditions and `POD EVENT: NOTE` of events, since the last call.
fn told(stage: &mut Stage) -> Vec<String> {
    let line = |notice: Notice| match notice {
        Notice::Waiting { pod, reason, message, .. } => {
            format!("{} {}: {message}", pod.name.name, reason.as_str())
        }
        Notice::Event { about: Subject::Pod { name, .. }, reason, note, .. } => {
            format!("{} {reason}: {note}", name.name)
        }
        Notice::Event { about: Subject::Group { name, .. }, reason, note, .. } => {
            format!("{} {reason}: {note}", name.name.name)
        }
        Notice::Event { about: Subject::Other { name, .. }, .. } => {
            unreachable!("the engine says nothing about {name}")
        }
        Notice::Group { name, status, .. } => format!("{} is {}", name.name.name, status.phase),
    };
    std::mem::take(&mut stage.notices).into_iter().map(line).collect()
}

fn at(milliseconds: i64) -> Time {
    Time::EPOCH + Span::milliseconds(milliseconds)
}

#[test]
fn nothing_is_said_in_the_first_half_second_and_the_reason_after_it() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 2));
    stage.settle_until(at(499));
    assert!(told(&mut stage).is_empty());
    stage.settle_until(at(500));
    let text = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.";
    assert_eq!(
        told(&mut stage),
        [format!("a Unschedulable: {text}"), format!("a FailedScheduling: {text}")]
    );
    stage.settle_until(at(3_600_000));
    assert!(told(&mut stage).is_empty(), "nothing changed, nothing is repeated");
}

#[test]
fn a_line_inherits_nothing_of_what_was_said_to_another_that_had_its_id() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 2));
    stage.settle_until(at(1_000));
    stage.delete("a");
    stage.settle_until(at(1_100));
    // Another shape in the place of the first, refused for the same reason.
    stage.put(pod("b", 3));
    // The look at every parked line is over by then; a would have been told again 500 ms later.
    stage.settle_until(at(10_200));
    assert_eq!(told(&mut stage).iter().filter(|line| line.starts_with("b ")).count(), 2);
    let next = stage.engine.wakeup().map(|(_, reason)| reason);
    assert_ne!(next, Some(WakeReason::NoticeDue), "b was told; what a was told is past");
}

#[test]
fn what_is_bound_at_once_is_announced_and_never_called_unschedulable() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    stage.settle_until(at(10_000));
    assert_eq!(told(&mut stage), ["a Scheduled: Successfully assigned team/a to n1"]);
}

#[test]
fn nothing_is_said_about_a_pod_whose_bind_is_under_way() {
    let patient = Span::seconds(100);
    let patient = Settings { doubt_initial: patient, doubt_max: patient, ..Settings::default() };
    let mut stage = Stage::with(patient, &[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.outcome(&order, Outcome::Unknown("timed out".to_owned()));
    stage.settle_until(at(60_000));
    assert!(told(&mut stage).is_empty());
}

#[test]
fn an_incomplete_gang_says_so_within_two_seconds_and_again_when_the_count_changes() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 3));
    stage.put(member("a", "train", 1));
    stage.settle_until(at(2_000));
    let one = "waiting for members: 1 of 3 exist";
    assert_eq!(
        told(&mut stage),
        [
            "train is Pending".to_owned(),
            format!("a WaitingForMembers: {one}"),
            format!("a FailedScheduling: {one}"),
        ]
    );
    stage.put(member("b", "train", 1));
    stage.settle_until(at(30_000));
    let two = "waiting for members: 2 of 3 exist";
    assert_eq!(
        told(&mut stage),
        [
            format!("a WaitingForMembers: {two}"),
            format!("a FailedScheduling: {two}"),
            format!("b WaitingForMembers: {two}"),
            format!("b FailedScheduling: {two}"),
        ]
    );
}

#[test]
fn a_gang_whose_members_dribble_in_never_says_an_old_count_for_long() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 9));
    for number in 0..8 {
        stage.put(member(&format!("a-{number}"), "train", 1));
        stage.settle_until(at(1_000 * (number + 1)));
    }
    stage.settle_until(at(16_000));
    let counts: Vec<_> = told(&mut stage)
        .into_iter()
        .filter(|line| line.starts_with("a-0 WaitingForMembers"))
        .map(|line| line.replace("a-0 WaitingForMembers: waiting for members: ", ""))
        .collect();
    assert_eq!(
        counts,
        ["1 of 9 exist", "2 of 9 exist", "3 of 9 exist", "5 of 9 exist", "8 of 9 exist"]
    );
}

#[test]
fn every_unplaced_member_of_a_complete_gang_is_told() {
    let mut stage = Stage::new(&[("n1", 3)]);
    stage.put_group(group("train", 2));
    stage.put(member("a", "train", 2));
    stage.put(member("b", "train", 2));
    stage.settle_until(at(1_000));
    let conditions: Vec<_> =
        told(&mut stage).into_iter().filter(|line| line.contains("Unsch")).collect();
    let text = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.";
    assert_eq!(conditions.len(), 2);
    for (line, name) in conditions.iter().zip(["a", "b"]) {
        assert!(line.starts_with(&format!("{name} Unschedulable: {text} ")), "{line}");
    }
}

#[test]
fn a_text_that_changes_is_said_again_in_growing_intervals() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 2));
    let mut said = Vec::new();
    for second in 0..120 {
        stage.tell(Event::Node(Box::new(node(&format!("more-{second}"), 1))));
        stage.settle_until(at(1_000 * (second + 1)));
        if !told(&mut stage).is_empty() {
            said.push(second);
        }
    }
    assert!(said.len() <= 5, "said at {said:?}");
    assert!(said.len() >= 3, "said at {said:?}");
    stage.settle_until(at(600_000));
    let last = told(&mut stage);
    assert!(last[0].contains("0/121 nodes are available"), "the last word is true: {last:?}");
}

#[test]
fn ten_thousand_waiting_pods_are_told_in_portions() {
    let mut stage = Stage::new(&[("n1", 1)]);
    for number in 0..10_000 {
        stage.put(pod(&format!("a-{number}"), 2));
    }
    let mut most = 0;
    let mut total = 0;
    let soon = |(when, _): &(Time, _)| *when < at(10_000);
    while let Some((when, _)) = stage.engine.wakeup().filter(soon) {
        stage.now = stage.now.max(when);
        let notices = stage.decide().notices.len();
        most = most.max(notices);
        total += notices;
    }
    assert!(most <= Settings::default().notices_per_cycle + 1, "{most} in one cycle");
    assert_eq!(total, 20_000);
    assert!(stage.now < at(5_000), "all were told by {:?}", stage.now);
}

#[test]
fn nobody_listening_nothing_is_composed() {
    let mut stage =
        Stage::with(Settings { notices: Notices::Silent, ..Settings::default() }, &[("n1", 1)]);
    stage.put(pod("a", 1));
    stage.put(pod("b", 1));
    stage.settle();
    assert!(stage.notices.is_empty());
    let wakes = stage.engine.wakeup().expect("the second was refused, and has a clock");
    assert_eq!(wakes.0, at(300_000));
}

#[test]
fn without_events_conditions_are_told_all_the_same() {
    let settings = Settings { notices: Notices::WithoutEvents, ..Settings::default() };
    let mut stage = Stage::with(settings, &[("n1", 1)]);
    stage.put(pod("a", 1));
    stage.put(pod("b", 1));
    stage.settle_until(at(5_000));
    let told = told(&mut stage);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("b Unschedulable: "), "{told:?}");
}

#[test]
fn a_failed_bind_is_told_only_while_it_waits() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let order = stage.decide().orders.remove(0);
    stage.outcome(&order, Outcome::Refused("denied".to_owned()));
    stage.settle_until(at(5_000));
    let text = "binding failed: denied; tried again after 1s";
    assert_eq!(
        told(&mut stage),
        [
            format!("a GangAborted: {text}"),
            format!("a FailedScheduling: {text}"),
            "a Scheduled: Successfully assigned team/a to n1".to_owned(),
        ]
    );
}

#[test]
fn priorities_that_differ_are_mentioned_once() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 2));
    stage.put(PodFact { priority: 5, ..member("a", "train", 1) });
    stage.put(PodFact { priority: 1, ..member("b", "train", 1) });
    stage.settle_until(at(5_000));
    stage.change("a", |fact| fact.phase = PodPhase::Succeeded);
    stage.settle_until(at(9_000));
    let mentions = told(&mut stage).into_iter().filter(|line| line.contains("MixedPriorities"));
    assert_eq!(
        mentions.collect::<Vec<_>>(),
        [
            "train MixedPriorities: the members' priorities differ, from 1 to 5; the gang is scheduled with the lowest"
        ]
    );
}
