//! What must hold once faults have stopped: no gang is bound in part, no record is left open, nothing holds more than
//! it has, and nothing waits that would fit. Told from what the judge has seen of the API.

use serde_json::Value;

use muster::engine::record::RecordPhase;

use crate::judge::Judge;
use crate::judge::gang_of;
use crate::judge::gpus;
use crate::judge::is_closed;
use crate::judge::is_gated;
use crate::judge::lives;
use crate::judge::node_of;
use crate::judge::offered;
use crate::world::STRANGER;

/// Everything that is not as it should be when nothing disturbs any more. Empty when all is well.
/// A webhook rejects the `rejected` pods for ever: of their gangs it is only asked that they hurt nobody else.
pub(crate) fn unsettled(judge: &Judge, rejected: &[String]) -> Vec<String> {
    let mut open = Vec::new();
    for (key, gang) in &judge.gangs {
        let Some(minimum) = gang.minimum() else { continue };
        let hopeless = |pod: &Value| {
            pod["metadata"]["name"]
                .as_str()
                .is_some_and(|name| rejected.iter().any(|pod| pod == name))
        };
        if judge.members(key).any(hopeless) {
            continue;
        }
        open.extend(unsettled_gang(judge, key, minimum));
        let is_open = gang.record.as_ref().is_some_and(|record| {
            let decided = gang.group.as_ref().is_some_and(|group| {
                group["metadata"]["annotations"]["muster.dev/commit"] == record.mark.to_string()
            });
            match record.phase {
                RecordPhase::Proposed => decided,
                RecordPhase::Aborting => true,
                RecordPhase::Bound | RecordPhase::Aborted => false,
            }
        });
        if open.is_empty() && is_open && !is_held(judge, key) {
            open.push(format!("the record of {key} is left open: {:?}", gang.record));
        }
    }
    for pod in judge.pods.values().filter(|pod| gang_of(pod).is_none()) {
        let waits =
            pod["spec"]["schedulerName"] == "muster" && node_of(pod).is_none() && lives(pod);
        let hopeless = rejected.iter().any(|name| pod["metadata"]["name"] == name.as_str());
        if waits && !hopeless && seats(judge, pod) > 0 {
            open.push(format!("pod {} waits although it fits", pod["metadata"]["name"]));
        }
    }
    for pod in judge.pods.values().filter(|pod| lives(pod)) {
        let Some(node) = node_of(pod) else { continue };
        let machine = judge.machines.get(node).and_then(|machine| machine.object.as_deref());
        let is_strange = !pod["metadata"]["annotations"][STRANGER].is_null();
        if let Some(why) = judge.storage.objection(pod, machine).filter(|_| !is_strange) {
            open.push(format!("pod {} on {node} {why}", pod["metadata"]["name"]));
        }
    }
    for (name, machine) in judge.machines.iter().filter(|(_, machine)| !machine.has_shrunk) {
        let offers = machine.object.as_ref().map_or(0, |node| offered(node));
        if judge.used(name) > offers {
            open.push(format!("{name} offers {offers} and has {} in use", judge.used(name)));
        }
    }
    open
}

fn unsettled_gang(judge: &Judge, key: &str, minimum: u64) -> Option<String> {
    let waiting: Vec<&Value> = judge
        .members(key)
        .filter(|pod| lives(pod) && node_of(pod).is_none() && !is_gated(pod))
        .collect();
    let first = *waiting.first()?;
    let counted = judge.counted(key);
    // Whoever leads now never saw a member that has ended well and is gone: to it, the gang has never begun.
    let ended = judge.gangs.get(key).into_iter().flat_map(|gang| &gang.ended_well);
    let forgotten = ended.filter(|uid| !judge.pods.contains_key(*uid)).count() as u64;
    if counted.saturating_sub(forgotten) + (waiting.len() as u64) < minimum {
        return None;
    }
    // Volumes reach some machines only: where each has as many seats as are missing, all of them find one.
    let least = waiting.iter().map(|pod| seats(judge, pod)).min();
    let (missing, seats) = (minimum.saturating_sub(counted).max(1), least.unwrap_or(0));
    if seats >= missing {
        return Some(format!(
            "gang {key} waits although {missing} more fit: {counted} of {minimum} are bound; its conditions: {}",
            first["status"]["conditions"]
        ));
    }
    if counted > 0 && counted < minimum && !is_held(judge, key) {
        let waits = waiting.len();
        return Some(format!("gang {key} is bound in part: {counted} of {minimum}, {waits} wait"));
    }
    let silent = waiting.iter().all(|pod| said(pod).is_none());
    silent.then(|| format!("gang {key} waits and does not say why"))
}

/// True for a gang that is not undone although it is bound in part: nobody would make a member again that is bound,
/// members have ended well and the others are finishing, somebody else has bound some, or it was whole by the minimum
/// that it had then.
fn is_held(judge: &Judge, key: &str) -> bool {
    let gang = &judge.gangs[key];
    if gang.strangers || (gang.started && judge.counted(key) >= gang.lowest_minimum()) {
        return true;
    }
    let is_bare = |pod: &Value| {
        node_of(pod).is_some() && lives(pod) && pod["metadata"]["ownerReferences"].is_null()
    };
    judge.members(key).any(is_bare) || !gang.ended_well.is_empty()
}

/// How many pods like this one fit.
fn seats(judge: &Judge, pod: &Value) -> u64 {
    let nodes = judge.machines.iter().filter_map(|(name, machine)| {
        let node = machine.object.as_ref().filter(|node| !is_closed(node))?;
        // Which of them each of the others reaches is for nobody to count: whoever has volumes may use what it reaches.
        let node = Some(node).filter(|node| judge.storage.reaches(pod, node))?;
        Some((name, offered(node)))
    });
    nodes
        .map(|(name, offers)| {
            let free = offers.saturating_sub(judge.used(name));
            if gpus(pod) == 0 { 1_000 } else { free / gpus(pod) }
        })
        .sum()
}

/// The reason of the pod's condition, where it has one.
fn said(pod: &Value) -> Option<&str> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == "PodScheduled")?;
    condition["reason"].as_str()
}
