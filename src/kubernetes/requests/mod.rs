//! Orders and notices as requests to a Kubernetes API, and replies as outcomes. Pure: no client, no clock.
//! Serves the real API and the in-memory one alike.
//! Binds carry uid and resourceVersion as preconditions; everything that others own is patched, never replaced.

mod bind;
mod exchange;
mod gang;
mod record;
mod storage;

pub use self::bind::AfterBind;
pub use self::bind::EPOCH_ANNOTATION;
pub use self::bind::LATE_ANNOTATION;
pub use self::bind::after_bind;
pub use self::bind::after_read;
pub use self::bind::bind;
pub use self::bind::read_pod;
pub use self::exchange::Exchange;
pub use self::exchange::Lease;
pub use self::exchange::Next;
pub use self::exchange::Writer;
pub use self::record::RECORDS_PATH;

use axum::http::Method;
use axum::http::Request;
use axum::http::StatusCode;
use axum::http::header;
use serde_json::Value;
use serde_json::json;

use super::translate::CONDITION;
use super::translate::CONDITION_1_36;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::cluster::facts::GroupName;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::GroupStatus;
use crate::engine::order::PodRef;
use crate::engine::order::Subject;
use crate::engine::order::WaitReason;

/// The API's limit for the note of an event, in bytes.
const NOTE_MAX: usize = 1024;

/// The API's limit for an object's name, in bytes.
const NAME_MAX: usize = 253;

/// Which version of the native PodGroup API the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeVersion {
    /// Kubernetes 1.37 and later.
    V1Beta1,
    /// Kubernetes 1.36.
    V1Alpha2,
}

/// What is known of a pod's `PodScheduled` condition before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionStamp {
    /// `Some(now)` where the condition was not `False` before; an unchanged status keeps its transition time.
    pub transition: Option<Time>,
    /// `metadata.generation` of the pod that was judged; 0 where the server keeps none.
    pub observed_generation: i64,
    /// The version that was judged, as a precondition: a word that comes late, after the pod was bound, must not
    /// overwrite the truth. 0 for none.
    pub version: u64,
}

/// Who reports events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// The scheduler's name, as kube-scheduler has it; a pod's own goes before this one.
    pub controller: Name,
    /// This process.
    pub instance: Name,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventText {
    /// Warning, else Normal.
    pub warning: bool,
    /// `Scheduled`, `FailedScheduling`, ...
    pub reason: &'static str,
    /// `Binding`, `Scheduling`, ...
    pub action: &'static str,
    /// For people.
    pub note: String,
}

/// What an event is about, and how the server at hand calls it.
#[derive(Clone, Copy, Debug)]
pub struct Regarding<'a> {
    /// The pod or PodGroup.
    pub subject: &'a Subject,
    /// The version of native PodGroups that the server speaks: an object of another version could not be looked up.
    pub native: NativeVersion,
}

impl NativeVersion {
    /// As it stands in paths.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1Beta1 => "v1beta1",
            Self::V1Alpha2 => "v1alpha2",
        }
    }

    const fn condition(self) -> &'static str {
        match self {
            Self::V1Beta1 => CONDITION,
            Self::V1Alpha2 => CONDITION_1_36,
        }
    }
}

/// Writes why a pod waits: condition `PodScheduled=False`.
pub fn pod_condition(
    pod: &PodRef,
    reason: WaitReason,
    message: &str,
    stamp: ConditionStamp,
) -> Request<Vec<u8>> {
    let mut condition = json!({"type": "PodScheduled", "status": "False", "reason": reason.as_str(), "message": message});
    if let Some(since) = stamp.transition {
        condition["lastTransitionTime"] = seconds(since).into();
    }
    if stamp.observed_generation != 0 {
        condition["observedGeneration"] = stamp.observed_generation.into();
    }
    let mut patch = json!({"metadata": {"uid": &*pod.uid}, "status": {"conditions": [condition]}});
    if stamp.version != 0 {
        patch["metadata"]["resourceVersion"] = stamp.version.to_string().into();
    }
    let path = format!("{}/status", pod_path(&pod.name));
    request(Method::PATCH, path, "application/strategic-merge-patch+json", &patch)
}

