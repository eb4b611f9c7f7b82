//! What a seed does to its world besides the weather: processes that die, stand still, and wake; people who edit,
//! scale, and delete; machines that shrink, fall silent, and vanish; other schedulers, webhooks, calendars, rights.
//! Everything that is taken away is given back before the world is healed. Nothing here runs anything.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::draw::Act;
use crate::draw::Draft;
use crate::draw::Ending;
use crate::draw::Gang;
use crate::draw::Grant;
use crate::draw::HEALED;
use crate::draw::JOBS;
use crate::draw::Meddling;
use crate::draw::NODES;
use crate::draw::PODS;
use crate::draw::Victim;
use crate::network::RIGHTS;
use crate::network::TRAPS;
use crate::network::Trap;
use crate::network::TrapWhen;

/// The collection of namespaces.
const NAMESPACES: &str = "/api/v1/namespaces";

/// A namespace that does not last, and the gang in it.
const DOOMED: &str = "doomed";

/// Mischief begins before this second, and what it takes away is back by [`HEALED`].
const SECONDS: u64 = 80;

/// Draws all of it. Each kind is drawn alone, so that many worlds have only a few.
pub(crate) fn mischief(draft: &mut Draft<'_>, schedulers: usize) {
    processes(draft, schedulers);
    for _ in 0..some(draft, 40, 3) {
        machine(draft);
    }
    for _ in 0..some(draft, 40, 3) {
        people(draft);
    }
    for _ in 0..some(draft, 30, 2) {
        strangers(draft);
    }
    for _ in 0..some(draft, 20, 2) {
        rights(draft);
    }
    if draft.random.chance(15) {
        for _ in 0..1 + draft.random.below(3) {
            let at = draft.moment(SECONDS);
            let jump = *draft.random.pick(&[-3600, 3600, -7]);
            draft.at(at, Act::Calendar(jump));
        }
    }
    if draft.random.chance(12) {
        namespace(draft);
    }
    if draft.random.chance(6) {
        let backup = draft.moment(60);
        let restore = backup + draft.moment(20);
        draft.at(backup, Act::Backup);
        draft.at(restore, Act::Restore);
    }
    if draft.random.chance(15) && !draft.bare.is_empty() {
        let bare = draft.bare.clone();
        let pod = draft.random.pick(&bare).clone();
        draft.at(Duration::ZERO, Act::Webhook(pod.clone()));
        if draft.random.chance(50) {
            draft.rejected.push(pod);
        }
    }
}

/// In so many worlds of a hundred at least one, and at most so many.
fn some(draft: &mut Draft<'_>, percent: u64, most: u64) -> u64 {
    if draft.random.chance(percent) { 1 + draft.random.below(most) } else { 0 }
}

fn processes(draft: &mut Draft<'_>, schedulers: usize) {
    let count = u64::try_from(schedulers).expect("few");
    let victim = |draft: &mut Draft<'_>| match draft.random.chance(70) {
        true => Victim::Leader,
        false => Victim::Place(usize::try_from(draft.random.below(count)).expect("few")),
    };
    for _ in 0..some(draft, 50, 3) {
        let (at, rest) = (draft.moment(SECONDS), Duration::from_millis(draft.random.below(20_000)));
        let ending = *draft.random.pick(&[Ending::Killed, Ending::Silent, Ending::Told]);
        let victim = victim(draft);
        draft.at(at, Act::End(victim, ending, rest));
    }
    for _ in 0..some(draft, 50, 4) {
        let at = draft.moment(SECONDS);
        let (method, path) = *draft.random.pick(&TRAPS);
        let when = *draft.random.pick(&[TrapWhen::BeforeSent, TrapWhen::Sent]);
        let skip = draft.random.below(4);
        draft.at(at, Act::Arm(Trap { method, path, skip, when }));
    }
    for _ in 0..some(draft, 40, 2) {
        let (at, victim) = (draft.moment(60), victim(draft));
        let most = *draft.random.pick(&[3_000, 30_000]);
        let span = Duration::from_millis(1_000 + draft.random.below(most));
        draft.at(at, Act::Freeze(victim, span.min(HEALED - at)));
    }
}

/// Something happens to a machine, and ends before all is healed.
fn machine(draft: &mut Draft<'_>) {
    let nodes = draft.nodes.clone();
    let node = draft.random.pick(&nodes).clone();
    let path = format!("{NODES}/{}", node["metadata"]["name"].as_str().expect("nodes have names"));
    let begin = draft.moment(60);
    let end = begin + draft.moment(25);
    let fault = |on: Value| json!({"metadata": {"annotations": {"muster.dev/fault": on}}});
    match draft.random.below(6) {
        0 => {
            let cordon = |on: Value| json!({"spec": {"unschedulable": on}});
            draft.at(begin, Act::Patch(path.clone(), cordon(json!(true))));
            draft.at(end, Act::Patch(path, cordon(Value::Null)));
        }
        1 => {
            draft.at(begin, Act::Delete(path));
            draft.at(end, Act::Create(NODES.into(), node));
        }
        2 => {
            let gpus = draft.random.below(3).to_string();
            let before = node["status"]["allocatable"]["nvidia.com/gpu"].clone();
            let offer = |gpus: Value| json!({"status": {"allocatable": {"nvidia.com/gpu": gpus}}});
            draft.at(begin, Act::Patch(format!("{path}/status"), offer(json!(gpus))));
            draft.at(end, Act::Patch(format!("{path}/status"), offer(before)));
        }
        _ => {
            let kind = *draft.random.pick(&[
                "silent",
                "device-plugin-restart=10s",
                "device-plugin-down",
                "unhealthy-devices=1",
                "reject-next-pod",
                "reject-pods",
            ]);
            draft.at(begin, Act::Patch(path.clone(), fault(json!(kind))));
            draft.at(end, Act::Patch(path, fault(Value::Null)));
        }
    }
}

