//! `muster playground`: an in-memory Kubernetes API on loopback, a simulated GPU fleet, and the scheduler at work
//! over real HTTP. Puts the rooms together and shows what happens; decides nothing.
//! The scheduler is the one of `muster run`, and reaches the API only as a client of it.

mod apply;
mod machines;
mod show;
mod tally;

use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::machines::Leases;
use self::machines::Machines;
use self::show::Progress;
use self::show::summary;
use super::Failure;
use crate::apiserver::face;
use crate::apiserver::face::SharedServer;
use crate::apiserver::server::Server;
use crate::apiserver::store::shelf::HistoryLimit;
use crate::apiserver::store::state::Settings as ApiSettings;
use crate::apiserver::store::state::TutorialPodGroups;
use crate::config::file::ConfigurationFile;
use crate::config::resolve::resolve;
use crate::config::shipped;
use crate::engine::settings::UnnamedScheduler;
use crate::kubernetes::clients;
use crate::kubernetes::clock::Clock;
use crate::kubernetes::driver::Question;
use crate::kubernetes::driver::Report;
use crate::kubernetes::requests::Reporter;
use crate::kubernetes::rim::Rim;
use crate::kubernetes::rim::Running;
use crate::sim::fleet;
use crate::sim::kubelet::Serves;
use crate::sim::manifests::read::Document;
use crate::sim::manifests::read::documents_of;
use crate::sim::world::SCHEDULER_NAMES;
use crate::telemetry::http;
use crate::telemetry::log;
use crate::telemetry::log::LogFormat;

/// The fleet that is there unless `--nodes` names another.
const FLEET: &str = include_str!("../../../testdata/clusters/playground.yaml");

/// Where `muster explain` looks by default.
const ENDPOINT_PORT: u16 = 10259;

/// Objects created in one go, before others get to the API.
const CREATED_AT_ONCE: usize = 64;

/// Nothing has happened for so long that nothing will.
const QUIET: Duration = Duration::from_millis(1500);

/// Try Muster without a cluster: an in-memory Kubernetes API with a simulated GPU fleet and the scheduler at work.
///
/// Prints how to point kubectl at it. Answers pods of the schedulers muster, default-scheduler, coscheduling,
/// and scheduler-plugins-scheduler, and pods that name none. Ends at Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The fleet: a file of nodes; default: a small mixed fleet.
    #[arg(long, value_name = "FILE")]
    nodes: Option<PathBuf>,

    /// Port of the Kubernetes API on 127.0.0.1; 0 takes any free port.
    #[arg(long, default_value_t = 8001)]
    port: u16,

    /// Manifests to create at the start: a file, a directory, or - for standard input.
    #[arg(long, value_name = "PATH")]
    apply: Vec<PathBuf>,

    /// End with a summary as soon as nothing more can happen.
    #[arg(long)]
    until_idle: bool,

    /// Leave scheduling to another client of the API.
    #[arg(long)]
    no_scheduler: bool,

    /// Leave nodes and what runs on them to another client of the API, such as muster fleet.
    #[arg(long, conflicts_with = "nodes")]
    no_fleet: bool,
}

pub(crate) fn execute(args: &Args) -> Result<(), Failure> {
    log::start(LogFormat::Text, "warn");
    let (file, text) = match &args.nodes {
        Some(path) => (path.display().to_string(), super::read_text(path)?),
        None => ("the default fleet".to_owned(), FLEET.to_owned()),
    };
    let nodes = if args.no_fleet {
        Vec::new()
    } else {
        fleet::read(&file, &text).map_err(|error| Failure::BadInput(error.to_string()))?
    };
    let documents = apply::read(&args.apply)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::CouldNot(format!("cannot start: {error}")))?;
    runtime.block_on(play(args, nodes, documents))
}

/// Everything that runs.
struct Playground {
    server: SharedServer,
    clock: Clock,
    machines: Machines,
    scheduler: Option<Running>,
    endpoint: Option<SocketAddr>,
    stop_api: oneshot::Sender<()>,
    api: JoinHandle<Result<(), face::ServeError>>,
    address: SocketAddr,
}

