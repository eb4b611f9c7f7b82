//! A pod's life on its node: taken in, started, ended, stopped, deleted.
//! Each change of stage is one write; a write that does not show within the retry time is sent again.
//! Invariant: a pod holds amounts of its node exactly from its admission until its containers have ended.

use serde_json::Value;

use super::Due;
use super::Kubelet;
use super::Serves;
use super::Stopping;
use super::admission::Rejection;
use super::node::Contact;
use super::status;
use super::status::Address;
use super::status::Container;
use super::status::Exit;
use super::status::ScheduledCondition;
use super::wishes::Wishes;
use super::wishes::group_of;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::GroupName;
use crate::engine::event::Event;
use crate::kubernetes::translate;
use crate::sim::object::Object;
use crate::sim::timetable::Appointment;
use crate::sim::write::Write;
use crate::workload::ask::Amounts;
use crate::workload::ask::SharedAsk;

/// Grace period of a deletion that names none, in seconds.
const GRACE_SECONDS_DEFAULT: i64 = 30;

/// Where a pod stands on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Bound; its node is not there yet, or out of contact.
    Waiting,
    /// Admitted; its containers are about to run.
    Starting,
    /// Its containers run.
    Running { since: Time },
    /// Its containers have ended, or it was rejected. It holds nothing.
    Ended,
}

/// What an unconfirmed write should lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// `status.phase` reads so.
    Phase(&'static str),
    /// The object is gone.
    Deleted,
}

/// A write that has not shown yet.
#[derive(Clone, Debug)]
struct Unconfirmed {
    write: Write,
    goal: Goal,
    attempts: u32,
    check: Appointment,
}

/// A pod that is bound to one of the kubelet's nodes.
#[derive(Debug)]
pub(super) struct Pod {
    uid: String,
    /// `metadata.generation`, which moves when the pod is resized in place.
    generation: i64,
    pub(super) node: Name,
    stage: Stage,
    containers: Vec<Container>,
    scheduled: ScheduledCondition,
    wishes: Wishes,
    pub(super) group: Option<GroupName>,
    /// What it asks of its node.
    ask: SharedAsk,
    /// What it holds of its node, while it holds anything.
    held: Option<Amounts>,
    /// The next step of its life: start or end.
    next: Option<Appointment>,
    /// When its containers have stopped, once it is being deleted.
    stopping: Option<(Time, Appointment)>,
    unconfirmed: Option<Unconfirmed>,
}

impl Pod {
    /// Reads a bound pod that was not known before.
    fn read(object: Object<'_>, node: Name, ask: SharedAsk) -> Self {
        let scheduled = match object.condition("PodScheduled") {
            "True" => ScheduledCondition::Present,
            _ => ScheduledCondition::Missing,
        };
        Self {
            uid: object.uid().to_owned(),
            generation: object.generation(),
            node,
            stage: Stage::Waiting,
            containers: status::containers_of(object.0),
            scheduled,
            wishes: Wishes::of(object),
            group: group_of(object),
            ask,
            held: None,
            next: None,
            stopping: None,
            unconfirmed: None,
        }
    }
}

/// The path of a pod.
fn path(name: &ObjectName) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", name.namespace, name.name)
}

impl Kubelet {
    /// Takes in a pod as it is now.
    pub(super) fn see_pod(&mut self, now: Time, value: &Value) {
        let object = Object(value);
        let name = object.object_name();
        if self.pods.get(&name).is_some_and(|known| known.uid != object.uid()) {
            self.drop_pod(&name);
        }
        let node = value["spec"]["nodeName"].as_str().unwrap_or("");
        if node.is_empty() {
            return;
        }
        let phase = value["status"]["phase"].as_str().unwrap_or("Pending");
        if self.pods.contains_key(&name) {
            self.confirm(&name, phase);
            self.resize(&name, object);
            if matches!(phase, "Succeeded" | "Failed") {
                self.finish(&name);
            }
        } else {
            let registered = self.nodes.get(node).is_some_and(|node| node.registration.is_some());
            if self.settings.serves == Serves::RegisteredNodes && !registered {
                return;
            }
            self.take_pod(now, &name, node, object);
        }
        if object.deleting() {
            self.stop_pod(now, &name, value);
        }
    }

