//! `meta.k8s.io/v1` Tables: what `kubectl get` prints. One row in `PRINTERS` per kind, with
//! kube-apiserver's columns; custom resources bring theirs in their definition.
//! Pure: objects and the time in, a Table out. Knows neither store nor socket.

use std::borrow::Borrow;

use serde_json::{Value, json};

use crate::apiserver::store::custom::PrinterColumn;
use crate::apiserver::store::resource::Resource;
use crate::base::time::Time;

mod age;
mod cluster;
mod custom;
mod pods;
mod storage;
mod workloads;

/// How much of each object a Table's rows carry (`includeObject` of the request).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IncludeObject {
    /// Nothing but the cells.
    Nothing,
    /// The metadata, as a PartialObjectMetadata; what a request means that does not say.
    Metadata,
    /// The whole object; kubectl asks for it to sort and to show labels.
    Whole,
}

/// Whether a Table names its columns: in a watch only the first one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Headings {
    /// With `columnDefinitions`.
    Shown,
    /// Without them.
    Omitted,
}

/// What is being printed, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style<'a> {
    /// The API group of the resource; empty for the core group.
    pub(super) group: &'a str,
    /// The plural name of the resource.
    pub(super) resource: &'a str,
    /// The columns that a custom resource's definition declares.
    pub(super) custom_columns: Option<&'a [PrinterColumn]>,
    /// What each row carries besides its cells.
    pub(super) include: IncludeObject,
    /// Whether the columns are named.
    pub(super) headings: Headings,
}

impl<'a> Style<'a> {
    /// How objects of a resource are printed, headings and all.
    pub(super) fn of(resource: &'a Resource, include: IncludeObject) -> Self {
        let custom_columns = resource.custom().map(|custom| custom.columns.as_slice());
        Self {
            group: &resource.group,
            resource: &resource.plural,
            custom_columns,
            include,
            headings: Headings::Shown,
        }
    }
}

/// A column of a built-in kind.
#[derive(Clone, Copy, Debug)]
struct Column {
    name: &'static str,
    kind: &'static str,
    format: &'static str,
    /// 0 is always shown, 1 only with `-o wide`.
    priority: u8,
}

impl Column {
    /// The column that holds the object's name; kubectl finds it by its format.
    const fn name() -> Self {
        Self { name: "Name", kind: "string", format: "name", priority: 0 }
    }
    const fn text(name: &'static str) -> Self {
        Self { name, kind: "string", format: "", priority: 0 }
    }
    const fn number(name: &'static str) -> Self {
        Self { name, kind: "integer", format: "", priority: 0 }
    }
    const fn boolean(name: &'static str) -> Self {
        Self { name, kind: "boolean", format: "", priority: 0 }
    }
    const fn date(name: &'static str) -> Self {
        Self { name, kind: "date", format: "", priority: 0 }
    }

    fn definition(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "format": self.format, "description": "", "priority": self.priority})
    }
}

/// A column that only `-o wide` shows.
const fn wide(name: &'static str) -> Column {
    Column { priority: 1, ..Column::text(name) }
}

/// How one kind is printed.
struct Printer {
    group: &'static str,
    resource: &'static str,
    columns: &'static [Column],
    cells: fn(&Value, Time) -> Vec<Value>,
}

const fn printer(
    group: &'static str,
    resource: &'static str,
    columns: &'static [Column],
    cells: fn(&Value, Time) -> Vec<Value>,
) -> Printer {
    Printer { group, resource, columns, cells }
}

const PRINTERS: &[Printer] = &[
    printer("", "pods", pods::COLUMNS, pods::cells),
    printer("", "nodes", cluster::NODE, cluster::node),
    printer("", "namespaces", cluster::NAMESPACE, cluster::namespace),
    printer("", "events", cluster::EVENT, cluster::event),
    printer("events.k8s.io", "events", cluster::EVENT, cluster::event),
    printer("", "services", workloads::SERVICE, workloads::service),
    printer("", "configmaps", cluster::CONFIG_MAP, cluster::config_map),
    printer("", "secrets", cluster::SECRET, cluster::secret),
    printer("", "persistentvolumeclaims", cluster::CLAIM, cluster::claim),
    printer("", "persistentvolumes", cluster::VOLUME, cluster::volume),
    printer("", "resourcequotas", cluster::QUOTA, cluster::quota),
    printer("apps", "deployments", workloads::DEPLOYMENT, workloads::deployment),
    printer("apps", "replicasets", workloads::REPLICA_SET, workloads::replica_set),
    printer("apps", "statefulsets", workloads::STATEFUL_SET, workloads::stateful_set),
    printer("apps", "daemonsets", workloads::DAEMON_SET, workloads::daemon_set),
    printer("batch", "jobs", workloads::JOB, workloads::job),
    printer(
        "policy",
        "poddisruptionbudgets",
        workloads::DISRUPTION_BUDGET,
        workloads::disruption_budget,
    ),
    printer(
        "scheduling.k8s.io",
        "priorityclasses",
        cluster::PRIORITY_CLASS,
        cluster::priority_class,
    ),
    printer("scheduling.k8s.io", "podgroups", cluster::NATIVE_POD_GROUP, cluster::native_pod_group),
    printer("coordination.k8s.io", "leases", cluster::LEASE, cluster::lease),
    printer("storage.k8s.io", "storageclasses", cluster::STORAGE_CLASS, cluster::storage_class),
    printer("storage.k8s.io", "csinodes", storage::CSI_NODE, storage::csi_node),
    printer("storage.k8s.io", "csidrivers", storage::CSI_DRIVER, storage::csi_driver),
    printer(
        "storage.k8s.io",
        "csistoragecapacities",
        storage::CSI_STORAGE_CAPACITY,
        storage::csi_storage_capacity,
    ),
    printer(
        "storage.k8s.io",
        "volumeattachments",
        storage::VOLUME_ATTACHMENT,
        storage::volume_attachment,
    ),
    printer("node.k8s.io", "runtimeclasses", cluster::RUNTIME_CLASS, cluster::runtime_class),
    printer("discovery.k8s.io", "endpointslices", cluster::ENDPOINT_SLICE, cluster::endpoint_slice),
    printer(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        cluster::CUSTOM_RESOURCE_DEFINITION,
        cluster::custom_resource_definition,
    ),
];

