//! The tasks of the rim put together: watches, driver, executor, writer of notices. Started and stopped here.
//! Tasks speak through channels only; the engine belongs to the driver alone.
//! Invariants: watches of an API that is gone end before the driver hears of it, so nothing old follows.
//! Stopping ends the decisions first, and then waits for the binds under way, a few seconds at most.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;
use tracing::info;
use tracing::warn;

use super::apis::GroupApis;
use super::apis::of_kind;
use super::apis::other_versions;
use super::barrier::elect;
use super::clients::Clients;
use super::clock::Clock;
use super::driver::Channels;
use super::driver::Driver;
use super::driver::Fault;
use super::driver::Posted;
use super::driver::Question;
use super::driver::Surroundings;
use super::execute::Executor;
use super::execute::Wire;
use super::lease::candidate::Candidate;
use super::lease::election::Times;
use super::lease::line;
use super::lease::line::Lines;
use super::lease::record::Tenant;
use super::lease::tenure::Tenure;
use super::noticeboard::Again;
use super::noticeboard::Noticeboard;
use super::noticeboard::Posting;
use super::noticeboard::StateKey;
use super::pace::Pace;
use super::recount::Check;
use super::recount::Recount;
use super::recount::coscheduling_object;
use super::recount::native_object;
use super::requests::Lease;
use super::requests::NativeVersion;
use super::requests::Reply;
use super::requests::Reporter;
use super::requests::Writer;
use super::traffic::Purpose;
use super::traffic::Traffic;
use super::translate::Kind;
use super::translate::objects::GroupObject;
use super::warmth;
use super::watch::Message;
use super::watch::Object;
use super::watch::Watch;
use super::watch::Watched;
use super::watch::selecting_object;
use super::watch::storage_object;
use super::watch_line;
use crate::base::names::Name;
use crate::base::time::Span;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::SelectingKind;
use crate::cluster::storage::facts::StorageKind;
use crate::config::rim::ElectionSettings;
use crate::config::rim::KubernetesSettings;
use crate::engine::Engine;
use crate::engine::settings::Settings;

/// Messages of watches that may wait for the driver.
const MESSAGES_WAITING: usize = 4096;

/// Notices that are written at once.
const NOTICES_CONCURRENT: usize = 16;

/// Pause before a word that was overtaken by a change of its object is tried again.
const CATCHING_UP: Duration = Duration::from_millis(200);

/// How often it is asked which PodGroup APIs there are, while one is missing.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(10);

/// How long binds that are under way may take to finish once the process is told to end.
const FINISHING_TIME_MAX: Duration = Duration::from_millis(4000);

/// What the rim needs.
pub struct Rim {
    /// For reads and writes.
    pub clients: Clients,
    /// What time it is.
    pub clock: Clock,
    /// Limits of the traffic.
    pub traffic: KubernetesSettings,
    /// The engine's settings.
    pub engine: Settings,
    /// Who reports events.
    pub reporter: Reporter,
    /// How it stands for election; without, it decides as soon as everything is listed.
    pub candidacy: Option<Candidacy>,
}

/// How a process stands for election.
pub struct Candidacy {
    /// Unique to this process.
    pub identity: Name,
    /// Where it will hold the line for others, and the address that they reach it by.
    pub line: Option<(TcpListener, String)>,
    /// How it hears that a leader's process is gone.
    pub lines: Lines,
}

impl std::fmt::Debug for Rim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rim").field("reporter", &self.reporter).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Candidacy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidacy").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// A rim at work.
#[derive(Debug)]
pub struct Running {
    /// Where people ask.
    pub questions: mpsc::Sender<Question>,
    stop: Option<oneshot::Sender<()>>,
    /// Tells the executor to begin nothing more.
    stop_orders: Option<oneshot::Sender<()>>,
    give_up: Option<oneshot::Sender<()>>,
    driver: JoinHandle<Result<(), Fault>>,
    executor: JoinHandle<()>,
    election: JoinHandle<Result<(), Fault>>,
    others: JoinSet<()>,
}

