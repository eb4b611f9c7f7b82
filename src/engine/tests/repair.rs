//! Gangs that lose members after they have started, and nodes that turn pods away.

use super::stage::{Stage, amounts, bind_of, group, member, node, pod};
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::cluster::facts::{NodeFact, PodFact, PodPhase};
use crate::engine::event::{Event, Outcome};
use crate::engine::order::{Action, EvictCause, Notice, Order};
use crate::engine::settings::{AfterRepair, Settings};

/// A member that a controller makes again.
fn owned(name: &str, gpus: i64) -> PodFact {
    PodFact { controller: Some("Job/train".into()), ..member(name, "train", gpus) }
}

/// Three members of 2 GPUs each, bound and running on n1 to n3.
fn running() -> Stage {
    running_with(Settings::default())
}

fn running_with(settings: Settings) -> Stage {
    let mut stage = Stage::with(settings, &[("n1", 2), ("n2", 2), ("n3", 2)]);
    stage.put_group(group("train", 3));
    for name in ["a", "b", "c"] {
        stage.put(owned(name, 2));
    }
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n2", "c n3"]);
    stage.binds.clear();
    stage
}

/// Reasons of the events about repairs so far.
fn told(stage: &Stage) -> Vec<&'static str> {
    let reason = |notice: &Notice| match notice {
        Notice::Event { reason, action: "Repair", .. } => Some(*reason),
        Notice::Event { .. } | Notice::Waiting { .. } | Notice::Group { .. } => None,
    };
    stage.notices.iter().filter_map(reason).collect()
}

fn evicted(orders: &[Order]) -> Vec<&str> {
    let name = |order| match order {
        &Order { action: Action::Evict { ref pod, cause, .. }, .. } => {
            assert_eq!(cause, EvictCause::GangRestarted);
            &*pod.name.name
        }
        other => panic!("{other:?} is no eviction"),
    };
    orders.iter().map(name).collect()
}

fn explained(stage: &Stage) -> String {
    let name = ObjectName::new("team", "train");
    stage.engine.explain(stage.now, &name).expect("it exists").to_string()
}

#[test]
fn a_replacement_goes_before_older_newcomers_of_its_priority() {
    let mut stage = running();
    stage.put_group(group("older", 1));
    stage.put(PodFact { created: Time(-5), ..member("o", "older", 2) });
    stage.put(PodFact { priority: 1, ..pod("urgent", 3) });
    stage.change("b", |fact| fact.phase = PodPhase::Failed);
    // Both come in one instant: the seat and the one who lost it.
    stage.put(owned("d", 2));
    stage.settle();
    assert_eq!(stage.binds, ["d n2"]);
    assert_eq!(told(&stage), ["MembersLost"]);
    assert_eq!(stage.engine.counters().gangs_crippled, 1);
    stage.settle_until(stage.now + Span::seconds(1_000));
    assert_eq!(told(&stage), ["MembersLost"], "it is whole again");
    assert!(!explained(&stage).contains("repair"));
}

#[test]
fn a_replacement_is_placed_near_the_others() {
    let mut stage = Stage::new(&[("n1", 8), ("n2", 3), ("n3", 3)]);
    stage.put_group(group("train", 2));
    stage.put(owned("a", 4));
    stage.put(owned("b", 2));
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n2"]);
    stage.change("b", |fact| fact.phase = PodPhase::Failed);
    // Packing alone would take n2, which has less left.
    stage.put(owned("d", 2));
    stage.settle();
    assert_eq!(stage.binds.last().map(String::as_str), Some("d n1"));
}

