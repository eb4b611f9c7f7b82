//! The DaemonSet controller: one pod for each node that suits it. The controller only says for which node a pod is
//! (by node affinity on the node's name); the scheduler binds it. Tolerations and the affinity are those of upstream.
//! A pod that has ended is removed, later each time in a row, and made again; `RollingUpdate` replaces pods of an old
//! template, at most `maxUnavailable` at a time. `maxSurge` and `minReadySeconds` are not acted on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::owner::Round;
use super::owner::positive;
use super::template::generated_name;
use super::template::pod_from;
use super::template::set_label;
use super::template::template_hash;
use crate::base::names::Name;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::engine::event::Event;
use crate::kubernetes::translate;
use crate::kubernetes::translate::Translator;
use crate::sim::ground::Ground;
use crate::sim::object::Object;
use crate::workload::ask::SharedAsk;
use crate::workload::constraints::TaintEffect;

/// After how long a pod that has ended is removed at first; doubled each time in a row.
const FAILED_PAUSE: Span = Span::seconds(1);
/// The longest such pause. After twice as long without an end, the first is short again.
const FAILED_PAUSE_MAX: Span = Span::seconds(900);

/// Taints that every pod of a DaemonSet tolerates, with their effects.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
/// Those on the host's network tolerate one more.
const TOLERATED_ON_HOST_NETWORK: (&str, &str) =
    ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// The nodes of the cluster, as a DaemonSet judges them.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    translator: Translator,
    grounds: BTreeMap<Name, Ground>,
}

impl Nodes {
    /// Takes in a node as it is now. True if pods of DaemonSets may come or go by it.
    pub(super) fn see(&mut self, node: &Value) -> bool {
        let mut changed = false;
        for event in self.translator.applied(translate::Kind::Node, node).events {
            if let Event::Node(fact) = event {
                let ground = Ground::of(&fact);
                changed |= self.grounds.get(&fact.name) != Some(&ground);
                self.grounds.insert(fact.name, ground);
            }
        }
        changed
    }

    /// A node's object is gone.
    pub(super) fn lose(&mut self, name: &str) {
        self.grounds.remove(name);
    }

    fn ask_of(&mut self, pod: &Value) -> SharedAsk {
        let events = self.translator.applied(translate::Kind::Pod, pod).events;
        let ask = events.into_iter().find_map(|event| {
            let Event::Pod(fact) = event else { return None };
            Some(fact.ask)
        });
        ask.unwrap_or_default()
    }
}

/// What a DaemonSet remembers of pods that ended, by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct DaemonMemory {
    ended: BTreeMap<String, Ended>,
}

/// Pods of one node that ended in a row.
#[derive(Clone, Debug)]
struct Ended {
    /// The last of them.
    uid: String,
    times: u32,
    removed_at: Time,
}

/// Whether a pod is to be on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Wanted,
    /// None is made; one that is there may stay.
    Tolerated,
    Unwanted,
}

/// The pods of a DaemonSet on these nodes, each named after its node, in the order of the nodes' names.
pub fn daemon_pods(set: &Value, nodes: &[Value]) -> Vec<Value> {
    let mut known = Nodes::default();
    for node in nodes {
        known.see(node);
    }
    let owner = Object(set);
    let (template, stands) = judged(owner, &mut known);
    let revision = template_hash(&set["spec"]["template"]);
    let wanted = stands.iter().filter(|(_, stand)| *stand == Stand::Wanted);
    wanted
        .map(|(node, _)| pod_for((&template, &revision), &format!("{}-{node}", owner.name()), node))
        .collect()
}

