//! Label selectors, as query text and as objects: what is read prints as a text that reads the same, opposite
//! operators judge every value oppositely, and a selector is the conjunction of its requirements.

#![no_main]

use libfuzzer_sys::fuzz_mutator;
use libfuzzer_sys::fuzz_target;
use muster::base::labels::LabelSelector;
use muster::base::labels::Operator;
use muster::base::labels::Requirement;
use muster_fuzz::limits;
use muster_fuzz::mutate;
use serde_json::Value;

fn check_text(text: &str) {
    let Ok(selector) = LabelSelector::parse(text) else { return };
    let printed = selector.to_string();
    let again = LabelSelector::parse(&printed);
    assert_eq!(again.as_ref(), Ok(&selector), "{text:?} prints as {printed:?}");
    check(&selector);
}

fn check_object(object: &Value) {
    let Ok(selector) = LabelSelector::from_json(object) else { return };
    assert!(object.is_object(), "{object} is no selector");
    let written = |key: &str| {
        object.get(key).map_or(0, |part| match part {
            Value::Object(fields) => fields.len(),
            Value::Array(items) => items.len(),
            Value::Null => 0,
            other => panic!("{key}: {other} was ignored"),
        })
    };
    let count = written("matchLabels") + written("matchExpressions");
    assert_eq!(selector.requirements.len(), count, "a requirement was lost of {object}");
    check(&selector);
}

fn check(selector: &LabelSelector) {
    for requirement in &selector.requirements {
        let values =
            [None, Some(""), Some("a"), Some("5"), requirement.values.first().map(|v| &**v)];
        for value in values {
            check_opposite(requirement, value);
        }
    }
    for value in ["", "a", "5"] {
        let all = selector.requirements.iter().all(|requirement| requirement.holds(Some(value)));
        assert_eq!(selector.matches(|_| Some(value)), all);
    }
}

fn check_opposite(requirement: &Requirement, value: Option<&str>) {
    let opposite = match requirement.operator {
        Operator::In => Operator::NotIn,
        Operator::NotIn => Operator::In,
        Operator::Exists => Operator::DoesNotExist,
        Operator::DoesNotExist => Operator::Exists,
        Operator::GreaterThan | Operator::LessThan => {
            let number = value.and_then(|value| value.parse::<i64>().ok());
            let bound = requirement.values[0].parse::<i64>().expect("checked when it was read");
            let expected = number.is_some_and(|number| match requirement.operator {
                Operator::GreaterThan => number > bound,
                _ => number < bound,
            });
            assert_eq!(requirement.holds(value), expected);
            return;
        }
    };
    let opposite = Requirement::new(&requirement.key, opposite, requirement.values.clone());
    assert_ne!(
        requirement.holds(value),
        opposite.holds(value),
        "{requirement} and {opposite} of {value:?}"
    );
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    limits::within(|| check_text(text));
    if let Ok(object) = serde_json::from_str::<Value>(text) {
        limits::within(|| check_object(&object));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed)
});
