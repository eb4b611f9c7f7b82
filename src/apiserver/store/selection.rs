//! Which objects a list or watch is about: label and field selectors.
//! Field selectors read the kept form of an object by paths that its resource declares; an unknown
//! field is refused in upstream's words. Knows no request.

use serde_json::Value;

use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::resource::Resource;
use crate::apiserver::store::resource::Scope;
use crate::apiserver::store::resource::SelectableField;
use crate::apiserver::store::shelf::Stored;
use crate::base::labels::LabelSelector;
use crate::base::names::Name;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=` or `==`.
    Equal,
    /// `!=`.
    NotEqual,
}

/// One condition on a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    /// Where the field is.
    pub field: SelectableField,
    /// The comparison.
    pub comparison: Comparison,
    /// The text compared with.
    pub value: Name,
}

/// Label and field selectors together; the default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Conditions on labels.
    pub labels: LabelSelector,
    /// Conditions on fields; all must hold.
    pub fields: Vec<FieldRequirement>,
}

impl Selection {
    /// Reads the selectors of a request to `resource`; empty texts select everything.
    ///
    /// # Errors
    /// 400 when a text is no selector, or a field is not selectable.
    pub fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = LabelSelector::parse(labels)
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        let mut requirements = Vec::new();
        for term in terms(fields) {
            let (key, comparison, value) = split_term(&term).ok_or_else(|| {
                Failure::bad_request(format!(
                    "invalid selector: '{fields}'; can't understand '{term}'"
                ))
            })?;
            let field = selectable(resource, &key)?;
            requirements.push(FieldRequirement {
                field,
                comparison,
                value: unescape(&value).as_str().into(),
            });
        }
        Ok(Self { labels, fields: requirements })
    }

    /// True if it selects everything.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty()
    }

    /// True if a stored object is selected.
    pub fn takes(&self, object: &Stored) -> bool {
        self.is_everything() || self.matches(&object.value())
    }

    /// True if `object`, in its kept form, is selected.
    pub fn matches(&self, object: &Value) -> bool {
        self.fields.iter().all(|requirement| requirement.holds(object))
            && (self.labels.is_everything()
                || self.labels.matches_json(
                    object.get("metadata").and_then(|metadata| metadata.get("labels")),
                ))
    }

    /// The value that `key` must be equal to, if the fields ask for one.
    pub fn required(&self, key: &str) -> Option<&str> {
        let wanted = |requirement: &&FieldRequirement| {
            requirement.comparison == Comparison::Equal && &*requirement.field.key == key
        };
        self.fields.iter().find(wanted).map(|requirement| &*requirement.value)
    }
}

impl FieldRequirement {
    fn holds(&self, object: &Value) -> bool {
        let found = self.field.path.iter().try_fold(object, |part, key| part.get(&**key));
        let equal = match found {
            Some(Value::String(text)) => *text == *self.value,
            Some(Value::Bool(flag)) => *self.value == *(if *flag { "true" } else { "false" }),
            Some(Value::Number(number)) => number.to_string() == *self.value,
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => {
                self.field.absent == self.value
            }
        };
        match self.comparison {
            Comparison::Equal => equal,
            Comparison::NotEqual => !equal,
        }
    }
}

/// Splits at commas that are not escaped; empty terms are left out, as upstream does.
fn terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            terms.push(String::new());
        } else if let Some(term) = terms.last_mut() {
            term.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    terms.retain(|term| !term.is_empty());
    terms
}

fn split_term(term: &str) -> Option<(String, Comparison, String)> {
    for (index, c) in term.char_indices() {
        let rest = &term[index..];
        let (comparison, width) = if rest.starts_with("!=") {
            (Comparison::NotEqual, 2)
        } else if rest.starts_with("==") {
            (Comparison::Equal, 2)
        } else if c == '=' {
            (Comparison::Equal, 1)
        } else {
            continue;
        };
        return Some((term[..index].to_owned(), comparison, rest[width..].to_owned()));
    }
    None
}

fn unescape(value: &str) -> String {
    let mut text = String::new();
    let mut escaped = false;
    for c in value.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            text.push(c);
            escaped = false;
        }
    }
    text
}

fn selectable(resource: &Resource, key: &str) -> Result<SelectableField, Failure> {
    let metadata = |field: &str| SelectableField {
        key: key.into(),
        path: vec!["metadata".into(), field.into()],
        absent: "".into(),
    };
    match key {
        "metadata.name" => return Ok(metadata("name")),
        "metadata.namespace"
            if resource.scope == Scope::Namespaced || resource.fields.is_empty() =>
        {
            return Ok(metadata("namespace"));
        }
        _ => {}
    }
    if let Some(field) = resource.fields.iter().find(|field| &*field.key == key) {
        return Ok(field.clone());
    }
    // Kinds with selectable fields of their own word it differently from those without.
    let message = if resource.fields.is_empty() && resource.custom().is_none() {
        format!(
            "\"{key}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else {
        format!("field label not supported: {key}")
    };
    Err(Failure::bad_request(message))
}
