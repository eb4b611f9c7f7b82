//! The API as one value: requests in, answers out. Routes HTTP requests to the store, applies the
//! faults that tests install, and renders answers. Pure: time comes with each request, and nobody
//! listens on a socket here; streaming a watch is the HTTP face's.
//! Invariant: a refused request has changed nothing.

use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::faults;
use crate::apiserver::store::faults::FaultEffect;
use crate::apiserver::store::faults::Faults;
use crate::apiserver::store::json;
use crate::apiserver::store::listing;
use crate::apiserver::store::listing::Listing;
use crate::apiserver::store::patch::PatchKind;
use crate::apiserver::store::removal::DeleteOptions;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::request::Verb;
use crate::apiserver::store::resource::Catalog;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::scale::scale_of;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::Shelves;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Effect;
use crate::apiserver::store::state::Ownership;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::Settings;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::apiserver::store::view::Shown;
use crate::apiserver::store::watch::Watch;
use crate::apiserver::store::watch::WatchEvent;
use crate::base::time::Span;
use crate::base::time::Time;

/// A request before it is routed.
#[derive(Clone, Debug, Default)]
pub struct Incoming<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// Path and query, percent-encoded as on the wire.
    pub target: &'a str,
    /// The `Content-Type`; empty if there is none.
    pub content_type: &'a str,
    /// The body.
    pub payload: Payload<'a>,
}

/// What an answer carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// One object, as its resource shows it.
    Object(Shown),
    /// A list.
    List(Listing),
    /// The events that a watch has at once.
    Events(Vec<WatchEvent>),
    /// Anything else: a `Status`, a `Scale`.
    Document(Value),
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status code.
    pub code: u16,
    /// Texts of `Warning` headers.
    pub warnings: Vec<String>,
    /// The content.
    pub body: Body,
}

/// Whether the client gets to see the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It does.
    Delivered,
    /// The connection ends instead.
    Lost,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer.
    pub result: Result<Answer, Failure>,
    /// Whether it reaches the client.
    pub delivery: Delivery,
}

/// Marks a response (as an extension) that must not be sent: the connection ends instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLost;

/// An in-memory Kubernetes API. A clone has the same objects and history, as a backup has, and goes its own way.
#[derive(Clone, Debug)]
pub struct Server {
    state: State,
    faults: Faults,
    next_expiry: Time,
}

/// How often old events are looked for.
const EXPIRY_INTERVAL: Span = Span::seconds(60);

impl Server {
    /// An API with nothing in it but what every cluster has.
    pub fn new(settings: Settings, now: Time) -> Self {
        Self {
            state: State::new(settings, now),
            faults: Faults::default(),
            next_expiry: now + EXPIRY_INTERVAL,
        }
    }

    /// What is served, for discovery.
    pub fn catalog(&self) -> &Catalog {
        &self.state.catalog
    }

    /// What is kept, and the history of each kind.
    pub fn shelves(&self) -> &Shelves {
        &self.state.shelves
    }

    /// The version of the last write; it moves with every change of any object.
    pub fn version(&self) -> u64 {
        self.state.shelves.version()
    }

    /// The faults in force.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Draws other uids and names from now on. After a backup was restored, those drawn since are known to others.
    pub fn reseed(&mut self, seed: u64) {
        self.state.reseed(seed);
    }

    /// Forgets all history: watches and pages from before find it expired.
    pub fn compact(&mut self) {
        self.state.shelves.forget_history();
    }

