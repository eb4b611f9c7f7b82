//! Columns that a CustomResourceDefinition declares (`additionalPrinterColumns`), read with the
//! simple JSONPath that kube-apiserver accepts there: fields, indices, `[*]`, and one filter form,
//! `[?(@.type=="Ready")]`. A path that finds nothing gives an empty cell.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{Column, age, name};
use crate::apiserver::store::custom::PrinterColumn;
use crate::base::time::Time;

/// The columns of a definition that declares none.
static AGE_ALONE: LazyLock<Vec<PrinterColumn>> = LazyLock::new(|| {
    vec![PrinterColumn {
        name: "Age".into(),
        of: "date".into(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        json_path: ".metadata.creationTimestamp".into(),
    }]
});

fn or_age(columns: &[PrinterColumn]) -> &[PrinterColumn] {
    if columns.is_empty() { &AGE_ALONE } else { columns }
}

/// The heading of every column, the name first.
pub(super) fn definitions(columns: &[PrinterColumn]) -> Vec<Value> {
    let mut definitions = vec![Column::name().definition()];
    definitions.extend(or_age(columns).iter().map(|column| {
        json!({
            "name": column.name,
            "type": column.of,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        })
    }));
    definitions
}

/// The object's cells in the order of `definitions`.
pub(super) fn cells(columns: &[PrinterColumn], object: &Value, now: Time) -> Vec<Value> {
    let mut cells = vec![name(object)];
    cells.extend(or_age(columns).iter().map(|column| {
        let path = Path::parse(&column.json_path);
        cell(&column.of, &path.find(object), now)
    }));
    cells
}

/// What is shown of the values that a path found, by the type of its column.
fn cell(kind: &str, found: &[&Value], now: Time) -> Value {
    let Some(first) = found.first() else { return Value::Null };
    match kind {
        "integer" => first.as_i64().map_or(Value::Null, |number| json!(number)),
        "number" | "boolean" => (*first).clone(),
        "date" if age::instant(Some(first)).is_some() => json!(age::since(Some(first), now)),
        _ => {
            let texts: Vec<String> = found.iter().map(|value| plain_text(value)).collect();
            json!(texts.join(" "))
        }
    }
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

/// One step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    /// The value of a key.
    Field(String),
    /// An item of a list; negative counts from its end.
    Item(i64),
    /// Every item or value.
    Each,
    /// The items in which the field has this value.
    Where(String, String),
}

/// A parsed JSONPath; one that cannot be read finds nothing.
#[derive(Debug, PartialEq)]
struct Path(Option<Vec<Step>>);

impl Path {
    fn parse(text: &str) -> Self {
        let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}');
        rest = rest.strip_prefix('$').unwrap_or(rest);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let Some((step, after)) = next_step(rest) else { return Self(None) };
            steps.extend(step);
            rest = after;
        }
        Self(Some(steps))
    }

    fn find<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let Some(steps) = &self.0 else { return Vec::new() };
        steps.iter().fold(vec![object], |found, step| {
            found.into_iter().flat_map(|value| follow(step, value)).collect()
        })
    }
}

