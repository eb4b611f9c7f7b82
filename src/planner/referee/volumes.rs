//! The part of the referee that judges volumes: seat by seat, in the plan's order, against the pods that run and the
//! seats before it, by what objects and pods say. Shares no index, count, or choice with the search.
//! Volumes that exist must suffice for all unbound claims of the plan at once: that is checked by matching.
//! Only plans with somebody who has volumes come here.

use std::collections::{BTreeMap, BTreeSet};

use super::beside::Seated;
use super::{Violation, term_holds};
use crate::base::names::{Name, ObjectName};
use crate::cluster::Cluster;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::NodeId;
use crate::cluster::storage::Storage;
use crate::cluster::storage::facts::{Backing, BindingMode, ClaimFact, VolumeFact};
use crate::cluster::storage::promises::Promise;
use crate::workload::ask::Ask;
use crate::workload::constraints::NodeTerm;
use crate::workload::volumes::{ClaimOrigin, Disk, DiskAccess, DiskSource, PodVolume};

/// Judges the seats one after the other, those before the seat `from` taken as they are.
///
/// # Errors
/// The first violation found.
pub(super) fn judge(cluster: &Cluster, seats: &[Seated], from: usize) -> Result<(), Violation> {
    let storage = cluster.storage();
    let mut nodes_of_claims: BTreeMap<&ObjectName, NodeId> = BTreeMap::new();
    let mut from_existing: Vec<BTreeSet<&Name>> = Vec::new();
    for (at, seat) in seats.iter().enumerate() {
        let ask = cluster.ask(seat.ask);
        if ask.volumes.is_empty() || at < from {
            continue;
        }
        let closed =
            |because| Violation::NodeClosed { node: cluster.node_name(seat.node).clone(), because };
        let fact = cluster.nodes().get(seat.node).fact.as_ref();
        let fact = fact.ok_or_else(|| closed("its object does not exist"))?;
        for volume in &ask.volumes {
            let PodVolume::Claim(used) = volume else { continue };
            if used.origin == ClaimOrigin::Named && !ask.turns_off("VolumeZone") {
                judge_zone(&used.claim, storage, fact).map_err(closed)?;
            }
            if ask.turns_off("VolumeBinding") {
                continue;
            }
            let claim = storage.claim(&used.claim).ok_or_else(|| closed("a claim is missing"))?;
            if claim.deleting || claim.lost {
                return Err(closed("a claim is lost or leaving"));
            }
            if let ClaimOrigin::Ephemeral { uid, .. } = &used.origin
                && claim.controller.as_ref() != Some(uid)
            {
                return Err(closed("a claim is another pod's"));
            }
            if claim.volume.is_some() {
                judge_bound(claim, storage, fact).map_err(closed)?;
                continue;
            }
            let before = nodes_of_claims.insert(&claim.name, seat.node);
            if before.is_none() {
                let choice = judge_unbound(claim, storage, fact).map_err(closed)?;
                from_existing.extend(choice);
            }
        }
        if !ask.turns_off("VolumeRestrictions") {
            judge_sharing(cluster, seat, &seats[..at], ask).map_err(closed)?;
        }
        if !ask.turns_off("NodeVolumeLimits") {
            judge_limits(cluster, seat, &seats[..=at], fact).map_err(closed)?;
        }
    }
    if are_matched(&from_existing) {
        return Ok(());
    }
    let node = cluster.node_name(seats[0].node).clone();
    Err(Violation::NodeClosed { node, because: "two claims would need one volume" })
}

fn judge_bound(claim: &ClaimFact, storage: &Storage, node: &NodeFact) -> Result<(), &'static str> {
    if !claim.bind_completed {
        return Err("a claim is half bound");
    }
    let name = claim.volume.as_ref().map_or("", |name| &**name);
    let volume = storage.volume(name).ok_or("a volume is missing")?;
    let migrated = |plugin: &Name| {
        storage.csi_node(&node.name).is_some_and(|known| known.migrated.contains(plugin))
    };
    // Where its plugin was migrated, the driver's own reading of a bound volume's affinity holds.
    let terms = match &volume.backing {
        Backing::InTree { volume, node_terms } if migrated(&volume.plugin) => node_terms,
        Backing::InTree { .. } | Backing::Csi { .. } | Backing::Uncounted => &volume.node_terms,
    };
    if reach(terms.as_deref(), node) { Ok(()) } else { Err("a volume is elsewhere") }
}

