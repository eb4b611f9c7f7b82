//! Which pods have volumes, and where those that are placed use them: by node for what is counted there, by claim for
//! what is one pod's alone. Drafts count their trials in as well. Pods without volumes are not in it, and cost nothing.
//! Knows no claim's object. Invariant: equals a recount over the pods that were declared and are placed.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::base::names::{Name, ObjectName};
use crate::cluster::ids::PodId;
use crate::workload::ask::SharedAsk;
use crate::workload::volumes::{PodVolume, claims_of};

/// A node, and which volumes so many of its pods use.
type Uses<'a> = (&'a Name, Vec<(&'a [PodVolume], u32)>);

/// The volumes of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// The ask whose volumes they are.
    ask: SharedAsk,
    /// The node that the pod is placed on, by name: ids of nodes may change.
    node: Option<Name>,
}

/// The volumes of all pods that have any.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    by_pod: FxHashMap<PodId, Mount>,
    by_node: BTreeMap<Name, Vec<(SharedAsk, u32)>>,
    /// By claim, how many placed pods of each node use it.
    users: BTreeMap<ObjectName, BTreeMap<Name, u32>>,
}

impl Mounts {
    /// Takes in which volumes `pod` has, which is placed on `node`, if it is. True if that changes anything.
    pub(super) fn declare(&mut self, pod: PodId, ask: &SharedAsk, node: Option<&Name>) -> bool {
        let before = self.by_pod.get(&pod);
        if ask.volumes.is_empty() && before.is_none()
            || before.is_some_and(|mount| mount.ask.volumes == ask.volumes)
        {
            return false;
        }
        self.unplace(pod);
        self.by_pod.remove(&pod);
        if !ask.volumes.is_empty() {
            self.by_pod.insert(pod, Mount { ask: ask.clone(), node: None });
            if let Some(node) = node {
                self.place(pod, node);
            }
        }
        true
    }

    /// Forgets a pod.
    pub(super) fn forget(&mut self, pod: PodId) {
        self.unplace(pod);
        self.by_pod.remove(&pod);
    }

    /// Takes in that `pod`, which was placed nowhere, is placed on `node`.
    pub(in crate::cluster) fn place(&mut self, pod: PodId, node: &Name) {
        if self.by_pod.is_empty() {
            return;
        }
        let Some(mount) = self.by_pod.get_mut(&pod) else { return };
        assert!(mount.node.is_none(), "a pod is placed once");
        mount.node = Some(node.clone());
        let ask = mount.ask.clone();
        self.count_in(node, &ask, 1);
    }

    /// Takes in that `pod` is placed no more.
    pub(in crate::cluster) fn unplace(&mut self, pod: PodId) {
        if self.by_node.is_empty() {
            return;
        }
        let Some(mount) = self.by_pod.get_mut(&pod) else { return };
        let Some(node) = mount.node.take() else { return };
        let ask = mount.ask.clone();
        self.count_out(&node, &ask, 1);
    }

    /// `count` pods with `ask` use their volumes on `node`.
    pub(super) fn count_in(&mut self, node: &Name, ask: &SharedAsk, count: u32) {
        for claim in claims_of(&ask.volumes) {
            let users = self.users.entry(claim.clone()).or_default();
            *users.entry(node.clone()).or_default() += count;
        }
        let here = self.by_node.entry(node.clone()).or_default();
        match here.iter_mut().find(|(known, _)| known.volumes == ask.volumes) {
            Some((_, pods)) => *pods += count,
            None => here.push((ask.clone(), count)),
        }
    }

    /// `count` pods with `ask` use their volumes on `node` no more.
    pub(super) fn count_out(&mut self, node: &Name, ask: &SharedAsk, count: u32) {
        for claim in claims_of(&ask.volumes) {
            let users = self.users.get_mut(claim).expect("who uses a claim was counted");
            let here =
                users.get_mut(node).expect("who uses a claim was counted where it is placed");
            *here -= count;
            if *here == 0 {
                users.remove(node);
            }
            if users.is_empty() {
                self.users.remove(claim);
            }
        }
        let here = self.by_node.get_mut(node).expect("a placed pod is listed at its node");
        let at = here.iter().position(|(known, _)| known.volumes == ask.volumes);
        let at = at.expect("a placed pod is listed at its node");
        here[at].1 -= count;
        if here[at].1 == 0 {
            // In order, so that a draft that is rolled back leaves no trace.
            here.remove(at);
        }
        if here.is_empty() {
            self.by_node.remove(node);
        }
    }

    /// The volumes that pods on `node` use; what several pods use the same way comes once.
    pub fn on(&self, node: &str) -> impl Iterator<Item = &[PodVolume]> {
        let asks = self.by_node.get(node).into_iter().flatten();
        asks.map(|(ask, _)| &ask.volumes[..])
    }

