//! Pods and pod templates: the rules of `core/validation` that people meet, and what of a pod may
//! change after it was made.
//! Judges the pod alone, with its former state where there is one; nodes, classes, and quotas are for admission.
//! An update that leaves the spec as it was is not judged again, so that status can always be written.

use serde_json::Value;

use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::validate::amounts::check_resources;
use crate::apiserver::store::validate::metadata::check_annotations;
use crate::apiserver::store::validate::metadata::check_labels;
use crate::apiserver::store::validate::metadata::label_complaints;
use crate::apiserver::store::validate::metadata::qualified_complaints;
use crate::apiserver::store::validate::metadata::subdomain_complaints;

const UPDATE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Checks a pod.
pub(crate) fn pod(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if old.is_some_and(|old| old.get("spec") == new.get("spec")) {
        return errors;
    }
    let spec = new.get("spec").unwrap_or(&Value::Null);
    check_spec(spec, "spec", &mut errors);
    if let Some(old) = old {
        check_change(old, new, &mut errors);
    } else if is_gated(spec) && !text(spec, "nodeName").is_empty() {
        errors.push(FieldError::forbidden(
            "spec.nodeName",
            "cannot be set until all schedulingGates have been cleared",
        ));
    }
    errors
}

/// Checks a pod template at `field`.
pub(super) fn check_template(template: Option<&Value>, field: &str, errors: &mut Vec<FieldError>) {
    let Some(template) = template else {
        errors.push(FieldError::required(field, ""));
        return;
    };
    check_labels(template.pointer("/metadata/labels"), &format!("{field}.labels"), errors);
    check_annotations(
        template.pointer("/metadata/annotations"),
        &format!("{field}.annotations"),
        errors,
    );
    check_spec(template.get("spec").unwrap_or(&Value::Null), &format!("{field}.spec"), errors);
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    object.get(key).and_then(Value::as_array).into_iter().flatten().enumerate()
}

fn is_gated(spec: &Value) -> bool {
    list(spec, "schedulingGates").next().is_some()
}

/// Complains if `key` has none of the values `known`; absent is fine.
fn check_choice(
    object: &Value,
    key: &str,
    known: &[&str],
    field: &str,
    errors: &mut Vec<FieldError>,
) {
    let found = text(object, key);
    if !found.is_empty() && !known.contains(&found) {
        errors.push(FieldError::not_supported(format!("{field}.{key}"), found, known));
    }
}

fn check_least(object: &Value, key: &str, least: i64, field: &str, errors: &mut Vec<FieldError>) {
    if let Some(number) = object.get(key).and_then(Value::as_i64).filter(|number| *number < least) {
        let why = format!("must be greater than or equal to {least}");
        errors.push(FieldError::invalid(format!("{field}.{key}"), number, why));
    }
}

fn check_spec(spec: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let mut names = Vec::new();
    if list(spec, "containers").next().is_none() {
        errors.push(FieldError::required(format!("{field}.containers"), ""));
    }
    for kind in ["containers", "initContainers"] {
        for (index, container) in list(spec, kind) {
            check_container(container, &format!("{field}.{kind}[{index}]"), &mut names, errors);
        }
    }
    check_choice(spec, "restartPolicy", &["Always", "OnFailure", "Never"], field, errors);
    check_choice(
        spec,
        "dnsPolicy",
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        field,
        errors,
    );
    check_choice(spec, "preemptionPolicy", &["PreemptLowerPriority", "Never"], field, errors);
    check_least(spec, "terminationGracePeriodSeconds", 0, field, errors);
    if let Some(seconds) =
        spec.get("activeDeadlineSeconds").and_then(Value::as_i64).filter(|seconds| *seconds < 1)
    {
        let why = "must be between 1 and 2147483647, inclusive";
        errors.push(FieldError::invalid(format!("{field}.activeDeadlineSeconds"), seconds, why));
    }
    for (key, check) in [
        ("nodeName", subdomain_complaints as fn(&str) -> Vec<String>),
        ("priorityClassName", subdomain_complaints),
        ("schedulerName", qualified_complaints),
        ("hostname", label_complaints),
    ] {
        let found = text(spec, key);
        if !found.is_empty() {
            let complaints = check(found).into_iter();
            errors.extend(
                complaints.map(|why| FieldError::invalid(format!("{field}.{key}"), found, why)),
            );
        }
    }
    if let Some(resources) = spec.get("resources") {
        check_resources(resources, &format!("{field}.resources"), errors);
    }
    check_labels(spec.get("nodeSelector"), &format!("{field}.nodeSelector"), errors);
    for (index, toleration) in list(spec, "tolerations") {
        check_toleration(toleration, &format!("{field}.tolerations[{index}]"), errors);
    }
    check_named(spec, "schedulingGates", qualified_complaints, field, errors);
    check_named(spec, "volumes", label_complaints, field, errors);
    if let Some(affinity) = spec.pointer("/affinity/nodeAffinity") {
        check_node_affinity(affinity, &format!("{field}.affinity.nodeAffinity"), errors);
    }
}

