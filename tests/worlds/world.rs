//! One world: an in-memory API, kubelets and controllers beside it, and the schedulers' rims behind a bad network,
//! all in one thread and in virtual time. What happens is carried out here; it is judged elsewhere, after every write.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use muster::apiserver::face::SharedServer;
use muster::apiserver::server::Server;
use muster::apiserver::store::faults::WatchEnd;
use muster::apiserver::store::patch::PatchKind;
use muster::apiserver::store::state::Settings;
use muster::base::random::Random;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::config::shipped;
use muster::kubernetes::clock::Clock;
use muster::sim::attached::Attached;
use muster::sim::attached::perform;
use muster::sim::kubelet::KubeletSettings;
use muster::sim::machinery::ControllerMode;
use muster::sim::machinery::Machinery;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::draw::Act;
use crate::draw::Drawn;
use crate::draw::Ending;
use crate::draw::Grant;
use crate::draw::HEALED;
use crate::draw::Luck;
use crate::draw::Meddling;
use crate::draw::PODS;
use crate::draw::Victim;
use crate::draw::draw;
use crate::judge::BLIND;
use crate::judge::Judge;
use crate::network::SharedSky;
use crate::network::look;
use crate::network::sky;
use crate::processes::Processes;
use crate::settled::unsettled;

/// The calendar of every world: 2026-01-01, so that two runs write the same dates.
const BEGINNING: Time = Time(1_767_225_600_000_000_000);

/// How long after the last fault everything must be as promised: the longest back-off, time-out, quarantine, and grace
/// that a gang may have to go through, some a few times.
const PATIENCE: Duration = Duration::from_secs(1500);

/// In percent, by how much one clock may be faster than another so that two processes never believe that they lead: as
/// the duration of a lease to the time after which its holder stops.
const TOLERATED_RATIO: i64 = 150;

/// How often it is looked whether the world is at rest.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Annotation of a Binding that another scheduler makes.
pub(crate) const STRANGER: &str = "worlds.test/stranger";

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/muster";
const PLANS: &str = "/apis/muster.dev/v1alpha1/namespaces/default/gangplans";

/// How a world ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Promises that were broken, and what is not as it should be at the end.
    pub(crate) broken: Vec<String>,
    /// What went over the wire.
    pub(crate) trace: Vec<String>,
    /// Pods that got a node.
    pub(crate) bound: usize,
}

/// Runs the world of a seed from its beginning to its end.
pub(crate) fn run(seed: u64, luck: Luck) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .enable_io()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing but a descriptor or two");
    runtime.block_on(live(seed, luck))
}

async fn live(seed: u64, luck: Luck) -> End {
    let mut random = Random::new(seed);
    let drawn = draw(seed, &mut random, luck);
    let (sky, deaths) = sky(random, drawn.weather);
    let world = World::new(sky, drawn.recount);
    let machinery = tokio::spawn(tend(world.clone()));
    let judge = tokio::spawn(watch(world.clone()));
    let rates = drawn.schedulers.iter().map(|scheduler| scheduler.rate);
    if rates.clone().max() > rates.min().map(|slowest| slowest * TOLERATED_RATIO / 100) {
        // A fast clock gives a lease up for lost that a slow one still counts on.
        world.judge().rivals_until(HEALED);
    }
    let processes = Processes::new(&world, &drawn.schedulers, drawn.recount);
    let rejected = drawn.rejected.clone();
    world.play(drawn, &processes, deaths).await;
    let open = || unsettled(&world.judge(), &rejected);
    while !open().is_empty() && world.elapsed() < HEALED + PATIENCE && !world.is_broken() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    processes.stop();
    machinery.abort();
    judge.abort();
    world.inspect();
    let mut broken = world.judge().broken.clone();
    broken.extend(look(&world.sky).broken.iter().cloned());
    if broken.is_empty() {
        broken.extend(open());
    }
    let trace = std::mem::take(&mut look(&world.sky).trace);
    let bound = world.judge().bound();
    End { broken, trace, bound }
}

/// What the tasks of a world share.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) server: SharedServer,
    pub(crate) sky: SharedSky,
    clock: Clock,
    judge: Arc<Mutex<Judge>>,
    /// By how much calendars are off.
    off: Arc<Mutex<Span>>,
    started: Instant,
    /// The processes at work, by place.
    names: Arc<Mutex<Vec<String>>>,
    /// What etcd held when it was backed up, and what was known of it.
    backup: Arc<Mutex<Option<(Server, Judge)>>>,
    /// How often a backup was restored: kubelets and controllers begin anew with each.
    restored: Arc<AtomicU64>,
    /// From one recount to the next.
    recount: Duration,
}

