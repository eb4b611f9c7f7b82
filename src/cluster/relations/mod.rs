//! What pods mean to each other, as far as somebody asks: host ports in use, how many pods each selector matches
//! on each node, which nodes have pods that keep others away, and the domains that nodes are in.
//! Kept current by every place and release, of facts and of drafts alike. Until the first ask with a selector
//! comes, a place or release costs a test. Knows no rule: who keeps whom away is for `plugins` to say.
//! Invariant: what is kept equals a recount of the described pods (`audit`).

pub mod column;
pub mod domains;
pub mod moved;
pub mod wants;

pub(super) mod audit;
mod label_sets;
mod ports;
pub mod selectors;
mod signatures;
mod track;

use std::collections::{BTreeMap, BTreeSet};

use self::column::Column;
use self::domains::{TopologyKey, TopologyKeys};
use self::label_sets::{LabelSetId, LabelSets};
use self::moved::Moved;
use self::ports::PortsInUse;
use self::selectors::{Scope, Selectors, Term};
use self::wants::Wants;
use super::asks::Relation;
use super::ids::{AskId, KeyId, NodeId, PodId, SelectorId, SignatureId, TermId};
use crate::base::id::Id;
use crate::base::labels::LabelSelector;
use crate::base::names::Name;
use crate::workload::ask::Ask;
use crate::workload::relations::{HostPort, PodLabels, SharedLabels};

/// Everything about a pod that other pods may ask for.
#[derive(Clone, Copy, Debug)]
pub struct PodTraits<'a> {
    /// What it asks for.
    pub ask: AskId,
    /// Its namespace and labels.
    pub labels: &'a SharedLabels,
    /// Whether it is being deleted.
    pub life: Life,
}

/// Whether a pod is being deleted: some rules count such pods and some do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It is not.
    #[default]
    Staying,
    /// `metadata.deletionTimestamp` is set.
    Leaving,
}

/// The relations of all described pods.
#[derive(Clone, Debug, Default)]
pub struct Relations {
    rows: Vec<Option<Row>>,
    ports: PortsInUse,
    /// By ask; `None` for asks that are gone or want nothing of others.
    wants: Vec<Option<Box<Wants>>>,
    selectors: Selectors,
    keys: TopologyKeys,
    /// Empty while asleep.
    sets: LabelSets,
    attention: Attention,
    /// Labels of namespaces, by name.
    namespaces: BTreeMap<Name, Vec<(Name, Name)>>,
    /// What facts changed since it was asked for last.
    moved: Moved,
    /// Pods on no node that other selectors match than before.
    resigned: Vec<PodId>,
}

/// Whether pods are followed by their labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Attention {
    /// No ask with a selector has come yet.
    #[default]
    Asleep,
    /// From the first such ask on, for good: to begin anew with each that comes and goes costs more than to go on.
    Awake,
}

/// A described pod.
#[derive(Clone, Debug)]
struct Row {
    labels: SharedLabels,
    ask: AskId,
    life: Life,
    relation: Relation,
    /// Its set of labels, and where it stands among the pods of it; without meaning while asleep.
    set: LabelSetId,
    at: u32,
}

impl Relations {
    /// The host ports in use on `node`.
    pub fn ports_on(&self, node: NodeId) -> impl Iterator<Item = &HostPort> {
        self.ports.on(node).iter().map(|(port, _)| port)
    }

