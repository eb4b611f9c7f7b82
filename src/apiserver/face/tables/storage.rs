//! Rows of the objects by which CSI drivers tell what they can do, with kube-apiserver's columns.
//! Cells come from the object alone (and its age from the time given), never from other objects.
//! A missing field gives the cell that kubectl users know for it; nothing fails.

use serde_json::{Value, json};

use super::{Column, creation_age, items, name, text_at};
use crate::base::time::Time;

pub(super) const CSI_NODE: &[Column] =
    &[Column::name(), Column::number("Drivers"), Column::text("Age")];

/// A CSINode's cells.
pub(super) fn csi_node(object: &Value, now: Time) -> Vec<Value> {
    let drivers = items(object, "/spec/drivers").len();
    vec![name(object), json!(drivers), creation_age(object, now)]
}

pub(super) const CSI_DRIVER: &[Column] = &[
    Column::name(),
    Column::boolean("AttachRequired"),
    Column::boolean("PodInfoOnMount"),
    Column::boolean("StorageCapacity"),
    Column::text("TokenRequests"),
    Column::boolean("RequiresRepublish"),
    Column::text("Modes"),
    Column::text("Age"),
];

/// A CSIDriver's cells.
pub(super) fn csi_driver(object: &Value, now: Time) -> Vec<Value> {
    let flag = |field: &str, default: bool| {
        json!(object.pointer(&format!("/spec/{field}")).and_then(Value::as_bool).unwrap_or(default))
    };
    let joined = |path: &str, text: fn(&Value) -> &str| {
        items(object, path).iter().map(text).collect::<Vec<_>>().join(",")
    };
    let audiences = joined("/spec/tokenRequests", |request| text_at(request, "/audience"));
    let modes = joined("/spec/volumeLifecycleModes", |mode| mode.as_str().unwrap_or_default());
    vec![
        name(object),
        flag("attachRequired", true),
        flag("podInfoOnMount", false),
        flag("storageCapacity", false),
        json!(if audiences.is_empty() { "<unset>" } else { &audiences }),
        flag("requiresRepublish", false),
        json!(if modes.is_empty() { "Persistent" } else { &modes }),
        creation_age(object, now),
    ]
}

pub(super) const CSI_STORAGE_CAPACITY: &[Column] =
    &[Column::name(), Column::text("StorageClassName"), Column::text("Capacity")];

/// A CSIStorageCapacity's cells.
pub(super) fn csi_storage_capacity(object: &Value, _: Time) -> Vec<Value> {
    let capacity = match text_at(object, "/capacity") {
        "" => "<unset>",
        capacity => capacity,
    };
    vec![name(object), json!(text_at(object, "/storageClassName")), json!(capacity)]
}

pub(super) const VOLUME_ATTACHMENT: &[Column] = &[
    Column::name(),
    Column::text("Attacher"),
    Column::text("PV"),
    Column::text("Node"),
    Column::boolean("Attached"),
    Column::text("Age"),
];

/// A VolumeAttachment's cells.
pub(super) fn volume_attachment(object: &Value, now: Time) -> Vec<Value> {
    vec![
        name(object),
        json!(text_at(object, "/spec/attacher")),
        json!(text_at(object, "/spec/source/persistentVolumeName")),
        json!(text_at(object, "/spec/nodeName")),
        json!(object.pointer("/status/attached") == Some(&json!(true))),
        creation_age(object, now),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{csi_driver, csi_node, csi_storage_capacity, volume_attachment};
    use crate::base::time::Time;

    #[test]
    fn cells_say_what_kubectl_shows() {
        let metadata = json!({"name": "x", "creationTimestamp": "1970-01-01T00:00:00Z"});
        let now = Time(60_000_000_000);
        let node =
            json!({"metadata": metadata, "spec": {"drivers": [{"name": "a"}, {"name": "b"}]}});
        assert_eq!(json!(csi_node(&node, now)), json!(["x", 2, "60s"]));
        let driver = json!({"metadata": metadata, "spec": {
            "attachRequired": false, "storageCapacity": true,
            "volumeLifecycleModes": ["Persistent", "Ephemeral"], "tokenRequests": [{"audience": "vault"}],
        }});
        let shown = json!(["x", false, false, true, "vault", false, "Persistent,Ephemeral", "60s"]);
        assert_eq!(json!(csi_driver(&driver, now)), shown);
        let bare = json!(["x", true, false, false, "<unset>", false, "Persistent", "60s"]);
        assert_eq!(json!(csi_driver(&json!({"metadata": metadata}), now)), bare);
        let capacity = json!({"metadata": metadata, "storageClassName": "fast", "capacity": "5Gi"});
        assert_eq!(json!(csi_storage_capacity(&capacity, now)), json!(["x", "fast", "5Gi"]));
        let attachment = json!({"metadata": metadata, "status": {"attached": true}, "spec": {
            "attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"},
        }});
        let shown = json!(["x", "a", "v", "n", true, "60s"]);
        assert_eq!(json!(volume_attachment(&attachment, now)), shown);
    }
}
