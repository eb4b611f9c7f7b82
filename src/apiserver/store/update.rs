//! Changing objects: updates of the whole and of their status, with optimistic concurrency.
//! Main writes leave the status alone and status writes the rest, for kinds that keep them apart;
//! generation moves with what is wished for; a write that changes nothing moves nothing.

use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::store::apply;
use crate::apiserver::store::create::tidy;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::request::Verb;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Generation;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::resource::UpdateRule;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Effect;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::apiserver::store::validate;

/// Fields of `metadata` that only the server writes.
const SERVERS_OWN: [&str; 7] = [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "namespace",
    "generateName",
];

impl State {
    /// Replaces the object that the call names, or its status, by the one in `payload`.
    ///
    /// # Errors
    /// 400 for a body that cannot be read, 404 if there is no such object, 409 if it has changed
    /// since the client read it, 422 if the new object is not valid or changes what must not change.
    pub fn update(&mut self, call: &Call<'_>, payload: Payload<'_>) -> Result<Written, Failure> {
        let mut warnings = Vec::new();
        let object = self.read_object(call, payload, &mut warnings)?;
        let request = call.request;
        let given = meta(&object, "name");
        if given != request.name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({})",
                request.name
            )));
        }
        let old = self
            .shelves
            .shelf(request.resource.shelf)
            .get(&request.namespace, &request.name)
            .cloned();
        let Some(old) = old else {
            return match request.resource.update {
                UpdateRule::CreatesMissing if request.subresource.is_none() => {
                    self.create(call, Payload::Json(object))
                }
                UpdateRule::CreatesMissing
                | UpdateRule::Unconditional
                | UpdateRule::VersionRequired => {
                    Err(request.resource.subject().not_found(&request.name))
                }
            };
        };
        let versioned = !meta(&object, "resourceVersion").is_empty();
        if !versioned && request.resource.update == UpdateRule::VersionRequired {
            let error = FieldError::version_missing();
            return Err(request.resource.subject().invalid(&request.name, &[error]));
        }
        self.replace(call, object, &old, warnings)
    }

    /// Judges `new` as the successor of `old` and keeps it.
    pub(super) fn replace(
        &mut self,
        call: &Call<'_>,
        mut new: Value,
        old: &Object,
        warnings: Vec<String>,
    ) -> Result<Written, Failure> {
        // Held so that all that follows looks at one parsed tree.
        let _tree = old.value();
        let request = call.request;
        let resource = &request.resource;
        Self::settle_namespace(request, &mut new)?;
        check_preconditions(resource, request.verb, &new, old)?;
        let mut new = match request.subresource {
            Some(Subresource::Status) => {
                let mut merged = with_status_of(resource, &new, old);
                apply::carry_managers(call, &new, &mut merged);
                merged
            }
            Some(
                Subresource::Scale
                | Subresource::Binding
                | Subresource::Eviction
                | Subresource::Finalize,
            )
            | None => {
                keep_status_apart(resource, &mut new, old);
                new
            }
        };
        apply::begin_with_managers(call, &mut new, &old.value());
        restore_servers_own(&mut new, old);
        match &resource.form {
            Form::BuiltIn(rules) => (rules.defaults)(&mut new),
            Form::Custom(custom) => custom.fill_defaults(&mut new),
        }
        self.admit_change(call, &mut new, old)?;
        let mut new = tidy(request, new);
        let old_value = old.value();
        if new == *old_value {
            return Ok(Written { object: Arc::clone(old), effect: Effect::Updated, warnings });
        }
        let errors = validate::object(resource, &new, Some(&old_value));
        if !errors.is_empty() {
            return Err(resource.subject().invalid(&request.name, &errors));
        }
        count_generation(resource, &mut new, &old_value);
        apply::record_owners(call, &mut new, Some(&old_value));
        self.before_keeping(call, &mut new, Some(old))?;
        if deletion_is_complete(&new) {
            return Ok(self.finish_deletion(call, new, warnings));
        }
        let object = self.keep(call, new, Some(old));
        self.after_keeping(call, &object);
        Ok(Written { object, effect: Effect::Updated, warnings })
    }
}