    /// Reads method and target (path and query) of a request.
    ///
    /// # Errors
    /// 404 for a path that is not served, 405 for a method that it does not have.
    pub fn route(&self, method: &str, target: &str) -> Result<Request, Failure> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request::route(&self.state.catalog, method, path, query)
    }

    /// Answers an HTTP request. A watch is answered with the events that it has at once.
    pub fn handle<B: AsRef<[u8]>>(
        &mut self,
        now: Time,
        request: &http::Request<B>,
    ) -> http::Response<Vec<u8>> {
        let target = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let header = request.headers().get(http::header::CONTENT_TYPE);
        let body = request.body().as_ref();
        let incoming = Incoming {
            method: request.method().as_str(),
            target,
            content_type: header.and_then(|value| value.to_str().ok()).unwrap_or_default(),
            payload: if body.is_empty() { Payload::Empty } else { Payload::Text(body) },
        };
        self.execute(now, incoming).into_response()
    }

    /// Answers a request with a value, so that the caller can render it.
    pub fn execute(&mut self, now: Time, incoming: Incoming<'_>) -> Outcome {
        self.expire_events(now);
        let request = match self.route(incoming.method, incoming.target) {
            Ok(request) => request,
            Err(failure) => return Outcome { result: Err(failure), delivery: Delivery::Delivered },
        };
        let Some(effect) = self.faults.strike(&request) else {
            let result = self.perform(now, &request, incoming);
            return Outcome { result, delivery: Delivery::Delivered };
        };
        let unknown = || Failure::new(504, "Timeout", "the connection ended before an answer came");
        let (result, delivery) = match effect {
            FaultEffect::FailBefore(failure) => (Err(failure), Delivery::Delivered),
            FaultEffect::Deny => (Err(faults::denied(&request)), Delivery::Delivered),
            FaultEffect::LoseRequest => (Err(unknown()), Delivery::Lost),
            FaultEffect::FailAfter(failure) => {
                let applied = self.perform(now, &request, incoming);
                (applied.and(Err(failure)), Delivery::Delivered)
            }
            FaultEffect::LoseReply => {
                let applied = self.perform(now, &request, incoming);
                (applied.and_then(|_| Err(unknown())), Delivery::Lost)
            }
        };
        Outcome { result, delivery }
    }

    fn expire_events(&mut self, now: Time) {
        if now >= self.next_expiry {
            self.next_expiry = now + EXPIRY_INTERVAL;
            self.state.expire_events(now);
        }
    }

    fn perform(
        &mut self,
        now: Time,
        request: &Request,
        incoming: Incoming<'_>,
    ) -> Result<Answer, Failure> {
        let call = Call {
            now,
            request,
            persistence: request.persistence()?,
            validation: request.field_validation()?,
            ownership: Ownership::Derived,
        };
        let Incoming { content_type, payload, .. } = incoming;
        let payload = if is_yaml(content_type) { from_yaml(payload)? } else { payload };
        let answer = match request.verb {
            Verb::Get => return self.read(request),
            Verb::List => {
                let list =
                    listing::list(&self.state.shelves, &request.resource, &request.list_query()?)?;
                return Ok(Answer::plain(Body::List(list)));
            }
            Verb::Watch => {
                let mut watch =
                    Watch::begin(&self.state.shelves, &request.resource, request.watch_query()?)?;
                return Ok(Answer::plain(Body::Events(watch.poll(&self.state.shelves))));
            }
            Verb::Create => {
                check_media_type(request, content_type)?;
                self.create_at(&call, payload)
            }
            Verb::Update => {
                check_media_type(request, content_type)?;
                match request.subresource {
                    Some(Subresource::Scale) => self.state.update_scale(&call, payload),
                    Some(Subresource::Finalize) => self.state.update(&call, payload),
                    Some(Subresource::Status | Subresource::Binding | Subresource::Eviction)
                    | None => self.state.update(&call, payload),
                }
                .and_then(|written| answer_write(request, written))
            }
            Verb::Patch => {
                let kind = PatchKind::accepted(request, content_type)?;
                let written = match kind {
                    PatchKind::Apply => self.state.apply(&call, payload),
                    PatchKind::Json | PatchKind::Merge | PatchKind::Strategic => {
                        self.state.patch(&call, kind, payload)
                    }
                };
                written.and_then(|written| answer_write(request, written))
            }
            Verb::Delete => {
                let options = DeleteOptions::read(request, payload)?;
                self.state.delete(&call, &options).map(|written| answer_delete(request, written))
            }
            Verb::DeleteCollection => {
                let options = DeleteOptions::read(request, payload)?;
                self.state
                    .delete_collection(&call, &options)
                    .map(|list| Answer::plain(Body::List(list)))
            }
        };
        self.state.settle(now);
        answer
    }

    fn create_at(&mut self, call: &Call<'_>, payload: Payload<'_>) -> Result<Answer, Failure> {
        let request = call.request;
        let binds = request.subresource == Some(Subresource::Binding)
            || request.resource.is("", "bindings");
        let evicts = request.subresource == Some(Subresource::Eviction);
        if binds || evicts {
            if binds {
                self.state.bind(call, payload)?;
            } else {
                self.state.evict(call, payload)?;
            }
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
            return Ok(Answer { code: 201, warnings: Vec::new(), body: Body::Document(status) });
        }
        answer_write(request, self.state.create(call, payload)?)
    }

    fn read(&self, request: &Request) -> Result<Answer, Failure> {
        let object = self.state.get(request)?;
        let body = match request.subresource {
            Some(Subresource::Scale) => Body::Document(scale_of(&request.resource, &object)?),
            Some(
                Subresource::Status
                | Subresource::Binding
                | Subresource::Eviction
                | Subresource::Finalize,
            )
            | None => Body::Object(Shown { resource: Arc::clone(&request.resource), object }),
        };
        Ok(Answer::plain(body))
    }

    /// The object at `path`, such as `/api/v1/namespaces/default/pods/web`, in its kept form.
    ///
    /// # Errors
    /// 404 when there is none.
    pub fn get(&self, path: &str) -> Result<Object, Failure> {
        self.state.get(&self.route("GET", path)?)
    }

    /// The objects at `target`, a collection's path with an optional query, in their kept form.
    ///
    /// # Errors
    /// Those of a list request.
    pub fn list(&self, target: &str) -> Result<Listing, Failure> {
        let request = self.route("GET", target)?;
        listing::list(&self.state.shelves, &request.resource, &request.list_query()?)
    }

    /// Creates an object in the collection at `target`.
    ///
    /// # Errors
    /// Those of a create request.
    pub fn create(&mut self, now: Time, target: &str, object: Value) -> Result<Object, Failure> {
        self.write(
            now,
            Incoming { method: "POST", target, content_type: "", payload: Payload::Json(object) },
        )
    }

    /// Replaces the object at `target`.
    ///
    /// # Errors
    /// Those of an update request.
    pub fn update(&mut self, now: Time, target: &str, object: Value) -> Result<Object, Failure> {
        self.write(
            now,
            Incoming { method: "PUT", target, content_type: "", payload: Payload::Json(object) },
        )
    }

    /// Patches the object at `target`.
    ///
    /// # Errors
    /// Those of a patch request.
    pub fn patch(
        &mut self,
        now: Time,
        target: &str,
        kind: PatchKind,
        patch: Value,
    ) -> Result<Object, Failure> {
        let content_type = kind.media_type();
        self.write(
            now,
            Incoming { method: "PATCH", target, content_type, payload: Payload::Json(patch) },
        )
    }

    /// Deletes the object at `target`; `options` as in a request's body, or null.
    ///
    /// # Errors
    /// Those of a delete request.
    pub fn delete(&mut self, now: Time, target: &str, options: Value) -> Result<(), Failure> {
        let payload = if options.is_null() { Payload::Empty } else { Payload::Json(options) };
        self.execute(now, Incoming { method: "DELETE", target, content_type: "", payload })
            .result
            .map(|_| ())
    }

    /// Performs a write whose answer is an object.
    fn write(&mut self, now: Time, incoming: Incoming<'_>) -> Result<Object, Failure> {
        match self.execute(now, incoming).result?.body {
            Body::Object(shown) => Ok(shown.object),
            Body::Document(document) => {
                Ok(crate::apiserver::store::shelf::Stored::unstored(document))
            }
            Body::List(_) | Body::Events(_) => {
                Err(Failure::bad_request("the answer is not one object"))
            }
        }
    }

    /// Begins the watch at `target`, a collection's path with an optional query.
    ///
    /// # Errors
    /// Those of a watch request; faults that hit it.
    pub fn watch(&mut self, target: &str) -> Result<Watch, Failure> {
        let separator = if target.contains('?') { '&' } else { '?' };
        let request = self.route("GET", &format!("{target}{separator}watch=true"))?;
        self.watch_request(&request)
    }

    /// Begins the watch that a routed request asks for.
    ///
    /// # Errors
    /// Those of a watch request; faults that hit it.
    pub fn watch_request(&mut self, request: &Request) -> Result<Watch, Failure> {
        match self.faults.strike(request) {
            None => {}
            Some(FaultEffect::Deny) => return Err(faults::denied(request)),
            Some(FaultEffect::FailBefore(failure) | FaultEffect::FailAfter(failure)) => {
                return Err(failure);
            }
            Some(FaultEffect::LoseRequest | FaultEffect::LoseReply) => {
                return Err(Failure::new(
                    504,
                    "Timeout",
                    "the connection ended before an answer came",
                ));
            }
        }
        let mut watch =
            Watch::begin(&self.state.shelves, &request.resource, request.watch_query()?)?;
        watch.note_cuts(self.faults.cuts());
        Ok(watch)
    }

    /// What `watch` has not shown yet; see [`Watch::poll`].
    pub fn poll(&self, watch: &mut Watch) -> Vec<WatchEvent> {
        if !watch.has_ended() {
            self.faults.cut_if_due(watch, watch.cuts_seen());
        }
        watch.poll(&self.state.shelves)
    }

    /// All objects of a served resource, in their kept form and in order.
    pub fn objects(&self, resource: &Resource) -> impl Iterator<Item = &Object> {
        self.state.shelves.shelf(resource.shelf).iter(None)
    }
}