/// Compares the zone and region that the labels of a claim's volume name, if it has one, with the node's.
fn judge_zone(claim: &ObjectName, storage: &Storage, node: &NodeFact) -> Result<(), &'static str> {
    let claim = storage.claim(claim).ok_or("a claim is missing")?;
    let Some(name) = &claim.volume else {
        let class = storage.class(&claim.shape.class).ok_or("a claim has no class")?;
        return match class.binding {
            BindingMode::WaitForFirstConsumer => Ok(()),
            BindingMode::Immediate => Err("a claim is somebody else's to bind"),
        };
    };
    let volume = storage.volume(name).ok_or("a volume is missing")?;
    let zonal = |key: &&(Name, Name)| {
        let short = key.0.rsplit('/').next().unwrap_or_default();
        let prefix = key.0.strip_suffix(short).unwrap_or_default();
        matches!(short, "zone" | "region")
            && matches!(prefix, "topology.kubernetes.io/" | "failure-domain.beta.kubernetes.io/")
    };
    if !node.labels.iter().any(|label| zonal(&label)) {
        return Ok(());
    }
    for (key, values) in volume.labels.iter().filter(zonal) {
        let values: Vec<&str> = values.split("__").map(str::trim).collect();
        let now = key.replace("failure-domain.beta.", "topology.");
        let label = |key: &str| node.labels.iter().find(|(known, _)| **known == *key);
        let own = label(key).or_else(|| label(&now)).map(|(_, value)| &**value);
        let readable = !values.contains(&"");
        if readable && !own.is_some_and(|own| values.contains(&own)) {
            return Err("a volume is in another zone");
        }
    }
    Ok(())
}

/// The volumes that an unbound claim may get on the node; `None` where one can be provisioned as well.
fn judge_unbound<'a>(
    claim: &ClaimFact,
    storage: &'a Storage,
    node: &NodeFact,
) -> Result<Option<BTreeSet<&'a Name>>, &'static str> {
    let class = storage.class(&claim.shape.class).ok_or("a claim has no class")?;
    if class.binding != BindingMode::WaitForFirstConsumer {
        return Err("a claim is somebody else's to bind");
    }
    let promised = storage.promises().of(&claim.name);
    let selected = match promised {
        Some(Promise::Provisioned(node)) => Some(node),
        Some(Promise::Volume(_)) => None,
        None => claim.selected_node.as_ref(),
    };
    if selected.is_some_and(|selected| *selected != node.name) {
        return Err("a claim is provisioned for another node");
    }
    let own = |volume: &&VolumeFact| {
        volume
            .claim
            .as_ref()
            .is_some_and(|to| to.claim == claim.name && (to.uid.is_empty() || to.uid == claim.uid))
    };
    let volumes: BTreeSet<&Name> = storage
        .volumes()
        .filter(|volume| match promised {
            Some(Promise::Volume(name)) => volume.name == *name,
            Some(Promise::Provisioned(_)) => false,
            None => {
                let free = volume.claim.is_none()
                    && volume.available
                    && storage.promises().claim_of(&volume.name).is_none();
                (free || own(volume)) && serves(volume, claim)
            }
        })
        .filter(|volume| reach(volume.node_terms.as_deref(), node))
        .map(|volume| &volume.name)
        .collect();
    let reachable = class.topologies.is_empty()
        || class.topologies.iter().any(|term| {
            let has = |key: &Name, values: &[Name]| {
                node.labels.iter().any(|(known, value)| known == key && values.contains(value))
            };
            !term.is_empty() && term.iter().all(|(key, values)| has(key, values))
        });
    let provisions = !matches!(&*class.provisioner, "" | "kubernetes.io/no-provisioner");
    let enough = storage.driver(&class.provisioner).is_none_or(|driver| !driver.publishes_capacity)
        || claim.shape.request.is_none_or(|request| {
            storage.capacities().any(|capacity| {
                capacity.class == class.name
                    && capacity.limit.is_some_and(|limit| limit >= request)
                    && capacity.topology.as_ref().is_some_and(|wanted| {
                        wanted.matches(|key| {
                            let label = node.labels.iter().find(|(known, _)| **known == *key);
                            label.map(|(_, value)| &**value)
                        })
                    })
            })
        });
    if provisions && reachable && enough {
        return Ok(None);
    }
    if volumes.is_empty() { Err("a claim finds no volume") } else { Ok(Some(volumes)) }
}

