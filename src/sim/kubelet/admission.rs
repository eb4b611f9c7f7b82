//! What a node has room for, and the kubelet's own judgement of a pod that was bound to it.
//! It is the last judge: whatever a scheduler believed, a pod that does not fit fails here.
//! Checks, their order, and their words follow the kubelet of Kubernetes 1.37.

use std::collections::BTreeMap;

use super::faults::DEVICE_PREFIX;
use crate::base::names::Name;
use crate::cluster::facts::NodeFact;
use crate::sim::ground::Ground;
use crate::workload::ask::Amounts;
use crate::workload::ask::Ask;
use crate::workload::constraints::TaintEffect;

/// Why a pod does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// `status.reason`.
    pub(super) reason: String,
    /// For people.
    pub(super) message: String,
}

impl Rejection {
    /// A failure that the scheduler could not have foreseen.
    pub(super) fn unexpected(message: String) -> Self {
        Self { reason: "UnexpectedAdmissionError".to_owned(), message }
    }

    /// What the kubelet says when the device plugin has too few devices.
    fn devices(resource: &str, requested: i64, available: i128) -> Self {
        Self::unexpected(format!(
            "Allocate failed due to requested number of devices unavailable for {resource}. \
             Requested: {requested}, Available: {available}, which is unexpected"
        ))
    }

    fn resource(resource: &str, requested: i64, used: i128, capacity: i64) -> Self {
        Self {
            reason: format!("OutOf{resource}"),
            message: format!(
                "Node didn't have enough resource: {resource}, requested: {requested}, \
                 used: {used}, capacity: {capacity}"
            ),
        }
    }

    fn predicate(name: &str) -> Self {
        Self { reason: name.to_owned(), message: format!("Predicate {name} failed") }
    }
}

/// A node's labels, taints, and amounts, and what its pods hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    ground: Ground,
    allocatable: Amounts,
    /// What pods hold together, which may be more than one amount can say.
    used: BTreeMap<Name, i128>,
}

impl Room {
    /// Takes in what the node object says now. What pods hold is unchanged by it.
    pub(super) fn observe(&mut self, fact: NodeFact) {
        self.ground = Ground::of(&fact);
        self.allocatable = fact.allocatable;
    }

    /// A pod holds `amounts` from now on, and one of the node's `pods`.
    pub(super) fn occupy(&mut self, amounts: &Amounts) {
        self.change(amounts, 1);
    }

    /// A pod holds `amounts` no more.
    pub(super) fn release(&mut self, amounts: &Amounts) {
        self.change(amounts, -1);
    }

    fn change(&mut self, amounts: &Amounts, sign: i128) {
        for (resource, amount) in amounts.iter().filter(|(resource, _)| &**resource != "pods") {
            *self.used.entry(resource.clone()).or_default() += sign * i128::from(*amount);
        }
        *self.used.entry("pods".into()).or_default() += sign;
    }

    /// How much of `resource` is allocatable; `None` where the node has none of that name.
    fn allocatable(&self, resource: &str) -> Option<i64> {
        let found = self.allocatable.iter().find(|(name, _)| &**name == resource);
        found.map(|(_, amount)| *amount)
    }

    fn used(&self, resource: &str) -> i128 {
        self.used.get(resource).copied().unwrap_or(0)
    }

