//! `--apply`: manifests into the playground's API, as `kubectl apply` would bring them, strictly validated.
//! Judges nothing itself: what the API refuses is told in its words, with the place in the input.
//! What others need comes first: namespaces, CustomResourceDefinitions, priority classes.

use std::path::PathBuf;

use serde_json::Value;

use crate::apiserver::server::Server;
use crate::apiserver::store::resource::Scope;
use crate::base::time::Time;
use crate::cli::Failure;
use crate::kubernetes::translate::works_everywhere;
use crate::sim::manifests::read::Document;
use crate::sim::manifests::read::read_paths;
use crate::sim::object::Object;

/// Reads the manifests of all paths; directories give their files in the order of names.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut documents = read_paths(paths, &mut std::io::stdin()).map_err(|errors| {
        Failure::BadInput(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "),
        )
    })?;
    // What others need comes first; beyond that the order of the input holds (the sort is stable).
    documents.sort_by_key(|document| match document.object["kind"].as_str() {
        Some("Namespace") => 0,
        Some("CustomResourceDefinition") => 1,
        Some("PriorityClass") => 2,
        _ => 3,
    });
    Ok(documents)
}

/// Creates one object.
///
/// # Errors
/// What the API says, with the place in the input.
pub(super) fn create(server: &mut Server, now: Time, document: Document) -> Result<(), String> {
    let Document { origin, object } = document;
    let name = Object(&object).object_name();
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let place = |why: &str| format!("{origin}: {kind} {name}: {why}");
    let Some(resource) = server.catalog().find_kind(&api_version, &kind).cloned() else {
        let remedy = match kind.as_str() {
            "Fleet" => "write its nodes to a file of their own and give that with --nodes",
            _ => "see `kubectl api-resources` for what the playground serves",
        };
        return Err(place(&format!("no kind {kind:?} in {api_version:?}; {remedy}")));
    };
    let prefix = if resource.group.is_empty() { "/api" } else { "/apis" };
    let namespace = match (resource.scope, &*name.namespace) {
        (Scope::Cluster, _) => String::new(),
        (Scope::Namespaced, "") => "/namespaces/default".to_owned(),
        (Scope::Namespaced, namespace) => format!("/namespaces/{namespace}"),
    };
    let target =
        format!("{prefix}/{api_version}{namespace}/{}?fieldValidation=Strict", resource.plural);
    match server.create(now, &target, object) {
        Ok(_) => Ok(()),
        Err(failure) => Err(place(&failure.message)),
    }
}

/// The first PodGroup of the form that tutorials show, in the form that works on every cluster.
pub(super) fn first_tutorial_form(documents: &[Document]) -> Option<Value> {
    documents.iter().find_map(|document| works_everywhere(&document.object))
}
