//! From documents to what arrives when: kinds recognised, templates expanded, times settled.
//!
//! Time 0 is the latest `metadata.creationTimestamp` of the input. What has none is created at time 0 (or when
//! it arrives), one nanosecond after another in document order, so that what stands earlier is older.
//! May not judge what an API server judges; invariant: the result is ordered by arrival, then by document.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{Complaint, InputError};
use super::expand::{Family, expand};
use super::kind::{Kind, normalise};
use super::read::{Document, Origin};
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::sim::kubelet::RUNS_FOR;

/// Annotation: how long after time 0 a pod or PodGroup is created.
pub const ARRIVES_AFTER: &str = "muster.dev/arrives-after";

/// Time 0 of an input without any creationTimestamp; nothing but logs would show it.
const DEFAULT_ZERO: &str = "2026-01-01T00:00:00Z";

/// One object and when it comes into the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Arriving {
    /// Where it, or the template it was made from, stands.
    pub origin: Origin,
    /// What it is. Short forms and templates have been expanded.
    pub kind: Kind,
    /// Namespace (empty for cluster-scoped kinds) and name.
    pub name: ObjectName,
    /// When it arrives; never before time 0.
    pub at: Time,
    /// Its creationTimestamp; before `at` for what existed before time 0.
    pub created: Time,
    /// The object, in a form that the in-memory API server serves.
    pub object: Value,
}

impl Arriving {
    /// Kind and name for messages: `Pod default/train-0`.
    pub fn title(&self) -> String {
        title(&self.object, &self.name)
    }
}

/// Everything that a simulated world starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Time 0.
    pub zero: Time,
    /// All objects: by arrival, and within an instant in document order.
    pub arriving: Vec<Arriving>,
    /// What was left out and what was noticed, for people.
    pub remarks: Vec<String>,
}

