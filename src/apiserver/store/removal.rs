//! Deleting objects: preconditions, graceful deletion, finalizers, propagation to dependents.
//! An object goes when its grace period is 0 and no finalizer is left; until then it terminates.
//! Nothing here waits: a kubelet ends a pod's grace by deleting it again with 0.

use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::failure::Subject;
use crate::apiserver::store::json;
use crate::apiserver::store::listing;
use crate::apiserver::store::listing::Listing;
use crate::apiserver::store::request::Persistence;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::Stored;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Effect;
use crate::apiserver::store::state::FIRST_NAMESPACES;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::apiserver::store::state::whole_seconds;
use crate::apiserver::store::update::deletion_is_complete;
use crate::base::time::Span;
use crate::base::time::Time;

/// What becomes of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are collected after it is gone.
    Background,
    /// It goes after them.
    Foreground,
    /// They stay, without the reference to it.
    Orphan,
}

/// The options of a deletion.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds until it is taken away by force; the object's own wish if absent.
    pub grace_period_seconds: Option<i64>,
    /// The uid that it must have; empty for any.
    pub uid: String,
    /// The version that it must have; empty for any.
    pub version: String,
    /// What becomes of dependents; if not said, what the object's finalizers or its kind say.
    pub propagation: Option<Propagation>,
    /// True if the body asks for a dry run.
    pub dry_run: bool,
}

/// The finalizer of an object that goes after its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// The finalizer of an object whose dependents are to forget it first.
pub(super) const ORPHAN: &str = "orphan";

/// What the deletion of a Job warns of that does not say what becomes of its pods.
const PODS_STAY: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";

impl DeleteOptions {
    /// Reads the options of a request: the body's, else the query's.
    ///
    /// # Errors
    /// 400 for a body that cannot be read, 422 for an option that is none.
    pub fn read(request: &Request, payload: Payload<'_>) -> Result<Self, Failure> {
        let body = match payload {
            Payload::Empty => Value::Null,
            Payload::Text([]) => Value::Null,
            Payload::Text(text) => json::parse(text).map_err(Failure::bad_request)?.0,
            Payload::Json(value) => value,
        };
        let text = |pointer: &str| {
            body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let query = |key: &str| request.parameters.get(key);
        let grace = match body.get("gracePeriodSeconds") {
            Some(given) => given.as_i64(),
            None => query("gracePeriodSeconds").parse().ok(),
        };
        let policy = match text("/propagationPolicy") {
            policy if policy.is_empty() => query("propagationPolicy").to_owned(),
            policy => policy,
        };
        let orphan = match query("orphanDependents") {
            "" => body.get("orphanDependents").and_then(Value::as_bool),
            _ => Some(request.parameters.flag("orphanDependents")),
        };
        let propagation = match policy.as_str() {
            "" => orphan.map(
                |orphan| {
                    if orphan { Propagation::Orphan } else { Propagation::Background }
                },
            ),
            "Background" => Some(Propagation::Background),
            "Foreground" => Some(Propagation::Foreground),
            "Orphan" => Some(Propagation::Orphan),
            other => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                let error = FieldError::not_supported("propagationPolicy", other, &known);
                let subject = Subject { group: "meta.k8s.io", resource: "", kind: "DeleteOptions" };
                return Err(subject.invalid("", &[error]));
            }
        };
        let dry_run =
            body.get("dryRun").and_then(Value::as_array).is_some_and(|values| !values.is_empty());
        Ok(Self {
            grace_period_seconds: grace,
            uid: text("/preconditions/uid"),
            version: text("/preconditions/resourceVersion"),
            propagation,
            dry_run,
        })
    }
}

impl State {
    /// Deletes the object that the call names, or begins to.
    ///
    /// # Errors
    /// 403 for what must not be deleted, 404 if there is no such object, 409 when a precondition
    /// does not hold.
    pub fn delete(&mut self, call: &Call<'_>, options: &DeleteOptions) -> Result<Written, Failure> {
        let object = self.get(call.request)?;
        let persistence = if options.dry_run { Persistence::DryRun } else { call.persistence };
        self.delete_object(&Call { persistence, ..*call }, &object, options)
    }

