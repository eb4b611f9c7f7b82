//! Commitments at work: plans become proposals, calls become orders, and what comes back goes to the machine that
//! called. Holds and releases the seats; chooses none. Knows no request.
//! Invariants: a seat of a plan is held as long as a bind of it could apply; a gang has one commitment at a time.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::Engine;
use super::commitment::{
    Call, Commitment, GaveUp, Owner, Predecessor, PrepareStep, Proposal, Rules, Seat as PlanSeat,
    Sight, State,
};
use super::event::Outcome;
use super::gangs::{GangId, SetbackCure};
use super::order::{Action, BindRole, GroupRef, Order, OrderId, RecordRef};
use super::pods::{Answer, Place, Pod, Seat, Standing};
use super::record::{RecordFact, RecordPhase};
use super::settle::REFUSED_PLANS_MAX;
use crate::base::names::{Name, ObjectName};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{CommitMark, GroupFact};
use crate::cluster::ids::{NodeId, PodId};
use crate::planner::plan::Plan;

/// Calls whose outcome is not known yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub(super) under_way: FxHashMap<OrderId, Called>,
}

/// A call under way.
#[derive(Clone, Debug)]
pub(super) enum Called {
    /// Of a commitment.
    Plan { gang: GangId, mark: CommitMark, call: Call, issued: Time },
    /// The removal of a record.
    Removal { record: ObjectName, issued: Time },
}

impl Calls {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }
}

impl Engine {
    /// Begins the commitment of a plan, or repairs the one that wants it. The plan's seats are held from here on.
    pub(super) fn begin_plan(&mut self, id: GangId, plan: &Plan) {
        let before = self.gangs.get_mut(id).commitment.take();
        let mut seats = Vec::with_capacity(plan.seats.len());
        for seat in &plan.seats {
            self.hold_for_plan(seat.pod, seat.node);
            seats.push(self.plan_seat(seat.pod, seat.node));
        }
        if let Some(before) = &before {
            seats.extend(before.remaining());
        }
        self.propose(id, before, seats);
    }

    /// Repairs the plan of a gang without the members that cannot be bound.
    fn shrink(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        let Some(before) = gang.commitment.take_if(|_| gang.fact.is_some()) else { return };
        let seats = before.remaining();
        self.propose(id, Some(before), seats);
    }

    fn propose(&mut self, id: GangId, before: Option<Box<Commitment>>, mut seats: Vec<PlanSeat>) {
        self.add_bound(id, &mut seats);
        let volumes = self.plan_has_volumes(id);
        let more = if volumes { self.volume_timeout_of_gang(id) } else { Span::ZERO };
        let timeout = self.settings.schedule_timeout;
        let gang = self.gangs.get(id);
        let fact = gang.fact.as_ref().expect("only gangs whose group exists are planned");
        let record = self.records.of(&fact.name);
        let epochs = [
            gang.epoch,
            fact.commit.map_or(0, |mark| mark.epoch),
            record.map_or(0, |record| record.mark.epoch),
        ];
        let epoch = epochs.into_iter().max().unwrap_or(0) + 1;
        let deadline = gang.deadline.unwrap_or_else(|| {
            self.contact.shows(self.now) + fact.schedule_timeout.unwrap_or(timeout) + more
        });
        // Members that have ended well, or are being bound by themselves, count and are in no plan.
        let planned = u32::try_from(seats.len()).expect("gangs are far smaller");
        let minimum = gang.minimum().min(planned);
        let proposal: Proposal = Proposal {
            group: group_ref(fact),
            record_version: record.map_or(0, |record| record.resource_version),
            predecessor: match record.map(|record| record.phase) {
                None | Some(RecordPhase::Bound | RecordPhase::Aborted) => Predecessor::Over,
                Some(RecordPhase::Proposed | RecordPhase::Aborting) => Predecessor::Open,
            },
            epoch,
            minimum,
            seats,
            steps: if volumes { vec![PrepareStep::Volumes] } else { Vec::new() },
            deadline: self.contact.when(deadline).unwrap_or(deadline),
            leader: self.settings.identity.clone(),
        };
        let mut commitment = match before {
            Some(before) => {
                self.counters.gangs_repaired += 1;
                before.repair(proposal)
            }
            None => {
                self.counters.gangs_proposed += 1;
                Commitment::hold(proposal, Rules::ALL)
            }
        };
        for pod in &self.gangs.get(id).members {
            let pod = self.pods.get(*pod);
            if pod.standing() == Standing::Bound {
                commitment.pod_seen(&pod.fact.uid, sight(pod), self.now);
            }
        }
        let record = commitment.record().name.clone();
        self.records.use_again(&record);
        let serial = self.orders.issue_unlisted().0;
        let gang = self.gangs.get_mut(id);
        gang.planned = serial;
        gang.epoch = epoch;
        gang.deadline = Some(deadline);
        gang.ended = None;
        gang.commitment = Some(Box::new(commitment));
        self.busy.insert(id);
        self.mark(id);
    }

