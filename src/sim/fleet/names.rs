//! Ranges in names: `a[1-4]` is a1, a2, a3, a4; `r[1-2]n[01-16]` is r1n01 to r2n16, the last range moving fastest.
//! A number keeps the width that the range's first number is written with.
//! Knows nothing of nodes beyond what a name may be; a pattern that stands for too many names is refused unexpanded.

/// Most names that one pattern may stand for.
pub(super) const NAMES_MAX: usize = 100_000;

/// One piece of a pattern: text, or the texts that may stand there.
type Piece = Vec<String>;

/// Every name that `pattern` stands for, in order.
///
/// # Errors
/// What is wrong with the pattern, and what to write instead.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    for piece in pieces(pattern)? {
        if names.len() * piece.len() > NAMES_MAX {
            return Err(format!("stands for more than {NAMES_MAX} names: write shorter ranges"));
        }
        names = names
            .iter()
            .flat_map(|name| piece.iter().map(move |part| format!("{name}{part}")))
            .collect();
    }
    Ok(names)
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some((text, after)) = rest.split_once('[') {
        let Some((range, after)) = after.split_once(']') else {
            return Err("has a [ without its ]: write a range such as a[1-4]".to_owned());
        };
        pieces.push(vec![text.to_owned()]);
        pieces.push(range_names(range)?);
        rest = after;
    }
    if rest.contains(']') {
        return Err("has a ] without its [: write a range such as a[1-4]".to_owned());
    }
    pieces.push(vec![rest.to_owned()]);
    Ok(pieces)
}

/// The texts of `1-4`, `001-128`, or `1,3,7-9`.
fn range_names(range: &str) -> Result<Piece, String> {
    let mut names = Vec::new();
    for part in range.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (from, to) = match (number(first), number(last)) {
            (Some(from), Some(to)) if from <= to => (from, to),
            (Some(_), Some(_)) => {
                return Err(format!(
                    "has the range [{range}] that runs backwards: write [{last}-{first}]"
                ));
            }
            _ => {
                return Err(format!(
                    "has the range [{range}]: write numbers, such as [1-4] or [1,3]"
                ));
            }
        };
        let width = first.len();
        if usize::try_from(to - from).is_ok_and(|count| names.len() + count >= NAMES_MAX) {
            return Err(format!("stands for more than {NAMES_MAX} names: write shorter ranges"));
        }
        names.extend((from..=to).map(|number| format!("{number:0width$}")));
    }
    Ok(names)
}

/// A number of at most 9 digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && text.len() <= 9).then(|| text.parse().ok()).flatten()
}

/// What keeps `name` from being a node's name; `None` if nothing does.
pub(super) fn fault_of(name: &str) -> Option<&'static str> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    if name.is_empty() || name.len() > 253 {
        return Some("a name has 1 to 253 characters");
    }
    let ends = edge(name.bytes().next()) && edge(name.bytes().last());
    (!ends || !name.bytes().all(allowed)).then_some(
        "a node's name has lower-case letters, digits, '-', and '.', and begins and ends with a letter or digit",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_their_names() {
        let cases: [(&str, &[&str]); 6] = [
            ("a", &["a"]),
            ("a[1-3]", &["a1", "a2", "a3"]),
            ("n[008-010]", &["n008", "n009", "n010"]),
            ("r[1-2]n[01-02]", &["r1n01", "r1n02", "r2n01", "r2n02"]),
            ("x[1,3,5-6]z", &["x1z", "x3z", "x5z", "x6z"]),
            ("x[7]", &["x7"]),
        ];
        for (pattern, names) in cases {
            assert_eq!(expand(pattern).as_deref(), Ok(&names.map_owned()[..]), "{pattern}");
        }
        assert_eq!(expand("n[0001-1000]").map(|names| names.len()), Ok(1000));
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|name| (*name).to_owned()).collect()
        }
    }

    #[test]
    fn bad_patterns_say_what_to_write() {
        let cases = [
            ("a[1-4", "[ without"),
            ("a1-4]", "] without"),
            ("a[4-1]", "write [1-4]"),
            ("a[x-y]", "write numbers"),
            ("a[]", "write numbers"),
            ("a[1-2-3]", "write numbers"),
            ("a[1-999999]", "more than 100000"),
            ("a[1-60000,1-60000]", "more than 100000"),
            ("a[1-1000]b[1-1000]", "more than 100000"),
        ];
        for (pattern, part) in cases {
            let error = expand(pattern).expect_err("it is bad");
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }

    #[test]
    fn node_names_follow_dns() {
        assert_eq!(fault_of("a1.rack-2"), None);
        for name in ["", "A1", "-a", "a-", "a_b"] {
            assert!(fault_of(name).is_some(), "{name}");
        }
    }
}
