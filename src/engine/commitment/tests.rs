//! The machine by itself: what it calls, in which order, and what it makes of replies and facts.
//! A step of the tests' own stands for the capabilities to come.
//! What interleavings of two schedulers can do is the business of the model.

use super::*;
use crate::base::names::ObjectName;
use crate::cluster::facts::{GroupName, GroupSource};
use crate::engine::event::Outcome;

const NOW: Time = Time(1_000);

/// A step of the preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Volume(u8);

type Machine = Commitment<Volume>;

fn seat(name: &str, node: &str) -> Seat {
    Seat {
        pod: ObjectName::new("team", name),
        uid: format!("{name}-uid").as_str().into(),
        node: node.into(),
        version: 1,
        owner: Owner::Controller,
    }
}

fn proposal(epoch: u32, minimum: u32, seats: Vec<Seat>) -> Proposal<Volume> {
    Proposal {
        group: GroupRef {
            name: GroupName {
                name: ObjectName::new("team", "train"),
                source: GroupSource::Coscheduling,
            },
            uid: "group-uid".into(),
            resource_version: 10,
        },
        record_version: 0,
        predecessor: Predecessor::Over,
        epoch,
        minimum,
        seats,
        steps: Vec::new(),
        deadline: Time::EPOCH,
        leader: "muster".into(),
    }
}

fn pair() -> Vec<Seat> {
    vec![seat("a", "n1"), seat("b", "n2")]
}

const fn written(resource_version: u64) -> Outcome {
    Outcome::Written { resource_version }
}

fn unknown() -> Outcome {
    Outcome::Unknown("timed out".to_owned())
}

/// The next call, which must be this one, comes back so.
#[track_caller]
fn step(machine: &mut Machine, call: Call<Volume>, outcome: Outcome) {
    assert_eq!(machine.next(NOW), Some(call));
    machine.settled(call, &outcome, NOW);
}

/// Two members of a plan that is decided and verified, whose binds are due.
fn published() -> Machine {
    let mut machine = Machine::hold(proposal(1, 2, pair()), Rules::ALL);
    step(&mut machine, Call::Propose, written(1));
    step(&mut machine, Call::Commit, written(11));
    step(&mut machine, Call::Verify, Outcome::Done);
    machine
}

#[test]
fn a_gang_takes_three_writes_beside_its_binds() {
    let mut machine = Machine::hold(proposal(1, 2, pair()), Rules::ALL);
    assert_eq!(machine.state(), State::Holding);
    step(&mut machine, Call::Propose, written(1));
    step(&mut machine, Call::Commit, written(11));
    step(&mut machine, Call::Verify, Outcome::Done);
    assert_eq!(machine.state(), State::Publishing);
    assert_eq!(machine.next(NOW), Some(Call::Bind(0)));
    assert_eq!(machine.next(NOW), Some(Call::Bind(1)));
    assert_eq!(machine.next(NOW), None, "nothing is sealed before every bind is known");
    machine.settled(Call::Bind(1), &Outcome::Done, NOW);
    machine.settled(Call::Bind(0), &Outcome::Done, NOW);
    step(&mut machine, Call::Seal, written(2));
    assert_eq!((machine.state(), machine.next(NOW)), (State::Sealed, None));
}

#[test]
fn a_group_that_was_written_since_is_decided_on_again_in_its_new_version() {
    let mut machine = Machine::hold(proposal(1, 2, pair()), Rules::ALL);
    step(&mut machine, Call::Propose, written(1));
    step(&mut machine, Call::Commit, Outcome::Conflict("modified".to_owned()));
    assert_eq!(machine.next(NOW), None, "the version that is known is known to be old");
    machine.group_seen(15);
    let call = machine.next(NOW).expect("the group is known");
    let Some(Action::Commit { group, .. }) = machine.action(&call) else { panic!("{call:?}") };
    assert_eq!(group.resource_version, 15);
}

