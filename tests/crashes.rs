//! A gang of eight, and the scheduler ends before and after every call that it makes, or the call's request or
//! reply is lost; then another scheduler takes over from listings. Every call, every mishap, none left out.
//! Afterwards no gang may be bound in part, and no pod may have moved.

use muster::apiserver::store::failure::Failure;
use muster::apiserver::store::faults::{FaultEffect, FaultRule, Target};
use muster::apiserver::store::request::Verb;
use muster::base::time::Span;
use muster::sim::checkers::{Checkers, Promises};
use muster::sim::manifests::read::{Document, Origin};
use muster::sim::manifests::sort::sort;
use muster::sim::world::mishap::Mishap;
use muster::sim::world::script::Action;
use muster::sim::world::{SCHEDULER_NAMES, World, WorldSettings};
use serde_json::{Value, json};

const MEMBERS: usize = 8;

/// Longer than a binding may take, with its undoing and the next attempt.
const PARTIAL_FOR: Span = Span::seconds(120);

fn objects(group: Value, timeout: Option<u32>) -> Vec<Value> {
    let mut group = group;
    if let Some(seconds) = timeout {
        group["spec"]["scheduleTimeoutSeconds"] = seconds.into();
    }
    let mut objects = vec![group];
    for at in 0..MEMBERS {
        let allocatable =
            json!({"cpu": "8", "memory": "32Gi", "pods": "110", "nvidia.com/gpu": "1"});
        objects.push(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{at}")},
            "status": {"allocatable": allocatable, "capacity": allocatable},
        }));
        objects.push(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("train-{at}"), "namespace": "default",
                "labels": {"scheduling.x-k8s.io/pod-group": "train"},
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": "train",
                    "uid": "7f2d7c8e-0000-4000-8000-000000000001", "controller": true,
                }],
            },
            "spec": {
                "schedulerName": "muster",
                "containers": [{"name": "main", "image": "i", "resources": {"limits": {"nvidia.com/gpu": 1}}}],
            },
        }));
    }
    objects
}

fn coscheduling() -> Value {
    json!({
        "apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
        "metadata": {"name": "train", "namespace": "default"},
        "spec": {"minMember": MEMBERS},
    })
}

/// The same gang, whose members have a claim each: a volume that exists for the even ones, one that is provisioned
/// for the others.
fn objects_with_volumes() -> Vec<Value> {
    let class = |name: &str, provisioner: &str| {
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name, "annotations": {"muster.dev/provisioned-after": "2s"}},
            "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer",
        })
    };
    let mut all =
        vec![class("local", "kubernetes.io/no-provisioner"), class("fast", "csi.example.com")];
    for at in 0..MEMBERS {
        let class = if at % 2 == 0 { "local" } else { "fast" };
        all.push(json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": format!("data-{at}"), "namespace": "default"},
            "spec": {
                "storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }));
        all.push(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": format!("disk-{at}")},
            "spec": {
                "storageClassName": "local", "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "2Gi"}, "hostPath": {"path": "/mnt"},
            },
        }));
    }
    let mut pods = 0;
    for mut object in objects(coscheduling(), None) {
        if object["kind"] == "Pod" {
            let claim = json!({"claimName": format!("data-{pods}")});
            object["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": claim}]);
            pods += 1;
        }
        all.push(object);
    }
    all
}

fn world(timeout: Option<u32>) -> World {
    world_of(objects(coscheduling(), timeout))
}

fn world_of(objects: Vec<Value>) -> World {
    let documents = objects.into_iter().enumerate();
    let documents = documents
        .map(|(index, object)| Document {
            origin: Origin { file: "crashes".into(), document: index + 1, item: None },
            object,
        })
        .collect();
    let input = sort(documents).expect("the input is what an API server takes");
    World::new(input, WorldSettings::default()).expect("the input is what an API server takes")
}

/// How a world ended.
struct End {
    calls: u64,
    bound: usize,
    phases: Vec<String>,
    aborted: u64,
}

