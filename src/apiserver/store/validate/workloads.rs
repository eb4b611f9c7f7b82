//! Workload kinds: deployments, replica sets, stateful sets, daemon sets, jobs. Replica counts,
//! selectors that must fit their template, and what may not change afterwards.
//! Judges the object alone, with its former state where there is one; pod templates are judged by the rules of pods.
//! Tells everything that is wrong, with field and value.

use serde_json::Value;

use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::validate::pods::check_template;
use crate::base::labels::LabelSelector;

const STATEFUL_SET_UPDATE: &str = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

fn at<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    object.pointer(pointer)
}

/// Complains about a negative count.
fn check_count(new: &Value, pointer: &str, errors: &mut Vec<FieldError>) {
    if let Some(count) = at(new, pointer).and_then(Value::as_i64).filter(|count| *count < 0) {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        errors.push(FieldError::invalid(field, count, "must be greater than or equal to 0"));
    }
}

fn check_frozen(new: &Value, old: Option<&Value>, pointer: &str, errors: &mut Vec<FieldError>) {
    if let Some(old) = old
        && at(old, pointer) != at(new, pointer)
    {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        let value = at(new, pointer).cloned().unwrap_or_default();
        errors.push(FieldError::invalid(field, value, "field is immutable"));
    }
}

/// Checks a selector against the template whose pods it is to find.
fn check_selector(new: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    let Some(selector) = at(new, "/spec/selector") else {
        errors.push(FieldError::required("spec.selector", ""));
        return;
    };
    match LabelSelector::from_json(selector) {
        Err(error) => {
            errors.push(FieldError::invalid("spec.selector", selector.clone(), error.to_string()))
        }
        Ok(parsed) if parsed.is_everything() => {
            let why = format!("empty selector is invalid for {kind}");
            errors.push(FieldError::invalid("spec.selector", selector.clone(), why));
        }
        Ok(parsed) => {
            let labels = at(new, "/spec/template/metadata/labels");
            if !parsed.matches_json(labels) {
                let why = "`selector` does not match template `labels`";
                let labels = labels.cloned().unwrap_or_default();
                errors.push(FieldError::invalid("spec.template.metadata.labels", labels, why));
            }
        }
    }
}

/// Long-running workloads restart their pods always.
fn check_always(new: &Value, errors: &mut Vec<FieldError>) {
    let policy =
        at(new, "/spec/template/spec/restartPolicy").and_then(Value::as_str).unwrap_or_default();
    if policy != "Always" {
        errors.push(FieldError::not_supported(
            "spec.template.spec.restartPolicy",
            policy,
            &["Always"],
        ));
    }
}

fn check_running(new: &Value, kind: &str, errors: &mut Vec<FieldError>) {
    check_count(new, "/spec/replicas", errors);
    check_count(new, "/spec/minReadySeconds", errors);
    check_selector(new, kind, errors);
    check_template(at(new, "/spec/template"), "spec.template", errors);
    check_always(new, errors);
}

/// Checks a deployment.
pub(crate) fn deployment(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_running(new, "deployment", &mut errors);
    check_count(new, "/spec/revisionHistoryLimit", &mut errors);
    let strategy = at(new, "/spec/strategy/type").and_then(Value::as_str).unwrap_or_default();
    match strategy {
        "RollingUpdate" => {}
        "Recreate" if at(new, "/spec/strategy/rollingUpdate").is_some() => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden("spec.strategy.rollingUpdate", why));
        }
        "Recreate" => {}
        other => errors.push(FieldError::not_supported(
            "spec.strategy.type",
            other,
            &["Recreate", "RollingUpdate"],
        )),
    }
    check_frozen(new, old, "/spec/selector", &mut errors);
    errors
}

/// Checks a replica set.
pub(crate) fn replica_set(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_running(new, "replicaset", &mut errors);
    check_frozen(new, old, "/spec/selector", &mut errors);
    errors
}

/// Checks a daemon set.
pub(crate) fn daemon_set(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_running(new, "daemonset", &mut errors);
    check_frozen(new, old, "/spec/selector", &mut errors);
    errors
}

/// Checks a stateful set.
pub(crate) fn stateful_set(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    check_running(new, "statefulset", &mut errors);
    const FREE: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let frozen = |object: &Value| {
        let mut spec = object.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        spec.retain(|key, _| !FREE.contains(&key.as_str()));
        spec
    };
    if old.is_some_and(|old| frozen(old) != frozen(new)) {
        errors.push(FieldError::forbidden("spec", STATEFUL_SET_UPDATE));
    }
    errors
}

/// Checks a job.
pub(crate) fn job(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for pointer in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        check_count(new, &format!("/spec/{pointer}"), &mut errors);
    }
    check_template(at(new, "/spec/template"), "spec.template", &mut errors);
    match at(new, "/spec/template/spec/restartPolicy").and_then(Value::as_str).unwrap_or_default() {
        "OnFailure" | "Never" => {}
        "Always" | "" => {
            let why = "valid values: \"OnFailure\", \"Never\"";
            errors.push(FieldError::required("spec.template.spec.restartPolicy", why));
        }
        other => {
            let known = ["OnFailure", "Never"];
            errors.push(FieldError::not_supported(
                "spec.template.spec.restartPolicy",
                other,
                &known,
            ));
        }
    }
    let indexed = at(new, "/spec/completionMode").and_then(Value::as_str) == Some("Indexed");
    if indexed && at(new, "/spec/completions").is_none() {
        errors.push(FieldError::required("spec.completions", "when completion mode is Indexed"));
    }
    check_job_change(new, old, indexed, &mut errors);
    errors
}

fn check_job_change(new: &Value, old: Option<&Value>, indexed: bool, errors: &mut Vec<FieldError>) {
    let Some(before) = old else { return };
    // An indexed job may change its size as long as completions and parallelism stay equal.
    let elastic = indexed && at(new, "/spec/completions") == at(new, "/spec/parallelism");
    if !elastic {
        check_frozen(new, old, "/spec/completions", errors);
    }
    for pointer in [
        "/spec/selector",
        "/spec/completionMode",
        "/spec/podFailurePolicy",
        "/spec/backoffLimitPerIndex",
    ] {
        check_frozen(new, old, pointer, errors);
    }
    let suspended = at(before, "/spec/suspend") == Some(&Value::Bool(true));
    let started = at(before, "/status/startTime").is_some();
    if suspended && !started {
        // Queueing controllers steer a job before it starts.
        let same = steerless(before) == steerless(new);
        if same {
            return;
        }
    }
    check_frozen(new, old, "/spec/template", errors);
}

/// A job's template without what may be steered while the job is suspended.
fn steerless(job: &Value) -> Value {
    let mut template = at(job, "/spec/template").cloned().unwrap_or_default();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("labels");
        metadata.shift_remove("annotations");
    }
    if let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) {
        for key in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
            spec.shift_remove(key);
        }
    }
    template
}
