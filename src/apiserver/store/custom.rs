//! Custom resources: what a CustomResourceDefinition says of its versions, and serving them.

use serde_json::Value;

use crate::apiserver::store::decode::Place;
use crate::apiserver::store::scale::ScalePaths;

/// A custom kind, as its definition describes it.
#[derive(Debug, Default)]
pub struct Custom {}

impl Custom {
    /// Cuts unknown fields.
    pub fn prune(&self, _version: &str, _object: &mut Value) -> Vec<Place> {
        Vec::new()
    }
    /// Fills in defaults.
    pub fn fill_defaults(&self, _version: &str, _object: &mut Value) {}
    /// Scale.
    pub fn scale_paths(&self, _version: &str) -> Option<ScalePaths> {
        None
    }
}
