//! What the server itself decides about pods and jobs when they are made: a pod's first status and
//! quality of service, a job's selector. Follows the strategies of `registry/core/pod` and
//! `registry/batch/job`.

use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::shelf::meta;

/// A new pod's status.
pub(super) fn begin_pod(pod: &mut Value) {
    let class = quality_of_service(pod);
    pod["status"] = json!({"phase": "Pending", "qosClass": class});
}

/// `Guaranteed`, `Burstable`, or `BestEffort`, from cpu and memory of the pod or of its containers.
fn quality_of_service(pod: &Value) -> &'static str {
    let spec = pod.get("spec").cloned().unwrap_or_default();
    if spec
        .get("resources")
        .is_some_and(|resources| asks(resources, "requests") || asks(resources, "limits"))
    {
        return class_of(&[&spec["resources"]]);
    }
    let lists =
        ["containers", "initContainers"].iter().filter_map(|list| spec.get(list)?.as_array());
    let none = Value::Null;
    let resources: Vec<&Value> =
        lists.flatten().map(|container| container.get("resources").unwrap_or(&none)).collect();
    class_of(&resources)
}

fn asks(resources: &Value, part: &str) -> bool {
    ["cpu", "memory"]
        .iter()
        .any(|name| resources.get(part).and_then(|part| part.get(name)).is_some())
}

fn class_of(resources: &[&Value]) -> &'static str {
    if !resources.iter().any(|resources| asks(resources, "requests") || asks(resources, "limits")) {
        return "BestEffort";
    }
    let amount = |resources: &Value, part: &str, name: &str| {
        resources.get(part).and_then(|part| part.get(name)).cloned()
    };
    let even = |resources: &&Value| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(resources, "limits", name);
            limit.is_some() && limit == amount(resources, "requests", name)
        })
    };
    if resources.iter().all(even) { "Guaranteed" } else { "Burstable" }
}

/// Priority and what follows from it were settled when the pod was made; a client that writes the
/// pod back without them does not unsettle them.
pub(super) fn keep_pod_priority(pod: &mut Value, old: &Value) {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for field in ["priority", "preemptionPolicy", "serviceAccountName", "serviceAccount"] {
        if !spec.contains_key(field)
            && let Some(value) = old.get("spec").and_then(|spec| spec.get(field))
        {
            spec.insert(field.to_owned(), value.clone());
        }
    }
}

/// Gives a job's pods the labels by which it finds them, and the job the selector, unless the job
/// brings its own (`manualSelector`).
pub(super) fn select_own_pods(job: &mut Value) {
    let (uid, name) = (meta(job, "uid").to_owned(), meta(job, "name").to_owned());
    let Some(spec) = job.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    if spec.get("manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let labels = &mut spec["template"]["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    for (key, value) in [
        ("controller-uid", &uid),
        ("job-name", &name),
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
    ] {
        labels[key] = value.as_str().into();
    }
    spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
}
