//! How a file looks: sizes, header, names, leftovers, imports.

use std::ops::RangeInclusive;

use super::source::Source;

const FILE_LINES_MAX: usize = 600;
/// Of tests as well: many cases are a table for each theme.
const FUNCTION_LINES_MAX: usize = 70;
const PARAMETERS_MAX: usize = 5;
/// Sentences of a header; what is drawn in a block of `text` comes on top.
const HEADER_LINES: RangeInclusive<usize> = 3..=8;

/// Module names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "misc", "stuff"];

/// Endings of type names that say nothing of what the type is.
const EMPTY_ENDINGS: [&str; 3] = ["Manager", "Helper", "Info"];

/// A function as found in the blanked text.
struct Function {
    name: String,
    line: usize,
    lines: usize,
    parameters: Vec<String>,
}

pub(crate) fn sizes(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let length = source.text.lines().count();
    if length > FILE_LINES_MAX {
        complaints.push(source.complaint(0, &format!("{length} lines; at most {FILE_LINES_MAX}")));
    }
    let lines: Vec<&str> = source.code.lines().collect();
    for Function { name, line, lines: length, parameters } in functions(&source.code) {
        let before = &lines[line.saturating_sub(3)..line];
        if length > FUNCTION_LINES_MAX {
            let what = format!("fn {name} has {length} lines; at most {FUNCTION_LINES_MAX}");
            complaints.push(source.complaint(line, &what));
        }
        // Where many parameters are right, the code says why, to clippy and to us.
        let explained =
            before.iter().any(|line| line.contains("#[expect(clippy::too_many_arguments"));
        if parameters.len() > PARAMETERS_MAX && !explained {
            let what =
                format!("fn {name} has {} parameters; at most {PARAMETERS_MAX}", parameters.len());
            complaints.push(source.complaint(line, &what));
        }
        // Implementations of `From<bool>` and of serde's visitor are not public functions, and have no choice.
        let public = lines[line].trim_start().starts_with("pub fn ");
        if public && parameters.iter().any(|parameter| parameter.ends_with(": bool")) {
            complaints.push(
                source.complaint(line, &format!("fn {name} takes a bool; an enum reads better")),
            );
        }
    }
    complaints
}

/// Every function with a body.
fn functions(code: &str) -> Vec<Function> {
    let starts = code.match_indices("fn ").filter(|(at, _)| {
        let before = code[..*at].chars().next_back();
        before.is_none_or(|character| character.is_whitespace() || character == '(')
    });
    starts.filter_map(|(at, _)| function(code, at)).collect()
}

fn function(code: &str, at: usize) -> Option<Function> {
    let rest = &code[at + 3..];
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let body =
        rest.find(['{', ';']).filter(|body| rest[*body..].starts_with('{') && !name.is_empty())?;
    let mut depth = 0_usize;
    let end = rest[body..].find(|character| {
        depth = match character {
            '{' => depth + 1,
            '}' => depth - 1,
            _ => depth,
        };
        depth == 0
    })?;
    let lines = rest[..=body + end].lines().count();
    let line = code[..at].lines().count().saturating_sub(usize::from(!code[..at].ends_with('\n')));
    Some(Function { name, line, lines, parameters: parameters(&rest[..body]) })
}

/// The parameters of a signature, without the receiver.
fn parameters(signature: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    // Open angle brackets, and open other brackets; an arrow's `>` closes nothing.
    let (mut angles, mut brackets, mut before) = (0_i32, 0_i32, ' ');
    let mut inside = false;
    for character in signature.chars() {
        match character {
            '<' => angles += 1,
            '>' if before != '-' => angles -= 1,
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            _ => {}
        }
        before = character;
        if !inside {
            inside = character == '(' && angles == 0;
        } else if brackets == 0 {
            break;
        } else if character == ',' && angles == 0 && brackets == 1 {
            found.push(String::new());
        } else {
            found.last_mut().expect("one at least").push(character);
        }
    }
    let parameters = found.iter().map(|parameter| parameter.trim().to_owned());
    let receiver = |parameter: &String| parameter.ends_with("self") || parameter.contains("self:");
    parameters.filter(|parameter| !parameter.is_empty() && !receiver(parameter)).collect()
}

/// A file begins with its purpose, what it may not know, and what it keeps true. Files of tests and
/// the start of the program may say less.
pub(crate) fn header(source: &Source) -> Vec<String> {
    let lines = header_lines(&source.text);
    let least = if is_brief(&source.path) { 1 } else { *HEADER_LINES.start() };
    if (least..=*HEADER_LINES.end()).contains(&lines) {
        return Vec::new();
    }
    let what = format!(
        "a header of {lines} lines; say in {least} to {} what it is for, what it may not know, what it keeps true",
        HEADER_LINES.end()
    );
    vec![source.complaint(0, &what)]
}

