//! Objects of the Kubernetes API into facts of the engine, and nothing else: pure, no client, no clock.
//! Serves the real API (bytes from watches), the in-memory one, and manifests alike.
//! What cannot be understood makes that one object malformed, with a message; what is not honoured yet is named.

mod amounts;
pub mod device_class;
mod features;
mod group;
mod node;
pub mod objects;
pub mod pod;
mod read;
mod record;
mod relations;
pub mod selecting;
mod shelves;
pub mod storage;
#[cfg(test)]
mod tests;
mod wishes;

use serde_json::Value;

pub use self::group::CONDITION;
pub use self::group::CONDITION_1_36;
pub use self::group::COSCHEDULING_API_VERSION;
pub use self::group::works_everywhere;
pub use self::read::Read;
pub use self::read::read;
pub use self::read::read_text;
pub use self::record::COMMIT_ANNOTATION;
pub use self::record::GANG_PLAN_API_VERSION;
pub use self::record::RecordObject;
pub use self::record::pack_uid;
pub use self::record::record_of;

use self::device_class::DeviceClassObject;
use self::objects::GroupObject;
use self::objects::Metadata;
use self::objects::NamespaceObject;
use self::objects::NodeObject;
use self::objects::PodObject;
use self::selecting::SelectingObject;
use self::shelves::Shelves;
use self::storage::objects::StorageObject;
use crate::base::names::ObjectName;
use crate::cluster::facts::GroupName;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::NamespaceFact;
use crate::cluster::facts::SelectingKind;
use crate::cluster::storage::facts::StorageKind;
use crate::engine::event::Event;
use crate::engine::settings::Settings;

/// The kinds of object that become facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1` Pod.
    Pod,
    /// `v1` Node.
    Node,
    /// `v1` Namespace, read for its labels.
    Namespace,
    /// PodGroup of one of its APIs.
    Group(GroupSource),
    /// `GangPlan`: the record of a gang's plan.
    Record,
    /// An object of storage.
    Storage(StorageKind),
    /// An object that selects pods, read for its selector.
    Selecting(SelectingKind),
    /// `resource.k8s.io` DeviceClass, read for the resource behind which it stands.
    DeviceClass,
}

/// What an object says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// For the engine, in this order; usually one.
    pub events: Vec<Event>,
    /// For people, where the object cannot be used as it stands and no event can say so
    /// (`node a1: status.allocatable.cpu: ...`). Pods and PodGroups carry their own problems in their facts.
    pub complaint: Option<String>,
}

/// Turns objects into events. Keeps what many objects share.
#[derive(Debug)]
pub struct Translator {
    shelves: Shelves,
    scores: Scores,
}

/// Whether what only kube-scheduler's scores read of objects is read: amounts that pods do not state, images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scores {
    /// No profile ranks nodes by them.
    #[default]
    Unread,
    /// Some profile does.
    Read,
}

impl Kind {
    /// For logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Node => "nodes",
            Self::Namespace => "namespaces",
            Self::Group(GroupSource::Coscheduling) => "podgroups.scheduling.x-k8s.io",
            Self::Group(GroupSource::Native) => "podgroups.scheduling.k8s.io",
            Self::Record => "gangplans.muster.dev",
            Self::Storage(kind) => kind.plural(),
            Self::Selecting(kind) => kind.plural(),
            Self::DeviceClass => "deviceclasses",
        }
    }

    /// The kind of an object by its `apiVersion` and `kind`; `None` for kinds that scheduling does not read.
    /// Items of a typed list carry neither: there the list tells.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        match (text("apiVersion"), text("kind")) {
            ("v1", "Pod") => Some(Self::Pod),
            ("v1", "Node") => Some(Self::Node),
            ("v1", "Namespace") => Some(Self::Namespace),
            (COSCHEDULING_API_VERSION, "PodGroup") => Some(Self::Group(GroupSource::Coscheduling)),
            ("scheduling.k8s.io/v1beta1" | "scheduling.k8s.io/v1alpha2", "PodGroup") => {
                Some(Self::Group(GroupSource::Native))
            }
            (GANG_PLAN_API_VERSION, "GangPlan") => Some(Self::Record),
            ("v1", "Service") => Some(Self::Selecting(SelectingKind::Service)),
            ("v1", "ReplicationController") => {
                Some(Self::Selecting(SelectingKind::ReplicationController))
            }
            ("apps/v1", "ReplicaSet") => Some(Self::Selecting(SelectingKind::ReplicaSet)),
            ("resource.k8s.io/v1", "DeviceClass") => Some(Self::DeviceClass),
            ("apps/v1", "StatefulSet") => Some(Self::Selecting(SelectingKind::StatefulSet)),
            (version @ ("v1" | "storage.k8s.io/v1"), kind) => {
                let group = version.strip_suffix("/v1").unwrap_or_default();
                let found = |known: &StorageKind| known.kind() == kind && known.group() == group;
                StorageKind::ALL.into_iter().find(found).map(Self::Storage)
            }
            _ => None,
        }
    }
}