#[test]
fn a_gang_without_replacement_is_restarted_whole_once_its_time_is_over() {
    let mut stage = running();
    stage.wait(Span::seconds(5));
    stage.delete("b");
    stage.put(pod("newcomer", 2));
    stage.settle();
    assert_eq!(stage.binds, ["newcomer n2"]);
    // The replacement does not fit any more.
    stage.put(owned("d", 2));
    stage.settle_until(Time::EPOCH + Span::seconds(304));
    assert!(explained(&stage).contains("2 of 3 members are left"), "{}", explained(&stage));
    stage.wait(Span::seconds(1));
    let orders = stage.decide().orders;
    assert_eq!(evicted(&orders), ["a", "c"]);
    assert_eq!(told(&stage), ["MembersLost", "GangRestarted"]);
    assert!(
        stage.waiting()[0]
            .contains("train WaitingForMembers: waiting for members: the gang is restarted")
    );
    // Nobody is placed among those that leave, and what does not leave is evicted again.
    stage.change("a", |fact| fact.deleting = true);
    stage.wait(Span::seconds(1));
    assert_eq!(evicted(&stage.decide().orders), ["c"]);
    stage.change("c", |fact| fact.deleting = true);
    stage.settle();
    stage.delete("a");
    stage.settle();
    assert_eq!(stage.binds, ["newcomer n2"], "two seats are missing");
    stage.delete("c");
    stage.put(owned("e", 2));
    stage.put(owned("f", 2));
    stage.settle();
    assert_eq!(stage.binds, ["newcomer n2"], "the gang starts over whole or not at all");
    stage.delete("newcomer");
    stage.settle();
    assert_eq!(stage.binds.len(), 4);
    stage.engine.audit().expect("every belief survives a recount");
}

#[test]
fn an_eviction_whose_reply_never_comes_is_ordered_again_after_growing_pauses() {
    let mut stage = running();
    stage.delete("b");
    stage.settle_until(Time::EPOCH + Span::seconds(299));
    stage.wait(Span::seconds(1));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let orders = stage.decide().orders;
        assert_eq!(evicted(&orders), ["a", "c"]);
        stage.outcome(&orders[0], Outcome::Refused("denied".to_owned()));
        let before = stage.now;
        while stage.engine.wakeup().is_some_and(|(at, _)| at <= stage.now) {
            assert_eq!(stage.decide().orders, []);
        }
        let due = loop {
            let (at, _) = stage.engine.wakeup().expect("it is asked for again");
            stage.now = at;
            if stage
                .engine
                .wakeup()
                .is_some_and(|(_, reason)| reason == crate::engine::WakeReason::RepairDue)
            {
                break at;
            }
            stage.decide();
        };
        waits.push((due - before).to_string());
    }
    assert_eq!(waits, ["1s", "2s", "4s", "8s", "10s", "10s"]);
}

#[test]
fn what_would_not_come_back_is_held_and_so_is_what_is_finishing() {
    let after_all = |change: &dyn Fn(&mut Stage), settings: Settings| {
        let mut stage = running_with(settings);
        change(&mut stage);
        stage.delete("b");
        stage.settle_until(Time::EPOCH + Span::seconds(2_000));
        assert!(stage.engine.counters().evictions_ordered == 0, "{}", explained(&stage));
        stage.engine.audit().expect("every belief survives a recount");
        (told(&stage).join(" "), explained(&stage))
    };
    let (events, text) =
        after_all(&|stage| stage.change("c", |fact| fact.controller = None), Settings::default());
    assert_eq!(events, "MembersLost GangHeld");
    assert!(text.contains("it is held, since nothing would make pod c again"), "{text}");
    // Once what held it is gone, it is held no more.
    let mut stage = running();
    stage.change("c", |fact| fact.controller = None);
    stage.delete("b");
    stage.settle_until(Time::EPOCH + Span::seconds(1_000));
    assert_eq!(stage.engine.wakeup(), None, "nothing moves while it is held");
    stage.delete("c");
    assert_eq!(evicted(&stage.decide().orders), ["a"]);
    let finished = |stage: &mut Stage| stage.change("a", |fact| fact.phase = PodPhase::Succeeded);
    let (events, text) = after_all(&finished, Settings::default());
    assert_eq!(events, "MembersLost GangHeld");
    assert!(text.contains("members have ended well"), "{text}");
    let hold = Settings { after_repair: AfterRepair::Hold, ..Settings::default() };
    let (events, text) = after_all(&|_| (), hold);
    assert_eq!(events, "MembersLost GangHeld");
    assert!(text.contains("held by configuration"), "{text}");
}

