//! Failed requests: the `Status` body an API server answers, with reason, code, details, and causes.
//! Wording follows `k8s.io/apimachinery/pkg/api/errors` and `util/validation/field`, since people and
//! programs read it. Knows no resource; whoever fails names it.

use std::fmt;

use serde_json::{Map, Value, json};

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason, for example `NotFound`; empty where upstream leaves it out.
    pub reason: &'static str,
    /// What people read.
    pub message: String,
    /// What the failure is about.
    pub details: Box<Details>,
}

/// The `details` of a [`Failure`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// API group of its kind.
    pub group: String,
    /// Resource or kind, whichever upstream gives for the reason.
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// Single causes, for example one per invalid field.
    pub causes: Vec<Cause>,
    /// A token with which an expired list can go on inconsistently; empty otherwise. Shown in the
    /// `metadata` of the `Status`.
    pub continue_token: String,
    /// When to try again, in seconds; 0 leaves it out.
    pub retry_after_seconds: u32,
}

/// One cause of a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable cause, for example `FieldValueInvalid`.
    pub reason: &'static str,
    /// What people read.
    pub message: String,
    /// Path of the field, where it is about one.
    pub field: String,
}

/// What an object or resource is called in messages: `pods`, `deployments.apps`.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Plural resource name.
    pub resource: &'a str,
    /// Kind.
    pub kind: &'a str,
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

impl Subject<'_> {
    fn details(&self, name: &str) -> Details {
        Details {
            name: name.to_owned(),
            group: self.group.to_owned(),
            kind: self.resource.to_owned(),
            ..Details::default()
        }
    }

    /// 404: no such object.
    pub fn not_found(&self, name: &str) -> Failure {
        Failure::new(404, "NotFound", format!("{self} \"{name}\" not found"))
            .about(self.details(name))
    }

    /// 409: the name is taken.
    pub fn already_exists(&self, name: &str) -> Failure {
        Failure::new(409, "AlreadyExists", format!("{self} \"{name}\" already exists"))
            .about(self.details(name))
    }

    /// 409: the object is not as the request supposes.
    pub fn conflict(&self, name: &str, why: &str) -> Failure {
        let message = format!("Operation cannot be fulfilled on {self} \"{name}\": {why}");
        Failure::new(409, "Conflict", message).about(self.details(name))
    }

    /// 409: the object has a newer version than the request was made from.
    pub fn stale(&self, name: &str) -> Failure {
        self.conflict(name, "the object has been modified; please apply your changes to the latest version and try again")
    }

    /// 403: admission says no.
    pub fn forbidden(&self, name: &str, why: &str) -> Failure {
        let message = if name.is_empty() {
            format!("{self} is forbidden: {why}")
        } else {
            format!("{self} \"{name}\" is forbidden: {why}")
        };
        Failure::new(403, "Forbidden", message).about(self.details(name))
    }

    /// 422: fields of the object are wrong. `errors` must not be empty.
    pub fn invalid(&self, name: &str, errors: &[FieldError]) -> Failure {
        let kind = if self.group.is_empty() {
            self.kind.to_owned()
        } else {
            format!("{}.{}", self.kind, self.group)
        };
        let listed = aggregate(errors);
        let details = Details {
            kind: self.kind.to_owned(),
            causes: errors.iter().map(FieldError::cause).collect(),
            ..self.details(name)
        };
        Failure::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {listed}"))
            .about(details)
    }
}

/// Reasons whose refusals have details even where there is nothing to say in them.
const HAS_DETAILS: [&str; 3] = ["NotFound", "MethodNotAllowed", "Invalid"];

/// The text of several errors, each said once.
pub(super) fn aggregate(errors: &[FieldError]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for error in errors {
        let text = error.to_string();
        if !shown.contains(&text) {
            shown.push(text);
        }
    }
    if shown.len() == 1 { shown.remove(0) } else { format!("[{}]", shown.join(", ")) }
}

impl Failure {
    /// A failure without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default() }
    }

    /// The same failure with details.
    #[must_use]
    pub fn about(mut self, details: Details) -> Self {
        *self.details = details;
        self
    }

    /// The same failure with a token to go on with.
    #[must_use]
    pub fn with_continue(mut self, token: String) -> Self {
        self.details.continue_token = token;
        self
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 404: no such path.
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
    }

    /// 405: the resource has no such verb.
    pub fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    /// 410: the version asked for is no longer kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 415: the body has a form that is not served here; `accepted` are the forms that are.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 500: as upstream wraps an unexpected error.
    pub fn internal(why: &str) -> Self {
        let details = Details {
            causes: vec![Cause { reason: "", message: why.to_owned(), field: String::new() }],
            ..Details::default()
        };
        Self::new(500, "InternalError", format!("Internal error occurred: {why}")).about(details)
    }

    /// 504: a resourceVersion from the future was asked for.
    pub fn version_too_large(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause = Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        let details = Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() };
        Self::new(504, "Timeout", message).about(details)
    }

    /// The `Status` object.
    pub fn to_json(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        let fields = status.as_object_mut().expect("just made as an object");
        if !self.details.continue_token.is_empty() {
            fields.insert("metadata".to_owned(), json!({"continue": self.details.continue_token}));
        }
        if !self.reason.is_empty() {
            fields.insert("reason".to_owned(), self.reason.into());
        }
        let details = self.details.to_json();
        if !details.is_empty() || HAS_DETAILS.contains(&self.reason) {
            fields.insert("details".to_owned(), Value::Object(details));
        }
        fields.insert("code".to_owned(), self.code.into());
        status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Details {
    fn to_json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        for (key, text) in
            [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)]
        {
            if !text.is_empty() {
                fields.insert(key.to_owned(), text.as_str().into());
            }
        }
        if !self.causes.is_empty() {
            let causes = self.causes.iter().map(Cause::to_json).collect();
            fields.insert("causes".to_owned(), Value::Array(causes));
        }
        if self.retry_after_seconds > 0 {
            fields.insert("retryAfterSeconds".to_owned(), self.retry_after_seconds.into());
        }
        fields
    }
}

