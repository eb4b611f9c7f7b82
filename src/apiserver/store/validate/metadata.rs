//! Names, labels, annotations, finalizers, and owners: the rules of `apimachinery/pkg/api/validation`.
//! Judges the object alone, with its former state where there is one: whether a name is taken or an owner
//! exists is not asked here. A name is judged when it is given; it cannot change later.

use serde_json::Value;

use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::shelf::meta;

pub(super) const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
pub(super) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// All annotations of an object together may have so many bytes.
const ANNOTATION_BYTES: usize = 256 * 1024;

/// Checks `metadata`.
pub(super) fn check(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if old.is_none() {
        check_name(resource, new, &mut errors);
    }
    check_labels(new.pointer("/metadata/labels"), "metadata.labels", &mut errors);
    check_annotations(new.pointer("/metadata/annotations"), "metadata.annotations", &mut errors);
    check_finalizers(new, old, &mut errors);
    check_owners(new, &mut errors);
    errors
}

fn check_name(resource: &Resource, new: &Value, errors: &mut Vec<FieldError>) {
    let name = meta(new, "name");
    let generated = meta(new, "generateName");
    let field = if generated.is_empty() { "metadata.name" } else { "metadata.generateName" };
    for complaint in name_complaints(resource, name) {
        errors.push(FieldError::invalid(
            field,
            if generated.is_empty() { name } else { generated },
            complaint,
        ));
    }
}

/// What is wrong with a name of this kind: most names are DNS subdomains, some are DNS labels.
fn name_complaints(resource: &Resource, name: &str) -> Vec<String> {
    let labels = ["namespaces", "services"];
    if resource.group.is_empty() && labels.contains(&&*resource.plural) {
        return label_complaints(name);
    }
    subdomain_complaints(name)
}

/// What is wrong with a DNS subdomain.
pub(super) fn subdomain_complaints(name: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if name.len() > 253 {
        complaints.push("must be no more than 253 bytes".to_owned());
    }
    if !name.split('.').all(is_dns_label) {
        complaints.push(SUBDOMAIN.to_owned());
    }
    complaints
}

/// What is wrong with a DNS label.
pub(super) fn label_complaints(name: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if name.len() > 63 {
        complaints.push("must be no more than 63 bytes".to_owned());
    }
    if !is_dns_label(name) {
        complaints.push(LABEL.to_owned());
    }
    complaints
}

fn is_dns_label(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.bytes().all(|c| fits(c) || c == b'-')
        && text.bytes().next().is_some_and(fits)
        && text.bytes().next_back().is_some_and(fits)
}

/// What is wrong with a qualified name such as `example.com/role`.
pub(super) fn qualified_complaints(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let mut complaints = Vec::new();
    match prefix {
        Some("") => complaints.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            complaints.extend(
                subdomain_complaints(prefix).into_iter().map(|why| format!("prefix part {why}")),
            );
        }
        None => {}
    }
    if name.is_empty() {
        complaints.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        complaints.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_label_text(name) {
        complaints.push(QUALIFIED.to_owned());
    }
    complaints
}

fn is_label_text(text: &str) -> bool {
    let ends = |c: u8| c.is_ascii_alphanumeric();
    text.bytes().all(|c| ends(c) || matches!(c, b'-' | b'_' | b'.'))
        && text.bytes().next().is_some_and(ends)
        && text.bytes().next_back().is_some_and(ends)
}

/// What is wrong with the value of a label.
pub(super) fn label_value_complaints(value: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if value.len() > 63 {
        complaints.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !is_label_text(value) {
        complaints.push(VALUE.to_owned());
    }
    complaints
}

/// Checks a set of labels at `field`.
pub(super) fn check_labels(labels: Option<&Value>, field: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        errors.extend(
            qualified_complaints(key)
                .into_iter()
                .map(|why| FieldError::invalid(field, key.as_str(), why)),
        );
        errors.extend(
            label_value_complaints(value)
                .into_iter()
                .map(|why| FieldError::invalid(field, value, why)),
        );
    }
}

/// Checks annotations at `field`.
pub(super) fn check_annotations(
    annotations: Option<&Value>,
    field: &str,
    errors: &mut Vec<FieldError>,
) {
    let mut size = 0;
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        let complaints = qualified_complaints(&key.to_lowercase());
        errors.extend(
            complaints.into_iter().map(|why| FieldError::invalid(field, key.as_str(), why)),
        );
    }
    if size > ANNOTATION_BYTES {
        errors.push(FieldError::new(field, Fault::TooLong(ANNOTATION_BYTES), ""));
    }
}

fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    finalizers.into_iter().flatten().filter_map(Value::as_str)
}

fn check_finalizers(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    for finalizer in finalizers(new) {
        let complaints = qualified_complaints(finalizer);
        errors.extend(
            complaints
                .into_iter()
                .map(|why| FieldError::invalid("metadata.finalizers", finalizer, why)),
        );
    }
    let Some(old) = old.filter(|old| !meta(old, "deletionTimestamp").is_empty()) else { return };
    let added: Vec<&str> = finalizers(new)
        .filter(|finalizer| !finalizers(old).any(|known| known == *finalizer))
        .collect();
    if !added.is_empty() {
        let shown = added.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
        );
        errors.push(FieldError::forbidden("metadata.finalizers", why));
    }
}

fn check_owners(new: &Value, errors: &mut Vec<FieldError>) {
    let references = new.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let mut controllers = 0;
    for (index, reference) in references.into_iter().flatten().enumerate() {
        let field = format!("metadata.ownerReferences[{index}]");
        for key in ["apiVersion", "kind", "name", "uid"] {
            let text = reference.get(key).and_then(Value::as_str).unwrap_or_default();
            if text.is_empty() {
                let why = if key == "apiVersion" {
                    "version must not be empty"
                } else {
                    "must not be empty"
                };
                errors.push(FieldError::invalid(format!("{field}.{key}"), text, why));
            }
        }
        controllers += usize::from(reference.get("controller") == Some(&Value::Bool(true)));
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true";
        let references = references.cloned().unwrap_or_default();
        errors.push(FieldError::invalid("metadata.ownerReferences", Value::Array(references), why));
    }
}
