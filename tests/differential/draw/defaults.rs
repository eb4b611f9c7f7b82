//! Spreading by default: profiles that say how, Services and controllers that tell which pods belong together.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::NAMESPACES;
use super::list;
use super::maybe;
use super::object;
use super::relations;

/// Beside the keys of nodes: one that no node has.
const KEYS: [&str; 5] =
    ["kubernetes.io/hostname", "zone", "topology.kubernetes.io/zone", "disk", "absent"];

const CONTROLLERS: [(&str, &str); 6] = [
    ("v1", "ReplicationController"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "ReplicaSet"),
    // Of these nobody asks whom they select.
    ("batch/v1", "Job"),
    ("apps.example.com/v1", "StatefulSet"),
];

/// Names of controllers, of which not all exist.
const NAMES: [&str; 3] = ["one", "two", "three"];

/// A profile that ranks by scores, or not, and spreads by default in one of the ways that there are.
pub(super) fn configuration(random: &mut Random) -> Value {
    let args = match random.below(10) {
        0 => Value::Null,
        1 => json!({}),
        2 | 3 => json!({"defaultingType": "System"}),
        4 => json!({"defaultingType": "List"}),
        _ => json!({"defaultingType": "List", "defaultConstraints": constraints(random)}),
    };
    let fit = maybe(random, 70, |random| {
        let kind = *random.pick(&["LeastAllocated", "MostAllocated"]);
        let strategy = json!({"type": kind, "resources": [{"name": "cpu", "weight": 1}]});
        json!({"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy}})
    });
    let spread = if args.is_null() {
        Value::Null
    } else {
        json!({"name": "PodTopologySpread", "args": args})
    };
    let disabled = json!({"disabled": [{"name": "PodTopologySpread"}]});
    let filter = maybe(random, 10, |_| disabled.clone());
    let plugins = object([
        ("preFilter", filter.clone()),
        ("filter", filter),
        ("score", maybe(random, 10, |_| disabled)),
    ]);
    let arguments: Value = [fit, spread].into_iter().filter(|one| !one.is_null()).collect();
    let profile = object([
        ("schedulerName", "default-scheduler".into()),
        ("plugins", plugins),
        ("pluginConfig", arguments),
    ]);
    json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [profile],
    })
}

/// Each key once for each kind, as upstream demands.
fn constraints(random: &mut Random) -> Value {
    let mut drawn: Vec<Value> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let hard = random.chance(60);
        let when = if hard { "DoNotSchedule" } else { "ScheduleAnyway" };
        let key = if random.chance(5) { "absent" } else { *random.pick(&KEYS[..4]) };
        let is_same =
            |other: &Value| other["topologyKey"] == key && other["whenUnsatisfiable"] == when;
        if drawn.iter().any(is_same) {
            continue;
        }
        drawn.push(object([
            ("maxSkew", (1 + random.below(3)).into()),
            ("topologyKey", key.into()),
            ("whenUnsatisfiable", when.into()),
            (
                "minDomains",
                maybe(random, if hard { 20 } else { 0 }, |random| (1 + random.below(4)).into()),
            ),
            ("matchLabelKeys", maybe(random, 10, |_| json!(["app"]))),
            (
                "nodeAffinityPolicy",
                maybe(random, 30, |random| (*random.pick(&["Honor", "Ignore"])).into()),
            ),
            (
                "nodeTaintsPolicy",
                maybe(random, 30, |random| (*random.pick(&["Honor", "Ignore"])).into()),
            ),
        ]));
    }
    drawn.into()
}

/// Services and controllers.
pub(super) fn objects(random: &mut Random) -> Vec<Value> {
    let mut objects = Vec::new();
    for at in 0..random.below(5) {
        let metadata =
            json!({"name": format!("s{at}"), "namespace": *random.pick(&NAMESPACES), "uid": "s"});
        let selector = maybe(random, 92, relations::some_labels);
        let spec = object([("ports", json!([{"port": 80}])), ("selector", selector)]);
        objects.push(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}),
        );
    }
    for namespace in NAMESPACES {
        for (version, kind) in &CONTROLLERS[..3] {
            for name in &NAMES[..2] {
                if !random.chance(50) {
                    continue;
                }
                let selector = match *kind {
                    "ReplicationController" => relations::some_labels(random),
                    _set => relations::selector(random),
                };
                let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {}});
                let metadata = json!({"name": name, "namespace": namespace, "uid": "c"});
                let spec = json!({"replicas": 1, "selector": selector, "template": template});
                objects.push(json!({
                    "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec,
                }));
            }
        }
    }
    objects
}

/// Owners of a pod, of whom at most one is its controller.
pub(super) fn owners(random: &mut Random) -> Value {
    let controller = random.below(3);
    let mut at = 0;
    list(random, 0, 2, |random| {
        let (version, kind) = *random.pick(&CONTROLLERS);
        at += 1;
        json!({
            "apiVersion": version, "kind": kind, "name": *random.pick(&NAMES), "uid": "c",
            "controller": at == controller,
        })
    })
}