impl Rim {
    /// Starts all tasks on the current runtime.
    pub fn start(self) -> Running {
        let traffic = Arc::new(Traffic::default());
        let clock = self.clock;
        let (message_sender, messages) = mpsc::channel(MESSAGES_WAITING);
        let (order_sender, orders) = mpsc::unbounded_channel();
        let (settled_sender, settled) = mpsc::unbounded_channel();
        let (posting_sender, postings) = mpsc::channel(NOTICES_CONCURRENT);
        let (posted_sender, posted) = mpsc::unbounded_channel();
        let (question_sender, questions) = mpsc::channel(16);
        let (check_sender, checks) = mpsc::channel(1);
        let (stop_sender, stop) = oneshot::channel();
        let (stop_orders_sender, stop_orders) = oneshot::channel();
        let (give_up, given_up) = oneshot::channel();
        let (lead, leads) = oneshot::channel();

        let tenure = Arc::new(match self.candidacy {
            Some(_) => Tenure::awaited(),
            None => Tenure::forever(),
        });
        let wire =
            Wire::new(self.clients.writes.clone(), self.limits(), Arc::clone(&traffic), clock)
                .while_holds(Arc::clone(&tenure));
        let recount = self.recount(&wire, check_sender, &traffic);
        let watches = self.watches(&wire, message_sender, &traffic);
        let executor = self.executor(&wire, watches.native.subscribe());
        let channels = Channels {
            messages,
            orders: order_sender,
            settled,
            postings: posting_sender,
            posted,
            questions,
            checks,
            leads: Some(leads),
            lease: self.candidacy.as_ref().map(|_| self.traffic.election.lease.name.clone()),
            pace: Arc::clone(&executor.pace),
            surroundings: Surroundings::new(&tenure, &self.traffic.election.lease),
        };
        let reporter = self.engine.notices.with_events().then(|| self.reporter.clone());
        let board = Noticeboard::new(self.reporter.clone());
        let engine = Engine::new(self.engine.clone());
        let driver = Driver::new(engine, board, clock, channels, Arc::clone(&traffic));

        let mut others = JoinSet::new();
        others.spawn(watches.run());
        others.spawn(recount.clone().run());
        others.spawn(warmth::keep(wire.clone(), executor.pace.window()));
        others.spawn(write_notices(wire, postings, posted_sender));
        let election = match self.candidacy {
            Some(candidacy) => {
                // A renewal that took longer than a write may take has failed.
                let limit = duration(self.traffic.write_timeout);
                let wire = Wire::new(self.clients.lease, (limit, limit), traffic, clock);
                let settings = &self.traffic.election;
                let candidate = candidacy.stand(wire, settings, tenure, reporter, &mut others);
                tokio::spawn(elect(candidate, recount, lead, given_up))
            }
            None => tokio::spawn(stand_alone(lead, given_up)),
        };
        Running {
            questions: question_sender,
            stop: Some(stop_sender),
            stop_orders: Some(stop_orders_sender),
            give_up: Some(give_up),
            driver: tokio::spawn(driver.run(stop)),
            executor: tokio::spawn(executor.run(orders, settled_sender, stop_orders)),
            election,
            others,
        }
    }

    /// Limits of a write and of a read.
    fn limits(&self) -> (Duration, Duration) {
        (duration(self.traffic.write_timeout), duration(self.traffic.read_timeout))
    }

    fn recount(&self, wire: &Wire, checks: mpsc::Sender<Check>, traffic: &Arc<Traffic>) -> Recount {
        let (_, page_limit) = self.limits();
        Recount {
            client: self.clients.watches.clone(),
            warm: self.clients.writes.clone(),
            wire: wire.clone(),
            checks,
            period: duration(self.traffic.recount_period),
            // By then a watch on a dead link has been renewed.
            grace: duration(self.traffic.watch_timeout) + 2 * page_limit,
            page_limit,
            selecting: self.engine.selecting_kinds(),
            traffic: Arc::clone(traffic),
        }
    }

