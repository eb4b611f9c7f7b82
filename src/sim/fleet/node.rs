//! A whole Node object for one name of a fleet entry: capacity, labels as GPU Feature Discovery and
//! topology tools write them, taints, addresses. Conditions are the kubelet's and written by it.
//! Checks nothing: what comes here was checked as a `Shape`. The same entry gives the same object.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use super::file::Entry;
use super::shape::Gpus;
use super::shape::MigStrategy;
use super::shape::Shape;
use super::shape::Sharing;
use super::shape::mig_name;

/// The version that simulated kubelets report.
const KUBELET_VERSION: &str = "v1.37.0";

/// Where one node stands, and its number among all nodes of the fleet.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) number: usize,
    pub(super) zone: Option<String>,
    pub(super) block: Option<String>,
    pub(super) rack: Option<String>,
    pub(super) clique: Option<String>,
}

/// Whose labels tell where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    /// The name to write in the file.
    pub(super) name: &'static str,
    block: &'static str,
    rack: &'static str,
    /// A label that holds the node's own name, where the tool writes one.
    host: Option<&'static str>,
}

/// The label sets that can be asked for; the first is the default.
pub(super) const TOPOLOGIES: [Topology; 6] = [
    Topology {
        name: "topograph",
        block: "fabric.topograph.run/tier-1",
        rack: "fabric.topograph.run/tier-0",
        host: None,
    },
    Topology {
        name: "topograph-0.5",
        block: "network.topology.nvidia.com/spine",
        rack: "network.topology.nvidia.com/leaf",
        host: None,
    },
    Topology {
        name: "gke",
        block: "cloud.google.com/gce-topology-block",
        rack: "cloud.google.com/gce-topology-subblock",
        host: Some("cloud.google.com/gce-topology-host"),
    },
    Topology {
        name: "aws",
        block: "topology.k8s.aws/network-node-layer-2",
        rack: "topology.k8s.aws/network-node-layer-3",
        host: None,
    },
    Topology {
        name: "coreweave",
        block: "ib.coreweave.cloud/leafgroup",
        rack: "node.coreweave.cloud/rack",
        host: None,
    },
    Topology {
        name: "kueue",
        block: "cloud.provider.com/topology-block",
        rack: "cloud.provider.com/topology-rack",
        host: None,
    },
];

/// The Node object `name`.
pub(super) fn object(
    name: &str,
    entry: &Entry,
    shape: &Shape,
    place: &Place,
    topology: Topology,
) -> Value {
    let architecture = shape.gpus.as_ref().map_or("amd64", |gpus| gpus.card.machine);
    let mut labels = BTreeMap::new();
    let mut put = |key: &str, value: &str| labels.insert(key.to_owned(), value.to_owned());
    put("kubernetes.io/hostname", name);
    put("kubernetes.io/os", "linux");
    put("kubernetes.io/arch", architecture);
    let placed = [
        ("topology.kubernetes.io/region", &entry.region),
        ("topology.kubernetes.io/zone", &place.zone),
        ("node.kubernetes.io/instance-type", &entry.instance_type),
        ("nvidia.com/gpu.clique", &place.clique),
        (topology.block, &place.block),
        (topology.rack, &place.rack),
    ];
    for (key, value) in placed {
        if let Some(value) = value {
            put(key, value);
        }
    }
    if let Some(host) = topology.host {
        put(host, name);
    }
    if let Some(gpus) = &shape.gpus {
        labels.extend(discovered(gpus, entry.machine.as_deref()));
    }
    labels.extend(entry.labels.clone());
    let mut spec = json!({});
    if !shape.taints.is_empty() {
        spec["taints"] = json!(shape.taints);
    }
    if entry.unschedulable == Some(true) {
        spec["unschedulable"] = json!(true);
    }
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": entry.annotations},
        "spec": spec,
        "status": {
            "capacity": shape.capacity,
            "allocatable": shape.capacity,
            "addresses": [
                {"type": "InternalIP", "address": address(place.number)},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {
                "architecture": architecture,
                "bootID": format!("boot-{name}"),
                "containerRuntimeVersion": "simulated://1.0.0",
                "kernelVersion": "6.8.0",
                "kubeProxyVersion": "",
                "kubeletVersion": KUBELET_VERSION,
                "machineID": format!("machine-{name}"),
                "operatingSystem": "linux",
                "osImage": "Simulated Linux",
                "systemUUID": format!("system-{name}"),
            },
        },
    });
    list_images(&mut node, shape);
    node
}

