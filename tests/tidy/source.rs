//! Rust files as the rules read them: with comments and the contents of literals blanked out,
//! so that a word in a sentence is never taken for code. Line numbers stay true.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// One Rust file.
pub(crate) struct Source {
    /// Path from the repository's root, with `/`.
    pub(crate) path: String,
    /// As written.
    pub(crate) text: String,
    /// As written, but comments and literals are blanks.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    /// The room this file belongs to; `None` for files outside of rooms.
    pub(crate) fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        inside.split_once('/').map(|(room, _)| room)
    }

    /// A complaint about line `index` (from 0).
    pub(crate) fn complaint(&self, index: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, index + 1)
    }
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the library and the binary.
pub(crate) fn library() -> Vec<Source> {
    rust_files(&["src"])
}

/// Every Rust file of the project.
pub(crate) fn all() -> Vec<Source> {
    rust_files(&["src", "tests", "benches"])
}

fn rust_files(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| files_below(&root().join(folder), &mut paths));
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    paths
        .into_iter()
        .filter(is_rust)
        .map(|path| Source::new(&from_root(&path), &read(&path)))
        .collect()
}

/// Every file of the project that holds text, as path from the root and text.
pub(crate) fn text_files() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for entry in top_level() {
        let path = root().join(entry);
        if path.is_dir() { files_below(&path, &mut paths) } else { paths.push(path) }
    }
    files_below(&root().join(".ci"), &mut paths);
    let text = |path: PathBuf| Some((from_root(&path), fs::read_to_string(&path).ok()?));
    paths.into_iter().filter_map(text).collect()
}

/// What stands at the top, sorted, dotfiles and `target` aside.
pub(crate) fn top_level() -> Vec<String> {
    let entries = fs::read_dir(root()).expect("the repository can be listed");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry.expect("an entry can be read").file_name().to_string_lossy().into_owned()
        })
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    names.sort();
    names
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("an entry can be read").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).expect("listed below the root").to_string_lossy().replace('\\', "/")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the scanner is inside of.
#[derive(Clone, Copy)]
enum Inside {
    Code,
    Line,
    /// A block comment and its depth.
    Block(u32),
    /// A string that ends with a quote and this many `#`; `None` where backslashes escape.
    Text(Option<usize>),
}

/// Replaces comments and the contents of string and character literals by blanks.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < chars.len() {
        let (next, taken, shown) =
            step(inside, &chars[at..], at.checked_sub(1).map(|before| chars[before]));
        for &character in &chars[at..at + taken] {
            code.push(if shown || character == '\n' { character } else { ' ' });
        }
        inside = next;
        at += taken;
    }
    code
}

/// The next state, how many characters that takes, and whether they are code.
fn step(inside: Inside, rest: &[char], before: Option<char>) -> (Inside, usize, bool) {
    let next = rest.get(1).copied();
    match (inside, rest[0]) {
        (Inside::Code, '/') if next == Some('/') => (Inside::Line, 2, false),
        (Inside::Code, '/') if next == Some('*') => (Inside::Block(1), 2, false),
        (Inside::Code, '"') => (Inside::Text(None), 1, true),
        (Inside::Code, 'r') if !before.is_some_and(|b| b.is_alphanumeric() || b == '_') => {
            raw_string(rest)
        }
        (Inside::Code, '\'') => (Inside::Code, character_literal(rest), false),
        (Inside::Line, '\n') => (Inside::Code, 1, true),
        (Inside::Block(1), '*') if next == Some('/') => (Inside::Code, 2, false),
        (Inside::Block(depth), '*') if next == Some('/') => (Inside::Block(depth - 1), 2, false),
        (Inside::Block(depth), '/') if next == Some('*') => (Inside::Block(depth + 1), 2, false),
        (Inside::Text(None), '\\') => (inside, 2.min(rest.len()), false),
        (Inside::Text(None), '"') => (Inside::Code, 1, true),
        (Inside::Text(Some(hashes)), '"')
            if rest[1..].iter().take_while(|c| **c == '#').count() >= hashes =>
        {
            (Inside::Code, 1 + hashes, false)
        }
        (Inside::Code, _) => (inside, 1, true),
        (Inside::Line | Inside::Block(_) | Inside::Text(_), _) => (inside, 1, false),
    }
}

/// `r"` or `r#"` opens a raw string; `r` alone is a letter.
fn raw_string(rest: &[char]) -> (Inside, usize, bool) {
    let hashes = rest[1..].iter().take_while(|character| **character == '#').count();
    if rest.get(1 + hashes) == Some(&'"') {
        (Inside::Text(Some(hashes)), 2 + hashes, false)
    } else {
        (Inside::Code, 1, true)
    }
}

/// The length of a character literal, or 1 where the quote opens a lifetime.
fn character_literal(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) => {
            rest.iter().skip(3).position(|character| *character == '\'').map_or(1, |end| end + 4)
        }
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}

#[test]
fn comments_and_literals_are_blank_and_code_is_not() {
    let text = "let a = \"x // {\"; // b {\n/* c /* d */ e */ fn f<'a>() { '{' }\nr#\"g\"h\"#;r(\"\\\"i\")";
    let code = Source::new("src/x.rs", text).code;
    let kept: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(kept, "let a = \" \"; fn f< a>() { } ;r(\" \")");
    assert_eq!(code.lines().count(), text.lines().count());
}
