//! What binds, provisions, and attaches volumes in a simulated cluster: a PersistentVolume controller, a provisioner
//! for every driver, an attach-detach controller that counts, and one that makes the claims which pods bring along.
//! Small and pure: objects in, writes out.
//! A claim of a class that waits for its first consumer is provisioned for the node in its annotation
//! `volume.kubernetes.io/selected-node`, which the scheduler writes, and where volumes are taken that is its word too.
//! Knows no scheduling. Invariant: what was asked for and not seen yet is asked for again only after a while.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::hash::Hash;
use std::hash::Hasher;

use rustc_hash::FxHasher;
use serde_json::Value;
use serde_json::json;

use crate::base::names::ObjectName;
use crate::base::quantity::Quantity;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::storage::facts::StorageKind;
use crate::sim::machinery::Kind;
use crate::sim::machinery::Sight;
use crate::sim::object::Object;
use crate::sim::write::Write;

mod attach;
mod ephemeral;
mod fit;

use self::ephemeral::Ephemeral;
use self::fit::fits;

/// Annotation of a StorageClass: how long its provisioner takes for a volume.
const PROVISIONED_AFTER: &str = "muster.dev/provisioned-after";

/// Annotation of a StorageClass: its provisioner fails, and gives the claim back to the scheduler each time.
const PROVISIONING_FAILS: &str = "muster.dev/provisioning-fails";

const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// A write that is not seen to have taken effect is repeated after this.
const PATIENCE: Span = Span::seconds(1);

/// The controllers of volumes.
#[derive(Debug, Default)]
pub struct Volumes {
    claims: BTreeMap<ObjectName, Value>,
    volumes: BTreeMap<String, Value>,
    classes: BTreeMap<String, Value>,
    drivers: BTreeMap<String, Value>,
    csi_nodes: BTreeMap<String, Value>,
    attachments: BTreeMap<String, Value>,
    /// Labels of nodes.
    nodes: BTreeMap<String, Value>,
    /// Pods that use claims on a node: the node, and the claims.
    users: BTreeMap<ObjectName, (String, Vec<String>)>,
    /// Claims that pods bring along.
    ephemeral: Ephemeral,
    /// Since when claims, by uid, wait for their provisioner.
    since: BTreeMap<String, Time>,
    /// What was asked for, by path and text, and when.
    asked: BTreeMap<(String, Vec<u8>), Time>,
    /// When a provisioner is done, or something is to be asked for again.
    next: Option<Time>,
    dirty: bool,
}

impl Volumes {
    /// Takes in what was seen of an object. Kinds that have nothing to do with volumes are passed over.
    pub fn observe(&mut self, _now: Time, kind: Kind, sight: Sight<'_>) {
        match kind {
            Kind::Storage(kind) => self.see_storage(kind, sight),
            Kind::Pod => self.see_pod(sight),
            Kind::Node => {
                match sight {
                    Sight::Present(node) => {
                        let labels = node["metadata"]["labels"].clone();
                        self.nodes.insert(Object(node).name().to_owned(), labels);
                    }
                    Sight::Gone(node) => {
                        self.nodes.remove(Object(node).name());
                    }
                };
            }
            Kind::PodGroup
            | Kind::Job
            | Kind::Deployment
            | Kind::ReplicaSet
            | Kind::StatefulSet
            | Kind::DaemonSet => {}
        }
    }

    fn see_storage(&mut self, kind: StorageKind, sight: Sight<'_>) {
        let (Sight::Present(value) | Sight::Gone(value)) = sight;
        if kind == StorageKind::Claim {
            let name = Object(value).object_name();
            match sight {
                Sight::Present(claim) => self.claims.insert(name, claim.clone()),
                Sight::Gone(_) => self.claims.remove(&name),
            };
            self.dirty = true;
            return;
        }
        let known = match kind {
            StorageKind::Volume => &mut self.volumes,
            StorageKind::Class => &mut self.classes,
            StorageKind::Driver => &mut self.drivers,
            StorageKind::CsiNode => &mut self.csi_nodes,
            StorageKind::Attachment => &mut self.attachments,
            // Nobody here publishes capacity.
            StorageKind::Capacity | StorageKind::Claim => return,
        };
        let name = Object(value).name().to_owned();
        match sight {
            Sight::Present(object) => known.insert(name, object.clone()),
            Sight::Gone(_) => known.remove(&name),
        };
        self.dirty = true;
    }