    /// The nodes on which placed pods use `claim`, and how many of them do there. Such a node may be gone, or not known
    /// yet.
    pub fn users(&self, claim: &ObjectName) -> impl Iterator<Item = (&Name, u32)> {
        let users = self.users.get(claim).into_iter().flatten();
        users.map(|(node, count)| (node, *count))
    }

    /// True if what is kept equals a recount; `place` says where a pod is placed.
    pub(super) fn is_as_recounted(&self, place: impl Fn(PodId) -> Option<Name>) -> bool {
        let mut again = Self::default();
        // A sum over all does not depend on their order.
        let mut pods: Vec<(&PodId, &Mount)> = self.by_pod.iter().collect();
        pods.sort_by_key(|(pod, _)| **pod);
        for (pod, mount) in pods {
            if mount.node != place(*pod) {
                return false;
            }
            if let Some(node) = &mount.node {
                again.count_in(node, &mount.ask, 1);
            }
        }
        again.users == self.users && again.in_order() == self.in_order()
    }

    /// By node, which volumes so many pods use, in an order that does not depend on who came first.
    fn in_order(&self) -> Vec<Uses<'_>> {
        let nodes = self.by_node.iter().map(|(node, here)| {
            let mut here: Vec<(&[PodVolume], u32)> =
                here.iter().map(|(ask, pods)| (&ask.volumes[..], *pods)).collect();
            here.sort();
            (node, here)
        });
        nodes.collect()
    }

    /// True if the pod has volumes.
    pub(super) fn knows(&self, pod: PodId) -> bool {
        !self.by_pod.is_empty() && self.by_pod.contains_key(&pod)
    }

    /// How many pods have volumes.
    pub fn len(&self) -> usize {
        self.by_pod.len()
    }

    /// True if no pod has volumes.
    pub fn is_empty(&self) -> bool {
        self.by_pod.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Mounts;
    use crate::base::names::ObjectName;
    use crate::cluster::ids::PodId;
    use crate::workload::ask::{Ask, SharedAsk};
    use crate::workload::volumes::{ClaimOrigin, ClaimUse, PodVolume};

    fn using(claim: &str) -> SharedAsk {
        let claim = ClaimUse { claim: ObjectName::new("d", claim), origin: ClaimOrigin::Named };
        let volume = PodVolume::Claim(claim);
        Arc::new(Ask { volumes: vec![volume.clone(), volume], ..Ask::default() })
    }

    fn users(mounts: &Mounts, claim: &str) -> u32 {
        mounts.users(&ObjectName::new("d", claim)).map(|(_, count)| count).sum()
    }

    #[test]
    fn who_uses_a_claim_is_counted_while_placed() {
        let mut mounts = Mounts::default();
        mounts.declare(PodId(1), &using("c"), None);
        assert!(mounts.declare(PodId(2), &using("c"), Some(&"a".into())));
        assert!(!mounts.declare(PodId(2), &using("c"), Some(&"a".into())), "nothing new");
        assert!(!mounts.declare(PodId(3), &Arc::default(), Some(&"a".into())), "no volumes");
        assert_eq!((users(&mounts, "c"), mounts.on("a").count(), mounts.len()), (1, 1, 2));
        mounts.place(PodId(1), &"b".into());
        mounts.place(PodId(3), &"b".into());
        assert_eq!((users(&mounts, "c"), mounts.on("b").count()), (2, 1));
        let nodes: Vec<&str> =
            mounts.users(&ObjectName::new("d", "c")).map(|(name, _)| &**name).collect();
        assert_eq!(nodes, ["a", "b"]);
        mounts.unplace(PodId(2));
        mounts.unplace(PodId(2));
        assert_eq!((users(&mounts, "c"), mounts.on("a").count()), (1, 0));
        // It turns out to use another claim, where it is.
        assert!(mounts.declare(PodId(1), &using("e"), Some(&"b".into())));
        assert_eq!((users(&mounts, "c"), users(&mounts, "e")), (0, 1));
        mounts.declare(PodId(1), &Arc::default(), Some(&"b".into()));
        mounts.declare(PodId(2), &Arc::default(), None);
        assert!(mounts.is_empty() && mounts.users.is_empty() && mounts.by_node.is_empty());
    }

    #[test]
    fn pods_that_use_the_same_are_one_entry_of_their_node() {
        let mut mounts = Mounts::default();
        mounts.count_in(&"a".into(), &using("c"), 2);
        mounts.count_in(&"a".into(), &using("c"), 1);
        assert_eq!((mounts.on("a").count(), users(&mounts, "c")), (1, 3));
        mounts.count_out(&"a".into(), &using("c"), 3);
        assert!(mounts.by_node.is_empty() && mounts.users.is_empty());
    }
}
