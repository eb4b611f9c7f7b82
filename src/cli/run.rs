//! `muster run`: the scheduler against a real API server. Start-up and shutdown only.
//! Reads the configuration, finds the API server, starts the rim and the HTTP endpoints, and waits for a signal.
//! After a signal it ends with status 0; with 1 where it cannot begin, or what is believed can no longer be trusted.

use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use super::Failure;
use crate::config::resolve::Configuration;
use crate::config::rim::ElectionMode;
use crate::config::rim::ElectionSettings;
use crate::kubernetes::clients;
use crate::kubernetes::clock::Clock;
use crate::kubernetes::lease::line;
use crate::kubernetes::requests::Reporter;
use crate::kubernetes::rim::Candidacy;
use crate::kubernetes::rim::Rim;
use crate::telemetry::http;
use crate::telemetry::log;
use crate::telemetry::log::LogFormat;

/// Threads that run tasks. One decides, writes, and watches: a request that is handed from thread to thread costs more
/// than a second one would do, and the API server is slower than either.
const WORKERS: usize = 1;

/// Run the scheduler against a Kubernetes API server.
///
/// Schedules the pods whose `spec.schedulerName` is one of the configuration's `schedulerNames` (default: muster).
/// Ends cleanly at SIGTERM and Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Configuration file; `muster config` prints one with all defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// How to reach the API server; default as kubectl, or the pod's service account.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// How log lines on stderr look. MUSTER_LOG=debug shows more of them.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(crate) fn execute(args: &Args) -> Result<(), Failure> {
    log::start(
        match args.log_format {
            Format::Text => LogFormat::Text,
            Format::Json => LogFormat::Json,
        },
        "info",
    );
    let configuration = configuration(args)?;
    if let Some(path) = &args.kubeconfig {
        // A file that is not there is wrong usage; what it says is judged later.
        super::read_text(path)?;
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::CouldNot(format!("cannot start: {error}")))?;
    runtime.block_on(run(args, configuration))
}

fn configuration(args: &Args) -> Result<Configuration, Failure> {
    let (name, text) = match &args.config {
        Some(path) => (path.display().to_string(), super::read_text(path)?),
        None => ("the default configuration".to_owned(), String::new()),
    };
    let resolved = crate::config::read(&text);
    let resolved = resolved.map_err(|error| Failure::BadInput(format!("{name}: {error}")))?;
    for warning in &resolved.warnings {
        tracing::warn!("{name}: {warning}");
    }
    Ok(resolved.configuration)
}

async fn run(args: &Args, configuration: Configuration) -> Result<(), Failure> {
    // First of all, so that a signal during start-up ends it cleanly too.
    let terminate = signal(SignalKind::terminate());
    let mut terminate = terminate
        .map_err(|error| Failure::CouldNot(format!("cannot listen for SIGTERM: {error}")))?;
    let server =
        clients::configuration(args.kubeconfig.as_deref()).await.map_err(Failure::CouldNot)?;
    let clients =
        clients::clients(&server, &configuration.kubernetes).map_err(Failure::CouldNot)?;
    let instance = instance();
    let candidacy = candidacy(&configuration.kubernetes.election, &server, &instance).await?;
    let listener =
        http::listen(configuration.http.listen_address).await.map_err(Failure::CouldNot)?;
    tracing::info!(
        server = %server.cluster_url,
        listen = %configuration.http.listen_address,
        schedulers = ?configuration.engine.scheduler_names,
        "muster {} starts", env!("CARGO_PKG_VERSION")
    );
    let reporter = Reporter {
        controller: configuration.engine.scheduler_names[0].clone(),
        instance: instance.into(),
    };
    let rim = Rim {
        clients,
        clock: Clock::start(),
        traffic: configuration.kubernetes,
        engine: configuration.engine,
        reporter,
        candidacy,
    };
    let mut running = rim.start();
    let http =
        tokio::spawn(http::serve(listener, running.questions.clone(), std::future::pending()));
    let ended = tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = tokio::signal::ctrl_c() => Ok("interrupt"),
        fault = running.failed() => Err(fault),
    };
    let result = match ended {
        Ok(signal) => {
            tracing::info!(signal, "stopping");
            Ok(())
        }
        Err(fault) => Err(Failure::CouldNot(format!("{fault}; start again"))),
    };
    running.stop().await;
    http.abort();
    result
}

/// How this process stands for election, where there is one.
async fn candidacy(
    settings: &ElectionSettings,
    server: &kube::Config,
    instance: &str,
) -> Result<Option<Candidacy>, Failure> {
    match settings.mode {
        ElectionMode::Alone => return Ok(None),
        ElectionMode::Elected => {}
    }
    let listener = TcpListener::bind(settings.line_address).await.map_err(|error| {
        let address = settings.line_address;
        Failure::CouldNot(format!(
            "cannot listen on {address}: {error}; set leaderElection.lineAddress in the configuration to a free address"
        ))
    })?;
    let own = std::env::var("POD_IP").ok().and_then(|address| address.parse().ok());
    let line = line::reachable(&listener, own, &server.cluster_url).await;
    if line.is_none() {
        tracing::warn!(
            "no address is known by which standbys could reach this process; they wait for its lease to expire"
        );
    }
    // Never the host's name alone: a container that starts again has the same, and is another process.
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::CouldNot(format!("the system gives no random numbers: {error}"))
    })?;
    let identity = format!("{instance}_{:032x}", u128::from_ne_bytes(random));
    Ok(Some(Candidacy {
        identity: identity.into(),
        line: line.map(|address| (listener, address)),
        lines: line::over_tcp(),
    }))
}

/// This process among others of its kind: the pod's name, which Kubernetes gives as the host's name, and the process.
fn instance() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "local".to_owned());
    // The API's limit for `reportingInstance` is 128 bytes; hosts' names are ASCII.
    let host: String = host.chars().filter(char::is_ascii).take(100).collect();
    format!("muster-{host}-{}", std::process::id())
}