    fn watches(
        &self,
        wire: &Wire,
        messages: mpsc::Sender<Message>,
        traffic: &Arc<Traffic>,
    ) -> Watches {
        let (_, page_limit) = self.limits();
        Watches {
            client: self.clients.watches.clone(),
            wire: wire.clone(),
            timeout: duration(self.traffic.watch_timeout),
            page_limit,
            messages,
            selecting: self.engine.selecting_kinds(),
            native: watch::Sender::new(NativeVersion::V1Beta1),
            traffic: Arc::clone(traffic),
        }
    }

    fn executor(&self, wire: &Wire, native: watch::Receiver<NativeVersion>) -> Executor {
        let concurrent = self.traffic.binds_concurrent_max;
        let identity = match &self.candidacy {
            Some(candidacy) => candidacy.identity.clone(),
            None => self.reporter.instance.clone(),
        };
        let lease = self.candidacy.as_ref().map(|candidacy| Lease {
            name: self.traffic.election.lease.clone(),
            holder: candidacy.identity.clone(),
        });
        Executor {
            wire: wire.clone(),
            writer: Writer { native: NativeVersion::V1Beta1, identity, lease },
            native,
            pace: Arc::new(Pace::new(concurrent)),
            concurrent,
        }
    }
}

impl Candidacy {
    /// Holds the line from now on, and stands for election with what it takes.
    fn stand(
        self,
        wire: Wire,
        settings: &ElectionSettings,
        tenure: Arc<Tenure>,
        reporter: Option<Reporter>,
        others: &mut JoinSet<()>,
    ) -> Candidate {
        let address = self.line.as_ref().map(|(_, address)| address.clone());
        if let Some((listener, _)) = self.line {
            others.spawn(line::serve(listener, self.identity.clone()));
        }
        Candidate {
            clock: wire.clock(),
            wire,
            lease: settings.lease.clone(),
            tenant: Tenant {
                identity: self.identity,
                line: address,
                duration: settings.lease_duration,
            },
            times: Times {
                lease_duration: settings.lease_duration,
                renew_deadline: settings.renew_deadline,
                retry_period: settings.retry_period,
            },
            lines: self.lines,
            tenure,
            reporter,
        }
    }
}

/// Nobody else can lead: decides from the start, and has nothing to give up.
async fn stand_alone(
    lead: oneshot::Sender<()>,
    given_up: oneshot::Receiver<()>,
) -> Result<(), Fault> {
    // The driver waits for this word on the other end.
    let _ = lead.send(());
    let _ = given_up.await;
    Ok(())
}

impl Running {
    /// Waits until something of it ends by itself, which it does only for a fault. Ends with it what must not go on.
    pub async fn failed(&mut self) -> Fault {
        let ended = tokio::select! {
            biased;
            ended = &mut self.driver => ended,
            ended = &mut self.election => {
                // Whoever leads now must not find our writes among its own.
                self.executor.abort();
                ended
            }
        };
        match ended {
            Ok(Err(fault)) => fault,
            Ok(Ok(())) | Err(_) => Fault::TaskEnded,
        }
    }

    /// Ends all tasks at once, in the middle of whatever they do, as a killed process does.
    pub fn abort(mut self) {
        self.driver.abort();
        self.executor.abort();
        self.election.abort();
        self.others.abort_all();
    }

    /// Stops deciding, lets binds that are under way finish for a few seconds, gives leadership up, and ends all tasks.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // A driver that has ended already needs no word.
            let _ = stop.send(());
        }
        if !self.driver.is_finished() {
            let _ = (&mut self.driver).await;
        }
        if let Some(stop) = self.stop_orders.take() {
            // An executor that has ended already needs no word either.
            let _ = stop.send(());
        }
        // What waits for its turn is a successor's to bind, at once; only what was sent is waited for.
        match tokio::time::timeout(FINISHING_TIME_MAX, &mut self.executor).await {
            Ok(Ok(())) => info!("stopped; no bind is under way"),
            Ok(Err(_)) => info!("stopped; what was under way was given up"),
            Err(_) => {
                warn!(
                    "stopped with binds under way; their pods tell the next start what became of them"
                );
                self.executor.abort();
            }
        }
        if let Some(give_up) = self.give_up.take() {
            let _ = give_up.send(());
        }
        // Bounded by the limit of its one write.
        if !self.election.is_finished() {
            let _ = (&mut self.election).await;
        }
        self.others.shutdown().await;
    }
}

