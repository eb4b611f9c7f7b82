//! What an ask wants of other pods, with selectors, terms, and keys by id: compiled once per ask.
//! What is required and what is only wished for stand apart: only the first can refuse a pod.
//! Holds one use of each id, given back when the ask is dropped. Knows no pod and no node.

use smallvec::SmallVec;

use crate::cluster::ids::{KeyId, SelectorId, TermId};
use crate::workload::relations::InclusionPolicy;

/// What an ask wants of other pods.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    /// Required affinity, all terms together.
    pub affinity: Option<Attraction>,
    /// Required anti-affinity, term by term; terms that match no pod are left out.
    pub repulsion: SmallVec<[Repulsion; 1]>,
    /// Spread constraints, in the order in which they are written.
    pub spread: SmallVec<[SpreadWant; 1]>,
    /// Preferred affinity and anti-affinity; terms that match no pod are left out.
    pub wishes: SmallVec<[Wish; 1]>,
    /// Its required affinity, term by term, as what makes it worth something to the pods that match once it runs.
    pub bonds: SmallVec<[Wish; 1]>,
    /// Spread constraints that are only wished for.
    pub wished_spread: SmallVec<[SpreadWant; 1]>,
}

/// A term with a weight: so much is each pod worth that it matches, in its domain.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The pods that it matches.
    pub selector: SelectorId,
    /// Of which key the domains are.
    pub key: KeyId,
    /// The same as a term that the pod carries once it runs, with its weight.
    pub term: TermId,
    /// From -100 to 100; without meaning for required affinity.
    pub weight: i64,
}

/// Required affinity.
#[derive(Clone, Debug)]
pub struct Attraction {
    /// The pods that all terms match; `None` where no pod can.
    pub selector: Option<SelectorId>,
    /// The keys, one per term.
    pub keys: SmallVec<[KeyId; 1]>,
}

/// A term of required anti-affinity.
#[derive(Clone, Copy, Debug)]
pub struct Repulsion {
    /// The pods that it matches.
    pub selector: SelectorId,
    /// Of which key the domains are.
    pub key: KeyId,
    /// The same as a term that the pod carries once it runs.
    pub term: TermId,
}

/// A topology spread constraint.
#[derive(Clone, Copy, Debug)]
pub struct SpreadWant {
    /// Of which key the domains are.
    pub key: KeyId,
    /// Which pods count.
    pub counted: Counted,
    /// By how much a domain may be ahead of the last one.
    pub max_skew: i64,
    /// With fewer domains than this, the last one counts as empty.
    pub min_domains: usize,
    /// Whether nodes that node selector and affinity reject count.
    pub node_affinity_policy: InclusionPolicy,
    /// Whether nodes with taints that are not tolerated count.
    pub node_taints_policy: InclusionPolicy,
}

/// Which pods a spread constraint counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// None: it has no selector.
    Nobody,
    /// The pod that is placed, and no pod that runs: its selector is empty. So upstream counts.
    OnlyItself,
    /// Those that are selected, the pod itself among them if it is.
    Selected(SelectorId),
}
