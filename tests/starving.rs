//! Gangs of which a webhook rejects one member for ever: one of a hundred must cost the others next to nothing.
//! The scheduler tries again and again, since nothing says that a webhook will never change its mind; it holds
//! seats only while it tries, and rests longer each time. Virtual time, so the figures are the same everywhere.

use muster::apiserver::store::failure::Failure;
use muster::apiserver::store::faults::{FaultEffect, FaultRule, Target};
use muster::apiserver::store::request::Verb;
use muster::base::time::Span;
use muster::sim::manifests::read::{Document, Origin};
use muster::sim::manifests::sort::sort;
use muster::sim::world::script::Action;
use muster::sim::world::{World, WorldSettings};
use serde_json::{Value, json};

const NODES: usize = 10;
const GANGS: usize = 400;
/// One of a hundred, and the first in line.
const REJECTED: usize = GANGS / 100;
/// Before the backlog is empty.
const WINDOW: Span = Span::seconds(600);

fn objects() -> Vec<Value> {
    let mut objects = Vec::new();
    for at in 0..NODES {
        let offered = json!({"cpu": "64", "memory": "64Gi", "pods": "110", "nvidia.com/gpu": "8"});
        objects.push(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{at}")},
            "status": {"allocatable": offered, "capacity": offered},
        }));
    }
    for gang in 0..GANGS {
        let name = format!("g{gang:03}");
        objects.push(json!({
            "apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
            "metadata": {"name": name}, "spec": {"minMember": 2},
        }));
        for member in 0..2 {
            objects.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": format!("{name}-{member}"),
                    "labels": {"scheduling.x-k8s.io/pod-group": name},
                    "annotations": {"muster.dev/runs-for": format!("{}s", 20 + gang * 7 % 21)},
                    "ownerReferences": [{
                        "apiVersion": "batch/v1", "kind": "Job", "name": name, "controller": true,
                        "uid": format!("7f2d7c8e-0000-4000-8000-{gang:012}"),
                    }],
                },
                "spec": {"containers": [
                    {"name": "main", "image": "i", "resources": {"limits": {"nvidia.com/gpu": 4}}},
                ]},
            }));
        }
    }
    objects
}

/// How many pods of the gangs that nobody rejects were bound within the window.
fn bound(rejected: usize) -> usize {
    let documents = objects().into_iter().enumerate().map(|(index, object)| Document {
        origin: Origin { file: "starving".into(), document: index + 1, item: None },
        object,
    });
    let input = sort(documents.collect()).expect("the input is what an API server takes");
    let mut world = World::new(input, WorldSettings::default()).expect("it is");
    for gang in 0..rejected {
        let webhook =
            Failure::bad_request("admission webhook \"no.example.com\" denied the request");
        let target =
            Target::of(Verb::Create, "pods/binding").named("default", &format!("g{gang:03}-1"));
        let effect = FaultEffect::FailBefore(webhook);
        world.plan(Span::ZERO, Action::Fault(FaultRule { target, skip: 0, times: None, effect }));
    }
    let until = world.zero() + WINDOW;
    while world.next_instant().is_some_and(|next| next <= until) {
        if world.step().is_none() {
            break;
        }
    }
    let good = |gang: &str| gang[1..].parse::<usize>().is_ok_and(|gang| gang >= REJECTED);
    world.result().bindings.iter().filter(|bind| good(&bind.gang)).count()
}

#[test]
fn gangs_whose_binds_are_always_rejected_cost_the_others_at_most_a_twentieth() {
    let (calm, hurt) = (bound(0), bound(REJECTED));
    assert!(calm < 2 * (GANGS - REJECTED), "the backlog was empty: all {calm} were bound");
    println!(
        "pods bound within {WINDOW}: {calm} without, {hurt} with {REJECTED} such gangs of {GANGS}"
    );
    assert!(hurt * 20 >= calm * 19, "{hurt} pods instead of {calm}");
}
