//! The one task that owns the engine: takes in what watches and binds report, lets the engine decide, and hands
//! orders and notices on. Many observes, one decide. Decides nothing itself.
//! Invariants: nothing is decided before every kind was listed; what is older than what is known is never told;
//! notices wait while binds do.

mod checks;
mod fault;
mod kinds;
mod report;
mod surroundings;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;
use tracing::info;
use tracing::warn;

pub use self::fault::Fault;
pub use self::report::Question;
pub use self::report::Report;
pub use self::surroundings::Surroundings;

use self::kinds::all_kinds;
use self::kinds::first_kinds;
use self::kinds::identity;

use super::apis::GroupApis;
use super::clock::Clock;
use super::durations::Durations;
use super::execute::Settled;
use super::noticeboard::Again;
use super::noticeboard::Noticeboard;
use super::noticeboard::Posting;
use super::noticeboard::StateKey;
use super::pace::Pace;
use super::recount::Check;
use super::requests::NativeVersion;
use super::traffic::Traffic;
use super::translate::Kind;
use super::translate::Translated;
use super::translate::Translator;
use super::translate::objects::Condition;
use super::views::Freshness;
use super::views::Origin;
use super::views::View;
use super::watch::Message;
use super::watch::Object;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::GroupSource;
use crate::cluster::storage::Sight;
use crate::cluster::storage::facts::StorageKind;
use crate::engine::Engine;
use crate::engine::WakeReason;
use crate::engine::event::Event;
use crate::engine::event::Outcome;
use crate::engine::order::Action;
use crate::engine::order::Notice;
use crate::engine::order::Order;
use crate::engine::order::OrderId;

/// Messages taken in before the engine decides again.
const MESSAGES_PER_TURN: usize = 2048;

/// The other ends of the driver's channels.
#[derive(Debug)]
pub struct Channels {
    /// From the watches.
    pub messages: mpsc::Receiver<Message>,
    /// To the executor.
    pub orders: mpsc::UnboundedSender<Order>,
    /// From the executor.
    pub settled: mpsc::UnboundedReceiver<Settled>,
    /// To the writer of notices.
    pub postings: mpsc::Sender<Posting>,
    /// From the writer of notices, after each write.
    pub posted: mpsc::UnboundedReceiver<Posted>,
    /// From people.
    pub questions: mpsc::Receiver<Question>,
    /// From the recount.
    pub checks: mpsc::Receiver<Check>,
    /// Says, once, that this process leads and has caught up with what was written before.
    pub leads: Option<oneshot::Receiver<()>>,
    /// The name of the lease, where there is an election.
    pub lease: Option<Name>,
    /// How many requests the executor keeps under way; for the report.
    pub pace: Arc<Pace>,
    /// What is said about what is wrong around this process.
    pub surroundings: Surroundings,
}

/// A notice has been written, or not: there is room for the next.
#[derive(Debug)]
pub struct Posted {
    /// For a state: which, and the notice again where it is to be tried once more.
    pub state: Option<(StateKey, Option<(Notice, Again)>)>,
}

/// The driver.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    translator: Translator,
    clock: Clock,
    views: BTreeMap<Kind, View>,
    /// Kinds whose first list is not complete. `None` until it is known which kinds there are.
    unlisted: Option<BTreeSet<Kind>>,
    /// Whether this process may decide; until then it only knows.
    leads: bool,
    lease: Option<Name>,
    synced: bool,
    native: NativeVersion,
    board: Noticeboard,
    /// Pods that are being bound, by order.
    binding: HashMap<OrderId, Name>,
    /// What was last said about each node that cannot be used as it stands.
    complaints: BTreeMap<ObjectName, String>,
    notices_under_way: usize,
    /// Binds that may be under way while notices are written.
    binds_beside_notices: usize,
    channels: Channels,
    traffic: Arc<Traffic>,
    cycles: Durations,
    scheduling: Durations,
}

