//! The selectors that asks use, each once, with how many of the pods that it matches are on each node; and the
//! terms that running pods carry for or against those that a selector matches.
//! Given a pod's labels, finds the selectors that match without trying all: each is filed under a label, a key, or a
//! namespace that it demands. Invariant: a selector lives as long as somebody uses it. Knows no pod.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::column::Column;
use crate::base::labels::{LabelSelector, Operator, Requirement};
use crate::base::names::Name;
use crate::base::slab::Slab;
use crate::cluster::ids::{AskId, KeyId, SelectorId, TermId};
use crate::cluster::renumbering::Renumbering;
use crate::workload::relations::{PodLabels, PodTerm, Spread};

/// Which pods a selector counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PodSelector {
    /// All of these must match, at least one.
    pub(super) scopes: Vec<Scope>,
    /// Whether pods that are being deleted count.
    pub(super) counts: Counts,
}

/// Pods by namespace and labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scope {
    namespaces: Vec<Name>,
    namespace_selector: Option<LabelSelector>,
    labels: LabelSelector,
}

/// Whether pods that are being deleted count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counts {
    /// They do, as for affinity.
    Everybody,
    /// They do not, as for spreading.
    Staying,
}

/// Labels of a namespace.
pub(super) type NamespaceLabels = [(Name, Name)];

impl PodSelector {
    /// Pods that all of `terms` match; `None` where no pod can.
    pub(super) fn of_terms(terms: &[PodTerm]) -> Option<Self> {
        let scope = |term: &PodTerm| {
            Some(Scope {
                namespaces: term.namespaces.clone(),
                namespace_selector: term.namespace_selector.clone(),
                labels: term.selector.clone()?,
            })
        };
        let mut scopes: Vec<Scope> = terms.iter().map(scope).collect::<Option<_>>()?;
        scopes.sort();
        scopes.dedup();
        Some(Self { scopes, counts: Counts::Everybody })
    }

    /// Pods that a spread constraint counts; `None` where it counts none. As upstream, the selector that
    /// selects everything counts nobody.
    pub(super) fn of_spread(spread: &Spread) -> Option<Self> {
        let labels = spread.selector.clone().filter(|selector| !selector.is_everything())?;
        let scope =
            Scope { namespaces: vec![spread.namespace.clone()], namespace_selector: None, labels };
        Some(Self { scopes: vec![scope], counts: Counts::Staying })
    }

    /// True if it matches a pod with these labels in a namespace with those.
    pub(super) fn matches(&self, pod: &PodLabels, namespace: &NamespaceLabels) -> bool {
        self.scopes.iter().all(|scope| scope.matches(pod, namespace))
    }

    /// The demand that the fewest pods are likely to meet; none where it makes none that pods can be found by.
    fn demanded(&self) -> Option<Demand<'_>> {
        let demands = self.scopes.iter().flat_map(Scope::demands);
        demands.min_by_key(|demand| match demand {
            Demand::Label(_, values) => (0, values.len()),
            Demand::Key(_) => (1, 1),
            Demand::Namespace(names) => (2, names.len()),
        })
    }
}

/// Something that pods can be found by, without which a selector matches none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Demand<'a> {
    /// A label of this key with one of these values.
    Label(&'a Name, &'a [Name]),
    /// A label of this key.
    Key(&'a Name),
    /// One of these namespaces.
    Namespace(&'a [Name]),
}

impl<'a> Demand<'a> {
    /// What a requirement demands; none where a pod without the label meets it.
    fn of(requirement: &'a Requirement) -> Option<Self> {
        let Requirement { key, operator, values } = requirement;
        match operator {
            Operator::In => Some(Self::Label(key, values)),
            Operator::Exists | Operator::GreaterThan | Operator::LessThan => Some(Self::Key(key)),
            Operator::NotIn | Operator::DoesNotExist => None,
        }
    }
}

impl Scope {
    /// Pods that `labels` selects in these namespaces, or in any.
    pub(super) fn of(labels: &LabelSelector, namespaces: Option<&[Name]>) -> Self {
        Self {
            namespaces: namespaces.unwrap_or_default().to_vec(),
            namespace_selector: namespaces.is_none().then(LabelSelector::everything),
            labels: labels.clone(),
        }
    }

    fn matches(&self, pod: &PodLabels, namespace: &NamespaceLabels) -> bool {
        self.holds_namespace(&pod.namespace, namespace) && self.labels.matches(|key| pod.get(key))
    }

    fn holds_namespace(&self, name: &Name, labels: &NamespaceLabels) -> bool {
        self.namespaces.contains(name)
            || self.namespace_selector.as_ref().is_some_and(|selector| {
                let value = |key: &str| labels.iter().find(|(name, _)| &**name == key);
                selector.matches(|key| value(key).map(|(_, value)| &**value))
            })
    }

    /// What it demands of each pod.
    pub(super) fn demands(&self) -> impl Iterator<Item = Demand<'_>> {
        let listed = self.namespace_selector.is_none();
        let namespaces = listed.then_some(Demand::Namespace(&self.namespaces));
        self.labels.requirements.iter().filter_map(Demand::of).chain(namespaces)
    }
}