#[test]
fn a_version_that_was_seen_before_the_conflict_was_answered_is_decided_on() {
    let mut machine = Machine::hold(proposal(1, 2, pair()), Rules::ALL);
    step(&mut machine, Call::Propose, written(1));
    let call = machine.next(NOW).expect("it is to be decided");
    machine.group_seen(15);
    machine.settled(call, &Outcome::Conflict("modified".to_owned()), NOW);
    let later = machine.wakeup().expect("no further fact has to come");
    let call = machine.next(later).expect("the group is known");
    let Some(Action::Commit { group, .. }) = machine.action(&call) else { panic!("{call:?}") };
    assert_eq!(group.resource_version, 15);
}

#[test]
fn a_bind_in_doubt_is_verified_and_sent_again_and_a_fact_settles_it() {
    let mut machine = published();
    step(&mut machine, Call::Bind(0), unknown());
    step(&mut machine, Call::Bind(1), Outcome::Done);
    assert_eq!(machine.next(NOW), None, "it rests first");
    let later = machine.wakeup().expect("it is tried again");
    assert_eq!(machine.next(later), Some(Call::Verify));
    machine.settled(Call::Verify, &Outcome::Done, later);
    machine.pod_seen("a-uid", Sight::Bound("n1".into()), later);
    assert_eq!(machine.next(later), Some(Call::Seal), "no second bind is needed");
}

#[test]
fn a_newer_version_of_a_pod_is_bound_at_once() {
    let mut machine = published();
    step(&mut machine, Call::Bind(0), Outcome::Conflict("modified".to_owned()));
    machine.pod_seen("a-uid", Sight::Unbound(7), NOW);
    step(&mut machine, Call::Bind(1), Outcome::Done);
    step(&mut machine, Call::Verify, Outcome::Done);
    let call = machine.next(NOW).expect("a is bound again");
    let Some(Action::Bind { pod, .. }) = machine.action(&call) else { panic!("{call:?}") };
    assert_eq!((&*pod.name.name, pod.resource_version), ("a", 7));
}

#[test]
fn what_is_given_up_is_fenced_and_evicted_before_it_counts_as_undone() {
    let mut machine = published();
    step(&mut machine, Call::Bind(0), Outcome::Done);
    assert_eq!(machine.next(NOW), Some(Call::Bind(1)));
    assert_eq!(machine.give_up(), GaveUp::Undone);
    machine.settled(Call::Bind(1), &unknown(), NOW);
    step(&mut machine, Call::Abort, written(3));
    assert_eq!(machine.next(NOW), Some(Call::Evict(0)));
    assert_eq!(machine.next(NOW), Some(Call::Fence(1)));
    machine.settled(Call::Evict(0), &Outcome::Done, NOW);
    // The bind that nobody heard of came first.
    machine.settled(Call::Fence(1), &Outcome::BoundTo("n2".into()), NOW);
    step(&mut machine, Call::Evict(1), Outcome::Done);
    step(&mut machine, Call::FinishAbort, written(4));
    assert_eq!(machine.state(), State::Aborted);
}

#[test]
fn a_pod_without_controller_is_never_evicted_and_its_gang_is_completed_around_it() {
    let bare = Seat { owner: Owner::Nobody, ..seat("a", "n1") };
    let mut machine = Machine::hold(proposal(1, 2, vec![bare, seat("b", "n2")]), Rules::ALL);
    step(&mut machine, Call::Propose, written(1));
    step(&mut machine, Call::Commit, written(11));
    step(&mut machine, Call::Verify, Outcome::Done);
    step(&mut machine, Call::Bind(0), unknown());
    step(&mut machine, Call::Bind(1), Outcome::Refused("denied".to_owned()));
    assert_eq!(machine.give_up(), GaveUp::Undone, "nothing is known to be bound");
    step(&mut machine, Call::Abort, written(2));
    step(&mut machine, Call::Fence(0), Outcome::BoundTo("n1".into()));
    step(&mut machine, Call::Fence(1), written(9));
    assert_eq!(machine.next(NOW), None);
    assert!(machine.wants_repair() && !machine.is_over());
    assert!(!machine.holds("b-uid"), "its seat is free for others");
    assert_eq!(machine.remaining().len(), 1);

    let mut held = published();
    held.pod_seen("a-uid", Sight::Bound("n1".into()), NOW);
    held.members[0].seat.owner = Owner::Nobody;
    assert_eq!(held.give_up(), GaveUp::Held);
}

