//! The simulated cluster's moving parts behind one door: a kubelet for every node, and the controllers.
//! Objects in, writes and a wake-up time out; so virtual time, the playground, and a client of a real
//! API server run the same code. Knows no clock and no connection. An outcome of a write comes back
//! as an object or not at all, and then the write is repeated.

use serde_json::Value;

use super::controllers::Controllers;
use super::controllers::Volumes;
use super::kubelet::Kubelet;
use super::kubelet::KubeletSettings;
use super::write::Write;
use crate::base::time::Time;
use crate::cluster::storage::facts::StorageKind;

/// The kinds of objects that the machinery watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `v1` Node.
    Node,
    /// A PodGroup of any API: its annotations hold for its members.
    PodGroup,
    /// `batch/v1` Job.
    Job,
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` ReplicaSet.
    ReplicaSet,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `v1` Pod.
    Pod,
    /// An object of storage.
    Storage(StorageKind),
}

impl Kind {
    /// The kind of an object that says its `kind` (and `apiVersion`); `None` if the machinery has no use for it.
    pub fn of(object: &Value) -> Option<Self> {
        let group = object["apiVersion"].as_str().unwrap_or("").split('/').next().unwrap_or("");
        match (group, object["kind"].as_str().unwrap_or("")) {
            ("v1", "Node") => Some(Self::Node),
            ("v1", "Pod") => Some(Self::Pod),
            ("batch", "Job") => Some(Self::Job),
            ("apps", "Deployment") => Some(Self::Deployment),
            ("apps", "ReplicaSet") => Some(Self::ReplicaSet),
            ("apps", "StatefulSet") => Some(Self::StatefulSet),
            ("apps", "DaemonSet") => Some(Self::DaemonSet),
            ("scheduling.x-k8s.io" | "scheduling.k8s.io", "PodGroup") => Some(Self::PodGroup),
            (group @ ("v1" | "storage.k8s.io"), kind) => {
                let group = if group == "v1" { "" } else { group };
                let found = |known: &StorageKind| known.kind() == kind && known.group() == group;
                StorageKind::ALL.into_iter().find(found).map(Self::Storage)
            }
            _ => None,
        }
    }
}

/// The collections to watch, in the order in which a first listing is best observed:
/// nodes before pods, owners before what they own. A server may lack some PodGroup APIs.
pub const WATCHED: [(Kind, &str); 16] = [
    (Kind::Node, "/api/v1/nodes"),
    (Kind::Storage(StorageKind::Class), "/apis/storage.k8s.io/v1/storageclasses"),
    (Kind::Storage(StorageKind::Driver), "/apis/storage.k8s.io/v1/csidrivers"),
    (Kind::Storage(StorageKind::CsiNode), "/apis/storage.k8s.io/v1/csinodes"),
    (Kind::Storage(StorageKind::Capacity), "/apis/storage.k8s.io/v1/csistoragecapacities"),
    (Kind::Storage(StorageKind::Volume), "/api/v1/persistentvolumes"),
    (Kind::Storage(StorageKind::Claim), "/api/v1/persistentvolumeclaims"),
    (Kind::Storage(StorageKind::Attachment), "/apis/storage.k8s.io/v1/volumeattachments"),
    (Kind::PodGroup, "/apis/scheduling.x-k8s.io/v1alpha1/podgroups"),
    (Kind::PodGroup, "/apis/scheduling.k8s.io/v1beta1/podgroups"),
    (Kind::Job, "/apis/batch/v1/jobs"),
    (Kind::Deployment, "/apis/apps/v1/deployments"),
    (Kind::ReplicaSet, "/apis/apps/v1/replicasets"),
    (Kind::StatefulSet, "/apis/apps/v1/statefulsets"),
    (Kind::DaemonSet, "/apis/apps/v1/daemonsets"),
    (Kind::Pod, "/api/v1/pods"),
];

/// What a watch or a listing tells of one object.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// The object as it is now.
    Present(&'a Value),
    /// The object as it last was; it is gone.
    Gone(&'a Value),
}

/// Whether controllers run beside the kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControllerMode {
    /// Jobs, Deployments, ReplicaSets, StatefulSets, and DaemonSets make and remove their pods; claims are bound.
    Running,
    /// Claims are bound; nobody acts on workload objects, which the world expands itself.
    VolumesOnly,
    /// Nobody acts: a real cluster's controllers do.
    Absent,
}

/// A fleet's kubelets and a cluster's controllers.
#[derive(Debug)]
pub struct Machinery {
    kubelet: Kubelet,
    controllers: Option<Controllers>,
    volumes: Option<Volumes>,
}

impl Machinery {
    /// Machinery that has seen nothing yet.
    pub fn new(kubelet: KubeletSettings, controllers: ControllerMode) -> Self {
        let (controllers, volumes) = match controllers {
            ControllerMode::Running => (Some(Controllers::default()), Some(Volumes::default())),
            ControllerMode::VolumesOnly => (None, Some(Volumes::default())),
            ControllerMode::Absent => (None, None),
        };
        Self { kubelet: Kubelet::new(kubelet), controllers, volumes }
    }

    /// The kubelet: to register nodes and to inject faults.
    pub fn kubelet(&mut self) -> &mut Kubelet {
        &mut self.kubelet
    }

    /// Takes in what was seen of an object. Seeing the same twice changes nothing.
    pub fn observe(&mut self, now: Time, kind: Kind, sight: Sight<'_>) {
        self.kubelet.observe(now, kind, sight);
        if let Some(controllers) = &mut self.controllers {
            controllers.observe(now, kind, sight);
        }
        if let Some(volumes) = &mut self.volumes {
            volumes.observe(now, kind, sight);
        }
    }

    /// What is to be written now, in order.
    pub fn act(&mut self, now: Time) -> Vec<Write> {
        let mut writes = self.kubelet.act(now);
        if let Some(controllers) = &mut self.controllers {
            writes.extend(controllers.act(now));
        }
        if let Some(volumes) = &mut self.volumes {
            writes.extend(volumes.act(now));
        }
        writes
    }

    /// What users wrote and the machinery cannot use, once each: object, field, value, remedy.
    pub fn complaints(&mut self) -> Vec<String> {
        self.kubelet.complaints()
    }

    /// When to call [`Self::act`] again if nothing is observed before;
    /// a time that has passed means at once, `None` that only an observation can bring work.
    pub fn wakeup(&self) -> Option<Time> {
        let volumes = self.volumes.as_ref().and_then(Volumes::wakeup);
        self.pods_due().into_iter().chain(volumes).min()
    }

    /// The same, of what may change a pod by itself: kubelets and controllers, and not the provisioner.
    pub fn pods_due(&self) -> Option<Time> {
        let controllers = self.controllers.as_ref().and_then(Controllers::wakeup);
        self.kubelet.wakeup().into_iter().chain(controllers).min()
    }
}
