//! Nodes, and what pods say about node objects: selectors, node affinity, tolerations.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::Theme;
use super::list;
use super::maybe;
use super::object;
use super::resources;

const ZONES: [&str; 3] = ["a", "b", "c"];
const SIZES: [&str; 7] = ["1", "2", "8", "-3", "+4", "many", ""];
const TAINT_KEYS: [&str; 3] = ["gpu", "team", "node.kubernetes.io/unschedulable"];
const TAINT_VALUES: [&str; 4] = ["", "red", "3", "10"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const FEATURES: [&str; 3] = [
    "RestartAllContainersOnContainerExits",
    "UserNamespacesHostNetworkSupport",
    "VolumeBindMountOptions",
];
/// Beside the keys that exist: one that no node has, and one that is no label key.
const LABEL_KEYS: [&str; 6] =
    ["zone", "size", "disk", "kubernetes.io/hostname", "absent", "not a key"];
const LABEL_VALUES: [&str; 9] = ["a", "b", "ssd", "1", "2", "n1", "", "not a value", "-3"];
const OPERATORS: [&str; 8] = ["In", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "Near"];

pub(super) fn node(random: &mut Random, theme: Theme, name: &str) -> Value {
    let share = theme.share(Theme::Nodes);
    let mut labels = labels(random, name);
    // Nodes without one are a domain of the system's own constraints.
    if theme == Theme::Defaults && random.chance(80) {
        labels["topology.kubernetes.io/zone"] = (*random.pick(&ZONES)).into();
    }
    let metadata = json!({"name": name, "labels": labels});
    let spec = object([
        ("unschedulable", maybe(random, share / 4, |_| true.into())),
        ("taints", maybe(random, share, taints)),
    ]);
    let mut status = json!({"allocatable": resources::allocatable(random, theme)});
    let images = resources::images(random, theme);
    if !images.is_null() {
        status["images"] = images;
    }
    if random.chance(share) {
        // Sorted and each once, as the API server demands; upstream's plugin rests on it.
        let declared = FEATURES.iter().filter(|_| random.chance(40));
        status["declaredFeatures"] = declared.copied().collect();
    }
    json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec, "status": status})
}

fn labels(random: &mut Random, name: &str) -> Value {
    object([
        ("kubernetes.io/hostname", maybe(random, 90, |_| name.into())),
        ("zone", maybe(random, 85, |random| (*random.pick(&ZONES)).into())),
        ("size", maybe(random, 50, |random| (*random.pick(&SIZES)).into())),
        ("disk", maybe(random, 50, |random| (*random.pick(&["ssd", "hdd"])).into())),
    ])
}

/// An API server has each key and effect once.
fn taints(random: &mut Random) -> Value {
    let mut drawn = list(random, 0, 2, |random| {
        object([
            ("key", (*random.pick(&TAINT_KEYS)).into()),
            ("value", maybe(random, 70, |random| (*random.pick(&TAINT_VALUES)).into())),
            ("effect", (*random.pick(&EFFECTS)).into()),
        ])
    });
    let identity = |taint: &Value| (taint["key"].to_string(), taint["effect"].to_string());
    drawn.as_array_mut().expect("it is a list").dedup_by_key(|taint| identity(taint));
    drawn
}

pub(super) fn tolerations(random: &mut Random) -> Value {
    const OPERATORS: [&str; 6] = ["Equal", "Exists", "Gt", "Lt", "", "Near"];
    list(random, 0, 3, |random| {
        let exists = random.chance(40);
        object([
            ("key", maybe(random, 85, |random| (*random.pick(&TAINT_KEYS)).into())),
            (
                "operator",
                maybe(random, 85, |random| {
                    (if exists { "Exists" } else { *random.pick(&OPERATORS) }).into()
                }),
            ),
            ("value", maybe(random, 60, |random| (*random.pick(&TAINT_VALUES)).into())),
            ("effect", maybe(random, 60, |random| (*random.pick(&EFFECTS)).into())),
        ])
    })
}

