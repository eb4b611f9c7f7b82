//! Random worlds: objects come, change, and go, binds succeed, fail, and get lost. After every step:
//! nothing is over-committed by an independent count, no gang is bound below its minimum while it is
//! being started, waiting gangs hold nothing, everything that waits is listed once, and nobody waits who
//! could be placed. In the end, with all faults gone and room for everybody, everybody is bound.

use std::collections::{BTreeMap, BTreeSet};

use super::stage::{Bind, GPU, Stage, bind_of, group, group_name, member, node, pod};
use crate::base::names::Name;
use crate::base::random::Random;
use crate::base::time::Span;
use crate::cluster::facts::{GroupFact, PodFact, PodPhase};
use crate::engine::event::{Event, Outcome};
use crate::engine::order::Order;
use crate::engine::record::record_name;

/// A random world and what is under way in it.
struct World {
    stage: Stage,
    random: Random,
    /// GPUs of each node.
    nodes: BTreeMap<Name, i64>,
    /// Binds that were sent and not applied.
    sent: Vec<Order>,
    /// What the latest cycle ordered for the first time.
    planned: Vec<Order>,
    /// Everything that was ever ordered: an order in doubt is given out again.
    ordered: BTreeSet<(Name, u64, Name)>,
    made: u64,
    minimums: BTreeMap<String, u32>,
    /// How many parked lines were tried to see whether one was forgotten.
    forgotten_tries: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut world = Self {
            stage: Stage::new(&[]),
            nodes: BTreeMap::new(),
            sent: Vec::new(),
            planned: Vec::new(),
            ordered: BTreeSet::new(),
            made: 0,
            minimums: BTreeMap::new(),
            forgotten_tries: 0,
            random: Random::new(random.next_u64()),
        };
        for _ in 0..1 + world.random.below(5) {
            world.add_node();
        }
        world
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn add_node(&mut self) {
        let name = format!("n{}", self.number());
        let gpus = 1 + self.random.below(8) as i64;
        self.nodes.insert(name.as_str().into(), gpus);
        self.stage.tell(Event::Node(Box::new(node(&name, gpus))));
    }

    fn step(&mut self) {
        match self.random.below(14) {
            0..3 => self.add_pod(),
            3 => self.put_group(),
            4..6 => self.change_pod(),
            6 => self.remove_pod(),
            7 => self.add_node(),
            8 => {
                let span = Span::milliseconds(self.random.below(3000) as i64);
                self.stage.wait(span);
            }
            9..12 => self.decide(),
            12.. => self.settle_one(),
        }
    }

    fn gang(&mut self) -> String {
        format!("gang-{}", self.random.below(4))
    }

    fn put_group(&mut self) {
        let name = self.gang();
        let minimum = 1 + self.random.below(4) as u32;
        if self.random.chance(20) && self.minimums.remove(&name).is_some() {
            self.stage.delete_group(&name);
            return;
        }
        let uid = self
            .stage
            .group_uid(&name)
            .unwrap_or_else(|| format!("{name}-{}", self.made).as_str().into());
        self.minimums.insert(name.clone(), minimum);
        self.stage.put_group(GroupFact { uid, ..group(&name, minimum) });
    }

    fn add_pod(&mut self) {
        let name = format!("p{}", self.number());
        let gpus = 1 + self.random.below(4) as i64;
        let mut fact = if self.random.chance(60) {
            let gang = self.gang();
            member(&name, &gang, gpus)
        } else {
            pod(&name, gpus)
        };
        if self.random.chance(10) {
            fact.gates = vec!["hold".into()];
        }
        fact.priority = self.random.below(3) as i32;
        self.stage.put(fact);
    }

    fn pick_pod(&mut self) -> Option<Name> {
        let names = self.stage.pod_names();
        (!names.is_empty()).then(|| self.random.pick(&names).clone())
    }

