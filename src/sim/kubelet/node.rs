//! A node as its kubelet keeps it: registration, heartbeats, the object's conditions and devices.
//! What the object should say is compared with what it says; only differences are written,
//! and a difference that stays is written again after the retry time.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::Due;
use super::Kubelet;
use super::Serves;
use super::admission::Room;
use super::faults::Devices;
use super::faults::Faults;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::random::Random;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::engine::event::Event;
use crate::kubernetes::translate;
use crate::sim::object::Object;
use crate::sim::object::micro_timestamp;
use crate::sim::object::timestamp;
use crate::sim::timetable::Appointment;
use crate::sim::write::Write;

/// How long a lease holds after a renewal, as the kubelet's default has it.
const LEASE_SECONDS: i64 = 40;
/// Where node leases live.
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
/// The taint that an API server gives a new node, until something sees that it is ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// The taint of a node that is out of contact.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// Whether a node's kubelet and the API hear each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Contact {
    /// There is no node object (yet, or any more).
    #[default]
    NoObject,
    /// All is well.
    Kept,
    /// The kubelet is silent; it hears and writes nothing.
    Lost,
}

/// A node, and what its kubelet holds for it.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The object with which this kubelet registers the node itself.
    pub(super) registration: Option<Value>,
    pub(super) contact: Contact,
    pub(super) faults: Faults,
    /// The node's internal address.
    pub(super) address: String,
    /// What there is and what pods hold.
    pub(super) room: Room,
    /// Every pod bound here whose object exists.
    pub(super) pods: BTreeSet<ObjectName>,
    /// Bound pods that wait for the node to be in contact, in order of arrival.
    pub(super) waiting: Vec<ObjectName>,
    /// What became due while the node was out of contact.
    pub(super) parked: Vec<Due>,
    /// The object as last seen.
    view: View,
    /// It has been silent for so long that it is called so.
    marked_silent: bool,
    lease: Lease,
    /// The next renewal of the lease.
    renewal: Option<Appointment>,
    /// When a silent node is called so.
    silence: Option<Appointment>,
    /// When to look whether the last write has shown, and how many were sent.
    check: Option<Appointment>,
    attempts: u32,
}

/// The lease of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Lease {
    /// Not written by this kubelet yet.
    #[default]
    Unwritten,
    /// Written; renewals follow.
    Held,
}

/// The fields of a node object that its kubelet writes, as they are.
#[derive(Debug, Default)]
struct View {
    uid: String,
    ready: String,
    taints: Vec<Value>,
    capacity: Value,
    allocatable: Value,
}

impl View {
    fn of(node: &Value) -> Self {
        let object = Object(node);
        Self {
            uid: object.uid().to_owned(),
            ready: object.condition("Ready").to_owned(),
            taints: node["spec"]["taints"].as_array().cloned().unwrap_or_default(),
            capacity: node["status"]["capacity"].clone(),
            allocatable: node["status"]["allocatable"].clone(),
        }
    }

    fn tainted(&self, key: &str) -> bool {
        self.taints.iter().any(|taint| taint["key"] == key)
    }
}

impl Kubelet {
    /// Makes this kubelet the one of `nodes` (whole Node objects), and creates their objects.
    pub fn register(&mut self, now: Time, nodes: Vec<Value>) {
        for object in nodes {
            let name: Name = Object(&object).name().into();
            let node = self.nodes.entry(name.clone()).or_default();
            node.registration = Some(object);
            self.keep_node(now, &name);
        }
    }

    /// Makes this kubelet the one of a node whose object is there already, as after its restart.
    pub fn take_over(&mut self, now: Time, registration: Value, present: &Value) {
        let name: Name = Object(&registration).name().into();
        self.nodes.entry(name).or_default().registration = Some(registration);
        self.see_node(now, present);
    }

    /// The names of the nodes that this kubelet registered, in order.
    pub fn registered(&self) -> impl Iterator<Item = &Name> {
        self.nodes.iter().filter(|(_, node)| node.registration.is_some()).map(|(name, _)| name)
    }

    /// Takes in a node object as it is now.
    pub(super) fn see_node(&mut self, now: Time, value: &Value) {
        let object = Object(value);
        let name: Name = object.name().into();
        if self.settings.serves == Serves::RegisteredNodes
            && self.nodes.get(&name).is_none_or(|node| node.registration.is_none())
        {
            return;
        }
        let node = self.nodes.entry(name.clone()).or_default();
        for event in self.translator.applied(translate::Kind::Node, value).events {
            if let Event::Node(fact) = event {
                node.room.observe(*fact);
            }
        }
        node.view = View::of(value);
        node.address = internal_address(value);
        if node.contact == Contact::NoObject {
            node.contact = Contact::Kept;
            self.begin_heartbeats(now, &name);
            self.admit_waiting(now, &name);
        }
        self.see_fault_annotation(now, &name, object);
        self.keep_node(now, &name);
    }

