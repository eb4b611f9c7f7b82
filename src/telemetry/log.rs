//! Logs: to stderr, as text for people or as JSON for machines, one info line per order.
//! Field names are fixed: `pod`, `gang`, `node`, `epoch`, `kind`, `why`. Levels: error: someone must act;
//! warn: something was given up; info: orders and what changes rarely; debug: cycles.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The environment variable that changes what is logged, as `RUST_LOG` in other programs: `debug`, `muster=trace`.
pub const FILTER_VARIABLE: &str = "MUSTER_LOG";

/// The client reports failed requests on its own, each time; whoever sent them says so once, with the cause.
const SAID_ELSEWHERE: &str = "kube_runtime::watcher=off,kube_client::client=off";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging; `default` holds where the environment says nothing. Once per process: later calls do nothing.
pub fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE)
        .unwrap_or_else(|_| EnvFilter::new(format!("{default},{SAID_ELSEWHERE}")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that logging was started before, which is as good.
    let _ = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(colours).with_target(false).try_init()
        }
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
    };
}
