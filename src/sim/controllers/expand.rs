//! Workload objects as the pods that they come to, where no controller runs (`muster simulate`):
//! OWNER-0, OWNER-1, and so on, each owned by OWNER. Pure: the same object gives the same pods.
//! Makes pods only: what becomes of them, and whether the API would take them, is judged elsewhere.

use std::fmt;

use serde_json::Value;

use super::template::mount_claims;
use super::template::pod_from;
use super::template::set_annotation;
use super::template::set_label;
use crate::sim::object::Object;

/// Annotation and label of an Indexed Job's pods.
pub(super) const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// What an object comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Expansion {
    /// A workload object and its pods, possibly none (zero replicas, a suspended Job).
    Pods(Vec<Value>),
    /// Not an object with a pod template that is known here.
    NotAWorkload,
}

/// A count that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCount {
    /// Where it stands.
    pub field: &'static str,
    /// What stands there.
    pub value: String,
}

impl fmt::Display for BadCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not a count: write a whole number, 0 or more", self.field, self.value)
    }
}

impl std::error::Error for BadCount {}

/// The pods of a Job, Deployment, ReplicaSet, or StatefulSet.
///
/// # Errors
/// A replica count that is negative or not a whole number.
pub fn expand(object: &Value) -> Result<Expansion, BadCount> {
    let group = object["apiVersion"].as_str().unwrap_or("").split('/').next().unwrap_or("");
    let kind = object["kind"].as_str().unwrap_or("");
    let count = match (group, kind) {
        ("batch", "Job") => job_width(object)?,
        ("apps", "Deployment" | "ReplicaSet" | "StatefulSet") => {
            count(object, "replicas", "spec.replicas")?.unwrap_or(1)
        }
        _ => return Ok(Expansion::NotAWorkload),
    };
    let owner = Object(object);
    let indexed = object["spec"]["completionMode"] == "Indexed";
    let pod = |index: u64| {
        let mut pod = pod_from(owner, &format!("{}-{index}", owner.name()));
        if kind == "Job" {
            set_label(&mut pod, "batch.kubernetes.io/job-name", owner.name());
            set_label(&mut pod, "job-name", owner.name());
        }
        if kind == "Job" && indexed {
            set_label(&mut pod, COMPLETION_INDEX, &index.to_string());
            set_annotation(&mut pod, COMPLETION_INDEX, &index.to_string());
        }
        if kind == "StatefulSet" {
            set_label(&mut pod, "apps.kubernetes.io/pod-index", &index.to_string());
            mount_claims(owner, &mut pod);
        }
        pod
    };
    Ok(Expansion::Pods((0..count).map(pod).collect()))
}

/// How many pods of a Job run at once: its parallelism, and no more than its completions.
fn job_width(job: &Value) -> Result<u64, BadCount> {
    let parallelism = count(job, "parallelism", "spec.parallelism")?.unwrap_or(1);
    let completions = count(job, "completions", "spec.completions")?;
    if job["spec"]["suspend"] == true {
        return Ok(0);
    }
    Ok(completions.map_or(parallelism, |completions| completions.min(parallelism)))
}

/// A count in `spec`; `None` where absent.
fn count(object: &Value, key: &str, field: &'static str) -> Result<Option<u64>, BadCount> {
    let value = &object["spec"][key];
    if value.is_null() {
        return Ok(None);
    }
    let bad = || BadCount { field, value: value.to_string() };
    value.as_u64().map(Some).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(api: &str, kind: &str, spec: &Value) -> Value {
        let mut object = json!({"apiVersion": api, "kind": kind,
            "metadata": {"name": "w", "namespace": "n", "uid": "u"}, "spec": spec});
        object["spec"]["template"] = json!({"spec": {"containers": []}});
        object
    }

    fn names(object: &Value) -> Vec<String> {
        let Ok(Expansion::Pods(pods)) = expand(object) else { panic!("no workload") };
        pods.iter().map(|pod| Object(pod).name().to_owned()).collect()
    }

    #[test]
    fn workloads_become_numbered_pods() {
        let cases = [
            ("batch/v1", "Job", json!({"parallelism": 3}), 3),
            ("batch/v1", "Job", json!({}), 1),
            ("batch/v1", "Job", json!({"parallelism": 3, "completions": 2}), 2),
            ("batch/v1", "Job", json!({"parallelism": 3, "suspend": true}), 0),
            ("apps/v1", "Deployment", json!({"replicas": 2}), 2),
            ("apps/v1", "ReplicaSet", json!({}), 1),
            ("apps/v1", "StatefulSet", json!({"replicas": 0}), 0),
        ];
        for (api, kind, spec, count) in cases {
            let expected: Vec<_> = (0..count).map(|index| format!("w-{index}")).collect();
            assert_eq!(names(&workload(api, kind, &spec)), expected, "{kind} {spec}");
        }
    }

    #[test]
    fn indexed_jobs_number_their_pods() {
        let job =
            workload("batch/v1", "Job", &json!({"parallelism": 2, "completionMode": "Indexed"}));
        let Ok(Expansion::Pods(pods)) = expand(&job) else { panic!("a workload") };
        assert_eq!(Object(&pods[1]).annotation(COMPLETION_INDEX), Some("1"));
        assert_eq!(Object(&pods[1]).label(COMPLETION_INDEX), Some("1"));
        assert_eq!(Object(&pods[1]).controller().map(|owner| owner.kind).as_deref(), Some("Job"));
    }

    #[test]
    fn bad_counts_are_refused_by_field_and_value() {
        let error = expand(&workload("batch/v1", "Job", &json!({"parallelism": -1})))
            .expect_err("it is negative");
        assert_eq!(
            error.to_string(),
            "spec.parallelism: -1 is not a count: write a whole number, 0 or more"
        );
        assert!(expand(&workload("apps/v1", "Deployment", &json!({"replicas": "2"}))).is_err());
        assert_eq!(expand(&json!({"kind": "ConfigMap"})), Ok(Expansion::NotAWorkload));
    }
}
