//! JSON merge patch, RFC 7386: objects are merged, null removes, everything else replaces.
//! Knows no kind and checks nothing: what comes out is judged as an update.
//! It recurses as deep as the patch is, which the parser has bounded.

use serde_json::Map;
use serde_json::Value;

/// Applies `patch` to `target`.
pub(super) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            fields.shift_remove(&key);
        } else {
            merge(fields.entry(key).or_insert(Value::Null), value);
        }
    }
}
