//! The line over which one kind is listed and watched: a kube client around the real one.
//! kube sets no limit on a page of a list or on the start of a watch, and reopens a watch that ends at once without
//! a word and without a pause. Both are held here. Invariant: nothing that passes is changed, only its time.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::http::Request;
use axum::http::Response;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;
use tower::BoxError;
use tracing::info;

use super::traffic::Traffic;
use super::translate::Kind;

/// A watch that lasted less than this ended at once. Shorter than the pause after an error, which is slow enough.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Pause before a watch that ended at once is opened again; it doubles with each further time.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Wraps `inner` for lists and watches of `kind`. `limit` bounds one page of a list, and the start of a watch.
pub fn over(inner: Client, kind: Kind, limit: Duration, traffic: Arc<Traffic>) -> Client {
    let line = Arc::new(Line { inner, kind, limit, traffic, pacing: Mutex::default() });
    let pass = move |request| {
        let line = Arc::clone(&line);
        async move { line.pass(request).await }
    };
    Client::new(tower::service_fn(pass), "default")
}

struct Line {
    inner: Client,
    kind: Kind,
    limit: Duration,
    traffic: Arc<Traffic>,
    pacing: Mutex<Pacing>,
}

impl Line {
    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        if is_watch(&request) { self.start_watch(request).await } else { self.page(request).await }
    }

    async fn start_watch(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let pause = {
            let mut pacing = self.pacing.lock().unwrap_or_else(PoisonError::into_inner);
            pacing.before_start(Instant::now())
        };
        if !pause.is_zero() {
            self.traffic.count(|counts| *counts.watches_slowed.entry(self.kind).or_default() += 1);
            tokio::time::sleep(pause).await;
        }
        let start = async {
            // The server sends the head at once, also where nothing changes for long.
            let response = self.inner.send(request).await?;
            // A refusal has an end, which kube would await for ever.
            if response.status().is_success() { Ok(response) } else { whole(response).await }
        };
        let response = self.within("start of the watch", start).await??;
        if response.status().is_success() && self.traffic.watch_stands(self.kind) {
            info!(kind = self.kind.as_str(), "the watch works again");
        }
        Ok(response)
    }

    /// One page, whole.
    async fn page(&self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let page = async { whole(self.inner.send(request).await?).await };
        self.within("page of the list", page).await?
    }

    async fn within<T>(&self, what: &str, work: impl Future<Output = T>) -> Result<T, BoxError> {
        let limit = self.limit;
        tokio::time::timeout(limit, work)
            .await
            .map_err(|_| format!("no {what} within {} s", limit.as_secs_f32()).into())
    }
}

/// The response with a body that has come to its end.
async fn whole(response: Response<Body>) -> Result<Response<Body>, BoxError> {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, Body::from(bytes)))
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1")
}

/// When the next watch may start.
#[derive(Debug, Default)]
struct Pacing {
    started: Option<Instant>,
    /// Watches in a row that ended at once.
    short: u32,
}

impl Pacing {
    /// A watch is about to start. How long it has to wait.
    fn before_start(&mut self, now: Instant) -> Duration {
        let ended_at_once = self.started.is_some_and(|started| now - started < AT_ONCE);
        self.short = if ended_at_once { self.short + 1 } else { 0 };
        let pause = match self.short {
            0 => Duration::ZERO,
            // Beyond so many doublings the maximum holds anyway.
            short => (PAUSE_MIN * (1 << (short - 1).min(16))).min(PAUSE_MAX),
        };
        self.started = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::http::Request;
    use axum::http::Response;
    use http_body_util::BodyExt;
    use kube::Client;
    use kube::client::Body;
    use tokio::time::Instant;
    use tower::BoxError;

    use super::{PAUSE_MAX, Pacing, over};
    use crate::kubernetes::traffic::Traffic;
    use crate::kubernetes::translate::Kind;

    /// A server that takes its time for every answer.
    fn slow(delay: Duration) -> Client {
        let answer = move |_: Request<Body>| async move {
            tokio::time::sleep(delay).await;
            Ok::<_, tower::BoxError>(Response::new(Body::from(b"{}".to_vec())))
        };
        Client::new(tower::service_fn(answer), "default")
    }

    fn get(path: &str) -> Request<Body> {
        Request::get(path).body(Body::empty()).expect("a request")
    }

    #[test]
    fn only_watches_that_end_at_once_are_slowed_and_ever_more() {
        let mut pacing = Pacing::default();
        let mut now = Instant::now();
        assert_eq!(pacing.before_start(now), Duration::ZERO);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let pause = pacing.before_start(now);
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses[..4], [100, 200, 400, 800]);
        assert_eq!(pauses[9], PAUSE_MAX.as_millis());
        now += Duration::from_secs(60);
        assert_eq!(pacing.before_start(now), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_and_the_start_of_a_watch_have_a_limit() {
        let traffic = Arc::new(Traffic::default());
        let limit = Duration::from_secs(5);
        let line = |delay| over(slow(delay), Kind::Pod, limit, Arc::clone(&traffic));
        for path in ["/api/v1/pods?limit=500", "/api/v1/pods?watch=true"] {
            let started = Instant::now();
            let error = line(Duration::from_secs(3600)).send(get(path)).await.expect_err(path);
            assert!(error.to_string().contains("within 5 s"), "{error}");
            assert_eq!(started.elapsed(), limit);
            let answer = line(Duration::from_secs(4)).send(get(path)).await.expect(path);
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            assert_eq!(&body[..], b"{}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_never_ends_is_given_up() {
        let answer = |_: Request<Body>| async {
            let silence = axum::body::Body::from_stream(futures::stream::pending::<
                Result<String, BoxError>,
            >());
            let refusal = Response::builder().status(500).body(silence).expect("it is valid");
            Ok::<_, BoxError>(refusal)
        };
        let server = Client::new(tower::service_fn(answer), "default");
        let traffic = Arc::new(Traffic::default());
        let line = over(server, Kind::Pod, Duration::from_secs(5), traffic);
        let error = line.send(get("/api/v1/pods?watch=true")).await.expect_err("it never ends");
        assert!(error.to_string().contains("within 5 s"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_proxy_that_closes_every_watch_is_not_asked_a_thousand_times_a_second() {
        let traffic = Arc::new(Traffic::default());
        let limit = Duration::from_secs(5);
        let line = over(slow(Duration::ZERO), Kind::Node, limit, Arc::clone(&traffic));
        let started = Instant::now();
        for _ in 0..12 {
            line.send(get("/api/v1/nodes?watch=true")).await.expect("it answers");
        }
        assert!(started.elapsed() > Duration::from_secs(40), "{:?}", started.elapsed());
        assert_eq!(traffic.counts().watches_slowed[&Kind::Node], 11);
    }
}
