//! The effects that the engine may order, each one call to the API (or one question of a few reads).
//! Names, uids, versions, epochs, and phases only; how a call looks on the wire is not known here.
//! Invariant: every effect names its preconditions, so that carrying it out late or twice does no harm.

use super::event::Outcome;
use super::order::PodRef;
use super::record::RecordFact;
use crate::base::names::{Name, ObjectName};
use crate::cluster::facts::{CommitMark, GroupName};

/// The effects there are. The outcomes named are those besides `Refused` and `Unknown`, which all may have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// POST `pods/NAME/binding`. `Done`, `Conflict`, or `Gone`.
    Bind {
        /// Which pod.
        pod: PodRef,
        /// Where to.
        node: Name,
        /// Its gang: the PodGroup's name, or the pod's own.
        gang: ObjectName,
        /// The epoch of the plan, stamped on the pod as an annotation; 0 for a pod without a group.
        epoch: u32,
        /// What it is to its gang's plan.
        role: BindRole,
    },
    /// Writes the record of a plan: creates it where its version is 0, else replaces that version.
    /// `Written`, `Superseded`, or `Gone` (the version to be replaced, or the namespace).
    Propose(Box<RecordFact>),
    /// Decides a plan: sets the annotation `muster.dev/commit` on the PodGroup that it was made for, in that version.
    /// `Written`, `Conflict`, or `Gone`.
    Commit {
        /// The PodGroup.
        group: GroupRef,
        /// The plan.
        mark: CommitMark,
    },
    /// Reads, past all caches, that binds of a plan may go out: its PodGroup carries `mark`, the lease is held, and,
    /// read last, the record is still `Proposed` with that mark. Issued after the versions that the binds name were
    /// read. `Done`, `Superseded` (by the record), `Conflict` (PodGroup or lease), or `Gone` (record or PodGroup).
    Verify {
        /// The record.
        record: RecordRef,
        /// The PodGroup.
        group: GroupRef,
        /// The plan.
        mark: CommitMark,
    },
    /// Moves the record from `Proposed` to `Bound`. `Written`, `Superseded`, or `Gone`.
    Seal {
        /// The record, in the version that is moved.
        record: RecordRef,
        /// The plan.
        mark: CommitMark,
    },
    /// Moves the record from `Proposed` to `Aborting`. `Written`, `Superseded`, or `Gone`.
    Abort {
        /// The record, in the version that is moved.
        record: RecordRef,
        /// The plan.
        mark: CommitMark,
    },
    /// Moves the record from `Aborting` to `Aborted`. `Written`, `Superseded`, or `Gone`.
    FinishAbort {
        /// The record, in the version that is moved.
        record: RecordRef,
        /// The plan.
        mark: CommitMark,
    },
    /// Deletes the record in exactly this version. `Done`, `Superseded`, or `Gone`.
    RemoveRecord {
        /// The record.
        record: RecordRef,
    },
    /// Touches an unbound pod so that no bind which is under way can apply any more: PATCH `pods/NAME/status`,
    /// `PodScheduled=False`, reason `GangAborted`, with a text that was never written before (an API server skips
    /// writes that change nothing, and the version would not move).
    /// `Written` (unbound, in this version), `BoundTo` (a bind came first), or `Gone`.
    Fence {
        /// Which pod, in the version in which it was unbound: a pod that is bound must not be told that it waits.
        /// Where another version is found, the fence is about that one.
        pod: PodRef,
        /// Its gang.
        gang: ObjectName,
        /// The epoch whose binds are fenced off.
        epoch: u32,
    },
    /// A write to a claim or a volume, in the version that it names. `Written`, `Conflict`, or `Gone`.
    Volume {
        /// What is written.
        write: VolumeWrite,
        /// The gang whose member it is for: the PodGroup's name, or the pod's own.
        gang: ObjectName,
    },
    /// Evicts a pod: condition `DisruptionTarget` (best effort), then DELETE with its uid as precondition.
    /// `Done` or `Gone`.
    Evict {
        /// Which pod; its version is no precondition.
        pod: PodRef,
        /// Its gang.
        gang: ObjectName,
        /// Why.
        cause: EvictCause,
        /// For people.
        message: String,
    },
}

/// A write to a claim or a volume, as kube-scheduler's volume binder makes it, or what takes it back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VolumeWrite {
    /// Gives a volume to a claim: `spec.claimRef`. The PersistentVolume controller does the rest.
    BindVolume {
        /// The volume.
        volume: Name,
        /// Precondition.
        uid: Name,
        /// Precondition.
        resource_version: u64,
        /// The claim.
        claim: ObjectName,
        /// Its uid.
        claim_uid: Name,
        /// Whether the volume was nobody's.
        before: Reservation,
    },
    /// Takes it back, while the claim is not bound.
    ReleaseVolume {
        /// The volume.
        volume: Name,
        /// Precondition.
        uid: Name,
        /// Precondition.
        resource_version: u64,
    },
    /// Has a claim provisioned for a node: annotation `volume.kubernetes.io/selected-node`.
    SelectNode {
        /// The claim.
        claim: ObjectName,
        /// Precondition.
        uid: Name,
        /// Precondition.
        resource_version: u64,
        /// The node.
        node: Name,
    },
    /// Takes it back, while the claim is not bound.
    UnselectNode {
        /// The claim.
        claim: ObjectName,
        /// Precondition.
        uid: Name,
        /// Precondition.
        resource_version: u64,
    },
}

