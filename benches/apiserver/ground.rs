//! What every measurement begins with: nodes, and pods that wait, in an etcd that is copied for each of them.
//! 1,000 nodes of 8 GPUs, of which every pod asks for one; or what a shape of pods brings, see `shapes.rs`.
//! Every pod names Muster as its scheduler. The folder with the copies goes with the ground.

use std::path::Path;
use std::path::PathBuf;

use futures::StreamExt;
use serde_json::Value;
use serde_json::json;

use crate::audit::POLICY;
use crate::board::Board;
use crate::board::paths;
use crate::cluster::Cluster;
use crate::cluster::Options;
use crate::shapes;
use crate::shapes::Shape;

/// Nodes of every load but the shapes.
pub(crate) const NODES: usize = 1000;

/// Objects that are made at once.
const MADE_AT_ONCE: usize = 16;

/// What waits to be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// One gang of 1,000, a PodGroup of the coscheduling API.
    Gang,
    /// 30 gangs of 100, native PodGroups.
    Gangs,
    /// 5,000 pods of no group.
    Singles,
    /// Nothing: 5,000 pods are bound already.
    Bound,
    /// Pods of this shape, beside others of it that are bound already.
    Shape(Shape),
}

impl Load {
    const fn name(self) -> &'static str {
        match self {
            Self::Gang => "gang",
            Self::Gangs => "gangs",
            Self::Singles => "singles",
            Self::Bound => "bound",
            Self::Shape(shape) => shape.name(),
        }
    }

    /// How many pods there are, but for those that only a shape has bound already.
    pub(crate) const fn pods(self) -> usize {
        match self {
            Self::Gang => 1000,
            Self::Gangs => 3000,
            Self::Singles | Self::Bound => 5000,
            Self::Shape(_) => shapes::WAITING,
        }
    }

    /// How many groups there are.
    pub(crate) const fn groups(self) -> usize {
        match self {
            Self::Gang => 1,
            Self::Gangs => 30,
            Self::Singles | Self::Bound | Self::Shape(_) => 0,
        }
    }

    fn group(self, index: usize) -> (&'static str, Value) {
        let (name, size) = (group_name(index), self.pods() / self.groups());
        if self == Self::Gang {
            let group = json!({
                "apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
                "metadata": {"name": name}, "spec": {"minMember": size},
            });
            return (paths::GROUPS, group);
        }
        let group = json!({
            "apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup",
            "metadata": {"name": name}, "spec": {"schedulingPolicy": {"gang": {"minCount": size}}},
        });
        (paths::NATIVE_GROUPS, group)
    }

    fn pod(self, index: usize) -> Value {
        let name = format!("pod-{index:05}");
        let mut pod = pod(&name);
        match self {
            Self::Shape(shape) => pod = shape.pod(&name),
            Self::Gang => {
                pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = group_name(0).into();
            }
            Self::Gangs => {
                let group = group_name(index % self.groups());
                pod["spec"]["schedulingGroup"] = json!({"podGroupName": group});
            }
            Self::Singles => {}
            Self::Bound => pod["spec"]["nodeName"] = node_name(index % NODES).into(),
        }
        pod
    }
}

fn group_name(index: usize) -> String {
    format!("gang-{index:02}")
}

/// The name of the node of that number.
pub(crate) fn node_name(index: usize) -> String {
    format!("node-{index:04}")
}

fn node(index: usize) -> Value {
    let amounts = json!({"cpu": "128", "memory": "1Ti", "pods": "110", "nvidia.com/gpu": "8"});
    let rack = format!("rack-{:02}", index / 16);
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node_name(index), "labels": {"topology.kubernetes.io/rack": rack}},
        "status": {
            "capacity": amounts, "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A pod that asks for one GPU.
pub(crate) fn pod(name: &str) -> Value {
    let amounts = json!({"cpu": "1", "memory": "4Gi", "nvidia.com/gpu": "1"});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "train", "pod-template-hash": "6f7c9d8b54"}},
        "spec": {
            "schedulerName": "muster",
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": "registry.example.com/team/train:v1.2.3",
                "env": [{"name": "MODE", "value": "train"}, {"name": "STEPS", "value": "1000"}],
                "resources": {"limits": amounts, "requests": amounts},
            }],
        },
    })
}

/// Stored states to begin from.
#[derive(Debug)]
pub(crate) struct Ground {
    folder: PathBuf,
}

impl Ground {
    /// Makes the state of each load; `None` where this machine has no API server.
    pub(crate) async fn prepare(loads: &[Load]) -> Option<Self> {
        let base =
            if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
        let folder = base.join(format!("muster-bench-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("the folder for data can be written");
        let ground = Self { folder };
        for load in loads {
            let cluster = Cluster::start("ground").await?;
            let board = Board::of(&cluster).await;
            board.install().await;
            fill(&board, *load).await;
            cluster.freeze(&ground.folder.join(load.name()));
        }
        Some(ground)
    }

    /// A cluster in the state of `load`.
    pub(crate) async fn cluster(&self, load: Load) -> Cluster {
        let data = self.folder.join(load.name());
        let options = Options { data: Some(&data), audit_policy: Some(POLICY) };
        let cluster = Cluster::start_with("lap", options).await;
        cluster.expect("there was one when the ground was prepared")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn fill(board: &Board, load: Load) {
    match load {
        Load::Gang | Load::Gangs | Load::Singles | Load::Bound => {
            make(board, (0..NODES).map(|index| (paths::NODES, node(index)))).await;
        }
        Load::Shape(shape) => {
            make(board, (0..shapes::NODES).map(|index| (paths::NODES, shapes::node(index)))).await;
            make(board, (0..shapes::BOUND).map(|index| (paths::PODS, shape.bound(index)))).await;
        }
    }
    make(board, (0..load.groups()).map(|index| load.group(index))).await;
    make(board, (0..load.pods()).map(|index| (paths::PODS, load.pod(index)))).await;
}

/// Makes objects, several at once.
pub(crate) async fn make(board: &Board, objects: impl Iterator<Item = (&'static str, Value)>) {
    futures::stream::iter(objects)
        .for_each_concurrent(MADE_AT_ONCE, |(path, object)| async move {
            board.create(path, &object).await;
        })
        .await;
}
