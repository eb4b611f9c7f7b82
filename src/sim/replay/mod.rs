//! A trace in virtual time: the engine of production, told facts directly, without an API between.
//!
//! Binding takes no time and always succeeds; a job starts when its last member is bound, runs for its duration,
//! and is gone with its pods. Pure: jobs, nodes, and settings in; what happened out. Nothing here decides.

pub mod cluster;
mod facts;
pub mod measure;
pub mod policy;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::NodeFact;
use crate::engine::Engine;
use crate::engine::event::Event;
use crate::engine::order::Action;
use crate::engine::settings::Settings;
use crate::sim::traces::Job;

use self::facts::Member;

/// How long a world in which nothing runs and nothing arrives is still watched: longer than any pause of the engine.
const PATIENCE: Span = Span::seconds(86_400);

/// More cycles than one instant can need; an engine that asks for more of them would never let time go on.
const CYCLES_PER_INSTANT_MAX: u64 = 10_000_000;

/// Jobs that end between two reports of progress.
const PROGRESS_EVERY: usize = 64;

/// What became of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// When each job started, in the order of the jobs; `None` where it never did.
    pub starts: Vec<Option<Time>>,
    /// GPUs of all nodes.
    pub gpus: u64,
    /// GPU-nanoseconds that jobs held, until the last submission and in all.
    pub held_until_last_submission: i128,
    /// See above.
    pub held: i128,
    /// Submission of the first job.
    pub begin: Time,
    /// The end of the last job that started.
    pub end: Time,
    /// Binds that the engine ordered.
    pub binds: u64,
    /// Times that the engine was asked to decide.
    pub cycles: u64,
    /// Planning attempts that ended in a refusal.
    pub refusals: u64,
    /// Jobs that never started, with the engine's reason for each.
    pub unplaced: Vec<Unplaced>,
}

/// A job that never started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// The job's name.
    pub job: String,
    /// The engine's word for why.
    pub reason: &'static str,
    /// The engine's sentence.
    pub message: String,
}

/// Replays `jobs`, ordered by submission, on `nodes`. `progress` hears now and then how many jobs have ended.
pub fn replay(
    jobs: &[Job],
    nodes: &[NodeFact],
    settings: Settings,
    progress: &mut dyn FnMut(usize),
) -> Replayed {
    let mut world = World::new(jobs, nodes, settings);
    let mut told = 0;
    while let Some(now) = world.next() {
        world.advance(now);
        if world.ended >= told + PROGRESS_EVERY {
            told = world.ended;
            progress(told);
        }
    }
    progress(world.ended);
    world.finish()
}

/// The state of one replay.
struct World<'a> {
    jobs: &'a [Job],
    engine: Engine,
    asks: facts::Asks,
    /// The first job that is not submitted yet.
    arriving: usize,
    /// Jobs that run, by their end.
    running: BinaryHeap<Reverse<(Time, usize)>>,
    /// Members of each job that are bound.
    bound: Vec<u64>,
    starts: Vec<Option<Time>>,
    ended: usize,
    now: Time,
    /// When the world last changed.
    changed: Time,
    held_gpus: u64,
    held: i128,
    held_until_last_submission: i128,
    gpus: u64,
    binds: u64,
    cycles: u64,
    end: Time,
}

impl<'a> World<'a> {
    fn new(jobs: &'a [Job], nodes: &[NodeFact], settings: Settings) -> Self {
        let begin = jobs.first().map_or(Time::EPOCH, |job| job.submitted);
        let mut engine = Engine::new(settings);
        for node in nodes {
            engine.observe(begin, Event::Node(Box::new(node.clone())));
        }
        engine.observe(begin, Event::Synced);
        Self {
            jobs,
            engine,
            asks: facts::Asks::default(),
            arriving: 0,
            running: BinaryHeap::new(),
            bound: vec![0; jobs.len()],
            starts: vec![None; jobs.len()],
            ended: 0,
            now: begin,
            changed: begin,
            held_gpus: 0,
            held: 0,
            held_until_last_submission: 0,
            gpus: nodes.iter().map(facts::gpus_of).sum(),
            binds: 0,
            cycles: 0,
            end: begin,
        }
    }

