//! What is served: `/api`, `/apis`, and below, in the legacy form (one request a group version)
//! and the aggregated form (one request for everything). Reads the store's catalog and nothing else.
//! Groups stand in the order in which they were registered, a group's versions with the preferred one first,
//! resources by name: the same catalog gives the same bytes.
//! May not decide what is served: a resource that is not in the catalog is not here either.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::Subresource;

/// The answer to `/api` or `/apis` in aggregated form.
pub(super) fn aggregated(resources: &[Arc<Resource>], root: Root) -> Value {
    let items: Vec<Value> = groups(resources, root)
        .into_iter()
        .map(|group| {
            let versions: Vec<Value> = versions(resources, group)
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> =
                        of_version(resources, group, version).map(aggregated_resource).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            json!({"metadata": {"name": group, "creationTimestamp": null}, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

/// Where a discovery request begins: the core group has a root of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// `/api`
    Core,
    /// `/apis`
    Groups,
}

/// The answer to a legacy discovery request by the segments of its path; `None` if there is no
/// such group or version.
pub(super) fn legacy(resources: &[Arc<Resource>], path: &[&str]) -> Option<Value> {
    match path {
        ["api"] => Some(json!({
            "kind": "APIVersions",
            "versions": versions(resources, ""),
            "serverAddressByClientCIDRs": [],
        })),
        ["api", version] => resource_list(resources, "", version),
        ["apis"] => {
            let groups: Vec<Value> = groups(resources, Root::Groups)
                .into_iter()
                .map(|name| group(resources, name))
                .collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] if !versions(resources, name).is_empty() => {
            let mut group = group(resources, name);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            Some(group)
        }
        ["apis", group, version] => resource_list(resources, group, version),
        _ => None,
    }
}

/// The groups below a root, in the order in which they were registered.
pub(super) fn groups(resources: &[Arc<Resource>], root: Root) -> Vec<&str> {
    let mut groups: Vec<&str> = Vec::new();
    for resource in resources {
        let group: &str = &resource.group;
        let here = match root {
            Root::Core => group.is_empty(),
            Root::Groups => !group.is_empty(),
        };
        if here && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}

/// The versions of a group, the preferred one first.
pub(super) fn versions<'a>(resources: &'a [Arc<Resource>], group: &str) -> Vec<&'a str> {
    let mut versions: Vec<&str> =
        resources.iter().filter(|r| &*r.group == group).map(|r| &*r.version).collect();
    versions.sort_unstable_by_key(|version| (Reverse(rank(version)), *version));
    versions.dedup();
    versions
}

/// The resources of one version of a group, sorted by name.
pub(super) fn of_version<'a>(
    resources: &'a [Arc<Resource>],
    group: &str,
    version: &str,
) -> impl Iterator<Item = &'a Resource> {
    let mut found: Vec<&Resource> = resources
        .iter()
        .map(Arc::as_ref)
        .filter(|r| &*r.group == group && &*r.version == version)
        .collect();
    found.sort_unstable_by_key(|resource| &resource.plural);
    found.into_iter()
}

/// How much a version is preferred: stable before beta before alpha, then the higher number.
fn rank(version: &str) -> (u8, u32, u32) {
    let number = |text: &str| text.parse::<u32>().ok();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    for (word, stage) in [("beta", 2), ("alpha", 1)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return match (number(major), number(minor)) {
                (Some(major), Some(minor)) => (stage, major, minor),
                (Some(_) | None, _) => (0, 0, 0),
            };
        }
    }
    number(rest).map_or((0, 0, 0), |major| (3, major, 0))
}

fn group(resources: &[Arc<Resource>], name: &str) -> Value {
    let versions: Vec<Value> = versions(resources, name)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn resource_list(resources: &[Arc<Resource>], group: &str, version: &str) -> Option<Value> {
    let mut entries = Vec::new();
    let mut served = None;
    for resource in of_version(resources, group, version) {
        served.get_or_insert_with(|| resource.api_version());
        entries.push(json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.scope == Scope::Namespaced,
            "kind": resource.kind,
            "verbs": resource.verb_names(),
        }));
        let entry = entries.last_mut().expect("just pushed");
        add_names(entry, resource);
        entries.extend(resource.subresources.iter().map(|part| {
            let answer = answer_of(resource, *part);
            let mut entry = json!({
                "name": format!("{}/{}", resource.plural, part.name()),
                "singularName": "",
                "namespaced": resource.scope == Scope::Namespaced,
                "kind": answer.kind,
                "verbs": answer.verbs,
            });
            if (answer.group, answer.version) != (&resource.group, &resource.version) {
                entry["group"] = json!(answer.group);
                entry["version"] = json!(answer.version);
            }
            entry
        }));
    }
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": served?,
        "resources": entries,
    }))
}

fn aggregated_resource(resource: &Resource) -> Value {
    let scope = match resource.scope {
        Scope::Cluster => "Cluster",
        Scope::Namespaced => "Namespaced",
    };
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": scope,
        "singularResource": resource.singular,
        "verbs": resource.verb_names(),
    });
    add_names(&mut entry, resource);
    let parts: Vec<Value> = resource
        .subresources
        .iter()
        .map(|part| {
            let answer = answer_of(resource, *part);
            json!({
                "subresource": part.name(),
                "responseKind": {"group": answer.group, "version": answer.version, "kind": answer.kind},
                "verbs": answer.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        entry["subresources"] = json!(parts);
    }
    entry
}

fn add_names(entry: &mut Value, resource: &Resource) {
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
}

/// The kind that a subresource reads and writes, and its verbs.
struct Answer<'a> {
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    verbs: &'static [&'static str],
}

fn answer_of(resource: &Resource, part: Subresource) -> Answer<'_> {
    let write: &[&str] = &["get", "patch", "update"];
    let (group, version, kind, verbs): (&str, &str, &str, &'static [&'static str]) = match part {
        Subresource::Status => (&resource.group, &resource.version, &resource.kind, write),
        Subresource::Scale => ("autoscaling", "v1", "Scale", write),
        Subresource::Binding => ("", "v1", "Binding", &["create"]),
        Subresource::Eviction => ("policy", "v1", "Eviction", &["create"]),
        Subresource::Finalize => (&resource.group, &resource.version, &resource.kind, &["update"]),
    };
    Answer { group, version, kind, verbs }
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn stable_versions_are_preferred_and_then_newer_ones() {
        let mut versions = vec!["v1alpha3", "v1", "foo", "v1beta2", "v2", "v1beta1", "v10"];
        versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha3", "foo"]);
    }
}
