//! Schemas of the served kinds for OpenAPI documents: custom kinds as their definitions describe them,
//! built-in ones from the structure of their types, with short descriptions in our own words.
//! Which fields are required is not said: the types do not tell.

use serde_json::{Map, Value, json};

use super::descriptions;
use crate::apiserver::store::custom::Custom;
use crate::apiserver::store::decode::Decode;
use crate::apiserver::store::resource::{Form, Resource};
use crate::apiserver::store::structure::{FieldType, Leaf, ListRule, Structure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Adds the schemas of a kind and of everything in it.
pub(super) fn add(schemas: &mut Map<String, Value>, resource: &Resource) {
    let names = Names::of(resource);
    let mut schema = match &resource.form {
        Form::BuiltIn(rules) => {
            let structure = rules.structure();
            add_types(schemas, structure, &names);
            let name = names.name(structure.root());
            schemas.get(&name).cloned().unwrap_or_default()
        }
        Form::Custom(custom) => {
            add_types(schemas, &Decode::of::<ObjectMeta>().structure(), &names);
            custom_schema(custom, &names)
        }
    };
    schema["x-kubernetes-group-version-kind"] = json!([kind_of(resource)]);
    schemas.insert(names.name(&resource.kind), schema);
}

/// Group, version, and kind as OpenAPI documents carry them.
pub(super) fn kind_of(resource: &Resource) -> Value {
    json!({"group": resource.group, "kind": resource.kind, "version": resource.version})
}

/// The reference to a kind's own schema.
pub(super) fn reference(resource: &Resource) -> Value {
    Names::of(resource).reference(&resource.kind)
}

/// How the schemas of one group version are called.
struct Names(String);

impl Names {
    fn of(resource: &Resource) -> Self {
        let group = if resource.group.is_empty() { "core" } else { &resource.group };
        Self(format!("{group}.{}", resource.version))
    }

    fn name(&self, of: &str) -> String {
        format!("{}.{of}", self.0)
    }

    fn reference(&self, of: &str) -> Value {
        json!({"$ref": format!("#/components/schemas/{}", self.name(of))})
    }
}

fn add_types(schemas: &mut Map<String, Value>, structure: &Structure, names: &Names) {
    for (of, fields) in structure.types() {
        let mut properties = Map::new();
        for (name, field) in fields {
            properties.insert((*name).to_owned(), property(of, name, field, names));
        }
        let mut schema = json!({"type": "object", "properties": properties});
        describe(&mut schema, descriptions::of_type(of));
        if Structure::is_atomic(of) {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        schemas.insert(names.name(of), schema);
    }
}

fn property(of: &str, name: &str, field: &FieldType, names: &Names) -> Value {
    let mut schema = schema_of(field, names);
    match field {
        FieldType::Type(_) => schema = json!({"allOf": [schema]}),
        FieldType::List(_) => {
            let list_type = match Structure::list_rule(of, name) {
                ListRule::Atomic => "atomic",
                ListRule::Set => "set",
                ListRule::Map(keys) => {
                    schema["x-kubernetes-list-map-keys"] = json!(keys);
                    "map"
                }
            };
            schema["x-kubernetes-list-type"] = json!(list_type);
        }
        FieldType::Map(_) if Structure::is_atomic_map(of, name) => {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        FieldType::Map(_) | FieldType::Leaf(_) => {}
    }
    describe(&mut schema, descriptions::of_field(of, name));
    schema
}

fn schema_of(field: &FieldType, names: &Names) -> Value {
    match field {
        FieldType::Leaf(leaf) => leaf_schema(*leaf),
        FieldType::Type(of) => names.reference(of),
        FieldType::List(of) => json!({"type": "array", "items": schema_of(of, names)}),
        FieldType::Map(of) => {
            json!({"type": "object", "additionalProperties": schema_of(of, names)})
        }
    }
}

fn leaf_schema(leaf: Leaf) -> Value {
    match leaf {
        Leaf::Text => json!({"type": "string"}),
        Leaf::Integer32 => json!({"type": "integer", "format": "int32"}),
        Leaf::Integer64 => json!({"type": "integer", "format": "int64"}),
        Leaf::Boolean => json!({"type": "boolean"}),
        Leaf::Time => json!({"type": "string", "format": "date-time"}),
        Leaf::Quantity => json!({"type": "string", "format": "quantity"}),
        Leaf::IntegerOrText => json!({"type": "string", "format": "int-or-string"}),
        Leaf::Object => json!({"type": "object"}),
        Leaf::Anything => json!({"x-kubernetes-preserve-unknown-fields": true}),
    }
}

fn describe(schema: &mut Value, description: &str) {
    if !description.is_empty() {
        schema["description"] = description.into();
    }
}

/// What a definition says, with the fields that every object has.
fn custom_schema(custom: &Custom, names: &Names) -> Value {
    let mut schema = custom.written_schema.clone();
    if !schema.is_object() {
        schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    if schema.get("properties").is_none() {
        schema["properties"] = json!({});
    }
    let properties = &mut schema["properties"];
    for name in ["apiVersion", "kind"] {
        properties[name] = json!({"type": "string"});
        describe(&mut properties[name], descriptions::of_field("", name));
    }
    properties["metadata"] = json!({"allOf": [names.reference("ObjectMeta")]});
    describe(&mut properties["metadata"], descriptions::of_field("", "metadata"));
    schema
}
