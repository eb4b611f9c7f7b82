//! Tests of what is believed about storage and of what claims would get: corner cases of kube-scheduler's binder,
//! and its choice against a search by brute force.
//! Fixtures build facts field by field; nothing here knows an API object.

use super::Storage;
use super::facts::*;
use super::fixture::{claim, class, volume};
use super::matching::{ClaimState, Lack, Place};
use super::promises::Promise;
use crate::base::labels::LabelSelector;
use crate::base::names::{Name, ObjectName};
use crate::base::random::Random;
use crate::workload::constraints::{NodeOperator, NodeRequirement, NodeTerm};

fn storage(volumes: impl IntoIterator<Item = VolumeFact>) -> Storage {
    let mut storage = Storage::default();
    storage.observe(class(
        "local",
        "kubernetes.io/no-provisioner",
        BindingMode::WaitForFirstConsumer,
    ));
    for volume in volumes {
        storage.observe(StorageFact::Volume(volume));
    }
    storage
}

/// What the claims get on a host of that name.
fn chosen(
    storage: &Storage,
    claims: &[&ClaimFact],
    host: &str,
) -> Result<Vec<(String, String)>, Lack> {
    let node: Name = host.into();
    let labels = [("kubernetes.io/hostname".into(), node.clone()), ("zone".into(), "east".into())];
    let promised = storage.choose(claims, Place { node: &node, labels: &labels })?;
    let told = |(claim, promise): (ObjectName, Promise)| {
        let got = match promise {
            Promise::Volume(volume) => volume.to_string(),
            Promise::Provisioned(node) => format!("provisioned for {node}"),
        };
        (claim.name.to_string(), got)
    };
    Ok(promised.into_iter().map(told).collect())
}

fn pair(claim: &str, got: &str) -> (String, String) {
    (claim.to_owned(), got.to_owned())
}

#[test]
fn volumes_are_pooled_as_they_are_now() {
    let mut storage = storage([volume("a", 10, None)]);
    let slow = VolumeFact { class: "slow".into(), ..volume("a", 10, None) };
    assert!(storage.observe(StorageFact::Volume(slow.clone())));
    assert!(!storage.observe(StorageFact::Volume(slow.clone())), "the same again says nothing");
    assert_eq!(chosen(&storage, &[&claim("c", 5)], "n"), Err(Lack::Volume));
    assert!(storage.observe(StorageFact::Volume(volume("a", 10, Some("n")))));
    assert_eq!(chosen(&storage, &[&claim("c", 5)], "n"), Ok(vec![pair("c", "a")]));
    assert_eq!(chosen(&storage, &[&claim("c", 5)], "m"), Err(Lack::Volume));
    let name = ObjectName::new("", "a");
    assert!(!storage.forget(StorageKind::Volume, &name, "other"), "another of that name");
    assert!(storage.forget(StorageKind::Volume, &name, "a") && storage.free_volumes.is_empty());
}

#[test]
fn a_volume_that_was_promised_is_not_anothers_because_its_object_says_so_meanwhile() {
    let mut storage = storage([volume("v", 10, None)]);
    storage.promises.make(&ObjectName::new("d", "first"), &Promise::Volume("v".into()), 1);
    let reference = ClaimReference { claim: ObjectName::new("d", "c"), uid: "".into() };
    let reserved = VolumeFact { claim: Some(reference), ..volume("v", 10, None) };
    storage.observe(StorageFact::Volume(reserved));
    assert_eq!(chosen(&storage, &[&claim("c", 5)], "n"), Err(Lack::Volume));
    storage.promises.release(&ObjectName::new("d", "first"), 1);
    assert_eq!(chosen(&storage, &[&claim("c", 5)], "n"), Ok(vec![pair("c", "v")]));
}

