//! Pods that wait and are expected on a node: what `status.nominatedNodeName` says of them. They hold nothing; whether
//! others leave them their place is for the planner to decide, by priority.
//! Invariant: what is kept is what facts say; a pod that has a place, or whose node does not exist, is left out on asking.

use std::collections::BTreeMap;

use super::Cluster;
use super::change::Changes;
use super::draft::Step;
use super::ids::{AskId, NodeId, PodId, SignatureId};
use super::resources::ResourceSet;
use crate::base::names::Name;

/// Where a pod that waits is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nomination {
    /// The node, which need not exist.
    pub node: Name,
    /// What the pod asks for.
    pub ask: AskId,
    /// Its priority: whoever has more need not leave it its place.
    pub priority: i32,
}

/// A pod that waits and is expected on a node that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The pod.
    pub pod: PodId,
    /// Where.
    pub node: NodeId,
    /// What it asks for.
    pub ask: AskId,
    /// Which selectors match it.
    pub signature: SignatureId,
}

impl Expected {
    /// The pod as a draft takes it.
    pub const fn step(&self) -> Step {
        Step { node: self.node, ask: self.ask, signature: self.signature, count: 1 }
    }
}

/// All nominations.
#[derive(Clone, Debug, Default)]
pub struct Nominations {
    by_pod: BTreeMap<PodId, Nomination>,
}

impl Nominations {
    /// True if nobody is expected anywhere.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.by_pod.is_empty()
    }

    /// Where a pod is expected.
    pub fn of(&self, pod: PodId) -> Option<&Nomination> {
        self.by_pod.get(&pod)
    }
}

impl Cluster {
    /// Who is expected where.
    #[inline]
    pub const fn nominations(&self) -> &Nominations {
        &self.nominations
    }

    /// Takes in where a pod is expected, or that it is expected nowhere. Says what that may help others to, on the node
    /// where it was expected before. The ask must be held by the caller until this is said otherwise.
    pub fn nominate(&mut self, pod: PodId, nomination: Option<Nomination>) -> Changes {
        let before = self.nominations.of(pod);
        if before == nomination.as_ref() {
            return Changes::NONE;
        }
        let changes = self.left_by_expected(pod);
        match nomination {
            Some(nomination) => self.nominations.by_pod.insert(pod, nomination),
            None => self.nominations.by_pod.remove(&pod),
        };
        self.version += 1;
        changes
    }

    /// What others may be helped to on the node where `pod` is expected, if it does not go there.
    pub fn left_by_expected(&self, pod: PodId) -> Changes {
        let Some(Nomination { node, ask, .. }) = self.nominations.of(pod) else {
            return Changes::NONE;
        };
        let node = self.node(node).filter(|node| self.node_exists(*node));
        let grew = ResourceSet::of(&self.interned(*ask).requests);
        // It may have stood in the way by more than what it asks for.
        node.map_or(Changes::NONE, |node| Changes {
            node: Some(node),
            uncordoned: true,
            grew,
            ..Changes::NONE
        })
    }

    /// The pods that are expected on nodes, that have no place yet, and to whom a pod of `priority` leaves theirs: as
    /// kube-scheduler, those of no lower priority.
    pub fn expected(&self, priority: i32) -> impl Iterator<Item = Expected> {
        let heeded =
            self.nominations.by_pod.iter().filter(move |(_, one)| one.priority >= priority);
        heeded.filter_map(|(pod, nomination)| {
            let node = self.node(&nomination.node).filter(|node| self.node_exists(*node))?;
            self.node_of(*pod).is_none().then(|| Expected {
                pod: *pod,
                node,
                ask: nomination.ask,
                signature: self.signature_of(*pod),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Nomination;
    use crate::cluster::Cluster;
    use crate::cluster::change::Changes;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::ids::PodId;
    use crate::workload::ask::Ask;

    fn node(name: &str) -> NodeFact {
        NodeFact {
            name: name.into(),
            uid: name.into(),
            allocatable: vec![("cpu".into(), 1000), ("pods".into(), 10)],
            ..NodeFact::default()
        }
    }

    #[test]
    fn who_has_a_place_or_is_of_less_priority_is_not_waited_for() {
        let mut cluster = Cluster::new();
        cluster.observe_node(&node("n"));
        let there = cluster.node("n").expect("it was told");
        let ask = cluster
            .intern(&Arc::new(Ask { requests: vec![("cpu".into(), 500)], ..Ask::default() }));
        let on = |name: &str, priority| Some(Nomination { node: name.into(), ask, priority });
        assert_eq!(cluster.nominate(PodId(0), on("n", 5)), Changes::NONE);
        assert_eq!(cluster.nominate(PodId(1), on("elsewhere", 5)), Changes::NONE);
        let pods = |cluster: &Cluster, priority| -> Vec<PodId> {
            cluster.expected(priority).map(|expected| expected.pod).collect()
        };
        assert_eq!(pods(&cluster, 5), [PodId(0)]);
        assert_eq!(pods(&cluster, 6), []);
        cluster.observe_node(&node("elsewhere"));
        assert_eq!(pods(&cluster, 0), [PodId(0), PodId(1)]);
        cluster.assume(PodId(0), ask, there);
        assert_eq!(pods(&cluster, 0), [PodId(1)]);
        cluster.release(PodId(0));
        let version = cluster.version();
        let left = cluster.nominate(PodId(0), None);
        assert!(left.node == Some(there) && !left.is_none() && cluster.version() > version);
        assert_eq!(cluster.nominate(PodId(0), None), Changes::NONE);
    }
}
