//! How lists and objects of the built-in types are owned and merged by server-side apply: the tags
//! `listType`, `listMapKey`, `mapType`, and `structType` of `k8s.io/api`. What is not listed is a list that
//! is replaced as a whole, or an object that is merged field by field.

/// How a list or a map is owned and merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListRule {
    /// As a whole.
    Atomic,
    /// A list whose entries are told apart by these fields.
    Map(&'static [&'static str]),
    /// A list of plain values, each at most once.
    Set,
}

/// Types whose objects are owned and replaced as a whole.
pub(super) const ATOMIC_TYPES: [&str; 18] = [
    "ConfigMapKeySelector",
    "CrossVersionObjectReference",
    "EndpointAddress",
    "FileKeySelector",
    "LabelSelector",
    "LocalObjectReference",
    "NodeSelector",
    "NodeSelectorTerm",
    "ObjectFieldSelector",
    "ObjectReference",
    "OwnerReference",
    "ResourceFieldSelector",
    "ScopeSelector",
    "SecretKeySelector",
    "SecretReference",
    "TopologySelectorTerm",
    "TypedLocalObjectReference",
    "EndpointPort",
];

/// Lists with entries of their own: type, field, and what tells entries apart.
const MAPS: &[(&str, &str, &[&str])] = &[
    ("ObjectMeta", "ownerReferences", &["uid"]),
    ("PodSpec", "containers", &["name"]),
    ("PodSpec", "initContainers", &["name"]),
    ("PodSpec", "ephemeralContainers", &["name"]),
    ("PodSpec", "volumes", &["name"]),
    ("PodSpec", "imagePullSecrets", &["name"]),
    ("PodSpec", "hostAliases", &["ip"]),
    ("PodSpec", "topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("PodSpec", "schedulingGates", &["name"]),
    ("PodSpec", "resourceClaims", &["name"]),
    ("PodStatus", "conditions", &["type"]),
    ("PodStatus", "podIPs", &["ip"]),
    ("PodStatus", "resourceClaimStatuses", &["name"]),
    ("Container", "env", &["name"]),
    ("Container", "ports", &["containerPort", "protocol"]),
    ("Container", "volumeMounts", &["mountPath"]),
    ("Container", "volumeDevices", &["devicePath"]),
    ("EphemeralContainer", "env", &["name"]),
    ("EphemeralContainer", "ports", &["containerPort", "protocol"]),
    ("EphemeralContainer", "volumeMounts", &["mountPath"]),
    ("EphemeralContainer", "volumeDevices", &["devicePath"]),
    ("ResourceRequirements", "claims", &["name"]),
    ("ContainerStatus", "volumeMounts", &["mountPath"]),
    ("ContainerStatus", "allocatedResourcesStatus", &["name"]),
    ("ResourceStatus", "resources", &["resourceID"]),
    ("NodeStatus", "addresses", &["type"]),
    ("NodeStatus", "conditions", &["type"]),
    ("NamespaceStatus", "conditions", &["type"]),
    ("PersistentVolumeClaimStatus", "conditions", &["type"]),
    ("ReplicationControllerStatus", "conditions", &["type"]),
    ("ServiceAccount", "secrets", &["name"]),
    ("ServiceSpec", "ports", &["port", "protocol"]),
    ("ServiceStatus", "conditions", &["type"]),
    ("DaemonSetStatus", "conditions", &["type"]),
    ("DeploymentStatus", "conditions", &["type"]),
    ("ReplicaSetStatus", "conditions", &["type"]),
    ("StatefulSetStatus", "conditions", &["type"]),
    ("PodDisruptionBudgetStatus", "conditions", &["type"]),
    ("PodGroupStatus", "conditions", &["type"]),
    ("PodGroupStatus", "resourceClaimStatuses", &["name"]),
    ("PodGroupSpec", "resourceClaims", &["name"]),
    ("WorkloadSpec", "podGroupTemplates", &["name"]),
    ("PodGroupTemplate", "resourceClaims", &["name"]),
    ("CSINodeSpec", "drivers", &["name"]),
    ("CustomResourceDefinitionStatus", "conditions", &["type"]),
];

/// Lists of plain values that several may add to.
const SETS: &[(&str, &str)] = &[
    ("ObjectMeta", "finalizers"),
    ("NodeSpec", "podCIDRs"),
    ("PodFailurePolicyOnExitCodesRequirement", "values"),
    ("CSIDriverSpec", "volumeLifecycleModes"),
];

/// Maps that are owned and replaced as a whole.
const ATOMIC_MAPS: &[(&str, &str)] = &[
    ("PodSpec", "nodeSelector"),
    ("ReplicationControllerSpec", "selector"),
    ("ServiceSpec", "selector"),
];

/// How the list `field` of the type `of` is merged.
pub(super) fn list_rule(of: &str, field: &str) -> ListRule {
    if let Some((_, _, keys)) = MAPS.iter().find(|(ty, name, _)| (*ty, *name) == (of, field)) {
        return ListRule::Map(keys);
    }
    if SETS.contains(&(of, field)) { ListRule::Set } else { ListRule::Atomic }
}

/// True if the map `field` of the type `of` is owned as a whole.
pub(super) fn is_atomic_map(of: &str, field: &str) -> bool {
    ATOMIC_MAPS.contains(&(of, field))
}
