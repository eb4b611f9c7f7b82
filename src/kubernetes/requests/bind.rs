//! The bind of one pod, and what its reply, or a read after a doubtful one, tells of it. Pure; knows no gang.
//! Uid and resourceVersion are preconditions: a bind applies to the pod that was judged, unchanged, or not at all.
//! Invariant: no bind is called failed before it is certain that it cannot apply any more.

use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use super::Reply;
use super::message;
use super::pod_path;
use super::request;
use crate::base::names::ObjectName;
use crate::engine::event::Outcome;
use crate::engine::order::BindRole;
use crate::engine::order::PodRef;

/// Annotation that a bind puts on a member of a gang: the epoch of the plan that placed it.
pub const EPOCH_ANNOTATION: &str = "muster.dev/gang-epoch";

/// Annotation of a member that was bound after its gang's minimum: one beyond it, or a replacement.
pub const LATE_ANNOTATION: &str = "muster.dev/gang-late";

/// Binds `pod` to `node`. The API server copies the epoch onto the pod in the same write.
pub fn bind(pod: &PodRef, node: &str, epoch: u32, role: BindRole) -> Request<Vec<u8>> {
    let mut metadata =
        json!({"name": &*pod.name.name, "namespace": &*pod.name.namespace, "uid": &*pod.uid});
    if pod.resource_version != 0 {
        metadata["resourceVersion"] = pod.resource_version.to_string().into();
    }
    if epoch != 0 {
        metadata["annotations"] = json!({EPOCH_ANNOTATION: epoch.to_string()});
        match role {
            BindRole::Late => metadata["annotations"][LATE_ANNOTATION] = "true".into(),
            BindRole::Alone | BindRole::Planned => {}
        }
    }
    let body = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": metadata,
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    request(Method::POST, format!("{}/binding", pod_path(&pod.name)), "application/json", &body)
}

/// Reads a pod, from the API server's store rather than its cache.
pub fn read_pod(name: &ObjectName) -> Request<Vec<u8>> {
    super::read(pod_path(name))
}

/// What is known after the reply to a bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterBind {
    /// The outcome.
    Known(Outcome),
    /// Only reading the pod can tell; why.
    ReadPod(String),
    /// It did not take effect and may be sent again, once the server has recovered; why.
    SendAgain(String),
}

/// Judges the reply to a bind.
pub fn after_bind(reply: &Reply) -> AfterBind {
    let (status, body) = match reply {
        Reply::Lost(why) => return AfterBind::ReadPod(why.clone()),
        Reply::Answered { status, .. } if status.is_success() => {
            return AfterBind::Known(Outcome::Done);
        }
        Reply::Answered { status, body } => (*status, body),
    };
    let message = message(status, body);
    match status {
        StatusCode::TOO_MANY_REQUESTS => AfterBind::SendAgain(message),
        // Conflict and not-found may be about a bind of ours that took effect before; others tell nothing.
        StatusCode::CONFLICT | StatusCode::NOT_FOUND => AfterBind::ReadPod(message),
        status if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
            AfterBind::Known(Outcome::Refused(message))
        }
        _ => AfterBind::ReadPod(message),
    }
}

