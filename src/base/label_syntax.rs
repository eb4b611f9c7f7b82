//! What may be the key or the value of a label. Follows `k8s.io/apimachinery`.
//! Yes or no, without a message: objects that come this far were admitted elsewhere, and what is wrong with them
//! only decides what they match. Knows no selector and no kind of object.

/// True if `text` may be the key of a label: `name` or `domain/name`, as `k8s.io/apimachinery` has it.
pub fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name)
}

/// True if `text` may be the value of a label: empty, or at most 63 letters, digits, `-`, `_`, and `.` with a
/// letter or digit at both ends.
pub fn is_label_value(text: &str) -> bool {
    text.len() <= 63
        && is_within(text, u8::is_ascii_alphanumeric, |c| matches!(c, b'-' | b'_' | b'.'))
}

/// True if `text` is a DNS subdomain: parts of small letters, digits, and `-`, joined by dots.
fn is_subdomain(text: &str) -> bool {
    let fits = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_part = |part: &str| !part.is_empty() && is_within(part, fits, |c| c == b'-');
    text.len() <= 253 && text.split('.').all(is_part)
}

/// True if every character fits or may stand between such, and those at both ends fit.
fn is_within(text: &str, fits: impl Fn(&u8) -> bool, between: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|c| fits(c) || between(*c))
        && bytes.first().is_none_or(&fits)
        && bytes.last().is_none_or(&fits)
}

#[cfg(test)]
mod tests {
    use super::is_label_key;
    use super::is_label_value;

    #[test]
    fn label_keys_and_values_are_told_from_other_text() {
        let long = "a".repeat(64);
        for key in ["a", "A.b_c-1", "example.com/role", "a-b.c/X", &long[1..]] {
            assert!(is_label_key(key), "{key}");
        }
        for key in
            ["", "/a", "a/", "a/b/c", "-a", "a-", "not a key", "Upper.com/a", "a..b/c", &long]
        {
            assert!(!is_label_key(key), "{key}");
        }
        for value in ["", "1", "a.b_c-D", &long[1..]] {
            assert!(is_label_value(value), "{value}");
        }
        for value in ["-3", "3-", "+4", "a b", "a/b", &long] {
            assert!(!is_label_value(value), "{value}");
        }
    }
}