/// As upstream's storage words it when an object is not the one that a write is for.
pub(super) fn precondition_failed(
    resource: &Resource,
    object: &Object,
    field: &str,
    asked: &str,
    found: &str,
) -> String {
    let mut key = format!("/registry/{}", resource.plural);
    for part in [object.namespace(), object.own_name()] {
        if !part.is_empty() {
            key.push('/');
            key.push_str(part);
        }
    }
    format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: {field} in precondition: {asked}, {field} in object meta: {found}"
    )
}

fn check_preconditions(
    resource: &Resource,
    verb: Verb,
    new: &Value,
    old: &Object,
) -> Result<(), Failure> {
    let name = old.own_name();
    let (uid, version) = (meta(new, "uid"), meta(new, "resourceVersion"));
    if !uid.is_empty() && uid != old.uid() {
        // A patched object is judged as a new state of the old one; a replacement names which one it is for.
        return Err(match verb {
            Verb::Patch => {
                let error = FieldError::invalid("metadata.uid", uid, "field is immutable");
                resource.subject().invalid(name, &[error])
            }
            Verb::Get
            | Verb::List
            | Verb::Watch
            | Verb::Create
            | Verb::Update
            | Verb::Delete
            | Verb::DeleteCollection => {
                let why = precondition_failed(resource, old, "UID", uid, old.uid());
                resource.subject().conflict(name, &why)
            }
        });
    }
    if !version.is_empty() && version != "0" && version != old.version.to_string() {
        return Err(resource.subject().stale(name));
    }
    Ok(())
}

/// A main write of a kind with a status subresource keeps the status that is there.
fn keep_status_apart(resource: &Resource, new: &mut Value, old: &Object) {
    if !resource.has(Subresource::Status) {
        return;
    }
    let Some(fields) = new.as_object_mut() else { return };
    match old.value().get("status") {
        Some(status) => {
            fields.insert("status".to_owned(), status.clone());
        }
        None => {
            fields.shift_remove("status");
        }
    }
}

/// The old object with the new one's status. Pods and nodes may also get new labels, annotations, and
/// finalizers this way, as upstream allows their kubelets.
fn with_status_of(resource: &Resource, new: &Value, old: &Object) -> Value {
    let mut merged = Value::clone(&old.value());
    let Some(fields) = merged.as_object_mut() else { return merged };
    match new.get("status") {
        Some(status) => {
            fields.insert("status".to_owned(), status.clone());
        }
        None => {
            fields.shift_remove("status");
        }
    }
    if resource.is("", "pods") || resource.is("", "nodes") {
        let mut metadata = new.get("metadata").cloned().unwrap_or_default();
        let owners = fields.get("metadata").and_then(|before| before.get("ownerReferences"));
        if let (Some(owners), Some(metadata)) = (owners, metadata.as_object_mut()) {
            metadata.insert("ownerReferences".to_owned(), owners.clone());
        }
        fields.insert("metadata".to_owned(), metadata);
    }
    merged
}

fn restore_servers_own(new: &mut Value, old: &Object) {
    let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let old = old.value();
    let before = old.get("metadata");
    for field in SERVERS_OWN.into_iter().chain(["resourceVersion"]) {
        match before.and_then(|before| before.get(field)) {
            Some(value) => {
                metadata.insert(field.to_owned(), value.clone());
            }
            None => {
                metadata.shift_remove(field);
            }
        }
    }
    metadata.shift_remove("selfLink");
}

/// Moves `metadata.generation` if anything but metadata and status changed.
fn count_generation(resource: &Resource, new: &mut Value, old: &Value) {
    match resource.generation {
        Generation::Absent => return,
        Generation::Counted => {}
    }
    if wish(new).eq(wish(old)) {
        return;
    }
    let generation = old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    new["metadata"]["generation"] = (generation + 1).into();
}

/// What is wished for: all fields but metadata and status, in the order of their names.
fn wish(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let mut fields: Vec<(&String, &Value)> = object.as_object().into_iter().flatten().collect();
    fields.retain(|(key, _)| *key != "metadata" && *key != "status");
    fields.sort_by_key(|(key, _)| *key);
    fields.into_iter()
}

/// True if nothing holds an object any more whose deletion was asked for.
pub(super) fn deletion_is_complete(object: &Value) -> bool {
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    !meta(object, "deletionTimestamp").is_empty()
        && finalizers.is_none_or(Vec::is_empty)
        && grace.unwrap_or(0) == 0
}