/// The lines with words at the top of a file, drawings apart.
fn header_lines(text: &str) -> usize {
    let mut drawn = false;
    let mut lines = 0;
    for line in text.lines().map_while(|line| line.strip_prefix("//!")) {
        if line.trim_start().starts_with("```") {
            drawn = !drawn;
        } else if !drawn && !line.trim().is_empty() {
            lines += 1;
        }
    }
    lines
}

/// Files that hold nothing but tests, and the one that starts the program.
fn is_brief(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let outside = ["tests", "benches"].contains(&parts[0]);
    outside
        || path == "src/main.rs"
        || parts.iter().any(|part| ["tests", "tests.rs"].contains(part))
}

pub(crate) fn names(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let stems = source.path.split('/').map(|part| part.trim_end_matches(".rs"));
    for stem in stems.filter(|stem| EMPTY_NAMES.contains(stem)) {
        complaints.push(
            source.complaint(0, &format!("a module called {stem} says nothing of what is inside")),
        );
    }
    for (index, line) in source.code.lines().enumerate() {
        let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for pair in
            words.windows(2).filter(|pair| ["struct", "enum", "trait", "type"].contains(&pair[0]))
        {
            if EMPTY_ENDINGS.iter().any(|ending| pair[1].ends_with(ending)) {
                complaints
                    .push(source.complaint(index, &format!("the name {} says nothing", pair[1])));
            }
        }
    }
    complaints
}

pub(crate) fn leftovers(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    // Spelt in two halves, so that this file does not complain about itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    for (index, line) in source.text.lines().enumerate() {
        for mark in marks.iter().filter(|mark| line.contains(*mark)) {
            complaints.push(source.complaint(index, &format!("{mark}: do it, or file it")));
        }
    }
    for (index, line) in source.code.lines().enumerate() {
        if line.contains(".unwrap()") || line.contains("todo!(") || line.contains("unimplemented!(")
        {
            complaints.push(
                source.complaint(index, "unwrap, todo, or unimplemented; say why it cannot be"),
            );
        }
    }
    complaints
}

pub(crate) fn imports(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (index, line) in source.code.lines().enumerate() {
        let line = line.trim_start();
        let import = line.starts_with("use ") || line.starts_with("pub use ");
        if import && line.contains("crate::{") {
            complaints
                .push(source.complaint(index, "one import per path, no groups over the crate"));
        }
    }
    complaints
}

#[test]
fn the_rules_of_shape_bite() {
    let long = format!("fn f(a: u8, b: u8) {{\n{}}}\n", "    x();\n".repeat(70));
    assert_eq!(sizes(&Source::new("src/a/b.rs", &long)).len(), 1);
    assert_eq!(sizes(&Source::new("src/a/b.rs", &"\n".repeat(601))).len(), 1);
    let wide = "fn f(&self, a: A<B, C>, b: [u8; 2], c: u8, d: fn(u8, u8) -> u8, e: u8) {}\n";
    assert!(sizes(&Source::new("src/a/b.rs", wide)).is_empty());
    let wider = "pub fn f<T: Fn(u8, u8)>(a: u8, b: u8, c: u8, d: u8, e: u8, f: bool) {}\n";
    assert_eq!(sizes(&Source::new("src/a/b.rs", wider)).len(), 2);
    let test = format!("#[test]\n{long}");
    assert_eq!(sizes(&Source::new("src/a/tests.rs", &test)).len(), 1);
    assert_eq!(names(&Source::new("src/a/utils.rs", "struct NodeInfo;\n")).len(), 2);
    let undone = format!("// {}\nfn f() {{ g().unwrap() }}\n", concat!("TO", "DO"));
    assert_eq!(leftovers(&Source::new("src/a/b.rs", &undone)).len(), 2);
    assert_eq!(imports(&Source::new("src/a/b.rs", "use crate::{a, b};\n")).len(), 1);
}

#[test]
fn the_rule_of_headers_bites() {
    let refused = |path: &str, text: &str| !header(&Source::new(path, text)).is_empty();
    assert!(refused("src/a/b.rs", "fn f() {}\n"));
    assert!(refused("src/a/b.rs", "//! Purpose.\n//!\n//! Invariant.\n"));
    assert!(refused("src/a/b.rs", &"//! A sentence.\n".repeat(9)));
    assert!(refused("src/a/tests.rs", "fn f() {}\n"));
    let drawing = format!("//! ```text\n{}//! ```\n", "//! a ─▶ b\n".repeat(20));
    assert!(refused("src/a/b.rs", &format!("//! Purpose.\n{drawing}")));
    assert!(!refused("src/a/b.rs", &format!("{}{drawing}", "//! A sentence.\n".repeat(8))));
    for brief in
        ["src/main.rs", "src/a/tests.rs", "src/a/tests/b.rs", "tests/a.rs", "benches/a/b.rs"]
    {
        assert!(!refused(brief, "//! What is shown.\n"), "{brief}");
    }
}
