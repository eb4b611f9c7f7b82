//! `pods/eviction`: asks for a pod to be deleted politely. Preconditions and grace come from the Eviction's
//! `deleteOptions`, as in kube-apiserver's `registry/core/pod/storage`. Budgets (PodDisruptionBudget) are
//! kept and served, but nobody computes how many disruptions they allow here, so none is enforced: what
//! a real server answers with 429 goes through.

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::json;
use crate::apiserver::store::removal::DeleteOptions;
use crate::apiserver::store::request::Parameters;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;

impl State {
    /// Evicts the pod that the call names as the Eviction in `payload` says.
    ///
    /// # Errors
    /// 400 for a body that is no Eviction of this pod, 404 if there is no such pod, 409 when a
    /// precondition does not hold.
    pub fn evict(&mut self, call: &Call<'_>, payload: Payload<'_>) -> Result<(), Failure> {
        let eviction = match payload {
            Payload::Empty => Value::Null,
            Payload::Json(value) => value,
            Payload::Text(text) => json::parse(text).map_err(Failure::bad_request)?.0,
        };
        let text = |key: &str| eviction.get(key).and_then(Value::as_str).unwrap_or_default();
        if !eviction.is_object() || !matches!(text("kind"), "" | "Eviction") {
            return Err(Failure::bad_request("not an Eviction object"));
        }
        if !matches!(text("apiVersion"), "" | "policy/v1") {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version (policy/v1)",
                text("apiVersion")
            )));
        }
        let named = meta(&eviction, "name");
        if !named.is_empty() && named != call.request.name {
            return Err(Failure::bad_request("name in URL does not match name in Eviction object"));
        }
        let request = Request {
            subresource: None,
            parameters: Parameters::default(),
            ..call.request.clone()
        };
        let options = eviction.get("deleteOptions").cloned().unwrap_or_default();
        let options = DeleteOptions::read(&request, Payload::Json(options))?;
        self.delete(&Call { request: &request, ..*call }, &options).map(|_| ())
    }
}