impl Default for Translator {
    fn default() -> Self {
        Self::new()
    }
}

impl Translator {
    /// A translator that has seen nothing.
    pub fn new() -> Self {
        Self { shelves: Shelves::new(), scores: Scores::Unread }
    }

    /// A translator for an engine with these settings: what its profiles do not need stays unread.
    pub fn for_engine(settings: &Settings) -> Self {
        let scores = if settings.ranks_by_scores() { Scores::Read } else { Scores::Unread };
        Self { scores, ..Self::new() }
    }

    /// An object of `kind` was added or changed.
    pub fn applied(&mut self, kind: Kind, object: &Value) -> Translated {
        match kind {
            Kind::Pod => self.pod(&read::<PodObject>(object)),
            Kind::Node => self.node(&read::<NodeObject>(object)),
            Kind::Namespace => self.namespace(&read::<NamespaceObject>(object)),
            Kind::Group(source) => self.group(&read::<GroupObject>(object), source),
            Kind::Record => self.record(&read::<RecordObject>(object)),
            Kind::Storage(kind) => self.storage(&read::<StorageObject>(object), kind),
            Kind::Selecting(kind) => self.selecting(&read::<SelectingObject>(object), kind),
            Kind::DeviceClass => self.device_class(&read::<DeviceClassObject>(object)),
        }
    }

    /// An object of `kind` is gone; `object` is its last state.
    pub fn deleted(&mut self, kind: Kind, object: &Value) -> Translated {
        let metadata: Metadata =
            object.get("metadata").map(|value| read(value).object).unwrap_or_default();
        match self.identity("object", &metadata) {
            Ok(name) => {
                Translated { events: self.gone(kind, &name, &metadata.uid), complaint: None }
            }
            Err(complaint) => complaint,
        }
    }

    /// The object of `kind` and `name` with this `uid` is gone.
    pub fn gone(&mut self, kind: Kind, name: &ObjectName, uid: &str) -> Vec<Event> {
        match kind {
            Kind::Pod => {
                vec![Event::PodGone { name: name.clone(), uid: uid.into() }]
            }
            Kind::Node => vec![Event::NodeGone(name.name.clone())],
            Kind::Namespace => vec![Event::NamespaceGone(name.name.clone())],
            Kind::Group(source) => {
                vec![Event::GroupGone {
                    name: GroupName { name: name.clone(), source },
                    uid: uid.into(),
                }]
            }
            Kind::Record => vec![Event::RecordGone { name: name.clone(), uid: uid.into() }],
            Kind::Storage(kind) => {
                vec![Event::StorageGone { kind, name: name.clone(), uid: uid.into() }]
            }
            Kind::Selecting(kind) => {
                vec![Event::SelectingGone { kind, name: name.clone(), uid: uid.into() }]
            }
            Kind::DeviceClass => {
                vec![Event::DeviceClassGone { name: name.name.clone(), uid: uid.into() }]
            }
        }
    }

    /// A pod that was read.
    pub fn pod(&mut self, read: &Read<PodObject>) -> Translated {
        if let Err(complaint) = self.identity("pod", &read.object.metadata) {
            return complaint;
        }
        let fact = pod::fact(read, &mut self.shelves, self.scores);
        Translated { events: vec![Event::Pod(Box::new(fact))], complaint: None }
    }

