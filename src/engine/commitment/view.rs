//! What others may ask of a commitment: where it stands, who holds a seat by it, what it lacks, when to look again.
//! Changes nothing, except that a seat can be denied from outside, and calls nothing.
//! Invariant: a seat is held as long as a bind of it may be sent or apply.

use super::member::{Member, Standing};
use super::stage::{Stage, State};
use super::{Commitment, RecordRef, Seat};
use crate::base::names::Name;
use crate::base::time::Time;
use crate::cluster::facts::CommitMark;

impl<P: Copy> Commitment<P> {
    /// Which plan it is.
    pub const fn mark(&self) -> CommitMark {
        self.mark
    }

    /// The record and the version of it that is known.
    pub const fn record(&self) -> &RecordRef {
        &self.record
    }

    /// How many members the plan needs.
    pub const fn minimum(&self) -> u32 {
        self.minimum
    }

    /// What went wrong last.
    pub const fn trouble(&self) -> Option<&Name> {
        self.trouble.as_ref()
    }

    /// Where it stands.
    pub const fn state(&self) -> State {
        match self.stage {
            Stage::Proposing { .. } | Stage::Committing => State::Holding,
            Stage::Fencing => State::Committed,
            Stage::Preparing { .. } => State::Preparing,
            Stage::Publishing | Stage::Sealing => State::Publishing,
            Stage::Sealed => State::Sealed,
            Stage::Aborting | Stage::Undoing { .. } | Stage::Clearing | Stage::Finishing => {
                State::Aborting
            }
            Stage::Aborted => State::Aborted,
            Stage::Dropped => State::Dropped,
        }
    }

    /// True once nothing more will be called.
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Sealed | Stage::Aborted | Stage::Dropped)
    }

    /// True if no call is under way: only then may the plan be replaced.
    pub const fn is_quiet(&self) -> bool {
        !self.awaited && self.under_way == 0
    }

    /// True if the next calls are binds, or wait for a repair.
    pub const fn is_about_to_bind(&self) -> bool {
        matches!(self.stage, Stage::Publishing)
    }

    /// The plan's seats: who is to be where.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.members.iter().map(|member| &member.seat)
    }

    /// The seat of the member at `place`.
    pub fn seat(&self, place: u32) -> &Seat {
        &self.members[place as usize].seat
    }

    /// Members that are known to be bound, wherever.
    pub fn bound(&self) -> u32 {
        let bound = self.members.iter().filter(|member| member.is_bound()).count();
        u32::try_from(bound).expect("gangs are far smaller")
    }

    /// True if it cannot go on as planned: members need other seats, or others have to take the places of lost ones.
    /// The machine waits for [`Commitment::repair`] then; until it comes, the other members are bound.
    pub fn wants_repair(&self) -> bool {
        match self.stage {
            Stage::Publishing => {
                let unplaced = |member: &Member| {
                    matches!(member.standing, Standing::Denied | Standing::Elsewhere)
                };
                let too_few = self.survivors() < self.minimum && !self.all_have_arrived();
                too_few || self.members.iter().any(unplaced)
            }
            // All is cleared but the bare pods: they stay, and the gang is completed around them.
            Stage::Clearing => self.is_cleared() && self.keeps_someone(),
            Stage::Proposing { .. }
            | Stage::Committing
            | Stage::Fencing
            | Stage::Preparing { .. }
            | Stage::Sealing
            | Stage::Sealed
            | Stage::Aborting
            | Stage::Undoing { .. }
            | Stage::Finishing
            | Stage::Aborted
            | Stage::Dropped => false,
        }
    }

    /// Members that are not lost.
    pub(super) fn survivors(&self) -> u32 {
        let lost = |member: &&Member| member.standing != Standing::Lost;
        u32::try_from(self.members.iter().filter(lost).count()).expect("gangs are far smaller")
    }

    /// True if fewer than are needed are bound or can be bound as planned: no further one is bound then.
    pub(super) fn lacks_members(&self) -> bool {
        self.placeable() < self.minimum
    }

    /// True if every member that lives is bound as planned, and as many as are needed were at one time.
    pub(super) fn all_have_arrived(&self) -> bool {
        let done = |member: &Member| matches!(member.standing, Standing::Bound | Standing::Lost);
        let enough = self.reached || self.bound() >= self.minimum.max(1);
        enough && self.members.iter().all(done)
    }

    /// Members that are bound or may be bound where they are planned.
    fn placeable(&self) -> u32 {
        let placeable =
            |member: &&Member| !matches!(member.standing, Standing::Lost | Standing::Denied);
        u32::try_from(self.members.iter().filter(placeable).count()).expect("gangs are far smaller")
    }

    pub(super) fn keeps_someone(&self) -> bool {
        self.members.iter().any(|member| member.standing == Standing::Kept)
    }

    /// Members that hold a seat by this plan and are not bound: their capacity must stay held.
    pub fn holds(&self, uid: &str) -> bool {
        self.place(uid).is_some_and(|place| {
            let member = &self.members[place];
            !self.is_over() && !matches!(member.standing, Standing::Denied | Standing::Lost)
        })
    }

    /// Members that are bound, or may still be bound where they are planned: what a repair starts from.
    pub fn remaining(&self) -> Vec<Seat> {
        let remains = |member: &&Member| {
            !matches!(member.standing, Standing::Denied | Standing::Lost | Standing::Evicted)
                && (self.stage != Stage::Clearing || member.is_bound())
        };
        self.members.iter().filter(remains).map(|member| member.seat.clone()).collect()
    }

    /// A member cannot be bound where it is planned, and nothing of its bind is under way.
    pub fn deny(&mut self, uid: &str, why: &str) {
        if let Some(place) = self.place(uid)
            && !self.members[place].is_bound()
            && !self.members[place].is_under_way()
        {
            self.members[place].standing = Standing::Denied;
            self.trouble = Some(why.into());
        }
    }

    /// The place of a member.
    pub(super) fn place(&self, uid: &str) -> Option<usize> {
        let found = self
            .by_uid
            .binary_search_by(|place| (*self.members[*place as usize].seat.uid).cmp(uid))
            .ok()?;
        Some(self.by_uid[found] as usize)
    }

    /// When to ask for the next call although nothing happens.
    pub fn wakeup(&self) -> Option<Time> {
        if self.awaited || !self.due.is_empty() {
            return None;
        }
        match self.stage {
            Stage::Sealed | Stage::Aborted | Stage::Dropped => None,
            // What is not bound yet waits for a repair, whatever the time.
            Stage::Publishing if self.lacks_members() || self.wants_repair() => None,
            Stage::Publishing => {
                (self.try_again < Time::FAR_FUTURE).then_some(self.try_again.max(self.rest_until))
            }
            Stage::Committing if self.group_is_stale => None,
            Stage::Fencing | Stage::Clearing if self.is_cleared() => None,
            Stage::Proposing { .. }
            | Stage::Committing
            | Stage::Fencing
            | Stage::Preparing { .. }
            | Stage::Sealing
            | Stage::Aborting
            | Stage::Undoing { .. }
            | Stage::Clearing
            | Stage::Finishing => {
                (self.failures > 0 && self.under_way == 0).then_some(self.rest_until)
            }
        }
    }
}