    fn change_pod(&mut self) {
        let Some(name) = self.pick_pod() else { return };
        let gang = self.gang();
        let kind = self.random.below(5);
        self.stage.change(&name, |fact: &mut PodFact| match kind {
            0 if fact.node.is_some() => fact.phase = PodPhase::Succeeded,
            1 if fact.node.is_some() => fact.phase = PodPhase::Failed,
            2 => fact.gates.clear(),
            3 if fact.group.is_some() => fact.group = Some(group_name(&gang)),
            4 => fact.deleting = true,
            _ => {}
        });
    }

    fn remove_pod(&mut self) {
        if let Some(name) = self.pick_pod() {
            self.stage.delete(&name);
        }
    }

    fn decide(&mut self) {
        let orders = self.stage.decide().orders;
        self.planned = orders.iter().filter(|order| self.is_new(order)).cloned().collect();
        self.ordered.extend(orders.iter().map(of_what));
        self.sent.extend(orders);
        self.forgotten_tries += self.check_nobody_is_forgotten();
    }

    /// Once a cycle left nothing to be tried, a fresh attempt for any parked line is refused too: no
    /// change that could have helped it was missed. Returns how many lines were looked at.
    fn check_nobody_is_forgotten(&mut self) -> usize {
        let engine = &mut self.stage.engine;
        if !engine.changes.is_empty() || !engine.dirty.is_empty() || engine.backlog.has_work() {
            return 0;
        }
        let lines: Vec<_> = engine.backlog.parked().map(|(line, _)| line).collect();
        for line in &lines {
            let name = engine.backlog.line(*line).head().0.name.clone();
            assert!(engine.attempt(*line).is_err(), "{name} could be placed and is left waiting");
        }
        lines.len()
    }

    /// One of the binds that were sent takes effect or does not, and its outcome is told or lost.
    fn settle_one(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let at = self.random.below(self.sent.len() as u64) as usize;
        let order = self.sent.remove(at);
        let (pod, node) = (bind_of(&order).pod, bind_of(&order).node);
        let applies = self.stage.could_bind(pod);
        let told = match self.random.below(10) {
            0 => Outcome::Refused("denied".to_owned()),
            1 => Outcome::Unknown("timed out".to_owned()),
            _ if applies => Outcome::Done,
            _ => Outcome::Conflict("the object has been modified".to_owned()),
        };
        let effective = match told {
            Outcome::Done => true,
            Outcome::Unknown(_) => applies && self.random.chance(50),
            Outcome::Refused(_) | Outcome::Conflict(_) | Outcome::Gone => false,
            Outcome::Written { .. } | Outcome::BoundTo(_) | Outcome::Superseded(_) => {
                unreachable!("no bind comes back so")
            }
        };
        let (name, node) = (pod.name.name.clone(), node.clone());
        let told_first = self.random.chance(50);
        if told_first {
            self.stage.outcome(&order, told.clone());
        }
        if effective {
            self.stage.change(&name, |fact| {
                fact.node = Some(node);
                fact.phase = PodPhase::Running;
            });
        }
        if !told_first {
            self.stage.outcome(&order, told);
        }
    }

    /// True if the order is of a plan, and not one in doubt that is given out again.
    fn is_new(&self, order: &Order) -> bool {
        !self.ordered.contains(&of_what(order))
    }

    fn check(&self) {
        self.stage.engine.audit().expect("every belief survives a recount");
        self.check_capacity();
        self.check_lists();
    }

    /// Bound pods and binds under way, counted from the objects alone.
    fn check_capacity(&self) {
        let mut used: BTreeMap<Name, i64> = BTreeMap::new();
        let mut count = |node: &Name, fact: &PodFact| {
            let gpus = fact
                .ask
                .requests
                .iter()
                .find(|(name, _)| &**name == GPU)
                .map_or(0, |(_, amount)| *amount);
            *used.entry(node.clone()).or_default() += gpus;
        };
        for fact in self.stage.pods_now() {
            let finished = matches!(fact.phase, PodPhase::Succeeded | PodPhase::Failed);
            if let Some(node) = fact.node.as_ref().filter(|_| !finished) {
                count(node, fact);
            }
        }
        for order in &self.sent {
            let Bind { pod, node, .. } = bind_of(order);
            if self.stage.could_bind(pod) {
                count(node, self.stage.pod(&pod.name.name));
            }
        }
        for (node, used) in used {
            assert!(used <= self.nodes[&node], "{node} holds {used} of {}", self.nodes[&node]);
        }
    }

