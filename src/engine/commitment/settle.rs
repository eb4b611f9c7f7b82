//! What happened: replies to calls, and facts about pods, the PodGroup, and the record.
//! Replies and facts may come in any order, late, and about what matters no more. Makes no call.
//! Invariants: a member that is known to be bound is never called open again by a late reply;
//! a stage moves on only by the reply to its own call.

use super::member::{Member, Standing};
use super::stage::Stage;
use super::{Call, Commitment, Owner, REST_MAX, REST_MIN, Sight};
use crate::base::time::{Span, Time};
use crate::engine::event::Outcome;

/// What giving up came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GaveUp {
    /// The plan is being undone, or was not decided and is dropped.
    Undone,
    /// Enough members are bound: the plan is to be repaired without those that are not.
    Enough,
    /// A bound member has no controller that would make it again: the gang is held, and tried further.
    Held,
    /// There is nothing to give up: all is bound, or it is being undone already.
    Nothing,
}

impl<P: Copy> Commitment<P> {
    /// Takes in the reply to a call that [`Commitment::next`] gave.
    pub fn settled(&mut self, call: Call<P>, outcome: &Outcome, now: Time) {
        match call {
            Call::Bind(place) => self.bind_settled(place, outcome, now),
            Call::Fence(place) => self.fence_settled(place, outcome, now),
            Call::Evict(place) => self.evict_settled(place, outcome, now),
            Call::ProposePart(_)
            | Call::Propose
            | Call::Commit
            | Call::Prepare(_)
            | Call::Undo(_)
            | Call::Verify
            | Call::Seal
            | Call::Abort
            | Call::FinishAbort => {
                self.awaited = false;
                self.stage_settled(call, outcome, now);
            }
        }
    }

    fn stage_settled(&mut self, call: Call<P>, outcome: &Outcome, now: Time) {
        let failures = std::mem::take(&mut self.failures);
        let before = self.stage;
        match (call, self.stage) {
            (Call::ProposePart(_) | Call::Propose, Stage::Proposing { .. }) => {
                self.proposed(call, outcome);
            }
            (Call::Commit, Stage::Committing) => self.committed(outcome),
            (Call::Prepare(_), Stage::Preparing { step }) => self.prepared(step, outcome),
            (Call::Undo(_), Stage::Undoing { steps }) => match outcome {
                Outcome::Done | Outcome::Written { .. } | Outcome::Gone => {
                    self.stage = Stage::Undoing { steps: steps - 1 };
                }
                Outcome::BoundTo(_)
                | Outcome::Superseded(_)
                | Outcome::Conflict(_)
                | Outcome::Refused(_)
                | Outcome::Unknown(_) => self.note_trouble(outcome),
            },
            (Call::Verify, Stage::Publishing) => {
                self.verified(outcome, now);
                return;
            }
            (Call::Seal, Stage::Sealing) => self.moved(outcome, Stage::Sealed),
            (Call::Abort, Stage::Aborting) => {
                self.moved(outcome, Stage::Undoing { steps: self.begun });
            }
            (Call::FinishAbort, Stage::Finishing) => self.moved(outcome, Stage::Aborted),
            // The reply comes after the plan was given up.
            (
                Call::ProposePart(_)
                | Call::Propose
                | Call::Commit
                | Call::Prepare(_)
                | Call::Undo(_)
                | Call::Verify
                | Call::Bind(_)
                | Call::Seal
                | Call::Abort
                | Call::Fence(_)
                | Call::Evict(_)
                | Call::FinishAbort,
                _,
            ) => return,
        }
        if self.stage == before && !self.group_is_stale {
            self.rest(failures, now);
        }
    }

    /// The next call of the stage waits; longer with each failure in a row.
    fn rest(&mut self, failures: u32, now: Time) {
        self.failures = failures + 1;
        let rest = REST_MIN.0.saturating_mul(1 << failures.min(16));
        self.rest_until = now + Span(rest.min(REST_MAX.0));
    }

