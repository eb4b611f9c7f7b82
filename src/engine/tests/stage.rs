//! A small world around one engine: it keeps the objects, bumps their versions, applies orders,
//! and tells what became of them. Tests say what happens; the stage does the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::names::{Name, ObjectName};
use crate::base::time::{Span, Time};
use crate::cluster::facts::{
    CommitMark, GroupFact, GroupName, GroupSource, GroupStatus, NodeFact, PodFact, PodPhase,
};
use crate::engine::event::{Event, Outcome};
use crate::engine::order::{
    Action, EvictCause, GroupRef, Notice, Order, PodRef, RecordRef, WaitReason,
};
use crate::engine::record::{RecordFact, RecordPhase};
use crate::engine::settings::Settings;
use crate::engine::{Cycle, Engine};
use crate::workload::ask::{Amounts, Ask};
use crate::workload::scored::Counted;

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
    /// The records as they are now.
    pub(super) records: BTreeMap<ObjectName, RecordFact>,
    /// Words of everything that was written besides binds, in order.
    pub(super) writes: Vec<&'static str>,
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
        | Action::Volume { .. }
        | Action::Fence { .. }
        | Action::Evict { .. }) => panic!("no bind: {other:?}"),
    }
}

/// Binds, the evictions of a restart, and fences of pods without a group: tests look at them one by one.
const fn is_left_to_tests(action: &Action) -> bool {
    matches!(
        action,
        Action::Bind { .. }
            | Action::Evict { cause: EvictCause::GangRestarted, .. }
            | Action::Fence { epoch: 0, .. }
    )
}