/// Runs to the end, judged at every instant.
fn run(mut world: World, title: &str) -> End {
    let names = SCHEDULER_NAMES.map(str::to_owned).to_vec();
    let promises = Promises { partial_for: PARTIAL_FOR, silent_for: PARTIAL_FOR };
    let mut checkers = Checkers::new(names, promises);
    let until = world.zero() + Span::seconds(1200);
    let mut aborted = 0;
    while world.next_instant().is_some_and(|next| next <= until) {
        let Some(now) = world.step() else { break };
        aborted = aborted.max(world.engine().counters().gangs_aborted);
        if let Err(violations) = checkers.inspect(now, &world.snapshot()) {
            panic!("{title}: {violations:?}");
        }
    }
    if let Err(violations) = checkers.conclude(world.now(), &world.snapshot()) {
        panic!("{title}: {violations:?}");
    }
    let bound = world.result().pods.iter().filter(|pod| pod.node.is_some()).count();
    End { calls: world.calls(), bound, phases: world.record_phases(), aborted }
}

fn check(title: &str, make: impl Fn() -> World, deadline: u64) {
    let calm = run(make(), title);
    assert_eq!(calm.bound, MEMBERS, "{title}: nothing goes wrong, and yet");
    assert!(calm.calls >= deadline, "{title}: only {} calls", calm.calls);
    for call in 1..=calm.calls + 1 {
        for mishap in Mishap::ALL {
            let title = format!("{title}: {mishap:?} at call {call} of {}", calm.calls);
            let mut world = make();
            world.arm(call, mishap);
            let end = run(world, &title);
            assert_eq!(end.bound, MEMBERS, "{title}: not whole");
            assert!(end.phases.iter().all(|phase| phase == "Bound"), "{title}: {:?}", end.phases);
        }
    }
}

#[test]
fn wherever_the_scheduler_ends_the_gang_is_bound_whole() {
    // One write per pod and three for the gang, and the three reads before the binds less the lease.
    check("a gang of eight", || world(None), (MEMBERS + 3) as u64);
}

#[test]
fn wherever_the_scheduler_ends_volumes_are_bound_before_the_gang_is() {
    // One write more for each claim.
    let make = || world_of(objects_with_volumes());
    check("a gang of eight with volumes", make, (2 * MEMBERS + 3) as u64);
}

/// No record tells a successor of pods on their own: the claims and volumes themselves say what was decided.
#[test]
fn wherever_the_scheduler_ends_pods_on_their_own_are_bound_after_their_volumes() {
    let alone = || {
        let mut objects = objects_with_volumes();
        objects.retain(|object| object["kind"] != "PodGroup");
        for object in objects.iter_mut().filter(|object| object["kind"] == "Pod") {
            object["metadata"]["labels"] = json!({});
        }
        world_of(objects)
    };
    check("eight pods with volumes", alone, (2 * MEMBERS) as u64);
}

#[test]
fn the_writes_of_a_gang_stay_within_their_budget() {
    let mut world = world(None);
    world.run(None);
    let counters = world.engine().counters().clone();
    assert_eq!((counters.gangs_sealed, counters.binds_done), (1, MEMBERS as u64));
    // Proposal, decision, seal, and the two reads of the verification; beside them one status of the group
    // for each phase that it passes through.
    assert!(world.calls() <= (MEMBERS + 5 + 4) as u64, "{} calls", world.calls());
}

#[test]
fn wherever_the_scheduler_ends_an_undoing_is_finished() {
    let denied = || {
        let mut world = world(Some(5));
        let webhook = Failure::bad_request("denied by a webhook");
        let target = Target::of(Verb::Create, "pods/binding").named("default", "train-3");
        let rule =
            FaultRule { target, skip: 0, times: Some(4), effect: FaultEffect::FailBefore(webhook) };
        world.plan(Span::ZERO, Action::Fault(rule));
        world
    };
    let calm = run(denied(), "a member is denied");
    assert!(calm.aborted > 0 || calm.bound == MEMBERS, "nothing was undone");
    check("a member is denied for a while", denied, (MEMBERS + 3) as u64);
}
