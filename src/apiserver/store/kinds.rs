//! The built-in kinds: one row each. A kind is added here and nowhere else; its defaults and checks,
//! if it has any, are functions that the row names.
//! Shelves are shared where a kind has two forms (events).

use std::sync::OnceLock;

use k8s_openapi::api::apps::v1 as apps;
use k8s_openapi::api::authorization::v1 as authorization;
use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::coordination::v1 as coordination;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::events::v1 as events;
use k8s_openapi::api::policy::v1 as policy;
use k8s_openapi::api::resource::v1 as resource;
use k8s_openapi::api::scheduling::v1 as scheduling;
use k8s_openapi::api::scheduling::v1beta1 as scheduling_beta;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;

use crate::apiserver::store::decode::Decode;
use crate::apiserver::store::defaults;
use crate::apiserver::store::resource::BuiltIn;
use crate::apiserver::store::resource::Catalog;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Generation;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::SelectableField;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::resource::UpdateRule;
use crate::apiserver::store::resource::Validate;
use crate::apiserver::store::resource::Verbs;
use crate::apiserver::store::resource::View;
use crate::apiserver::store::shelf::Shelves;
use crate::apiserver::store::validate;
use crate::base::names::Name;

use Generation::Absent;
use Generation::Counted;
use Scope::Cluster;
use Scope::Namespaced;
use Subresource::Binding;
use Subresource::Eviction;
use Subresource::Finalize;
use Subresource::Scale;
use Subresource::Status;