    /// The node object is gone; what was bound there is left to the pod garbage collector.
    pub(super) fn lose_node(&mut self, name: &str) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.contact = Contact::NoObject;
        node.faults = Faults::default();
        node.marked_silent = false;
        node.lease = Lease::Unwritten;
        node.view = View::default();
        // A real kubelet registers again only when it restarts.
        node.registration = None;
    }

    /// Gives pods that waited for their node to be in contact their turn.
    pub(super) fn admit_waiting(&mut self, now: Time, name: &str) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        for pod in std::mem::take(&mut node.waiting) {
            self.admit_pod(now, &pod);
        }
    }

    /// The kubelet falls silent: no heartbeats, and nothing of what happens on the node is reported.
    pub(super) fn fall_silent(&mut self, now: Time, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.contact == Contact::Kept {
            node.contact = Contact::Lost;
            let at = now + self.settings.monitor_grace;
            node.silence = Some(self.timetable.plan(at, Due::MarkSilent(name.clone())));
            if let Some(renewal) = node.renewal.take() {
                self.timetable.cancel(renewal);
            }
        }
    }

    /// The kubelet is back: it reports what happened meanwhile and takes waiting pods.
    pub(super) fn speak_again(&mut self, now: Time, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.contact != Contact::Lost {
            return;
        }
        node.contact = Contact::Kept;
        node.marked_silent = false;
        if let Some(silence) = node.silence.take() {
            self.timetable.cancel(silence);
        }
        for due in std::mem::take(&mut node.parked) {
            self.timetable.plan(now, due);
        }
        self.begin_heartbeats(now, name);
        self.admit_waiting(now, name);
        self.keep_node(now, name);
    }

    /// The node has been silent for the whole monitor grace period.
    pub(super) fn mark_silent(&mut self, now: Time, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if node.contact == Contact::Lost {
            node.marked_silent = true;
            self.keep_node(now, name);
        }
    }

    /// Writes the lease and plans its renewals, spread over the interval by the node's name.
    fn begin_heartbeats(&mut self, now: Time, name: &Name) {
        let Some(interval) = self.settings.lease_interval else { return };
        self.renew(now, name);
        let seed = name
            .bytes()
            .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let span = u64::try_from(interval.0).unwrap_or(0).max(1);
        let offset = i64::try_from(Random::new(seed).below(span)).expect("less than the interval");
        self.plan_renewal(now + Span(offset.max(1)), name);
    }

    /// Plans the next renewal of a lease, in place of any planned before.
    fn plan_renewal(&mut self, at: Time, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let planned = self.timetable.plan(at, Due::Renew(name.clone()));
        if let Some(before) = node.renewal.replace(planned) {
            self.timetable.cancel(before);
        }
    }

    /// Renews a lease and plans the next renewal; planned from the time that was due, so that none drifts.
    pub(super) fn renew_lease(&mut self, due: Time, now: Time, name: &Name) {
        let Some(interval) = self.settings.lease_interval else { return };
        if self.nodes.get(name).is_none_or(|node| node.contact != Contact::Kept) {
            return;
        }
        self.renew(now, name);
        self.plan_renewal((due + interval).max(now + Span(1)), name);
    }

    /// One renewal; the first one makes the lease.
    fn renew(&mut self, now: Time, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let renewed = micro_timestamp(now);
        let write = match std::mem::replace(&mut node.lease, Lease::Held) {
            Lease::Unwritten => Write::create(
                LEASES,
                &json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {
                        "name": &**name,
                        "namespace": "kube-node-lease",
                        "ownerReferences":
                            [{"apiVersion": "v1", "kind": "Node", "name": &**name, "uid": node.view.uid}],
                    },
                    "spec": {
                        "holderIdentity": &**name,
                        "leaseDurationSeconds": LEASE_SECONDS,
                        "renewTime": renewed,
                    },
                }),
            ),
            Lease::Held => {
                Write::merge(format!("{LEASES}/{name}"), &json!({"spec": {"renewTime": renewed}}))
            }
        };
        self.outbox.push(write);
    }

    /// Writes what the node object should say and does not, unless a write is still to show.
    pub(super) fn keep_node(&mut self, now: Time, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        if let Some(check) = node.check {
            if node.missing_writes(now, name).is_empty() {
                self.timetable.cancel(check);
                node.check = None;
                node.attempts = 0;
            }
            return;
        }
        self.repeat_node_writes(now, name);
    }

    /// Compares the node object with what it should say, and writes the difference (again).
    pub(super) fn repeat_node_writes(&mut self, now: Time, name: &Name) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.check = None;
        let writes = node.missing_writes(now, name);
        if writes.is_empty() {
            node.attempts = 0;
            return;
        }
        self.outbox.extend(writes);
        let wait = Span(self.settings.retry.0.saturating_mul(1 << node.attempts.min(6)));
        node.attempts += 1;
        node.check = Some(self.timetable.plan(now + wait, Due::ConfirmNode(name.clone())));
    }
}

