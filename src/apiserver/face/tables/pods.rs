//! The row of a pod in `kubectl get pods`: readiness, the one word for its state, restarts.
//! Follows kube-apiserver's printer: reasons of containers outrank the phase, init containers
//! outrank containers while they run, and a deletion under way outranks both.

use serde_json::{Value, json};

use super::age;
use super::{Column, creation_age, items, name, number_at, or_none, text_at, wide};
use crate::base::time::Time;

pub(super) const COLUMNS: &[Column] = &[
    Column::name(),
    Column::text("Ready"),
    Column::text("Status"),
    Column::text("Restarts"),
    Column::text("Age"),
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
];

/// The cells of one pod.
pub(super) fn cells(pod: &Value, now: Time) -> Vec<Value> {
    let summary = Summary::of(pod);
    let address = text_at(pod, "/status/podIPs/0/ip");
    let address = if address.is_empty() { text_at(pod, "/status/podIP") } else { address };
    vec![
        name(pod),
        json!(format!("{}/{}", summary.ready, summary.containers)),
        json!(summary.state),
        json!(summary.restarts.shown(now)),
        creation_age(pod, now),
        or_none(address),
        or_none(text_at(pod, "/spec/nodeName")),
        or_none(text_at(pod, "/status/nominatedNodeName")),
        json!(readiness_gates(pod)),
    ]
}

/// The row's conditions: kubectl dims finished pods by them.
pub(super) fn row_conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text_at(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

/// How often containers started again, and when the last of them had ended.
#[derive(Default)]
struct Restarts {
    count: u64,
    last: Option<Time>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += number_at(status, "/restartCount").unsigned_abs();
        self.last = self.last.max(age::instant(status.pointer("/lastState/terminated/finishedAt")));
    }

    fn shown(&self, now: Time) -> String {
        match self.last {
            Some(last) if self.count > 0 => {
                format!("{} ({} ago)", self.count, age::human(now - last))
            }
            Some(_) | None => self.count.to_string(),
        }
    }
}

struct Summary {
    ready: usize,
    containers: usize,
    state: String,
    restarts: Restarts,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let phase = text_at(pod, "/status/phase");
        let reason = text_at(pod, "/status/reason");
        let gated = condition(pod, "PodScheduled")
            .is_some_and(|condition| text_at(condition, "/reason") == "SchedulingGated");
        let state = match (gated, reason) {
            (true, _) => "SchedulingGated",
            (false, "") => phase,
            (false, reason) => reason,
        };
        let sidecars = items(pod, "/spec/initContainers").iter().filter(|c| is_sidecar(c)).count();
        let mut summary = Self {
            ready: 0,
            containers: items(pod, "/spec/containers").len() + sidecars,
            state: state.into(),
            restarts: Restarts::default(),
        };
        let initializing = summary.read_init_containers(pod);
        if !initializing || is_true(pod, "Initialized") {
            summary.read_containers(pod);
        }
        let deleted = pod.pointer("/metadata/deletionTimestamp").is_some();
        if deleted && reason == "NodeLost" {
            summary.state = "Unknown".into();
        } else if deleted && !matches!(phase, "Succeeded" | "Failed") {
            summary.state = "Terminating".into();
        }
        summary
    }

    /// Reads the init containers up to the first that is not done; true if there is one.
    /// Sidecars keep running, so their restarts outlive the initialisation and the others' do not.
    fn read_init_containers(&mut self, pod: &Value) -> bool {
        let specs = items(pod, "/spec/initContainers");
        let mut all = Restarts::default();
        for (index, status) in items(pod, "/status/initContainerStatuses").iter().enumerate() {
            let sidecar = specs
                .iter()
                .any(|spec| text_at(spec, "/name") == text_at(status, "/name") && is_sidecar(spec));
            all.add(status);
            if sidecar {
                self.restarts.add(status);
            }
            let terminated = status.pointer("/state/terminated");
            if terminated.is_some_and(|end| number_at(end, "/exitCode") == 0) {
                continue;
            }
            if sidecar && status["started"] == json!(true) {
                self.ready += usize::from(status["ready"] == json!(true));
                continue;
            }
            let waiting = text_at(status, "/state/waiting/reason");
            self.state = if let Some(end) = terminated {
                format!("Init:{}", ending(end))
            } else if !matches!(waiting, "" | "PodInitializing") {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", specs.len())
            };
            if !is_true(pod, "Initialized") {
                self.restarts = all;
            }
            return true;
        }
        false
    }

    fn read_containers(&mut self, pod: &Value) {
        let mut running = false;
        for status in items(pod, "/status/containerStatuses").iter().rev() {
            self.restarts.add(status);
            let waiting = text_at(status, "/state/waiting/reason");
            if !waiting.is_empty() {
                self.state = waiting.into();
            } else if let Some(end) = status.pointer("/state/terminated") {
                self.state = ending(end);
            } else if status["ready"] == json!(true) && status.pointer("/state/running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.state == "Completed" && running {
            self.state = if is_true(pod, "Ready") { "Running" } else { "NotReady" }.into();
        }
    }
}

