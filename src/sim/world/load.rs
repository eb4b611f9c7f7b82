//! Objects of the input into the API: judged first, all of them, then created when they arrive.
//!
//! Judging is asked of a second API server into which everything is created at once; so what is refused here is
//! what the server refuses, with its words. Invariant: after a successful judgement every arrival is accepted.

use serde_json::{Map, Value, json};

use super::{World, WorldSettings};
use crate::apiserver::server::Server;
use crate::apiserver::store::failure::{Cause, Failure};
use crate::apiserver::store::patch::PatchKind;
use crate::apiserver::store::shelf::{HistoryLimit, YOUNG_MAX};
use crate::apiserver::store::state::{DanglingOwners, Settings as ApiSettings, TimePrecision};
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::cluster::storage::facts::StorageKind;
use crate::config::shipped;
use crate::sim::controllers::claims_of_pod;
use crate::sim::manifests::error::{Complaint, InputError};
use crate::sim::manifests::kind::Kind;
use crate::sim::manifests::sort::{Arriving, Input};
use crate::sim::object::Object;

/// An API server as simulated worlds need it: creation to the nanosecond, and owners that may be elsewhere.
pub(super) fn server(settings: &WorldSettings, now: Time) -> Server {
    let mut server = Server::new(
        ApiSettings {
            seed: settings.seed,
            // Everything here is looked at again and again, so nothing is cooled to save memory.
            history: HistoryLimit { changes: YOUNG_MAX, bytes: usize::MAX },
            creation_times: TimePrecision::Nanoseconds,
            dangling_owners: DanglingOwners::Kept,
            ..ApiSettings::default()
        },
        now,
    );
    for crd in shipped::CRDS {
        let crd: Value = serde_saphyr::from_str(crd).expect("what is shipped parses");
        server
            .create(now, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
            .expect("what is shipped is accepted");
    }
    server
}

/// Asks an API server whether it would take everything.
///
/// # Errors
/// What it refuses, in the order of the input.
pub(super) fn judge(input: &Input, settings: &WorldSettings) -> Result<(), Vec<InputError>> {
    let mut server = server(settings, input.zero);
    let mut owners = Owners::new();
    let mut errors = Vec::new();
    // What others refer to comes first, whatever the order of the documents and the times of arrival.
    let mut order: Vec<&Arriving> = input.arriving.iter().collect();
    order.sort_by_key(|arriving| rank(arriving.kind));
    for (index, arriving) in order.iter().enumerate() {
        if index > 0
            && order.get(index + 1).is_some_and(|next| {
                same_template(order[index - 1], arriving) && same_template(arriving, next)
            })
        {
            continue;
        }
        if let Err(failure) = create(&mut server, arriving, &mut owners) {
            errors.push(refusal(arriving, &failure));
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    errors.sort_by(|left, right| left.origin.cmp(&right.origin));
    // All pods of a template fail alike.
    errors.dedup_by(|later, first| {
        later.origin == first.origin && later.complaint == first.complaint
    });
    Err(errors)
}

/// True for two pods of one template. They differ in their names only, of which the first is the shortest and
/// the last the longest: a server that takes these two takes all between them.
fn same_template(one: &Arriving, other: &Arriving) -> bool {
    one.kind == Kind::Pod && other.kind == Kind::Pod && one.origin == other.origin
}

/// Uids of workload objects by namespace, kind, and name.
type Owners = std::collections::BTreeMap<(String, String, String), String>;

/// What must exist before what.
pub(super) const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Namespace | Kind::PriorityClass => 0,
        Kind::Node | Kind::Fleet | Kind::Storage(_) | Kind::DeviceClass => 1,
        Kind::Service | Kind::ReplicationController => 2,
        Kind::CoschedulingGroup
        | Kind::TutorialGroup
        | Kind::NativeGroup
        | Kind::OlderNativeGroup => 2,
        Kind::Job | Kind::Deployment | Kind::StatefulSet | Kind::ReplicaSet | Kind::DaemonSet => 3,
        Kind::Pod => 4,
    }
}

/// The path of a kind's collection.
pub(super) fn collection(kind: Kind, namespace: &str) -> String {
    let (root, plural) = match kind {
        Kind::Namespace => ("/api/v1", "namespaces"),
        Kind::Node | Kind::Fleet => ("/api/v1", "nodes"),
        Kind::Pod => ("/api/v1", "pods"),
        Kind::PriorityClass => ("/apis/scheduling.k8s.io/v1", "priorityclasses"),
        Kind::CoschedulingGroup | Kind::TutorialGroup => {
            ("/apis/scheduling.x-k8s.io/v1alpha1", "podgroups")
        }
        Kind::NativeGroup | Kind::OlderNativeGroup => {
            ("/apis/scheduling.k8s.io/v1beta1", "podgroups")
        }
        Kind::Service => ("/api/v1", "services"),
        Kind::ReplicationController => ("/api/v1", "replicationcontrollers"),
        Kind::Job => ("/apis/batch/v1", "jobs"),
        Kind::Deployment => ("/apis/apps/v1", "deployments"),
        Kind::StatefulSet => ("/apis/apps/v1", "statefulsets"),
        Kind::ReplicaSet => ("/apis/apps/v1", "replicasets"),
        Kind::DaemonSet => ("/apis/apps/v1", "daemonsets"),
        Kind::DeviceClass => ("/apis/resource.k8s.io/v1", "deviceclasses"),
        Kind::Storage(kind) => match kind.group() {
            "" => ("/api/v1", kind.plural()),
            _ => ("/apis/storage.k8s.io/v1", kind.plural()),
        },
    };
    match kind.is_namespaced() {
        true => format!("{root}/namespaces/{namespace}/{plural}"),
        false => format!("{root}/{plural}"),
    }
}

/// The path of one object.
pub(super) fn path(kind: Kind, name: &ObjectName) -> String {
    format!("{}/{}", collection(kind, &name.namespace), name.name)
}

/// Creates one object, with its namespace where that is missing, and with what it says about its own past.
fn create(server: &mut Server, arriving: &Arriving, owners: &mut Owners) -> Result<(), Failure> {
    let Arriving { kind, name, created, object, .. } = arriving;
    let mut object = object.clone();
    let status = object.get_mut("status").map(Value::take).unwrap_or(Value::Null);
    let leaves = Object(&arriving.object).deleting();
    strip(&mut object);
    adopt(&mut object, owners);
    if kind.is_namespaced() {
        make_namespace(server, *created, &name.namespace)?;
    } else if *kind == Kind::Namespace && server.get(&path(*kind, name)).is_ok() {
        // `default` and its like exist from the start, others since the first object in them.
        return Ok(());
    }
    if *kind == Kind::Node && !status.is_null() {
        object["status"] = status.clone();
    }
    let target = format!("{}?fieldValidation=Strict", collection(*kind, &name.namespace));
    let stored = server.create(*created, &target, object)?;
    if kind.has_template() {
        let kind = stored.value()["kind"].as_str().unwrap_or_default().to_owned();
        let key = (name.namespace.to_string(), kind, name.name.to_string());
        owners.insert(key, stored.uid().to_owned());
    }
    if *kind == Kind::Pod {
        make_claims(server, *created, name, &arriving.object)?;
        write_past(server, arriving, &status)?;
        if leaves {
            leave(server, arriving)?;
        }
    }
    Ok(())
}

/// Makes the claims that a pod of a StatefulSet has by its set's templates, unless they exist.
pub(super) fn make_claims(
    server: &mut Server,
    now: Time,
    name: &ObjectName,
    pod: &Value,
) -> Result<(), Failure> {
    let owner = Object(pod).controller().filter(|owner| owner.kind == "StatefulSet");
    let Some(owner) = owner else { return Ok(()) };
    let set = path(Kind::StatefulSet, &ObjectName::new(&name.namespace, &owner.name));
    let Ok(set) = server.get(&set) else { return Ok(()) };
    let claims = collection(Kind::Storage(StorageKind::Claim), &name.namespace);
    for claim in claims_of_pod(Object(&set.value()), &name.name) {
        if server.get(&format!("{claims}/{}", Object(&claim).name())).is_err() {
            server.create(now, &claims, claim)?;
        }
    }
    Ok(())
}

/// Makes a namespace unless it exists: plain manifests seldom bring theirs along.
fn make_namespace(server: &mut Server, now: Time, namespace: &str) -> Result<(), Failure> {
    if server.get(&format!("/api/v1/namespaces/{namespace}")).is_ok() {
        return Ok(());
    }
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    server.create(now, "/api/v1/namespaces", object).map(|_| ())
}

/// Takes away what a server wrote when it gave the object out, and what it would refuse to be told.
fn strip(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for field in [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
    ] {
        metadata.shift_remove(field);
    }
}

/// Points owner references at the owners as they are here.
fn adopt(object: &mut Value, owners: &Owners) {
    let namespace = Object(object).namespace().to_owned();
    let Some(references) =
        object["metadata"].get_mut("ownerReferences").and_then(Value::as_array_mut)
    else {
        return;
    };
    for reference in references {
        let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
        if let Some(uid) = owners.get(&(namespace.clone(), text("kind"), text("name"))) {
            reference["uid"] = uid.as_str().into();
        }
    }
}

/// Gives a pod the status that it has already: it runs since its creation, or has ended.
fn write_past(server: &mut Server, arriving: &Arriving, status: &Value) -> Result<(), Failure> {
    let bound = arriving.object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let phase = status["phase"].as_str().unwrap_or_default();
    let ended = matches!(phase, "Succeeded" | "Failed");
    if !bound && !ended {
        return Ok(());
    }
    let mut past = status.as_object().cloned().unwrap_or_default();
    if !ended {
        past.insert("phase".to_owned(), "Running".into());
        // An object without a creationTimestamp is younger than its arrival by the nanoseconds that order it.
        let since = arriving.created.min(arriving.at);
        past.insert("startTime".to_owned(), Time(since.0 / SECOND * SECOND).to_rfc3339().into());
    }
    past.retain(|field, _| field != "observedGeneration");
    let target = format!("{}/status", path(Kind::Pod, &arriving.name));
    let patch = json!({"status": Value::Object(past)});
    server.patch(arriving.created, &target, PatchKind::Merge, patch).map(|_| ())
}

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// Lets a pod go on leaving that the input shows on its way out: it is gone at its deletionTimestamp.
fn leave(server: &mut Server, arriving: &Arriving) -> Result<(), Failure> {
    let until =
        arriving.object["metadata"]["deletionTimestamp"].as_str().and_then(Time::from_rfc3339);
    let left = until.map_or(Span::ZERO, |until| until - arriving.at);
    let grace = left.0.max(0).div_euclid(SECOND);
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": grace});
    server.delete(arriving.at, &path(Kind::Pod, &arriving.name), options)
}

/// The server's refusal as a complaint about the input, with a remedy.
fn refusal(arriving: &Arriving, failure: &Failure) -> InputError {
    let causes = &failure.details.causes;
    // Where only a limit is written, the server copies it to the request and complains of both.
    let is_echo = |cause: &Cause| {
        let original = cause.field.replace(".requests[", ".limits[");
        original != cause.field
            && causes.iter().any(|other| other.field == original && other.message == cause.message)
    };
    let told: Vec<String> = causes
        .iter()
        .filter(|cause| !is_echo(cause))
        .map(|cause| match cause.field.as_str() {
            "" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        })
        .collect();
    let problem = if told.is_empty() { failure.message.clone() } else { told.join("; and ") };
    let mut complaint = Complaint { problem, ..Complaint::default() };
    complaint.remedy = remedy(failure, causes);
    InputError { origin: arriving.origin.clone(), object: arriving.title(), complaint }
}

/// What to do about a refusal, where the server's words do not say it.
fn remedy(failure: &Failure, causes: &[Cause]) -> String {
    let text = match failure.reason {
        "AlreadyExists" => "rename or remove one of the two",
        "Forbidden" if failure.message.contains("PriorityClass") => {
            "add a PriorityClass of that name to the input, or name one that exists"
        }
        "BadRequest" if failure.message.contains("unknown field") => {
            "correct the spelling or remove the field"
        }
        "BadRequest" => "write the field in its proper type",
        "Invalid" if causes.iter().any(|cause| cause.reason == "FieldValueRequired") => {
            "fill the field in"
        }
        "Invalid" if causes.iter().any(|cause| cause.message.contains("quantities must match")) => {
            "write a number with an optional unit, such as 500m, 2, or 64Gi"
        }
        "Invalid" => "correct the value",
        _ => "",
    };
    text.to_owned()
}

impl World {
    /// Creates an object of the input, now.
    pub(super) fn arrive(&mut self, arriving: Arriving) {
        let mut arriving = arriving;
        if arriving.kind == Kind::Node {
            self.remark_on_node(&arriving.object);
        }
        if arriving.kind == Kind::Pod {
            self.remark_on_scheduler(&arriving.object);
        }
        arriving.at = arriving.at.max(self.zero);
        if let Err(failure) = create(&mut self.server, &arriving, &mut self.owners) {
            // A fault or an object of the script may stand in the way; the input itself was judged.
            self.remarks.push(refusal(&arriving, &failure).to_string());
        }
    }

    /// A pod as it was made first, under its name, with nothing of what has become of it.
    pub(super) fn made_anew(pod: &Value) -> Value {
        let mut pod = pod.clone();
        strip(&mut pod);
        if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
            spec.shift_remove("nodeName");
        }
        if let Some(annotations) =
            pod["metadata"].get_mut("annotations").and_then(Value::as_object_mut)
        {
            annotations.shift_remove(crate::kubernetes::requests::EPOCH_ANNOTATION);
        }
        pod
    }

    /// When the next object that is made now was made: later than all before it.
    pub(super) fn next_creation(&mut self) -> Time {
        self.latecomers += 1;
        self.now + Span::nanoseconds(self.latecomers)
    }

    /// Says that no pod will fit on a node that names its capacity but no number of pods.
    fn remark_on_node(&mut self, node: &Value) {
        let empty = Map::new();
        let of = |field: &str| node["status"][field].as_object().unwrap_or(&empty);
        let (allocatable, capacity) = (of("allocatable"), of("capacity"));
        let shown = if allocatable.is_empty() { capacity } else { allocatable };
        if shown.is_empty() || shown.contains_key("pods") {
            return;
        }
        self.remarks.push(format!(
            "node {}: status.allocatable.pods is missing, so no pod fits here; write how many the node takes",
            Object(node).name()
        ));
    }

    /// Says that a pod waits for a scheduler that is not there.
    fn remark_on_scheduler(&mut self, pod: &Value) {
        let scheduler = pod["spec"]["schedulerName"].as_str().unwrap_or_default();
        let bound = pod["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
        if bound || self.settings.engine.answers_to(scheduler) {
            return;
        }
        self.remarks.push(format!(
            "pod {} names the scheduler {scheduler}, which is not simulated: it stays as it is",
            Object(pod).object_name()
        ));
    }
}
