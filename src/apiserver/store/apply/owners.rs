//! `metadata.managedFields`: who wrote which fields last, and by which operation. Reads, writes, and names
//! managers as `apimachinery/pkg/util/managedfields` does. Knows no schema, and decides nothing about an object.
//! An applier is one manager whatever version it uses; who updates is another in each version.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::apply::fields::FieldSet;
use crate::apiserver::store::failure::Cause;
use crate::apiserver::store::failure::Details;
use crate::apiserver::store::failure::Failure;

/// How fields were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// By server-side apply.
    Apply,
    /// By anything else.
    Update,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who a manager is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) operation: Operation,
    /// The version through which it wrote.
    pub(super) api_version: String,
    /// The subresource through which it wrote; empty for the object itself.
    pub(super) subresource: String,
}

impl Identity {
    /// True for the same manager: an applier is the same whatever version it uses.
    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.name, self.operation, &self.subresource)
            == (&other.name, other.operation, &other.subresource)
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// As messages name it.
    fn shown(&self) -> String {
        let mut shown = Value::from(self.name.as_str()).to_string();
        if !self.subresource.is_empty() {
            shown.push_str(&format!(" with subresource \"{}\"", self.subresource));
        }
        match self.operation {
            Operation::Apply => shown,
            Operation::Update => format!("{shown} using {}", self.api_version),
        }
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) who: Identity,
    /// When its fields changed last, as written.
    pub(super) time: String,
    pub(super) fields: FieldSet,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Owners(pub(super) Vec<Owner>);

impl Owners {
    /// Reads `managedFields`; `None` if it is none, which is then as good as absent.
    pub(super) fn read(written: Option<&Value>) -> Option<Self> {
        let entries = written?.as_array()?;
        entries.iter().map(read_entry).collect::<Option<Vec<_>>>().map(Self)
    }

    /// `managedFields`: appliers first, then by time and name. `None` if nobody manages anything.
    pub(super) fn to_json(&self) -> Option<Value> {
        let mut managers: Vec<&Owner> =
            self.0.iter().filter(|manager| !manager.fields.is_empty()).collect();
        managers.sort_by_key(|manager| {
            let who = &manager.who;
            (who.operation, &manager.time, &who.name, &who.api_version, &who.subresource)
        });
        let entries: Vec<Value> = managers.into_iter().map(entry).collect();
        (!entries.is_empty()).then_some(Value::Array(entries))
    }

    /// The manager `who`.
    pub(super) fn find(&self, who: &Identity) -> Option<&Owner> {
        self.0.iter().find(|manager| manager.who.is(who))
    }

    /// Everything that somebody manages.
    pub(super) fn all_fields(&self) -> FieldSet {
        let mut all = FieldSet::default();
        for manager in &self.0 {
            all.add(&manager.fields);
        }
        all
    }

    /// Takes fields away from everybody but `who`.
    pub(super) fn take_from_others(&mut self, who: &Identity, taken: &FieldSet) {
        for manager in self.0.iter_mut().filter(|manager| !manager.who.is(who)) {
            manager.fields.subtract(taken);
        }
    }

    /// Says what `who` manages from now on; the time moves with it.
    pub(super) fn set(&mut self, who: Identity, fields: FieldSet, now: &str) {
        match self.0.iter_mut().find(|manager| manager.who.is(&who)) {
            Some(manager) => {
                if manager.fields != fields || manager.who != who {
                    now.clone_into(&mut manager.time);
                }
                manager.who = who;
                manager.fields = fields;
            }
            None => self.0.push(Owner { who, time: now.to_owned(), fields }),
        }
    }

    /// Moves the time of `who`.
    pub(super) fn touch(&mut self, who: &Identity, now: &str) {
        if let Some(manager) = self.0.iter_mut().find(|manager| manager.who.is(who)) {
            now.clone_into(&mut manager.time);
        }
    }

    /// The fields among `written` that others manage, by manager.
    pub(super) fn conflicts(&self, who: &Identity, written: &FieldSet) -> Conflicts {
        let others = self.0.iter().filter(|manager| !manager.who.is(who));
        let shared = others.map(|manager| (manager.who.clone(), manager.fields.shared(written)));
        Conflicts(shared.filter(|(_, fields)| !fields.is_empty()).collect())
    }
}

fn read_entry(entry: &Value) -> Option<Owner> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    let who = Identity {
        name: text("manager"),
        operation,
        api_version: text("apiVersion"),
        subresource: text("subresource"),
    };
    let fields = entry.get("fieldsV1").map_or(Some(FieldSet::default()), FieldSet::from_json)?;
    Some(Owner { who, time: text("time"), fields })
}

fn entry(manager: &Owner) -> Value {
    let who = &manager.who;
    let mut entry = Map::new();
    entry.insert("manager".to_owned(), who.name.as_str().into());
    entry.insert("operation".to_owned(), who.operation.name().into());
    entry.insert("apiVersion".to_owned(), who.api_version.as_str().into());
    entry.insert("time".to_owned(), manager.time.as_str().into());
    entry.insert("fieldsType".to_owned(), "FieldsV1".into());
    entry.insert("fieldsV1".to_owned(), manager.fields.to_json());
    if !who.subresource.is_empty() {
        entry.insert("subresource".to_owned(), who.subresource.as_str().into());
    }
    Value::Object(entry)
}

/// Fields that an applier wants to change and others manage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conflicts(pub(super) Vec<(Identity, FieldSet)>);

impl Conflicts {
    /// What is left when `allowed` fields are no conflict.
    pub(super) fn without(self, allowed: &FieldSet) -> Self {
        let mut left = self.0;
        for (_, fields) in &mut left {
            fields.subtract(allowed);
        }
        left.retain(|(_, fields)| !fields.is_empty());
        Self(left)
    }

    /// 409 with a cause for each field.
    pub(super) fn failure(&self) -> Failure {
        let mut causes = Vec::new();
        let mut sections = Vec::new();
        let mut named: Vec<(String, Vec<String>)> =
            self.0.iter().map(|(who, fields)| (who.shown(), fields.paths())).collect();
        named.sort();
        for (who, paths) in &named {
            sections.push(format!("conflicts with {who}:"));
            for path in paths {
                sections.push(format!("- {path}"));
                causes.push(Cause {
                    reason: "FieldManagerConflict",
                    message: format!("conflict with {who}"),
                    field: path.clone(),
                });
            }
        }
        let message = match (causes.as_slice(), named.as_slice()) {
            ([only], [(who, _)]) => {
                format!("Apply failed with 1 conflict: conflict with {who}: {}", only.field)
            }
            (all, _) => {
                format!("Apply failed with {} conflicts: {}", all.len(), sections.join("\n"))
            }
        };
        Failure::new(409, "Conflict", message).about(Details { causes, ..Details::default() })
    }
}

/// True for the one value that asks to forget all managers: a list of one entry that says nothing.
pub(super) fn asks_to_forget(written: Option<&Value>) -> bool {
    written.and_then(Value::as_array).is_some_and(|entries| {
        let says_nothing = |entry: &Value| *entry == json!({}) || entry.is_null();
        entries.len() == 1 && entries.iter().all(says_nothing)
    })
}
