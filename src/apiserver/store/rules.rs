//! Rules of custom kinds in CEL (`x-kubernetes-validations`), transition rules among them: read with the
//! definition, evaluated after everything else about an object was found in order.
//! The interpreter knows less of CEL than a real server (no `cel.bind`, no `.?`, no two-variable
//! comprehensions, no type check, no cost limit). What it cannot read is refused with the definition, and what it
//! cannot evaluate with the object: a rule is never kept without being enforced.

use std::fmt;

use kube_cel::CompiledSchema;
use kube_cel::ErrorKind;
use kube_cel::ValidationError;
use kube_cel::Validator;
use serde_json::Value;
use serde_json::json;

use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;

/// The field of errors about a whole object, as upstream prints an absent path.
const WHOLE: &str = "<nil>";

const NOT_CHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

/// Where a schema has its rules.
const RULES: &str = "x-kubernetes-validations";

const CANNOT_READ: &str =
    "this API reads less of CEL than a real API server, and would not enforce the rule";

const CANNOT_EVALUATE: &str =
    "this API evaluates less of CEL than a real API server, and cannot tell whether the rule holds";

/// The rules of one version of a custom kind.
pub struct Rules(CompiledSchema);

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules")
    }
}

impl Rules {
    /// Reads the rules of a schema; `None` if it has none.
    ///
    /// # Errors
    /// The place of a rule that cannot be read, below the schema, and why.
    pub fn read(schema: &Value) -> Result<Option<Self>, (String, String)> {
        if !has_rules(schema) {
            return Ok(None);
        }
        read_alone(schema)?;
        Ok(Some(Self(kube_cel::compile_schema(schema))))
    }

    /// Everything that the rules find wrong with `new`, as the successor of `old` if there is one;
    /// `errors` is what was found wrong before.
    pub fn check(
        &self,
        new: &Value,
        old: Option<&Value>,
        errors: &[FieldError],
    ) -> Vec<FieldError> {
        if errors.iter().any(|error| blocks(&error.fault)) {
            return vec![FieldError::invalid(WHOLE, "null", NOT_CHECKED)];
        }
        match Validator::new().validate_compiled(&self.0, new, old) {
            Ok(()) => Vec::new(),
            Err(found) => {
                found.into_vec().into_iter().map(|error| field_error(error, new)).collect()
            }
        }
    }
}

/// True if a fault keeps rules from being evaluated at all.
const fn blocks(fault: &Fault) -> bool {
    match fault {
        Fault::Required
        | Fault::WrongType(_)
        | Fault::NotSupported(..)
        | Fault::TooLong(_)
        | Fault::TooMany(..) => true,
        Fault::Invalid(_)
        | Fault::InvalidBare(_)
        | Fault::InvalidUnshown
        | Fault::Forbidden
        | Fault::Duplicate(_)
        | Fault::NotFound(_) => false,
    }
}

fn field_error(error: ValidationError, object: &Value) -> FieldError {
    let message = if matches!(error.kind, ErrorKind::UnsupportedReference) {
        format!("{CANNOT_EVALUATE}: {}", error.rule)
    } else {
        error.message
    };
    let value = value_at(object, &error.field_path);
    let field = if error.field_path.is_empty() { WHOLE.to_owned() } else { error.field_path };
    let fault = match error.reason.as_deref() {
        Some("FieldValueForbidden") => Fault::Forbidden,
        Some("FieldValueRequired") => Fault::Required,
        Some("FieldValueDuplicate") => Fault::Duplicate(value.cloned().unwrap_or_default()),
        Some(_) | None => match value {
            Some(value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
                Fault::Invalid(value.clone())
            }
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => Fault::InvalidUnshown,
        },
    };
    FieldError::new(field, fault, message)
}

/// The part of an object at `spec.list[0].name` or `spec.map[key]`.
fn value_at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    steps.try_fold(object, |part, step| match part {
        Value::Array(entries) => step.parse::<usize>().ok().and_then(|index| entries.get(index)),
        Value::Object(fields) if !step.is_empty() => fields.get(step.trim_matches('"')),
        Value::Object(_) => Some(part),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => fields.contains_key(RULES) || fields.values().any(has_rules),
        Value::Array(entries) => entries.iter().any(has_rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Reads each rule alone, so that the schema around it does not count.
fn read_alone(schema: &Value) -> Result<(), (String, String)> {
    match schema {
        Value::Object(fields) => {
            let rules = fields.get(RULES).and_then(Value::as_array);
            for (index, rule) in rules.into_iter().flatten().enumerate() {
                let compiled = kube_cel::compile_schema(&json!({RULES: [rule]}));
                if let Some(error) = compiled.compilation_errors().first() {
                    let why = error.to_string();
                    let first_line = why.lines().next().unwrap_or_default();
                    let path = format!(".{RULES}[{index}].rule");
                    return Err((path, format!("{CANNOT_READ}: {first_line}")));
                }
            }
            for (key, inner) in fields.iter().filter(|(key, _)| *key != RULES) {
                let step = |(path, why): (String, String)| (format!(".{key}{path}"), why);
                match (key.as_str(), inner) {
                    ("properties", Value::Object(properties)) => {
                        for (name, property) in properties {
                            let step = |(path, why)| (format!(".properties[{name}]{path}"), why);
                            read_alone(property).map_err(step)?;
                        }
                    }
                    (_, inner) => read_alone(inner).map_err(step)?,
                }
            }
            Ok(())
        }
        Value::Array(entries) => {
            for (index, inner) in entries.iter().enumerate() {
                read_alone(inner).map_err(|(path, why)| (format!("[{index}]{path}"), why))?;
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}