/// Checks names of a list's entries, which must differ.
fn check_named(
    spec: &Value,
    key: &str,
    check: fn(&str) -> Vec<String>,
    field: &str,
    errors: &mut Vec<FieldError>,
) {
    let mut names: Vec<&str> = Vec::new();
    for (index, entry) in list(spec, key) {
        let (name, field) = (text(entry, "name"), format!("{field}.{key}[{index}].name"));
        check_name(name, &field, check, errors);
        if names.contains(&name) && !name.is_empty() {
            errors.push(FieldError::new(field, Fault::Duplicate(name.into()), ""));
        }
        names.push(name);
    }
}

fn check_name(
    name: &str,
    field: &str,
    check: fn(&str) -> Vec<String>,
    errors: &mut Vec<FieldError>,
) {
    if name.is_empty() {
        errors.push(FieldError::required(field, ""));
    } else {
        errors.extend(check(name).into_iter().map(|why| FieldError::invalid(field, name, why)));
    }
}

fn check_container<'a>(
    container: &'a Value,
    field: &str,
    names: &mut Vec<&'a str>,
    errors: &mut Vec<FieldError>,
) {
    let name = text(container, "name");
    let name_field = format!("{field}.name");
    check_name(name, &name_field, label_complaints, errors);
    if !name.is_empty() && names.contains(&name) {
        errors.push(FieldError::new(name_field, Fault::Duplicate(name.into()), ""));
    }
    names.push(name);
    if text(container, "image").is_empty() {
        errors.push(FieldError::required(format!("{field}.image"), ""));
    }
    check_choice(container, "imagePullPolicy", &["Always", "IfNotPresent", "Never"], field, errors);
    for (index, port) in list(container, "ports") {
        let field = format!("{field}.ports[{index}]");
        check_choice(port, "protocol", &["SCTP", "TCP", "UDP"], &field, errors);
        for key in ["containerPort", "hostPort"] {
            let number = port.get(key).and_then(Value::as_i64);
            match number {
                None if key == "containerPort" => {
                    errors.push(FieldError::required(format!("{field}.{key}"), ""))
                }
                Some(number) if !(1..=65535).contains(&number) => {
                    let why = "must be between 1 and 65535, inclusive";
                    errors.push(FieldError::invalid(format!("{field}.{key}"), number, why));
                }
                None | Some(_) => {}
            }
        }
    }
    for (index, variable) in list(container, "env") {
        if text(variable, "name").is_empty() {
            errors.push(FieldError::required(format!("{field}.env[{index}].name"), ""));
        }
    }
    if let Some(resources) = container.get("resources") {
        check_resources(resources, &format!("{field}.resources"), errors);
    }
}

fn check_toleration(toleration: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let (key, operator, value) =
        (text(toleration, "key"), text(toleration, "operator"), text(toleration, "value"));
    if !key.is_empty() {
        let complaints = qualified_complaints(key).into_iter();
        errors.extend(complaints.map(|why| FieldError::invalid(format!("{field}.key"), key, why)));
    } else if operator != "Exists" {
        let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.push(FieldError::invalid(format!("{field}.operator"), operator, why));
    }
    if operator == "Exists" && !value.is_empty() {
        let why = "value must be empty when `operator` is 'Exists'";
        errors.push(FieldError::invalid(format!("{field}.operator"), toleration.clone(), why));
    }
    check_choice(toleration, "operator", &["Equal", "Exists", "Gt", "Lt"], field, errors);
    check_choice(
        toleration,
        "effect",
        &["NoSchedule", "PreferNoSchedule", "NoExecute"],
        field,
        errors,
    );
    if toleration.get("tolerationSeconds").is_some() && text(toleration, "effect") != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(FieldError::invalid(
            format!("{field}.effect"),
            text(toleration, "effect"),
            why,
        ));
    }
}