struct Row {
    api: &'static str,
    plural: &'static str,
    kind: &'static str,
    /// Short names, then after a `|` the categories; both separated by commas.
    short: &'static str,
    scope: Scope,
    subresources: &'static [Subresource],
    generation: Generation,
    decode: Decode,
    defaults: fn(&mut serde_json::Value),
    validate: Validate,
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("v1", "bindings", "Binding", "", Namespaced, &[], Absent, Decode::of::<core::Binding>()),
    row("v1", "configmaps", "ConfigMap", "cm", Namespaced, &[], Absent, Decode::of::<core::ConfigMap>()),
    row("v1", "endpoints", "Endpoints", "ep", Namespaced, &[], Absent, Decode::of::<core::Endpoints>()),
    row("v1", "events", "Event", "ev", Namespaced, &[], Absent, Decode::of::<core::Event>()),
    row("v1", "limitranges", "LimitRange", "limits", Namespaced, &[], Absent, Decode::of::<core::LimitRange>()),
    row("v1", "namespaces", "Namespace", "ns", Cluster, &[Status, Finalize], Absent, Decode::of::<core::Namespace>())
        .rules(defaults::namespace, validate::nothing),
    row("v1", "nodes", "Node", "no", Cluster, &[Status], Absent, Decode::of::<core::Node>())
        .rules(defaults::node, validate::node),
    row("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", Namespaced, &[Status], Absent, Decode::of::<core::PersistentVolumeClaim>())
        .rules(defaults::claim, validate::claim),
    row("v1", "persistentvolumes", "PersistentVolume", "pv", Cluster, &[Status], Absent, Decode::of::<core::PersistentVolume>())
        .rules(defaults::volume, validate::volume),
    row("v1", "pods", "Pod", "po|all", Namespaced, &[Status, Binding, Eviction], Counted, Decode::of::<core::Pod>())
        .rules(defaults::pod, validate::pod),
    row("v1", "podtemplates", "PodTemplate", "", Namespaced, &[], Counted, Decode::of::<core::PodTemplate>()),
    row("v1", "replicationcontrollers", "ReplicationController", "rc|all", Namespaced, &[Status, Scale], Counted, Decode::of::<core::ReplicationController>()),
    row("v1", "resourcequotas", "ResourceQuota", "quota", Namespaced, &[Status], Absent, Decode::of::<core::ResourceQuota>()),
    row("v1", "secrets", "Secret", "", Namespaced, &[], Absent, Decode::of::<core::Secret>()),
    row("v1", "serviceaccounts", "ServiceAccount", "sa", Namespaced, &[], Absent, Decode::of::<core::ServiceAccount>()),
    row("v1", "services", "Service", "svc|all", Namespaced, &[Status], Absent, Decode::of::<core::Service>())
        .rules(defaults::service, validate::nothing),
    row("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", "crd,crds|api-extensions", Cluster, &[Status], Counted, Decode::of::<apiextensions::CustomResourceDefinition>())
        .rules(defaults::custom_resource_definition, validate::custom_resource_definition),
    row("apps/v1", "controllerrevisions", "ControllerRevision", "", Namespaced, &[], Absent, Decode::of::<apps::ControllerRevision>()),
    row("apps/v1", "daemonsets", "DaemonSet", "ds|all", Namespaced, &[Status], Counted, Decode::of::<apps::DaemonSet>())
        .rules(defaults::daemon_set, validate::daemon_set),
    row("apps/v1", "deployments", "Deployment", "deploy|all", Namespaced, &[Status, Scale], Counted, Decode::of::<apps::Deployment>())
        .rules(defaults::deployment, validate::deployment),
    row("apps/v1", "replicasets", "ReplicaSet", "rs|all", Namespaced, &[Status, Scale], Counted, Decode::of::<apps::ReplicaSet>())
        .rules(defaults::replica_set, validate::replica_set),
    row("apps/v1", "statefulsets", "StatefulSet", "sts|all", Namespaced, &[Status, Scale], Counted, Decode::of::<apps::StatefulSet>())
        .rules(defaults::stateful_set, validate::stateful_set),
    row("authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", "", Cluster, &[], Absent, Decode::of::<authorization::SelfSubjectAccessReview>()),
    row("authorization.k8s.io/v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", "", Cluster, &[], Absent, Decode::of::<authorization::SelfSubjectRulesReview>()),
    row("batch/v1", "cronjobs", "CronJob", "cj|all", Namespaced, &[Status], Counted, Decode::of::<batch::CronJob>()),
    row("batch/v1", "jobs", "Job", "|all", Namespaced, &[Status], Counted, Decode::of::<batch::Job>())
        .rules(defaults::job, validate::job),
    row("coordination.k8s.io/v1", "leases", "Lease", "", Namespaced, &[], Absent, Decode::of::<coordination::Lease>()),
    row("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", "", Namespaced, &[], Counted, Decode::of::<discovery::EndpointSlice>()),
    row("events.k8s.io/v1", "events", "Event", "ev", Namespaced, &[], Absent, Decode::of::<events::Event>()),
    row("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", Namespaced, &[Status], Counted, Decode::of::<policy::PodDisruptionBudget>()),
    row("resource.k8s.io/v1", "deviceclasses", "DeviceClass", "", Cluster, &[], Counted, Decode::of::<resource::DeviceClass>()),
    row("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", "pc", Cluster, &[], Counted, Decode::of::<scheduling::PriorityClass>())
        .rules(defaults::priority_class, validate::priority_class),
    row("scheduling.k8s.io/v1beta1", "podgroups", "PodGroup", "", Namespaced, &[Status], Absent, Decode::of::<scheduling_beta::PodGroup>())
        .rules(defaults::pod_group, validate::pod_group),
    row("scheduling.k8s.io/v1beta1", "workloads", "Workload", "", Namespaced, &[], Counted, Decode::of::<scheduling_beta::Workload>()),
    row("storage.k8s.io/v1", "csidrivers", "CSIDriver", "", Cluster, &[], Absent, Decode::of::<storage::CSIDriver>()),
    row("storage.k8s.io/v1", "csinodes", "CSINode", "", Cluster, &[], Absent, Decode::of::<storage::CSINode>())
        .rules(defaults::none, validate::csi_node),
    row("storage.k8s.io/v1", "csistoragecapacities", "CSIStorageCapacity", "", Namespaced, &[], Absent, Decode::of::<storage::CSIStorageCapacity>())
        .rules(defaults::none, validate::csi_storage_capacity),
    row("storage.k8s.io/v1", "storageclasses", "StorageClass", "sc", Cluster, &[], Absent, Decode::of::<storage::StorageClass>())
        .rules(defaults::storage_class, validate::storage_class),
    row("storage.k8s.io/v1", "volumeattachments", "VolumeAttachment", "", Cluster, &[Status], Absent, Decode::of::<storage::VolumeAttachment>())
        .rules(defaults::none, validate::volume_attachment),
];

/// Selectable fields: `group/plural`, the key, and what stands for an absent field. The key is the path.
const FIELDS: &[(&str, &[(&str, &str)])] = &[
    (
        "/pods",
        &[
            ("spec.nodeName", ""),
            ("spec.restartPolicy", ""),
            ("spec.schedulerName", ""),
            ("spec.serviceAccountName", ""),
            ("spec.hostNetwork", "false"),
            ("status.phase", ""),
            ("status.podIP", ""),
            ("status.nominatedNodeName", ""),
        ],
    ),
    ("/nodes", &[("spec.unschedulable", "false")]),
    ("/namespaces", &[("status.phase", "")]),
    ("/secrets", &[("type", "")]),
    ("/replicationcontrollers", &[("status.replicas", "0")]),
    ("apps/replicasets", &[("status.replicas", "0")]),
    ("batch/jobs", &[("status.successful", "0")]),
];

