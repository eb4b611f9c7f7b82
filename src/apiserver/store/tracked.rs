//! A reader over JSON that remembers where it is: which fields nobody wanted, and where reading failed.
//! One thin layer on purpose: a built-in type is a few hundred generated visitors, each compiled once per reader
//! type, and the general crates for this (one for each question, nested) tripled the build of the whole binary.
//! For the same reason it also tells what a type looks like: without a value it hands out the smallest one of
//! every field and notes what was asked for.

use std::cell::RefCell;

use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::IntoDeserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde::forward_to_deserialize_any;
use serde_json::Error;
use serde_json::Map;
use serde_json::Value;

use crate::apiserver::store::decode::Place;
use crate::apiserver::store::decode::Step;
use crate::apiserver::store::structure::FieldType;
use crate::apiserver::store::structure::Leaf;
use crate::apiserver::store::structure::Opaque;
use crate::apiserver::store::structure::Structure;

/// What a read found out.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Where the reader is; where it stopped, once it has failed.
    here: RefCell<Vec<Step>>,
    /// Places of fields that the type does not have.
    unknown: RefCell<Vec<Place>>,
    /// The types seen so far, where a type is looked at and no value read.
    structure: RefCell<Structure>,
    /// The type that was asked for last: when a field was looked at, that of the field.
    found: RefCell<FieldType>,
    /// The field of which type is looked at; where looking stopped, once it has failed.
    looking_at: RefCell<Vec<(&'static str, &'static str)>>,
}

impl Track {
    /// Places of unknown fields, and the place at which reading ended.
    pub(super) fn into_parts(self) -> (Vec<Place>, Place) {
        (self.unknown.into_inner(), Place(self.here.into_inner()))
    }

    /// A track for a look at a type whose fields `opaque` are not looked into.
    pub(super) fn for_looking(opaque: Opaque) -> Self {
        let track = Self::default();
        track.structure.borrow_mut().opaque = opaque;
        track
    }

    /// The types that were seen, and the field at which looking ended.
    pub(super) fn into_structure(self) -> (Structure, Option<(&'static str, &'static str)>) {
        // Entries of maps have no name of their own; what they are in has.
        let named = |(of, _): &(&'static str, &'static str)| !of.is_empty();
        let last = self.looking_at.into_inner().into_iter().rev().find(named);
        (self.structure.into_inner(), last)
    }

    fn note(&self, found: FieldType) {
        self.found.replace(found);
    }

    fn found(&self) -> FieldType {
        self.found.borrow().clone()
    }

    /// Reads one step further down. The way back is not taken after a failure: it is the failed place.
    fn within<T>(&self, step: Step, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.here.borrow_mut().push(step);
        let value = read()?;
        self.here.borrow_mut().pop();
        Ok(value)
    }
}

/// What is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'de> {
    /// A JSON value.
    Json(&'de Value),
    /// Nothing: the type is looked at. The text stands for every text in it.
    Look(&'static str),
}

/// A value to read from, or a type to look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracked<'de, 't> {
    /// The value.
    pub(super) source: Source<'de>,
    /// Where findings go.
    pub(super) track: &'t Track,
}

/// A text that every type of time can be read from.
const SOME_TIME: &str = "1970-01-01T00:00:00Z";

