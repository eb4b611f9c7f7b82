//! What becomes of pods whose node turns them out or is gone: eviction by `NoExecute` taints, with the pods'
//! toleration times, and collection of pods that are bound to a node without an object.
//! Follows the taint eviction controller and the pod garbage collector; marks each pod before it goes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::sim::object::Object;
use crate::sim::object::timestamp;
use crate::sim::timetable::Appointment;
use crate::sim::timetable::Timetable;
use crate::sim::write::Write;
use crate::workload::constraints::Taint;
use crate::workload::constraints::TaintEffect;
use crate::workload::constraints::Toleration;
use crate::workload::constraints::TolerationOperator;

/// How long a node must be gone before its pods are collected.
const QUARANTINE: Span = Span::seconds(40);
/// After how long a deletion that did not show is sent again.
const RETRY: Span = Span::seconds(30);

/// A toleration and for how long it holds; `None` for ever.
type Bearing = (Toleration, Option<i64>);

/// A pod on a node.
#[derive(Debug)]
struct Tenant {
    uid: String,
    bears: Arc<Vec<Bearing>>,
    /// When it is to go, and why.
    leaving: Option<(Appointment, Why)>,
}

/// Why a pod goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Taint,
    NodeGone,
}

/// A node, or the memory of one that pods are bound to.
#[derive(Debug, Default)]
struct Place {
    exists: bool,
    /// Its taints with effect `NoExecute`.
    taints: Vec<Taint>,
    pods: BTreeSet<ObjectName>,
}

/// Watches over pods that cannot stay where they are.
#[derive(Debug, Default)]
pub(super) struct NodeLoss {
    places: BTreeMap<Name, Place>,
    tenants: BTreeMap<ObjectName, (Name, Tenant)>,
    /// Equal lists of tolerations are kept once.
    lists: BTreeSet<Arc<Vec<Bearing>>>,
    timetable: Timetable<ObjectName>,
}

impl NodeLoss {
    /// Takes in a node as it is now.
    pub(super) fn see_node(&mut self, now: Time, node: &Value) {
        let name: Name = Object(node).name().into();
        let place = self.places.entry(name.clone()).or_default();
        let taints = no_execute(node);
        if place.exists && place.taints == taints {
            return;
        }
        place.exists = true;
        place.taints = taints;
        self.judge_all(now, &name);
    }