/// A node with so many GPUs and more than enough of the rest.
pub(super) fn node(name: &str, gpus: i64) -> NodeFact {
    NodeFact {
        name: name.into(),
        uid: format!("{name}-uid").as_str().into(),
        labels: vec![("kubernetes.io/hostname".into(), name.into())],
        allocatable: amounts(&[("cpu", 100_000), (GPU, gpus), ("pods", 110)]),
        ..NodeFact::default()
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
        labels: Arc::default(),
        group: None,
        priority: 0,
        node: None,
        nominated: None,
        phase: PodPhase::Pending,
        reason: None,
        deleting: false,
        gates: Vec::new(),
        ask: Arc::new(Ask { requests: amounts(&[(GPU, gpus)]), ..Ask::default() }),
        held: None,
        held_counted: Counted::NONE,
        controller: None,
        selected_by: None,
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
            records: BTreeMap::new(),
            writes: Vec::new(),
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
        let fact = self.vanish(name);
        self.tell(Event::PodGone { name: fact.name, uid: fact.uid });
    }

    /// Deletes a pod at once, and no watch tells.
    pub(super) fn vanish(&mut self, name: &str) -> PodFact {
        self.pods.remove(name).expect("only pods that exist are deleted")
    }

    /// Creates or changes a group. What it is committed to stays.
    pub(super) fn put_group(&mut self, mut fact: GroupFact) {
        self.version += 1;
        fact.resource_version = self.version;
        let before = self.groups.get(&fact.name.name.name).filter(|before| before.uid == fact.uid);
        fact.commit = fact.commit.or(before.and_then(|before| before.commit));
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

    /// Runs cycles until there is nothing to do but binds, applying none of these. Records and the like are written
    /// at once.
    pub(super) fn decide(&mut self) -> Cycle {
        let mut binds = Cycle::default();
        for _ in 0..10_000 {
            let cycle = self.engine.decide(self.now);
            self.notices.extend(cycle.notices.iter().cloned());
            binds.notices.extend(cycle.notices);
            let mut wrote = false;
            for order in cycle.orders {
                if is_left_to_tests(&order.action) {
                    binds.orders.push(order);
                } else {
                    wrote = true;
                    let outcome = self.write(&order);
                    self.outcome(&order, outcome);
                }
            }
            if !wrote {
                return binds;
            }
        }
        panic!("the engine never rests: {:?}", self.engine.wakeup());
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

    /// Lets a bind take effect, unless its pod has vanished: its outcome is told, then the pod as it is now.
    pub(super) fn apply(&mut self, order: &Order) {
        let Bind { pod, node, .. } = bind_of(order);
        let Some(fact) = self.pods.get(&pod.name.name) else {
            return self.outcome(order, Outcome::Gone);
        };
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

    /// Does what an order asks that is no bind, as an API server would; tells what changed, and returns the outcome.
    pub(super) fn write(&mut self, order: &Order) -> Outcome {
        self.writes.push(order.action.as_str());
        match &order.action {
            Action::Propose(record) => self.propose(record),
            Action::Commit { group, mark } => self.commit(group, *mark),
            Action::Verify { record, group, mark } => self.verify(record, group, *mark),
            Action::Seal { record, .. } => self.move_record(record, RecordPhase::Bound),
            Action::Abort { record, .. } => self.move_record(record, RecordPhase::Aborting),
            Action::FinishAbort { record, .. } => self.move_record(record, RecordPhase::Aborted),
            Action::RemoveRecord { record } => match self.records.remove(&record.name) {
                Some(fact) => {
                    self.tell(Event::RecordGone { name: fact.name, uid: fact.uid });
                    Outcome::Done
                }
                None => Outcome::Gone,
            },
            Action::Fence { pod, .. } => self.fence(pod),
            Action::Evict { pod, .. } => {
                if self.pods.get(&pod.name.name).is_none_or(|fact| fact.uid != pod.uid) {
                    return Outcome::Gone;
                }
                self.delete(&pod.name.name.clone());
                Outcome::Done
            }
            Action::Volume { .. } => unreachable!("no pod of these tests has volumes"),
            Action::Bind { .. } => unreachable!("binds are applied"),
        }
    }

    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn propose(&mut self, record: &RecordFact) -> Outcome {
        if let Some(known) = self.records.get(&record.name)
            && known.resource_version != record.resource_version
        {
            return Outcome::Superseded(Box::new(known.clone()));
        }
        if record.resource_version != 0 && !self.records.contains_key(&record.name) {
            return Outcome::Gone;
        }
        let resource_version = self.next_version();
        let mut fact = record.clone();
        fact.resource_version = resource_version;
        fact.uid = "record-uid".into();
        self.records.insert(fact.name.clone(), fact.clone());
        self.tell(Event::Record(Box::new(fact)));
        Outcome::Written { resource_version }
    }

    fn commit(&mut self, group: &GroupRef, mark: CommitMark) -> Outcome {
        let Some(fact) = self.groups.get_mut(&group.name.name.name) else { return Outcome::Gone };
        if fact.uid != group.uid {
            return Outcome::Gone;
        }
        if fact.resource_version != group.resource_version {
            return Outcome::Conflict("the object has been modified".to_owned());
        }
        fact.commit = Some(mark);
        let fact = fact.clone();
        self.put_group(fact);
        Outcome::Written { resource_version: self.version }
    }

    fn verify(&mut self, record: &RecordRef, group: &GroupRef, mark: CommitMark) -> Outcome {
        let Some(fact) = self.groups.get(&group.name.name.name) else { return Outcome::Gone };
        let Some(known) = self.records.get(&record.name) else { return Outcome::Gone };
        if fact.uid != group.uid {
            return Outcome::Gone;
        }
        if fact.commit != Some(mark) {
            return Outcome::Conflict("another plan".to_owned());
        }
        if known.mark != mark || known.phase != RecordPhase::Proposed {
            return Outcome::Superseded(Box::new(known.clone()));
        }
        Outcome::Done
    }

    fn move_record(&mut self, record: &RecordRef, phase: RecordPhase) -> Outcome {
        let resource_version = self.next_version();
        let Some(known) = self.records.get_mut(&record.name) else { return Outcome::Gone };
        if known.resource_version != record.resource_version {
            return Outcome::Superseded(Box::new(known.clone()));
        }
        known.phase = phase;
        known.resource_version = resource_version;
        let fact = known.clone();
        self.tell(Event::Record(Box::new(fact)));
        Outcome::Written { resource_version }
    }

    fn fence(&mut self, pod: &PodRef) -> Outcome {
        if self.pods.get(&pod.name.name).is_none_or(|fact| fact.uid != pod.uid) {
            return Outcome::Gone;
        }
        self.change(&pod.name.name.clone(), |_| ());
        match &self.pod(&pod.name.name).node {
            Some(node) => Outcome::BoundTo(node.clone()),
            None => Outcome::Written { resource_version: self.version },
        }
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
