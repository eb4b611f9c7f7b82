//! Admission: what depends on other objects, or on who owns a field. Priority from its class, default
//! tolerations, the condition of gated pods, the protection of native pod groups, the default storage class.
//! Wording follows the admission plugins of kube-apiserver 1.37.

use std::cmp::Reverse;

use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::binding::set_condition;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::garbage::POD_GROUP_PROTECTION;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::State;
use crate::apiserver::store::workloads;

/// Priority classes that every cluster has.
pub const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// A priority as a class gives it.
struct Priority {
    class: Option<String>,
    value: i64,
    preemption: String,
}

impl State {
    /// Completes and judges a new object.
    pub(super) fn admit_new(&mut self, call: &Call<'_>, object: &mut Value) -> Result<(), Failure> {
        let resource = &call.request.resource;
        if resource.is("", "pods") {
            self.admit_priority(resource, object)?;
            tolerate_flapping_nodes(object);
            workloads::begin_pod(object);
            mark_gated(object, call);
        } else if resource.is("scheduling.k8s.io", "podgroups") && resource.custom().is_none() {
            self.admit_priority(resource, object)?;
            protect_group(object);
        } else if resource.is("scheduling.k8s.io", "priorityclasses") {
            self.check_global_default(resource, object)?;
        } else if resource.is("batch", "jobs") {
            workloads::select_own_pods(object);
        } else if resource.is("", "persistentvolumeclaims") {
            self.give_default_class(object);
        }
        Ok(())
    }

    /// Completes and judges a change.
    pub(super) fn admit_change(
        &mut self,
        call: &Call<'_>,
        object: &mut Value,
        old: &Object,
    ) -> Result<(), Failure> {
        let resource = &call.request.resource;
        if resource.is("", "pods") {
            workloads::keep_pod_priority(object, &old.value());
            tolerate_flapping_nodes(object);
        } else if resource.is("scheduling.k8s.io", "priorityclasses") {
            self.check_global_default(resource, object)?;
        }
        Ok(())
    }

    /// A claim that says nothing of its class gets the default one: the newest, where several claim to be that.
    fn give_default_class(&self, claim: &mut Value) {
        const DEFAULT: &str = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
        let named = claim.pointer("/spec/storageClassName").is_some_and(|class| !class.is_null());
        let old = "/metadata/annotations/volume.beta.kubernetes.io~1storage-class";
        if named || claim.pointer(old).is_some() {
            return;
        }
        let classes = self.builtin("storage.k8s.io", "v1", "storageclasses");
        let is_default =
            |class: &&Object| class.value().pointer(DEFAULT).is_some_and(|value| value == "true");
        let shelf = self.shelves.shelf(classes.shelf);
        let newest = shelf.iter(None).filter(is_default).max_by_key(|class| {
            let created = meta(&class.value(), "creationTimestamp").to_owned();
            (created, Reverse(class.own_name().to_owned()))
        });
        if let (Some(class), Some(spec)) =
            (newest, claim.get_mut("spec").and_then(Value::as_object_mut))
        {
            spec.insert("storageClassName".to_owned(), class.own_name().into());
        }
    }

