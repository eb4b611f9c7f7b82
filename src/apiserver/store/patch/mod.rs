//! Patches: which form a request uses, and the object that comes out. The result is judged like an
//! update; a resourceVersion or uid in a patch is thereby a precondition.
//! May not decide what is valid or write anything itself: it ends in `State::replace` or `State::update_scale`.
//! A patch leaves an object of the same name, or nothing has changed.

mod merge;
mod merge_keys;
mod strategic;

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::json;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::resource::UpdateRule;
use crate::apiserver::store::scale::scale_of;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::Stored;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::apiserver::store::view::Shown;

/// The forms of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902: a list of operations.
    Json,
    /// RFC 7386: a partial object; null removes.
    Merge,
    /// A partial object whose lists are merged by the keys of the built-in types.
    Strategic,
    /// Server-side apply: what one manager wants of an object.
    Apply,
}

impl PatchKind {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }

    /// The form that `content_type` names, among those that the request's resource accepts.
    ///
    /// # Errors
    /// 415 for any other; a scale cannot be applied.
    pub fn accepted(request: &Request, content_type: &str) -> Result<Self, Failure> {
        let named = content_type.split(';').next().unwrap_or_default().trim();
        let is_custom = request.resource.custom().is_some();
        let is_scale = request.subresource == Some(Subresource::Scale);
        let is_served = |kind: &Self| match kind {
            Self::Json | Self::Merge => true,
            Self::Strategic => !is_custom,
            Self::Apply => !is_scale,
        };
        let mut served = [Self::Json, Self::Merge, Self::Strategic, Self::Apply].into_iter();
        let accepted: Vec<Self> = served.by_ref().filter(is_served).collect();
        accepted.iter().copied().find(|kind| kind.media_type() == named).ok_or_else(|| {
            let accepted: Vec<&str> = accepted.iter().map(|kind| kind.media_type()).collect();
            Failure::unsupported_media_type(&accepted)
        })
    }
}

impl State {
    /// Patches the object that the call names, its status, or its scale.
    ///
    /// # Errors
    /// Those of an update; 400 or 422 for a patch that cannot be read or applied.
    pub fn patch(
        &mut self,
        call: &Call<'_>,
        kind: PatchKind,
        payload: Payload<'_>,
    ) -> Result<Written, Failure> {
        let request = call.request;
        request.check_patch_options()?;
        let old = self.get(request)?;
        // Held so that all that follows looks at one parsed tree.
        let _tree = old.value();
        let (patch, repeated) = match payload {
            Payload::Empty => return Err(Failure::bad_request("a patch must not be empty")),
            Payload::Json(value) => (value, Vec::new()),
            Payload::Text(text) => json::parse(text)
                .map_err(|why| Failure::bad_request(format!("error decoding patch: {why}")))?,
        };
        if request.subresource == Some(Subresource::Scale) {
            let scale = Stored::unstored(scale_of(&request.resource, &old)?);
            let patched = apply(&request.resource, &scale, kind, patch)?;
            return self.update_scale(call, Payload::Json(patched));
        }
        let patched = apply(&request.resource, &old, kind, patch)?;
        let mut warnings = Vec::new();
        let patched = self.check_fields(call, patched, repeated, &mut warnings)?;
        let patched = super::view::kept(&request.resource, patched);
        let renamed = super::shelf::meta(&patched, "name") != request.name;
        if renamed {
            return Err(Failure::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                super::shelf::meta(&patched, "name"),
                request.name
            )));
        }
        let unversioned = super::shelf::meta(&patched, "resourceVersion").is_empty();
        if unversioned && request.resource.update == UpdateRule::VersionRequired {
            let error = FieldError::version_missing();
            return Err(request.resource.subject().invalid(&request.name, &[error]));
        }
        self.replace(call, patched, &old, warnings)
    }
}

fn apply(
    resource: &std::sync::Arc<Resource>,
    old: &Object,
    kind: PatchKind,
    patch: Value,
) -> Result<Value, Failure> {
    let shown =
        Shown { resource: std::sync::Arc::clone(resource), object: std::sync::Arc::clone(old) };
    let mut object = Value::clone(&shown.json());
    match kind {
        PatchKind::Merge => {
            if !patch.is_object() {
                return Err(Failure::bad_request(
                    "error decoding patch: a merge patch must be an object",
                ));
            }
            merge::merge(&mut object, patch);
        }
        PatchKind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch)
                .map_err(|error| Failure::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut object, &operations).map_err(|_| {
                // Upstream does not say which operation failed.
                let why = "the server rejected our request due to an error in our request";
                Failure::new(422, "Invalid", why)
            })?;
        }
        PatchKind::Strategic => {
            if !patch.is_object() {
                return Err(Failure::bad_request(
                    "error decoding patch: a strategic merge patch must be an object",
                ));
            }
            strategic::merge(&mut object, patch)?;
        }
        PatchKind::Apply => {
            return Err(Failure::internal("an applied configuration is no change to apply"));
        }
    }
    if object.is_object() {
        Ok(object)
    } else {
        Err(Failure::bad_request("a patch must leave an object"))
    }
}
