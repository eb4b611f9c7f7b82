//! Reads an object's JSON as its built-in type, to find what a typed API server would find:
//! fields of the wrong type, and fields that the type does not have.
//! The object itself stays JSON; unknown fields are cut from it, as upstream drops them.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_ignored::Path;
use serde_json::Value;
use serde_path_to_error::Segment;

/// One step from an object to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field of an object.
    Key(String),
    /// An entry of a list.
    Index(usize),
}

/// The place of a field within an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(pub Vec<Step>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if index == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}

impl Place {
    /// The part of `object` at this place.
    pub fn find<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(object, |part, step| match step {
            Step::Key(key) => part.get(key),
            Step::Index(index) => part.get(index),
        })
    }

    /// Takes the field at this place out of `object`.
    pub fn cut_from(&self, object: &mut Value) {
        let Some((last, parents)) = self.0.split_last() else { return };
        let mut part = object;
        for step in parents {
            let next = match step {
                Step::Key(key) => part.get_mut(key),
                Step::Index(index) => part.get_mut(index),
            };
            let Some(next) = next else { return };
            part = next;
        }
        if let (Step::Key(key), Some(fields)) = (last, part.as_object_mut()) {
            fields.shift_remove(key);
        }
    }
}

/// Reads a value as a type; gives the places of unknown fields.
///
/// # Errors
/// The text of a Go decoder for a field of the wrong type.
pub type Decode = fn(&Value) -> Result<Vec<Place>, String>;

/// A [`Decode`] for `T`.
///
/// # Errors
/// When a field has a type that `T` cannot hold.
pub fn as_type<T: DeserializeOwned>(object: &Value) -> Result<Vec<Place>, String> {
    let mut unknown = Vec::new();
    let mut note = |path: Path<'_>| unknown.push(place(&path));
    let reader = serde_ignored::Deserializer::new(object, &mut note);
    let read: Result<T, _> = serde_path_to_error::deserialize(reader);
    read.map(|_| unknown).map_err(|error| {
        wrong_type(object, &failed_place(error.path()), &error.inner().to_string())
    })
}

/// A [`Decode`] for kinds whose fields are not checked.
///
/// # Errors
/// Never.
pub fn anything(_: &Value) -> Result<Vec<Place>, String> {
    Ok(Vec::new())
}

fn place(path: &Path<'_>) -> Place {
    let mut steps = Vec::new();
    let mut here = path;
    loop {
        match here {
            Path::Root => break,
            Path::Seq { parent, index } => {
                steps.push(Step::Index(*index));
                here = parent;
            }
            Path::Map { parent, key } => {
                steps.push(Step::Key(key.clone()));
                here = parent;
            }
            Path::Some { parent }
            | Path::NewtypeStruct { parent }
            | Path::NewtypeVariant { parent } => here = parent,
        }
    }
    steps.reverse();
    Place(steps)
}

fn failed_place(path: &serde_path_to_error::Path) -> Place {
    let mut steps = Vec::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => steps.push(Step::Index(*index)),
            Segment::Map { key } => steps.push(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    Place(steps)
}

/// Words a type error as Go's decoder does: what was found, where, and what belongs there.
fn wrong_type(object: &Value, place: &Place, reason: &str) -> String {
    let found = place.find(object).map_or("value", |value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    });
    let expected = reason.split_once("expected ").map_or(reason, |(_, expected)| expected);
    let go_type = match expected {
        "a string" | "a borrowed string" => "string",
        "a boolean" => "bool",
        "i32" => "int32",
        "i64" => "int64",
        "a sequence" => "slice",
        "a map" => "map",
        other => other,
    };
    if place.0.is_empty() {
        return format!("json: cannot unmarshal {found} into Go value of type {go_type}");
    }
    format!("json: cannot unmarshal {found} into Go struct field {place} of type {go_type}")
}
