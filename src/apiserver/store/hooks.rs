//! What keeping a definition of a custom kind sets in motion: it begins to serve its kind, and ends doing so
//! when it goes. A pod that has ended is noted, to be collected later.
//! May not refuse what was kept: what can be wrong is said before, in `before_keeping`.
//! A kind keeps its shelf when its definition is replaced, so its objects stay; a dry run sets nothing in motion.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::custom;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::request::Persistence;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::ShelfId;
use crate::apiserver::store::resource::View;
use crate::apiserver::store::shelf::Object;
use crate::apiserver::store::state::Call;
use crate::apiserver::store::state::State;
use crate::apiserver::store::state::TutorialPodGroups;
use crate::apiserver::store::state::whole_seconds;

/// The finalizer that keeps a definition while objects of its kind exist.
pub const CUSTOM_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

const TUTORIAL_KIND: &str = "podgroups.scheduling.x-k8s.io";

impl State {
    /// The last word before an object is kept.
    ///
    /// # Errors
    /// 422 for a definition whose schema cannot be understood.
    pub(super) fn before_keeping(
        &mut self,
        call: &Call<'_>,
        object: &mut Value,
        old: Option<&Object>,
    ) -> Result<(), Failure> {
        let resource = &call.request.resource;
        if !resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
            return Ok(());
        }
        let name = super::shelf::meta(object, "name").to_owned();
        let probe = ShelfId(usize::MAX);
        custom::resources(object, probe)
            .map_err(|error| resource.subject().invalid(&name, &[*error]))?;
        establish(object, old, call);
        if old.is_none() {
            let finalizers = &mut object["metadata"]["finalizers"];
            if !finalizers.is_array() {
                *finalizers = json!([]);
            }
            if let Some(finalizers) = finalizers.as_array_mut()
                && !finalizers.iter().any(|finalizer| finalizer == CUSTOM_CLEANUP)
            {
                finalizers.push(CUSTOM_CLEANUP.into());
            }
        }
        Ok(())
    }

    /// What follows once an object is kept.
    pub(super) fn after_keeping(&mut self, call: &Call<'_>, object: &Object) {
        match call.persistence {
            Persistence::DryRun => return,
            Persistence::Kept => {}
        }
        self.note_ended_pod(&call.request.resource, object);
        if call.request.resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
            self.serve_custom(object);
        }
    }

    /// What follows once an object is gone.
    pub(super) fn after_removal(&mut self, resource: &Resource, object: &Object) {
        if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
            self.withdraw_custom(object.own_name());
        }
    }

    fn serve_custom(&mut self, definition: &Object) {
        let name = definition.own_name().to_owned();
        let shelf = match self.custom_shelves.get(&*name) {
            Some(shelf) => *shelf,
            None => {
                let shelf = self.shelves.add();
                self.custom_shelves.insert(name.as_str().into(), shelf);
                shelf
            }
        };
        let resources =
            custom::resources(&definition.value(), shelf).expect("before_keeping has read it");
        self.withdraw_custom(&name);
        for resource in resources {
            let resource = self.catalog.register(resource);
            let tutorial = match self.settings.tutorial_pod_groups {
                TutorialPodGroups::Accepted => name == TUTORIAL_KIND,
                TutorialPodGroups::Refused => false,
            };
            if tutorial && resource.view == View::AsKept {
                self.catalog.register(tutorial_form(&resource));
            }
        }
    }

    fn withdraw_custom(&mut self, name: &str) {
        self.catalog.withdraw(|resource| {
            resource.custom().is_some_and(|custom| *custom.definition == *name)
        });
    }
}

/// The PodGroup that tutorials show: another name of the kind that exists.
fn tutorial_form(resource: &Arc<Resource>) -> Resource {
    Resource {
        group: "scheduling.k8s.io".into(),
        version: "v1alpha1".into(),
        short_names: Vec::new(),
        view: View::Renamed { kept: resource.api_version().as_str().into() },
        ..Resource::clone(resource)
    }
}

/// Says in a definition's status that its names are taken and its kind is served.
fn establish(definition: &mut Value, old: Option<&Object>, call: &Call<'_>) {
    let since = old
        .and_then(|old| old.value().pointer("/status/conditions/0/lastTransitionTime").cloned())
        .unwrap_or_else(|| whole_seconds(call.now).into());
    let condition = |of: &str, reason: &str, message: &str| json!({"type": of, "status": "True", "lastTransitionTime": since, "reason": reason, "message": message});
    let storage = custom::storage_version(definition);
    let mut stored: Vec<Value> = definition
        .pointer("/status/storedVersions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let version = Value::from(storage.rsplit('/').next().unwrap_or_default());
    if !stored.contains(&version) {
        stored.push(version);
    }
    definition["status"] = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": definition.pointer("/spec/names").cloned().unwrap_or_default(),
        "storedVersions": stored,
    });
}
