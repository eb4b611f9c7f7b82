//! The schedulers of a world: rivals for one lease, each in a place in which a new process begins whenever one has
//! ended. What their kernels tell each other is here too; what they say to the API goes over the network.
//! Invariant: a process that ends by a fault ends as `muster run` does, and only for faults that a world may cause.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use kube::Client;
use muster::apiserver::face;
use muster::base::names::Name;
use muster::base::time::Span;
use muster::config::file::ConfigurationFile;
use muster::config::resolve::resolve;
use muster::config::rim::KubernetesSettings;
use muster::kubernetes::clients::Clients;
use muster::kubernetes::clock::Clock;
use muster::kubernetes::driver::Fault;
use muster::kubernetes::lease::line::Lines;
use muster::kubernetes::requests::Reporter;
use muster::kubernetes::rim::Candidacy;
use muster::kubernetes::rim::Rim;
use muster::kubernetes::rim::Running;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::draw::Ending;
use crate::draw::Nerve;
use crate::draw::Scheduler;
use crate::network::Network;
use crate::network::look;
use crate::world::World;

/// From a fault to the next process: what a kubelet waits before it starts a container again.
const RESTART: Duration = Duration::from_secs(1);

/// Longer than any freeze: the patience of a process whose clock stands still with it.
const SLEEPERS_PATIENCE: Span = Span::seconds(100);

/// Whose processes are known to be gone: what kernels tell over TCP.
#[derive(Clone, Default)]
struct Kernels {
    gone: Arc<Mutex<BTreeSet<Name>>>,
    /// Wakes in the order of waiting, as nothing in a world may be left to chance.
    closed: Arc<Notify>,
}

/// All places.
pub(crate) struct Processes {
    places: Vec<Place>,
}

struct Place {
    fates: mpsc::UnboundedSender<Fate>,
    task: JoinHandle<()>,
}

/// What is to become of the process in a place.
#[derive(Clone, Copy, Debug)]
struct Fate {
    ending: Ending,
    rest: Duration,
}

/// What lives in a place.
struct Tenant {
    world: World,
    kernels: Kernels,
    place: usize,
    scheduler: Scheduler,
    recount: Duration,
    count: u32,
}

impl Processes {
    /// A process begins in each place.
    pub(crate) fn new(world: &World, schedulers: &[Scheduler], recount: Duration) -> Self {
        let kernels = Kernels::default();
        let places = schedulers.iter().enumerate().map(|(place, scheduler)| {
            let (fates, told) = mpsc::unbounded_channel();
            let (world, kernels) = (world.clone(), kernels.clone());
            let tenant = Tenant { world, kernels, place, scheduler: *scheduler, recount, count: 0 };
            Place { fates, task: tokio::spawn(tenant.live(told)) }
        });
        Self { places: places.collect() }
    }

    /// The place of the process of that name.
    pub(crate) fn place_of(name: &str) -> Option<usize> {
        name.strip_prefix('s')?.split('.').next()?.parse().ok()
    }

    /// Ends the process in a place.
    pub(crate) fn end(&self, place: usize, ending: Ending, rest: Duration) {
        // A place lives as long as the world.
        let _ = self.places[place].fates.send(Fate { ending, rest });
    }

    /// Ends everything at once.
    pub(crate) fn stop(&self) {
        for place in &self.places {
            place.task.abort();
        }
    }
}

impl Tenant {
    async fn live(mut self, mut told: mpsc::UnboundedReceiver<Fate>) {
        loop {
            self.count += 1;
            let name = format!("s{}.{}", self.place, self.count);
            let mut running = self.start(&name);
            self.world.begin(&name, self.place);
            let fate = tokio::select! {
                biased;
                fate = told.recv() => fate,
                fault = running.failed() => {
                    self.fault(&name, &fault);
                    Some(Fate { ending: Ending::Killed, rest: RESTART })
                }
            };
            let Some(Fate { ending, rest }) = fate else { return running.abort() };
            self.note(&format!("{name} ends: {ending:?}"));
            match ending {
                Ending::Killed | Ending::Silent => running.abort(),
                Ending::Told => running.stop().await,
            }
            if ending != Ending::Silent {
                self.kernels.close(&name);
            }
            tokio::time::sleep(rest).await;
        }
    }

