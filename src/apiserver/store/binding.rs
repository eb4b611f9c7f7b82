//! `pods/binding`: gives a pod its node, once. Refusals and effects as in kube-apiserver's
//! `registry/core/pod/storage`: uid and resourceVersion are preconditions, annotations and labels of
//! the Binding are copied onto the pod, the node itself is not looked at.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::failure::Subject;
use crate::apiserver::store::failure::aggregate;
use crate::apiserver::store::json;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::shelf::meta;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Effect;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::Written;
use crate::apiserver::store::state::whole_seconds;
use crate::apiserver::store::update::precondition_failed;
use crate::base::time::Time;

const BINDING: Subject<'static> = Subject { group: "", resource: "pods/binding", kind: "Binding" };

/// What of a Binding's metadata is copied onto the pod.
const COPIED: [&str; 2] = ["annotations", "labels"];

impl State {
    /// Binds the pod that the call names (or, for `POST bindings`, that the Binding names) to the
    /// node in `payload`. `Written::object` is the pod.
    ///
    /// # Errors
    /// 400 for a body that is no Binding, 404 if there is no such pod, 409 if the pod is bound, going,
    /// or gated, or a precondition does not hold, 422 for a target that is no node.
    pub fn bind(&mut self, call: &Call<'_>, payload: Payload<'_>) -> Result<Written, Failure> {
        let binding = read_binding(payload)?;
        let request = call.request;
        let named = meta(&binding, "name");
        let name = if request.name.is_empty() { named } else { request.name.as_str() };
        if !named.is_empty() && named != name {
            return Err(Failure::bad_request("name in URL does not match name in Binding object"));
        }
        check_namespace(&binding, &request.namespace)?;
        let node = target(&binding)?;
        let pods = self.builtin("", "v1", "pods");
        let pod = self.find(&pods, &request.namespace, name)?;
        // Held so that all that follows looks at one parsed tree.
        let _tree = pod.value();
        check_preconditions(&pods, &binding, &pod)?;
        check_bindable(&pod)?;
        let bound = bound(&pod, &binding, node, call.now);
        // A Binding may come through its own collection; the pod is what is kept.
        let request =
            crate::apiserver::store::request::Request { resource: pods, ..request.clone() };
        let object = self.keep(&Call { request: &request, ..*call }, bound, Some(&pod));
        Ok(Written { object, effect: Effect::Created, warnings: Vec::new() })
    }
}

fn read_binding(payload: Payload<'_>) -> Result<Value, Failure> {
    let binding = match payload {
        Payload::Empty => Value::Null,
        Payload::Json(value) => value,
        Payload::Text(text) => json::parse(text).map_err(Failure::bad_request)?.0,
    };
    let kind = binding.get("kind").and_then(Value::as_str).unwrap_or("Binding");
    if !binding.is_object() || kind != "Binding" {
        return Err(Failure::bad_request("not a Binding object"));
    }
    for part in COPIED {
        let given = binding.pointer(&format!("/metadata/{part}")).and_then(Value::as_object);
        if given.is_some_and(|given| given.values().any(|value| !value.is_string())) {
            return Err(Failure::bad_request(format!(
                "Binding in version \"v1\" cannot be handled as a Binding: metadata.{part} holds a value that is no string"
            )));
        }
    }
    Ok(binding)
}

fn check_namespace(binding: &Value, namespace: &str) -> Result<(), Failure> {
    let given = meta(binding, "namespace");
    if given.is_empty() || given == namespace {
        return Ok(());
    }
    Err(Failure::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    ))
}

fn target(binding: &Value) -> Result<&str, Failure> {
    let text = |field: &str| {
        binding.pointer(&format!("/target/{field}")).and_then(Value::as_str).unwrap_or_default()
    };
    let mut errors = Vec::new();
    if !matches!(text("kind"), "" | "Node") {
        errors.push(FieldError::not_supported("target.kind", text("kind"), &["Node", "<empty>"]));
    }
    if text("name").is_empty() {
        errors.push(FieldError::required("target.name", ""));
    }
    // Upstream returns the list of errors as it is, which its face then takes for a fault of its own.
    if errors.is_empty() {
        Ok(text("name"))
    } else {
        Err(Failure::new(500, "", aggregate(&errors)))
    }
}

fn check_preconditions(pods: &Resource, binding: &Value, pod: &Object) -> Result<(), Failure> {
    let fields = [
        ("uid", "UID", pod.uid().to_owned()),
        ("resourceVersion", "ResourceVersion", pod.version.to_string()),
    ];
    for (field, shown, found) in fields {
        let asked = meta(binding, field);
        if !asked.is_empty() && asked != found {
            let why = precondition_failed(pods, pod, shown, asked, &found);
            return Err(pods.subject().conflict(pod.own_name(), &why));
        }
    }
    Ok(())
}

fn check_bindable(pod: &Object) -> Result<(), Failure> {
    let name = pod.own_name();
    let value = pod.value();
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let gates = value.pointer("/spec/schedulingGates").and_then(Value::as_array);
    let why = if pod.is_terminating() {
        format!("pod {name} is being deleted, cannot be assigned to a host")
    } else if !text("/spec/nodeName").is_empty() {
        format!("pod {name} is already assigned to node \"{}\"", text("/spec/nodeName"))
    } else if gates.is_some_and(|gates| !gates.is_empty()) {
        format!("pod {name} has non-empty .spec.schedulingGates")
    } else {
        return Ok(());
    };
    Err(BINDING.conflict(name, &why))
}

fn bound(pod: &Object, binding: &Value, node: &str, now: Time) -> Value {
    let mut bound = Value::clone(&pod.value());
    bound["spec"]["nodeName"] = node.into();
    for part in COPIED {
        let Some(given) = binding.pointer(&format!("/metadata/{part}")).and_then(Value::as_object)
        else {
            continue;
        };
        let kept = &mut bound["metadata"][part];
        if !kept.is_object() {
            *kept = Value::Object(Map::new());
        }
        for (key, value) in given {
            kept[key.as_str()] = value.clone();
        }
    }
    if let Some(status) = bound["status"].as_object_mut() {
        status.shift_remove("nominatedNodeName");
    }
    set_condition(&mut bound, json!({"type": "PodScheduled", "status": "True"}), now);
    bound
}

/// Sets a condition of a pod: replaces the one of its type, with a transition time that moves only
/// with the status.
pub(super) fn set_condition(pod: &mut Value, mut condition: Value, now: Time) {
    let status = &mut pod["status"];
    if !status.is_object() {
        *status = json!({});
    }
    let conditions = &mut status["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return };
    let place = conditions.iter().position(|known| known.get("type") == condition.get("type"));
    let same = place
        .map(|place| &conditions[place])
        .filter(|known| known.get("status") == condition.get("status"));
    let since = same.and_then(|known| known.get("lastTransitionTime").cloned());
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = since.unwrap_or_else(|| whole_seconds(now).into());
    match place {
        Some(place) => conditions[place] = condition,
        None => conditions.push(condition),
    }
}
