//! Zones and regions of bound volumes, written as labels. Follows kube-scheduler's VolumeZone: a node that carries any
//! zone or region label must carry one of the volume's values; several are separated by two underscores, and the old
//! names of the labels mean the same as the new ones. A node without such labels passes.

use std::borrow::Cow;

use super::cures::Cures;
use super::relation::{Judge, Newcomer, Reasons};
use super::{Filter, Rule};
use crate::base::names::{Name, ObjectName};
use crate::cluster::ids::NodeId;
use crate::cluster::storage::Storage;
use crate::cluster::storage::facts::{BindingMode, VolumeFact};
use crate::workload::ask::Ask;
use crate::workload::volumes::{ClaimOrigin, ClaimUse, uses_of};

/// The row.
pub const RULE: Rule = Rule {
    name: "VolumeZone",
    filter: Filter::Relation(&VolumeZone),
    score: None,
    cured_by: CURED_BY,
};

/// What may turn its no: what is said of storage, and nodes with other labels.
const CURED_BY: Cures = Cures::STORAGE.and(Cures::LABELS).and(Cures::NODE_ADDED);

/// The volume is in another zone.
const OTHER_ZONE: &str = "node(s) had no available volume zone";

/// The labels, and what those with an old name are called now.
const LABELS: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

#[derive(Debug)]
struct VolumeZone;

impl Judge for VolumeZone {
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool {
        newcomer.ask.ask.volumes.is_empty()
            || fault(newcomer).is_none() && reject(newcomer, node).is_none()
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
    named(ask).find_map(|used| fault_of(&used.claim, storage))
}

/// What is missing of a claim. VolumeBinding says the same, of all but the volume, in its own words; it may be off.
fn fault_of(name: &ObjectName, storage: &Storage) -> Option<String> {
    let Some(claim) = storage.claim(name) else {
        return Some(format!("persistentvolumeclaim \"{}\" not found", name.name));
    };
    if let Some(volume) = &claim.volume {
        let missing = storage.volume(volume).is_none();
        return missing.then(|| format!("persistentvolume \"{volume}\" not found"));
    }
    let class = &claim.shape.class;
    if class.is_empty() {
        return Some("PersistentVolumeClaim had no pv name and storageClass name".into());
    }
    match storage.class(class).map(|class| class.binding) {
        None => Some(format!("storageclass.storage.k8s.io \"{class}\" not found")),
        Some(BindingMode::WaitForFirstConsumer) => None,
        Some(BindingMode::Immediate) => Some("PersistentVolume had no name".into()),
    }
}

/// Why `node` does not take the newcomer; `None` if nothing speaks against it.
fn reject(newcomer: &Newcomer<'_>, node: NodeId) -> Option<&'static str> {
    let (ask, cluster) = (&newcomer.ask.ask, newcomer.cluster);
    let (node, storage) = (cluster.nodes().get(node).fact.as_ref()?, cluster.storage());
    if !LABELS.iter().any(|(key, _)| label(&node.labels, key).is_some()) {
        return None;
    }
    let fits = |volume: &VolumeFact| {
        LABELS.iter().all(|(key, now)| {
            let Some(values) = label(&volume.labels, key).filter(|values| is_set(values)) else {
                return true;
            };
            let own = label(&node.labels, key).or_else(|| label(&node.labels, now));
            own.is_some_and(|own| values.split("__").any(|value| value.trim() == own))
        })
    };
    let volumes = volume_names(ask, storage).filter_map(|volume| storage.volume(volume));
    let elsewhere = volumes.into_iter().any(|volume| !fits(volume));
    elsewhere.then_some(OTHER_ZONE)
}

/// True for a value that can be read; upstream passes over one with an empty part.
fn is_set(values: &str) -> bool {
    values.split("__").all(|value| !value.trim().is_empty())
}

fn label<'a>(labels: &'a [(Name, Name)], key: &str) -> Option<&'a str> {
    let at = labels.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
    Some(&labels[at].1)
}

/// The volumes of the claims that the pod names. Claims of ephemeral volumes are not looked at, as upstream.
fn volume_names<'a>(ask: &'a Ask, storage: &'a Storage) -> impl Iterator<Item = &'a Name> {
    named(ask).filter_map(|used| storage.claim(&used.claim)?.volume.as_ref())
}

