//! The adversary: what may happen next, and what the world is like after it.
//! Schedulers are the product's machine and the calls that it has under way; requests live on by themselves once
//! their sender has given up on them. Time does not pass: every rest may be over at any moment.

use muster::base::time::Time;
use muster::cluster::facts::CommitMark;
use muster::engine::commitment::{
    Call, Commitment, Owner, Predecessor, Proposal, Rules, Seat, Sight, Standpoint, State as Stand,
};
use muster::engine::event::Outcome;
use muster::engine::order::Action;
use muster::engine::record::{RecordFact, RecordPhase};
use stateright::{Model, Property};

use crate::api::{Api, NODES, PODS, Reads, node_name, pod_name};
use crate::judge;
use crate::mischief::{Arrival, Budget, Happening};

/// Schedulers.
const SCHEDULERS: usize = 2;

/// Every rest is over by now.
const NOW: Time = Time(i64::MAX);

/// A step of the preparation, of which the tests have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Step;

/// What is explored.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) budget: Budget,
    /// Plans of later epochs are not explored.
    pub(crate) epochs: u32,
    /// How many schedulers there are. One by itself needs no more plans than `epochs`.
    pub(crate) schedulers: u8,
    /// The gang's minimum at the start.
    pub(crate) minimum: u32,
    /// Whether plans have a step of preparation.
    pub(crate) step: bool,
    /// Whether only who holds the lease makes plans, having decided nothing before it got it.
    pub(crate) elected: bool,
    /// Whether a verification reads the lease.
    pub(crate) lease: bool,
    /// Mutant: a verification takes any plan for the one that was meant.
    pub(crate) any_plan_verifies: bool,
    /// Mutant: a verification reads the record as it was before its last change.
    pub(crate) stale_reads: bool,
}

/// A request that has not arrived yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) by: u8,
    pub(crate) action: Action,
    /// What the sender waits for; `None` once it no longer does.
    pub(crate) awaited: Option<Call<Step>>,
}

/// A state of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) api: Api,
    pub(crate) machines: [Option<Commitment<Step>>; SCHEDULERS],
    /// Requests under way, in no meaningful order.
    pub(crate) net: Vec<Request>,
    pub(crate) left: Budget,
}

impl World {
    pub(crate) const fn new(budget: Budget) -> Self {
        Self {
            rules: Rules::ALL,
            budget,
            epochs: 2,
            schedulers: SCHEDULERS as u8,
            minimum: 2,
            step: false,
            elected: false,
            lease: false,
            any_plan_verifies: false,
            stale_reads: false,
        }
    }

    pub(crate) const fn reads(&self) -> Reads {
        Reads {
            lease: self.lease,
            any_plan_verifies: self.any_plan_verifies,
            stale: self.stale_reads,
            commit_on_group: self.rules.commit_on_group,
        }
    }

    fn steps(&self) -> Vec<Step> {
        if self.step { vec![Step] } else { Vec::new() }
    }

    fn seat(api: &Api, pod: usize, node: u8) -> Seat {
        Seat {
            pod: pod_name(pod),
            uid: api.uid_of(pod),
            node: node_name(node),
            version: api.pods[pod].version,
            owner: Owner::Controller,
        }
    }

    /// What a plan may have to reckon with that replaces the record.
    fn predecessor(api: &Api) -> Predecessor {
        match api.record.as_ref().map(|record| record.phase) {
            None | Some(RecordPhase::Bound | RecordPhase::Aborted) => Predecessor::Over,
            Some(RecordPhase::Proposed | RecordPhase::Aborting) => Predecessor::Open,
        }
    }

    fn proposal(&self, api: &Api, epoch: u32, seats: Vec<Seat>) -> Proposal<Step> {
        Proposal {
            group: api.group(),
            record_version: api.record.as_ref().map_or(0, |record| record.resource_version),
            predecessor: if self.rules.fences { Self::predecessor(api) } else { Predecessor::Over },
            epoch,
            minimum: api.minimum,
            seats,
            steps: self.steps(),
            deadline: Time::EPOCH,
            // Two plans that say the same are the same, whoever made them.
            leader: "a".into(),
        }
    }

