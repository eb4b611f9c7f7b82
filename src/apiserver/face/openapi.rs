//! OpenAPI: `/openapi/v3` with one document for each group version, and an empty `/openapi/v2`.
//! kubectl reads from them which parameters a PATCH knows: having seen `fieldValidation`, it leaves
//! the checking of fields to the server; and `kubectl explain` reads the schemas. With no strategic merge
//! patch among the listed body types, kubectl takes the merge keys of built-in types from its own Go
//! structs, which are always complete.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;
use serde_json::{Map, Value, json};

use super::discovery::{Root, groups, of_version, versions};
use super::schemas;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::Subresource;

/// The media type of answers to `/openapi/v2`. Clients ask for it with `@` before the version, which no media type
/// may hold: Go's parser refuses it in an answer, so that upstream answers with a dot there.
pub(super) const V2_CONTENT_TYPE: &str =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// An OpenAPI v2 document that describes nothing, in protobuf: field 1 is `swagger`, field 2 is
/// `info` with `title` and `version`. Everything worth knowing is in version 3.
pub(super) fn v2_document(version: &str) -> Vec<u8> {
    let mut info = Vec::new();
    push_text(&mut info, 1, "Kubernetes");
    push_text(&mut info, 2, version);
    let mut document = Vec::new();
    push_text(&mut document, 1, "2.0");
    push_bytes(&mut document, 2, &info);
    document
}

fn push_text(message: &mut Vec<u8>, field: u8, text: &str) {
    push_bytes(message, field, text.as_bytes());
}

/// Appends a length-delimited field of less than 128 bytes, whose length is a single byte.
fn push_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    let length = u8::try_from(bytes.len()).ok().filter(|length| *length < 128);
    let length = length.expect("titles and versions are short");
    message.extend([field << 3 | 2, length]);
    message.extend_from_slice(bytes);
}

/// The index: a path for each group version, with a hash that changes with its document, so that
/// clients may keep a document for as long as its hash stays.
pub(super) fn index(resources: &[Arc<Resource>], server_version: &str) -> Value {
    let mut paths = Map::new();
    for root in [Root::Core, Root::Groups] {
        for group in groups(resources, root) {
            for version in versions(resources, group) {
                let path = path_of(group, version);
                let document = document(resources, &path, server_version).unwrap_or(Value::Null);
                let url = format!("/openapi/v3/{path}?hash={}", hash(&document));
                paths.insert(path, json!({"serverRelativeURL": url}));
            }
        }
    }
    json!({"paths": paths})
}

/// The name of a document by its content.
pub(super) fn hash(document: &Value) -> String {
    let mut hasher = FxHasher::default();
    document.to_string().hash(&mut hasher);
    format!("{:016X}", hasher.finish())
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The document at `api/v1` or `apis/GROUP/VERSION`; `None` if there is no such group version.
pub(super) fn document(
    resources: &[Arc<Resource>],
    path: &str,
    server_version: &str,
) -> Option<Value> {
    let segments: Vec<&str> = path.split('/').collect();
    let (group, version) = match segments.as_slice() {
        ["api", version] => ("", *version),
        ["apis", group, version] => (*group, *version),
        _ => return None,
    };
    let mut paths = Map::new();
    let mut described = Map::new();
    for resource in of_version(resources, group, version) {
        add_paths(&mut paths, path, resource);
        schemas::add(&mut described, resource);
    }
    if paths.is_empty() {
        return None;
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": server_version},
        "paths": paths,
        "components": {"schemas": described},
    }))
}

fn add_paths(paths: &mut Map<String, Value>, root: &str, resource: &Resource) {
    let collection = match resource.scope {
        Scope::Cluster => format!("/{root}/{}", resource.plural),
        Scope::Namespaced => format!("/{root}/namespaces/{{namespace}}/{}", resource.plural),
    };
    let in_namespace = match resource.scope {
        Scope::Cluster => Vec::new(),
        Scope::Namespaced => vec![path_parameter("namespace")],
    };
    let verbs = resource.verb_names();
    let one = format!("{collection}/{{name}}");
    let mut item = Map::new();
    let mut all = Map::new();
    for verb in verbs {
        let (place, method) = match *verb {
            "get" => (&mut item, "get"),
            "update" => (&mut item, "put"),
            "patch" => (&mut item, "patch"),
            "delete" => (&mut item, "delete"),
            "list" => (&mut all, "get"),
            "create" => (&mut all, "post"),
            "deletecollection" => (&mut all, "delete"),
            _ => continue,
        };
        place.insert(method.into(), operation(resource, verb));
    }
    if !all.is_empty() {
        all.insert("parameters".into(), json!(in_namespace));
        paths.insert(collection, Value::Object(all));
    }
    let mut named = in_namespace;
    named.push(path_parameter("name"));
    if !item.is_empty() {
        item.insert("parameters".into(), json!(named));
        paths.insert(one.clone(), Value::Object(item));
    }
    for part in &resource.subresources {
        let verbs: &[(&str, &str)] = match part {
            Subresource::Status | Subresource::Scale => {
                &[("get", "get"), ("put", "update"), ("patch", "patch")]
            }
            Subresource::Binding | Subresource::Eviction => &[("post", "create")],
            Subresource::Finalize => &[("put", "update")],
        };
        let mut operations = Map::new();
        for (method, verb) in verbs {
            operations.insert((*method).into(), operation(resource, verb));
        }
        operations.insert("parameters".into(), json!(named));
        paths.insert(format!("{one}/{}", part.name()), Value::Object(operations));
    }
}

fn path_parameter(name: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}})
}

fn operation(resource: &Resource, verb: &str) -> Value {
    let parameters: &[(&str, &str)] = match verb {
        "create" | "update" | "patch" => {
            &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")]
        }
        "list" | "deletecollection" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "delete" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("propagationPolicy", "string"),
        ],
        _ => &[],
    };
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|(name, kind)| {
            json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
        })
        .collect();
    let content = json!({"application/json": {"schema": schemas::reference(resource)}});
    let mut operation = json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": schemas::kind_of(resource),
    });
    match verb {
        "patch" => {
            let any = json!({"schema": {"type": "object"}});
            operation["requestBody"] = json!({"required": true, "content": {
                "application/json-patch+json": any,
                "application/merge-patch+json": any,
            }});
        }
        "create" | "update" => {
            operation["requestBody"] = json!({"required": true, "content": content});
        }
        _ => {}
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::v2_document;

    #[test]
    fn the_v2_document_is_well_formed_protobuf() {
        let document = v2_document("v1");
        let expected = b"\x0a\x032.0\x12\x10\x0a\x0aKubernetes\x12\x02v1";
        assert_eq!(document, expected);
    }
}
