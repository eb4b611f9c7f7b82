//! Defaults of built-in kinds: what an API server fills into an object before it judges it.
//! Follows the `defaults.go` of each group in 1.37, for the fields that people and schedulers see.
//! What depends on other objects (priority, service account) is admission's.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Kinds without defaults.
pub(crate) const fn none(_: &mut Value) {}

/// Sets a field that is absent.
fn fill(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(fields) = object.as_object_mut()
        && fields.get(key).is_none_or(Value::is_null)
    {
        fields.insert(key.to_owned(), value.into());
    }
}

/// The field `key` of `object` as an object, made if absent. `None` if something else is there.
fn section<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    fill(object, key, json!({}));
    object.get_mut(key).filter(|section| section.is_object())
}

fn entries<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// A pod's defaults, requests from limits among them.
pub(crate) fn pod(pod: &mut Value) {
    let Some(spec) = section(pod, "spec") else { return };
    pod_spec(spec);
    // Not in templates: upstream fills it in where a pod is made.
    fill(spec, "enableServiceLinks", true);
    for list in ["containers", "initContainers"] {
        for container in entries(spec, list) {
            if let Some(resources) = container.get_mut("resources") {
                requests_from_limits(resources, &|_| true);
            }
        }
    }
    let asked: Vec<String> = asked_by_containers(spec);
    if let Some(resources) = spec.get_mut("resources") {
        requests_from_limits(resources, &|name| !asked.iter().any(|asked| asked == name));
    }
    fill(spec, "serviceAccountName", "default");
    let account = spec.get("serviceAccountName").cloned().unwrap_or_default();
    fill(spec, "serviceAccount", account);
}

fn asked_by_containers(spec: &Value) -> Vec<String> {
    let containers = ["containers", "initContainers"]
        .iter()
        .filter_map(|list| spec.get(list)?.as_array())
        .flatten();
    let requests =
        containers.filter_map(|container| container.get("resources")?.get("requests")?.as_object());
    requests.flat_map(|requests| requests.keys().cloned()).collect()
}

fn requests_from_limits(resources: &mut Value, wanted: &dyn Fn(&str) -> bool) {
    let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned() else { return };
    let Some(requests) = section(resources, "requests") else { return };
    for (name, limit) in limits {
        if wanted(&name) {
            fill(requests, &name, limit);
        }
    }
}

/// The defaults of a pod's spec, which a pod template has too.
fn pod_spec(spec: &mut Value) {
    fill(spec, "restartPolicy", "Always");
    fill(spec, "dnsPolicy", "ClusterFirst");
    fill(spec, "schedulerName", "default-scheduler");
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill(spec, "securityContext", json!({}));
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool).unwrap_or(false);
    for list in CONTAINERS {
        for container in entries(spec, list) {
            container_defaults(container);
            if host_network {
                for port in entries(container, "ports") {
                    let number = port.get("containerPort").cloned().unwrap_or_default();
                    fill(port, "hostPort", number);
                }
            }
        }
    }
    for volume in entries(spec, "volumes") {
        volume_defaults(volume);
    }
}

