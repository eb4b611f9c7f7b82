//! What keeping an object of some kinds sets in motion: definitions begin to serve their kind, and
//! what is served ends with them.

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::State;

impl State {
    /// The last word before an object is kept.
    pub(super) fn before_keeping(
        &mut self,
        _call: &Call<'_>,
        _object: &mut Value,
        _old: Option<&Object>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    /// What follows once it is kept.
    pub(super) fn after_keeping(
        &mut self,
        _call: &Call<'_>,
        _object: &Object,
        _old: Option<&Object>,
    ) {
    }

    /// What follows once it is gone.
    pub(super) fn after_removal(&mut self, _resource: &Resource, _object: &Object) {}
}