    /// The next instant at which something happens; `None` once nothing can.
    fn next(&self) -> Option<Time> {
        let arrival = self.jobs.get(self.arriving).map(|job| job.submitted);
        let ending = self.running.peek().map(|Reverse((end, _))| *end);
        let wakeup = self.engine.wakeup().map(|(time, _)| time.max(self.now));
        let nothing_to_come = arrival.is_none() && ending.is_none();
        let wakeup = wakeup.filter(|time| !nothing_to_come || *time - self.changed <= PATIENCE);
        [arrival, ending, wakeup].into_iter().flatten().min()
    }

    /// Goes to `now`: jobs end, jobs arrive, then the engine decides until it has no more to do at this instant.
    fn advance(&mut self, now: Time) {
        self.account(now);
        while let Some(Reverse((end, index))) = self.running.peek().copied() {
            if end > now {
                break;
            }
            self.running.pop();
            self.end_job(index);
        }
        while let Some(job) = self.jobs.get(self.arriving).filter(|job| job.submitted <= now) {
            for event in facts::arrival(&mut self.asks, job, self.arriving) {
                self.engine.observe(now, event);
            }
            self.arriving += 1;
            self.changed = now;
        }
        self.decide();
    }

    /// Adds what was held since the last instant.
    fn account(&mut self, now: Time) {
        let held = i128::from(self.held_gpus) * i128::from((now - self.now).0);
        self.held += held;
        if self.arriving < self.jobs.len() {
            self.held_until_last_submission += held;
        }
        self.now = now;
    }

    fn end_job(&mut self, index: usize) {
        let job = &self.jobs[index];
        for event in facts::departure(job, index) {
            self.engine.observe(self.now, event);
        }
        self.held_gpus -= job.gpus();
        self.ended += 1;
        self.changed = self.now;
        self.end = self.end.max(self.now);
    }

    fn decide(&mut self) {
        for _ in 0..CYCLES_PER_INSTANT_MAX {
            let cycle = self.engine.decide(self.now);
            self.cycles += 1;
            for order in cycle.orders {
                let outcome = order.action.granted(self.cycles);
                let Action::Bind { pod, node, .. } = order.action else {
                    self.engine.observe(self.now, Event::Settled { order: order.id, outcome });
                    continue;
                };
                let member = Member::of_uid(&pod.uid);
                let job = &self.jobs[member.job];
                let settled = Event::Settled { order: order.id, outcome };
                self.engine.observe(self.now, settled);
                let fact = facts::bound(&mut self.asks, job, member, node);
                self.engine.observe(self.now, Event::Pod(Box::new(fact)));
                self.bind(member);
            }
            if self.engine.wakeup().is_none_or(|(time, _)| time > self.now) {
                return;
            }
        }
        panic!("the engine asked for {CYCLES_PER_INSTANT_MAX} cycles at one instant");
    }

    /// Counts a bound member; the last one starts its job.
    fn bind(&mut self, member: Member) {
        let job = &self.jobs[member.job];
        self.binds += 1;
        self.changed = self.now;
        self.bound[member.job] += 1;
        self.held_gpus += u64::from(member.role(job).gpus_per_pod);
        assert!(self.held_gpus <= self.gpus, "{}: more GPUs are held than there are", job.name);
        if self.bound[member.job] == job.pods() {
            self.starts[member.job] = Some(self.now);
            self.running.push(Reverse((self.now + job.duration, member.job)));
        }
    }

    fn finish(self) -> Replayed {
        let unplaced = self.engine.waiting(self.now).into_iter().map(|waiting| Unplaced {
            job: waiting.gang.to_string(),
            reason: waiting.reason.as_str(),
            message: waiting.message,
        });
        Replayed {
            unplaced: unplaced.collect(),
            refusals: self.engine.counters().refused,
            begin: self.jobs.first().map_or(Time::EPOCH, |job| job.submitted),
            starts: self.starts,
            gpus: self.gpus,
            held_until_last_submission: self.held_until_last_submission,
            held: self.held,
            end: self.end,
            binds: self.binds,
            cycles: self.cycles,
        }
    }
}