/// Lets the spec use features that nodes declare.
pub(super) fn use_features(random: &mut Random, spec: &mut Value) {
    let container = &mut spec["containers"][0];
    match random.below(4) {
        0 => {
            let action = *random.pick(&["Restart", "RestartAllContainers"]);
            container["restartPolicy"] = "Never".into();
            container["restartPolicyRules"] = json!([{"action": action}]);
        }
        1 => {
            spec["hostNetwork"] = random.chance(80).into();
            spec["hostUsers"] = random.chance(20).into();
        }
        2 => {
            let options = if random.chance(80) { json!(["noexec"]) } else { json!([]) };
            container["volumeMounts"] =
                json!([{"name": "v", "mountPath": "/v", "bindMountOptions": options}]);
            spec["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
        }
        _ => {}
    }
}

pub(super) fn selector(random: &mut Random) -> Value {
    let mut selector = object([]);
    for _ in 0..random.below(2) + 1 {
        let key = *random.pick(&LABEL_KEYS[..5]);
        selector[key] = (*random.pick(&LABEL_VALUES[..7])).into();
    }
    selector
}

pub(super) fn affinity(random: &mut Random, names: &[String]) -> Value {
    let required = maybe(
        random,
        80,
        |random| json!({"nodeSelectorTerms": list(random, 0, 3, |random| term(random, names))}),
    );
    let preferred = maybe(random, 40, |random| {
        list(random, 0, 2, |random| {
            // A preferred term that does not parse is an error upstream, and no API server lets it in.
            let requirement = json!({"key": *random.pick(&LABEL_KEYS[..5]), "operator": "In", "values": ["a", "1"]});
            json!({"weight": 1 + random.below(100), "preference": {"matchExpressions": [requirement]}})
        })
    });
    object([
        ("requiredDuringSchedulingIgnoredDuringExecution", required),
        ("preferredDuringSchedulingIgnoredDuringExecution", preferred),
    ])
}

/// Affinity of a profile, which must make sense.
pub(super) fn added_affinity(random: &mut Random, names: &[String]) -> Value {
    let required = list(random, 1, 2, |random| {
        let key = *random.pick(&LABEL_KEYS[..5]);
        let values = list(random, 1, 2, |random| (*random.pick(&LABEL_VALUES[..7])).into());
        let operator = *random.pick(&["In", "NotIn"]);
        let expressions = json!([{"key": key, "operator": operator, "values": values}]);
        let field =
            json!([{"key": "metadata.name", "operator": "In", "values": [random.pick(names)]}]);
        object([("matchExpressions", expressions), ("matchFields", maybe(random, 20, |_| field))])
    });
    json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": required}})
}

fn term(random: &mut Random, names: &[String]) -> Value {
    let expressions = maybe(random, 70, |random| list(random, 0, 2, requirement));
    let fields = maybe(random, 25, |random| list(random, 0, 2, |random| field(random, names)));
    object([("matchExpressions", expressions), ("matchFields", fields)])
}

fn requirement(random: &mut Random) -> Value {
    let operator = *random.pick(&OPERATORS);
    // Mostly as many values as the operator takes.
    let usual = match operator {
        "In" | "NotIn" => 1 + random.below(2),
        "Gt" | "Lt" => 1,
        _ => 0,
    };
    let count = if random.chance(10) { random.below(3) } else { usual };
    let values = list(random, count, count, |random| (*random.pick(&LABEL_VALUES)).into());
    json!({"key": *random.pick(&LABEL_KEYS), "operator": operator, "values": values})
}

/// Always with one value: an API server lets in nothing else, and here upstream's two steps disagree about it.
fn field(random: &mut Random, names: &[String]) -> Value {
    let values = list(random, 1, 1, |random| {
        if random.chance(15) { "gone".into() } else { random.pick(names).as_str().into() }
    });
    let operator = *random.pick(&["In", "In", "In", "NotIn", "NotIn", "Exists"]);
    json!({"key": "metadata.name", "operator": operator, "values": values})
}
