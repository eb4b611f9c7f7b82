//! One cluster and the pod that is judged there, as objects of the Kubernetes API.

use muster::base::quantity::Quantity;
use serde_json::Value;
use serde_json::json;

/// A question to both schedulers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Case {
    /// The pod that waits.
    pub(crate) pod: Value,
    /// Everything else: nodes, pods on nodes, volumes, namespaces.
    pub(crate) objects: Vec<Value>,
    /// A `KubeSchedulerConfiguration`, where it is not the default one.
    pub(crate) configuration: Option<Value>,
}

impl Case {
    /// The same as an API server keeps it, which the oracle has none of. Empty lists of amounts are gone: it would tell
    /// them from lists that are not there. Amounts of a pod as a whole are canonical: to one that is a fraction of
    /// binary units it adds the overhead anew each time it counts, in place.
    pub(crate) fn into_kept(mut self) -> Self {
        for object in self.objects.iter_mut().chain([&mut self.pod]) {
            drop_empty_lists(object);
            for list in ["requests", "limits"] {
                let list = object.pointer_mut(&format!("/spec/resources/{list}"));
                list.and_then(Value::as_object_mut)
                    .into_iter()
                    .flatten()
                    .for_each(write_canonically);
            }
        }
        self
    }

    /// As the oracle reads it.
    pub(crate) fn question(&self) -> Value {
        let mut question = json!({"pod": self.pod, "objects": self.objects});
        if let Some(configuration) = &self.configuration {
            question["configuration"] = configuration.clone();
        }
        question
    }

    /// As one value, to be shrunk.
    pub(crate) fn to_value(&self) -> Value {
        self.question()
    }

    /// Back from one value; `None` if it is no case any more.
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        let sound = |object: &Value| {
            let parts = [&object["apiVersion"], &object["kind"], &object["metadata"]["name"]];
            parts.iter().all(|part| part.is_string())
        };
        let pod = value.get("pod").filter(|pod| sound(pod) && pod["spec"].is_object())?.clone();
        let objects = value.get("objects")?.as_array()?.clone();
        let configuration = value.get("configuration").cloned();
        objects.iter().all(sound).then_some(Self { pod, objects, configuration }.into_kept())
    }

    /// As manifests that a scenario can hold.
    pub(crate) fn manifests(&self) -> String {
        let documents = self.objects.iter().chain([&self.pod]).chain(&self.configuration);
        let text = |object| serde_saphyr::to_string(object).expect("objects are plain data");
        documents.map(text).collect::<Vec<_>>().join("---\n")
    }
}

fn write_canonically((_, amount): (&String, &mut Value)) {
    if let Some(canonical) = amount.as_str().and_then(Quantity::canonical) {
        *amount = canonical.into();
    }
}

fn drop_empty_lists(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| {
                let lists_amounts = ["requests", "limits", "allocatedResources"].contains(&&**key);
                !lists_amounts || value.as_object().is_none_or(|list| !list.is_empty())
            });
            fields.values_mut().for_each(drop_empty_lists);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty_lists),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
