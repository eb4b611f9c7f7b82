//! What the engine is told: facts, what became of orders, and that all facts of the start are in.
//! Speaks names and uids, never ids; an event is whole, so taking it twice changes nothing.
//! Knows no watch, no request, and no version of an API.

use super::order::OrderId;
use super::record::RecordFact;
use crate::base::names::{Name, ObjectName};
use crate::cluster::facts::{
    DeviceClassFact, GroupFact, GroupName, NamespaceFact, NodeFact, PodFact, SelectingFact,
    SelectingKind,
};
use crate::cluster::storage::Sight;
use crate::cluster::storage::facts::{StorageFact, StorageKind};

/// A fact about the world, whole and idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node was added or changed.
    Node(Box<NodeFact>),
    /// A node is gone.
    NodeGone(Name),
    /// A namespace was added or changed: selectors of namespaces read its labels.
    Namespace(Box<NamespaceFact>),
    /// A namespace is gone.
    NamespaceGone(Name),
    /// A pod was added or changed. Pods of every scheduler are told.
    Pod(Box<PodFact>),
    /// A pod is gone from the API.
    PodGone {
        /// Namespace and name.
        name: ObjectName,
        /// Its uid: a pod of the same name and another uid is another pod.
        uid: Name,
    },
    /// A PodGroup was added or changed.
    Group(Box<GroupFact>),
    /// A PodGroup is gone.
    GroupGone {
        /// Which.
        name: GroupName,
        /// Its uid.
        uid: Name,
    },
    /// The record of a gang's plan was added or changed, or a part of one.
    Record(Box<RecordFact>),
    /// A record, or a part of one, is gone.
    RecordGone {
        /// The record's own namespace and name.
        name: ObjectName,
        /// Its uid.
        uid: Name,
    },
    /// An object of storage was added or changed.
    Storage(Box<StorageFact>),
    /// An object of storage is gone.
    StorageGone {
        /// Of which kind.
        kind: StorageKind,
        /// Namespace (empty where the kind has none) and name.
        name: ObjectName,
        /// Its uid.
        uid: Name,
    },
    /// An object that selects pods was added or changed. Told only where a profile spreads pods by default.
    Selecting(Box<SelectingFact>),
    /// An object that selects pods is gone.
    SelectingGone {
        /// Of which kind.
        kind: SelectingKind,
        /// Namespace and name.
        name: ObjectName,
        /// Its uid.
        uid: Name,
    },
    /// A DeviceClass was added or changed.
    DeviceClass(DeviceClassFact),
    /// A DeviceClass is gone.
    DeviceClassGone {
        /// Its name.
        name: Name,
        /// Its uid.
        uid: Name,
    },
    /// A kind of storage cannot be watched, or can be: while one cannot, pods with volumes are refused by name.
    StorageSight {
        /// Which kind.
        kind: StorageKind,
        /// Whether it can be watched.
        sight: Sight,
    },
    /// An order came back from the world.
    Settled {
        /// Which order.
        order: OrderId,
        /// What became of it.
        outcome: Outcome,
    },
    /// All objects that existed at start have been told. Nothing is decided before this.
    Synced,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect (also: it had taken effect before, whoever sent it).
    Done,
    /// It took effect, and the record or PodGroup that it wrote is in this version since.
    Written {
        /// `metadata.resourceVersion`.
        resource_version: u64,
    },
    /// A fence: the pod is fenced off from all binds that are under way, but one of them came first.
    BoundTo(Name),
    /// It did not and will not take effect: the record says something else, namely this.
    Superseded(Box<RecordFact>),
    /// It did not and will not take effect: the object had changed (HTTP 409).
    Conflict(String),
    /// It did not and will not take effect: the object is gone (404, or another uid).
    Gone,
    /// It did not and will not take effect: the API refused it for good (403, 422, a webhook).
    Refused(String),
    /// Nobody knows. Capacity stays held until a fact tells.
    Unknown(String),
}
