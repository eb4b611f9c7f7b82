//! The fleet file as written: field names and their meaning. A field that does not exist is an error.
//! What fields come to, and their defaults, is the business of `shape`.
//! Scalars are kept as text, so that `2`, `"2"`, and `2Gi` are read alike.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FleetFile {
    /// What every entry has that does not say otherwise. Labels, annotations, and resources are joined.
    #[serde(default)]
    pub(super) defaults: Entry,
    /// Groups of equal nodes.
    pub(super) nodes: Vec<Spanned<Entry>>,
}

/// A group of nodes that differ by name and place only.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Entry {
    /// Names, with ranges: `a[1-4]`, `r[1-2]n[01-16]`.
    pub(super) name: Option<String>,
    /// `8 x NVIDIA-H100-80GB-HBM3`.
    pub(super) gpus: Option<String>,
    /// How cards are cut into MIG instances.
    pub(super) mig: Option<Vec<CardLayout>>,
    /// `mixed` (each profile is a resource of its own) or `single` (instances count as `nvidia.com/gpu`).
    pub(super) mig_strategy: Option<String>,
    /// So many pods share a card, taking turns.
    pub(super) time_slicing: Option<String>,
    /// So many pods share a card through the multi-process service.
    pub(super) mps: Option<String>,
    /// Quantity.
    pub(super) cpu: Option<String>,
    /// Quantity.
    pub(super) memory: Option<String>,
    /// Quantity.
    pub(super) ephemeral_storage: Option<String>,
    /// How many pods the node takes.
    pub(super) pods: Option<String>,
    /// Further resources, such as `rdma/hca: 8`.
    #[serde(default)]
    pub(super) resources: BTreeMap<String, String>,
    /// Container images that the node holds, with their sizes: `registry.example/train:v1: 12Gi`.
    #[serde(default)]
    pub(super) images: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    /// `key=value:effect` or `key:effect`, as `kubectl taint` reads them.
    pub(super) taints: Option<Vec<String>>,
    pub(super) region: Option<String>,
    /// Place names may be ranges: the entry's nodes are dealt to them in order, equally many each.
    pub(super) zone: Option<String>,
    pub(super) block: Option<String>,
    pub(super) rack: Option<String>,
    /// NVLink domain and clique, `<ClusterUUID>.<CliqueID>`.
    pub(super) clique: Option<String>,
    /// Whose labels tell block and rack.
    pub(super) topology: Option<String>,
    pub(super) instance_type: Option<String>,
    /// `nvidia.com/gpu.machine`.
    pub(super) machine: Option<String>,
    pub(super) unschedulable: Option<bool>,
}

/// The MIG layout of some cards of a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CardLayout {
    /// How many cards are cut so; absent: all that no other layout takes.
    pub(super) cards: Option<u32>,
    /// Instances of each profile on such a card.
    pub(super) profiles: BTreeMap<String, u32>,
}

impl Entry {
    /// This entry with everything that it leaves open taken from `defaults`.
    pub(super) fn over(&self, defaults: &Self) -> Self {
        let text = |own: &Option<String>, default: &Option<String>| own.clone().or(default.clone());
        let joined = |own: &BTreeMap<String, String>, default: &BTreeMap<String, String>| {
            let mut joined = default.clone();
            joined.extend(own.clone());
            joined
        };
        Self {
            name: self.name.clone(),
            gpus: text(&self.gpus, &defaults.gpus),
            mig: self.mig.clone().or(defaults.mig.clone()),
            mig_strategy: text(&self.mig_strategy, &defaults.mig_strategy),
            time_slicing: text(&self.time_slicing, &defaults.time_slicing),
            mps: text(&self.mps, &defaults.mps),
            cpu: text(&self.cpu, &defaults.cpu),
            memory: text(&self.memory, &defaults.memory),
            ephemeral_storage: text(&self.ephemeral_storage, &defaults.ephemeral_storage),
            pods: text(&self.pods, &defaults.pods),
            resources: joined(&self.resources, &defaults.resources),
            images: joined(&self.images, &defaults.images),
            labels: joined(&self.labels, &defaults.labels),
            annotations: joined(&self.annotations, &defaults.annotations),
            taints: self.taints.clone().or(defaults.taints.clone()),
            region: text(&self.region, &defaults.region),
            zone: text(&self.zone, &defaults.zone),
            block: text(&self.block, &defaults.block),
            rack: text(&self.rack, &defaults.rack),
            clique: text(&self.clique, &defaults.clique),
            topology: text(&self.topology, &defaults.topology),
            instance_type: text(&self.instance_type, &defaults.instance_type),
            machine: text(&self.machine, &defaults.machine),
            unschedulable: self.unschedulable.or(defaults.unschedulable),
        }
    }
}
