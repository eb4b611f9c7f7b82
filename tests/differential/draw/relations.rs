//! What pods say about other pods: labels, host ports, pod affinity, spreading.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::NAMESPACES;
use super::list;
use super::maybe;
use super::object;

const KEYS: [&str; 4] = ["app", "tier", "version", "absent"];
const VALUES: [&str; 4] = ["web", "db", "1", ""];
const TOPOLOGY_KEYS: [&str; 4] = ["kubernetes.io/hostname", "zone", "disk", "absent"];
const OPERATORS: [&str; 5] = ["In", "In", "NotIn", "Exists", "DoesNotExist"];
const ADDRESSES: [&str; 5] = ["", "0.0.0.0", "127.0.0.1", "10.0.0.1", "::"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

pub(super) fn labels(random: &mut Random) -> Value {
    let mut labels = object([]);
    for key in &KEYS[..3] {
        if random.chance(60) {
            labels[*key] = (*random.pick(&VALUES)).into();
        }
    }
    labels
}

/// Gives some containers host ports.
pub(super) fn add_ports(random: &mut Random, spec: &mut Value) {
    for field in ["containers", "initContainers"] {
        for container in spec[field].as_array_mut().into_iter().flatten() {
            if random.chance(70) {
                container["ports"] = list(random, 0, 2, port);
            }
        }
    }
    if spec["initContainers"].is_null() {
        spec.as_object_mut().expect("a spec is an object").shift_remove("initContainers");
    }
}

fn port(random: &mut Random) -> Value {
    object([
        ("containerPort", 80.into()),
        ("hostPort", maybe(random, 85, |random| (*random.pick(&[0, 80, 80, 443, 8080])).into())),
        ("hostIP", maybe(random, 60, |random| (*random.pick(&ADDRESSES)).into())),
        ("protocol", maybe(random, 60, |random| (*random.pick(&PROTOCOLS)).into())),
    ])
}

pub(super) fn affinity(random: &mut Random) -> Value {
    object([
        (
            "requiredDuringSchedulingIgnoredDuringExecution",
            maybe(random, 80, |random| list(random, 0, 2, term)),
        ),
        (
            "preferredDuringSchedulingIgnoredDuringExecution",
            maybe(random, 20, |random| {
                list(
                    random,
                    0,
                    2,
                    |random| json!({"weight": 1 + random.below(100), "podAffinityTerm": term(random)}),
                )
            }),
        ),
    ])
}

fn term(random: &mut Random) -> Value {
    object([
        ("topologyKey", topology_key(random).into()),
        ("labelSelector", maybe(random, 92, selector)),
        (
            "namespaces",
            maybe(random, 25, |random| {
                list(random, 0, 2, |random| (*random.pick(&NAMESPACES)).into())
            }),
        ),
        ("namespaceSelector", maybe(random, 25, namespace_selector)),
    ])
}

fn topology_key(random: &mut Random) -> &'static str {
    if random.chance(5) { "absent" } else { TOPOLOGY_KEYS[random.below(3) as usize] }
}

/// Up to two labels, as selectors name them.
pub(super) fn some_labels(random: &mut Random) -> Value {
    let mut labels = object([]);
    for _ in 0..random.below(3) {
        labels[*random.pick(&KEYS)] = (*random.pick(&VALUES)).into();
    }
    labels
}

pub(super) fn selector(random: &mut Random) -> Value {
    let labels = maybe(random, 60, some_labels);
    let expressions = maybe(random, 50, |random| list(random, 0, 2, requirement));
    object([("matchLabels", labels), ("matchExpressions", expressions)])
}

fn requirement(random: &mut Random) -> Value {
    let operator = *random.pick(&OPERATORS);
    let count = if operator.ends_with("In") { 1 + random.below(2) } else { 0 };
    let values = list(random, count, count, |random| (*random.pick(&VALUES)).into());
    json!({"key": *random.pick(&KEYS), "operator": operator, "values": values})
}

fn namespace_selector(random: &mut Random) -> Value {
    match random.below(4) {
        0 => json!({}),
        1 => json!({"matchLabels": {"team": "red"}}),
        2 => json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]}),
        _ => json!({"matchLabels": {"kubernetes.io/metadata.name": "east"}}),
    }
}

pub(super) fn spread(random: &mut Random) -> Value {
    list(random, 0, 2, |random| {
        let hard = random.chance(75);
        let when = if hard { "DoNotSchedule" } else { "ScheduleAnyway" };
        object([
            ("maxSkew", (1 + random.below(3)).into()),
            ("topologyKey", topology_key(random).into()),
            ("whenUnsatisfiable", when.into()),
            ("labelSelector", maybe(random, 92, selector)),
            (
                "minDomains",
                maybe(random, if hard { 25 } else { 0 }, |random| (1 + random.below(4)).into()),
            ),
            (
                "matchLabelKeys",
                maybe(random, 20, |random| {
                    list(random, 1, 2, |random| (*random.pick(&KEYS)).into())
                }),
            ),
            ("nodeAffinityPolicy", maybe(random, 30, policy)),
            ("nodeTaintsPolicy", maybe(random, 30, policy)),
        ])
    })
}

fn policy(random: &mut Random) -> Value {
    (*random.pick(&["Honor", "Ignore"])).into()
}
