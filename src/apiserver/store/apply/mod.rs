//! Server-side apply, and who owns which field. An applier says what it wants; what it wanted before and
//! no longer wants goes, what others own is a conflict unless it forces. All other writes take ownership
//! of what they change, where that is recorded.
//! Recorded are writes that name a `fieldManager` (kubectl always does), and all writes to objects that
//! have managers already, under the name `unknown` if they give none. What nobody named ever wrote has no
//! managers and costs nothing; a first apply then finds it owned by `before-first-apply`, as upstream does
//! for objects from before it tracked fields.
//! Invariant: `managedFields` lists no field that the object does not have.

mod fields;
mod merge;
mod owners;
mod shape;

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::apply::fields::FieldSet;
use crate::apiserver::store::apply::owners::Identity;
use crate::apiserver::store::apply::owners::Operation;
use crate::apiserver::store::apply::owners::Owner;
use crate::apiserver::store::apply::owners::Owners;
use crate::apiserver::store::apply::owners::asks_to_forget;
use crate::apiserver::store::apply::shape::Shape;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::json;
use crate::apiserver::store::request::Force;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Ownership;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::apiserver::store::state::whole_seconds;
use crate::apiserver::store::view;

/// The manager of fields that were there before anybody's fields were recorded.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// The manager of writes that name none.
const UNNAMED: &str = "unknown";

/// Where client-side apply keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fields of `metadata` that nobody owns: the server writes them, or they name the object.
const UNOWNED: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

impl State {
    /// Applies the configuration in `payload` to the object that the call names, or creates it.
    ///
    /// # Errors
    /// 400 for a body that cannot be read or is another kind's, 409 with a cause for each field that
    /// another manager owns, 422 for options that are not valid; those of a create or an update.
    pub fn apply(&mut self, call: &Call<'_>, payload: Payload<'_>) -> Result<Written, Failure> {
        let request = call.request;
        let resource = Arc::clone(&request.resource);
        let force = request.force()?;
        let Given { config, namespace } = read_config(request, payload)?;
        let shape = Shape::of(&resource);
        let mut wrong = Vec::new();
        merge::complaints(&config, shape, "", &mut wrong);
        if !wrong.is_empty() {
            return Err(untyped(request, &namespace, &wrong));
        }
        let who = identity(request, Operation::Apply, request.parameters.get("fieldManager"));
        let call = Call { ownership: Ownership::Settled, ..*call };
        let now = whole_seconds(call.now);
        let found = self.shelves.shelf(resource.shelf).get(&request.namespace, &request.name);
        let Some(live) = found.cloned() else {
            if request.subresource.is_some() {
                return Err(resource.subject().not_found(&request.name));
            }
            let mut managers = Owners::default();
            managers.set(who, owned_fields(&config, request, shape), &now);
            let mut object = config;
            write_managers(&mut object, &managers);
            return self.create(&call, Payload::Json(view::written(&resource, object)));
        };
        let applier = Applier { who, force, now };
        let before = live.value();
        let object = applier.over(&before, &config, request)?;
        let mut warnings = Vec::new();
        let shown = view::written(&resource, object);
        let checked = self.check_fields(&call, shown, Vec::new(), &mut warnings)?;
        let mut object = view::kept(&resource, checked);
        applier.touch_if_changed(&mut object, &before);
        self.replace(&call, object, &live, warnings)
    }
}

/// Who applies, and how.
struct Applier {
    who: Identity,
    force: Force,
    /// The time that its fields get.
    now: String,
}

impl Applier {
    /// The applied configuration over the live object, with the managers that follow.
    fn over(&self, live: &Value, config: &Value, request: &Request) -> Result<Value, Failure> {
        let shape = Shape::of(&request.resource);
        let who = &self.who;
        let mut object = merge::merged(live, config, shape);
        let written = merge::difference(Some(live), Some(&object), shape).written;
        let mut managers = managers_of(live, &request.resource, shape);
        let mut conflicts = managers.conflicts(who, &written);
        if who.name == "kubectl" {
            conflicts = conflicts.without(&applied_last(live, shape));
        }
        match self.force {
            Force::No if !conflicts.0.is_empty() => return Err(conflicts.failure()),
            Force::No | Force::Yes => {}
        }
        managers.take_from_others(who, &written);
        let before = managers.find(who).map(|manager| manager.fields.clone()).unwrap_or_default();
        managers.set(who.clone(), owned_fields(config, request, shape), &self.now);
        merge::prune(&mut object, &before, &managers.all_fields(), shape);
        if who.name == "kubectl" && last_applied(live).is_some() {
            object["metadata"]["annotations"][LAST_APPLIED] = format!("{config}\n").into();
        }
        write_managers(&mut object, &managers);
        Ok(object)
    }

