//! The state of one API: catalog, shelves, and what a write needs besides. Writes come in through
//! [`State::create`], [`State::update`], and their neighbours in other files; each judges first and
//! stores last, so a refused write changes nothing.
//! Knows no clock (every call brings its time) and no HTTP.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::store::decode::Place;
use crate::apiserver::store::defaults;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::json;
use crate::apiserver::store::kinds;
use crate::apiserver::store::request::FieldValidation;
use crate::apiserver::store::request::Persistence;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::resource::Catalog;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::shelf::HistoryLimit;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::Shelves;
use crate::apiserver::store::shelf::Stored;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::validate::amounts::write_canonically;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::random::Random;
use crate::base::time::Span;
use crate::base::time::Time;

/// How exactly `metadata.creationTimestamp` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimePrecision {
    /// Whole seconds, as a real API server writes it.
    #[default]
    Seconds,
    /// To the nanosecond: virtual worlds tell objects of one instant apart by it.
    Nanoseconds,
}

/// What becomes of an object whose owners do not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DanglingOwners {
    /// It is collected, as a real cluster's garbage collector does.
    #[default]
    Collected,
    /// It stays: owners may live outside this world. Objects whose owner is deleted here still go.
    Kept,
}

/// Whether the PodGroup form that tutorials show is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TutorialPodGroups {
    /// `scheduling.k8s.io/v1alpha1` PodGroups are unknown, as to a real API server.
    #[default]
    Refused,
    /// They are another name of `scheduling.x-k8s.io/v1alpha1` PodGroups, once that CRD exists.
    Accepted,
}

/// Settings of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How far back watches of each kind can go.
    pub history: HistoryLimit,
    /// Seeds uids and generated names.
    pub seed: u64,
    /// How creation times are written.
    pub creation_times: TimePrecision,
    /// What becomes of objects without owners.
    pub dangling_owners: DanglingOwners,
    /// Whether the tutorials' PodGroup is served.
    pub tutorial_pod_groups: TutorialPodGroups,
    /// How long events are kept.
    pub event_lifetime: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            history: HistoryLimit { changes: 16_384, bytes: 128 << 20 },
            seed: 0,
            creation_times: TimePrecision::Seconds,
            dangling_owners: DanglingOwners::Collected,
            tutorial_pod_groups: TutorialPodGroups::Refused,
            event_lifetime: Span::seconds(3600),
        }
    }
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub enum Payload<'a> {
    /// None.
    #[default]
    Empty,
    /// Text, not yet parsed.
    Text(&'a [u8]),
    /// A value from within the process.
    Json(Value),
}

/// A request with the options that writes look at again and again.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// When it arrives.
    pub now: Time,
    /// What is asked.
    pub request: &'a Request,
    /// Whether it is kept.
    pub persistence: Persistence,
    /// What to do about unknown fields.
    pub validation: FieldValidation,
    /// Who says who owns what it writes.
    pub ownership: Ownership,
}

/// Where `managedFields` of a written object come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// From what the write changes.
    #[default]
    Derived,
    /// The object carries them: server-side apply has settled them.
    Settled,
}

/// The outcome of a write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is now, or as it was when it was removed.
    pub object: Object,
    /// What happened.
    pub effect: Effect,
    /// Warnings for the client, without the `299` and quotes of the header.
    pub warnings: Vec<String>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The object is new.
    Created,
    /// It was changed, or found as wished.
    Updated,
    /// Its deletion has begun.
    Terminating,
    /// It is gone.
    Removed,
}

/// The whole state of an API.
#[derive(Clone, Debug)]
pub struct State {
    /// What is served.
    pub catalog: Catalog,
    /// What is kept.
    pub shelves: Shelves,
    /// How it behaves.
    pub settings: Settings,
    pub(super) random: Random,
    /// Uids of owners that are gone, whose dependents have not been looked at yet.
    pub(super) gone_owners: Vec<Name>,
    /// Objects with owners that were written and may have none that exists.
    pub(super) maybe_dangling: Vec<(crate::apiserver::store::resource::ShelfId, ObjectName)>,
    /// Where the objects of each custom definition are kept, also after it is gone.
    pub(super) custom_shelves: BTreeMap<Name, crate::apiserver::store::resource::ShelfId>,
    /// Namespaces under deletion.
    pub(super) leaving_namespaces: BTreeSet<Name>,
    /// Objects under deletion that wait for others: foreground deletion, protected pod groups.
    pub(super) waiting_deletions:
        BTreeSet<(crate::apiserver::store::resource::ShelfId, ObjectName)>,
    /// True if something happened that can end such a wait.
    pub(super) recheck_waiting: bool,
}

