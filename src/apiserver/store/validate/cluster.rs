//! Kinds that describe the cluster and how it schedules: nodes, priority classes, native pod groups,
//! definitions of custom kinds.
//! Judges the object alone, with its former state where there is one; looks at no other object and changes nothing.
//! Tells everything that is wrong, with field and value.

use serde_json::Value;

use crate::apiserver::store::admission::SYSTEM_CLASSES;
use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::validate::amounts::check_amounts;
use crate::apiserver::store::validate::metadata::label_complaints;
use crate::apiserver::store::validate::metadata::label_value_complaints;
use crate::apiserver::store::validate::metadata::qualified_complaints;

/// The highest priority of a class that is not the system's.
const PRIORITY_MAX: i64 = 1_000_000_000;

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// Checks a node.
pub(crate) fn node(new: &Value, _: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (index, taint) in list(new, "/spec/taints") {
        // As upstream names it, though taints are not metadata.
        let field = format!("metadata.taints[{index}]");
        let (key, value, effect) =
            (text(taint, "key"), text(taint, "value"), text(taint, "effect"));
        let complaints = qualified_complaints(key).into_iter();
        errors.extend(complaints.map(|why| FieldError::invalid(format!("{field}.key"), key, why)));
        let complaints = label_value_complaints(value).into_iter();
        errors.extend(
            complaints.map(|why| FieldError::invalid(format!("{field}.value"), value, why)),
        );
        let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        if effect.is_empty() {
            errors.push(FieldError::required(format!("{field}.effect"), ""));
        } else if !known.contains(&effect) {
            errors.push(FieldError::not_supported(format!("{field}.effect"), effect, &known));
        }
        if seen.contains(&(key, effect)) {
            let why = "taints must be unique by key and effect pair";
            errors.push(FieldError::new(field, Fault::Duplicate(taint.clone()), why));
        }
        seen.push((key, effect));
    }
    for part in ["capacity", "allocatable"] {
        check_amounts(
            new.pointer(&format!("/status/{part}")),
            &format!("status.{part}"),
            &mut errors,
        );
    }
    errors
}

/// Checks a priority class.
pub(crate) fn priority_class(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let (name, value) = (meta(new, "name"), new.get("value").and_then(Value::as_i64).unwrap_or(0));
    if let Some(reserved) = name.strip_prefix("system-") {
        let known =
            SYSTEM_CLASSES.iter().any(|(class, priority)| *class == name && *priority == value);
        if !known {
            let why = format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {reserved} is not a known system priority class"
            );
            errors.push(FieldError::forbidden("metadata.name", why));
        }
    } else if value > PRIORITY_MAX {
        let why = format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}");
        errors.push(FieldError::forbidden("value", why));
    }
    let policy = text(new, "preemptionPolicy");
    if !matches!(policy, "PreemptLowerPriority" | "Never") {
        errors.push(FieldError::not_supported(
            "preemptionPolicy",
            policy,
            &["Never", "PreemptLowerPriority"],
        ));
    }
    if let Some(old) = old {
        for key in ["value", "preemptionPolicy"] {
            if old.get(key) != new.get(key) {
                errors.push(FieldError::forbidden(key, "may not be changed in an update."));
            }
        }
    }
    errors
}

/// Checks a native pod group of `scheduling.k8s.io`.
pub(crate) fn pod_group(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let policy = new.pointer("/spec/schedulingPolicy").unwrap_or(&Value::Null);
    let field = "spec.schedulingPolicy";
    match (policy.get("basic"), policy.get("gang")) {
        // Upstream shows no value here.
        (None, None) => {
            errors.push(FieldError::invalid(field, "", "must specify one of: `basic`, `gang`"));
        }
        (Some(_), Some(_)) => {
            let why = "must specify exactly one of: `basic`, `gang`";
            errors.push(FieldError::invalid(field, policy.clone(), why));
        }
        (Some(_), None) => {}
        (None, Some(gang)) => {
            let count = gang.get("minCount").and_then(Value::as_i64).unwrap_or(0);
            let field = format!("{field}.gang.minCount");
            if count == 0 {
                errors.push(FieldError::required(field, ""));
            } else if count < 0 {
                let why = "must be greater than or equal to 1";
                errors.push(FieldError::invalid(field, count, why));
            }
        }
    }
    let topology = list(new, "/spec/schedulingConstraints/topology").count();
    if topology > 1 {
        errors.push(FieldError::new(
            "spec.schedulingConstraints.topology",
            Fault::TooMany(topology, 1),
            "",
        ));
    }
    if let Some(priority) = new
        .pointer("/spec/priority")
        .and_then(Value::as_i64)
        .filter(|priority| *priority > PRIORITY_MAX)
    {
        let why = format!("must be less than or equal to {PRIORITY_MAX}");
        errors.push(FieldError::invalid("spec.priority", priority, why));
    }
    if old.is_some_and(|old| frozen(old) != frozen(new)) {
        errors.push(FieldError::forbidden(
            "spec",
            "field is immutable, except schedulingPolicy.gang.minCount",
        ));
    }
    errors
}