/// Selectable fields of events: the key in core/v1, the key in `events.k8s.io/v1`, the path as kept.
const EVENT_FIELDS: &[(&str, &str, &str)] = &[
    ("involvedObject.kind", "regarding.kind", "involvedObject.kind"),
    ("involvedObject.namespace", "regarding.namespace", "involvedObject.namespace"),
    ("involvedObject.name", "regarding.name", "involvedObject.name"),
    ("involvedObject.uid", "regarding.uid", "involvedObject.uid"),
    ("involvedObject.apiVersion", "regarding.apiVersion", "involvedObject.apiVersion"),
    (
        "involvedObject.resourceVersion",
        "regarding.resourceVersion",
        "involvedObject.resourceVersion",
    ),
    ("involvedObject.fieldPath", "regarding.fieldPath", "involvedObject.fieldPath"),
    ("reason", "reason", "reason"),
    ("reportingComponent", "reportingController", "reportingComponent"),
    ("source", "deprecatedSource.component", "source.component"),
    ("type", "type", "type"),
];

#[expect(clippy::too_many_arguments, reason = "a row of the table above, read as columns")]
const fn row(
    api: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static str,
    scope: Scope,
    subresources: &'static [Subresource],
    generation: Generation,
    decode: Decode,
) -> Row {
    let (defaults, validate) =
        (defaults::none as fn(&mut serde_json::Value), validate::nothing as Validate);
    Row { api, plural, kind, short, scope, subresources, generation, decode, defaults, validate }
}

impl Row {
    const fn rules(mut self, defaults: fn(&mut serde_json::Value), validate: Validate) -> Self {
        self.defaults = defaults;
        self.validate = validate;
        self
    }

    fn resource(&self, shelves: &mut Shelves, catalog: &Catalog) -> Resource {
        let (group, version) = crate::apiserver::store::resource::split_api_version(self.api);
        let (short, categories) = self.short.split_once('|').unwrap_or((self.short, ""));
        let newer_events = group == "events.k8s.io";
        let shelf = match catalog.find("", "v1", "events") {
            Some(events) if newer_events => events.shelf,
            Some(_) | None => shelves.add(),
        };
        Resource {
            group: group.into(),
            version: version.into(),
            plural: self.plural.into(),
            singular: self.kind.to_lowercase().into(),
            kind: self.kind.into(),
            list_kind: format!("{}List", self.kind).into(),
            short_names: names(short),
            categories: names(categories),
            scope: self.scope,
            subresources: self.subresources.to_vec(),
            verbs: match self.plural {
                "bindings" | "selfsubjectaccessreviews" | "selfsubjectrulesreviews" => {
                    Verbs::CreateOnly
                }
                _ => Verbs::All,
            },
            generation: self.generation,
            update: match self.plural {
                "leases" => UpdateRule::CreatesMissing,
                "customresourcedefinitions" => UpdateRule::VersionRequired,
                _ => UpdateRule::Unconditional,
            },
            view: if newer_events { View::NewEvents } else { View::AsKept },
            shelf,
            fields: selectable_fields(group, self.plural),
            form: Form::BuiltIn(BuiltIn {
                decode: self.decode,
                structure: OnceLock::new(),
                defaults: self.defaults,
                validate: self.validate,
            }),
        }
    }
}

fn names(list: &str) -> Vec<Name> {
    list.split(',').filter(|name| !name.is_empty()).map(Name::from).collect()
}

/// A selectable field whose path is `path`.
pub(crate) fn selectable_field(key: &str, path: &str, absent: &str) -> SelectableField {
    SelectableField {
        key: key.into(),
        path: path.split('.').map(Name::from).collect(),
        absent: absent.into(),
    }
}

fn selectable_fields(group: &str, plural: &str) -> Vec<SelectableField> {
    if plural == "events" {
        let key = |(old, new, path): &(&str, &str, &str)| {
            selectable_field(if group.is_empty() { old } else { new }, path, "")
        };
        return EVENT_FIELDS.iter().map(key).collect();
    }
    let here = format!("{group}/{plural}");
    let declared = FIELDS
        .iter()
        .filter(|(resource, _)| *resource == here)
        .flat_map(|(_, fields)| fields.iter());
    declared.map(|(key, absent)| selectable_field(key, key, absent)).collect()
}

/// Registers every built-in kind, with a shelf each.
pub fn register(catalog: &mut Catalog, shelves: &mut Shelves) {
    for row in ROWS {
        let resource = row.resource(shelves, catalog);
        catalog.register(resource);
    }
}
