//! Facts: whole objects as observed, in kube-free form. A fact replaces what was known of its object.
//! Taking the same fact twice changes nothing.
//! Speaks names and uids, never ids. A pod or PodGroup that contradicts itself is a fact too: `malformed` says why.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use crate::base::labels::LabelSelector;
use crate::base::names::{Name, ObjectName};
use crate::base::time::{Span, Time};
use crate::workload::ask::{Amounts, SharedAsk};
use crate::workload::constraints::Taint;
use crate::workload::relations::SharedLabels;
use crate::workload::scored::Counted;

/// A node as its object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFact {
    /// Node name.
    pub name: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// Labels sorted by key.
    pub labels: Vec<(Name, Name)>,
    /// Taints as listed.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// `status.declaredFeatures`, sorted.
    pub features: Vec<Name>,
    /// `status.images`: by name the size in bytes, sorted by name; empty where no profile ranks nodes by them.
    pub images: Vec<(Name, i64)>,
    /// `status.allocatable`, zeros kept (a resource of 0 exists; an absent one does not).
    pub allocatable: Amounts,
}

/// A namespace as its object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceFact {
    /// Its name.
    pub name: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// Labels sorted by key.
    pub labels: Vec<(Name, Name)>,
}

/// Kinds of object that select pods: pods that one of them selects belong together, and are spread by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SelectingKind {
    /// `v1` Service.
    Service,
    /// `v1` ReplicationController.
    ReplicationController,
    /// `apps/v1` ReplicaSet.
    ReplicaSet,
    /// `apps/v1` StatefulSet.
    StatefulSet,
}

impl SelectingKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::Service, Self::ReplicationController, Self::ReplicaSet, Self::StatefulSet];

    /// The plural name of its resource.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::ReplicationController => "replicationcontrollers",
            Self::ReplicaSet => "replicasets",
            Self::StatefulSet => "statefulsets",
        }
    }

    /// Its API group; its version is `v1`.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Service | Self::ReplicationController => "",
            Self::ReplicaSet | Self::StatefulSet => "apps",
        }
    }

    /// Its `apiVersion`.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Service | Self::ReplicationController => "v1",
            Self::ReplicaSet | Self::StatefulSet => "apps/v1",
        }
    }

    /// Its `kind`.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::ReplicationController => "ReplicationController",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

/// An object that selects pods, as far as spreading by default reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectingFact {
    /// Of which kind.
    pub kind: SelectingKind,
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Name,
    /// `spec.selector`; one that selects everything stands for one that is absent too: neither says anything.
    pub selector: LabelSelector,
}

/// A DeviceClass, as far as scheduling reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceClassFact {
    /// Its name.
    pub name: Name,
    /// `metadata.uid`.
    pub uid: Name,
    /// `spec.extendedResourceName`: pods that ask for this resource may be given devices of the class.
    pub resource: Option<Name>,
}

/// Where a PodGroup comes from; two groups of one name from different sources are two gangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupSource {
    /// `scheduling.x-k8s.io/v1alpha1`, membership by pod label.
    Coscheduling,
    /// `scheduling.k8s.io`, membership by `spec.schedulingGroup.podGroupName`.
    Native,
}

/// Names a PodGroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName {
    /// Namespace and name.
    pub name: ObjectName,
    /// Which API it is an object of.
    pub source: GroupSource,
}

/// `status.phase` of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPhase {
    /// Not all containers started.
    Pending,
    /// Running, or (`Unknown`) its node is out of contact: it holds its resources either way.
    Running,
    /// All containers ended well.
    Succeeded,
    /// Ended, not well.
    Failed,
}

