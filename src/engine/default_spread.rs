//! Pods that do not say how they are spread, and what their profile says of it: which constraints hold for each of
//! them follows from the Services that select it and the controller that manages it, and changes as these do.
//! Decides nothing. Invariants: a waiting pod's ask has the constraints that hold now; a pod on a node keeps those
//! that it was placed by, since nothing reads them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Engine;
use crate::base::names::{Name, ObjectName};
use crate::cluster::facts::{PodFact, SelectingFact, SelectingKind};
use crate::cluster::ids::PodId;
use crate::cluster::selecting::{Effect, Selecting};
use crate::workload::relations::{Relations, Spread, SpreadBy};

/// What spreading by default knows.
#[derive(Clone, Debug, Default)]
pub(super) struct DefaultSpreading {
    pub(super) selecting: Selecting,
    /// Pods that were seen waiting and are spread by their profile, by namespace; some are gone or placed since, which
    /// is noticed when they are looked at next.
    waiting: BTreeMap<Name, BTreeSet<PodId>>,
}

impl Engine {
    /// Takes in an object that selects pods.
    pub(super) fn observe_selecting(&mut self, fact: &SelectingFact) {
        if self.settings.selecting_kinds().is_empty() {
            return;
        }
        match self.spreading.selecting.put(fact) {
            Effect::Changed => self.spread_anew(&fact.name.namespace),
            Effect::None => {}
        }
    }

    /// Takes in that an object that selects pods is gone.
    pub(super) fn observe_selecting_gone(
        &mut self,
        kind: SelectingKind,
        name: &ObjectName,
        uid: &str,
    ) {
        match self.spreading.selecting.remove(kind, name, uid) {
            Effect::Changed => self.spread_anew(&name.namespace),
            Effect::None => {}
        }
    }

    /// Everything of the start was told, in whatever order: now all waiting pods can be spread.
    pub(super) fn spread_all_anew(&mut self) {
        let namespaces: Vec<Name> = self.spreading.waiting.keys().cloned().collect();
        namespaces.iter().for_each(|namespace| self.spread_anew(namespace));
    }

    /// Completes the fact of a pod with what its profile says.
    pub(super) fn complete(&self, fact: &mut PodFact) {
        self.settings.apply_profile(fact);
        if self.is_spread_by_default(fact) {
            self.spread_by_default(fact);
        }
    }

    /// Remembers a pod that waits, to be looked at when what selects it changes.
    pub(super) fn follow_selection(&mut self, id: PodId) {
        let fact = &self.pods.get(id).fact;
        if fact.node.is_none() && self.is_spread_by_default(fact) {
            let namespace = fact.name.namespace.clone();
            self.spreading.waiting.entry(namespace).or_default().insert(id);
        }
    }

    /// Judges anew how the waiting pods of a namespace are spread. Before all is known that would be in vain.
    fn spread_anew(&mut self, namespace: &Name) {
        if !self.synced {
            return;
        }
        let Some(waiting) = self.spreading.waiting.remove(namespace) else { return };
        for id in waiting {
            let Some(pod) = self.pods.known(id) else { continue };
            if pod.fact.node.is_some() || pod.fact.name.namespace != *namespace {
                continue;
            }
            let mut fact = pod.fact.clone();
            if self.is_spread_by_default(&fact) {
                self.spread_by_default(&mut fact);
                if fact.ask != self.pods.get(id).fact.ask {
                    self.update_pod(id, fact);
                }
                self.follow_selection(id);
            }
        }
    }

    /// True for pods of a profile that spreads, which say nothing of it themselves.
    fn is_spread_by_default(&self, fact: &PodFact) -> bool {
        let by_profile = fact.ask.profile.as_ref().is_some_and(|it| it.default_spread.is_some());
        by_profile && fact.ask.relations.as_ref().is_none_or(|relations| says_nothing(relations))
    }

    /// Gives the ask the constraints that hold for the pod.
    fn spread_by_default(&self, fact: &mut PodFact) {
        let (spread, wished_spread, spread_by) = self.constraints_of(fact);
        let is_same = match &fact.ask.relations {
            Some(known) => {
                (&known.spread, &known.wished_spread, known.spread_by)
                    == (&spread, &wished_spread, spread_by)
            }
            None => spread_by == SpreadBy::Pod,
        };
        if !is_same {
            let ask = Arc::make_mut(&mut fact.ask);
            let relations = ask.relations.take().map(|relations| *relations).unwrap_or_default();
            ask.relations = Relations { spread, wished_spread, spread_by, ..relations }.boxed();
        }
    }

    /// The constraints that must be met, those that are wished for, and whose they are.
    fn constraints_of(&self, fact: &PodFact) -> (Vec<Spread>, Vec<Spread>, SpreadBy) {
        let nothing = (Vec::new(), Vec::new(), SpreadBy::Pod);
        if fact.node.is_some() {
            let known = self.pods.find(&fact.name).map(|id| &self.pods.get(id).fact);
            let known = known.filter(|known| known.uid == fact.uid);
            let placed_by = known.and_then(|known| known.ask.relations.as_deref());
            let placed_by = placed_by.filter(|relations| relations.spread_by != SpreadBy::Pod);
            return placed_by.map_or(nothing, |relations| {
                let Relations { spread, wished_spread, spread_by, .. } = relations;
                (spread.clone(), wished_spread.clone(), *spread_by)
            });
        }
        let profile = fact.ask.profile.as_ref();
        let Some(defaults) = profile.and_then(|profile| profile.default_spread.as_ref()) else {
            return nothing;
        };
        let controller = fact.selected_by.zip(fact.controller.as_deref());
        let controller = controller.and_then(|(kind, controller)| {
            let (_, name) = controller.split_once('/')?;
            Some((kind, name))
        });
        let Some(kin) = self.spreading.selecting.kin(&fact.labels, controller) else {
            return nothing;
        };
        let filled = |constraints: &[Spread]| -> Vec<Spread> {
            let filled = constraints.iter().map(|constraint| Spread {
                selector: Some(kin.clone()),
                namespace: fact.labels.namespace.clone(),
                ..constraint.clone()
            });
            filled.collect()
        };
        (filled(&defaults.required), filled(&defaults.wished), defaults.by)
    }
}

/// True if the pod itself does not say how it is spread.
fn says_nothing(relations: &Relations) -> bool {
    relations.spread_by != SpreadBy::Pod
        || relations.spread.is_empty() && relations.wished_spread.is_empty()
}