    /// Everything that waits is listed once, and nothing else is.
    fn check_lists(&self) {
        let mut listed = BTreeSet::new();
        for entry in self.stage.engine.waiting(self.stage.now) {
            assert!(!entry.message.is_empty());
            for pod in entry.pods {
                assert!(listed.insert(pod.clone()), "{pod} is listed twice");
            }
        }
        let held = self.stage.engine.pods_with_seats();
        let waits = |fact: &&PodFact| {
            fact.node.is_none() && !fact.deleting && fact.phase == PodPhase::Pending
        };
        let expected: BTreeSet<Name> = self
            .stage
            .pods_now()
            .filter(waits)
            .map(|fact| fact.name.name.clone())
            .filter(|name| !held.contains(name))
            .collect();
        assert_eq!(listed, expected);
    }

    /// Faults end, gates go, room is made: what is complete must be bound.
    fn heal(&mut self) {
        for order in std::mem::take(&mut self.sent) {
            let Bind { pod, .. } = bind_of(&order);
            let outcome = if self.stage.could_bind(pod) { None } else { Some(Outcome::Gone) };
            match outcome {
                Some(outcome) => self.stage.outcome(&order, outcome),
                None => self.stage.apply(&order),
            }
        }
        for name in self.stage.pod_names() {
            self.stage.change(&name, |fact| fact.gates.clear());
        }
        for _ in 0..40 {
            let name = format!("n{}", self.number());
            self.nodes.insert(name.as_str().into(), 8);
            self.stage.tell(Event::Node(Box::new(node(&name, 8))));
        }
        let end = self.stage.now + Span::seconds(100);
        self.stage.settle_until(end);
        self.check();
        for line in self.stage.waiting() {
            assert!(line.contains("WaitingForMembers"), "still waits: {line}");
        }
    }
}

/// Uid, version, and node: what a bind names.
fn of_what(order: &Order) -> (Name, u64, Name) {
    let Bind { pod, node, .. } = bind_of(order);
    (pod.uid.clone(), pod.resource_version, node.clone())
}

/// A plan gives seats to at least what the minimum lacks, at the moment it is made.
fn check_whole(world: &World, orders: &[Order]) {
    let mut by_gang: BTreeMap<String, u32> = BTreeMap::new();
    for order in orders {
        let Bind { gang, epoch, .. } = bind_of(order);
        if epoch > 0 {
            *by_gang.entry(gang.name.to_string()).or_default() += 1;
        }
    }
    for (gang, _) in by_gang {
        let minimum =
            world.minimums.get(&gang).copied().expect("a gang without its group is not bound");
        // A minimum that is raised after the decision is another matter, for when this plan is carried out.
        let record = world.stage.records.get(&record_name(&group_name(&gang)));
        let minimum = record.map_or(minimum, |record| minimum.min(record.minimum));
        let explanation = world
            .stage
            .engine
            .explain(world.stage.now, &group_name(&gang).name)
            .expect("it exists");
        let counts = |state: &str| matches!(state, "bound" | "binding" | "succeeded");
        let counted =
            explanation.members.iter().filter(|member| counts(member.state)).count() as u32;
        let started = explanation.commitment == Some("sealed") || explanation.started;
        assert!(counted >= minimum || started, "{gang} has {counted} of {minimum}:\n{explanation}");
    }
}

#[test]
fn random_worlds_keep_the_promises() {
    let (mut binds, mut forgotten_tries) = (0, 0);
    for seed in 0..60 {
        let mut world = World::new(seed);
        for _ in 0..250 {
            world.planned.clear();
            world.step();
            check_whole(&world, &world.planned);
            world.check();
        }
        world.heal();
        binds += world.stage.engine.counters().binds_done;
        forgotten_tries += world.forgotten_tries;
    }
    assert!(binds > 1000, "only {binds} binds: these worlds test little");
    assert!(forgotten_tries > 500, "only {forgotten_tries} lines were tried again");
}
