//! The arithmetic of server-side apply: the fields that a value sets, what changed between two values,
//! one value over another, and fields that nobody wants any more taken out. Follows
//! `sigs.k8s.io/structured-merge-diff`. Knows no owner by name.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;

use crate::apiserver::store::apply::fields::FieldSet;
use crate::apiserver::store::apply::fields::FieldStep;
use crate::apiserver::store::apply::shape::Entries;
use crate::apiserver::store::apply::shape::Shape;

/// What is wrong with a value by its shape, as `.spec.replica: field not declared in schema`.
pub(super) fn complaints(value: &Value, shape: Shape<'_>, here: &str, found: &mut Vec<String>) {
    if shape.is_whole(value) {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = format!("{here}.{name}");
                match shape.field(name) {
                    Some(shape) => complaints(field, shape, &path, found),
                    None => found.push(format!("{path}: field not declared in schema")),
                }
            }
        }
        Value::Array(entries) => {
            let mut seen = BTreeSet::new();
            for (index, entry) in entries.iter().enumerate() {
                let step = match shape.step_to(entry) {
                    Ok(step) => step,
                    Err(key) => {
                        found.push(format!(
                            "{here}: element {index}: associative list with keys has an element that omits key field \"{key}\" (and doesn't have default value)"
                        ));
                        continue;
                    }
                };
                let path = shown_below(here, &step);
                if !seen.insert(step) {
                    let what = if shape.entries() == Entries::Values { "" } else { "key " };
                    let shown = path.strip_prefix(here).unwrap_or_default();
                    found.push(format!("{here}: duplicate entries for {what}{shown}"));
                }
                complaints(entry, shape.entry(), &path, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn shown_below(here: &str, step: &FieldStep) -> String {
    let mut one = FieldSet::default();
    one.put(step.clone(), FieldSet::leaf());
    format!("{here}{}", one.paths().concat())
}

/// The fields that `value` sets.
pub(super) fn fields_of(value: &Value, shape: Shape<'_>) -> FieldSet {
    if shape.is_whole(value) {
        return FieldSet::leaf();
    }
    let mut set = FieldSet::default();
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let below = shape.field(name).unwrap_or(Shape::Undescribed);
                let mut part = fields_of(field, below);
                part.own |= !shape.declares(name) || field.as_object().is_some_and(Map::is_empty);
                set.put(FieldStep::field(name), part);
            }
        }
        Value::Array(entries) => {
            for entry in entries {
                let Ok(step) = shape.step_to(entry) else { continue };
                let mut part = fields_of(entry, shape.entry());
                part.own = true;
                set.put(step, part);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    set
}

/// What changed between two values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Fields that are new or have another value.
    pub(super) written: FieldSet,
    /// Fields that are gone.
    pub(super) removed: FieldSet,
}

impl Difference {
    fn put(&mut self, step: &FieldStep, part: Self) {
        self.written.put(step.clone(), part.written);
        self.removed.put(step.clone(), part.removed);
    }
}

/// What changed from `old` to `new`; an absent value is `None`.
pub(super) fn difference(old: Option<&Value>, new: Option<&Value>, shape: Shape<'_>) -> Difference {
    let mut found = Difference::default();
    let (present, change) = match (old, new) {
        (None, None) => return found,
        (Some(old), Some(new)) if old == new => return found,
        (Some(old), None) => (old, FieldSet::leaf()),
        (_, Some(new)) => (new, FieldSet::leaf()),
    };
    let comparable = old.is_none_or(|old| same_kind(old, present));
    if shape.is_whole(present) || !comparable {
        match new {
            Some(_) => found.written = change,
            None => found.removed = change,
        }
        return found;
    }
    let (before, after) = (parts_of(old, shape), parts_of(new, shape));
    for step in before.keys().chain(after.keys().filter(|step| !before.contains_key(*step))) {
        let below = match step.name() {
            Some(name) => shape.field(name).unwrap_or(Shape::Undescribed),
            None => shape.entry(),
        };
        let (was, is) = (before.get(step).copied(), after.get(step).copied());
        let mut part = difference(was, is, below);
        if step.name().is_none() {
            part.written.own |= was.is_none();
            part.removed.own |= is.is_none();
        }
        found.put(step, part);
    }
    // A map or an entry that came or went is a field itself; a part of a type with fixed names is not.
    if shape.is_map() || present.as_object().is_some_and(Map::is_empty) {
        found.written.own |= old.is_none();
        found.removed.own |= new.is_none();
    }
    found
}

fn same_kind(left: &Value, right: &Value) -> bool {
    (left.is_object() && right.is_object()) || (left.is_array() && right.is_array())
}

/// The parts of a value that has parts.
fn parts_of<'v>(value: Option<&'v Value>, shape: Shape<'_>) -> BTreeMap<FieldStep, &'v Value> {
    match value {
        Some(Value::Object(fields)) => {
            fields.iter().map(|(name, field)| (FieldStep::field(name), field)).collect()
        }
        Some(Value::Array(entries)) => {
            let step = |entry: &'v Value| Some((shape.step_to(entry).ok()?, entry));
            entries.iter().filter_map(step).collect()
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
            BTreeMap::new()
        }
    }
}

/// `applied` over `live`.
pub(super) fn merged(live: &Value, applied: &Value, shape: Shape<'_>) -> Value {
    if shape.is_whole(applied) || !same_kind(live, applied) {
        return applied.clone();
    }
    match (live, applied) {
        (Value::Object(live), Value::Object(applied)) => {
            let mut fields = live.clone();
            for (name, field) in applied {
                let below = shape.field(name).unwrap_or(Shape::Undescribed);
                let value = match live.get(name) {
                    Some(live) => merged(live, field, below),
                    None => field.clone(),
                };
                fields.insert(name.clone(), value);
            }
            Value::Object(fields)
        }
        (Value::Array(live), Value::Array(applied)) => merged_list(live, applied, shape),
        (_, applied) => applied.clone(),
    }
}

/// Entries in the order of `applied`; those that only `live` has keep their place among their neighbours.
fn merged_list(live: &[Value], applied: &[Value], shape: Shape<'_>) -> Value {
    let step = |entry: &Value| shape.step_to(entry).ok();
    let wanted: Vec<Option<FieldStep>> = applied.iter().map(step).collect();
    let mut entries = Vec::new();
    let mut next = 0;
    for old in live {
        let here = step(old);
        let Some(place) = wanted.iter().position(|wanted| *wanted == here) else {
            entries.push(old.clone());
            continue;
        };
        while next <= place {
            entries.push(entry_over(live, &applied[next], shape));
            next += 1;
        }
    }
    entries.extend(applied[next..].iter().map(|entry| entry_over(live, entry, shape)));
    Value::Array(entries)
}

fn entry_over(live: &[Value], applied: &Value, shape: Shape<'_>) -> Value {
    let step = shape.step_to(applied);
    match live.iter().find(|old| step.is_ok() && shape.step_to(old) == step) {
        Some(old) => merged(old, applied, shape.entry()),
        None => applied.clone(),
    }
}

/// Takes out of `value` what is in `before` and not in `owned`: fields that were applied and are no more,
/// and that nobody else has. Entries of lists keep their keys for as long as they stay.
pub(super) fn prune(value: &mut Value, before: &FieldSet, owned: &FieldSet, shape: Shape<'_>) {
    if shape.is_whole(value) {
        return;
    }
    let empty = FieldSet::default();
    match value {
        Value::Object(fields) => {
            for (step, was) in &before.parts {
                let Some(name) = step.name() else { continue };
                let is = owned.parts.get(step).unwrap_or(&empty);
                let whole = is.is_empty() && (was.own || was.parts.is_empty());
                let hollow = match (fields.get_mut(name), shape.field(name)) {
                    (Some(field), Some(below)) if !whole => {
                        prune(field, was, is, below);
                        // What belongs to nobody, such as a name or a default, stays.
                        is.is_empty() && is_hollow(field)
                    }
                    (Some(_) | None, _) => whole,
                };
                if hollow {
                    fields.shift_remove(name);
                }
            }
        }
        Value::Array(entries) => {
            let keys = match shape.entries() {
                Entries::Keys(keys) => keys,
                Entries::None | Entries::Values => Vec::new(),
            };
            entries.retain_mut(|entry| {
                let Ok(step) = shape.step_to(entry) else { return true };
                let Some(was) = before.parts.get(&step) else { return true };
                let Some(is) = owned.parts.get(&step) else { return false };
                let mut was = was.clone();
                for key in &keys {
                    was.cut(&[key]);
                }
                prune(entry, &was, is, shape.entry());
                true
            });
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