#[test]
fn attachments_are_found_by_node() {
    let mut storage = Storage::default();
    let attachment = |node: &str| {
        StorageFact::Attachment(AttachmentFact {
            name: "x".into(),
            uid: "1".into(),
            attacher: "d".into(),
            node: node.into(),
            volume: Some("v".into()),
        })
    };
    storage.observe(attachment("n1"));
    storage.observe(attachment("n2"));
    assert_eq!(storage.attachments_of("n1").count(), 0);
    assert_eq!(storage.attachments_of("n2").count(), 1);
    assert!(storage.agrees_with(&attachment("n2")) && !storage.agrees_with(&attachment("n1")));
    storage.forget(StorageKind::Attachment, &ObjectName::new("", "x"), "1");
    assert_eq!(storage.attachments_of("n2").count(), 0);
}

#[test]
fn small_claims_come_first_and_take_the_smallest_volume_that_will_do() {
    let storage = storage([
        volume("big", 100, None),
        volume("small", 10, Some("n")),
        volume("mid", 50, None),
    ]);
    let (large, little) = (claim("large", 20), claim("little", 5));
    assert_eq!(
        chosen(&storage, &[&large, &little], "n"),
        Ok(vec![pair("little", "small"), pair("large", "mid")])
    );
    assert_eq!(
        chosen(&storage, &[&large, &little], "m"),
        Ok(vec![pair("little", "mid"), pair("large", "big")])
    );
}

#[test]
fn a_volume_must_be_what_the_claim_asks_for() {
    let wanted = claim("c", 10);
    let fits =
        |volume: VolumeFact, claim: &ClaimFact| chosen(&storage([volume]), &[claim], "n").is_ok();
    let fine = || volume("v", 10, None);
    assert!(fits(fine(), &wanted));
    assert!(!fits(VolumeFact { capacity: 9, ..fine() }, &wanted));
    assert!(!fits(VolumeFact { available: false, ..fine() }, &wanted));
    assert!(!fits(VolumeFact { deleting: true, ..fine() }, &wanted));
    assert!(!fits(VolumeFact { class: "other".into(), ..fine() }, &wanted));
    assert!(!fits(VolumeFact { mode: VolumeMode::Block, ..fine() }, &wanted));
    assert!(!fits(VolumeFact { attributes_class: "gold".into(), ..fine() }, &wanted));
    assert!(!fits(VolumeFact { modes: AccessModes::of(["ReadOnlyMany"]), ..fine() }, &wanted));
    let many = VolumeFact { modes: AccessModes::of(["ReadOnlyMany", "ReadWriteOnce"]), ..fine() };
    assert!(fits(many, &wanted));
    let mut picky = wanted.clone();
    picky.shape.selector = Some(LabelSelector::parse("disk=ssd").expect("a selector"));
    assert!(!fits(fine(), &picky));
    assert!(fits(VolumeFact { labels: vec![("disk".into(), "ssd".into())], ..fine() }, &picky));
    // Requirements on fields meet no field: upstream matches labels alone.
    let named = NodeRequirement {
        key: "metadata.name".into(),
        operator: NodeOperator::In,
        values: vec!["n".into()],
    };
    let term = NodeTerm { match_fields: vec![named], ..NodeTerm::default() };
    assert!(!fits(VolumeFact { node_terms: Some(vec![term]), ..fine() }, &wanted));
    assert!(!fits(VolumeFact { node_terms: Some(vec![NodeTerm::default()]), ..fine() }, &wanted));
}

#[test]
fn a_volume_that_is_for_a_claim_is_its_only_choice() {
    let wanted = claim("c", 10);
    let reference = |claim: &str, uid: &str| {
        Some(ClaimReference { claim: ObjectName::new("d", claim), uid: uid.into() })
    };
    let own =
        |uid: &str, host| VolumeFact { claim: reference("c", uid), ..volume("own", 100, host) };
    let with = |own: VolumeFact| storage([volume("free", 10, None), own]);
    assert_eq!(chosen(&with(own("", None)), &[&wanted], "n"), Ok(vec![pair("c", "own")]));
    assert_eq!(chosen(&with(own("c", None)), &[&wanted], "n"), Ok(vec![pair("c", "own")]));
    assert_eq!(chosen(&with(own("", Some("m"))), &[&wanted], "n"), Err(Lack::Volume));
    // Another claim of that name, which is gone: the volume is nobody's yet.
    assert_eq!(chosen(&with(own("before", None)), &[&wanted], "n"), Ok(vec![pair("c", "free")]));
    let other = VolumeFact { claim: reference("e", ""), ..volume("own", 10, None) };
    assert_eq!(chosen(&storage([other]), &[&wanted], "n"), Err(Lack::Volume));
}

