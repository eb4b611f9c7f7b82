//! What the server itself decides about pods and jobs when they are made: a pod's first status and
//! quality of service, a job's selector. Follows the strategies of `registry/core/pod` and
//! `registry/batch/job`.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::shelf::meta;
use crate::base::quantity::Quantity;

/// A new pod's status.
pub(super) fn begin_pod(pod: &mut Value) {
    let class = quality_of_service(pod);
    pod["status"] = json!({"phase": "Pending", "qosClass": class});
}

/// `Guaranteed`, `Burstable`, or `BestEffort`, from cpu and memory of the pod or of its containers.
fn quality_of_service(pod: &Value) -> &'static str {
    let none = Value::Null;
    let spec = pod.get("spec").unwrap_or(&none);
    let own = spec.get("resources").filter(|resources| {
        !amounts(resources, "requests").is_empty() || !amounts(resources, "limits").is_empty()
    });
    if let Some(own) = own {
        return class_of(&[own]);
    }
    let lists =
        ["containers", "initContainers"].iter().filter_map(|list| spec.get(list)?.as_array());
    let resources: Vec<&Value> =
        lists.flatten().map(|container| container.get("resources").unwrap_or(&none)).collect();
    class_of(&resources)
}

/// The amounts of cpu and memory in one part of `resources`; nothing and less than nothing do not count.
fn amounts(resources: &Value, part: &str) -> BTreeMap<&'static str, Quantity> {
    let amount = |name: &'static str| {
        let text = resources.get(part)?.get(name)?.as_str()?;
        let amount = Quantity::parse(text).ok().filter(|amount| *amount > Quantity::ZERO)?;
        Some((name, amount))
    };
    ["cpu", "memory"].into_iter().filter_map(amount).collect()
}

fn class_of(resources: &[&Value]) -> &'static str {
    let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
    let mut all_limited = true;
    for resources in resources {
        let limited = amounts(resources, "limits");
        all_limited &= limited.len() == 2;
        for (sums, given) in
            [(&mut requests, amounts(resources, "requests")), (&mut limits, limited)]
        {
            for (name, amount) in given {
                let sum = sums.entry(name).or_insert(Quantity::ZERO);
                *sum = *sum + amount;
            }
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if all_limited && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
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
