//! Sets of fields as `metadata.managedFields` writes them (`FieldsV1`): a tree of steps, each the name of a
//! field (`f:replicas`), the keys of a list's entry (`k:{"name":"main"}`), or a value of a set (`v:"a"`).
//! Knows no object and no schema.
//! Invariant: a step is kept only where it or something below it is in the set.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Map;
use serde_json::Value;

/// One step of a field's path, as `FieldsV1` writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FieldStep(String);

impl FieldStep {
    /// A field by its name.
    pub(super) fn field(name: &str) -> Self {
        Self(format!("f:{name}"))
    }

    /// An entry of a list by the fields that tell it from others, sorted by name.
    pub(super) fn keyed(keys: &BTreeMap<&str, Value>) -> Self {
        let keys: Map<String, Value> =
            keys.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Self(format!("k:{}", Value::Object(keys)))
    }

    /// A value of a set.
    pub(super) fn value(value: &Value) -> Self {
        Self(format!("v:{value}"))
    }

    /// The name, if it is a field.
    pub(super) fn name(&self) -> Option<&str> {
        self.0.strip_prefix("f:")
    }

    /// The step as messages show it: `.replicas`, `[name="main"]`, `[="a"]`.
    fn shown(&self) -> String {
        if let Some(name) = self.name() {
            return format!(".{name}");
        }
        let keys = self.0.strip_prefix("k:").and_then(|keys| serde_json::from_str(keys).ok());
        match (keys, self.0.strip_prefix("v:")) {
            (Some(Value::Object(keys)), _) => {
                let shown: Vec<String> =
                    keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("[{}]", shown.join(","))
            }
            (_, Some(value)) => format!("[={value}]"),
            (_, None) => format!("[{}]", self.0),
        }
    }
}

/// A set of fields of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// True if the field at which this set begins is in it.
    pub(super) own: bool,
    /// What is in it below.
    pub(super) parts: BTreeMap<FieldStep, FieldSet>,
}

impl FieldSet {
    /// The set of one field without parts.
    pub(super) fn leaf() -> Self {
        Self { own: true, parts: BTreeMap::new() }
    }

    /// True if nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        !self.own && self.parts.is_empty()
    }

    /// Puts a part in place, unless it is empty.
    pub(super) fn put(&mut self, step: FieldStep, part: Self) {
        if !part.is_empty() {
            self.parts.insert(step, part);
        }
    }

    /// Adds everything that is in `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.own |= other.own;
        for (step, part) in &other.parts {
            self.parts.entry(step.clone()).or_default().add(part);
        }
    }

    /// Takes out everything that is in `other`.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.own &= !other.own;
        for (step, taken) in &other.parts {
            if let Some(part) = self.parts.get_mut(step) {
                part.subtract(taken);
                if part.is_empty() {
                    self.parts.remove(step);
                }
            }
        }
    }

    /// What is in both.
    pub(super) fn shared(&self, other: &Self) -> Self {
        let mut shared = Self { own: self.own && other.own, parts: BTreeMap::new() };
        for (step, part) in &self.parts {
            if let Some(others) = other.parts.get(step) {
                shared.put(step.clone(), part.shared(others));
            }
        }
        shared
    }

    /// Takes out the field at a path of names, with all that is below it.
    pub(super) fn cut(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        let step = FieldStep::field(first);
        if rest.is_empty() {
            self.parts.remove(&step);
        } else if let Some(part) = self.parts.get_mut(&step) {
            part.cut(rest);
            if part.is_empty() {
                self.parts.remove(&step);
            }
        }
    }

    /// The paths of everything in it, as messages show them, in order.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, here: &str, paths: &mut Vec<String>) {
        if self.own {
            paths.push(here.to_owned());
        }
        for (step, part) in &self.parts {
            let mut path = here.to_owned();
            write!(path, "{}", step.shown()).expect("strings take everything");
            part.collect(&path, paths);
        }
    }

    /// The set as `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        if self.own && !self.parts.is_empty() {
            fields.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, part) in &self.parts {
            fields.insert(step.0.clone(), part.to_json());
        }
        Value::Object(fields)
    }

    /// Reads a `fieldsV1`; `None` if it is none.
    pub(super) fn from_json(fields: &Value) -> Option<Self> {
        let mut set = Self::read_part(fields)?;
        // At the root, nothing at all means the empty set.
        set.own &= !set.parts.is_empty();
        Some(set)
    }

    fn read_part(fields: &Value) -> Option<Self> {
        let fields = fields.as_object()?;
        let mut set = Self { own: fields.is_empty(), parts: BTreeMap::new() };
        for (key, part) in fields {
            match key.get(..2) {
                _ if key == "." => set.own = true,
                Some("f:" | "k:" | "v:") => {
                    set.parts.insert(FieldStep(key.clone()), Self::read_part(part)?);
                }
                // Positions in lists (`i:`) are written by nobody.
                Some(_) | None => return None,
            }
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::FieldSet;

    #[test]
    fn sets_are_read_and_written_alike_and_computed_with() {
        let written = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {".": {}, "f:image": {}}}, "f:finalizers": {"v:\"a\"": {}}}});
        let set = FieldSet::from_json(&written).expect("well formed");
        assert_eq!(set.to_json(), written);
        assert_eq!(
            set.paths(),
            [
                ".metadata.labels",
                ".metadata.labels.app",
                ".spec.containers[name=\"main\"]",
                ".spec.containers[name=\"main\"].image",
                ".spec.finalizers[=\"a\"]",
            ]
        );
        let labels = FieldSet::from_json(&json!({"f:metadata": {"f:labels": {"f:app": {}}}}))
            .expect("well formed");
        assert_eq!(set.shared(&labels), labels);
        let mut less = set.clone();
        less.subtract(&labels);
        assert_eq!(less.paths()[..2], [".metadata.labels", ".spec.containers[name=\"main\"]"]);
        less.add(&labels);
        assert_eq!(less, set);
        less.cut(&["spec"]);
        assert_eq!(less.paths(), [".metadata.labels", ".metadata.labels.app"]);
        assert_eq!(FieldSet::from_json(&json!({"spec": {}})), None);
        assert!(FieldSet::from_json(&json!({})).is_some_and(|set| set.is_empty()));
    }
}
