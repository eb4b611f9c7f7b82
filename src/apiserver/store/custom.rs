//! Custom resources: what a CustomResourceDefinition says, and serving its versions.
//! Objects are kept in the storage version; other served versions show the same fields under their
//! own `apiVersion` (conversion strategy None; webhooks are not called).

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::apiserver::store::decode::Decode;
use crate::apiserver::store::decode::Place;
use crate::apiserver::store::decode::Step;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::kinds::selectable_field;
use crate::apiserver::store::resource::Form;
use crate::apiserver::store::resource::Generation;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::ShelfId;
use crate::apiserver::store::resource::Subresource;
use crate::apiserver::store::resource::UpdateRule;
use crate::apiserver::store::resource::Verbs;
use crate::apiserver::store::resource::View;
use crate::apiserver::store::rules::Rules;
use crate::apiserver::store::scale::ScalePaths;
use crate::apiserver::store::schema::Schema;
use crate::base::names::Name;

/// A column that kubectl shows for a custom kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrinterColumn {
    /// Its heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean`, or `date`.
    pub of: String,
    /// The OpenAPI format; possibly empty.
    pub format: String,
    /// What it means.
    pub description: String,
    /// 0 for columns that are always shown.
    pub priority: i64,
    /// Where the value is: `.spec.minMember`.
    pub json_path: String,
}

/// One version of a custom kind, as its definition describes it.
#[derive(Debug)]
pub struct Custom {
    /// The definition's name: `podgroups.scheduling.x-k8s.io`.
    pub definition: Name,
    /// The schema as written, for documents about it.
    pub written_schema: Value,
    /// The columns as written; empty means Age alone.
    pub columns: Vec<PrinterColumn>,
    schema: Schema,
    rules: Option<Rules>,
    scale: Option<ScalePaths>,
}

impl Custom {
    /// Cuts unknown fields out of `object`; gives their places.
    ///
    /// # Errors
    /// When `metadata` has a field of the wrong type.
    pub fn prune(&self, object: &mut Value) -> Result<Vec<Place>, String> {
        let mut unknown = Vec::new();
        if let Some(metadata) = object.get("metadata") {
            for mut place in Decode::of::<ObjectMeta>().read(metadata)? {
                place.0.insert(0, Step::Key("metadata".to_owned()));
                place.cut_from(object);
                unknown.push(place);
            }
        }
        let Some(fields) = object.as_object_mut() else { return Ok(unknown) };
        let own: Vec<(String, Value)> = ["apiVersion", "kind", "metadata"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), fields.shift_remove(key)?)))
            .collect();
        self.schema.prune(object, &mut Vec::new(), &mut unknown);
        if let Some(fields) = object.as_object_mut() {
            fields.extend(own);
        }
        Ok(unknown)
    }

    /// Fills in the schema's defaults.
    pub fn fill_defaults(&self, object: &mut Value) {
        self.schema.fill_defaults(object);
        // Nulls in metadata are what absent fields are; typed servers never see them.
        if let Some(metadata) = object.get_mut("metadata") {
            super::defaults::drop_nulls(metadata);
        }
    }

    /// Everything that the schema and its rules find wrong with `new`, as the successor of `old` if there is
    /// one.
    pub fn check(&self, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        self.schema.check(new, "", &mut errors);
        if let Some(rules) = &self.rules {
            let broken = rules.check(new, old, &errors);
            errors.extend(broken);
        }
        errors
    }

    /// The schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Where the replica counts are, if the kind has `/scale`.
    pub fn scale_paths(&self) -> Option<ScalePaths> {
        self.scale.clone()
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn names(list: Option<&Value>) -> Vec<Name> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(Name::from)
        .collect()
}

