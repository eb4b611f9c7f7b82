//! Records at work: what is decided or being undone is taken up, and what nobody needs any more is removed.
//! A new leader has nothing else to go by. Holds the seats that a record promises; chooses none, makes no bind.
//! Invariants: a record that is decided or being undone has a commitment as soon as its gang is known; where two
//! promise one seat, the one that is taken up later yields and is repaired; no record in use is removed.

use smallvec::SmallVec;

use super::Engine;
use super::atomic::{Called, group_ref, owner, sight};
use super::commitment::{
    Commitment, Owner, PrepareStep, Rules, Seat as PlanSeat, Sight, Standpoint, State,
};
use super::event::Outcome;
use super::gangs::GangId;
use super::order::{Action, Order, RecordRef};
use super::pods::Standing;
use super::record::{RecordFact, RecordMember, RecordPhase, record_name};
use crate::base::names::{Name, ObjectName};
use crate::base::time::Span;
use crate::cluster::facts::{CommitMark, GroupName};
use crate::cluster::ids::{NodeId, PodId};
use crate::planner::demand::{Demand, Role};
use crate::planner::plan::{self, Plan};
use crate::planner::referee;

impl Engine {
    /// Takes in a record.
    pub(super) fn observe_record(&mut self, fact: RecordFact) {
        let group = fact.group.clone();
        let problems = fact.malformed.clone();
        if !self.records.observe(fact) {
            self.counters.facts_stale += 1;
            return;
        }
        if let Some(problems) = problems {
            self.complain_of_record(&group, &problems);
        }
        if let Some(id) = self.gangs.find(&group) {
            self.settle_record(id);
        } else {
            self.note_idle(&group);
        }
    }

    /// A record cannot be read: its gang goes on without it, and people are told.
    fn complain_of_record(&mut self, group: &GroupName, problems: &str) {
        if !self.synced {
            return;
        }
        self.counters.records_malformed += 1;
        let name = record_name(group).name;
        let note = format!("nothing is done by GangPlan {name}: {problems}");
        if let Some(id) = self.gangs.find(group) {
            self.tell_of_record(id, "InvalidGangPlan", note);
        }
    }