/// Writes the status of a PodGroup. `None` where there is nothing that its API could show.
pub fn group_status(
    group: &GroupName,
    uid: &str,
    status: &GroupStatus,
    native: NativeVersion,
    now: Time,
) -> Option<Request<Vec<u8>>> {
    let path = format!("{}/status", group_path(group, native));
    match group.source {
        GroupSource::Coscheduling => {
            let patch = json!({"metadata": {"uid": uid}, "status": {
                "phase": status.phase,
                "occupiedBy": status.occupied_by,
                "running": status.running,
                "succeeded": status.succeeded,
                "failed": status.failed,
            }});
            // Custom resources know no strategic merge.
            Some(request(Method::PATCH, path, "application/merge-patch+json", &patch))
        }
        GroupSource::Native => {
            let condition = status.condition.as_ref()?;
            let patch = json!({"metadata": {"uid": uid}, "status": {"conditions": [{
                "type": native.condition(),
                "status": if condition.holds { "True" } else { "False" },
                "reason": condition.reason,
                "message": condition.message,
                "observedGeneration": condition.observed_generation,
                "lastTransitionTime": seconds(now),
            }]}});
            Some(request(Method::PATCH, path, "application/strategic-merge-patch+json", &patch))
        }
    }
}

/// Creates the event `name` about `about`.
pub fn create_event(
    name: &ObjectName,
    about: Regarding<'_>,
    text: &EventText,
    reporter: &Reporter,
    now: Time,
) -> Request<Vec<u8>> {
    let unknown = Name::from("");
    let (api_version, kind, subject, uid) = match about.subject {
        Subject::Pod { name, uid } => ("v1".to_owned(), "Pod", name, uid),
        Subject::Group { name, uid } => {
            let api_version = match name.source {
                GroupSource::Coscheduling => super::translate::COSCHEDULING_API_VERSION.to_owned(),
                GroupSource::Native => format!("scheduling.k8s.io/{}", about.native.as_str()),
            };
            (api_version, "PodGroup", &name.name, uid)
        }
        Subject::Other { api_version, kind, name } => {
            ((*api_version).to_owned(), *kind, name, &unknown)
        }
    };
    let body = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": &*name.name, "namespace": &*name.namespace},
        "eventTime": microseconds(now),
        "reportingController": &*reporter.controller,
        "reportingInstance": &*reporter.instance,
        "action": text.action,
        "reason": text.reason,
        "regarding": {
            "apiVersion": api_version,
            "kind": kind,
            "namespace": &*subject.namespace,
            "name": &*subject.name,
            "uid": &**uid,
        },
        "note": cut_note(&text.note),
        "type": if text.warning { "Warning" } else { "Normal" },
    });
    request(Method::POST, events_path(&name.namespace), "application/json", &body)
}

/// Says that the event `name` happened again: `count` times by now.
pub fn repeat_event(name: &ObjectName, count: u32, now: Time) -> Request<Vec<u8>> {
    let patch = json!({"series": {"count": count, "lastObservedTime": microseconds(now)}});
    let path = format!("{}/{}", events_path(&name.namespace), name.name);
    request(Method::PATCH, path, "application/merge-patch+json", &patch)
}

/// The name of an event about the object called `subject`, as kube-scheduler's clients form it.
pub fn event_name(subject: &ObjectName, stamp: u64) -> ObjectName {
    let suffix = format!(".{stamp:016x}");
    let kept = floor_boundary(&subject.name, NAME_MAX - suffix.len());
    // An event about something without a namespace lives in `default`.
    let namespace = if subject.namespace.is_empty() { "default" } else { &subject.namespace };
    ObjectName::new(namespace, &format!("{}{suffix}", &subject.name[..kept]))
}

/// A reply to a request, or that there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The server answered.
    Answered {
        /// HTTP status.
        status: StatusCode,
        /// JSON body; null where it was none.
        body: Value,
    },
    /// Time ran out or the connection broke: the request may or may not have taken effect, now or later.
    Lost(String),
}

/// The server's own words, or the status where it has none.
fn message(status: StatusCode, body: &Value) -> String {
    match body.get("message").and_then(Value::as_str) {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!("HTTP {status}"),
    }
}

pub(super) fn request(
    method: Method,
    path: String,
    content_type: &'static str,
    body: &Value,
) -> Request<Vec<u8>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, "application/json")
        .body(serde_json::to_vec(body).expect("a tree is JSON"))
        .expect("names of objects are valid in paths: the API server admitted them")
}

/// Reads what is at `path`, from the API server's store rather than its cache.
fn read(path: String) -> Request<Vec<u8>> {
    Request::get(path)
        .header(header::ACCEPT, "application/json")
        .body(Vec::new())
        .expect("names of objects are valid in paths: the API server admitted them")
}

fn pod_path(pod: &ObjectName) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.name)
}

