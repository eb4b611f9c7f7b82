//! Configurations of kube-scheduler: filters that are off, and affinity that is added to every pod's own.

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use super::list;
use super::maybe;
use super::nodes;
use super::object;

const PLUGINS: [&str; 13] = [
    "NodeResourcesFit",
    "NodeUnschedulable",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeDeclaredFeatures",
    "PodTopologySpread",
    "InterPodAffinity",
    "ImageLocality",
    "NodeVolumeLimits",
    "VolumeBinding",
    "VolumeRestrictions",
    "VolumeZone",
];

/// Cards are counted here whatever is written, so they are left out.
const IGNORED: [&str; 3] = ["example.com/wire", "hugepages-2Mi", "cpu"];

/// Nothing is enabled that is disabled beside it: upstream runs such plugins last, and so names other reasons first.
pub(super) fn configuration(random: &mut Random, names: &[String]) -> Value {
    let plugin = |random: &mut Random| json!({"name": *random.pick(&PLUGINS)});
    let disabled = |random: &mut Random| json!({"disabled": list(random, 0, 2, plugin)});
    // Upstream has these two as points of their own; here they are one, so both are told the same.
    let judging = maybe(random, 40, disabled);
    let everywhere = if random.chance(30) {
        json!({"enabled": list(random, 1, 1, plugin)})
    } else {
        maybe(random, 50, disabled)
    };
    let plugins =
        object([("multiPoint", everywhere), ("preFilter", judging.clone()), ("filter", judging)]);
    let added = maybe(
        random,
        60,
        |random| json!({"name": "NodeAffinity", "args": {"addedAffinity": nodes::added_affinity(random, names)}}),
    );
    let ignored = maybe(random, 50, |random| {
        let args = object([
            ("ignoredResources", list(random, 0, 2, |random| (*random.pick(&IGNORED)).into())),
            ("ignoredResourceGroups", maybe(random, 30, |_| json!(["example.com"]))),
        ]);
        json!({"name": "NodeResourcesFit", "args": args})
    });
    let arguments: Value = [added, ignored].into_iter().filter(|one| !one.is_null()).collect();
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