    fn see_pod(&mut self, sight: Sight<'_>) {
        let (Sight::Present(pod) | Sight::Gone(pod)) = sight;
        let name = Object(pod).object_name();
        self.dirty |= self.ephemeral.see_pod(sight);
        let before = self.users.remove(&name);
        if let Sight::Present(pod) = sight
            && let Some(node) = pod["spec"]["nodeName"].as_str()
            && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
        {
            let claims = claims_of(pod);
            if !claims.is_empty() {
                self.users.insert(name.clone(), (node.to_owned(), claims));
            }
        }
        self.dirty |= before.as_ref() != self.users.get(&name);
    }

    /// What is to be written now, in order.
    pub fn act(&mut self, now: Time) -> Vec<Write> {
        if !self.dirty && self.next.is_none_or(|next| next > now) {
            return Vec::new();
        }
        self.dirty = false;
        self.next = None;
        let mut wanted = Vec::new();
        self.settle_volumes(&mut wanted);
        self.ephemeral.settle(&self.claims, &mut wanted);
        self.settle_claims(now, &mut wanted);
        self.settle_attachments(&mut wanted);
        self.ask(now, wanted)
    }

    /// When to act again if nothing is observed before.
    pub fn wakeup(&self) -> Option<Time> {
        if self.dirty { Some(Time(i64::MIN)) } else { self.next }
    }

    /// Leaves out what was asked for a moment ago.
    fn ask(&mut self, now: Time, wanted: Vec<Write>) -> Vec<Write> {
        let before = std::mem::take(&mut self.asked);
        let mut writes = Vec::new();
        for write in wanted {
            let key = (write.path.clone(), write.text().to_vec());
            let at = match before.get(&key) {
                Some(at) if now < *at + PATIENCE => *at,
                Some(_) | None => now,
            };
            self.wake_at(at + PATIENCE);
            self.asked.insert(key, at);
            if at == now {
                writes.push(write);
            }
        }
        writes
    }

    fn wake_at(&mut self, at: Time) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Phases of volumes, and the end of those whose claim is gone.
    fn settle_volumes(&self, wanted: &mut Vec<Write>) {
        for (name, volume) in &self.volumes {
            let reference = &volume["spec"]["claimRef"];
            let uid = reference["uid"].as_str().unwrap_or_default();
            let phase = match (reference.is_object() && !uid.is_empty(), self.holder(reference)) {
                (false, _) => "Available",
                (true, Some(claim)) if claim["spec"]["volumeName"] == name.as_str() => "Bound",
                (true, Some(_)) => "Available",
                (true, None) => "Released",
            };
            let delete = volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete";
            if phase == "Released" && delete {
                if !Object(volume).deleting() {
                    wanted.push(Write::delete(path_of_volume(name), Object(volume).uid(), None));
                }
            } else if volume["status"]["phase"] != phase {
                let path = format!("{}/status", path_of_volume(name));
                wanted.push(Write::merge(path, &json!({"status": {"phase": phase}})));
            }
        }
    }

    /// The claim that a reference with a uid names, while that claim exists.
    fn holder(&self, reference: &Value) -> Option<&Value> {
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let claim = self.claims.get(&ObjectName::new(text("namespace"), text("name")))?;
        (Object(claim).uid() == text("uid")).then_some(claim)
    }