    /// Moves the applier's time if it changed anything.
    fn touch_if_changed(&self, object: &mut Value, live: &Value) {
        let managers = Owners::read(object.pointer("/metadata/managedFields"));
        if let Some(mut managers) = managers.filter(|_| *object != *live) {
            managers.touch(&self.who, &self.now);
            write_managers(object, &managers);
        }
    }
}

/// The managers of a live object; of one without any, everything belongs to one from before.
fn managers_of(live: &Value, resource: &Resource, shape: Shape<'_>) -> Owners {
    let recorded = Owners::read(live.pointer("/metadata/managedFields"));
    if let Some(managers) = recorded.filter(|managers| !managers.0.is_empty()) {
        return managers;
    }
    let who = Identity {
        name: BEFORE_FIRST_APPLY.to_owned(),
        operation: Operation::Update,
        api_version: resource.kept_api_version(),
        subresource: String::new(),
    };
    let mut fields = merge::difference(None, Some(live), shape).written;
    strip(&mut fields);
    let time = meta(live, "creationTimestamp").to_owned();
    Owners(vec![Owner { who, time, fields }])
}

/// What client-side apply applied last; its fields are kubectl's own and never a conflict for it.
fn applied_last(live: &Value, shape: Shape<'_>) -> FieldSet {
    let applied = last_applied(live).and_then(|text| serde_json::from_str(text).ok());
    applied.map_or_else(FieldSet::default, |applied: Value| merge::fields_of(&applied, shape))
}

fn last_applied(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()
}

fn identity(request: &Request, operation: Operation, name: &str) -> Identity {
    Identity {
        name: name.to_owned(),
        operation,
        api_version: request.resource.api_version(),
        subresource: request.subresource.map_or("", Subresource::name).to_owned(),
    }
}

/// The fields of a configuration that its applier owns through the request's path.
fn owned_fields(config: &Value, request: &Request, shape: Shape<'_>) -> FieldSet {
    let mut fields = merge::fields_of(config, shape);
    strip(&mut fields);
    cut_what_is_elsewhere(&mut fields, request);
    fields
}

fn strip(fields: &mut FieldSet) {
    fields.own = false;
    for name in UNOWNED {
        fields.cut(&["metadata", name]);
    }
    for name in ["apiVersion", "kind"] {
        fields.cut(&[name]);
    }
}

/// Takes out what the request's path does not write: the status of kinds that keep it apart, or all else.
fn cut_what_is_elsewhere(fields: &mut FieldSet, request: &Request) {
    match request.subresource {
        Some(Subresource::Status) => {
            let status = fields::FieldStep::field("status");
            fields.parts.retain(|step, _| *step == status);
        }
        Some(
            Subresource::Scale
            | Subresource::Binding
            | Subresource::Eviction
            | Subresource::Finalize,
        )
        | None => {
            if request.resource.has(Subresource::Status) {
                fields.cut(&["status"]);
            }
        }
    }
}

/// An applied configuration.
struct Given {
    /// In the kept form.
    config: Value,
    /// The namespace as it was written, perhaps not at all.
    namespace: String,
}

/// Reads an applied configuration: JSON or YAML of the request's kind, in the kept form, without what
/// the path does not write.
fn read_config(request: &Request, payload: Payload<'_>) -> Result<Given, Failure> {
    let config = match payload {
        Payload::Empty => Value::Null,
        Payload::Json(value) => value,
        Payload::Text(text) => json::parse_yaml(text)
            .map_err(|why| Failure::bad_request(format!("error decoding YAML: {why}")))?,
    };
    if !config.is_object() {
        return Err(Failure::bad_request(
            "error decoding YAML: an applied configuration must be an object",
        ));
    }
    let text = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != request.resource.api_version()
        || text("kind") != &*request.resource.kind
    {
        let why = format!("invalid object type: {}", type_of(text("apiVersion"), text("kind")));
        return Err(Failure::bad_request(why));
    }
    let managed = config.pointer("/metadata/managedFields");
    if managed.is_some_and(|managed| !managed.is_null()) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let namespace = meta(&config, "namespace").to_owned();
    let named = meta(&config, "name");
    if !named.is_empty() && named != request.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            request.name
        )));
    }
    let mut config = view::kept(&request.resource, config);
    State::settle_namespace_of(request, &mut config)?;
    config["metadata"]["name"] = request.name.as_str().into();
    let is_status = request.subresource == Some(Subresource::Status);
    if let Some(fields) = config.as_object_mut() {
        if is_status {
            fields.retain(|name, _| {
                matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status")
            });
        } else if request.resource.has(Subresource::Status) {
            fields.shift_remove("status");
        }
    }
    if is_status && let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| UNOWNED.contains(&name.as_str()));
    }
    Ok(Given { config, namespace })
}

