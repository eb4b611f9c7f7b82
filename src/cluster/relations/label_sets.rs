//! Pods by their labels: pods of one template share a set, so that a selector is compared once per set. Sets are
//! found by a label or a namespace, so that a new selector need not be compared with all of them.
//! Knows no selector beyond its id. Invariant: a set lives as long as a pod has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::selectors::{Demand, Scope};
use super::signatures::{Matched, Signatures};
use crate::base::names::Name;
use crate::base::slab::Slab;
use crate::cluster::ids::{PodId, SelectorId, SignatureId};
use crate::id_type;
use crate::workload::relations::SharedLabels;

id_type!(
    /// Labels that one or more pods have.
    LabelSetId
);

/// Labels and the pods that have them.
#[derive(Clone, Debug)]
pub(super) struct LabelSet {
    pub(super) labels: SharedLabels,
    /// Described pods, placed or not.
    pub(super) pods: Vec<PodId>,
    /// Which selectors match.
    pub(super) signature: SignatureId,
}

/// All sets of labels.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelSets {
    rows: Slab<LabelSetId, LabelSet>,
    /// By where the labels lie: facts share them. Equal labels in two places are two sets, which does no harm.
    by_address: FxHashMap<usize, LabelSetId>,
    by_label: FxHashMap<Name, FxHashMap<Name, BTreeSet<LabelSetId>>>,
    by_namespace: FxHashMap<Name, BTreeSet<LabelSetId>>,
    signatures: Signatures,
}

impl LabelSets {
    #[inline]
    pub(super) fn get(&self, id: LabelSetId) -> &LabelSet {
        &self.rows[id]
    }

    pub(super) fn get_mut(&mut self, id: LabelSetId) -> &mut LabelSet {
        &mut self.rows[id]
    }

    /// The set of these labels, if a pod has it.
    pub(super) fn find(&self, labels: &SharedLabels) -> Option<LabelSetId> {
        self.by_address.get(&address(labels)).copied()
    }

    /// A new set, which no pod has yet, of labels that these selectors match.
    pub(super) fn insert(&mut self, labels: &SharedLabels, matched: Matched) -> LabelSetId {
        let signature = self.signatures.enter(matched);
        let row = LabelSet { labels: labels.clone(), pods: Vec::new(), signature };
        let id = self.rows.insert(row);
        self.by_address.insert(address(labels), id);
        self.by_namespace.entry(labels.namespace.clone()).or_default().insert(id);
        for (key, value) in &labels.pairs {
            let values = self.by_label.entry(key.clone()).or_default();
            values.entry(value.clone()).or_default().insert(id);
        }
        id
    }

    /// Takes out a set that no pod has any more.
    pub(super) fn remove(&mut self, id: LabelSetId) {
        let Some(gone) = self.rows.remove(id) else { return };
        assert!(gone.pods.is_empty(), "a set lives as long as a pod has it");
        self.signatures.leave(gone.signature);
        self.by_address.remove(&address(&gone.labels));
        take_out(&mut self.by_namespace, &gone.labels.namespace, id);
        for (key, value) in &gone.labels.pairs {
            let Some(values) = self.by_label.get_mut(key) else { continue };
            take_out(values, value, id);
            if values.is_empty() {
                self.by_label.remove(key);
            }
        }
    }

    /// Says anew which selectors match the labels of a set.
    pub(super) fn rematch(&mut self, id: LabelSetId, matched: Matched) {
        self.signatures.leave(self.rows[id].signature);
        self.rows[id].signature = self.signatures.enter(matched);
    }

    /// One selector more matches these sets.
    pub(super) fn gain(&mut self, sets: &[LabelSetId], selector: SelectorId) {
        self.shift(sets, |signatures, before, count| signatures.gain(before, selector, count));
    }

    /// A selector matches these sets no more.
    pub(super) fn lose(&mut self, sets: &[LabelSetId], selector: SelectorId) {
        self.shift(sets, |signatures, before, count| signatures.lose(before, selector, count));
    }

    /// Gives sets other signatures: one for all that had the same.
    fn shift(
        &mut self,
        sets: &[LabelSetId],
        mut shift: impl FnMut(&mut Signatures, SignatureId, u32) -> SignatureId,
    ) {
        let mut counts: BTreeMap<SignatureId, u32> = BTreeMap::new();
        for set in sets {
            *counts.entry(self.rows[*set].signature).or_default() += 1;
        }
        let mut shifted = |(before, count)| (before, shift(&mut self.signatures, before, count));
        let now: FxHashMap<SignatureId, SignatureId> =
            counts.into_iter().map(&mut shifted).collect();
        for set in sets {
            let signature = &mut self.rows[*set].signature;
            *signature = now[signature];
        }
    }

    /// The selectors that match a set.
    pub(super) fn matched_by(&self, id: LabelSetId) -> &[SelectorId] {
        self.signatures.matched(self.rows[id].signature)
    }

    /// The selectors that match pods of a signature; none for one that no pod has any more.
    #[inline]
    pub(super) fn matched(&self, signature: SignatureId) -> &[SelectorId] {
        self.signatures.matched(signature)
    }

    /// Sets that a selector of these scopes may match, in id order: all that meet the one of its demands that the fewest
    /// meet.
    pub(super) fn candidates(&self, scopes: &[Scope]) -> Vec<LabelSetId> {
        let mut fewest: Option<Vec<&BTreeSet<LabelSetId>>> = None;
        let count = |groups: &[&BTreeSet<_>]| groups.iter().map(|group| group.len()).sum::<usize>();
        let mut offer = |groups: Vec<_>| {
            if fewest.as_ref().is_none_or(|fewest| count(&groups) < count(fewest)) {
                fewest = Some(groups);
            }
        };
        for demand in scopes.iter().flat_map(Scope::demands) {
            offer(match demand {
                Demand::Label(key, values) => match self.by_label.get(key) {
                    Some(known) => values.iter().filter_map(|value| known.get(value)).collect(),
                    None => Vec::new(),
                },
                Demand::Key(key) => {
                    self.by_label.get(key).into_iter().flat_map(FxHashMap::values).collect()
                }
                Demand::Namespace(names) => {
                    names.iter().filter_map(|name| self.by_namespace.get(name)).collect()
                }
            });
        }
        match fewest {
            Some(groups) => {
                let mut found: Vec<_> = groups.into_iter().flatten().copied().collect();
                found.sort_unstable();
                found.dedup();
                found
            }
            None => self.rows.iter().map(|(id, _)| id).collect(),
        }
    }

    /// The sets of pods in one namespace.
    pub(super) fn in_namespace(&self, namespace: &str) -> Vec<LabelSetId> {
        self.by_namespace.get(namespace).into_iter().flatten().copied().collect()
    }
}

fn address(labels: &SharedLabels) -> usize {
    Arc::as_ptr(labels).addr()
}

fn take_out(groups: &mut FxHashMap<Name, BTreeSet<LabelSetId>>, key: &Name, id: LabelSetId) {
    if let Some(group) = groups.get_mut(key) {
        group.remove(&id);
        if group.is_empty() {
            groups.remove(key);
        }
    }
}
