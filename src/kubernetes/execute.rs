//! Orders carried out: each bind is sent until its outcome is known or its time is over. Decides nothing.
//! Concurrency is bounded here, since kube's connection pool is not; the write client must not retry by itself.
//! Invariant: every order comes back with exactly one outcome.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use futures::StreamExt;
use http_body_util::BodyExt;
use http_body_util::Limited;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;
use tracing::info;
use tracing::warn;

use super::clock::Clock;
use super::lease::tenure::Tenure;
use super::pace::Ending;
use super::pace::Pace;
use super::requests::Exchange;
use super::requests::NativeVersion;
use super::requests::Next;
use super::requests::Reply;
use super::requests::Writer;
use super::traffic::Purpose;
use super::traffic::Traffic;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::engine::event::Outcome;
use crate::engine::order::Order;
use crate::engine::order::OrderId;
use crate::engine::order::PodRef;

/// Replies longer than this are no replies to our requests (etcd holds objects of 1.5 MiB at most).
const REPLY_BYTES_MAX: usize = 4 << 20;

/// Pause before a bind is sent again; it doubles with each further time.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause between attempts, also where the server asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long one order is tried before it is left to the facts.
const ORDER_TIME_MAX: Duration = Duration::from_secs(60);

/// Requests to the API server by a client that does not retry, each with a limit of its own.
#[derive(Clone)]
pub struct Wire {
    client: Client,
    write_timeout: Duration,
    read_timeout: Duration,
    traffic: Arc<Traffic>,
    clock: Clock,
    tenure: Arc<Tenure>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("write_timeout", &self.write_timeout).finish_non_exhaustive()
    }
}

impl Wire {
    /// Requests through `client`. `limits` bound a write and a read.
    pub fn new(
        client: Client,
        (write_timeout, read_timeout): (Duration, Duration),
        traffic: Arc<Traffic>,
        clock: Clock,
    ) -> Self {
        let tenure = Arc::new(Tenure::forever());
        Self { client, write_timeout, read_timeout, traffic, clock, tenure }
    }

    /// The same, but writes only while `tenure` holds.
    #[must_use]
    pub fn while_holds(mut self, tenure: Arc<Tenure>) -> Self {
        self.tenure = tenure;
        self
    }

    /// The local clock.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Sends a write.
    pub async fn write(
        &self,
        purpose: Purpose,
        request: Request<Vec<u8>>,
    ) -> (Reply, Option<Duration>) {
        if !self.tenure.holds() {
            return (Reply::Lost("not sent: this process does not lead".to_owned()), None);
        }
        self.send(purpose, request, self.write_timeout).await
    }

    /// Sends a read.
    pub async fn read(&self, purpose: Purpose, request: Request<Vec<u8>>) -> Reply {
        self.send(purpose, request, self.read_timeout).await.0
    }

    /// The reply, and how long the server asks to be left alone.
    async fn send(
        &self,
        purpose: Purpose,
        request: Request<Vec<u8>>,
        limit: Duration,
    ) -> (Reply, Option<Duration>) {
        let exchange = async {
            let response = self
                .client
                .send(request.map(Body::from))
                .await
                .map_err(|error| error.to_string())?;
            let (head, body) = response.into_parts();
            let bytes = Limited::new(body, REPLY_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| error.to_string())?;
            let retry_after =
                head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let body = if head.status.is_success() && purpose.needs_no_answer() {
                Value::Null
            } else {
                serde_json::from_slice(&bytes.to_bytes()).unwrap_or(Value::Null)
            };
            Ok::<_, String>((
                Reply::Answered { status: head.status, body },
                retry_after.map(Duration::from_secs),
            ))
        };
        let (reply, retry_after) = match tokio::time::timeout(limit, exchange).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => (Reply::Lost(error), None),
            Err(_) => (Reply::Lost(format!("no answer within {} s", limit.as_secs_f32())), None),
        };
        let status = match &reply {
            Reply::Answered { status, .. } => status.as_u16(),
            Reply::Lost(_) => 0,
        };
        self.traffic.request(purpose, status);
        if let Reply::Answered { status: StatusCode::FORBIDDEN, body } = &reply {
            self.traffic.refused(body["message"].as_str().unwrap_or_default());
        }
        (reply, retry_after)
    }
}

/// An order that has come back.
#[derive(Debug)]
pub struct Settled {
    /// Which order.
    pub order: OrderId,
    /// What became of it.
    pub outcome: Outcome,
}