/// Namespaces that exist from the start.
pub const FIRST_NAMESPACES: [&str; 4] =
    ["default", "kube-node-lease", "kube-public", "kube-system"];

impl State {
    /// Draws other uids and names from now on.
    pub fn reseed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// An API with the built-in kinds and the namespaces and priority classes that every cluster has.
    pub fn new(settings: Settings, now: Time) -> Self {
        let mut state = Self {
            catalog: Catalog::default(),
            shelves: Shelves::new(settings.history),
            settings,
            random: Random::new(settings.seed),
            gone_owners: Vec::new(),
            maybe_dangling: Vec::new(),
            custom_shelves: BTreeMap::new(),
            leaving_namespaces: BTreeSet::new(),
            waiting_deletions: BTreeSet::new(),
            recheck_waiting: false,
        };
        kinds::register(&mut state.catalog, &mut state.shelves);
        for name in FIRST_NAMESPACES {
            state.begin_with(
                "/api/v1/namespaces",
                now,
                serde_json::json!({"metadata": {"name": name}}),
            );
        }
        for (name, value) in super::admission::SYSTEM_CLASSES {
            let class = serde_json::json!({"metadata": {"name": name}, "value": value});
            state.begin_with("/apis/scheduling.k8s.io/v1/priorityclasses", now, class);
        }
        state
    }

    /// Creates an object of the first moment, past the checks that reserve its name.
    fn begin_with(&mut self, path: &str, now: Time, object: Value) {
        let request =
            Request::route(&self.catalog, "POST", path, "").expect("built-in paths are served");
        let Form::BuiltIn(rules) = &request.resource.form else { return };
        let mut object = defaults::in_reading_order(
            object,
            &request.resource.api_version(),
            &request.resource.kind,
        );
        (rules.defaults)(&mut object);
        self.stamp_new(&request.resource, &mut object, now);
        self.shelves.put(request.resource.shelf, object);
    }

    /// The object that a request names.
    ///
    /// # Errors
    /// 404 when it does not exist.
    pub fn get(&self, request: &Request) -> Result<Object, Failure> {
        self.find(&request.resource, &request.namespace, &request.name)
    }