    /// The epoch of the next plan.
    fn next_epoch(api: &Api) -> u32 {
        let recorded = api.record.as_ref().map_or(0, |record| record.mark.epoch);
        recorded.max(api.commit.map_or(0, |mark: CommitMark| mark.epoch)) + 1
    }

    /// Nodes that nobody is bound to, and that no decided plan of the gang holds.
    fn free(&self, api: &Api, node: u8) -> bool {
        api.rival != Some(node) && api.pods.iter().all(|pod| !pod.exists || pod.node != Some(node))
    }

    /// A scheduler without a plan takes up what is recorded, or makes a plan.
    fn begin(&self, state: &mut State, by: u8) -> bool {
        let api = &state.api;
        if self.elected && api.leader != by {
            return false;
        }
        if self.rules.record_before_binds
            && let Some(record) = &api.record
            && self.is_open(api, record)
        {
            let machine = self.resume(api, record);
            state.machines[by as usize] = Some(machine);
            return true;
        }
        let epoch = Self::next_epoch(api);
        let sealed = api.record.as_ref().is_some_and(|record| record.phase == RecordPhase::Bound);
        if epoch > self.epochs || sealed {
            return false;
        }
        let mut seats = Vec::new();
        let bound = api.pods.iter().filter(|pod| pod.exists && pod.node.is_some()).count();
        let whole = bound == PODS;
        for (at, pod) in api.pods.iter().enumerate() {
            match pod.node {
                Some(node) if pod.exists => seats.push(Self::seat(api, at, node)),
                _ if !pod.exists || seats.len() >= api.minimum as usize => {}
                _ => {
                    // Plans alternate, so that a bind of an old one is in the way of a new one.
                    let first = if epoch % 2 == 1 { at as u8 } else { (PODS - 1 - at) as u8 };
                    let taken = |node: u8| seats.iter().any(|seat| *seat.node == *node_name(node));
                    let choices = [first, 0, 1, 2];
                    let Some(node) =
                        choices.into_iter().find(|node| !taken(*node) && self.free(api, *node))
                    else {
                        return false;
                    };
                    seats.push(Self::seat(api, at, node));
                }
            }
        }
        if (seats.len() as u32) < api.minimum || (whole && !self.rules.record_before_binds) {
            return false;
        }
        let mut machine = Commitment::hold(self.proposal(api, epoch, seats), self.rules);
        self.show_all(api, &mut machine);
        state.machines[by as usize] = Some(machine);
        true
    }

    fn is_open(&self, api: &Api, record: &RecordFact) -> bool {
        record.phase == RecordPhase::Aborting || api.is_decided(record, self.reads())
    }

    fn resume(&self, api: &Api, record: &RecordFact) -> Commitment<Step> {
        let mut machine =
            Commitment::resume(record, api.group(), self.steps(), self.rules, |entry| {
                let name = muster::base::names::ObjectName {
                    namespace: "d".into(),
                    name: entry.pod.clone(),
                };
                Standpoint { sight: api.sight(&name, &entry.uid), owner: Owner::Controller }
            });
        // A seat that somebody else took meanwhile is not to be had: the later plan yields.
        if machine.state() != Stand::Aborting {
            for seat in machine.seats().cloned().collect::<Vec<_>>() {
                let rival = api.rival.is_some_and(|node| *node_name(node) == *seat.node);
                if rival && machine.holds(&seat.uid) {
                    machine.deny(&seat.uid, "taken");
                }
            }
        }
        machine
    }

    fn show_all(&self, api: &Api, machine: &mut Commitment<Step>) {
        for seat in machine.seats().cloned().collect::<Vec<_>>() {
            let sight = api.sight(&seat.pod, &seat.uid);
            if matches!(sight, Sight::Bound(_)) {
                machine.pod_seen(&seat.uid, sight, NOW);
            }
        }
    }