/// The `apiVersion` in which a definition's objects are kept.
pub(super) fn storage_version(definition: &Value) -> String {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let storage = versions
        .into_iter()
        .flatten()
        .find(|version| version.get("storage") == Some(&Value::Bool(true)));
    format!(
        "{}/{}",
        text(definition, "/spec/group"),
        storage.map_or("", |version| text(version, "/name"))
    )
}

/// The resources that `definition` serves, their objects on `shelf`.
///
/// # Errors
/// The field of the definition that cannot be understood.
pub(super) fn resources(
    definition: &Value,
    shelf: ShelfId,
) -> Result<Vec<Resource>, Box<FieldError>> {
    let kept = storage_version(definition);
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array);
    let mut resources = Vec::new();
    for (index, version) in versions.into_iter().flatten().enumerate() {
        let resource = resource(definition, version, shelf, &kept).map_err(|(path, why)| {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema{path}");
            Box::new(FieldError::invalid(field, Value::Null, why))
        })?;
        if version.get("served") == Some(&Value::Bool(true)) {
            resources.push(resource);
        }
    }
    Ok(resources)
}

fn resource(
    definition: &Value,
    version: &Value,
    shelf: ShelfId,
    kept: &str,
) -> Result<Resource, (String, String)> {
    let written_schema = version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_default();
    let schema = Schema::read(&written_schema)?;
    let rules = Rules::read(&written_schema)?;
    let scale = version.pointer("/subresources/scale").map(read_scale);
    let mut subresources = Vec::new();
    if version.pointer("/subresources/status").is_some() {
        subresources.push(Subresource::Status);
    }
    if scale.is_some() {
        subresources.push(Subresource::Scale);
    }
    let (group, version_name) = (text(definition, "/spec/group"), text(version, "/name"));
    let api_version = format!("{group}/{version_name}");
    let custom = Custom {
        definition: text(definition, "/metadata/name").into(),
        rules,
        written_schema,
        columns: read_columns(version),
        schema,
        scale,
    };
    let name = |key: &str| Name::from(text(definition, &format!("/spec/names/{key}")));
    let selectable =
        version.get("selectableFields").and_then(Value::as_array).into_iter().flatten();
    let fields = selectable.filter_map(|field| field.get("jsonPath")?.as_str()?.strip_prefix('.'));
    Ok(Resource {
        group: group.into(),
        version: version_name.into(),
        plural: name("plural"),
        singular: name("singular"),
        kind: name("kind"),
        list_kind: name("listKind"),
        short_names: names(definition.pointer("/spec/names/shortNames")),
        categories: names(definition.pointer("/spec/names/categories")),
        scope: if text(definition, "/spec/scope") == "Cluster" {
            Scope::Cluster
        } else {
            Scope::Namespaced
        },
        subresources,
        verbs: Verbs::All,
        generation: Generation::Counted,
        update: UpdateRule::VersionRequired,
        view: if api_version == kept { View::AsKept } else { View::Renamed { kept: kept.into() } },
        shelf,
        fields: fields.map(|path| selectable_field(path, path, "")).collect(),
        form: Form::Custom(Arc::new(custom)),
    })
}

fn read_scale(scale: &Value) -> ScalePaths {
    let pointer = |key: &str| text(scale, &format!("/{key}")).replace('.', "/");
    ScalePaths {
        wished: pointer("specReplicasPath"),
        observed: pointer("statusReplicasPath"),
        selector: pointer("labelSelectorPath"),
    }
}

fn read_columns(version: &Value) -> Vec<PrinterColumn> {
    let columns =
        version.get("additionalPrinterColumns").and_then(Value::as_array).into_iter().flatten();
    let column = |column: &Value| PrinterColumn {
        name: text(column, "/name").to_owned(),
        of: text(column, "/type").to_owned(),
        format: text(column, "/format").to_owned(),
        description: text(column, "/description").to_owned(),
        priority: column.get("priority").and_then(Value::as_i64).unwrap_or(0),
        json_path: text(column, "/jsonPath").to_owned(),
    };
    columns.map(column).collect()
}