impl Driver {
    /// A driver that knows nothing yet.
    pub fn new(
        engine: Engine,
        board: Noticeboard,
        clock: Clock,
        channels: Channels,
        traffic: Arc<Traffic>,
    ) -> Self {
        let lease = channels.lease.clone();
        let translator = Translator::for_engine(engine.settings());
        Self {
            engine,
            translator,
            clock,
            views: all_kinds().map(|kind| (kind, View::default())).collect(),
            unlisted: None,
            leads: false,
            lease,
            synced: false,
            native: NativeVersion::V1Beta1,
            board,
            binding: HashMap::new(),
            complaints: BTreeMap::new(),
            notices_under_way: 0,
            binds_beside_notices: 4,
            channels,
            traffic,
            cycles: Durations::new(Span::milliseconds(1)),
            scheduling: Durations::new(Span::milliseconds(10)),
        }
    }

    /// Runs until `stop` says so. Binds that are under way are the executor's to finish.
    ///
    /// # Errors
    /// When what is believed can no longer be trusted.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Result<(), Fault> {
        let mut inbox = Vec::with_capacity(MESSAGES_PER_TURN);
        loop {
            let wakeup = self.wakeup();
            tokio::select! {
                biased;
                _ = &mut stop => return Ok(()),
                Some(settled) = self.channels.settled.recv() => self.settle(settled),
                Some(question) = self.channels.questions.recv() => self.answer(question),
                () = elected(&mut self.channels.leads) => self.lead(),
                Some(check) = self.channels.checks.recv() => self.check(check)?,
                Some(posted) = self.channels.posted.recv() => self.note_posted(posted),
                received = self.channels.messages.recv_many(&mut inbox, MESSAGES_PER_TURN) => {
                    if received == 0 {
                        return Err(Fault::TaskEnded);
                    }
                }
                () = tokio::time::sleep_until(wakeup) => {}
            }
            while let Ok(settled) = self.channels.settled.try_recv() {
                self.settle(settled);
            }
            while let Ok(posted) = self.channels.posted.try_recv() {
                self.note_posted(posted);
            }
            while inbox.len() < MESSAGES_PER_TURN
                && let Ok(message) = self.channels.messages.try_recv()
            {
                inbox.push(message);
            }
            for message in inbox.drain(..) {
                self.take(message)?;
            }
            self.decide();
            self.post_notices();
        }
    }

    /// When the engine wants to be called, in the time of the runtime.
    fn wakeup(&self) -> Instant {
        let due = self.engine.wakeup().map(|(due, _)| due);
        // A rest that is over and finds no room is looked at again as soon as there is some.
        let rest = self.board.rest_ends().filter(|until| *until > self.clock.now());
        let due = due.into_iter().chain(rest).min();
        self.clock.instant(due.unwrap_or(Time::FAR_FUTURE))
    }

    fn decide(&mut self) {
        let now = self.clock.now();
        if !self.synced || self.engine.wakeup().is_none_or(|(due, _)| due > now) {
            return;
        }
        let cycle = self.engine.decide(now);
        self.cycles.count(self.clock.now() - now);
        if !cycle.orders.is_empty() {
            debug!(orders = cycle.orders.len(), "cycle");
        }
        for order in cycle.orders {
            if let Action::Bind { pod, .. } = &order.action {
                self.binding.insert(order.id, pod.uid.clone());
            }
            // The executor ends only after this sender.
            let _ = self.channels.orders.send(order);
        }
        for notice in cycle.notices {
            self.board.post(notice);
        }
    }

    /// Hands notices on while binds leave room for them.
    fn post_notices(&mut self) {
        while self.binding.len() <= self.binds_beside_notices
            && self.board.is_ready(self.clock.now())
        {
            let Ok(permit) = self.channels.postings.try_reserve() else { break };
            let pods = self.views.get_mut(&Kind::Pod).expect("every kind has a view");
            match self.board.take(self.clock.now(), pods, self.native) {
                Some(posting) => {
                    self.notices_under_way += 1;
                    permit.send(posting);
                }
                None => break,
            }
        }
        let dropped = self.board.dropped();
        self.traffic.count(|counts| counts.notices_dropped = dropped);
    }

    fn note_posted(&mut self, posted: Posted) {
        self.notices_under_way -= 1;
        if let Some((key, again)) = posted.state {
            self.board.settled(key, again, self.clock.now());
        }
    }

    fn settle(&mut self, settled: Settled) {
        let now = self.clock.now();
        if let Some(uid) = self.binding.remove(&settled.order)
            && settled.outcome == Outcome::Done
        {
            self.board.withdraw_pod(&uid);
            if let Some(known) = self.views[&Kind::Pod].get(&uid) {
                self.scheduling.count(now - known.seen);
            }
        }
        self.engine.observe(now, Event::Settled { order: settled.order, outcome: settled.outcome });
    }

    fn answer(&mut self, question: Question) {
        // Whoever asked may have gone away meanwhile.
        match question {
            Question::Explain(name, reply) => {
                let _ = reply.send(self.engine.explain(self.clock.now(), &name));
            }
            Question::Report(reply) => {
                let _ = reply.send(self.report());
            }
            Question::Waiting(reply) => {
                let _ = reply.send(self.engine.waiting(self.clock.now()));
            }
        }
    }

    fn report(&self) -> Report {
        let groups = [GroupSource::Coscheduling, GroupSource::Native];
        Report {
            listed: self.is_listed(),
            synced: self.synced,
            leads: self.leads,
            lease: self.lease.clone(),
            engine: self.engine.counters().clone(),
            traffic: self.traffic.counts(),
            waiting: self.engine.gangs_waiting(),
            nodes: self.views[&Kind::Node].len(),
            pods: self.views[&Kind::Pod].len(),
            groups: groups.into_iter().map(|source| self.views[&Kind::Group(source)].len()).sum(),
            orders_under_way: self.binding.len(),
            write_window: self.channels.pace.window(),
            notices_waiting: self.board.len() + self.notices_under_way,
            calendar_offset: self.clock.calendar_offset(),
            work_is_due: self.work_is_due(),
            cycles: self.cycles.clone(),
            scheduling: self.scheduling.clone(),
        }
    }

    fn work_is_due(&self) -> bool {
        self.engine.wakeup().is_some_and(|(due, reason)| match reason {
            WakeReason::MoreWork
            | WakeReason::BackoffEnds
            | WakeReason::DoubtDue
            | WakeReason::CallDue => true,
            // First words come within a second; what comes later only repeats them.
            WakeReason::NoticeDue => due < self.clock.now() + Span::seconds(2),
            WakeReason::RepairDue
            | WakeReason::QuarantineEnds
            | WakeReason::RecordIdle
            | WakeReason::Overtaking => false,
        })
    }

    fn take(&mut self, message: Message) -> Result<(), Fault> {
        match message {
            Message::Served(apis) => self.served(apis),
            Message::LookedAround => self.tell_surroundings(),
            Message::Began(kind) => self.view(kind).begin(),
            Message::Listed(object) => self.applied(object, Origin::List)?,
            Message::Applied(object) => self.applied(object, Origin::Watch)?,
            Message::Deleted(object) => self.deleted(&object),
            Message::Ended(kind) => self.ended(kind),
            Message::Denied(kind) => self.denied(kind),
        }
        Ok(())
    }

    fn view(&mut self, kind: Kind) -> &mut View {
        self.views.get_mut(&kind).expect("every kind has a view")
    }

    /// Learns which PodGroup APIs there are, and forgets the objects of those that are gone.
    fn served(&mut self, apis: GroupApis) {
        if let Some(native) = apis.native {
            self.native = native;
        }
        let served = [
            (Kind::Group(GroupSource::Coscheduling), apis.coscheduling),
            (Kind::Group(GroupSource::Native), apis.native.is_some()),
            (Kind::Record, apis.records),
        ];
        for (kind, _) in served.iter().filter(|(_, served)| !served) {
            let gone = self.view(*kind).clear();
            self.tell_gone(*kind, gone);
        }
        if !apis.device_classes {
            let gone = self.view(Kind::DeviceClass).clear();
            self.tell_gone(Kind::DeviceClass, gone);
        }
        let mut unlisted =
            self.unlisted.take().unwrap_or_else(|| first_kinds(self.engine.settings()));
        if !self.synced {
            for (kind, served) in served {
                if served && self.view(kind).is_empty() {
                    unlisted.insert(kind);
                } else if !served {
                    unlisted.remove(&kind);
                }
            }
        }
        self.unlisted = Some(unlisted);
        self.check_synced();
    }

    fn applied(&mut self, object: Object, origin: Origin) -> Result<(), Fault> {
        let (kind, metadata) = identity(&object);
        let version = metadata.resource_version.parse().unwrap_or(0);
        match self.view(kind).judge(&metadata.uid, version, origin) {
            Freshness::New => {}
            Freshness::Stale => {
                self.traffic.count(|counts| counts.stale_objects += 1);
                return Ok(());
            }
            Freshness::WentBack => {
                let name = ObjectName::new(&metadata.namespace, &metadata.name);
                return Err(Fault::WentBack { kind, name });
            }
        }
        let translated = self.translate(&object);
        self.remember(kind, &object, &translated, version);
        self.tell(translated);
        Ok(())
    }

    fn translate(&mut self, object: &Object) -> Translated {
        match object {
            Object::Pod(read) => self.translator.pod(read),
            Object::Node(read) => self.translator.node(read),
            Object::Group(source, read) => self.translator.group(read, *source),
            Object::Record(read) => self.translator.record(read),
            Object::Namespace(read) => self.translator.namespace(read),
            Object::Storage(kind, read) => self.translator.storage(read, *kind),
            Object::Selecting(kind, read) => self.translator.selecting(read, *kind),
            Object::DeviceClass(read) => self.translator.device_class(read),
        }
    }

    /// Remembers who was told, sharing the names of the fact.
    fn remember(&mut self, kind: Kind, object: &Object, translated: &Translated, version: u64) {
        let now = self.clock.now();
        let (_, metadata) = identity(object);
        let mut scheduler = None;
        let (name, uid) = match translated.events.last() {
            Some(Event::Pod(fact)) => {
                scheduler = Some(fact.scheduler.clone());
                (fact.name.clone(), fact.uid.clone())
            }
            Some(Event::Group(fact)) => (fact.name.name.clone(), fact.uid.clone()),
            Some(Event::Record(fact)) => (fact.name.clone(), fact.uid.clone()),
            Some(Event::Storage(fact)) => (fact.name(), fact.uid().clone()),
            Some(Event::Selecting(fact)) => (fact.name.clone(), fact.uid.clone()),
            Some(Event::Node(fact)) => {
                (ObjectName { namespace: "".into(), name: fact.name.clone() }, fact.uid.clone())
            }
            Some(Event::Namespace(fact)) => {
                (ObjectName { namespace: "".into(), name: fact.name.clone() }, fact.uid.clone())
            }
            Some(Event::DeviceClass(fact)) => {
                (ObjectName { namespace: "".into(), name: fact.name.clone() }, fact.uid.clone())
            }
            Some(
                Event::PodGone { .. }
                | Event::GroupGone { .. }
                | Event::RecordGone { .. }
                | Event::StorageGone { .. }
                | Event::StorageSight { .. }
                | Event::SelectingGone { .. }
                | Event::DeviceClassGone { .. }
                | Event::NodeGone(_)
                | Event::NamespaceGone(_)
                | Event::Settled { .. }
                | Event::Synced,
            )
            | None => return,
        };
        if matches!(kind, Kind::Node | Kind::Storage(_) | Kind::Selecting(_) | Kind::DeviceClass) {
            self.complain(&name, translated.complaint.as_deref());
        }
        let known = self.view(kind).remember(&uid, &name, version, now);
        if let Object::Pod(read) = object {
            known.generation = metadata.generation;
            known.scheduler = scheduler;
            known.said_to_wait = read.object.status.conditions.iter().any(says_waiting);
            if read.object.spec.node_name.as_deref().is_some_and(|node| !node.is_empty()) {
                self.board.withdraw_pod(&uid);
            }
        }
    }

    /// Logs what is wrong with a node, once for each change of it: nodes report themselves every few seconds.
    fn complain(&mut self, node: &ObjectName, complaint: Option<&str>) {
        match complaint {
            None => {
                self.complaints.remove(node);
            }
            Some(text) if self.complaints.get(node).is_some_and(|said| said == text) => {}
            Some(text) => {
                warn!(node = %node, "{text}");
                self.complaints.insert(node.clone(), text.to_owned());
            }
        }
    }

    fn deleted(&mut self, object: &Object) {
        let (kind, metadata) = identity(object);
        if self.view(kind).forget(&metadata.uid) {
            let name = ObjectName::new(&metadata.namespace, &metadata.name);
            self.tell_gone(kind, vec![(name, metadata.uid.as_str().into())]);
        }
    }

    fn ended(&mut self, kind: Kind) {
        let gone = self.view(kind).end();
        self.tell_gone(kind, gone);
        if let Kind::Storage(kind) = kind {
            let event = Event::StorageSight { kind, sight: Sight::Shown };
            self.engine.observe(self.clock.now(), event);
        }
        if let Some(unlisted) = &mut self.unlisted {
            unlisted.remove(&kind);
        }
        self.check_synced();
    }

    /// A kind of storage cannot be listed: pods with volumes are refused by name, and all others are placed.
    fn denied(&mut self, kind: StorageKind) {
        let known = self.unlisted.as_mut().is_some_and(|kinds| kinds.remove(&Kind::Storage(kind)));
        let event = Event::StorageSight { kind, sight: Sight::Hidden };
        self.engine.observe(self.clock.now(), event);
        if known {
            warn!(
                kind = kind.plural(),
                "cannot be listed: pods with volumes are not scheduled until it can; the rights are in deploy/rbac"
            );
        }
        self.check_synced();
    }

    /// Whether every kind was listed.
    fn is_listed(&self) -> bool {
        self.unlisted.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// This process leads, and has caught up.
    fn lead(&mut self) {
        self.leads = true;
        self.check_synced();
    }

    fn check_synced(&mut self) {
        if self.synced || !self.leads || !self.is_listed() {
            return;
        }
        self.synced = true;
        let report = self.report();
        info!(
            nodes = report.nodes,
            pods = report.pods,
            groups = report.groups,
            "everything is listed; deciding begins"
        );
        self.engine.observe(self.clock.now(), Event::Synced);
    }

    fn tell(&mut self, translated: Translated) {
        let now = self.clock.now();
        for event in translated.events {
            self.engine.observe(now, event);
        }
    }

    fn tell_gone(&mut self, kind: Kind, mut gone: Vec<(ObjectName, Name)>) {
        if matches!(kind, Kind::Node | Kind::Namespace) {
            // These are known by their names alone: one that was made again under the same name is not gone.
            let taken = self.view(kind).taken(&gone);
            gone.retain(|(name, _)| !taken.contains(name));
        }
        for (name, uid) in gone {
            self.complaints.remove(&name);
            self.board.withdraw_pod(&uid);
            let events = self.translator.gone(kind, &name, &uid);
            self.tell(Translated { events, complaint: None });
        }
    }
}

/// Ends once this process leads, and only then.
async fn elected(leads: &mut Option<oneshot::Receiver<()>>) {
    let word = match leads {
        Some(receiver) => receiver.await,
        None => std::future::pending().await,
    };
    *leads = None;
    if word.is_err() {
        std::future::pending().await
    }
}

fn says_waiting(condition: &Condition) -> bool {
    condition.kind == "PodScheduled" && condition.status == "False"
}