    /// The next plan around what remains of this one.
    fn repair(&self, state: &mut State, by: u8) -> bool {
        let Some(machine) = &state.machines[by as usize] else { return false };
        let api = &state.api;
        let epoch = Self::next_epoch(api);
        if !machine.is_quiet() || !machine.wants_repair() || epoch > self.epochs {
            return false;
        }
        let mut seats = machine.remaining();
        if !self.rules.repairs_pin_the_bound {
            // Mutant: the bound ones are planned as if they could move.
            seats.retain(|seat| !matches!(api.sight(&seat.pod, &seat.uid), Sight::Bound(_)));
        }
        for at in 0..PODS {
            let pod = &api.pods[at];
            let uid = api.uid_of(at);
            let planned = seats.iter().any(|seat| seat.uid == uid);
            if !pod.exists || planned || seats.len() as u32 >= api.minimum {
                continue;
            }
            let before = machine.seats().find(|seat| seat.uid == uid).map(|seat| seat.node.clone());
            let free = |node: &u8| {
                let name = node_name(*node);
                self.free(api, *node)
                    && seats.iter().all(|seat| seat.node != name)
                    && before.as_ref() != Some(&name)
            };
            let Some(node) = (0..NODES as u8).rev().find(free) else { return false };
            seats.push(Self::seat(api, at, node));
        }
        if (seats.len() as u32) < api.minimum {
            return false;
        }
        let proposal = self.proposal(api, epoch, seats);
        let Some(machine) = state.machines[by as usize].take() else { return false };
        let mut next = machine.repair(proposal);
        if self.rules.repairs_pin_the_bound {
            self.show_all(&state.api, &mut next);
        }
        state.machines[by as usize] = Some(next);
        true
    }

    /// True if the machine has nothing more to do, or the record speaks of another plan.
    fn forget(&self, state: &mut State, by: u8) -> bool {
        let Some(machine) = &state.machines[by as usize] else { return false };
        let waits = state.net.iter().any(|request| request.by == by && request.awaited.is_some());
        if waits || !machine.is_quiet() {
            return false;
        }
        let moved_on = state.api.record.as_ref().is_some_and(|record| {
            let known = machine.record().resource_version;
            record.resource_version > known
                && !(record.mark == machine.mark() && machine.agrees_with(record.phase))
        });
        if !machine.is_over() && !moved_on {
            return false;
        }
        state.machines[by as usize] = None;
        true
    }

    /// Gives back the seats of a plan that somebody else sits on.
    fn check_seats(api: &Api, machine: &mut Commitment<Step>) {
        if !machine.is_quiet() || !machine.is_about_to_bind() {
            return;
        }
        for seat in machine.seats().cloned().collect::<Vec<_>>() {
            let taken = (0..NODES as u8)
                .filter(|node| *node_name(*node) == *seat.node)
                .any(|node| api.rival == Some(node) || api.is_taken_from(node, &seat.uid));
            if taken && machine.holds(&seat.uid) {
                machine.deny(&seat.uid, "taken");
            }
        }
    }

    fn next(&self, state: &mut State, by: u8, when: Arrival) -> bool {
        let Some(machine) = &mut state.machines[by as usize] else { return false };
        let before = machine.clone();
        let Some(call) = machine.next(NOW) else { return *machine != before };
        let Some(action) = machine.action(&call) else {
            // Steps take effect at once; whether they fail is decided by the adversary before.
            let epoch = machine.mark().epoch;
            let prepares = matches!(call, Call::Prepare(_));
            let api = &mut state.api;
            let outcome = if prepares { api.prepare(epoch) } else { api.undo_step(epoch) };
            machine.settled(call, &outcome, NOW);
            return true;
        };
        match (&action, when) {
            // Binds are many, and each arrives when it does.
            (Action::Bind { .. }, _) => {
                state.net.push(Request { by, action, awaited: Some(call) });
            }
            // Whatever may happen between the arrival of a call and that of its reply may as well happen after it:
            // only the sender's end makes a difference, and that may come after it, too.
            (_, Arrival::Now) => {
                let mut outcome = state.api.apply(by, &action, self.reads());
                if matches!(outcome, Outcome::Superseded(_) | Outcome::Conflict(_)) {
                    // A call that was given up on before may have been the one that came first.
                    outcome = state.api.judge(&action).unwrap_or(outcome);
                }
                self.settle(state, by, call, &outcome);
            }
            (_, Arrival::Late) => {
                state.left.timeouts -= 1;
                self.ask(state, by, call, &action);
                state.net.push(Request { by, action, awaited: None });
            }
        }
        true
    }

