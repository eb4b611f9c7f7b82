//! The endpoints of `muster run`: `/healthz`, `/readyz`, `/metrics`, `/explain/NAMESPACE/NAME`. Read only.
//! Each answer comes from the driver between two of its cycles; a driver that does not answer is not healthy.
//! Keeps nothing and decides nothing: each request is one question to the driver.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::metrics;
use crate::base::names::ObjectName;
use crate::kubernetes::driver::Question;
use crate::kubernetes::driver::Report;
use crate::kubernetes::traffic::BLINDNESS_MAX;
use crate::kubernetes::translate::Kind;

/// How long the driver may take for an answer before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the driver takes questions.
type Driver = mpsc::Sender<Question>;

/// Listens on `address`.
///
/// # Errors
/// When the address is in use or not ours; the text names it.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error}; set http.listenAddress in the configuration to a free address")
    })
}

/// Serves until `stop` is over.
pub async fn serve(
    listener: TcpListener,
    questions: Driver,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let server = axum::serve(listener, router(questions)).with_graceful_shutdown(stop);
    if let Err(error) = server.await {
        tracing::error!(%error, "the HTTP endpoints are gone");
    }
}

/// The endpoints.
pub fn router(questions: Driver) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .route("/explain/{namespace}/{name}", get(explain))
        .with_state(questions)
}

async fn report(driver: &Driver) -> Option<Report> {
    let (sender, receiver) = oneshot::channel();
    let exchange = async {
        driver.send(Question::Report(sender)).await.ok()?;
        receiver.await.ok()
    };
    tokio::time::timeout(PATIENCE, exchange).await.ok().flatten()
}

async fn healthz(State(driver): State<Driver>) -> Response {
    match report(&driver).await {
        Some(_) => "ok\n".into_response(),
        None => stuck(),
    }
}

async fn readyz(State(driver): State<Driver>) -> Response {
    match report(&driver).await {
        Some(report) => match unready(&report) {
            None if report.synced => "ok\n".into_response(),
            None => "ok: standing by\n".into_response(),
            Some(why) => (StatusCode::SERVICE_UNAVAILABLE, why).into_response(),
        },
        None => stuck(),
    }
}

/// Why decisions cannot be relied on, for people; `None` where they can.
fn unready(report: &Report) -> Option<String> {
    let failing: String = report
        .traffic
        .watch_troubles
        .iter()
        .filter(|(kind, trouble)| {
            // Without storage, pods with volumes are refused by name, and all others are placed. Without
            // DeviceClasses, only a refusal cannot name them.
            let is_needed = !matches!(kind, Kind::Storage(_) | Kind::DeviceClass);
            !report.listed || is_needed && trouble.since.elapsed() > BLINDNESS_MAX
        })
        .map(|(kind, trouble)| {
            let seconds = trouble.since.elapsed().as_secs();
            let kind = kind.as_str();
            format!("{kind} cannot be listed or watched since {seconds} s: {}\n", trouble.why)
        })
        .collect();
    // A standby is ready as soon as it knows everything: it could lead at once.
    match report.listed {
        true if failing.is_empty() => None,
        true => Some(failing),
        false => Some(format!("nodes, pods, and PodGroups are still being listed\n{failing}")),
    }
}

async fn show_metrics(State(driver): State<Driver>) -> Response {
    match report(&driver).await {
        Some(report) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], metrics::text(report)).into_response()
        }
        None => stuck(),
    }
}

/// JSON, or text for people where `Accept: text/plain` asks for it.
async fn explain(
    State(driver): State<Driver>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let (sender, receiver) = oneshot::channel();
    let asked = ObjectName::new(&namespace, &name);
    let exchange = async {
        driver.send(Question::Explain(asked, sender)).await.ok()?;
        receiver.await.ok()
    };
    let Ok(Some(explanation)) = tokio::time::timeout(PATIENCE, exchange).await else {
        return stuck();
    };
    let Some(explanation) = explanation else {
        let text = format!("no PodGroup and no pod {namespace}/{name} is known\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let as_text = headers.get(header::ACCEPT).is_some_and(|accept| accept == "text/plain");
    if as_text {
        return explanation.to_string().into_response();
    }
    let json = serde_json::to_string(&explanation).expect("an explanation is text and numbers");
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

fn stuck() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "the scheduler does not answer\n").into_response()
}
