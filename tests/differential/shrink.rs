//! Makes a case small that shows a difference: takes out one element or field after the other, as long as the
//! difference remains, until nothing more can go.

use serde_json::Value;

use crate::case::Case;

/// A part of a value: keys and indices from its root.
type Path = Vec<Step>;

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// The smallest case found of which `differs` still holds.
pub(crate) fn shrink(case: &Case, mut differs: impl FnMut(&Case) -> bool) -> Case {
    let mut smallest = case.to_value();
    loop {
        let mut smaller = None;
        for path in removable(&smallest) {
            let candidate = without(&smallest, &path);
            let Some(case) = Case::from_value(&candidate) else { continue };
            if differs(&case) {
                smaller = Some(candidate);
                break;
            }
        }
        match smaller {
            Some(candidate) => smallest = candidate,
            None => return Case::from_value(&smallest).expect("only cases were kept"),
        }
    }
}

/// Every part that could be taken out, the larger ones first.
fn removable(value: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    collect(value, &mut Vec::new(), &mut found);
    found.sort_by_key(Vec::len);
    found
}

fn collect(value: &Value, path: &mut Path, found: &mut Vec<Path>) {
    let mut enter = |step: Step, part: &Value| {
        path.push(step);
        found.push(path.clone());
        collect(part, path, found);
        path.pop();
    };
    match value {
        Value::Object(fields) => {
            for (key, part) in fields {
                enter(Step::Key(key.clone()), part);
            }
        }
        Value::Array(parts) => {
            for (at, part) in parts.iter().enumerate() {
                enter(Step::Index(at), part);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn without(value: &Value, path: &[Step]) -> Value {
    let mut value = value.clone();
    let (last, way) = path.split_last().expect("a part has a path");
    let mut part = &mut value;
    for step in way {
        part = match step {
            Step::Key(key) => &mut part[key.as_str()],
            Step::Index(at) => &mut part[*at],
        };
    }
    match (last, part) {
        (Step::Key(key), Value::Object(fields)) => drop(fields.shift_remove(key)),
        (Step::Index(at), Value::Array(parts)) => drop(parts.remove(*at)),
        (step, part) => panic!("no {step:?} in {part}"),
    }
    value
}

#[test]
fn what_the_difference_does_not_need_is_taken_out() {
    use serde_json::json;
    let object = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"a": "b"}}});
    let case = Case {
        pod: json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "", "containers": [1, 2, 3]}}),
        objects: vec![object("x"), object("y")],
        configuration: None,
    };
    let small = shrink(&case, |case| {
        let text = case.question().to_string();
        text.contains("\"y\"") && text.contains('2')
    });
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "y"}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [2]}});
    assert_eq!(small, Case { pod, objects: vec![object], configuration: None });
}
