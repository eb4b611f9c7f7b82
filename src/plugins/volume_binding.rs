//! Claims and the volumes that serve them. Follows kube-scheduler's VolumeBinding: a bound claim's volume must be
//! reachable from the node, an unbound one must find a volume there or be provisioned; a claim that is not there, or
//! that somebody else has yet to bind, keeps its pod from every node.
//! What a claim would get is found in `cluster::storage::matching`; here it becomes a verdict in upstream's words.

use std::borrow::Cow;
use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::cures::Cures;
use super::node_resources_fit::at;
use super::relation::{Judge, Newcomer, Reasons};
use super::weighing::{Follows, MOST, Score};
use super::{Filter, Rule};
use crate::base::names::Name;
use crate::cluster::ids::NodeId;
use crate::cluster::storage::Storage;
use crate::cluster::storage::facts::ClaimFact;
use crate::cluster::storage::matching::{ClaimState, Lack, Place};
use crate::cluster::storage::promises::Promise;
use crate::workload::ask::Ask;
use crate::workload::profile::Weighing;
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

/// Its score: how much is asked for of the storage that its unbound claims would get; the mean over their classes.
pub const SCORE: Score = Score { name: RULE.name, weight: 1, follows: Follows::Pods, score };

/// Of a class: what is asked for, and what there is.
type Shares<'a> = BTreeMap<&'a Name, (i64, i64)>;

fn score(newcomer: &Newcomer<'_>, weighing: &Weighing, nodes: &[NodeId]) -> Vec<i64> {
    let ask = &newcomer.ask.ask;
    if !ask.has_claims_bound() {
        return vec![0; nodes.len()];
    }
    let delayed: Vec<&ClaimFact> = claims(ask, newcomer.cluster.storage())
        .filter(|claim| newcomer.cluster.storage().state_of(claim) == ClaimState::Delayed)
        .collect();
    let points = |node: &NodeId| {
        let shares = shares(newcomer, &delayed, *node);
        let of = |(requested, free): &(i64, i64)| {
            if *free == 0 || requested > free {
                return at(&weighing.storage, MOST);
            }
            at(&weighing.storage, requested.wrapping_mul(MOST) / free)
        };
        let (sum, classes) = (shares.values().map(of).sum::<i64>(), shares.len() as i64);
        // Rounded as upstream rounds it, half away from nothing; no score is below 0.
        if classes == 0 { 0 } else { (2 * sum + classes) / (2 * classes) }
    };
    nodes.iter().map(points).collect()
}

/// By class, what the claims would take of volumes that exist; where they would take none, of what is provisioned from.
fn shares<'a>(newcomer: &Newcomer<'a>, delayed: &[&'a ClaimFact], node: NodeId) -> Shares<'a> {
    let (node, storage) = (newcomer.cluster.nodes().get(node), newcomer.cluster.storage());
    let labels = node.fact.as_ref().map_or(&[][..], |fact| &fact.labels);
    let place = Place { node: &node.name, labels };
    let chosen = storage.choose(delayed, place).unwrap_or_default();
    let (mut existing, mut provided) = (Shares::new(), Shares::new());
    for (name, promise) in &chosen {
        let Some(claim) = delayed.iter().find(|claim| claim.name == *name) else { continue };
        let (class, request) = (&claim.shape.class, claim.shape.request.unwrap_or(0));
        match promise {
            Promise::Volume(volume) => {
                let Some(volume) = storage.volume(volume) else { continue };
                let share = existing.entry(class).or_default();
                *share = (share.0.wrapping_add(request), share.1.wrapping_add(volume.capacity));
            }
            Promise::Provisioned(_) => {
                let Ok(Some(capacity)) = storage.provided_from(claim, place) else { continue };
                let share = provided.entry(class).or_default();
                *share = (share.0.wrapping_add(request), capacity.free);
            }
        }
    }
    if existing.is_empty() { provided } else { existing }
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
    use super::{ELSEWHERE, NO_SPACE, NO_VOLUME, NOWHERE, RULE, SCORE, Weighing};
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
    fn a_node_is_the_better_the_less_is_asked_for_of_what_it_has() {
        let mut fixture = fixture();
        let how = Weighing { storage: vec![(0, 100), (100, 0)], ..Weighing::default() };
        for fact in [volume("small", 10, Some("n")), volume("large", 40, Some("m"))] {
            fixture.cluster.observe_storage(StorageFact::Volume(fact));
        }
        fixture.cluster.observe_storage(StorageFact::Claim(claim("c", 10)));
        assert_eq!(fixture.scores_by(&SCORE, &how, &using(&["c"])), [0, 75]);
        assert_eq!(fixture.scores_by(&SCORE, &how, &using(&[])), [0, 0]);
        // The mean over classes: of the other, nobody says what there is.
        let late = BindingMode::WaitForFirstConsumer;
        fixture.cluster.observe_storage(class("other", "csi.example.com", late));
        let mut second = claim("second", 5);
        second.shape.class = "other".into();
        fixture.cluster.observe_storage(StorageFact::Claim(second));
        assert_eq!(fixture.scores_by(&SCORE, &how, &using(&["second"])), [0, 0]);
        assert_eq!(fixture.scores_by(&SCORE, &how, &using(&["c", "second"])), [0, 75]);
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
