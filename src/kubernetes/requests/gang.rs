//! Requests about a gang's own objects: the annotation that decides a plan, and the ways to undo one. Pure.
//! An eviction names the pod's uid only: it is about this incarnation in whatever version it is. A fence names the
//! version too, so that no pod that is bound by then is told that it waits.
//! Invariant: no two fences write the same bytes, since a write that changes nothing moves no version.

use axum::http::Method;
use axum::http::Request;
use serde_json::json;

use super::NativeVersion;
use super::group_path;
use super::pod_path;
use super::request;
use super::seconds;
use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::cluster::facts::CommitMark;
use crate::cluster::facts::GroupName;
use crate::engine::order::EvictCause;
use crate::engine::order::GroupRef;
use crate::engine::order::PodRef;
use crate::engine::order::WaitReason;
use crate::kubernetes::translate::COMMIT_ANNOTATION;

/// Decides the plan `mark`.
pub(super) fn commit(
    group: &GroupRef,
    mark: CommitMark,
    native: NativeVersion,
) -> Request<Vec<u8>> {
    let patch = json!({"metadata": {
        "uid": &*group.uid,
        "resourceVersion": group.resource_version.to_string(),
        "annotations": {COMMIT_ANNOTATION: mark.to_string()},
    }});
    request(Method::PATCH, group_path(&group.name, native), "application/merge-patch+json", &patch)
}

/// Reads the PodGroup.
pub(super) fn read_group(group: &GroupName, native: NativeVersion) -> Request<Vec<u8>> {
    super::read(group_path(group, native))
}

/// Touches a pod, in the version that is given where one is. `nonce` must not have been written to it before.
pub(super) fn fence(
    pod: &PodRef,
    gang: &ObjectName,
    epoch: u32,
    nonce: &str,
    now: Time,
) -> Request<Vec<u8>> {
    let message = format!(
        "the binding of gang {gang} by plan {epoch} was given up; it is tried again ({nonce})"
    );
    let mut patch = json!({"metadata": {"uid": &*pod.uid}, "status": {"conditions": [{
        "type": "PodScheduled",
        "status": "False",
        "reason": WaitReason::GangAborted.as_str(),
        "message": message,
        "lastTransitionTime": seconds(now),
    }]}});
    if pod.resource_version != 0 {
        patch["metadata"]["resourceVersion"] = pod.resource_version.to_string().into();
    }
    let path = format!("{}/status", pod_path(&pod.name));
    request(Method::PATCH, path, "application/strategic-merge-patch+json", &patch)
}

/// Says that a pod is about to be evicted, so that its owner can tell this from a failure.
pub(super) fn announce_eviction(
    pod: &PodRef,
    cause: EvictCause,
    message: &str,
    now: Time,
) -> Request<Vec<u8>> {
    let patch = json!({"metadata": {"uid": &*pod.uid}, "status": {"conditions": [{
        "type": "DisruptionTarget",
        "status": "True",
        "reason": cause.as_str(),
        "message": message,
        "lastTransitionTime": seconds(now),
    }]}});
    let path = format!("{}/status", pod_path(&pod.name));
    request(Method::PATCH, path, "application/strategic-merge-patch+json", &patch)
}

/// Deletes a pod, if it still is this one.
pub(super) fn delete_pod(pod: &PodRef) -> Request<Vec<u8>> {
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": &*pod.uid},
        "propagationPolicy": "Background",
    });
    request(Method::DELETE, pod_path(&pod.name), "application/json", &options)
}
