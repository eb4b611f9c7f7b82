//! A whole cluster in virtual time: the in-memory API, every node's kubelet, and the production scheduler.
//!
//! ```text
//!  input, script ──▶ API ──watch──▶ kubelets ──writes──▶ API
//!                     └────watch──▶ translate ──facts──▶ engine ──orders──▶ API ──outcomes──▶ engine
//! ```
//!
//! Time stands still while anything can happen and then leaps to the next arrival, kubelet timer, or wake-up of
//! the engine. One loop, one thread; no clock, no chance: the same input gives the same bytes.
//! Invariant: all arrivals of an instant are known to the engine before its first decision of that instant.

pub mod chronicle;
mod deliveries;
mod errands;
mod load;
pub mod mishap;
mod outcome;
pub mod script;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use self::chronicle::Chronicle;
use self::deliveries::{Delivery, Subscription};
use self::errands::Errand;
use self::mishap::Mishap;
use self::script::Action;
use super::checkers::Snapshot;
use super::machinery::{ControllerMode, Machinery, Sight};
use super::manifests::error::InputError;
use super::manifests::sort::{Arriving, Input};
use super::timetable::Timetable;
use crate::apiserver::server::Server;
use crate::apiserver::store::shelf::YOUNG_MAX;
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::config::resolve::Configuration;
use crate::engine::Engine;
use crate::engine::event::Event;
use crate::engine::settings::{Settings as EngineSettings, UnnamedScheduler};
use crate::kubernetes::requests::RECORDS_PATH;
use crate::kubernetes::translate::{self, Translator};
use crate::sim::kubelet::KubeletSettings;

/// The scheduler names that simulated worlds answer to, besides pods that name none.
pub const SCHEDULER_NAMES: [&str; 4] =
    ["muster", "scheduler-plugins-scheduler", "coscheduling", "default-scheduler"];

/// More cycles than this in one instant mean that the engine does not come to rest.
const CYCLES_PER_INSTANT_MAX: usize = 1_000_000;

/// News is taken in after so many writes at the latest: what has left the history by then would have to be
/// listed anew. A write makes a few changes at most.
const WRITES_BETWEEN_NEWS: usize = YOUNG_MAX / 4;

/// So long it is tried again what nothing and nobody changes: longer than anything waits for by default.
const FRUITLESS_MAX: Span = Span::seconds(6 * 3600);

/// What may differ between worlds.
#[derive(Clone, Debug)]
pub struct WorldSettings {
    /// The engine's.
    pub engine: EngineSettings,
    /// The kubelets'.
    pub kubelet: KubeletSettings,
    /// For how long an order in doubt is tried before its outcome is told as unknown.
    pub orders_tried_for: Span,
    /// Whether the outcome of a bind is told before the watch shows the pod, or after.
    pub replies: ReplyOrder,
    /// Seeds uids.
    pub seed: u64,
}

/// Which of a bind's two traces the engine sees first. On a network either may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOrder {
    /// The reply, then the fact.
    BeforeFacts,
    /// The fact, then the reply.
    AfterFacts,
}

impl Default for WorldSettings {
    fn default() -> Self {
        Self {
            engine: EngineSettings {
                scheduler_names: SCHEDULER_NAMES.map(Into::into).to_vec(),
                unnamed_scheduler: UnnamedScheduler::Adopted,
                ..EngineSettings::default()
            },
            kubelet: KubeletSettings::virtual_time(),
            orders_tried_for: Span::seconds(60),
            replies: ReplyOrder::BeforeFacts,
            seed: 0,
        }
    }
}

impl WorldSettings {
    /// A world whose scheduler has this configuration; beside the names that it lists it answers to those that all
    /// simulated worlds answer to.
    pub fn configured(configuration: Configuration) -> Self {
        let mut settings = Self::default();
        let names = std::mem::take(&mut settings.engine.scheduler_names);
        let mut engine = configuration.engine;
        for name in names {
            if !engine.scheduler_names.contains(&name) {
                engine.scheduler_names.push(name);
            }
        }
        let unnamed_scheduler = settings.engine.unnamed_scheduler;
        settings.engine = EngineSettings { unnamed_scheduler, ..engine };
        settings
    }
}

/// Something planned for a later instant.
#[derive(Debug)]
enum Happening {
    /// An object of the input is created.
    Arrival(Box<Arriving>),
    /// The script acts.
    Act(Box<Action>),
    /// A bind whose outcome is in doubt is tried again.
    Attempt(Box<Errand>),
}

