//! The network between the schedulers and the API: a tower service that delays, loses, repeats, and refuses
//! requests and replies, and cuts, stalls, and lags watches, all drawn from one seeded generator.
//! Here too is what hits only some requests: rights that are gone, webhooks, processes that stand still or die of a call.
//! A request that was sent is carried out whether or not its sender lives to hear of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::Request;
use axum::http::Response;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::RETRY_AFTER;
use futures::StreamExt;
use http_body_util::BodyExt;
use muster::base::random::Random;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::Service;
use tower::ServiceExt;

use crate::barrier::Barrier;
use crate::barrier::Sent;

/// A world whose trace is longer than this goes round in circles: the longest of the first two thousand are a tenth of it.
const LINES_MAX: usize = 400_000;

/// How bad the network is. Rates are percent of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Longest usual delay of a request, and of its reply.
    pub(crate) delay: Duration,
    /// Of requests, how many take up to a hundred times as long.
    pub(crate) slow: u64,
    /// Refused before anything happened: 429, 500, 503.
    pub(crate) refused: u64,
    /// Lost before they arrived.
    pub(crate) lost: u64,
    /// Carried out, and the reply lost or an error in its place.
    pub(crate) unanswered: u64,
    /// Delivered twice.
    pub(crate) repeated: u64,
    /// Of the pieces of a watch, after how many it is cut.
    pub(crate) cut: u64,
    /// Of the pieces of a watch, after how many nothing more comes.
    pub(crate) stalled: u64,
    /// Longest lag of a watch behind the store.
    pub(crate) lag: Duration,
    /// Nothing gets through at all.
    pub(crate) outage: bool,
}

impl Weather {
    /// Everything arrives within a millisecond.
    pub(crate) const FAIR: Self = Self {
        delay: Duration::from_millis(1),
        slow: 0,
        refused: 0,
        lost: 0,
        unanswered: 0,
        repeated: 0,
        cut: 0,
        stalled: 0,
        lag: Duration::from_millis(1),
        outage: false,
    };
}

/// A right: a method, and a part of the path.
pub(crate) type Right = (&'static str, &'static str);

/// The rights that may be taken away.
pub(crate) const RIGHTS: [Right; 12] = [
    ("POST", "/binding"),
    ("PATCH", "/podgroups/"),
    ("POST", "/gangplans"),
    ("PUT", "/gangplans/"),
    ("PATCH", "/gangplans/"),
    ("GET", "/gangplans"),
    ("GET", "/pods"),
    ("GET", "/nodes"),
    ("PATCH", "/status"),
    ("DELETE", "/pods/"),
    ("PUT", "/leases/"),
    ("POST", "/events"),
];

/// The calls that a process may die of.
pub(crate) const TRAPS: [Right; 9] = [
    ("POST", "/gangplans"),
    ("PUT", "/gangplans/"),
    ("PATCH", "/gangplans/"),
    ("PATCH", "/podgroups/"),
    ("GET", "/podgroups/"),
    ("POST", "/binding"),
    ("PATCH", "/status"),
    ("DELETE", "/pods/"),
    ("PUT", "/leases/"),
];

/// Kills the process that makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trap {
    pub(crate) method: &'static str,
    /// A part of the path.
    pub(crate) path: &'static str,
    /// So many such calls pass before.
    pub(crate) skip: u64,
    pub(crate) when: TrapWhen,
}

/// When a trap springs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrapWhen {
    /// The request never leaves.
    BeforeSent,
    /// The request is on its way, and nobody waits for the reply.
    Sent,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Sky {
    pub(crate) weather: Weather,
    /// Until when processes stand still: nothing leaves them, and nothing reaches them.
    pub(crate) frozen: BTreeMap<String, Instant>,
    /// Rights that nobody has.
    pub(crate) denied: BTreeSet<Right>,
    /// Pods of which a webhook rejects every bind.
    pub(crate) rejected: BTreeSet<String>,
    pub(crate) traps: Vec<Trap>,
    /// What each process has listed since it was elected.
    barrier: Barrier,
    /// Promises that what went over the wire breaks.
    pub(crate) broken: Vec<String>,
    /// Told the name of a process that has to die.
    pub(crate) killed: mpsc::UnboundedSender<String>,
    random: Random,
    /// What went over the wire, one line each, to compare two runs and to tell of one that failed.
    pub(crate) trace: Vec<String>,
    started: Instant,
}

/// A handle to the [`Sky`].
pub(crate) type SharedSky = Arc<Mutex<Sky>>;

