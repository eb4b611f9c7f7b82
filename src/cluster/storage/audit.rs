//! The audit's part on storage: indexes and tallies are made once more from facts and placements alone, and compared.
//! Changes nothing. Takes time in proportion to objects of storage and pods with volumes.
//! Promises have no recount: what was promised stands nowhere else.

use super::Storage;
use crate::base::names::Name;
use crate::cluster::ids::PodId;

/// What is kept otherwise than a recount gives; `place` says where a pod is placed.
pub(in crate::cluster) fn difference(
    storage: &Storage,
    place: impl Fn(PodId) -> Option<Name>,
) -> Option<&'static str> {
    let mut again = Storage::default();
    for fact in storage.volumes.values() {
        again.observe_volume(fact.clone());
    }
    for fact in storage.capacities.values() {
        again.observe_capacity(fact.clone());
    }
    for fact in storage.attachments.values() {
        again.observe_attachment(fact.clone());
    }
    let same = [
        (again.free_volumes == storage.free_volumes, "the free volumes"),
        (again.by_claim == storage.by_claim, "the volumes by claim"),
        (again.capacity_pools == storage.capacity_pools, "the capacities by class"),
        (again.by_node == storage.by_node, "the attachments by node"),
        (storage.mounts.is_as_recounted(place), "the volumes in use"),
    ];
    same.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::facts::StorageFact;
    use super::super::fixture::volume;
    use super::{Storage, difference};
    use crate::base::names::{Name, ObjectName};
    use crate::cluster::ids::PodId;
    use crate::workload::ask::Ask;
    use crate::workload::volumes::{ClaimOrigin, ClaimUse, PodVolume};

    #[test]
    fn a_recount_finds_what_is_kept_wrongly() {
        let mut storage = Storage::default();
        storage.observe(StorageFact::Volume(volume("v", 10, Some("n"))));
        let claim = ClaimUse { claim: ObjectName::new("d", "c"), origin: ClaimOrigin::Named };
        let ask = Arc::new(Ask { volumes: vec![PodVolume::Claim(claim)], ..Ask::default() });
        let node: Name = "n".into();
        storage.mounts.declare(PodId(1), &ask, Some(&node));
        let there = |_: PodId| Some(Name::from("n"));
        assert_eq!(difference(&storage, there), None);
        assert_eq!(difference(&storage, |_| None), Some("the volumes in use"));
        storage.mounts.count_in(&node, &ask, 1);
        assert_eq!(difference(&storage, there), Some("the volumes in use"));
        storage.mounts.count_out(&node, &ask, 1);
        storage.free_volumes.insert(&"local".into(), None, (1, "ghost".into()));
        assert_eq!(difference(&storage, there), Some("the free volumes"));
    }
}
