//! How kept objects look through a resource: unchanged, as the newer form of events, or under
//! another `apiVersion`. Both directions; what is kept can always be shown.
//! Knows nothing of versions or history.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::View;
use crate::apiserver::store::shelf::Object;

/// An object as a resource shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The resource through which it is shown.
    pub resource: Arc<Resource>,
    /// The object in its kept form.
    pub object: Object,
}

impl Shown {
    /// The object as the resource shows it.
    pub fn json(&self) -> Arc<Value> {
        shown(&self.resource, self.object.value())
    }

    /// The same as JSON text; shared by all who ask, where the kept form is shown.
    pub fn text(&self) -> Arc<[u8]> {
        match &self.resource.view {
            View::AsKept => Arc::clone(self.object.text()),
            View::NewEvents | View::Renamed { .. } => {
                serde_json::to_vec(&*self.json()).expect("a value can always be written").into()
            }
        }
    }
}

/// `core/v1` event fields and their names in `events.k8s.io/v1`; the others are the same.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// `kept` as `resource` shows it.
fn shown(resource: &Resource, kept: Arc<Value>) -> Arc<Value> {
    match &resource.view {
        View::AsKept => kept,
        View::NewEvents => {
            let rename =
                |key: &str| EVENT_FIELDS.iter().find(|(old, _)| *old == key).map(|(_, new)| *new);
            Arc::new(renamed(&kept, resource.api_version(), rename))
        }
        View::Renamed { .. } => Arc::new(renamed(&kept, resource.api_version(), |_| None)),
    }
}

/// The kept form of an object written through `resource`.
pub fn kept(resource: &Resource, written: Value) -> Value {
    match &resource.view {
        View::AsKept => written,
        View::NewEvents => {
            let rename =
                |key: &str| EVENT_FIELDS.iter().find(|(_, new)| *new == key).map(|(old, _)| *old);
            let mut event = renamed(&written, "v1".to_owned(), rename);
            fill_event(&mut event);
            event
        }
        View::Renamed { kept } => renamed(&written, kept.to_string(), |_| None),
    }
}

/// The form in which an object in its kept form would be written through `resource`.
pub fn written(resource: &Resource, kept: Value) -> Value {
    Arc::unwrap_or_clone(shown(resource, Arc::new(kept)))
}

/// What readers of core/v1 events rely on, and writers of the newer form leave out.
fn fill_event(event: &mut Value) {
    let Some(fields) = event.as_object_mut() else { return };
    fields.entry("source").or_insert_with(|| json!({}));
    for absent in ["firstTimestamp", "lastTimestamp"] {
        fields.entry(absent).or_insert(Value::Null);
    }
}

fn renamed(
    object: &Value,
    api_version: String,
    rename: impl Fn(&str) -> Option<&'static str>,
) -> Value {
    let mut fields = Map::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        let value =
            if key == "apiVersion" { Value::from(api_version.as_str()) } else { value.clone() };
        fields.insert(rename(key).unwrap_or(key).to_owned(), value);
    }
    Value::Object(fields)
}
