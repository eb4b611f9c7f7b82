//! Judges what an API server holds after everything has settled: no gang in part, no pod bound twice, no seat used
//! twice. Knows objects as the API gives them and nothing of the scheduler; each promise is shown to be found broken.

use std::collections::BTreeMap;

use serde_json::Value;

/// The label that makes a pod a member.
pub(crate) const GROUP_LABEL: &str = "scheduling.x-k8s.io/pod-group";

/// What is counted on nodes: one member takes all that it asks for.
const GPUS: &str = "nvidia.com/gpu";

/// What an API server holds.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) nodes: Vec<Value>,
    pub(crate) pods: Vec<Value>,
    pub(crate) groups: Vec<Value>,
    /// Lines of the audit log: each bind with its answer.
    pub(crate) audit: Vec<Value>,
}

impl Settled {
    /// Everything that breaks a promise, in the order of names.
    pub(crate) fn violations(&self) -> Vec<String> {
        [self.partial_gangs(), self.pods_bound_twice(), self.seats_used_twice()].concat()
    }

    /// Gangs that have some of their members bound, and fewer than their minimum.
    fn partial_gangs(&self) -> Vec<String> {
        let mut bound: BTreeMap<&str, u64> = BTreeMap::new();
        for pod in self.pods.iter().filter(|pod| lives_on(pod).is_some()) {
            *bound.entry(group_of(pod)).or_default() += 1;
        }
        let broken = self.groups.iter().filter_map(|group| {
            let name = text(group, "/metadata/name");
            let minimum = number(group, "/spec/minMember");
            let bound = bound.get(name).copied().unwrap_or(0);
            (bound > 0 && bound < minimum)
                .then(|| format!("gang {name} has {bound} of {minimum} members bound"))
        });
        broken.collect()
    }

    /// Pods for which the server accepted more than one bind.
    fn pods_bound_twice(&self) -> Vec<String> {
        let mut accepted: BTreeMap<&str, u64> = BTreeMap::new();
        for bind in &self.audit {
            if number(bind, "/responseStatus/code") == 201 {
                *accepted.entry(text(bind, "/objectRef/name")).or_default() += 1;
            }
        }
        let twice = accepted.into_iter().filter(|(_, times)| *times > 1);
        twice.map(|(pod, times)| format!("pod {pod} was bound {times} times")).collect()
    }

    /// Nodes whose pods ask for more than there is.
    fn seats_used_twice(&self) -> Vec<String> {
        let mut used: BTreeMap<&str, u64> = BTreeMap::new();
        for pod in &self.pods {
            if let Some(node) = lives_on(pod) {
                *used.entry(node).or_default() += gpus_of(pod);
            }
        }
        let over = self.nodes.iter().filter_map(|node| {
            let name = text(node, "/metadata/name");
            let there = amount(&node["status"]["allocatable"][GPUS]);
            let used = used.remove(name).unwrap_or(0);
            (used > there).then(|| format!("node {name} has {there} GPUs and {used} in use"))
        });
        let mut violations: Vec<String> = over.collect();
        violations
            .extend(used.keys().map(|node| format!("pods are bound to {node}, which is no node")));
        violations
    }

    /// How many members of gangs are bound and alive.
    pub(crate) fn bound_members(&self) -> usize {
        let members = self.pods.iter().filter(|pod| !group_of(pod).is_empty());
        members.filter(|pod| lives_on(pod).is_some()).count()
    }
}

/// The node of a pod that is bound and neither finished nor going.
fn lives_on(pod: &Value) -> Option<&str> {
    let node = pod.pointer("/spec/nodeName")?.as_str().filter(|node| !node.is_empty())?;
    let finished = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
    let going = pod.pointer("/metadata/deletionTimestamp").is_some();
    (!finished && !going).then_some(node)
}

fn group_of(pod: &Value) -> &str {
    pod["metadata"]["labels"][GROUP_LABEL].as_str().unwrap_or_default()
}

fn gpus_of(pod: &Value) -> u64 {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.map(|container| amount(&container["resources"]["limits"][GPUS])).sum()
}

fn amount(quantity: &Value) -> u64 {
    quantity.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Value, pointer: &str) -> u64 {
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::atomic::objects::group;
    use crate::atomic::objects::member;
    use crate::atomic::objects::node;

    fn bound(mut pod: Value, node: &str) -> Value {
        pod["spec"]["nodeName"] = node.into();
        pod
    }

    fn settled(pods: Vec<Value>) -> Settled {
        let nodes = vec![node("n1"), node("n2")];
        Settled { nodes, pods, groups: vec![group("g", 2), group("h", 2)], audit: Vec::new() }
    }

    #[test]
    fn a_gang_bound_whole_is_right() {
        let pods = vec![
            bound(member("g-0", "g", 8), "n1"),
            bound(member("g-1", "g", 8), "n2"),
            member("h-0", "h", 8),
        ];
        assert_eq!(settled(pods).violations(), [""; 0]);
    }

    #[test]
    fn a_gang_in_part_is_found() {
        let pods = vec![bound(member("g-0", "g", 8), "n1"), member("g-1", "g", 8)];
        assert_eq!(settled(pods).violations(), ["gang g has 1 of 2 members bound"]);
    }

    #[test]
    fn members_that_go_do_not_count() {
        let mut going = bound(member("g-0", "g", 8), "n1");
        going["metadata"]["deletionTimestamp"] = "2026-11-02T00:00:00Z".into();
        let pods = vec![going, bound(member("g-1", "g", 8), "n2")];
        assert_eq!(settled(pods).violations(), ["gang g has 1 of 2 members bound"]);
    }

    #[test]
    fn a_seat_used_twice_is_found() {
        let pods = vec![
            bound(member("g-0", "g", 8), "n1"),
            bound(member("g-1", "g", 8), "n2"),
            bound(member("h-0", "h", 1), "n1"),
            bound(member("h-1", "h", 1), "n9"),
        ];
        assert_eq!(
            settled(pods).violations(),
            ["node n1 has 8 GPUs and 9 in use", "pods are bound to n9, which is no node"]
        );
    }

    #[test]
    fn a_pod_bound_twice_is_found() {
        let bind =
            |code: u32| json!({"objectRef": {"name": "g-0"}, "responseStatus": {"code": code}});
        let mut state = settled(Vec::new());
        state.audit = vec![bind(201), bind(409)];
        assert_eq!(state.violations(), [""; 0]);
        state.audit.push(bind(201));
        assert_eq!(state.violations(), ["pod g-0 was bound 2 times"]);
    }
}
