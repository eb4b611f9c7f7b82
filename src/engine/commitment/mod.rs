//! GangCommit: how the plan of a gang is carried out, so that the gang is bound whole or not at all, whatever
//! crashes. A pure state machine: it is told what happened and says which calls to make next, one API call each.
//! It knows names, uids, versions, epochs, and phases; no capacity, no clock, no other gang.
//! Invariants: no bind before its plan is recorded and decided; states only move forward within an epoch;
//! a call that may have taken effect is never called failed; a plan counts as undone only when none of its
//! binds can apply any more.
//!
//! ```text
//!            record    annotation     steps         reads + binds        record
//!  holding ────────▶ ○ ────────▶ committed ─▶ preparing ─▶ publishing ────────▶ sealed
//!  seats held            │           │            │          │   ▲
//!                        │           │            │          └───┘ repair: next epoch, the bound ones pinned
//!                        │ (void)    └────────────┴────┬─────┘
//!                        ▼                    record   ▼   undo, fence, evict   record
//!                     dropped                       aborting ───────────────────────▶ aborted
//! ```
//!
//! The same machine runs in the product, in the model of `tests/model`, and in the worlds with faults.

mod member;
mod resume;
mod rules;
mod settle;
mod stage;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;

pub use self::member::{Owner, Seat, Sight};
pub use self::resume::Standpoint;
pub use self::rules::Rules;
pub use self::settle::GaveUp;
pub use self::stage::State;

use self::member::{Member, Standing};
use self::stage::Stage;
use super::action::{Action, BindRole, EvictCause, GroupRef, RecordRef};
use super::order::PodRef;
use super::record::{
    Fingerprint, MEMBERS_PER_OBJECT, RecordFact, RecordMember, RecordPart, RecordPhase, part_name,
    record_name,
};
use crate::base::names::Name;
use crate::base::time::{Span, Time};
use crate::cluster::facts::CommitMark;

/// Rest before a call that did not go well is made again; it doubles each time.
const REST_MIN: Span = Span::milliseconds(200);

/// The rests end their doubling here.
const REST_MAX: Span = Span::seconds(10);

/// A step of the preparation that a capability brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrepareStep {
    /// The claims of all members are bound to the volumes that they were promised, or provisioned. What a provisioner
    /// has bound cannot be undone: it pins the next plan to where it is.
    Volumes,
}

/// What became of the plan that a new one replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Predecessor {
    /// There is none, or it is over: sealed, or undone and fenced.
    Over,
    /// It is recorded as proposed, and who knows whether it was decided, or will have been when it is replaced:
    /// binds of it may be under way, so members that are not bound are fenced first.
    Open,
}

/// What a plan is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proposal<P = PrepareStep> {
    /// The PodGroup, in the version that the plan was made from.
    pub group: GroupRef,
    /// The version of the gang's record that this plan replaces; 0 where there is none.
    pub record_version: u64,
    /// What the plan that is replaced may still do.
    pub predecessor: Predecessor,
    /// Higher than that of every plan of the gang before.
    pub epoch: u32,
    /// How many members the gang needs.
    pub minimum: u32,
    /// All members, the bound ones too, in plan order.
    pub seats: Vec<Seat>,
    /// What has to be done before the binds, in order. Each must bear being done and undone twice, and must not take
    /// effect for a plan any more once it was undone for it: a scheduler that no longer leads may be late.
    pub steps: Vec<P>,
    /// When the binding is to be given up. Written down; who counts is whoever asks for [`Commitment::give_up`].
    pub deadline: Time,
    /// Who proposes. Written down.
    pub leader: Name,
}

/// A call to make. Calls about members name them by their place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call<P = PrepareStep> {
    /// Write a further part of the record, by its number from 1.
    ProposePart(u32),
    /// Write the record.
    Propose,
    /// Decide the plan.
    Commit,
    /// Do a step of the preparation.
    Prepare(P),
    /// Undo one.
    Undo(P),
    /// Make sure that binds may go out.
    Verify,
    /// Bind a member.
    Bind(u32),
    /// Write down that all are bound.
    Seal,
    /// Write down that the plan is being undone.
    Abort,
    /// Fence a member.
    Fence(u32),
    /// Evict a member.
    Evict(u32),
    /// Write down that the plan is undone.
    FinishAbort,
}

/// The binding of a gang's plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Commitment<P = PrepareStep> {
    rules: Rules,
    group: GroupRef,
    record: RecordRef,
    mark: CommitMark,
    minimum: u32,
    members: Vec<Member>,
    /// Places of the members, by uid.
    by_uid: Vec<u32>,
    steps: Vec<P>,
    deadline: Time,
    leader: Name,
    stage: Stage,
    /// Whether the stage's own call is under way.
    awaited: bool,
    /// Members whose next call is due.
    due: VecDeque<u32>,
    /// Calls about members that are under way.
    under_way: u32,
    /// The stage's own call is not made before this.
    rest_until: Time,
    /// Calls of the stage that did not go well in a row.
    failures: u32,
    /// What went wrong last, for people.
    trouble: Option<Name>,
    /// Whether the plan is to be undone as soon as it is known whether it was decided.
    to_be_undone: bool,
    /// Whether as many as are needed were bound at one time: what is lost after that is no longer this plan's to mend.
    reached: bool,
    /// Whether the PodGroup is known to be in another version than the one that was to be decided on.
    group_is_stale: bool,
    /// The version of the PodGroup that the decision under way names; 0 while none is.
    asked_version: u64,
    /// So many steps were begun.
    begun: u32,
    /// When the next member whose bind failed is to be tried again.
    try_again: Time,
}

