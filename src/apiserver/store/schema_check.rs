//! Checks a value against a structural schema. Wording follows what kube-apiserver answers for
//! custom resources: `spec.minMember in body should be greater than or equal to 1`.
//! Changes nothing: defaults and pruning are done before, in `schema.rs`.
//! All that is wrong is told, not only the first; fields in the order of the object.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::schema::Additional;
use crate::apiserver::store::schema::ListKeys;
use crate::apiserver::store::schema::Schema;
use crate::apiserver::store::schema::Type;
use crate::base::time::Time;

impl Schema {
    /// Everything that is wrong with `value`, which is at `field`.
    pub fn check(&self, value: &Value, field: &str, errors: &mut Vec<FieldError>) {
        if value.is_null() && (self.nullable || self.of == Type::Any) {
            return;
        }
        if !self.of.fits(value) {
            let found = type_name(value);
            let why = format!("{field} in body must be of type {}: \"{found}\"", self.of.name());
            errors.push(FieldError::new(field, Fault::WrongType(found.into()), why));
            return;
        }
        match value {
            Value::Object(fields) => self.check_object(fields, field, errors),
            Value::Array(items) => self.check_list(items, field, errors),
            Value::String(text) => self.check_text(text, field, errors),
            Value::Number(number) => self.check_number(number, field, errors),
            Value::Null | Value::Bool(_) => {}
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let choices = self.choices.iter().map(bare).collect();
            errors.push(FieldError::new(field, Fault::NotSupported(value.clone(), choices), ""));
        }
        self.check_alternatives(value, field, errors);
    }

    fn check_object(&self, fields: &Map<String, Value>, field: &str, errors: &mut Vec<FieldError>) {
        for name in self.required.iter().filter(|name| !fields.contains_key(*name)) {
            errors.push(FieldError::required(below(field, name), ""));
        }
        for (name, value) in fields {
            match (self.properties.get(name), &self.additional) {
                (Some(schema), _) => schema.check(value, &below(field, name), errors),
                (None, Additional::Values(schema)) => {
                    schema.check(value, &below(field, name), errors)
                }
                (None, Additional::Anything | Additional::Pruned) => {}
            }
        }
        let (least, most) = self.length;
        if let Some(least) = least.filter(|least| fields.len() < *least) {
            let why = format!("{field} in body should have at least {least} properties");
            errors.push(FieldError::invalid(field, fields.len(), why));
        }
        if let Some(most) = most.filter(|most| fields.len() > *most) {
            let why = format!("{field} in body should have at most {most} properties");
            errors.push(FieldError::invalid(field, fields.len(), why));
        }
    }

    fn check_list(&self, items: &[Value], field: &str, errors: &mut Vec<FieldError>) {
        if let Some(schema) = &self.items {
            for (index, item) in items.iter().enumerate() {
                schema.check(item, &format!("{field}[{index}]"), errors);
            }
        }
        let (least, most) = self.length;
        if let Some(least) = least.filter(|least| items.len() < *least) {
            let why = format!("{field} in body should have at least {least} items");
            errors.push(FieldError::invalid(field, items.len(), why));
        }
        if let Some(most) = most.filter(|most| items.len() > *most) {
            errors.push(FieldError::new(field, Fault::TooMany(items.len(), most), ""));
        }
        let keys: Vec<Value> = match &self.keys {
            ListKeys::None => return,
            ListKeys::Set => items.to_vec(),
            ListKeys::Map(names) => items.iter().map(|item| key_of(item, names)).collect(),
        };
        // By their texts with fields in order, so that a long list costs no more than to sort it.
        let mut seen = BTreeSet::new();
        for (index, key) in keys.into_iter().enumerate() {
            let mut ordered = key.clone();
            ordered.sort_all_objects();
            if !seen.insert(ordered.to_string()) {
                errors.push(FieldError::new(
                    format!("{field}[{index}]"),
                    Fault::Duplicate(key),
                    "",
                ));
            }
        }
    }