async fn play(
    args: &Args,
    nodes: Vec<serde_json::Value>,
    documents: Vec<Document>,
) -> Result<(), Failure> {
    let terminate = signal(SignalKind::terminate());
    let mut terminate = terminate
        .map_err(|error| Failure::CouldNot(format!("cannot listen for SIGTERM: {error}")))?;
    let mut playground = Playground::start(args, nodes).await?;
    let kubeconfig = write_kubeconfig(playground.address)?;
    super::answer(&playground.greeting(&kubeconfig))?;
    if let Some(form) = apply::first_tutorial_form(&documents) {
        eprintln!("{}", tutorial_note(&form));
    }
    let result = tokio::select! {
        result = playground.run(args, documents) => result,
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    let summary = if result.is_ok() { Some(playground.summary().await) } else { None };
    playground.stop().await;
    // Without its API the file would only mislead.
    let _ = std::fs::remove_file(&kubeconfig);
    result?;
    super::answer(&summary.unwrap_or_default())
}

impl Playground {
    async fn start(args: &Args, nodes: Vec<serde_json::Value>) -> Result<Self, Failure> {
        let clock = Clock::start();
        let listener =
            face::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), args.port)).await;
        let listener = listener.map_err(|error| Failure::CouldNot(error.to_string()))?;
        let address =
            listener.local_addr().map_err(|error| Failure::CouldNot(error.to_string()))?;
        let settings = ApiSettings {
            history: HistoryLimit { changes: 32_768, bytes: 128 << 20 },
            tutorial_pod_groups: TutorialPodGroups::Accepted,
            ..ApiSettings::default()
        };
        let server = SharedServer::new(Server::new(settings, clock.now()));
        furnish(&server, clock, nodes)?;
        let (stop_api, stopped) = oneshot::channel();
        let stop = async move {
            // An error means that the playground is gone, which is as good a reason to stop.
            let _ = stopped.await;
        };
        let time: face::Clock = Arc::new(move || clock.now());
        let api = tokio::spawn(face::serve(listener, server.clone(), time, stop));
        let leases = if args.until_idle { Leases::LeftAlone } else { Leases::Renewed };
        // Without a fleet there are controllers, and no kubelet answers for any node.
        let serves = if args.no_fleet { Serves::RegisteredNodes } else { Serves::EveryNode };
        let machines = Machines::start(server.clone(), clock, leases, serves);
        let (scheduler, endpoint) = if args.no_scheduler {
            (None, None)
        } else {
            let running = scheduler(address)?;
            let endpoint = endpoint(running.questions.clone()).await?;
            (Some(running), Some(endpoint))
        };
        Ok(Self { server, clock, machines, scheduler, endpoint, stop_api, api, address })
    }

    fn greeting(&self, kubeconfig: &std::path::Path) -> String {
        let totals = self.machines.totals();
        let kubeconfig = kubeconfig.display();
        let mut text = format!(
            "A Kubernetes API with {} simulated nodes and {} GPUs is at http://{}. In another terminal:\n\n  \
             export KUBECONFIG={kubeconfig}\n  kubectl get nodes\n  kubectl apply -f MANIFEST\n",
            totals.nodes, totals.gpus, self.address
        );
        match self.endpoint {
            Some(endpoint) if endpoint.port() == ENDPOINT_PORT => {
                text.push_str("  muster explain GANG\n")
            }
            Some(endpoint) => {
                text.push_str(&format!("  muster explain GANG --server http://{endpoint}\n"))
            }
            None => {
                text.push_str("\nNo scheduler runs here: bind pods with a client of your own.\n")
            }
        }
        text.push_str("\nCtrl-C ends it.\n");
        text
    }

    /// Applies the manifests and shows progress until it is idle, if it is to end then.
    async fn run(&mut self, args: &Args, documents: Vec<Document>) -> Result<(), Failure> {
        let mut progress = Progress::start();
        self.wait_for_scheduler().await?;
        self.apply(documents).await?;
        let mut quiet_since = Instant::now();
        let mut version = 0;
        let mut show_at = quiet_since;
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            if Instant::now() >= show_at {
                let began = Instant::now();
                progress.show(self.machines.totals());
                // Counting 100,000 pods takes a while; it must not become what the machine is busy with.
                show_at = Instant::now() + began.elapsed() * 20;
            }
            let report = self.report().await?;
            let current = self.server.read(Server::version);
            if current != version || !is_settled(report.as_ref()) || self.machines.has_work() {
                version = current;
                quiet_since = Instant::now();
            }
            if args.until_idle && quiet_since.elapsed() >= QUIET {
                progress.finish();
                return Ok(());
            }
        }
    }

    async fn apply(&mut self, documents: Vec<Document>) -> Result<(), Failure> {
        let mut errors = Vec::new();
        let mut documents = documents.into_iter().peekable();
        while documents.peek().is_some() {
            let now = self.clock.now();
            self.server.write(|server| {
                for document in documents.by_ref().take(CREATED_AT_ONCE) {
                    errors.extend(apply::create(server, now, document).err());
                }
            });
            tokio::task::yield_now().await;
        }
        if errors.is_empty() { Ok(()) } else { Err(Failure::BadInput(errors.join("\nerror: "))) }
    }

    async fn wait_for_scheduler(&mut self) -> Result<(), Failure> {
        while self.report().await?.is_some_and(|report| !report.synced) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// How the scheduler stands; `None` without one.
    async fn report(&mut self) -> Result<Option<Report>, Failure> {
        let Some(running) = &mut self.scheduler else { return Ok(None) };
        match ask(&running.questions, Question::Report).await {
            Some(report) => Ok(Some(report)),
            None => Err(Failure::CouldNot(running.failed().await.to_string())),
        }
    }

    async fn summary(&self) -> String {
        let waiting = match &self.scheduler {
            Some(running) => ask(&running.questions, Question::Waiting).await.unwrap_or_default(),
            None => Vec::new(),
        };
        self.machines.look(|tally| summary(tally, &waiting))
    }

    async fn stop(self) {
        if let Some(scheduler) = self.scheduler {
            scheduler.stop().await;
        }
        self.machines.stop().await;
        // An error means that the API has ended already.
        let _ = self.stop_api.send(());
        let _ = self.api.await;
    }
}