/// A sky for one world, and where it says which processes have to die.
pub(crate) fn sky(
    random: Random,
    weather: Weather,
) -> (SharedSky, mpsc::UnboundedReceiver<String>) {
    let (killed, deaths) = mpsc::unbounded_channel();
    let sky = Sky {
        weather,
        frozen: BTreeMap::new(),
        denied: BTreeSet::new(),
        rejected: BTreeSet::new(),
        traps: Vec::new(),
        barrier: Barrier::default(),
        broken: Vec::new(),
        killed,
        random,
        trace: Vec::new(),
        started: Instant::now(),
    };
    (Arc::new(Mutex::new(sky)), deaths)
}

/// Looks at the sky; the runtime has one thread, so nobody ever waits here.
pub(crate) fn look(sky: &SharedSky) -> MutexGuard<'_, Sky> {
    sky.lock().expect("no test goes on after a panic")
}

impl Sky {
    /// Notes what happened.
    pub(crate) fn note(&mut self, what: &str) {
        let elapsed = self.started.elapsed().as_secs_f64();
        self.trace.push(format!("{elapsed:>11.6} {what}"));
        assert!(self.trace.len() < LINES_MAX, "a world that runs away: {what}");
    }

    /// The trap that this call springs, if any.
    fn sprung(&mut self, method: &str, path: &str) -> Option<TrapWhen> {
        let place =
            self.traps.iter().position(|trap| trap.method == method && path.contains(trap.path))?;
        let trap = &mut self.traps[place];
        if trap.skip > 0 {
            trap.skip -= 1;
            return None;
        }
        Some(self.traps.remove(place).when)
    }

    /// What stands between this call and the API server's store, if anything does.
    fn barred(&self, method: &str, path: &str) -> Option<Response<Body>> {
        let taken = |right: &&Right| right.0 == method && path.contains(right.1);
        if self.denied.iter().any(|right| taken(&right)) {
            return Some(status(403, "Forbidden", "the role has lost this right"));
        }
        let pod = path.strip_suffix("/binding")?.rsplit('/').next()?;
        self.rejected.contains(pod).then(|| {
            let why = "admission webhook \"no.example.com\" denied the request";
            status(400, "BadRequest", why)
        })
    }

    fn delay(&mut self) -> Duration {
        let usual = self.weather.delay.as_micros().max(1);
        let most = if self.random.chance(self.weather.slow) { usual * 100 } else { usual };
        Duration::from_micros(self.random.below(u64::try_from(most).unwrap_or(u64::MAX)))
    }

    /// Judges a request that is about to leave its process.
    fn judge(&mut self, sender: &str, method: &str, path: &str) {
        if let Some(what) = self.barrier.broken_by(sender, method, path) {
            self.note(&format!("BROKEN {what}"));
            self.broken.push(what);
        }
    }

    fn fate(&mut self, sender: &str) -> Fate {
        let weather = self.weather;
        let (before, after) = (self.delay(), self.delay());
        let what = if weather.outage || self.random.chance(weather.lost) {
            What::Lost
        } else if self.random.chance(weather.refused) {
            What::Refused(*self.random.pick(&[429, 500, 503]))
        } else if self.random.chance(weather.unanswered) {
            What::Unanswered(*self.random.pick(&[0, 500, 504]))
        } else if self.random.chance(weather.repeated) {
            What::Repeated
        } else {
            What::Answered
        };
        let sent = self.barrier.sent(sender);
        Fate { before, after, what, hangs: self.random.chance(50), sent }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
struct Fate {
    before: Duration,
    after: Duration,
    what: What,
    /// Where there is no reply: the connection stays silent instead of being reset.
    hangs: bool,
    sent: Sent,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Answered,
    Repeated,
    Lost,
    Refused(u16),
    /// With this status in place of the reply; 0 for none at all.
    Unanswered(u16),
}

/// One process' connection to the API.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) router: Router,
    pub(crate) sky: SharedSky,
    /// Who sends, for the trace.
    pub(crate) sender: String,
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Service<Request<kube::client::Body>> for Network {
    type Response = Response<Body>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let network = self.clone();
        let (fate, sprung) = {
            let mut sky = look(&self.sky);
            let (method, path) = (request.method().as_str(), request.uri().path());
            sky.judge(&self.sender, method, path);
            (sky.fate(&self.sender), sky.sprung(method, path))
        };
        Box::pin(async move {
            if let Some(when) = sprung {
                let what =
                    format!("{} dies of {} {}", network.sender, request.method(), request.uri());
                network.note(&what);
                // The world lives as long as its processes.
                let _ = look(&network.sky).killed.send(network.sender.clone());
                if when == TrapWhen::BeforeSent {
                    return std::future::pending().await;
                }
            }
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let (reply, replied) = oneshot::channel();
            // A task of its own: what was sent arrives, although its sender may be gone by then.
            tokio::spawn(network.deliver(Request::from_parts(parts, body), fate, reply));
            match replied.await {
                Ok(reply) => reply,
                Err(_) if fate.hangs => std::future::pending().await,
                Err(_) => Err("connection reset by peer".into()),
            }
        })
    }
}

type Reply = oneshot::Sender<Result<Response<Body>, Failed>>;

impl Network {
    async fn deliver(self, request: Request<Bytes>, fate: Fate, reply: Reply) {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let line = format!("{} {} {}", self.sender, request.method(), request.uri());
        tokio::time::sleep(fate.before).await;
        self.thawed().await;
        let barred = look(&self.sky).barred(request.method().as_str(), request.uri().path());
        let answer = match (fate.what, barred) {
            (What::Lost, _) => return self.note(&format!("{line} lost")),
            (What::Refused(code), _) => refusal(code),
            (_, Some(answer)) => answer,
            (What::Answered | What::Repeated | What::Unanswered(_), None) => {
                self.carry_out(&request).await
            }
        };
        if answer.status().is_success() && !is_watch {
            self.count_for_barrier(&request, fate);
        }
        let repeated = matches!(fate.what, What::Repeated) && request.method() != Method::GET;
        self.note(&format!("{line} {} {:?}", answer.status().as_u16(), fate.what));
        tokio::time::sleep(fate.after).await;
        self.thawed().await;
        // Whoever asked may be gone; then nobody hears the reply.
        let _ = match fate.what {
            What::Unanswered(0) => return,
            What::Unanswered(code) => reply.send(Ok(refusal(code))),
            What::Answered | What::Repeated | What::Refused(_) | What::Lost if is_watch => {
                reply.send(Ok(self.watched(answer)))
            }
            What::Answered | What::Repeated | What::Refused(_) | What::Lost => {
                reply.send(Ok(answer))
            }
        };
        if repeated {
            let again = look(&self.sky).delay();
            tokio::time::sleep(again).await;
            let barred = look(&self.sky).barred(request.method().as_str(), request.uri().path());
            if barred.is_some() {
                return;
            }
            let answer = self.carry_out(&request).await;
            self.note(&format!("{line} {} again", answer.status().as_u16()));
        }
    }

