//! Claims and the volumes that serve them. Follows kube-scheduler's VolumeBinding: a bound claim's volume must be
//! reachable from the node, an unbound one must find a volume there or be provisioned; a claim that is not there, or
//! that somebody else has yet to bind, keeps its pod from every node.
//! What a claim would get is found in `cluster::storage::matching`; here it becomes a verdict in upstream's words.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::cures::Cures;
use super::relation::{Judge, Newcomer, Reasons};
use super::{Filter, Rule};
use crate::cluster::ids::NodeId;
use crate::cluster::storage::Storage;
use crate::cluster::storage::facts::ClaimFact;
use crate::cluster::storage::matching::{ClaimState, Lack, Place};
use crate::workload::ask::Ask;
use crate::workload::volumes::{ClaimOrigin, ClaimUse, uses_of};

/// The row.
pub const RULE: Rule = Rule {
    name: "VolumeBinding",
    filter: Filter::Relation(&VolumeBinding),
    score: None,
    cured_by: CURED_BY,
};

/// What may turn its no: what is said of storage, and nodes with other labels.
const CURED_BY: Cures = Cures::STORAGE.and(Cures::LABELS).and(Cures::NODE_ADDED);

/// A bound volume is elsewhere.
const ELSEWHERE: &str = "node(s) didn't match PersistentVolume's node affinity";

/// Nothing to bind to.
const NO_VOLUME: &str = "node(s) didn't find available persistent volumes to bind";

/// Not enough to provision from.
const NO_SPACE: &str = "node(s) did not have enough free storage";

/// A bound volume is nowhere.
const NOWHERE: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";

#[derive(Debug)]
struct VolumeBinding;

impl Judge for VolumeBinding {
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool {
        newcomer.ask.ask.volumes.is_empty()
            || fault(newcomer).is_none() && reject(newcomer, node).is_empty()
    }

    fn fault(&self, newcomer: &Newcomer<'_>) -> Option<Cow<'static, str>> {
        fault(newcomer).map(Cow::Owned)
    }

    fn reasons(&self, newcomer: &Newcomer<'_>, node: NodeId) -> Reasons {
        match fault(newcomer) {
            Some(fault) => [fault.into()].into_iter().collect(),
            None => reject(newcomer, node).into_iter().map(Into::into).collect(),
        }
    }
}

/// What keeps the newcomer from every node; `None` if nothing does.
fn fault(newcomer: &Newcomer<'_>) -> Option<String> {
    let (ask, storage) = (&newcomer.ask.ask, newcomer.cluster.storage());
    let at_fault = uses_of(&ask.volumes).find_map(|used| fault_of(used, storage));
    at_fault.or_else(|| {
        let immediate =
            claims(ask, storage).any(|claim| storage.state_of(claim) == ClaimState::Immediate);
        immediate.then(|| "pod has unbound immediate PersistentVolumeClaims".into())
    })
}

fn fault_of(used: &ClaimUse, storage: &Storage) -> Option<String> {
    let name = &used.claim.name;
    let Some(claim) = storage.claim(&used.claim) else {
        return Some(match used.origin {
            ClaimOrigin::Named => format!("persistentvolumeclaim \"{name}\" not found"),
            ClaimOrigin::Ephemeral { .. } => format!(
                "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""
            ),
        });
    };
    if claim.lost {
        let volume = claim.volume.as_deref().unwrap_or_default();
        return Some(format!(
            "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
        ));
    }
    if claim.deleting {
        return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
    }
    match &used.origin {
        ClaimOrigin::Ephemeral { pod, uid } if claim.controller.as_ref() != Some(uid) => {
            let namespace = &used.claim.namespace;
            Some(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            ))
        }
        ClaimOrigin::Ephemeral { .. } | ClaimOrigin::Named => None,
    }
}

