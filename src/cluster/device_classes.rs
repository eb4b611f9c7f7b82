//! DeviceClasses, as far as they stand behind a resource that pods may ask for by name: its devices are allocated by
//! claims, and no node need report them. Decides nothing; who may not have such devices is for the planner to say.
//! Invariant: what stands behind a resource is what the classes that are known say.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::DeviceClassFact;
use super::ids::ResourceId;
use super::resources::Resources;
use crate::base::names::Name;

/// What the name of a resource begins with behind which the class stands whose name follows, whatever it says itself
/// (`ResourceDeviceClassPrefix` in `k8s.io/api/resource/v1`).
const IMPLICIT: &str = "deviceclass.resource.kubernetes.io/";

/// Every class that is known.
#[derive(Clone, Debug, Default)]
pub struct DeviceClasses {
    classes: BTreeMap<Name, DeviceClassFact>,
    /// Classes by the resource that they stand behind.
    behind: BTreeMap<ResourceId, BTreeSet<Name>>,
}

impl DeviceClasses {
    /// The class that stands behind a resource; of several the first by name.
    pub fn behind<'a>(&'a self, resource: ResourceId, resources: &'a Resources) -> Option<&'a str> {
        let says_so = self.behind.get(&resource).and_then(BTreeSet::first);
        says_so.map(|class| &**class).or_else(|| resources.name(resource).strip_prefix(IMPLICIT))
    }

    /// Takes in a class. The resources behind which it did not stand before, or stands no more.
    pub(super) fn put(
        &mut self,
        fact: &DeviceClassFact,
        resources: &mut Resources,
    ) -> Vec<ResourceId> {
        if self.classes.get(&fact.name) == Some(fact) {
            return Vec::new();
        }
        let before = self.classes.insert(fact.name.clone(), fact.clone());
        let before = before.and_then(|fact| fact.resource);
        if before == fact.resource {
            return Vec::new();
        }
        let mut changed = self.step_back(&fact.name, before.as_ref(), resources);
        if let Some(resource) = &fact.resource {
            let resource = resources.id(resource);
            self.behind.entry(resource).or_default().insert(fact.name.clone());
            changed.push(resource);
        }
        changed
    }

    /// Takes in that a class is gone. The resource behind which it stood.
    pub(super) fn remove(
        &mut self,
        name: &str,
        uid: &str,
        resources: &mut Resources,
    ) -> Vec<ResourceId> {
        if self.classes.get(name).is_none_or(|known| *known.uid != *uid) {
            return Vec::new();
        }
        let Some(fact) = self.classes.remove(name) else { return Vec::new() };
        self.step_back(&fact.name, fact.resource.as_ref(), resources)
    }

    fn step_back(
        &mut self,
        class: &Name,
        resource: Option<&Name>,
        resources: &mut Resources,
    ) -> Vec<ResourceId> {
        let Some(resource) = resource.map(|name| resources.id(name)) else { return Vec::new() };
        if let Some(classes) = self.behind.get_mut(&resource) {
            classes.remove(class);
            if classes.is_empty() {
                self.behind.remove(&resource);
            }
        }
        vec![resource]
    }

    /// True if the class is believed as the fact says.
    pub fn agrees_with(&self, fact: &DeviceClassFact) -> bool {
        self.classes.get(&fact.name) == Some(fact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, resource: Option<&str>) -> DeviceClassFact {
        let resource = resource.map(Name::from);
        DeviceClassFact { name: name.into(), uid: format!("uid-of-{name}").into(), resource }
    }

    #[test]
    fn classes_stand_behind_what_they_last_said() {
        let (mut classes, mut resources) = (DeviceClasses::default(), Resources::new());
        let (gpu, nic) = (resources.id(&"a.b/gpu".into()), resources.id(&"a.b/nic".into()));
        assert_eq!(classes.put(&class("y", Some("a.b/gpu")), &mut resources), [gpu]);
        assert_eq!(classes.put(&class("x", Some("a.b/gpu")), &mut resources), [gpu]);
        assert_eq!(classes.put(&class("x", Some("a.b/gpu")), &mut resources), [], "as before");
        assert_eq!(classes.behind(gpu, &resources), Some("x"), "the first by name");
        assert_eq!(classes.put(&class("x", Some("a.b/nic")), &mut resources), [gpu, nic]);
        assert_eq!(classes.put(&class("silent", None), &mut resources), []);
        assert_eq!(classes.behind(gpu, &resources), Some("y"));
        assert_eq!(classes.remove("y", "another", &mut resources), [], "made again since");
        assert_eq!(classes.remove("y", "uid-of-y", &mut resources), [gpu]);
        assert_eq!(classes.behind(gpu, &resources), None);
        assert_eq!(classes.behind(nic, &resources), Some("x"));
        let implicit = resources.id(&"deviceclass.resource.kubernetes.io/z".into());
        assert_eq!(classes.behind(implicit, &resources), Some("z"));
    }
}
