//! One world: an in-memory API, kubelets and controllers beside it, and the scheduler's rim behind a bad
//! network, all in one thread and in virtual time. Judged by the checkers after every change.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use kube::Client;
use muster::apiserver::face;
use muster::apiserver::face::SharedServer;
use muster::apiserver::server::Server;
use muster::apiserver::store::faults::WatchEnd;
use muster::apiserver::store::patch::PatchKind;
use muster::apiserver::store::state::Settings;
use muster::base::random::Random;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::config::file::ConfigurationFile;
use muster::config::resolve::resolve;
use muster::config::shipped;
use muster::kubernetes::clients::Clients;
use muster::kubernetes::clock::Clock;
use muster::kubernetes::requests::Reporter;
use muster::kubernetes::rim::Rim;
use muster::kubernetes::rim::Running;
use muster::sim::attached::Attached;
use muster::sim::attached::perform;
use muster::sim::checkers::Checkers;
use muster::sim::checkers::Promises;
use muster::sim::checkers::Snapshot;
use muster::sim::checkers::Violation;
use muster::sim::kubelet::KubeletSettings;
use muster::sim::machinery::ControllerMode;
use muster::sim::machinery::Machinery;
use serde_json::Value;

use crate::draw::Act;
use crate::draw::Drawn;
use crate::draw::HEALED;
use crate::draw::draw;
use crate::network::Network;
use crate::network::SharedSky;
use crate::network::look;
use crate::network::sky;
use crate::settled::unsettled;

/// The calendar of every world: 2026-01-01, so that two runs write the same dates.
const BEGINNING: Time = Time(1_767_225_600_000_000_000);

/// How long after the last fault everything must be as promised: the longest back-off, time-out, and grace
/// that a gang may have to go through, each a few times.
const PATIENCE: Duration = Duration::from_secs(900);

/// How often it is looked whether the world is at rest.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How a world ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Promises that were broken, and what is not as it should be at the end.
    pub(crate) broken: Vec<String>,
    /// What went over the wire.
    pub(crate) trace: Vec<String>,
    /// Pods that got a node.
    pub(crate) bound: usize,
}

/// Runs the world of a seed from its beginning to its end.
pub(crate) fn run(seed: u64) -> Ending {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output needs nothing");
    runtime.block_on(live(seed))
}

async fn live(seed: u64) -> Ending {
    let mut random = Random::new(seed);
    let drawn = draw(&mut random);
    let world = World::new(sky(random.clone(), drawn.weather));
    let machinery = tokio::spawn(tend(world.clone()));
    let judge = tokio::spawn(judge(world.clone()));
    let mut processes = Processes::new(&world);
    world.play(drawn, &mut processes).await;
    let mut open = unsettled(&world.snapshot());
    while !open.is_empty() && world.elapsed() < HEALED + PATIENCE && !world.is_broken() {
        tokio::time::sleep(LOOK_EVERY).await;
        open = unsettled(&world.snapshot());
    }
    processes.end();
    machinery.abort();
    judge.abort();
    let snapshot = world.snapshot();
    let mut broken = world.broken.lock().expect("one thread").clone();
    broken.extend(open);
    let trace = std::mem::take(&mut look(&world.sky).trace);
    let bound = snapshot.pods.iter().filter(|pod| !pod["spec"]["nodeName"].is_null()).count();
    Ending { broken, trace, bound }
}

/// What the tasks of a world share.
#[derive(Clone)]
struct World {
    server: SharedServer,
    clock: Clock,
    sky: SharedSky,
    broken: Arc<Mutex<Vec<String>>>,
    started: tokio::time::Instant,
}