impl Cause {
    fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for (key, text) in
            [("reason", self.reason), ("message", &self.message), ("field", &self.field)]
        {
            if !text.is_empty() {
                fields.insert(key.to_owned(), text.into());
            }
        }
        Value::Object(fields)
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It must be given.
    Required,
    /// It has a value that is not valid; the value as JSON.
    Invalid(Value),
    /// It has a value that is not valid and is shown as upstream's Go prints it, without quotes.
    InvalidBare(&'static str),
    /// It has a value that is not valid and is too large to be shown.
    InvalidUnshown,
    /// It has the wrong type; the value, or the name of its type.
    WrongType(Value),
    /// It is none of these values.
    NotSupported(Value, Vec<String>),
    /// It must not be given, or not be changed.
    Forbidden,
    /// It repeats another entry of the list.
    Duplicate(Value),
    /// It is longer than so many bytes.
    TooLong(usize),
    /// The list has more than so many entries.
    TooMany(usize, usize),
    /// It refers to what does not exist.
    NotFound(Value),
}

/// One wrong field of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path from the object's root, as upstream writes it: `spec.containers[0].image`.
    pub field: String,
    /// What is wrong.
    pub fault: Fault,
    /// More words; possibly empty.
    pub detail: String,
}

impl FieldError {
    /// A wrong field.
    pub fn new(field: impl Into<String>, fault: Fault, detail: impl Into<String>) -> Self {
        Self { field: field.into(), fault, detail: detail.into() }
    }

    /// A field with an invalid value.
    pub fn invalid(
        field: impl Into<String>,
        value: impl Into<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(field, Fault::Invalid(value.into()), detail)
    }

    /// An update without the resourceVersion that its kind needs.
    pub fn version_missing() -> Self {
        Self::new(
            "metadata.resourceVersion",
            Fault::InvalidBare("0x0"),
            "must be specified for an update",
        )
    }

    /// A field that must be given.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, Fault::Required, detail)
    }

    /// A field that must not be given or changed.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(field, Fault::Forbidden, detail)
    }

    /// A field whose value is none of `supported`.
    pub fn not_supported(
        field: impl Into<String>,
        value: impl Into<Value>,
        supported: &[&str],
    ) -> Self {
        let supported = supported.iter().map(|&value| value.to_owned()).collect();
        Self::new(field, Fault::NotSupported(value.into(), supported), "")
    }

    fn body(&self) -> String {
        let (head, listed) = match &self.fault {
            Fault::Required => ("Required value".to_owned(), None),
            Fault::Invalid(value) | Fault::WrongType(value) => {
                (format!("Invalid value: {}", shown(value)), None)
            }
            Fault::InvalidUnshown => ("Invalid value".to_owned(), None),
            Fault::InvalidBare(text) => (format!("Invalid value: {text}"), None),
            Fault::NotSupported(value, supported) => {
                let values = supported
                    .iter()
                    .map(|value| format!("\"{value}\""))
                    .collect::<Vec<_>>()
                    .join(", ");
                (
                    format!("Unsupported value: {}", shown(value)),
                    Some(format!("supported values: {values}")),
                )
            }
            Fault::Forbidden => ("Forbidden".to_owned(), None),
            Fault::Duplicate(value) => (format!("Duplicate value: {}", shown(value)), None),
            Fault::TooLong(limit) => {
                ("Too long".to_owned(), Some(format!("may not be more than {limit} bytes")))
            }
            Fault::TooMany(found, limit) => {
                (format!("Too many: {found}"), Some(format!("must have at most {limit} items")))
            }
            Fault::NotFound(value) => (format!("Not found: {}", shown(value)), None),
        };
        let detail = listed.as_deref().unwrap_or(&self.detail);
        if detail.is_empty() { head } else { format!("{head}: {detail}") }
    }

    fn cause(&self) -> Cause {
        let reason = match &self.fault {
            Fault::Required => "FieldValueRequired",
            Fault::Invalid(_) | Fault::InvalidBare(_) | Fault::InvalidUnshown => {
                "FieldValueInvalid"
            }
            Fault::WrongType(_) => "FieldValueTypeInvalid",
            Fault::NotSupported(..) => "FieldValueNotSupported",
            Fault::Forbidden => "FieldValueForbidden",
            Fault::Duplicate(_) => "FieldValueDuplicate",
            Fault::TooLong(_) => "FieldValueTooLong",
            Fault::TooMany(..) => "FieldValueTooMany",
            Fault::NotFound(_) => "FieldValueNotFound",
        };
        Cause { reason, message: self.body(), field: self.field.clone() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Values as upstream shows them: strings quoted, numbers bare, the rest as JSON.
fn shown(value: &Value) -> String {
    value.to_string()
}