    /// Watches tell a scheduler of the pods of its plan, and of the group.
    fn see(&self, state: &mut State, by: u8) -> bool {
        let api = &state.api;
        let Some(machine) = &mut state.machines[by as usize] else { return false };
        for seat in machine.seats().cloned().collect::<Vec<_>>() {
            machine.pod_seen(&seat.uid, api.sight(&seat.pod, &seat.uid), NOW);
        }
        Self::check_seats(api, machine);
        let decided_otherwise = api
            .commit
            .is_some_and(|mark| mark.epoch >= machine.mark().epoch && mark != machine.mark());
        if machine.minimum() == api.minimum && !decided_otherwise {
            machine.group_seen(api.group_version);
        } else if machine.state() == Stand::Holding {
            machine.give_up();
        }
        true
    }

    fn settle(&self, state: &mut State, by: u8, call: Call<Step>, outcome: &Outcome) {
        if let Some(machine) = &mut state.machines[by as usize] {
            machine.settled(call, outcome, NOW);
        }
    }

    fn arrive(&self, state: &mut State, at: usize, heard: bool, again: bool) {
        let request = if again { state.net[at].clone() } else { state.net.remove(at) };
        let outcome = state.api.apply(request.by, &request.action, self.reads());
        if again {
            state.net[at].awaited = None;
        }
        let Some(call) = request.awaited else { return };
        if heard {
            self.settle(state, request.by, call, &outcome);
        } else {
            self.ask(state, request.by, call, &request.action);
        }
    }

    /// The rim reads what became of a call; where that does not tell, the call is made again.
    fn ask(&self, state: &mut State, by: u8, call: Call<Step>, action: &Action) {
        let outcome = state.api.judge(action).unwrap_or(Outcome::Unknown(String::new()));
        self.settle(state, by, call, &outcome);
    }

    /// The next call is a step: it fails.
    fn fail_step(&self, state: &mut State, by: u8) -> bool {
        let Some(machine) = &mut state.machines[by as usize] else { return false };
        match machine.next(NOW) {
            Some(call @ Call::Prepare(_)) => {
                // It took effect in part: what fails has to be undone all the same.
                state.api.prepare(machine.mark().epoch);
                machine.settled(call, &Outcome::Refused("no".to_owned()), NOW);
                true
            }
            Some(_) | None => false,
        }
    }

    fn rival(&self, state: &mut State, node: u8) -> bool {
        let api = &state.api;
        let by = api.leader as usize;
        let held = |machine: &Commitment<Step>| {
            machine.seats().any(|seat| *seat.node == *node_name(node) && machine.holds(&seat.uid))
        };
        // The leader has read the record before it decides anything, and holds what that says.
        let recorded = api.record.as_ref().is_some_and(|record| {
            self.is_open(api, record)
                && record.members.iter().any(|entry| *entry.node == *node_name(node))
        });
        if recorded
            || api.rival.is_some()
            || !self.free(api, node)
            || state.machines[by].as_ref().is_some_and(held)
        {
            return false;
        }
        state.api.rival = Some(node);
        true
    }

