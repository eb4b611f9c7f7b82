//! What two servers may answer differently, given names that are the same for both: uids and versions in the order
//! in which they first appear, times, generated names. Members of objects are sorted.

use std::sync::LazyLock;

use regex::Captures;
use regex::Regex;
use serde_json::Map;
use serde_json::Value;

static UID: LazyLock<Regex> = LazyLock::new(|| {
    let hex = "[0-9a-f]";
    let uid = format!("{hex}{{8}}-{hex}{{4}}-{hex}{{4}}-{hex}{{4}}-{hex}{{12}}");
    Regex::new(&uid).expect("the expression is valid")
});

static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").expect("the expression is valid")
});

/// Versions in sentences: those of refusals.
static VERSION: LazyLock<Regex> = LazyLock::new(|| {
    let words = r"(?i)(resource ?version: |resource ?version in precondition: |resource ?version in object meta: |in record \(|in the precondition \(|, current: |too old resource version: )";
    let expression = format!(r"{words}\d+( \(\d+\))?");
    Regex::new(&expression).expect("the expression is valid")
});

/// How many characters a server adds to `generateName`.
const SUFFIX: usize = 5;

/// What has appeared in a case so far.
#[derive(Debug, Default)]
pub(crate) struct Normal {
    uids: Vec<String>,
    versions: Vec<String>,
    /// Generated names, each with what stands for it.
    names: Vec<(String, String)>,
}

impl Normal {
    /// `value` as both servers must answer it.
    pub(crate) fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(object) => Value::Object(self.object(object)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::String(text) => Value::String(self.text(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// `text` as both servers must answer it.
    pub(crate) fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, shown) in &self.names {
            text = text.replace(name, shown);
        }
        let uids = &mut self.uids;
        let text =
            UID.replace_all(&text, |found: &Captures<'_>| format!("uid{}", place(uids, &found[0])));
        let text = TIME.replace_all(&text, |found: &Captures<'_>| {
            // How precise a time is belongs to the contract.
            if found.get(1).is_some() { "MICROTIME" } else { "TIME" }
        });
        VERSION.replace_all(&text, "${1}VERSION").into_owned()
    }

    fn object(&mut self, object: &Map<String, Value>) -> Map<String, Value> {
        self.learn_generated_name(object);
        let mut keys: Vec<&String> = object.keys().collect();
        keys.sort();
        let mut normal = Map::new();
        for key in keys {
            let value = match (key.as_str(), &object[key]) {
                ("resourceVersion", Value::String(version)) if !version.is_empty() => {
                    Value::String(format!("v{}", place(&mut self.versions, version)))
                }
                (_, value) => self.value(value),
            };
            normal.insert(self.text(key), value);
        }
        normal
    }

    fn learn_generated_name(&mut self, metadata: &Map<String, Value>) {
        let text = |key: &str| metadata.get(key).and_then(Value::as_str);
        let (Some(name), Some(prefix)) = (text("name"), text("generateName")) else { return };
        let suffix = name.strip_prefix(prefix).unwrap_or_default();
        let known = self.names.iter().any(|(known, _)| known == name);
        if suffix.len() == SUFFIX && !known {
            self.names.push((name.to_owned(), format!("{prefix}{}", "?".repeat(SUFFIX))));
        }
    }
}

/// The number, from 1, of `item` among those seen.
fn place(seen: &mut Vec<String>, item: &str) -> usize {
    let known = seen.iter().position(|known| known == item);
    known.unwrap_or_else(|| {
        seen.push(item.to_owned());
        seen.len() - 1
    }) + 1
}