#[test]
fn a_repair_pins_the_bound_and_fences_what_it_moves() {
    let mut machine = published();
    step(&mut machine, Call::Bind(0), Outcome::Done);
    step(&mut machine, Call::Bind(1), Outcome::Refused("denied".to_owned()));
    assert_eq!(machine.next(NOW), None);
    assert!(machine.wants_repair());
    let seats = vec![seat("b", "n3"), seat("a", "n1")];
    let mut machine = machine.repair(proposal(2, 2, seats));
    assert_eq!((machine.mark().epoch, machine.bound()), (2, 1));
    assert_eq!(machine.record().resource_version, 1, "the record of before is replaced");
    step(&mut machine, Call::Propose, written(5));
    step(&mut machine, Call::Commit, written(12));
    step(&mut machine, Call::Fence(0), written(8));
    step(&mut machine, Call::Verify, Outcome::Done);
    let call = machine.next(NOW).expect("b is bound");
    let Some(Action::Bind { pod, node, epoch, .. }) = machine.action(&call) else {
        panic!("{call:?}")
    };
    assert_eq!((&*pod.name.name, pod.resource_version, &*node, epoch), ("b", 8, "n3", 2));
}

#[test]
fn a_lost_member_stops_what_is_not_bound_yet() {
    let mut machine = Machine::hold(proposal(1, 2, pair()), Rules::ALL);
    step(&mut machine, Call::Propose, written(1));
    step(&mut machine, Call::Commit, written(11));
    machine.pod_seen("a-uid", Sight::Lost, NOW);
    assert_eq!(machine.next(NOW), None, "one of two is not bound by itself");
    assert!(machine.wants_repair());
}

#[test]
fn what_is_lost_after_the_minimum_was_bound_is_no_longer_the_plans_to_mend() {
    let mut machine = published();
    step(&mut machine, Call::Bind(0), Outcome::Done);
    step(&mut machine, Call::Bind(1), Outcome::Done);
    machine.pod_seen("a-uid", Sight::Lost, NOW);
    assert!(!machine.wants_repair());
    step(&mut machine, Call::Seal, written(2));
}

#[test]
fn a_plan_that_does_not_hold_good_any_more_is_not_decided() {
    for sight in [Sight::Lost, Sight::Bound("n9".into())] {
        let mut machine = Machine::hold(proposal(1, 2, pair()), Rules::ALL);
        step(&mut machine, Call::Propose, written(1));
        machine.pod_seen("a-uid", sight, NOW);
        assert_eq!((machine.state(), machine.next(NOW)), (State::Dropped, None));
    }
}

#[test]
fn a_plan_that_replaces_an_open_one_fences_before_it_binds() {
    let open = Proposal { predecessor: Predecessor::Open, ..proposal(2, 2, pair()) };
    let mut machine = Machine::hold(open, Rules::ALL);
    machine.pod_seen("b-uid", Sight::Bound("n2".into()), NOW);
    step(&mut machine, Call::Propose, written(1));
    step(&mut machine, Call::Commit, written(11));
    step(&mut machine, Call::Fence(0), written(5));
    assert_eq!(machine.next(NOW), Some(Call::Verify));
}

#[test]
fn steps_wait_fail_and_are_undone_last_first() {
    let steps = vec![Volume(1), Volume(2)];
    let mut machine = Machine::hold(Proposal { steps, ..proposal(1, 2, pair()) }, Rules::ALL);
    step(&mut machine, Call::Propose, written(1));
    step(&mut machine, Call::Commit, written(11));
    assert_eq!(machine.next(NOW), Some(Call::Prepare(Volume(1))));
    assert_eq!(machine.state(), State::Preparing);
    assert_eq!(machine.next(NOW), None, "it waits for the step");
    machine.settled(Call::Prepare(Volume(1)), &Outcome::Done, NOW);
    step(&mut machine, Call::Prepare(Volume(2)), Outcome::Refused("no space".to_owned()));
    step(&mut machine, Call::Abort, written(2));
    step(&mut machine, Call::Undo(Volume(2)), Outcome::Done);
    step(&mut machine, Call::Undo(Volume(1)), Outcome::Done);
    assert_eq!(machine.next(NOW), Some(Call::Fence(0)));
    assert_eq!(machine.state(), State::Aborting);
}

