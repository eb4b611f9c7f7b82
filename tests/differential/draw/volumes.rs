//! Volumes: classes, claims, volumes, what CSI drivers say of nodes, and pods that mount them.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::NAMESPACES;
use super::list;
use super::maybe;
use super::object;

const CLASSES: [&str; 4] = ["fast", "late", "local", "gone"];
const DRIVERS: [&str; 2] = ["csi.example.com", "other.example.com"];
const SIZES: [&str; 4] = ["1Gi", "2Gi", "5Gi", "10Gi"];
const MODES: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];
const ZONES: [&str; 3] = ["a", "b", "c"];
const CLAIMS: u64 = 4;
const VOLUMES: u64 = 4;

/// Everything about volumes that is no pod.
pub(super) fn objects(random: &mut Random, names: &[String]) -> Vec<Value> {
    let mut objects = classes(random);
    for at in 0..VOLUMES {
        objects.extend(random.chance(80).then(|| volume(random, at, names)));
    }
    for at in 0..CLAIMS {
        objects.extend(random.chance(85).then(|| claim(random, at)));
    }
    for name in names {
        objects.extend(random.chance(70).then(|| csi_node(random, name)));
    }
    for driver in DRIVERS {
        objects.extend(random.chance(70).then(|| csi_driver(random, driver)));
    }
    for at in 0..random.below(3) {
        objects.push(capacity(random, at));
    }
    for at in 0..random.below(3) {
        objects.push(attachment(random, at, names));
    }
    objects
}

fn classes(random: &mut Random) -> Vec<Value> {
    let class = |name: &str, provisioner: &str, mode: &str, topologies: Value| {
        let mut class = object([
            ("apiVersion", "storage.k8s.io/v1".into()),
            ("kind", "StorageClass".into()),
            ("provisioner", provisioner.into()),
            ("volumeBindingMode", mode.into()),
            ("allowedTopologies", topologies),
        ]);
        class["metadata"] = json!({"name": name});
        class
    };
    let topologies = maybe(random, 40, |random| {
        let zone = *random.pick(&ZONES);
        json!([{"matchLabelExpressions": [{"key": "zone", "values": [zone]}]}])
    });
    vec![
        class("fast", DRIVERS[0], "Immediate", Value::Null),
        class("late", DRIVERS[0], "WaitForFirstConsumer", topologies),
        class("local", "kubernetes.io/no-provisioner", "WaitForFirstConsumer", Value::Null),
    ]
}

fn volume(random: &mut Random, at: u64, names: &[String]) -> Value {
    let bound = random.chance(50);
    let claim = at % CLAIMS;
    let reference = json!({"kind": "PersistentVolumeClaim", "namespace": "default",
        "name": format!("c{claim}"), "uid": format!("uid-c{claim}")});
    let affinity = maybe(random, 50, |random| {
        let (key, value) = if random.chance(50) {
            ("kubernetes.io/hostname", random.pick(names).clone())
        } else {
            ("zone", (*random.pick(&ZONES)).to_owned())
        };
        json!({"required": {"nodeSelectorTerms": [{"matchExpressions":
            [{"key": key, "operator": "In", "values": [value]}]}]}})
    });
    let mut spec = object([
        ("capacity", json!({"storage": *random.pick(&SIZES)})),
        ("accessModes", list(random, 1, 2, |random| (*random.pick(&MODES)).into())),
        ("storageClassName", (*random.pick(&CLASSES)).into()),
        ("volumeMode", maybe(random, 30, |random| (*random.pick(&["Filesystem", "Block"])).into())),
        ("nodeAffinity", affinity),
        ("claimRef", if bound { reference } else { Value::Null }),
    ]);
    if random.chance(70) {
        let driver = *random.pick(&DRIVERS);
        spec["csi"] = json!({"driver": driver, "volumeHandle": format!("handle-{at}")});
    } else {
        spec["hostPath"] = json!({"path": "/v"});
    }
    let labels = maybe(random, 40, |random| {
        let key = *random
            .pick(&["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"]);
        let zones = *random.pick(&["a", "b", "a__b", "c"]);
        let mut labels = object([]);
        labels[key] = zones.into();
        labels
    });
    let metadata = object([("name", format!("v{at}").into()), ("labels", labels)]);
    let phase = if bound { "Bound" } else { *random.pick(&["Available", "Available", "Released"]) };
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec,
        "status": {"phase": phase}})
}