/// True if the volume is what the claim asks for, wherever it is.
fn serves(volume: &VolumeFact, claim: &ClaimFact) -> bool {
    let wanted = &claim.shape;
    let label = |key: &str| {
        let label = volume.labels.iter().find(|(known, _)| **known == *key);
        label.map(|(_, value)| &**value)
    };
    volume.class == wanted.class
        && volume.capacity >= wanted.request.unwrap_or(0)
        && volume.mode == wanted.mode
        && volume.attributes_class == wanted.attributes_class
        && !volume.deleting
        && (volume.claim.is_some()
            || volume.modes.include(wanted.modes)
                && wanted.selector.as_ref().is_none_or(|selector| selector.matches(label)))
}

fn reach(terms: Option<&[NodeTerm]>, node: &NodeFact) -> bool {
    // Upstream shows labels alone to a volume's terms.
    let nameless = NodeFact { name: "".into(), ..node.clone() };
    terms.is_none_or(|terms| terms.iter().any(|term| term_holds(term, &nameless)))
}

/// Disks of the node's pods, and claims that are one pod's alone.
fn judge_sharing(
    cluster: &Cluster,
    seat: &Seated,
    before: &[Seated],
    ask: &Ask,
) -> Result<(), &'static str> {
    let here = volumes_on(cluster, seat.node, before);
    for volume in &ask.volumes {
        match volume {
            PodVolume::Disk(mine) => {
                let clashes = |other: &PodVolume| match other {
                    PodVolume::Disk(theirs) => is_same_disk(mine, theirs),
                    PodVolume::Claim(_) => false,
                };
                if here.iter().any(|other| clashes(other)) {
                    return Err("another pod there has a disk of the pod");
                }
            }
            PodVolume::Claim(used) => {
                let fact = cluster.storage().claim(&used.claim);
                if !fact.is_some_and(|fact| fact.shape.modes.is_for_one_pod()) {
                    continue;
                }
                let uses = |ask: &Ask| {
                    ask.volumes.iter().any(|other| match other {
                        PodVolume::Claim(other) => other.claim == used.claim,
                        PodVolume::Disk(_) => false,
                    })
                };
                let seated = before.iter().any(|other| uses(cluster.ask(other.ask)));
                let mut nodes = cluster.nodes().present().iter();
                let running = nodes.any(|node| {
                    volumes_on(cluster, node, &[]).iter().any(|other| match other {
                        PodVolume::Claim(other) => other.claim == used.claim,
                        PodVolume::Disk(_) => false,
                    })
                });
                if seated || running {
                    return Err("another pod has a claim that is one pod's alone");
                }
            }
        }
    }
    Ok(())
}

fn is_same_disk(mine: &Disk, theirs: &Disk) -> bool {
    let one_writes = mine.access == DiskAccess::ReadWrite || theirs.access == DiskAccess::ReadWrite;
    match (&mine.source, &theirs.source) {
        (DiskSource::Counted(_), _) => false,
        (DiskSource::Ebs(_), _) => mine.source == theirs.source,
        (DiskSource::Rbd(monitors, pool, image), DiskSource::Rbd(others, other_pool, other)) => {
            one_writes
                && (pool, image) == (other_pool, other)
                && others.iter().any(|monitor| monitors.contains(monitor))
        }
        (DiskSource::Gce(_) | DiskSource::Iscsi(_) | DiskSource::Rbd(..), _) => {
            one_writes && mine.source == theirs.source
        }
    }
}

/// The volumes of the pods that run on a node, and of the seats before.
fn volumes_on<'a>(cluster: &'a Cluster, node: NodeId, before: &[Seated]) -> Vec<&'a PodVolume> {
    let running = cluster.pods_on(node).filter_map(|(pod, _)| cluster.relations().traits_of(pod));
    let seated = before.iter().filter(|seat| seat.node == node).map(|seat| seat.ask);
    let asks = running.map(|traits| traits.ask).chain(seated);
    asks.flat_map(|ask| &cluster.ask(ask).volumes).collect()
}