impl Node {
    /// The writes that make the object say what it should.
    fn missing_writes(&self, now: Time, name: &Name) -> Vec<Write> {
        let path = format!("/api/v1/nodes/{name}");
        if self.contact == Contact::NoObject {
            let Some(registration) = &self.registration else { return Vec::new() };
            let mut object = registration.clone();
            object["status"]["conditions"] = ready_conditions(now);
            return vec![Write::create("/api/v1/nodes", &object)];
        }
        let mut writes = Vec::new();
        let mut status = serde_json::Map::new();
        if self.marked_silent {
            if self.view.ready != "Unknown" {
                status.insert("conditions".into(), unknown_conditions(now));
            }
        } else if self.contact == Contact::Kept && matches!(&*self.view.ready, "" | "Unknown") {
            status.insert("conditions".into(), ready_conditions(now));
        }
        if let Some(registration) =
            self.registration.as_ref().filter(|_| self.view.capacity.is_null())
        {
            for field in ["capacity", "allocatable", "addresses", "nodeInfo"] {
                status.insert(field.into(), registration["status"][field].clone());
            }
        } else if let Some(allocatable) = self.missing_allocatable() {
            status.insert("allocatable".into(), allocatable);
        }
        if !status.is_empty() {
            writes.push(Write::strategic(format!("{path}/status"), &json!({"status": status})));
        }
        let outlived = self.registration.is_some()
            && self.contact == Contact::Kept
            && self.view.tainted(NOT_READY);
        if outlived || self.marked_silent != self.view.tainted(UNREACHABLE) {
            let taints = self.wanted_taints(now);
            writes.push(Write::strategic(path, &json!({"spec": {"taints": taints}})));
        }
        writes
    }

    /// The taints that the node should have: those of others, and `unreachable` while it is silent. Who runs a
    /// fleet may have no node lifecycle controller, so its part is played here.
    fn wanted_taints(&self, now: Time) -> Vec<Value> {
        let mut taints: Vec<Value> = self
            .view
            .taints
            .iter()
            .filter(|taint| taint["key"] != UNREACHABLE && taint["key"] != NOT_READY)
            .cloned()
            .collect();
        if self.marked_silent {
            for effect in ["NoSchedule", "NoExecute"] {
                taints.push(
                    json!({"key": UNREACHABLE, "effect": effect, "timeAdded": timestamp(now)}),
                );
            }
        }
        taints
    }

    /// Allocatable amounts of devices that differ from what the device plugin offers now.
    fn missing_allocatable(&self) -> Option<Value> {
        if self.contact != Contact::Kept || self.faults.devices == Devices::Untouched {
            return None;
        }
        let mut wrong = serde_json::Map::new();
        for (resource, capacity) in self.view.capacity.as_object()? {
            let offered = self.faults.devices.offered(resource, capacity);
            if let Some(offered) =
                offered.filter(|offered| *offered != self.view.allocatable[resource])
            {
                wrong.insert(resource.clone(), offered);
            }
        }
        (!wrong.is_empty()).then_some(Value::Object(wrong))
    }
}

/// `status.addresses` of type `InternalIP`; empty where there is none.
fn internal_address(node: &Value) -> String {
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    addresses
        .filter(|address| address["type"] == "InternalIP")
        .find_map(|address| address["address"].as_str())
        .unwrap_or("")
        .to_owned()
}

/// The conditions of a healthy node, in the kubelet's words.
fn ready_conditions(now: Time) -> Value {
    let at = timestamp(now);
    let one = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastHeartbeatTime": at, "lastTransitionTime": at,
        })
    };
    json!([
        one(
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available"
        ),
        one("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        one(
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available"
        ),
        one("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ])
}

/// The conditions of a silent node, in the node lifecycle controller's words.
fn unknown_conditions(now: Time) -> Value {
    let kinds = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"];
    kinds
        .iter()
        .map(|kind| {
            json!({
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": timestamp(now),
            })
        })
        .collect()
}