    /// The object `namespace/name` of `resource`.
    ///
    /// # Errors
    /// 404 when it does not exist.
    pub fn find(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Object, Failure> {
        let found = self.shelves.shelf(resource.shelf).get(namespace, name);
        found.cloned().ok_or_else(|| resource.subject().not_found(name))
    }

    /// A resource that is known to be served, such as `pods`.
    pub(super) fn builtin(&self, group: &str, version: &str, plural: &str) -> Arc<Resource> {
        Arc::clone(
            self.catalog.find(group, version, plural).expect("built-in kinds are never withdrawn"),
        )
    }

    /// Reads a body as an object of the call's resource, in its kept form, with unknown fields dealt
    /// with as the call asks.
    pub(super) fn read_object(
        &self,
        call: &Call<'_>,
        payload: Payload<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Value, Failure> {
        let resource = &call.request.resource;
        let (value, repeated) = match payload {
            Payload::Empty => {
                return Err(Failure::bad_request(format!("no {} object given", resource.kind)));
            }
            Payload::Json(value) => (value, Vec::new()),
            Payload::Text(text) => {
                json::parse(text).map_err(|reason| unreadable(resource, &reason))?
            }
        };
        if !value.is_object() {
            return Err(unreadable(resource, "the body is not an object"));
        }
        check_kind(resource, &value)?;
        let value = self.check_fields(call, value, repeated, warnings)?;
        let value = super::view::kept(resource, value);
        Ok(defaults::in_reading_order(value, &resource.kept_api_version(), &resource.kind))
    }

    /// Finds fields of the wrong type, unknown fields, and repeated fields.
    pub(super) fn check_fields(
        &self,
        call: &Call<'_>,
        mut value: Value,
        repeated: Vec<Place>,
        warnings: &mut Vec<String>,
    ) -> Result<Value, Failure> {
        let resource = &call.request.resource;
        let handled = |why: &str| {
            let version = &resource.version;
            let kind = &resource.kind;
            Failure::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"
            ))
        };
        let mut complaints: Vec<String> =
            repeated.iter().map(|place| format!("duplicate field \"{place}\"")).collect();
        match &resource.form {
            Form::BuiltIn(rules) => {
                // The schemas in definitions are the user's, whatever their fields are called.
                if !resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
                    write_canonically(&mut value);
                }
                let unknown = rules.decode.read(&value).map_err(|why| handled(&why))?;
                for place in unknown {
                    complaints.push(format!("unknown field \"{place}\""));
                    place.cut_from(&mut value);
                }
                defaults::drop_nulls(&mut value);
            }
            Form::Custom(custom) => {
                let unknown = custom.prune(&mut value).map_err(|why| handled(&why))?;
                complaints.extend(unknown.iter().map(|place| format!("unknown field \"{place}\"")));
            }
        }
        match call.validation {
            _ if complaints.is_empty() => {}
            FieldValidation::Ignore => {}
            FieldValidation::Warn => warnings.extend(complaints),
            FieldValidation::Strict => {
                return Err(handled(&format!("strict decoding error: {}", complaints.join(", "))));
            }
        }
        Ok(value)
    }

    /// Writes what only the server decides about a new object.
    pub(super) fn stamp_new(&mut self, resource: &Resource, object: &mut Value, now: Time) {
        let uid = self.new_uid();
        let created = self.timestamp(now);
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
            return;
        };
        for field in [
            "selfLink",
            "managedFields",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
        ] {
            metadata.shift_remove(field);
        }
        metadata.insert("uid".to_owned(), uid.into());
        metadata.insert("creationTimestamp".to_owned(), created.into());
        match resource.generation {
            super::resource::Generation::Counted => {
                metadata.insert("generation".to_owned(), 1.into());
            }
            super::resource::Generation::Absent => {}
        }
    }

    /// An instant as `creationTimestamp` shows it.
    pub(super) fn timestamp(&self, time: Time) -> String {
        match self.settings.creation_times {
            TimePrecision::Seconds => whole_seconds(time),
            TimePrecision::Nanoseconds => time.to_rfc3339(),
        }
    }

    fn new_uid(&mut self) -> String {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 48) & 0x3fff,
            low & 0xffff_ffff_ffff
        )
    }

    /// A suffix for `generateName`, of the letters that upstream uses.
    pub(super) fn new_suffix(&mut self) -> String {
        const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        (0..5).map(|_| char::from(*self.random.pick(LETTERS))).collect()
    }

    /// Stores a judged object, unless the call is a dry run or nothing changed.
    pub(super) fn keep(&mut self, call: &Call<'_>, object: Value, old: Option<&Object>) -> Object {
        if let Some(old) = old
            && *old.value() == object
        {
            return Arc::clone(old);
        }
        match call.persistence {
            Persistence::DryRun => Stored::unstored(object),
            Persistence::Kept => {
                let shelf = call.request.resource.shelf;
                let stored = self.shelves.put(shelf, object);
                self.note_owners(shelf, &stored);
                stored
            }
        }
    }

    fn note_owners(&mut self, shelf: super::resource::ShelfId, stored: &Object) {
        match self.settings.dangling_owners {
            DanglingOwners::Kept => {}
            DanglingOwners::Collected => {
                if !stored.owners().is_empty() {
                    self.maybe_dangling.push((shelf, stored.name()));
                }
            }
        }
    }

    /// The namespace in which an object of `resource` is kept.
    ///
    /// # Errors
    /// 400 when the object names another namespace than the path.
    pub(super) fn settle_namespace_of(
        request: &Request,
        object: &mut Value,
    ) -> Result<(), Failure> {
        if let Some(fields) = object.as_object_mut() {
            fields.entry("metadata").or_insert_with(|| serde_json::json!({}));
        }
        Self::settle_namespace(request, object)
    }

    /// The same for an object that has `metadata`.
    pub(super) fn settle_namespace(request: &Request, object: &mut Value) -> Result<(), Failure> {
        let given = meta(object, "namespace").to_owned();
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
            return Err(Failure::bad_request("metadata must be an object"));
        };
        match request.resource.scope {
            Scope::Cluster => {
                metadata.shift_remove("namespace");
            }
            Scope::Namespaced if given.is_empty() || given == request.namespace => {
                metadata.insert("namespace".to_owned(), request.namespace.as_str().into());
            }
            Scope::Namespaced => {
                return Err(Failure::bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request",
                ));
            }
        }
        Ok(())
    }
}

/// An instant without its fraction, as Kubernetes writes `metav1.Time`.
pub(super) fn whole_seconds(time: Time) -> String {
    Time(time.0.div_euclid(1_000_000_000).saturating_mul(1_000_000_000)).to_rfc3339()
}

fn unreadable(resource: &Resource, reason: &str) -> Failure {
    Failure::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {reason}",
        resource.kind
    ))
}

pub(super) fn check_kind(resource: &Resource, value: &Value) -> Result<(), Failure> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let expected = resource.api_version();
    if !api_version.is_empty() && api_version != expected {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({expected})"
        )));
    }
    if !kind.is_empty() && kind != &*resource.kind {
        let (version, wanted) = (&resource.version, &resource.kind);
        return Err(Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {wanted}: no kind \"{kind}\" is served at this path"
        )));
    }
    Ok(())
}