/// Carries orders out.
#[derive(Debug)]
pub struct Executor {
    /// To the API server.
    pub wire: Wire,
    /// Who writes.
    pub writer: Writer,
    /// The version of native PodGroups that the server speaks now.
    pub native: watch::Receiver<NativeVersion>,
    /// How many requests are under way.
    pub pace: Arc<Pace>,
    /// How many orders are under way; each has at most one request.
    pub concurrent: usize,
}

impl Executor {
    /// Carries out orders as they come, until the sender is gone or `stop` says so, and all that were begun have
    /// come back. What was not begun then is whoever leads next to decide.
    pub async fn run(
        self,
        orders: mpsc::UnboundedReceiver<Order>,
        settled: mpsc::UnboundedSender<Settled>,
        stop: oneshot::Receiver<()>,
    ) {
        let incoming =
            futures::stream::unfold((orders, stop), |(mut orders, mut stop)| async move {
                let order = tokio::select! {
                    biased;
                    _ = &mut stop => None,
                    order = orders.recv() => order,
                };
                Some((order?, (orders, stop)))
            });
        let (executor, settled) = (&self, &settled);
        incoming
            .for_each_concurrent(self.concurrent, |order| async move {
                let (id, what) = (order.id, order.action.as_str());
                let (gang, member) = (order.action.gang().clone(), order.action.member().cloned());
                let node = order.action.node().cloned();
                let outcome = executor.exchange(order).await;
                log(what, &gang, (member.as_ref(), node.as_ref()), &outcome);
                // The driver is gone only when the process ends; then nobody asks for outcomes.
                let _ = settled.send(Settled { order: id, outcome });
            })
            .await;
    }

    /// Carries one order out: sends, waits, and asks until its outcome is known or the time for it is over.
    async fn exchange(&self, order: Order) -> Outcome {
        let writer = Writer { native: *self.native.borrow(), ..self.writer.clone() };
        let deadline = Instant::now() + ORDER_TIME_MAX;
        let mut pause = PAUSE_MIN;
        let mut exchange = Exchange::new(order, &writer);
        loop {
            let permit = self.pace.permit().await;
            let (purpose, request) = exchange.request(&writer, self.wire.clock.now());
            let (reply, retry_after) = if request.method() == Method::GET {
                (self.wire.read(purpose, request).await, None)
            } else {
                self.wire.write(purpose, request).await
            };
            permit.end(ending(&reply, retry_after));
            match exchange.after(&writer, &reply) {
                Next::Settled(outcome) => return outcome,
                Next::Send => {}
                Next::Rest(why) => {
                    if Instant::now() >= deadline {
                        return Outcome::Unknown(why);
                    }
                    debug!(order = exchange.action().as_str(), why = %why, "in doubt");
                    rest(&mut pause, retry_after).await;
                }
            }
        }
    }
}

/// What a reply says about how much the server has to do.
fn ending(reply: &Reply, retry_after: Option<Duration>) -> Ending {
    match reply {
        Reply::Lost(_) => Ending::Overloaded(None),
        Reply::Answered { status, .. } => {
            let overloaded = *status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
            if overloaded { Ending::Overloaded(retry_after) } else { Ending::Answered }
        }
    }
}

/// One line per order.
fn log(
    what: &str,
    gang: &ObjectName,
    (member, node): (Option<&PodRef>, Option<&Name>),
    outcome: &Outcome,
) {
    let pod = member.map(|pod| tracing::field::display(&pod.name));
    let node = node.map(tracing::field::display);
    match outcome {
        Outcome::Done | Outcome::Written { .. } if node.is_some() => {
            info!(order = what, gang = %gang, pod, node, "bound");
        }
        Outcome::Done | Outcome::Written { .. } => info!(order = what, gang = %gang, pod, "done"),
        Outcome::BoundTo(node) => {
            info!(order = what, gang = %gang, pod, node = %node, "a bind came first");
        }
        Outcome::Gone => info!(order = what, gang = %gang, pod, "not done: it is gone"),
        Outcome::Superseded(record) => {
            warn!(order = what, gang = %gang, pod, plan = %record.mark, phase = record.phase.as_str(), "not done: the record says otherwise");
        }
        Outcome::Conflict(why) | Outcome::Refused(why) | Outcome::Unknown(why) => {
            warn!(order = what, gang = %gang, pod, node, why = %why, "not done");
        }
    }
}

/// Waits, longer each time, and at least as long as the server asked within reason.
async fn rest(pause: &mut Duration, asked: Option<Duration>) {
    tokio::time::sleep(asked.unwrap_or(*pause).max(*pause).min(PAUSE_MAX)).await;
    *pause = (*pause * 2).min(PAUSE_MAX);
}