    /// Takes in a pod that was just bound here, or that was here before this kubelet began.
    fn take_pod(&mut self, now: Time, name: &ObjectName, node: &str, object: Object<'_>) {
        let node_name: Name = node.into();
        let node = self.nodes.entry(node_name.clone()).or_default();
        node.pods.insert(name.clone());
        let (ask, held) = self.ask_of(name, object.0);
        let mut pod = Pod::read(object, node_name, ask);
        let phase = object.0["status"]["phase"].as_str().unwrap_or("Pending");
        if let Some(group) = &pod.group {
            self.members.entry(group.clone()).or_default().insert(name.clone());
        }
        match phase {
            "Succeeded" | "Failed" => pod.stage = Stage::Ended,
            "Running" => {
                let started = object.0["status"]["startTime"].as_str().and_then(Time::from_rfc3339);
                let since = started.or(object.created()).unwrap_or(now);
                pod.stage = Stage::Running { since };
                self.nodes.entry(pod.node.clone()).or_default().room.occupy(&held);
                pod.held = Some(held);
            }
            _ => {}
        }
        let stage = pod.stage;
        self.pods.insert(name.clone(), pod);
        match stage {
            Stage::Waiting => self.admit_pod(now, name),
            Stage::Running { .. } => self.plan_end(name),
            Stage::Starting | Stage::Ended => {}
        }
    }

    /// What a pod asks of its node, and what it holds there if that differs (resized in place).
    fn ask_of(&mut self, name: &ObjectName, value: &Value) -> (SharedAsk, Amounts) {
        for event in self.translator.applied(translate::Kind::Pod, value).events {
            if let Event::Pod(fact) = event
                && fact.name == *name
            {
                let held = fact.held.unwrap_or_else(|| fact.ask.requests.clone());
                return (fact.ask, held);
            }
        }
        (SharedAsk::default(), Amounts::new())
    }

    /// Lets a bound pod start, if its node is there to do it.
    pub(super) fn admit_pod(&mut self, now: Time, name: &ObjectName) {
        let Some(pod) = self.pods.get_mut(name) else { return };
        let node = self.nodes.get_mut(&pod.node).expect("a pod's node has an entry");
        if pod.stage != Stage::Waiting {
            return;
        }
        if node.contact != Contact::Kept {
            node.waiting.push(name.clone());
            return;
        }
        let group = pod.group.as_ref().and_then(|group| self.groups.get(group));
        let malformed = pod.wishes.malformed.as_ref();
        let malformed = malformed.or(group.and_then(|group| group.malformed.as_ref()));
        let verdict = match malformed {
            Some(problem) => Err(Rejection::unexpected(problem.clone())),
            None => node.faults.admit().and_then(|()| node.room.judge(&pod.ask)),
        };
        if let Err(rejection) = verdict {
            self.reject_pod(now, name, &rejection);
            return;
        }
        node.room.occupy(&pod.ask.requests);
        pod.held = Some(pod.ask.requests.clone());
        pod.stage = Stage::Starting;
        if self.settings.start_latency == Span::ZERO {
            self.start_pod(now, name);
        } else {
            let at = now + self.settings.start_latency;
            pod.next = Some(self.timetable.plan(at, Due::Start(name.clone())));
        }
    }

    /// A pod whose spec changed holds from now on what it asks for now: resizing takes no time here.
    fn resize(&mut self, name: &ObjectName, object: Object<'_>) {
        let generation = object.generation();
        let unchanged = |pod: &Pod| pod.generation == generation || pod.held.is_none();
        if self.pods.get(name).is_none_or(unchanged) {
            return;
        }
        let (ask, held) = self.ask_of(name, object.0);
        let Some(pod) = self.pods.get_mut(name) else { return };
        let node = self.nodes.get_mut(&pod.node).expect("a pod's node has an entry");
        if let Some(before) = pod.held.replace(held.clone()) {
            node.room.release(&before);
            node.room.occupy(&held);
        }
        pod.ask = ask;
        pod.generation = generation;
    }

    /// The node does not take the pod: it has failed.
    fn reject_pod(&mut self, now: Time, name: &ObjectName, rejection: &Rejection) {
        let Some(pod) = self.pods.get(name) else { return };
        let body = status::rejected(&pod.uid, &rejection.reason, &rejection.message, now);
        self.finish(name);
        self.send_status(now, name, body, "Failed");
    }

