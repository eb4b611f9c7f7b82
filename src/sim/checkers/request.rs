//! What a pod asks for and what a node offers, read from their objects by kube-scheduler's formula.
//!
//! Written for the checkers alone and on purpose not shared with the rooms that they check.
//! Amounts are in thousandths of `cpu` and in whole units of all else, rounded up.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::quantity::Quantity;

/// Amounts by resource name.
pub(super) type Load = BTreeMap<String, i64>;

/// The resources that may be asked for at the level of the pod.
fn has_pod_level(resource: &str) -> bool {
    resource == "cpu" || resource == "memory" || resource.starts_with("hugepages-")
}

/// What `pod` asks for: containers and sidecars together, or the largest init container on top of the sidecars
/// before it, whichever is more; pod-level amounts instead where there are any; overhead on top.
pub(super) fn request(pod: &Value) -> Load {
    request_by(pod, |container| amounts(&with_limits(&container["resources"])))
}

/// What `pod` holds on its node: what it asks for, or what the node has allocated to it or has in force
/// for it during a resize, whichever is most.
pub(super) fn held(pod: &Value) -> Load {
    let mut most = request(pod);
    let status_of = |container: &Value| {
        let all = list(&pod["status"]["containerStatuses"]);
        let mut all = all.chain(list(&pod["status"]["initContainerStatuses"]));
        all.find(|status| status["name"] == container["name"]).unwrap_or(&Value::Null)
    };
    for field in ["/allocatedResources", "/resources/requests"] {
        let load = request_by(pod, |container| match status_of(container).pointer(field) {
            Some(reported) => amounts(reported),
            None => amounts(&with_limits(&container["resources"])),
        });
        for (resource, amount) in load {
            let entry = most.entry(resource).or_default();
            *entry = (*entry).max(amount);
        }
    }
    most
}

/// The formula over the amounts that `own` gives for a container.
fn request_by(pod: &Value, own: impl Fn(&Value) -> Load) -> Load {
    let spec = &pod["spec"];
    let mut together = Load::new();
    for container in list(&spec["containers"]) {
        add(&mut together, &own(container));
    }
    let mut sidecars = Load::new();
    let mut peak = Load::new();
    for container in list(&spec["initContainers"]) {
        let own = own(container);
        let mut need = sidecars.clone();
        add(&mut need, &own);
        if container["restartPolicy"] == "Always" {
            add(&mut together, &own);
            sidecars = need.clone();
        }
        for (resource, amount) in need {
            let entry = peak.entry(resource).or_default();
            *entry = (*entry).max(amount);
        }
    }
    for (resource, amount) in peak {
        let entry = together.entry(resource).or_default();
        *entry = (*entry).max(amount);
    }
    for (resource, amount) in amounts(&with_limits(&spec["resources"])) {
        if has_pod_level(&resource) {
            together.insert(resource, amount);
        }
    }
    add(&mut together, &amounts(&spec["overhead"]));
    together.retain(|_, amount| *amount != 0);
    together
}

/// What `node` offers: `status.allocatable`.
pub(super) fn allocatable(node: &Value) -> Load {
    amounts(&node["status"]["allocatable"])
}

/// Adds `more` to `load`.
pub(super) fn add(load: &mut Load, more: &Load) {
    for (resource, amount) in more {
        *load.entry(resource.clone()).or_default() += amount;
    }
}

/// Requests, and limits for what has no request, as the API fills them in.
fn with_limits(resources: &Value) -> Value {
    let mut merged = resources["limits"].as_object().cloned().unwrap_or_default();
    if let Some(requests) = resources["requests"].as_object() {
        merged.extend(requests.clone());
    }
    Value::Object(merged)
}

/// A map of quantities. What cannot be read counts as nothing: the API server has refused it already.
fn amounts(map: &Value) -> Load {
    let Some(map) = map.as_object() else {
        return Load::new();
    };
    map.iter()
        .filter_map(|(resource, written)| {
            let text = written.as_str().map_or_else(|| written.to_string(), str::to_owned);
            let quantity = Quantity::parse(&text).ok()?;
            let amount = if resource == "cpu" { quantity.milli_ceil() } else { quantity.ceil() };
            Some((resource.clone(), amount))
        })
        .collect()
}

/// The elements of a list; none where there is no list.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_formula_counts_sidecars_init_containers_pod_level_and_overhead() {
        let cpu =
            |amount: &str| json!({"resources": {"requests": {"cpu": amount, "example.com/x": 1}}});
        let mut sidecar = cpu("200m");
        sidecar["restartPolicy"] = json!("Always");
        let mut pod = json!({"spec": {
            "containers": [cpu("1"), cpu("500m")],
            "initContainers": [sidecar, cpu("2")],
            "overhead": {"cpu": "100m"},
        }});
        // The init container with the sidecar before it: 2,200m against 1,700m of those that stay.
        assert_eq!(request(&pod)["cpu"], 2300);
        assert_eq!(request(&pod)["example.com/x"], 3);
        pod["spec"]["resources"] = json!({"requests": {"cpu": "1"}});
        assert_eq!(request(&pod)["cpu"], 1100);
    }

    #[test]
    fn a_resize_holds_the_most_of_what_is_asked_allocated_and_in_force() {
        let container =
            |cpu: &str| json!({"name": "main", "resources": {"requests": {"cpu": cpu}}});
        let pod = json!({
            "spec": {"containers": [container("2")]},
            "status": {"containerStatuses": [
                {"name": "main", "allocatedResources": {"cpu": "3"}, "resources": {"requests": {"cpu": "1"}}},
            ]},
        });
        assert_eq!((request(&pod)["cpu"], held(&pod)["cpu"]), (2000, 3000));
    }

    #[test]
    fn limits_stand_in_for_requests() {
        let pod = json!({"spec": {"containers": [
            {"resources": {"limits": {"nvidia.com/gpu": "2", "memory": "1Ki"}, "requests": {"memory": 512}}},
        ]}});
        let load = request(&pod);
        assert_eq!((load["nvidia.com/gpu"], load["memory"]), (2, 512));
    }
}
