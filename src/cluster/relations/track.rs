//! Keeps relations current: asks that come and go with their selectors, pods that are described, placed, and
//! released, namespaces whose labels change. Drafts place and release too, and leave no mark of it.
//! Invariant: a pod counts for exactly the selectors that match its labels as they were told last.

use smallvec::SmallVec;

use super::label_sets::LabelSetId;
use super::moved::NodeChange;
use super::selectors::{Counts, Effect, Novelty, PodSelector};
use super::signatures::Matched;
use super::wants::{Attraction, Counted, Repulsion, SpreadWant, Wants, Wish};
use super::{Attention, Moved, PodTraits, Relations, Row};
use crate::base::id::Id;
use crate::base::names::Name;
use crate::cluster::asks::{AskTable, InternedAsk, Relation};
use crate::cluster::draft::Step;
use crate::cluster::ids::{AskId, NodeId, PodId, SelectorId, SignatureId, TermId};
use crate::cluster::nodes::Nodes;
use crate::cluster::pods::Pods;
use crate::cluster::relations::Life;
use crate::cluster::renumbering::Renumbering;
use crate::workload::relations::{self as written, PodTerm, Spread};

/// Whether a pod comes to a node or leaves it.
#[derive(Clone, Copy)]
enum Shift {
    Come,
    Leave,
    /// So often it comes in a draft, of which nobody is told; negative where it leaves.
    Draft(i64),
}

impl Shift {
    const fn sign(self) -> i64 {
        match self {
            Self::Come => 1,
            Self::Leave => -1,
            Self::Draft(count) => count,
        }
    }
}

impl Relations {
    /// Takes in an ask that wants something of other pods, unless it is known.
    pub(in crate::cluster) fn adopt(
        &mut self,
        id: AskId,
        written: &written::Relations,
        pods: &Pods,
    ) {
        if self.wants.len() <= id.index() {
            self.wants.resize_with(id.index() + 1, || None);
        }
        if self.wants[id.index()].is_some() {
            return;
        }
        let affinity = (!written.affinity.is_empty()).then(|| Attraction {
            selector: PodSelector::of_terms(&written.affinity).map(|what| self.select(what, pods)),
            keys: written
                .affinity
                .iter()
                .map(|term| self.keys.intern(&term.topology_key))
                .collect(),
        });
        let repulsion: SmallVec<[Repulsion; 1]> =
            written.anti_affinity.iter().filter_map(|term| self.repulsion(term, pods)).collect();
        for repulsion in &repulsion {
            self.selectors.get_mut(repulsion.selector).repelled_by.insert(id);
        }
        let spread = written.spread.iter().map(|spread| self.spread(spread, pods)).collect();
        let wishes = written.wishes.iter();
        let wishes = wishes
            .filter_map(|wish| self.wish(&wish.term, Effect::Weighs(i64::from(wish.weight)), pods))
            .collect();
        let bonds = written.affinity.iter();
        let bonds = bonds.filter_map(|term| self.wish(term, Effect::Binds, pods)).collect();
        let wished_spread =
            written.wished_spread.iter().map(|spread| self.spread(spread, pods)).collect();
        let wants = Wants { affinity, repulsion, spread, wishes, bonds, wished_spread };
        if !wants.is_empty() {
            self.wants[id.index()] = Some(Box::new(wants));
        }
    }

    fn repulsion(&mut self, term: &PodTerm, pods: &Pods) -> Option<Repulsion> {
        let what = PodSelector::of_terms(std::slice::from_ref(term))?;
        let selector = self.select(what, pods);
        let key = self.keys.intern(&term.topology_key);
        let term = self.selectors.intern_term(selector, key, Effect::Repels);
        Some(Repulsion { selector, key, term })
    }

    fn wish(&mut self, term: &PodTerm, effect: Effect, pods: &Pods) -> Option<Wish> {
        let what = PodSelector::of_terms(std::slice::from_ref(term))?;
        let selector = self.select(what, pods);
        let key = self.keys.intern(&term.topology_key);
        let term = self.selectors.intern_term(selector, key, effect);
        let weight = match effect {
            Effect::Weighs(weight) => weight,
            Effect::Repels | Effect::Binds => 0,
        };
        Some(Wish { selector, key, term, weight })
    }

    fn spread(&mut self, spread: &Spread, pods: &Pods) -> SpreadWant {
        let counted = match (PodSelector::of_spread(spread), &spread.selector) {
            (Some(what), _) => Counted::Selected(self.select(what, pods)),
            (None, Some(_)) => Counted::OnlyItself,
            (None, None) => Counted::Nobody,
        };
        SpreadWant {
            key: self.keys.intern(&spread.topology_key),
            counted,
            max_skew: i64::from(spread.max_skew),
            min_domains: spread.min_domains as usize,
            node_affinity_policy: spread.node_affinity_policy,
            node_taints_policy: spread.node_taints_policy,
        }
    }

