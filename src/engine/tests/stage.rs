//! A small world around one engine: it keeps the objects, bumps their versions, applies orders,
//! and tells what became of them. Tests say what happens; the stage does the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::names::{Name, ObjectName};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{
    GroupFact, GroupName, GroupSource, GroupStatus, NodeFact, PodFact, PodPhase,
};
use crate::engine::event::{Event, Outcome};
use crate::engine::order::{Action, Notice, Order, PodRef, WaitReason};
use crate::engine::settings::Settings;
use crate::engine::{Cycle, Engine};
use crate::workload::ask::{Amounts, Ask};

/// The resource that tests ask for.
pub(super) const GPU: &str = "nvidia.com/gpu";

/// The world.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) now: Time,
    version: u64,
    pods: BTreeMap<Name, PodFact>,
    groups: BTreeMap<Name, GroupFact>,
    /// `POD NODE` of every bind, in order.
    pub(super) binds: Vec<String>,
    pub(super) notices: Vec<Notice>,
}

/// A bind that was ordered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bind<'a> {
    pub(super) pod: &'a PodRef,
    pub(super) node: &'a Name,
    pub(super) gang: &'a ObjectName,
    pub(super) epoch: u32,
}

/// The bind that an order is.
pub(super) fn bind_of(order: &Order) -> Bind<'_> {
    match &order.action {
        Action::Bind { pod, node, gang, epoch, role: _ } => Bind { pod, node, gang, epoch: *epoch },
        other @ (Action::Propose(_)
        | Action::Commit { .. }
        | Action::Verify { .. }
        | Action::Seal { .. }
        | Action::Abort { .. }
        | Action::FinishAbort { .. }
        | Action::RemoveRecord { .. }
        | Action::Fence { .. }
        | Action::Evict { .. }) => panic!("no bind: {other:?}"),
    }
}

/// A node with so many GPUs and more than enough of the rest.
pub(super) fn node(name: &str, gpus: i64) -> NodeFact {
    NodeFact {
        name: name.into(),
        uid: format!("{name}-uid").as_str().into(),
        labels: vec![("kubernetes.io/hostname".into(), name.into())],
        taints: Vec::new(),
        unschedulable: false,
        allocatable: amounts(&[("cpu", 100_000), (GPU, gpus), ("pods", 110)]),
    }
}

pub(super) fn amounts(list: &[(&str, i64)]) -> Amounts {
    let mut amounts: Amounts =
        list.iter().map(|(name, amount)| ((*name).into(), *amount)).collect();
    amounts.sort();
    amounts
}

/// A pending pod in namespace `team` that asks for so many GPUs.
pub(super) fn pod(name: &str, gpus: i64) -> PodFact {
    PodFact {
        name: ObjectName::new("team", name),
        uid: format!("{name}-uid").as_str().into(),
        resource_version: 0,
        created: Time::EPOCH,
        scheduler: "muster".into(),
        group: None,
        priority: 0,
        node: None,
        phase: PodPhase::Pending,
        reason: None,
        deleting: false,
        gates: Vec::new(),
        ask: Arc::new(Ask { requests: amounts(&[(GPU, gpus)]), ..Ask::default() }),
        held: None,
        controller: None,
        pinned_to_node: false,
        malformed: None,
    }
}

/// The name of the coscheduling group `name` in namespace `team`.
pub(super) fn group_name(name: &str) -> GroupName {
    GroupName { name: ObjectName::new("team", name), source: GroupSource::Coscheduling }
}

/// A pod that is a member of the coscheduling group `group`.
pub(super) fn member(name: &str, group: &str, gpus: i64) -> PodFact {
    PodFact { group: Some(group_name(group)), ..pod(name, gpus) }
}

/// A coscheduling group in namespace `team`.
pub(super) fn group(name: &str, minimum: u32) -> GroupFact {
    GroupFact {
        name: group_name(name),
        uid: format!("{name}-group-uid").as_str().into(),
        resource_version: 0,
        generation: 1,
        created: Time::EPOCH,
        minimum: Some(minimum),
        min_resources: Vec::new(),
        schedule_timeout: None,
        priority: None,
        unsupported: Vec::new(),
        malformed: None,
        commit: None,
        status: GroupStatus::default(),
    }
}

impl Stage {
    /// A synced world with such nodes.
    pub(super) fn new(nodes: &[(&str, i64)]) -> Self {
        Self::with(Settings::default(), nodes)
    }

    /// A synced world with such nodes and settings.
    pub(super) fn with(settings: Settings, nodes: &[(&str, i64)]) -> Self {
        let mut stage = Self {
            engine: Engine::new(settings),
            now: Time::EPOCH,
            version: 0,
            pods: BTreeMap::new(),
            groups: BTreeMap::new(),
            binds: Vec::new(),
            notices: Vec::new(),
        };
        for (name, gpus) in nodes {
            stage.tell(Event::Node(Box::new(node(name, *gpus))));
        }
        stage.tell(Event::Synced);
        stage
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.engine.observe(self.now, event);
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, span: Span) {
        self.now = self.now + span;
    }