/// Counts what drivers would have to attach to the node, the seat's own volumes included.
fn judge_limits(
    cluster: &Cluster,
    seat: &Seated,
    seats: &[Seated],
    node: &NodeFact,
) -> Result<(), &'static str> {
    let storage = cluster.storage();
    let csi_node = storage.csi_node(&node.name);
    let of = |volume: &PodVolume| -> Option<(Name, Name)> {
        let migrated =
            |plugin: &Name| csi_node.is_some_and(|csi_node| csi_node.migrated.contains(plugin));
        let PodVolume::Claim(used) = volume else {
            let PodVolume::Disk(disk) = volume else { return None };
            let volume = disk.in_tree().filter(|volume| migrated(&volume.plugin))?;
            return Some((volume.driver, volume.handle));
        };
        let claim = storage.claim(&used.claim)?;
        match claim.volume.as_ref().and_then(|name| storage.volume(name)).map(|v| &v.backing) {
            Some(Backing::Csi { driver, handle }) => Some((driver.clone(), handle.clone())),
            Some(Backing::InTree { volume, .. }) if migrated(&volume.plugin) => {
                Some((volume.driver.clone(), volume.handle.clone()))
            }
            Some(Backing::InTree { .. } | Backing::Uncounted) => None,
            None => {
                let class = storage.class(&claim.shape.class)?;
                let name = format!("unbound {}", claim.name).into();
                match crate::workload::volumes::driver_of_plugin(&class.provisioner) {
                    None => Some((class.provisioner.clone(), name)),
                    Some(driver) => migrated(&class.provisioner).then(|| (driver.into(), name)),
                }
            }
        }
    };
    let mut all: BTreeSet<(Name, Name)> =
        volumes_on(cluster, seat.node, seats).into_iter().filter_map(&of).collect();
    for attachment in storage.attachments_of(&node.name) {
        let volume = attachment.volume.as_ref().and_then(|name| storage.volume(name));
        if let Some(Backing::Csi { handle, .. }) = volume.map(|volume| &volume.backing) {
            all.insert((attachment.attacher.clone(), handle.clone()));
        }
    }
    let own: BTreeSet<(Name, Name)> =
        cluster.ask(seat.ask).volumes.iter().filter_map(&of).collect();
    let others: BTreeSet<(Name, Name)> = volumes_on(cluster, seat.node, &seats[..seats.len() - 1])
        .into_iter()
        .filter_map(&of)
        .collect();
    let limits = csi_node.map_or(&[][..], |csi_node| &csi_node.drivers);
    for (driver, _) in &own {
        let listed = limits.iter().find(|(known, _)| known == driver);
        let required = storage.driver(driver).is_some_and(|driver| driver.required_on_node);
        if required && listed.is_none() {
            return Err("a driver that the pod needs does not run there");
        }
        let brings_one = own.iter().any(|mine| mine.0 == *driver && !others.contains(mine));
        let count = all.iter().filter(|(known, _)| known == driver).count();
        let limit = listed.and_then(|(_, limit)| *limit);
        if brings_one && limit.is_some_and(|limit| i64::try_from(count).is_ok_and(|c| c > limit)) {
            return Err("a driver cannot attach so many volumes there");
        }
    }
    Ok(())
}

/// True if each claim can have a volume of its own: by augmenting paths.
fn are_matched(choices: &[BTreeSet<&Name>]) -> bool {
    let mut holders: BTreeMap<&Name, usize> = BTreeMap::new();
    (0..choices.len()).all(|claim| finds_volume(claim, choices, &mut holders, &mut BTreeSet::new()))
}

fn finds_volume<'a>(
    claim: usize,
    choices: &[BTreeSet<&'a Name>],
    holders: &mut BTreeMap<&'a Name, usize>,
    seen: &mut BTreeSet<&'a Name>,
) -> bool {
    for volume in &choices[claim] {
        if !seen.insert(volume) {
            continue;
        }
        let free = match holders.get(volume).copied() {
            None => true,
            Some(holder) => finds_volume(holder, choices, holders, seen),
        };
        if free {
            holders.insert(volume, claim);
            return true;
        }
    }
    false
}
