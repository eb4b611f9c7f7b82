//! Which objects select which pods: Services by labels, controllers by owning. Of each only its selector is kept.
//! Services are found by a label that they demand, so that a pod is compared with few of them.
//! Knows no pod. Invariant: a Service is filed under the first label of its selector; one without labels is not.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{SelectingFact, SelectingKind};
use crate::base::labels::{LabelSelector, Operator, Requirement};
use crate::base::names::{Name, ObjectName};
use crate::workload::relations::PodLabels;

/// Objects that select pods.
#[derive(Clone, Debug, Default)]
pub struct Selecting {
    known: BTreeMap<(SelectingKind, ObjectName), Known>,
    /// Names of Services by namespace, and by key and value of a label that they demand.
    services: BTreeMap<(Name, Name, Name), BTreeSet<Name>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    uid: Name,
    selector: LabelSelector,
}

/// Whether a fact changed which pods are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It did, or may have.
    Changed,
    /// It did not.
    None,
}

impl Selecting {
    /// Takes in an object.
    pub fn put(&mut self, fact: &SelectingFact) -> Effect {
        let key = (fact.kind, fact.name.clone());
        let known = Known { uid: fact.uid.clone(), selector: fact.selector.clone() };
        let before = self.known.insert(key, known);
        if let Some(before) = &before {
            if before.selector == fact.selector {
                return Effect::None;
            }
            self.unfile(fact.kind, &fact.name, &before.selector);
        }
        self.file(fact);
        Effect::Changed
    }

    /// Takes in that an object is gone, unless another has its name by now.
    pub fn remove(&mut self, kind: SelectingKind, name: &ObjectName, uid: &str) -> Effect {
        let key = (kind, name.clone());
        if self.known.get(&key).is_none_or(|known| *known.uid != *uid) {
            return Effect::None;
        }
        if let Some(gone) = self.known.remove(&key) {
            self.unfile(kind, name, &gone.selector);
        }
        Effect::Changed
    }

    /// True if an object is known just as the fact has it.
    pub fn agrees_with(&self, fact: &SelectingFact) -> bool {
        let known = self.known.get(&(fact.kind, fact.name.clone()));
        known.is_some_and(|known| known.uid == fact.uid && known.selector == fact.selector)
    }

    /// Pods that belong together with one that has these labels and is managed by that controller: what the Services
    /// that select it and the controller demand, together. `None` if they demand nothing.
    pub fn kin(
        &self,
        labels: &PodLabels,
        controller: Option<(SelectingKind, &str)>,
    ) -> Option<LabelSelector> {
        let mut demanded: BTreeMap<&Name, &Requirement> = BTreeMap::new();
        for service in self.services_of(labels) {
            demanded.extend(service.requirements.iter().map(|one| (&one.key, one)));
        }
        let mut more: &[Requirement] = &[];
        if let Some((kind, name)) = controller {
            let name = ObjectName { namespace: labels.namespace.clone(), name: name.into() };
            let selector = self.known.get(&(kind, name)).map(|known| &known.selector);
            let requirements = selector.map_or(&[][..], |selector| &selector.requirements);
            match kind {
                // As upstream: its labels go before those of Services, as entries of one map.
                SelectingKind::ReplicationController => {
                    demanded.extend(requirements.iter().map(|one| (&one.key, one)));
                }
                SelectingKind::ReplicaSet | SelectingKind::StatefulSet => more = requirements,
                SelectingKind::Service => {}
            }
        }
        let mut requirements: Vec<Requirement> =
            demanded.into_values().chain(more).cloned().collect();
        requirements.sort();
        requirements.dedup();
        (!requirements.is_empty()).then_some(LabelSelector { requirements })
    }

    /// The selectors of the Services that select a pod with these labels, by name.
    fn services_of(&self, labels: &PodLabels) -> impl Iterator<Item = &LabelSelector> {
        let filed = labels.pairs.iter().filter_map(|(key, value)| {
            self.services.get(&(labels.namespace.clone(), key.clone(), value.clone()))
        });
        let selectors = filed.flatten().filter_map(|name| {
            let name = ObjectName { namespace: labels.namespace.clone(), name: name.clone() };
            self.known.get(&(SelectingKind::Service, name)).map(|known| &known.selector)
        });
        selectors.filter(|selector| selector.matches(|key| labels.get(key)))
    }