/// The watches, of which those of PodGroups come and go with their APIs.
struct Watches {
    client: Client,
    wire: Wire,
    timeout: Duration,
    /// Of one page of a list, and of the start of a watch.
    page_limit: Duration,
    messages: mpsc::Sender<Message>,
    /// The kinds that select pods of which the engine has to know.
    selecting: &'static [SelectingKind],
    /// Told to whoever writes to native PodGroups.
    native: watch::Sender<NativeVersion>,
    traffic: Arc<Traffic>,
}

impl Watches {
    async fn run(self) {
        let mut tasks = JoinSet::new();
        let mut apis = self.discover().await;
        if self.messages.send(Message::Served(apis)).await.is_err() {
            return;
        }
        let nodes = Api::all_with(self.line(Kind::Node), &of_kind(Kind::Node, apis));
        tasks.spawn(self.watch(Kind::Node).run(nodes, Object::Node));
        let namespaces = Api::all_with(self.line(Kind::Namespace), &of_kind(Kind::Namespace, apis));
        tasks.spawn(self.watch(Kind::Namespace).run(namespaces, Object::Namespace));
        let pods = Api::all_with(self.line(Kind::Pod), &of_kind(Kind::Pod, apis));
        tasks.spawn(self.watch(Kind::Pod).run(pods, Object::Pod));
        for kind in StorageKind::ALL {
            let (object, kind) = (storage_object(kind), Kind::Storage(kind));
            let api = Api::all_with(self.line(kind), &of_kind(kind, apis));
            tasks.spawn(self.watch(kind).run(api, object));
        }
        for kind in self.selecting {
            let (object, kind) = (selecting_object(*kind), Kind::Selecting(*kind));
            let api = Api::all_with(self.line(kind), &of_kind(kind, apis));
            tasks.spawn(self.watch(kind).run(api, object));
        }
        let mut groups = self.watch_groups(apis);
        loop {
            tokio::time::sleep(DISCOVERY_PERIOD).await;
            let found = self.discover().await;
            if self.messages.send(Message::LookedAround).await.is_err() {
                return;
            }
            if found == apis {
                continue;
            }
            info!(coscheduling = found.coscheduling, native = ?found.native, records = found.records, device_classes = found.device_classes, "the APIs that not every server has changed");
            // First no watch, then the word, then the new watches: the driver must not hear of the old after it.
            groups.shutdown().await;
            apis = found;
            if self.messages.send(Message::Served(apis)).await.is_err() {
                return;
            }
            groups = self.watch_groups(apis);
        }
    }

