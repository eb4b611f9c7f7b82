//! What a manifest wishes of the simulated containers: how long they run and how they exit.
//! Written as annotations on a pod or on its PodGroup; the pod's own go first.
//! A wish that cannot be read is kept as such, so that the pod fails with the reason instead of running for ever.

use super::status::Exit;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::GroupName;
use crate::cluster::facts::GroupSource;
use crate::sim::object::Object;

/// How long the containers run, a duration such as `90s`. Without it, for ever.
pub const RUNS_FOR: &str = "muster.dev/runs-for";
/// The code (0 to 255) with which the containers exit. Without it, 0.
pub const EXIT_CODE: &str = "muster.dev/exit-code";

/// The wishes of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    runs_for: Option<Span>,
    exit_code: Option<u8>,
    /// The first annotation that cannot be read: name, value, remedy.
    pub(super) malformed: Option<String>,
}

impl Wishes {
    /// Reads an object's annotations.
    pub(super) fn of(object: Object<'_>) -> Self {
        let mut wishes = Self::default();
        if let Some(text) = object.annotation(RUNS_FOR) {
            match text.parse::<Span>() {
                Ok(span) if span >= Span::ZERO => wishes.runs_for = Some(span),
                Ok(_) => wishes.refuse(object, RUNS_FOR, "a runtime cannot be negative"),
                Err(error) => wishes.refuse(object, RUNS_FOR, &error.to_string()),
            }
        }
        if let Some(text) = object.annotation(EXIT_CODE) {
            match text.parse() {
                Ok(code) => wishes.exit_code = Some(code),
                Err(_) => wishes.refuse(object, EXIT_CODE, "write a number from 0 to 255"),
            }
        }
        wishes
    }

    /// Notes that annotation `key` cannot be used, and why.
    fn refuse(&mut self, object: Object<'_>, key: &str, why: &str) {
        let kind = object.0["kind"].as_str().unwrap_or("object");
        let value = object.annotation(key).unwrap_or("");
        let name = object.object_name();
        self.malformed
            .get_or_insert_with(|| format!("annotation {key}: {value:?} of {kind} {name}: {why}"));
    }

    /// How containers that started at `started` will end; `None` if they run for ever.
    /// `group` fills in what the pod itself leaves open.
    pub(super) fn exit(&self, group: Option<&Self>, started: Time) -> Option<Exit> {
        let runs_for = self.runs_for.or(group.and_then(|group| group.runs_for))?;
        let code = self.exit_code.or(group.and_then(|group| group.exit_code)).unwrap_or(0);
        Some(Exit { code, started, finished: started + runs_for })
    }
}

/// The PodGroup that a pod is a member of.
pub(super) fn group_of(pod: Object<'_>) -> Option<GroupName> {
    let (source, name) = pod.group()?;
    Some(GroupName { name: ObjectName::new(pod.namespace(), name), source })
}

/// How a PodGroup object is named among the groups of both APIs.
/// `scheduling.k8s.io/v1alpha1` is read as the coscheduling kind, as tutorials write it.
pub(super) fn group_name(group: Object<'_>) -> GroupName {
    let source = match group.0["apiVersion"].as_str().unwrap_or("") {
        "scheduling.k8s.io/v1beta1" | "scheduling.k8s.io/v1alpha2" => GroupSource::Native,
        _ => GroupSource::Coscheduling,
    };
    GroupName { name: group.object_name(), source }
}