    /// Adds the members that are bound, however that came about: every plan holds them where they are.
    fn add_bound(&self, id: GangId, seats: &mut Vec<PlanSeat>) {
        let mut planned: Vec<Name> = seats.iter().map(|seat| seat.uid.clone()).collect();
        planned.sort_unstable();
        for pod in &self.gangs.get(id).members {
            let known = self.pods.get(*pod);
            if let Place::Bound(node) = known.place
                && known.standing() == Standing::Bound
                && planned.binary_search(&known.fact.uid).is_err()
            {
                seats.push(self.plan_seat(*pod, node));
            }
        }
    }

    fn plan_seat(&self, id: PodId, node: NodeId) -> PlanSeat {
        let fact = &self.pods.get(id).fact;
        PlanSeat {
            pod: fact.name.clone(),
            uid: fact.uid.clone(),
            node: self.cluster.node_name(node).clone(),
            version: fact.resource_version,
            owner: owner(&self.pods.get(id).fact.controller),
        }
    }

    /// Counts a pod as placed until its gang's commitment says otherwise.
    pub(super) fn hold_for_plan(&mut self, id: PodId, node: NodeId) {
        self.count_out(id);
        let pod = self.pods.get_mut(id);
        pod.place = Place::Assumed(Seat {
            node,
            order: OrderId::NONE,
            version: pod.fact.resource_version,
            epoch: 0,
            role: BindRole::Planned,
            doubts: 0,
            answer: Answer::Awaited,
        });
        pod.told = 0;
        self.seat(id, node);
        self.count_in(id);
        self.promise_for_plan(id, node);
    }

    /// Releases a seat of a plan.
    pub(super) fn release_plan_seat(&mut self, id: PodId) {
        if !self.pods.get(id).has_plan_seat() {
            return;
        }
        self.count_out(id);
        self.pods.get_mut(id).place = Place::Nowhere;
        self.drop_provision(id);
        let changes = self.cluster.release(id);
        self.note(changes);
        self.volumes_freed(id);
        self.count_in(id);
        self.settle_gang(id);
    }

    /// Releases the seats of members that have to be placed anew.
    fn release_unheld(&mut self, id: GangId) {
        for pod in self.gangs.get(id).members.clone() {
            let known = self.pods.get(pod);
            let commitment = self.gangs.get(id).commitment.as_ref();
            let is_held = commitment.is_some_and(|commitment| commitment.holds(&known.fact.uid));
            if known.has_plan_seat() && !is_held {
                self.release_plan_seat(pod);
            }
        }
    }

    /// Before binds go out, or a plan is made anew: seats that are not what they were are given back. Their nodes are
    /// gone, closed, or hold more than they have, since somebody else took a place there.
    fn check_seats(&mut self, id: GangId) {
        let gang = self.gangs.get(id);
        let Some(commitment) = &gang.commitment else { return };
        if !commitment.is_quiet() || !commitment.is_about_to_bind() {
            return;
        }
        let unfit: Vec<PodId> =
            gang.members.iter().copied().filter(|pod| self.is_unfit(*pod)).collect();
        for pod in unfit {
            // Giving one seat back may have made room for the next.
            if !self.is_unfit(pod) {
                continue;
            }
            let uid = self.pods.get(pod).fact.uid.clone();
            if let Some(commitment) = &mut self.gangs.get_mut(id).commitment {
                commitment.deny(&uid, "its node is gone, closed, or full");
            }
            self.release_plan_seat(pod);
        }
    }

