//! The attach-detach controller: a VolumeAttachment for each CSI volume of a node's pods, and none for others.
//! Attaching takes no time. Counts nothing against a limit: what a node can attach is for the scheduler to heed.
//! Invariant: an attachment's name follows from its driver, volume, and node.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use super::Volumes;
use super::hashed;
use crate::base::names::ObjectName;
use crate::sim::object::Object;
use crate::sim::write::Write;

const ATTACHMENTS: &str = "/apis/storage.k8s.io/v1/volumeattachments";

impl Volumes {
    /// Attaches what pods use, and detaches what they use no more.
    pub(super) fn settle_attachments(&self, wanted: &mut Vec<Write>) {
        let attached = self.to_be_attached();
        for (name, spec) in &attached {
            match self.attachments.get(name) {
                None => {
                    let object = json!({
                        "apiVersion": "storage.k8s.io/v1",
                        "kind": "VolumeAttachment",
                        "metadata": {"name": name},
                        "spec": spec,
                    });
                    wanted.push(Write::create(ATTACHMENTS, &object));
                }
                Some(known) if known["status"]["attached"] != true => {
                    let path = format!("{ATTACHMENTS}/{name}/status");
                    wanted.push(Write::merge(path, &json!({"status": {"attached": true}})));
                }
                Some(_) => {}
            }
        }
        for (name, object) in &self.attachments {
            let made_here = name.starts_with("csi-");
            if made_here && !attached.contains_key(name) && !Object(object).deleting() {
                let path = format!("{ATTACHMENTS}/{name}");
                wanted.push(Write::delete(path, Object(object).uid(), None));
            }
        }
    }

    /// Attachments by name: what each is of.
    fn to_be_attached(&self) -> BTreeMap<String, Value> {
        let mut attached = BTreeMap::new();
        for (pod, (node, claims)) in &self.users {
            for claim in claims {
                let claim = ObjectName::new(&pod.namespace, claim);
                let volume = self
                    .claims
                    .get(&claim)
                    .and_then(|claim| self.volumes.get(claim["spec"]["volumeName"].as_str()?));
                let Some(volume) = volume else { continue };
                let csi = &volume["spec"]["csi"];
                let (Some(driver), Some(handle)) =
                    (csi["driver"].as_str(), csi["volumeHandle"].as_str())
                else {
                    continue;
                };
                let required =
                    self.drivers.get(driver).map(|known| &known["spec"]["attachRequired"]);
                if required == Some(&Value::Bool(false)) {
                    continue;
                }
                let source = json!({"persistentVolumeName": Object(volume).name()});
                let spec = json!({"attacher": driver, "nodeName": node, "source": source});
                attached.insert(hashed("csi-", &[driver, handle, node]), spec);
            }
        }
        attached
    }
}
