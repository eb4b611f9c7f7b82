//! Facts about pods as a watch tells them, each with names of its own, and an engine that knows the fleet.
//! What many pods share in `muster run` (namespace, scheduler, ask) is shared here too.

use std::sync::Arc;

use muster::base::names::Name;
use muster::base::names::ObjectName;
use muster::base::time::Time;
use muster::cluster::facts::GroupName;
use muster::cluster::facts::GroupSource;
use muster::cluster::facts::PodFact;
use muster::cluster::facts::PodPhase;
use muster::engine::Engine;
use muster::engine::event::Event;
use muster::engine::order::Action;
use muster::engine::order::Order;
use muster::engine::settings::Notices;
use muster::engine::settings::Settings;
use muster::workload::ask::SharedAsk;
use muster::workload::scored::Counted;

use crate::fleet;

/// An engine that knows `nodes` nodes and that everything was told.
pub(crate) fn engine(nodes: usize) -> Engine {
    engine_with(nodes, Notices::Told)
}

/// The same, where people are told or not.
pub(crate) fn engine_with(nodes: usize, notices: Notices) -> Engine {
    let mut engine = Engine::new(Settings { notices, ..Settings::default() });
    for node in fleet::nodes(nodes) {
        engine.observe(Time::EPOCH, Event::Node(Box::new(node)));
    }
    engine.observe(Time::EPOCH, Event::Synced);
    engine
}

/// What a pod of so many cards asks for.
pub(crate) fn ask(cards: i64) -> SharedAsk {
    fleet::ask(cards, 1_000 * cards)
}

/// Makes the facts of pods of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Pods {
    namespace: Name,
    scheduler: Name,
    group: Option<GroupName>,
}

impl Pods {
    /// Pods on their own.
    pub(crate) fn plain() -> Self {
        Self { namespace: "team".into(), scheduler: "muster".into(), group: None }
    }

    /// Members of the PodGroup of that name.
    pub(crate) fn of_gang(name: &str) -> Self {
        let group =
            GroupName { name: ObjectName::new("team", name), source: GroupSource::Coscheduling };
        Self { group: Some(group), ..Self::plain() }
    }

    /// The pod of that number, pending.
    pub(crate) fn pending(&self, number: u64, ask: &SharedAsk) -> Box<PodFact> {
        Box::new(PodFact {
            name: self.name(number),
            uid: uid(number),
            resource_version: 2 * number + 1,
            created: Time(number as i64),
            scheduler: self.scheduler.clone(),
            labels: Arc::default(),
            group: self.group.clone(),
            priority: 0,
            node: None,
            nominated: None,
            phase: PodPhase::Pending,
            reason: None,
            deleting: false,
            gates: Vec::new(),
            ask: Arc::clone(ask),
            held: None,
            held_counted: Counted::NONE,
            controller: None,
            selected_by: None,
            pinned_to_node: false,
            malformed: None,
        })
    }

    /// The pod of that number once it runs.
    pub(crate) fn running(&self, number: u64, ask: &SharedAsk, node: &str) -> Box<PodFact> {
        let mut fact = self.pending(number, ask);
        fact.resource_version += 1;
        fact.node = Some(node.into());
        fact.phase = PodPhase::Running;
        fact
    }

    /// That the pod of that number is gone.
    pub(crate) fn gone(&self, number: u64) -> Event {
        Event::PodGone { name: self.name(number), uid: uid(number) }
    }

    fn name(&self, number: u64) -> ObjectName {
        ObjectName { namespace: self.namespace.clone(), name: format!("pod-{number}").into() }
    }
}

fn uid(number: u64) -> Name {
    format!("00000000-0000-0000-0000-{number:012}").into()
}

/// The number of the pod that an order binds, and the node.
pub(crate) fn bound(order: &Order) -> (u64, &Name) {
    let Action::Bind { pod, node, .. } = &order.action else {
        unreachable!("pods without a group are simply bound")
    };
    let digits = pod.uid.rsplit('-').next().expect("a split has a last part");
    (digits.parse().expect("uids end in the pod's number"), node)
}
