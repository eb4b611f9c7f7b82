//! Volumes: members of some gangs bring claims along that a driver provisions for the node that the scheduler chooses,
//! fast, slowly, or at first not at all. Nobody is bound before all claims of the plan are, so that what goes wrong with a
//! claim goes wrong with the gang. Drawn apart from everything else: a world without volumes is as it was before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use crate::draw::Act;
use crate::draw::Gang;
use crate::draw::HEALED;
use crate::draw::JOBS;
use crate::draw::NODES;
use crate::draw::PODS;

/// The storage class of all claims.
const CLASS: &str = "late";
const DRIVER: &str = "csi.worlds.test";
/// By this label, a volume is reached from some nodes and not from others.
const ZONE: &str = "worlds.test/zone";
/// The volume's name in a pod.
const VOLUME: &str = "data";

const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";
const CSI_NODES: &str = "/apis/storage.k8s.io/v1/csinodes";
/// Annotation of a class that the simulated driver reads: it fails.
const FAILS: &str = "muster.dev/provisioning-fails";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";

/// Gives some gangs of a world volumes, in some worlds.
pub(crate) fn add(seed: u64, script: &mut Vec<(Duration, Act)>, nodes: &[Value], gangs: &[Gang]) {
    // Not the numbers of the world itself, or half of what it draws would follow from the other half.
    let random = &mut Random::new(!seed);
    if !random.chance(35) {
        return;
    }
    let after = *random.pick(&["0s", "1s", "10s"]);
    let mut annotations = json!({"muster.dev/provisioned-after": after});
    if random.chance(25) {
        annotations[FAILS] = json!("true");
        let mended = json!({"metadata": {"annotations": {FAILS: null}}});
        let at = Duration::from_secs(random.below(HEALED.as_secs()));
        // A backup that is restored may bring the fault back.
        for at in [at, HEALED] {
            script.push((at, Act::Patch(format!("{CLASSES}/{CLASS}"), mended.clone())));
        }
    }
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": annotations},
        "provisioner": DRIVER, "volumeBindingMode": "WaitForFirstConsumer",
    });
    let mut first = vec![(Duration::ZERO, Act::Create(CLASSES.into(), class))];
    for node in nodes {
        let name = &node["metadata"]["name"];
        let drivers = json!([{"name": DRIVER, "nodeID": name, "topologyKeys": [ZONE]}]);
        let csi_node = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "CSINode",
            "metadata": {"name": name}, "spec": {"drivers": drivers},
        });
        first.push((Duration::ZERO, Act::Create(CSI_NODES.into(), csi_node)));
    }
    let with_volumes: Vec<&Gang> = gangs.iter().filter(|_| random.chance(60)).collect();
    for (_, act) in script.iter_mut() {
        let Act::Create(path, object) = act else { continue };
        match path.as_str() {
            NODES => {
                // A machine that comes back is where it was.
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let zone = if name.ends_with(['0', '2', '4']) { "even" } else { "odd" };
                object["metadata"]["labels"][ZONE] = json!(zone);
            }
            PODS if is_of_any(object, &with_volumes) => mount(&mut object["spec"]),
            JOBS if is_of_any(&object["spec"]["template"], &with_volumes) => {
                mount(&mut object["spec"]["template"]["spec"]);
            }
            _ => {}
        }
    }
    script.splice(0..0, first);
}

fn is_of_any(pod: &Value, gangs: &[&Gang]) -> bool {
    let native = &pod["spec"]["schedulingGroup"]["podGroupName"];
    let labelled = &pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"];
    gangs.iter().any(|gang| *native == gang.name.as_str() || *labelled == gang.name.as_str())
}

fn mount(spec: &mut Value) {
    let claim = json!({
        "storageClassName": CLASS, "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    });
    spec["volumes"] =
        json!([{"name": VOLUME, "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}]);
}

/// What was seen of claims and volumes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    /// By name; all are in one namespace.
    claims: BTreeMap<String, Arc<Value>>,
    volumes: BTreeMap<String, Arc<Value>>,
}

impl Storage {
    /// A claim is this now, or gone.
    pub(crate) fn claim(&mut self, claim: Arc<Value>, gone: bool) {
        see(&mut self.claims, claim, gone);
    }

    /// A volume is this now, or gone.
    pub(crate) fn volume(&mut self, volume: Arc<Value>, gone: bool) {
        see(&mut self.volumes, volume, gone);
    }

    /// What is wrong about the volumes of a pod that is on this node: its claim must be its own, bound, and within reach.
    pub(crate) fn objection(&self, pod: &Value, node: Option<&Value>) -> Option<String> {
        if !has_volumes(pod) {
            return None;
        }
        let Some(claim) = self.claim_of(pod) else { return Some("has no claim".to_owned()) };
        let bound = claim["spec"]["volumeName"].as_str();
        let completed = !claim["metadata"]["annotations"][BIND_COMPLETED].is_null();
        let Some(volume) = bound.filter(|_| completed) else {
            let node = &claim["metadata"]["annotations"][SELECTED_NODE];
            return Some(format!("has a claim that is not bound, for node {node}"));
        };
        let Some(volume) = self.volumes.get(volume) else {
            return Some(format!("has a claim whose volume {volume} is gone"));
        };
        if volume["spec"]["claimRef"]["uid"] != claim["metadata"]["uid"] {
            return Some(format!("has a volume of {}", volume["spec"]["claimRef"]));
        }
        let zone = node.map(|node| &node["metadata"]["labels"][ZONE])?;
        let reached = zone_of(volume).is_none_or(|reached| zone == reached);
        (!reached).then(|| format!("has a volume in another zone than {zone}"))
    }

    /// True if the pod's volume, if it has one by now, is reached from the node.
    pub(crate) fn reaches(&self, pod: &Value, node: &Value) -> bool {
        let volume = self.claim_of(pod).and_then(|claim| claim["spec"]["volumeName"].as_str());
        let volume = volume.and_then(|volume| self.volumes.get(volume));
        let zone = volume.and_then(|volume| zone_of(volume));
        zone.is_none_or(|zone| node["metadata"]["labels"][ZONE] == zone)
    }

    fn claim_of(&self, pod: &Value) -> Option<&Value> {
        let name = format!("{}-{VOLUME}", pod["metadata"]["name"].as_str().unwrap_or_default());
        let claim = self.claims.get(&name)?;
        let owner = &claim["metadata"]["ownerReferences"][0]["uid"];
        (has_volumes(pod) && *owner == pod["metadata"]["uid"]).then_some(claim)
    }
}

/// True for a pod that brings a claim along.
pub(crate) fn has_volumes(pod: &Value) -> bool {
    let volumes = pod["spec"]["volumes"].as_array();
    volumes.into_iter().flatten().any(|volume| volume["name"] == VOLUME)
}

fn see(known: &mut BTreeMap<String, Arc<Value>>, object: Arc<Value>, gone: bool) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if gone {
        known.remove(&name);
    } else {
        known.insert(name, object);
    }
}

fn zone_of(volume: &Value) -> Option<&str> {
    let terms = &volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"];
    terms[0]["matchExpressions"][0]["values"][0].as_str()
}