    fn file(&mut self, fact: &SelectingFact) {
        if let Some(place) = place(fact.kind, &fact.name, &fact.selector) {
            self.services.entry(place).or_default().insert(fact.name.name.clone());
        }
    }

    fn unfile(&mut self, kind: SelectingKind, name: &ObjectName, selector: &LabelSelector) {
        let Some(place) = place(kind, name, selector) else { return };
        if let Some(names) = self.services.get_mut(&place) {
            names.remove(&name.name);
            if names.is_empty() {
                self.services.remove(&place);
            }
        }
    }
}

/// Where a Service is filed.
fn place(
    kind: SelectingKind,
    name: &ObjectName,
    selector: &LabelSelector,
) -> Option<(Name, Name, Name)> {
    let first = selector.requirements.first().filter(|_| kind == SelectingKind::Service)?;
    match first.operator {
        Operator::In => {
            let value = first.values.first()?;
            Some((name.namespace.clone(), first.key.clone(), value.clone()))
        }
        Operator::NotIn
        | Operator::Exists
        | Operator::DoesNotExist
        | Operator::GreaterThan
        | Operator::LessThan => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(kind: SelectingKind, name: &str, selector: &str) -> SelectingFact {
        let selector = LabelSelector::parse(selector).expect("the test's selector parses");
        SelectingFact { kind, name: ObjectName::new("team", name), uid: name.into(), selector }
    }

    fn pod(namespace: &str, pairs: &[(&str, &str)]) -> PodLabels {
        let pairs = pairs.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        PodLabels { namespace: namespace.into(), pairs: pairs.collect() }
    }

    fn shown(kin: Option<LabelSelector>) -> String {
        kin.map_or_else(|| "none".to_owned(), |selector| selector.to_string())
    }

    const WEB: &[(&str, &str)] = &[("app", "web"), ("tier", "front")];

    #[test]
    fn services_that_select_a_pod_add_up() {
        let mut selecting = Selecting::default();
        let kin = |selecting: &Selecting, pod: &PodLabels| shown(selecting.kin(pod, None));
        for (name, selector) in
            [("a", "app=web"), ("b", "tier=front"), ("c", "app=web,tier=back"), ("d", "")]
        {
            let service = fact(SelectingKind::Service, name, selector);
            assert_eq!(selecting.put(&service), Effect::Changed);
            assert_eq!(selecting.put(&service), Effect::None, "told twice");
            assert!(selecting.agrees_with(&service));
        }
        assert_eq!(kin(&selecting, &pod("team", WEB)), "app=web,tier=front");
        assert_eq!(kin(&selecting, &pod("other", WEB)), "none");
        assert_eq!(kin(&selecting, &pod("team", &[("app", "db")])), "none");
        let team = |name: &str| ObjectName::new("team", name);
        assert_eq!(selecting.remove(SelectingKind::Service, &team("b"), "older"), Effect::None);
        assert_eq!(selecting.remove(SelectingKind::Service, &team("b"), "b"), Effect::Changed);
        assert_eq!(kin(&selecting, &pod("team", WEB)), "app=web");
        selecting.put(&fact(SelectingKind::Service, "a", "app=db"));
        assert_eq!(kin(&selecting, &pod("team", WEB)), "none");
        assert_eq!(kin(&selecting, &pod("team", &[("app", "db")])), "app=db");
    }

    #[test]
    fn a_controller_adds_what_it_demands() {
        let mut selecting = Selecting::default();
        selecting.put(&fact(SelectingKind::Service, "web", "app=web"));
        selecting.put(&fact(SelectingKind::ReplicaSet, "web-1", "app=web,hash in (1,2)"));
        selecting.put(&fact(SelectingKind::StatefulSet, "web-1", "!old"));
        selecting.put(&fact(SelectingKind::ReplicationController, "web-1", "app=other"));
        let kin = |kind| shown(selecting.kin(&pod("team", WEB), Some((kind, "web-1"))));
        assert_eq!(kin(SelectingKind::ReplicaSet), "app=web,hash in (1,2)");
        assert_eq!(kin(SelectingKind::StatefulSet), "app=web,!old");
        // Its value of a label takes the place of the Service's, also if the pod has another.
        assert_eq!(kin(SelectingKind::ReplicationController), "app=other");
        let nobody = selecting.kin(&pod("team", WEB), Some((SelectingKind::ReplicaSet, "web-2")));
        assert_eq!(shown(nobody), "app=web");
    }
}
