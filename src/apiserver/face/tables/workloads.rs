//! Rows of Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, Services, and
//! PodDisruptionBudgets in `kubectl get`, with kube-apiserver's columns.
//! Cells come from the object alone (and its age from the time given), never from its pods: what counts as
//! ready is what a controller wrote into the status.

use serde_json::{Value, json};

use super::age;
use super::{
    Column, condition_is_true, creation_age, items, name, number_at, or_none, pairs, text_at, wide,
};
use crate::base::time::Time;

pub(super) const DEPLOYMENT: &[Column] = &[
    Column::name(),
    Column::text("Ready"),
    Column::text("Up-to-date"),
    Column::text("Available"),
    Column::text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// A Deployment's cells.
pub(super) fn deployment(object: &Value, now: Time) -> Vec<Value> {
    let mut cells = vec![
        name(object),
        ready_of_wanted(object),
        number(object, "/status/updatedReplicas"),
        number(object, "/status/availableReplicas"),
        creation_age(object, now),
    ];
    cells.extend(template(object));
    cells.push(json!(selector(object)));
    cells
}

pub(super) const REPLICA_SET: &[Column] = &[
    Column::name(),
    Column::number("Desired"),
    Column::number("Current"),
    Column::number("Ready"),
    Column::text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// A ReplicaSet's cells.
pub(super) fn replica_set(object: &Value, now: Time) -> Vec<Value> {
    let mut cells = vec![
        name(object),
        json!(wanted(object)),
        number(object, "/status/replicas"),
        number(object, "/status/readyReplicas"),
        creation_age(object, now),
    ];
    cells.extend(template(object));
    cells.push(json!(selector(object)));
    cells
}

pub(super) const STATEFUL_SET: &[Column] = &[
    Column::name(),
    Column::text("Ready"),
    Column::text("Age"),
    wide("Containers"),
    wide("Images"),
];

/// A StatefulSet's cells.
pub(super) fn stateful_set(object: &Value, now: Time) -> Vec<Value> {
    let mut cells = vec![name(object), ready_of_wanted(object), creation_age(object, now)];
    cells.extend(template(object));
    cells
}

pub(super) const DAEMON_SET: &[Column] = &[
    Column::name(),
    Column::number("Desired"),
    Column::number("Current"),
    Column::number("Ready"),
    Column::number("Up-to-date"),
    Column::number("Available"),
    Column::text("Node Selector"),
    Column::text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// A DaemonSet's cells.
pub(super) fn daemon_set(object: &Value, now: Time) -> Vec<Value> {
    let mut cells = vec![
        name(object),
        number(object, "/status/desiredNumberScheduled"),
        number(object, "/status/currentNumberScheduled"),
        number(object, "/status/numberReady"),
        number(object, "/status/updatedNumberScheduled"),
        number(object, "/status/numberAvailable"),
        json!(pairs(object.pointer("/spec/template/spec/nodeSelector"))),
        creation_age(object, now),
    ];
    cells.extend(template(object));
    cells.push(json!(selector(object)));
    cells
}

pub(super) const JOB: &[Column] = &[
    Column::name(),
    Column::text("Status"),
    Column::text("Completions"),
    Column::text("Duration"),
    Column::text("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

/// A Job's cells.
pub(super) fn job(object: &Value, now: Time) -> Vec<Value> {
    let mut cells = vec![
        name(object),
        json!(job_state(object)),
        json!(job_completions(object)),
        json!(job_duration(object, now)),
        creation_age(object, now),
    ];
    cells.extend(template(object));
    cells.push(json!(selector(object)));
    cells
}

/// The Job's most telling condition: an end, then a deletion, then what will become an end.
fn job_state(job: &Value) -> &'static str {
    let is = |kind| condition_is_true(job, kind);
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if job.pointer("/metadata/deletionTimestamp").is_some() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn job_completions(job: &Value) -> String {
    let succeeded = number_at(job, "/status/succeeded");
    match job.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(completions) => format!("{succeeded}/{completions}"),
        None => match number_at(job, "/spec/parallelism") {
            0 | 1 => format!("{succeeded}/1"),
            parallelism => format!("{succeeded}/1 of {parallelism}"),
        },
    }
}

fn job_duration(job: &Value, now: Time) -> String {
    let Some(start) = age::instant(job.pointer("/status/startTime")) else { return String::new() };
    let end = age::instant(job.pointer("/status/completionTime")).unwrap_or(now);
    age::human(end - start)
}

pub(super) const SERVICE: &[Column] = &[
    Column::name(),
    Column::text("Type"),
    Column::text("Cluster-IP"),
    Column::text("External-IP"),
    Column::text("Port(s)"),
    Column::text("Age"),
    wide("Selector"),
];

/// A Service's cells.
pub(super) fn service(object: &Value, now: Time) -> Vec<Value> {
    let ports: Vec<String> = items(object, "/spec/ports").iter().map(service_port).collect();
    let kind = text_at(object, "/spec/type");
    vec![
        name(object),
        json!(if kind.is_empty() { "ClusterIP" } else { kind }),
        or_none(text_at(object, "/spec/clusterIP")),
        json!(external_address(object, kind)),
        or_none(&ports.join(",")),
        creation_age(object, now),
        json!(pairs(object.pointer("/spec/selector"))),
    ]
}

fn service_port(port: &Value) -> String {
    let protocol = text_at(port, "/protocol");
    let protocol = if protocol.is_empty() { "TCP" } else { protocol };
    match number_at(port, "/nodePort") {
        0 => format!("{}/{protocol}", number_at(port, "/port")),
        node_port => format!("{}:{node_port}/{protocol}", number_at(port, "/port")),
    }
}

fn external_address(service: &Value, kind: &str) -> String {
    let given: Vec<&str> =
        items(service, "/spec/externalIPs").iter().filter_map(Value::as_str).collect();
    match kind {
        "ExternalName" => text_at(service, "/spec/externalName").to_owned(),
        "LoadBalancer" if given.is_empty() => "<pending>".to_owned(),
        _ if given.is_empty() => "<none>".to_owned(),
        _ => given.join(","),
    }
}

pub(super) const DISRUPTION_BUDGET: &[Column] = &[
    Column::name(),
    Column::text("Min Available"),
    Column::text("Max Unavailable"),
    Column::number("Allowed Disruptions"),
    Column::text("Age"),
];

/// A PodDisruptionBudget's cells.
pub(super) fn disruption_budget(object: &Value, now: Time) -> Vec<Value> {
    let limit = |path: &str| match object.pointer(path) {
        Some(Value::String(share)) => json!(share),
        Some(Value::Number(count)) => json!(count.to_string()),
        Some(_) | None => json!("N/A"),
    };
    vec![
        name(object),
        limit("/spec/minAvailable"),
        limit("/spec/maxUnavailable"),
        number(object, "/status/disruptionsAllowed"),
        creation_age(object, now),
    ]
}

fn number(object: &Value, path: &str) -> Value {
    json!(number_at(object, path))
}

/// `spec.replicas`, which means 1 where it is absent.
fn wanted(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn ready_of_wanted(object: &Value) -> Value {
    json!(format!("{}/{}", number_at(object, "/status/readyReplicas"), wanted(object)))
}

/// The names and images of the template's containers.
fn template(object: &Value) -> [Value; 2] {
    let containers = items(object, "/spec/template/spec/containers");
    ["/name", "/image"].map(|path| {
        let texts: Vec<&str> = containers.iter().map(|c| text_at(c, path)).collect();
        json!(texts.join(","))
    })
}

/// A label selector in kubectl's short form: `app=web,tier in (a,b),!old`.
fn selector(object: &Value) -> String {
    let equal = pairs(object.pointer("/spec/selector/matchLabels"));
    let mut terms: Vec<String> = if equal == "<none>" { Vec::new() } else { vec![equal] };
    for expression in items(object, "/spec/selector/matchExpressions") {
        let key = text_at(expression, "/key");
        let values: Vec<&str> =
            items(expression, "/values").iter().filter_map(Value::as_str).collect();
        terms.push(match text_at(expression, "/operator") {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if terms.is_empty() { "<none>".into() } else { terms.join(",") }
}

#[cfg(test)]
mod tests {
    use super::{job, replica_set, service};
    use crate::base::time::{Span, Time};
    use serde_json::{Value, json};

    #[test]
    fn a_job_shows_its_most_telling_condition() {
        let shown = |status: Value| {
            let object = json!({"metadata": {"name": "j"}, "status": status,
                "spec": {"completions": 4, "template": {"spec": {"containers": []}}}});
            let cells = job(&object, Time::EPOCH + Span::seconds(100));
            [1, 2, 3].map(|cell: usize| cells[cell].as_str().expect("text").to_owned())
        };
        let start = "1970-01-01T00:00:10Z";
        assert_eq!(shown(json!({})), ["Running", "0/4", ""]);
        assert_eq!(shown(json!({"startTime": start, "succeeded": 1})), ["Running", "1/4", "90s"]);
        let done = json!({"startTime": start, "succeeded": 4, "completionTime": "1970-01-01T00:01:00Z",
            "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]});
        assert_eq!(shown(done), ["Complete", "4/4", "50s"]);
    }

    #[test]
    fn selectors_are_written_short() {
        let object = json!({"metadata": {"name": "r"}, "spec": {"selector": {
            "matchLabels": {"b": "2", "a": "1"},
            "matchExpressions": [{"key": "t", "operator": "In", "values": ["x", "y"]}, {"key": "o", "operator": "DoesNotExist"}]}}});
        let cells = replica_set(&object, Time::EPOCH);
        assert_eq!(cells[1], json!(1), "absent replicas mean one");
        assert_eq!(cells[7], json!("a=1,b=2,t in (x,y),!o"));
    }

    #[test]
    fn service_ports_name_the_node_port() {
        let object = json!({"metadata": {"name": "s"}, "spec": {"type": "NodePort", "clusterIP": "10.0.0.1",
            "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]}});
        let cells = service(&object, Time::EPOCH);
        assert_eq!(cells[3], json!("<none>"));
        assert_eq!(cells[4], json!("80:30080/TCP,53/UDP"));
    }
}
