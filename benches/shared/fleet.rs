//! The fleets and pods that are measured: nodes of eight cards with taints and labels as GPU fleets have
//! them, pods that tolerate the taint and select the card.

use std::sync::Arc;

use muster::base::names::Name;
use muster::cluster::facts::NodeFact;
use muster::workload::ask::Ask;
use muster::workload::ask::SharedAsk;
use muster::workload::constraints::Taint;
use muster::workload::constraints::TaintEffect;
use muster::workload::constraints::Toleration;
use muster::workload::constraints::TolerationOperator;

pub(crate) const GPU: &str = "nvidia.com/gpu";
pub(crate) const CARDS: i64 = 8;
const GIB: i64 = 1 << 30;
const PRODUCT: &str = "nvidia.com/gpu.product";

/// The name of the node of that number.
pub(crate) fn node_name(at: usize) -> Name {
    format!("node-{at:06}").into()
}

/// `count` nodes of eight cards, 128 cores, 2 TiB.
pub(crate) fn nodes(count: usize) -> Vec<NodeFact> {
    (0..count).map(node).collect()
}

fn node(at: usize) -> NodeFact {
    let name = node_name(at);
    let label = |key: &str, value: &str| (Name::from(key), Name::from(value));
    let mut labels = vec![
        label("kubernetes.io/arch", "amd64"),
        label("kubernetes.io/hostname", &name),
        label(PRODUCT, "NVIDIA-H100-80GB-HBM3"),
        label("topology.kubernetes.io/rack", &format!("rack-{}", at / 16)),
        label("topology.kubernetes.io/zone", &format!("zone-{}", at % 3)),
    ];
    labels.sort();
    NodeFact {
        uid: name.clone(),
        name,
        labels,
        taints: vec![Taint {
            key: GPU.into(),
            value: "present".into(),
            effect: TaintEffect::NoSchedule,
        }],
        allocatable: vec![
            ("cpu".into(), 127_000),
            ("ephemeral-storage".into(), 3_000 * GIB),
            ("memory".into(), 2_000 * GIB),
            (GPU.into(), CARDS),
            ("pods".into(), 110),
        ],
        ..NodeFact::default()
    }
}

/// A pod of `cards` cards and these millicores.
pub(crate) fn ask(cards: i64, millicores: i64) -> SharedAsk {
    let requests = vec![
        ("cpu".into(), millicores),
        ("memory".into(), 64 * GIB * cards.max(1)),
        (GPU.into(), cards),
    ];
    Arc::new(Ask {
        requests: requests.into_iter().filter(|(_, amount)| *amount > 0).collect(),
        node_selector: vec![(PRODUCT.into(), "NVIDIA-H100-80GB-HBM3".into())],
        tolerations: vec![Toleration {
            key: GPU.into(),
            operator: TolerationOperator::Exists,
            value: "".into(),
            effect: Some(TaintEffect::NoSchedule),
        }],
        ..Ask::default()
    })
}
