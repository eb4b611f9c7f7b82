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