fn container_defaults(container: &mut Value) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let latest = !last.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    fill(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    fill(container, "resources", json!({}));
    fill(container, "terminationMessagePath", "/dev/termination-log");
    fill(container, "terminationMessagePolicy", "File");
    for port in entries(container, "ports") {
        fill(port, "protocol", "TCP");
    }
    for variable in entries(container, "env") {
        if let Some(field) = variable.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef"))
        {
            fill(field, "apiVersion", "v1");
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(probe) {
            for (key, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                fill(probe, key, value);
            }
            if let Some(get) = probe.get_mut("httpGet") {
                fill(get, "path", "/");
                fill(get, "scheme", "HTTP");
            }
        }
    }
}

fn volume_defaults(volume: &mut Value) {
    if volume.as_object().is_some_and(|fields| fields.keys().all(|key| key == "name")) {
        fill(volume, "emptyDir", json!({}));
    }
    for source in ["secret", "configMap", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(source) {
            fill(source, "defaultMode", 420);
        }
    }
    if let Some(path) = volume.get_mut("hostPath") {
        fill(path, "type", "");
    }
}

fn template(spec: &mut Value) {
    if let Some(template) = section(spec, "template") {
        fill(template, "metadata", json!({}));
        if let Some(spec) = section(template, "spec") {
            pod_spec(spec);
        }
    }
}

/// A deployment's defaults.
pub(crate) fn deployment(deployment: &mut Value) {
    let Some(spec) = section(deployment, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    if let Some(strategy) = section(spec, "strategy") {
        fill(strategy, "type", "RollingUpdate");
        rolling_update(strategy, &[("maxUnavailable", json!("25%")), ("maxSurge", json!("25%"))]);
    }
    template(spec);
    section(deployment, "status");
}

fn rolling_update(strategy: &mut Value, defaults: &[(&str, Value)]) {
    if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
        && let Some(update) = section(strategy, "rollingUpdate")
    {
        for (key, value) in defaults {
            fill(update, key, value.clone());
        }
    }
}

/// A replica set's defaults.
pub(crate) fn replica_set(set: &mut Value) {
    let Some(spec) = section(set, "spec") else { return };
    fill(spec, "replicas", 1);
    template(spec);
}

/// A stateful set's defaults.
pub(crate) fn stateful_set(set: &mut Value) {
    let Some(spec) = section(set, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = section(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        rolling_update(strategy, &[("partition", json!(0))]);
    }
    if let Some(policy) = section(spec, "persistentVolumeClaimRetentionPolicy") {
        fill(policy, "whenDeleted", "Retain");
        fill(policy, "whenScaled", "Retain");
    }
    for template in entries(spec, "volumeClaimTemplates") {
        fill(template, "apiVersion", "v1");
        fill(template, "kind", "PersistentVolumeClaim");
        claim(template);
    }
    template(spec);
}

/// A daemon set's defaults.
pub(crate) fn daemon_set(set: &mut Value) {
    let Some(spec) = section(set, "spec") else { return };
    fill(spec, "revisionHistoryLimit", 10);
    if let Some(strategy) = section(spec, "updateStrategy") {
        fill(strategy, "type", "RollingUpdate");
        rolling_update(strategy, &[("maxUnavailable", json!(1)), ("maxSurge", json!(0))]);
    }
    template(spec);
}

/// A job's defaults.
pub(crate) fn job(job: &mut Value) {
    let Some(spec) = section(job, "spec") else { return };
    // Only where neither is given; parallelism alone makes a job that is done when one pod says so.
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let per_index = spec.get("backoffLimitPerIndex").is_some();
    fill(spec, "backoffLimit", if per_index { i32::MAX } else { 6 });
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    let policy =
        if spec.get("podFailurePolicy").is_some() { "Failed" } else { "TerminatingOrFailed" };
    fill(spec, "podReplacementPolicy", policy);
    for rule in
        spec.get_mut("podFailurePolicy").into_iter().flat_map(|policy| entries(policy, "rules"))
    {
        for pattern in entries(rule, "onPodConditions") {
            fill(pattern, "status", "True");
        }
    }
    template(spec);
    let labels = job.pointer("/spec/template/metadata/labels").cloned();
    if let (Some(labels), Some(metadata)) = (labels, job.get_mut("metadata")) {
        fill(metadata, "labels", labels);
    }
}

/// A priority class's defaults.
pub(crate) fn priority_class(class: &mut Value) {
    fill(class, "preemptionPolicy", "PreemptLowerPriority");
}

/// A node's defaults: what can be allocated is what there is, unless said.
pub(crate) fn node(node: &mut Value) {
    section(node, "spec");
    let Some(capacity) = node.pointer("/status/capacity").and_then(Value::as_object).cloned()
    else {
        return;
    };
    if let Some(allocatable) =
        section(node, "status").and_then(|status| section(status, "allocatable"))
    {
        let given = allocatable.as_object().is_some_and(|given| !given.is_empty());
        if !given {
            *allocatable = Value::Object(capacity);
        }
    }
}

/// A namespace's defaults: the label with its own name, its finalizer, its phase.
pub(crate) fn namespace(namespace: &mut Value) {
    let name = crate::apiserver::store::shelf::meta(namespace, "name").to_owned();
    if let Some(labels) =
        section(namespace, "metadata").and_then(|metadata| section(metadata, "labels"))
    {
        fill(labels, "kubernetes.io/metadata.name", name);
    }
    if let Some(spec) = section(namespace, "spec") {
        fill(spec, "finalizers", json!(["kubernetes"]));
    }
    if let Some(status) = section(namespace, "status") {
        fill(status, "phase", "Active");
    }
}

/// A service's defaults. No cluster address is given out: there is no network behind this API.
pub(crate) fn service(service: &mut Value) {
    let Some(spec) = section(service, "spec") else { return };
    fill(spec, "type", "ClusterIP");
    fill(spec, "sessionAffinity", "None");
    if spec.get("type").and_then(Value::as_str) != Some("ExternalName") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    for port in entries(spec, "ports") {
        fill(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or_default();
        fill(port, "targetPort", number);
    }
    if let Some(status) = section(service, "status") {
        fill(status, "loadBalancer", json!({}));
    }
}

/// A claim's defaults.
pub(crate) fn claim(claim: &mut Value) {
    if let Some(spec) = section(claim, "spec") {
        fill(spec, "volumeMode", "Filesystem");
    }
    if let Some(status) = section(claim, "status") {
        fill(status, "phase", "Pending");
    }
}

/// A volume's defaults.
pub(crate) fn volume(volume: &mut Value) {
    if let Some(spec) = section(volume, "spec") {
        fill(spec, "persistentVolumeReclaimPolicy", "Retain");
        fill(spec, "volumeMode", "Filesystem");
    }
    if let Some(status) = section(volume, "status") {
        fill(status, "phase", "Pending");
    }
}

/// A storage class's defaults.
pub(crate) fn storage_class(class: &mut Value) {
    fill(class, "reclaimPolicy", "Delete");
    fill(class, "volumeBindingMode", "Immediate");
}

/// A custom resource definition's defaults.
pub(crate) fn custom_resource_definition(definition: &mut Value) {
    let Some(spec) = section(definition, "spec") else { return };
    fill(spec, "conversion", json!({"strategy": "None"}));
    if let Some(names) = section(spec, "names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        fill(names, "singular", kind.to_lowercase());
        fill(names, "listKind", format!("{kind}List"));
    }
}

/// A native pod group's defaults.
pub(crate) fn pod_group(group: &mut Value) {
    if let Some(spec) = section(group, "spec") {
        fill(spec, "disruptionMode", json!({"single": {}}));
    }
    section(group, "status");
}

/// Removes fields that are null, as a typed server does by decoding; lists keep theirs.
pub(crate) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            for (_, field) in fields.iter_mut() {
                drop_nulls(field);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The head of every object in the order in which people read it: apiVersion, kind, metadata, rest.
pub(crate) fn in_reading_order(object: Value, api_version: &str, kind: &str) -> Value {
    let Value::Object(mut fields) = object else { return object };
    let mut ordered = Map::with_capacity(fields.len() + 2);
    fields.shift_remove("apiVersion");
    fields.shift_remove("kind");
    ordered.insert("apiVersion".to_owned(), api_version.into());
    ordered.insert("kind".to_owned(), kind.into());
    ordered.insert(
        "metadata".to_owned(),
        fields.shift_remove("metadata").unwrap_or_else(|| json!({})),
    );
    ordered.extend(fields);
    Value::Object(ordered)
}
