//! What somebody does to a world while it runs: apply, patch, delete, evict, and faults of the API.
//!
//! Stands for people and for the controllers that a virtual world does not run: a workload object that changes
//! has its pods made and removed, an evicted pod comes back. Knows nothing of the engine.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{World, load};
use crate::apiserver::store::faults::{FaultRule, WatchEnd};
use crate::apiserver::store::patch::PatchKind;
use crate::base::names::ObjectName;
use crate::cluster::storage::facts::StorageKind;
use crate::sim::controllers::{Expansion, expand};
use crate::sim::manifests::kind::Kind;
use crate::sim::manifests::sort::Arriving;
use crate::sim::object::Object;

/// One object, by kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its kind.
    pub kind: Kind,
    /// Its name; the namespace is empty for cluster-scoped kinds.
    pub name: ObjectName,
}

/// One act.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Creates objects, or merges them into those that exist.
    Apply(Vec<Arriving>),
    /// Merges a patch into an object.
    Patch {
        /// Which.
        of: Reference,
        /// RFC 7386.
        patch: Value,
    },
    /// Deletes an object with its own grace period.
    Delete(Reference),
    /// Evicts a pod as a drain does: it comes back if it has a controller or a gang.
    Evict(ObjectName),
    /// Sets a fault of the API.
    Fault(FaultRule),
    /// Ends all watches of a resource, such as `pods`; empty for all.
    CutWatches(String),
}

impl World {
    /// Acts.
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Apply(objects) => {
                for object in objects {
                    self.apply(object);
                }
            }
            Action::Patch { of, patch } => {
                let mut path = load::path(of.kind, &of.name);
                // What others say of a pod is written where they write it.
                let is_status =
                    |fields: &Map<String, Value>| fields.keys().all(|key| key == "status");
                if of.kind == Kind::Pod && patch.as_object().is_some_and(is_status) {
                    path.push_str("/status");
                }
                let patched = self.server.patch(self.now, &path, PatchKind::Merge, patch);
                self.note_failure("patch", &path, patched.err());
                if of.kind.has_template() {
                    self.reconcile(&of);
                }
            }
            Action::Delete(of) => {
                let path = load::path(of.kind, &of.name);
                let deleted = self.server.delete(self.now, &path, Value::Null);
                self.note_failure("delete", &path, deleted.err());
            }
            Action::Evict(pod) => self.evict(&pod),
            Action::Fault(rule) => self.server.faults().add(rule),
            Action::CutWatches(resource) => {
                self.server.faults().cut_watches(&resource, WatchEnd::Expired);
            }
        }
    }

    /// A script that does not do what it says must not pass for one that does.
    fn note_failure(
        &mut self,
        verb: &str,
        path: &str,
        failure: Option<crate::apiserver::store::failure::Failure>,
    ) {
        if let Some(failure) = failure {
            self.remarks.push(format!("{verb} {path}: {}", failure.message));
        }
    }

    fn apply(&mut self, mut object: Arriving) {
        let path = load::path(object.kind, &object.name);
        if self.server.get(&path).is_err() {
            object.at = self.now;
            object.created = self.next_creation();
            self.arrive(object);
            return;
        }
        let of = Reference { kind: object.kind, name: object.name.clone() };
        self.perform(Action::Patch { of, patch: object.object });
    }

    fn evict(&mut self, name: &ObjectName) {
        let path = load::path(Kind::Pod, name);
        if self.server.get(&path).is_err() {
            self.remarks.push(format!("evict {path}: there is no such pod"));
            return;
        }
        self.comebacks.extend(self.comeback_of(name));
        let deleted = self.server.delete(self.now, &path, Value::Null);
        self.note_failure("evict", &path, deleted.err());
    }

    /// An evicted pod as it is made again, if it has a controller or a gang.
    pub(super) fn comeback_of(&self, name: &ObjectName) -> Option<(ObjectName, Value)> {
        let pod = self.server.get(&load::path(Kind::Pod, name)).ok()?;
        let pod = pod.value();
        let object = Object(&pod);
        let returns = object.controller().is_some() || object.group().is_some();
        returns.then(|| (name.clone(), Self::made_anew(&pod)))
    }

    /// Makes and removes pods until a workload object has those that it wants.
    fn reconcile(&mut self, of: &Reference) {
        let Ok(workload) = self.server.get(&load::path(of.kind, &of.name)) else {
            return;
        };
        let wanted = match expand(&workload.value()) {
            Ok(Expansion::Pods(pods)) => pods,
            Ok(Expansion::NotAWorkload) | Err(_) => return,
        };
        let names: BTreeSet<ObjectName> =
            wanted.iter().map(|pod| Object(pod).object_name()).collect();
        for name in self.pods_of(workload.uid()) {
            self.comebacks.remove(&name);
            if !names.contains(&name) {
                let path = load::path(Kind::Pod, &name);
                let deleted = self.server.delete(self.now, &path, Value::Null);
                self.note_failure("delete", &path, deleted.err());
            }
        }
        for pod in wanted {
            let name = Object(&pod).object_name();
            match self.server.get(&load::path(Kind::Pod, &name)) {
                Ok(existing) if !existing.is_terminating() => {}
                Ok(_) | Err(_) => {
                    self.comebacks.insert(name, pod);
                }
            }
        }
    }

    /// The pods that a controller of this uid owns.
    fn pods_of(&self, uid: &str) -> Vec<ObjectName> {
        let snapshot = self.snapshot();
        let pods = snapshot
            .pods
            .iter()
            .map(|pod| Object(pod))
            .filter(|pod| pod.controller().is_some_and(|controller| controller.uid == uid));
        pods.map(Object::object_name).collect()
    }

    /// Names of pods that are to come back and are free now.
    pub(super) fn free_names(&self) -> BTreeSet<ObjectName> {
        let free = |name: &&ObjectName| self.server.get(&load::path(Kind::Pod, name)).is_err();
        self.comebacks.keys().filter(free).cloned().collect()
    }

    /// Makes a pod again.
    pub(super) fn come_back(&mut self, name: &ObjectName) {
        let Some(pod) = self.comebacks.remove(name) else {
            return;
        };
        let created = self.next_creation();
        let claims = load::make_claims(&mut self.server, created, name, &pod);
        self.note_failure("create the claims of", &name.to_string(), claims.err());
        let made = self.server.create(created, &load::collection(Kind::Pod, &name.namespace), pod);
        self.note_failure("create", &name.to_string(), made.err());
    }
}

