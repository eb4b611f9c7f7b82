//! A reader over JSON that remembers where it is: which fields nobody wanted, and where reading failed.
//! One thin layer on purpose: a built-in type is a few hundred generated visitors, each compiled once per reader
//! type, and the general crates for this (one for each question, nested) tripled the build of the whole binary.

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

/// What a read found out.
#[derive(Debug, Default)]
pub(super) struct Track {
    /// Where the reader is; where it stopped, once it has failed.
    here: RefCell<Vec<Step>>,
    /// Places of fields that the type does not have.
    unknown: RefCell<Vec<Place>>,
}

impl Track {
    /// Places of unknown fields, and the place at which reading ended.
    pub(super) fn into_parts(self) -> (Vec<Place>, Place) {
        (self.unknown.into_inner(), Place(self.here.into_inner()))
    }

    /// Reads one step further down. The way back is not taken after a failure: it is the failed place.
    fn within<T>(&self, step: Step, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.here.borrow_mut().push(step);
        let value = read()?;
        self.here.borrow_mut().pop();
        Ok(value)
    }
}

/// A JSON value to read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tracked<'de, 't> {
    /// The value.
    pub(super) value: &'de Value,
    /// Where findings go.
    pub(super) track: &'t Track,
}

impl<'de> Deserializer<'de> for Tracked<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Array(entries) => {
                visitor.visit_seq(Entries { entries: entries.iter(), track: self.track, index: 0 })
            }
            Value::Object(fields) => visitor.visit_map(Fields::new(fields, self.track)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                self.value.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// The generated types ask for this where they do not know a field.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let here = self.track.here.borrow().clone();
        self.track.unknown.borrow_mut().push(Place(here));
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier
    }
}

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
        let step = Step::Index(self.index);
        self.index += 1;
        let track = self.track;
        track.within(step, || seed.deserialize(Tracked { value, track })).map(Some)
    }
}

struct Fields<'de, 't> {
    fields: serde_json::map::Iter<'de>,
    track: &'t Track,
    next: Option<(&'de str, &'de Value)>,
}

impl<'de, 't> Fields<'de, 't> {
    fn new(fields: &'de Map<String, Value>, track: &'t Track) -> Self {
        Self { fields: fields.iter(), track, next: None }
    }
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((key, value)) = self.fields.next() else { return Ok(None) };
        self.next = Some((key, value));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let (key, value) = self.next.take().expect("serde asks for a key before its value");
        let track = self.track;
        let step = Step::Key(key.to_owned());
        track.within(step, || seed.deserialize(Tracked { value, track }))
    }
}