    /// Forgets what an ask wanted that is dropped.
    pub(in crate::cluster) fn disown(&mut self, id: AskId, pods: &Pods) {
        let Some(wants) = self.wants.get_mut(id.index()).and_then(Option::take) else { return };
        if let Some(affinity) = &wants.affinity {
            affinity.keys.iter().for_each(|key| self.keys.forget(*key));
        }
        for repulsion in &wants.repulsion {
            self.selectors.get_mut(repulsion.selector).repelled_by.remove(&id);
            self.selectors.forget_term(repulsion.term);
            self.keys.forget(repulsion.key);
        }
        for wish in wants.wishes.iter().chain(&wants.bonds) {
            self.selectors.forget_term(wish.term);
            self.keys.forget(wish.key);
        }
        let spread = wants.spread.iter().chain(&wants.wished_spread);
        spread.for_each(|spread| self.keys.forget(spread.key));
        for selector in wants.selectors() {
            self.unselect(selector, pods);
        }
    }

    /// The selector's id, with one user more. What a new one matches is counted.
    fn select(&mut self, what: PodSelector, pods: &Pods) -> SelectorId {
        self.wake();
        let (id, novelty) = self.selectors.intern(what);
        match novelty {
            Novelty::Known => return id,
            Novelty::New => {}
        }
        let what = self.selectors.get(id).what.clone();
        let mut matching = self.sets.candidates(&what.scopes);
        matching.retain(|set| {
            let labels = &self.sets.get(*set).labels;
            what.matches(labels, self.namespace(&labels.namespace))
        });
        self.sets.gain(&matching, id);
        for set in matching {
            self.count_set(set, id, 1, pods);
            self.resign(set, pods);
        }
        id
    }

    /// One user of a selector less.
    fn unselect(&mut self, id: SelectorId, pods: &Pods) {
        let Some(what) = self.selectors.forget(id) else { return };
        let mut matching = self.sets.candidates(&what.scopes);
        matching.retain(|set| self.sets.matched_by(*set).binary_search(&id).is_ok());
        self.sets.lose(&matching, id);
        for set in matching {
            self.resign(set, pods);
        }
    }

    /// Counts the placed pods of a set in for a selector (1), or out (-1).
    fn count_set(&mut self, set: LabelSetId, selector: SelectorId, count: i64, pods: &Pods) {
        let counts = self.selectors.get(selector).what.counts;
        for pod in &self.sets.get(set).pods {
            let row = self.rows[pod.index()].as_ref().expect("pods of a set are described");
            if let Some(node) = pods.node_of(*pod)
                && counts.include(row.life)
            {
                self.selectors.get_mut(selector).pods.shift(node, count);
            }
        }
    }

    /// Notes that other selectors match the pods of a set.
    fn resign(&mut self, set: LabelSetId, pods: &Pods) {
        let waiting = self.sets.get(set).pods.iter().filter(|pod| pods.node_of(**pod).is_none());
        self.resigned.extend(waiting);
    }

    /// Begins to follow pods by their labels.
    fn wake(&mut self) {
        match self.attention {
            Attention::Awake => {}
            Attention::Asleep => {
                self.attention = Attention::Awake;
                for pod in 0..self.rows.len() {
                    self.enter_set(PodId::from_index(pod));
                }
            }
        }
    }

    /// Takes in the labels of a namespace.
    pub(in crate::cluster) fn observe_namespace(
        &mut self,
        name: &Name,
        labels: Option<&[(Name, Name)]>,
        pods: &Pods,
    ) {
        match labels {
            Some(labels) => self.namespaces.insert(name.clone(), labels.to_vec()),
            None => self.namespaces.remove(name),
        };
        for set in self.sets.in_namespace(name) {
            let matched = self.matching(set);
            let before = Matched::from(self.sets.matched_by(set));
            if matched == before {
                continue;
            }
            for gone in before.iter().filter(|id| !matched.contains(id)) {
                self.count_set(set, *gone, -1, pods);
                self.moved.note_left(*gone);
            }
            for new in matched.iter().filter(|id| !before.contains(id)) {
                self.count_set(set, *new, 1, pods);
                self.moved.note_came(*new);
            }
            self.sets.rematch(set, matched);
            self.resign(set, pods);
        }
    }