/// The pod that a DaemonSet has on whichever node, and how it stands to each.
fn judged(owner: Object<'_>, nodes: &mut Nodes) -> (Value, Vec<(Name, Stand)>) {
    let mut template = pod_from(owner, owner.name());
    add_tolerations(&mut template);
    let ask = nodes.ask_of(&template);
    let on = owner.0["spec"]["template"]["spec"]["nodeName"].as_str().map(str::to_owned);
    let judge = |name: &Name, ground: &Ground| {
        let elsewhere = on.as_ref().is_some_and(|on| !on.is_empty() && **on != **name);
        if elsewhere || !ground.attracts(&ask) || ground.repels(&ask, TaintEffect::NoExecute) {
            Stand::Unwanted
        } else if ground.repels(&ask, TaintEffect::NoSchedule) {
            Stand::Tolerated
        } else {
            Stand::Wanted
        }
    };
    let stands = nodes.grounds.iter().map(|(name, ground)| (name.clone(), judge(name, ground)));
    let stands = stands.collect();
    (template, stands)
}

/// Brings a DaemonSet's pods and status to what they should be.
pub(super) fn reconcile(round: &mut Round<'_>, nodes: &mut Nodes) {
    if round.owner.deleting() {
        return;
    }
    round.children.take_lost();
    let (template, stands) = judged(round.owner, nodes);
    let revision = template_hash(&round.owner.0["spec"]["template"]);
    for (node, stand) in &stands {
        settle_node(round, node, *stand, (&template, &revision));
    }
    remove_of_gone_nodes(round, &stands);
    update(round, &stands, &revision);
    write_status(round, &stands, &revision);
}

/// The name of the pod of a node: only one can ever be there.
fn pod_name(owner: Object<'_>, node: &str) -> String {
    generated_name(owner.name(), &format!("{}/{node}", owner.uid()), 0)
}

/// Makes the pod of a node, or removes it, or lets it be.
fn settle_node(round: &mut Round<'_>, node: &str, stand: Stand, of: (&Value, &str)) {
    let name = pod_name(round.owner, node);
    let Some(child) = round.children.named(&name) else {
        if stand == Stand::Wanted && !round.children.taken(&name) {
            round.create(pod_for(of, &name, node));
        }
        return;
    };
    if child.deleting {
        return;
    }
    let (ended, uid) = (child.ended(), child.uid.clone());
    if stand == Stand::Unwanted || (ended && may_be_removed(round, &name, uid)) {
        round.remove(&[name]);
    }
}

/// Whether the pause before a pod that has ended is removed is over.
fn may_be_removed(round: &mut Round<'_>, name: &str, uid: String) -> bool {
    let now = round.now;
    let before = round.memory.daemon.ended.get(name);
    let ended = match before {
        Some(before) if before.uid == uid => before.clone(),
        before => {
            let recent = |before: &&Ended| now - before.removed_at < Span(2 * FAILED_PAUSE_MAX.0);
            let times = before.filter(recent).map_or(1, |before| before.times + 1);
            let pause = (FAILED_PAUSE.0 << (times - 1).min(16)).min(FAILED_PAUSE_MAX.0);
            Ended { uid, times, removed_at: now + Span(pause) }
        }
    };
    let due = ended.removed_at;
    round.memory.daemon.ended.insert(name.to_owned(), ended);
    if now < due {
        round.wake_at(due);
    }
    now >= due
}

/// Removes pods whose node is gone.
fn remove_of_gone_nodes(round: &mut Round<'_>, stands: &[(Name, Stand)]) {
    let known: BTreeSet<String> =
        stands.iter().map(|(node, _)| pod_name(round.owner, node)).collect();
    let strays = round.children.seen();
    let strays = strays.filter(|child| !child.deleting && !known.contains(&child.name));
    let strays: Vec<String> = strays.map(|child| child.name.clone()).collect();
    round.memory.daemon.ended.retain(|name, _| known.contains(name));
    round.remove(&strays);
}

