//! What must hold once faults have stopped: no gang is bound in part, and nothing waits that would fit.
//! Told from the state of the API alone.

use std::collections::BTreeMap;

use muster::sim::checkers::Snapshot;
use muster::sim::object::Object;
use serde_json::Value;

/// The members of a gang.
#[derive(Default)]
struct Members<'a> {
    /// Bound and alive, or finished well.
    counted: usize,
    /// Neither bound nor ended nor on their way out.
    waiting: Vec<&'a Value>,
}

/// Everything that is not as it should be when nothing disturbs any more. Empty when all is well.
pub(crate) fn unsettled(snapshot: &Snapshot) -> Vec<String> {
    let mut open = Vec::new();
    let groups = snapshot.labelled_groups.iter().chain(&snapshot.native_groups);
    let minima: BTreeMap<&str, u64> = groups
        .filter_map(|group| {
            let spec = &group["spec"];
            let native = spec["schedulingPolicy"]["gang"]["minCount"].as_u64();
            let minimum = native.or_else(|| spec["minMember"].as_u64())?;
            Some((group["metadata"]["name"].as_str()?, minimum))
        })
        .collect();
    let free = free(snapshot);
    for (gang, members) in members(snapshot) {
        let minimum = minima.get(gang.as_str()).map_or(1, |minimum| *minimum as usize);
        let complete = members.counted + members.waiting.len() >= minimum;
        if !complete || members.counted >= minimum {
            continue;
        }
        if members.counted > 0 {
            open.push(format!(
                "gang {gang} is bound in part: {} of {minimum}, {} wait",
                members.counted,
                members.waiting.len()
            ));
        } else if seats(&free, members.waiting[0]) >= minimum as u64 {
            open.push(format!("gang {gang} waits although {minimum} members fit"));
        } else if members.waiting.iter().any(|pod| said(pod).is_none()) {
            open.push(format!("gang {gang} waits and does not say why"));
        }
    }
    open
}

/// Gangs by name; a single pod is one of its own.
fn members(snapshot: &Snapshot) -> BTreeMap<String, Members<'_>> {
    let mut gangs: BTreeMap<String, Members<'_>> = BTreeMap::new();
    for pod in &snapshot.pods {
        let pod: &Value = pod;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let gang =
            Object(pod).group().map_or_else(|| name.to_owned(), |(_, group)| group.to_owned());
        let members = gangs.entry(gang).or_default();
        let leaving = !pod["metadata"]["deletionTimestamp"].is_null();
        match (pod["status"]["phase"].as_str(), pod["spec"]["nodeName"].as_str()) {
            (Some("Succeeded"), _) => members.counted += 1,
            (Some("Failed"), _) => {}
            (_, Some(_)) if !leaving => members.counted += 1,
            (_, None) if !leaving => members.waiting.push(pod),
            (_, _) => {}
        }
    }
    gangs
}

/// Free GPUs of each node that takes pods.
fn free(snapshot: &Snapshot) -> Vec<u64> {
    let nodes = snapshot.nodes.iter().filter(|node| node["spec"]["unschedulable"] != true);
    let free = nodes.map(|node| {
        let offered = amount(&node["status"]["allocatable"]["nvidia.com/gpu"]);
        let on_it = snapshot.pods.iter().filter(|pod| {
            let ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            !ended && pod["spec"]["nodeName"] == node["metadata"]["name"]
        });
        offered.saturating_sub(on_it.map(|pod| gpus(pod)).sum())
    });
    free.collect()
}

/// How many pods like this one fit.
fn seats(free: &[u64], pod: &Value) -> u64 {
    match gpus(pod) {
        0 => u64::MAX,
        gpus => free.iter().map(|free| free / gpus).sum(),
    }
}

fn gpus(pod: &Value) -> u64 {
    amount(&pod["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"])
}

fn amount(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The reason of the pod's condition, where it has one.
fn said(pod: &Value) -> Option<&str> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == "PodScheduled")?;
    condition["reason"].as_str()
}