    fn note(&self, what: &str) {
        look(&self.world.sky).note(what);
    }

    /// Faults that a world may cause end the process; all others are ours.
    fn fault(&self, name: &str, fault: &Fault) {
        self.note(&format!("{name} ends by itself: {fault}"));
        match fault {
            Fault::LeadershipLost(_) | Fault::Blind(_) => {}
            // A watch that falls silent again and again loses what the recount then finds.
            Fault::Differs(what) if what.contains("no watch has told of it") => {}
            Fault::WentBack { .. } | Fault::StoreWentBack { .. } | Fault::Differs(_)
                if self.world.judge().set_back => {}
            Fault::WentBack { .. }
            | Fault::StoreWentBack { .. }
            | Fault::Differs(_)
            | Fault::TaskEnded => self.world.complain(&format!("{name} ends by itself: {fault}")),
        }
    }

    fn start(&self, name: &str) -> Running {
        let world = &self.world;
        let client = || {
            let calendar = world.clone();
            let time: face::Clock = Arc::new(move || calendar.calendar());
            let router = face::router(world.server.clone(), time);
            let sender = name.to_owned();
            Client::new(Network { router, sky: Arc::clone(&world.sky), sender }, "default")
        };
        let configuration = resolve(&ConfigurationFile::default()).expect("the defaults are valid");
        let mut traffic = configuration.kubernetes;
        traffic.recount_period = span(self.recount);
        if self.scheduler.nerve == Nerve::Sleeper {
            traffic.election.renew_deadline = SLEEPERS_PATIENCE;
            traffic.write_timeout = SLEEPERS_PATIENCE;
            traffic.read_timeout = SLEEPERS_PATIENCE;
        }
        self.count_by_own_clock(&mut traffic);
        let rim = Rim {
            clients: Clients { watches: client(), writes: client(), lease: client() },
            clock: Clock::starting_at(world.calendar()),
            traffic,
            engine: configuration.engine,
            reporter: Reporter { controller: "muster".into(), instance: name.into() },
            candidacy: Some(self.kernels.candidacy(name)),
        };
        rim.start()
    }
}

impl Tenant {
    /// What this process takes for a second is more or less of one.
    fn count_by_own_clock(&self, traffic: &mut KubernetesSettings) {
        let election = &mut traffic.election;
        for span in [
            &mut election.lease_duration,
            &mut election.renew_deadline,
            &mut election.retry_period,
            &mut traffic.write_timeout,
            &mut traffic.read_timeout,
            &mut traffic.watch_timeout,
        ] {
            span.0 = span.0 * 100 / self.scheduler.rate;
        }
    }
}

impl Kernels {
    fn candidacy(&self, name: &str) -> Candidacy {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("it is a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
        Candidacy {
            identity: name.into(),
            line: Some((listener, format!("line of {name}"))),
            lines: self.lines(),
        }
    }

    fn lines(&self) -> Lines {
        let kernels = self.clone();
        Arc::new(move |_, holder| {
            let kernels = kernels.clone();
            Box::pin(async move {
                loop {
                    let closed = kernels.closed.notified();
                    if kernels.gone.lock().expect("one thread").contains(&holder) {
                        return;
                    }
                    closed.await;
                }
            })
        })
    }

    fn close(&self, process: &str) {
        self.gone.lock().expect("one thread").insert(process.into());
        self.closed.notify_waiters();
    }
}

fn span(duration: Duration) -> Span {
    Span(i64::try_from(duration.as_nanos()).expect("minutes"))
}