/// Removes pods of an old template: those that are not ready at once, of the others as many as may be missing.
fn update(round: &mut Round<'_>, stands: &[(Name, Stand)], revision: &str) {
    let strategy = &round.owner.0["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return;
    }
    let wanted: Vec<String> = stands
        .iter()
        .filter(|(_, stand)| *stand == Stand::Wanted)
        .map(|(node, _)| pod_name(round.owner, node))
        .collect();
    let most = most_unavailable(&strategy["rollingUpdate"]["maxUnavailable"], wanted.len());
    let mut missing = 0;
    let (mut broken, mut serving) = (Vec::new(), Vec::new());
    for name in wanted {
        let child = round.children.named(&name).filter(|child| !child.deleting);
        let available = child.is_some_and(|child| child.ready && !child.ended());
        missing += usize::from(!available);
        if child.is_some_and(|child| child.revision != revision) {
            if available { serving.push(name) } else { broken.push(name) }
        }
    }
    serving.truncate(most.saturating_sub(missing));
    broken.append(&mut serving);
    round.remove(&broken);
}

/// A count or a percentage of all, rounded up; at least 1.
fn most_unavailable(written: &Value, all: usize) -> usize {
    let percent = written.as_str().and_then(|text| text.strip_suffix('%')?.parse::<usize>().ok());
    let count = match percent {
        Some(percent) => (all * percent.min(100)).div_ceil(100),
        None => written.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1),
    };
    count.max(1)
}

/// The pod of a node: no other will do.
fn pod_for((template, revision): (&Value, &str), name: &str, node: &str) -> Value {
    let mut pod = template.clone();
    pod["metadata"]["name"] = json!(name);
    set_label(&mut pod, "controller-revision-hash", revision);
    let here = json!({"matchFields": [
        {"key": "metadata.name", "operator": "In", "values": [node]},
    ]});
    let affinity = &mut pod["spec"]["affinity"];
    if !affinity.is_object() {
        *affinity = json!({});
    }
    if !affinity["nodeAffinity"].is_object() {
        affinity["nodeAffinity"] = json!({});
    }
    affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": [here]});
    pod
}

fn add_tolerations(pod: &mut Value) {
    let on_host = pod["spec"]["hostNetwork"] == true;
    let more = on_host.then_some(TOLERATED_ON_HOST_NETWORK);
    let tolerations = &mut pod["spec"]["tolerations"];
    if !tolerations.is_array() {
        *tolerations = json!([]);
    }
    let Some(tolerations) = tolerations.as_array_mut() else { return };
    for (key, effect) in TOLERATED.into_iter().chain(more) {
        let toleration = json!({"key": key, "operator": "Exists", "effect": effect});
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
}

fn write_status(round: &mut Round<'_>, stands: &[(Name, Stand)], revision: &str) {
    let path = format!(
        "/apis/apps/v1/namespaces/{}/daemonsets/{}",
        round.owner.namespace(),
        round.owner.name()
    );
    let (mut wanted, mut there, mut ready, mut updated, mut misplaced) = (0, 0, 0, 0, 0);
    for (node, stand) in stands {
        let child = round.children.named(&pod_name(round.owner, node));
        match stand {
            Stand::Wanted => {
                wanted += 1;
                there += usize::from(child.is_some());
                ready += usize::from(child.is_some_and(|child| child.ready && !child.deleting));
                updated += usize::from(child.is_some_and(|child| child.revision == revision));
            }
            Stand::Tolerated | Stand::Unwanted => misplaced += usize::from(child.is_some()),
        }
    }
    let status: [(&str, Value); 8] = [
        ("desiredNumberScheduled", json!(wanted)),
        ("currentNumberScheduled", json!(there)),
        ("numberMisscheduled", json!(misplaced)),
        ("numberReady", json!(ready)),
        ("numberAvailable", positive(ready)),
        ("numberUnavailable", positive(wanted - ready)),
        ("updatedNumberScheduled", positive(updated)),
        ("observedGeneration", json!(round.owner.generation())),
    ];
    let status = status.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    round.write_status(&path, status);
}
