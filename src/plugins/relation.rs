//! What rules about other pods are asked, and what they answer: one more pod of a kind on one node, beside
//! everything that runs there and everything that the draft has placed so far.
//! Invariant: a rule that concerns nobody is never asked. Knows no gang and no order of members.

use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::census::Census;
use crate::cluster::Cluster;
use crate::cluster::asks::{InternedAsk, Relation};
use crate::cluster::ids::{AskId, NodeId, SignatureId};

/// One more pod of a kind.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// The cluster as the draft has it now.
    pub cluster: &'a Cluster,
    /// What it asks for.
    pub ask: &'a InternedAsk,
    /// Counts by domain, the members placed so far included.
    pub census: &'a Census,
    /// Which role of the census it is of.
    pub role: usize,
}

/// A pod of a kind of which nobody is being placed, so that what members mean to each other can only be guessed.
#[derive(Clone, Copy, Debug)]
pub struct Stranger<'a> {
    /// The cluster, its domains up to date.
    pub cluster: &'a Cluster,
    /// What it asks for.
    pub ask: AskId,
    /// Which selectors match it.
    pub signature: SignatureId,
    /// All that are placed together with it, itself among them.
    pub company: &'a [(AskId, SignatureId)],
    /// For a company with spread constraints, role by role: counts by domain, the least of each as high as members could
    /// lift it.
    pub hopes: Option<&'a Census>,
}

/// Reasons in kube-scheduler's words, each counted by itself; at least one.
pub type Reasons = SmallVec<[Cow<'static, str>; 1]>;

/// A rule about other pods.
pub trait Judge: fmt::Debug + Sync {
    /// True if the newcomer may go to `node`, which the rules on node objects allow.
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool;

    /// True if it may not go to `node` as things stand, whoever of its gang is placed first: a node of which more is
    /// free helps it nothing then. Where members could help each other, or it would take long to tell, false.
    fn rules_out(&self, _stranger: &Stranger<'_>, _node: NodeId) -> bool {
        false
    }

    /// What keeps the newcomer from every node, whatever runs there: said once instead of counted.
    fn fault(&self, _: &Newcomer<'_>) -> Option<Cow<'static, str>> {
        None
    }

    /// Why it may not go to `node`: asked only where [`Self::admits`] said no.
    fn reasons(&self, newcomer: &Newcomer<'_>, node: NodeId) -> Reasons;

    /// Adds to the points of each of `nodes`, all that admit the newcomer, for what is only wished for. Asked
    /// where [`is_wishing`] says so.
    fn score(&self, _newcomer: &Newcomer<'_>, _nodes: &[NodeId], _points: &mut [i64]) {}
}

/// True if any rule about other pods could have a say: else the ask is judged node by node, once for all
/// equal pods.
#[inline]
pub fn is_related(cluster: &Cluster, ask: AskId, signature: SignatureId) -> bool {
    match cluster.interned(ask).relation {
        Relation::None | Relation::Ranked => {
            let relations = cluster.relations();
            relations.is_repelled(signature) || relations.is_wished_for(signature)
        }
        Relation::Some => true,
    }
}

/// True if equal pods cannot be placed by one walk over the load index: rules about other pods could have a say, or
/// nodes are ranked by scores that each pod changes.
#[inline]
pub fn is_placed_carefully(cluster: &Cluster, ask: AskId, signature: SignatureId) -> bool {
    match cluster.interned(ask).relation {
        Relation::None => {
            let relations = cluster.relations();
            relations.is_repelled(signature) || relations.is_wished_for(signature)
        }
        Relation::Ranked | Relation::Some => true,
    }
}

/// True if other pods make some nodes better than others for such a pod, or scores do, so that the best is found only
/// by asking all.
pub fn is_wishing(cluster: &Cluster, ask: AskId, signature: SignatureId) -> bool {
    let relations = cluster.relations();
    let by_itself = relations
        .wants(ask)
        .is_some_and(|wants| !wants.wishes.is_empty() || !wants.wished_spread.is_empty());
    let is_scored = cluster.interned(ask).ask.weighing().is_some();
    by_itself || is_scored || relations.is_wished_for(signature)
}