/// What a volume's `spec.claimRef` was before a scheduler wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reservation {
    /// Absent. The volume is marked as bound by a controller, who may take it back.
    Nobody,
    /// An administrator's, without the claim's uid.
    ByName,
}

impl VolumeWrite {
    /// The uid that the object must have, and the version that it must be in.
    pub const fn preconditions(&self) -> (&Name, u64) {
        match self {
            Self::BindVolume { uid, resource_version, .. }
            | Self::ReleaseVolume { uid, resource_version, .. }
            | Self::SelectNode { uid, resource_version, .. }
            | Self::UnselectNode { uid, resource_version, .. } => (uid, *resource_version),
        }
    }

    /// The word for it, for logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::BindVolume { .. } => "bind_volume",
            Self::ReleaseVolume { .. } => "release_volume",
            Self::SelectNode { .. } => "select_node",
            Self::UnselectNode { .. } => "unselect_node",
        }
    }
}

/// What a bind is to the plan of its gang.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindRole {
    /// It is the whole plan: a pod without a group, or the only one that was missing.
    Alone,
    /// It is an entry of a plan that is recorded and decided.
    Planned,
    /// Its gang's minimum was bound before: a member beyond it, or a replacement. Marked on the pod by an annotation.
    Late,
}

/// A PodGroup, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupRef {
    /// Which.
    pub name: GroupName,
    /// Precondition.
    pub uid: Name,
    /// Precondition where it is written.
    pub resource_version: u64,
}

/// A record, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordRef {
    /// Its namespace and name.
    pub name: ObjectName,
    /// Precondition where it is written.
    pub resource_version: u64,
}

/// Why a pod is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvictCause {
    /// Its gang could not be bound whole in time.
    GangAborted,
    /// Its gang lost members that could not be replaced, and starts over.
    GangRestarted,
}

impl EvictCause {
    /// The word as the API and the results of a simulation show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GangAborted => "GangAborted",
            Self::GangRestarted => "GangRestarted",
        }
    }
}

impl Action {
    /// The gang that it serves, by the name of its PodGroup or of the pod that has none, for logs.
    pub const fn gang(&self) -> &ObjectName {
        match self {
            Self::Bind { gang, .. }
            | Self::Fence { gang, .. }
            | Self::Volume { gang, .. }
            | Self::Evict { gang, .. } => gang,
            Self::Propose(record) => &record.group.name,
            Self::Commit { group, .. } | Self::Verify { group, .. } => &group.name.name,
            Self::Seal { record, .. }
            | Self::Abort { record, .. }
            | Self::FinishAbort { record, .. }
            | Self::RemoveRecord { record } => &record.name,
        }
    }

    /// What comes back where every call takes effect at once, as in the replay of a trace, which has no API.
    /// `resource_version` is the version of whatever is written.
    pub const fn granted(&self, resource_version: u64) -> Outcome {
        match self {
            Self::Propose(_)
            | Self::Commit { .. }
            | Self::Seal { .. }
            | Self::Abort { .. }
            | Self::FinishAbort { .. }
            | Self::Volume { .. }
            | Self::Fence { .. } => Outcome::Written { resource_version },
            Self::Bind { .. }
            | Self::Verify { .. }
            | Self::RemoveRecord { .. }
            | Self::Evict { .. } => Outcome::Done,
        }
    }

    /// The member that it is about, for logs.
    pub const fn member(&self) -> Option<&PodRef> {
        match self {
            Self::Bind { pod, .. } | Self::Fence { pod, .. } | Self::Evict { pod, .. } => Some(pod),
            Self::Propose(_)
            | Self::Commit { .. }
            | Self::Verify { .. }
            | Self::Seal { .. }
            | Self::Abort { .. }
            | Self::FinishAbort { .. }
            | Self::Volume { .. }
            | Self::RemoveRecord { .. } => None,
        }
    }

    /// The node that it binds to, for logs.
    pub const fn node(&self) -> Option<&Name> {
        match self {
            Self::Bind { node, .. } => Some(node),
            Self::Fence { .. }
            | Self::Evict { .. }
            | Self::Volume { .. }
            | Self::Propose(_)
            | Self::Commit { .. }
            | Self::Verify { .. }
            | Self::Seal { .. }
            | Self::Abort { .. }
            | Self::FinishAbort { .. }
            | Self::RemoveRecord { .. } => None,
        }
    }

    /// The word for it, for logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Bind { .. } => "bind",
            Self::Propose(_) => "propose",
            Self::Commit { .. } => "commit",
            Self::Verify { .. } => "verify",
            Self::Seal { .. } => "seal",
            Self::Abort { .. } => "abort",
            Self::FinishAbort { .. } => "finish_abort",
            Self::RemoveRecord { .. } => "remove_record",
            Self::Fence { .. } => "fence",
            Self::Evict { .. } => "evict",
            Self::Volume { write, .. } => write.as_str(),
        }
    }
}
