//! Rows of nodes, namespaces, events, storage, and other objects of the cluster in
//! `kubectl get`, with kube-apiserver's columns.
//! Cells come from the object alone (and its age from the time given), never from other objects.
//! A missing field gives the cell that kubectl users know for it, `<none>`, `<unset>`, or `<unknown>`; nothing fails.

use serde_json::{Value, json};

use super::age;
use super::{Column, creation_age, items, name, number_at, or_none, or_unset, text_at, wide};
use crate::base::time::Time;

pub(super) const NODE: &[Column] = &[
    Column::name(),
    Column::text("Status"),
    Column::text("Roles"),
    Column::text("Age"),
    Column::text("Version"),
    wide("Internal-IP"),
    wide("External-IP"),
    wide("OS-Image"),
    wide("Kernel-Version"),
    wide("Container-Runtime"),
];

/// A Node's cells.
pub(super) fn node(object: &Value, now: Time) -> Vec<Value> {
    let unknown = |text: &str| json!(if text.is_empty() { "<unknown>" } else { text });
    let about = |field: &str| text_at(object, &format!("/status/nodeInfo/{field}"));
    vec![
        name(object),
        json!(node_state(object)),
        json!(node_roles(object)),
        creation_age(object, now),
        json!(about("kubeletVersion")),
        or_none(node_address(object, "InternalIP")),
        or_none(node_address(object, "ExternalIP")),
        unknown(about("osImage")),
        unknown(about("kernelVersion")),
        unknown(about("containerRuntimeVersion")),
    ]
}

fn node_state(node: &Value) -> String {
    let ready = items(node, "/status/conditions").iter().find(|c| text_at(c, "/type") == "Ready");
    let state = match ready.map(|condition| text_at(condition, "/status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    if node.pointer("/spec/unschedulable") == Some(&json!(true)) {
        format!("{state},SchedulingDisabled")
    } else {
        state.into()
    }
}

/// The roles that labels give a node, sorted.
fn node_roles(node: &Value) -> String {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".into() } else { roles.join(",") }
}

fn node_address<'a>(node: &'a Value, kind: &str) -> &'a str {
    items(node, "/status/addresses")
        .iter()
        .find(|address| text_at(address, "/type") == kind)
        .map_or("", |address| text_at(address, "/address"))
}

pub(super) const NAMESPACE: &[Column] =
    &[Column::name(), Column::text("Status"), Column::text("Age")];

/// A Namespace's cells.
pub(super) fn namespace(object: &Value, now: Time) -> Vec<Value> {
    vec![name(object), json!(text_at(object, "/status/phase")), creation_age(object, now)]
}

pub(super) const EVENT: &[Column] = &[
    Column::text("Last Seen"),
    Column::text("Type"),
    Column::text("Reason"),
    Column::text("Object"),
    wide("Subobject"),
    wide("Source"),
    Column::text("Message"),
    wide("First Seen"),
    wide("Count"),
    Column { priority: 1, ..Column::name() },
];

/// An Event's cells, from its core/v1 or its events.k8s.io/v1 form.
pub(super) fn event(object: &Value, now: Time) -> Vec<Value> {
    let either = |core: &str, new: &str| object.pointer(core).or_else(|| object.pointer(new));
    let first_seen = either("/firstTimestamp", "/deprecatedFirstTimestamp")
        .filter(|time| !time.is_null())
        .or_else(|| object.pointer("/eventTime"));
    let last_seen = object
        .pointer("/series/lastObservedTime")
        .or_else(|| either("/lastTimestamp", "/deprecatedLastTimestamp").filter(|t| !t.is_null()))
        .or(first_seen);
    let count = [object.pointer("/series/count"), either("/count", "/deprecatedCount")]
        .into_iter()
        .find_map(|count| count.and_then(Value::as_i64).filter(|count| *count > 0))
        .unwrap_or(1);
    let about = either("/involvedObject", "/regarding").unwrap_or(&Value::Null);
    let kind = text_at(about, "/kind").to_lowercase();
    let target = match text_at(about, "/name") {
        "" => kind,
        name => format!("{kind}/{name}"),
    };
    let message = either("/message", "/note").and_then(Value::as_str).unwrap_or("");
    vec![
        json!(age::since(last_seen, now)),
        json!(text_at(object, "/type")),
        json!(text_at(object, "/reason")),
        json!(target),
        json!(text_at(about, "/fieldPath")),
        json!(event_source(object)),
        json!(message.trim()),
        json!(age::since(first_seen, now)),
        json!(count),
        name(object),
    ]
}

