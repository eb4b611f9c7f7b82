//! Structural schemas of custom resources: what an `openAPIV3Schema` says, and pruning and defaults
//! by it. Checking is in `schema_check`. The subset is what CustomResourceDefinitions of
//! `apiextensions.k8s.io/v1` may use; rules in CEL are in `rules`.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Number;
use serde_json::Value;

use crate::apiserver::store::decode::Place;
use crate::apiserver::store::decode::Step;

/// The type that a value must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Not said.
    Any,
    /// An object.
    Object,
    /// A list.
    Array,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A whole number or a text (`x-kubernetes-int-or-string`).
    IntOrString,
}

/// What an object may hold besides its declared properties.
#[derive(Clone, Debug)]
pub enum Additional {
    /// Nothing: it is pruned.
    Pruned,
    /// Anything (`additionalProperties: true`, `x-kubernetes-preserve-unknown-fields`).
    Anything,
    /// Values of one schema: the object is a map.
    Values(Box<Schema>),
}

/// A bound on a number.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The bound.
    pub value: Number,
    /// True if the bound itself is out.
    pub exclusive: bool,
}

/// How entries of a list are told apart.
#[derive(Clone, Debug, Default)]
pub enum ListKeys {
    /// By nothing.
    #[default]
    None,
    /// By themselves (`x-kubernetes-list-type: set`).
    Set,
    /// By these fields (`x-kubernetes-list-type: map`).
    Map(Vec<String>),
}

/// One level of a structural schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The type.
    pub of: Type,
    /// Null is allowed.
    pub nullable: bool,
    /// Declared fields.
    pub properties: BTreeMap<String, Schema>,
    /// Fields that must be there.
    pub required: Vec<String>,
    /// What else an object may hold.
    pub additional: Additional,
    /// True if the object has `apiVersion`, `kind`, and `metadata` of its own.
    pub embedded: bool,
    /// The schema of a list's entries.
    pub items: Option<Box<Schema>>,
    /// How a list's entries are told apart.
    pub keys: ListKeys,
    /// True if an object is owned and replaced as a whole (`x-kubernetes-map-type: atomic`).
    pub is_whole: bool,
    /// Allowed values; empty for all.
    pub choices: Vec<Value>,
    /// Lower bound of a number.
    pub minimum: Option<Bound>,
    /// Upper bound of a number.
    pub maximum: Option<Bound>,
    /// A number must be a multiple of this; whole numbers only.
    pub multiple_of: Option<i64>,
    /// Length of a text, entries of a list, or fields of an object: at least, at most.
    pub length: (Option<usize>, Option<usize>),
    /// What a text must look like.
    pub pattern: Option<Regex>,
    /// `int32`, `int64`, `date-time`, and the like; empty if not said.
    pub format: String,
    /// What stands for an absent value.
    pub default: Option<Value>,
    /// All of these must hold.
    pub all_of: Vec<Schema>,
    /// At least one of these must hold, if there are any.
    pub any_of: Vec<Schema>,
    /// Just one of these must hold, if there are any.
    pub one_of: Vec<Schema>,
    /// This must not hold.
    pub not: Option<Box<Schema>>,
}