fn group_path(group: &GroupName, native: NativeVersion) -> String {
    let (api, version) = match group.source {
        GroupSource::Coscheduling => ("scheduling.x-k8s.io", "v1alpha1"),
        GroupSource::Native => ("scheduling.k8s.io", native.as_str()),
    };
    format!(
        "/apis/{api}/{version}/namespaces/{}/podgroups/{}",
        group.name.namespace, group.name.name
    )
}

fn events_path(namespace: &str) -> String {
    format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")
}

/// The note within the API's limit; a longer one ends in ` ...`, as kube-scheduler writes it.
fn cut_note(note: &str) -> String {
    if note.len() <= NOTE_MAX {
        return note.to_owned();
    }
    const END: &str = " ...";
    format!("{}{END}", &note[..floor_boundary(note, NOTE_MAX - END.len())])
}

/// The largest boundary between characters that is at most `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

/// `metav1.Time`: whole seconds.
fn seconds(time: Time) -> String {
    Time(time.0.div_euclid(1_000_000_000) * 1_000_000_000).to_rfc3339()
}

/// `metav1.MicroTime`: exactly six decimals; a real API server refuses other forms.
pub(super) fn microseconds(time: Time) -> String {
    let micros = time.0.rem_euclid(1_000_000_000) / 1000;
    let whole = seconds(time);
    format!("{}.{micros:06}Z", whole.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use axum::http::Request;
    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::cluster::facts::GroupCondition;

    pub(super) fn pod() -> PodRef {
        PodRef { name: ObjectName::new("d", "p"), uid: "u".into(), resource_version: 7 }
    }

    pub(super) fn body(request: &Request<Vec<u8>>) -> Value {
        serde_json::from_slice(request.body()).expect("requests carry JSON")
    }

    pub(super) fn kind(request: &Request<Vec<u8>>) -> (&Method, String, &str) {
        let content = request.headers()["content-type"].to_str().expect("ascii");
        (request.method(), request.uri().path().to_owned(), content)
    }

    #[test]
    fn the_condition_keeps_its_transition_time_while_it_stays_false() {
        let at = Time(1_500_000_000);
        let first = ConditionStamp { transition: Some(at), observed_generation: 2, version: 0 };
        let request = pod_condition(&pod(), WaitReason::Unschedulable, "0/1 nodes", first);
        assert_eq!(kind(&request).1, "/api/v1/namespaces/d/pods/p/status");
        assert_eq!(kind(&request).2, "application/strategic-merge-patch+json");
        let expected = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes",
                              "lastTransitionTime": "1970-01-01T00:00:01Z", "observedGeneration": 2});
        assert_eq!(
            body(&request),
            json!({"metadata": {"uid": "u"}, "status": {"conditions": [expected]}})
        );
        let again = ConditionStamp { transition: None, observed_generation: 0, version: 7 };
        let patch = body(&pod_condition(&pod(), WaitReason::WaitingForTurn, "m", again));
        assert_eq!(patch["status"]["conditions"][0].as_object().map(serde_json::Map::len), Some(4));
        assert_eq!(patch["metadata"], json!({"uid": "u", "resourceVersion": "7"}));
    }

    #[test]
    fn each_group_api_gets_its_own_kind_of_patch() {
        let group = |source| GroupName { name: ObjectName::new("d", "g"), source };
        let mut status =
            GroupStatus { phase: "Running".to_owned(), running: 4, ..GroupStatus::default() };
        let write = |source, status: &GroupStatus, native| {
            group_status(&group(source), "u", status, native, Time(0))
        };
        let request = write(GroupSource::Coscheduling, &status, NativeVersion::V1Beta1)
            .expect("it has a status");
        assert_eq!(
            kind(&request).1,
            "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/d/podgroups/g/status"
        );
        assert_eq!(kind(&request).2, "application/merge-patch+json");
        let shown = json!({"phase": "Running", "occupiedBy": "", "running": 4, "succeeded": 0, "failed": 0});
        assert_eq!(body(&request), json!({"metadata": {"uid": "u"}, "status": shown}));

        assert!(write(GroupSource::Native, &status, NativeVersion::V1Beta1).is_none());
        status.condition = Some(GroupCondition {
            holds: true,
            reason: "Scheduled".to_owned(),
            message: "m".to_owned(),
            observed_generation: 1,
        });
        for (native, version, condition) in [
            (NativeVersion::V1Beta1, "v1beta1", "PodGroupInitiallyScheduled"),
            (NativeVersion::V1Alpha2, "v1alpha2", "PodGroupScheduled"),
        ] {
            let request = write(GroupSource::Native, &status, native).expect("it has a condition");
            assert_eq!(
                kind(&request).1,
                format!("/apis/scheduling.k8s.io/{version}/namespaces/d/podgroups/g/status")
            );
            assert_eq!(kind(&request).2, "application/strategic-merge-patch+json");
            assert_eq!(body(&request)["status"]["conditions"][0]["type"], condition);
        }
    }

    #[test]
    fn an_event_names_a_group_as_the_server_knows_it() {
        let reporter = Reporter { controller: "muster".into(), instance: "muster-x".into() };
        let text =
            EventText { warning: false, reason: "Bound", action: "Binding", note: "n".to_owned() };
        for (source, native, expected) in [
            (GroupSource::Native, NativeVersion::V1Beta1, "scheduling.k8s.io/v1beta1"),
            (GroupSource::Native, NativeVersion::V1Alpha2, "scheduling.k8s.io/v1alpha2"),
            (GroupSource::Coscheduling, NativeVersion::V1Alpha2, "scheduling.x-k8s.io/v1alpha1"),
        ] {
            let name = GroupName { name: ObjectName::new("d", "g"), source };
            let subject = Subject::Group { name, uid: "u".into() };
            let regarding = Regarding { subject: &subject, native };
            let name = event_name(&ObjectName::new("d", "g"), 1);
            let request = create_event(&name, regarding, &text, &reporter, Time(0));
            assert_eq!(body(&request)["regarding"]["apiVersion"], expected);
        }
    }

    #[test]
    fn an_event_about_an_object_without_namespace_is_in_default() {
        let reporter = Reporter { controller: "muster".into(), instance: "muster-x".into() };
        let text =
            EventText { warning: true, reason: "R", action: "Scheduling", note: "n".to_owned() };
        let subject = Subject::Other {
            api_version: "apiextensions.k8s.io/v1",
            kind: "CustomResourceDefinition",
            name: ObjectName::new("", "podgroups.scheduling.x-k8s.io"),
        };
        let regarding = Regarding { subject: &subject, native: NativeVersion::V1Beta1 };
        let name = event_name(&ObjectName::new("", "podgroups.scheduling.x-k8s.io"), 1);
        let request = create_event(&name, regarding, &text, &reporter, Time(0));
        assert_eq!(kind(&request).1, "/apis/events.k8s.io/v1/namespaces/default/events");
        assert_eq!(
            body(&request)["regarding"],
            json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "namespace": "", "name": "podgroups.scheduling.x-k8s.io", "uid": "",
            })
        );
    }

    #[test]
    fn an_event_as_kube_scheduler_writes_it() {
        let about = Subject::Pod { name: ObjectName::new("d", "p"), uid: "u".into() };
        let reporter = Reporter { controller: "muster".into(), instance: "muster-x".into() };
        let text = EventText {
            warning: true,
            reason: "FailedScheduling",
            action: "Scheduling",
            note: "n".to_owned(),
        };
        let name = event_name(&ObjectName::new("d", "p"), 0xab);
        let regarding = Regarding { subject: &about, native: NativeVersion::V1Beta1 };
        let request = create_event(&name, regarding, &text, &reporter, Time(1_000_002_003));
        assert_eq!(kind(&request).1, "/apis/events.k8s.io/v1/namespaces/d/events");
        assert_eq!(
            body(&request),
            json!({
                "apiVersion": "events.k8s.io/v1", "kind": "Event",
                "metadata": {"name": "p.00000000000000ab", "namespace": "d"},
                "eventTime": "1970-01-01T00:00:01.000002Z",
                "reportingController": "muster", "reportingInstance": "muster-x",
                "action": "Scheduling", "reason": "FailedScheduling",
                "regarding": {"apiVersion": "v1", "kind": "Pod", "namespace": "d", "name": "p", "uid": "u"},
                "note": "n", "type": "Warning",
            })
        );
        let again = repeat_event(&name, 4, Time(0));
        assert_eq!(
            kind(&again),
            (
                &Method::PATCH,
                "/apis/events.k8s.io/v1/namespaces/d/events/p.00000000000000ab".to_owned(),
                "application/merge-patch+json"
            )
        );
        assert_eq!(
            body(&again),
            json!({"series": {"count": 4, "lastObservedTime": "1970-01-01T00:00:00.000000Z"}})
        );
    }

    #[test]
    fn long_notes_and_names_are_cut_between_characters() {
        let note = cut_note(&"é".repeat(600));
        assert!(note.len() <= 1024 && note.ends_with("é ..."), "{}", note.len());
        assert_eq!(cut_note(&"x".repeat(1024)).len(), 1024);
        assert_eq!(event_name(&ObjectName::new("", &"a".repeat(253)), 1).name.len(), 253);
    }
}