    /// Deletes every object that the call selects.
    ///
    /// # Errors
    /// Those of the single deletions and of the list; what was deleted before stays deleted.
    pub fn delete_collection(
        &mut self,
        call: &Call<'_>,
        options: &DeleteOptions,
    ) -> Result<Listing, Failure> {
        let found =
            listing::list(&self.shelves, &call.request.resource, &call.request.list_query()?)?;
        let persistence = if options.dry_run { Persistence::DryRun } else { call.persistence };
        let call = Call { persistence, ..*call };
        let mut objects = Vec::new();
        for object in &found.objects {
            objects.push(self.delete_object(&call, object, options)?.object);
        }
        Ok(Listing { objects, version: self.shelves.version(), ..found })
    }

    fn delete_object(
        &mut self,
        call: &Call<'_>,
        object: &Object,
        options: &DeleteOptions,
    ) -> Result<Written, Failure> {
        let resource = &call.request.resource;
        check_preconditions(resource, object, options)?;
        if resource.is("", "namespaces") && FIRST_NAMESPACES.contains(&object.own_name()) {
            return Err(resource
                .subject()
                .forbidden(object.own_name(), "this namespace may not be deleted"));
        }
        let grace = grace_seconds(resource, object, options);
        let before = object.value();
        let mut value = Value::clone(&before);
        let warnings = settle_propagation(resource, &mut value, options);
        begin_deletion(&mut value, call.now, grace);
        if resource.is("", "namespaces") {
            value["status"]["phase"] = "Terminating".into();
            self.leaving_namespaces.insert(object.own_name().into());
        } else if deletion_is_complete(&value) {
            let value = match call.persistence {
                // Upstream deletes a pod in two writes; watches see both.
                Persistence::Kept if resource.is("", "pods") => {
                    Value::clone(&self.keep(call, value, Some(object)).value())
                }
                Persistence::Kept | Persistence::DryRun => value,
            };
            return Ok(self.finish_deletion(call, value, warnings));
        }
        if value == *before {
            let object = Arc::clone(object);
            return Ok(Written { object, effect: Effect::Terminating, warnings });
        }
        let stored = self.keep(call, value, Some(object));
        if call.persistence == Persistence::Kept {
            self.note_waiting(resource.shelf, &stored);
        }
        Ok(Written { object: stored, effect: Effect::Terminating, warnings })
    }

    /// Takes an object away for good; `value` is its last state.
    pub(super) fn finish_deletion(
        &mut self,
        call: &Call<'_>,
        value: Value,
        warnings: Vec<String>,
    ) -> Written {
        let last = Stored::unstored(value);
        let object = match call.persistence {
            Persistence::DryRun => last,
            Persistence::Kept => {
                let removed = self.remove(&call.request.resource, &last);
                removed
                    .map_or_else(|| Arc::clone(&last), |removed| with_version_of(&last, &removed))
            }
        };
        Written { object, effect: Effect::Removed, warnings }
    }

    /// Removes an object and notes that its dependents have lost it.
    pub(super) fn remove(&mut self, resource: &Resource, object: &Object) -> Option<Object> {
        let removed = self.shelves.remove(resource.shelf, &object.name())?;
        self.gone_owners.push(removed.uid().into());
        self.waiting_deletions.remove(&(resource.shelf, removed.name()));
        self.recheck_waiting = true;
        self.after_removal(resource, &removed);
        Some(removed)
    }
}

