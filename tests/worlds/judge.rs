//! Follows every write to the API, in order, and holds it against what is promised: who is bound where, by which plan,
//! within which capacity, and what is said about it. Knows objects only: no engine, no plan but the record that it reads.
//! Invariant: an object is judged in each of its versions, also those that nobody else saw.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use muster::apiserver::server::Server;
use muster::apiserver::store::view::Shown;
use muster::apiserver::store::watch::Watch;
use muster::apiserver::store::watch::WatchEvent;
use muster::sim::object::Object;
use serde_json::Value;

use crate::gangs::Gang;
use crate::volumes::Storage;
use crate::world::STRANGER;

/// How long after a change of a node a scheduler may not know it: a watch that has fallen silent is given up after 65 s,
/// and a bind is tried for a minute.
pub(crate) const BLIND: Duration = Duration::from_secs(130);

/// Annotation of a pod that was bound as a member: by which plan.
const EPOCH: &str = "muster.dev/gang-epoch";
/// Annotation of a member that was bound after its gang's minimum.
const LATE: &str = "muster.dev/gang-late";

/// Why a pod may say that it waits.
const REASONS: [&str; 9] = [
    "Unschedulable",
    "WaitingForMembers",
    "WaitingForTurn",
    "WaitingForVictims",
    "WaitingForVolumes",
    "SchedulingGated",
    "InvalidGang",
    "Unsupported",
    "GangAborted",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Node,
    Pod,
    Group,
    Record,
    Event,
    Claim,
    Volume,
}

const WATCHED: [(Kind, &str); 8] = [
    (Kind::Node, "/api/v1/nodes"),
    (Kind::Pod, "/api/v1/pods"),
    (Kind::Group, "/apis/scheduling.x-k8s.io/v1alpha1/podgroups"),
    (Kind::Group, "/apis/scheduling.k8s.io/v1beta1/podgroups"),
    (Kind::Record, "/apis/muster.dev/v1alpha1/gangplans"),
    (Kind::Event, "/api/v1/events"),
    (Kind::Claim, "/api/v1/persistentvolumeclaims"),
    (Kind::Volume, "/api/v1/persistentvolumes"),
];

/// A machine, as its object says or last said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// The object, while there is one.
    pub(crate) object: Option<Arc<Value>>,
    /// When it last offered less than before, or somebody else took a place on it.
    troubled: Option<Duration>,
    /// Whether it ever offered less than before: what runs there may be more than it offers.
    pub(crate) has_shrunk: bool,
}

/// All that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    /// Promises that were broken.
    pub(crate) broken: Vec<String>,
    /// Machines by name.
    pub(crate) machines: BTreeMap<String, Machine>,
    /// Pods that exist, by uid.
    pub(crate) pods: BTreeMap<String, Arc<Value>>,
    /// Gangs by the names of their records.
    pub(crate) gangs: BTreeMap<String, Gang>,
    /// Claims and volumes.
    pub(crate) storage: Storage,
    watches: Vec<(Kind, &'static str, Watch)>,
    now: Duration,
    /// Where each pod was bound, by uid, also those that are gone.
    bound: BTreeMap<String, String>,
    /// Until then a process may act on what it believed before it stood still.
    rivals_until: Option<Duration>,
    /// Whether the store was ever set back.
    pub(crate) set_back: bool,
}

/// GPUs that a pod asks for.
pub(crate) fn gpus(pod: &Value) -> u64 {
    amount(&pod["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"])
}

/// GPUs that a node offers.
pub(crate) fn offered(node: &Value) -> u64 {
    amount(&node["status"]["allocatable"]["nvidia.com/gpu"])
}

