//! Reading the fields of a Kubernetes object that every simulated component needs.
//! Lenient as the API allows: an absent field reads as empty. Knows no state and no scheduling.
//! A view changes nothing and copies nothing but what it is asked for.

use serde_json::Value;
use serde_json::json;

use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::cluster::facts::GroupSource;
use crate::kubernetes::translate::pod::GROUP_LABEL;
use crate::kubernetes::translate::pod::TUTORIAL_GROUP_LABEL;

/// A view of one object's metadata.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a>(pub &'a Value);

/// The controller that owns an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Controller {
    /// Its kind, such as `Job`.
    pub kind: String,
    /// Its name, in the namespace of the object.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl<'a> Object<'a> {
    /// A text field of the metadata; empty where absent.
    fn meta(self, field: &str) -> &'a str {
        self.0["metadata"][field].as_str().unwrap_or("")
    }

    /// `metadata.name`.
    pub fn name(self) -> &'a str {
        self.meta("name")
    }

    /// `metadata.namespace`; empty for cluster-scoped objects.
    pub fn namespace(self) -> &'a str {
        self.meta("namespace")
    }

    /// Namespace and name.
    pub fn object_name(self) -> ObjectName {
        ObjectName::new(self.namespace(), self.name())
    }

    /// `metadata.uid`.
    pub fn uid(self) -> &'a str {
        self.meta("uid")
    }

    /// `metadata.generation`; 0 where absent.
    pub fn generation(self) -> i64 {
        self.0["metadata"]["generation"].as_i64().unwrap_or(0)
    }

    /// True once `metadata.deletionTimestamp` is set.
    pub fn deleting(self) -> bool {
        self.0["metadata"]["deletionTimestamp"].is_string()
    }

    /// `metadata.creationTimestamp`, where set.
    pub fn created(self) -> Option<Time> {
        Time::from_rfc3339(self.meta("creationTimestamp"))
    }

    /// A label's value.
    pub fn label(self, key: &str) -> Option<&'a str> {
        self.0["metadata"]["labels"].get(key)?.as_str()
    }

    /// An annotation's value.
    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.0["metadata"]["annotations"].get(key)?.as_str()
    }

    /// The owner reference with `controller: true`.
    pub fn controller(self) -> Option<Controller> {
        let owners = self.0["metadata"]["ownerReferences"].as_array()?;
        let owner = owners.iter().find(|owner| owner["controller"] == json!(true))?;
        let text = |field: &str| owner[field].as_str().unwrap_or("").to_owned();
        Some(Controller { kind: text("kind"), name: text("name"), uid: text("uid") })
    }

    /// The PodGroup that a pod is a member of: which API, and its name in the pod's namespace.
    pub fn group(self) -> Option<(GroupSource, &'a str)> {
        if let Some(name) = self.0["spec"]["schedulingGroup"]["podGroupName"].as_str() {
            return Some((GroupSource::Native, name));
        }
        let labelled = |key| self.label(key).filter(|name| !name.is_empty());
        let name = labelled(GROUP_LABEL).or_else(|| labelled(TUTORIAL_GROUP_LABEL))?;
        Some((GroupSource::Coscheduling, name))
    }

    /// The status of condition `kind` in `status.conditions`; empty where absent.
    pub fn condition(self, kind: &str) -> &'a str {
        let conditions = self.0["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == kind)
            .and_then(|condition| condition["status"].as_str())
            .unwrap_or("")
    }
}

/// `now` as `metav1.Time` holds it: RFC 3339, whole seconds.
pub fn timestamp(now: Time) -> Value {
    Value::from(Time(now.0.div_euclid(1_000_000_000) * 1_000_000_000).to_rfc3339())
}

/// `now` as `metav1.MicroTime` holds it: RFC 3339 with exactly six decimals.
pub fn micro_timestamp(now: Time) -> Value {
    let (seconds, rest) =
        (now.0.div_euclid(1_000_000_000) * 1_000_000_000, now.0.rem_euclid(1_000_000_000));
    let whole = Time(seconds).to_rfc3339();
    Value::from(format!("{}.{:06}Z", whole.trim_end_matches('Z'), rest / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_have_the_precision_of_the_api_types() {
        let now = Time::from_rfc3339("2026-11-01T12:00:00.1234567Z").expect("an instant");
        assert_eq!(timestamp(now), "2026-11-01T12:00:00Z");
        assert_eq!(micro_timestamp(now), "2026-11-01T12:00:00.123456Z");
        assert_eq!(micro_timestamp(Time(0)), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn only_the_managing_owner_is_the_controller() {
        let object = json!({"metadata": {"ownerReferences": [
            {"kind": "PodGroup", "name": "g", "uid": "1"},
            {"kind": "Job", "name": "j", "uid": "2", "controller": true},
        ]}});
        let controller = Object(&object).controller().expect("one is marked");
        assert_eq!((controller.kind.as_str(), controller.name.as_str()), ("Job", "j"));
        assert_eq!(Object(&json!({})).controller(), None);
    }
}