#[test]
fn members_that_end_well_and_are_cleaned_up_cripple_nobody() {
    let mut stage = running();
    for name in ["a", "b"] {
        stage.change(name, |fact| fact.phase = PodPhase::Succeeded);
        stage.delete(name);
        stage.settle_until(stage.now + Span::seconds(1_000));
    }
    assert_eq!(told(&stage), Vec::<&str>::new());
    assert_eq!(stage.engine.counters().gangs_crippled, 0);
}

#[test]
fn a_node_that_offers_less_than_is_used_loses_nobody_and_gets_nobody() {
    let mut stage = Stage::new(&[("n1", 8), ("n2", 4)]);
    stage.put_group(group("train", 2));
    stage.put(owned("a", 4));
    stage.put(owned("b", 4));
    stage.settle();
    assert_eq!(stage.binds, ["a n2", "b n1"]);
    stage.tell(Event::Node(Box::new(node("n2", 2))));
    stage.settle_until(stage.now + Span::seconds(1_000));
    assert_eq!(stage.engine.counters().gangs_crippled, 0, "what runs there runs on");
    stage.change("a", |fact| {
        fact.phase = PodPhase::Failed;
        fact.reason = Some("OutOfnvidia.com/gpu".into());
    });
    stage.put(owned("c", 4));
    stage.settle();
    assert_eq!(stage.binds.last().map(String::as_str), Some("c n1"));
}

/// Binds the pod, whose kubelet turns it away.
fn turned_away(stage: &mut Stage, name: &str, reason: &str) -> String {
    stage.put(pod(name, 1));
    let order = stage.decide().orders.remove(0);
    let node = bind_of(&order).node.to_string();
    stage.apply(&order);
    stage.change(name, |fact| {
        fact.phase = PodPhase::Failed;
        fact.reason = Some(reason.into());
    });
    stage.settle();
    node
}

#[test]
fn a_node_that_turns_pods_away_is_avoided_longer_each_time_and_people_see_it() {
    let mut stage = Stage::new(&[("n1", 1)]);
    let mut waits = Vec::new();
    for round in 0..8 {
        assert_eq!(turned_away(&mut stage, &format!("p{round}"), "UnexpectedAdmissionError"), "n1");
        let quarantined = stage.engine.quarantined();
        assert_eq!(quarantined.len(), 1);
        waits.push((quarantined[0].until - stage.now).to_string());
        let name = format!("next{round}");
        stage.put(pod(&name, 1));
        stage.settle();
        let waiting =
            "0/1 nodes are available: 1 node(s) were in quarantine for turning pods away.";
        assert!(stage.waiting()[0].contains(waiting), "{:?}", stage.waiting());
        let explanation = stage.engine.explain(stage.now, &ObjectName::new("team", &name));
        let text = explanation.expect("it exists").to_string();
        assert!(text.contains("in quarantine: n1 until"), "{text}");
        assert!(text.contains("a quarantine that ends"), "{text}");
        stage.settle_until(quarantined[0].until);
        assert_eq!(
            stage.binds.last(),
            Some(&format!("{name} n1")),
            "its end wakes who waits for it"
        );
        stage.delete(&name);
        stage.settle();
    }
    assert_eq!(waits, ["10s", "20s", "40s", "1m20s", "2m40s", "5m20s", "10m0s", "10m0s"]);
    stage.wait(Span::seconds(601));
    turned_away(&mut stage, "late", "UnexpectedAdmissionError");
    let quarantined = stage.engine.quarantined();
    assert_eq!(quarantined[0].times, 1, "what has not happened for long is forgotten");
    turned_away_elsewhere(&mut stage);
}