fn event_source(event: &Value) -> String {
    let source = event.pointer("/source").or_else(|| event.pointer("/deprecatedSource"));
    let source = source.unwrap_or(&Value::Null);
    let (component, host) = (text_at(source, "/component"), text_at(source, "/host"));
    let (component, host) = if component.is_empty() {
        let controller = ["/reportingComponent", "/reportingController"]
            .map(|path| text_at(event, path))
            .into_iter()
            .find(|text| !text.is_empty());
        (controller.unwrap_or(""), text_at(event, "/reportingInstance"))
    } else {
        (component, host)
    };
    if host.is_empty() { component.into() } else { format!("{component}, {host}") }
}

pub(super) const CONFIG_MAP: &[Column] =
    &[Column::name(), Column::number("Data"), Column::text("Age")];

/// A ConfigMap's cells.
pub(super) fn config_map(object: &Value, now: Time) -> Vec<Value> {
    let entries = ["/data", "/binaryData"].map(|path| entry_count(object, path));
    vec![name(object), json!(entries[0] + entries[1]), creation_age(object, now)]
}

pub(super) const SECRET: &[Column] =
    &[Column::name(), Column::text("Type"), Column::number("Data"), Column::text("Age")];

/// A Secret's cells.
pub(super) fn secret(object: &Value, now: Time) -> Vec<Value> {
    let count = entry_count(object, "/data");
    vec![name(object), json!(text_at(object, "/type")), json!(count), creation_age(object, now)]
}

fn entry_count(object: &Value, path: &str) -> usize {
    object.pointer(path).and_then(Value::as_object).map_or(0, serde_json::Map::len)
}

pub(super) const CLAIM: &[Column] = &[
    Column::name(),
    Column::text("Status"),
    Column::text("Volume"),
    Column::text("Capacity"),
    Column::text("Access Modes"),
    Column::text("StorageClass"),
    Column::text("VolumeAttributesClass"),
    Column::text("Age"),
    wide("VolumeMode"),
];

/// A PersistentVolumeClaim's cells: capacity and modes once it is bound.
pub(super) fn claim(object: &Value, now: Time) -> Vec<Value> {
    let deleted = object.pointer("/metadata/deletionTimestamp").is_some();
    let state = if deleted { "Terminating" } else { text_at(object, "/status/phase") };
    let volume = text_at(object, "/spec/volumeName");
    let (capacity, modes) = if volume.is_empty() {
        (String::new(), String::new())
    } else {
        (text_at(object, "/status/capacity/storage").into(), access_modes(object, "/status"))
    };
    vec![
        name(object),
        json!(state),
        json!(volume),
        json!(capacity),
        json!(modes),
        json!(text_at(object, "/spec/storageClassName")),
        or_unset(text_at(object, "/spec/volumeAttributesClassName")),
        creation_age(object, now),
        or_unset(text_at(object, "/spec/volumeMode")),
    ]
}

pub(super) const VOLUME: &[Column] = &[
    Column::name(),
    Column::text("Capacity"),
    Column::text("Access Modes"),
    Column::text("Reclaim Policy"),
    Column::text("Status"),
    Column::text("Claim"),
    Column::text("StorageClass"),
    Column::text("VolumeAttributesClass"),
    Column::text("Reason"),
    Column::text("Age"),
    wide("VolumeMode"),
];

/// A PersistentVolume's cells.
pub(super) fn volume(object: &Value, now: Time) -> Vec<Value> {
    let deleted = object.pointer("/metadata/deletionTimestamp").is_some();
    let claim = match text_at(object, "/spec/claimRef/name") {
        "" => String::new(),
        name => format!("{}/{name}", text_at(object, "/spec/claimRef/namespace")),
    };
    vec![
        name(object),
        json!(text_at(object, "/spec/capacity/storage")),
        json!(access_modes(object, "/spec")),
        json!(text_at(object, "/spec/persistentVolumeReclaimPolicy")),
        json!(if deleted { "Terminating" } else { text_at(object, "/status/phase") }),
        json!(claim),
        json!(text_at(object, "/spec/storageClassName")),
        or_unset(text_at(object, "/spec/volumeAttributesClassName")),
        json!(text_at(object, "/status/reason")),
        creation_age(object, now),
        or_unset(text_at(object, "/spec/volumeMode")),
    ]
}

