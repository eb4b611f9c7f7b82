//! Hundreds of small random worlds, judged by every checker at every instant, each run twice.
//! A seed draws sizes, gangs, priorities, arrivals, runtimes, interventions, and the faults of the API.
//! `MUSTER_SEED=17 cargo test --test simulation` repeats one; `MUSTER_WORLDS=5000` runs more.

use muster::apiserver::store::failure::Failure;
use muster::apiserver::store::faults::{FaultEffect, FaultRule, Target};
use muster::apiserver::store::request::Verb;
use muster::base::names::ObjectName;
use muster::base::random::Random;
use muster::base::time::Span;
use muster::sim::checkers::{Checkers, Promises};
use muster::sim::manifests::read::{Document, Origin};
use muster::sim::manifests::sort::{Input, sort};
use muster::sim::world::script::{Action, Reference};
use muster::sim::world::{ReplyOrder, SCHEDULER_NAMES, World, WorldSettings};
use serde_json::{Value, json};

/// Worlds in an ordinary run.
const WORLDS: u64 = 200;
/// Under faults a binding may be whole only after so long, and a gang whose binds are in doubt is silent
/// for as long: the default time-out of a gang's binding.
const BINDING_UNDER_FAULTS: Span = Span::seconds(60);
/// More instants than this mean that the world does not come to an end.
const INSTANTS_MAX: usize = 20_000;

/// A world as drawn.
struct Drawn {
    objects: Vec<Value>,
    script: Vec<(Span, Action)>,
    faulty: bool,
    replies: ReplyOrder,
    orders_tried_for: Span,
}

fn draw(seed: u64) -> Drawn {
    let mut random = Random::new(seed);
    let mut objects: Vec<Value> = [("low", -5), ("high", 100)]
        .map(|(name, value)| {
            json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value})
        })
        .into();
    let nodes = 1 + random.below(6);
    for index in 0..nodes {
        objects.push(node(&mut random, index));
    }
    let mut pods = Vec::new();
    for index in 0..random.below(7) {
        pods.extend(gang(&mut random, index, &mut objects));
    }
    for index in 0..random.below(7) {
        let name = format!("solo-{index}");
        pods.push(name.clone());
        objects.push(pod(&mut random, &name, &Membership::None, Gpus::Drawn));
    }
    random.shuffle(&mut objects);
    let mut script = interventions(&mut random, nodes, &pods);
    let faulty = random.chance(50);
    if faulty {
        script.extend(faults(&mut random, &pods));
    }
    let replies = if random.chance(50) { ReplyOrder::BeforeFacts } else { ReplyOrder::AfterFacts };
    // Drawn last, so that a seed still means the world that it meant before.
    let orders_tried_for = *random.pick(&[Span::ZERO, Span::seconds(1), Span::seconds(60)]);
    if random.chance(50) {
        give_owners(&mut random, &mut objects);
    }
    if random.chance(40) {
        script.extend(rejections(&mut random, nodes));
    }
    Drawn { objects, script, faulty, replies, orders_tried_for }
}

fn node(random: &mut Random, index: u64) -> Value {
    let room = if random.chance(20) { 1 + random.below(3) } else { 110 };
    let offered = json!({"cpu": "16", "memory": "64Gi", "pods": room.to_string(), "nvidia.com/gpu": random.below(9).to_string()});
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": format!("n{index}"), "labels": {"half": (index % 2).to_string()}},
        "status": {"capacity": offered, "allocatable": offered},
    });
    if random.chance(15) {
        node["spec"] = json!({"taints": [{"key": "reserved", "effect": "NoSchedule"}]});
    }
    node
}

/// The group that a pod belongs to.
enum Membership {
    None,
    Labelled(String),
    Native(String),
}

/// How many GPUs a pod asks for.
#[derive(Clone, Copy)]
enum Gpus {
    Drawn,
    Given(u64),
}

/// A PodGroup and its members, of whom one may be missing; returns the pods' names.
fn gang(random: &mut Random, index: u64, objects: &mut Vec<Value>) -> Vec<String> {
    let name = format!("gang-{index}");
    let minimum = 1 + random.below(4);
    let members = (minimum + random.below(4)).saturating_sub(1).max(1);
    let native = random.chance(40);
    let (api_version, spec) = if native {
        ("scheduling.k8s.io/v1beta1", json!({"schedulingPolicy": {"gang": {"minCount": minimum}}}))
    } else {
        ("scheduling.x-k8s.io/v1alpha1", json!({"minMember": minimum}))
    };
    let mut group = json!({"apiVersion": api_version, "kind": "PodGroup", "metadata": {"name": name}, "spec": spec});
    if random.chance(30) {
        group["metadata"]["annotations"] = json!({"muster.dev/arrives-after": seconds(random, 60)});
    }
    objects.push(group);
    let equal = random.chance(60).then(|| Gpus::Given(random.below(9)));
    (0..members)
        .map(|member| {
            let pod_name = format!("{name}-{member}");
            let membership = match native {
                true => Membership::Native(name.clone()),
                false => Membership::Labelled(name.clone()),
            };
            objects.push(pod(random, &pod_name, &membership, equal.unwrap_or(Gpus::Drawn)));
            pod_name
        })
        .collect()
}