    fn happen(&self, state: &mut State, happening: &Happening) -> bool {
        match happening {
            Happening::Begin(by) => {
                state.machines[*by as usize].is_none() && self.begin(state, *by)
            }
            Happening::Next(by) => self.next(state, *by, Arrival::Now),
            Happening::NextLate(by) => self.next(state, *by, Arrival::Late),
            Happening::See(by) => self.see(state, *by),
            Happening::Repair(by) => self.repair(state, *by),
            Happening::Forget(by) => self.forget(state, *by),
            Happening::Arrive(at) => {
                self.arrive(state, *at, true, false);
                true
            }
            Happening::ArriveUnheard(at) => {
                state.left.losses -= 1;
                self.arrive(state, *at, false, false);
                true
            }
            Happening::ArriveTwice(at) => {
                state.left.repeats -= 1;
                self.arrive(state, *at, true, true);
                true
            }
            Happening::Lose(at) => {
                if state.net[*at].awaited.is_some() {
                    state.left.losses -= 1;
                }
                let request = state.net.remove(*at);
                if let Some(call) = request.awaited {
                    self.ask(state, request.by, call, &request.action);
                }
                true
            }
            Happening::Deny(at) => {
                state.left.denials -= 1;
                let request = state.net.remove(*at);
                if let Some(call) = request.awaited {
                    self.settle(state, request.by, call, &Outcome::Refused("no".to_owned()));
                }
                true
            }
            Happening::FailStep(by) => {
                state.left.failing_steps -= 1;
                self.fail_step(state, *by)
            }
            Happening::TimeOut(at) => {
                state.left.timeouts -= 1;
                let Some(call) = state.net[*at].awaited.take() else { return false };
                let Request { by, action, .. } = state.net[*at].clone();
                self.ask(state, by, call, &action);
                true
            }
            Happening::Crash(by) => self.crash(state, *by),
            Happening::GiveUp(by) => self.give_up(state, *by),
            Happening::Delete(_)
            | Happening::Recreate(_)
            | Happening::Raise
            | Happening::PassLease
            | Happening::Rival(_) => self.befall(state, happening),
        }
    }

    fn crash(&self, state: &mut State, by: u8) -> bool {
        state.left.crashes -= 1;
        state.machines[by as usize] = None;
        for request in state.net.iter_mut().filter(|request| request.by == by) {
            request.awaited = None;
        }
        true
    }

    fn give_up(&self, state: &mut State, by: u8) -> bool {
        state.left.aborts -= 1;
        let Some(machine) = &mut state.machines[by as usize] else { return false };
        let before = machine.clone();
        machine.give_up();
        *machine != before
    }

    /// What users, owners, and the election do.
    fn befall(&self, state: &mut State, happening: &Happening) -> bool {
        match happening {
            Happening::Delete(pod) => {
                state.left.deletions -= 1;
                let pod = &mut state.api.pods[*pod as usize];
                (pod.exists, pod.node) = (false, None);
                pod.version += 1;
                true
            }
            Happening::Recreate(pod) => {
                let pod = &mut state.api.pods[*pod as usize];
                (pod.exists, pod.node, pod.epoch) = (true, None, 0);
                pod.incarnation += 1;
                pod.version += 1;
                true
            }
            Happening::Raise => {
                state.left.raises -= 1;
                state.api.minimum += 1;
                state.api.group_version += 1;
                true
            }
            Happening::PassLease => {
                state.left.passes -= 1;
                state.api.leader = 1 - state.api.leader;
                // The one before may go on where it is; the new one begins from what is stored.
                state.machines[state.api.leader as usize] = None;
                true
            }
            Happening::Rival(node) => {
                state.left.rivals -= 1;
                self.rival(state, *node)
            }
            Happening::Begin(_)
            | Happening::Next(_)
            | Happening::NextLate(_)
            | Happening::See(_)
            | Happening::Repair(_)
            | Happening::Forget(_)
            | Happening::Arrive(_)
            | Happening::ArriveUnheard(_)
            | Happening::ArriveTwice(_)
            | Happening::Lose(_)
            | Happening::Deny(_)
            | Happening::FailStep(_)
            | Happening::TimeOut(_)
            | Happening::Crash(_)
            | Happening::GiveUp(_) => unreachable!("schedulers and requests do that"),
        }
    }

    /// True if nothing that can happen changes anything.
    pub(crate) fn is_over(&self, state: &State) -> bool {
        let changes = |happening| self.next_state(state, happening).is_some();
        !self.candidates(state).into_iter().any(changes)
    }
}

impl Model for World {
    type State = State;
    type Action = Happening;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            api: Api::new(self.minimum),
            machines: [None, None],
            net: Vec::new(),
            left: self.budget,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Happening>) {
        actions.extend(self.candidates(state));
    }

    fn next_state(&self, state: &State, happening: Happening) -> Option<State> {
        let mut after = state.clone();
        if !self.happen(&mut after, &happening) {
            return None;
        }
        for machine in after.machines.iter_mut().flatten() {
            machine.forget_the_past();
        }
        self.put_in_order(&mut after);
        (after != *state).then_some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        judge::properties()
    }
}