    /// A node object is gone.
    pub(super) fn lose_node(&mut self, now: Time, name: &str) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.exists = false;
        place.taints.clear();
        self.judge_all(now, &name.into());
    }

    /// Takes in a pod as it is now.
    pub(super) fn see_pod(&mut self, now: Time, value: &Value) {
        let pod = Object(value);
        let name = pod.object_name();
        let node = value["spec"]["nodeName"].as_str().unwrap_or("");
        if self.tenants.get(&name).is_some_and(|(_, tenant)| tenant.uid != pod.uid()) {
            self.lose_pod(&name);
        }
        if node.is_empty() || self.tenants.contains_key(&name) {
            return;
        }
        let node: Name = node.into();
        let bears = self.shared(tolerations(value));
        let tenant = Tenant { uid: pod.uid().to_owned(), bears, leaving: None };
        self.places.entry(node.clone()).or_default().pods.insert(name.clone());
        self.tenants.insert(name.clone(), (node, tenant));
        self.judge(now, &name);
    }

    /// A pod's object is gone.
    pub(super) fn lose_pod(&mut self, name: &ObjectName) {
        let Some((node, tenant)) = self.tenants.remove(name) else { return };
        if let Some((appointment, _)) = tenant.leaving {
            self.timetable.cancel(appointment);
        }
        if let Some(place) = self.places.get_mut(&node) {
            place.pods.remove(name);
            if place.pods.is_empty() && !place.exists {
                self.places.remove(&node);
            }
        }
    }

    /// Removes the pods whose time has come.
    pub(super) fn act(&mut self, now: Time, writes: &mut Vec<Write>) {
        while let Some((_, name)) = self.timetable.pop_due(now) {
            let Some((_, tenant)) = self.tenants.get_mut(&name) else { continue };
            let Some((_, why)) = tenant.leaving else { continue };
            let again = self.timetable.plan(now + RETRY, name.clone());
            tenant.leaving = Some((again, why));
            writes.extend(farewell(now, &name, &tenant.uid, why));
        }
    }

    /// When to act again.
    pub(super) fn wakeup(&self) -> Option<Time> {
        self.timetable.next()
    }

    fn judge_all(&mut self, now: Time, node: &Name) {
        let pods = self.places.get(node).map(|place| place.pods.clone()).unwrap_or_default();
        for pod in pods {
            self.judge(now, &pod);
        }
    }

    /// Plans when a pod must go, or lets it stay.
    fn judge(&mut self, now: Time, name: &ObjectName) {
        let Some((node, tenant)) = self.tenants.get_mut(name) else { return };
        let Some(place) = self.places.get(node) else { return };
        let stay = if place.exists {
            time_left(&place.taints, &tenant.bears).map(|span| (now + span, Why::Taint))
        } else {
            Some((now + QUARANTINE, Why::NodeGone))
        };
        if let Some((appointment, _)) = tenant.leaving.take() {
            self.timetable.cancel(appointment);
        }
        if let Some((at, why)) = stay {
            tenant.leaving = Some((self.timetable.plan(at, name.clone()), why));
        }
    }

    /// The one copy of `list` that is kept.
    fn shared(&mut self, list: Vec<Bearing>) -> Arc<Vec<Bearing>> {
        let list = Arc::new(list);
        if let Some(kept) = self.lists.get(&list) {
            return Arc::clone(kept);
        }
        self.lists.insert(Arc::clone(&list));
        list
    }
}

/// How long a pod may stay under `taints`; `None` for ever. The shortest of all matching times counts.
fn time_left(taints: &[Taint], bears: &[Bearing]) -> Option<Span> {
    let mut shortest: Option<i64> = None;
    for taint in taints {
        let mut matching = bears.iter().filter(|(one, _)| one.tolerates(taint)).peekable();
        if matching.peek().is_none() {
            return Some(Span::ZERO);
        }
        for seconds in matching.filter_map(|(_, seconds)| *seconds) {
            shortest = Some(shortest.map_or(seconds, |shortest| shortest.min(seconds)));
        }
    }
    shortest.map(|seconds| Span::seconds(seconds.max(0)))
}

/// The writes that remove a pod: its condition first, so that its owner can tell why.
fn farewell(now: Time, name: &ObjectName, uid: &str, why: Why) -> [Write; 2] {
    let (reason, message, grace) = match why {
        Why::Taint => {
            ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", None)
        }
        Why::NodeGone => ("DeletionByPodGC", "PodGC: node no longer exists", Some(0)),
    };
    let condition = json!({
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(now),
    });
    let path = format!("/api/v1/namespaces/{}/pods/{}", name.namespace, name.name);
    let body = json!({"metadata": {"uid": uid}, "status": {"conditions": [condition]}});
    [Write::strategic(format!("{path}/status"), &body), Write::delete(path, uid, grace)]
}

/// The taints of a node that turn pods out.
fn no_execute(node: &Value) -> Vec<Taint> {
    let listed = node["spec"]["taints"].as_array().into_iter().flatten();
    listed
        .filter(|taint| taint["effect"] == "NoExecute")
        .map(|taint| Taint {
            key: taint["key"].as_str().unwrap_or("").into(),
            value: taint["value"].as_str().unwrap_or("").into(),
            effect: TaintEffect::NoExecute,
        })
        .collect()
}