fn check_node_affinity(affinity: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if let Some(required) = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") {
        let field =
            format!("{field}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        if list(required, "nodeSelectorTerms").next().is_none() {
            errors.push(FieldError::required(&*field, "must have at least one node selector term"));
        }
        for (index, term) in list(required, "nodeSelectorTerms") {
            check_term(term, &format!("{field}[{index}]"), errors);
        }
    }
    for (index, preferred) in list(affinity, "preferredDuringSchedulingIgnoredDuringExecution") {
        let field = format!("{field}.preferredDuringSchedulingIgnoredDuringExecution[{index}]");
        let weight = preferred.get("weight").and_then(Value::as_i64).unwrap_or(0);
        if !(1..=100).contains(&weight) {
            errors.push(FieldError::invalid(
                format!("{field}.weight"),
                weight,
                "must be in the range 1-100",
            ));
        }
        if let Some(term) = preferred.get("preference") {
            check_term(term, &format!("{field}.preference"), errors);
        }
    }
}

fn check_term(term: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for kind in ["matchExpressions", "matchFields"] {
        for (index, expression) in list(term, kind) {
            check_expression(expression, &format!("{field}.{kind}[{index}]"), errors);
        }
    }
}

fn check_expression(expression: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let count = list(expression, "values").count();
    let values = format!("{field}.values");
    match text(expression, "operator") {
        "In" | "NotIn" if count == 0 => {
            errors.push(FieldError::required(
                values,
                "must be specified when `operator` is 'In' or 'NotIn'",
            ));
        }
        "Exists" | "DoesNotExist" if count > 0 => {
            errors.push(FieldError::forbidden(
                values,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ));
        }
        "Gt" | "Lt" if count != 1 => {
            errors.push(FieldError::required(
                values,
                "must be specified single value when `operator` is 'Lt' or 'Gt'",
            ));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => {
            errors.push(FieldError::invalid(
                format!("{field}.operator"),
                other,
                "not a valid selector operator",
            ));
        }
    }
    let key = text(expression, "key");
    let complaints = qualified_complaints(key).into_iter();
    errors.extend(complaints.map(|why| FieldError::invalid(format!("{field}.key"), key, why)));
}

/// What of a pod's spec may change: images, a shorter deadline, more tolerations, fewer gates, and
/// while it is gated what narrows its nodes.
fn check_change(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let (Some(old), Some(new)) = (old.get("spec"), new.get("spec")) else { return };
    for kind in ["containers", "initContainers"] {
        if list(old, kind).count() != list(new, kind).count() {
            errors.push(FieldError::forbidden(
                format!("spec.{kind}"),
                "pod updates may not add or remove containers",
            ));
            return;
        }
    }
    for (_, gate) in list(new, "schedulingGates") {
        if !list(old, "schedulingGates").any(|(_, known)| known == gate) {
            let why = format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                text(gate, "name")
            );
            errors.push(FieldError::forbidden("spec.schedulingGates", why));
        }
    }
    for (_, toleration) in list(old, "tolerations") {
        if !list(new, "tolerations").any(|(_, kept)| same_but_for_seconds(kept, toleration)) {
            let why = "existing toleration can not be modified except its tolerationSeconds";
            errors.push(FieldError::forbidden("spec.tolerations", why));
        }
    }
    let (deadline_before, deadline) =
        (old.get("activeDeadlineSeconds"), new.get("activeDeadlineSeconds"));
    if let Some(before) = deadline_before.and_then(Value::as_i64) {
        match deadline.and_then(Value::as_i64) {
            Some(after) if after > before => {
                let why = format!("must be less than or equal to previous value: {before}");
                errors.push(FieldError::invalid("spec.activeDeadlineSeconds", after, why));
            }
            None => errors.push(FieldError::invalid(
                "spec.activeDeadlineSeconds",
                Value::Null,
                "must not update from a positive integer to nil value",
            )),
            Some(_) => {}
        }
    }
    let gated = is_gated(old);
    if frozen(old, gated) != frozen(new, gated) {
        errors.push(FieldError::forbidden("spec", UPDATE));
    }
}

fn same_but_for_seconds(one: &Value, other: &Value) -> bool {
    ["key", "operator", "value", "effect"].iter().all(|key| text(one, key) == text(other, key))
}

/// The part of a spec that does not change.
fn frozen(spec: &Value, gated: bool) -> Value {
    let mut frozen = spec.clone();
    let Some(fields) = frozen.as_object_mut() else { return frozen };
    for key in ["schedulingGates", "tolerations", "activeDeadlineSeconds"] {
        fields.shift_remove(key);
    }
    if gated {
        fields.shift_remove("nodeSelector");
        fields.shift_remove("affinity");
    }
    for kind in ["containers", "initContainers", "ephemeralContainers"] {
        for container in fields.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                container.shift_remove("image");
                // It follows the image when it was never said.
                container.shift_remove("imagePullPolicy");
            }
        }
    }
    frozen
}