fn access_modes(object: &Value, part: &str) -> String {
    let short: Vec<&str> = items(object, &format!("{part}/accessModes"))
        .iter()
        .filter_map(Value::as_str)
        .map(|mode| match mode {
            "ReadWriteOnce" => "RWO",
            "ReadOnlyMany" => "ROX",
            "ReadWriteMany" => "RWX",
            "ReadWriteOncePod" => "RWOP",
            other => other,
        })
        .collect();
    short.join(",")
}

pub(super) const STORAGE_CLASS: &[Column] = &[
    Column::name(),
    Column::text("Provisioner"),
    Column::text("ReclaimPolicy"),
    Column::text("VolumeBindingMode"),
    Column::boolean("AllowVolumeExpansion"),
    Column::text("Age"),
];

/// A StorageClass's cells; the cluster's default is marked after its name.
pub(super) fn storage_class(object: &Value, now: Time) -> Vec<Value> {
    let default = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
    let mark = if text_at(object, default) == "true" { " (default)" } else { "" };
    let or = |path: &str, default: &str| match text_at(object, path) {
        "" => json!(default),
        text => json!(text),
    };
    vec![
        json!(format!("{}{mark}", text_at(object, "/metadata/name"))),
        json!(text_at(object, "/provisioner")),
        or("/reclaimPolicy", "Delete"),
        or("/volumeBindingMode", "Immediate"),
        json!(object.pointer("/allowVolumeExpansion") == Some(&json!(true))),
        creation_age(object, now),
    ]
}

pub(super) const PRIORITY_CLASS: &[Column] = &[
    Column::name(),
    Column::number("Value"),
    Column::boolean("Global-Default"),
    Column::text("Age"),
    Column::text("PreemptionPolicy"),
];

/// A PriorityClass's cells.
pub(super) fn priority_class(object: &Value, now: Time) -> Vec<Value> {
    let preemption = text_at(object, "/preemptionPolicy");
    vec![
        name(object),
        json!(number_at(object, "/value")),
        json!(object.pointer("/globalDefault") == Some(&json!(true))),
        creation_age(object, now),
        json!(if preemption.is_empty() { "PreemptLowerPriority" } else { preemption }),
    ]
}

pub(super) const LEASE: &[Column] = &[Column::name(), Column::text("Holder"), Column::text("Age")];

/// A Lease's cells.
pub(super) fn lease(object: &Value, now: Time) -> Vec<Value> {
    vec![name(object), json!(text_at(object, "/spec/holderIdentity")), creation_age(object, now)]
}

pub(super) const CUSTOM_RESOURCE_DEFINITION: &[Column] =
    &[Column::name(), Column::date("Created At")];

/// A CustomResourceDefinition's cells.
pub(super) fn custom_resource_definition(object: &Value, _now: Time) -> Vec<Value> {
    vec![name(object), json!(text_at(object, "/metadata/creationTimestamp"))]
}

pub(super) const RUNTIME_CLASS: &[Column] =
    &[Column::name(), Column::text("Handler"), Column::text("Age")];

/// A RuntimeClass's cells.
pub(super) fn runtime_class(object: &Value, now: Time) -> Vec<Value> {
    vec![name(object), json!(text_at(object, "/handler")), creation_age(object, now)]
}

pub(super) const NATIVE_POD_GROUP: &[Column] = &[
    Column::name(),
    Column::text("Policy"),
    Column::text("Min Count"),
    Column::text("Scheduled"),
    Column::text("Age"),
    wide("Topology"),
];

/// The cells of a `scheduling.k8s.io` PodGroup: what decides whether it may run, and whether it did.
pub(super) fn native_pod_group(object: &Value, now: Time) -> Vec<Value> {
    let gang = object.pointer("/spec/schedulingPolicy/gang");
    let count = gang.map(|gang| number_at(gang, "/minCount").to_string()).unwrap_or_default();
    let conditions = items(object, "/status/conditions");
    let scheduled = conditions.iter().find(|c| text_at(c, "/type") == "PodGroupInitiallyScheduled");
    vec![
        name(object),
        json!(if gang.is_some() { "Gang" } else { "Basic" }),
        or_none(&count),
        json!(scheduled.map_or("Unknown", |condition| text_at(condition, "/status"))),
        creation_age(object, now),
        or_none(text_at(object, "/spec/schedulingConstraints/topology/0/key")),
    ]
}