    /// The containers run from now on.
    pub(super) fn start_pod(&mut self, now: Time, name: &ObjectName) {
        if self.park_if_silent(name, Due::Start(name.clone())) {
            return;
        }
        let given = self.addresses_given;
        let Some(pod) = self.pods.get_mut(name) else { return };
        if pod.stage != Stage::Starting {
            return;
        }
        self.addresses_given = given.wrapping_add(1);
        pod.stage = Stage::Running { since: now };
        pod.next = None;
        let node = self.nodes.get(&pod.node).expect("a pod's node has an entry");
        let address = Address { host: &node.address, pod: pod_address(given) };
        let body = status::running(&pod.uid, &pod.containers, &address, pod.scheduled, now);
        self.send_status(now, name, body, "Running");
        self.plan_end(name);
    }

    /// Plans the end of a running pod, or plans it anew after its group's wishes changed.
    pub(super) fn plan_end(&mut self, name: &ObjectName) {
        let Some(pod) = self.pods.get_mut(name) else { return };
        let Stage::Running { since } = pod.stage else { return };
        if let Some(planned) = pod.next.take() {
            self.timetable.cancel(planned);
        }
        let group = pod.group.as_ref().and_then(|group| self.groups.get(group));
        if let Some(exit) = pod.wishes.exit(group, since) {
            pod.next = Some(self.timetable.plan(exit.finished, Due::End(name.clone())));
        }
    }

    /// The containers are done.
    pub(super) fn end_pod(&mut self, now: Time, finished: Time, name: &ObjectName) {
        if self.park_if_silent(name, Due::End(name.clone())) {
            return;
        }
        let Some(pod) = self.pods.get(name) else { return };
        let Stage::Running { since } = pod.stage else { return };
        let group = pod.group.as_ref().and_then(|group| self.groups.get(group));
        let planned = pod.wishes.exit(group, since);
        let code = planned.map_or(0, |exit| exit.code);
        let exit = Exit { code, started: since, finished };
        let body = status::ended(&pod.uid, &pod.containers, exit);
        self.finish(name);
        self.send_status(now, name, body, exit.phase());
    }

    /// Deletion was asked for, with the grace that the object says.
    fn stop_pod(&mut self, now: Time, name: &ObjectName, value: &Value) {
        let grace = value["metadata"]["deletionGracePeriodSeconds"].as_i64();
        self.terminate(now, name, grace.unwrap_or(GRACE_SECONDS_DEFAULT));
    }

    /// The containers are told to stop within `grace` seconds.
    pub(super) fn terminate(&mut self, now: Time, name: &ObjectName, grace: i64) {
        if self.park_if_silent(name, Due::Terminate(name.clone(), grace)) {
            return;
        }
        let Some(pod) = self.pods.get_mut(name) else { return };
        if grace <= 0 {
            // Force-deleted: only finalizers of others keep the object.
            if let Some((_, appointment)) = pod.stopping.take() {
                self.timetable.cancel(appointment);
            }
            self.finish(name);
            self.settle(name);
            return;
        }
        let takes = match (pod.stage, self.settings.stopping) {
            (Stage::Waiting | Stage::Starting | Stage::Ended, _) => Span::ZERO,
            (Stage::Running { .. }, Stopping::WholeGrace) => Span::seconds(grace),
            (Stage::Running { .. }, Stopping::Within(span)) => span.min(Span::seconds(grace)),
        };
        let at = now + takes;
        match pod.stopping {
            Some((planned, _)) if planned <= at => return,
            Some((_, appointment)) => self.timetable.cancel(appointment),
            None => {}
        }
        if takes == Span::ZERO {
            self.remove_pod(now, name);
        } else {
            let appointment = self.timetable.plan(at, Due::Stopped(name.clone()));
            pod.stopping = Some((at, appointment));
        }
    }

    /// The containers have stopped: the object may go.
    pub(super) fn remove_pod(&mut self, now: Time, name: &ObjectName) {
        if self.park_if_silent(name, Due::Stopped(name.clone())) {
            return;
        }
        self.finish(name);
        let Some(pod) = self.pods.get(name) else { return };
        if matches!(pod.unconfirmed, Some(Unconfirmed { goal: Goal::Deleted, .. })) {
            return;
        }
        let write = Write::delete(path(name), &pod.uid, Some(0));
        self.send(now, name, write, Goal::Deleted);
    }

