//! Rules of custom kinds in CEL (`x-kubernetes-validations`), transition rules among them: read with the
//! definition, evaluated after everything else about an object was found in order.
//! The interpreter knows less of CEL than a real server (no `cel.bind`, no `.?`, no two-variable
//! comprehensions, no type check, no cost limit): a definition whose rules it cannot read is accepted with
//! a warning that names the rule, and that rule is not enforced.

use std::fmt;

use kube_cel::CompiledSchema;
use kube_cel::ErrorKind;
use kube_cel::ValidationError;
use kube_cel::Validator;
use serde_json::Value;

use crate::apiserver::store::failure::Fault;
use crate::apiserver::store::failure::FieldError;

/// The field of errors about a whole object, as upstream prints an absent path.
const WHOLE: &str = "<nil>";

const NOT_CHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

/// The rules of one version of a custom kind.
pub struct Rules(CompiledSchema);

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules")
    }
}

impl Rules {
    /// Reads the rules of a schema; `None` if it has none.
    pub fn read(schema: &Value) -> Option<Self> {
        has_rules(schema).then(|| Self(kube_cel::compile_schema(schema)))
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
                found.into_vec().into_iter().filter_map(|error| field_error(error, new)).collect()
            }
        }
    }

    /// The rules that cannot be read here, each with the reason.
    pub fn unreadable(schema: &Value) -> Vec<String> {
        let mut found = Vec::new();
        collect_unreadable(schema, &mut found);
        found
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

fn field_error(error: ValidationError, object: &Value) -> Option<FieldError> {
    let unreadable = matches!(
        error.kind,
        ErrorKind::CompilationFailure | ErrorKind::InvalidRule | ErrorKind::UnsupportedReference
    );
    if unreadable {
        return None;
    }
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
    Some(FieldError::new(field, fault, error.message))
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
        Value::Object(fields) => {
            fields.contains_key("x-kubernetes-validations") || fields.values().any(has_rules)
        }
        Value::Array(entries) => entries.iter().any(has_rules),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn collect_unreadable(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            let rules = fields.get("x-kubernetes-validations").and_then(Value::as_array);
            for rule in rules.into_iter().flatten() {
                // Read alone, so that the schema around it does not count.
                let alone = serde_json::json!({"x-kubernetes-validations": [rule]});
                let compiled = kube_cel::compile_schema(&alone);
                let errors = compiled.compilation_errors();
                if !errors.is_empty() {
                    let text = rule.get("rule").and_then(Value::as_str).unwrap_or_default();
                    found.push(text.to_owned());
                }
            }
            fields.values().for_each(|inner| collect_unreadable(inner, found));
        }
        Value::Array(entries) => entries.iter().for_each(|inner| collect_unreadable(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