macro_rules! leaves {
    ($($method:ident => $leaf:expr, $visit:ident($value:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.source {
                Source::Json(_) => self.deserialize_any(visitor),
                Source::Look(_) => {
                    self.track.note(FieldType::Leaf($leaf));
                    visitor.$visit($value)
                }
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracked<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.source {
            Source::Json(Value::Array(entries)) => {
                visitor.visit_seq(Entries { entries: entries.iter(), track: self.track, index: 0 })
            }
            Source::Json(Value::Object(fields)) => {
                visitor.visit_map(Fields::of(fields, self.track))
            }
            Source::Json(
                value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)),
            ) => value.deserialize_any(visitor),
            Source::Look(text) => {
                // Of the types that take several forms, only this one takes a text.
                self.track.note(FieldType::Leaf(Leaf::IntegerOrText));
                visitor.visit_borrowed_str(text)
            }
        }
    }

    leaves! {
        deserialize_bool => Leaf::Boolean, visit_bool(false);
        deserialize_i32 => Leaf::Integer32, visit_i32(0);
        deserialize_i64 => Leaf::Integer64, visit_i64(0);
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.source {
            Source::Json(_) => self.deserialize_any(visitor),
            Source::Look(text) => {
                self.track.note(FieldType::Leaf(Leaf::Text));
                visitor.visit_borrowed_str(text)
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.source {
            Source::Json(Value::Null) => visitor.visit_none(),
            Source::Json(
                Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_),
            )
            | Source::Look(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.source {
            Source::Json(_) => visitor.visit_newtype_struct(self),
            Source::Look(_) => {
                let is_time = matches!(name, "Time" | "MicroTime");
                let source = Source::Look(if is_time { SOME_TIME } else { "" });
                let read = visitor.visit_newtype_struct(Self { source, ..self })?;
                self.track.note(FieldType::Leaf(Leaf::of_wrapper(name)));
                Ok(read)
            }
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.source {
            Source::Json(_) => self.deserialize_any(visitor),
            Source::Look(_) => {
                let entries = std::slice::from_ref(&Value::Null).iter();
                let read =
                    visitor.visit_seq(Entries { entries, track: self.track, index: LOOKED })?;
                let of = self.track.found();
                self.track.note(FieldType::List(Box::new(of)));
                Ok(read)
            }
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.source {
            Source::Json(_) => self.deserialize_any(visitor),
            Source::Look(_) => {
                let read = visitor.visit_map(Fields::looked("", &["key"], self.track))?;
                let of = self.track.found();
                self.track.note(FieldType::Map(Box::new(of)));
                Ok(read)
            }
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.source {
            Source::Json(_) => self.deserialize_any(visitor),
            Source::Look(_) => {
                let is_new = self.track.structure.borrow_mut().begin(name);
                let looked: &[&str] = if is_new { fields } else { &[] };
                let read = visitor.visit_map(Fields::looked(name, looked, self.track))?;
                self.track.note(FieldType::Type(name));
                Ok(read)
            }
        }
    }

    /// The generated types ask for this where they do not know a field.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let here = self.track.here.borrow().clone();
        self.track.unknown.borrow_mut().push(Place(here));
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        tuple tuple_struct enum identifier
    }
}

/// The index of an entry that is looked at and not read.
const LOOKED: usize = usize::MAX;

struct Entries<'de, 't> {
    entries: std::slice::Iter<'de, Value>,
    track: &'t Track,
    index: usize,
}

impl<'de> SeqAccess<'de> for Entries<'de, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some(value) = self.entries.next() else { return Ok(None) };
        let track = self.track;
        if self.index == LOOKED {
            return seed.deserialize(Tracked { source: Source::Look(""), track }).map(Some);
        }
        let step = Step::Index(self.index);
        self.index += 1;
        let source = Source::Json(value);
        track.within(step, || seed.deserialize(Tracked { source, track })).map(Some)
    }
}

/// The fields of an object, or those of a type.
enum Fields<'de, 't> {
    Read {
        fields: serde_json::map::Iter<'de>,
        track: &'t Track,
        next: Option<(&'de str, &'de Value)>,
    },
    Looked {
        /// The type's name; empty for a map.
        of: &'static str,
        fields: std::slice::Iter<'static, &'static str>,
        track: &'t Track,
        next: &'static str,
    },
}

impl<'de, 't> Fields<'de, 't> {
    fn of(fields: &'de Map<String, Value>, track: &'t Track) -> Self {
        Self::Read { fields: fields.iter(), track, next: None }
    }

    fn looked(of: &'static str, fields: &'static [&'static str], track: &'t Track) -> Self {
        Self::Looked { of, fields: fields.iter(), track, next: "" }
    }
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let key = match self {
            Self::Read { fields, next, .. } => {
                let Some((key, value)) = fields.next() else { return Ok(None) };
                *next = Some((key, value));
                key.as_str()
            }
            Self::Looked { of, fields, track, next } => {
                let unread = |field: &&&'static str| track.structure.borrow_mut().skips(of, field);
                let Some(key) = fields.find(|field| !unread(field)) else { return Ok(None) };
                *next = key;
                *key
            }
        };
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        match self {
            Self::Read { track, next, .. } => {
                let (key, value) = next.take().expect("serde asks for a key before its value");
                let (track, step) = (*track, Step::Key(key.to_owned()));
                let source = Source::Json(value);
                track.within(step, || seed.deserialize(Tracked { source, track }))
            }
            Self::Looked { of, track, next, .. } => {
                let track = *track;
                track.looking_at.borrow_mut().push((of, next));
                let value = seed.deserialize(Tracked { source: Source::Look(""), track })?;
                track.looking_at.borrow_mut().pop();
                track.structure.borrow_mut().add(of, next, track.found());
                Ok(value)
            }
        }
    }
}
