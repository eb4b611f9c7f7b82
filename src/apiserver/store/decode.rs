//! Reads an object's JSON as its built-in type, to find what a typed API server would find:
//! fields of the wrong type, and fields that the type does not have.
//! The object itself stays JSON; unknown fields are cut from it, as upstream drops them.
//! The same reader tells the structure of a type.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Error;
use serde_json::Value;

use crate::apiserver::store::structure::Opaque;
use crate::apiserver::store::structure::Structure;
use crate::apiserver::store::tracked::Source;
use crate::apiserver::store::tracked::Track;
use crate::apiserver::store::tracked::Tracked;

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

/// A built-in type as a reader: of values, and of itself.
#[derive(Clone, Copy)]
pub struct Decode(fn(Tracked<'_, '_>) -> Result<(), Error>);

impl fmt::Debug for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decode")
    }
}

impl Decode {
    /// The reader for `T`.
    pub const fn of<T: DeserializeOwned>() -> Self {
        Self(|tracked| T::deserialize(tracked).map(|_| ()))
    }

    /// Reads an object; gives the places of fields that the type does not have.
    ///
    /// # Errors
    /// The text of a Go decoder for a field of the wrong type.
    pub fn read(self, object: &Value) -> Result<Vec<Place>, String> {
        let track = Track::default();
        let read = (self.0)(Tracked { source: Source::Json(object), track: &track });
        let (unknown, last) = track.into_parts();
        read.map(|()| unknown).map_err(|error| wrong_type(object, &last, &error.to_string()))
    }

    /// What the type looks like.
    pub fn structure(self) -> Structure {
        let mut opaque = Opaque::default();
        // A field that accepts no stand-in ends the look; the next one passes over it.
        loop {
            let track = Track::for_looking(opaque);
            let looked = (self.0)(Tracked { source: Source::Look(""), track: &track });
            let (structure, last) = track.into_structure();
            match (looked, last) {
                (Ok(()), _) | (Err(_), None) => return structure,
                (Err(_), Some(last)) => {
                    opaque = structure.opaque;
                    opaque.insert(last);
                }
            }
        }
    }
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
