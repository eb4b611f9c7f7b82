//! The cluster's doors to storage: facts, promises, and the volumes of pods come in here, and the trials of drafts,
//! which leave as they came. Decides nothing.
//! Invariant: what could change a verdict moves the cluster's version; a draft moves nothing that it does not move back.

use super::Sight;
use super::Storage;
use super::facts::{ClaimFact, StorageFact, StorageKind};
use super::matching::{ClaimState, Lack, Place};
use super::promises::Promise;
use crate::base::names::ObjectName;
use crate::cluster::Cluster;
use crate::cluster::asks::Relation;
use crate::cluster::draft::Step;
use crate::cluster::ids::{NodeId, PodId};
use crate::workload::ask::{Ask, SharedAsk};
use crate::workload::volumes::claims_of;

impl Cluster {
    /// What is believed about storage.
    #[inline]
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Takes in a fact about storage. True if it says anything new.
    pub fn observe_storage(&mut self, fact: StorageFact) -> bool {
        let news = self.storage.observe(fact);
        self.storage_changed(news)
    }

    /// Takes in that an object of storage is gone. True if it was known.
    pub fn forget_storage(&mut self, kind: StorageKind, name: &ObjectName, uid: &str) -> bool {
        let news = self.storage.forget(kind, name, uid);
        self.storage_changed(news)
    }

    /// Takes in that a kind of storage cannot be watched, or can. True if that is new.
    pub fn see_storage(&mut self, kind: StorageKind, sight: Sight) -> bool {
        let news = self.storage.set_hidden(kind, sight);
        self.storage_changed(news)
    }

    /// Takes in which volumes a pod has, wherever it is; of an ask without any, that it has none.
    pub fn declare_volumes(&mut self, pod: PodId, ask: &SharedAsk) {
        if ask.volumes.is_empty() && !self.storage.mounts.knows(pod) {
            return;
        }
        let node = self.node_of(pod).map(|node| self.node_name(node).clone());
        let news = self.storage.mounts.declare(pod, ask, node.as_ref());
        self.storage_changed(news);
    }

    /// Takes in that a pod is gone, and its volumes with it.
    pub fn forget_volumes(&mut self, pod: PodId) {
        self.storage.mounts.forget(pod);
    }

    /// Promises the claims of a pod that wait for a node what they would get on `node`. Returns what each of them
    /// was promised, now or before, which is held for the pod until [`Self::end_promises`].
    ///
    /// # Errors
    /// What one of them lacks there; nothing is promised then.
    pub fn promise_volumes(
        &mut self,
        ask: &SharedAsk,
        node: NodeId,
    ) -> Result<Vec<(ObjectName, Promise)>, Lack> {
        let node = self.nodes.get(node);
        let labels = node.fact.as_ref().map_or(&[][..], |fact| &fact.labels);
        let place = Place { node: &node.name, labels };
        let delayed = self.storage.delayed_of(ask);
        self.storage.choose(&delayed, place)?;
        let promised = self.storage.promise(ask, place, 1);
        self.version += u64::from(!promised.is_empty());
        Ok(promised)
    }

    /// A pod relies on what these claims were promised no more. True if some promise ended with it.
    pub fn end_promises<'a>(&mut self, claims: impl IntoIterator<Item = &'a ObjectName>) -> bool {
        let mut ended = false;
        for claim in claims {
            ended |= self.storage.promises.release(claim, 1);
        }
        self.storage_changed(ended)
    }

    /// A draft places `count` pods by `step`, or takes them back where `count` is negative.
    #[inline]
    pub(in crate::cluster) fn shift_volumes(&mut self, step: Step, count: i64) {
        let interned = self.asks.get(step.ask);
        if interned.relation == Relation::None || interned.ask.volumes.is_empty() {
            return;
        }
        let (ask, node) = (interned.ask.clone(), self.nodes.get(step.node));
        let pods = u32::try_from(count.unsigned_abs()).expect("gangs are far smaller");
        if count > 0 {
            let labels = node.fact.as_ref().map_or(&[][..], |fact| &fact.labels);
            self.storage.promise(&ask, Place { node: &node.name, labels }, pods);
            self.storage.mounts.count_in(&node.name, &ask, pods);
        } else {
            self.storage.mounts.count_out(&node.name, &ask, pods);
            self.storage.take_back(&ask, pods);
        }
    }

    /// A draft counts the volumes of `count` pods in by `step`, or out, and promises nothing.
    pub(in crate::cluster) fn shift_mounts(&mut self, step: Step, count: i64) {
        let ask = self.asks.get(step.ask).ask.clone();
        if ask.volumes.is_empty() {
            return;
        }
        let node = &self.nodes.get(step.node).name;
        let pods = u32::try_from(count.unsigned_abs()).expect("gangs are far smaller");
        if count > 0 {
            self.storage.mounts.count_in(node, &ask, pods);
        } else {
            self.storage.mounts.count_out(node, &ask, pods);
        }
    }

    /// A draft takes a pod off its node (-1), or puts it back (1).
    pub(in crate::cluster) fn shift_volumes_of(&mut self, pod: PodId, node: NodeId, sign: i64) {
        if sign > 0 {
            self.storage.mounts.place(pod, &self.nodes.get(node).name);
        } else {
            self.storage.mounts.unplace(pod);
        }
    }

    fn storage_changed(&mut self, news: bool) -> bool {
        self.version += u64::from(news);
        news
    }
}

impl Storage {
    /// Promises the claims of `pods` pods that wait for a node what they would get at `place`, if all of them would
    /// get anything; a claim that was promised something before keeps that. Returns what each was promised.
    fn promise(
        &mut self,
        ask: &SharedAsk,
        place: Place<'_>,
        pods: u32,
    ) -> Vec<(ObjectName, Promise)> {
        let delayed = self.delayed_of(ask);
        let chosen = self.choose(&delayed, place).unwrap_or_default();
        let mut promised: Vec<(ObjectName, Promise)> = Vec::with_capacity(delayed.len());
        for claim in delayed {
            let before = self.promises.of(&claim.name).cloned();
            let now = || chosen.iter().find(|(name, _)| *name == claim.name);
            let promise = before.or_else(|| now().map(|(_, promise)| promise.clone()));
            promised.extend(promise.map(|promise| (claim.name.clone(), promise)));
        }
        for (claim, promise) in &promised {
            self.promises.make(claim, promise, pods);
        }
        promised
    }

    /// Takes back what was promised for `pods` pods in the same state.
    fn take_back(&mut self, ask: &SharedAsk, pods: u32) {
        let claims: Vec<ObjectName> =
            self.delayed_of(ask).into_iter().map(|claim| claim.name.clone()).collect();
        for claim in claims {
            self.promises.release(&claim, pods);
        }
    }

    /// True if some claim of `ask` waits for a node and was promised nothing yet.
    pub fn has_open_claims(&self, ask: &Ask) -> bool {
        self.delayed_of(ask).iter().any(|claim| self.promises.of(&claim.name).is_none())
    }

    /// The claims of an ask that wait for a node; none where its profile leaves claims alone.
    fn delayed_of(&self, ask: &Ask) -> Vec<&ClaimFact> {
        if !ask.has_claims_bound() {
            return Vec::new();
        }
        let claims = claims_of(&ask.volumes).filter_map(|claim| self.claim(claim));
        claims.filter(|claim| self.state_of(claim) == ClaimState::Delayed).collect()
    }
}