/// Gives an object the finalizer by which the collector does to its dependents what was asked for, as
/// `deletionFinalizersForGarbageCollection` does; gives what to warn of.
fn settle_propagation(
    resource: &Resource,
    value: &mut Value,
    options: &DeleteOptions,
) -> Vec<String> {
    // Kinds whose dependents stay unless the request says otherwise, for compatibility upstream.
    let keeps_dependents =
        resource.is("batch", "jobs") || resource.is("", "replicationcontrollers");
    let finalizers = value.pointer("/metadata/finalizers").and_then(Value::as_array);
    let has = |name: &str| finalizers.into_iter().flatten().any(|finalizer| finalizer == name);
    let said = options.propagation.or_else(|| has(ORPHAN).then_some(Propagation::Orphan));
    let said = said.or_else(|| has(FOREGROUND).then_some(Propagation::Foreground));
    let wanted = match said {
        Some(Propagation::Orphan) => Some(ORPHAN),
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Background) => None,
        None => keeps_dependents.then_some(ORPHAN),
    };
    let warns = said.is_none() && resource.is("batch", "jobs");
    let ours = |finalizer: &Value| finalizer == ORPHAN || finalizer == FOREGROUND;
    let mut left: Vec<Value> = finalizers.into_iter().flatten().cloned().collect();
    let changes = match wanted {
        Some(wanted) => !has(wanted),
        None => left.iter().any(ours),
    };
    if changes {
        left.retain(|finalizer| !ours(finalizer));
        left.extend(wanted.map(Value::from));
        value["metadata"]["finalizers"] = Value::Array(left);
    }
    if warns { vec![PODS_STAY.to_owned()] } else { Vec::new() }
}

/// The last state of an object, which nobody kept, as of the version of its removal.
fn with_version_of(last: &Object, removed: &Object) -> Object {
    let mut value = Value::clone(&last.value());
    value["metadata"]["resourceVersion"] = removed.version.to_string().into();
    Stored::unstored(value)
}

fn check_preconditions(
    resource: &Resource,
    object: &Object,
    options: &DeleteOptions,
) -> Result<(), Failure> {
    // Upstream names the kind here, not the resource.
    let subject = Subject { resource: &resource.kind, ..resource.subject() };
    let name = object.own_name();
    let (uid, version) = (object.uid(), object.version.to_string());
    if !options.uid.is_empty() && options.uid != uid {
        let why = format!(
            "the UID in the precondition ({}) does not match the UID in record ({uid}). The object might have been deleted and then recreated",
            options.uid
        );
        return Err(subject.conflict(name, &why));
    }
    if !options.version.is_empty() && options.version != version {
        let why = format!(
            "the ResourceVersion in the precondition ({}) does not match the ResourceVersion in record ({version}). The object might have been modified",
            options.version
        );
        return Err(subject.conflict(name, &why));
    }
    Ok(())
}

/// The grace period of a deletion: pods get what was asked for or what they wish, unless nobody runs
/// them (any more); everything else goes at once.
fn grace_seconds(resource: &Resource, object: &Object, options: &DeleteOptions) -> i64 {
    if !resource.is("", "pods") {
        return 0;
    }
    let value = object.value();
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Succeeded" | "Failed")
    {
        return 0;
    }
    let wished =
        value.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
    match options.grace_period_seconds.unwrap_or(wished) {
        // A negative period is a mistake that upstream reads as "very soon".
        ..0 => 1,
        grace => grace,
    }
}

/// Marks an object as terminating, or shortens the grace of one that is; never lengthens it.
fn begin_deletion(value: &mut Value, now: Time, grace: i64) {
    let current = value.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    let terminating = !super::shelf::meta(value, "deletionTimestamp").is_empty();
    if terminating && current.unwrap_or(0) <= grace {
        return;
    }
    let asked_at = if terminating {
        deletion_asked_at(value, current.unwrap_or(0)).unwrap_or(now)
    } else {
        now
    };
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.insert(
        "deletionTimestamp".to_owned(),
        whole_seconds(asked_at + Span::seconds(grace)).into(),
    );
    metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    if !terminating && let Some(generation) = metadata.get("generation").and_then(Value::as_i64) {
        metadata.insert("generation".to_owned(), (generation + 1).into());
    }
}

fn deletion_asked_at(value: &Value, grace: i64) -> Option<Time> {
    let end = Time::from_rfc3339(super::shelf::meta(value, "deletionTimestamp"))?;
    Some(end + Span::seconds(-grace))
}