    /// Asks until there is an answer.
    async fn discover(&self) -> GroupApis {
        let mut pause = Duration::from_secs(1);
        loop {
            match GroupApis::discover(&self.wire).await {
                Ok(apis) => {
                    if let Some(native) = apis.native {
                        self.native.send_replace(native);
                    }
                    self.note_other_versions(apis).await;
                    return apis;
                }
                Err(why) => {
                    warn!(why = %why, "the API server does not say which PodGroups it knows; asking again")
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(30));
        }
    }

    /// A PodGroup CRD that cannot be read looks like none at all to pods that name its groups: it is said here.
    async fn note_other_versions(&self, apis: GroupApis) {
        let found = if apis.coscheduling { None } else { other_versions(&self.wire).await };
        let before = self.traffic.counts().foreign_group_versions;
        if let Some(versions) = found.as_ref().filter(|_| found != before) {
            warn!(
                versions,
                "the PodGroup CRD of scheduling.x-k8s.io is not served as v1alpha1, the version that Muster reads: \
                 its gangs wait until it is"
            );
        }
        self.traffic.count(|counts| counts.foreign_group_versions = found);
    }

    fn line(&self, kind: Kind) -> Client {
        watch_line::over(self.client.clone(), kind, self.page_limit, Arc::clone(&self.traffic))
    }

    fn watch(&self, kind: Kind) -> Watch {
        Watch {
            kind,
            timeout: self.timeout,
            messages: self.messages.clone(),
            traffic: Arc::clone(&self.traffic),
        }
    }

    fn watch_groups(&self, apis: GroupApis) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let mut start = |source: GroupSource, object| {
            let kind = Kind::Group(source);
            let api: Api<Watched<GroupObject>> =
                Api::all_with(self.line(kind), &of_kind(kind, apis));
            tasks.spawn(self.watch(kind).run(api, object));
        };
        if apis.coscheduling {
            start(GroupSource::Coscheduling, coscheduling_object);
        }
        if apis.native.is_some() {
            start(GroupSource::Native, native_object);
        }
        if apis.records {
            let api = Api::all_with(self.line(Kind::Record), &of_kind(Kind::Record, apis));
            tasks.spawn(self.watch(Kind::Record).run(api, Object::Record));
        }
        if apis.device_classes {
            let kind = Kind::DeviceClass;
            let api = Api::all_with(self.line(kind), &of_kind(kind, apis));
            tasks.spawn(self.watch(kind).run(api, Object::DeviceClass));
        }
        tasks
    }
}

/// Writes notices as they come, a few at once. One that failed for a passing reason goes back to the board.
async fn write_notices(
    wire: Wire,
    postings: mpsc::Receiver<Posting>,
    posted: mpsc::UnboundedSender<Posted>,
) {
    use futures::StreamExt;
    let incoming = futures::stream::unfold(postings, |mut postings| async move {
        let posting = postings.recv().await?;
        Some((posting, postings))
    });
    let (wire, posted) = (&wire, &posted);
    incoming
        .for_each_concurrent(NOTICES_CONCURRENT, |posting| async move {
            let (reply, retry_after) = wire.write(Purpose::Notice, posting.request).await;
            let about_pod = matches!(posting.state, Some((StateKey::Pod(_), _)));
            let fate = fate(&reply, about_pod);
            match fate {
                Fate::Over | Fate::Forbidden => {}
                Fate::Overtaken => tokio::time::sleep(CATCHING_UP).await,
                // The server is in trouble: each writer rests before it takes the next.
                Fate::Passing => {
                    tokio::time::sleep(
                        retry_after.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(10)),
                    )
                    .await;
                }
            }
            let again = match fate {
                Fate::Over => None,
                Fate::Forbidden => Some(Again::Later),
                Fate::Overtaken | Fate::Passing => Some(Again::Soon),
            };
            let state =
                posting.state.map(|(key, notice)| (key, again.map(|again| (notice, again))));
            // The driver is gone only when the process ends.
            let _ = posted.send(Posted { state });
        })
        .await;
}

/// What became of the write of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It was written, or never will be.
    Over,
    /// The object has changed since it was judged. If the word still holds once the watch has shown the change,
    /// it is written then; if the pod was bound, it is withdrawn.
    Overtaken,
    /// The same write may go well later.
    Passing,
    /// A right is missing. It may be given, and then nobody would say the word again.
    Forbidden,
}

fn fate(reply: &Reply, about_pod: bool) -> Fate {
    let Reply::Answered { status, body } = reply else { return Fate::Passing };
    match status.as_u16() {
        404 => Fate::Over,
        403 => {
            warn!(message = message(body), "a notice is forbidden; tried again later");
            Fate::Forbidden
        }
        409 if about_pod => Fate::Overtaken,
        429 | 500.. => Fate::Passing,
        400.. => {
            warn!(status = status.as_u16(), message = message(body), "a notice was not taken");
            Fate::Over
        }
        _ => Fate::Over,
    }
}

fn message(body: &serde_json::Value) -> &str {
    body.get("message").and_then(serde_json::Value::as_str).unwrap_or_default()
}

fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.0).unwrap_or(0))
}