    /// True if a pod has a seat of a plan on a node that takes nobody any more, or holds more than it has.
    fn is_unfit(&self, id: PodId) -> bool {
        let pod = self.pods.get(id);
        let Some(seat) = pod.seat().filter(|_| pod.has_plan_seat()) else { return false };
        let overfull = |(resource, _): &(_, _)| self.cluster.load().free(seat.node, *resource) < 0;
        !self.cluster.is_schedulable(seat.node)
            || self.cluster.interned(pod.ask).looked_for.iter().any(overfull)
    }

    /// Gives out the calls that are due.
    pub(super) fn call(&mut self, orders: &mut Vec<Order>) {
        let now = self.now;
        while let Some((id, _)) = self.rests.pop_if(|_, Reverse((until, _))| *until <= now) {
            self.busy.insert(id);
        }
        while !self.busy.is_empty() {
            // Ids tell who was heard of first, which must not matter: what was planned first goes first.
            let mut busy: Vec<(u64, GangId)> = Vec::with_capacity(self.busy.len());
            for id in std::mem::take(&mut self.busy) {
                busy.extend(self.gangs.known(id).map(|gang| (gang.planned, id)));
            }
            busy.sort_unstable();
            for (_, id) in busy {
                self.call_for(id, orders);
            }
        }
        self.remove_records(orders);
    }

    pub(super) fn call_for(&mut self, id: GangId, orders: &mut Vec<Order>) {
        self.check_deadline(id);
        self.check_seats(id);
        let Some(mut commitment) = self.gangs.get_mut(id).commitment.take() else { return };
        let mut own = None;
        while let Some(call) = commitment.next(self.now) {
            let Some(action) = commitment.action(&call) else {
                own = Some((call, commitment.mark()));
                continue;
            };
            let order = self.orders.issue_unlisted();
            self.count_call(&call);
            let called = Called::Plan { gang: id, mark: commitment.mark(), call, issued: self.now };
            self.calls.under_way.insert(order, called);
            orders.push(Order { id: order, action });
        }
        let over = commitment.is_over() && commitment.is_quiet();
        let enough = self.gangs.get(id).tally.counted() >= self.gangs.get(id).minimum();
        let repair = !over && commitment.is_quiet() && commitment.wants_repair();
        let is_deserted = repair && enough && commitment.remaining().is_empty();
        let deadline = self.deadline_due(id);
        if deadline.is_none() && self.gangs.get(id).deadline.is_some() {
            self.clocks_stopped.insert(id);
        }
        match [commitment.wakeup(), deadline].into_iter().flatten().min() {
            Some(due) => {
                self.rests.push(id, Reverse((due.max(Time(self.now.0 + 1)), id)));
            }
            None => {
                self.rests.remove(&id);
            }
        }
        if is_deserted && commitment.give_up() == GaveUp::Undone {
            // Nobody of the plan is left, and the gang has what it needs without it.
            self.busy.insert(id);
        }
        let is_quiet = commitment.is_quiet();
        self.gangs.get_mut(id).commitment = Some(commitment);
        if let Some((call, mark)) = own {
            self.carry_out(id, &call, mark, orders);
        }
        if !is_quiet && self.gangs.get(id).queued.is_some() {
            // It stood in line for its next plan, which has to wait for these calls.
            self.mark(id);
        }
        if over {
            self.end_commitment(id);
        } else if repair && enough && !is_deserted {
            self.shrink(id);
        } else if repair {
            self.release_unheld(id);
            // Also where no seat was given back, the gang has to stand in line for the next plan.
            self.mark(id);
        }
    }

    fn count_call(&mut self, call: &Call) {
        match call {
            Call::Bind(_) => self.counters.binds_ordered += 1,
            Call::Fence(_) => self.counters.fences_ordered += 1,
            Call::Evict(_) => self.counters.evictions_ordered += 1,
            Call::ProposePart(_)
            | Call::Propose
            | Call::Commit
            | Call::Prepare(_)
            | Call::Undo(_)
            | Call::Verify
            | Call::Seal
            | Call::Abort
            | Call::FinishAbort => {}
        }
    }

    fn deadline_due(&self, id: GangId) -> Option<Time> {
        self.gangs.get(id).deadline.and_then(|deadline| self.contact.when(deadline))
    }

