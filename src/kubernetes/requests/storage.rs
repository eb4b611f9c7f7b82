//! Writes to claims and volumes, in the words of kube-scheduler's volume binder. Pure; knows no pod and no plan.
//! Each names uid and resourceVersion: it applies to the object that was judged, unchanged, or not at all.
//! Invariant: a write whose outcome is in doubt is judged by what the object says, whoever wrote that.

use axum::http::Method;
use axum::http::Request;
use serde_json::Value;
use serde_json::json;

use super::request;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::engine::action::Reservation;
use crate::engine::action::VolumeWrite;

/// Annotation of a claim: the node that its volume is to be provisioned for.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Annotation of a volume: its claimRef may be taken back by a controller.
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";

/// The request that carries out a write.
pub(super) fn write(write: &VolumeWrite) -> Request<Vec<u8>> {
    let (uid, version) = write.preconditions();
    let mut patch = json!({"metadata": {"uid": &**uid}});
    if version != 0 {
        patch["metadata"]["resourceVersion"] = version.to_string().into();
    }
    match write {
        VolumeWrite::BindVolume { claim, claim_uid, before, .. } => {
            patch["spec"] = json!({"claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": &*claim.namespace,
                "name": &*claim.name,
                "uid": &**claim_uid,
            }});
            match before {
                Reservation::Nobody => annotate(&mut patch, BOUND_BY_CONTROLLER, "yes".into()),
                Reservation::ByName => {}
            }
        }
        VolumeWrite::ReleaseVolume { .. } => {
            patch["spec"] = json!({"claimRef": null});
            annotate(&mut patch, BOUND_BY_CONTROLLER, Value::Null);
        }
        VolumeWrite::SelectNode { node, .. } => {
            annotate(&mut patch, SELECTED_NODE, (**node).into());
        }
        VolumeWrite::UnselectNode { .. } => annotate(&mut patch, SELECTED_NODE, Value::Null),
    }
    request(Method::PATCH, path(write), "application/merge-patch+json", &patch)
}

/// Reads what a write is about, from the API server's store rather than its cache.
pub(super) fn read(write: &VolumeWrite) -> Request<Vec<u8>> {
    super::read(path(write))
}

/// True if `object` says what `write` is to make it say.
pub(super) fn is_done(write: &VolumeWrite, object: &Value) -> bool {
    let selected = object
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(SELECTED_NODE))
        .and_then(Value::as_str);
    let holder = object.pointer("/spec/claimRef/uid").and_then(Value::as_str);
    match write {
        VolumeWrite::BindVolume { claim_uid, .. } => holder == Some(claim_uid),
        VolumeWrite::ReleaseVolume { .. } => holder.is_none(),
        VolumeWrite::SelectNode { node, .. } => selected == Some(node),
        VolumeWrite::UnselectNode { .. } => selected.is_none(),
    }
}

fn annotate(patch: &mut Value, key: &str, value: Value) {
    patch["metadata"]["annotations"] = json!({key: value});
}

fn path(write: &VolumeWrite) -> String {
    match write {
        VolumeWrite::BindVolume { volume, .. } | VolumeWrite::ReleaseVolume { volume, .. } => {
            path_of_volume(volume)
        }
        VolumeWrite::SelectNode { claim, .. } | VolumeWrite::UnselectNode { claim, .. } => {
            path_of_claim(claim)
        }
    }
}

fn path_of_volume(volume: &Name) -> String {
    format!("/api/v1/persistentvolumes/{volume}")
}

fn path_of_claim(claim: &ObjectName) -> String {
    format!("/api/v1/namespaces/{}/persistentvolumeclaims/{}", claim.namespace, claim.name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{body, kind};
    use super::*;

    fn claim() -> ObjectName {
        ObjectName::new("d", "c")
    }

    fn select() -> VolumeWrite {
        VolumeWrite::SelectNode {
            claim: claim(),
            uid: "u".into(),
            resource_version: 7,
            node: "n1".into(),
        }
    }

    fn bind(before: Reservation) -> VolumeWrite {
        VolumeWrite::BindVolume {
            volume: "v".into(),
            uid: "u".into(),
            resource_version: 7,
            claim: claim(),
            claim_uid: "cu".into(),
            before,
        }
    }

    #[test]
    fn a_node_is_selected_by_an_annotation_of_the_claim() {
        let request = write(&select());
        let path = "/api/v1/namespaces/d/persistentvolumeclaims/c".to_owned();
        assert_eq!(kind(&request), (&Method::PATCH, path, "application/merge-patch+json"));
        let metadata = json!({
            "uid": "u", "resourceVersion": "7",
            "annotations": {"volume.kubernetes.io/selected-node": "n1"},
        });
        assert_eq!(body(&request), json!({"metadata": metadata}));
        let undo =
            VolumeWrite::UnselectNode { claim: claim(), uid: "u".into(), resource_version: 8 };
        let patch = body(&write(&undo));
        assert_eq!(patch["metadata"]["annotations"], json!({SELECTED_NODE: null}));
        let object = json!({"metadata": {"annotations": {SELECTED_NODE: "n1"}}});
        assert!(is_done(&select(), &object) && !is_done(&undo, &object));
        assert!(is_done(&undo, &json!({"metadata": {}})) && !is_done(&select(), &json!({})));
    }

    #[test]
    fn a_volume_is_given_by_its_claim_reference() {
        let request = write(&bind(Reservation::Nobody));
        assert_eq!(kind(&request).1, "/api/v1/persistentvolumes/v");
        let patch = body(&request);
        let reference = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "namespace": "d", "name": "c", "uid": "cu",
        });
        assert_eq!(patch["spec"], json!({"claimRef": reference}));
        assert_eq!(patch["metadata"]["annotations"], json!({BOUND_BY_CONTROLLER: "yes"}));
        let by_name = body(&write(&bind(Reservation::ByName)));
        assert_eq!(by_name["metadata"], json!({"uid": "u", "resourceVersion": "7"}));
        let release =
            VolumeWrite::ReleaseVolume { volume: "v".into(), uid: "u".into(), resource_version: 8 };
        assert_eq!(body(&write(&release))["spec"], json!({"claimRef": null}));
        let object = json!({"spec": {"claimRef": {"uid": "cu"}}});
        assert!(is_done(&bind(Reservation::Nobody), &object) && !is_done(&release, &object));
        assert!(!is_done(&bind(Reservation::Nobody), &json!({"spec": {}})));
    }
}