    fn settle_claims(&mut self, now: Time, wanted: &mut Vec<Write>) {
        let reserved = self.reserved();
        let mut taken = BTreeSet::new();
        let mut waiting = BTreeMap::new();
        let mut due = Vec::new();
        for (name, claim) in &self.claims {
            if Object(claim).deleting() {
                continue;
            }
            if let Some(volume) = self.volume_of(claim, &reserved) {
                self.bind(name, claim, volume, wanted);
                continue;
            }
            let class = self.class_of(claim);
            let waits =
                class.is_some_and(|class| class["volumeBindingMode"] == "WaitForFirstConsumer");
            if !waits && let Some(volume) = self.smallest_for(claim, &taken) {
                taken.insert(volume.to_owned());
                self.bind(name, claim, volume, wanted);
                continue;
            }
            let node = Object(claim).annotation(SELECTED_NODE);
            let Some(class) = class.filter(|class| provisions(class)) else { continue };
            if waits && node.is_none() || claim["spec"]["volumeName"].is_string() {
                continue;
            }
            let uid = Object(claim).uid().to_owned();
            let since = self.since.get(&uid).copied().unwrap_or(now);
            waiting.insert(uid, since);
            let after = Object(class).annotation(PROVISIONED_AFTER);
            let done = since + after.and_then(|text| text.parse().ok()).unwrap_or(Span::ZERO);
            if done > now {
                due.push(done);
            } else if Object(class).annotation(PROVISIONING_FAILS).is_some() {
                let patch = json!({"metadata": {"annotations": {SELECTED_NODE: null}}});
                wanted.push(Write::merge(path_of_claim(name), &patch));
            } else {
                let volume = self.provisioned(claim, class, node);
                wanted.push(Write::create("/api/v1/persistentvolumes", &volume));
            }
        }
        self.since = waiting;
        due.into_iter().for_each(|at| self.wake_at(at));
    }

    /// Volumes by the claim that they are for.
    fn reserved(&self) -> BTreeMap<ObjectName, Vec<String>> {
        let mut reserved: BTreeMap<ObjectName, Vec<String>> = BTreeMap::new();
        for (name, volume) in &self.volumes {
            let reference = &volume["spec"]["claimRef"];
            if let (Some(namespace), Some(claim)) =
                (reference["namespace"].as_str(), reference["name"].as_str())
            {
                reserved.entry(ObjectName::new(namespace, claim)).or_default().push(name.clone());
            }
        }
        reserved
    }

    /// The volume that a claim has, or that is for it.
    fn volume_of(
        &self,
        claim: &Value,
        reserved: &BTreeMap<ObjectName, Vec<String>>,
    ) -> Option<&str> {
        let own = claim["spec"]["volumeName"].as_str();
        if let Some((name, _)) = own.and_then(|own| self.volumes.get_key_value(own)) {
            let free = self.volumes[name]["spec"]["claimRef"].is_null();
            return (free || self.is_for(name, claim)).then_some(name);
        }
        let own = reserved.get(&Object(claim).object_name()).into_iter().flatten();
        let (own, _) = own
            .filter_map(|name| self.volumes.get_key_value(name))
            .find(|(name, _)| self.is_for(name, claim))?;
        Some(own)
    }

    fn is_for(&self, volume: &str, claim: &Value) -> bool {
        let reference = &self.volumes[volume]["spec"]["claimRef"];
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        reference.is_object()
            && ObjectName::new(text("namespace"), text("name")) == Object(claim).object_name()
            && (text("uid").is_empty() || text("uid") == Object(claim).uid())
    }

    fn class_of(&self, claim: &Value) -> Option<&Value> {
        self.classes.get(claim["spec"]["storageClassName"].as_str()?)
    }

    /// The smallest volume that a claim can have which any node may use.
    fn smallest_for(&self, claim: &Value, taken: &BTreeSet<String>) -> Option<&str> {
        if claim["spec"]["volumeName"].is_string() {
            return None;
        }
        let free = self.volumes.iter().filter(|(name, volume)| {
            volume["spec"]["claimRef"].is_null()
                && volume["status"]["phase"] == "Available"
                && !taken.contains(*name)
                && fits(claim, volume)
        });
        free.min_by_key(|(name, volume)| (size_of_volume(volume), *name))
            .map(|(name, _)| name.as_str())
    }