fn named(ask: &Ask) -> impl Iterator<Item = &ClaimUse> {
    uses_of(&ask.volumes).filter(|used| match used.origin {
        ClaimOrigin::Named => true,
        ClaimOrigin::Ephemeral { .. } => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{OTHER_ZONE, RULE};
    use crate::base::names::ObjectName;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::storage::facts::{BindingMode, ClaimFact, StorageFact, VolumeFact};
    use crate::cluster::storage::fixture::{claim, class, volume};
    use crate::workload::ask::Ask;
    use crate::workload::volumes::{ClaimOrigin, ClaimUse, PodVolume};

    const OLD: &str = "failure-domain.beta.kubernetes.io/zone";
    const NEW: &str = "topology.kubernetes.io/zone";

    fn zoned(name: &str, key: &str, zone: &str) -> NodeFact {
        NodeFact { labels: vec![(key.into(), zone.into())], ..node(name) }
    }

    fn using(origin: ClaimOrigin) -> Ask {
        let claim = ClaimUse { claim: ObjectName::new("d", "c"), origin };
        Ask { volumes: vec![PodVolume::Claim(claim)], ..Ask::default() }
    }

    /// What the rule has against nodes in no zone, and in `a` and `b` by the new label and `a` by the old one, for a
    /// volume that carries this label.
    fn objections(key: &str, zones: &str) -> Vec<String> {
        let mut fixture = Fixture::new([
            node("bare"),
            zoned("new-a", NEW, "a"),
            zoned("new-b", NEW, "b"),
            zoned("old-a", OLD, "a"),
        ]);
        let labels = vec![(key.into(), zones.into())];
        let fact = VolumeFact { labels, ..volume("v", 1, None) };
        fixture.cluster.observe_storage(StorageFact::Volume(fact));
        let bound = ClaimFact { volume: Some("v".into()), bind_completed: true, ..claim("c", 1) };
        fixture.cluster.observe_storage(StorageFact::Claim(bound));
        fixture.objections(&RULE, &using(ClaimOrigin::Named), &[])
    }

    #[test]
    fn a_zoned_node_must_be_in_a_zone_of_the_volume() {
        assert_eq!(objections(NEW, "a"), ["", "", OTHER_ZONE, OTHER_ZONE]);
        assert_eq!(objections(NEW, "b__a"), ["", "", "", OTHER_ZONE]);
        // An old label of the volume is looked up by both names, a new one by its own alone.
        assert_eq!(objections(OLD, "a"), ["", "", OTHER_ZONE, ""]);
        assert_eq!(
            objections("topology.kubernetes.io/region", "r"),
            ["", OTHER_ZONE, OTHER_ZONE, OTHER_ZONE]
        );
        assert_eq!(objections(NEW, "b__"), [""; 4], "a value that cannot be read is passed over");
        assert_eq!(objections("disk", "b"), [""; 4]);
    }

    #[test]
    fn a_volume_that_is_missing_is_named_unless_the_claim_is_ephemeral() {
        let mut fixture = Fixture::new([node("n")]);
        let bound = ClaimFact { volume: Some("v".into()), bind_completed: true, ..claim("c", 1) };
        fixture.cluster.observe_storage(StorageFact::Claim(bound));
        let missing = "persistentvolume \"v\" not found";
        assert_eq!(fixture.objections(&RULE, &using(ClaimOrigin::Named), &[]), [missing]);
        let ephemeral = ClaimOrigin::Ephemeral { pod: "p".into(), uid: "u".into() };
        assert_eq!(fixture.objections(&RULE, &using(ephemeral), &[]), [""]);
    }

    #[test]
    fn a_claim_that_nobody_looked_at_before_must_have_a_volume_or_wait_for_a_node() {
        let mut fixture = Fixture::new([node("n")]);
        let objection = |fixture: &mut Fixture| {
            fixture.objections(&RULE, &using(ClaimOrigin::Named), &[]).remove(0)
        };
        assert_eq!(objection(&mut fixture), "persistentvolumeclaim \"c\" not found");
        fixture.cluster.observe_storage(StorageFact::Claim(claim("c", 1)));
        let missing = "storageclass.storage.k8s.io \"local\" not found";
        assert_eq!(objection(&mut fixture), missing);
        for (binding, expected) in [
            (BindingMode::Immediate, "PersistentVolume had no name"),
            (BindingMode::WaitForFirstConsumer, ""),
        ] {
            fixture.cluster.observe_storage(class("local", "csi.example.com", binding));
            assert_eq!(objection(&mut fixture), expected);
        }
    }
}
