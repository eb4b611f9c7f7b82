//! Names as Kubernetes uses them, shared cheaply between rooms, and the order in which people count them.
//! Knows no rule about which names are valid: an object that comes this far was admitted elsewhere.
//! Invariant: both orders are total, and only equal texts compare as equal.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Any short string that many facts repeat: names, label keys, resource names.
pub type Name = Arc<str>;

/// A namespaced object's name. Orders by namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: Name,
    /// The name within the namespace.
    pub name: Name,
}

impl ObjectName {
    /// The object `namespace/name`.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Orders names as people count: `train-2` before `train-10`. A total order: names that differ
/// only in leading zeros are told apart by their text.
pub fn compare_naturally(left: &str, right: &str) -> Ordering {
    let (mut a, mut b) = (left.as_bytes(), right.as_bytes());
    // Members of a gang share a long prefix; what is equal byte by byte needs no parsing,
    // except that the digits just before the difference belong to the number that differs.
    let mut common = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    while common > 0 && a[common - 1].is_ascii_digit() {
        common -= 1;
    }
    (a, b) = (&a[common..], &b[common..]);
    loop {
        let (digits_a, digits_b) = (leading_digits(a), leading_digits(b));
        if digits_a == 0 || digits_b == 0 {
            match (a.split_first(), b.split_first()) {
                (Some((x, rest_a)), Some((y, rest_b))) if x == y => (a, b) = (rest_a, rest_b),
                _ => return a.cmp(b).then_with(|| left.cmp(right)),
            }
            continue;
        }
        let (number_a, number_b) = (without_zeros(&a[..digits_a]), without_zeros(&b[..digits_b]));
        let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[digits_a..], &b[digits_b..]);
    }
}

fn leading_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|digit| **digit == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::compare_naturally;
    use std::cmp::Ordering;

    #[test]
    fn numbers_in_names_are_counted() {
        let sorted = [
            "a", "a-1", "a-1-9", "a-2", "a-10", "a-10-0", "a-010-1", "a-11", "b", "b1c2", "b1c10",
            "b02",
        ];
        for (index, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                assert_eq!(compare_naturally(left, right), index.cmp(&other), "{left} and {right}");
            }
        }
        assert_eq!(compare_naturally("a-01", "a-1"), Ordering::Less);
        assert_eq!(compare_naturally("a-1", "a-01"), Ordering::Greater);
    }
}