    /// A list counts where its answer arrives, anything else where it is carried out.
    fn count_for_barrier(&self, request: &Request<Bytes>, fate: Fate) {
        let (method, path) = (request.method(), request.uri().path());
        let barrier = &mut look(&self.sky).barrier;
        match fate.what {
            What::Answered | What::Repeated if method == Method::GET => {
                barrier.listed(&self.sender, path, fate.sent);
            }
            What::Answered | What::Repeated | What::Unanswered(_) => {
                barrier.carried_out(&self.sender, method.as_str(), path);
            }
            What::Lost | What::Refused(_) => {}
        }
    }

    /// Waits while the process stands still.
    async fn thawed(&self) {
        thawed(&self.sky, &self.sender).await;
    }

    async fn carry_out(&self, request: &Request<Bytes>) -> Response<Body> {
        let request = request.clone().map(Body::from);
        self.router.clone().oneshot(request).await.expect("the router always answers")
    }

    fn note(&self, what: &str) {
        look(&self.sky).note(what);
    }

    /// A watch whose pieces come late, and that may be cut or fall silent.
    fn watched(&self, response: Response<Body>) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let (sky, sender) = (Arc::clone(&self.sky), self.sender.clone());
        let pieces = futures::stream::unfold(body.into_data_stream(), move |mut pieces| {
            let (sky, sender) = (Arc::clone(&sky), sender.clone());
            async move {
                let piece = pieces.next().await?;
                let (lag, cut, stalled) = {
                    let mut sky = look(&sky);
                    let most = u64::try_from(sky.weather.lag.as_micros()).unwrap_or(u64::MAX);
                    let lag = Duration::from_micros(sky.random.below(most.max(1)));
                    let (cut, stalled) = (sky.weather.cut, sky.weather.stalled);
                    (lag, sky.random.chance(cut), sky.random.chance(stalled))
                };
                tokio::time::sleep(lag).await;
                thawed(&sky, &sender).await;
                if stalled {
                    std::future::pending::<()>().await;
                }
                (!cut).then_some((piece, pieces))
            }
        });
        Response::from_parts(parts, Body::from_stream(pieces))
    }
}

/// Waits while a process stands still.
async fn thawed(sky: &SharedSky, sender: &str) {
    loop {
        let until = look(sky).frozen.get(sender).copied();
        match until.filter(|until| *until > Instant::now()) {
            Some(until) => tokio::time::sleep_until(until).await,
            None => return,
        }
    }
}

/// What an API server in trouble answers.
fn refusal(code: u16) -> Response<Body> {
    let mut response = status(code, "InternalError", "drawn by the test");
    if code == 429 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn status(code: u16, reason: &str, message: &str) -> Response<Body> {
    let status = StatusCode::from_u16(code).expect("a status that HTTP knows");
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(Body::from(body.to_string())).expect("the parts are valid")
}
