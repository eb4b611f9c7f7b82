//! Lenient reading: JSON into our own lean structs, one bad field at a time.
//! A field that does not parse is left out and named; the rest of the object, and every other object, is kept.
//! Knows nothing of what the fields mean. Unknown fields are ignored; `null` is the same as absent, as in Kubernetes.

use serde::Deserialize;
use serde::Deserializer;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

/// How many bad fields of one object are taken out one by one; beyond that whole parts of it are.
/// An API server refuses such objects, so more than one is rare.
const BAD_FIELDS_MAX: usize = 16;

/// How many parts are taken out whole before the object counts as unreadable; no object that is read here has more.
const BAD_PARTS_MAX: usize = 32;

/// How deep a part lies that is taken out whole: `metadata.labels`, `spec.containers`. Who an object is stands above.
const PART_DEPTH: usize = 2;

/// How much of a wrong value a message shows, in characters.
const SHOWN_VALUE_MAX: usize = 64;

/// How much of the parser's reason a message shows; it may quote the whole value.
const SHOWN_REASON_MAX: usize = 160;

/// An object as read, and what of it could not be read.
#[derive(Clone, Debug, Default)]
pub struct Read<T> {
    /// The object; fields that did not parse hold their defaults.
    pub object: T,
    /// One sentence for each field that did not parse: field, value, remedy.
    pub problems: Vec<String>,
}

/// Reads `value` as a `T`, leaving out what does not parse.
pub fn read<T: DeserializeOwned + Default>(value: &Value) -> Read<T> {
    if let Ok(object) = T::deserialize(value) {
        return Read { object, problems: Vec::new() };
    }
    let mut rest = value.clone();
    let mut problems = Vec::new();
    while problems.len() < BAD_FIELDS_MAX + BAD_PARTS_MAX {
        match serde_path_to_error::deserialize::<_, T>(&rest) {
            Ok(object) => return Read { object, problems },
            Err(error) => {
                let depth = if problems.len() < BAD_FIELDS_MAX { usize::MAX } else { PART_DEPTH };
                let (path, removed) = prune(&mut rest, error.path(), depth);
                problems.push(format!(
                    "{path}: {} cannot be read ({}); write it as the Kubernetes API reference defines it",
                    shown(&removed),
                    cut(&error.inner().to_string(), SHOWN_REASON_MAX)
                ));
            }
        }
    }
    Read { object: T::default(), problems }
}

/// Reads an object from its text, leaving out what does not parse.
///
/// # Errors
/// The text is no JSON.
pub fn read_text<T: DeserializeOwned + Default>(text: &str) -> serde_json::Result<Read<T>> {
    if let Ok(object) = serde_json::from_str(text) {
        return Ok(Read { object, problems: Vec::new() });
    }
    // Only a tree can be read again without the field that does not parse, and few objects need one.
    Ok(read(&serde_json::from_str(text)?))
}

/// For `#[serde(deserialize_with)]`: `null` counts as absent.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A value for a message, cut where it is long.
fn shown(value: &Value) -> String {
    cut(&value.to_string(), SHOWN_VALUE_MAX)
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Takes the value at `path` out of `value`, or what lies above it at `depth`; the nearest part of the path that
/// exists, if it is not there. Returns the path as people write it, and what was taken out.
fn prune(value: &mut Value, path: &serde_path_to_error::Path, depth: usize) -> (String, Value) {
    let segments: Vec<&Segment> = path
        .iter()
        .filter(|segment| matches!(segment, Segment::Seq { .. } | Segment::Map { .. }))
        .take(depth)
        .collect();
    let Some((last, parents)) = segments.split_last() else {
        return ("the object".to_owned(), value.take());
    };
    let mut shown_path = String::new();
    let mut place = value;
    for segment in parents {
        push_segment(&mut shown_path, segment);
        place = match child(place, segment) {
            Some(next) => next,
            None => return (shown_path, Value::Null),
        };
    }
    push_segment(&mut shown_path, last);
    let removed = match (place, last) {
        (Value::Object(fields), Segment::Map { key }) => fields.shift_remove(key),
        (Value::Array(items), Segment::Seq { index }) if *index < items.len() => {
            Some(items.remove(*index))
        }
        (other, _) => Some(other.take()),
    };
    (shown_path, removed.unwrap_or(Value::Null))
}

fn child<'a>(value: &'a mut Value, segment: &Segment) -> Option<&'a mut Value> {
    match segment {
        Segment::Map { key } => value.get_mut(key),
        Segment::Seq { index } => value.get_mut(index),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn push_segment(path: &mut String, segment: &Segment) {
    match segment {
        Segment::Map { key } => {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
        }
        Segment::Seq { index } => path.push_str(&format!("[{index}]")),
        Segment::Enum { .. } | Segment::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::{nullable, read};

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Shelf {
        #[serde(deserialize_with = "nullable")]
        books: Vec<Book>,
        #[serde(deserialize_with = "nullable")]
        labels: BTreeMap<String, String>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Book {
        pages: u32,
        title: String,
    }

    #[test]
    fn one_bad_field_costs_only_itself() {
        let value = json!({"books": [{"pages": 1, "title": "a"}, {"pages": "many", "title": "b"}], "labels": {"k": "v"}});
        let got = read::<Shelf>(&value);
        assert_eq!(got.object.books.len(), 2);
        assert_eq!(got.object.books[1], Book { pages: 0, title: "b".to_owned() });
        assert_eq!(got.object.labels["k"], "v");
        assert_eq!(got.problems.len(), 1);
        assert!(
            got.problems[0].starts_with("books[1].pages: \"many\" cannot be read"),
            "{}",
            got.problems[0]
        );
    }

    #[test]
    fn several_bad_fields_are_all_named() {
        let value = json!({"books": "none", "labels": {"k": 3, "l": "v"}});
        let got = read::<Shelf>(&value);
        assert_eq!(got.problems.len(), 2);
        assert_eq!(got.object.labels.get("l").map(String::as_str), Some("v"));
    }

    #[test]
    fn null_is_absent() {
        let got = read::<Shelf>(&json!({"books": null, "labels": null, "unknown": {"x": 1}}));
        assert!(got.problems.is_empty());
        assert_eq!(got.object, Shelf::default());
    }

    #[test]
    fn what_is_no_object_at_all_is_said() {
        let got = read::<Shelf>(&json!("text"));
        assert!(
            got.problems[0].starts_with("the object: \"text\" cannot be read"),
            "{}",
            got.problems[0]
        );
    }

    #[test]
    fn many_bad_fields_cost_their_part_of_the_object_and_not_its_name() {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Library {
            metadata: Book,
            spec: Shelf,
        }
        let many: Vec<_> = (0..4000).map(|_| json!({"pages": "x"})).collect();
        let spec = json!({"books": many, "labels": {"k": "v"}});
        let got = read::<Library>(&json!({"spec": spec, "metadata": {"title": "t"}}));
        assert_eq!(got.problems.len(), super::BAD_FIELDS_MAX + 1);
        assert!(got.problems[super::BAD_FIELDS_MAX].starts_with("spec.books: "), "{got:?}");
        assert_eq!((got.object.metadata.title.as_str(), got.object.spec.books.len()), ("t", 0));
        assert_eq!(got.object.spec.labels["k"], "v");
    }

    #[test]
    fn a_long_value_is_cut_in_the_message() {
        let got = read::<Shelf>(&json!({"books": "é".repeat(500)}));
        assert!(got.problems[0].contains("..."));
        assert!(got.problems[0].chars().count() < 400);
    }
}