    /// The pod holds nothing any more, and nothing further happens in it but its deletion.
    fn finish(&mut self, name: &ObjectName) {
        let Some(pod) = self.pods.get_mut(name) else { return };
        pod.stage = Stage::Ended;
        if let Some(held) = pod.held.take()
            && let Some(node) = self.nodes.get_mut(&pod.node)
        {
            node.room.release(&held);
        }
        if let Some(planned) = pod.next.take() {
            self.timetable.cancel(planned);
        }
    }

    /// The object is gone, or another pod has its name.
    pub(super) fn forget_pod(&mut self, name: &ObjectName, uid: &str) {
        if self.pods.get(name).is_some_and(|known| known.uid == uid) {
            self.drop_pod(name);
        }
    }

    /// Strikes a pod from all records.
    fn drop_pod(&mut self, name: &ObjectName) {
        self.finish(name);
        self.settle(name);
        let Some(pod) = self.pods.remove(name) else { return };
        self.translator.gone(translate::Kind::Pod, name, &pod.uid);
        if let Some((_, appointment)) = pod.stopping {
            self.timetable.cancel(appointment);
        }
        if let Some(node) = self.nodes.get_mut(&pod.node) {
            node.pods.remove(name);
        }
        if let Some(group) = pod.group
            && let Some(members) = self.members.get_mut(&group)
        {
            members.remove(name);
            if members.is_empty() {
                self.members.remove(&group);
            }
        }
    }

    /// A kubelet out of contact can write nothing: what is due waits for its return.
    fn park_if_silent(&mut self, name: &ObjectName, due: Due) -> bool {
        let Some(pod) = self.pods.get(name) else { return false };
        let node = self.nodes.get_mut(&pod.node).expect("a pod's node has an entry");
        let silent = node.contact == Contact::Lost;
        if silent {
            node.parked.push(due);
        }
        silent
    }

    /// Sends a status patch and waits for `phase` to show.
    fn send_status(&mut self, now: Time, name: &ObjectName, body: Value, phase: &'static str) {
        let write = Write::strategic(format!("{}/status", path(name)), &body);
        self.send(now, name, write, Goal::Phase(phase));
    }

    /// Sends a write about a pod, in place of any that has not shown yet.
    fn send(&mut self, now: Time, name: &ObjectName, write: Write, goal: Goal) {
        self.settle(name);
        let Some(pod) = self.pods.get_mut(name) else { return };
        self.outbox.push(write.clone());
        let check = self.timetable.plan(now + self.settings.retry, Due::ConfirmPod(name.clone()));
        pod.unconfirmed = Some(Unconfirmed { write, goal, attempts: 1, check });
    }

    /// The pod's phase reads `phase`: a status write that led there is done.
    fn confirm(&mut self, name: &ObjectName, phase: &str) {
        let unconfirmed = self.pods.get(name).and_then(|pod| pod.unconfirmed.as_ref());
        let goal = unconfirmed.map(|unconfirmed| unconfirmed.goal);
        let ended = matches!(phase, "Succeeded" | "Failed");
        if matches!(goal, Some(Goal::Phase(wanted)) if ended || wanted == phase) {
            self.settle(name);
        }
    }

    /// Nothing is awaited for this pod any more.
    fn settle(&mut self, name: &ObjectName) {
        let Some(pod) = self.pods.get_mut(name) else { return };
        if let Some(unconfirmed) = pod.unconfirmed.take() {
            self.timetable.cancel(unconfirmed.check);
        }
    }

    /// A write did not show in time: it is sent again, each time after twice the wait, up to 64 times the first.
    pub(super) fn repeat_pod_write(&mut self, now: Time, name: &ObjectName) {
        if self.park_if_silent(name, Due::ConfirmPod(name.clone())) {
            return;
        }
        let Some(pod) = self.pods.get_mut(name) else { return };
        let Some(unconfirmed) = &mut pod.unconfirmed else { return };
        self.outbox.push(unconfirmed.write.clone());
        let wait = Span(self.settings.retry.0.saturating_mul(1 << unconfirmed.attempts.min(6)));
        unconfirmed.attempts += 1;
        unconfirmed.check = self.timetable.plan(now + wait, Due::ConfirmPod(name.clone()));
    }
}

/// The `n`th pod address: 10.0.0.1 on, all of 10.0.0.0/8 in turn.
fn pod_address(n: u32) -> String {
    let [_, b, c, d] = (n % 0x00ff_fffe + 1).to_be_bytes();
    format!("10.{b}.{c}.{d}")
}
