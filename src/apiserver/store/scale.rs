//! `/scale`: an `autoscaling/v1` Scale as a window on an object's replica counts.
//! Where the counts are is fixed for built-in kinds and declared by custom ones.
//! A Scale is never kept: writing one is an update of the object, of its replica count alone, under the
//! Scale's uid and resourceVersion where it bears them.
//! May not know who scales or how pods follow.

use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::failure::Subject;
use crate::apiserver::store::json;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::base::labels::LabelSelector;

/// Where a kind keeps its replica counts, as JSON pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The wished count.
    pub wished: String,
    /// The observed count.
    pub observed: String,
    /// The selector, as a text or a LabelSelector; empty if there is none.
    pub selector: String,
}

impl Resource {
    /// Where its replica counts are, if it has `/scale`.
    pub fn scale_paths(&self) -> Option<ScalePaths> {
        match self.custom() {
            Some(custom) => custom.scale_paths(),
            None => self.has(super::resource::Subresource::Scale).then(|| ScalePaths {
                wished: "/spec/replicas".to_owned(),
                observed: "/status/replicas".to_owned(),
                selector: "/spec/selector".to_owned(),
            }),
        }
    }
}

/// The Scale of `object`.
///
/// # Errors
/// 404 when its kind has none.
pub fn scale_of(resource: &Resource, object: &Object) -> Result<Value, Failure> {
    let paths = resource.scale_paths().ok_or_else(Failure::no_such_path)?;
    let value = object.value();
    let count = |pointer: &str| value.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": object.own_name(),
            "namespace": object.namespace(),
            "uid": object.uid(),
            "resourceVersion": object.version.to_string(),
            "creationTimestamp": meta(&value, "creationTimestamp"),
        },
        "spec": {"replicas": count(&paths.wished)},
        "status": {"replicas": count(&paths.observed)},
    });
    let selector = match value.pointer(&paths.selector) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(object @ Value::Object(_)) => {
            LabelSelector::from_json(object).ok().map(|selector| selector.to_string())
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => None,
    };
    if let Some(selector) = selector {
        scale["status"]["selector"] = selector.into();
    }
    Ok(scale)
}

impl State {
    /// Sets the replica count of the object that the call names from the Scale in `payload`.
    ///
    /// # Errors
    /// 404 if there is no such object, 409 if it has changed, 422 for a negative count.
    pub fn update_scale(
        &mut self,
        call: &Call<'_>,
        payload: Payload<'_>,
    ) -> Result<Written, Failure> {
        let scale = match payload {
            Payload::Empty => Value::Null,
            Payload::Json(value) => value,
            Payload::Text(text) => json::parse(text).map_err(Failure::bad_request)?.0,
        };
        let request = call.request;
        let object = self.get(request)?;
        let paths = request.resource.scale_paths().ok_or_else(Failure::no_such_path)?;
        let Some(replicas) = scale.pointer("/spec/replicas").map_or(Some(0), Value::as_i64) else {
            return Err(Failure::bad_request("spec.replicas of a Scale must be a whole number"));
        };
        if replicas < 0 {
            let error = FieldError::invalid(
                "spec.replicas",
                replicas,
                "must be greater than or equal to 0",
            );
            let subject = Subject { group: "autoscaling", resource: "", kind: "Scale" };
            return Err(subject.invalid(&request.name, &[error]));
        }
        let mut value = Value::clone(&object.value());
        set(&mut value, &paths.wished, replicas.into());
        for field in ["resourceVersion", "uid"] {
            let asked = meta(&scale, field);
            if !asked.is_empty() {
                value["metadata"][field] = asked.into();
            }
        }
        self.replace(call, value, &object, Vec::new())
    }
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut part = object;
    for key in pointer.split('/').skip(1) {
        if !part.is_object() {
            *part = json!({});
        }
        part = &mut part[key];
    }
    *part = value;
}