    fn note_trouble(&mut self, outcome: &Outcome) {
        self.trouble = Some(match outcome {
            Outcome::Conflict(why) | Outcome::Refused(why) | Outcome::Unknown(why) => {
                why.as_str().into()
            }
            Outcome::Gone => "the record or its PodGroup is gone".into(),
            Outcome::Superseded(record) => {
                format!("the record says {} {}", record.mark, record.phase.as_str()).as_str().into()
            }
            Outcome::Done | Outcome::Written { .. } | Outcome::BoundTo(_) => return,
        });
    }

    fn proposed(&mut self, call: Call<P>, outcome: &Outcome) {
        self.note_trouble(outcome);
        match (outcome, call) {
            (Outcome::Written { .. }, Call::ProposePart(part)) => {
                self.stage = Stage::Proposing { parts: part };
            }
            (Outcome::Written { resource_version }, _) => {
                self.record.resource_version = *resource_version;
                self.stage = if self.to_be_undone {
                    // Nobody has asked for its decision, and nobody will.
                    Stage::Dropped
                } else if self.rules.commit_on_group {
                    Stage::Committing
                } else {
                    Stage::Preparing { step: 0 }
                };
            }
            (Outcome::Unknown(_), _) => {}
            (
                Outcome::Superseded(_)
                | Outcome::Gone
                | Outcome::Refused(_)
                | Outcome::Conflict(_)
                | Outcome::Done
                | Outcome::BoundTo(_),
                _,
            ) => self.stage = Stage::Dropped,
        }
    }

    fn committed(&mut self, outcome: &Outcome) {
        self.note_trouble(outcome);
        let asked = std::mem::take(&mut self.asked_version);
        match outcome {
            Outcome::Written { resource_version } => {
                self.group.resource_version = *resource_version;
                self.stage = if self.to_be_undone { Stage::Aborting } else { Stage::Fencing };
                for member in &mut self.members {
                    if member.moved && self.rules.fences && !member.is_bound() {
                        member.standing = Standing::ToFence;
                    }
                }
            }
            Outcome::Gone => self.stage = Stage::Dropped,
            Outcome::Conflict(_) | Outcome::Refused(_) if self.to_be_undone => {
                // It was never decided, and no call of ours can decide it any more.
                self.stage = Stage::Dropped;
            }
            // The PodGroup was written since, perhaps its status by ourselves: the next fact tells, unless it has
            // told already, while the decision was under way.
            Outcome::Conflict(_) => self.group_is_stale = self.group.resource_version <= asked,
            Outcome::Refused(_)
            | Outcome::Unknown(_)
            | Outcome::Done
            | Outcome::BoundTo(_)
            | Outcome::Superseded(_) => {}
        }
    }

    fn prepared(&mut self, step: u32, outcome: &Outcome) {
        self.note_trouble(outcome);
        match outcome {
            Outcome::Done | Outcome::Written { .. } => {
                self.stage = Stage::Preparing { step: step + 1 };
            }
            Outcome::Unknown(_) => {}
            Outcome::Conflict(_)
            | Outcome::Gone
            | Outcome::Refused(_)
            | Outcome::Superseded(_)
            | Outcome::BoundTo(_) => self.stage = Stage::Aborting,
        }
    }

