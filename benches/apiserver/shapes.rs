//! The three shapes of pods that the field quotes (scheduler_perf of Kubernetes) on 5,000 nodes: required anti-affinity
//! on the hostname, required affinity on the zone, and spread over zones with a skew of at most 5. Of each, 1,000 are
//! bound and 3,000 wait; both sides get the same pods and nodes. Nodes have 4 cores and 32 GiB and lie in three
//! zones by turns; pods ask for 100m and 500Mi. There, affinity has one zone for all nodes; here its bound pods share
//! one of the three, which rules two thirds of the nodes out.

use serde_json::Value;
use serde_json::json;

use crate::ground::node_name;

/// Nodes of every shape.
pub(crate) const NODES: usize = 5000;

/// Pods that are bound before the measurement begins.
pub(crate) const BOUND: usize = 1000;

/// Pods that wait: enough that the start of a process weighs little, and few enough for half a minute.
pub(crate) const WAITING: usize = 3000;

/// Zones that they lie in, by turns.
const ZONES: usize = 3;

/// The label of a zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// The label of a node's own name.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// How far counts of zones may lie apart.
const SKEW_MAX: usize = 5;

/// What pods ask of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No two of them on one node.
    AntiAffinity,
    /// All of them in one zone.
    Affinity,
    /// About as many in each zone.
    Spread,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::AntiAffinity, Self::Affinity, Self::Spread];

    /// As the report names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AntiAffinity => "anti-affinity on hostname",
            Self::Affinity => "affinity on zone",
            Self::Spread => "spread over zones",
        }
    }

    /// Those that are meant by `wanted`: all by `shapes`, one by how its name begins.
    pub(crate) fn wanted(wanted: &str) -> Vec<Self> {
        let is_wanted = |shape: &Self| wanted == "shapes" || shape.name().starts_with(wanted);
        Self::ALL.into_iter().filter(is_wanted).collect()
    }

    /// One that waits.
    pub(crate) fn pod(self, name: &str) -> Value {
        let amounts = json!({"cpu": "100m", "memory": "500Mi"});
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"color": "green"}},
            "spec": {
                "schedulerName": "muster",
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "pause", "image": "registry.k8s.io/pause:3.10.1",
                    "ports": [{"containerPort": 80}],
                    "resources": {"limits": amounts, "requests": amounts},
                }],
            },
        });
        let selector = json!({"matchLabels": {"color": "green"}});
        let required = |key: &str| {
            let term = json!({"labelSelector": selector, "topologyKey": key});
            json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]})
        };
        match self {
            Self::AntiAffinity => {
                pod["spec"]["affinity"] = json!({"podAntiAffinity": required(HOSTNAME)});
            }
            Self::Affinity => pod["spec"]["affinity"] = json!({"podAffinity": required(ZONE)}),
            Self::Spread => {
                pod["spec"]["topologySpreadConstraints"] = json!([{
                    "maxSkew": SKEW_MAX, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": selector,
                }]);
            }
        }
        pod
    }

    /// One that is bound already.
    pub(crate) fn bound(self, index: usize) -> Value {
        let node = match self {
            Self::AntiAffinity | Self::Spread => index % NODES,
            Self::Affinity => index * ZONES % (NODES - NODES % ZONES),
        };
        let mut pod = self.pod(&format!("bound-{index:05}"));
        pod["spec"]["nodeName"] = node_name(node).into();
        pod
    }
}

/// The node of that number.
pub(crate) fn node(index: usize) -> Value {
    let amounts = json!({"cpu": "4", "memory": "32Gi", "pods": "110"});
    let name = node_name(index);
    let zone = format!("zone-{}", index % ZONES);
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {HOSTNAME: name, ZONE: zone}},
        "status": {
            "capacity": amounts, "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}