/// The CRDs and the fleet.
fn furnish(
    server: &SharedServer,
    clock: Clock,
    nodes: Vec<serde_json::Value>,
) -> Result<(), Failure> {
    let mut documents = Vec::new();
    for text in shipped::CRDS {
        documents.extend(documents_of("the shipped CRDs", text).map_err(|errors| {
            Failure::CouldNot(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?);
    }
    server.write(|server| {
        for document in documents {
            apply::create(server, clock.now(), document).map_err(Failure::CouldNot)?;
        }
        for node in nodes {
            let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            server.create(clock.now(), "/api/v1/nodes", node).map_err(|failure| {
                Failure::BadInput(format!("node {name}: {}", failure.message))
            })?;
        }
        Ok(())
    })
}

/// The production scheduler as a client of the API.
fn scheduler(address: SocketAddr) -> Result<Running, Failure> {
    let mut configuration = resolve(&ConfigurationFile::default())
        .map_err(|error| Failure::CouldNot(error.to_string()))?;
    configuration.engine.scheduler_names =
        SCHEDULER_NAMES.iter().map(|name| (*name).into()).collect();
    configuration.engine.unnamed_scheduler = UnnamedScheduler::Adopted;
    let url = format!("http://{address}").parse().expect("a socket address is a valid authority");
    let config = kube::Config::new(url);
    let clients = clients::clients(&config, &configuration.kubernetes);
    let reporter = Reporter { controller: "muster".into(), instance: "muster-playground".into() };
    let rim = Rim {
        clients: clients.map_err(Failure::CouldNot)?,
        clock: Clock::start(),
        traffic: configuration.kubernetes,
        engine: configuration.engine,
        reporter,
        // Nobody else schedules in its own process.
        candidacy: None,
    };
    Ok(rim.start())
}

/// Serves explanations and metrics where `muster explain` looks, or anywhere if that is taken.
async fn endpoint(questions: mpsc::Sender<Question>) -> Result<SocketAddr, Failure> {
    let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let listener = match http::listen(local(ENDPOINT_PORT)).await {
        Ok(listener) => listener,
        Err(_) => http::listen(local(0)).await.map_err(Failure::CouldNot)?,
    };
    let address = listener.local_addr().map_err(|error| Failure::CouldNot(error.to_string()))?;
    tokio::spawn(http::serve(listener, questions, std::future::pending()));
    Ok(address)
}

/// Whether the scheduler has nothing left to do by itself. Repeated words about what still waits do not count.
fn is_settled(report: Option<&Report>) -> bool {
    report.is_none_or(|report| {
        report.synced
            && report.orders_under_way == 0
            && report.notices_waiting == 0
            && !report.work_is_due
    })
}

async fn ask<T>(
    questions: &mpsc::Sender<Question>,
    question: impl FnOnce(oneshot::Sender<T>) -> Question,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    questions.send(question(sender)).await.ok()?;
    receiver.await.ok()
}

fn write_kubeconfig(address: SocketAddr) -> Result<PathBuf, Failure> {
    let path =
        std::env::temp_dir().join(format!("muster-playground-{}.kubeconfig", address.port()));
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: playground\n\
         clusters:\n- name: playground\n  cluster: {{server: \"http://{address}\"}}\n\
         contexts:\n- name: playground\n  context: {{cluster: playground, user: playground, namespace: default}}\n\
         users:\n- name: playground\n  user: {{}}\n"
    );
    // The folder is everybody's: what an earlier playground left goes, and nothing is written through
    // a link that somebody else has put there.
    let _ = std::fs::remove_file(&path);
    File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(
        |error| Failure::CouldNot(format!("cannot write {}: {error}; set TMPDIR", path.display())),
    )?;
    Ok(path)
}

fn tutorial_note(form: &serde_json::Value) -> String {
    let name = form["metadata"]["name"].as_str().unwrap_or_default();
    let minimum = &form["spec"]["minMember"];
    format!(
        "note: PodGroup {name:?} is written as scheduling.k8s.io/v1alpha1 with minMember, a form seen in tutorials. \
         The playground takes it; a real API server does not. This form works everywhere, with the pod label \
         scheduling.x-k8s.io/pod-group:\n\n  apiVersion: scheduling.x-k8s.io/v1alpha1\n  kind: PodGroup\n  \
         metadata: {{name: {name}}}\n  spec: {{minMember: {minimum}}}\n"
    )
}