/// Judges what a read of the pod says about a bind of it to `node` whose reply (`why`) told nothing.
pub fn after_read(reply: &Reply, pod: &PodRef, node: &str, why: &str) -> AfterBind {
    let Reply::Answered { status, body } = reply else { return AfterBind::ReadPod(why.to_owned()) };
    if *status == StatusCode::NOT_FOUND {
        return AfterBind::Known(Outcome::Gone);
    }
    if !status.is_success() {
        return AfterBind::ReadPod(why.to_owned());
    }
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
    if text("/metadata/uid") != &*pod.uid {
        return AfterBind::Known(Outcome::Gone);
    }
    match text("/spec/nodeName") {
        bound if bound == node => AfterBind::Known(Outcome::Done),
        "" => {
            let version = text("/metadata/resourceVersion").parse().unwrap_or(0);
            if pod.resource_version != 0 && version != pod.resource_version {
                // The bind names a version that has passed, so it cannot take effect any more.
                return AfterBind::Known(Outcome::Conflict(why.to_owned()));
            }
            if body.pointer("/metadata/deletionTimestamp").is_some_and(|value| !value.is_null()) {
                return AfterBind::Known(Outcome::Conflict("the pod is being deleted".to_owned()));
            }
            AfterBind::SendAgain(why.to_owned())
        }
        elsewhere => AfterBind::Known(Outcome::Conflict(format!(
            "the pod is bound to node {elsewhere} already"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use axum::http::StatusCode;
    use serde_json::Value;
    use serde_json::json;

    use super::super::tests::{body, kind, pod};
    use super::*;

    fn answered(status: u16, body: Value) -> Reply {
        Reply::Answered { status: StatusCode::from_u16(status).expect("a status"), body }
    }

    #[test]
    fn a_bind_names_version_and_uid_and_stamps_the_epoch() {
        let request = bind(&pod(), "n1", 3, BindRole::Planned);
        assert_eq!(
            kind(&request),
            (&Method::POST, "/api/v1/namespaces/d/pods/p/binding".to_owned(), "application/json")
        );
        assert_eq!(
            body(&request),
            json!({
                "apiVersion": "v1", "kind": "Binding",
                "metadata": {"name": "p", "namespace": "d", "uid": "u", "resourceVersion": "7",
                             "annotations": {"muster.dev/gang-epoch": "3"}},
                "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
            })
        );
        let plain = body(&bind(&PodRef { resource_version: 0, ..pod() }, "n1", 0, BindRole::Alone));
        assert_eq!(plain["metadata"], json!({"name": "p", "namespace": "d", "uid": "u"}));
        let late = body(&bind(&pod(), "n1", 3, BindRole::Late));
        let marks = json!({"muster.dev/gang-epoch": "3", "muster.dev/gang-late": "true"});
        assert_eq!(late["metadata"]["annotations"], marks);
    }

    #[test]
    fn only_a_clear_answer_settles_a_bind() {
        let known = |status, expected: Outcome| {
            assert_eq!(
                after_bind(&answered(status, json!({"message": "m"}))),
                AfterBind::Known(expected),
                "{status}"
            );
        };
        known(201, Outcome::Done);
        known(403, Outcome::Refused("m".to_owned()));
        known(422, Outcome::Refused("m".to_owned()));
        for status in [404, 409, 408, 500, 502, 503, 504] {
            assert_eq!(
                after_bind(&answered(status, json!({"message": "m"}))),
                AfterBind::ReadPod("m".to_owned())
            );
        }
        assert_eq!(
            after_bind(&answered(429, json!(null))),
            AfterBind::SendAgain("HTTP 429 Too Many Requests".to_owned())
        );
        assert_eq!(
            after_bind(&Reply::Lost("cut".to_owned())),
            AfterBind::ReadPod("cut".to_owned())
        );
    }

    #[test]
    fn a_read_tells_what_became_of_a_bind() {
        let read = |status, body| after_read(&answered(status, body), &pod(), "n1", "why");
        let object = |uid: &str, version: &str, node: Value| json!({"metadata": {"uid": uid, "resourceVersion": version}, "spec": {"nodeName": node}});
        assert_eq!(read(200, object("u", "9", json!("n1"))), AfterBind::Known(Outcome::Done));
        assert_eq!(
            read(200, object("u", "7", json!(null))),
            AfterBind::SendAgain("why".to_owned())
        );
        assert_eq!(
            read(200, object("u", "8", json!(null))),
            AfterBind::Known(Outcome::Conflict("why".to_owned()))
        );
        let elsewhere = Outcome::Conflict("the pod is bound to node n2 already".to_owned());
        assert_eq!(read(200, object("u", "9", json!("n2"))), AfterBind::Known(elsewhere));
        assert_eq!(read(200, object("other", "9", json!("n1"))), AfterBind::Known(Outcome::Gone));
        assert_eq!(read(404, json!(null)), AfterBind::Known(Outcome::Gone));
        assert_eq!(read(500, json!(null)), AfterBind::ReadPod("why".to_owned()));
        assert_eq!(
            after_read(&Reply::Lost("x".to_owned()), &pod(), "n1", "why"),
            AfterBind::ReadPod("why".to_owned())
        );
        let mut deleting = object("u", "7", json!(null));
        deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(matches!(read(200, deleting), AfterBind::Known(Outcome::Conflict(_))));
    }
}
