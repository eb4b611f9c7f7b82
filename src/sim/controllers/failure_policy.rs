//! `spec.podFailurePolicy` of a Job: what a failed pod means to it. Rules are tried in order, the first that matches
//! decides; without a match a failure counts. `FailIndex` counts too: back-off limits per index are not kept here.
//! Reads the Job and one pod; may not remember anything, so the same failure is judged the same each time.

use serde_json::Value;

use super::children::Child;
use crate::sim::object::Object;

/// What a pod's failure means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It counts towards the back-off limit.
    Counted,
    /// It is as if the pod had never been.
    Ignored,
    /// The Job has failed, for the reason given in words.
    FailsJob(String),
}

/// How a pod ended, as far as a policy asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// Names of containers that ended, and with which codes.
    exit_codes: Vec<(String, i64)>,
    /// Types and statuses of the pod's conditions.
    conditions: Vec<(String, String)>,
}

impl Ending {
    /// Reads a pod that failed or is going.
    pub(super) fn of(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |field: &str| pod["status"][field].as_array().into_iter().flatten();
        let containers = list("initContainerStatuses").chain(list("containerStatuses"));
        Self {
            exit_codes: containers
                .filter_map(|container| {
                    let code = container["state"]["terminated"]["exitCode"].as_i64()?;
                    Some((text(&container["name"]), code))
                })
                .collect(),
            conditions: list("conditions")
                .map(|condition| (text(&condition["type"]), text(&condition["status"])))
                .collect(),
        }
    }
}

/// What the failure of `child` means to `job`.
pub(super) fn judge(job: Object<'_>, child: &Child) -> Judgement {
    let rules = job.0["spec"]["podFailurePolicy"]["rules"].as_array();
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let what = match (on_exit_codes(rule, child), on_conditions(rule, child)) {
            (Some((container, code)), _) => {
                format!(
                    "Container {container} for pod {}/{} failed with exit code {code}",
                    job.namespace(),
                    child.name
                )
            }
            (None, Some(kind)) => {
                format!("Pod {}/{} has condition {kind}", job.namespace(), child.name)
            }
            (None, None) => continue,
        };
        return match rule["action"].as_str() {
            Some("Ignore") => Judgement::Ignored,
            Some("FailJob") => {
                Judgement::FailsJob(format!("{what} matching FailJob rule at index {index}"))
            }
            Some(_) | None => Judgement::Counted,
        };
    }
    Judgement::Counted
}

/// The first container whose code the rule asks about. Code 0 is no failure, whatever the rule says.
fn on_exit_codes<'a>(rule: &Value, child: &'a Child) -> Option<(&'a str, i64)> {
    let asked = rule.get("onExitCodes")?;
    let values: Vec<i64> = asked["values"].as_array()?.iter().filter_map(Value::as_i64).collect();
    let of_container = asked["containerName"].as_str();
    let matches = |(name, code): &&(String, i64)| {
        let listed = values.contains(code);
        let wanted = if asked["operator"] == "NotIn" { !listed } else { listed };
        *code != 0 && wanted && of_container.is_none_or(|container| container == name)
    };
    let (name, code) = child.ending.exit_codes.iter().find(matches)?;
    Some((name, *code))
}

/// The first condition of the pod that the rule asks about.
fn on_conditions<'a>(rule: &Value, child: &'a Child) -> Option<&'a str> {
    let asked = rule.get("onPodConditions")?.as_array()?;
    let matches = |(kind, status): &&(String, String)| {
        let wanted = |pattern: &Value| pattern["status"].as_str().unwrap_or("True").to_owned();
        asked.iter().any(|pattern| pattern["type"] == kind.as_str() && wanted(pattern) == *status)
    };
    child.ending.conditions.iter().find(matches).map(|(kind, _)| kind.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn child(code: i64, conditions: &Value) -> Child {
        let pod = json!({"metadata": {"name": "j-x", "namespace": "a"}, "status": {
            "phase": "Failed",
            "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": code}}}],
            "conditions": conditions,
        }});
        Child::of(Object(&pod))
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let job = json!({"metadata": {"name": "j", "namespace": "a"}, "spec": {"podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
            {"action": "Count", "onExitCodes": {"operator": "In", "values": [7]}},
            {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [1]}},
        ]}}});
        let disrupted = json!([{"type": "DisruptionTarget", "status": "True"}]);
        let undisrupted = json!([{"type": "DisruptionTarget", "status": "False"}]);
        let fails = |code, index| {
            Judgement::FailsJob(format!(
                "Container main for pod a/j-x failed with exit code {code} matching FailJob rule at index {index}"
            ))
        };
        for (code, conditions, expected) in [
            (42, &disrupted, Judgement::Ignored),
            (42, &undisrupted, fails(42, 1)),
            (7, &undisrupted, Judgement::Counted),
            (8, &undisrupted, fails(8, 3)),
            (1, &undisrupted, Judgement::Counted),
            (0, &undisrupted, Judgement::Counted),
        ] {
            assert_eq!(judge(Object(&job), &child(code, conditions)), expected, "{code}");
        }
        let plain = json!({"metadata": {"name": "j"}, "spec": {}});
        assert_eq!(judge(Object(&plain), &child(42, &disrupted)), Judgement::Counted);
    }
}