    fn check_text(&self, text: &str, field: &str, errors: &mut Vec<FieldError>) {
        let length = text.chars().count();
        let (least, most) = self.length;
        if let Some(least) = least.filter(|least| length < *least) {
            let why = format!("{field} in body should be at least {least} chars long");
            errors.push(FieldError::invalid(field, text, why));
        }
        if let Some(most) = most.filter(|most| length > *most) {
            errors.push(FieldError::new(field, Fault::TooLong(most), ""));
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            let why = format!("{field} in body should match '{}'", pattern.as_str());
            errors.push(FieldError::invalid(field, text, why));
        }
        if self.format == "date-time" && Time::from_rfc3339(text).is_none() {
            let why = format!("{field} in body must be of type date-time: \"{text}\"");
            errors.push(FieldError::invalid(field, text, why));
        }
    }

    fn check_number(&self, number: &Number, field: &str, errors: &mut Vec<FieldError>) {
        let mut complain = |why: String| {
            errors.push(FieldError::invalid(field, Value::Number(number.clone()), why))
        };
        if let Some(minimum) = &self.minimum {
            match (compare(number, &minimum.value), minimum.exclusive) {
                (Ordering::Less, false) => {
                    complain(format!(
                        "{field} in body should be greater than or equal to {}",
                        minimum.value
                    ));
                }
                (Ordering::Less | Ordering::Equal, true) => {
                    complain(format!("{field} in body should be greater than {}", minimum.value));
                }
                (Ordering::Equal | Ordering::Greater, _) => {}
            }
        }
        if let Some(maximum) = &self.maximum {
            match (compare(number, &maximum.value), maximum.exclusive) {
                (Ordering::Greater, false) => {
                    complain(format!(
                        "{field} in body should be less than or equal to {}",
                        maximum.value
                    ));
                }
                (Ordering::Greater | Ordering::Equal, true) => {
                    complain(format!("{field} in body should be less than {}", maximum.value));
                }
                (Ordering::Less | Ordering::Equal, _) => {}
            }
        }
        if let (Some(of), Some(value)) = (self.multiple_of, number.as_i64())
            && value % of != 0
        {
            complain(format!("{field} in body should be a multiple of {of}"));
        }
        let narrow = self.format == "int32"
            && number.as_i64().is_none_or(|value| i32::try_from(value).is_err());
        let wide = self.format == "int64" && number.as_i64().is_none();
        if narrow || wide {
            complain(format!("{field} in body must be of type {}: \"integer\"", self.format));
        }
    }

    fn check_alternatives(&self, value: &Value, field: &str, errors: &mut Vec<FieldError>) {
        let holds = |schema: &Schema| {
            let mut found = Vec::new();
            schema.check(value, field, &mut found);
            found.is_empty()
        };
        let mut complain = |rule: &str| {
            errors.push(FieldError::invalid(
                field,
                value.clone(),
                format!("{field} in body {rule}"),
            ));
        };
        if !self.any_of.is_empty() && !self.any_of.iter().any(holds) {
            complain("must validate at least one schema (anyOf)");
        }
        if !self.one_of.is_empty() && self.one_of.iter().filter(|schema| holds(schema)).count() != 1
        {
            complain("must validate one and only one schema (oneOf)");
        }
        if self.not.as_ref().is_some_and(|schema| holds(schema)) {
            complain("must not validate the schema (not)");
        }
        for schema in &self.all_of {
            schema.check(value, field, errors);
        }
    }
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => is_whole(value),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::IntOrString => value.is_string() || is_whole(value),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::IntOrString => "integer,string",
        }
    }
}

fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_whole(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn below(field: &str, name: &str) -> String {
    if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn key_of(item: &Value, names: &[String]) -> Value {
    let fields = names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
    Value::Object(fields.collect())
}

/// Compares whole numbers exactly, others as their nearest floats.
fn compare(left: &Number, right: &Number) -> Ordering {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
    }
}