/// The part of a pod group's spec that never changes.
fn frozen(group: &Value) -> Value {
    let mut spec = group.get("spec").cloned().unwrap_or_default();
    if let Some(gang) = spec.pointer_mut("/schedulingPolicy/gang").and_then(Value::as_object_mut) {
        gang.shift_remove("minCount");
    }
    spec
}

/// Checks the definition of a custom kind.
pub(crate) fn custom_resource_definition(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let part = |pointer: &str| new.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, plural) = (part("/spec/group"), part("/spec/names/plural"));
    for (value, field) in [
        (group, "spec.group"),
        (plural, "spec.names.plural"),
        (part("/spec/names/kind"), "spec.names.kind"),
        (part("/spec/scope"), "spec.scope"),
    ] {
        if value.is_empty() {
            errors.push(FieldError::required(field, ""));
        }
    }
    if !group.is_empty() && !group.contains('.') {
        errors.push(FieldError::invalid(
            "spec.group",
            group,
            "should be a domain with at least one dot",
        ));
    }
    let kind = part("/spec/names/kind");
    let complaints =
        label_complaints(&kind.to_lowercase()).into_iter().filter(|_| !kind.is_empty());
    errors.extend(complaints.map(|why| FieldError::invalid("spec.names.kind", kind, why)));
    if meta(new, "name") != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid("metadata.name", meta(new, "name"), why));
    }
    if !matches!(part("/spec/scope"), "" | "Cluster" | "Namespaced") {
        let known = ["Cluster", "Namespaced"];
        errors.push(FieldError::not_supported("spec.scope", part("/spec/scope"), &known));
    }
    let is_storage = |version: &Value| version.get("storage") == Some(&Value::Bool(true));
    if list(new, "/spec/versions").filter(|(_, version)| is_storage(version)).count() != 1 {
        let versions = new.pointer("/spec/versions").cloned().unwrap_or_default();
        errors.push(FieldError::invalid(
            "spec.versions",
            versions,
            "must have exactly one version marked as storage version",
        ));
    }
    for (index, version) in list(new, "/spec/versions") {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            errors.push(FieldError::required(
                format!("spec.versions[{index}].schema.openAPIV3Schema"),
                "schemas are required",
            ));
        }
        if let Some(scale) = version.pointer("/subresources/scale") {
            check_scale(scale, &format!("spec.versions[{index}].subresources.scale"), &mut errors);
        }
    }
    for field in ["group", "scope"] {
        let pointer = format!("/spec/{field}");
        if old.is_some_and(|old| old.pointer(&pointer) != new.pointer(&pointer)) {
            let value = new.pointer(&pointer).cloned().unwrap_or_default();
            errors.push(FieldError::invalid(format!("spec.{field}"), value, "field is immutable"));
        }
    }
    errors
}

/// Checks where a custom kind says that its replica counts are: whoever scales writes there.
fn check_scale(scale: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for (key, part) in [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")] {
        let path = text(scale, key);
        if path.is_empty() {
            errors.push(FieldError::required(format!("{field}.{key}"), ""));
        } else if !is_below(path, part) {
            let why = format!("should be a json path under {part}");
            errors.push(FieldError::invalid(format!("{field}.{key}"), path, why));
        }
    }
    let path = text(scale, "labelSelectorPath");
    if !path.is_empty() && ![".spec", ".status"].iter().any(|part| is_below(path, part)) {
        let why = "should be a json path under either .status or .spec";
        errors.push(FieldError::invalid(format!("{field}.labelSelectorPath"), path, why));
    }
}

/// True for a path to a field below `part`, such as `.spec.replicas` below `.spec`.
fn is_below(path: &str, part: &str) -> bool {
    path.strip_prefix(part).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| {
        !rest.is_empty() && rest.split('.').all(|name| !name.is_empty() && !name.contains('/'))
    })
}
