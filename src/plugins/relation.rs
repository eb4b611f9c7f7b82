//! What rules about other pods are asked, and what they answer: one more pod of a kind on one node, beside
//! everything that runs there and everything that the draft has placed so far.
//! Invariant: a rule that concerns nobody is never asked. Knows no gang and no order of members.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use crate::cluster::Cluster;
use crate::cluster::asks::{InternedAsk, Relation};
use crate::cluster::ids::{NodeId, SignatureId};

/// One more pod of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// The cluster as the draft has it now.
    pub cluster: &'a Cluster,
    /// What it asks for.
    pub ask: &'a InternedAsk,
    /// Which of the selectors that are in use match it.
    pub signature: SignatureId,
}

/// Reasons in kube-scheduler's words, each counted by itself; at least one.
pub type Reasons = SmallVec<[Cow<'static, str>; 1]>;

/// A rule about other pods.
pub trait Judge: fmt::Debug + Sync {
    /// True if the newcomer may go to `node`, which the rules on node objects allow.
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool;

    /// Why it may not go to `node`: asked only where [`Self::admits`] said no.
    fn reasons(&self, newcomer: &Newcomer<'_>, node: NodeId) -> Reasons;
}

/// True if any rule about other pods could have a say: else the ask is judged node by node, once for all
/// equal pods.
#[inline]
pub fn is_related(ask: &InternedAsk, _: SignatureId) -> bool {
    match ask.relation {
        Relation::None => false,
        Relation::Some => true,
    }
}
