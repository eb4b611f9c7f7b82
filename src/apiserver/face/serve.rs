//! Routes and sockets. One handler reads a request whole, finds out what it is for, and answers in
//! the form that the client asked for; the socket side listens on loopback and ends cleanly.
//! The router works without a socket too: it is a tower service, which kube clients can sit on.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HOST, VARY};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use axum::serve::ListenerExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::accept::{Form, negotiate};
use super::discovery::{self, Root};
use super::shared::SharedServer;
use super::tables::{IncludeObject, Style, partial_metadata, table};
use super::watches::{self, Sending};
use super::{Clock, SERVER_VERSION, openapi, protobuf};
use crate::apiserver::server::Body as Answered;
use crate::apiserver::server::{Delivery, Incoming, Outcome};
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::listing::Listing;
use crate::apiserver::store::request;
use crate::apiserver::store::request::{Parameters, Verb};
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::view::Shown;
use crate::base::time::Time;

/// The largest body that is read, as kube-apiserver has it.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// How long connections may take to finish once the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address that others could reach; nothing here asks who they are.
    #[error(
        "cannot serve on {0}: this API has no authentication and serves loopback only; use 127.0.0.1 or [::1]"
    )]
    NotLoopback(SocketAddr),
    /// Somebody else has the port.
    #[error("port {port} of {ip} is in use; stop what uses it or choose another with --port (0 takes any free port)", ip = .0.ip(), port = .0.port())]
    PortInUse(SocketAddr),
    /// The operating system says no.
    #[error("cannot serve on {0}: {1}")]
    Socket(SocketAddr, #[source] std::io::Error),
}

/// Listens on a loopback address; port 0 takes any free port.
///
/// # Errors
/// When the address is not loopback, is in use, or cannot be listened on.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            ServeError::PortInUse(address)
        } else {
            ServeError::Socket(address, error)
        }
    })
}

/// Serves until `stop` is done; then ends all watches, finishes what is under way, and returns
/// within two seconds.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: TcpListener,
    server: SharedServer,
    clock: Clock,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let unknown = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), 0);
    let address = listener.local_addr().unwrap_or(unknown);
    let (stopping, stopped) = watch::channel(false);
    let routes = routes(Face { server, clock, stopping: stopped.clone() });
    // Answers are small and waited for: they must not sit in the kernel until more is sent.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
    });
    let mut drained = stopped;
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async move {
        stop.await;
        stopping.send_replace(true);
    });
    tokio::select! {
        result = async move { serving.await } => result.map_err(|error| ServeError::Socket(address, error)),
        () = async move {
            // An error means that the sender is gone, which it is only after it said so.
            let _ = drained.wait_for(|stopping| *stopping).await;
            tokio::time::sleep(DRAIN).await;
        } => Ok(()),
    }
}

/// The whole API as a tower service, for use without a socket.
pub fn router(server: SharedServer, clock: Clock) -> Router {
    // Nobody stops a router: the sender is gone at once, and watches go on without one.
    let (_, stopping) = watch::channel(false);
    routes(Face { server, clock, stopping })
}

fn routes(face: Face) -> Router {
    Router::new().fallback(answer).with_state(face)
}

#[derive(Clone)]
struct Face {
    server: SharedServer,
    clock: Clock,
    stopping: watch::Receiver<bool>,
}

