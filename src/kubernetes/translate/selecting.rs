//! Objects that select pods: Services, ReplicationControllers, ReplicaSets, StatefulSets. Read for their selectors alone,
//! and only where a profile spreads pods by default. A selector that cannot be read says nothing, as upstream.
//! Knows no pod.

use serde::Deserialize;
use serde_json::Value;

use super::objects::HasMetadata;
use super::objects::Metadata;
use super::objects::OwnerReference;
use super::read::Read;
use super::read::nullable;
use super::shelves::Shelves;
use crate::base::labels::LabelSelector;
use crate::base::labels::Operator;
use crate::base::labels::Requirement;
use crate::base::names::ObjectName;
use crate::cluster::facts::SelectingFact;
use crate::cluster::facts::SelectingKind;

/// An object that selects pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SelectingObject {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "nullable")]
    pub spec: SelectingSpec,
}

/// `spec` of an object that selects pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SelectingSpec {
    /// Labels and their values, or a `LabelSelector`, as the kind has it.
    pub selector: Option<Value>,
    /// Of pods, where it makes some.
    #[serde(deserialize_with = "nullable")]
    pub template: PodTemplate,
}

/// What the pods of a controller are made from, as far as it says whom the controller selects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodTemplate {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
}

impl HasMetadata for SelectingObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// The fact of an object, and what is wrong with its selector.
pub(super) fn fact(
    read: &Read<SelectingObject>,
    kind: SelectingKind,
    shelves: &mut Shelves,
) -> (SelectingFact, Vec<String>) {
    let SelectingObject { metadata, spec } = &read.object;
    let mut problems = read.problems.clone();
    let parsed = match (kind, &spec.selector) {
        (_, None | Some(Value::Null)) => Ok(LabelSelector::everything()),
        (SelectingKind::Service | SelectingKind::ReplicationController, Some(labels)) => {
            of_labels(labels)
        }
        (SelectingKind::ReplicaSet | SelectingKind::StatefulSet, Some(selector)) => {
            LabelSelector::from_json(selector).map_err(|why| why.to_string())
        }
    };
    let mut selector = parsed.unwrap_or_else(|why| {
        problems.push(format!("spec.selector: {why}"));
        LabelSelector::everything()
    });
    if kind == SelectingKind::ReplicationController && selector.is_everything() {
        // As the API server fills in.
        let labels = spec.template.metadata.labels.iter();
        let demanded = labels
            .map(|(key, value)| Requirement::new(key, Operator::In, vec![value.as_str().into()]));
        selector.requirements = demanded.collect();
    }
    let fact = SelectingFact {
        kind,
        name: ObjectName {
            namespace: shelves.name(&metadata.namespace),
            name: metadata.name.as_str().into(),
        },
        uid: metadata.uid.as_str().into(),
        selector,
    };
    (fact, problems)
}

/// Pods that carry all of these labels.
fn of_labels(labels: &Value) -> Result<LabelSelector, String> {
    let labels = labels.as_object().ok_or("must be an object of labels and their values")?;
    let requirement = |(key, value): (&String, &Value)| {
        let value = value.as_str().ok_or_else(|| format!("{key}: must be a string"))?;
        Ok(Requirement::new(key, Operator::In, vec![value.into()]))
    };
    let mut requirements: Vec<Requirement> =
        labels.iter().map(requirement).collect::<Result<_, String>>()?;
    requirements.sort();
    Ok(LabelSelector { requirements })
}

/// The kind of a pod's controller, if it is one of those whose selectors count.
pub(super) fn kind_of_controller(controller: &OwnerReference) -> Option<SelectingKind> {
    let (version, kind) = (controller.api_version.as_str(), controller.kind.as_str());
    let is_it = |known: &SelectingKind| known.api_version() == version && known.kind() == kind;
    let found = SelectingKind::ALL.into_iter().find(is_it)?;
    (found != SelectingKind::Service).then_some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::translate::read::read;

    fn selector(kind: SelectingKind, spec: serde_json::Value) -> (String, usize) {
        let object = json!({"metadata": {"name": "a", "namespace": "b", "uid": "c"}, "spec": spec});
        let (fact, problems) = fact(&read(&object), kind, &mut Shelves::new());
        assert_eq!((fact.kind, fact.name.to_string()), (kind, "b/a".to_owned()));
        (fact.selector.to_string(), problems.len())
    }

    #[test]
    fn each_kind_selects_in_its_own_form() {
        let labels = || json!({"selector": {"b": "2", "a": ""}});
        for kind in [SelectingKind::Service, SelectingKind::ReplicationController] {
            assert_eq!(selector(kind, labels()), ("a=,b=2".to_owned(), 0));
            assert_eq!(selector(kind, json!({"selector": {"a": 1}})), (String::new(), 1));
            assert_eq!(selector(kind, json!({"selector": null})), (String::new(), 0));
        }
        let by_template = json!({"template": {"metadata": {"labels": {"a": "1"}}}});
        let controller = SelectingKind::ReplicationController;
        assert_eq!(selector(controller, by_template.clone()), ("a=1".to_owned(), 0));
        assert_eq!(selector(SelectingKind::ReplicaSet, by_template), (String::new(), 0));
        let object = json!({"selector": {"matchLabels": {"a": "1"}, "matchExpressions": [
            {"key": "b", "operator": "Exists"}]}});
        for kind in [SelectingKind::ReplicaSet, SelectingKind::StatefulSet] {
            assert_eq!(selector(kind, object.clone()), ("a=1,b".to_owned(), 0));
            assert_eq!(selector(kind, json!({})), (String::new(), 0));
            assert_eq!(selector(kind, json!({"selector": "a=1"})), (String::new(), 1));
        }
    }

    #[test]
    fn a_controller_counts_by_group_version_and_kind() {
        let kind = |api_version: &str, kind: &str| {
            let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
            kind_of_controller(&OwnerReference { api_version, kind, ..OwnerReference::default() })
        };
        assert_eq!(kind("apps/v1", "StatefulSet"), Some(SelectingKind::StatefulSet));
        assert_eq!(kind("apps/v1", "ReplicaSet"), Some(SelectingKind::ReplicaSet));
        assert_eq!(kind("v1", "ReplicationController"), Some(SelectingKind::ReplicationController));
        assert_eq!(kind("apps.kruise.io/v1beta1", "StatefulSet"), None);
        assert_eq!(kind("v1", "Service"), None, "no controller");
        assert_eq!(kind("batch/v1", "Job"), None);
    }
}