#[test]
fn a_very_large_plan_is_written_in_parts_the_record_last() {
    let members = MEMBERS_PER_OBJECT + 1;
    let seats = (0..members).map(|at| seat(&format!("p{at}"), "n1")).collect();
    let mut machine = Machine::hold(proposal(1, 2, seats), Rules::ALL);
    let parts = |machine: &Machine, call| match machine.action(&call) {
        Some(Action::Propose(record)) => (record.part, record.members.len()),
        other => panic!("{other:?}"),
    };
    let call = machine.next(NOW).expect("the further part");
    assert_eq!(parts(&machine, call), (RecordPart::Further { index: 1 }, 1));
    machine.settled(call, &written(1), NOW);
    let call = machine.next(NOW).expect("the record");
    let head = (RecordPart::Head { further: 1 }, MEMBERS_PER_OBJECT);
    assert_eq!((call, parts(&machine, call)), (Call::Propose, head));
}

#[test]
fn a_record_is_resumed_from_what_is_bound_by_now() {
    let mut machine = published();
    let Some(Action::Propose(record)) = machine.action(&Call::Propose) else { panic!() };
    let record = RecordFact { resource_version: 4, ..*record };
    let group = proposal(1, 2, Vec::new()).group;
    let at = |entry: &RecordMember| Standpoint {
        sight: if &*entry.pod == "a" { Sight::Bound("n1".into()) } else { Sight::Unbound(6) },
        owner: Owner::Controller,
    };
    let mut resumed = Machine::resume(&record, group.clone(), Vec::new(), Rules::ALL, at);
    step(&mut resumed, Call::Verify, Outcome::Done);
    step(&mut resumed, Call::Bind(1), Outcome::Done);
    step(&mut resumed, Call::Seal, written(5));

    let aborting = RecordFact { phase: RecordPhase::Aborting, ..record };
    let mut resumed = Machine::resume(&aborting, group, Vec::new(), Rules::ALL, at);
    step(&mut resumed, Call::Evict(0), Outcome::Done);
    step(&mut resumed, Call::Fence(1), written(7));
    step(&mut resumed, Call::FinishAbort, written(6));
    assert_eq!(resumed.state(), State::Aborted);
    machine.settled(Call::Verify, &Outcome::Gone, NOW);
}

#[test]
fn a_fence_that_is_still_owed_is_made_by_the_plan_that_follows() {
    let machine = Machine::hold(proposal(2, 2, pair()), Rules::ALL);
    let Some(Action::Propose(record)) = machine.action(&Call::Propose) else { panic!() };
    let record = RecordFact { resource_version: 4, ..*record };
    let at = |_: &RecordMember| Standpoint { sight: Sight::Unbound(6), owner: Owner::Controller };
    let group = proposal(2, 2, Vec::new()).group;
    let mut resumed = Machine::resume(&record, group, Vec::new(), Rules::ALL, at);
    // Their seats are gone before the fences against plan 1 go out; later they get the same ones again, and a third
    // pod comes along, which plan 1 may have had.
    resumed.deny("a-uid", "full");
    resumed.deny("b-uid", "full");
    let seats = [pair(), vec![seat("c", "n3")]].concat();
    let mut next = resumed.repair(proposal(3, 2, seats));
    step(&mut next, Call::Propose, written(5));
    step(&mut next, Call::Commit, written(12));
    for place in 0..3 {
        step(&mut next, Call::Fence(place), written(8));
    }
    step(&mut next, Call::Verify, Outcome::Done);
}
