//! Where a commitment stands: in the words that everybody shares, and finer for the machine itself.
//! Data only: what moves a commitment from one to the next is in `mod` and `settle`.
//! Invariant: within an epoch stages are passed in the order in which they stand here.

/// Where a commitment stands, in the words that code, record, model, and manual share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The seats have left the free pool; nothing is decided.
    Holding,
    /// Decided.
    Committed,
    /// Steps before the binds are being done.
    Preparing,
    /// Binds are under way, or some that failed wait for other seats.
    Publishing,
    /// All that lived were bound.
    Sealed,
    /// Being undone.
    Aborting,
    /// Undone.
    Aborted,
    /// Nothing was decided, or the record has gone to somebody else or nowhere: not this machine's any more.
    Dropped,
}

/// The same, finer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// The record is to be written; so many further parts are.
    Proposing { parts: u32 },
    /// The plan is to be decided.
    Committing,
    /// Older binds of members that got other seats are to be fenced off.
    Fencing,
    /// This step is next.
    Preparing { step: u32 },
    /// Members are to be bound.
    Publishing,
    /// The record is to be sealed.
    Sealing,
    /// Sealed.
    Sealed,
    /// The record is to say that the plan is being undone.
    Aborting,
    /// So many steps remain to be undone.
    Undoing { steps: u32 },
    /// Members are to be fenced or evicted.
    Clearing,
    /// The record is to say that the plan is undone.
    Finishing,
    /// Undone.
    Aborted,
    /// See [`State::Dropped`].
    Dropped,
}

impl State {
    /// The word of the design.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::Committed => "committed",
            Self::Preparing => "preparing",
            Self::Publishing => "publishing",
            Self::Sealed => "sealed",
            Self::Aborting => "aborting",
            Self::Aborted => "aborted",
            Self::Dropped => "dropped",
        }
    }
}