impl Schema {
    /// Reads an `openAPIV3Schema`.
    ///
    /// # Errors
    /// The path below the schema and what is wrong there: an unknown type, a pattern that is none.
    pub fn read(schema: &Value) -> Result<Self, (String, String)> {
        let flag = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        let of = read_type(schema)?;
        let mut properties = BTreeMap::new();
        for (name, property) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            let read = Self::read(property)
                .map_err(|(path, why)| (format!(".properties[{name}]{path}"), why))?;
            properties.insert(name.clone(), read);
        }
        let additional = match schema.get("additionalProperties") {
            _ if flag("x-kubernetes-preserve-unknown-fields") => Additional::Anything,
            Some(Value::Bool(true)) => Additional::Anything,
            Some(values @ Value::Object(_)) => Additional::Values(Box::new(
                Self::read(values)
                    .map_err(|(path, why)| (format!(".additionalProperties{path}"), why))?,
            )),
            Some(
                Value::Null
                | Value::Bool(false)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_),
            )
            | None => Additional::Pruned,
        };
        let one = |key: &str| match schema.get(key) {
            Some(inner @ Value::Object(_)) => Self::read(inner)
                .map(|read| Some(Box::new(read)))
                .map_err(|(path, why)| (format!(".{key}{path}"), why)),
            Some(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_),
            )
            | None => Ok(None),
        };
        Ok(Self {
            of,
            nullable: flag("nullable"),
            properties,
            required: texts(schema.get("required")),
            additional,
            embedded: flag("x-kubernetes-embedded-resource"),
            items: one("items")?,
            keys: match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("set") => ListKeys::Set,
                Some("map") => ListKeys::Map(texts(schema.get("x-kubernetes-list-map-keys"))),
                Some(_) | None => ListKeys::None,
            },
            is_whole: schema.get("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic"),
            choices: schema.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            minimum: bound(schema, "minimum", "exclusiveMinimum"),
            maximum: bound(schema, "maximum", "exclusiveMaximum"),
            multiple_of: schema.get("multipleOf").and_then(Value::as_i64).filter(|of| *of > 0),
            length: read_length(schema, of),
            pattern: read_pattern(schema)?,
            format: schema.get("format").and_then(Value::as_str).unwrap_or_default().to_owned(),
            default: schema.get("default").cloned(),
            all_of: many(schema, "allOf")?,
            any_of: many(schema, "anyOf")?,
            one_of: many(schema, "oneOf")?,
            not: one("not")?,
        })
    }

    /// Cuts fields that are not declared out of `value`; gives their places below `here`.
    pub fn prune(&self, value: &mut Value, here: &mut Vec<Step>, cut: &mut Vec<Place>) {
        match value {
            Value::Object(fields) => {
                let names: Vec<String> = fields.keys().cloned().collect();
                for name in names {
                    here.push(Step::Key(name.clone()));
                    let own = self.embedded
                        && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                    let inner = match (self.properties.get(&name), &self.additional) {
                        (Some(property), _) => Some(property),
                        (None, Additional::Values(values)) => Some(&**values),
                        (None, Additional::Anything | Additional::Pruned) => None,
                    };
                    match (inner, &self.additional, fields.get_mut(&name)) {
                        _ if own => {}
                        (Some(inner), _, Some(field)) => inner.prune(field, here, cut),
                        (None, Additional::Pruned, Some(_)) => {
                            fields.shift_remove(&name);
                            cut.push(Place(here.clone()));
                        }
                        (None, Additional::Anything | Additional::Values(_), _) | (_, _, None) => {}
                    }
                    here.pop();
                }
            }
            Value::Array(items) => {
                let Some(schema) = &self.items else { return };
                for (index, item) in items.iter_mut().enumerate() {
                    here.push(Step::Index(index));
                    schema.prune(item, here, cut);
                    here.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Fills in defaults of absent fields, and of fields that are null and may not be; drops other
    /// nulls that may not be.
    pub fn fill_defaults(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, schema) in &self.properties {
                    let missing =
                        fields.get(name).is_none_or(|field| field.is_null() && !schema.nullable);
                    match &schema.default {
                        Some(default) if missing => {
                            fields.insert(name.clone(), default.clone());
                        }
                        Some(_) | None => {}
                    }
                    if let Some(field) = fields.get_mut(name) {
                        schema.fill_defaults(field);
                    }
                }
                if let Additional::Values(values) = &self.additional {
                    for (_, field) in
                        fields.iter_mut().filter(|(name, _)| !self.properties.contains_key(*name))
                    {
                        values.fill_defaults(field);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = &self.items {
                    items.iter_mut().for_each(|item| schema.fill_defaults(item));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn read_type(schema: &Value) -> Result<Type, (String, String)> {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        return Ok(Type::IntOrString);
    }
    match schema.get("type").and_then(Value::as_str).unwrap_or_default() {
        "" => Ok(Type::Any),
        "object" => Ok(Type::Object),
        "array" => Ok(Type::Array),
        "string" => Ok(Type::String),
        "integer" => Ok(Type::Integer),
        "number" => Ok(Type::Number),
        "boolean" => Ok(Type::Boolean),
        other => Err((
            ".type".to_owned(),
            format!(
                "Unsupported value: \"{other}\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\""
            ),
        )),
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn many(schema: &Value, key: &str) -> Result<Vec<Schema>, (String, String)> {
    let inner = schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
    inner
        .map(|(index, inner)| {
            Schema::read(inner).map_err(|(path, why)| (format!(".{key}[{index}]{path}"), why))
        })
        .collect()
}

fn bound(schema: &Value, key: &str, exclusive: &str) -> Option<Bound> {
    let Some(Value::Number(value)) = schema.get(key) else { return None };
    Some(Bound {
        value: value.clone(),
        exclusive: schema.get(exclusive) == Some(&Value::Bool(true)),
    })
}

fn read_length(schema: &Value, of: Type) -> (Option<usize>, Option<usize>) {
    let of = match of {
        Type::Array => "Items",
        Type::Object => "Properties",
        Type::Any
        | Type::String
        | Type::Integer
        | Type::Number
        | Type::Boolean
        | Type::IntOrString => "Length",
    };
    let limit = |side: &str| {
        schema.get(format!("{side}{of}")).and_then(Value::as_u64).map(|limit| limit as usize)
    };
    (limit("min"), limit("max"))
}

fn read_pattern(schema: &Value) -> Result<Option<Regex>, (String, String)> {
    let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return Ok(None) };
    Regex::new(pattern).map(Some).map_err(|_| {
        (
            ".pattern".to_owned(),
            format!("Invalid value: \"{pattern}\": must be a valid regular expression"),
        )
    })
}