#[test]
fn what_was_promised_is_kept() {
    let mut storage = storage([volume("v", 10, None), volume("w", 20, Some("n"))]);
    let (one, other) = (claim("one", 10), claim("other", 10));
    storage.promises.make(&one.name, &Promise::Volume("w".into()), 1);
    assert_eq!(chosen(&storage, &[&one], "n"), Ok(vec![pair("one", "w")]));
    assert_eq!(chosen(&storage, &[&one], "m"), Err(Lack::Volume), "its volume is not there");
    assert_eq!(chosen(&storage, &[&other], "n"), Ok(vec![pair("other", "v")]));
    storage.promises.make(&other.name, &Promise::Provisioned("m".into()), 1);
    assert_eq!(chosen(&storage, &[&other], "n"), Err(Lack::Volume), "it goes elsewhere");
}

#[test]
fn what_matches_nothing_is_provisioned_where_the_class_allows_it() {
    let mut storage = storage([]);
    let wanted = claim("c", 10);
    let given = |topologies: Vec<TopologyTerm>| {
        StorageFact::Class(ClassFact {
            name: "local".into(),
            uid: "local".into(),
            provisioner: "csi.example.com".into(),
            binding: BindingMode::WaitForFirstConsumer,
            topologies,
        })
    };
    let provisioned = || Ok(vec![pair("c", "provisioned for n")]);
    storage.observe(given(Vec::new()));
    assert_eq!(chosen(&storage, &[&wanted], "n"), provisioned());
    let zones =
        |values: &[&str]| vec![("zone".into(), values.iter().map(|z| (*z).into()).collect())];
    storage.observe(given(vec![zones(&["west"])]));
    assert_eq!(chosen(&storage, &[&wanted], "n"), Err(Lack::Volume));
    storage.observe(given(vec![zones(&["west"]), zones(&["north", "east"])]));
    assert_eq!(chosen(&storage, &[&wanted], "n"), provisioned());
    storage.observe(given(vec![Vec::new()]));
    assert_eq!(
        chosen(&storage, &[&wanted], "n"),
        Err(Lack::Volume),
        "an empty term matches nothing"
    );
    storage.observe(given(Vec::new()));
    let selected = ClaimFact { selected_node: Some("m".into()), ..wanted.clone() };
    assert_eq!(chosen(&storage, &[&selected], "n"), Err(Lack::Volume));
    assert!(chosen(&storage, &[&selected], "m").is_ok());
    storage.observe(class("local", "", BindingMode::WaitForFirstConsumer));
    assert_eq!(chosen(&storage, &[&wanted], "n"), Err(Lack::Volume), "nobody provisions");
}

