//! The kinds that a simulated world understands, and those that it must not mistake for them.
//!
//! The table below is the whole list. A kind that is not on it is reported and left out; a known kind in a
//! version that no API server has ever served, or serves no more, is refused as an API server would.

use serde_json::Value;

use super::error::Complaint;
use crate::cluster::storage::facts::StorageKind;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A namespace.
    Namespace,
    /// A priority class.
    PriorityClass,
    /// A node.
    Node,
    /// Muster's own short form for many nodes.
    Fleet,
    /// A PodGroup whose members carry a label: `scheduling.x-k8s.io/v1alpha1`.
    CoschedulingGroup,
    /// The tutorials' PodGroup `scheduling.k8s.io/v1alpha1`, which means the same as
    /// [`Kind::CoschedulingGroup`] and which no real API server accepts.
    TutorialGroup,
    /// A PodGroup of `scheduling.k8s.io/v1beta1`.
    NativeGroup,
    /// A PodGroup of `scheduling.k8s.io/v1alpha2` or `v1alpha3`; read as v1beta1.
    OlderNativeGroup,
    /// A pod.
    Pod,
    /// A Job.
    Job,
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A ReplicaSet.
    ReplicaSet,
    /// A DaemonSet.
    DaemonSet,
    /// A Service: only whom it selects matters here.
    Service,
    /// A ReplicationController; no controller makes pods of it here.
    ReplicationController,
    /// A DeviceClass; its devices are not simulated.
    DeviceClass,
    /// An object of storage.
    Storage(StorageKind),
}

/// `apiVersion`, `kind`, and what they mean. The first row of a kind names the version to recommend.
const KINDS: &[(&str, &str, Kind)] = &[
    ("v1", "Namespace", Kind::Namespace),
    ("scheduling.k8s.io/v1", "PriorityClass", Kind::PriorityClass),
    ("v1", "Node", Kind::Node),
    ("muster.dev/v1alpha1", "Fleet", Kind::Fleet),
    ("scheduling.x-k8s.io/v1alpha1", "PodGroup", Kind::CoschedulingGroup),
    ("scheduling.k8s.io/v1alpha1", "PodGroup", Kind::TutorialGroup),
    ("scheduling.k8s.io/v1beta1", "PodGroup", Kind::NativeGroup),
    ("scheduling.k8s.io/v1alpha2", "PodGroup", Kind::OlderNativeGroup),
    ("scheduling.k8s.io/v1alpha3", "PodGroup", Kind::OlderNativeGroup),
    ("v1", "Pod", Kind::Pod),
    ("batch/v1", "Job", Kind::Job),
    ("apps/v1", "Deployment", Kind::Deployment),
    ("apps/v1", "StatefulSet", Kind::StatefulSet),
    ("apps/v1", "ReplicaSet", Kind::ReplicaSet),
    ("apps/v1", "DaemonSet", Kind::DaemonSet),
    ("v1", "Service", Kind::Service),
    ("v1", "ReplicationController", Kind::ReplicationController),
    ("resource.k8s.io/v1", "DeviceClass", Kind::DeviceClass),
    ("v1", "PersistentVolumeClaim", Kind::Storage(StorageKind::Claim)),
    ("v1", "PersistentVolume", Kind::Storage(StorageKind::Volume)),
    ("storage.k8s.io/v1", "StorageClass", Kind::Storage(StorageKind::Class)),
    ("storage.k8s.io/v1", "CSINode", Kind::Storage(StorageKind::CsiNode)),
    ("storage.k8s.io/v1", "CSIDriver", Kind::Storage(StorageKind::Driver)),
    ("storage.k8s.io/v1", "CSIStorageCapacity", Kind::Storage(StorageKind::Capacity)),
    ("storage.k8s.io/v1", "VolumeAttachment", Kind::Storage(StorageKind::Attachment)),
];

/// Groups in which a known kind of an unlisted version is a mistake and not somebody else's kind.
const WATCHED_GROUPS: &[&str] = &[
    "",
    "apps",
    "batch",
    "extensions",
    "muster.dev",
    "scheduling.k8s.io",
    "scheduling.x-k8s.io",
    "storage.k8s.io",
];

