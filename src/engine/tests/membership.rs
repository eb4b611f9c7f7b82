//! Who is a member of what, in any order of arrival, and what a gang says while it cannot be placed.

use std::sync::Arc;

use super::stage::{GPU, Stage, amounts, group, group_name, member, node, pod};
use crate::base::names::ObjectName;
use crate::cluster::facts::{GroupFact, GroupName, GroupSource, PodFact, PodPhase};
use crate::engine::event::Event;
use crate::engine::order::WaitReason;
use crate::workload::ask::Ask;

#[test]
fn a_gang_waits_for_its_members_and_says_how_many_exist() {
    let mut stage = Stage::new(&[("n1", 8)]);
    for at in 0..3 {
        stage.put(member(&format!("train-{at}"), "train", 2));
    }
    stage.settle();
    assert_eq!(
        stage.waiting(),
        [
            "train WaitingForMembers: waiting for members: PodGroup train does not exist in namespace team \
         (3 pods name it in their pod-group label); create it there, in the API group scheduling.x-k8s.io \
         (train-0 train-1 train-2)"
        ]
    );
    stage.put_group(group("train", 4));
    stage.settle();
    assert_eq!(
        stage.waiting(),
        ["train WaitingForMembers: waiting for members: 3 of 4 exist (train-0 train-1 train-2)"]
    );
    stage.put(member("train-3", "train", 2));
    stage.settle();
    assert_eq!(stage.binds, ["train-0 n1", "train-1 n1", "train-2 n1", "train-3 n1"]);
    assert!(stage.waiting().is_empty());
}

#[test]
fn a_group_of_another_namespace_is_another_group() {
    let mut stage = Stage::new(&[("n1", 8)]);
    let mut elsewhere = group("train", 1);
    elsewhere.name.name = ObjectName::new("other", "train");
    stage.put_group(elsewhere);
    stage.put(member("train-0", "train", 1));
    stage.settle();
    assert_eq!(stage.reasons(), [("train".to_owned(), WaitReason::WaitingForMembers)]);
    let explained = stage.engine.explain(stage.now, &ObjectName::new("team", "train"));
    let message = explained.and_then(|explained| explained.message).expect("it waits");
    assert!(
        message.ends_with(
            "; namespace other has a PodGroup train, and pods join only groups of their own namespace"
        ),
        "{message}"
    );
}

#[test]
fn a_group_of_the_other_api_is_pointed_out() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 1));
    let native = GroupName { source: GroupSource::Native, ..group_name("train") };
    stage.put(PodFact { group: Some(native), ..pod("a", 1) });
    stage.settle();
    let waiting = stage.waiting().join("\n");
    assert!(
        waiting.contains(
            "PodGroup train does not exist in namespace team (1 pod names it in spec.schedulingGroup.podGroupName); \
             the one there is of scheduling.x-k8s.io: pods name it in the pod-group label"
        ),
        "{waiting}"
    );
}

#[test]
fn groups_of_one_name_from_two_sources_are_two_gangs() {
    let mut stage = Stage::new(&[("n1", 8)]);
    let native = GroupName { source: GroupSource::Native, ..group_name("train") };
    stage.put_group(group("train", 2));
    stage.put(member("a", "train", 1));
    stage.put(PodFact { group: Some(native.clone()), ..pod("b", 1) });
    stage.tell(Event::Group(Box::new(GroupFact {
        name: native,
        uid: "train-native-uid".into(),
        ..group("train", 2)
    })));
    stage.settle();
    assert_eq!(
        stage.waiting(),
        [
            "train WaitingForMembers: waiting for members: 1 of 2 exist (a)",
            "train WaitingForMembers: waiting for members: 1 of 2 exist (b)",
        ]
    );
}

#[test]
fn a_moved_label_moves_the_pod() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("left", 2));
    stage.put_group(group("right", 2));
    stage.put(member("a", "left", 1));
    stage.put(member("b", "right", 1));
    stage.settle();
    assert!(stage.binds.is_empty());
    stage.change("a", |fact| fact.group = Some(group_name("right")));
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n1"]);
    assert!(stage.waiting().is_empty(), "an empty group waits for nothing");
}