    /// Creates or changes a pod.
    pub(super) fn put(&mut self, mut fact: PodFact) {
        self.version += 1;
        fact.resource_version = self.version;
        self.pods.insert(fact.name.name.clone(), fact.clone());
        self.tell(Event::Pod(Box::new(fact)));
    }

    /// Changes a pod that exists.
    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut PodFact)) {
        let mut fact = self.pod(name).clone();
        change(&mut fact);
        self.put(fact);
    }

    /// Deletes a pod at once.
    pub(super) fn delete(&mut self, name: &str) {
        let fact = self.pods.remove(name).expect("only pods that exist are deleted");
        self.tell(Event::PodGone { name: fact.name, uid: fact.uid });
    }

    /// Creates or changes a group.
    pub(super) fn put_group(&mut self, mut fact: GroupFact) {
        self.version += 1;
        fact.resource_version = self.version;
        self.groups.insert(fact.name.name.name.clone(), fact.clone());
        self.tell(Event::Group(Box::new(fact)));
    }

    /// Deletes a group.
    pub(super) fn delete_group(&mut self, name: &str) {
        let fact = self.groups.remove(name).expect("only groups that exist are deleted");
        self.tell(Event::GroupGone { name: fact.name, uid: fact.uid });
    }

    /// The pod as its object is now.
    pub(super) fn pod(&self, name: &str) -> &PodFact {
        self.pods.get(name).expect("tests name pods that exist")
    }

    /// All pods as their objects are now.
    pub(super) fn pods_now(&self) -> impl Iterator<Item = &PodFact> {
        self.pods.values()
    }

    /// Names of all pods.
    pub(super) fn pod_names(&self) -> Vec<Name> {
        self.pods.keys().cloned().collect()
    }

    /// The uid of a group that exists.
    pub(super) fn group_uid(&self, name: &str) -> Option<Name> {
        self.groups.get(name).map(|fact| fact.uid.clone())
    }

    /// True if the API would take a bind with these preconditions.
    pub(super) fn could_bind(&self, pod: &PodRef) -> bool {
        self.pods.get(&pod.name.name).is_some_and(|fact| {
            fact.uid == pod.uid
                && fact.resource_version == pod.resource_version
                && fact.node.is_none()
                && !fact.deleting
        })
    }

    /// Runs one cycle, applying nothing.
    pub(super) fn decide(&mut self) -> Cycle {
        let cycle = self.engine.decide(self.now);
        self.notices.extend(cycle.notices.iter().cloned());
        cycle
    }

    /// Runs cycles until nothing more can be done now; every bind takes effect.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            let cycle = self.decide();
            for order in cycle.orders {
                self.apply(&order);
            }
            if self.engine.wakeup().is_none_or(|(at, _)| at > self.now) {
                return;
            }
        }
        panic!("the engine never rests: {:?}", self.engine.wakeup());
    }

    /// Runs until `end`, waking when the engine asks for it.
    pub(super) fn settle_until(&mut self, end: Time) {
        self.settle();
        while let Some((at, _)) = self.engine.wakeup().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.settle();
        }
        self.now = end;
    }

    /// Lets a bind take effect: its outcome is told, then the pod as it is now.
    pub(super) fn apply(&mut self, order: &Order) {
        let Bind { pod, node, .. } = bind_of(order);
        let fact = self.pods.get(&pod.name.name).expect("a bind names a pod that exists");
        assert_eq!(
            (&fact.uid, fact.resource_version),
            (&pod.uid, pod.resource_version),
            "{}",
            pod.name
        );
        assert_eq!(fact.node, None, "{} is bound twice", pod.name);
        self.binds.push(format!("{} {node}", pod.name.name));
        self.tell(Event::Settled { order: order.id, outcome: Outcome::Done });
        let node = node.clone();
        self.change(&pod.name.name, |fact| {
            fact.node = Some(node);
            fact.phase = PodPhase::Running;
        });
    }

    /// Tells an outcome.
    pub(super) fn outcome(&mut self, order: &Order, outcome: Outcome) {
        self.tell(Event::Settled { order: order.id, outcome });
    }

    /// `GANG REASON: MESSAGE (PODS)` of everything that waits.
    pub(super) fn waiting(&self) -> Vec<String> {
        let entries = self.engine.waiting(self.now);
        let line = |entry: &crate::engine::explain::WaitingGang| {
            let pods: Vec<_> = entry.pods.iter().map(|name| &**name).collect();
            format!(
                "{} {}: {} ({})",
                entry.gang,
                entry.reason.as_str(),
                entry.message,
                pods.join(" ")
            )
        };
        entries.iter().map(line).collect()
    }

    /// Reasons of everything that waits, by gang, in turn order.
    pub(super) fn reasons(&self) -> Vec<(String, WaitReason)> {
        let entries = self.engine.waiting(self.now);
        entries.into_iter().map(|entry| (entry.gang.to_string(), entry.reason)).collect()
    }
}
