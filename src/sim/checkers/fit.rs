//! Whether a node's object lets a pod in, load left aside: cordon, taints, selector, required affinity, features.
//! Written for the checkers alone, from the objects alone; shares nothing with the rules that it checks.
//! Knows neither facts nor asks: a mistake of the translation must show here too.

use serde_json::Value;

use super::request::list;
use super::{Snapshot, node_of};

/// Why `node` must not take `pod`; `None` if it may.
pub(super) fn refusal(pod: &Value, node: &Value) -> Option<String> {
    let spec = &pod["spec"];
    if node["spec"]["unschedulable"] == true
        && !tolerates(spec, "node.kubernetes.io/unschedulable", "", "NoSchedule")
    {
        return Some("it is cordoned".to_owned());
    }
    for taint in list(&node["spec"]["taints"]) {
        let text = |field: &str| taint[field].as_str().unwrap_or_default();
        if text("effect") != "PreferNoSchedule"
            && !tolerates(spec, text("key"), text("value"), text("effect"))
        {
            return Some(format!("taint {} is not tolerated", text("key")));
        }
    }
    let labels = &node["metadata"]["labels"];
    if let Some(selector) = spec["nodeSelector"].as_object() {
        for (key, value) in selector {
            if labels[key] != *value {
                return Some(format!("label {key} is not {value}"));
            }
        }
    }
    let required =
        &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    if let Some(terms) = required["nodeSelectorTerms"].as_array()
        && !terms.iter().any(|term| term_matches(term, node))
    {
        return Some("no term of the required node affinity matches".to_owned());
    }
    let mut declared = list(&node["status"]["declaredFeatures"]);
    features(spec)
        .filter(|feature| !declared.any(|name| name == feature))
        .map(|feature| format!("feature {feature} is not declared"))
}

/// The features that a node must declare for what the spec uses; more than one is not looked for.
fn features(spec: &Value) -> Option<&'static str> {
    let mut containers = list(&spec["containers"]).chain(list(&spec["initContainers"]));
    let uses = |container: &Value| {
        let mut rules = list(&container["restartPolicyRules"]);
        let mut mounts = list(&container["volumeMounts"]);
        if rules.any(|rule| rule["action"] == "RestartAllContainers") {
            return Some("RestartAllContainersOnContainerExits");
        }
        let options = mounts.any(|mount| list(&mount["bindMountOptions"]).next().is_some());
        options.then_some("VolumeBindMountOptions")
    };
    let on_host = spec["hostNetwork"] == true && spec["hostUsers"] == false;
    if on_host {
        return Some("UserNamespacesHostNetworkSupport");
    }
    containers.find_map(uses)
}

/// True if other pods have a say in where this one may go: then room on a node does not prove that it fits.
/// So it is if it takes host ports, must be near, apart from, or level with others, or one that is on a node
/// wants to be apart from some; and if it has volumes that others may use, or that only some nodes reach.
pub(super) fn depends_on_others(pod: &Value, snapshot: &Snapshot) -> bool {
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let wants_apart =
        |pod: &Value| list(&pod["spec"]["affinity"]["podAntiAffinity"][required]).next().is_some();
    let spec = &pod["spec"];
    let containers = list(&spec["containers"]).chain(list(&spec["initContainers"]));
    let mut ports = containers.flat_map(|container| list(&container["ports"]));
    let mut spread = list(&spec["topologySpreadConstraints"]);
    let plain = ["emptyDir", "configMap", "secret", "projected", "downwardAPI", "hostPath", "nfs"];
    let mut volumes = list(&spec["volumes"]);
    volumes.any(|volume| !plain.iter().any(|source| volume[*source].is_object()))
        || ports.any(|port| port["hostPort"].as_i64().unwrap_or(0) > 0)
        || list(&spec["affinity"]["podAffinity"][required]).next().is_some()
        || wants_apart(pod)
        || spread.any(|constraint| constraint["whenUnsatisfiable"] == "DoNotSchedule")
        || snapshot.pods().any(|other| node_of(other).is_some() && wants_apart(other))
}

/// True if one of the pod's tolerations covers the taint.
fn tolerates(spec: &Value, key: &str, value: &str, effect: &str) -> bool {
    list(&spec["tolerations"]).any(|toleration| {
        let text = |field: &str| toleration[field].as_str().unwrap_or_default();
        let same = |field: &str, wanted: &str| text(field).is_empty() || text(field) == wanted;
        let covers_value = match text("operator") {
            "Exists" => true,
            "" | "Equal" => text("value") == value,
            _ => false,
        };
        same("effect", effect) && same("key", key) && covers_value
    })
}

