//! Names as Kubernetes uses them, shared cheaply between rooms.

use std::fmt;
use std::sync::Arc;

/// Any short string that many facts repeat: names, label keys, resource names.
pub type Name = Arc<str>;

/// A namespaced object's name. Orders by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: Name,
    /// The name within the namespace.
    pub name: Name,
}

impl ObjectName {
    /// The object `namespace/name`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}