    /// The writes by which a claim and a volume become one's own.
    fn bind(&self, name: &ObjectName, claim: &Value, volume: &str, wanted: &mut Vec<Write>) {
        let object = &self.volumes[volume];
        let uid = Object(claim).uid();
        if object["spec"]["claimRef"]["uid"] != uid {
            let reference = reference_to(claim);
            let mut patch = json!({"spec": {"claimRef": reference}});
            if object["spec"]["claimRef"].is_null() {
                patch["metadata"] = json!({"annotations": {BOUND_BY_CONTROLLER: "yes"}});
            }
            wanted.push(Write::merge(path_of_volume(volume), &patch));
        }
        let completed = Object(claim).annotation(BIND_COMPLETED).is_some();
        if claim["spec"]["volumeName"] != volume || !completed {
            let patch = json!({
                "metadata": {"annotations": {BIND_COMPLETED: "yes", BOUND_BY_CONTROLLER: "yes"}},
                "spec": {"volumeName": volume},
            });
            wanted.push(Write::merge(path_of_claim(name), &patch));
        }
        if claim["status"]["phase"] != "Bound" {
            let status = json!({"status": {
                "phase": "Bound",
                "accessModes": object["spec"]["accessModes"],
                "capacity": object["spec"]["capacity"],
            }});
            wanted.push(Write::merge(format!("{}/status", path_of_claim(name)), &status));
        }
    }

    /// A volume as the driver of `class` makes it, reachable from where `node` says.
    fn provisioned(&self, claim: &Value, class: &Value, node: Option<&str>) -> Value {
        let (uid, driver) =
            (Object(claim).uid(), class["provisioner"].as_str().unwrap_or_default());
        let name = format!("pvc-{uid}");
        let mut volume = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {PROVISIONED_BY: driver}},
            "spec": {
                "accessModes": claim["spec"]["accessModes"],
                "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
                "claimRef": reference_to(claim),
                "csi": {"driver": driver, "volumeHandle": name},
                "persistentVolumeReclaimPolicy": class["reclaimPolicy"],
                "storageClassName": Object(class).name(),
                "volumeMode": claim["spec"]["volumeMode"],
            },
        });
        let terms = node.map(|node| self.topology(driver, node)).unwrap_or_default();
        if !terms.is_empty() {
            let term = json!({"matchExpressions": terms});
            volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [term]}});
        }
        volume
    }

    /// The labels of `node` by which `driver` tells which nodes reach a volume.
    fn topology(&self, driver: &str, node: &str) -> Vec<Value> {
        let drivers = self.csi_nodes.get(node).and_then(|node| node["spec"]["drivers"].as_array());
        let known = drivers.into_iter().flatten().find(|known| known["name"] == driver);
        let keys = known.and_then(|known| known["topologyKeys"].as_array()).into_iter().flatten();
        let labels = self.nodes.get(node);
        keys.filter_map(|key| {
            let value = labels?.get(key.as_str()?)?;
            Some(json!({"key": key, "operator": "In", "values": [value]}))
        })
        .collect()
    }
}

/// The claims that a pod uses, by name.
fn claims_of(pod: &Value) -> Vec<String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes
        .filter_map(|volume| {
            if volume["ephemeral"].is_object() {
                let name = volume["name"].as_str().unwrap_or_default();
                return Some(format!("{}-{name}", Object(pod).name()));
            }
            volume["persistentVolumeClaim"]["claimName"].as_str().map(str::to_owned)
        })
        .collect()
}

fn provisions(class: &Value) -> bool {
    !matches!(class["provisioner"].as_str(), None | Some("" | "kubernetes.io/no-provisioner"))
}

fn reference_to(claim: &Value) -> Value {
    let object = Object(claim);
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": object.namespace(),
        "name": object.name(),
        "uid": object.uid(),
    })
}

fn size_of_volume(volume: &Value) -> i64 {
    bytes(&volume["spec"]["capacity"]["storage"])
}

/// Whole bytes; 0 where there is no quantity.
fn bytes(quantity: &Value) -> i64 {
    quantity.as_str().and_then(|text| Quantity::parse(text).ok()).map_or(0, Quantity::ceil)
}

fn path_of_volume(name: &str) -> String {
    format!("/api/v1/persistentvolumes/{name}")
}

fn path_of_claim(name: &ObjectName) -> String {
    format!("/api/v1/namespaces/{}/persistentvolumeclaims/{}", name.namespace, name.name)
}

/// A name that follows from what it is made of.
fn hashed(prefix: &str, parts: &[&str]) -> String {
    let mut hasher = FxHasher::default();
    parts.hash(&mut hasher);
    format!("{prefix}{:016x}", hasher.finish())
}