impl<P: Copy> Commitment<P> {
    /// The commitment of a plan whose seats are held.
    pub fn hold(proposal: Proposal<P>, rules: Rules) -> Self {
        let moved = proposal.predecessor == Predecessor::Open;
        let member = |seat| Member { moved, ..Member::new(seat) };
        let members = proposal.seats.into_iter().map(member).collect();
        let mut commitment = Self {
            rules,
            record: RecordRef {
                name: record_name(&proposal.group.name),
                resource_version: proposal.record_version,
            },
            group: proposal.group,
            mark: CommitMark { epoch: proposal.epoch, hash: 0 },
            minimum: proposal.minimum,
            members,
            by_uid: Vec::new(),
            steps: proposal.steps,
            deadline: proposal.deadline,
            leader: proposal.leader,
            stage: Stage::Proposing { parts: 0 },
            awaited: false,
            due: VecDeque::new(),
            under_way: 0,
            rest_until: Time(i64::MIN),
            failures: 0,
            trouble: None,
            to_be_undone: false,
            reached: false,
            group_is_stale: false,
            asked_version: 0,
            begun: 0,
            try_again: Time(i64::MIN),
        };
        commitment.index();
        commitment.mark.hash = commitment.fingerprint();
        if !rules.record_before_binds {
            commitment.stage = Stage::Publishing;
        }
        commitment
    }

    /// Sorts the members' places by uid.
    fn index(&mut self) {
        let count = u32::try_from(self.members.len()).expect("gangs are far smaller");
        self.by_uid = (0..count).collect();
        let members = &self.members;
        self.by_uid.sort_by(|left, right| {
            members[*left as usize].seat.uid.cmp(&members[*right as usize].seat.uid)
        });
    }

    /// What the plan says, as one number.
    fn fingerprint(&self) -> u64 {
        let mut fingerprint = Fingerprint::new();
        fingerprint.number(u64::from(self.mark.epoch));
        fingerprint.number(u64::from(self.minimum));
        fingerprint.text(&self.group.uid);
        for member in &self.members {
            fingerprint.text(&member.seat.uid);
            fingerprint.text(&member.seat.node);
        }
        fingerprint.value()
    }

    /// The next call to make at `now`, which counts as under way from here on.
    pub fn next(&mut self, now: Time) -> Option<Call<P>> {
        if let Some(call) = self.next_due() {
            return Some(call);
        }
        if self.awaited || self.rest_until > now {
            return None;
        }
        let call = self.stage_call(now)?;
        match call {
            Call::Bind(_) | Call::Fence(_) | Call::Evict(_) => {}
            Call::Commit => {
                self.asked_version = self.group.resource_version;
                self.awaited = true;
            }
            Call::ProposePart(_)
            | Call::Propose
            | Call::Prepare(_)
            | Call::Undo(_)
            | Call::Verify
            | Call::Seal
            | Call::Abort
            | Call::FinishAbort => self.awaited = true,
        }
        Some(call)
    }

    /// The next call about a member that is due; what was seen meanwhile may have made it needless.
    fn next_due(&mut self) -> Option<Call<P>> {
        while let Some(place) = self.due.pop_front() {
            let member = &mut self.members[place as usize];
            let (standing, call) = match member.standing {
                Standing::ToBind(version) => {
                    let known = self.rules.versions_before_verification;
                    let version = if known { version } else { member.seat.version };
                    (Standing::Binding(version), Call::Bind(place))
                }
                Standing::ToFence => (Standing::Fencing, Call::Fence(place)),
                Standing::ToEvict => (Standing::Evicting, Call::Evict(place)),
                Standing::Open { .. }
                | Standing::Batched(_)
                | Standing::Binding(_)
                | Standing::Bound
                | Standing::Elsewhere
                | Standing::Denied
                | Standing::Lost
                | Standing::Fencing
                | Standing::Fenced
                | Standing::Evicting
                | Standing::Evicted
                | Standing::Kept => continue,
            };
            member.standing = standing;
            self.under_way += 1;
            return Some(call);
        }
        None
    }