    /// What was said of a pod; `None` if nothing was.
    pub fn traits_of(&self, pod: PodId) -> Option<PodTraits<'_>> {
        let row = self.row(pod)?;
        Some(PodTraits { ask: row.ask, labels: &row.labels, life: row.life })
    }

    /// What an ask wants of other pods; `None` for one that wants nothing.
    #[inline]
    pub fn wants(&self, ask: AskId) -> Option<&Wants> {
        self.wants.get(ask.index())?.as_deref()
    }

    /// Asks in use among which are all with a term of anti-affinity against a pod with these labels. Found by a label:
    /// the caller compares what each says.
    pub fn asks_that_may_repel(&self, pod: &PodLabels) -> BTreeSet<AskId> {
        let selectors = self.selectors.that_may_match(pod);
        selectors.flat_map(|selector| &self.selectors.get(selector).repelled_by).copied().collect()
    }

    /// Described pods, placed or not, among which are all that a selector matches in some namespaces, or in
    /// any. Found by a label or a namespace: the caller compares each.
    pub fn pods_that_may_match(
        &self,
        selector: &LabelSelector,
        namespaces: Option<&[Name]>,
    ) -> impl Iterator<Item = PodId> {
        let sets = self.sets.candidates(&[Scope::of(selector, namespaces)]);
        sets.into_iter().flat_map(|set| self.sets.get(set).pods.iter().copied())
    }

    /// Labels of a namespace; none where it is not known.
    pub fn namespace_labels(&self, name: &str) -> &[(Name, Name)] {
        self.namespace(name)
    }

    /// True if some ask that is in use selects pods.
    pub const fn is_awake(&self) -> bool {
        matches!(self.attention, Attention::Awake)
    }

    /// True if something changed that [`super::Cluster::take_moved`] or `take_resigned` would tell.
    pub const fn has_news(&self) -> bool {
        !self.moved.is_none() || !self.resigned.is_empty()
    }

    /// The selectors that match pods of a signature, in id order.
    #[inline]
    pub fn matched(&self, signature: SignatureId) -> &[SelectorId] {
        self.sets.matched(signature)
    }

    /// How many of the pods that a selector matches are on each node.
    pub fn pods(&self, selector: SelectorId) -> &Column {
        &self.selectors.get(selector).pods
    }

    /// The terms against the pods that a selector matches.
    pub fn repelling(&self, selector: SelectorId) -> &[TermId] {
        &self.selectors.get(selector).repelling
    }

    /// The terms that make domains better or worse for the pods that a selector matches.
    pub fn wishing(&self, selector: SelectorId) -> &[TermId] {
        &self.selectors.get(selector).wishing
    }

    /// A term that pods carry.
    pub fn term(&self, id: TermId) -> &Term {
        self.selectors.term(id)
    }

    /// How many pods on each node carry a term.
    pub fn carriers(&self, id: TermId) -> &Column {
        &self.selectors.term(id).carriers
    }

    /// The domains of a key; see [`super::Cluster::refresh_domains`].
    #[inline]
    pub fn key(&self, id: KeyId) -> &TopologyKey {
        self.keys.get(id)
    }

    /// True if pods of this signature are kept away from anywhere by pods that run.
    #[inline]
    pub fn is_repelled(&self, signature: SignatureId) -> bool {
        let mut terms = self.matched(signature).iter().flat_map(|id| self.repelling(*id));
        terms.any(|term| !self.carriers(*term).is_empty())
    }

    /// True if pods that run make some nodes better or worse for pods of this signature.
    #[inline]
    pub fn is_wished_for(&self, signature: SignatureId) -> bool {
        let mut terms = self.matched(signature).iter().flat_map(|id| self.wishing(*id));
        terms.any(|term| !self.carriers(*term).is_empty())
    }

    /// Which selectors match a described pod.
    #[inline]
    pub(super) fn signature_of(&self, pod: PodId) -> SignatureId {
        match self.attention {
            Attention::Asleep => SignatureId::NONE,
            Attention::Awake => {
                self.row(pod).map_or(SignatureId::NONE, |row| self.sets.get(row.set).signature)
            }
        }
    }

    /// True if `moved` could turn a no that pods of this ask, known by `id`, and signature got because of other pods.
    pub fn could_help(
        &self,
        moved: &Moved,
        (id, ask): (AskId, &Ask),
        signature: SignatureId,
    ) -> bool {
        let matched = self.matched(signature);
        let is_freed = |selector: &SelectorId| {
            let mut terms = self.repelling(*selector).iter();
            terms.any(|term| moved.freed(*selector) || moved.moved_pods(self.term(*term).key))
        };
        matched.iter().any(is_freed)
            || self.wants(id).is_some_and(|wants| wants.could_be_met_by(moved, ask, matched))
    }

    #[inline]
    fn row(&self, pod: PodId) -> Option<&Row> {
        self.rows.get(pod.index())?.as_ref()
    }

    fn namespace(&self, name: &str) -> &[(Name, Name)] {
        self.namespaces.get(name).map_or(&[], |labels| labels)
    }
}