    fn verified(&mut self, outcome: &Outcome, now: Time) {
        match outcome {
            Outcome::Done | Outcome::Written { .. } => self.release_batch(),
            Outcome::Superseded(_) | Outcome::Gone => {
                self.note_trouble(outcome);
                self.stage = Stage::Dropped;
            }
            Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_)
            | Outcome::BoundTo(_) => {
                self.note_trouble(outcome);
                for place in 0..self.members.len() {
                    if let Standing::Batched(version) = self.members[place].standing {
                        self.reopen(place, version, now);
                    }
                }
            }
        }
    }

    /// The record moved on, or not.
    fn moved(&mut self, outcome: &Outcome, next: Stage) {
        self.note_trouble(outcome);
        match outcome {
            Outcome::Written { resource_version } => {
                self.record.resource_version = *resource_version;
                self.stage = next;
            }
            Outcome::Superseded(_) | Outcome::Gone => self.stage = Stage::Dropped,
            Outcome::Done
            | Outcome::BoundTo(_)
            | Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_) => {}
        }
    }

    /// The bind of a member failed for now: it is tried again with a newer version, or after a rest.
    fn reopen(&mut self, place: usize, tried: u64, now: Time) {
        let again = now + Span::seconds(1);
        let member = &mut self.members[place];
        member.standing = Standing::Open { tried, again };
        let at = if member.seat.version > tried { now } else { again };
        self.try_again = self.try_again.min(at);
    }

    fn bind_settled(&mut self, place: u32, outcome: &Outcome, now: Time) {
        self.under_way -= 1;
        let place = place as usize;
        // A fact may have told before, or the plan have been given up meanwhile.
        let Standing::Binding(version) = self.members[place].standing else { return };
        self.note_trouble(outcome);
        match outcome {
            Outcome::Done | Outcome::Written { .. } => {
                self.members[place].standing = Standing::Bound;
            }
            Outcome::BoundTo(node) => {
                let sight = Sight::Bound(node.clone());
                self.see(place, sight, now);
            }
            Outcome::Conflict(_) | Outcome::Superseded(_) | Outcome::Unknown(_) => {
                if self.rules.doubt_is_no_failure {
                    self.reopen(place, version, now);
                } else {
                    self.stage = Stage::Finishing;
                }
            }
            Outcome::Gone => self.members[place].standing = Standing::Lost,
            Outcome::Refused(_) => self.members[place].standing = Standing::Denied,
        }
    }

    fn fence_settled(&mut self, place: u32, outcome: &Outcome, now: Time) {
        self.under_way -= 1;
        let place = place as usize;
        let member = &mut self.members[place];
        if member.standing != Standing::Fencing {
            return;
        }
        match outcome {
            Outcome::Written { resource_version } => {
                member.seat.version = member.seat.version.max(*resource_version);
                member.moved = false;
                member.standing = match self.stage {
                    Stage::Fencing => Standing::Open { tried: 0, again: Time(i64::MIN) },
                    Stage::Proposing { .. }
                    | Stage::Committing
                    | Stage::Preparing { .. }
                    | Stage::Publishing
                    | Stage::Sealing
                    | Stage::Sealed
                    | Stage::Aborting
                    | Stage::Undoing { .. }
                    | Stage::Clearing
                    | Stage::Finishing
                    | Stage::Aborted
                    | Stage::Dropped => Standing::Fenced,
                };
                self.try_again = Time(i64::MIN);
            }
            Outcome::BoundTo(node) => {
                let sight = Sight::Bound(node.clone());
                self.see(place, sight, now);
            }
            Outcome::Gone => member.standing = Standing::Lost,
            Outcome::Done
            | Outcome::Superseded(_)
            | Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_) => {
                member.standing = Standing::ToFence;
                self.note_trouble(outcome);
                self.rest(self.failures, now);
            }
        }
    }

    fn evict_settled(&mut self, place: u32, outcome: &Outcome, now: Time) {
        self.under_way -= 1;
        let member = &mut self.members[place as usize];
        if member.standing != Standing::Evicting {
            return;
        }
        match outcome {
            Outcome::Done | Outcome::Gone | Outcome::Written { .. } => {
                member.standing = Standing::Evicted;
            }
            Outcome::BoundTo(_)
            | Outcome::Superseded(_)
            | Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unknown(_) => {
                member.standing = Standing::ToEvict;
                self.note_trouble(outcome);
                self.rest(self.failures, now);
            }
        }
    }

    /// Takes in what a fact shows of a member; what is no member does not matter.
    pub fn pod_seen(&mut self, uid: &str, sight: Sight, now: Time) {
        if let Some(place) = self.place(uid) {
            self.see(place, sight, now);
        }
    }

    fn see(&mut self, place: usize, sight: Sight, now: Time) {
        // Counted before the first of them is lost.
        self.reached |= sight == Sight::Lost
            && self.stage == Stage::Publishing
            && self.members[place].is_bound()
            && self.bound() >= self.minimum.max(1);
        let is_clearing = self.stage == Stage::Clearing;
        let is_undecided = matches!(self.stage, Stage::Proposing { .. } | Stage::Committing);
        let member = &mut self.members[place];
        match sight {
            Sight::Unbound(version) => {
                member.seat.version = member.seat.version.max(version);
                if let Standing::Open { tried, .. } = member.standing
                    && member.seat.version > tried
                {
                    self.try_again = self.try_again.min(now);
                }
            }
            Sight::Lost => member.standing = Standing::Lost,
            Sight::Bound(node) => match member.standing {
                // Being bound makes no difference to a member that is on its way out, or was known to be bound.
                Standing::Bound
                | Standing::Elsewhere
                | Standing::Lost
                | Standing::ToEvict
                | Standing::Evicting
                | Standing::Evicted
                | Standing::Kept => {}
                Standing::Open { .. }
                | Standing::Batched(_)
                | Standing::ToBind(_)
                | Standing::Binding(_)
                | Standing::Denied
                | Standing::ToFence
                | Standing::Fencing
                | Standing::Fenced => member.found_bound(node, is_clearing),
            },
        }
        let holds_good = !matches!(member.standing, Standing::Lost | Standing::Elsewhere);
        if is_undecided && !holds_good {
            // What is not decided yet is not worth a repair: another plan is made.
            self.give_up();
        }
    }

    /// Takes in that the PodGroup is in this version now, and asks for the same as when the plan was made.
    pub fn group_seen(&mut self, version: u64) {
        if version > self.group.resource_version {
            self.group.resource_version = version;
            self.group_is_stale = false;
        }
    }

    /// Takes in a version of the record that says what this machine believes of it.
    pub fn record_seen(&mut self, version: u64) {
        self.record.resource_version = self.record.resource_version.max(version);
    }

    /// The time for the binding is over, or the gang no longer wants what the plan says.
    pub fn give_up(&mut self) -> GaveUp {
        match self.stage {
            Stage::Proposing { parts: 0 } if !self.awaited && self.failures == 0 => {
                self.stage = Stage::Dropped;
                GaveUp::Undone
            }
            // No call of ours can have decided it, or can any more.
            Stage::Committing if !self.awaited && (self.group_is_stale || self.failures == 0) => {
                self.stage = Stage::Dropped;
                GaveUp::Undone
            }
            Stage::Committing if !self.awaited => {
                self.stage = Stage::Aborting;
                GaveUp::Undone
            }
            Stage::Proposing { .. } | Stage::Committing => {
                self.to_be_undone = true;
                GaveUp::Undone
            }
            Stage::Fencing | Stage::Preparing { .. } | Stage::Publishing => {
                if self.reached || self.bound() >= self.minimum.max(1) {
                    return GaveUp::Enough;
                }
                let is_bare =
                    |member: &Member| member.is_bound() && member.seat.owner == Owner::Nobody;
                if self.members.iter().any(is_bare) {
                    return GaveUp::Held;
                }
                self.due.clear();
                self.stage = Stage::Aborting;
                GaveUp::Undone
            }
            Stage::Sealing
            | Stage::Sealed
            | Stage::Aborting
            | Stage::Undoing { .. }
            | Stage::Clearing
            | Stage::Finishing
            | Stage::Aborted
            | Stage::Dropped => GaveUp::Nothing,
        }
    }
}

impl Member {
    fn found_bound(&mut self, node: crate::base::names::Name, is_clearing: bool) {
        let as_planned = node == self.seat.node;
        self.seat.node = node;
        self.standing = match (is_clearing, self.seat.owner) {
            (true, Owner::Controller) => Standing::ToEvict,
            (true, Owner::Nobody) => Standing::Kept,
            (false, _) if as_planned => Standing::Bound,
            (false, _) => Standing::Elsewhere,
        };
    }
}