#[test]
fn a_group_that_is_deleted_and_made_again_begins_anew() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 2));
    stage.put(member("a", "train", 1));
    stage.delete_group("train");
    stage.settle();
    assert_eq!(stage.reasons(), [("train".to_owned(), WaitReason::WaitingForMembers)]);
    stage.put_group(GroupFact { uid: "another".into(), ..group("train", 1) });
    stage.settle();
    assert_eq!(stage.binds, ["a n1"]);
}

#[test]
fn a_pod_made_again_under_its_name_is_another_pod_even_if_the_deletion_was_missed() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    stage.settle();
    stage.put(PodFact { uid: "second".into(), ..pod("a", 1) });
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "a n1"]);
    // The late news about the first one does not touch the second.
    let name = ObjectName::new("team", "a");
    stage.tell(Event::PodGone { name, uid: "a-uid".into() });
    stage.put(pod("b", 1));
    stage.settle();
    assert_eq!(stage.reasons(), [("b".to_owned(), WaitReason::Unschedulable)]);
}

#[test]
fn an_old_fact_changes_nothing() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("a", 1));
    let old = stage.pod("a").clone();
    stage.settle();
    stage.tell(Event::Pod(Box::new(old)));
    stage.settle();
    assert_eq!(stage.binds, ["a n1"]);
    assert_eq!(stage.engine.counters().facts_stale, 1);
}

#[test]
fn gated_members_do_not_count() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 2));
    stage.put(member("a", "train", 1));
    stage.put(PodFact { gates: vec!["example.com/hold".into()], ..member("b", "train", 1) });
    stage.settle();
    assert_eq!(
        stage.waiting(),
        [
            "train WaitingForMembers: waiting for members: 1 of 2 exist, 1 more has scheduling gates (a)",
            "train SchedulingGated: Scheduling is blocked due to non-empty scheduling gates (b)",
        ]
    );
    stage.change("b", |fact| fact.gates.clear());
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n1"]);
}

#[test]
fn a_member_that_is_being_deleted_does_not_count_and_one_that_succeeded_does() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 3));
    stage.put(PodFact { phase: PodPhase::Succeeded, ..member("done", "train", 1) });
    stage.put(PodFact { deleting: true, ..member("leaving", "train", 1) });
    stage.put(member("a", "train", 1));
    stage.settle();
    assert_eq!(stage.waiting(), ["train WaitingForMembers: waiting for members: 2 of 3 exist (a)"]);
    stage.put(member("b", "train", 1));
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n1"]);
}

#[test]
fn members_that_name_different_schedulers_are_told_apart() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 3));
    stage.put(member("a", "train", 1));
    stage.put(member("b", "train", 1));
    stage.put(PodFact { scheduler: "default-scheduler".into(), ..member("c", "train", 1) });
    stage.settle();
    assert_eq!(
        stage.waiting(),
        ["train InvalidGang: the members of a gang must name one scheduler; they name \
         default-scheduler (c) and muster (a, b) (a b)"]
    );
    stage.change("c", |fact| fact.scheduler = "muster".into());
    stage.settle();
    assert_eq!(stage.binds.len(), 3);
}

#[test]
fn gangs_of_other_schedulers_are_left_alone() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put_group(group("train", 1));
    stage.put(PodFact { scheduler: "volcano".into(), ..member("a", "train", 1) });
    stage.put(PodFact { scheduler: String::new().as_str().into(), ..pod("b", 1) });
    stage.settle();
    assert!(stage.binds.is_empty() && stage.waiting().is_empty());
    // Bound ones count on their node.
    stage.change("a", |fact| fact.node = Some("n1".into()));
    stage.put(pod("c", 1));
    stage.settle();
    assert_eq!(stage.reasons(), [("c".to_owned(), WaitReason::Unschedulable)]);
}

