//! Records that another version of Muster wrote: one that knows less, one that knows more, one with another schema.
//! What this version can read it carries out as it stands; what it cannot, it names and does nothing by.
//! Each record is one that a scheduler wrote half-way through a gang, rewritten as the other version would have it.

use std::time::Duration;

use muster::config::shipped;
use serde_json::Value;
use serde_json::json;

use crate::meddling::RECORD;
use crate::meddling::gang;
use crate::meddling::no_more_faults;
use crate::meddling::notes;
use crate::meddling::reject;
use crate::world;
use crate::world::Scheduler;
use crate::world::World;

const RECORDS: &str = "/apis/muster.dev/v1alpha1/namespaces/default/gangplans";

/// The shipped CRDs, as a version would ship them whose records have further fields.
fn crds() -> Vec<Value> {
    let read = |crd: &&str| serde_saphyr::from_str(crd).expect("the shipped CRD is YAML");
    let mut crds: Vec<Value> = shipped::CRDS.iter().map(read).collect();
    for crd in &mut crds {
        let properties = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        properties["spec"]["x-kubernetes-preserve-unknown-fields"] = true.into();
    }
    crds
}

/// A gang of two of which one is bound, its record rewritten by `edit` while no scheduler runs; and the next scheduler,
/// which nothing is in the way of.
async fn taken_over(edit: impl FnOnce(&mut Value)) -> (World, Scheduler) {
    let world = World::without_groups();
    for crd in crds() {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let created = world.server.write(|server| server.create(world.clock.now(), path, crd));
        created.expect("it is valid");
    }
    for name in ["n1", "n2", "n3"] {
        world.create("nodes", world::node(name));
    }
    reject(&world);
    gang(&world, 2, 8);
    let writer = world.scheduler(|client| client, None);
    world.until("one is bound", |world| world.bound() == ["g-0"]).await;
    writer.kill();
    let mut record = world.get(RECORD);
    assert_eq!(record["spec"]["phase"], "Proposed", "{record:#}");
    let deleted = world.server.write(|server| server.delete(world.clock.now(), RECORD, json!({})));
    deleted.expect("it is there");
    edit(&mut record["spec"]);
    let kept = ["name", "namespace", "ownerReferences"];
    let metadata = record["metadata"].as_object_mut().expect("it has metadata");
    metadata.retain(|field, _| kept.contains(&field.as_str()));
    let created = world.server.write(|server| server.create(world.clock.now(), RECORDS, record));
    created.expect("the CRD allows it");
    no_more_faults(&world);
    let next = world.scheduler(|client| client, None);
    (world, next)
}

/// The record's gang was completed by the plan that it holds.
async fn is_carried_out(world: &World, next: Scheduler) {
    world.until("the other is bound", |world| world.bound().len() == 2).await;
    world.until("it is sealed", |world| world.get(RECORD)["spec"]["phase"] == "Bound").await;
    let spec = &world.get(RECORD)["spec"];
    assert_eq!(spec["epoch"], 1, "the plan that was found, and no other: {spec:#}");
    let pod = world.get("/api/v1/namespaces/default/pods/g-1");
    let node = pod["spec"]["nodeName"].as_str().expect("it is bound");
    let nodes = spec["nodes"].as_array().expect("nodes");
    assert!(nodes.contains(&node.into()), "{node} is not of the plan: {spec:#}");
    assert_eq!(next.report().await.engine.records_malformed, 0);
    next.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_with_fields_that_this_version_does_not_know_is_carried_out_and_keeps_them() {
    let (world, next) = taken_over(|spec| {
        spec["reason"] = "defragmentation".into();
        spec["victims"] = json!([{"pod": "other", "uid": 7}]);
        spec["podGroup"]["cluster"] = "east".into();
        spec["part"]["checksum"] = "cafe".into();
    })
    .await;
    is_carried_out(&world, next).await;
    let spec = &world.get(RECORD)["spec"];
    assert_eq!(spec["reason"], "defragmentation", "{spec:#}");
    assert_eq!(spec["victims"][0]["pod"], "other");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_lacks_every_field_that_it_may_lack_is_carried_out() {
    let (world, next) = taken_over(|spec| {
        // Without a prefix, names of members stand whole.
        let prefix = spec["prefix"].as_str().expect("text").to_owned();
        let members = spec["members"].as_str().expect("text").split(',');
        let whole: Vec<String> = members.map(|member| format!("{prefix}{member}")).collect();
        spec["members"] = whole.join(",").into();
        for field in ["prefix", "deadline", "leader"] {
            spec.as_object_mut().expect("an object").remove(field).expect("it was written");
        }
        spec["podGroup"].as_object_mut().expect("an object").remove("resourceVersion");
    })
    .await;
    is_carried_out(&world, next).await;
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_newer_schema_is_named_and_nothing_that_is_bound_is_touched() {
    let (world, next) = taken_over(|spec| {
        spec["schemaVersion"] = 2.into();
        spec["members"] = json!("in/another/form");
    })
    .await;
    let before = world.get("/api/v1/namespaces/default/pods/g-0");
    world.until("it is said", |world| !notes(world, "InvalidGangPlan").is_empty()).await;
    let told = notes(&world, "InvalidGangPlan");
    let said = "nothing is done by GangPlan coscheduling.g: spec.schemaVersion: 2 was written by a newer Muster; let \
                that one finish this gang, or update this one";
    assert!(told[0].starts_with(said), "{told:?}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let after = world.get("/api/v1/namespaces/default/pods/g-0");
    assert_eq!(after["spec"]["nodeName"], before["spec"]["nodeName"]);
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "it was not evicted");
    assert_eq!(world.bound().len(), 2, "the gang is not left in part");
    next.stop().await;
}