impl World {
    fn new(sky: SharedSky, recount: Duration) -> Self {
        let clock = Clock::starting_at(BEGINNING);
        let server = SharedServer::new(Server::new(Settings::default(), clock.now()));
        for crd in shipped::CRDS {
            let crd: Value = serde_saphyr::from_str(crd).expect("the shipped CRD is YAML");
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            server.write(|server| server.create(clock.now(), path, crd)).expect("it is valid");
        }
        let judge = Arc::new(Mutex::new(server.begin(Judge::new)));
        let off = Arc::new(Mutex::new(Span::ZERO));
        let names = Arc::new(Mutex::new(Vec::new()));
        let (backup, restored) = (Arc::new(Mutex::new(None)), Arc::new(AtomicU64::new(0)));
        Self {
            server,
            sky,
            clock,
            judge,
            off,
            started: Instant::now(),
            names,
            backup,
            restored,
            recount,
        }
    }

    /// The date of the API server and of processes that begin now.
    pub(crate) fn calendar(&self) -> Time {
        self.clock.now() + *self.off.lock().expect("one thread")
    }

    /// A process begins.
    pub(crate) fn begin(&self, name: &str, place: usize) {
        let mut names = self.names.lock().expect("one thread");
        if names.len() <= place {
            names.resize(place + 1, String::new());
        }
        name.clone_into(&mut names[place]);
    }

    /// A promise is broken.
    pub(crate) fn complain(&self, what: &str) {
        look(&self.sky).note(&format!("BROKEN {what}"));
        self.judge().broken.push(what.to_owned());
    }

    pub(crate) fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().expect("one thread")
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn is_broken(&self) -> bool {
        !self.judge().broken.is_empty() || !look(&self.sky).broken.is_empty()
    }

    /// Judges every write since the last time.
    fn inspect(&self) {
        let mut judge = self.judge();
        let known = judge.broken.len();
        let now = self.elapsed();
        self.server.begin(|server| judge.inspect(now, server));
        for what in &judge.broken[known..] {
            look(&self.sky).note(&format!("BROKEN {what}"));
        }
    }

    /// Plays the script to its end.
    async fn play(
        &self,
        drawn: Drawn,
        processes: &Processes,
        mut deaths: mpsc::UnboundedReceiver<String>,
    ) {
        let mut script = drawn.script.into_iter().peekable();
        while let Some((at, _)) = script.peek() {
            tokio::select! {
                biased;
                Some(dead) = deaths.recv() => {
                    if let Some(place) = self.place_of(&dead) {
                        processes.end(place, Ending::Killed, Duration::from_secs(1));
                    }
                }
                () = tokio::time::sleep_until(self.started + *at) => {
                    let Some((_, act)) = script.next() else { return };
                    look(&self.sky).note(&format!("-- {}", summary(&act)));
                    self.perform(act, processes);
                }
            }
        }
    }

    /// The place of a process that still is the one that works there.
    fn place_of(&self, name: &str) -> Option<usize> {
        let place = Processes::place_of(name)?;
        let names = self.names.lock().expect("one thread");
        names.get(place).is_some_and(|known| known == name).then_some(place)
    }

    fn perform(&self, act: Act, processes: &Processes) {
        match act {
            Act::Create(path, object) => {
                // The name may be taken still, by one that is on its way out.
                self.write(|server, now| server.create(now, &path, object).is_ok());
            }
            Act::Delete(path) => {
                self.write(|server, now| server.delete(now, &path, Value::Null).is_ok());
            }
            Act::Patch(path, patch) => {
                self.write(|server, now| server.patch(now, &path, PatchKind::Merge, patch).is_ok());
            }
            Act::BindElsewhere(node) => self.bind_elsewhere(&node),
            Act::Record(meddling) => self.meddle(meddling),
            Act::End(victim, ending, rest) => {
                if let Some(place) = self.find(victim) {
                    processes.end(place, ending, rest);
                }
            }
            Act::Freeze(victim, span) => self.freeze(victim, span),
            Act::Arm(trap) => look(&self.sky).traps.push(trap),
            Act::Calendar(seconds) => {
                *self.off.lock().expect("one thread") = Span::seconds(seconds);
            }
            Act::Right(right, Grant::Taken) => {
                look(&self.sky).denied.insert(right);
            }
            Act::Right(right, Grant::Given) => {
                look(&self.sky).denied.remove(&right);
            }
            Act::Webhook(pod) => {
                look(&self.sky).rejected.insert(pod);
            }
            Act::Weather(weather) => look(&self.sky).weather = weather,
            Act::Backup => {
                self.inspect();
                let copy = self.server.read(Server::clone);
                let known = self.judge().clone();
                *self.backup.lock().expect("one thread") = Some((copy, known));
            }
            Act::Restore => self.restore(),
            Act::ExpireWatches => {
                // What the judge has not seen yet would be lost to it.
                self.inspect();
                self.server.write(|server| server.faults().cut_watches("", WatchEnd::Expired));
            }
            Act::Heal(rejected) => self.heal(rejected),
        }
    }

    /// Sets the store back. Who is connected is cut off; a process notices by the next list or recount at the latest.
    fn restore(&self) {
        self.inspect();
        let Some((mut before, known)) = self.backup.lock().expect("one thread").take() else {
            return;
        };
        let restored = 1 + self.restored.fetch_add(1, Ordering::Relaxed);
        before.reseed(restored << 32);
        self.server.write(|server| {
            *before.faults() = server.faults().clone();
            before.faults().cut_watches("", WatchEnd::Cut);
            *server = before;
        });
        let until = self.elapsed() + self.recount + BLIND;
        self.judge().set_back_to(known, until);
    }

