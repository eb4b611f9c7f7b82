//! What server-side apply must know of a type: its fields, and whether a list or an object is merged by
//! entries or owned as a whole. One view over the structure of built-in types and the schemas of custom
//! ones. Knows no object and no owner.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::apiserver::store::apply::fields::FieldStep;
use crate::apiserver::store::decode::Decode;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::schema::Additional;
use crate::apiserver::store::schema::ListKeys;
use crate::apiserver::store::schema::Schema;
use crate::apiserver::store::schema::Type;
use crate::apiserver::store::structure::FieldType;
use crate::apiserver::store::structure::Leaf;
use crate::apiserver::store::structure::ListRule;
use crate::apiserver::store::structure::Structure;

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'a> {
    /// No parts, or owned as a whole.
    Whole,
    /// Not described: objects have parts, lists are owned as a whole.
    Undescribed,
    /// A built-in type.
    Type(&'a Structure, &'static str),
    /// Names with values of a built-in type.
    MapOf(&'a Structure, &'a FieldType),
    /// A list of a built-in type, and how its entries are told apart.
    ListOf(&'a Structure, &'a FieldType, ListRule),
    /// What a custom schema describes.
    Custom(&'a Schema),
    /// A custom object, or one embedded in another: it has `metadata` besides what the schema says.
    CustomObject(&'a Schema),
}

/// How the entries of a list are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entries<'a> {
    /// Not at all: the list is owned as a whole.
    None,
    /// By themselves.
    Values,
    /// By these fields.
    Keys(Vec<&'a str>),
}

fn object_meta() -> &'static Structure {
    static OBJECT_META: OnceLock<Structure> = OnceLock::new();
    OBJECT_META.get_or_init(|| Decode::of::<ObjectMeta>().structure())
}

impl<'a> Shape<'a> {
    /// The shape of a resource's objects.
    pub(super) fn of(resource: &'a Resource) -> Self {
        match &resource.form {
            Form::BuiltIn(rules) => {
                let structure = rules.structure();
                Self::Type(structure, structure.root())
            }
            Form::Custom(custom) => Self::CustomObject(custom.schema()),
        }
    }

    fn of_field(structure: &'a Structure, of: &str, name: &str, field: &'a FieldType) -> Self {
        match field {
            FieldType::Leaf(Leaf::Object | Leaf::Anything) => Self::Undescribed,
            FieldType::Leaf(_) => Self::Whole,
            FieldType::Type(inner) if Structure::is_atomic(inner) => Self::Whole,
            FieldType::Type(inner) => Self::Type(structure, inner),
            FieldType::Map(_) if Structure::is_atomic_map(of, name) => Self::Whole,
            FieldType::Map(inner) => Self::MapOf(structure, inner),
            FieldType::List(inner) => {
                Self::ListOf(structure, inner, Structure::list_rule(of, name))
            }
        }
    }

    fn of_schema(schema: &'a Schema) -> Self {
        if schema.is_whole {
            return Self::Whole;
        }
        if schema.embedded { Self::CustomObject(schema) } else { Self::Custom(schema) }
    }

    /// The shape of the field `name` of an object; `None` if there is no such field.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Undescribed => Some(Self::Undescribed),
            Self::Type(structure, of) => {
                structure.field(of, name).map(|field| Self::of_field(structure, of, name, field))
            }
            Self::MapOf(structure, of) => Some(Self::of_field(structure, "", "", of)),
            Self::CustomObject(_) if matches!(name, "apiVersion" | "kind") => Some(Self::Whole),
            Self::CustomObject(_) if name == "metadata" => {
                Some(Self::Type(object_meta(), object_meta().root()))
            }
            Self::Custom(schema) | Self::CustomObject(schema) => {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => Some(Self::of_schema(property)),
                    (None, Additional::Values(values)) => Some(Self::of_schema(values)),
                    (None, Additional::Anything) => Some(Self::Undescribed),
                    (None, Additional::Pruned) if schema.of == Type::Any => Some(Self::Undescribed),
                    (None, Additional::Pruned) => None,
                }
            }
            Self::Whole | Self::ListOf(..) => None,
        }
    }

    /// True if `name` is a name that the type declares, rather than one of a map.
    pub(super) fn declares(self, name: &str) -> bool {
        match self {
            Self::Type(..) => true,
            Self::CustomObject(_) if matches!(name, "apiVersion" | "kind" | "metadata") => true,
            Self::Custom(schema) | Self::CustomObject(schema) => {
                schema.properties.contains_key(name)
            }
            Self::Whole | Self::Undescribed | Self::MapOf(..) | Self::ListOf(..) => false,
        }
    }

    /// True if an object of this shape is a map: its names are not fixed.
    pub(super) fn is_map(self) -> bool {
        match self {
            Self::MapOf(..) | Self::Undescribed => true,
            Self::Custom(schema) => matches!(schema.additional, Additional::Values(_)),
            Self::Whole | Self::Type(..) | Self::ListOf(..) | Self::CustomObject(_) => false,
        }
    }

    /// True if a value of this shape has no parts of its own.
    pub(super) fn is_whole(self, value: &Value) -> bool {
        match value {
            Value::Object(_) => matches!(self, Self::Whole | Self::ListOf(..)),
            Value::Array(_) => self.entries() == Entries::None,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }

    /// How the entries of a list of this shape are told apart.
    pub(super) fn entries(self) -> Entries<'a> {
        match self {
            Self::ListOf(_, _, ListRule::Map(keys)) => Entries::Keys(keys.to_vec()),
            Self::ListOf(_, _, ListRule::Set) => Entries::Values,
            Self::Custom(schema) => match &schema.keys {
                ListKeys::Set => Entries::Values,
                ListKeys::Map(keys) => Entries::Keys(keys.iter().map(String::as_str).collect()),
                ListKeys::None => Entries::None,
            },
            Self::ListOf(_, _, ListRule::Atomic)
            | Self::Whole
            | Self::Undescribed
            | Self::Type(..)
            | Self::MapOf(..)
            | Self::CustomObject(_) => Entries::None,
        }
    }

    /// The shape of a list's entries.
    pub(super) fn entry(self) -> Self {
        match self {
            Self::ListOf(structure, of, _) => Self::of_field(structure, "", "", of),
            Self::Custom(schema) => match &schema.items {
                Some(items) => Self::of_schema(items),
                None => Self::Undescribed,
            },
            Self::Whole
            | Self::Undescribed
            | Self::Type(..)
            | Self::MapOf(..)
            | Self::CustomObject(_) => Self::Undescribed,
        }
    }

    /// The step to an entry of a list.
    ///
    /// # Errors
    /// The name of a key that the entry leaves out.
    pub(super) fn step_to(self, entry: &Value) -> Result<FieldStep, &'a str> {
        let Entries::Keys(names) = self.entries() else { return Ok(FieldStep::value(entry)) };
        let mut keys = BTreeMap::new();
        for name in names {
            let given = entry.get(name).filter(|value| !value.is_null()).cloned();
            let value = given.or_else(|| self.default_key(name)).ok_or(name)?;
            keys.insert(name, value);
        }
        Ok(FieldStep::keyed(&keys))
    }

    /// What stands for a key that an entry leaves out.
    fn default_key(self, name: &str) -> Option<Value> {
        match self {
            Self::ListOf(..) => (name == "protocol").then(|| "TCP".into()),
            Self::Custom(schema) => schema.items.as_ref()?.properties.get(name)?.default.clone(),
            Self::Whole
            | Self::Undescribed
            | Self::Type(..)
            | Self::MapOf(..)
            | Self::CustomObject(_) => None,
        }
    }
}