    /// What a call of a plan came to may show that somebody else has laid hands on its record.
    pub(super) fn note_other_hands(&mut self, id: GangId, mark: CommitMark, outcome: &Outcome) {
        match outcome {
            Outcome::Gone => {
                self.counters.records_lost += 1;
                let note = format!(
                    "the record of plan {mark}, or its PodGroup, was deleted while it was carried out: \
                     members that are bound stay, the others are planned anew"
                );
                self.tell_of_record(id, "GangPlanLost", note);
            }
            Outcome::Superseded(record) => {
                let gang = self.gangs.get_mut(id);
                // A call and a watch may both tell of one change.
                if std::mem::replace(&mut gang.foreign_record, record.resource_version)
                    == record.resource_version
                {
                    return;
                }
                self.counters.records_changed += 1;
                let (now, phase) = (record.mark, record.phase.as_str());
                let note = format!(
                    "somebody else changed the record of plan {mark}: it says {phase} for plan {now} by now, and is followed"
                );
                self.tell_of_record(id, "GangPlanChanged", note);
            }
            Outcome::Done
            | Outcome::Written { .. }
            | Outcome::BoundTo(_)
            | Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_) => {}
        }
    }

    /// The API refuses a call of a plan other than a bind: the call is made again, and nothing else would say so while
    /// the members have their seats.
    pub(super) fn note_refused_call(&mut self, id: GangId, mark: CommitMark, why: &str) {
        let told = Some((mark, Name::from(why)));
        let gang = self.gangs.get_mut(id);
        if std::mem::replace(&mut gang.refusal_told, told.clone()) != told {
            let note = format!("a write of plan {mark} is refused, and tried again: {why}");
            self.tell_of_record(id, "GangPlanRefused", note);
        }
    }

    /// Takes in that a record is gone.
    pub(super) fn observe_record_gone(&mut self, name: &ObjectName, uid: &Name) {
        let Some(head) = self.records.forget(name, uid) else { return };
        let Some(id) = self.gangs.find(&head.group) else { return };
        let is_at_work = |commitment: &Commitment| {
            commitment.mark() == head.mark
                && !commitment.is_over()
                && commitment.state() != State::Holding
        };
        if self.gangs.get(id).commitment.as_deref().is_some_and(is_at_work) {
            self.note_other_hands(id, head.mark, &Outcome::Gone);
        }
    }

    /// Resumes every record that is decided or being undone.
    pub(super) fn resume_all(&mut self) {
        for group in self.records.groups() {
            if let Some(problems) = self.records.of(&group).and_then(|head| head.malformed.clone())
            {
                self.complain_of_record(&group, &problems);
            }
            match self.gangs.find(&group) {
                Some(id) => self.settle_record(id),
                None => self.note_idle(&group),
            }
        }
    }

    /// Brings the commitment of a gang in line with its record.
    pub(super) fn settle_record(&mut self, id: GangId) {
        if !self.synced {
            return;
        }
        let gang = self.gangs.get(id);
        let (Some(fact), false) = (&gang.fact, gang.is_plain()) else { return };
        let Some(record) = self.records.of(&fact.name) else { return };
        if record.malformed.is_some() || record.group_uid != fact.uid {
            return;
        }
        if let Some(commitment) = &gang.commitment {
            let known = commitment.record().resource_version;
            let is_news = record.resource_version > known;
            if !is_news || !commitment.is_quiet() {
                return;
            }
            if commitment.mark() == record.mark && commitment.agrees_with(record.phase) {
                let version = record.resource_version;
                if let Some(commitment) = &mut self.gangs.get_mut(id).commitment {
                    commitment.record_seen(version);
                }
                return;
            }
            let mark = commitment.mark();
            // Before the decision, rivals may well propose one after the other.
            if !commitment.is_over() && commitment.state() != State::Holding {
                let said = Outcome::Superseded(Box::new(record.clone()));
                self.note_other_hands(id, mark, &said);
            }
            self.yield_to_record(id);
        }
        self.resume(id);
    }

    /// The record says something else than the commitment believes: the record is right.
    fn yield_to_record(&mut self, id: GangId) {
        self.counters.plans_dropped += 1;
        let gang = self.gangs.get_mut(id);
        gang.commitment = None;
        gang.deadline = None;
        self.rests.remove(&id);
        for pod in gang.members.clone() {
            self.release_plan_seat(pod);
        }
        self.mark(id);
    }

    /// Takes up what the record of a gang says, if there is something to do.
    fn resume(&mut self, id: GangId) {
        let gang = self.gangs.get(id);
        let Some(fact) = &gang.fact else { return };
        let group = fact.name.clone();
        let Some(record) = self.records.whole(&group) else { return };
        let decided = fact.commit == Some(record.mark);
        let is_whole = self.nobody_waits(&record);
        let gang = self.gangs.get_mut(id);
        gang.epoch = gang.epoch.max(record.mark.epoch);
        match record.phase {
            RecordPhase::Proposed if decided => {}
            RecordPhase::Aborting => {}
            RecordPhase::Bound => {
                if gang.tally.of(Standing::Bound) > 0 && is_whole {
                    gang.reached = gang.reached.max(record.minimum);
                }
                return self.note_idle(&group);
            }
            RecordPhase::Proposed | RecordPhase::Aborted => return self.note_idle(&group),
        }
        let fact = gang.fact.as_ref().expect("it was there");
        let reference = group_ref(fact);
        let timeout = fact.schedule_timeout.unwrap_or(self.settings.schedule_timeout);
        let (pods, namespace) = (&self.pods, record.name.namespace.clone());
        let steps = self.steps_of(&record);
        let more = if steps.is_empty() { Span::ZERO } else { self.volume_timeout_of_gang(id) };
        let commitment = Commitment::resume(&record, reference, steps, Rules::ALL, |entry| {
            let name = ObjectName { namespace: namespace.clone(), name: entry.pod.clone() };
            let pod = pods.find(&name).map(|pod| pods.get(pod));
            match pod.filter(|pod| pod.fact.uid == entry.uid) {
                Some(pod) => Standpoint { sight: sight(pod), owner: owner(&pod.fact.controller) },
                None => Standpoint { sight: Sight::Lost, owner: Owner::Controller },
            }
        });
        let serial = self.orders.issue_unlisted().0;
        let gang = self.gangs.get_mut(id);
        gang.planned = serial;
        gang.deadline = Some(self.contact.shows(self.now) + timeout + more);
        gang.ended = None;
        self.counters.gangs_resumed += 1;
        self.records.use_again(&record.name);
        self.hold_resumed(id, commitment);
    }

    /// True if no member of the plan waits: a record that says Bound although one does was not written by Muster.
    fn nobody_waits(&self, record: &RecordFact) -> bool {
        let waits = |entry: &RecordMember| {
            let namespace = record.name.namespace.clone();
            let pod = self.pods.find(&ObjectName { namespace, name: entry.pod.clone() });
            pod.map(|pod| self.pods.get(pod))
                .is_some_and(|pod| pod.fact.uid == entry.uid && pod.standing() == Standing::Waiting)
        };
        record.phase != RecordPhase::Bound || !record.members.iter().any(waits)
    }

    /// What has to be done, or undone, before the members of a record are bound or let go.
    fn steps_of(&self, record: &RecordFact) -> Vec<PrepareStep> {
        let namespace = &record.name.namespace;
        let has_volumes = |entry: &RecordMember| {
            let name = ObjectName { namespace: namespace.clone(), name: entry.pod.clone() };
            let pod = self.pods.find(&name).map(|pod| self.pods.get(pod));
            pod.is_some_and(|pod| pod.fact.ask.has_claims_bound() && pod.fact.node.is_none())
        };
        let any = record.members.iter().any(has_volumes);
        if any { vec![PrepareStep::Volumes] } else { Vec::new() }
    }

    /// Holds the seats of a resumed plan. Where another took one meanwhile, this plan yields and is repaired.
    fn hold_resumed(&mut self, id: GangId, mut commitment: Commitment) {
        self.withdraw(id);
        let undoing = commitment.state() == State::Aborting;
        let seats: Vec<PlanSeat> = commitment.seats().cloned().collect();
        let mut open: Vec<(PodId, PlanSeat)> = Vec::new();
        for seat in seats {
            if !commitment.holds(&seat.uid) {
                continue;
            }
            let Some(pod) = self.pods.find(&seat.pod) else { continue };
            let known = self.pods.get(pod);
            if known.fact.uid == seat.uid && known.standing() == Standing::Waiting {
                open.push((pod, seat));
            }
        }
        // A member that must be near another is admitted once that one has its seat, whoever is listed first.
        loop {
            let before = open.len();
            open.retain(|(pod, seat)| {
                let node = self.cluster.node(&seat.node);
                let node = node.filter(|node| undoing || self.could_be_placed(*pod, *node));
                node.map(|node| self.hold_for_plan(*pod, node)).is_none()
            });
            if open.is_empty() || open.len() == before {
                break;
            }
        }
        for (_, seat) in &open {
            commitment.deny(&seat.uid, "its seat is not free any more");
        }
        self.gangs.get_mut(id).commitment = Some(Box::new(commitment));
        self.busy.insert(id);
        self.mark(id);
    }

    /// True if the pod may be on the node as everything stands.
    fn could_be_placed(&self, pod: PodId, node: NodeId) -> bool {
        let signature = self.cluster.signature_of(pod);
        let role = Role { ask: self.pods.get(pod).ask, signature, members: vec![pod] };
        let demand = Demand { roles: vec![role], minimum: 1, expected: Vec::new() };
        let seat = plan::Seat { pod, node };
        let plan = Plan { seats: SmallVec::from_slice(&[seat]) };
        referee::judge(&self.cluster, &demand, &plan).is_ok()
    }

    /// Notes that the record of a group is of no use, if it is not.
    fn note_idle(&mut self, group: &GroupName) {
        let Some(record) = self.records.of(group) else { return };
        let name = record.name.clone();
        let until = self.now + self.settings.records_kept;
        if self.is_idle(&name) {
            self.records.leave_idle(&name, until);
        }
        for part in self.records.parts_of(group) {
            if self.is_idle(&part) {
                self.records.leave_idle(&part, until);
            }
        }
    }

    /// True if nobody needs the object: its plan is undone or void, or no pod of its gang lives.
    fn is_idle(&self, name: &ObjectName) -> bool {
        let Some(object) = self.records.object(name) else { return false };
        let head = self.records.of(&object.group);
        if head.is_some_and(|head| head.name != *name && head.mark != object.mark) {
            return true;
        }
        let Some(id) = self.gangs.find(&object.group) else { return true };
        let gang = self.gangs.get(id);
        if gang.commitment.is_some() {
            return false;
        }
        let lives = gang.tally.of(Standing::Bound) > 0;
        match object.phase {
            RecordPhase::Bound => !lives,
            RecordPhase::Aborted | RecordPhase::Proposed => true,
            RecordPhase::Aborting => gang.fact.is_none(),
        }
    }

    /// Removes records that nobody needed for long.
    pub(super) fn remove_records(&mut self, orders: &mut Vec<Order>) {
        while let Some(name) = self.records.take_removal(self.now) {
            if !self.is_idle(&name) {
                continue;
            }
            let Some(object) = self.records.object(&name) else { continue };
            let record =
                RecordRef { name: name.clone(), resource_version: object.resource_version };
            let order = self.orders.issue_unlisted();
            let called = Called::Removal { record: name, issued: self.now };
            self.calls.under_way.insert(order, called);
            orders.push(Order { id: order, action: Action::RemoveRecord { record } });
        }
    }

    pub(super) fn removal_settled(&mut self, name: &ObjectName, outcome: &Outcome) {
        match outcome {
            Outcome::Done | Outcome::Gone | Outcome::Written { .. } => {
                self.counters.records_removed += 1;
                self.records.forget(name, &"".into());
            }
            Outcome::Superseded(fact) => self.observe_record((**fact).clone()),
            Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_)
            | Outcome::BoundTo(_) => {
                let until = self.now + self.settings.records_kept;
                self.records.leave_idle(name, until);
            }
        }
    }

    /// The gang of a record that may have lost its last pod.
    pub(super) fn note_idle_of(&mut self, id: GangId) {
        let group = self.gangs.get(id).fact.as_ref().map(|fact| fact.name.clone());
        if let Some(group) = group
            && self.gangs.get(id).tally.of(Standing::Bound) == 0
        {
            self.note_idle(&group);
        }
    }
}