pub(super) const PLAIN: &[Column] = &[Column::name(), Column::text("Age")];

/// The cells of a kind that has no columns of its own.
pub(super) fn plain(object: &Value, now: Time) -> Vec<Value> {
    vec![name(object), creation_age(object, now)]
}

pub(super) const QUOTA: &[Column] =
    &[Column::name(), Column::text("Request"), Column::text("Limit"), Column::text("Age")];

/// A ResourceQuota's cells: used over hard, limits apart from everything else.
pub(super) fn quota(object: &Value, now: Time) -> Vec<Value> {
    let hard = object.pointer("/status/hard").and_then(Value::as_object);
    let mut parts = [Vec::new(), Vec::new()];
    for (resource, limit) in hard.into_iter().flatten() {
        let used = object.pointer("/status/used").and_then(|used| used.get(resource));
        let used = used.and_then(Value::as_str).unwrap_or("0");
        let text = format!("{resource}: {used}/{}", limit.as_str().unwrap_or(""));
        parts[usize::from(resource.starts_with("limits."))].push(text);
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    let [requests, limits] = parts.map(|part| json!(part.join(", ")));
    vec![name(object), requests, limits, creation_age(object, now)]
}

pub(super) const ENDPOINT_SLICE: &[Column] = &[
    Column::name(),
    Column::text("AddressType"),
    Column::text("Ports"),
    Column::text("Endpoints"),
    Column::text("Age"),
];

/// An EndpointSlice's cells.
pub(super) fn endpoint_slice(object: &Value, now: Time) -> Vec<Value> {
    let ports: Vec<String> =
        items(object, "/ports").iter().map(|port| number_at(port, "/port").to_string()).collect();
    let addresses: Vec<&str> = items(object, "/endpoints")
        .iter()
        .flat_map(|endpoint| items(endpoint, "/addresses"))
        .filter_map(Value::as_str)
        .collect();
    vec![
        name(object),
        json!(text_at(object, "/addressType")),
        or_unset(&ports.join(",")),
        or_unset(&addresses.join(",")),
        creation_age(object, now),
    ]
}

#[cfg(test)]
mod tests {
    use super::{event, node};
    use crate::base::time::{Span, Time};
    use serde_json::json;

    #[test]
    fn a_cordoned_node_says_so() {
        let object = json!({"metadata": {"name": "a1", "labels": {
                "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/gpu": ""}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
                "nodeInfo": {"kubeletVersion": "v1.37.1"}}});
        let cells = node(&object, Time::EPOCH);
        assert_eq!(cells[1], json!("Ready,SchedulingDisabled"));
        assert_eq!(cells[2], json!("gpu,worker"));
        assert_eq!(cells[4], json!("v1.37.1"));
        assert_eq!(cells[5], json!("10.1.0.1"));
        assert_eq!(cells[7], json!("<unknown>"));
    }

    #[test]
    fn both_forms_of_an_event_read_the_same() {
        let core = json!({"metadata": {"name": "e"}, "type": "Warning", "reason": "FailedScheduling",
            "involvedObject": {"kind": "Pod", "name": "p"}, "message": "no room\n", "eventTime": "1970-01-01T00:00:00.000000Z",
            "firstTimestamp": null, "lastTimestamp": null, "reportingComponent": "muster", "reportingInstance": "muster-0",
            "series": {"count": 3, "lastObservedTime": "1970-01-01T00:01:00.000000Z"}});
        let new = json!({"metadata": {"name": "e"}, "type": "Warning", "reason": "FailedScheduling",
            "regarding": {"kind": "Pod", "name": "p"}, "note": "no room\n", "eventTime": "1970-01-01T00:00:00.000000Z",
            "reportingController": "muster", "reportingInstance": "muster-0",
            "series": {"count": 3, "lastObservedTime": "1970-01-01T00:01:00.000000Z"}});
        let now = Time::EPOCH + Span::seconds(90);
        let expected = [
            json!("30s"),
            json!("Warning"),
            json!("FailedScheduling"),
            json!("pod/p"),
            json!(""),
            json!("muster, muster-0"),
            json!("no room"),
            json!("90s"),
            json!(3),
            json!("e"),
        ];
        assert_eq!(event(&core, now), expected);
        assert_eq!(event(&new, now), expected);
    }
}