const PLAIN: Printer = printer("", "", cluster::PLAIN, cluster::plain);

/// A Table of the given objects, with the metadata of a list (or of the one object).
pub(super) fn table<V: Borrow<Value>>(
    style: Style<'_>,
    objects: impl Iterator<Item = V>,
    metadata: Value,
    now: Time,
) -> Value {
    let printer = PRINTERS
        .iter()
        .find(|printer| (printer.group, printer.resource) == (style.group, style.resource))
        .unwrap_or(&PLAIN);
    let definitions: Vec<Value> = match (style.headings, style.custom_columns) {
        (Headings::Omitted, _) => Vec::new(),
        (Headings::Shown, Some(columns)) => custom::definitions(columns),
        (Headings::Shown, None) => printer.columns.iter().map(Column::definition).collect(),
    };
    let row = |object: V| {
        let object: &Value = object.borrow();
        let cells = match style.custom_columns {
            Some(columns) => custom::cells(columns, object, now),
            None => (printer.cells)(object, now),
        };
        let conditions = match (style.group, style.resource) {
            ("", "pods") => pods::row_conditions(object),
            _ => None,
        };
        let mut row = json!({"cells": cells, "object": carried(style.include, object)});
        if let Some(conditions) = conditions {
            row["conditions"] = conditions;
        }
        row
    };
    let rows: Vec<Value> = objects.map(row).collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn carried(include: IncludeObject, object: &Value) -> Value {
    match include {
        IncludeObject::Nothing => Value::Null,
        IncludeObject::Metadata => partial_metadata(object),
        IncludeObject::Whole => object.clone(),
    }
}

/// The object's `PartialObjectMetadata`: who it is, without what it says.
pub(super) fn partial_metadata(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}

/// The text at a JSON pointer, empty where there is none.
fn text_at<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or("")
}

/// The whole number at a JSON pointer, 0 where there is none.
fn number_at(object: &Value, path: &str) -> i64 {
    object.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

/// The list at a JSON pointer, empty where there is none.
fn items<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name(object: &Value) -> Value {
    json!(text_at(object, "/metadata/name"))
}

fn creation_age(object: &Value, now: Time) -> Value {
    json!(age::since(object.pointer("/metadata/creationTimestamp"), now))
}

fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { "<none>" } else { text })
}

fn or_unset(text: &str) -> Value {
    json!(if text.is_empty() { "<unset>" } else { text })
}

/// A map of strings as `key=value,...` sorted by key; `<none>` where it is empty.
fn pairs(map: Option<&Value>) -> String {
    let mut pairs: Vec<String> = map
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    pairs.sort_unstable();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",") }
}

fn condition_is_true(object: &Value, kind: &str) -> bool {
    items(object, "/status/conditions")
        .iter()
        .any(|c| text_at(c, "/type") == kind && text_at(c, "/status") == "True")
}

#[cfg(test)]
mod tests {
    use super::{Headings, IncludeObject, PLAIN, PRINTERS, Style, table};
    use crate::base::time::Time;
    use serde_json::json;

    fn style(resource: &'static str) -> Style<'static> {
        Style {
            group: "",
            resource,
            custom_columns: None,
            include: IncludeObject::Metadata,
            headings: Headings::Shown,
        }
    }

    #[test]
    fn every_row_has_a_cell_for_every_column() {
        let object = json!({"metadata": {"name": "x"}});
        for printer in PRINTERS.iter().chain([&PLAIN]) {
            let cells = (printer.cells)(&object, Time::EPOCH);
            assert_eq!(cells.len(), printer.columns.len(), "{}", printer.resource);
            let named = printer.columns.iter().position(|column| column.format == "name");
            let named = named.expect("every kind shows its name");
            assert_eq!(cells[named], json!("x"), "{}", printer.resource);
        }
    }

    #[test]
    fn rows_carry_as_much_of_the_object_as_was_asked_for() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {}, "status": {"phase": "Failed"}});
        let shown = |style| {
            let metadata = json!({"resourceVersion": "7", "continue": "c"});
            table(style, [&pod].into_iter(), metadata, Time::EPOCH)
        };
        let usual = shown(style("pods"));
        assert_eq!(usual["metadata"], json!({"resourceVersion": "7", "continue": "c"}));
        assert_eq!(usual["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(usual["rows"][0]["conditions"][0]["reason"], "Failed");
        assert_eq!(usual["columnDefinitions"][2]["name"], "Status");
        let whole = shown(Style { include: IncludeObject::Whole, ..style("pods") });
        assert_eq!(whole["rows"][0]["object"], pod);
        let bare = Style { include: IncludeObject::Nothing, ..style("pods") };
        let bare = shown(Style { headings: Headings::Omitted, ..bare });
        assert_eq!(bare["rows"][0]["object"], json!(null));
        assert_eq!(bare["columnDefinitions"], json!([]));
    }
}