fn amount(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Where a pod is bound.
pub(crate) fn node_of(pod: &Value) -> Option<&str> {
    pod["spec"]["nodeName"].as_str()
}

/// True once a pod's containers have ended.
pub(crate) fn has_ended(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// True for a pod that neither has ended nor is on its way out.
pub(crate) fn lives(pod: &Value) -> bool {
    !has_ended(pod) && pod["metadata"]["deletionTimestamp"].is_null()
}

/// The gang of a pod, by the name of its record.
pub(crate) fn gang_of(pod: &Value) -> Option<String> {
    use muster::cluster::facts::GroupSource;
    let (source, name) = Object(pod).group()?;
    let source = match source {
        GroupSource::Coscheduling => "coscheduling",
        GroupSource::Native => "native",
    };
    Some(format!("{source}.{name}"))
}

/// The plan that a pod says it was bound by.
pub(crate) fn epoch_of(pod: &Value) -> Option<u32> {
    pod["metadata"]["annotations"][EPOCH].as_str()?.parse().ok()
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

impl Judge {
    /// A judge who sees everything from now on.
    pub(crate) fn new(server: &mut Server) -> Self {
        let watches = WATCHED.map(|(kind, path)| {
            let watch = server.watch(path).expect("it is served, and nothing is denied yet");
            (kind, path, watch)
        });
        Self {
            broken: Vec::new(),
            machines: BTreeMap::new(),
            pods: BTreeMap::new(),
            gangs: BTreeMap::new(),
            storage: Storage::default(),
            watches: watches.into(),
            now: Duration::ZERO,
            bound: BTreeMap::new(),
            rivals_until: None,
            set_back: false,
        }
    }

    /// Judges every write since the last time.
    pub(crate) fn inspect(&mut self, now: Duration, server: &mut Server) {
        self.now = now;
        let mut events: Vec<(u64, Kind, bool, Shown)> = Vec::new();
        for (kind, path, watch) in &mut self.watches {
            if watch.has_ended() {
                *watch = server.watch(path).expect("it is served");
            }
            for event in server.poll(watch) {
                let gone = matches!(event, WatchEvent::Deleted(_));
                if let Some(shown) = event.shown() {
                    events.push((shown.object.version, *kind, gone, shown.clone()));
                }
            }
        }
        events.sort_by_key(|(version, ..)| *version);
        for (_, kind, gone, shown) in events {
            let object = shown.json();
            match (kind, gone) {
                (Kind::Node, false) => self.node(object),
                (Kind::Node, true) => self.node_gone(&object),
                (Kind::Pod, false) => self.pod(object),
                (Kind::Pod, true) => {
                    self.pods.remove(uid(&object));
                }
                (Kind::Group, _) => self.group(object, gone),
                (Kind::Record, _) => self.record(&object, gone),
                (Kind::Event, false) => self.event(&object),
                (Kind::Event, true) => {}
                (Kind::Claim, _) => self.storage.claim(object, gone),
                (Kind::Volume, _) => self.storage.volume(object, gone),
            }
        }
    }

    /// A process stands still until then, and may act on what it believes for a while after.
    pub(crate) fn rivals_until(&mut self, until: Duration) {
        self.rivals_until = self.rivals_until.max(Some(until + BLIND));
    }

    /// The store is set back to where `before` was judged; processes act on what they believe until `until`. What comes
    /// of a plan that the backup does not know is promised by nobody.
    pub(crate) fn set_back_to(&mut self, before: Self, until: Duration) {
        let broken = std::mem::take(&mut self.broken);
        let rivals_until = self.rivals_until;
        *self = Self { broken, rivals_until, set_back: true, now: self.now, ..before };
        self.rivals_until(until);
        for gang in self.gangs.values_mut() {
            gang.meddled = true;
        }
        for machine in self.machines.values_mut() {
            // What runs there was never admitted beside what the backup brings back.
            machine.has_shrunk = true;
        }
    }

    /// A person has laid hands on a record.
    pub(crate) fn meddled(&mut self, record: &str) {
        if let Some(gang) = self.gangs.get_mut(record) {
            gang.meddled = true;
        }
    }

    /// The first member of a gang that waits.
    pub(crate) fn first_waiting(&self) -> Option<String> {
        let waits = |pod: &&Arc<Value>| {
            let is_reached = pod["metadata"]["namespace"] == "default";
            let waits = node_of(pod).is_none() && lives(pod) && !is_gated(pod);
            gang_of(pod).is_some() && is_reached && waits
        };
        self.pods.values().filter(waits).map(|pod| name(pod).to_owned()).min()
    }

    /// Pods that were bound.
    pub(crate) fn bound(&self) -> usize {
        self.bound.len()
    }

    /// Members of a gang that exist.
    pub(crate) fn members(&self, gang: &str) -> impl Iterator<Item = &Value> {
        let members = self.pods.values().map(|pod| &**pod);
        members.filter(move |pod| gang_of(pod).as_deref() == Some(gang))
    }

    /// GPUs in use on a node.
    pub(crate) fn used(&self, node: &str) -> u64 {
        let on_it = self.pods.values().filter(|pod| node_of(pod) == Some(node) && !has_ended(pod));
        on_it.map(|pod| gpus(pod)).sum()
    }

    fn breaks(&mut self, what: String) {
        let acts_on_what_is_lost =
            self.set_back && self.rivals_until.is_some_and(|until| self.now < until);
        if !acts_on_what_is_lost {
            self.broken.push(what);
        }
    }

    fn node(&mut self, object: Arc<Value>) {
        let machine = self.machines.entry(name(&object).to_owned()).or_default();
        let before = machine.object.as_ref().map(|node| (offered(node), is_closed(node)));
        if before.is_some_and(|(gpus, _)| gpus > offered(&object)) {
            machine.has_shrunk = true;
            machine.troubled = Some(self.now);
        }
        machine.object = Some(object);
    }

    fn node_gone(&mut self, object: &Value) {
        if let Some(machine) = self.machines.get_mut(name(object)) {
            machine.object = None;
            machine.has_shrunk = true;
            machine.troubled = Some(self.now);
        }
    }

    fn pod(&mut self, pod: Arc<Value>) {
        self.words(&pod);
        let before = self.pods.insert(uid(&pod).to_owned(), Arc::clone(&pod));
        if let Some(gang) = gang_of(&pod) {
            if pod["status"]["phase"] == "Succeeded" {
                self.gangs.entry(gang.clone()).or_default().ended_well.insert(uid(&pod).to_owned());
            }
            self.count_started(&gang);
        }
        let Some(node) = node_of(&pod) else { return };
        match before.as_deref().and_then(node_of) {
            Some(known) if known == node => {}
            Some(known) => self.breaks(format!("pod {} moved from {known} to {node}", name(&pod))),
            None => self.newly_bound(&pod, node),
        }
    }

    fn newly_bound(&mut self, pod: &Value, node: &str) {
        self.bound.insert(uid(pod).to_owned(), node.to_owned());
        if let Some(gang) = gang_of(pod) {
            self.gangs.entry(gang).or_default().ever_bound.insert(uid(pod).to_owned());
        }
        let is_strange = pod["spec"]["schedulerName"] != "muster"
            || !pod["metadata"]["annotations"][STRANGER].is_null();
        if is_strange {
            self.machines.entry(node.to_owned()).or_default().troubled = Some(self.now);
            if let Some(gang) = gang_of(pod) {
                self.gangs.entry(gang).or_default().strangers = true;
            }
            return;
        }
        self.capacity(pod, node);
        self.volumes(pod, node);
        match gang_of(pod) {
            Some(gang) => self.member_bound(&gang, pod, node),
            None if epoch_of(pod).is_some() => {
                self.breaks(format!("pod {} has no gang, and was bound by a plan", name(pod)));
            }
            None => {}
        }
    }

    /// What we bind fits, unless what is on the node has changed within the time in which nobody need know it.
    fn capacity(&mut self, pod: &Value, node: &str) {
        let used = self.used(node);
        let machine = self.machines.entry(node.to_owned()).or_default();
        let offers = machine.object.as_ref().map_or(0, |node| offered(node));
        let excused = machine.troubled.is_some_and(|at| self.now < at + BLIND)
            || self.rivals_until.is_some_and(|until| self.now < until);
        if used > offers && !excused {
            let name = name(pod);
            self.breaks(format!(
                "pod {name} was bound to {node}, which offers {offers} and has {used} in use"
            ));
        }
    }

    /// Whom we bind has volumes that are bound, and reaches them.
    fn volumes(&mut self, pod: &Value, node: &str) {
        let machine = self.machines.get(node).and_then(|machine| machine.object.as_deref());
        if let Some(why) = self.storage.objection(pod, machine) {
            self.breaks(format!("pod {} was bound to {node} and {why}", name(pod)));
        }
    }

    fn member_bound(&mut self, key: &str, pod: &Value, node: &str) {
        let name = name(pod).to_owned();
        let late = !pod["metadata"]["annotations"][LATE].is_null();
        let gang = self.gangs.entry(key.to_owned()).or_default();
        let Some(epoch) = epoch_of(pod) else {
            if gang.lowest_minimum() > 0 {
                self.breaks(format!("member {name} was bound by no plan"));
            }
            return;
        };
        // Who believed that a member bound by somebody else lives may be a moment late.
        if gang.strangers {
            return;
        }
        if let Err(why) = gang.may_bind(uid(pod), node, (epoch, late)) {
            self.breaks(format!("member {name} was bound to {node} by plan {epoch}: {why}"));
        }
    }

    /// Members that are bound and live, or have ended well.
    pub(crate) fn counted(&self, gang: &str) -> u64 {
        let bound = |pod: &&Value| node_of(pod).is_some() && lives(pod);
        let bound = self.members(gang).filter(bound).count();
        let ended = self.gangs.get(gang).map_or(0, |gang| gang.ended_well.len());
        (bound + ended) as u64
    }

    /// Notes that a gang has its minimum, if it has.
    fn count_started(&mut self, key: &str) {
        let counted = self.counted(key);
        let gang = self.gangs.entry(key.to_owned()).or_default();
        if gang.minimum().is_some_and(|minimum| counted >= minimum) {
            gang.started = true;
        }
    }

    fn group(&mut self, object: Arc<Value>, gone: bool) {
        let source = match object["apiVersion"].as_str() {
            Some(version) if version.starts_with("scheduling.k8s.io/") => "native",
            _ => "coscheduling",
        };
        let key = format!("{source}.{}", name(&object));
        let living: BTreeSet<String> =
            self.members(&key).filter(|pod| lives(pod)).map(|pod| uid(pod).to_owned()).collect();
        let counted = self.counted(&key);
        let gang = self.gangs.entry(key.clone()).or_default();
        let found = if gone {
            gang.group_gone();
            Ok(())
        } else {
            gang.group_seen(object, &living, counted)
        };
        if let Err(why) = found {
            self.breaks(format!("PodGroup {key}: {why}"));
        }
        self.count_started(&key);
    }

    fn record(&mut self, object: &Value, gone: bool) {
        let key = name(object).to_owned();
        let members: Vec<Arc<Value>> = self
            .pods
            .values()
            .filter(|pod| gang_of(pod).as_deref() == Some(&key))
            .map(Arc::clone)
            .collect();
        let gang = self.gangs.entry(key.clone()).or_default();
        if gone {
            gang.record = None;
        } else if let Err(why) = gang.record_seen(object, &members) {
            self.breaks(format!("record {key}: {why}"));
        }
    }

    /// No condition of a pod contradicts the pod.
    fn words(&mut self, pod: &Value) {
        let conditions = pod["status"]["conditions"].as_array();
        let scheduled =
            conditions.into_iter().flatten().find(|condition| condition["type"] == "PodScheduled");
        let Some(condition) = scheduled else { return };
        let (says, reason) = (condition["status"] == "True", condition["reason"].as_str());
        if says != node_of(pod).is_some() {
            self.breaks(format!("pod {} says {condition} with node {:?}", name(pod), node_of(pod)));
        }
        let is_known = reason.is_some_and(|reason| REASONS.contains(&reason));
        if !says && (!is_known || condition["message"].as_str().is_none_or(str::is_empty)) {
            self.breaks(format!("pod {} gives a reason that nobody knows: {condition}", name(pod)));
        }
    }

    /// An event that says that a pod was bound is true.
    fn event(&mut self, event: &Value) {
        if event["reason"] != "Scheduled" {
            return;
        }
        let about = event["involvedObject"]["uid"].as_str().unwrap_or_default();
        let node = event["message"].as_str().and_then(|note| note.rsplit(' ').next());
        if self.bound.get(about).map(String::as_str) != node {
            let known = self.bound.get(about).cloned();
            self.breaks(format!(
                "an event says {}, but it is bound to {known:?}",
                event["message"]
            ));
        }
    }
}

/// True for a node that takes nobody now.
pub(crate) fn is_closed(node: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array();
    let repels = |taint: &Value| taint["effect"] == "NoSchedule" || taint["effect"] == "NoExecute";
    node["spec"]["unschedulable"] == true || taints.into_iter().flatten().any(repels)
}

/// True for a pod that may not be scheduled yet.
pub(crate) fn is_gated(pod: &Value) -> bool {
    pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty())
}
