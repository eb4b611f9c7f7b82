//! Pods: those that run, and the one that waits.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::NAMESPACES;
use super::Theme;
use super::defaults;
use super::list;
use super::maybe;
use super::nodes;
use super::object;
use super::relations;
use super::resources;
use super::volumes;

const PHASES: [&str; 8] =
    ["Running", "Running", "Running", "Running", "Pending", "Succeeded", "Failed", "Unknown"];

/// A pod on a node.
pub(super) fn running(random: &mut Random, theme: Theme, name: &str, node: &str) -> Value {
    let mut pod = pod(random, theme, name);
    pod["spec"]["nodeName"] = node.into();
    let mut status = object([]);
    // Requests of the pod as a whole are filled in by API servers; manifests are compared as they are.
    let by_containers = pod["spec"]["resources"].is_null();
    if by_containers && random.chance(theme.share(Theme::Resources) / 4) {
        status = resources::resize(random, &pod["spec"]);
    }
    status["phase"] = (*random.pick(&PHASES)).into();
    pod["status"] = status;
    if random.chance(10) {
        pod["metadata"]["deletionTimestamp"] = "2026-11-01T12:00:00Z".into();
    }
    pod
}

/// Another scheduler's pod that waits and is expected on a node. It keeps nobody away by terms of its own: kube-scheduler
/// looks at those only where pods that run have some; see COMPATIBILITY.md.
pub(super) fn expected(random: &mut Random, theme: Theme, name: &str, node: &str) -> Value {
    let mut pod = pod(random, theme, name);
    let spec = pod["spec"].as_object_mut().expect("a spec is an object");
    if let Some(affinity) = spec.get_mut("affinity").and_then(Value::as_object_mut) {
        affinity.shift_remove("podAntiAffinity");
    }
    spec.insert("schedulerName".to_owned(), "another".into());
    spec.insert("priority".to_owned(), (*random.pick(&[0, 5, 10])).into());
    pod["status"] = json!({"phase": "Pending", "nominatedNodeName": node});
    pod
}

/// Takes out spread constraints whose selector demands nothing: of pods that run kube-scheduler counts none for them, of
/// nominated ones all; see COMPATIBILITY.md.
pub(super) fn without_empty_spread(pod: &mut Value) {
    let is_empty = |list: &Value| list.as_object().is_none_or(|fields| fields.is_empty());
    let demands = |constraint: &Value| {
        let selector = &constraint["labelSelector"];
        let expressions = selector["matchExpressions"].as_array();
        selector.is_null()
            || !is_empty(&selector["matchLabels"])
            || expressions.is_some_and(|expressions| !expressions.is_empty())
    };
    if let Some(constraints) = pod["spec"]["topologySpreadConstraints"].as_array_mut() {
        constraints.retain(demands);
    }
}

/// The pod that is to be placed.
pub(super) fn waiting(random: &mut Random, theme: Theme, names: &[String]) -> Value {
    let mut pod = pod(random, theme, "p");
    let share = theme.share(Theme::Nodes);
    let spec = &mut pod["spec"];
    for (field, value) in [
        (
            "schedulingGates",
            maybe(random, share / 20, |random| list(random, 0, 1, |_| json!({"name": "wait"}))),
        ),
        ("nodeSelector", maybe(random, share / 2, nodes::selector)),
        ("tolerations", maybe(random, share, nodes::tolerations)),
    ] {
        if !value.is_null() {
            spec[field] = value;
        }
    }
    if random.chance(share) {
        spec["affinity"]["nodeAffinity"] = nodes::affinity(random, names);
    }
    // A feature and a lack of room together are told in another order than upstream's; see COMPATIBILITY.md.
    if theme == Theme::Nodes && random.chance(15) {
        nodes::use_features(random, spec);
        for container in spec["containers"].as_array_mut().into_iter().flatten() {
            container.as_object_mut().expect("a container is an object").shift_remove("resources");
        }
    }
    if theme == Theme::Nominated {
        spec["priority"] = (*random.pick(&[0, 5])).into();
    }
    if random.chance(theme.share(Theme::Spread)) {
        spec["topologySpreadConstraints"] = relations::spread(random);
    }
    pod
}

/// What both have.
fn pod(random: &mut Random, theme: Theme, name: &str) -> Value {
    let namespace = *random.pick(&NAMESPACES);
    let mut metadata = object([
        ("name", name.into()),
        ("namespace", namespace.into()),
        ("uid", format!("uid-{name}").into()),
        ("labels", relations::labels(random)),
    ]);
    if theme == Theme::Defaults && random.chance(70) {
        metadata["ownerReferences"] = defaults::owners(random);
    }
    let mut spec = object([("schedulerName", "default-scheduler".into())]);
    resources::ask(random, theme, &mut spec);
    if random.chance(theme.share(Theme::Ports)) {
        relations::add_ports(random, &mut spec);
    }
    let share = theme.share(Theme::Affinity);
    for (field, percent) in [("podAffinity", share), ("podAntiAffinity", share)] {
        if random.chance(percent) {
            spec["affinity"][field] = relations::affinity(random);
        }
    }
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    if random.chance(theme.share(Theme::Volumes)) {
        volumes::mount(random, &mut pod);
    }
    pod
}
