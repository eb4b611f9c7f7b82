//! Requests in all the forms that count, and what nodes offer.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::Theme;
use super::list;
use super::maybe;
use super::object;

/// Resources and amounts of them that pods ask for; quantities in every notation that an API server keeps. It writes
/// `0.5Gi` as `512Mi`; upstream, given the first, adds a pod's overhead to what its containers ask for, and then again.
const ASKED: [(&str, [&str; 6]); 6] = [
    ("cpu", ["100m", "1", "0.5", "1500m", "0", "1001u"]),
    ("memory", ["64Mi", "1Gi", "512Mi", "1e6", "128974848", "1500m"]),
    ("ephemeral-storage", ["1Gi", "100M", "1", "0", "2G", "5e8"]),
    ("hugepages-2Mi", ["2Mi", "4Mi", "64Mi", "2Mi", "0", "128Mi"]),
    ("nvidia.com/gpu", ["1", "2", "4", "8", "0", "1"]),
    ("example.com/wire", ["1", "3", "5k", "1k", "2", "1"]),
];

/// What nodes offer of each.
const OFFERED: [(&str, [&str; 5]); 6] = [
    ("cpu", ["1", "2", "4", "3500m", "0"]),
    ("memory", ["1Gi", "2Gi", "4Gi", "1500M", "0"]),
    ("ephemeral-storage", ["1Gi", "4Gi", "2G", "10Gi", "0"]),
    ("hugepages-2Mi", ["0", "4Mi", "64Mi", "128Mi", "256Mi"]),
    ("nvidia.com/gpu", ["0", "1", "4", "8", "8"]),
    ("example.com/wire", ["1", "3", "5k", "6k", "0"]),
];

/// What nodes offer where most pods are to find room on several.
const PLENTY: [(&str, [&str; 5]); 6] = [
    ("cpu", ["4", "8", "16", "7500m", "12"]),
    ("memory", ["8Gi", "16Gi", "24e9", "10Gi", "9999999999"]),
    ("ephemeral-storage", ["10Gi", "40Gi", "20G", "1Ti", "0"]),
    ("hugepages-2Mi", ["1Gi", "512Mi", "640Mi", "2Gi", "256Mi"]),
    ("nvidia.com/gpu", ["8", "16", "40", "7", "8"]),
    ("example.com/wire", ["10k", "30k", "5k", "6001", "0"]),
];

pub(super) fn allocatable(random: &mut Random, theme: Theme) -> Value {
    if theme.share(Theme::Resources) == 0 {
        return json!({"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"});
    }
    let pods =
        maybe(random, 97, |random| (*random.pick(&["110", "110", "2", "4", "0", "1"])).into());
    let mut offered = object([("pods", pods)]);
    let offers = if theme == Theme::Scores { PLENTY } else { OFFERED };
    for (name, amounts) in offers {
        let share = if ["cpu", "memory"].contains(&name) { 97 } else { 70 };
        if random.chance(share) {
            offered[name] = (*random.pick(&amounts)).into();
        }
    }
    offered
}

/// Adds containers, and what the pod as a whole asks for, to `spec`.
pub(super) fn ask(random: &mut Random, theme: Theme, spec: &mut Value) {
    let share = theme.share(Theme::Resources);
    let containers = 1 + if share > 0 { random.below(3) } else { 0 };
    spec["containers"] = (0..containers)
        .map(|at| {
            object([
                ("name", format!("c{at}").into()),
                ("image", image(random, theme).into()),
                ("resources", maybe(random, share.max(20), |random| requirements(random, 3))),
            ])
        })
        .collect();
    if random.chance(share / 2) {
        spec["initContainers"] = list(random, 1, 3, |random| {
            let at = random.below(1000);
            object([
                ("name", format!("i{at}").into()),
                ("image", image(random, theme).into()),
                ("restartPolicy", maybe(random, 50, |_| "Always".into())),
                ("resources", maybe(random, 80, |random| requirements(random, 3))),
            ])
        });
    }
    if random.chance(share / 3) {
        spec["overhead"] = amounts(random, 2);
    }
    if random.chance(share / 3) {
        // Devices cannot be asked for by a pod as a whole.
        let mut asked = requirements(random, 4);
        for list in ["requests", "limits"] {
            if let Some(list) = asked[list].as_object_mut() {
                list.retain(|name, _| {
                    name == "cpu" || name == "memory" || name.starts_with("hugepages-")
                });
            }
        }
        spec["resources"] = asked;
    }
}