/// A selector in use.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) what: Arc<PodSelector>,
    users: u32,
    /// How many of the pods that it matches are on each node.
    pub(super) pods: Column,
    /// Terms against the pods that it matches.
    pub(super) repelling: SmallVec<[TermId; 1]>,
    /// Asks with a term against the pods that it matches.
    pub(super) repelled_by: BTreeSet<AskId>,
    /// Terms that make the carriers' domains better or worse for them.
    pub(super) wishing: SmallVec<[TermId; 1]>,
}

/// What a term of a pod that runs means to the pods that its selector matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// They may not come into its domain.
    Repels,
    /// Its domain is better for them by so much, or worse.
    Weighs(i64),
    /// The pod that carries it must be with them, so that its domain is better for them: by how much, the profile of
    /// those that are placed says.
    Binds,
}

/// A term that pods carry.
#[derive(Clone, Debug)]
pub struct Term {
    /// Whom it is about.
    pub selector: SelectorId,
    /// Of which key the domains are.
    pub key: KeyId,
    /// What it means to them.
    pub effect: Effect,
    users: u32,
    /// How many pods on each node carry it.
    pub(super) carriers: Column,
}

/// Selectors by something that they demand, each in one place of the four.
#[derive(Clone, Debug, Default)]
struct Files {
    by_label: FxHashMap<(Name, Name), Vec<SelectorId>>,
    by_key: FxHashMap<Name, Vec<SelectorId>>,
    by_namespace: FxHashMap<Name, Vec<SelectorId>>,
    /// Those that demand nothing.
    rest: Vec<SelectorId>,
}

impl Files {
    fn put(&mut self, id: SelectorId, what: &PodSelector) {
        match what.demanded() {
            Some(Demand::Label(key, values)) => {
                for value in values {
                    self.by_label.entry((key.clone(), value.clone())).or_default().push(id);
                }
            }
            Some(Demand::Key(key)) => self.by_key.entry(key.clone()).or_default().push(id),
            Some(Demand::Namespace(names)) => {
                for name in names {
                    self.by_namespace.entry(name.clone()).or_default().push(id);
                }
            }
            None => self.rest.push(id),
        }
    }

    fn take(&mut self, id: SelectorId, what: &PodSelector) {
        match what.demanded() {
            Some(Demand::Label(key, values)) => {
                for value in values {
                    take_out(&mut self.by_label, &(key.clone(), value.clone()), id);
                }
            }
            Some(Demand::Key(key)) => take_out(&mut self.by_key, key, id),
            Some(Demand::Namespace(names)) => {
                for name in names {
                    take_out(&mut self.by_namespace, name, id);
                }
            }
            None => self.rest.retain(|other| *other != id),
        }
    }

    /// Selectors of whose demands a pod with these labels meets one, and those that make none; each once.
    fn of(&self, pod: &PodLabels) -> impl Iterator<Item = SelectorId> {
        let by_label = pod.pairs.iter().filter_map(|label| self.by_label.get(label));
        let by_key = pod.pairs.iter().filter_map(|(key, _)| self.by_key.get(key));
        let by_namespace = self.by_namespace.get(&pod.namespace);
        let filed = by_label.chain(by_key).chain(by_namespace).flatten();
        filed.chain(&self.rest).copied()
    }
}

fn take_out<K: Eq + Hash>(file: &mut FxHashMap<K, Vec<SelectorId>>, key: &K, id: SelectorId) {
    if let Some(filed) = file.get_mut(key) {
        filed.retain(|other| *other != id);
        if filed.is_empty() {
            file.remove(key);
        }
    }
}