fn pod(random: &mut Random, name: &str, membership: &Membership, gpus: Gpus) -> Value {
    let gpus = match gpus {
        Gpus::Drawn => random.below(9),
        Gpus::Given(gpus) => gpus,
    };
    let mut limits = json!({"cpu": format!("{}m", 100 * (1 + random.below(3)))});
    if gpus > 0 {
        limits["nvidia.com/gpu"] = json!(gpus);
    }
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "annotations": {}, "labels": {}},
        "spec": {"containers": [{"name": "main", "image": "pause", "resources": {"limits": limits}}]},
    });
    match membership {
        Membership::None => {}
        Membership::Labelled(group) => {
            pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = json!(group);
        }
        Membership::Native(group) => {
            pod["spec"]["schedulingGroup"] = json!({"podGroupName": group});
        }
    }
    if random.chance(60) {
        pod["metadata"]["annotations"]["muster.dev/arrives-after"] = json!(seconds(random, 90));
    }
    if random.chance(60) {
        pod["metadata"]["annotations"]["muster.dev/runs-for"] = json!(seconds(random, 120));
    }
    if random.chance(30) {
        pod["spec"]["priorityClassName"] = json!(random.pick(&["low", "high"]));
    }
    if random.chance(20) {
        pod["spec"]["nodeSelector"] = json!({"half": random.below(2).to_string()});
    }
    if random.chance(20) {
        pod["spec"]["tolerations"] = json!([{"key": "reserved", "operator": "Exists"}]);
    }
    if random.chance(5) {
        pod["spec"]["schedulingGates"] = json!([{"name": "example.com/gate"}]);
    }
    pod
}

fn seconds(random: &mut Random, most: u64) -> String {
    format!("{}s", random.below(most + 1))
}

/// Some pods belong to a controller, which makes those again that are evicted.
fn give_owners(random: &mut Random, objects: &mut [Value]) {
    for object in objects.iter_mut().filter(|object| object["kind"] == "Pod") {
        if !random.chance(60) {
            continue;
        }
        let name = object["metadata"]["name"].as_str().expect("pods have names").to_owned();
        let number = random.below(1_000_000_000_000);
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "batch/v1", "kind": "Job", "name": name, "controller": true,
            "uid": format!("7f2d7c8e-0000-4000-8000-{number:012}"),
        }]);
    }
}

/// Kubelets that turn pods away for a while, and devices that fail.
fn rejections(random: &mut Random, nodes: u64) -> Vec<(Span, Action)> {
    let mut script = Vec::new();
    for _ in 0..1 + random.below(3) {
        let node =
            Reference::parse(&format!("node n{}", random.below(nodes))).expect("written well");
        let begin = i64::try_from(random.below(120)).expect("small");
        let kind = *random.pick(&["reject-next-pod", "reject-pods", "unhealthy-devices=1"]);
        let fault = |fault: Value| Action::Patch {
            of: node.clone(),
            patch: json!({"metadata": {"annotations": {"muster.dev/fault": fault}}}),
        };
        script.push((Span::seconds(begin), fault(json!(kind))));
        script.push((Span::seconds(begin + 30), fault(Value::Null)));
    }
    script
}

/// Things that people do to clusters.
fn interventions(random: &mut Random, nodes: u64, pods: &[String]) -> Vec<(Span, Action)> {
    let of = |text: String| Reference::parse(&text).expect("well written");
    let mut script = Vec::new();
    for _ in 0..random.below(5) {
        let soon = i64::try_from(random.below(150)).expect("small");
        // Later than any arrival, so that a pod exists unless it has gone already.
        let late = Span::seconds(soon + 90);
        let node = format!("node n{}", random.below(nodes));
        match random.below(4) {
            0 if !pods.is_empty() => {
                let pod = random.pick(pods).clone();
                script.push((late, Action::Delete(of(format!("pod {pod}")))));
            }
            1 if !pods.is_empty() => {
                let pod = ObjectName::new("default", random.pick::<String>(pods));
                script.push((late, Action::Evict(pod)));
            }
            2 => script.push((Span::seconds(soon), Action::CutWatches(String::new()))),
            _ => {
                let cordon = |on: Value| Action::Patch {
                    of: of(node.clone()),
                    patch: json!({"spec": {"unschedulable": on}}),
                };
                script.push((Span::seconds(soon), cordon(json!(true))));
                script.push((Span::seconds(soon + 40), cordon(Value::Null)));
            }
        }
    }
    script
}