    fn admit_priority(&self, resource: &Resource, object: &mut Value) -> Result<(), Failure> {
        let class = object
            .pointer("/spec/priorityClassName")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let name = meta(object, "name").to_owned();
        let priority = self.priority(&class).ok_or_else(|| {
            let why = format!("no PriorityClass with name {class} was found");
            resource.subject().forbidden(&name, &why)
        })?;
        let given = object.pointer("/spec/priority").and_then(Value::as_i64);
        if let Some(given) = given.filter(|given| *given != priority.value) {
            let shown = if resource.is("", "pods") { "pod" } else { "podgroup" };
            let why = format!(
                "the integer value of priority ({given}) must not be provided in {shown} spec; priority admission controller computed {} from the given PriorityClass name",
                priority.value
            );
            return Err(resource.subject().forbidden(&name, &why));
        }
        if resource.is("", "pods") {
            admit_preemption_policy(resource, object, &priority)?;
        }
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
            return Ok(());
        };
        if let Some(class) = priority.class {
            spec.insert("priorityClassName".to_owned(), class.into());
        }
        spec.insert("priority".to_owned(), priority.value.into());
        Ok(())
    }

    /// The priority of a class, or without a class name the default one. `None` for an unknown class.
    fn priority(&self, class: &str) -> Option<Priority> {
        let classes = self.builtin("scheduling.k8s.io", "v1", "priorityclasses");
        let shelf = self.shelves.shelf(classes.shelf);
        let found = if class.is_empty() {
            let is_default =
                |class: &&Object| class.value().get("globalDefault") == Some(&Value::Bool(true));
            // Upstream takes the lowest where several claim to be the default.
            shelf.iter(None).filter(is_default).min_by_key(|class| value_of(class))
        } else {
            Some(shelf.get("", class)?)
        };
        let preemption = |class: &Object| {
            class.value().get("preemptionPolicy").and_then(Value::as_str).map(str::to_owned)
        };
        Some(Priority {
            class: found.map(|class| class.own_name().to_owned()),
            value: found.map_or(0, value_of),
            preemption: found
                .and_then(preemption)
                .unwrap_or_else(|| "PreemptLowerPriority".to_owned()),
        })
    }

    fn check_global_default(&self, resource: &Resource, object: &Value) -> Result<(), Failure> {
        if object.get("globalDefault") != Some(&Value::Bool(true)) {
            return Ok(());
        }
        let name = meta(object, "name");
        let taken = self.shelves.shelf(resource.shelf).iter(None).find(|class| {
            class.value().get("globalDefault") == Some(&Value::Bool(true))
                && class.own_name() != name
        });
        match taken {
            None => Ok(()),
            Some(class) => {
                let why = format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    class.own_name()
                );
                Err(resource.subject().forbidden(name, &why))
            }
        }
    }
}

fn value_of(class: &Object) -> i64 {
    class.value().get("value").and_then(Value::as_i64).unwrap_or(0)
}

fn admit_preemption_policy(
    resource: &Resource,
    pod: &mut Value,
    priority: &Priority,
) -> Result<(), Failure> {
    let given = pod.pointer("/spec/preemptionPolicy").and_then(Value::as_str).unwrap_or_default();
    if !given.is_empty() && given != priority.preemption {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {} from the given PriorityClass name",
            priority.preemption
        );
        return Err(resource.subject().forbidden(meta(pod, "name"), &why));
    }
    if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("preemptionPolicy".to_owned(), priority.preemption.as_str().into());
    }
    Ok(())
}

/// Pods stay 300 s on a node that is not ready or not reachable, unless they say otherwise.
fn tolerate_flapping_nodes(pod: &mut Value) {
    const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let Some(tolerations) = spec.entry("tolerations").or_insert_with(|| json!([])).as_array_mut()
    else {
        return;
    };
    for taint in TAINTS {
        let covers = |toleration: &Value| {
            let text = |key: &str| toleration.get(key).and_then(Value::as_str).unwrap_or_default();
            (text("key").is_empty() || text("key") == taint)
                && matches!(text("effect"), "" | "NoExecute")
        };
        if !tolerations.iter().any(covers) {
            tolerations.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

/// A pod with scheduling gates says from its first moment why nobody schedules it.
fn mark_gated(pod: &mut Value, call: &Call<'_>) {
    let gates = pod.pointer("/spec/schedulingGates").and_then(Value::as_array);
    if gates.is_none_or(Vec::is_empty) {
        return;
    }
    let condition = json!({
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    });
    set_condition(pod, condition, call.now);
}

fn protect_group(group: &mut Value) {
    let finalizers = &mut group["metadata"]["finalizers"];
    if !finalizers.is_array() {
        *finalizers = json!([]);
    }
    if let Some(finalizers) = finalizers.as_array_mut()
        && !finalizers.iter().any(|finalizer| finalizer == POD_GROUP_PROTECTION)
    {
        finalizers.push(POD_GROUP_PROTECTION.into());
    }
}