/// Sorts documents out.
///
/// # Errors
/// Every document that is no object of a known version, lacks a name, repeats one, or carries a
/// `muster.dev/` annotation or a creationTimestamp that cannot be read.
pub fn sort(documents: Vec<Document>) -> Result<Input, Vec<InputError>> {
    let mut errors = Vec::new();
    let mut unknown: BTreeMap<(String, String), (usize, Origin)> = BTreeMap::new();
    let mut recognised = Vec::new();
    for document in documents {
        match recognise(document) {
            Ok(Recognised::Known(found)) => recognised.extend(found),
            Ok(Recognised::Unknown { kind, api_version, origin }) => {
                unknown.entry((kind, api_version)).or_insert((0, origin)).0 += 1;
            }
            Err(found) => errors.extend(found),
        }
    }
    errors.extend(duplicates(&recognised));
    let zero = latest_creation(&recognised).unwrap_or_else(|found| {
        errors.extend(found);
        Time::default()
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut remarks: Vec<String> = unknown
        .into_iter()
        .map(|((kind, api_version), (count, origin))| {
            format!("{count} x {kind} ({api_version}) left out: this kind is not simulated (first in {origin})")
        })
        .collect();
    let members = match with_members(recognised, &mut remarks) {
        Ok(members) => members,
        Err(found) => {
            errors.extend(found);
            Vec::new()
        }
    };
    let mut arriving = Vec::with_capacity(members.len());
    for (index, found) in members.into_iter().enumerate() {
        match timed(found, zero, index) {
            Ok(found) => arriving.push(found),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    arriving.sort_by_key(|arriving| arriving.at);
    Ok(Input { zero, arriving, remarks })
}

/// What became of one document.
enum Recognised {
    /// One object, or the nodes of a fleet.
    Known(Vec<Found>),
    /// A kind that is not simulated.
    Unknown { kind: String, api_version: String, origin: Origin },
}

/// A recognised object before its times are settled.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) kind: Kind,
    pub(super) name: ObjectName,
    pub(super) object: Value,
}

/// Finds out what a document is and what it is called.
fn recognise(document: Document) -> Result<Recognised, Vec<InputError>> {
    let Document { origin, mut object } = document;
    let refuse = |object: String, complaint: Complaint| {
        vec![InputError { origin: origin.clone(), object, complaint }]
    };
    if !object.is_object() {
        return Err(refuse(
            String::new(),
            Complaint {
                value: Some(plain(&object)),
                problem: "not an object".to_owned(),
                remedy: "write apiVersion, kind, and metadata".to_owned(),
                ..Complaint::default()
            },
        ));
    }
    let kind = match Kind::of(&object) {
        Ok(Some(kind)) => kind,
        Ok(None) => {
            let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
            return Ok(Recognised::Unknown {
                kind: text("kind"),
                api_version: text("apiVersion"),
                origin,
            });
        }
        Err(complaint) => return Err(refuse(String::new(), complaint)),
    };
    let kind = normalise(kind, &mut object);
    if kind == Kind::Fleet {
        return super::expand::fleet_nodes(&origin, &object).map(Recognised::Known);
    }
    let name = named(kind, &mut object, &origin).map_err(|complaint| {
        refuse(object["kind"].as_str().unwrap_or_default().to_owned(), complaint)
    })?;
    Ok(Recognised::Known(vec![Found { origin, kind, name, object }]))
}

/// Settles namespace and name in the object and returns them.
fn named(kind: Kind, object: &mut Value, origin: &Origin) -> Result<ObjectName, Complaint> {
    let absent = |field: &str, remedy: &str| Complaint {
        field: field.to_owned(),
        value: None,
        problem: "missing".to_owned(),
        remedy: remedy.to_owned(),
    };
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return Err(absent("metadata", "write metadata with a name"));
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut name = text(metadata.get("name"));
    if name.is_empty() {
        let prefix = text(metadata.get("generateName"));
        if prefix.is_empty() {
            return Err(absent("metadata.name", "give the object a name"));
        }
        // An API server would draw five random characters; a simulation must come out the same each time.
        let item = origin.item.map(|item| format!("-{item}")).unwrap_or_default();
        name = format!("{prefix}{}{item}", origin.document);
        metadata.insert("name".to_owned(), Value::from(name.clone()));
    }
    if !kind.is_namespaced() {
        return Ok(ObjectName::new("", &name));
    }
    let mut namespace = text(metadata.get("namespace"));
    if namespace.is_empty() {
        namespace = "default".to_owned();
        metadata.insert("namespace".to_owned(), Value::from(namespace.clone()));
    }
    Ok(ObjectName::new(&namespace, &name))
}

/// Objects that are in the input twice, told at the later one.
fn duplicates(recognised: &[Found]) -> Vec<InputError> {
    let mut first: BTreeMap<(Kind, &ObjectName), &Origin> = BTreeMap::new();
    let mut errors = Vec::new();
    for found in recognised {
        if let Some(earlier) = first.get(&(found.kind, &found.name)) {
            errors.push(InputError {
                origin: found.origin.clone(),
                object: title(&found.object, &found.name),
                complaint: Complaint {
                    field: "metadata.name".to_owned(),
                    value: Some(found.name.name.to_string()),
                    problem: format!("already exists: {earlier} has the same"),
                    remedy: "rename or remove one of them".to_owned(),
                },
            });
        } else {
            first.insert((found.kind, &found.name), &found.origin);
        }
    }
    errors
}

/// Time 0.
fn latest_creation(recognised: &[Found]) -> Result<Time, Vec<InputError>> {
    let mut latest = None;
    let mut errors = Vec::new();
    for found in recognised {
        match creation(&found.object) {
            Ok(created) => latest = latest.max(created),
            Err(complaint) => errors.push(refusal(found, complaint)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(latest.unwrap_or_else(|| Time::from_rfc3339(DEFAULT_ZERO).expect("a valid constant")))
}

/// `metadata.creationTimestamp`, where there is one.
fn creation(object: &Value) -> Result<Option<Time>, Complaint> {
    let written = &object["metadata"]["creationTimestamp"];
    if written.is_null() {
        return Ok(None);
    }
    let instant = written.as_str().and_then(Time::from_rfc3339);
    instant.map(Some).ok_or_else(|| Complaint {
        field: "metadata.creationTimestamp".to_owned(),
        value: Some(plain(written)),
        problem: "not an instant".to_owned(),
        remedy: "write it as in 2026-11-01T12:00:00Z, or leave it out".to_owned(),
    })
}

/// A non-negative duration in an annotation.
///
/// # Errors
/// Where it is there and is none.
pub fn duration_annotation(object: &Value, key: &str) -> Result<Option<Span>, Complaint> {
    let written = &object["metadata"]["annotations"][key];
    if written.is_null() {
        return Ok(None);
    }
    let refuse = |problem: String| Complaint {
        field: format!("metadata.annotations[{key}]"),
        value: Some(plain(written)),
        problem,
        remedy: "write a duration such as 90s, 1h30m, or 500ms, in quotes".to_owned(),
    };
    match written.as_str().and_then(|text| text.parse::<Span>().ok()) {
        None => Err(refuse("not a duration".to_owned())),
        Some(span) if span < Span::ZERO => Err(refuse("lies in the past".to_owned())),
        Some(span) => Ok(Some(span)),
    }
}

/// The objects and, after each template, the pods made from it.
fn with_members(
    recognised: Vec<Found>,
    remarks: &mut Vec<String>,
) -> Result<Vec<Found>, Vec<InputError>> {
    let family = Family::of(&recognised);
    let mut all = Vec::with_capacity(recognised.len());
    let mut errors = Vec::new();
    for found in recognised {
        let mut members = Vec::new();
        if found.kind.has_template() {
            match expand(&found, &family) {
                Ok(pods) => members = pods,
                Err(error) => errors.push(*error),
            }
        }
        if found.kind == Kind::ReplicationController {
            remarks.push(format!(
                "{}: selects pods, but makes none here: write them beside it, or a ReplicaSet instead",
                title(&found.object, &found.name)
            ));
        }
        for key in [ARRIVES_AFTER, RUNS_FOR] {
            if found.kind.has_template() && !found.object["metadata"]["annotations"][key].is_null()
            {
                remarks.push(format!(
                    "{}: annotation {key} has no effect here: write it into spec.template.metadata.annotations",
                    title(&found.object, &found.name)
                ));
            }
        }
        all.push(found);
        all.extend(members);
    }
    if errors.is_empty() { Ok(all) } else { Err(errors) }
}

/// Settles when an object arrives and when it was created; `index` is its place in the whole input.
fn timed(found: Found, zero: Time, index: usize) -> Result<Arriving, Box<InputError>> {
    let can_arrive_later =
        found.kind == Kind::Pod || found.kind.is_labelled_group() || found.kind.is_native_group();
    let times = (|| {
        let delay = match can_arrive_later {
            true => duration_annotation(&found.object, ARRIVES_AFTER)?,
            false => None,
        };
        if can_arrive_later {
            // The kubelet acts on it; it is read here to refuse what the kubelet could not read.
            duration_annotation(&found.object, RUNS_FOR)?;
        }
        Ok((delay, creation(&found.object)?))
    })();
    let (delay, created) = times.map_err(|complaint| Box::new(refusal(&found, complaint)))?;
    let at = zero + delay.unwrap_or_default();
    let order = i64::try_from(index).expect("fewer documents than nanoseconds in 292 years");
    let created = match (delay, created) {
        (None, Some(created)) => created,
        // What arrives later is created then, whatever it says.
        (Some(_), _) | (None, None) => at + Span::nanoseconds(order + 1),
    };
    let Found { origin, kind, name, object } = found;
    Ok(Arriving { origin, kind, name, at, created, object })
}

/// An error about an object that was recognised.
fn refusal(found: &Found, complaint: Complaint) -> InputError {
    InputError {
        origin: found.origin.clone(),
        object: title(&found.object, &found.name),
        complaint,
    }
}

/// Kind and name for messages.
pub(super) fn title(object: &Value, name: &ObjectName) -> String {
    format!("{} {name}", object["kind"].as_str().unwrap_or_default())
}

/// A value as the user wrote it: text without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::read::documents_of;
    use super::*;

    /// Sorts one file's text.
    fn sorted(text: &str) -> Result<Input, Vec<String>> {
        let told =
            |errors: Vec<InputError>| errors.iter().map(InputError::to_string).collect::<Vec<_>>();
        sort(documents_of("in.yaml", text).map_err(told)?).map_err(told)
    }

    fn only_error(text: &str) -> String {
        let errors = sorted(text).expect_err("the input is wrong");
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].clone()
    }

    #[test]
    fn what_stands_earlier_is_older_by_a_nanosecond() {
        let input = sorted(
            "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {name: b, annotations: {muster.dev/arrives-after: 1m}}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {name: c, creationTimestamp: 2026-11-01T12:00:00Z}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {name: d, creationTimestamp: '2026-11-01T11:00:00Z'}}\n",
        )
        .expect("good input");
        let zero = Time::from_rfc3339("2026-11-01T12:00:00Z").expect("an instant");
        assert_eq!(input.zero, zero);
        let told: Vec<(String, Span, Span)> = input
            .arriving
            .iter()
            .map(|arriving| {
                (arriving.name.name.to_string(), arriving.at - zero, arriving.created - zero)
            })
            .collect();
        let minute = Span::seconds(60);
        assert_eq!(
            told,
            [
                ("a".to_owned(), Span::ZERO, Span(1)),
                ("c".to_owned(), Span::ZERO, Span::ZERO),
                ("d".to_owned(), Span::ZERO, Span::seconds(-3600)),
                ("b".to_owned(), minute, Span(minute.0 + 2)),
            ]
        );
    }

    #[test]
    fn a_dumped_workload_does_not_get_its_pods_twice() {
        let owner = "ownerReferences: [{apiVersion: batch/v1, kind: Job, name: j, uid: x, controller: true}]";
        let input = sorted(&format!(
            "{{apiVersion: batch/v1, kind: Job, metadata: {{name: j}}, spec: {{parallelism: 3, template: {{}}}}}}\n---\n\
             {{apiVersion: v1, kind: Pod, metadata: {{name: j-x7k2p, {owner}}}}}\n---\n\
             {{apiVersion: v1, kind: Pod, metadata: {{name: j-0, {owner}}}}}\n"
        ))
        .expect("good input");
        let pods: Vec<&str> = input
            .arriving
            .iter()
            .filter(|arriving| arriving.kind == Kind::Pod)
            .map(|arriving| &*arriving.name.name)
            .collect();
        assert_eq!(pods, ["j-1", "j-x7k2p", "j-0"]);
    }

    #[test]
    fn lists_are_taken_apart_and_unknown_kinds_are_told() {
        let input = sorted(
            "apiVersion: v1\nkind: List\nitems:\n\
             - {apiVersion: v1, kind: Pod, metadata: {name: a}}\n\
             - {apiVersion: v1, kind: PodList, items: [{metadata: {name: b, namespace: x}}]}\n\
             - {apiVersion: v1, kind: ConfigMap, metadata: {name: s}}\n",
        )
        .expect("good input");
        let names: Vec<String> = input.arriving.iter().map(Arriving::title).collect();
        assert_eq!(names, ["Pod default/a", "Pod x/b"]);
        assert_eq!(
            input.remarks,
            [
                "1 x ConfigMap (v1) left out: this kind is not simulated (first in in.yaml: document 1, item 3)"
            ]
        );
    }

    #[test]
    fn complaints_name_file_document_object_field_value_and_remedy() {
        let cases = [
            (
                "{apiVersion: v1, kind: Pod, metadata: {}}",
                "in.yaml: document 1: Pod: metadata.name: missing; give the object a name",
            ),
            (
                "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n\
                 {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: default}}",
                "in.yaml: document 2: Pod default/a: metadata.name: \"a\": already exists: \
                 in.yaml: document 1 has the same; rename or remove one of them",
            ),
            (
                "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {muster.dev/runs-for: soon}}}",
                "in.yaml: document 1: Pod default/a: metadata.annotations[muster.dev/runs-for]: \"soon\": \
                 not a duration; write a duration such as 90s, 1h30m, or 500ms, in quotes",
            ),
            (
                "{apiVersion: v1, kind: Pod, metadata: {name: a, creationTimestamp: yesterday}}",
                "in.yaml: document 1: Pod default/a: metadata.creationTimestamp: \"yesterday\": not an instant; \
                 write it as in 2026-11-01T12:00:00Z, or leave it out",
            ),
            (
                "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {parallelism: 2147483647}}",
                "in.yaml: document 1: Job default/j: spec.parallelism: \"2147483647\": \
                 too many pods to simulate; write at most 1000000",
            ),
            (
                "just words",
                "in.yaml: document 1: \"just words\": not an object; write apiVersion, kind, and metadata",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(only_error(text), expected);
        }
    }
}