/// The media types of bodies; custom kinds have no protobuf.
const BODIES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

fn check_media_type(request: &Request, content_type: &str) -> Result<(), Failure> {
    let named = content_type.split(';').next().unwrap_or_default().trim();
    if matches!(named, "" | "application/json" | "*/*") || is_yaml(content_type) {
        return Ok(());
    }
    let known = if request.resource.custom().is_some() { &BODIES[..2] } else { &BODIES[..] };
    Err(Failure::unsupported_media_type(known))
}

fn is_yaml(content_type: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim() == "application/yaml"
}

/// A body in YAML as the value that it is.
fn from_yaml(payload: Payload<'_>) -> Result<Payload<'_>, Failure> {
    match payload {
        Payload::Text(text) => json::parse_yaml(text).map(Payload::Json).map_err(|why| {
            Failure::bad_request(format!(
                "the object provided is unrecognized: error converting YAML to JSON: {why}"
            ))
        }),
        payload @ (Payload::Empty | Payload::Json(_)) => Ok(payload),
    }
}

fn answer_write(request: &Request, written: Written) -> Result<Answer, Failure> {
    let code = match written.effect {
        Effect::Created => 201,
        Effect::Updated | Effect::Terminating | Effect::Removed => 200,
    };
    let body = match request.subresource {
        Some(Subresource::Scale) => Body::Document(scale_of(&request.resource, &written.object)?),
        Some(
            Subresource::Status
            | Subresource::Binding
            | Subresource::Eviction
            | Subresource::Finalize,
        )
        | None => {
            Body::Object(Shown { resource: Arc::clone(&request.resource), object: written.object })
        }
    };
    Ok(Answer { code, warnings: written.warnings, body })
}

/// A deletion under way is answered with the object, a finished one with a `Status`, except for pods.
fn answer_delete(request: &Request, written: Written) -> Answer {
    let resource = &request.resource;
    let finished = written.effect == Effect::Removed && !resource.is("", "pods");
    if !finished {
        let shown = Shown { resource: Arc::clone(resource), object: written.object };
        return Answer { warnings: written.warnings, ..Answer::plain(Body::Object(shown)) };
    }
    let mut details = serde_json::json!({"name": written.object.own_name()});
    if !resource.group.is_empty() {
        details["group"] = (*resource.group).into();
    }
    details["kind"] = (*resource.plural).into();
    details["uid"] = written.object.uid().into();
    Answer::plain(Body::Document(serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    })))
}

