//! Our own lean structs for the Kubernetes objects that scheduling reads: only the fields needed.
//! Serde's mirror of the API, nothing else: no defaults of the API server, no meaning.
//! Everything is optional here, so that an object of a newer or older server, or of a hand-written file, still parses.

mod affinity;
mod owner;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::IgnoredAny;
use serde::de::Visitor;

pub use self::affinity::PodAffinity;
pub use self::affinity::PodAffinityTerm;
pub use self::affinity::PreferredPodTerm;
pub use self::affinity::SpreadConstraint;
pub use self::owner::OwnerReference;
use super::features::RestartRule;
use super::features::VolumeMount;
use super::read::nullable;
use super::storage::objects::VolumeObject;

/// A quantity as written; files may hold numbers where the API holds strings.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RawQuantity(pub String);

/// Quantities by resource name.
pub type ResourceList = BTreeMap<String, RawQuantity>;

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Namespace; empty for cluster-scoped objects.
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    /// Uid.
    #[serde(deserialize_with = "nullable")]
    pub uid: String,
    /// Version, an opaque string to clients of old and an ordered integer since Kubernetes 1.35.
    #[serde(deserialize_with = "nullable")]
    pub resource_version: String,
    /// Generation of the spec.
    #[serde(deserialize_with = "nullable")]
    pub generation: i64,
    /// When it was created (RFC 3339).
    pub creation_timestamp: Option<String>,
    /// When it is to be gone (RFC 3339), once its deletion has begun.
    pub deletion_timestamp: Option<String>,
    /// Labels.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// The annotations that mean something here.
    #[serde(deserialize_with = "nullable")]
    pub annotations: Annotations,
    /// Owners.
    #[serde(deserialize_with = "nullable")]
    pub owner_references: Vec<OwnerReference>,
}

/// Annotations that Muster reads; all others are skipped unread (they can be large).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// Set on mirror pods of static pods.
    #[serde(rename = "kubernetes.io/config.mirror")]
    pub mirror: Option<String>,
    /// Set on claims that are bound.
    #[serde(rename = "pv.kubernetes.io/bind-completed")]
    pub bind_completed: Option<String>,
    /// Set on volumes that were bound by a controller or scheduler.
    #[serde(rename = "pv.kubernetes.io/bound-by-controller")]
    pub bound_by_controller: Option<String>,
    /// The node that a claim is to be provisioned for.
    #[serde(rename = "volume.kubernetes.io/selected-node")]
    pub selected_node: Option<String>,
    /// The storage class in its old form.
    #[serde(rename = "volume.beta.kubernetes.io/storage-class")]
    pub storage_class: Option<String>,
    /// In-tree plugins that a CSINode has migrated to CSI.
    #[serde(rename = "storage.alpha.kubernetes.io/migrated-plugins")]
    pub migrated_plugins: Option<String>,
    /// The plan that a PodGroup is committed to.
    #[serde(rename = "muster.dev/commit")]
    pub commit: Option<String>,
    /// A level or node label within which the whole gang must be.
    #[serde(rename = "muster.dev/required-topology")]
    pub required_topology: Option<String>,
    /// Kueue's form of the same.
    #[serde(rename = "kueue.x-k8s.io/podset-required-topology")]
    pub kueue_required_topology: Option<String>,
    /// Kueue's wish for slices of the gang.
    #[serde(rename = "kueue.x-k8s.io/podset-slice-required-topology")]
    pub kueue_slice_required_topology: Option<String>,
}

/// An object that has metadata, as all of them have.
pub trait HasMetadata {
    /// Its metadata.
    fn metadata(&self) -> &Metadata;
}

impl HasMetadata for PodObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl HasMetadata for NodeObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl HasMetadata for NamespaceObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl HasMetadata for GroupObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodObject {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "nullable")]
    pub spec: PodSpec,
    /// Status.
    #[serde(deserialize_with = "nullable")]
    pub status: PodStatus,
}

/// `spec` of a pod, as far as a scheduler reads it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of core/v1 PodSpec")]
pub struct PodSpec {
    pub scheduler_name: Option<String>,
    pub node_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub host_network: bool,
    pub host_users: Option<bool>,
    pub priority: Option<i32>,
    #[serde(deserialize_with = "nullable")]
    pub node_selector: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub affinity: Affinity,
    #[serde(deserialize_with = "nullable")]
    pub tolerations: Vec<TolerationObject>,
    #[serde(deserialize_with = "nullable")]
    pub containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    pub init_containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    pub overhead: ResourceList,
    pub resources: Option<Resources>,
    #[serde(deserialize_with = "nullable")]
    pub scheduling_gates: Vec<Named>,
    pub scheduling_group: Option<SchedulingGroup>,
    #[serde(deserialize_with = "nullable")]
    pub resource_claims: Vec<Named>,
    #[serde(deserialize_with = "nullable")]
    pub volumes: Vec<VolumeObject>,
    #[serde(deserialize_with = "nullable")]
    pub topology_spread_constraints: Vec<SpreadConstraint>,
}

