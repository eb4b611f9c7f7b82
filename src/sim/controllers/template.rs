//! Objects made from another's template: metadata, the owner reference, names that repeat.
//! A name depends only on the owner and on how often it made one, so that making the same
//! object twice is a conflict and never a second object.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::sim::object::Object;

/// The letters of generated names: no vowels, so no words; as Kubernetes generates them.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Longest object name, less what a suffix needs.
const PREFIX_LENGTH_MAX: usize = 57;

/// A pod with the template at `spec.template` of `owner`, owned by it.
pub(super) fn pod_from(owner: Object<'_>, name: &str) -> Value {
    let template = &owner.0["spec"]["template"];
    let mut metadata = Map::new();
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(field).filter(|value| !value.is_null()) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(owner.namespace()));
    metadata.insert("ownerReferences".to_owned(), json!([owner_reference(owner)]));
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// The claims of a pod of a StatefulSet: one for each claim template, `TEMPLATE-POD`. They outlive the pod.
pub(in crate::sim) fn claims_of_pod(set: Object<'_>, pod: &str) -> Vec<Value> {
    let templates = set.0["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
    let claim = |template: &Value| {
        let name = format!("{}-{pod}", Object(template).name());
        let mut labels = template["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let of_set = set.0["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
        labels.extend(of_set.map(|(key, value)| (key.clone(), value.clone())));
        json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "namespace": set.namespace(),
                "labels": labels,
                "annotations": template["metadata"]["annotations"],
            },
            "spec": template["spec"],
        })
    };
    templates.map(claim).collect()
}

/// Gives a pod of a StatefulSet its claims as volumes, in place of those of the same name.
pub(super) fn mount_claims(set: Object<'_>, pod: &mut Value) {
    let name = Object(pod).name().to_owned();
    let templates = set.0["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
    let names: Vec<&str> = templates.map(|template| Object(template).name()).collect();
    if names.is_empty() {
        return;
    }
    let others = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    let others = others
        .into_iter()
        .filter(|volume| !names.iter().any(|name| volume["name"].as_str() == Some(name)));
    let own = names.iter().map(|template| {
        let claim = format!("{template}-{name}");
        json!({"name": template, "persistentVolumeClaim": {"claimName": claim}})
    });
    let volumes: Vec<Value> = own.chain(others).collect();
    pod["spec"]["volumes"] = volumes.into();
}

/// The reference that makes `owner` the controller of an object.
pub(super) fn owner_reference(owner: Object<'_>) -> Value {
    json!({
        "apiVersion": owner.0["apiVersion"],
        "kind": owner.0["kind"],
        "name": owner.name(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Sets a label on an object.
pub(super) fn set_label(object: &mut Value, key: &str, value: &str) {
    set(object, "labels", key, value);
}

/// Sets an annotation on an object.
pub(super) fn set_annotation(object: &mut Value, key: &str, value: &str) {
    set(object, "annotations", key, value);
}

fn set(object: &mut Value, field: &str, key: &str, value: &str) {
    let map = &mut object["metadata"][field];
    if !map.is_object() {
        *map = json!({});
    }
    map[key] = json!(value);
}

/// `prefix-xxxxx`, where the suffix follows from the owner's uid and `number`.
pub(super) fn generated_name(prefix: &str, uid: &str, number: u64) -> String {
    let end = prefix.len().min(PREFIX_LENGTH_MAX);
    let prefix = prefix.get(..end).unwrap_or(prefix);
    let mut hash = fingerprint(&[uid.as_bytes(), &number.to_be_bytes()]);
    let mut name = format!("{prefix}-");
    for _ in 0..5 {
        name.push(char::from(LETTERS[usize::try_from(hash % 27).expect("below 27")]));
        hash /= 27;
    }
    name
}

/// A hash of a template in the letters of generated names; equal templates have equal hashes,
/// whatever the order of their fields.
pub(super) fn template_hash(template: &Value) -> String {
    let mut text = String::new();
    write_canonical(template, &mut text);
    let mut hash = fingerprint(&[text.as_bytes()]);
    let mut name = String::new();
    for _ in 0..10 {
        name.push(char::from(LETTERS[usize::try_from(hash % 27).expect("below 27")]));
        hash /= 27;
    }
    name
}

/// Writes a value with sorted keys and without nulls.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in entries {
                text.push_str(&json!(key).to_string());
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}

/// FNV-1a over all parts, then mixed so that close inputs differ in all letters.
fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    crate::base::random::Random::new(hash).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_repeat_for_the_same_owner_and_number_and_differ_otherwise() {
        let first = generated_name("train", "u-1", 0);
        assert_eq!(first, generated_name("train", "u-1", 0));
        assert!(first.starts_with("train-") && first.len() == "train-".len() + 5, "{first}");
        assert_ne!(first, generated_name("train", "u-1", 1));
        assert_ne!(first, generated_name("train", "u-2", 0));
        assert!(generated_name(&"x".repeat(200), "u", 0).len() <= 63);
    }

    #[test]
    fn the_hash_of_a_template_ignores_the_order_of_fields() {
        let one = json!({"a": 1, "b": [{"c": "x", "d": null}]});
        let same = json!({"b": [{"c": "x"}], "a": 1});
        assert_eq!(template_hash(&one), template_hash(&same));
        assert_ne!(template_hash(&one), template_hash(&json!({"a": 2, "b": [{"c": "x"}]})));
    }

    #[test]
    fn a_stateful_sets_pods_have_claims_of_their_own() {
        let set = json!({"kind": "StatefulSet", "metadata": {"name": "s", "namespace": "n"}, "spec": {
            "selector": {"matchLabels": {"app": "s"}},
            "volumeClaimTemplates": [{
                "metadata": {"name": "data", "labels": {"tier": "1", "app": "other"}},
                "spec": {"storageClassName": "fast"},
            }],
            "template": {"spec": {"volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]}},
        }});
        let claims = claims_of_pod(Object(&set), "s-0");
        assert_eq!(claims.len(), 1);
        assert_eq!(Object(&claims[0]).object_name().to_string(), "n/data-s-0");
        assert_eq!(claims[0]["metadata"]["labels"], json!({"tier": "1", "app": "s"}));
        assert_eq!(claims[0]["spec"], json!({"storageClassName": "fast"}));
        let mut pod = pod_from(Object(&set), "s-0");
        mount_claims(Object(&set), &mut pod);
        let mounted = json!([
            {"name": "data", "persistentVolumeClaim": {"claimName": "data-s-0"}},
            {"name": "tmp", "emptyDir": {}},
        ]);
        assert_eq!(pod["spec"]["volumes"], mounted);
    }

    #[test]
    fn a_pod_carries_the_template_and_its_owner() {
        let owner = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "n", "uid": "u"},
            "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1}}}});
        let mut pod = pod_from(Object(&owner), "j-0");
        set_label(&mut pod, "c", "d");
        set_annotation(&mut pod, "e", "f");
        assert_eq!(pod["metadata"]["labels"], json!({"a": "b", "c": "d"}));
        assert_eq!(pod["metadata"]["annotations"], json!({"e": "f"}));
        assert_eq!(pod["spec"], json!({"x": 1}));
        let controller = Object(&pod).controller().expect("owned");
        assert_eq!((controller.kind.as_str(), controller.uid.as_str()), ("Job", "u"));
    }
}
