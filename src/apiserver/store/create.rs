//! Creating objects: names, defaults, admission, checks, and the answers to questions (access reviews) that
//! are created but not kept.
//! May not look at a request's path or bytes (`request.rs`, `decode.rs`); what is valid is said in `validate`.
//! The order is upstream's: name, defaults, admission, checks, and only then the name that is taken.
//! A create that fails keeps nothing.

use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::apply;
use crate::apiserver::store::defaults;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::resource::Verbs;
use crate::apiserver::store::shelf::Stored;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Effect;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::apiserver::store::validate;

impl State {
    /// Creates the object in `payload`.
    ///
    /// # Errors
    /// 400 for a body that cannot be read, 403 and 404 from admission, 409 if the name is taken,
    /// 422 for an object that is not valid.
    pub fn create(&mut self, call: &Call<'_>, payload: Payload<'_>) -> Result<Written, Failure> {
        let request = call.request;
        let resource = &request.resource;
        let mut warnings = Vec::new();
        let mut object = self.read_object(call, payload, &mut warnings)?;
        match resource.verbs {
            Verbs::All => {}
            Verbs::CreateOnly => return self.answer(call, object, warnings),
        }
        if !meta(&object, "resourceVersion").is_empty() {
            return Err(Failure::new(
                500,
                "",
                "resourceVersion should not be set on objects to be created",
            ));
        }
        Self::settle_namespace(request, &mut object)?;
        self.check_namespace(request, &object)?;
        self.name(&mut object, request)?;
        let managers = apply::settled_managers(call, &object);
        self.stamp_new(resource, &mut object, call.now);
        reset_status(request, &mut object);
        match &resource.form {
            Form::BuiltIn(rules) => (rules.defaults)(&mut object),
            Form::Custom(custom) => custom.fill_defaults(&mut object),
        }
        // As upstream: what admission and the kind itself add from here on is owned by nobody. A job's generated
        // selector would else be its maker's to take away, which cannot be.
        apply::record_owners(call, &mut object, None);
        self.admit_new(call, &mut object)?;
        let name = meta(&object, "name").to_owned();
        let errors = validate::object(resource, &object, None);
        if !errors.is_empty() {
            return Err(resource.subject().invalid(&name, &errors));
        }
        if self.shelves.shelf(resource.shelf).get(&request.namespace, &name).is_some() {
            return Err(resource.subject().already_exists(&name));
        }
        self.before_keeping(call, &mut object, None)?;
        match managers {
            Value::Null => {}
            settled @ (Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => object["metadata"]["managedFields"] = settled,
        }
        let object = self.keep(call, object, None);
        self.after_keeping(call, &object);
        Ok(Written { object, effect: Effect::Created, warnings })
    }

    /// Refuses objects in a namespace that does not exist or is going.
    fn check_namespace(&self, request: &Request, object: &Value) -> Result<(), Failure> {
        match request.resource.scope {
            Scope::Cluster => return Ok(()),
            Scope::Namespaced => {}
        }
        let namespaces = self.builtin("", "v1", "namespaces");
        let namespace = self.find(&namespaces, "", &request.namespace)?;
        if namespace.is_terminating() {
            let name = &request.namespace;
            let why = format!(
                "unable to create new content in namespace {name} because it is being terminated"
            );
            let mut failure = request.resource.subject().forbidden(meta(object, "name"), &why);
            failure.details.causes.push(crate::apiserver::store::failure::Cause {
                reason: "NamespaceTerminating",
                message: format!("namespace {name} is being terminated"),
                field: "metadata.namespace".to_owned(),
            });
            return Err(failure);
        }
        Ok(())
    }

    /// Settles the object's name: the given one, the path's, or a generated one.
    fn name(&mut self, object: &mut Value, request: &Request) -> Result<(), Failure> {
        let given = meta(object, "name").to_owned();
        if !given.is_empty() {
            return Ok(());
        }
        let prefix = meta(object, "generateName").to_owned();
        if prefix.is_empty() {
            let error = FieldError::required("metadata.name", "name or generateName is required");
            return Err(request.resource.subject().invalid("", &[error]));
        }
        // Upstream cuts the prefix so that the suffix fits into 63 characters.
        let kept: String = prefix.chars().take(58).collect();
        let shelf = request.resource.shelf;
        for _ in 0..8 {
            let name = format!("{kept}{}", self.new_suffix());
            if self.shelves.shelf(shelf).get(&request.namespace, &name).is_none() {
                object["metadata"]["name"] = name.into();
                return Ok(());
            }
        }
        Err(Failure::internal(&format!("no free name found that begins with {kept}")))
    }

    /// Answers an object that is a question.
    fn answer(
        &self,
        call: &Call<'_>,
        mut object: Value,
        warnings: Vec<String>,
    ) -> Result<Written, Failure> {
        match &*call.request.resource.plural {
            "selfsubjectaccessreviews" => {
                object["status"] =
                    json!({"allowed": true, "reason": "this API lets everybody do everything"});
            }
            "selfsubjectrulesreviews" => {
                object["status"] = json!({
                    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
                    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
                    "incomplete": false,
                });
            }
            _ => return Err(Failure::method_not_allowed()),
        }
        Ok(Written { object: Stored::unstored(object), effect: Effect::Created, warnings })
    }
}

/// What is reported about an object is not taken from who creates it, except for nodes, which come
/// with their capacity.
fn reset_status(request: &Request, object: &mut Value) {
    let resource = &request.resource;
    if !resource.has(Subresource::Status) || resource.is("", "nodes") {
        return;
    }
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
    }
}

/// Puts an object's fields into the order in which people read them.
pub(super) fn tidy(request: &Request, object: Value) -> Value {
    defaults::in_reading_order(object, &request.resource.kept_api_version(), &request.resource.kind)
}
