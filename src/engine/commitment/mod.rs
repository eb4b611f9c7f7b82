//! How the placing of a gang's minimum is carried out, from the plan to the last bind.
//! A pure state machine: it is told what happened, and says what may happen next. It holds no seat
//! itself and sends nothing. Invariants: states only move forward; one commitment per gang;
//! nothing but the minimum is placed before it is sealed.
//!
//! ```text
//!               ┌ the durable record ┐ ┌ steps with undo ┐
//!  plan ─▶ holding ─▶ (committed) ─▶ (preparing) ─▶ publishing ─────────▶ sealed
//!  seats held   │            │             │        │  ▲  all of the minimum is bound
//!               │            │             │        └──┘ repair: another seat, next epoch
//!               └────────────┴──────┬──────┴────────┘
//!                                   ▼
//!                              (aborting) ─▶ (aborted)
//! ```
//!
//! States in brackets are of the full protocol and pass at once here: nothing is recorded, nothing
//! has to be prepared, and what cannot be bound is repaired until it can, since a bound pod stays.

/// The binding of a gang's minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commitment {
    /// Which plan of the gang this is, from 1.
    epoch: u32,
    /// How many members have to be bound for the seal.
    minimum: u32,
    state: State,
}

/// Where a commitment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The plan's capacity has left the free pool; nothing is sent.
    Holding,
    /// Binds are under way, or one that failed waits for another seat.
    Publishing,
    /// The minimum is bound. What comes later is bound one by one.
    Sealed,
}

/// What a commitment may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The binds went out.
    Published,
    /// Members that could not be bound got other seats, which are held.
    Repaired,
    /// What has become of the members by now.
    Arrived {
        /// How many are bound and alive, or have finished well.
        arrived: u32,
        /// The gang's minimum as it is now. A lower one than the plan's is enough for the seal;
        /// a higher one is another matter, after it.
        minimum: u32,
    },
}

impl Commitment {
    /// The commitment of a plan whose seats are held.
    pub(super) const fn hold(epoch: u32, minimum: u32) -> Self {
        Self { epoch, minimum, state: State::Holding }
    }

    /// Its epoch.
    pub(super) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Where it stands.
    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Takes a step. Steps that come late or twice change nothing.
    #[must_use]
    pub(super) const fn after(self, step: Step) -> Self {
        let Self { epoch, minimum, state } = self;
        match (state, step) {
            (State::Holding, Step::Published) => Self { epoch, minimum, state: State::Publishing },
            (State::Publishing, Step::Repaired) => {
                Self { epoch: epoch + 1, minimum, state: State::Holding }
            }
            (State::Publishing, Step::Arrived { arrived, minimum: now })
                if arrived >= minimum || arrived >= now =>
            {
                Self { epoch, minimum, state: State::Sealed }
            }
            (State::Holding, Step::Repaired | Step::Arrived { .. })
            | (State::Publishing, Step::Published | Step::Arrived { .. })
            | (State::Sealed, Step::Published | Step::Repaired | Step::Arrived { .. }) => self,
        }
    }
}

impl State {
    /// The word of the design.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::Publishing => "publishing",
            Self::Sealed => "sealed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Commitment, State, Step};

    fn arrived(arrived: u32) -> Step {
        Step::Arrived { arrived, minimum: 2 }
    }

    #[test]
    fn a_commitment_is_sealed_when_its_minimum_has_arrived_and_not_before() {
        let held = Commitment::hold(1, 2);
        assert_eq!(held.after(arrived(2)).state(), State::Holding, "nothing was sent yet");
        let published = held.after(Step::Published);
        assert_eq!(published.state(), State::Publishing);
        assert_eq!(published.after(arrived(1)), published);
        assert_eq!(published.after(arrived(2)).state(), State::Sealed);
    }

    #[test]
    fn a_minimum_lowered_meanwhile_seals_and_a_raised_one_does_not_hinder() {
        let published = Commitment::hold(1, 3).after(Step::Published);
        assert_eq!(
            published.after(Step::Arrived { arrived: 2, minimum: 2 }).state(),
            State::Sealed
        );
        assert_eq!(published.after(Step::Arrived { arrived: 2, minimum: 5 }), published);
        assert_eq!(
            published.after(Step::Arrived { arrived: 3, minimum: 5 }).state(),
            State::Sealed
        );
    }

    #[test]
    fn a_repair_is_the_next_epoch_and_goes_out_again() {
        let repaired = Commitment::hold(4, 2).after(Step::Published).after(Step::Repaired);
        assert_eq!((repaired.epoch(), repaired.state()), (5, State::Holding));
        assert_eq!(repaired.after(Step::Published).state(), State::Publishing);
    }

    #[test]
    fn steps_after_the_seal_change_nothing() {
        let sealed = Commitment::hold(1, 2).after(Step::Published).after(arrived(2));
        for step in [Step::Published, Step::Repaired, arrived(0), arrived(9)] {
            assert_eq!(sealed.after(step), sealed);
        }
    }
}
