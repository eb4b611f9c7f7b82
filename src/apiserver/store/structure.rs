//! What a built-in type looks like: its fields and their types, as far as JSON shows them, and how lists
//! and objects in it are merged. Fields come from the generated types themselves; the merging rules are
//! the `listType`, `listMapKey`, and `mapType` tags of `k8s.io/api`, as a table.
//! Knows no value of any type.

mod lists;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

pub use lists::ListRule;

/// Fields that are not looked into, as type and field: they take forms that no single look shows.
pub type Opaque = BTreeSet<(&'static str, &'static str)>;

/// A value without parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaf {
    /// A text.
    Text,
    /// A whole number of 32 bits.
    Integer32,
    /// A whole number of 64 bits.
    Integer64,
    /// True or false.
    Boolean,
    /// An instant.
    Time,
    /// An amount such as `64Gi`.
    Quantity,
    /// A whole number or a text.
    IntegerOrText,
    /// Any object.
    Object,
    /// Anything at all.
    #[default]
    Anything,
}

impl Leaf {
    /// The leaf that a generated wrapper type stands for.
    pub(super) fn of_wrapper(name: &str) -> Self {
        match name {
            "Time" | "MicroTime" => Self::Time,
            "Quantity" => Self::Quantity,
            "FieldsV1" | "RawExtension" => Self::Object,
            _ if name.ends_with("Mode") || name.ends_with("Policy") => Self::Object,
            _ => Self::Anything,
        }
    }
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// No parts.
    Leaf(Leaf),
    /// A type of this name.
    Type(&'static str),
    /// A list of these.
    List(Box<FieldType>),
    /// Names with these.
    Map(Box<FieldType>),
}

impl Default for FieldType {
    fn default() -> Self {
        Self::Leaf(Leaf::Anything)
    }
}

/// All types that a kind is made of, by name.
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// The kind's own type.
    root: &'static str,
    /// The fields of each type, in the order in which the type declares them.
    types: BTreeMap<&'static str, Vec<(&'static str, FieldType)>>,
    /// What is not looked into.
    pub(super) opaque: Opaque,
}

impl Structure {
    /// The name of the kind's own type.
    pub fn root(&self) -> &'static str {
        self.root
    }

    /// All types with their fields, by name.
    pub fn types(&self) -> impl Iterator<Item = (&'static str, &[(&'static str, FieldType)])> {
        self.types.iter().map(|(name, fields)| (*name, fields.as_slice()))
    }

    /// The type of `field` of the type `of`.
    pub fn field(&self, of: &str, field: &str) -> Option<&FieldType> {
        let fields = self.types.get(of)?;
        fields.iter().find(|(name, _)| *name == field).map(|(_, found)| found)
    }

    /// True if objects of a type are owned and replaced as a whole.
    pub fn is_atomic(of: &str) -> bool {
        lists::ATOMIC_TYPES.contains(&of)
    }

    /// How the list `field` of the type `of` is merged.
    pub fn list_rule(of: &str, field: &str) -> ListRule {
        lists::list_rule(of, field)
    }

    /// True if the map `field` of the type `of` is owned and replaced as a whole.
    pub fn is_atomic_map(of: &str, field: &str) -> bool {
        lists::is_atomic_map(of, field)
    }

    /// Begins a type; false if it is known already.
    pub(super) fn begin(&mut self, of: &'static str) -> bool {
        if self.types.is_empty() {
            self.root = of;
        }
        let is_new = !self.types.contains_key(of);
        if is_new {
            self.types.insert(of, Vec::new());
        }
        is_new
    }

    /// True if a field is known without looking; takes note of it.
    pub(super) fn skips(&mut self, of: &'static str, field: &'static str) -> bool {
        // The generated types accept only their own names here.
        let is_own_name = of == self.root && matches!(field, "apiVersion" | "kind");
        if is_own_name {
            self.add(of, field, FieldType::Leaf(Leaf::Text));
        }
        let is_opaque = self.opaque.contains(&(of, field));
        if is_opaque {
            self.add(of, field, FieldType::default());
        }
        is_own_name || is_opaque
    }

    /// Adds a field to a type; maps have none.
    pub(super) fn add(&mut self, of: &'static str, field: &'static str, found: FieldType) {
        if let Some(fields) = self.types.get_mut(of) {
            fields.push((field, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

    use super::FieldType;
    use super::Leaf;
    use crate::apiserver::store::decode::Decode;

    #[test]
    fn a_type_tells_its_fields_by_being_read_without_a_value() {
        let pod = Decode::of::<Pod>().structure();
        assert_eq!(pod.root(), "Pod");
        let leaf = |of, field| pod.field(of, field).cloned();
        assert_eq!(leaf("Pod", "apiVersion"), Some(FieldType::Leaf(Leaf::Text)));
        assert_eq!(leaf("Pod", "spec"), Some(FieldType::Type("PodSpec")));
        let containers = FieldType::List(Box::new(FieldType::Type("Container")));
        assert_eq!(leaf("PodSpec", "containers"), Some(containers));
        let limits = FieldType::Map(Box::new(FieldType::Leaf(Leaf::Quantity)));
        assert_eq!(leaf("ResourceRequirements", "limits"), Some(limits));
        assert_eq!(leaf("Probe", "periodSeconds"), Some(FieldType::Leaf(Leaf::Integer32)));
        assert_eq!(leaf("ObjectMeta", "creationTimestamp"), Some(FieldType::Leaf(Leaf::Time)));
        assert_eq!(leaf("PodSpec", "hostNetwork"), Some(FieldType::Leaf(Leaf::Boolean)));
        assert_eq!(leaf("PodSpec", "nodeSelectors"), None);
    }

    #[test]
    fn types_that_contain_themselves_and_fields_of_many_forms_end_the_look() {
        let definition = Decode::of::<CustomResourceDefinition>().structure();
        let properties = FieldType::Map(Box::new(FieldType::Type("JSONSchemaProps")));
        assert_eq!(definition.field("JSONSchemaProps", "properties"), Some(&properties));
        assert_eq!(definition.field("JSONSchemaProps", "items"), Some(&FieldType::default()));
    }
}
