//! Who is tried before whom.

use super::stage::{GPU, Stage, amounts, group, member, pod};
use crate::base::time::Time;
use crate::cluster::facts::{GroupFact, PodFact, PodPhase};
use crate::engine::order::WaitReason;
use crate::workload::ask::Ask;

#[test]
fn priority_goes_before_age_and_age_before_name() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(PodFact { created: Time(5), ..pod("a-young", 1) });
    stage.put(PodFact { created: Time(1), ..pod("old", 1) });
    stage.put(PodFact { created: Time(1), ..pod("b-old", 1) });
    stage.put(PodFact { created: Time(9), priority: 7, ..pod("urgent", 1) });
    for bound in ["urgent", "b-old", "old", "a-young"] {
        stage.settle();
        assert_eq!(stage.binds.last(), Some(&format!("{bound} n1")));
        stage.change(bound, |fact| fact.phase = PodPhase::Succeeded);
    }
}

#[test]
fn a_gang_has_the_age_of_its_group_and_the_lowest_priority_of_its_members() {
    let mut stage = Stage::new(&[("n1", 2)]);
    stage.put(PodFact { created: Time(5), priority: 3, ..pod("plain", 2) });
    stage.put_group(GroupFact { created: Time(1), ..group("train", 2) });
    stage.put(PodFact { created: Time(9), priority: 9, ..member("a", "train", 1) });
    stage.put(PodFact { created: Time(9), priority: 3, ..member("b", "train", 1) });
    stage.settle();
    assert_eq!(stage.binds, ["a n1", "b n1"]);
}

#[test]
fn a_native_groups_own_priority_counts_alone() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(PodFact { priority: 5, ..pod("plain", 1) });
    stage.put_group(GroupFact { priority: Some(6), ..group("train", 1) });
    stage.put(member("a", "train", 1));
    stage.settle();
    assert_eq!(stage.binds, ["a n1"]);
}

#[test]
fn who_does_not_fit_is_passed_by() {
    let mut stage = Stage::new(&[("n1", 2)]);
    stage.put(PodFact { created: Time(1), ..pod("big", 4) });
    stage.put(PodFact { created: Time(2), ..pod("small", 1) });
    stage.settle();
    assert_eq!(stage.binds, ["small n1"]);
    assert_eq!(stage.reasons(), [("big".to_owned(), WaitReason::Unschedulable)]);
}

#[test]
fn one_refusal_answers_for_all_of_the_same_shape() {
    let mut stage = Stage::new(&[("n1", 2)]);
    for at in 0..1000 {
        stage.put(pod(&format!("big-{at}"), 4));
    }
    stage.settle();
    assert_eq!(stage.engine.counters().refused, 1);
    assert_eq!(stage.waiting().len(), 1000);
    assert_eq!(stage.engine.backlog_lines(), 1);
}

#[test]
fn who_finds_taken_what_woke_it_is_refused_without_another_search() {
    let mut stage = Stage::new(&[("n1", 1)]);
    stage.put(pod("running", 1));
    stage.settle();
    for number in 0..50 {
        // Each of another shape.
        let mut fact = PodFact { created: Time(number), ..pod(&format!("a-{number}"), 1) };
        let ask = Ask { requests: amounts(&[("cpu", number + 1), (GPU, 1)]), ..Ask::default() };
        fact.ask = ask.into();
        stage.put(fact);
    }
    stage.settle();
    assert_eq!((stage.engine.backlog_lines(), stage.engine.counters().refused), (50, 50));
    stage.change("running", |fact| fact.phase = PodPhase::Succeeded);
    stage.settle();
    assert_eq!(stage.binds.last().map(String::as_str), Some("a-0 n1"));
    assert_eq!(stage.engine.counters().refused, 50);
    stage.change("a-0", |fact| fact.phase = PodPhase::Succeeded);
    stage.settle();
    assert_eq!(stage.binds.last().map(String::as_str), Some("a-1 n1"), "it is woken again");
}

#[test]
fn two_gangs_that_fit_alone_but_not_together_run_one_after_the_other() {
    let mut stage = Stage::new(&[("n1", 4), ("n2", 4)]);
    for name in ["left", "right"] {
        stage.put_group(group(name, 3));
        for at in 0..3 {
            stage.put(member(&format!("{name}-{at}"), name, 2));
        }
    }
    stage.settle();
    assert_eq!(stage.binds.len(), 3);
    assert!(stage.binds.iter().all(|bind| bind.starts_with("left")));
    assert_eq!(stage.reasons(), [("right".to_owned(), WaitReason::Unschedulable)]);
    for at in 0..3 {
        stage.change(&format!("left-{at}"), |fact| fact.phase = PodPhase::Succeeded);
    }
    stage.settle();
    assert_eq!(stage.binds.len(), 6);
}

#[test]
fn members_beyond_the_minimum_go_before_gangs_behind_and_never_delay_the_minimum() {
    let mut stage = Stage::new(&[("n1", 3)]);
    stage.put_group(GroupFact { created: Time(1), ..group("train", 2) });
    for at in 0..4 {
        stage.put(member(&format!("train-{at}"), "train", 1));
    }
    stage.put(PodFact { created: Time(2), ..pod("behind", 1) });
    stage.settle();
    assert_eq!(stage.binds, ["train-0 n1", "train-1 n1", "train-2 n1"]);
    stage.change("train-0", |fact| fact.phase = PodPhase::Succeeded);
    stage.settle();
    assert_eq!(stage.binds.last().map(String::as_str), Some("train-3 n1"));
}

#[test]
fn members_are_taken_in_the_order_in_which_people_count() {
    let mut stage = Stage::new(&[("n1", 11)]);
    stage.put_group(group("train", 11));
    for at in (0..12).rev() {
        stage.put(member(&format!("train-{at}"), "train", 1));
    }
    stage.settle();
    assert_eq!(stage.waiting().len(), 1);
    assert!(stage.waiting()[0].ends_with("(train-11)"), "{:?}", stage.waiting());
}