/// A pod as its object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFact {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Name,
    /// `metadata.resourceVersion`; ordered, as Kubernetes promises since 1.35. 0 where there is none.
    pub resource_version: u64,
    /// `metadata.creationTimestamp`.
    pub created: Time,
    /// `spec.schedulerName`.
    pub scheduler: Name,
    /// Its namespace and labels, as selectors read them.
    pub labels: SharedLabels,
    /// The group that this pod is a member of.
    pub group: Option<GroupName>,
    /// `spec.priority`, 0 where absent.
    pub priority: i32,
    /// `spec.nodeName`, where assigned.
    pub node: Option<Name>,
    /// `status.nominatedNodeName`: where it is expected, as somebody says who may know. Nothing is held for it.
    pub nominated: Option<Name>,
    /// `status.phase`.
    pub phase: PodPhase,
    /// `status.reason`, where there is one: why a kubelet turned the pod away, or it was evicted.
    pub reason: Option<Name>,
    /// True once `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Names of `spec.schedulingGates`.
    pub gates: Vec<Name>,
    /// What it asks of a node.
    pub ask: SharedAsk,
    /// What it holds on its node, where that differs from the ask (in-place resize). Empty: as asked.
    pub held: Option<Amounts>,
    /// What it counts as in kube-scheduler's scores where it holds other than it asks for; nothing where no profile
    /// ranks nodes by them.
    pub held_counted: Counted,
    /// The controller that owns it (`Kind/name`), for `occupiedBy` and for recreation.
    pub controller: Option<Name>,
    /// What kind that controller is of, where it selects its pods in a way that spreads them by default.
    pub selected_by: Option<SelectingKind>,
    /// Mirror and DaemonSet pods are never moved or evicted.
    pub pinned_to_node: bool,
    /// An error in the pod itself that keeps it from being scheduled (field, value, remedy).
    pub malformed: Option<Name>,
}

/// A PodGroup as its object says, whatever its API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFact {
    /// Namespace, name, source.
    pub name: GroupName,
    /// `metadata.uid`.
    pub uid: Name,
    /// `metadata.resourceVersion`.
    pub resource_version: u64,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created: Time,
    /// How many members must be placed together; `None` for a native `basic` group.
    pub minimum: Option<u32>,
    /// Floor checked before any search; empty where absent.
    pub min_resources: Amounts,
    /// Bounds the binding; `None` where the default holds.
    pub schedule_timeout: Option<Span>,
    /// The group's own priority (native only).
    pub priority: Option<i32>,
    /// What the group wants and Muster cannot honour yet (required topology, ...).
    pub unsupported: Vec<Name>,
    /// What is wrong with the object (field, value, remedy). Such a gang is refused as `InvalidGang`.
    pub malformed: Option<Name>,
    /// The plan that it is committed to: annotation `muster.dev/commit`.
    pub commit: Option<CommitMark>,
    /// The status that the object shows now, so that only changes are written.
    pub status: GroupStatus,
}

/// Names one plan of one gang: annotation `muster.dev/commit: EPOCH:HASH` on the PodGroup.
/// Setting it is the point at which the plan is decided; a record without it is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitMark {
    /// Which plan of the gang this is, from 1.
    pub epoch: u32,
    /// What the plan says, hashed: two schedulers may choose the same epoch for different plans.
    pub hash: u64,
}

impl fmt::Display for CommitMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.epoch, self.hash)
    }
}

/// Reads what [`CommitMark`] displays.
impl FromStr for CommitMark {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (epoch, hash) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self { epoch: epoch.parse()?, hash: u64::from_str_radix(hash, 16)? })
    }
}

/// The part of a PodGroup's status that Muster writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GroupStatus {
    /// Coscheduling: `Pending`, `Scheduling`, `Running`, `Finished`, `Failed`; empty before the first write.
    pub phase: String,
    /// Coscheduling: the owners of its pods.
    pub occupied_by: String,
    /// Members that run.
    pub running: u32,
    /// Members that ended well.
    pub succeeded: u32,
    /// Members that ended badly.
    pub failed: u32,
    /// Native: condition `PodGroupInitiallyScheduled`, once written.
    pub condition: Option<GroupCondition>,
}

/// A condition of a native PodGroup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupCondition {
    /// `True` or `False`.
    pub holds: bool,
    /// `Scheduled`, `Unschedulable`, `SchedulerError`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// The generation it speaks of.
    pub observed_generation: i64,
}

#[cfg(test)]
mod tests {
    use super::CommitMark;

    #[test]
    fn a_commit_mark_reads_as_it_is_written() {
        let mark = CommitMark { epoch: 12, hash: 0xab };
        assert_eq!(mark.to_string(), "12:00000000000000ab");
        assert_eq!(mark.to_string().parse(), Ok(mark));
        for wrong in ["", "12", "12:", ":ab", "x:ab", "12:xyz", "-1:ab"] {
            assert!(wrong.parse::<CommitMark>().is_err(), "{wrong:?}");
        }
    }
}