fn claim(random: &mut Random, at: u64) -> Value {
    let bound = random.chance(50);
    let volume = if random.chance(5) { "gone".to_owned() } else { format!("v{}", at % VOLUMES) };
    let annotations = object([
        (
            "pv.kubernetes.io/bind-completed",
            maybe(random, if bound { 95 } else { 0 }, |_| "yes".into()),
        ),
        (
            "volume.kubernetes.io/selected-node",
            maybe(random, if bound { 0 } else { 10 }, |_| "n1".into()),
        ),
    ]);
    let spec = object([
        ("accessModes", list(random, 1, 1, |random| (*random.pick(&MODES)).into())),
        ("storageClassName", maybe(random, 95, |random| (*random.pick(&CLASSES)).into())),
        ("resources", json!({"requests": {"storage": *random.pick(&SIZES)}})),
        ("volumeName", if bound { volume.into() } else { Value::Null }),
    ]);
    let mut metadata = object([
        ("name", format!("c{at}").into()),
        ("namespace", "default".into()),
        ("uid", format!("uid-c{at}").into()),
        ("annotations", annotations),
    ]);
    if random.chance(4) {
        metadata["deletionTimestamp"] = "2026-11-01T12:00:00Z".into();
    }
    let phase = if bound { *random.pick(&["Bound", "Bound", "Bound", "Lost"]) } else { "Pending" };
    json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec,
        "status": {"phase": phase}})
}

fn csi_node(random: &mut Random, name: &str) -> Value {
    let mut drivers = Vec::new();
    for driver in DRIVERS {
        if random.chance(75) {
            let allocatable = maybe(random, 70, |random| json!({"count": random.below(3)}));
            drivers.push(object([
                ("name", driver.into()),
                ("nodeID", name.into()),
                ("topologyKeys", Value::Null),
                ("allocatable", allocatable),
            ]));
        }
    }
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": name},
        "spec": {"drivers": drivers}})
}

fn csi_driver(random: &mut Random, name: &str) -> Value {
    let spec = object([
        ("storageCapacity", maybe(random, 60, |random| random.chance(60).into())),
        ("preventPodSchedulingIfMissing", maybe(random, 20, |_| true.into())),
    ]);
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name}, "spec": spec})
}

fn capacity(random: &mut Random, at: u64) -> Value {
    let topology =
        maybe(random, 85, |random| json!({"matchLabels": {"zone": *random.pick(&ZONES)}}));
    let mut capacity = object([
        ("apiVersion", "storage.k8s.io/v1".into()),
        ("kind", "CSIStorageCapacity".into()),
        ("storageClassName", (*random.pick(&CLASSES)).into()),
        ("nodeTopology", topology),
        ("capacity", maybe(random, 85, |random| (*random.pick(&SIZES)).into())),
        ("maximumVolumeSize", maybe(random, 30, |random| (*random.pick(&SIZES)).into())),
    ]);
    capacity["metadata"] = json!({"name": format!("s{at}"), "namespace": "default"});
    capacity
}

fn attachment(random: &mut Random, at: u64, names: &[String]) -> Value {
    let spec = json!({
        "attacher": *random.pick(&DRIVERS),
        "nodeName": random.pick(names),
        "source": {"persistentVolumeName": format!("v{}", random.below(VOLUMES))},
    });
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment",
        "metadata": {"name": format!("a{at}")}, "spec": spec, "status": {"attached": true}})
}

/// Gives the pod volumes; claims lie in the first namespace, so mostly the pod does too.
pub(super) fn mount(random: &mut Random, pod: &mut Value) {
    if random.chance(90) {
        pod["metadata"]["namespace"] = NAMESPACES[0].into();
    }
    let owner = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut at = 0;
    pod["spec"]["volumes"] = list(random, 0, 2, |random| {
        at += 1;
        let mut volume = match random.below(10) {
            0 => {
                json!({"gcePersistentDisk": {"pdName": *random.pick(&["x", "y"]), "readOnly": random.chance(50)}})
            }
            1 => json!({"awsElasticBlockStore": {"volumeID": *random.pick(&["x", "y"])}}),
            2 => {
                json!({"iscsi": {"targetPortal": "10.0.0.1", "iqn": *random.pick(&["x", "y"]), "lun": 0,
                "readOnly": random.chance(50)}})
            }
            3 => {
                json!({"rbd": {"monitors": [*random.pick(&["m", "n"])], "image": "i", "readOnly": random.chance(50)}})
            }
            4 if random.chance(50) => json!({"emptyDir": {}}),
            4 => json!({"image": {"reference": *random.pick(&["pause", "big:1"])}}),
            5 if owner == "p" => json!({"ephemeral": {"volumeClaimTemplate": {"spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}),
            _ => {
                let name = format!("c{}", random.below(CLAIMS));
                json!({"persistentVolumeClaim": {"claimName": name}})
            }
        };
        volume["name"] = format!("volume-{at}").into();
        volume
    });
    // A claim that is named twice is a difference that is meant.
    let claim = |volume: &Value| volume["persistentVolumeClaim"].clone();
    if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
        volumes.dedup_by(|later, first| claim(later).is_object() && claim(later) == claim(first));
    }
}
