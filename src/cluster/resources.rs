//! Resource kinds: every resource name that a node or an ask ever mentioned, as a dense id.
//! Knows what kind of thing a name is by Kubernetes' naming rules only; holds no amounts.
//! Invariants: a kind is never forgotten, and `pods`, `cpu`, `memory` have the first three ids.

use rustc_hash::FxHashMap;

use super::ids::ResourceId;
use super::load::Indexing;
use crate::base::names::Name;
use crate::base::table::Table;

/// `pods`: how many pods a node may run. Every pod asks for one.
pub const PODS: ResourceId = ResourceId(0);
/// `cpu`, in millicores.
pub const CPU: ResourceId = ResourceId(1);
/// `memory`, in bytes.
pub const MEMORY: ResourceId = ResourceId(2);

/// What a resource name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceClass {
    /// A whole card or a MIG slice: scarce, and the reason why a node is expensive.
    Accelerator,
    /// Any other extended resource (`rdma/hca`, ...).
    Extended,
    /// `cpu`, `memory`, `ephemeral-storage`, `hugepages-*`, `attachable-volumes-*`.
    Native,
    /// `pods`.
    Pods,
}

impl ResourceClass {
    /// The class of `name`. Extended resources are those with a domain that is not `kubernetes.io`;
    /// an accelerator's last part names a GPU or a MIG profile, as all vendors' plugins do.
    #[inline]
    pub fn of(name: &str) -> Self {
        if name == "pods" {
            return Self::Pods;
        }
        let Some((domain, kind)) = name.split_once('/') else { return Self::Native };
        if domain == "kubernetes.io" || domain.ends_with(".kubernetes.io") {
            return Self::Native;
        }
        let gpu = kind.split(['-', '.', '_']).any(|part| part == "gpu");
        if gpu || kind.starts_with("mig-") { Self::Accelerator } else { Self::Extended }
    }
}

impl ResourceClass {
    /// Pods that ask for devices are packed by them; every pod asks for the rest.
    const fn indexing(self) -> Indexing {
        match self {
            Self::Accelerator | Self::Extended => Indexing::AtOnce,
            Self::Native | Self::Pods => Indexing::WhenAsked,
        }
    }
}

/// All resource kinds seen so far. Kinds are never forgotten.
#[derive(Clone, Debug)]
pub struct Resources {
    kinds: Table<ResourceId, Kind>,
    indexing: Vec<Indexing>,
    ids: FxHashMap<Name, ResourceId>,
}

#[derive(Clone, Debug)]
struct Kind {
    name: Name,
    class: ResourceClass,
}

impl Resources {
    /// The kinds that every node has.
    pub fn new() -> Self {
        let mut resources =
            Self { kinds: Table::new(), indexing: Vec::new(), ids: FxHashMap::default() };
        for (name, id) in [("pods", PODS), ("cpu", CPU), ("memory", MEMORY)] {
            let given = resources.id(&name.into());
            assert_eq!(given, id, "the fixed kinds come first and in this order");
        }
        resources
    }

    /// The id of `name`, given out on first sight.
    pub fn id(&mut self, name: &Name) -> ResourceId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let class = ResourceClass::of(name);
        let id = self.kinds.push(Kind { name: name.clone(), class });
        self.indexing.push(class.indexing());
        self.ids.insert(name.clone(), id);
        id
    }

    /// The id of `name`, if anything ever mentioned it.
    pub fn known(&self, name: &str) -> Option<ResourceId> {
        self.ids.get(name).copied()
    }

    /// The name of `id`.
    #[inline]
    pub fn name(&self, id: ResourceId) -> &Name {
        &self.kinds[id].name
    }

    /// The class of `id`.
    #[inline]
    pub fn class(&self, id: ResourceId) -> ResourceClass {
        self.kinds[id].class
    }

    /// How each kind is indexed, by id.
    pub(super) fn indexing(&self) -> &[Indexing] {
        &self.indexing
    }

    /// How many kinds there are; ids are below it.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Never: `pods`, `cpu`, and `memory` always exist.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self::new()
    }
}

/// A set of resource kinds in one word. Kinds from the 64th on share the last bit,
/// so that membership may be claimed wrongly but is never missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceSet(u64);

impl ResourceSet {
    /// No kinds.
    pub const EMPTY: Self = Self(0);

    const fn bit(id: ResourceId) -> u64 {
        1 << if id.0 < 63 { id.0 } else { 63 }
    }

    /// The kinds of these amounts.
    #[inline]
    pub(super) fn of(amounts: &[(ResourceId, i64)]) -> Self {
        let mut kinds = Self::EMPTY;
        for (kind, _) in amounts {
            kinds.insert(*kind);
        }
        kinds
    }

    /// Adds `id`.
    #[inline]
    pub const fn insert(&mut self, id: ResourceId) {
        self.0 |= Self::bit(id);
    }

    /// Adds all of `other`.
    pub const fn unite(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// True if `id` may be in the set; never false for one that is.
    pub const fn may_contain(self, id: ResourceId) -> bool {
        self.0 & Self::bit(id) != 0
    }

    /// True when nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{CPU, PODS, ResourceClass, ResourceId, ResourceSet, Resources};

    #[test]
    fn names_are_classed_as_kubernetes_names_them() {
        let classes = [
            ("nvidia.com/gpu", ResourceClass::Accelerator),
            ("nvidia.com/gpu.shared", ResourceClass::Accelerator),
            ("nvidia.com/mig-2g.20gb", ResourceClass::Accelerator),
            ("amd.com/gpu", ResourceClass::Accelerator),
            ("rdma/hca_shared_devices_a", ResourceClass::Extended),
            ("example.com/gpus-of-none", ResourceClass::Extended),
            ("hugepages-2Mi", ResourceClass::Native),
            ("kubernetes.io/batch", ResourceClass::Native),
            ("requests.kubernetes.io/gpu", ResourceClass::Native),
            ("ephemeral-storage", ResourceClass::Native),
            ("pods", ResourceClass::Pods),
        ];
        for (name, class) in classes {
            assert_eq!(ResourceClass::of(name), class, "{name}");
        }
    }

    #[test]
    fn a_name_keeps_its_id() {
        let mut resources = Resources::new();
        let gpu = resources.id(&"nvidia.com/gpu".into());
        assert_eq!(resources.id(&"nvidia.com/gpu".into()), gpu);
        assert_eq!(resources.known("cpu"), Some(CPU));
        assert_eq!(resources.known("pods"), Some(PODS));
        assert_eq!(resources.known("unheard/of"), None);
        assert_eq!(&**resources.name(gpu), "nvidia.com/gpu");
    }

    #[test]
    fn a_resource_set_never_misses_a_member() {
        for id in [0, 5, 62, 63, 64, 500] {
            let mut set = ResourceSet::EMPTY;
            set.insert(ResourceId(id));
            assert!(set.may_contain(ResourceId(id)));
            assert!(!set.may_contain(ResourceId(7)));
        }
    }
}