    /// The stage's own call; stages that have none left to make move on.
    fn stage_call(&mut self, now: Time) -> Option<Call<P>> {
        loop {
            match self.stage {
                Stage::Proposing { parts } if parts < self.further() => {
                    return Some(Call::ProposePart(parts + 1));
                }
                Stage::Proposing { .. } => return Some(Call::Propose),
                Stage::Committing if self.group_is_stale => return None,
                Stage::Committing => return Some(Call::Commit),
                Stage::Fencing => {
                    if self.list_due() {
                        return self.next_due();
                    }
                    if !self.is_cleared() {
                        return None;
                    }
                    self.stage = Stage::Preparing { step: 0 };
                }
                Stage::Clearing => {
                    if self.list_due() {
                        return self.next_due();
                    }
                    if !self.is_cleared() {
                        return None;
                    }
                    if self.keeps_someone() {
                        self.give_up_fenced();
                        return None;
                    }
                    self.stage = Stage::Finishing;
                }
                Stage::Preparing { step } => match self.steps.get(step as usize) {
                    Some(next) => {
                        self.begun = self.begun.max(step + 1);
                        return Some(Call::Prepare(*next));
                    }
                    None => self.stage = Stage::Publishing,
                },
                Stage::Publishing => {
                    if self.gather_batch(now) {
                        if self.rules.record_before_binds {
                            return Some(Call::Verify);
                        }
                        self.release_batch();
                        return self.next_due();
                    }
                    if self.under_way > 0 || !self.all_have_arrived() {
                        return None;
                    }
                    if !self.rules.record_before_binds {
                        self.stage = Stage::Sealed;
                        return None;
                    }
                    self.stage = Stage::Sealing;
                }
                Stage::Sealing => return Some(Call::Seal),
                Stage::Aborting => return Some(Call::Abort),
                Stage::Undoing { steps } => match steps.checked_sub(1) {
                    Some(last) if self.rules.steps_are_undone => {
                        return Some(Call::Undo(self.steps[last as usize]));
                    }
                    Some(_) | None => self.begin_clearing(),
                },
                Stage::Finishing => return Some(Call::FinishAbort),
                Stage::Sealed | Stage::Aborted | Stage::Dropped => return None,
            }
        }
    }

    /// Puts all members that may be bound now into one batch. True if there are any.
    fn gather_batch(&mut self, now: Time) -> bool {
        // A gang that has lost members is completed first: what is not bound yet waits for the repair.
        // One that is bound elsewhere may sit where another was to be: the plan is made anew around it.
        if self.try_again > now
            || self.lacks_members()
            || self.members.iter().any(|member| member.standing == Standing::Elsewhere)
        {
            return false;
        }
        let mut any = false;
        self.try_again = Time::FAR_FUTURE;
        for member in &mut self.members {
            if member.is_ready(now) {
                member.standing = Standing::Batched(member.seat.version);
                any = true;
            } else if let Standing::Open { again, .. } = member.standing {
                self.try_again = self.try_again.min(again);
            }
        }
        any
    }

    /// The binds of the batch go out next.
    fn release_batch(&mut self) {
        for (place, member) in self.members.iter_mut().enumerate() {
            if let Standing::Batched(version) = member.standing {
                member.standing = Standing::ToBind(version);
                self.due.push_back(u32::try_from(place).expect("gangs are far smaller"));
            }
        }
    }

    /// Every member that is left has to go.
    fn begin_clearing(&mut self) {
        self.stage = Stage::Clearing;
        self.due.clear();
        for member in &mut self.members {
            member.standing = match member.standing {
                Standing::Bound | Standing::Elsewhere => match member.seat.owner {
                    Owner::Controller => Standing::ToEvict,
                    Owner::Nobody => Standing::Kept,
                },
                Standing::Lost => Standing::Lost,
                Standing::Open { .. }
                | Standing::Batched(_)
                | Standing::ToBind(_)
                | Standing::Binding(_)
                | Standing::Denied
                | Standing::ToFence
                | Standing::Fencing
                | Standing::Fenced => {
                    if self.rules.fences {
                        Standing::ToFence
                    } else {
                        Standing::Fenced
                    }
                }
                ref other @ (Standing::ToEvict
                | Standing::Evicting
                | Standing::Evicted
                | Standing::Kept) => other.clone(),
            };
        }
    }

    /// Members that are fenced hold their seats no longer: the gang is completed around those that stay.
    fn give_up_fenced(&mut self) {
        for member in &mut self.members {
            if member.standing == Standing::Fenced {
                member.standing = Standing::Denied;
            }
        }
    }

    /// Lists the members that are to be fenced or evicted, once nothing else about members is under way.
    /// True if there are any.
    fn list_due(&mut self) -> bool {
        if self.under_way > 0 {
            return false;
        }
        for (place, member) in self.members.iter().enumerate() {
            if matches!(member.standing, Standing::ToFence | Standing::ToEvict) {
                self.due.push_back(u32::try_from(place).expect("gangs are far smaller"));
            }
        }
        !self.due.is_empty()
    }

    /// True if nothing of the plan is left to fence or evict.
    fn is_cleared(&self) -> bool {
        let is_left = |member: &Member| {
            let standing = &member.standing;
            matches!(
                standing,
                Standing::ToFence | Standing::Fencing | Standing::ToEvict | Standing::Evicting
            )
        };
        self.under_way == 0 && !self.members.iter().any(is_left)
    }

    /// How many further objects hold members.
    fn further(&self) -> u32 {
        let objects = self.members.len().div_ceil(MEMBERS_PER_OBJECT).max(1);
        u32::try_from(objects - 1).expect("gangs are far smaller")
    }
}
