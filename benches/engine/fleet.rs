//! Nodes of eight cards, pods that tolerate their taint and select the card, and an engine that knows both.

use std::sync::Arc;

use muster::base::names::Name;
use muster::base::names::ObjectName;
use muster::base::time::Time;
use muster::cluster::facts::GroupName;
use muster::cluster::facts::GroupSource;
use muster::cluster::facts::NodeFact;
use muster::cluster::facts::PodFact;
use muster::cluster::facts::PodPhase;
use muster::engine::Engine;
use muster::engine::event::Event;
use muster::engine::settings::Settings;
use muster::workload::ask::Ask;
use muster::workload::ask::SharedAsk;
use muster::workload::constraints::Taint;
use muster::workload::constraints::TaintEffect;
use muster::workload::constraints::Toleration;
use muster::workload::constraints::TolerationOperator;

const GPU: &str = "nvidia.com/gpu";
const PRODUCT: &str = "nvidia.com/gpu.product";
const GIB: i64 = 1 << 30;
pub(crate) const CARDS: usize = 8;

pub(crate) fn node_name(at: usize) -> Name {
    format!("node-{at:06}").into()
}

fn node(at: usize) -> NodeFact {
    let name = node_name(at);
    NodeFact {
        uid: name.clone(),
        labels: vec![
            ("kubernetes.io/hostname".into(), name.clone()),
            (PRODUCT.into(), "NVIDIA-H100-80GB-HBM3".into()),
        ],
        name,
        taints: vec![Taint {
            key: GPU.into(),
            value: "present".into(),
            effect: TaintEffect::NoSchedule,
        }],
        unschedulable: false,
        allocatable: vec![
            ("cpu".into(), 127_000),
            ("memory".into(), 2_000 * GIB),
            (GPU.into(), CARDS as i64),
            ("pods".into(), 110),
        ],
    }
}

/// An engine that knows `nodes` nodes and that everything was told.
pub(crate) fn engine(nodes: usize) -> Engine {
    let mut engine = Engine::new(Settings::default());
    for at in 0..nodes {
        engine.observe(Time::EPOCH, Event::Node(Box::new(node(at))));
    }
    engine.observe(Time::EPOCH, Event::Synced);
    engine
}

/// What a pod of so many cards asks for.
pub(crate) fn ask(cards: i64) -> SharedAsk {
    Arc::new(Ask {
        requests: vec![
            ("cpu".into(), 1_000 * cards),
            ("memory".into(), 64 * GIB * cards),
            (GPU.into(), cards),
        ],
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

/// The pod of that number, pending.
pub(crate) fn pod(number: u64, ask: &SharedAsk, gang: Option<&str>) -> Box<PodFact> {
    Box::new(PodFact {
        name: ObjectName::new("team", &format!("pod-{number}")),
        uid: format!("00000000-0000-0000-0000-{number:012}").into(),
        resource_version: 2 * number + 1,
        created: Time(number as i64),
        scheduler: "muster".into(),
        group: gang.map(|name| GroupName {
            name: ObjectName::new("team", name),
            source: GroupSource::Coscheduling,
        }),
        priority: 0,
        node: None,
        phase: PodPhase::Pending,
        deleting: false,
        gates: Vec::new(),
        ask: ask.clone(),
        held: None,
        controller: None,
        pinned_to_node: false,
        malformed: None,
    })
}

/// The same pod once it runs.
pub(crate) fn running(pod: &PodFact, node: &Name) -> Box<PodFact> {
    Box::new(PodFact {
        resource_version: pod.resource_version + 1,
        node: Some(node.clone()),
        phase: PodPhase::Running,
        ..pod.clone()
    })
}
