//! The kubelet of every simulated node, in one pure machine: objects in, writes and a wake-up time out.
//! It starts pods bound to its nodes, ends them, terminates them with grace, rejects what does not fit,
//! renews node leases, and can be told to fail. It never binds, never makes a pod, and knows no scheduler.
//! Work is per event, not per node: a cluster in which nothing happens costs its lease renewals only.
//!
//! ```text
//!  bound ──admitted──▶ starting ──latency──▶ running ──runs-for──▶ ended
//!    └──rejected──▶ ended          any of them, once deletion is seen: ──grace──▶ deleted
//! ```

mod admission;
mod faults;
mod node;
mod pod;
mod status;
mod wishes;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

pub use self::faults::FAULT;
pub use self::faults::Fault;
use self::node::Node;
use self::pod::Pod;
pub use self::wishes::EXIT_CODE;
pub use self::wishes::RUNS_FOR;
use self::wishes::Wishes;
use self::wishes::group_name;
use super::machinery::Kind;
use super::machinery::Sight;
use super::object::Object;
use super::timetable::Timetable;
use super::write::Write;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::GroupName;
use crate::kubernetes::translate::Translator;

/// Which nodes the kubelet answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Every node object that it sees: worlds without any other kubelet.
    EveryNode,
    /// Only nodes that it registered itself: a fleet beside real nodes.
    RegisteredNodes,
}

/// How long containers take to stop once they are told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// The whole grace period of the deletion, as a program that saves its state until the end.
    WholeGrace,
    /// This long, or the grace period where that is shorter.
    Within(Span),
}

/// How a simulated kubelet behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KubeletSettings {
    /// Which nodes it answers for.
    pub serves: Serves,
    /// From seeing a bound pod to its containers running: image pulls, sandboxes.
    pub start_latency: Span,
    /// How long containers take to stop.
    pub stopping: Stopping,
    /// Between two renewals of a node's lease; `None` renews none.
    pub lease_interval: Option<Span>,
    /// After how long a write that changed nothing is sent again.
    pub retry: Span,
    /// From a node's last heartbeat to its being marked as out of contact.
    /// The kubelet plays the node lifecycle controller's part here.
    pub monitor_grace: Span,
}

impl KubeletSettings {
    /// For virtual time: binds and starts take no time, terminations all of their grace, nothing is renewed.
    pub const fn virtual_time() -> Self {
        Self {
            serves: Serves::EveryNode,
            start_latency: Span::ZERO,
            stopping: Stopping::WholeGrace,
            lease_interval: None,
            retry: Span::seconds(5),
            monitor_grace: Span::seconds(50),
        }
    }

    /// For a playground that people watch: half a second to start, one to stop, leases every 10 s
    /// as a kubelet renews them.
    pub const fn wall_clock() -> Self {
        Self {
            serves: Serves::EveryNode,
            start_latency: Span::milliseconds(500),
            stopping: Stopping::Within(Span::seconds(1)),
            lease_interval: Some(Span::seconds(10)),
            retry: Span::seconds(5),
            monitor_grace: Span::seconds(50),
        }
    }
}

/// Something that is due at a time.
#[derive(Clone, Debug)]
enum Due {
    /// The containers of a pod run.
    Start(ObjectName),
    /// The containers of a pod are done.
    End(ObjectName),
    /// A pod is to be terminated with a grace in seconds.
    Terminate(ObjectName, i64),
    /// The containers of a pod that is being deleted have stopped.
    Stopped(ObjectName),
    /// The last write about a pod should have shown by now.
    ConfirmPod(ObjectName),
    /// A node's object should have shown by now.
    ConfirmNode(Name),
    /// A node's lease.
    Renew(Name),
    /// A node has been silent for long enough to be called so.
    MarkSilent(Name),
    /// A node's device plugin is back.
    DevicesReturn(Name),
}

/// Kubelets for any number of nodes.
#[derive(Debug)]
pub struct Kubelet {
    settings: KubeletSettings,
    nodes: BTreeMap<Name, Node>,
    pods: BTreeMap<ObjectName, Pod>,
    groups: BTreeMap<GroupName, Wishes>,
    /// Pods bound here that are members of a group.
    members: BTreeMap<GroupName, BTreeSet<ObjectName>>,
    translator: Translator,
    timetable: Timetable<Due>,
    outbox: Vec<Write>,
    complaints: Vec<String>,
    addresses_given: u32,
}

impl Kubelet {
    /// A kubelet without nodes.
    pub fn new(settings: KubeletSettings) -> Self {
        Self {
            settings,
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            translator: Translator::new(),
            timetable: Timetable::new(),
            outbox: Vec::new(),
            complaints: Vec::new(),
            addresses_given: 0,
        }
    }

    /// Takes in what was seen of an object. Kinds that a kubelet does not watch are passed over.
    pub fn observe(&mut self, now: Time, kind: Kind, sight: Sight<'_>) {
        match (kind, sight) {
            (Kind::Node, Sight::Present(node)) => self.see_node(now, node),
            (Kind::Node, Sight::Gone(node)) => self.lose_node(Object(node).name()),
            (Kind::Pod, Sight::Present(pod)) => self.see_pod(now, pod),
            (Kind::Pod, Sight::Gone(pod)) => {
                let pod = Object(pod);
                self.forget_pod(&pod.object_name(), pod.uid());
            }
            (Kind::PodGroup, Sight::Present(group)) => self.see_group(group),
            (Kind::PodGroup, Sight::Gone(group)) => {
                self.groups.remove(&group_name(Object(group)));
            }
            (
                Kind::Job
                | Kind::Deployment
                | Kind::ReplicaSet
                | Kind::StatefulSet
                | Kind::DaemonSet
                | Kind::Storage(_),
                _,
            ) => {}
        }
    }

    /// What is to be written now, in order.
    pub fn act(&mut self, now: Time) -> Vec<Write> {
        while let Some((at, due)) = self.timetable.pop_due(now) {
            match due {
                Due::Start(pod) => self.start_pod(now, &pod),
                Due::End(pod) => self.end_pod(now, at, &pod),
                Due::Terminate(pod, grace) => self.terminate(now, &pod, grace),
                Due::Stopped(pod) => self.remove_pod(now, &pod),
                Due::ConfirmPod(pod) => self.repeat_pod_write(now, &pod),
                Due::ConfirmNode(node) => self.repeat_node_writes(now, &node),
                Due::Renew(node) => self.renew_lease(at, now, &node),
                Due::MarkSilent(node) => self.mark_silent(now, &node),
                Due::DevicesReturn(node) => self.devices_return(now, &node),
            }
        }
        std::mem::take(&mut self.outbox)
    }

    /// When to act again if nothing is observed before.
    pub fn wakeup(&self) -> Option<Time> {
        if self.outbox.is_empty() { self.timetable.next() } else { Some(Time(i64::MIN)) }
    }

    /// What users wrote and this kubelet cannot use, once each: object, field, value, remedy.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Keeps a PodGroup's wishes for its members, and gives them to those that run already.
    fn see_group(&mut self, group: &Value) {
        let name = group_name(Object(group));
        let wishes = Wishes::of(Object(group));
        if self.groups.get(&name) == Some(&wishes) {
            return;
        }
        self.groups.insert(name.clone(), wishes);
        for member in self.members.get(&name).cloned().unwrap_or_default() {
            self.plan_end(&member);
        }
    }
}

#[cfg(test)]
mod tests;
