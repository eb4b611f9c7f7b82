//! The bodies a kubelet writes: `status` of a pod in each stage of its life.
//! Shapes and reasons follow the kubelet of Kubernetes 1.37; nothing here decides anything.
//! Knows no node and no timetable; a patch says what is true at the time that it is given.

use serde_json::Value;
use serde_json::json;

use crate::base::time::Time;
use crate::sim::object::timestamp;

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An init container that runs to its end before the others start.
    Init,
    /// An init container with `restartPolicy: Always`: runs beside the others.
    Sidecar,
    /// A container of the pod itself.
    Main,
}

/// What a pod's status tells about each container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) role: Role,
}

/// The containers of a pod, init containers first.
pub(super) fn containers_of(pod: &Value) -> Vec<Container> {
    let list = |field: &str| pod["spec"][field].as_array().into_iter().flatten();
    let text = |container: &Value, field: &str| container[field].as_str().unwrap_or("").to_owned();
    let read = |container: &Value, role| Container {
        name: text(container, "name"),
        image: text(container, "image"),
        role,
    };
    let init = list("initContainers").map(|container| {
        let sidecar = container["restartPolicy"] == "Always";
        read(container, if sidecar { Role::Sidecar } else { Role::Init })
    });
    init.chain(list("containers").map(|container| read(container, Role::Main))).collect()
}

/// How a pod's containers ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) code: u8,
    pub(super) started: Time,
    pub(super) finished: Time,
}

impl Exit {
    /// The pod's phase after it.
    pub(super) const fn phase(self) -> &'static str {
        if self.code == 0 { "Succeeded" } else { "Failed" }
    }
}

/// Where a pod's containers run.
#[derive(Clone, Debug)]
pub(super) struct Address<'a> {
    pub(super) host: &'a str,
    pub(super) pod: String,
}

/// Whether the binding already wrote `PodScheduled`; a pod made with a node name has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScheduledCondition {
    /// The object shows it.
    Present,
    /// The kubelet writes it.
    Missing,
}

/// The patch for a pod whose containers all run since `now`.
pub(super) fn running(
    uid: &str,
    containers: &[Container],
    address: &Address<'_>,
    scheduled: ScheduledCondition,
    now: Time,
) -> Value {
    let at = timestamp(now);
    let mut conditions = vec![
        condition("PodReadyToStartContainers", "True", None, now),
        condition("Initialized", "True", None, now),
        condition("Ready", "True", None, now),
        condition("ContainersReady", "True", None, now),
    ];
    if scheduled == ScheduledCondition::Missing {
        conditions.push(condition("PodScheduled", "True", None, now));
    }
    let mut status = json!({
        "phase": "Running",
        "hostIP": address.host,
        "hostIPs": [{"ip": address.host}],
        "podIP": address.pod,
        "podIPs": [{"ip": address.pod}],
        "startTime": at,
        "conditions": conditions,
    });
    put_container_statuses(&mut status, uid, containers, |role| match role {
        Role::Init => terminated(Exit { code: 0, started: now, finished: now }),
        Role::Sidecar | Role::Main => json!({"running": {"startedAt": at}}),
    });
    json!({"metadata": {"uid": uid}, "status": status})
}

/// The patch for a pod whose containers ended.
pub(super) fn ended(uid: &str, containers: &[Container], exit: Exit) -> Value {
    let reason = if exit.code == 0 { "PodCompleted" } else { "PodFailed" };
    let initialized = (exit.code == 0).then_some(reason);
    let now = exit.finished;
    let mut status = json!({
        "phase": exit.phase(),
        "conditions": [
            condition("PodReadyToStartContainers", "False", None, now),
            condition("Initialized", "True", initialized, now),
            condition("Ready", "False", Some(reason), now),
            condition("ContainersReady", "False", Some(reason), now),
        ],
    });
    put_container_statuses(&mut status, uid, containers, |role| match role {
        Role::Init => terminated(Exit { code: 0, finished: exit.started, ..exit }),
        Role::Sidecar => terminated(Exit { code: 0, ..exit }),
        Role::Main => terminated(exit),
    });
    json!({"metadata": {"uid": uid}, "status": status})
}

/// The patch for a pod that its node did not admit.
pub(super) fn rejected(uid: &str, reason: &str, message: &str, now: Time) -> Value {
    json!({
        "metadata": {"uid": uid},
        "status": {
            "phase": "Failed",
            "reason": reason,
            "message": format!("Pod was rejected: {message}"),
            "startTime": timestamp(now),
        },
    })
}

/// One condition that holds since `now`.
fn condition(kind: &str, status: &str, reason: Option<&str>, now: Time) -> Value {
    let mut condition = json!({
        "type": kind,
        "status": status,
        "lastProbeTime": null,
        "lastTransitionTime": timestamp(now),
    });
    if let Some(reason) = reason {
        condition["reason"] = json!(reason);
    }
    condition
}

/// A container state after its end.
fn terminated(exit: Exit) -> Value {
    json!({"terminated": {
        "exitCode": exit.code,
        "reason": if exit.code == 0 { "Completed" } else { "Error" },
        "startedAt": timestamp(exit.started),
        "finishedAt": timestamp(exit.finished),
    }})
}

/// Adds `containerStatuses` and, where there are init containers, `initContainerStatuses`.
fn put_container_statuses(
    status: &mut Value,
    uid: &str,
    containers: &[Container],
    state: impl Fn(Role) -> Value,
) {
    let describe = |container: &Container| {
        let state = state(container.role);
        let runs = state.get("running").is_some();
        // An init container that ended well counts as ready.
        let ready = runs || (container.role == Role::Init);
        json!({
            "name": container.name,
            "image": container.image,
            "imageID": "",
            "containerID": format!("simulated://{uid}/{}", container.name),
            "ready": ready,
            "started": runs,
            "restartCount": 0,
            "state": state,
            "lastState": {},
        })
    };
    let (main, init): (Vec<_>, Vec<_>) =
        containers.iter().partition(|container| container.role == Role::Main);
    status["containerStatuses"] = main.into_iter().map(describe).collect();
    if !init.is_empty() {
        status["initContainerStatuses"] = init.into_iter().map(describe).collect();
    }
}
