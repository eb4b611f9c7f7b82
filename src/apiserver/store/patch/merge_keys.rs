//! Which lists of the built-in types a strategic merge patch merges, and by which key. The tags
//! `patchStrategy` and `patchMergeKey` of `k8s.io/api` as one table; every other list is replaced.
//! Knows names of fields and no objects; how lists are merged is in `strategic.rs`.

/// How a strategic merge patch treats a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListStrategy {
    /// The patch's list takes the place of the old one.
    Replace,
    /// Entries are merged with those that have the same value in this field.
    MergeBy(&'static str),
    /// Plain values are added to those that are there.
    Union,
}

/// The strategy of the list at `path`: field names from the object's root, list positions left out.
pub(super) fn list_strategy(path: &[String]) -> ListStrategy {
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    match names.as_slice() {
        [.., "metadata", "ownerReferences"] => ListStrategy::MergeBy("uid"),
        [.., "metadata", "finalizers"] | ["spec", "podCIDRs"] => ListStrategy::Union,
        [.., "containers" | "initContainers" | "ephemeralContainers", part] => container_list(part),
        [.., "spec", part] if *part != "ports" => pod_spec_list(part),
        ["spec", "ports"] => ListStrategy::MergeBy("port"),
        ["status", "conditions" | "addresses"] => ListStrategy::MergeBy("type"),
        ["status", "podIPs" | "hostIPs"] => ListStrategy::MergeBy("ip"),
        ["status", "resourceClaimStatuses"] => ListStrategy::MergeBy("name"),
        ["secrets"] => ListStrategy::MergeBy("name"),
        _ => ListStrategy::Replace,
    }
}

fn container_list(part: &str) -> ListStrategy {
    match part {
        "env" => ListStrategy::MergeBy("name"),
        "ports" => ListStrategy::MergeBy("containerPort"),
        "volumeMounts" => ListStrategy::MergeBy("mountPath"),
        "volumeDevices" => ListStrategy::MergeBy("devicePath"),
        _ => ListStrategy::Replace,
    }
}

fn pod_spec_list(part: &str) -> ListStrategy {
    match part {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "imagePullSecrets"
        | "schedulingGates"
        | "resourceClaims" => ListStrategy::MergeBy("name"),
        "hostAliases" => ListStrategy::MergeBy("ip"),
        "topologySpreadConstraints" => ListStrategy::MergeBy("topologyKey"),
        _ => ListStrategy::Replace,
    }
}
