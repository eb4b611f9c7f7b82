//! The writes of a fleet on their way: a fixed number of lanes, each with one request under way. What concerns one
//! object goes through one lane, so that it arrives in order. Decides nothing: what cannot be carried out for the
//! moment is tried again, what is refused is left to the kubelet, which looks at objects and not at answers.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use tokio::sync::mpsc;

use crate::sim::write::Verb;
use crate::sim::write::Write;

/// Requests under way at once.
const LANES: usize = 32;

/// Longer than any server takes that will answer at all.
const LIMIT: Duration = Duration::from_secs(15);

/// Pause before a write is sent again; it doubles with each further time ...
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// ... up to this, also where the server asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The lanes. They end when this is dropped.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<mpsc::UnboundedSender<Write>>,
}

/// What the lanes know in common of the API server.
#[derive(Debug, Default)]
struct Server {
    /// It did not answer, last time.
    silent: AtomicBool,
    /// It refused a write for want of rights; said once.
    refuses: AtomicBool,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It needs no further one.
    Settled,
    /// It is to be repeated, after a pause that the server may have asked for.
    Again(Option<Duration>),
}

impl Lanes {
    /// Lanes through `client`.
    pub(super) fn open(client: &Client) -> Self {
        let server = Arc::new(Server::default());
        let open = |_| {
            let (to, from) = mpsc::unbounded_channel();
            tokio::spawn(lane(client.clone(), Arc::clone(&server), from));
            to
        };
        Self { lanes: (0..LANES).map(open).collect() }
    }

    /// Sends a write behind those before it that concern the same object.
    pub(super) fn send(&self, write: Write) {
        let object = write.path.strip_suffix("/status").unwrap_or(&write.path);
        let mut hasher = DefaultHasher::new();
        object.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).expect("fewer than LANES");
        self.lanes[lane].send(write).expect("lanes end only after those who send");
    }
}

async fn lane(client: Client, server: Arc<Server>, mut from: mpsc::UnboundedReceiver<Write>) {
    while let Some(write) = from.recv().await {
        let mut pause = PAUSE_MIN;
        loop {
            // Renewals that could not be sent are worth nothing later: the next one is under way.
            if is_renewal(&write) && server.silent.load(Ordering::Relaxed) && !from.is_empty() {
                break;
            }
            match attempt(&client, &server, &write).await {
                Attempt::Settled => break,
                Attempt::Again(asked) => {
                    tokio::time::sleep(asked.unwrap_or(pause).min(PAUSE_MAX)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

fn is_renewal(write: &Write) -> bool {
    write.verb == Verb::MergePatch && write.path.contains("/leases/")
}

async fn attempt(client: &Client, server: &Server, write: &Write) -> Attempt {
    let exchange = async {
        let response = client.send(write.request().map(Body::from)).await?;
        let (head, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        let body = body.collect().await?.to_bytes();
        Ok::<_, kube::Error>((head, body))
    };
    let answer = match tokio::time::timeout(LIMIT, exchange).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
    };
    let (head, body) = match answer {
        Ok(answer) => answer,
        Err(why) => {
            if !server.silent.swap(true, Ordering::Relaxed) {
                tracing::warn!(why, "the API server does not answer; writes wait for it");
            }
            return Attempt::Again(None);
        }
    };
    if server.silent.swap(false, Ordering::Relaxed) {
        tracing::warn!("the API server answers again");
    }
    if head.status == StatusCode::FORBIDDEN && !server.refuses.swap(true, Ordering::Relaxed) {
        let answer = String::from_utf8_lossy(&body);
        tracing::warn!(path = write.path, %answer, "the API server refuses a write; said once");
    }
    tracing::debug!(path = write.path, status = head.status.as_u16(), "written");
    judge(head.status, || head.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok())
}

/// What an answer means; `retry_after` tells the seconds that the server asks for.
fn judge(status: StatusCode, retry_after: impl FnOnce() -> Option<u64>) -> Attempt {
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Attempt::Again(retry_after().map(Duration::from_secs));
    }
    Attempt::Settled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_go_better_later_is_tried_again() {
        let none = || None;
        for status in [StatusCode::CREATED, StatusCode::CONFLICT, StatusCode::NOT_FOUND] {
            assert_eq!(judge(status, none), Attempt::Settled, "{status}");
        }
        assert_eq!(judge(StatusCode::SERVICE_UNAVAILABLE, none), Attempt::Again(None));
        let asked = judge(StatusCode::TOO_MANY_REQUESTS, || Some(2));
        assert_eq!(asked, Attempt::Again(Some(Duration::from_secs(2))));
    }

    #[test]
    fn only_renewals_may_be_left_out() {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
        let body = serde_json::json!({});
        assert!(is_renewal(&Write::merge(format!("{lease}/n1"), &body)));
        assert!(!is_renewal(&Write::create(lease, &body)));
        assert!(!is_renewal(&Write::strategic("/api/v1/namespaces/a/pods/leases/status", &body)));
    }
}
