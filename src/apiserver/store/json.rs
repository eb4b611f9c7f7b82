//! Reads JSON text and notes keys that occur twice in one object, which `fieldValidation=Strict`
//! refuses and plain parsers hide. The last value wins, as in Go.
//! Knows no kind and no field: what a repeated key means is for the caller.
//! Depth is bounded by the parser, so a deep body is an error and no overflow.

use std::cell::RefCell;
use std::fmt;

use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::apiserver::store::decode::Place;
use crate::apiserver::store::decode::Step;

/// Parses `text`; gives the value and the places of keys that occurred more than once.
///
/// # Errors
/// When the text is not JSON; the parser's words.
pub fn parse(text: &[u8]) -> Result<(Value, Vec<Place>), String> {
    let notes = Notes::default();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value =
        Reader { notes: &notes }.deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok((value, notes.repeated.into_inner()))
}

/// Parses `text` as YAML, which JSON is too.
///
/// # Errors
/// When the text is no single YAML document, or is nested or repeated too deeply; the parser's words.
pub fn parse_yaml(text: &[u8]) -> Result<Value, String> {
    // Most clients send JSON, and its parser is many times faster.
    if let Ok(value) = serde_json::from_slice(text) {
        return Ok(value);
    }
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| unread_yaml(&error))
}

/// The parser's words, or ours where its own are for programmers who call it.
fn unread_yaml(error: &serde_saphyr::Error) -> String {
    let error = error.without_snippet();
    let serde_saphyr::Error::DuplicateMappingKey { key, location } = error else {
        return error.to_string();
    };
    let shown = key.as_ref().map_or_else(String::new, |key| format!(" {key:?}"));
    let (line, column) = (location.line(), location.column());
    format!(
        "line {line}, column {column}: the key{shown} stands twice in one mapping; keep one of the two"
    )
}

#[derive(Default)]
struct Notes {
    here: RefCell<Vec<Step>>,
    repeated: RefCell<Vec<Place>>,
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    notes: &'a Notes,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        self.notes.here.borrow_mut().push(Step::Index(0));
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
            if let Some(Step::Index(index)) = self.notes.here.borrow_mut().last_mut() {
                *index = items.len();
            }
        }
        self.notes.here.borrow_mut().pop();
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            self.notes.here.borrow_mut().push(Step::Key(key.clone()));
            let value = access.next_value_seed(self)?;
            if fields.insert(key, value).is_some() {
                let place = Place(self.notes.here.borrow().clone());
                let mut repeated = self.notes.repeated.borrow_mut();
                if !repeated.contains(&place) {
                    repeated.push(place);
                }
            }
            self.notes.here.borrow_mut().pop();
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;
    use super::parse_yaml;

    #[test]
    fn a_key_that_stands_twice_in_yaml_is_told_with_its_place_and_remedy() {
        let refused = parse_yaml(b"kind: Pod\nmetadata:\n  name: a\n  name: b\n");
        let expected =
            "line 4, column 3: the key \"name\" stands twice in one mapping; keep one of the two";
        assert_eq!(refused, Err(expected.to_owned()));
    }

    #[test]
    fn repeated_keys_are_noted_with_their_place_and_the_last_wins() {
        let (value, repeated) =
            parse(br#"{"a": 1, "b": [{"c": 1}, {"c": 1, "c": 2, "c": 3}], "a": {"x": null}}"#)
                .expect("is JSON");
        assert_eq!(value, json!({"a": {"x": null}, "b": [{"c": 1}, {"c": 3}]}));
        let shown: Vec<String> = repeated.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["b[1].c", "a"]);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "{} x", "[1,]", "nul"] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?} is not JSON");
        }
    }
}
