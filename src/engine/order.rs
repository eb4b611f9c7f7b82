//! What the engine wants done: orders, whose outcome must come back, and notices, which may be dropped.
//! Speaks names, uids, and versions, never ids, and no request of any API: the rim makes those.
//! Every order names what it presupposes, so that one that comes late or twice does no harm.

pub use super::action::{Action, BindRole, EvictCause, GroupRef, RecordRef};
use crate::base::names::{Name, ObjectName};
use crate::cluster::facts::{GroupName, GroupStatus};

/// Names an order within one run of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

impl OrderId {
    /// No order: the seat is bound by its gang's commitment.
    pub(super) const NONE: Self = Self(0);
}

/// A pod, exactly: the order applies to this incarnation in this version or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodRef {
    /// Namespace and name.
    pub name: ObjectName,
    /// Precondition.
    pub uid: Name,
    /// Precondition; 0 where the version is not known.
    pub resource_version: u64,
}

/// One effect on the world. Its outcome returns as `Event::Settled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Names the order in its outcome.
    pub id: OrderId,
    /// What to do.
    pub action: Action,
}

/// Something to tell people. Best effort: the rim batches notices and drops them before binds wait.
/// The engine repeats nothing that has not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Condition `PodScheduled=False`.
    Waiting {
        /// Which pod.
        pod: PodRef,
        /// Its gang: the PodGroup's name, else the pod's.
        gang: ObjectName,
        /// `Unschedulable`, `WaitingForMembers`, ...: see [`WaitReason`].
        reason: WaitReason,
        /// For people (and, where `Unschedulable`, for autoscalers).
        message: String,
    },
    /// New status of a PodGroup.
    Group {
        /// Which.
        name: GroupName,
        /// Its uid.
        uid: Name,
        /// What its status should say.
        status: GroupStatus,
    },
    /// An event of `events.k8s.io/v1`.
    Event {
        /// About what.
        about: Subject,
        /// Warning, else Normal.
        warning: bool,
        /// `Scheduled`, `FailedScheduling`, ...
        reason: &'static str,
        /// `Binding`, `Scheduling`, ...
        action: &'static str,
        /// For people.
        note: String,
    },
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A pod.
    Pod {
        /// Namespace and name.
        name: ObjectName,
        /// Its uid.
        uid: Name,
    },
    /// A PodGroup.
    Group {
        /// Which.
        name: GroupName,
        /// Its uid.
        uid: Name,
    },
    /// Anything else, of which only the name is known. The engine speaks of none; the rim does.
    Other {
        /// Group and version of its API.
        api_version: &'static str,
        /// Its kind.
        kind: &'static str,
        /// Its name, without a namespace where it has none.
        name: ObjectName,
    },
}

/// Why a pod or gang waits. The closed list that conditions, `simulate`, and `explain` share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitReason {
    /// More or other nodes would help; autoscalers act on this one.
    Unschedulable,
    /// Members or the PodGroup itself do not exist yet.
    WaitingForMembers,
    /// It would fit, but what stands before it in turn needs the place.
    WaitingForTurn,
    /// Victims are leaving.
    WaitingForVictims,
    /// It has a place; claims are being bound, and the pod is bound after them.
    WaitingForVolumes,
    /// The pod has scheduling gates.
    SchedulingGated,
    /// The gang contradicts itself; only its author can mend it.
    InvalidGang,
    /// It asks for something that Muster does not honour.
    Unsupported,
    /// Its gang's binding was given up; it waits for the next attempt.
    GangAborted,
}

impl WaitReason {
    /// The word as the API shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::WaitingForMembers => "WaitingForMembers",
            Self::WaitingForTurn => "WaitingForTurn",
            Self::WaitingForVictims => "WaitingForVictims",
            Self::WaitingForVolumes => "WaitingForVolumes",
            Self::SchedulingGated => "SchedulingGated",
            Self::InvalidGang => "InvalidGang",
            Self::Unsupported => "Unsupported",
            Self::GangAborted => "GangAborted",
        }
    }
}