/// Anything that is read for its name alone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// `spec.schedulingGroup` (Kubernetes 1.36 and later).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SchedulingGroup {
    /// The PodGroup, in the pod's namespace.
    pub pod_group_name: Option<String>,
}

/// A container, ordinary or init.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Its name, by which its status is found.
    pub name: String,
    /// What it runs.
    #[serde(deserialize_with = "nullable")]
    pub image: String,
    /// Requests and limits.
    #[serde(deserialize_with = "nullable")]
    pub resources: Resources,
    /// `Always` makes an init container a sidecar.
    pub restart_policy: Option<String>,
    /// Ports, read for host ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<Port>,
    /// Read for features that a node must declare, as `volume_mounts` are.
    #[serde(deserialize_with = "nullable")]
    pub restart_policy_rules: Vec<RestartRule>,
    #[serde(deserialize_with = "nullable")]
    #[allow(missing_docs, reason = "named with the field before")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// Requests and limits of a container or a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Requests.
    #[serde(deserialize_with = "nullable")]
    pub requests: ResourceList,
    /// Limits; a limit without a request is a request of the same amount.
    #[serde(deserialize_with = "nullable")]
    pub limits: ResourceList,
}

/// A port of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Port {
    /// The port on the node, 0 where none is asked for.
    #[serde(deserialize_with = "nullable")]
    pub host_port: i64,
    /// The port that the container listens on.
    #[serde(deserialize_with = "nullable")]
    pub container_port: i64,
    /// `TCP`, `UDP`, or `SCTP`; empty means TCP.
    #[serde(deserialize_with = "nullable")]
    pub protocol: String,
    /// The node's address; empty means all of them.
    #[serde(rename = "hostIP", deserialize_with = "nullable")]
    pub host_ip: String,
}

/// `spec.affinity`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of core/v1 Affinity")]
pub struct Affinity {
    #[serde(deserialize_with = "nullable")]
    pub node_affinity: NodeAffinity,
    #[serde(deserialize_with = "nullable")]
    pub pod_affinity: PodAffinity,
    #[serde(deserialize_with = "nullable")]
    pub pod_anti_affinity: PodAffinity,
}

/// Node affinity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    /// Required terms.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
    /// Preferred terms.
    #[serde(
        rename = "preferredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    pub preferred: Vec<PreferredNodeTerm>,
}

/// Terms of which one must match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeSelector {
    /// The terms.
    #[serde(deserialize_with = "nullable")]
    pub node_selector_terms: Vec<NodeTermObject>,
}

/// A preferred term.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PreferredNodeTerm {
    /// 1 to 100.
    pub weight: i32,
    /// The term.
    #[serde(deserialize_with = "nullable")]
    pub preference: NodeTermObject,
}

/// One term of a node selector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeTermObject {
    /// Requirements on labels.
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement>,
    /// Requirements on fields.
    #[serde(deserialize_with = "nullable")]
    pub match_fields: Vec<Requirement>,
}

/// One requirement of a node or label selector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Requirement {
    /// Label key or field path.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, and for nodes `Gt`, `Lt`.
    pub operator: String,
    /// Values.
    #[serde(deserialize_with = "nullable")]
    pub values: Vec<String>,
}

/// A toleration as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "field names and meanings are those of core/v1 Toleration")]
pub struct TolerationObject {
    #[serde(deserialize_with = "nullable")]
    pub key: String,
    #[serde(deserialize_with = "nullable")]
    pub operator: String,
    #[serde(deserialize_with = "nullable")]
    pub value: String,
    #[serde(deserialize_with = "nullable")]
    pub effect: String,
}

/// `status` of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of core/v1 PodStatus")]
pub struct PodStatus {
    pub phase: Option<String>,
    pub reason: Option<String>,
    pub nominated_node_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
    #[serde(deserialize_with = "nullable")]
    pub container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "nullable")]
    pub init_container_statuses: Vec<ContainerStatus>,
    pub allocated_resources: Option<ResourceList>,
    pub resources: Option<Resources>,
}

/// A condition of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False`, or `Unknown`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// Reason.
    #[serde(deserialize_with = "nullable")]
    pub reason: String,
    /// Message.
    #[serde(deserialize_with = "nullable")]
    pub message: String,
    /// The generation it speaks of.
    #[serde(deserialize_with = "nullable")]
    pub observed_generation: i64,
}

