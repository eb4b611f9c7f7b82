//! What the HTTP face carries: the requests of 10,000 pods' lives over loopback, from clients in the
//! same process, while watches read along. Prints requests per second and what the watches saw.
//! Bounded: one round of a fixed number of requests, and nothing beyond loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use axum::http::Method;
use axum::http::Request;
use futures::AsyncReadExt;
use futures::StreamExt;
use kube::Client;
use muster::apiserver::face;
use muster::apiserver::face::SharedServer;
use muster::apiserver::server::Server;
use muster::apiserver::store::state::Settings;
use muster::kubernetes::clock::Clock;
use serde_json::Value;
use serde_json::json;

/// Pods that live.
const PODS: usize = 10_000;

/// Requests under way at once, as the scheduler's executor has them.
const CONCURRENT: usize = 16;

/// Watches of all pods that read along.
const WATCHES: usize = 3;

/// Changes of a pod that a watch sees: made, bound, started, ended.
const CHANGES: usize = 4;

/// One request: method, path, content type, body.
type Written = (Method, String, &'static str, Value);

/// The requests that every pod gets, one phase after another.
/// A phase's name, and the request of its n-th write.
type Phase = (&'static str, fn(usize) -> Written);

const PHASES: &[Phase] = &[
    ("create", create),
    ("bind", bind),
    ("event", event),
    ("status: starts", |pod| status(pod, "Running", "True")),
    ("status: ends", |pod| status(pod, "Succeeded", "False")),
];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    runtime.block_on(lives());
}

fn clock() -> face::Clock {
    let clock = Clock::start();
    Arc::new(move || clock.now())
}

async fn lives() {
    let server = SharedServer::new(Server::new(Settings::default(), Clock::start().now()));
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = face::bind(any_port).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(face::serve(listener, server, clock(), std::future::pending()));
    let config = kube::Config::new(format!("http://{address}").parse().expect("a URL"));
    let client = Client::try_from(config).expect("plain HTTP needs nothing");
    let seen = Arc::new(AtomicUsize::new(0));
    for _ in 0..WATCHES {
        tokio::spawn(follow(client.clone(), Arc::clone(&seen)));
    }
    println!("{PODS} pods, {CONCURRENT} requests under way, {WATCHES} watches");
    let start = Instant::now();
    for (name, request) in PHASES {
        let begun = Instant::now();
        let requests = futures::stream::iter(0..PODS).map(|pod| send(&client, request(pod)));
        requests.buffer_unordered(CONCURRENT).for_each(|()| std::future::ready(())).await;
        let elapsed = begun.elapsed();
        let rate = PODS as u128 * 1_000_000 / elapsed.as_micros();
        println!("{name:<16} {:>6} ms {rate:>6}/s", elapsed.as_millis());
    }
    let expected = WATCHES * PODS * CHANGES;
    while seen.load(Ordering::Relaxed) < expected {
        assert!(start.elapsed() < Duration::from_secs(120), "the watches fell behind for good");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let total = start.elapsed().as_millis();
    println!("{:<16} {total:>6} ms, until the watches had seen {expected} events", "all");
}

fn create(pod: usize) -> Written {
    let group = format!("g{}", pod / 64);
    let body = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("p{pod}"), "labels": {"scheduling.x-k8s.io/pod-group": group}},
        "spec": {"schedulerName": "muster", "containers": [{"name": "main", "image": "example.org/x:1",
            "resources": {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"nvidia.com/gpu": "1"}}}]}});
    (Method::POST, "/api/v1/namespaces/default/pods".into(), "application/json", body)
}

fn bind(pod: usize) -> Written {
    let path = format!("/api/v1/namespaces/default/pods/p{pod}/binding");
    let body = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": format!("p{pod}")},
        "target": {"apiVersion": "v1", "kind": "Node", "name": format!("n{}", pod % 1000)}});
    (Method::POST, path, "application/json", body)
}

fn event(pod: usize) -> Written {
    let path = "/apis/events.k8s.io/v1/namespaces/default/events".into();
    let body = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": format!("p{pod}.1")},
        "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Binding", "reason": "Scheduled",
        "type": "Normal", "note": format!("Successfully assigned default/p{pod} to n{}", pod % 1000),
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": format!("p{pod}"), "namespace": "default"},
        "reportingController": "muster", "reportingInstance": "muster-0"});
    (Method::POST, path, "application/json", body)
}

fn status(pod: usize, phase: &str, ready: &str) -> Written {
    let path = format!("/api/v1/namespaces/default/pods/p{pod}/status");
    let started = "2026-01-01T00:00:00Z";
    let body = json!({"status": {"phase": phase, "podIP": "10.0.0.1", "startTime": started,
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [
            {"type": "PodScheduled", "status": "True"}, {"type": "Initialized", "status": "True"},
            {"type": "ContainersReady", "status": ready}, {"type": "Ready", "status": ready}],
        "containerStatuses": [{"name": "main", "image": "example.org/x:1", "imageID": "",
            "restartCount": 0, "ready": ready == "True",
            "state": {"running": {"startedAt": started}}}]}});
    (Method::PATCH, path, "application/merge-patch+json", body)
}

async fn send(client: &Client, (method, path, content_type, body): Written) {
    let request = Request::builder().method(method).uri(path).header("content-type", content_type);
    let request = request.body(body.to_string().into_bytes()).expect("a request");
    client.request_text(request).await.expect("it is done");
}

/// Reads all changes of pods and counts them.
async fn follow(client: Client, seen: Arc<AtomicUsize>) {
    let request = Request::get("/api/v1/pods?watch=true").body(Vec::new()).expect("a request");
    let mut lines = client.request_stream(request).await.expect("it starts");
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = lines.read(&mut buffer).await.expect("it goes on");
        if read == 0 {
            return;
        }
        let ends = buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        seen.fetch_add(ends, Ordering::Relaxed);
    }
}
