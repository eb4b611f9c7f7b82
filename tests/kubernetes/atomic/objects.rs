//! The objects of these tests as manifests: nodes of 8 GPUs, members of gangs, groups.

use serde_json::Value;
use serde_json::json;

use super::oracle::GROUP_LABEL;

/// A node of 8 GPUs that is ready.
pub(crate) fn node(name: &str) -> Value {
    let amounts = json!({"cpu": "64", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": "8"});
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {
            "capacity": amounts, "allocatable": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    })
}

/// A pod of Muster's that asks for GPUs.
pub(crate) fn pod(name: &str, gpus: u32) -> Value {
    let amounts = json!({"cpu": "1", "nvidia.com/gpu": gpus.to_string()});
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "schedulerName": "muster",
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "main", "image": "pause", "resources": {"limits": amounts, "requests": amounts}},
            ],
        },
    })
}

/// A member of a gang of the CRD's kind.
pub(crate) fn member(name: &str, group: &str, gpus: u32) -> Value {
    let mut pod = pod(name, gpus);
    pod["metadata"]["labels"] = json!({GROUP_LABEL: group});
    // An abort deletes members that somebody would make again.
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "batch/v1", "kind": "Job", "name": group, "controller": true,
        "uid": "11111111-2222-3333-4444-555555555555",
    }]);
    pod
}

/// A group of the CRD's kind.
pub(crate) fn group(name: &str, minimum: u32) -> Value {
    json!({
        "apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
        "metadata": {"name": name}, "spec": {"minMember": minimum},
    })
}

/// A native group of 1.37.
pub(crate) fn native_group(name: &str, minimum: u32) -> Value {
    json!({
        "apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup",
        "metadata": {"name": name}, "spec": {"schedulingPolicy": {"gang": {"minCount": minimum}}},
    })
}

/// A member of a native group.
pub(crate) fn native_member(name: &str, group: &str, gpus: u32) -> Value {
    let mut pod = pod(name, gpus);
    pod["spec"]["schedulingGroup"] = json!({"podGroupName": group});
    pod
}
