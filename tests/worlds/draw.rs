//! What a seed draws: nodes, gangs and single pods as they arrive, what people do to them, and how bad the
//! network is, when, and until when. Nothing here runs anything.

use std::time::Duration;

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use crate::network::Weather;

/// After this, the network is fair and nobody dies any more.
pub(crate) const HEALED: Duration = Duration::from_secs(120);

/// Something that happens to the world.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Creates an object in the collection at a path.
    Create(&'static str, Value),
    /// Deletes a pod of `default`, if it is there.
    DeletePod(String),
    /// Merges a patch into a node.
    PatchNode(String, Value),
    /// A scheduler process dies, and another starts after a while.
    Crash(Duration),
    /// The network changes.
    Weather(Weather),
    /// Every watch is told that its version is too old.
    ExpireWatches,
}

/// A world before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// What happens when, in order of time.
    pub(crate) script: Vec<(Duration, Act)>,
    /// How the network is at first.
    pub(crate) weather: Weather,
}

const NODES: &str = "/api/v1/nodes";
const PODS: &str = "/api/v1/namespaces/default/pods";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const LABELLED: &str = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups";
const NATIVE: &str = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups";

/// Draws a world.
pub(crate) fn draw(random: &mut Random) -> Drawn {
    let weather = weather(random);
    let mut script = Vec::new();
    let nodes = 2 + random.below(3);
    for index in 0..nodes {
        script.push((Duration::ZERO, Act::Create(NODES, node(random, index))));
    }
    let mut names = Vec::new();
    for index in 0..1 + random.below(4) {
        gang(random, index, &mut script, &mut names);
    }
    for index in 0..random.below(4) {
        let name = format!("solo-{index}");
        let gpus = random.below(5);
        let pod = pod(random, &name, None, gpus);
        names.push(name);
        script.push((moment(random, 60), Act::Create(PODS, pod)));
    }
    interventions(random, nodes, &names, &mut script);
    for _ in 0..random.below(4) {
        let pause = Duration::from_millis(random.below(8_000));
        script.push((moment(random, 100), Act::Crash(pause)));
    }
    if random.chance(30) {
        let begin = moment(random, 80);
        let mut dark = weather;
        dark.outage = true;
        script.push((begin, Act::Weather(dark)));
        script.push((begin + moment(random, 30), Act::Weather(weather)));
    }
    script.push((HEALED, Act::Weather(Weather::FAIR)));
    script.push((HEALED, Act::ExpireWatches));
    script.sort_by_key(|(at, _)| *at);
    Drawn { script, weather }
}

/// Each fault is drawn alone, so that many worlds have only a few of them.
fn weather(random: &mut Random) -> Weather {
    let mut rate = |most: u64| if random.chance(50) { random.below(most + 1) } else { 0 };
    let (slow, refused, lost, unanswered) = (rate(10), rate(30), rate(20), rate(20));
    let (repeated, cut, stalled) = (rate(20), rate(10), rate(3));
    let delay = Duration::from_micros(*random.pick(&[100, 5_000, 50_000]));
    let lag = Duration::from_micros(*random.pick(&[100, 20_000, 2_000_000]));
    Weather { delay, slow, refused, lost, unanswered, repeated, cut, stalled, lag, outage: false }
}

fn moment(random: &mut Random, seconds: u64) -> Duration {
    Duration::from_millis(random.below(seconds * 1000))
}

fn node(random: &mut Random, index: u64) -> Value {
    let gpus = (2 + random.below(7)).to_string();
    let offered = json!({"cpu": "64", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": gpus});
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{index}")},
        "status": {"capacity": offered, "allocatable": offered},
    })
}

fn gang(
    random: &mut Random,
    index: u64,
    script: &mut Vec<(Duration, Act)>,
    names: &mut Vec<String>,
) {
    let name = format!("gang-{index}");
    let minimum = 2 + random.below(3);
    let members = minimum + random.below(2);
    let gpus = 1 + random.below(4);
    let native = random.chance(40);
    let (path, version, spec) = if native {
        let spec = json!({"schedulingPolicy": {"gang": {"minCount": minimum}}});
        (NATIVE, "scheduling.k8s.io/v1beta1", spec)
    } else {
        (LABELLED, "scheduling.x-k8s.io/v1alpha1", json!({"minMember": minimum}))
    };
    let group = json!({"apiVersion": version, "kind": "PodGroup", "metadata": {"name": name}, "spec": spec});
    let begin = moment(random, 50);
    script.push((begin, Act::Create(path, group)));
    let membership = Some((name.as_str(), native));
    if random.chance(50) {
        let template = pod(random, &name, membership, gpus);
        let template = json!({"metadata": {"labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"]}, "spec": template["spec"]});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"parallelism": members, "completions": members, "backoffLimit": 100, "template": template},
        });
        script.push((begin, Act::Create(JOBS, job)));
        return;
    }
    for member in 0..members {
        let name = format!("{name}-{member}");
        let pod = pod(random, &name, membership, gpus);
        names.push(name);
        script.push((begin + moment(random, 3), Act::Create(PODS, pod)));
    }
}

fn pod(random: &mut Random, name: &str, membership: Option<(&str, bool)>, gpus: u64) -> Value {
    let mut limits = json!({"cpu": "1"});
    if gpus > 0 {
        limits["nvidia.com/gpu"] = json!(gpus.to_string());
    }
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {}, "annotations": {}},
        "spec": {
            "schedulerName": "muster", "restartPolicy": "Never", "terminationGracePeriodSeconds": random.below(10),
            "containers": [{"name": "main", "image": "pause", "resources": {"limits": limits, "requests": limits}}],
        },
    });
    match membership {
        None => {}
        Some((group, true)) => pod["spec"]["schedulingGroup"] = json!({"podGroupName": group}),
        Some((group, false)) => {
            pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = json!(group);
        }
    }
    if random.chance(50) {
        let runs = format!("{}s", 1 + random.below(90));
        pod["metadata"]["annotations"]["muster.dev/runs-for"] = json!(runs);
    }
    pod
}

fn interventions(
    random: &mut Random,
    nodes: u64,
    names: &[String],
    script: &mut Vec<(Duration, Act)>,
) {
    for _ in 0..random.below(3) {
        let at = moment(random, 100);
        if random.chance(50) && !names.is_empty() {
            script.push((at, Act::DeletePod(random.pick(names).clone())));
        } else {
            let node = format!("n{}", random.below(nodes));
            let cordon = |on: Value| json!({"spec": {"unschedulable": on}});
            script.push((at, Act::PatchNode(node.clone(), cordon(json!(true)))));
            script.push((at + moment(random, 60), Act::PatchNode(node, cordon(Value::Null))));
        }
    }
}
