//! One member of a plan, and what is known of its bind.
//! Knows no other member and no capacity, and makes no call.
//! Invariant: a member that is bound stays bound or is lost; nothing else unbinds a pod.

use crate::base::names::{Name, ObjectName};
use crate::base::time::Time;

/// What becomes of a bare pod's gang when it would have to be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// Its controller makes another one if it is evicted.
    Controller,
    /// Nobody would make it again: it is never deleted by an abort.
    Nobody,
}

/// A seat of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seat {
    /// The pod.
    pub pod: ObjectName,
    /// Its uid.
    pub uid: Name,
    /// Where it is to be bound.
    pub node: Name,
    /// The latest version of it that is known.
    pub version: u64,
    /// Who would make it again.
    pub owner: Owner,
}

/// What a fact or a reply shows of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// It is unbound, in this version.
    Unbound(u64),
    /// It is bound to this node.
    Bound(Name),
    /// It is gone, being deleted, or finished badly: it will not be bound, or is no member any more.
    Lost,
}

/// How a member stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// To be bound, at this time or, where a bind of version `tried` failed, as soon as a newer version is known.
    Open { tried: u64, again: Time },
    /// In the batch that is being verified; the bind will name this version.
    Batched(u64),
    /// Verified; the bind goes out next.
    ToBind(u64),
    /// The bind of this version is under way.
    Binding(u64),
    /// Bound as planned.
    Bound,
    /// Bound to another node than planned, by an older plan or by somebody else.
    Elsewhere,
    /// The API does not take its bind: it needs another seat.
    Denied,
    /// Gone.
    Lost,
    /// To be fenced, then bound, or left where the plan is undone.
    ToFence,
    /// The fence is under way.
    Fencing,
    /// Fenced; no bind of this plan or an older one can apply any more.
    Fenced,
    /// To be evicted.
    ToEvict,
    /// The eviction is under way.
    Evicting,
    /// Evicted.
    Evicted,
    /// Bound, and not to be evicted since nobody would make it again.
    Kept,
}

/// A member of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) seat: Seat,
    pub(super) standing: Standing,
    /// Whether its seat is another one than in the plan before: older binds must be fenced off first.
    pub(super) moved: bool,
}

impl Member {
    pub(super) const fn new(seat: Seat) -> Self {
        Self { seat, standing: Standing::Open { tried: 0, again: Time(i64::MIN) }, moved: false }
    }

    /// True if a bind may go out now.
    pub(super) fn is_ready(&self, now: Time) -> bool {
        match self.standing {
            Standing::Open { tried, again } => self.seat.version > tried || again <= now,
            Standing::Batched(_)
            | Standing::ToBind(_)
            | Standing::Binding(_)
            | Standing::Bound
            | Standing::Elsewhere
            | Standing::Denied
            | Standing::Lost
            | Standing::ToFence
            | Standing::Fencing
            | Standing::Fenced
            | Standing::ToEvict
            | Standing::Evicting
            | Standing::Evicted
            | Standing::Kept => false,
        }
    }

    /// True if it is known to be bound, wherever.
    pub(super) const fn is_bound(&self) -> bool {
        matches!(
            self.standing,
            Standing::Bound
                | Standing::Elsewhere
                | Standing::ToEvict
                | Standing::Evicting
                | Standing::Kept
        )
    }

    /// True if a call about it is under way.
    pub(super) const fn is_under_way(&self) -> bool {
        matches!(self.standing, Standing::Binding(_) | Standing::Fencing | Standing::Evicting)
    }
}