    fn matching(&self, set: LabelSetId) -> Matched {
        let labels = &self.sets.get(set).labels;
        self.selectors.matching(labels, self.namespace(&labels.namespace))
    }

    /// Takes in what a pod is, which stands on `node` if on any. True if a filter could notice.
    pub(in crate::cluster) fn describe(
        &mut self,
        asks: &AskTable,
        pod: PodId,
        traits: &PodTraits<'_>,
        node: Option<NodeId>,
    ) -> bool {
        if self.rows.len() <= pod.index() {
            self.rows.resize(pod.index() + 1, None);
        }
        let PodTraits { ask, labels, life } = *traits;
        let relation = asks.get(ask).relation;
        let row = Row { labels: labels.clone(), ask, life, relation, set: LabelSetId(0), at: 0 };
        let matters = self.attention == Attention::Awake
            || relation == Relation::Some
            || self.row(pod).is_some_and(|before| before.relation == Relation::Some);
        if let Some(node) = node {
            self.leave(asks, pod, node);
        }
        self.leave_set(pod);
        self.rows[pod.index()] = Some(row);
        self.enter_set(pod);
        if let Some(node) = node {
            self.arrive(asks, pod, node);
        }
        matters && node.is_some()
    }

    /// Forgets a pod that stands on no node.
    pub(in crate::cluster) fn undescribe(&mut self, pod: PodId) {
        self.leave_set(pod);
        if let Some(row) = self.rows.get_mut(pod.index()) {
            *row = None;
        }
    }

    fn enter_set(&mut self, pod: PodId) {
        if self.attention == Attention::Asleep {
            return;
        }
        let Some(labels) = self.row(pod).map(|row| row.labels.clone()) else { return };
        let set = self.sets.find(&labels).unwrap_or_else(|| {
            let matched = self.selectors.matching(&labels, self.namespace(&labels.namespace));
            self.sets.insert(&labels, matched)
        });
        let pods = &mut self.sets.get_mut(set).pods;
        let at = u32::try_from(pods.len()).expect("pods are counted in 32 bits");
        pods.push(pod);
        let row = self.rows[pod.index()].as_mut().expect("it was just looked at");
        (row.set, row.at) = (set, at);
    }

    fn leave_set(&mut self, pod: PodId) {
        if self.attention == Attention::Asleep {
            return;
        }
        let Some((set, at)) = self.row(pod).map(|row| (row.set, row.at)) else { return };
        let pods = &mut self.sets.get_mut(set).pods;
        pods.swap_remove(at as usize);
        match pods.get(at as usize).copied() {
            Some(moved) => {
                let row = self.rows[moved.index()].as_mut();
                row.expect("pods of a set are described").at = at;
            }
            None if pods.is_empty() => self.sets.remove(set),
            None => {}
        }
    }

    /// Counts in that a described pod stands on `node` now.
    #[inline]
    pub(in crate::cluster) fn arrive(&mut self, asks: &AskTable, pod: PodId, node: NodeId) {
        self.shift_by(asks, pod, node, Shift::Come);
    }

    /// Counts out that a described pod stands on `node` no more.
    #[inline]
    pub(in crate::cluster) fn leave(&mut self, asks: &AskTable, pod: PodId, node: NodeId) {
        self.shift_by(asks, pod, node, Shift::Leave);
    }

    /// Counts a described pod in on `node` (1), or out (-1), as a draft does.
    #[inline]
    pub(in crate::cluster) fn shift_pod(
        &mut self,
        asks: &AskTable,
        pod: PodId,
        node: NodeId,
        count: i64,
    ) {
        self.shift_by(asks, pod, node, Shift::Draft(count));
    }

    /// Counts a described pod in on `node`, or out, and notes for whom that matters.
    #[inline]
    fn shift_by(&mut self, asks: &AskTable, pod: PodId, node: NodeId, shift: Shift) {
        let Some(row) = self.rows.get(pod.index()).and_then(Option::as_ref) else { return };
        let (ask, life) = (row.ask, row.life);
        match self.attention {
            Attention::Asleep => {}
            Attention::Awake => {
                let signature = self.sets.get(row.set).signature;
                for id in self.sets.matched(signature) {
                    let selector = self.selectors.get_mut(*id);
                    if selector.what.counts.include(life) {
                        selector.pods.shift(node, shift.sign());
                    }
                    match shift {
                        Shift::Come => self.moved.note_came(*id),
                        Shift::Leave => self.moved.note_left(*id),
                        Shift::Draft(_) => {}
                    }
                }
            }
        }
        match row.relation {
            Relation::None | Relation::Ranked => {}
            Relation::Some => {
                self.shift_wants(ask, asks.get(ask), node, shift.sign());
                self.note_freed(ask, shift);
            }
        }
    }