impl Kind {
    /// What `object` is; `None` where it is a kind that simulated worlds do not know.
    ///
    /// # Errors
    /// Where `apiVersion` or `kind` is missing, or names a version that does not exist.
    pub fn of(object: &Value) -> Result<Option<Self>, Complaint> {
        let api_version = text_field(object, "apiVersion")?;
        let kind = text_field(object, "kind")?;
        if let Some(row) = KINDS.iter().find(|row| row.0 == api_version && row.1 == kind) {
            return Ok(Some(row.2));
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let versions: Vec<&str> =
            KINDS.iter().filter(|row| row.1 == kind).map(|row| row.0).collect();
        if versions.is_empty() || !WATCHED_GROUPS.contains(&group) {
            return Ok(None);
        }
        Err(Complaint {
            field: "apiVersion".to_owned(),
            value: Some(api_version.to_owned()),
            problem: format!("no API server serves {kind} in this version"),
            remedy: format!("write {}", versions.join(" or ")),
        })
    }

    /// True for kinds that live in a namespace.
    pub const fn is_namespaced(self) -> bool {
        match self {
            Self::Namespace
            | Self::PriorityClass
            | Self::Node
            | Self::Fleet
            | Self::DeviceClass => false,
            Self::Storage(kind) => kind.is_namespaced(),
            Self::CoschedulingGroup
            | Self::TutorialGroup
            | Self::NativeGroup
            | Self::OlderNativeGroup
            | Self::Pod
            | Self::Job
            | Self::Deployment
            | Self::StatefulSet
            | Self::ReplicaSet
            | Self::DaemonSet
            | Self::Service
            | Self::ReplicationController => true,
        }
    }

    /// True for kinds that stand for pods made from a template.
    pub const fn has_template(self) -> bool {
        match self {
            Self::Job
            | Self::Deployment
            | Self::StatefulSet
            | Self::ReplicaSet
            | Self::DaemonSet => true,
            Self::Namespace
            | Self::PriorityClass
            | Self::Node
            | Self::Fleet
            | Self::CoschedulingGroup
            | Self::TutorialGroup
            | Self::NativeGroup
            | Self::OlderNativeGroup
            | Self::Pod
            | Self::Service
            | Self::ReplicationController
            | Self::DeviceClass
            | Self::Storage(_) => false,
        }
    }

    /// True for the PodGroups whose members are found by a label.
    pub const fn is_labelled_group(self) -> bool {
        matches!(self, Self::CoschedulingGroup | Self::TutorialGroup)
    }

    /// True for the PodGroups that pods name in `spec.schedulingGroup`.
    pub const fn is_native_group(self) -> bool {
        matches!(self, Self::NativeGroup | Self::OlderNativeGroup)
    }
}

/// Rewrites the forms that the in-memory API server does not serve into those that it does:
/// the tutorials' PodGroup into the custom resource, older native PodGroups into v1beta1.
/// Returns the kind that the object is afterwards.
pub fn normalise(kind: Kind, object: &mut Value) -> Kind {
    if kind == Kind::TutorialGroup {
        object["apiVersion"] = Value::from("scheduling.x-k8s.io/v1alpha1");
        return Kind::CoschedulingGroup;
    }
    if kind != Kind::OlderNativeGroup {
        return kind;
    }
    object["apiVersion"] = Value::from("scheduling.k8s.io/v1beta1");
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        // 1.36 nested the Workload's name, and wrote the disruption mode as a word.
        if let Some(reference) = spec.shift_remove("podGroupTemplateRef") {
            let workload = &reference["workload"];
            spec.insert(
                "workloadRef".to_owned(),
                serde_json::json!({
                    "workloadName": workload["workloadName"],
                    "templateName": workload["podGroupTemplateName"],
                }),
            );
        }
        match spec.get("disruptionMode").and_then(Value::as_str) {
            Some("Pod") => {
                spec.insert("disruptionMode".to_owned(), serde_json::json!({"single": {}}))
            }
            Some("PodGroup") => {
                spec.insert("disruptionMode".to_owned(), serde_json::json!({"all": {}}))
            }
            Some(_) | None => None,
        };
    }
    Kind::NativeGroup
}

/// A top-level field that must be text.
fn text_field<'a>(object: &'a Value, field: &str) -> Result<&'a str, Complaint> {
    let value = object.get(field);
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| Complaint {
        field: field.to_owned(),
        value: value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        problem: if value.is_none() { "missing" } else { "not a text" }.to_owned(),
        remedy: "write apiVersion and kind, such as apiVersion: v1 and kind: Pod".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_pod_group_is_told_apart() {
        let kinds = [
            ("scheduling.x-k8s.io/v1alpha1", Ok(Some(Kind::CoschedulingGroup))),
            ("scheduling.k8s.io/v1alpha1", Ok(Some(Kind::TutorialGroup))),
            ("scheduling.k8s.io/v1alpha2", Ok(Some(Kind::OlderNativeGroup))),
            ("scheduling.k8s.io/v1beta1", Ok(Some(Kind::NativeGroup))),
            // Somebody else's.
            ("scheduling.volcano.sh/v1beta1", Ok(None)),
            ("scheduling.k8s.io/v1", Err(())),
        ];
        for (api_version, expected) in kinds {
            let object = json!({"apiVersion": api_version, "kind": "PodGroup"});
            assert_eq!(Kind::of(&object).map_err(|_| ()), expected, "{api_version}");
        }
    }

    #[test]
    fn a_missing_kind_and_a_retired_version_are_refused_with_a_remedy() {
        let missing = Kind::of(&json!({"apiVersion": "v1"})).expect_err("no kind");
        assert_eq!(missing.field, "kind");
        let retired = Kind::of(&json!({"apiVersion": "extensions/v1beta1", "kind": "Deployment"}));
        let retired = retired.expect_err("retired in 1.16");
        assert_eq!(
            retired.to_string(),
            "apiVersion: \"extensions/v1beta1\": no API server serves Deployment in this version; write apps/v1"
        );
    }

    #[test]
    fn the_native_group_of_1_36_becomes_that_of_1_37() {
        let mut object = json!({
            "apiVersion": "scheduling.k8s.io/v1alpha2",
            "kind": "PodGroup",
            "spec": {
                "podGroupTemplateRef": {"workload": {"workloadName": "w", "podGroupTemplateName": "t"}},
                "disruptionMode": "PodGroup",
                "schedulingPolicy": {"gang": {"minCount": 2}},
            },
        });
        assert_eq!(normalise(Kind::OlderNativeGroup, &mut object), Kind::NativeGroup);
        assert_eq!(
            object["spec"],
            json!({
                "disruptionMode": {"all": {}},
                "schedulingPolicy": {"gang": {"minCount": 2}},
                "workloadRef": {"workloadName": "w", "templateName": "t"},
            })
        );
    }
}