/// The world.
#[derive(Debug)]
pub struct World {
    settings: WorldSettings,
    server: Server,
    subscriptions: Vec<Subscription>,
    translator: Translator,
    engine: Engine,
    machinery: Machinery,
    agenda: Timetable<Happening>,
    chronicle: Chronicle,
    zero: Time,
    now: Time,
    /// Whether the engine was told that it has seen everything there was at the start.
    synced: bool,
    /// Workload objects' uids by namespace, kind, and name, for their pods' owner references.
    owners: BTreeMap<(String, String, String), String>,
    /// Pods to be made again as soon as their name is free.
    comebacks: BTreeMap<ObjectName, Value>,
    /// Objects made after the start, to tell those of one instant apart by age.
    latecomers: i64,
    remarks: Vec<String>,
    /// Plans that were ordered so far.
    plans: u64,
    /// The place of each gang's latest plan among them.
    plan_of: BTreeMap<ObjectName, u64>,
    /// Calls that the scheduler made.
    calls: u64,
    /// What befalls which call.
    armed: Option<(u64, Mishap)>,
    /// Whether the scheduler has ended, and no other has taken over yet.
    has_ended: bool,
}

impl World {
    /// A world in which nothing has happened yet.
    ///
    /// # Errors
    /// Everything in the input that an API server would refuse. Nothing runs then.
    pub fn new(input: Input, settings: WorldSettings) -> Result<Self, Vec<InputError>> {
        load::judge(&input, &settings)?;
        let Input { zero, mut arriving, remarks } = input;
        // Within an instant, what others refer to comes first; ages were settled by the order of the documents.
        arriving.sort_by_key(|arrival| (arrival.at, load::rank(arrival.kind)));
        let mut server = load::server(&settings, zero);
        let subscriptions = deliveries::subscribe(&mut server, settings.engine.selecting_kinds());
        let mut agenda = Timetable::new();
        let count = i64::try_from(arriving.len()).expect("fewer objects than nanoseconds");
        for arrival in arriving {
            agenda.plan(arrival.at, Happening::Arrival(Box::new(arrival)));
        }
        let translator = Translator::for_engine(&settings.engine);
        Ok(Self {
            engine: Engine::new(settings.engine.clone()),
            machinery: Machinery::new(settings.kubelet, ControllerMode::VolumesOnly),
            settings,
            server,
            subscriptions,
            translator,
            agenda,
            chronicle: Chronicle::default(),
            zero,
            now: zero,
            synced: false,
            owners: BTreeMap::new(),
            comebacks: BTreeMap::new(),
            latecomers: count,
            remarks,
            plans: 0,
            plan_of: BTreeMap::new(),
            calls: 0,
            armed: None,
            has_ended: false,
        })
    }

    /// Time 0.
    pub const fn zero(&self) -> Time {
        self.zero
    }

    /// The instant that was worked through last.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// What happened so far.
    pub const fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// What people should know about the input: left-out kinds, nodes on which nothing fits.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The engine, to be read.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Lets the script act `after` time 0.
    pub fn plan(&mut self, after: Span, action: Action) {
        self.agenda.plan(self.zero + after, Happening::Act(Box::new(action)));
    }

    /// Works through everything that happens at the next instant. `None`: nothing more can happen.
    pub fn step(&mut self) -> Option<Time> {
        let at = self.next_instant()?;
        self.now = self.now.max(at);
        while let Some((_, happening)) = self.agenda.pop_due(self.now) {
            match happening {
                Happening::Arrival(arrival) => self.arrive(*arrival),
                Happening::Act(action) => self.perform(*action),
                Happening::Attempt(errand) => self.attempt(*errand),
            }
            self.take_over();
            self.deliver();
        }
        self.come_to_rest();
        if !self.synced {
            self.synced = true;
            self.engine.observe(self.now, Event::Synced);
        }
        let mut cycles = 0;
        while self.engine.wakeup().is_some_and(|(due, _)| due <= self.now) {
            cycles += 1;
            assert!(
                cycles < CYCLES_PER_INSTANT_MAX,
                "the engine does not come to rest at {:?}",
                self.now
            );
            let cycle = self.engine.decide(self.now);
            self.carry_out(cycle);
            self.take_over();
            self.come_to_rest();
        }
        Some(self.now)
    }