#[test]
fn drivers_that_publish_capacity_provision_where_there_is_enough() {
    let mut storage = Storage::default();
    storage.observe(class("local", "csi.example.com", BindingMode::WaitForFirstConsumer));
    let driver = |publishes_capacity| {
        StorageFact::Driver(DriverFact {
            name: "csi.example.com".into(),
            uid: "1".into(),
            publishes_capacity,
            required_on_node: false,
        })
    };
    let capacity = |name: &str, topology: Option<&str>, limit: Option<i64>| {
        let topology = topology.map(|text| LabelSelector::parse(text).expect("a selector"));
        StorageFact::Capacity(CapacityFact {
            name: ObjectName::new("d", name),
            uid: name.into(),
            class: "local".into(),
            topology,
            limit,
            free: limit.unwrap_or(0),
        })
    };
    let wanted = claim("c", 10);
    let works = |storage: &Storage, claim: &ClaimFact| chosen(storage, &[claim], "n").map(|_| ());
    storage.observe(driver(true));
    assert_eq!(works(&storage, &wanted), Err(Lack::Space));
    for (topology, limit) in [
        (Some("zone=east"), Some(9)),
        (Some("zone=west"), Some(99)),
        (None, Some(99)),
        (Some("zone=east"), None),
    ] {
        storage.observe(capacity("a", topology, limit));
        assert_eq!(works(&storage, &wanted), Err(Lack::Space), "{topology:?} {limit:?}");
    }
    for topology in ["zone=east", "zone in (east,west)", "zone"] {
        storage.observe(capacity("a", Some(topology), Some(10)));
        assert_eq!(works(&storage, &wanted), Ok(()), "{topology}");
    }
    assert!(storage.forget(StorageKind::Capacity, &ObjectName::new("d", "a"), "a"));
    assert_eq!(works(&storage, &wanted), Err(Lack::Space));
    let mut unsized_claim = wanted.clone();
    unsized_claim.shape.request = None;
    assert_eq!(works(&storage, &unsized_claim), Ok(()), "nothing is asked for");
    storage.observe(driver(false));
    assert_eq!(works(&storage, &wanted), Ok(()));
}

#[test]
fn who_binds_a_claim_is_said_by_its_class() {
    let mut storage = storage([]);
    storage.observe(class("now", "p", BindingMode::Immediate));
    let of_class = |class: &str| {
        let mut fact = claim("c", 1);
        fact.shape.class = class.into();
        fact
    };
    assert_eq!(storage.state_of(&of_class("local")), ClaimState::Delayed);
    for class in ["now", "missing", ""] {
        assert_eq!(storage.state_of(&of_class(class)), ClaimState::Immediate, "{class:?}");
    }
    let half = ClaimFact { volume: Some("v".into()), ..of_class("local") };
    assert_eq!(storage.state_of(&half), ClaimState::Immediate, "somebody is binding it");
    let whole = ClaimFact { bind_completed: true, ..half };
    assert_eq!(storage.state_of(&whole), ClaimState::Bound(&"v".into()));
}

/// Among claims that differ in size alone, the binder's choice serves as many as any choice does.
#[test]
fn the_greedy_choice_is_as_good_as_brute_force() {
    let mut random = Random::new(7);
    for round in 0..2_000 {
        let hosts = [None, Some("n"), Some("m")];
        let volumes: Vec<VolumeFact> = (0..random.below(5))
            .map(|at| volume(&format!("v{at}"), random.below(6) as i64, *random.pick(&hosts)))
            .collect();
        let claims: Vec<ClaimFact> = (0..1 + random.below(3))
            .map(|at| claim(&format!("c{at}"), random.below(6) as i64))
            .collect();
        let storage = storage(volumes.clone());
        let wanted: Vec<&ClaimFact> = claims.iter().collect();
        let usable: Vec<i64> = volumes
            .iter()
            .filter(|volume| {
                volume.is_reached_from(Place {
                    node: &"n".into(),
                    labels: &[("kubernetes.io/hostname".into(), "n".into())],
                })
            })
            .map(|volume| volume.capacity)
            .collect();
        let requests: Vec<i64> =
            claims.iter().map(|claim| claim.shape.request.unwrap_or(0)).collect();
        let found = chosen(&storage, &wanted, "n").is_ok();
        assert_eq!(
            found,
            can_serve(&requests, &usable),
            "round {round}: {requests:?} from {usable:?}"
        );
    }
}

/// True if every request can have a volume of its own.
fn can_serve(requests: &[i64], volumes: &[i64]) -> bool {
    let Some((first, rest)) = requests.split_first() else { return true };
    (0..volumes.len()).any(|at| {
        let mut others = volumes.to_vec();
        let volume = others.remove(at);
        volume >= *first && can_serve(rest, &others)
    })
}
