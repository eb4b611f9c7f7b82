//! Judges objects before they are stored: what types alone cannot say. Each kind's rules are a
//! function from the new object and the old one to the wrong fields, worded as upstream words them.
//! Knows only the object itself; what depends on others is admission's.

pub(crate) mod amounts;
mod cluster;
mod metadata;
mod pods;
mod storage;
mod workloads;

pub(crate) use cluster::custom_resource_definition;
pub(crate) use cluster::node;
pub(crate) use cluster::pod_group;
pub(crate) use cluster::priority_class;
pub(crate) use pods::pod;
pub(crate) use storage::claim;
pub(crate) use storage::csi_node;
pub(crate) use storage::csi_storage_capacity;
pub(crate) use storage::storage_class;
pub(crate) use storage::volume;
pub(crate) use storage::volume_attachment;
pub(crate) use workloads::daemon_set;
pub(crate) use workloads::deployment;
pub(crate) use workloads::job;
pub(crate) use workloads::replica_set;
pub(crate) use workloads::stateful_set;

use serde_json::Value;

use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Resource;

/// Kinds without rules of their own.
pub(crate) fn nothing(_: &Value, _: Option<&Value>) -> Vec<FieldError> {
    Vec::new()
}

/// Everything that is wrong with `new`, as the successor of `old` if there is one.
pub(crate) fn object(resource: &Resource, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = metadata::check(resource, new, old);
    match &resource.form {
        Form::BuiltIn(rules) => errors.extend((rules.validate)(new, old)),
        Form::Custom(custom) => errors.extend(custom.check(new, old)),
    }
    errors
}