impl World {
    fn new(sky: SharedSky) -> Self {
        let clock = Clock::starting_at(BEGINNING);
        let server = SharedServer::new(Server::new(Settings::default(), clock.now()));
        for crd in shipped::CRDS {
            let crd: Value = serde_saphyr::from_str(crd).expect("the shipped CRD is YAML");
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            server.write(|server| server.create(clock.now(), path, crd)).expect("it is valid");
        }
        let broken = Arc::new(Mutex::new(Vec::new()));
        Self { server, clock, sky, broken, started: tokio::time::Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn is_broken(&self) -> bool {
        !self.broken.lock().expect("one thread").is_empty()
    }

    /// Plays the script to its end.
    async fn play(&self, drawn: Drawn, processes: &mut Processes) {
        for (at, act) in drawn.script {
            tokio::time::sleep_until(self.started + at).await;
            look(&self.sky).note(&format!("-- {}", summary(&act)));
            self.perform(act, processes).await;
        }
    }

    async fn perform(&self, act: Act, processes: &mut Processes) {
        let now = self.clock.now();
        match act {
            Act::Create(path, object) => {
                let created = self.server.write(|server| server.create(now, path, object));
                created.expect("what is drawn is valid");
            }
            Act::DeletePod(name) => {
                let path = format!("/api/v1/namespaces/default/pods/{name}");
                // It may have gone already.
                let _ = self.server.write(|server| server.delete(now, &path, Value::Null));
            }
            Act::PatchNode(name, patch) => {
                let path = format!("/api/v1/nodes/{name}");
                let patched =
                    self.server.write(|server| server.patch(now, &path, PatchKind::Merge, patch));
                patched.expect("nodes stay");
            }
            Act::Crash(pause) => processes.crash(pause).await,
            Act::Weather(weather) => look(&self.sky).weather = weather,
            Act::ExpireWatches => {
                self.server.write(|server| server.faults().cut_watches("", WatchEnd::Expired));
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let all = |path: &str| {
            let listing = self.server.read(|server| server.list(path)).expect("served");
            listing.objects.iter().map(|object| object.value()).collect()
        };
        Snapshot {
            nodes: all("/api/v1/nodes"),
            pods: all("/api/v1/pods"),
            labelled_groups: all("/apis/scheduling.x-k8s.io/v1alpha1/podgroups"),
            native_groups: all("/apis/scheduling.k8s.io/v1beta1/podgroups"),
        }
    }
}

/// An act in a few words.
fn summary(act: &Act) -> String {
    match act {
        Act::Create(path, object) => format!("create {path} {}", object["metadata"]["name"]),
        Act::DeletePod(_) | Act::PatchNode(..) | Act::Crash(_) | Act::ExpireWatches => {
            format!("{act:?}")
        }
        Act::Weather(weather) => format!("{weather:?}"),
    }
}

/// The scheduler's processes, one at a time.
struct Processes {
    world: World,
    running: Option<Running>,
    count: u32,
}

impl Processes {
    fn new(world: &World) -> Self {
        let mut processes = Self { world: world.clone(), running: None, count: 0 };
        processes.start();
        processes
    }

    fn start(&mut self) {
        self.count += 1;
        let clock = self.world.clock;
        let time: face::Clock = Arc::new(move || clock.now());
        let client = || {
            let router = face::router(self.world.server.clone(), Arc::clone(&time));
            let sender = format!("p{}", self.count);
            Client::new(Network { router, sky: Arc::clone(&self.world.sky), sender }, "default")
        };
        let configuration = resolve(&ConfigurationFile::default()).expect("the defaults are valid");
        let rim = Rim {
            clients: Clients { watches: client(), writes: client(), lease: client() },
            clock,
            traffic: configuration.kubernetes,
            engine: configuration.engine,
            reporter: Reporter {
                controller: "muster".into(),
                instance: format!("muster-{}", self.count).into(),
            },
            candidacy: None,
        };
        self.running = Some(rim.start());
    }

    /// The process is gone at once; what it has sent is still on its way.
    async fn crash(&mut self, pause: Duration) {
        self.end();
        tokio::time::sleep(pause).await;
        self.start();
    }

    fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

/// Kubelets and controllers at work.
async fn tend(world: World) {
    let machinery = Machinery::new(
        KubeletSettings { lease_interval: None, ..KubeletSettings::wall_clock() },
        ControllerMode::Running,
    );
    let mut attached = Attached::new(machinery);
    let mut changes = world.server.changes();
    loop {
        let now = world.clock.now();
        world.server.begin(|server| attached.observe(now, server));
        for write in attached.take_writes(now, 64) {
            // What is refused is repeated where it still makes sense.
            let _ = world.server.write(|server| perform(&write, now, server));
        }
        let wakeup = attached.wakeup().unwrap_or(Time::FAR_FUTURE);
        tokio::select! {
            biased;
            () = changes.changed() => {}
            () = tokio::time::sleep_until(world.clock.instant(wakeup)) => {}
        }
    }
}

/// Looks at the world after every change.
async fn judge(world: World) {
    let forever = Span(i64::MAX);
    let promises = Promises { partial_for: forever, silent_for: forever };
    let mut checkers = Checkers::new(vec!["muster".to_owned()], promises);
    let mut changes = world.server.changes();
    loop {
        changes.changed().await;
        if let Err(violations) = checkers.inspect(world.clock.now(), &world.snapshot()) {
            let mut broken = world.broken.lock().expect("one thread");
            // A cordon that the watch has not shown yet hinders nobody, here and with kube-scheduler alike.
            let broken_promises =
                violations.into_iter().filter(|Violation(text)| !text.contains("it is cordoned"));
            for Violation(text) in broken_promises {
                let line = format!("BROKEN {text}");
                look(&world.sky).note(&line);
                broken.push(text);
            }
        }
    }
}