/// A person changes something about a gang or a pod.
fn people(draft: &mut Draft<'_>) {
    let at = draft.moment(SECONDS);
    let gangs = draft.gangs.clone();
    let gang = draft.random.pick(&gangs).clone();
    let group = format!("{}/{}", gang.collection(), gang.name);
    match draft.random.below(6) {
        0 => {
            let bare = draft.bare.clone();
            if !bare.is_empty() {
                let pod = draft.random.pick(&bare).clone();
                draft.at(at, Act::Delete(format!("{PODS}/{pod}")));
            }
        }
        1 => {
            let minimum = 1 + draft.random.below(gang.members + 1);
            draft.at(at, Act::Patch(group, gang.minimum_patch(minimum)));
        }
        2 => {
            let back = at + draft.moment(8);
            draft.at(at, Act::Delete(group));
            draft.at(back, Act::Create(gang.collection().into(), gang.group.clone()));
        }
        3 if gang.owned => {
            let parallelism = draft.random.below(gang.members + 1);
            let path = format!("{JOBS}/{}", gang.name);
            draft.at(at, Act::Patch(path, json!({"spec": {"parallelism": parallelism}})));
        }
        3 => {
            let name = format!("{}-more-{}", gang.name, draft.random.below(1000));
            let pod = draft.pod(&name, Some(&gang), gang.gpus);
            draft.at(at, Act::Create(PODS.into(), pod));
            draft.bare.push(name);
        }
        4 => gated(draft, &gang, at),
        _ => {
            let meddling = *draft.random.pick(&[
                Meddling::Delete,
                Meddling::CallAborting,
                Meddling::CallBound,
                Meddling::Garble,
                Meddling::Label,
            ]);
            draft.at(at, Act::Record(meddling));
        }
    }
}

/// One more member comes, and may be scheduled only later.
fn gated(draft: &mut Draft<'_>, gang: &Gang, at: Duration) {
    let name = format!("{}-gated-{}", gang.name, draft.random.below(1000));
    let mut pod = draft.pod(&name, Some(gang), gang.gpus);
    pod["spec"]["schedulingGates"] = json!([{"name": "example.com/gate"}]);
    let path = format!("{PODS}/{name}");
    let open = json!({"spec": {"schedulingGates": Value::Null}});
    let after = at + draft.moment(9);
    draft.at(at, Act::Create(PODS.into(), pod));
    draft.at(after, Act::Patch(path, open));
    draft.bare.push(name);
}

/// Another scheduler is at work on the same machines.
fn strangers(draft: &mut Draft<'_>) {
    let at = draft.moment(SECONDS);
    let nodes = draft.nodes.clone();
    let node = draft.random.pick(&nodes)["metadata"]["name"].as_str().expect("named").to_owned();
    if draft.random.chance(50) {
        draft.at(at, Act::BindElsewhere(node));
        return;
    }
    let name = format!("stranger-{}", draft.random.below(10_000));
    let gpus = 1 + draft.random.below(3);
    let mut pod = draft.pod(&name, None, gpus);
    pod["spec"]["schedulerName"] = json!("another");
    pod["spec"]["nodeName"] = json!(node);
    pod["metadata"]["annotations"]["muster.dev/runs-for"] = json!("30s");
    draft.at(at, Act::Create(PODS.into(), pod));
}

/// A namespace is deleted with a gang in it, at whatever point of its story; half of them are made again.
fn namespace(draft: &mut Draft<'_>) {
    let name = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DOOMED}});
    let path = format!("{NAMESPACES}/{DOOMED}");
    let groups = format!("/apis/scheduling.x-k8s.io/v1alpha1/namespaces/{DOOMED}/podgroups");
    let minimum = 2 + draft.random.below(2);
    let group = json!({
        "apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
        "metadata": {"name": DOOMED}, "spec": {"minMember": minimum},
    });
    let mut begin = draft.moment(40);
    for _ in 0..1 + draft.random.below(2) {
        draft.at(begin, Act::Create(NAMESPACES.into(), name.clone()));
        draft.at(begin, Act::Create(groups.clone(), group.clone()));
        for member in 0..minimum {
            let mut pod = draft.pod(&format!("{DOOMED}-{member}"), None, 1);
            pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = json!(DOOMED);
            let at = begin + draft.moment(3);
            draft.at(at, Act::Create(format!("{path}/pods"), pod));
        }
        let end = begin + draft.moment(12);
        draft.at(end, Act::Delete(path.clone()));
        // By then its pods have had their grace.
        begin = end + Duration::from_secs(15);
    }
}

/// The schedulers lose a right for a while.
fn rights(draft: &mut Draft<'_>) {
    let begin = draft.moment(60);
    let end = begin + draft.moment(25);
    let right = *draft.random.pick(&RIGHTS);
    draft.at(begin, Act::Right(right, Grant::Taken));
    draft.at(end, Act::Right(right, Grant::Given));
}