/// A type as upstream prints it: `apps/v1, Kind=Deployment`, and `/v1, Kind=Pod` of the core group.
fn type_of(api_version: &str, kind: &str) -> String {
    let slash = if api_version.contains('/') { "" } else { "/" };
    format!("{slash}{api_version}, Kind={kind}")
}

/// 500, as upstream answers a configuration that does not fit its kind's schema.
fn untyped(request: &Request, namespace: &str, wrong: &[String]) -> Failure {
    let why = match wrong {
        [only] => only.clone(),
        all => format!("errors:\n  {}", all.join("\n  ")),
    };
    let resource = &request.resource;
    let message = format!(
        "failed to create typed patch object ({namespace}/{}; {}): {why}",
        request.name,
        type_of(&resource.api_version(), &resource.kind)
    );
    Failure::new(500, "", message)
}

fn write_managers(object: &mut Value, managers: &Owners) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match managers.to_json() {
        Some(entries) => metadata.insert("managedFields".to_owned(), entries),
        None => metadata.shift_remove("managedFields"),
    };
}

/// Takes the managers that an apply has settled over to the object that is kept.
pub(super) fn carry_managers(call: &Call<'_>, from: &Value, to: &mut Value) {
    match call.ownership {
        Ownership::Derived => {}
        Ownership::Settled => {
            let managers = Owners::read(from.pointer("/metadata/managedFields"));
            write_managers(to, &managers.unwrap_or_default());
        }
    }
}

/// The managers with which an update begins, as `managedFields` of `new`: those that it brings, unless it
/// brings none that can be read or writes a subresource; then those of the old object.
pub(super) fn begin_with_managers(call: &Call<'_>, new: &mut Value, old: &Value) {
    match call.ownership {
        Ownership::Settled => return,
        Ownership::Derived => {}
    }
    let given = new.pointer("/metadata/managedFields");
    let forgets = asks_to_forget(given);
    let usable = call.request.subresource.is_none()
        && Owners::read(given).is_some_and(|managers| !managers.0.is_empty());
    let kept = match (usable, forgets) {
        (true, _) => given.cloned(),
        (false, true) => None,
        (false, false) => old.pointer("/metadata/managedFields").cloned(),
    };
    let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match kept {
        Some(kept) => metadata.insert("managedFields".to_owned(), kept),
        None => metadata.shift_remove("managedFields"),
    };
}

/// Gives the writer what it changed between `old` and `new`, where that is recorded.
pub(super) fn record_owners(call: &Call<'_>, new: &mut Value, old: Option<&Value>) {
    match call.ownership {
        Ownership::Settled => return,
        Ownership::Derived => {}
    }
    let request = call.request;
    let named = request.parameters.get("fieldManager");
    let recorded = Owners::read(new.pointer("/metadata/managedFields")).unwrap_or_default();
    if named.is_empty() && recorded.0.is_empty() {
        return;
    }
    let mut managers = recorded;
    let shape = Shape::of(&request.resource);
    let mut changed = merge::difference(old, Some(new), shape);
    strip(&mut changed.written);
    strip(&mut changed.removed);
    if has_only_implied_metadata(call, new) {
        changed.written.cut(&["spec", "template", "metadata"]);
    }
    let who = identity(request, Operation::Update, if named.is_empty() { UNNAMED } else { named });
    let mut fields = managers.find(&who).map(|manager| manager.fields.clone()).unwrap_or_default();
    fields.add(&changed.written);
    fields.subtract(&changed.removed);
    managers.take_from_others(&who, &changed.written);
    managers.take_from_others(&who, &changed.removed);
    let now = whole_seconds(call.now);
    let has_written = !changed.written.is_empty() || !changed.removed.is_empty();
    managers.set(who.clone(), fields, &now);
    if has_written {
        managers.touch(&who, &now);
    }
    write_managers(new, &managers);
}

/// Whether the metadata of a template of pods are there and empty: upstream's type cannot do without them, so nobody
/// wrote them, and whoever owned them could not leave them out in an apply.
fn has_only_implied_metadata(call: &Call<'_>, object: &Value) -> bool {
    let metadata = object.pointer("/spec/template/metadata").and_then(Value::as_object);
    matches!(call.request.resource.form, Form::BuiltIn(_)) && metadata.is_some_and(Map::is_empty)
}

/// The managers that an apply has settled, taken out of an object that is about to be created.
pub(super) fn settled_managers(call: &Call<'_>, object: &Value) -> Value {
    match call.ownership {
        Ownership::Settled => {
            object.pointer("/metadata/managedFields").cloned().unwrap_or(Value::Null)
        }
        Ownership::Derived => json!(null),
    }
}
