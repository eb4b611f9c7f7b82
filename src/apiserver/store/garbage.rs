//! What a cluster's controllers do to objects that nothing holds any more: dependents of owners that
//! are gone, the content of namespaces under deletion, protected pod groups without live pods, events
//! that are too old. One step, [`State::settle`], is run after every write, so clients see it as done.
//! Invariant: after a step, nothing waits that could go.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::store::hooks::CUSTOM_CLEANUP;
use crate::apiserver::store::removal::DeleteOptions;
use crate::apiserver::store::removal::FOREGROUND;
use crate::apiserver::store::removal::ORPHAN;
use crate::apiserver::store::removal::Propagation;
use crate::apiserver::store::request::FieldValidation;
use crate::apiserver::store::request::Parameters;
use crate::apiserver::store::request::Persistence;
use crate::apiserver::store::request::Request;
use crate::apiserver::store::request::Verb;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::ShelfId;
use crate::apiserver::store::resource::Verbs;
use crate::apiserver::store::resource::View;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::Ownership;
use crate::apiserver::store::state::State;
use crate::apiserver::store::update::deletion_is_complete;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Time;

/// The finalizer that keeps a native PodGroup while it has live pods.
pub const POD_GROUP_PROTECTION: &str = "scheduling.k8s.io/podgroup-protection";

impl State {
    /// Collects what nothing holds any more. Cheap when nothing was deleted.
    pub fn settle(&mut self, now: Time) {
        // Each round can free what the next one takes; what terminates gracefully ends the rounds.
        loop {
            let before = self.shelves.version();
            self.collect_dependents(now);
            self.collect_dangling(now);
            self.empty_namespaces(now);
            self.end_waiting_deletions(now);
            if self.shelves.version() == before {
                break;
            }
        }
    }

    /// Removes events that have been kept for their lifetime.
    pub fn expire_events(&mut self, now: Time) {
        let events = self.builtin("", "v1", "events");
        let lifetime = self.settings.event_lifetime;
        let old: Vec<Object> = self
            .shelves
            .shelf(events.shelf)
            .iter(None)
            .filter(|event| last_seen(event).is_some_and(|seen| seen + lifetime < now))
            .cloned()
            .collect();
        for event in old {
            self.remove(&events, &event);
        }
    }

    fn collect_dependents(&mut self, now: Time) {
        for owner in std::mem::take(&mut self.gone_owners) {
            for (shelf, name) in self.shelves.dependents(&owner) {
                self.collect_if_unowned(shelf, &name, &owner, now);
            }
        }
    }

    fn collect_if_unowned(&mut self, shelf: ShelfId, name: &ObjectName, gone: &str, now: Time) {
        let Some(object) = self.shelves.shelf(shelf).get(&name.namespace, &name.name).cloned()
        else {
            return;
        };
        let held =
            object.owners().iter().any(|owner| **owner != *gone && self.shelves.has_uid(owner));
        if !held && !object.is_terminating() {
            self.collect(shelf, &object, Propagation::Background, now);
        }
    }

    fn collect_dangling(&mut self, now: Time) {
        for (shelf, name) in std::mem::take(&mut self.maybe_dangling) {
            let Some(object) = self.shelves.shelf(shelf).get(&name.namespace, &name.name).cloned()
            else {
                continue;
            };
            let owners = object.owners();
            let unowned =
                !owners.is_empty() && !owners.iter().any(|owner| self.shelves.has_uid(owner));
            if unowned && !object.is_terminating() {
                self.collect(shelf, &object, Propagation::Background, now);
            }
        }
    }

    fn collect(&mut self, shelf: ShelfId, object: &Object, propagation: Propagation, now: Time) {
        let Some(resource) = self.keeper(shelf) else { return };
        let request = Request {
            verb: Verb::Delete,
            resource,
            namespace: object.namespace().to_owned(),
            name: object.own_name().to_owned(),
            subresource: None,
            parameters: Parameters::default(),
        };
        let call = Call {
            now,
            request: &request,
            persistence: Persistence::Kept,
            validation: FieldValidation::Ignore,
            ownership: Ownership::Derived,
        };
        let options = DeleteOptions {
            uid: object.uid().to_owned(),
            propagation: Some(propagation),
            ..DeleteOptions::default()
        };
        let deleted = self.delete(&call, &options);
        debug_assert!(deleted.is_ok(), "the object was just read: {deleted:?}");
    }