    /// Judges a pod that asks for `ask` beside the pods that are here.
    ///
    /// # Errors
    /// The first check that fails.
    pub(super) fn judge(&self, ask: &Ask) -> Result<(), Rejection> {
        let device = |resource: &str| resource.starts_with(DEVICE_PREFIX);
        for (resource, requested) in ask.requests.iter().filter(|(resource, _)| device(resource)) {
            // A resource that no plugin has registered is somebody else's to provide.
            let Some(allocatable) = self.allocatable(resource) else { continue };
            let available = (i128::from(allocatable) - self.used(resource)).max(0);
            if i128::from(*requested) > available {
                return Err(Rejection::devices(resource, *requested, available));
            }
        }
        let pods = self.allocatable("pods").unwrap_or(0);
        if self.used("pods") + 1 > i128::from(pods) {
            return Err(Rejection::resource("pods", 1, self.used("pods"), pods));
        }
        // The names of native resources sort before all that have a domain.
        let (extended, native): (Vec<_>, Vec<_>) =
            ask.requests.iter().partition(|(resource, _)| resource.contains('/'));
        for (resource, requested) in native.into_iter().chain(extended) {
            let Some(allocatable) = self.allocatable(resource) else {
                if resource.contains('/') {
                    continue;
                }
                return Err(Rejection::resource(resource, *requested, self.used(resource), 0));
            };
            if i128::from(*requested) + self.used(resource) > i128::from(allocatable) {
                return Err(Rejection::resource(
                    resource,
                    *requested,
                    self.used(resource),
                    allocatable,
                ));
            }
        }
        if !self.ground.attracts(ask) {
            return Err(Rejection::predicate("NodeAffinity"));
        }
        if self.ground.repels(ask, TaintEffect::NoExecute) {
            return Err(Rejection::predicate("TaintToleration"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::constraints::NodeOperator;
    use crate::workload::constraints::NodeRequirement;
    use crate::workload::constraints::NodeTerm;
    use crate::workload::constraints::Taint;
    use crate::workload::constraints::Toleration;
    use crate::workload::constraints::TolerationOperator;

    fn amounts(list: &[(&str, i64)]) -> Amounts {
        let mut amounts: Amounts =
            list.iter().map(|(name, amount)| ((*name).into(), *amount)).collect();
        amounts.sort();
        amounts
    }

    fn room() -> Room {
        let mut room = Room::default();
        room.observe(NodeFact {
            name: "n1".into(),
            uid: "u".into(),
            labels: vec![("disk".into(), "ssd".into()), ("size".into(), "8".into())],
            taints: Vec::new(),
            unschedulable: false,
            features: Vec::new(),
            images: Vec::new(),
            allocatable: amounts(&[
                ("cpu", 4000),
                ("memory", 1 << 30),
                ("pods", 3),
                ("nvidia.com/gpu", 4),
                ("rdma/hca", 1),
            ]),
        });
        room
    }

    fn asking(list: &[(&str, i64)]) -> Ask {
        Ask { requests: amounts(list), ..Ask::default() }
    }

    fn reason(room: &Room, ask: &Ask) -> String {
        room.judge(ask).map_or_else(|rejection| rejection.reason, |()| "admitted".to_owned())
    }

    #[test]
    fn what_does_not_fit_is_rejected_in_the_kubelets_words() {
        let mut room = room();
        room.occupy(&amounts(&[("cpu", 3000), ("nvidia.com/gpu", 3)]));
        let cases: [(&[(&str, i64)], &str); 7] = [
            (&[("cpu", 1000), ("nvidia.com/gpu", 1)], "admitted"),
            (&[("cpu", 1001)], "OutOfcpu"),
            (&[("memory", (1 << 30) + 1)], "OutOfmemory"),
            (&[("nvidia.com/gpu", 2)], "UnexpectedAdmissionError"),
            (&[("rdma/hca", 2)], "OutOfrdma/hca"),
            (&[("hugepages-2Mi", 1)], "OutOfhugepages-2Mi"),
            (&[("example.com/unknown", 1)], "admitted"),
        ];
        for (list, expected) in cases {
            assert_eq!(reason(&room, &asking(list)), expected, "{list:?}");
        }
        assert_eq!(
            room.judge(&asking(&[("cpu", 2000)])).expect_err("too much").message,
            "Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000"
        );
        assert_eq!(
            room.judge(&asking(&[("nvidia.com/gpu", 2)])).expect_err("too much").message,
            "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. \
             Requested: 2, Available: 1, which is unexpected"
        );
        room.occupy(&Amounts::new());
        room.occupy(&Amounts::new());
        assert_eq!(reason(&room, &asking(&[])), "OutOfpods");
        room.release(&Amounts::new());
        assert_eq!(reason(&room, &asking(&[])), "admitted");
    }

    #[test]
    fn selectors_affinity_and_noexecute_taints_hold_on_the_node_too() {
        let mut room = room();
        let wants = |key: &str, operator, values: &[&str]| NodeRequirement {
            key: key.into(),
            operator,
            values: values.iter().map(|value| (*value).into()).collect(),
        };
        let cases = [
            (wants("disk", NodeOperator::In, &["hdd", "ssd"]), true),
            (wants("disk", NodeOperator::NotIn, &["ssd"]), false),
            (wants("other", NodeOperator::NotIn, &["ssd"]), true),
            (wants("disk", NodeOperator::Exists, &[]), true),
            (wants("disk", NodeOperator::DoesNotExist, &[]), false),
            (wants("size", NodeOperator::Gt, &["7"]), true),
            (wants("size", NodeOperator::Lt, &["8"]), false),
            (wants("disk", NodeOperator::Gt, &["7"]), false),
        ];
        for (requirement, admitted) in cases {
            let term = NodeTerm { match_expressions: vec![requirement], ..NodeTerm::default() };
            let ask = Ask { required_terms: Some(vec![term.clone()]), ..Ask::default() };
            let expected = if admitted { "admitted" } else { "NodeAffinity" };
            assert_eq!(reason(&room, &ask), expected, "{term:?}");
        }
        let here = NodeTerm {
            match_fields: vec![wants("metadata.name", NodeOperator::In, &["n1"])],
            ..NodeTerm::default()
        };
        assert!(room.judge(&Ask { required_terms: Some(vec![here]), ..Ask::default() }).is_ok());
        let nothing = Ask { required_terms: Some(vec![NodeTerm::default()]), ..Ask::default() };
        assert_eq!(reason(&room, &nothing), "NodeAffinity", "an empty term matches nothing");

        let taint = Taint { key: "k".into(), value: "v".into(), effect: TaintEffect::NoExecute };
        room.ground.taints = vec![
            taint,
            Taint { key: "other".into(), value: "".into(), effect: TaintEffect::NoSchedule },
        ];
        assert_eq!(reason(&room, &Ask::default()), "TaintToleration");
        let toleration = Toleration {
            key: "k".into(),
            operator: TolerationOperator::Exists,
            value: "".into(),
            effect: None,
        };
        assert!(room.judge(&Ask { tolerations: vec![toleration], ..Ask::default() }).is_ok());
    }
}