/// Another machine under the same name has done nothing yet.
fn turned_away_elsewhere(stage: &mut Stage) {
    stage.tell(Event::NodeGone("n1".into()));
    stage.put(pod("patient", 1));
    let mut same = node("n1", 1);
    stage.tell(Event::Node(Box::new(same.clone())));
    stage.settle();
    assert_eq!(stage.engine.quarantined().len(), 1, "the same machine came back");
    same.uid = "another".into();
    stage.tell(Event::Node(Box::new(same)));
    stage.settle();
    assert_eq!(stage.engine.quarantined(), []);
    assert_eq!(stage.binds.last().map(String::as_str), Some("patient n1"));
}

#[test]
fn only_what_a_kubelet_turns_away_counts_once_for_each_reason() {
    let mut stage = Stage::new(&[("n1", 4)]);
    for (name, reason) in [("a", "Evicted"), ("b", "DeadlineExceeded"), ("c", "")] {
        turned_away(&mut stage, name, reason);
    }
    assert_eq!(stage.engine.quarantined(), []);
    // A pod of somebody else may have been too much for the node; one that failed long ago says nothing.
    let failed = PodFact {
        node: Some("n1".into()),
        phase: PodPhase::Failed,
        reason: Some("OutOfcpu".into()),
        ..pod("old", 1)
    };
    stage.put(failed.clone());
    stage.put(PodFact { scheduler: "other".into(), node: Some("n1".into()), ..pod("theirs", 1) });
    stage.change("theirs", |fact| {
        fact.phase = PodPhase::Failed;
        fact.reason = Some("OutOfcpu".into());
    });
    assert_eq!(stage.engine.quarantined(), []);
    stage.tell(Event::Node(Box::new(NodeFact {
        allocatable: amounts(&[("cpu", 100_000), (super::stage::GPU, 2), ("pods", 110)]),
        ..node("n1", 2)
    })));
    stage.put(pod("d", 1));
    stage.put(pod("e", 1));
    stage.settle();
    for (name, reason) in [("d", "OutOfcpu"), ("e", "UnexpectedAdmissionError")] {
        stage.change(name, |fact| {
            fact.phase = PodPhase::Failed;
            fact.reason = Some(reason.into());
        });
    }
    let told: Vec<_> =
        stage.engine.quarantined().into_iter().map(|q| (q.reason, q.times)).collect();
    assert_eq!(told, [("OutOfcpu".into(), 1), ("UnexpectedAdmissionError".into(), 1)]);
}

#[test]
fn a_bind_in_doubt_to_a_node_that_closed_is_fenced_off() {
    let doubt = || {
        let mut stage = Stage::new(&[("n1", 1)]);
        stage.put(pod("a", 1));
        let order = stage.decide().orders.remove(0);
        stage.outcome(&order, Outcome::Unknown("timed out".to_owned()));
        let mut cordoned = node("n1", 1);
        cordoned.unschedulable = true;
        stage.tell(Event::Node(Box::new(cordoned)));
        stage.wait(Span::seconds(1));
        let fence = stage.decide().orders.remove(0);
        assert!(matches!(fence.action, Action::Fence { .. }), "{fence:?}");
        (stage, fence)
    };
    let (mut stage, fence) = doubt();
    stage.outcome(&fence, Outcome::Written { resource_version: 9 });
    assert_eq!(stage.engine.orders_under_way(), 0);
    stage.tell(Event::Node(Box::new(node("n2", 1))));
    stage.change("a", |_| ());
    stage.settle();
    assert_eq!(stage.binds, ["a n2"]);
    for found in ["n1", "n2"] {
        let (mut stage, fence) = doubt();
        stage.outcome(&fence, Outcome::BoundTo(found.into()));
        assert_eq!(stage.engine.orders_under_way(), 0);
        let explained = stage.engine.explain(stage.now, &ObjectName::new("team", "a"));
        let state = explained.expect("it exists").members.remove(0);
        assert_eq!((state.state, state.node.as_deref()), ("bound", Some(found)));
        stage.engine.audit().expect("every belief survives a recount");
    }
}