fn requirements(random: &mut Random, most: u64) -> Value {
    let mut drawn = object([
        ("requests", maybe(random, 85, |random| amounts(random, most))),
        ("limits", maybe(random, 20, |random| amounts(random, most))),
    ]);
    // Of huge pages, an API server wants both, and equal.
    let huge = |list: &str| drawn[list].get("hugepages-2Mi").cloned();
    if let Some(amount) = huge("requests").or_else(|| huge("limits")) {
        drawn["requests"]["hugepages-2Mi"] = amount.clone();
        drawn["limits"]["hugepages-2Mi"] = amount;
    }
    drawn
}

/// What a container runs.
const IMAGES: [&str; 5] =
    ["pause", "pause:1", "r.example:5000/a/train", "r.example:5000/a/train:v1", "big:1"];

fn image(random: &mut Random, theme: Theme) -> &'static str {
    match theme {
        Theme::Scores => random.pick::<&str>(&IMAGES),
        Theme::Resources
        | Theme::Nodes
        | Theme::Ports
        | Theme::Affinity
        | Theme::Spread
        | Theme::Volumes
        | Theme::Profiles
        | Theme::Everything
        | Theme::Defaults
        | Theme::Nominated => IMAGES[0],
    }
}

/// What a node holds of those.
pub(super) fn images(random: &mut Random, theme: Theme) -> Value {
    const HELD: [&str; 5] = [
        "pause:latest",
        "pause:1",
        "r.example:5000/a/train:latest",
        "r.example:5000/a/train:v1",
        "big:1",
    ];
    const SIZES: [u64; 5] = [700_000, 50_000_000, 1_234_567_891, 3_000_000_000, 12_884_901_888];
    let mut images = || {
        // Each image has one size, wherever it is held.
        let image = |(at, name): (usize, &&str)| json!({"names": [name], "sizeBytes": SIZES[at]});
        HELD.iter().enumerate().map(image).filter(|_| random.chance(50)).collect()
    };
    if theme == Theme::Scores { images() } else { Value::Null }
}

fn amounts(random: &mut Random, most: u64) -> Value {
    let mut asked = object([]);
    for _ in 0..random.below(most + 1) {
        let (name, amounts) = random.pick(&ASKED);
        asked[*name] = (*random.pick(amounts)).into();
    }
    asked
}

/// The status of a pod that is resized in place, for some of those that run. Where the node calls the resize
/// infeasible, it has reported on every container; see docs/COMPATIBILITY.md.
pub(super) fn resize(random: &mut Random, spec: &Value) -> Value {
    let pending = maybe(random, 50, |random| {
        let reason = *random.pick(&["Infeasible", "Deferred"]);
        json!([{"type": "PodResizePending", "status": "True", "reason": reason}])
    });
    let share = if pending[0]["reason"] == "Infeasible" { 100 } else { 80 };
    let statuses = |random: &mut Random, list: &str| -> Value {
        let containers = spec[list].as_array().into_iter().flatten();
        let mut statuses = Vec::new();
        for container in containers {
            if !random.chance(share) {
                continue;
            }
            let in_force = maybe(random, 80, |random| {
                object([("requests", maybe(random, 90, |random| amounts(random, 2)))])
            });
            statuses.push(object([
                ("name", container["name"].clone()),
                ("allocatedResources", maybe(random, share, |random| amounts(random, 2))),
                ("resources", in_force),
            ]));
        }
        Value::Array(statuses)
    };
    object([
        ("containerStatuses", statuses(random, "containers")),
        ("initContainerStatuses", statuses(random, "initContainers")),
        ("conditions", pending),
    ])
}
