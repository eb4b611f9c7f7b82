//! What can go wrong between a client and the API: delays, deafness, a cut. Wrappers around kube clients.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::Response;
use futures::StreamExt;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body as ClientBody;

/// A client whose requests take `delay` longer.
pub(crate) fn slowed(inner: Client, delay: Duration) -> Client {
    let pass = move |request: Request<ClientBody>| {
        let inner = inner.clone();
        async move {
            tokio::time::sleep(delay).await;
            inner.send(request).await
        }
    };
    Client::new(tower::service_fn(pass), "default")
}

/// A client whose watches of pods say nothing any more once `deaf` is set: as if something on the way lost it.
pub(crate) fn deafened(inner: Client, deaf: Arc<AtomicBool>) -> Client {
    let pass = move |request: Request<ClientBody>| {
        let (inner, deaf) = (inner.clone(), Arc::clone(&deaf));
        async move {
            let uri = request.uri().to_string();
            let watches_pods = uri.contains("/pods?") && uri.contains("watch=true");
            let (head, body) = inner.send(request).await?.into_parts();
            if !watches_pods {
                return Ok::<_, kube::Error>(Response::from_parts(head, Body::new(body)));
            }
            let hears = move |_: &_| std::future::ready(!deaf.load(Ordering::Relaxed));
            let heard = body.into_data_stream().filter(hears);
            Ok(Response::from_parts(head, Body::from_stream(heard)))
        }
    };
    Client::new(tower::service_fn(pass), "default")
}

/// A client whose requests are never answered once `cut` is set.
pub(crate) fn cut_off(inner: Client, cut: Arc<AtomicBool>) -> Client {
    let pass = move |request: Request<ClientBody>| {
        let (inner, cut) = (inner.clone(), Arc::clone(&cut));
        async move {
            if cut.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            inner.send(request).await
        }
    };
    Client::new(tower::service_fn(pass), "default")
}

/// A client whose watches of `plural` tell everything so much later.
pub(crate) fn lagging(inner: Client, plural: &'static str, lag: Duration) -> Client {
    let pass = move |request: Request<ClientBody>| {
        let inner = inner.clone();
        async move {
            let watches = is_watch_of(&request, plural);
            let (head, body) = inner.send(request).await?.into_parts();
            if !watches {
                return Ok::<_, kube::Error>(Response::from_parts(head, Body::new(body)));
            }
            let late = body.into_data_stream().map(move |piece| async move {
                tokio::time::sleep(lag).await;
                piece
            });
            // Each is late by as much, however many come at once.
            let late = late.buffered(4096);
            Ok(Response::from_parts(head, Body::from_stream(late)))
        }
    };
    Client::new(tower::service_fn(pass), "default")
}

/// A client to which the watches of `plural` say nothing while `deaf` is set. What they would have said is not lost:
/// it comes once `deaf` is cleared, as from a cache of the API server that trails behind.
pub(crate) fn trailing(inner: Client, plural: &'static str, deaf: Arc<AtomicBool>) -> Client {
    let pass = move |request: Request<ClientBody>| {
        let (inner, deaf) = (inner.clone(), Arc::clone(&deaf));
        async move {
            let watches = is_watch_of(&request, plural);
            let (head, body) = inner.send(request).await?.into_parts();
            if !watches {
                return Ok::<_, kube::Error>(Response::from_parts(head, Body::new(body)));
            }
            let held = body.into_data_stream().then(move |piece| {
                let deaf = Arc::clone(&deaf);
                async move {
                    while deaf.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    piece
                }
            });
            Ok(Response::from_parts(head, Body::from_stream(held)))
        }
    };
    Client::new(tower::service_fn(pass), "default")
}

/// Answers a request in place of the API, or leaves it to it.
pub(crate) type Answer = dyn Fn(&Request<ClientBody>) -> Option<Response<Body>> + Send + Sync;

/// A client for which `answer` answers in place of the API, where it does.
pub(crate) fn answered(inner: Client, answer: Arc<Answer>) -> Client {
    let pass = move |request: Request<ClientBody>| {
        let (inner, answered) = (inner.clone(), answer(&request));
        async move {
            if let Some(response) = answered {
                return Ok::<_, kube::Error>(response);
            }
            let (head, body) = inner.send(request).await?.into_parts();
            Ok(Response::from_parts(head, Body::new(body)))
        }
    };
    Client::new(tower::service_fn(pass), "default")
}

/// A client whose requests that `hangs` picks are never answered, and never arrive.
pub(crate) fn hanging(
    inner: Client,
    hangs: impl Fn(&Request<ClientBody>) -> bool + Clone + Send + Sync + 'static,
) -> Client {
    let pass = move |request: Request<ClientBody>| {
        let (inner, hangs) = (inner.clone(), hangs(&request));
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            inner.send(request).await
        }
    };
    Client::new(tower::service_fn(pass), "default")
}

/// True for a request that watches `plural`.
pub(crate) fn is_watch_of(request: &Request<ClientBody>, plural: &str) -> bool {
    let uri = request.uri();
    uri.path().ends_with(&format!("/{plural}"))
        && uri.query().is_some_and(|query| query.contains("watch=true"))
}
