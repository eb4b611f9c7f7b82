//! Finds the path of a place in a YAML text: which field stands at line 3, column 12.
//! Knows no setting: it reads whatever is there and is asked only once something was found wrong.
//! Invariant: a path is given only for a place where a value begins; a text that does not parse has none.

use std::fmt;

use serde::Deserialize;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_saphyr::Spanned;

/// The path of the value that begins at `line` and `column`, both from 1, as `binding.timeoutSeconds` or
/// `nodes[2].pods`; `None` if none begins there.
pub(super) fn path_at(text: &str, line: u64, column: u64) -> Option<String> {
    let tree: Spanned<Tree> = serde_saphyr::from_str(text).ok()?;
    path_in(&tree, (line, column), String::new()).filter(|path| !path.is_empty())
}

/// The scalar that begins at `line` and `column`, as it is written.
pub(super) fn written_at(text: &str, line: u64, column: u64) -> Option<&str> {
    let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let skipped = usize::try_from(column).ok()?.checked_sub(1)?;
    let (start, first) = line.char_indices().nth(skipped)?;
    let rest = &line[start..];
    let end = match first {
        '"' | '\'' => rest[1..].find(first).map(|closing| closing + 2),
        _ => [",", "}", "]", " #"].iter().filter_map(|end| rest.find(end)).min(),
    };
    let written = rest[..end.unwrap_or(rest.len())].trim_end();
    (!written.is_empty()).then_some(written)
}

fn path_in(node: &Spanned<Tree>, place: (u64, u64), path: String) -> Option<String> {
    match &node.value {
        Tree::Scalar => {
            let at = (node.referenced.line(), node.referenced.column());
            (at == place).then_some(path)
        }
        Tree::List(entries) => entries
            .iter()
            .enumerate()
            .find_map(|(index, entry)| path_in(entry, place, format!("{path}[{index}]"))),
        Tree::Mapping(fields) => fields.iter().find_map(|(name, field)| {
            let dot = if path.is_empty() { "" } else { "." };
            path_in(field, place, format!("{path}{dot}{name}"))
        }),
    }
}

/// A text by its places only.
enum Tree {
    Scalar,
    List(Vec<Spanned<Self>>),
    Mapping(Vec<(String, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_element()? {
            entries.push(entry);
        }
        Ok(Tree::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Tree, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Tree::Mapping(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::path_at;
    use super::written_at;

    #[test]
    fn a_place_has_the_path_of_the_value_that_begins_there() {
        let text = "a: 1\nb:\n  c: [x, {d: 99999999999999999999}]\n  e: \"two, three\" # four\n";
        assert_eq!(path_at(text, 1, 4).as_deref(), Some("a"));
        assert_eq!(path_at(text, 3, 8), None);
        assert_eq!(path_at(text, 3, 7).as_deref(), Some("b.c[0]"));
        assert_eq!(path_at(text, 3, 14).as_deref(), Some("b.c[1].d"));
        assert_eq!(path_at(text, 4, 6).as_deref(), Some("b.e"));
        assert_eq!(path_at("a: [\n", 1, 4), None, "what does not parse has no paths");
    }

    #[test]
    fn a_scalar_is_shown_as_it_is_written() {
        let text =
            "b:\n  c: [x, {d: 99999999999999999999}]\n  e: \"two, three\" # four\n  f: -5 # six\n";
        assert_eq!(written_at(text, 2, 14), Some("99999999999999999999"));
        assert_eq!(written_at(text, 3, 6), Some("\"two, three\""));
        assert_eq!(written_at(text, 4, 6), Some("-5"));
        assert_eq!(written_at(text, 9, 1), None);
    }
}