/// All selectors and terms in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Selectors {
    rows: Slab<SelectorId, Selector>,
    by_content: FxHashMap<Arc<PodSelector>, SelectorId>,
    files: Files,
    terms: Slab<TermId, Term>,
    by_term: FxHashMap<(SelectorId, KeyId, Effect), TermId>,
}

impl Selectors {
    #[inline]
    pub(super) fn get(&self, id: SelectorId) -> &Selector {
        &self.rows[id]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SelectorId) -> &mut Selector {
        &mut self.rows[id]
    }

    #[inline]
    pub(super) fn term(&self, id: TermId) -> &Term {
        &self.terms[id]
    }

    #[inline]
    pub(super) fn term_mut(&mut self, id: TermId) -> &mut Term {
        &mut self.terms[id]
    }

    /// All selectors, in id order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SelectorId, &Selector)> {
        self.rows.iter()
    }

    /// All terms, in id order.
    pub(super) fn terms(&self) -> impl Iterator<Item = (TermId, &Term)> {
        self.terms.iter()
    }

    /// The id of an equal selector; counts one more user. A new one counts no pod yet.
    pub(super) fn intern(&mut self, what: PodSelector) -> (SelectorId, Novelty) {
        if let Some(id) = self.by_content.get(&what) {
            self.rows[*id].users += 1;
            return (*id, Novelty::Known);
        }
        let what = Arc::new(what);
        let row = Selector {
            what: what.clone(),
            users: 1,
            pods: Column::default(),
            repelling: SmallVec::new(),
            repelled_by: BTreeSet::new(),
            wishing: SmallVec::new(),
        };
        let id = self.rows.insert(row);
        self.files.put(id, &what);
        self.by_content.insert(what, id);
        (id, Novelty::New)
    }

    /// Counts one user less; gives back what the selector was if that was the last.
    pub(super) fn forget(&mut self, id: SelectorId) -> Option<Arc<PodSelector>> {
        self.rows[id].users -= 1;
        if self.rows[id].users > 0 {
            return None;
        }
        let gone = self.rows.remove(id)?;
        self.files.take(id, &gone.what);
        self.by_content.remove(&gone.what);
        Some(gone.what)
    }

    /// The term of a selector and a key, both of which live as long as it; counts one more user.
    pub(super) fn intern_term(
        &mut self,
        selector: SelectorId,
        key: KeyId,
        effect: Effect,
    ) -> TermId {
        if let Some(id) = self.by_term.get(&(selector, key, effect)) {
            self.terms[*id].users += 1;
            return *id;
        }
        let carriers = Column::default();
        let id = self.terms.insert(Term { selector, key, effect, users: 1, carriers });
        self.by_term.insert((selector, key, effect), id);
        self.rows[selector].terms_mut(effect).push(id);
        id
    }

    /// Counts one user less.
    pub(super) fn forget_term(&mut self, id: TermId) {
        self.terms[id].users -= 1;
        if self.terms[id].users > 0 {
            return;
        }
        let Term { selector, key, effect, .. } = self.terms[id];
        self.terms.remove(id);
        self.by_term.remove(&(selector, key, effect));
        self.rows[selector].terms_mut(effect).retain(|other| *other != id);
    }

    /// The selectors that match a pod with these labels, in id order.
    pub(super) fn matching(
        &self,
        pod: &PodLabels,
        namespace: &NamespaceLabels,
    ) -> SmallVec<[SelectorId; 4]> {
        let matches = |id: &SelectorId| self.rows[*id].what.matches(pod, namespace);
        let mut found: SmallVec<[SelectorId; 4]> =
            self.that_may_match(pod).filter(matches).collect();
        found.sort_unstable();
        found
    }

    /// Selectors among which are all that match a pod with these labels, each once. None of them was compared.
    pub(super) fn that_may_match(&self, pod: &PodLabels) -> impl Iterator<Item = SelectorId> {
        self.files.of(pod)
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        for (_, selector) in self.rows.iter_mut() {
            selector.pods.renumber(new);
        }
        for (_, term) in self.terms.iter_mut() {
            term.carriers.renumber(new);
        }
    }
}

impl Selector {
    fn terms_mut(&mut self, effect: Effect) -> &mut SmallVec<[TermId; 1]> {
        match effect {
            Effect::Repels => &mut self.repelling,
            Effect::Weighs(_) | Effect::Binds => &mut self.wishing,
        }
    }
}

/// Whether something was known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Novelty {
    /// It was.
    Known,
    /// It was not.
    New,
}
