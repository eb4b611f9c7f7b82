//! DeviceClasses, read for the extended resource behind which they stand.
//! Knows no pod, no claim, and no device, and does not judge whether a node has the resource.
//! A name that cannot be read stands behind nothing.

use serde::Deserialize;

use super::objects::HasMetadata;
use super::objects::Metadata;
use super::read::Read;
use super::read::nullable;
use super::shelves::Shelves;
use crate::cluster::facts::DeviceClassFact;

/// A DeviceClass.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DeviceClassObject {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "nullable")]
    pub spec: DeviceClassSpec,
}

/// `spec` of a DeviceClass.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeviceClassSpec {
    /// The resource that pods may ask for instead of writing a claim.
    pub extended_resource_name: Option<String>,
}

impl HasMetadata for DeviceClassObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// The fact of a class.
pub(super) fn fact(read: &Read<DeviceClassObject>, shelves: &mut Shelves) -> DeviceClassFact {
    let DeviceClassObject { metadata, spec } = &read.object;
    let resource = spec.extended_resource_name.as_deref().filter(|name| !name.is_empty());
    DeviceClassFact {
        name: metadata.name.as_str().into(),
        uid: metadata.uid.as_str().into(),
        resource: resource.map(|name| shelves.name(name)),
    }
}