impl Reference {
    /// Reads `KIND NAME` or `KIND NAMESPACE/NAME`; without one the namespace is `default`.
    ///
    /// # Errors
    /// A sentence that says what may be written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let complain = || {
            format!(
                "{text:?} names no object: write a kind and a name, such as pod train-0 or podgroup lab/train"
            )
        };
        let (kind, name) = text.split_once(' ').ok_or_else(complain)?;
        let kind = match kind {
            "pod" => Kind::Pod,
            "node" => Kind::Node,
            "podgroup" => Kind::CoschedulingGroup,
            "podgroup.scheduling.k8s.io" => Kind::NativeGroup,
            "job" => Kind::Job,
            "deployment" => Kind::Deployment,
            "statefulset" => Kind::StatefulSet,
            "replicaset" => Kind::ReplicaSet,
            "daemonset" => Kind::DaemonSet,
            "service" => Kind::Service,
            "replicationcontroller" => Kind::ReplicationController,
            "namespace" => Kind::Namespace,
            "deviceclass" => Kind::DeviceClass,
            other => {
                let found = |known: &StorageKind| known.kind().to_lowercase() == other;
                let storage = StorageKind::ALL.into_iter().find(found);
                Kind::Storage(storage.ok_or_else(complain)?)
            }
        };
        let name = match (kind.is_namespaced(), name.split_once('/')) {
            (true, Some((namespace, name))) => ObjectName::new(namespace, name),
            (true, None) => ObjectName::new("default", name),
            (false, _) => ObjectName::new("", name),
        };
        Ok(Self { kind, name })
    }
}