    fn heal(&self, rejected: Vec<String>) {
        let mut sky = look(&self.sky);
        sky.denied.clear();
        sky.traps.clear();
        sky.rejected = rejected.into_iter().collect();
    }

    /// Works on the server; what is refused is refused to people too.
    fn write(&self, work: impl FnOnce(&mut Server, Time) -> bool) {
        let now = self.calendar();
        if !self.server.write(|server| work(server, now)) {
            look(&self.sky).note("   refused");
        }
    }

    /// The place of a victim.
    fn find(&self, victim: Victim) -> Option<usize> {
        match victim {
            Victim::Place(place) => Some(place),
            Victim::Leader => {
                let lease = self.server.read(|server| server.get(LEASE)).ok()?.value();
                Processes::place_of(lease["spec"]["holderIdentity"].as_str()?)
            }
        }
    }

    fn freeze(&self, victim: Victim, span: Duration) {
        let Some(place) = self.find(victim) else { return };
        let Some(name) = self.names.lock().expect("one thread").get(place).cloned() else { return };
        let until = Instant::now() + span;
        look(&self.sky).frozen.insert(name, until);
        self.judge().rivals_until(self.elapsed() + span);
    }

    /// Another scheduler binds the first member that waits.
    fn bind_elsewhere(&self, node: &str) {
        let Some(pod) = self.judge().first_waiting() else { return };
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": pod, "annotations": {STRANGER: "true"}},
            "target": {"kind": "Node", "name": node},
        });
        let path = format!("{PODS}/{pod}/binding");
        self.write(|server, now| server.create(now, &path, binding).is_ok());
    }

    /// A person does something to the last record.
    fn meddle(&self, meddling: Meddling) {
        let listing = self.server.read(|server| server.list(PLANS)).expect("the CRD is there");
        let Some(record) = listing.objects.last() else { return };
        let name = record.name().name.to_string();
        let path = format!("{PLANS}/{name}");
        let epoch = record.value()["spec"]["epoch"].as_u64().unwrap_or(0);
        let patch = match meddling {
            Meddling::Delete => {
                self.inspect();
                self.judge().meddled(&name);
                return self.write(|server, now| server.delete(now, &path, Value::Null).is_ok());
            }
            Meddling::CallAborting => json!({"spec": {"phase": "Aborting"}}),
            Meddling::CallBound => json!({"spec": {"phase": "Bound"}}),
            Meddling::Garble => {
                json!({"spec": {"epoch": epoch + 1, "phase": "Proposed", "members": "who knows"}})
            }
            Meddling::Label => json!({"metadata": {"labels": {"looked-at": "yes"}}}),
        };
        self.inspect();
        if meddling != Meddling::Label {
            self.judge().meddled(&name);
        }
        self.write(|server, now| server.patch(now, &path, PatchKind::Merge, patch).is_ok());
    }
}

/// An act in a few words.
fn summary(act: &Act) -> String {
    match act {
        Act::Create(path, object) => format!("create {path} {}", object["metadata"]["name"]),
        Act::Delete(_)
        | Act::Patch(..)
        | Act::BindElsewhere(_)
        | Act::Record(_)
        | Act::End(..)
        | Act::Freeze(..)
        | Act::Arm(_)
        | Act::Calendar(_)
        | Act::Right(..)
        | Act::Webhook(_)
        | Act::Backup
        | Act::Restore
        | Act::ExpireWatches
        | Act::Heal(_) => format!("{act:?}"),
        Act::Weather(weather) => format!("{weather:?}"),
    }
}

/// Kubelets and controllers at work.
async fn tend(world: World) {
    let attach = || {
        let settings = KubeletSettings { lease_interval: None, ..KubeletSettings::wall_clock() };
        Attached::new(Machinery::new(settings, ControllerMode::Running))
    };
    let (mut attached, mut restored) = (attach(), 0);
    let mut changes = world.server.changes();
    loop {
        let now = world.clock.now();
        let latest = world.restored.load(Ordering::Relaxed);
        if std::mem::replace(&mut restored, latest) != latest {
            attached = attach();
        }
        world.server.begin(|server| attached.observe(now, server));
        for write in attached.take_writes(now, 64) {
            let dated = world.calendar();
            // What is refused is repeated where it still makes sense.
            let _ = world.server.write(|server| perform(&write, dated, server));
        }
        let wakeup = attached.wakeup().unwrap_or(Time::FAR_FUTURE);
        tokio::select! {
            biased;
            () = changes.changed() => {}
            () = tokio::time::sleep_until(world.clock.instant(wakeup)) => {}
        }
    }
}

/// Judges every write, soon after it was made.
async fn watch(world: World) {
    let mut changes = world.server.changes();
    loop {
        world.inspect();
        changes.changed().await;
    }
}