/// True if the term has requirements and all of them hold.
fn term_matches(term: &Value, node: &Value) -> bool {
    let mut requirements = 0;
    for requirement in list(&term["matchExpressions"]) {
        requirements += 1;
        let key = requirement["key"].as_str().unwrap_or_default();
        if !holds(requirement, node["metadata"]["labels"][key].as_str()) {
            return false;
        }
    }
    for requirement in list(&term["matchFields"]) {
        requirements += 1;
        if requirement["key"] != "metadata.name"
            || !holds(requirement, node["metadata"]["name"].as_str())
        {
            return false;
        }
    }
    requirements > 0
}

/// True if the requirement holds for a label with this value (`None`: the label is missing).
fn holds(requirement: &Value, value: Option<&str>) -> bool {
    let listed = || list(&requirement["values"]).any(|wanted| wanted.as_str() == value);
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let bound = || number(requirement["values"][0].as_str());
    match requirement["operator"].as_str().unwrap_or_default() {
        "In" => value.is_some() && listed(),
        "NotIn" => value.is_none() || !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => matches!((number(value), bound()), (Some(value), Some(bound)) if value > bound),
        "Lt" => matches!((number(value), bound()), (Some(value), Some(bound)) if value < bound),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A node in zone a with 8 fast disks and a GPU taint.
    fn node() -> Value {
        json!({
            "metadata": {"name": "n1", "labels": {"zone": "a", "disks": "8"}},
            "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
        })
    }

    #[test]
    fn tolerations_cover_by_key_value_and_effect() {
        let cases = [
            (json!([]), false),
            (json!([{"operator": "Exists"}]), true),
            (json!([{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}]), false),
            (json!([{"key": "gpu", "value": "yes"}]), true),
            (json!([{"key": "gpu", "value": "no"}]), false),
        ];
        for (tolerations, lets_in) in cases {
            let pod = json!({"spec": {"tolerations": tolerations}});
            assert_eq!(refusal(&pod, &node()).is_none(), lets_in, "{pod}");
        }
    }

    #[test]
    fn features_must_be_declared() {
        let declaring = |features: Value| json!({"metadata": {"name": "n1"}, "status": {"declaredFeatures": features}});
        let uses = json!({"spec": {"containers": [{"restartPolicyRules": [{"action": "RestartAllContainers"}]}]}});
        let plain =
            json!({"spec": {"containers": [{"restartPolicyRules": [{"action": "Restart"}]}]}});
        let old = declaring(json!(["VolumeBindMountOptions"]));
        let new = declaring(json!(["RestartAllContainersOnContainerExits"]));
        assert!(refusal(&uses, &old).is_some() && refusal(&uses, &new).is_none());
        assert!(refusal(&plain, &old).is_none());
    }

    #[test]
    fn affinity_operators_read_labels_and_the_name() {
        let cases = [
            (
                json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}),
                false,
            ),
            (
                json!({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["a"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "disks", "operator": "Gt", "values": ["7"]}]}),
                true,
            ),
            (
                json!({"matchExpressions": [{"key": "disks", "operator": "Lt", "values": ["8"]}]}),
                false,
            ),
            (
                json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}),
                true,
            ),
            (json!({}), false),
        ];
        for (term, lets_in) in cases {
            let required = json!({"nodeSelectorTerms": [term]});
            let affinity = json!({"requiredDuringSchedulingIgnoredDuringExecution": required});
            let pod = json!({"spec": {
                "tolerations": [{"operator": "Exists"}],
                "affinity": {"nodeAffinity": affinity},
            }});
            assert_eq!(refusal(&pod, &node()).is_none(), lets_in, "{pod}");
        }
    }
    #[test]
    fn other_pods_have_a_say_where_one_of_both_speaks_of_others() {
        let apart = json!({"podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}});
        let near = json!({"podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}});
        let with = |pods: Vec<Value>| Snapshot {
            pods: pods.into_iter().map(std::sync::Arc::new).collect(),
            ..Snapshot::default()
        };
        let plain = json!({"spec": {"containers": [{"ports": [{"containerPort": 80}]}]}});
        let alone = with(vec![]);
        assert!(!depends_on_others(&plain, &alone));
        for spec in [
            json!({"affinity": apart}),
            json!({"affinity": near}),
            json!({"containers": [{"ports": [{"hostPort": 80}]}]}),
            json!({"topologySpreadConstraints": [{"whenUnsatisfiable": "DoNotSchedule"}]}),
        ] {
            assert!(depends_on_others(&json!({"spec": spec}), &alone), "{spec}");
        }
        let wish = json!({"spec": {"topologySpreadConstraints": [{"whenUnsatisfiable": "ScheduleAnyway"}]}});
        assert!(!depends_on_others(&wish, &alone));
        let waiting = json!({"spec": {"affinity": apart}});
        let placed = json!({"spec": {"affinity": apart, "nodeName": "n"}});
        assert!(!depends_on_others(&plain, &with(vec![waiting])));
        assert!(depends_on_others(&plain, &with(vec![placed])));
    }
}