fn list_images(node: &mut Value, shape: &Shape) {
    if !shape.images.is_empty() {
        node["status"]["images"] = json!(shape.images);
    }
}

/// The `number`th address of 172.16.0.0/12.
fn address(number: usize) -> String {
    let number = u32::try_from(number % 0x000f_fffe).expect("below 2^20") + 1;
    let [_, b, c, d] = number.to_be_bytes();
    format!("172.{}.{c}.{d}", 16 + b)
}

/// What GPU Feature Discovery and the GPU operator write on a node with `gpus`.
fn discovered(gpus: &Gpus, machine: Option<&str>) -> BTreeMap<String, String> {
    let card = gpus.card;
    let single = gpus.strategy == MigStrategy::Single && gpus.cut > 0;
    let replicas = gpus.sharing.replicas();
    let mut product = card.product.to_owned();
    let mut memory = Some(card.memory_mib);
    let mut count = gpus.count;
    if let Some((profile, instances)) = gpus.instances.first().filter(|_| single) {
        product = format!("{product}-MIG-{}", profile.name.replace('+', "."));
        memory = profile.memory_mib;
        count = *instances;
    }
    if replicas > 1 {
        product.push_str("-SHARED");
    }
    // With the mixed strategy the card's own label speaks of whole cards only.
    let whole_replicas = if !single && gpus.cut == gpus.count { 0 } else { replicas };
    let mut labels = BTreeMap::new();
    let mut put = |key: &str, value: String| labels.insert(format!("nvidia.com/{key}"), value);
    put("gpu.present", "true".to_owned());
    put("gpu.product", product);
    put("gpu.count", count.to_string());
    put("gpu.replicas", whole_replicas.to_string());
    put("gpu.sharing-strategy", sharing_name(gpus.sharing).to_owned());
    if let Some(memory) = memory {
        put("gpu.memory", memory.to_string());
    }
    put("gpu.family", card.family.to_owned());
    put("gpu.compute.major", card.compute.0.to_string());
    put("gpu.compute.minor", card.compute.1.to_string());
    put("gpu.machine", machine.unwrap_or("simulated").to_owned());
    put("gpu.mode", "compute".to_owned());
    put("mig.capable", (!card.profiles.is_empty()).to_string());
    put("mps.capable", (gpus.cut == 0).to_string());
    if gpus.cut > 0 {
        put("mig.strategy", if single { "single" } else { "mixed" }.to_owned());
    }
    labels.extend(instance_labels(gpus, single));
    labels
}

/// What GPU Feature Discovery writes about MIG instances: of each profile, or of the one that there is.
fn instance_labels(gpus: &Gpus, single: bool) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (profile, count) in &gpus.instances {
        let prefix = if single {
            "nvidia.com/gpu".to_owned()
        } else {
            format!("nvidia.com/{}", mig_name(profile))
        };
        let mut put = |key: &str, value: String| labels.insert(format!("{prefix}.{key}"), value);
        if !single {
            let name = profile.name.replace('+', ".");
            let shared = if gpus.sharing.replicas() > 1 { "-SHARED" } else { "" };
            put("product", format!("{}-MIG-{name}{shared}", gpus.card.product));
            put("count", count.to_string());
            put("replicas", gpus.sharing.replicas().to_string());
            put("sharing-strategy", sharing_name(gpus.sharing).to_owned());
            if let Some(memory) = profile.memory_mib {
                put("memory", memory.to_string());
            }
        }
        if let Some(multiprocessors) = profile.multiprocessors {
            put("multiprocessors", multiprocessors.to_string());
        }
        put("slices.gi", profile.compute.to_string());
        put("slices.ci", profile.compute.to_string());
    }
    labels
}

const fn sharing_name(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::None => "none",
        Sharing::TimeSlicing(_) => "time-slicing",
        Sharing::Mps(_) => "mps",
    }
}