    /// Notes whom a pod of this ask kept away, if it leaves.
    fn note_freed(&mut self, ask: AskId, shift: Shift) {
        match shift {
            Shift::Come | Shift::Draft(_) => {}
            Shift::Leave => {
                let wants = self.wants.get(ask.index()).and_then(Option::as_deref);
                for repulsion in wants.into_iter().flat_map(|wants| &wants.repulsion) {
                    self.moved.note_freed(repulsion.selector);
                }
            }
        }
    }

    /// Counts in as many pods as `count` says that a draft places by `step`; a negative count takes them back.
    #[inline]
    pub(in crate::cluster) fn shift(&mut self, asks: &AskTable, step: Step, count: i64) {
        let interned = asks.get(step.ask);
        match interned.relation {
            Relation::None | Relation::Ranked => {}
            Relation::Some => self.shift_wants(step.ask, interned, step.node, count),
        }
        if step.signature != SignatureId::NONE {
            for selector in self.sets.matched(step.signature) {
                self.selectors.get_mut(*selector).pods.shift(step.node, count);
            }
        }
    }

    fn shift_wants(&mut self, id: AskId, interned: &InternedAsk, node: NodeId, count: i64) {
        if let Some(written) = &interned.ask.relations {
            for port in &written.host_ports {
                self.ports.shift(node, port, count);
            }
        }
        let wants = self.wants.get(id.index()).and_then(Option::as_deref);
        for term in wants.into_iter().flat_map(Wants::carried) {
            self.selectors.term_mut(term).carriers.shift(node, count);
        }
    }

    /// Notes that a node object came, went, or changed.
    pub(in crate::cluster) fn note_node(&mut self, change: NodeChange<'_>) {
        match self.attention {
            Attention::Asleep => {}
            Attention::Awake => self.moved.note_node(change, self.keys.names()),
        }
    }

    pub(in crate::cluster) fn take_moved(&mut self) -> Moved {
        std::mem::take(&mut self.moved)
    }

    pub(in crate::cluster) fn take_resigned(&mut self) -> Vec<PodId> {
        std::mem::take(&mut self.resigned)
    }

    /// Brings the domains up to date with the node objects.
    pub(in crate::cluster) fn refresh_domains(&mut self, nodes: &Nodes) {
        self.keys.refresh(nodes);
    }

    /// Gives all nodes their new ids.
    pub(in crate::cluster) fn renumber(&mut self, new: &Renumbering) {
        self.ports.renumber(new);
        self.selectors.renumber(new);
    }
}

impl Wants {
    /// True if there is nothing to compile: host ports alone are read as they are written.
    fn is_empty(&self) -> bool {
        !self.requires_anything() && self.wishes.is_empty() && self.wished_spread.is_empty()
    }

    /// True if any of it must be met.
    fn requires_anything(&self) -> bool {
        self.affinity.is_some() || !self.repulsion.is_empty() || !self.spread.is_empty()
    }

    /// The selectors that it has a use of, one by one.
    fn selectors(&self) -> impl Iterator<Item = SelectorId> {
        let wishes = self.wishes.iter().chain(&self.bonds).map(|wish| wish.selector);
        let affinity = self.affinity.iter().filter_map(|affinity| affinity.selector);
        let repulsion = self.repulsion.iter().map(|repulsion| repulsion.selector);
        let spread = self.spread.iter().chain(&self.wished_spread);
        let spread = spread.filter_map(|spread| spread.counted.selector());
        affinity.chain(repulsion).chain(wishes).chain(spread)
    }

    /// The terms that a pod carries once it runs.
    pub fn carried(&self) -> impl Iterator<Item = TermId> {
        let wishes = self.wishes.iter().chain(&self.bonds).map(|wish| wish.term);
        self.repulsion.iter().map(|repulsion| repulsion.term).chain(wishes)
    }
}

impl Counted {
    /// The selector that counts pods, if there is one.
    pub const fn selector(self) -> Option<SelectorId> {
        match self {
            Self::Selected(selector) => Some(selector),
            Self::Nobody | Self::OnlyItself => None,
        }
    }
}

impl Counts {
    /// True if a pod of this life counts.
    pub(super) const fn include(self, life: Life) -> bool {
        match (self, life) {
            (Self::Everybody, Life::Staying | Life::Leaving) | (Self::Staying, Life::Staying) => {
                true
            }
            (Self::Staying, Life::Leaving) => false,
        }
    }
}