async fn answer(State(face): State<Face>, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let result = match to_bytes(body, BODY_LIMIT).await {
        Err(_) => Err(too_large()),
        Ok(body) => face.answer(&parts, body),
    };
    let mut response = result.unwrap_or_else(|failure| failed(&failure));
    if parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

impl Face {
    fn answer(&self, parts: &Parts, body: Bytes) -> Result<Response<Body>, Failure> {
        check_host(parts)?;
        let path = parts.uri.path();
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["api" | "apis", _, _, ..] if !is_discovery(&segments) => self.resource(parts, body),
            [] | ["api" | "apis" | "openapi" | "version", ..] => {
                if !matches!(parts.method, Method::GET | Method::HEAD) {
                    return Err(Failure::method_not_allowed());
                }
                self.about(parts, &segments)
            }
            ["healthz" | "livez" | "readyz", ..] => Ok(plain_text("ok")),
            _ => Err(Failure::no_such_path()),
        }
    }

    /// Answers what is asked about the server itself: versions, discovery, OpenAPI.
    fn about(&self, parts: &Parts, segments: &[&str]) -> Result<Response<Body>, Failure> {
        let catalog: Vec<Arc<Resource>> =
            self.server.read(|server| server.catalog().all().to_vec());
        let form = form_of(parts).ok_or_else(not_acceptable);
        let document = match segments {
            [] => Some(json!({"paths": root_paths(&catalog)})),
            ["version"] => Some(version()),
            ["api"] if form.as_ref() == Ok(&Form::AggregatedDiscovery) => {
                return Ok(aggregated(&catalog, Root::Core));
            }
            ["apis"] if form.as_ref() == Ok(&Form::AggregatedDiscovery) => {
                return Ok(aggregated(&catalog, Root::Groups));
            }
            ["api" | "apis", ..] => {
                form?;
                discovery::legacy(&catalog, segments)
            }
            ["openapi", "v2"] => {
                let document = openapi::v2_document(SERVER_VERSION);
                return Ok(with_type(openapi::V2_CONTENT_TYPE, document));
            }
            ["openapi", "v3"] => Some(openapi::index(&catalog, SERVER_VERSION)),
            ["openapi", "v3", path @ ..] => {
                openapi::document(&catalog, &path.join("/"), SERVER_VERSION)
            }
            _ => None,
        };
        let document = document.ok_or_else(Failure::no_such_path)?;
        let mut response = json_response(StatusCode::OK, &document);
        if matches!(segments, ["openapi", "v3", _, ..]) {
            keep_if_named_by_hash(&mut response, parts, &document);
        }
        Ok(response)
    }

    /// Answers a request to objects.
    fn resource(&self, parts: &Parts, body: Bytes) -> Result<Response<Body>, Failure> {
        let form = form_of(parts).ok_or_else(not_acceptable)?;
        let target = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        refuse_streams(parts.uri.path())?;
        if target.contains("watch=") {
            let asked = self.server.read(|server| server.route(parts.method.as_str(), target))?;
            if asked.verb == Verb::Watch {
                return self.watch(asked, form);
            }
        }
        let method = parts.method.as_str();
        let now = (self.clock)();
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default();
        let (content_type, payload) = if body.is_empty() {
            (content_type, Payload::Empty)
        } else if content_type.starts_with(protobuf::CONTENT_TYPE) {
            // What is not served has no kind whose fields could be known: that it is not served comes first.
            self.server.read(|server| server.route(method, target))?;
            ("application/json", Payload::Json(protobuf::object(&body)?))
        } else {
            (content_type, Payload::Text(&body))
        };
        let incoming = Incoming { method, target, content_type, payload };
        let outcome = self.server.execute(now, incoming);
        Ok(in_form(outcome, form, now))
    }

    fn watch(&self, asked: request::Request, form: Form) -> Result<Response<Body>, Failure> {
        let seconds = asked.parameters.get("timeoutSeconds");
        let timeout = match seconds {
            "" => None,
            seconds => {
                let parsed = seconds.parse().map(Duration::from_secs);
                Some(parsed.map_err(|_| request::not_a_number(seconds))?)
            }
        };
        let watch = self.server.begin(|server| server.watch_request(&asked))?;
        let body = watches::body(Sending {
            server: self.server.clone(),
            clock: Arc::clone(&self.clock),
            watch,
            form,
            stopping: self.stopping.clone(),
            timeout: timeout.filter(|timeout: &Duration| !timeout.is_zero()),
        });
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        Ok(response)
    }
}

/// Refuses requests that name another host: a page in a browser can make its own name point here.
fn check_host(parts: &Parts) -> Result<(), Failure> {
    let Some(host) = parts.headers.get(HOST) else { return Ok(()) };
    let host = host.to_str().unwrap_or("");
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    let local = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if local {
        return Ok(());
    }
    let message = format!("this API serves loopback only; the host \"{host}\" is refused");
    Err(Failure::new(403, "Forbidden", message))
}

/// `kubectl logs`, `exec`, and the like need a container, and simulated nodes run none.
fn refuse_streams(path: &str) -> Result<(), Failure> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let ["api", "v1", "namespaces", namespace, "pods", name, stream] = segments.as_slice() else {
        return Ok(());
    };
    if !matches!(*stream, "log" | "exec" | "attach" | "portforward" | "proxy") {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "pods \"{name}\" in namespace \"{namespace}\" has no {stream}: nodes of this API are simulated and run no containers"
    )))
}

fn is_discovery(segments: &[&str]) -> bool {
    match segments {
        ["api", ..] => segments.len() < 3,
        ["apis", ..] => segments.len() < 4,
        _ => false,
    }
}