/// The first step of a path and what follows it; the step is absent for a lone leading dot.
fn next_step(path: &str) -> Option<(Option<Step>, &str)> {
    if let Some(inside) = path.strip_prefix('[') {
        let (inside, after) = split_bracket(inside)?;
        return Some((Some(bracket_step(inside)?), after));
    }
    let field = path.strip_prefix('.')?;
    let mut key = String::new();
    let mut escaped = false;
    let mut end = field.len();
    for (index, letter) in field.char_indices() {
        match letter {
            _ if escaped => {
                key.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '.' | '[' => {
                end = index;
                break;
            }
            letter => key.push(letter),
        }
    }
    let step = match key.as_str() {
        "" => None,
        "*" => Some(Step::Each),
        _ => Some(Step::Field(key)),
    };
    // `..` (recursive descent) is not simple JSONPath, and a dot alone is only the root.
    if step.is_none() && end < field.len() && field.starts_with('.') {
        return None;
    }
    Some((step, &field[end..]))
}

/// Splits at the bracket that closes this one, minding quotes.
fn split_bracket(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (index, letter) in text.char_indices() {
        match (quote, letter) {
            (None, ']') => return Some((&text[..index], &text[index + 1..])),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if letter == open => quote = None,
            (None | Some(_), _) => {}
        }
    }
    None
}

fn bracket_step(inside: &str) -> Option<Step> {
    let inside = inside.trim();
    if inside == "*" {
        return Some(Step::Each);
    }
    if let Some(key) = unquoted(inside) {
        return Some(Step::Field(key.into()));
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        let (field, value) = filter.split_once("==")?;
        let field = field.trim().strip_prefix("@.")?;
        let value = value.trim();
        return Some(Step::Where(field.into(), unquoted(value).unwrap_or(value).into()));
    }
    inside.parse().ok().map(Step::Item)
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

fn follow<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Field(key), Value::Object(map)) => map.get(key).into_iter().collect(),
        (Step::Item(index), Value::Array(items)) => {
            let length = i64::try_from(items.len()).expect("no list has 2^63 items");
            let index = if *index < 0 { index + length } else { *index };
            usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
        }
        (Step::Each, Value::Array(items)) => items.iter().collect(),
        (Step::Each, Value::Object(map)) => map.values().collect(),
        (Step::Where(field, wanted), Value::Array(items)) => items
            .iter()
            .filter(|item| item.get(field).is_some_and(|found| plain_text(found) == *wanted))
            .collect(),
        (Step::Field(_) | Step::Item(_) | Step::Each | Step::Where(..), _) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, PrinterColumn, cells};
    use crate::base::time::{Span, Time};
    use serde_json::json;

    #[test]
    fn simple_json_paths_find_what_kubectl_finds() {
        let object = json!({"spec": {"minMember": 4, "list": ["a", "b"]},
            "metadata": {"annotations": {"muster.dev/x": "y"}},
            "status": {"conditions": [{"type": "Old", "status": "Unknown"}, {"type": "Ready", "status": "True"}]}});
        let found = |path: &str| {
            let found = Path::parse(path).find(&object);
            found.into_iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(found(".spec.minMember"), [json!(4)]);
        assert_eq!(found("{.spec.minMember}"), [json!(4)]);
        assert_eq!(found(".spec.list[*]"), [json!("a"), json!("b")]);
        assert_eq!(found(".spec.list[-1]"), [json!("b")]);
        assert_eq!(found(".metadata.annotations.muster\\.dev/x"), [json!("y")]);
        assert_eq!(found(".metadata.annotations['muster.dev/x']"), [json!("y")]);
        assert_eq!(found(r#".status.conditions[?(@.type=="Ready")].status"#), [json!("True")]);
        for nothing in [".spec.absent", "..minMember", ".spec.list[", ".spec.list[7]", "spec"] {
            assert!(found(nothing).is_empty(), "{nothing}");
        }
    }

    #[test]
    fn cells_follow_the_type_of_their_column() {
        let columns = [
            ("integer", ".spec.minMember"),
            ("string", ".spec.hosts[*]"),
            ("string", ".status.phase"),
            ("date", ".metadata.creationTimestamp"),
        ];
        let columns = columns.map(|(of, path)| PrinterColumn {
            name: path.into(),
            of: of.into(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            json_path: path.into(),
        });
        let object = json!({"metadata": {"name": "g", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"minMember": 4, "hosts": ["a", "b"]}});
        let shown = cells(&columns, &object, Time::EPOCH + Span::seconds(300));
        assert_eq!(shown, [json!("g"), json!(4), json!("a b"), json!(null), json!("5m")]);
        let alone = cells(&[], &object, Time::EPOCH + Span::seconds(300));
        assert_eq!(alone, [json!("g"), json!("5m")]);
    }
}
