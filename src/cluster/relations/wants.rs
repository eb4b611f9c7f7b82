//! What an ask wants of other pods, with selectors, terms, and keys by id: compiled once per ask.
//! What is required and what is only wished for stand apart: only the first can refuse a pod.
//! Holds one use of each id, given back when the ask is dropped. Knows no pod and no node.

use smallvec::SmallVec;

use super::moved::Moved;
use crate::cluster::ids::{KeyId, SelectorId, TermId};
use crate::workload::ask::Ask;
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

impl Wants {
    /// True if something of what is required, and not met, could be met after what `moved` tells, for a pod that
    /// `matched` match. Who wants to be near is helped by those who come, who wants to be apart by those who leave; a
    /// group's first pod, which is near nobody, by the last of another's to leave.
    pub(super) fn could_be_met_by(&self, moved: &Moved, ask: &Ask, matched: &[SelectorId]) -> bool {
        let near = self.affinity.as_ref().is_some_and(|near| {
            near.keys.iter().any(|key| moved.moved_pods(*key))
                || near.selector.is_some_and(|selector| {
                    moved.came(selector) || moved.left(selector) && matched.contains(&selector)
                })
        });
        let is_apart = |term: &Repulsion| moved.left(term.selector) || moved.moved_pods(term.key);
        near || self.repulsion.iter().any(is_apart)
            || self.spread.iter().any(|spread| spread.could_be_met_by(moved, ask))
    }
}

impl SpreadWant {
    /// Whether a domain counts follows from all nodes that have the key, and which of them count from their labels and
    /// taints, as its policies say.
    fn could_be_met_by(&self, moved: &Moved, ask: &Ask) -> bool {
        let by_labels = match self.node_affinity_policy {
            InclusionPolicy::Honor => moved.labels() && ask.reads_node_labels(),
            InclusionPolicy::Ignore => false,
        };
        let by_taints = match self.node_taints_policy {
            InclusionPolicy::Honor => moved.taints(),
            InclusionPolicy::Ignore => false,
        };
        let counts = |selector| moved.came(selector) || moved.left(selector);
        by_labels
            || by_taints
            || moved.changed(self.key)
            || self.counted.selector().is_some_and(counts)
    }
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