/// Why `node` does not take the newcomer, whom nothing keeps from every node; empty if nothing speaks against it.
fn reject(newcomer: &Newcomer<'_>, node: NodeId) -> SmallVec<[&'static str; 2]> {
    let (ask, cluster) = (&newcomer.ask.ask, newcomer.cluster);
    let (node, storage) = (cluster.nodes().get(node), cluster.storage());
    let labels = node.fact.as_ref().map_or(&[][..], |fact| &fact.labels);
    let place = Place { node: &node.name, labels };
    let (mut reasons, mut missing, mut delayed) = (SmallVec::new(), false, Vec::new());
    for claim in claims(ask, storage) {
        match storage.state_of(claim) {
            // The first volume that is missing or elsewhere ends the look at bound ones.
            ClaimState::Bound(_) if missing || !reasons.is_empty() => {}
            ClaimState::Bound(volume) => match storage.volume(volume) {
                None => missing = true,
                Some(volume) if !storage.is_reached(volume, place) => reasons.push(ELSEWHERE),
                Some(_) => {}
            },
            ClaimState::Delayed => delayed.push(claim),
            ClaimState::Immediate => reasons.push(NO_VOLUME),
        }
    }
    match storage.choose(&delayed, place) {
        Ok(_) => {}
        Err(Lack::Volume) => reasons.push(NO_VOLUME),
        Err(Lack::Space) => reasons.push(NO_SPACE),
    }
    if missing {
        reasons.push(NOWHERE);
    }
    reasons
}

