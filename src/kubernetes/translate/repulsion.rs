//! Required anti-affinity of pods that have a node, against pods that wait for one.
//! Muster does not place by such terms yet, so a waiting pod that one of them matches is refused by name,
//! on every node, for as long as the other pod is there. The terms are few; without any, nothing is compared.
//! Invariant: what was told last of each waiting pod agrees with the terms that are known now.

use std::collections::BTreeMap;

use serde_json::Value;

use super::objects::PodAffinityTerm;
use super::objects::PodObject;
use crate::base::labels::LabelSelector;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::cluster::facts::PodFact;
use crate::cluster::facts::PodPhase;
use crate::workload::ask::Ask;

use super::shelves::Shelves;

/// Pods that repel and pods that wait.
#[derive(Debug, Default)]
pub(super) struct Repulsion {
    /// By uid: pods on nodes that have required anti-affinity terms.
    repelling: BTreeMap<Name, Repelling>,
    /// By uid: pods that have no node, as they would be told without any term.
    waiting: BTreeMap<Name, Waiting>,
}

#[derive(Debug, PartialEq, Eq)]
struct Repelling {
    name: ObjectName,
    terms: Vec<Term>,
}

/// One term, from the point of view of the pod that it may match.
#[derive(Debug, PartialEq, Eq)]
struct Term {
    /// Which namespaces; `None` for all. A selector of namespaces counts as all: refusing too much is safe.
    namespaces: Option<Vec<String>>,
    /// Which pods; `None` for all, where the selector does not parse.
    selector: Option<LabelSelector>,
}

#[derive(Debug)]
struct Waiting {
    labels: Vec<(Name, Name)>,
    fact: PodFact,
}

impl Repulsion {
    /// Takes in a pod. Returns the facts to tell: its own, and those of waiting pods whose refusal it changes.
    pub(super) fn observe(
        &mut self,
        pod: &PodObject,
        fact: PodFact,
        shelves: &mut Shelves,
    ) -> Vec<PodFact> {
        let terms = if repels(&fact) { terms(pod) } else { Vec::new() };
        let mut told = self.replace(&fact.uid, &fact.name, terms, shelves);
        if fact.node.is_some() {
            self.waiting.remove(&fact.uid);
            told.push(fact);
            return told;
        }
        let labels = super::pod::pairs(&pod.metadata.labels, shelves);
        let waiting = Waiting { labels, fact };
        told.push(self.judged(&waiting, shelves));
        self.waiting.insert(waiting.fact.uid.clone(), waiting);
        told
    }

    /// Takes in that a pod is gone. Returns the facts of waiting pods that it repelled.
    pub(super) fn forget(&mut self, uid: &str, shelves: &mut Shelves) -> Vec<PodFact> {
        self.waiting.remove(uid);
        match self.repelling.remove(uid) {
            Some(gone) => self.matched_by(&gone, shelves),
            None => Vec::new(),
        }
    }

    fn replace(
        &mut self,
        uid: &Name,
        name: &ObjectName,
        terms: Vec<Term>,
        shelves: &mut Shelves,
    ) -> Vec<PodFact> {
        let old = self.repelling.remove(uid);
        if terms.is_empty() {
            return old.map_or_else(Vec::new, |gone| self.matched_by(&gone, shelves));
        }
        let new = Repelling { name: name.clone(), terms };
        if old.as_ref() == Some(&new) {
            self.repelling.insert(uid.clone(), new);
            return Vec::new();
        }
        let mut changed: Vec<Name> = self.matched(&new);
        changed.extend(old.iter().flat_map(|old| self.matched(old)));
        changed.sort();
        changed.dedup();
        self.repelling.insert(uid.clone(), new);
        changed.iter().map(|uid| self.judged(&self.waiting[uid], shelves)).collect()
    }

    fn matched(&self, repelling: &Repelling) -> Vec<Name> {
        let matched = self.waiting.iter().filter(|(_, waiting)| repelling.matches(waiting));
        matched.map(|(uid, _)| uid.clone()).collect()
    }

    fn matched_by(&self, gone: &Repelling, shelves: &mut Shelves) -> Vec<PodFact> {
        let matched = self.waiting.values().filter(|waiting| gone.matches(waiting));
        matched.map(|waiting| self.judged(waiting, shelves)).collect()
    }

    /// The fact as it is to be told: refused by name where a term matches.
    fn judged(&self, waiting: &Waiting, shelves: &mut Shelves) -> PodFact {
        let repelling = self.repelling.values().filter(|repelling| repelling.matches(waiting));
        let Some(first) = repelling.map(|repelling| &repelling.name).min() else {
            return waiting.fact.clone();
        };
        let mut ask = Ask::clone(&waiting.fact.ask);
        ask.unsupported.push(shelves.name(&format!(
            "required anti-affinity of running pod {first} matches this pod: not honoured yet; \
             change this pod's labels or that pod's terms"
        )));
        PodFact { ask: shelves.ask(ask), ..waiting.fact.clone() }
    }
}

impl Repelling {
    fn matches(&self, waiting: &Waiting) -> bool {
        self.terms.iter().any(|term| term.matches(&waiting.fact.name.namespace, &waiting.labels))
    }
}

impl Term {
    fn matches(&self, namespace: &str, labels: &[(Name, Name)]) -> bool {
        let in_namespace = self
            .namespaces
            .as_ref()
            .is_none_or(|namespaces| namespaces.iter().any(|name| name == namespace));
        let value =
            |key: &str| labels.iter().find(|(name, _)| &**name == key).map(|(_, value)| &**value);
        in_namespace && self.selector.as_ref().is_none_or(|selector| selector.matches(value))
    }
}

/// A pod repels while it holds its place: on a node and not ended. Terminating pods count, as upstream.
fn repels(fact: &PodFact) -> bool {
    fact.node.is_some() && matches!(fact.phase, PodPhase::Pending | PodPhase::Running)
}

fn terms(pod: &PodObject) -> Vec<Term> {
    let written = &pod.spec.affinity.pod_anti_affinity.required;
    written.iter().filter_map(|term| term_of(term, &pod.metadata.namespace)).collect()
}

/// `None` where the term matches no pod at all: it has no label selector.
fn term_of(written: &PodAffinityTerm, own_namespace: &str) -> Option<Term> {
    let selector = LabelSelector::from_json(
        written.label_selector.as_ref().filter(|selector| !selector.is_null())?,
    )
    .ok();
    let by_label =
        written.namespace_selector.as_ref().is_some_and(|selector| !Value::is_null(selector));
    let namespaces = match (by_label, written.namespaces.is_empty()) {
        (true, _) => None,
        (false, true) => Some(vec![own_namespace.to_owned()]),
        (false, false) => Some(written.namespaces.clone()),
    };
    Some(Term { namespaces, selector })
}