    /// Gives a plan up whose time is over.
    fn check_deadline(&mut self, id: GangId) {
        let shows = self.contact.shows(self.now);
        let timeout = self.settings.schedule_timeout;
        let gang = self.gangs.get_mut(id);
        if gang.deadline.is_none_or(|deadline| deadline > shows) {
            return;
        }
        let Some(commitment) = &mut gang.commitment else { return };
        let timeout = gang.fact.as_ref().and_then(|fact| fact.schedule_timeout).unwrap_or(timeout);
        match commitment.give_up() {
            GaveUp::Undone | GaveUp::Nothing => {
                gang.deadline = None;
                self.give_up_preparation(id);
            }
            GaveUp::Enough => gang.deadline = Some(shows + timeout),
            GaveUp::Held => {
                gang.deadline = Some(shows + timeout);
                self.counters.aborts_put_off += 1;
            }
        }
    }

    /// Takes in what became of a call. False if the order is none.
    pub(super) fn call_settled(&mut self, order: OrderId, outcome: &Outcome) -> bool {
        let Some(called) = self.calls.under_way.remove(&order) else { return false };
        let (Called::Plan { issued, .. } | Called::Removal { issued, .. }) = called;
        match outcome {
            Outcome::Unknown(_) => self.contact.unheard(issued),
            Outcome::Done
            | Outcome::Written { .. }
            | Outcome::BoundTo(_)
            | Outcome::Superseded(_)
            | Outcome::Conflict(_)
            | Outcome::Gone
            | Outcome::Refused(_) => {
                if self.contact.heard(self.now) {
                    self.busy.append(&mut self.clocks_stopped);
                }
            }
        }
        match called {
            Called::Plan { gang, mark, call, .. } => {
                self.plan_call_settled(gang, mark, call, outcome)
            }
            Called::Removal { record, .. } => self.removal_settled(&record, outcome),
        }
        true
    }

    pub(super) fn plan_call_settled(
        &mut self,
        id: GangId,
        mark: CommitMark,
        call: Call,
        outcome: &Outcome,
    ) {
        let known = self.gangs.known(id).and_then(|gang| gang.commitment.as_mut());
        let Some(commitment) = known.filter(|commitment| commitment.mark() == mark) else { return };
        let action = commitment.record_action(&call);
        let is_decided = commitment.state() != State::Holding;
        commitment.settled(call, outcome, self.now);
        if action.is_some() && (is_decided || *outcome == Outcome::Gone) {
            self.note_other_hands(id, mark, outcome);
        }
        if let Outcome::Refused(why) = outcome
            && !matches!(call, Call::Bind(_))
        {
            self.note_refused_call(id, mark, why);
        }
        self.note_own_write(action, outcome);
        if let Call::Bind(place) | Call::Fence(place) = call {
            self.member_call_settled(id, place, outcome, matches!(call, Call::Bind(_)));
        }
        self.busy.insert(id);
        self.mark(id);
        self.settle_record(id);
    }