/// Resources of a container as the kubelet reports them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Name of the container.
    pub name: String,
    /// What the kubelet has set aside.
    pub allocated_resources: Option<ResourceList>,
    /// What is in force.
    pub resources: Option<Resources>,
}

/// A node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeObject {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "nullable")]
    pub spec: NodeSpec,
    /// Status.
    #[serde(deserialize_with = "nullable")]
    pub status: NodeStatus,
}

/// `spec` of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Cordoned.
    #[serde(deserialize_with = "nullable")]
    pub unschedulable: bool,
    /// Taints.
    #[serde(deserialize_with = "nullable")]
    pub taints: Vec<TaintObject>,
}

/// A taint as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TaintObject {
    /// Key.
    pub key: String,
    /// Value.
    #[serde(deserialize_with = "nullable")]
    pub value: String,
    /// Effect.
    pub effect: String,
}

/// `status` of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NodeStatus {
    /// Features of its kubelet that pods may depend on.
    #[serde(deserialize_with = "nullable")]
    pub declared_features: Vec<String>,
    /// Container images that it holds.
    #[serde(deserialize_with = "nullable")]
    pub images: Vec<HeldImage>,
    /// What pods may use; absent means all of the capacity.
    pub allocatable: Option<ResourceList>,
    /// What there is.
    #[serde(deserialize_with = "nullable")]
    pub capacity: ResourceList,
}

/// A container image on a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HeldImage {
    /// By which pods may name it.
    #[serde(deserialize_with = "nullable")]
    pub names: Vec<String>,
    /// In bytes.
    #[serde(deserialize_with = "nullable")]
    pub size_bytes: i64,
}

/// A namespace: its labels are in its metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NamespaceObject {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
}

/// A PodGroup of any API: the fields of all of them, which do not collide.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GroupObject {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "nullable")]
    pub spec: GroupSpec,
    /// Status.
    #[serde(deserialize_with = "nullable")]
    pub status: GroupStatusObject,
}

/// `spec` of a PodGroup.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupSpec {
    /// Coscheduling: the minimum.
    pub min_member: Option<i64>,
    /// Coscheduling: a floor checked before any search.
    #[serde(deserialize_with = "nullable")]
    pub min_resources: ResourceList,
    /// Coscheduling: bounds the binding.
    pub schedule_timeout_seconds: Option<i64>,
    /// Native: gang or basic (1.35 called the field `policy`).
    #[serde(alias = "policy")]
    pub scheduling_policy: Option<SchedulingPolicy>,
    /// Native: topology.
    pub scheduling_constraints: Option<SchedulingConstraints>,
    /// Native: the group's priority.
    pub priority: Option<i32>,
}

/// Native `schedulingPolicy`, a union.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SchedulingPolicy {
    /// No minimum.
    pub basic: Option<IgnoredAny>,
    /// All or nothing.
    pub gang: Option<GangPolicy>,
}

/// Native `schedulingPolicy.gang`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GangPolicy {
    /// The minimum.
    pub min_count: Option<i64>,
}

/// Native `schedulingConstraints`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SchedulingConstraints {
    /// Required domains, at most one.
    #[serde(deserialize_with = "nullable")]
    pub topology: Vec<TopologyConstraint>,
}

/// One required domain (the Job enhancement proposal spells the key `level`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TopologyConstraint {
    /// A node label.
    #[serde(alias = "level")]
    pub key: String,
}

/// `status` of a PodGroup.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of the PodGroup APIs")]
pub struct GroupStatusObject {
    #[serde(deserialize_with = "nullable")]
    pub phase: String,
    #[serde(deserialize_with = "nullable")]
    pub occupied_by: String,
    #[serde(deserialize_with = "nullable")]
    pub running: u32,
    #[serde(deserialize_with = "nullable")]
    pub succeeded: u32,
    #[serde(deserialize_with = "nullable")]
    pub failed: u32,
    #[serde(deserialize_with = "nullable")]
    pub conditions: Vec<Condition>,
}

impl<'de> Deserialize<'de> for RawQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsWritten;
        impl Visitor<'_> for AsWritten {
            type Value = RawQuantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as \"500m\", \"2\", or \"64Gi\"")
            }
            fn visit_str<E>(self, text: &str) -> Result<RawQuantity, E> {
                Ok(RawQuantity(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<RawQuantity, E> {
                Ok(RawQuantity(text))
            }
            fn visit_i64<E>(self, number: i64) -> Result<RawQuantity, E> {
                Ok(RawQuantity(number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<RawQuantity, E> {
                Ok(RawQuantity(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<RawQuantity, E> {
                Ok(RawQuantity(number.to_string()))
            }
        }
        deserializer.deserialize_any(AsWritten)
    }
}
