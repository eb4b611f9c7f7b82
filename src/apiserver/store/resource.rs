//! What a served resource is: names, scope, subresources, and where its objects are kept.
//! The same table answers requests and feeds discovery. Knows no object and no request.
//! Invariant: two resources with one [`ShelfId`] show the same objects in two forms.

use std::sync::Arc;
use std::sync::OnceLock;

use crate::apiserver::store::custom::Custom;
use crate::apiserver::store::decode::Decode;
use crate::apiserver::store::failure::{FieldError, Subject};
use crate::apiserver::store::structure::Structure;
use crate::base::names::Name;
use serde_json::Value;

/// The index of the shelf that holds a resource's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShelfId(pub usize);

/// Whether objects live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One name space for the whole cluster.
    Cluster,
    /// Names are unique within a namespace.
    Namespaced,
}

/// A path below an object with a meaning of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subresource {
    /// `/status`: what controllers report; main writes leave it alone and it leaves the rest alone.
    Status,
    /// `/scale`: an `autoscaling/v1` Scale over the replica count.
    Scale,
    /// `pods/binding`: gives a pod its node.
    Binding,
    /// `pods/eviction`: asks for a pod to be deleted.
    Eviction,
    /// `namespaces/finalize`: takes the namespace's own finalizers away.
    Finalize,
}

impl Subresource {
    /// The path segment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::Finalize => "finalize",
        }
    }
}

/// Which verbs a resource has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbs {
    /// get, list, watch, create, update, patch, delete, deletecollection.
    All,
    /// create only: the object is a question, and the answer is not kept.
    CreateOnly,
}

/// Whether `metadata.generation` counts the changes of what is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Starts at 1 and moves with `spec`.
    Counted,
    /// The kind has none.
    Absent,
}

/// What an update needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateRule {
    /// A resourceVersion is optional; a missing object is 404.
    Unconditional,
    /// A resourceVersion must be given.
    VersionRequired,
    /// A resourceVersion must be given, and an update of a missing object creates it.
    CreatesMissing,
}

/// How the objects of a shelf look through a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// As they are kept.
    AsKept,
    /// core/v1 events shown as `events.k8s.io/v1`.
    NewEvents,
    /// The same fields under another `apiVersion` than they are kept with.
    Renamed {
        /// The `apiVersion` that is kept.
        kept: Name,
    },
}

/// Judges an object that is about to be stored: the new one, and the old one for an update.
pub type Validate = fn(new: &Value, old: Option<&Value>) -> Vec<FieldError>;

/// The rules of a built-in kind.
#[derive(Clone, Debug)]
pub struct BuiltIn {
    /// Checks types and finds unknown fields.
    pub decode: Decode,
    /// What the type looks like, once somebody asked.
    pub structure: OnceLock<Structure>,
    /// Fills in defaults.
    pub defaults: fn(&mut Value),
    /// Checks what types cannot say.
    pub validate: Validate,
}

impl BuiltIn {
    /// What the type looks like.
    pub fn structure(&self) -> &Structure {
        self.structure.get_or_init(|| self.decode.structure())
    }
}

/// Where the rules of a kind come from.
#[derive(Clone, Debug)]
pub enum Form {
    /// Rules in this crate.
    BuiltIn(BuiltIn),
    /// Rules of a CustomResourceDefinition.
    Custom(Arc<Custom>),
}

/// A field by which objects can be selected: the selector's key, the field it reads, and what stands
/// for an absent field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectableField {
    /// The key in a field selector.
    pub key: Name,
    /// The path of the field in the kept form.
    pub path: Vec<Name>,
    /// The text of an absent field.
    pub absent: Name,
}

/// One served resource of one group and version.
#[derive(Clone, Debug)]
pub struct Resource {
    /// API group; empty for core.
    pub group: Name,
    /// Version, for example `v1`.
    pub version: Name,
    /// Plural name, as in paths.
    pub plural: Name,
    /// Singular name, as people may type it.
    pub singular: Name,
    /// Kind of one object.
    pub kind: Name,
    /// Kind of a list.
    pub list_kind: Name,
    /// Short names for kubectl.
    pub short_names: Vec<Name>,
    /// Categories such as `all`.
    pub categories: Vec<Name>,
    /// Namespaced or not.
    pub scope: Scope,
    /// Paths below an object.
    pub subresources: Vec<Subresource>,
    /// What can be done.
    pub verbs: Verbs,
    /// Generation counting.
    pub generation: Generation,
    /// What an update needs.
    pub update: UpdateRule,
    /// How objects look here.
    pub view: View,
    /// Where they are kept.
    pub shelf: ShelfId,
    /// Fields for selectors, besides `metadata.name` and `metadata.namespace`.
    pub fields: Vec<SelectableField>,
    /// The kind's rules.
    pub form: Form,
}

impl Resource {
    /// `v1` or `group/version`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// What messages call it.
    pub fn subject(&self) -> Subject<'_> {
        Subject { group: &self.group, resource: &self.plural, kind: &self.kind }
    }

    /// True if it has `subresource`.
    pub fn has(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }

    /// True for the resource `group/plural`, whatever the version.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        &*self.group == group && &*self.plural == plural
    }

    /// The custom definition behind it, if it is not built in.
    pub fn custom(&self) -> Option<&Arc<Custom>> {
        match &self.form {
            Form::Custom(custom) => Some(custom),
            Form::BuiltIn(_) => None,
        }
    }

    /// The `apiVersion` of its objects as kept.
    pub fn kept_api_version(&self) -> String {
        match &self.view {
            View::AsKept => self.api_version(),
            View::NewEvents => "v1".to_owned(),
            View::Renamed { kept } => kept.to_string(),
        }
    }

    /// The verbs that discovery lists, in its order.
    pub fn verb_names(&self) -> &'static [&'static str] {
        match self.verbs {
            Verbs::All => {
                &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
            }
            Verbs::CreateOnly => &["create"],
        }
    }
}

/// Every served resource, in the order of registration.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    resources: Vec<Arc<Resource>>,
}

impl Catalog {
    /// All resources, ordered by group, version, and plural name within the order of registration.
    pub fn all(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// The resource at `group/version/plural`.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|resource| {
            &*resource.plural == plural
                && &*resource.version == version
                && &*resource.group == group
        })
    }

    /// The resource that serves `kind` of `api_version`.
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        let (group, version) = split_api_version(api_version);
        self.resources.iter().find(|resource| {
            &*resource.kind == kind
                && &*resource.version == version
                && &*resource.group == group
                && resource.verbs == Verbs::All
        })
    }

    /// Adds a resource, or replaces the one at the same path.
    pub fn register(&mut self, resource: Resource) -> Arc<Resource> {
        let resource = Arc::new(resource);
        let same = |known: &Arc<Resource>| {
            known.group == resource.group
                && known.version == resource.version
                && known.plural == resource.plural
        };
        match self.resources.iter().position(same) {
            Some(index) => self.resources[index] = Arc::clone(&resource),
            None => self.resources.push(Arc::clone(&resource)),
        }
        resource
    }

    /// Stops serving what `leaves` picks.
    pub fn withdraw(&mut self, leaves: impl Fn(&Resource) -> bool) {
        self.resources.retain(|resource| !leaves(resource));
    }
}

/// Group and version of an `apiVersion`.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}