#[test]
fn an_absurd_minimum_is_waited_for() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(group("train", 2_147_483_647));
    stage.put(member("a", "train", 1));
    stage.settle();
    assert_eq!(
        stage.waiting(),
        ["train WaitingForMembers: waiting for members: 1 of 2147483647 exist (a)"]
    );
}

#[test]
fn what_is_malformed_or_unsupported_is_refused_by_name() {
    let mut stage = Stage::new(&[("n1", 8)]);
    stage.put_group(GroupFact {
        malformed: Some("spec.minMember: 0 is less than 1".into()),
        ..group("wrong", 1)
    });
    stage.put(member("a", "wrong", 1));
    stage.put_group(GroupFact {
        unsupported: vec!["required topology \"rack\"".into()],
        ..group("wish", 1)
    });
    stage.put(member("b", "wish", 1));
    stage.put_group(group("mixed", 1));
    stage.put(member("c", "mixed", 1));
    let ask = Ask { unsupported: vec!["spec.resourceClaims".into()], ..Ask::default() };
    stage.put(PodFact { ask: Arc::new(ask), ..member("d", "mixed", 1) });
    stage.put(PodFact { malformed: Some("spec.priority is not a number".into()), ..pod("e", 1) });
    stage.settle();
    assert_eq!(
        stage.waiting(),
        [
            "e InvalidGang: pod e is not valid: spec.priority is not a number (e)",
            "mixed Unsupported: pod d asks for what is not supported: spec.resourceClaims (c d)",
            "wish Unsupported: PodGroup team/wish asks for what is not supported: required topology \"rack\" (b)",
            "wrong InvalidGang: PodGroup team/wrong is not valid: spec.minMember: 0 is less than 1 (a)",
        ]
    );
    assert!(stage.binds.is_empty());
    stage.delete("d");
    stage.settle();
    assert_eq!(stage.binds, ["c n1"]);
}

#[test]
fn members_of_a_basic_group_are_placed_each_on_its_own() {
    let mut stage = Stage::new(&[("n1", 2)]);
    stage.put_group(GroupFact { minimum: None, ..group("pool", 1) });
    stage.put(member("a", "pool", 4));
    stage.put(member("b", "pool", 1));
    stage.put(member("c", "pool", 1));
    stage.put(member("d", "pool", 1));
    stage.settle();
    assert_eq!(stage.binds, ["b n1", "c n1"]);
    assert_eq!(stage.waiting().len(), 1);
}

#[test]
fn min_resources_are_a_floor_before_any_search() {
    let mut stage = Stage::new(&[("n1", 4), ("n2", 4)]);
    stage.put(pod("other", 1));
    stage.settle();
    stage.put_group(GroupFact { min_resources: amounts(&[(GPU, 8)]), ..group("spark", 1) });
    stage.put(member("driver", "spark", 1));
    stage.settle();
    assert_eq!(
        stage.waiting(),
        [
            "spark Unschedulable: 0/2 nodes are available: the PodGroup's minResources are not free in the \
         cluster as a whole, missing 1 nvidia.com/gpu. (driver)"
        ]
    );
    assert_eq!(stage.engine.counters().refused_by_floor, 1);
    stage.tell(Event::Node(Box::new(node("n3", 1))));
    stage.settle();
    assert_eq!(stage.binds.len(), 2, "the floor counts the cluster as a whole");
}

#[test]
fn pods_may_be_told_before_their_node() {
    let mut stage = Stage::new(&[]);
    stage.put(PodFact { node: Some("n1".into()), phase: PodPhase::Running, ..pod("a", 1) });
    stage.put(pod("b", 1));
    stage.settle();
    assert_eq!(stage.waiting(), ["b Unschedulable: no nodes available to schedule pods (b)"]);
    stage.tell(Event::Node(Box::new(node("n1", 2))));
    stage.settle();
    assert_eq!(stage.binds, ["b n1"]);
    stage.put(pod("c", 1));
    stage.settle();
    assert_eq!(stage.reasons(), [("c".to_owned(), WaitReason::Unschedulable)]);
}