/// The form that a request asks for; `None` if it is not served.
fn form_of(parts: &Parts) -> Option<Form> {
    let include = Parameters::parse(parts.uri.query().unwrap_or(""));
    let include = match include.get("includeObject") {
        "None" => IncludeObject::Nothing,
        "Object" => IncludeObject::Whole,
        _ => IncludeObject::Metadata,
    };
    let ranges: Vec<&str> =
        parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let header = (!ranges.is_empty()).then(|| ranges.join(","));
    negotiate(header.as_deref(), include)
}

/// The answer in the form that was asked for; refusals and `Status` answers stay as they are.
fn in_form(mut outcome: Outcome, form: Form, now: Time) -> Response<Body> {
    if let Ok(answer) = &mut outcome.result {
        let document = match (&answer.body, form) {
            (Answered::Object(shown), Form::Table(include)) => {
                let object = shown.json();
                let metadata =
                    json!({"resourceVersion": object.pointer("/metadata/resourceVersion")});
                let style = Style::of(&shown.resource, include);
                Some(table(style, [&*object].into_iter(), metadata, now))
            }
            (Answered::List(list), Form::Table(include)) => {
                let items = shown_items(list);
                let rows = items.iter().map(Shown::json);
                Some(table(Style::of(&list.resource, include), rows, list.metadata(), now))
            }
            (Answered::Object(shown), Form::Metadata) => Some(partial_metadata(&shown.json())),
            (Answered::List(list), Form::Metadata) => {
                let items = shown_items(list);
                let items: Vec<Value> =
                    items.iter().map(|item| partial_metadata(&item.json())).collect();
                Some(json!({
                    "kind": "PartialObjectMetadataList",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": list.metadata(),
                    "items": items,
                }))
            }
            (Answered::Object(_) | Answered::List(_), Form::Plain | Form::AggregatedDiscovery)
            | (Answered::Events(_) | Answered::Document(_), _) => None,
        };
        if let Some(document) = document {
            answer.body = Answered::Document(document);
        }
    }
    let lost = outcome.delivery == Delivery::Lost;
    let response = outcome.into_response().map(Body::from);
    if lost { response.map(|_| broken_off()) } else { response }
}

fn shown_items(list: &Listing) -> Vec<Shown> {
    let shown = |object: &Object| Shown {
        resource: Arc::clone(&list.resource),
        object: Arc::clone(object),
    };
    list.objects.iter().map(shown).collect()
}

/// A body that ends the connection in the middle: what a client sees whose answer was lost.
fn broken_off() -> Body {
    let error = std::io::Error::other("a fault rule lost this answer");
    Body::from_stream(futures::stream::once(async { Err::<Bytes, _>(error) }))
}

fn aggregated(catalog: &[Arc<Resource>], root: Root) -> Response<Body> {
    let document = discovery::aggregated(catalog, root).to_string().into_bytes();
    let mut response = with_type(Form::AggregatedDiscovery.content_type(), document);
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// A document that was asked for by its hash never changes under that name.
fn keep_if_named_by_hash(response: &mut Response<Body>, parts: &Parts, document: &Value) {
    let asked = Parameters::parse(parts.uri.query().unwrap_or(""));
    if asked.get("hash") == openapi::hash(document) {
        let for_a_year = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, for_a_year);
    }
}

fn root_paths(catalog: &[Arc<Resource>]) -> Vec<String> {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .map(str::to_owned)
    .into();
    for resource in catalog {
        let root = if resource.group.is_empty() { "/api" } else { "/apis" };
        let path = format!("{root}/{}", resource.api_version());
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    paths
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "37",
        "gitVersion": SERVER_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

fn not_acceptable() -> Failure {
    let message = "only the following media types are accepted: application/json, application/json;as=Table;g=meta.k8s.io;v=v1, application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    Failure::new(406, "NotAcceptable", message)
}

fn too_large() -> Failure {
    Failure::new(
        413,
        "RequestEntityTooLarge",
        format!("Request entity is too large: limit is {BODY_LIMIT}"),
    )
}

fn failed(failure: &Failure) -> Response<Body> {
    let status = StatusCode::from_u16(failure.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_response(status, &failure.to_json())
}

fn json_response(status: StatusCode, document: &Value) -> Response<Body> {
    let mut response = with_type("application/json", document.to_string().into_bytes());
    *response.status_mut() = status;
    response
}

fn plain_text(text: &'static str) -> Response<Body> {
    with_type("text/plain; charset=utf-8", text.into())
}

fn with_type(content_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