/// Faults that hit some binds, one kind each.
fn faults(random: &mut Random, pods: &[String]) -> Vec<(Span, Action)> {
    let mut script = Vec::new();
    for pod in pods {
        if !random.chance(40) {
            continue;
        }
        let broken = Failure::new(500, "InternalError", "drawn by the seed");
        let effect = random
            .pick(&[
                FaultEffect::LoseReply,
                FaultEffect::LoseRequest,
                FaultEffect::FailBefore(broken.clone()),
                FaultEffect::FailAfter(broken),
                FaultEffect::Deny,
            ])
            .clone();
        let target = Target::of(Verb::Create, "pods/binding").named("default", pod);
        let rule = FaultRule {
            target,
            skip: u32::try_from(random.below(2)).expect("small"),
            times: Some(1 + u32::try_from(random.below(7)).expect("small")),
            effect,
        };
        script.push((Span::ZERO, Action::Fault(rule)));
    }
    script
}

fn input(objects: &[Value]) -> Input {
    let documents = objects.iter().enumerate().map(|(index, object)| Document {
        origin: Origin { file: "drawn".into(), document: index + 1, item: None },
        object: object.clone(),
    });
    sort(documents.collect()).expect("what is drawn is well formed")
}

/// Runs a drawn world; the trace is everything that happened and the result, or what was broken.
fn run(seed: u64) -> Result<String, String> {
    let drawn = draw(seed);
    let input = input(&drawn.objects);
    let promises = match drawn.faulty {
        true => Promises { partial_for: BINDING_UNDER_FAULTS, silent_for: BINDING_UNDER_FAULTS },
        false => Promises::default(),
    };
    let mut checkers = Checkers::new(SCHEDULER_NAMES.map(str::to_owned).into(), promises);
    let settings = WorldSettings {
        seed,
        replies: drawn.replies,
        orders_tried_for: drawn.orders_tried_for,
        ..WorldSettings::default()
    };
    let mut world = World::new(input, settings).map_err(|errors| format!("{errors:?}"))?;
    for (after, action) in drawn.script {
        world.plan(after, action);
    }
    let mut instants = 0;
    let broken = |world: &World, found: Vec<muster::sim::checkers::Violation>| {
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        format!("at {}: {}\n{}", world.now() - world.zero(), told.join("; "), story(world))
    };
    while world.step().is_some() {
        let judged = checkers.inspect(world.now(), &world.snapshot());
        judged.map_err(|found| broken(&world, found))?;
        instants += 1;
        if instants > INSTANTS_MAX {
            return Err(format!("no end after {INSTANTS_MAX} instants\n{}", story(&world)));
        }
    }
    let judged = checkers.conclude(world.now(), &world.snapshot());
    judged.map_err(|found| broken(&world, found))?;
    // A seat held for a bind of which nobody ever learns what became is lost to everybody.
    let in_doubt = world.engine().pods_with_seats();
    if !in_doubt.is_empty() {
        return Err(format!("seats are held for ever for {in_doubt:?}\n{}", story(&world)));
    }
    Ok(format!("{:?}\n{:?}", world.chronicle().entries(), world.result()))
}

fn story(world: &World) -> String {
    muster::sim::scenario::transcript::transcript(
        world.chronicle().entries(),
        world.zero(),
        muster::sim::scenario::transcript::Detail::Pods,
    )
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn no_promise_is_broken_in_any_world() {
    let seeds = match number("MUSTER_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MUSTER_WORLDS").unwrap_or(WORLDS),
    };
    let mut bound = 0;
    for seed in seeds.clone() {
        let command = format!("MUSTER_SEED={seed} cargo test --test simulation");
        let first =
            run(seed).unwrap_or_else(|problem| panic!("seed {seed} ({command}): {problem}"));
        let second =
            run(seed).unwrap_or_else(|problem| panic!("seed {seed} ({command}): {problem}"));
        assert_eq!(first, second, "seed {seed} ({command}): two runs differ");
        bound += first.matches("Bound {").count();
    }
    // A generator that draws only worlds in which nothing can be bound would prove nothing.
    let worlds = usize::try_from(seeds.end - seeds.start).expect("few worlds");
    assert!(worlds == 1 || bound >= 2 * worlds, "only {bound} pods were bound in {worlds} worlds");
}

#[test]
fn checkers_bite() {
    let objects = [
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
            "status": {"allocatable": {"cpu": "16", "pods": "10", "nvidia.com/gpu": "4"}},
        }),
        json!({"apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup", "metadata": {"name": "g"}, "spec": {"minMember": 3}}),
        member("a"),
        member("b"),
        member("c"),
    ];
    let settings = WorldSettings::default();
    let mut world = World::new(input(&objects), settings).expect("good input");
    // Members of a gang that are bound one by one, and more than the node holds: the input does
    // what a scheduler must not, and the checkers are not told that it was the input.
    let mut checkers = Checkers::new(vec!["muster".to_owned()], Promises::default());
    world.step();
    let found =
        checkers.inspect(world.now(), &world.snapshot()).expect_err("three promises are broken");
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|told| told.contains("holds too much")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("bound in part")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("belongs to scheduler")), "{told:?}");

    fn member(name: &str) -> Value {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"scheduling.x-k8s.io/pod-group": "g"}},
            "spec": {"containers": [{"name": "main", "image": "pause", "resources": {"limits": {"nvidia.com/gpu": 3}}}]},
        });
        if name != "c" {
            pod["spec"]["nodeName"] = json!("n");
        }
        pod
    }
}