fn claims<'a>(ask: &'a Ask, storage: &'a Storage) -> impl Iterator<Item = &'a ClaimFact> {
    uses_of(&ask.volumes).filter_map(|used| storage.claim(&used.claim))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{ELSEWHERE, NO_SPACE, NO_VOLUME, NOWHERE, RULE};
    use crate::base::names::ObjectName;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::storage::facts::{BindingMode, ClaimFact, DriverFact, StorageFact};
    use crate::cluster::storage::fixture::{claim, class, volume};
    use crate::workload::ask::Ask;
    use crate::workload::volumes::{ClaimOrigin, ClaimUse, PodVolume};

    fn host(name: &str) -> NodeFact {
        let labels = vec![("kubernetes.io/hostname".into(), name.into())];
        NodeFact { labels, ..node(name) }
    }

    fn with(origin: ClaimOrigin, names: &[&str]) -> Ask {
        let used = |name: &&str| {
            let claim = ObjectName::new("d", name);
            PodVolume::Claim(ClaimUse { claim, origin: origin.clone() })
        };
        Ask { volumes: names.iter().map(used).collect(), ..Ask::default() }
    }

    fn using(names: &[&str]) -> Ask {
        with(ClaimOrigin::Named, names)
    }

    fn bound(name: &str, volume: &str) -> ClaimFact {
        ClaimFact { volume: Some(volume.into()), bind_completed: true, ..claim(name, 1) }
    }

    /// Two hosts, and a class `local` that binds late and provisions nothing.
    fn fixture() -> Fixture {
        let mut fixture = Fixture::new([host("n"), host("m")]);
        let late = BindingMode::WaitForFirstConsumer;
        fixture.cluster.observe_storage(class("local", "kubernetes.io/no-provisioner", late));
        fixture
    }

    #[test]
    fn claims_that_are_not_there_to_be_used_keep_their_pod_from_every_node() {
        let mut fixture = fixture();
        let mut of_class = claim("at-once", 1);
        of_class.shape.class = "".into();
        for fact in [
            ClaimFact { lost: true, ..bound("lost", "v") },
            ClaimFact { deleting: true, ..claim("leaving", 1) },
            ClaimFact { volume: Some("v".into()), ..claim("half", 1) },
            ClaimFact { controller: Some("other".into()), ..claim("pod-eph", 1) },
            of_class,
        ] {
            fixture.cluster.observe_storage(StorageFact::Claim(fact));
        }
        let immediate = "pod has unbound immediate PersistentVolumeClaims";
        for (name, expected) in [
            ("missing", "persistentvolumeclaim \"missing\" not found"),
            ("lost", "persistentvolumeclaim \"lost\" bound to non-existent persistentvolume \"v\""),
            ("leaving", "persistentvolumeclaim \"leaving\" is being deleted"),
            ("half", immediate),
            ("at-once", immediate),
        ] {
            assert_eq!(fixture.objections(&RULE, &using(&[name]), &[]), [expected; 2], "{name}");
        }
        let ephemeral = |uid: &str| ClaimOrigin::Ephemeral { pod: "pod".into(), uid: uid.into() };
        let missing =
            "waiting for ephemeral volume controller to create the persistentvolumeclaim \"none\"";
        let none = with(ephemeral("1"), &["none"]);
        assert_eq!(fixture.objections(&RULE, &none, &[]), [missing; 2]);
        let stolen = "PVC d/pod-eph was not created for pod d/pod (pod is not owner)";
        let others = with(ephemeral("1"), &["pod-eph"]);
        assert_eq!(fixture.objections(&RULE, &others, &[]), [stolen; 2]);
        let own = with(ephemeral("other"), &["pod-eph"]);
        assert_eq!(fixture.objections(&RULE, &own, &[]), [NO_VOLUME; 2], "its own, and unbound");
    }

    #[test]
    fn a_bound_volume_must_be_reachable() {
        let mut fixture = fixture();
        fixture.cluster.observe_storage(StorageFact::Volume(volume("v", 1, Some("n"))));
        for fact in [bound("here", "v"), bound("nowhere", "gone")] {
            fixture.cluster.observe_storage(StorageFact::Claim(fact));
        }
        assert_eq!(fixture.objections(&RULE, &using(&["here"]), &[]), ["", ELSEWHERE]);
        assert_eq!(fixture.objections(&RULE, &using(&["nowhere"]), &[]), [NOWHERE; 2]);
        fixture.cluster.observe_storage(StorageFact::Claim(claim("open", 5)));
        let both = [NO_VOLUME.to_owned(), format!("{ELSEWHERE}, {NO_VOLUME}")];
        assert_eq!(fixture.objections(&RULE, &using(&["here", "open"]), &[]), both);
    }

    #[test]
    fn an_unbound_claim_finds_a_volume_or_is_provisioned() {
        let mut fixture = fixture();
        fixture.cluster.observe_storage(StorageFact::Claim(claim("open", 5)));
        assert_eq!(fixture.objections(&RULE, &using(&["open"]), &[]), [NO_VOLUME; 2]);
        fixture.cluster.observe_storage(StorageFact::Volume(volume("v", 5, Some("m"))));
        assert_eq!(fixture.objections(&RULE, &using(&["open"]), &[]), [NO_VOLUME, ""]);
        let late = BindingMode::WaitForFirstConsumer;
        fixture.cluster.observe_storage(class("local", "csi.example.com", late));
        assert_eq!(fixture.objections(&RULE, &using(&["open"]), &[]), ["", ""]);
        fixture.cluster.observe_storage(StorageFact::Driver(DriverFact {
            name: "csi.example.com".into(),
            uid: "1".into(),
            publishes_capacity: true,
            required_on_node: false,
        }));
        assert_eq!(fixture.objections(&RULE, &using(&["open"]), &[]), [NO_SPACE, ""]);
    }

    #[test]
    fn what_one_pod_was_promised_no_other_gets() {
        let mut fixture = fixture();
        for name in ["one", "other"] {
            fixture.cluster.observe_storage(StorageFact::Claim(claim(name, 1)));
        }
        fixture.cluster.observe_storage(StorageFact::Volume(volume("v", 5, None)));
        let ask = std::sync::Arc::new(using(&["one"]));
        let node = fixture.cluster.node("n").expect("it is there");
        let promised = fixture.cluster.promise_volumes(&ask, node).expect("there is a volume");
        assert_eq!(promised.len(), 1);
        assert_eq!(fixture.objections(&RULE, &using(&["other"]), &[]), [NO_VOLUME; 2]);
        assert_eq!(fixture.objections(&RULE, &using(&["one"]), &[]), ["", ""], "shared by pods");
        assert!(fixture.cluster.end_promises(promised.iter().map(|(claim, _)| claim)));
        assert_eq!(fixture.objections(&RULE, &using(&["other"]), &[]), ["", ""]);
    }
}
