//! Turns the YAML reader's errors into sentences with a place and a remedy. Knows no setting by name.
//! A field that does not exist is answered with the nearest that does, and with all that are valid there.
//! Reads no file: the text that was parsed comes along, so that the wrong line can be shown.

use std::cmp::Reverse;

use serde_saphyr::Error;
use serde_saphyr::MessageFormatter;
use serde_saphyr::UserMessageFormatter;

use super::ConfigurationError;
use super::places;

/// The place and the sentence for `error`, which reading `text` gave.
pub fn of(error: &Error, text: &str) -> ConfigurationError {
    let error = error.without_snippet();
    let at = error.location().map(|location| (location.line(), location.column()));
    let message = if let Error::SerdeUnknownField { field, expected, .. } = error {
        unknown_field(field, expected)
    } else if let Error::InvalidScalar { ty, .. } = error {
        wrong_scalar(ty, at, text)
    } else {
        in_its_line(&UserMessageFormatter.format_message(error), at, text)
    };
    ConfigurationError { at: at.filter(|(line, _)| *line > 0), message }
}

/// `binding.timeoutSeconds: -5 must be a whole number from 0 to 4294967295`, in words that need no Rust.
fn wrong_scalar(rust_type: &str, at: Option<(u64, u64)>, text: &str) -> String {
    let expected = match rust_type {
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => format!("a whole number from 0 to {}", u64::MAX),
        "i32" => format!("a whole number from {} to {}", i32::MIN, i32::MAX),
        "i64" => format!("a whole number from {} to {}", i64::MIN, i64::MAX),
        "bool" | "boolean" => "true or false".to_owned(),
        other => format!("a value of type {other}"),
    };
    let found = at.and_then(|(line, column)| {
        let path = places::path_at(text, line, column)?;
        Some((path, places::written_at(text, line, column)?))
    });
    match found {
        Some((path, value)) if value.starts_with(['-', '+', '"', '\'']) || is_number(value) => {
            format!("{path}: {value} must be {expected}")
        }
        Some((path, value)) => format!("{path}: {value:?} must be {expected}"),
        None => in_its_line(&format!("expected {expected}"), at, text),
    }
}

fn is_number(value: &str) -> bool {
    value.starts_with(|first: char| first.is_ascii_digit())
}

/// The reader's message with the line that it speaks of.
fn in_its_line(message: &str, at: Option<(u64, u64)>, text: &str) -> String {
    let line =
        at.and_then(|(line, _)| text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?));
    match line.map(str::trim) {
        Some(line) if !line.is_empty() => format!("{message} in `{line}`"),
        _ => message.to_owned(),
    }
}

/// `unknown field "x": did you mean "y"? Valid here: ...`
fn unknown_field(field: &str, expected: &[&str]) -> String {
    let mut message = format!("unknown field {field:?}");
    if let Some(nearest) = nearest(field, expected) {
        message.push_str(&format!(": did you mean {nearest:?}?"));
    } else {
        message.push('.');
    }
    message.push_str(&format!(" Valid here: {}", expected.join(", ")));
    message
}

/// The key that differs from `field` by the fewest edits, if by few enough to be meant;
/// among equals the one with the longest common beginning.
fn nearest<'a>(field: &str, expected: &[&'a str]) -> Option<&'a str> {
    let field = field.to_lowercase();
    let shared = |key: &str| field.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
    expected
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&field, &key.to_lowercase()), *key))
        .filter(|(edits, key)| *edits <= key.len().max(field.len()) / 2)
        .min_by_key(|(edits, key)| (*edits, Reverse(shared(key)), *key))
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_a_foreign_word_is_not() {
        let keys = ["schedulerNames", "backlog", "gangs"];
        assert_eq!(nearest("schedulerName", &keys), Some("schedulerNames"));
        assert_eq!(nearest("BACKLOG", &keys), Some("backlog"));
        assert_eq!(nearest("gnags", &keys), Some("gangs"));
        assert_eq!(nearest("leaderElection", &keys), None);
        assert_eq!(nearest("gpu", &["cpu", "gpus"]), Some("gpus"), "a shared beginning goes first");
    }
}