/// A pod's tolerations that can matter to `NoExecute` taints.
fn tolerations(pod: &Value) -> Vec<Bearing> {
    let listed = pod["spec"]["tolerations"].as_array().into_iter().flatten();
    listed
        .filter(|one| matches!(one["effect"].as_str().unwrap_or(""), "" | "NoExecute"))
        .map(|one| {
            let operator = match one["operator"].as_str().unwrap_or("Equal") {
                "Equal" | "" => TolerationOperator::Equal,
                "Exists" => TolerationOperator::Exists,
                _ => TolerationOperator::Never,
            };
            let toleration = Toleration {
                key: one["key"].as_str().unwrap_or("").into(),
                operator,
                value: one["value"].as_str().unwrap_or("").into(),
                effect: None,
            };
            (toleration, one["tolerationSeconds"].as_i64())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    fn node(taints: Value) -> Value {
        json!({"metadata": {"name": "n"}, "spec": {"taints": taints}})
    }

    fn pod(name: &str, tolerations: Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "d", "uid": name},
            "spec": {"nodeName": "n", "tolerations": tolerations}})
    }

    fn deleted(loss: &mut NodeLoss, now: Time) -> Vec<String> {
        let mut writes = Vec::new();
        loss.act(now, &mut writes);
        let deletes = writes.iter().filter(|write| !write.path.ends_with("/status"));
        deletes.map(|write| write.path.rsplit('/').next().unwrap_or("").to_owned()).collect()
    }

    #[test]
    fn pods_leave_a_tainted_node_when_their_toleration_ends() {
        let mut loss = NodeLoss::default();
        loss.see_node(at(0), &node(json!([])));
        let exists = json!({"key": "k", "operator": "Exists"});
        loss.see_pod(at(0), &pod("never", json!([])));
        loss.see_pod(at(0), &pod("always", json!([exists])));
        let mut limited = exists.clone();
        limited["effect"] = json!("NoExecute");
        limited["tolerationSeconds"] = json!(300);
        loss.see_pod(at(0), &pod("awhile", json!([limited, exists])));
        loss.see_pod(at(0), &pod("other", json!([{"key": "x", "operator": "Exists"}])));
        assert_eq!(loss.wakeup(), None);
        loss.see_node(
            at(10),
            &node(
                json!([{"key": "k", "effect": "NoExecute"}, {"key": "z", "effect": "NoSchedule"}]),
            ),
        );
        assert_eq!(deleted(&mut loss, at(10)), ["never", "other"]);
        for name in ["never", "other"] {
            loss.lose_pod(&ObjectName::new("d", name));
        }
        assert_eq!(loss.wakeup(), Some(at(310)));
        assert_eq!(deleted(&mut loss, at(310)), ["awhile"]);
    }

    #[test]
    fn a_taint_that_goes_in_time_lets_pods_stay() {
        let mut loss = NodeLoss::default();
        let bears = json!([{"key": "k", "operator": "Exists", "tolerationSeconds": 60}]);
        loss.see_node(at(0), &node(json!([{"key": "k", "effect": "NoExecute"}])));
        loss.see_pod(at(0), &pod("p", bears));
        assert_eq!(loss.wakeup(), Some(at(60)));
        loss.see_node(at(59), &node(json!([])));
        assert_eq!(loss.wakeup(), None);
    }

    #[test]
    fn pods_of_a_node_that_is_gone_are_collected_unless_it_returns() {
        let mut loss = NodeLoss::default();
        loss.see_node(at(0), &node(json!([])));
        loss.see_pod(at(0), &pod("p", json!([])));
        loss.lose_node(at(5), "n");
        assert_eq!(loss.wakeup(), Some(at(45)));
        loss.see_node(at(30), &node(json!([])));
        assert_eq!(loss.wakeup(), None);
        loss.lose_node(at(50), "n");
        let mut writes = Vec::new();
        loss.act(at(90), &mut writes);
        assert_eq!(writes[0].body()["status"]["conditions"][0]["reason"], "DeletionByPodGC");
        assert_eq!(writes[1].body()["gracePeriodSeconds"], 0);
        loss.lose_pod(&ObjectName::new("d", "p"));
        assert_eq!(loss.wakeup(), None);
        assert!(loss.places.is_empty());
    }
}