    /// What our own writes say is known before any watch tells it.
    fn note_own_write(&mut self, action: Option<Action>, outcome: &Outcome) {
        if let Outcome::Superseded(fact) = outcome {
            self.records.observe((**fact).clone());
            return;
        }
        let moved = |record: &RecordRef, phase| (record.name.clone(), phase);
        let (name, phase) = match (action, outcome) {
            (Some(Action::Propose(record)), Outcome::Written { resource_version }) => {
                let version = *resource_version;
                self.records.observe(RecordFact { resource_version: version, ..*record });
                return;
            }
            (Some(Action::Propose(record)), Outcome::Gone) => {
                self.records.forget(&record.name, &"".into());
                return;
            }
            (Some(Action::Seal { record, .. }), _) => moved(&record, RecordPhase::Bound),
            (Some(Action::Abort { record, .. }), _) => moved(&record, RecordPhase::Aborting),
            (Some(Action::FinishAbort { record, .. }), _) => moved(&record, RecordPhase::Aborted),
            (Some(Action::Verify { record, .. }), Outcome::Gone) => {
                self.records.forget(&record.name, &"".into());
                return;
            }
            (_, _) => return,
        };
        match outcome {
            Outcome::Written { resource_version } => {
                self.records.moved(&name, phase, *resource_version);
            }
            Outcome::Gone => {
                self.records.forget(&name, &"".into());
            }
            Outcome::Done
            | Outcome::BoundTo(_)
            | Outcome::Superseded(_)
            | Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_) => {}
        }
    }

    /// Brings a member's place in line with what its bind or fence came to. What either finds gone gives its seat back
    /// at once: a watch may tell much later, and a seat counts towards the minimum.
    fn member_call_settled(&mut self, id: GangId, place: u32, outcome: &Outcome, is_bind: bool) {
        let Some(commitment) = &self.gangs.get(id).commitment else { return };
        let seat = commitment.seat(place).clone();
        let keeps = commitment.holds(&seat.uid);
        let found = self.pods.find(&seat.pod);
        let Some(pod) = found.filter(|pod| self.pods.get(*pod).fact.uid == seat.uid) else {
            return;
        };
        if is_bind {
            self.note_bind(id, outcome);
        }
        if !self.pods.get(pod).has_plan_seat() {
            return;
        }
        let why = match outcome {
            Outcome::Done | Outcome::Written { .. } => {
                if is_bind {
                    self.bind_done(pod);
                }
                return;
            }
            Outcome::Refused(why) => why.as_str(),
            Outcome::BoundTo(_)
            | Outcome::Superseded(_)
            | Outcome::Conflict(_)
            | Outcome::Gone
            | Outcome::Unknown(_) => "the pod is gone",
        };
        if !keeps {
            self.release_plan_seat(pod);
            self.set_back(id, why.into(), SetbackCure::Time);
        }
    }

    fn note_bind(&mut self, id: GangId, outcome: &Outcome) {
        match outcome {
            Outcome::Conflict(_) | Outcome::Superseded(_) => self.counters.binds_conflicted += 1,
            Outcome::Gone => self.counters.binds_gone += 1,
            Outcome::Refused(_) => self.note_refusal(id),
            Outcome::Unknown(_) => self.counters.binds_unknown += 1,
            Outcome::Done | Outcome::Written { .. } | Outcome::BoundTo(_) => {}
        }
    }

    /// The API refuses a bind of the gang's plan. Other seats are tried for some seconds, in which a webhook is restarted
    /// or a machine's lock goes free; then the plan is undone without waiting for its deadline: what rejects a pod seldom
    /// cares where it goes, and others want the seats meanwhile.
    fn note_refusal(&mut self, id: GangId) {
        self.counters.binds_refused += 1;
        let shows = self.contact.shows(self.now);
        let gang = self.gangs.get_mut(id);
        let Some(commitment) = &gang.commitment else { return };
        if gang.refused_epoch != commitment.mark().epoch {
            gang.refused_epoch = commitment.mark().epoch;
            gang.refused_plans += 1;
        }
        if gang.refused_plans > REFUSED_PLANS_MAX {
            gang.deadline = Some(shows);
        }
    }

    /// A commitment is over: its seats are free or taken, and its gang goes on.
    fn end_commitment(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        let Some(commitment) = gang.commitment.take() else { return };
        gang.deadline = None;
        self.rests.remove(&id);
        gang.ended = Some(commitment.state());
        for pod in gang.members.clone() {
            self.release_plan_seat(pod);
        }
        match commitment.state() {
            State::Sealed => {
                self.counters.gangs_sealed += 1;
                let gang = self.gangs.get_mut(id);
                gang.reached = gang.reached.max(commitment.minimum());
                gang.refused_plans = 0;
            }
            State::Aborted => {
                self.counters.gangs_aborted += 1;
                if let Some(trouble) = commitment.trouble() {
                    self.rest_after_undoing(id, trouble.clone());
                }
            }
            State::Dropped => {
                self.counters.plans_dropped += 1;
                if let Some(trouble) = commitment.trouble() {
                    self.set_back(id, trouble.clone(), SetbackCure::Time);
                }
            }
            State::Holding
            | State::Committed
            | State::Preparing
            | State::Publishing
            | State::Aborting => unreachable!("it is over"),
        }
        self.mark(id);
        self.settle_record(id);
    }
}

/// What the believed state shows of a pod.
pub(super) fn sight(pod: &Pod) -> Sight {
    match (pod.standing(), &pod.fact.node) {
        (Standing::Leaving | Standing::Failed, _) => Sight::Lost,
        (_, Some(node)) => Sight::Bound(node.clone()),
        (_, None) => Sight::Unbound(pod.fact.resource_version),
    }
}

pub(super) const fn owner(controller: &Option<Name>) -> Owner {
    match controller {
        Some(_) => Owner::Controller,
        None => Owner::Nobody,
    }
}

pub(super) fn group_ref(fact: &GroupFact) -> GroupRef {
    GroupRef {
        name: fact.name.clone(),
        uid: fact.uid.clone(),
        resource_version: fact.resource_version,
    }
}
