//! Owners of objects, as `metadata.ownerReferences` lists them. Serde's mirror of the API, nothing else.
//! Which owner is the controller, and what follows from its kind, is for whoever reads them to say.
//! Every field is optional here, as in all mirrors of the API.

use serde::Deserialize;

use crate::kubernetes::translate::read::nullable;

/// An owner.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OwnerReference {
    /// API group and version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// True for the one owner that manages the object.
    #[serde(deserialize_with = "nullable")]
    pub controller: bool,
}
