//! Strategic merge patch: a partial object whose lists are merged by the keys of the built-in types,
//! with the directives `$patch`, `$retainKeys`, `$setElementOrder`, and `$deleteFromPrimitiveList`.
//! Follows `k8s.io/apimachinery/pkg/util/strategicpatch`.

use serde_json::Map;
use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::patch::merge_keys::ListStrategy;
use crate::apiserver::store::patch::merge_keys::list_strategy;

const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Applies `patch` to `target`, the root of a built-in object.
///
/// # Errors
/// 400 for a directive in a wrong form, 500 for a list entry without its merge key.
pub(super) fn merge(target: &mut Value, patch: Value) -> Result<(), Failure> {
    merge_at(target, patch, &mut Vec::new())
}

fn malformed(why: &str) -> Failure {
    Failure::bad_request(why)
}

fn merge_at(target: &mut Value, patch: Value, path: &mut Vec<String>) -> Result<(), Failure> {
    match patch {
        Value::Object(patch) => merge_object(target, patch, path),
        Value::Array(patch) => {
            let order = None;
            merge_list(target, patch, order, path)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *target = patch;
            Ok(())
        }
    }
}

fn merge_object(
    target: &mut Value,
    mut patch: Map<String, Value>,
    path: &mut Vec<String>,
) -> Result<(), Failure> {
    match patch
        .shift_remove("$patch")
        .as_ref()
        .map(|directive| directive.as_str().unwrap_or_default())
    {
        None | Some("merge") => {}
        Some("replace") => {
            *target = Value::Object(patch);
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some(other) => return Err(malformed(&format!("Unknown patch type found: {other}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return Ok(()) };
    if let Some(kept) = patch.shift_remove("$retainKeys") {
        retain_keys(fields, &kept, &patch)?;
    }
    let (directives, plain): (Vec<_>, Vec<_>) =
        patch.into_iter().partition(|(key, _)| key.starts_with('$'));
    let mut orders = delete_and_order(fields, directives)?;
    for (key, value) in plain {
        if value.is_null() {
            fields.shift_remove(&key);
            continue;
        }
        path.push(key.clone());
        let order =
            orders.iter().position(|(name, _)| *name == key).map(|at| orders.swap_remove(at).1);
        let field = fields.entry(key).or_insert(Value::Null);
        match value {
            Value::Array(value) => merge_list(field, value, order, path)?,
            value @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)) => {
                merge_at(field, value, path)?;
            }
        }
        path.pop();
    }
    // An order may come alone: entries are only moved.
    for (key, order) in orders {
        path.push(key.clone());
        if let Some(list @ Value::Array(_)) = fields.get_mut(&key) {
            merge_list(list, Vec::new(), Some(order), path)?;
        }
        path.pop();
    }
    Ok(())
}

/// Carries out the directives that delete from lists of primitives; returns those that order lists, by field.
fn delete_and_order(
    fields: &mut Map<String, Value>,
    directives: Vec<(String, Value)>,
) -> Result<Vec<(String, Vec<Value>)>, Failure> {
    let mut orders: Vec<(String, Vec<Value>)> = Vec::new();
    for (key, value) in directives {
        let Value::Array(values) = value else {
            return Err(malformed(
                "invalid patch format of primitive list or element order: a list is needed",
            ));
        };
        if let Some(name) = key.strip_prefix(ORDER) {
            orders.push((name.to_owned(), values));
        } else if let Some(name) = key.strip_prefix(DELETE_FROM)
            && let Some(list) = fields.get_mut(name).and_then(Value::as_array_mut)
        {
            list.retain(|item| !values.contains(item));
        }
    }
    Ok(orders)
}

fn retain_keys(
    fields: &mut Map<String, Value>,
    kept: &Value,
    patch: &Map<String, Value>,
) -> Result<(), Failure> {
    let Some(kept) = kept.as_array() else {
        return Err(malformed("invalid patch format of retainKeys: a list is needed"));
    };
    let is_kept = |key: &String| kept.iter().any(|name| name.as_str() == Some(key));
    if patch.keys().any(|key| !key.starts_with('$') && !is_kept(key)) {
        return Err(malformed(
            "patch's retainKeys directive does not contain all keys of the patch",
        ));
    }
    fields.retain(|key, _| is_kept(key));
    Ok(())
}

fn merge_list(
    target: &mut Value,
    patch: Vec<Value>,
    order: Option<Vec<Value>>,
    path: &mut Vec<String>,
) -> Result<(), Failure> {
    let old = match target.take() {
        Value::Array(old) => old,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Vec::new()
        }
    };
    let patched = if order.is_none() { patch.clone() } else { Vec::new() };
    let (merged, key) = match list_strategy(path) {
        ListStrategy::Replace => {
            *target = if patch.is_empty() && order.is_some() {
                Value::Array(old)
            } else {
                Value::Array(patch)
            };
            return Ok(());
        }
        ListStrategy::Union => (union(old.clone(), patch), None),
        ListStrategy::MergeBy(key) => (merge_by_key(old.clone(), patch, key, path)?, Some(key)),
    };
    // Without an order of its own, the patch's entries stand in the order in which it has them.
    *target = Value::Array(in_order(merged, &order.unwrap_or(patched), &old, key));
    Ok(())
}

fn union(mut old: Vec<Value>, patch: Vec<Value>) -> Vec<Value> {
    for value in patch {
        if !old.contains(&value) {
            old.push(value);
        }
    }
    old
}

fn merge_by_key(
    mut list: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    path: &mut Vec<String>,
) -> Result<Vec<Value>, Failure> {
    let directive = |entry: &Value| entry.get("$patch").and_then(Value::as_str).map(str::to_owned);
    if patch.iter().any(|entry| directive(entry).as_deref() == Some("replace")) {
        return Ok(patch.into_iter().filter(|entry| directive(entry).is_none()).collect());
    }
    let mut kept = Vec::new();
    for entry in patch {
        let Some(id) = entry.get(key).cloned() else { return Err(no_merge_key(&entry, key)) };
        match directive(&entry).as_deref() {
            Some("delete") => list.retain(|old| old.get(key) != Some(&id)),
            Some("merge") | None => kept.push((id, entry)),
            Some(other) => return Err(malformed(&format!("Unknown patch type found: {other}"))),
        }
    }
    for (id, entry) in kept {
        match list.iter_mut().find(|old| old.get(key) == Some(&id)) {
            Some(old) => merge_at(old, entry, path)?,
            None => {
                let mut new = Value::Null;
                merge_at(&mut new, entry, path)?;
                list.push(new);
            }
        }
    }
    Ok(list)
}

fn no_merge_key(entry: &Value, key: &str) -> Failure {
    let fields = entry.as_object().into_iter().flatten().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}:{value}")
    });
    let shown = fields.collect::<Vec<_>>().join(" ");
    // Upstream has no refusal for this and fails.
    Failure::new(500, "", format!("map: map[{shown}] does not contain declared merge key: {key}"))
}

/// Orders `merged` by the patch's order; entries that only the server knows keep their place among
/// those that were there before.
fn in_order(merged: Vec<Value>, order: &[Value], old: &[Value], key: Option<&str>) -> Vec<Value> {
    let id = |entry: &Value| match key {
        Some(key) => entry.get(key).cloned().unwrap_or_default(),
        None => entry.clone(),
    };
    let place =
        |entry: &Value, list: &[Value]| list.iter().position(|other| id(other) == id(entry));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|entry| place(entry, order).is_some());
    named.sort_by_key(|entry| place(entry, order));
    let mut result = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(left), Some(right)) = (named.peek(), others.peek()) {
        let before = match (place(left, old), place(right, old)) {
            (Some(left), Some(right)) => left < right,
            (None, _) | (_, None) => false,
        };
        result.extend(if before { named.next() } else { others.next() });
    }
    result.extend(named);
    result.extend(others);
    result
}