    /// A node that was read.
    pub fn node(&mut self, read: &Read<NodeObject>) -> Translated {
        if let Err(complaint) = self.identity("node", &read.object.metadata) {
            return complaint;
        }
        let (fact, problems) = node::fact(read, &mut self.shelves, self.scores);
        let complaint =
            (!problems.is_empty()).then(|| format!("node {}: {}", fact.name, problems.join("; ")));
        Translated { events: vec![Event::Node(Box::new(fact))], complaint }
    }

    /// A namespace that was read.
    pub fn namespace(&mut self, read: &Read<NamespaceObject>) -> Translated {
        let metadata = &read.object.metadata;
        if let Err(complaint) = self.identity("namespace", metadata) {
            return complaint;
        }
        let fact = NamespaceFact {
            name: self.shelves.name(&metadata.name),
            uid: metadata.uid.as_str().into(),
            labels: pod::pairs(&metadata.labels, &mut self.shelves),
        };
        Translated { events: vec![Event::Namespace(Box::new(fact))], complaint: None }
    }

    /// A PodGroup of `source` that was read.
    pub fn group(&mut self, read: &Read<GroupObject>, source: GroupSource) -> Translated {
        if let Err(complaint) = self.identity("PodGroup", &read.object.metadata) {
            return complaint;
        }
        let fact = group::fact(read, source, &mut self.shelves);
        Translated { events: vec![Event::Group(Box::new(fact))], complaint: None }
    }

    /// A record that was read.
    pub fn record(&mut self, read: &Read<RecordObject>) -> Translated {
        if let Err(complaint) = self.identity("GangPlan", &read.object.metadata) {
            return complaint;
        }
        let fact = record::fact(read);
        let complaint =
            fact.malformed.as_ref().map(|problems| format!("GangPlan {}: {problems}", fact.name));
        Translated { events: vec![Event::Record(Box::new(fact))], complaint }
    }

    /// An object of storage of `kind` that was read.
    pub fn storage(&mut self, read: &Read<StorageObject>, kind: StorageKind) -> Translated {
        if let Err(complaint) = self.identity(kind.kind(), &read.object.metadata) {
            return complaint;
        }
        let (fact, problems) = storage::fact(read, kind, &mut self.shelves);
        let complaint = (!problems.is_empty())
            .then(|| format!("{} {}: {}", kind.kind(), fact.name(), problems.join("; ")));
        Translated { events: vec![Event::Storage(Box::new(fact))], complaint }
    }

    /// An object of `kind` that selects pods.
    pub fn selecting(&mut self, read: &Read<SelectingObject>, kind: SelectingKind) -> Translated {
        if let Err(complaint) = self.identity(kind.kind(), &read.object.metadata) {
            return complaint;
        }
        let (fact, problems) = selecting::fact(read, kind, &mut self.shelves);
        let complaint = (!problems.is_empty())
            .then(|| format!("{} {}: {}", kind.kind(), fact.name, problems.join("; ")));
        Translated { events: vec![Event::Selecting(Box::new(fact))], complaint }
    }

    /// A DeviceClass that was read.
    pub fn device_class(&mut self, read: &Read<DeviceClassObject>) -> Translated {
        if let Err(complaint) = self.identity("DeviceClass", &read.object.metadata) {
            return complaint;
        }
        let fact = device_class::fact(read, &mut self.shelves);
        let complaint = (!read.problems.is_empty())
            .then(|| format!("DeviceClass {}: {}", fact.name, read.problems.join("; ")));
        Translated { events: vec![Event::DeviceClass(fact)], complaint }
    }

    /// Who an object is, or that nobody can tell.
    fn identity(&mut self, kind: &str, metadata: &Metadata) -> Result<ObjectName, Translated> {
        if metadata.name.is_empty() {
            let complaint = format!("{kind} without metadata.name is ignored; give it a name");
            return Err(Translated { events: Vec::new(), complaint: Some(complaint) });
        }
        Ok(ObjectName {
            namespace: self.shelves.name(&metadata.namespace),
            name: metadata.name.as_str().into(),
        })
    }
}