    /// Works through all instants up to and including `until`; without it, until nothing more can happen, or nothing but
    /// tries that have led nowhere for [`FRUITLESS_MAX`].
    pub fn run(&mut self, until: Option<Time>) {
        while let Some(next) = self.next_instant() {
            let over = until.map_or_else(|| self.is_fruitless(next), |until| next > until);
            if over {
                return;
            }
            self.step();
        }
    }

    /// Whether only the scheduler and the provisioner still have something to do, and no pod has changed for long.
    fn is_fruitless(&self, next: Time) -> bool {
        let nobody_else = self.agenda.next().is_none() && self.machinery.pods_due().is_none();
        nobody_else && next - self.chronicle.last_change().unwrap_or(self.zero) > FRUITLESS_MAX
    }

    /// When something happens next.
    pub fn next_instant(&self) -> Option<Time> {
        let engine = self.engine.wakeup().map(|(due, _)| due);
        let next =
            self.agenda.next().into_iter().chain(self.machinery.wakeup()).chain(engine).min();
        // A world without anything still begins, and ends at once.
        let next = if self.synced { next } else { Some(next.unwrap_or(self.zero)) };
        next.map(|next| next.max(self.now))
    }

    /// The phases of all records of plans, by name.
    pub fn record_phases(&self) -> Vec<String> {
        let request = self.server.route("GET", RECORDS_PATH).expect("served from the start");
        let objects = self.server.objects(&request.resource);
        objects
            .map(|object| object.value()["spec"]["phase"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The state of the API, for the checkers.
    pub fn snapshot(&self) -> Snapshot {
        let all = |path: &str| {
            let request = self.server.route("GET", path).expect("served from the start");
            self.server.objects(&request.resource).map(|object| object.value()).collect::<Vec<_>>()
        };
        Snapshot {
            nodes: all(deliveries::NODES),
            pods: all(deliveries::PODS),
            labelled_groups: all(deliveries::LABELLED_GROUPS),
            native_groups: all(deliveries::NATIVE_GROUPS),
        }
    }

    /// Lets news and the kubelets' answers to them go round until there are none.
    fn come_to_rest(&mut self) {
        loop {
            let heard = self.deliver();
            let writes = self.machinery.act(self.now);
            let free: BTreeSet<ObjectName> = self.free_names();
            if !heard && writes.is_empty() && free.is_empty() {
                return;
            }
            for some in writes.chunks(WRITES_BETWEEN_NEWS) {
                for write in some {
                    self.write(write);
                }
                self.deliver();
            }
            for name in free {
                self.come_back(&name);
            }
        }
    }

    /// Tells everybody what the watches have to tell. True if there was anything.
    fn deliver(&mut self) -> bool {
        let mut heard = false;
        for index in 0..self.subscriptions.len() {
            let news = self.subscriptions[index].news(&mut self.server);
            heard |= !news.is_empty();
            for delivery in news {
                self.tell(&delivery);
            }
        }
        heard
    }

    /// Tells kubelets, engine, and chronicle about one object.
    fn tell(&mut self, delivery: &Delivery) {
        let (kind, object) = (delivery.kind, &*delivery.object.value());
        let sight = if delivery.gone { Sight::Gone(object) } else { Sight::Present(object) };
        if let Some(kind) = delivery.machinery_kind() {
            self.machinery.observe(self.now, kind, sight);
        }
        match (kind, delivery.gone) {
            (translate::Kind::Pod, false) => self.chronicle.pod(self.now, object),
            (translate::Kind::Pod, true) => self.chronicle.pod_gone(self.now, object),
            (translate::Kind::Group(source), false) => {
                self.chronicle.group(self.now, source, object)
            }
            (translate::Kind::Group(source), true) => self.chronicle.group_gone(source, object),
            (
                translate::Kind::Node
                | translate::Kind::Namespace
                | translate::Kind::Record
                | translate::Kind::Storage(_)
                | translate::Kind::Selecting(_)
                | translate::Kind::DeviceClass,
                _,
            ) => {}
        }
        let translated = match delivery.gone {
            true => self.translator.deleted(kind, object),
            false => self.translator.applied(kind, object),
        };
        for event in translated.events {
            self.engine.observe(self.now, event);
        }
        if let Some(complaint) = translated.complaint
            && !self.remarks.contains(&complaint)
        {
            self.remarks.push(complaint);
        }
    }
}
