//! Which features a node must declare for what a pod's spec uses. Follows kube-scheduler 1.37: these are all that it
//! infers for pods that wait to be placed.
//! Knows no node. A feature that a later release infers has its line here, and a pod that uses it is then kept away.

use serde::Deserialize;

use super::objects::PodObject;
use super::shelves::Shelves;
use crate::base::names::Name;

/// What happens when a container ends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RestartRule {
    /// `Restart` or `RestartAllContainers`.
    pub action: Option<String>,
}

/// Where a volume appears in a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeMount {
    /// Options of the mount.
    pub bind_mount_options: Option<Vec<String>>,
}

/// The features that the pod uses, sorted.
pub(super) fn features(pod: &PodObject, shelves: &mut Shelves) -> Vec<Name> {
    let spec = &pod.spec;
    let containers = || spec.containers.iter().chain(&spec.init_containers);
    let restarts_all = containers()
        .flat_map(|container| &container.restart_policy_rules)
        .any(|rule| rule.action.as_deref() == Some("RestartAllContainers"));
    let mounts_with_options = containers()
        .flat_map(|container| &container.volume_mounts)
        .any(|mount| mount.bind_mount_options.as_ref().is_some_and(|options| !options.is_empty()));
    let maps_users_on_the_host = spec.host_network && spec.host_users == Some(false);
    let used = [
        (restarts_all, "RestartAllContainersOnContainerExits"),
        (maps_users_on_the_host, "UserNamespacesHostNetworkSupport"),
        (mounts_with_options, "VolumeBindMountOptions"),
    ];
    used.into_iter().filter(|(uses, _)| *uses).map(|(_, name)| shelves.name(name)).collect()
}
