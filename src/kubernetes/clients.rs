//! kube clients as the rim needs them: for watches, for writes, and for the lease; none retries by itself.
//! kube's defaults would resend a bind up to 15 times and never give up on a silent connection.
//! Sends nothing: each request gets its limit where it is sent. Knows neither objects nor orders.

use std::path::Path;
use std::time::Duration;

use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;

use crate::config::rim::KubernetesSettings;

/// Longer than any watch stays silent: the server ends each of them in time.
const SILENCE_MARGIN: Duration = Duration::from_secs(15);

/// Finds the API server: in `kubeconfig`, or where it is not given as kubectl does, or inside a pod.
///
/// # Errors
/// When no configuration is found or it cannot be used; the text says which and what to do.
pub async fn configuration(kubeconfig: Option<&Path>) -> Result<Config, String> {
    match kubeconfig {
        Some(path) => {
            let named = |error: &dyn std::fmt::Display| format!("kubeconfig {}: {error}", path.display());
            let file = Kubeconfig::read_from(path).map_err(|error| named(&error))?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(|error| named(&error))
        }
        None => Config::infer().await.map_err(|error| {
            format!("no API server is configured: {error}; give --kubeconfig FILE, set KUBECONFIG, or run in a pod")
        }),
    }
}

/// One client for each purpose, so that none waits for another's connections.
#[derive(Clone)]
pub struct Clients {
    /// For lists and watches.
    pub watches: Client,
    /// For binds, conditions, events, and the reads that settle doubts.
    pub writes: Client,
    /// For the lease alone.
    pub lease: Client,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clients")
    }
}

/// The clients for the API server of `config`.
///
/// # Errors
/// When certificates or credentials of the configuration cannot be used.
pub fn clients(config: &Config, traffic: &KubernetesSettings) -> Result<Clients, String> {
    let watch_timeout = Duration::from_nanos(u64::try_from(traffic.watch_timeout.0).unwrap_or(0));
    let mut watches = config.clone();
    watches.default_retry = false;
    watches.connect_timeout = Some(Duration::from_secs(10));
    // A connection that says nothing for longer than a watch lasts is dead.
    watches.read_timeout = Some(watch_timeout + SILENCE_MARGIN);
    let mut writes = config.clone();
    writes.default_retry = false;
    writes.connect_timeout = Some(Duration::from_secs(5));
    let client = |config| {
        Client::try_from(config)
            .map_err(|error| format!("the API server's configuration cannot be used: {error}"))
    };
    Ok(Clients {
        watches: client(watches)?,
        lease: client(writes.clone())?,
        writes: client(writes)?,
    })
}