    /// The resource under which a shelf's objects are kept.
    fn keeper(&self, shelf: ShelfId) -> Option<Arc<Resource>> {
        self.catalog
            .all()
            .iter()
            .find(|resource| resource.shelf == shelf && resource.view == View::AsKept)
            .cloned()
    }

    /// Takes the reference to `owner` out of one of its dependents.
    fn disown(&mut self, shelf: ShelfId, dependent: &Object, owner: &str) {
        let mut value = Value::clone(&dependent.value());
        let references =
            value.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
        if let Some(references) = references {
            references.retain(|reference| reference.get("uid").is_none_or(|uid| uid != owner));
            let is_empty = references.is_empty();
            if let Some(metadata) =
                value.get_mut("metadata").and_then(Value::as_object_mut).filter(|_| is_empty)
            {
                metadata.shift_remove("ownerReferences");
            }
        }
        self.shelves.put(shelf, value);
    }

    /// The objects that name `owner` as theirs.
    fn dependents_of(&self, owner: &str) -> Vec<(ShelfId, Object)> {
        let found = |(shelf, name): (ShelfId, ObjectName)| {
            let object = self.shelves.shelf(shelf).get(&name.namespace, &name.name)?;
            Some((shelf, Arc::clone(object)))
        };
        self.shelves.dependents(owner).into_iter().filter_map(found).collect()
    }

    fn empty_namespaces(&mut self, now: Time) {
        let leaving: Vec<Name> = self.leaving_namespaces.iter().cloned().collect();
        for namespace in leaving {
            let mut left = false;
            for resource in self.namespaced_kinds() {
                let objects: Vec<Object> =
                    self.shelves.shelf(resource.shelf).iter(Some(&namespace)).cloned().collect();
                for object in objects {
                    if !object.is_terminating() {
                        self.collect(resource.shelf, &object, Propagation::Background, now);
                    }
                }
                left |= self.shelves.shelf(resource.shelf).iter(Some(&namespace)).next().is_some();
            }
            if !left {
                self.leaving_namespaces.remove(&namespace);
                let namespaces = self.builtin("", "v1", "namespaces");
                if let Some(object) =
                    self.shelves.shelf(namespaces.shelf).get("", &namespace).cloned()
                {
                    self.remove(&namespaces, &object);
                }
            }
        }
    }

    fn namespaced_kinds(&self) -> Vec<Arc<Resource>> {
        let kept = |resource: &&Arc<Resource>| {
            resource.scope == Scope::Namespaced
                && resource.verbs == Verbs::All
                && resource.view == View::AsKept
        };
        let mut seen = BTreeSet::new();
        let once = |resource: &&Arc<Resource>| seen.insert(resource.shelf);
        self.catalog.all().iter().filter(kept).filter(once).cloned().collect()
    }

    /// Ends deletions that waited for dependents or for a group's pods.
    fn end_waiting_deletions(&mut self, now: Time) {
        if !std::mem::take(&mut self.recheck_waiting) {
            return;
        }
        let waiting: Vec<(ShelfId, ObjectName)> = self.waiting_deletions.iter().cloned().collect();
        for (shelf, name) in waiting {
            let found = self.shelves.shelf(shelf).get(&name.namespace, &name.name).cloned();
            let Some(object) = found.filter(|object| object.is_terminating()) else {
                self.waiting_deletions.remove(&(shelf, name));
                continue;
            };
            let value = object.value();
            let finalizers = value.pointer("/metadata/finalizers").and_then(Value::as_array);
            let has = |name| finalizers.into_iter().flatten().any(|finalizer| finalizer == name);
            if has(ORPHAN) {
                for (shelf, dependent) in self.dependents_of(object.uid()) {
                    self.disown(shelf, &dependent, object.uid());
                }
            } else if has(FOREGROUND) {
                self.delete_dependents(object.uid(), now);
            }
            self.delete_instances(&object, now);
            let held: Vec<Value> = finalizers
                .into_iter()
                .flatten()
                .filter(|held| self.still_holds(held, &object))
                .cloned()
                .collect();
            if finalizers.map_or(0, Vec::len) == held.len() {
                continue;
            }
            let mut value = Value::clone(&value);
            value["metadata"]["finalizers"] = Value::Array(held);
            let Some(resource) = self.keeper(shelf) else { continue };
            if deletion_is_complete(&value) {
                self.remove(&resource, &object);
            } else {
                self.shelves.put(shelf, value);
            }
        }
    }

