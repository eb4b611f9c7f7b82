//! Configurations that say by which scores nodes are ranked: strategies, resources, weights, plugins that do not score.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::list;
use super::maybe;
use super::object;

const PLUGINS: [&str; 8] = [
    "ImageLocality",
    "TaintToleration",
    "NodeAffinity",
    "NodeResourcesFit",
    "PodTopologySpread",
    "InterPodAffinity",
    "NodeResourcesBalancedAllocation",
    "VolumeBinding",
];

const RESOURCES: [&str; 7] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "hugepages-2Mi",
    "nvidia.com/gpu",
    "example.com/wire",
    "example.com/absent",
];

pub(super) fn configuration(random: &mut Random) -> Value {
    let fit = maybe(
        random,
        80,
        |random| json!({"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy(random)}}),
    );
    let balanced = maybe(random, 40, |random| {
        let resources = resources(random, |_| 1);
        json!({"name": "NodeResourcesBalancedAllocation", "args": {"resources": resources}})
    });
    let affinity = maybe(random, 40, |random| {
        let args = object([
            ("hardPodAffinityWeight", maybe(random, 80, |random| random.below(101).into())),
            ("ignorePreferredTermsOfExistingPods", maybe(random, 40, |_| true.into())),
        ]);
        json!({"name": "InterPodAffinity", "args": args})
    });
    let storage = maybe(random, 40, |random| {
        let args = json!({"bindTimeoutSeconds": random.below(100), "shape": points(random)});
        json!({"name": "VolumeBinding", "args": args})
    });
    let arguments: Value =
        [fit, balanced, affinity, storage].into_iter().filter(|one| !one.is_null()).collect();
    // Without any other word about scores, a weight is one.
    let plugin = |random: &mut Random, name: &str| {
        let weight = maybe(random, 80, |random| (1 + random.below(9)).into());
        object([("name", name.into()), ("weight", weight)])
    };
    let (off, on) = (*random.pick(&PLUGINS), *random.pick(&PLUGINS));
    let score = object([
        ("enabled", json!([plugin(random, on)])),
        (
            "disabled",
            maybe(
                random,
                40,
                |random| json!([{"name": if random.chance(30) { "*" } else { off }}]),
            ),
        ),
    ]);
    let everywhere = maybe(random, 30, |random| {
        let name = *random.pick(&PLUGINS);
        json!({"enabled": [plugin(random, name)]})
    });
    let profile = object([
        ("schedulerName", "default-scheduler".into()),
        ("plugins", object([("score", score), ("multiPoint", everywhere)])),
        ("pluginConfig", arguments),
    ]);
    json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [profile],
    })
}

fn strategy(random: &mut Random) -> Value {
    let kind = *random.pick(&["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]);
    let shape = (kind == "RequestedToCapacityRatio").then(|| json!({"shape": points(random)}));
    let shape = shape.unwrap_or_default();
    let resources = maybe(random, 60, |random| {
        resources(random, |random| if random.chance(50) { 1 } else { 1 + random.below(100) })
    });
    object([("type", kind.into()), ("resources", resources), ("requestedToCapacityRatio", shape)])
}

/// One to four points of a function.
fn points(random: &mut Random) -> Value {
    let mut from = 0;
    let mut points = Vec::new();
    while from <= 100 && points.len() < 4 {
        let utilization = from + random.below(101 - from);
        points.push(json!({"utilization": utilization, "score": random.below(11)}));
        from = utilization + 1;
    }
    points.into()
}

/// Some resources, each once.
fn resources(random: &mut Random, mut weight: impl FnMut(&mut Random) -> u64) -> Value {
    let first = random.below(RESOURCES.len() as u64) as usize;
    let named = list(random, 1, 4, |_| Value::Null).as_array().map_or(0, Vec::len);
    (0..named)
        .map(|at| {
            let name = RESOURCES[(first + at) % RESOURCES.len()];
            json!({"name": name, "weight": weight(random)})
        })
        .collect()
}