/// How a container ended, in one word.
fn ending(terminated: &Value) -> String {
    let reason = text_at(terminated, "/reason");
    if !reason.is_empty() {
        return reason.into();
    }
    match number_at(terminated, "/signal") {
        0 => format!("ExitCode:{}", number_at(terminated, "/exitCode")),
        signal => format!("Signal:{signal}"),
    }
}

fn is_sidecar(container: &Value) -> bool {
    text_at(container, "/restartPolicy") == "Always"
}

fn condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    items(pod, "/status/conditions").iter().find(|condition| text_at(condition, "/type") == kind)
}

fn is_true(pod: &Value, kind: &str) -> bool {
    condition(pod, kind).is_some_and(|condition| text_at(condition, "/status") == "True")
}

fn readiness_gates(pod: &Value) -> String {
    let gates = items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let open = gates.iter().filter(|gate| is_true(pod, text_at(gate, "/conditionType"))).count();
    format!("{open}/{}", gates.len())
}

#[cfg(test)]
mod tests {
    use super::cells;
    use crate::base::time::{Span, Time};
    use serde_json::{Value, json};

    /// READY, STATUS, and RESTARTS of a pod with two containers, 100 s after the epoch.
    fn shown(init_containers: Value, status: Value) -> [String; 3] {
        cells_of(&json!({
            "metadata": {"name": "p", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": init_containers},
            "status": status,
        }))
    }

    /// The same of a pod without init containers that is being deleted.
    fn shown_deleted(status: Value) -> [String; 3] {
        cells_of(&json!({
            "metadata": {"name": "p", "deletionTimestamp": "1970-01-01T00:01:00Z"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
            "status": status,
        }))
    }

    fn cells_of(pod: &Value) -> [String; 3] {
        let cells = cells(pod, Time::EPOCH + Span::seconds(100));
        [1, 2, 3].map(|cell: usize| cells[cell].as_str().expect("these cells are text").to_owned())
    }

    fn running(name: &str) -> Value {
        json!({"name": name, "ready": true, "restartCount": 0, "state": {"running": {}}})
    }

    #[test]
    fn states_of_plain_pods() {
        let none = || json!([]);
        assert_eq!(shown(none(), json!({"phase": "Pending"})), ["0/2", "Pending", "0"]);
        let both = json!({"phase": "Running", "containerStatuses": [running("a"), running("b")]});
        assert_eq!(shown(none(), both.clone()), ["2/2", "Running", "0"]);
        assert_eq!(shown_deleted(both), ["2/2", "Terminating", "0"]);
        let gated = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]});
        assert_eq!(shown(none(), gated), ["0/2", "SchedulingGated", "0"]);
        let rejected = json!({"phase": "Failed", "reason": "OutOfcpu"});
        assert_eq!(shown(none(), rejected.clone()), ["0/2", "OutOfcpu", "0"]);
        assert_eq!(shown_deleted(rejected), ["0/2", "OutOfcpu", "0"]);
    }

    #[test]
    fn containers_outrank_the_phase() {
        let done = |name: &str| json!({"name": name, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        let all = json!({"phase": "Succeeded", "containerStatuses": [done("a"), done("b")]});
        assert_eq!(shown(json!([]), all), ["0/2", "Completed", "0"]);
        let half = json!({"phase": "Running", "containerStatuses": [done("a"), running("b")]});
        assert_eq!(shown(json!([]), half), ["1/2", "NotReady", "0"]);
        let loops = json!({"phase": "Running", "containerStatuses": [running("b"), {
            "name": "a", "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"finishedAt": "1970-01-01T00:01:30Z"}}}]});
        assert_eq!(shown(json!([]), loops), ["1/2", "CrashLoopBackOff", "3 (10s ago)"]);
        let killed = json!({"phase": "Failed", "containerStatuses": [
            {"name": "a", "state": {"terminated": {"exitCode": 137, "signal": 9}}}]});
        assert_eq!(shown(json!([]), killed), ["0/2", "Signal:9", "0"]);
    }

    #[test]
    fn init_containers_come_first() {
        let spec = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]);
        let first = json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"running": {}}}, {"name": "s", "state": {"waiting": {}}}]});
        assert_eq!(shown(spec.clone(), first), ["0/3", "Init:0/2", "0"]);
        let failed = json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 1}}}]});
        assert_eq!(shown(spec.clone(), failed), ["0/3", "Init:ExitCode:1", "2"]);
        let through = json!({"phase": "Running",
            "containerStatuses": [running("a"), running("b")],
            "initContainerStatuses": [
                {"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 0}}},
                {"name": "s", "restartCount": 1, "started": true, "ready": true, "state": {"running": {}}}]});
        assert_eq!(shown(spec, through), ["3/3", "Running", "1"]);
    }
}
