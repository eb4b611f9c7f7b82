//! Amounts of resources: quantities, their names, and how requests and limits relate. The rules of
//! `ValidateContainerResourceRequirements`: what cannot be overcommitted is asked for in whole units,
//! with request and limit alike.

use serde_json::Map;
use serde_json::Value;

use crate::apiserver::store::failure::FieldError;
use crate::apiserver::store::validate::metadata::qualified_complaints;
use crate::base::quantity::Quantity;

const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// What may be overcommitted: a pod may be promised less than it may use.
const OVERCOMMITTABLE: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Fields whose values are maps of quantities.
const MAPS: [&str; 12] = [
    "limits",
    "requests",
    "capacity",
    "allocatable",
    "overhead",
    "hard",
    "used",
    "allocatedResources",
    "min",
    "max",
    "default",
    "defaultRequest",
];

/// Writes quantities in their canonical form, also those that were given as numbers: a server that reads
/// them as amounts writes `1000m` back as `1`. What is no quantity stays as it is and is refused later.
pub(crate) fn write_canonically(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                match field {
                    Value::Object(amounts) if MAPS.contains(&key.as_str()) => {
                        // No resource is called so: it is how many volumes a CSINode's driver can attach.
                        let of_resources = amounts.iter_mut().filter(|(name, _)| *name != "count");
                        of_resources.for_each(|(_, amount)| write_one(amount));
                    }
                    Value::Number(_) | Value::String(_)
                        if matches!(key.as_str(), "sizeLimit" | "divisor") =>
                    {
                        write_one(field)
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => write_canonically(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_canonically),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn write_one(value: &mut Value) {
    let text = match value {
        Value::Number(number) => Quantity::canonical(&number.to_string()),
        Value::String(text) => Quantity::canonical(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    if let Some(text) = text.filter(|text| value.as_str() != Some(text)) {
        *value = Value::String(text);
    }
}

/// The amount of a text, or what is wrong with it at `field`.
fn amount(text: &Value, field: &str, errors: &mut Vec<FieldError>) -> Option<Quantity> {
    match text.as_str().and_then(|text| Quantity::parse(text).ok()) {
        None => {
            errors.push(FieldError::invalid(field, text.clone(), NO_QUANTITY));
            None
        }
        Some(amount) if amount.is_negative() => {
            errors.push(FieldError::invalid(
                field,
                text.clone(),
                "must be greater than or equal to 0",
            ));
            None
        }
        Some(amount) => Some(amount),
    }
}

/// Checks a map of quantities such as a node's capacity.
pub(super) fn check_amounts(amounts: Option<&Value>, field: &str, errors: &mut Vec<FieldError>) {
    for (name, text) in amounts.and_then(Value::as_object).into_iter().flatten() {
        let field = format!("{field}[{name}]");
        errors.extend(
            qualified_complaints(name)
                .into_iter()
                .map(|why| FieldError::invalid(&*field, name.as_str(), why)),
        );
        amount(text, &field, errors);
    }
}

/// Checks `resources` of a container at `field`.
pub(super) fn check_resources(resources: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let empty = Map::new();
    let part = |key: &str| resources.get(key).and_then(Value::as_object).unwrap_or(&empty);
    let (limits, requests) = (part("limits"), part("requests"));
    for (name, text) in limits {
        check_one(name, text, &format!("{field}.limits[{name}]"), errors);
    }
    for (name, text) in requests {
        let here = format!("{field}.requests[{name}]");
        let Some(request) = check_one(name, text, &here, errors) else { continue };
        let requests_field = format!("{field}.requests");
        match limits.get(name).and_then(Value::as_str).and_then(|limit| Quantity::parse(limit).ok())
        {
            Some(limit) if is_overcommittable(name) && request > limit => {
                let why = format!(
                    "must be less than or equal to {name} limit of {}",
                    bare(&limits[name])
                );
                errors.push(FieldError::invalid(requests_field, text.clone(), why));
            }
            Some(_) if is_overcommittable(name) => {}
            Some(limit) if request != limit => {
                let why = format!("must be equal to {name} limit of {}", bare(&limits[name]));
                errors.push(FieldError::invalid(requests_field, text.clone(), why));
            }
            Some(_) => {}
            None if !is_overcommittable(name) && !limits.contains_key(name) => {
                errors.push(FieldError::required(
                    format!("{field}.limits"),
                    "Limit must be set for non overcommitable resources",
                ));
            }
            None => {}
        }
    }
}

fn bare(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Checks name and amount of one resource of a container.
fn check_one(
    name: &str,
    text: &Value,
    field: &str,
    errors: &mut Vec<FieldError>,
) -> Option<Quantity> {
    for why in qualified_complaints(name) {
        errors.push(FieldError::invalid(field, name, why));
    }
    let standard = OVERCOMMITTABLE.contains(&name) || name.starts_with("hugepages-");
    if !standard && !name.contains('/') {
        errors.push(FieldError::invalid(field, name, "must be a standard resource for containers"));
    }
    let amount = amount(text, field, errors)?;
    if is_extended(name) && Quantity::whole(amount.ceil()) != amount {
        errors.push(FieldError::invalid(field, text.clone(), "must be an integer"));
    }
    Some(amount)
}

/// Resources that device plugins and operators offer: named under a domain that is not Kubernetes'.
fn is_extended(name: &str) -> bool {
    name.split_once('/')
        .is_some_and(|(domain, _)| domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io"))
}

fn is_overcommittable(name: &str) -> bool {
    !is_extended(name) && !name.starts_with("hugepages-")
}