impl Answer {
    /// 200 with `body`.
    pub fn plain(body: Body) -> Self {
        Self { code: 200, warnings: Vec::new(), body }
    }
}

impl Body {
    /// The content as JSON text.
    pub fn text(&self) -> Vec<u8> {
        match self {
            Self::Object(shown) => shown.text().to_vec(),
            Self::List(list) => list.text(),
            Self::Events(events) => events.iter().flat_map(WatchEvent::line).collect(),
            Self::Document(document) => document.to_string().into_bytes(),
        }
    }
}

impl Outcome {
    /// The HTTP response. A lost one carries the extension [`ReplyLost`].
    pub fn into_response(self) -> http::Response<Vec<u8>> {
        let (code, warnings, text, retry) = match &self.result {
            Ok(answer) => (answer.code, answer.warnings.as_slice(), answer.body.text(), 0),
            Err(failure) => {
                let text = failure.to_json().to_string().into_bytes();
                (failure.code, [].as_slice(), text, failure.details.retry_after_seconds)
            }
        };
        let mut response = http::Response::new(text);
        *response.status_mut() =
            http::StatusCode::from_u16(code).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        for warning in warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = http::HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                headers.append(http::header::WARNING, value);
            }
        }
        if retry > 0 {
            headers.insert(http::header::RETRY_AFTER, http::HeaderValue::from(retry));
        }
        match self.delivery {
            Delivery::Delivered => {}
            Delivery::Lost => {
                response.extensions_mut().insert(ReplyLost);
            }
        }
        response
    }
}