    /// Notes a terminating object that waits for what this file can see the end of.
    pub(super) fn note_waiting(&mut self, shelf: ShelfId, object: &Object) {
        let value = object.value();
        let finalizers = value.pointer("/metadata/finalizers").and_then(Value::as_array);
        let ours = [FOREGROUND, ORPHAN, POD_GROUP_PROTECTION, CUSTOM_CLEANUP];
        if finalizers
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|name| ours.contains(&name))
        {
            self.waiting_deletions.insert((shelf, object.name()));
            self.recheck_waiting = true;
        }
    }

    /// Takes note of a pod that ended, since a pod group may wait for it.
    pub(super) fn note_ended_pod(&mut self, resource: &Resource, object: &Object) {
        if !resource.is("", "pods") {
            return;
        }
        let value = object.value();
        let phase = value.pointer("/status/phase").and_then(Value::as_str);
        if matches!(phase, Some("Succeeded" | "Failed")) {
            self.recheck_waiting = true;
        }
    }

    /// Deletes the dependents that an owner in foreground deletion waits for; one that somebody else owns
    /// too only forgets this owner. Those with dependents of their own go after them.
    fn delete_dependents(&mut self, owner: &str, now: Time) {
        for (shelf, dependent) in self.dependents_of(owner) {
            if dependent.is_terminating() || !blocks(&dependent, owner) {
                continue;
            }
            let mut others = dependent.owners().iter().filter(|other| ***other != *owner);
            let is_held = others.any(|other| self.shelves.has_uid(other));
            if is_held {
                self.disown(shelf, &dependent, owner);
                continue;
            }
            let has_own = !self.shelves.dependents(dependent.uid()).is_empty();
            let propagation =
                if has_own { Propagation::Foreground } else { Propagation::Background };
            self.collect(shelf, &dependent, propagation, now);
        }
    }

    /// True if a finalizer is another's, or what it waits for is still there.
    fn still_holds(&self, finalizer: &Value, object: &Object) -> bool {
        match finalizer.as_str() {
            Some(FOREGROUND) => {
                let owner = object.uid();
                self.dependents_of(owner).iter().any(|(_, dependent)| blocks(dependent, owner))
            }
            Some(ORPHAN) => false,
            Some(CUSTOM_CLEANUP) => {
                self.instances(object).is_some_and(|(_, left)| !left.is_empty())
            }
            Some(POD_GROUP_PROTECTION) => self.has_live_members(object),
            Some(_) | None => true,
        }
    }

    /// Objects of the kind that `definition` serves, and their shelf.
    fn instances(&self, definition: &Object) -> Option<(ShelfId, Vec<Object>)> {
        let is_definition = definition.value().get("kind").and_then(Value::as_str)
            == Some("CustomResourceDefinition");
        let shelf = *self.custom_shelves.get(definition.own_name()).filter(|_| is_definition)?;
        Some((shelf, self.shelves.shelf(shelf).iter(None).cloned().collect()))
    }

    fn delete_instances(&mut self, definition: &Object, now: Time) {
        let Some((shelf, objects)) = self.instances(definition) else { return };
        for object in objects.iter().filter(|object| !object.is_terminating()) {
            self.collect(shelf, object, Propagation::Background, now);
        }
    }

    fn has_live_members(&self, group: &Object) -> bool {
        let pods = self.builtin("", "v1", "pods");
        let member = |pod: &&Object| {
            let pod = pod.value();
            let named = pod.pointer("/spec/schedulingGroup/podGroupName").and_then(Value::as_str);
            let phase = pod.pointer("/status/phase").and_then(Value::as_str);
            named == Some(group.own_name()) && !matches!(phase, Some("Succeeded" | "Failed"))
        };
        self.shelves.shelf(pods.shelf).iter(Some(group.namespace())).any(|pod| member(&pod))
    }
}

/// True if an object says that this owner must not go before it.
fn blocks(dependent: &Object, owner: &str) -> bool {
    let value = dependent.value();
    let references = value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    references.into_iter().flatten().any(|reference| {
        reference.get("uid").is_some_and(|uid| uid == owner)
            && reference.get("blockOwnerDeletion") == Some(&Value::Bool(true))
    })
}

/// When an event was last seen.
fn last_seen(event: &Object) -> Option<Time> {
    let event = event.value();
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let times = [
        text("/series/lastObservedTime"),
        text("/lastTimestamp"),
        text("/eventTime"),
        text("/metadata/creationTimestamp"),
    ];
    times.into_iter().flatten().find_map(Time::from_rfc3339)
}
