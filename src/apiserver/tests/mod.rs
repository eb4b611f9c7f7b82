//! What clients see of the in-memory API, by theme. Everything goes through [`Server::handle`] or
//! its in-process twins; texts are those of a real API server.

mod admission;
mod applying;
mod custom;
mod deletion;
mod objects;
mod patches;
mod reads;
mod subresources;
mod validation;

use serde_json::Value;
use serde_json::json;

use crate::apiserver::server::Server;
use crate::apiserver::store::state::Settings;
use crate::base::time::Time;

/// Monday, 2026-11-02, 00:00:00 UTC.
const START: Time = Time(1_793_577_600_000_000_000);

fn server() -> Server {
    Server::new(Settings::default(), START)
}

/// Sends a request; gives the code and the body as JSON.
fn send(server: &mut Server, method: &str, target: &str, body: Value) -> (u16, Value) {
    send_as(server, method, target, "application/json", body)
}

/// The same with a content type.
fn send_as(
    server: &mut Server,
    method: &str,
    target: &str,
    content_type: &str,
    body: Value,
) -> (u16, Value) {
    let text = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = http::Request::builder()
        .method(method)
        .uri(target)
        .header("content-type", content_type)
        .body(text)
        .expect("the test's request is well formed");
    let response = server.handle(START, &request);
    let value = serde_json::from_slice(response.body()).expect("answers are JSON");
    (response.status().as_u16(), value)
}

/// Sends a request that must succeed; gives the body.
fn done(server: &mut Server, method: &str, target: &str, body: Value) -> Value {
    let (code, answer) = send(server, method, target, body);
    assert!(code < 300, "{method} {target} answered {code}: {answer}");
    answer
}

/// Sends a request that must fail; gives code and message.
fn refused(server: &mut Server, method: &str, target: &str, body: Value) -> (u16, String) {
    let (code, answer) = send(server, method, target, body);
    assert_eq!(answer["kind"], "Status", "{method} {target} answered {code}: {answer}");
    assert_eq!(answer["code"], code);
    (code, answer["message"].as_str().expect("a Status has a message").to_owned())
}

const PODS: &str = "/api/v1/namespaces/default/pods";

/// A pod with one container.
fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "busybox:1.36"}]},
    })
}

/// A node with some capacity.
fn node(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"}},
    })
}

/// Binds a pod to a node.
fn bind(server: &mut Server, pod: &str, node: &str) -> (u16, Value) {
    let binding = json!({
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": pod},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    });
    send(server, "POST", &format!("{PODS}/{pod}/binding"), binding)
}
