//! docs/COMPATIBILITY.md is complete and true: every plugin of the release, every scenario that it names, and every
//! field that a pod may be refused for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::upstream::Upstream;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of the table of plugins, row by row.
fn rows(page: &str) -> Vec<Vec<String>> {
    let section = page.split("\n## Plugins\n").nth(1).expect("the page has the section Plugins");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows =
        section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Plugin "));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// What stands in code spans.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_plugin_of_the_release_has_a_row() {
    let page = text("docs/COMPATIBILITY.md");
    let named: BTreeSet<String> = rows(&page).into_iter().map(|mut row| row.remove(0)).collect();
    let known: BTreeSet<String> =
        text("testdata/compatibility/plugins-1.37.txt").lines().map(str::to_owned).collect();
    assert_eq!(named, known, "the rows of docs/COMPATIBILITY.md and the plugins of the release");
    if let Some(listed) = Upstream::plugin_names() {
        assert!(
            listed.iter().eq(&known),
            "testdata/compatibility/plugins-1.37.txt is not the registry"
        );
    }
}

#[test]
fn every_row_shows_what_it_says() {
    for row in rows(&text("docs/COMPATIBILITY.md")) {
        assert_eq!(row.len(), 4, "four cells: {row:?}");
        let shown = &row[3];
        let honest = shown == "none" && row[2].starts_with("not ");
        let mut named = spans(shown).peekable();
        assert!(honest || named.peek().is_some(), "{row:?} is shown by nothing");
        for name in named {
            let path = if name.starts_with("src/") {
                name.to_owned()
            } else {
                format!("testdata/scenarios/{name}")
            };
            assert!(root().join(&path).is_file(), "{path} is not there");
        }
    }
}

#[test]
fn every_field_that_a_pod_may_be_refused_for_is_named() {
    let page = text("docs/COMPATIBILITY.md");
    let mut fields = BTreeSet::new();
    for path in sources(&root().join("src/kubernetes/translate")) {
        let source = fs::read_to_string(&path).expect("a source can be read");
        fields.extend(source.lines().filter_map(refused_field).map(str::to_owned));
    }
    assert!(!fields.is_empty(), "the sentences of refusals are found: {fields:?}");
    let missing: Vec<&String> = fields.iter().filter(|field| !page.contains(*field)).collect();
    assert!(missing.is_empty(), "docs/COMPATIBILITY.md does not name {missing:?}");
}

/// The field in a sentence such as `"spec.resourceClaims: claims are not allocated yet; ..."`, up to what is filled in.
fn refused_field(line: &str) -> Option<&str> {
    let sentence = line.trim().strip_prefix('"').filter(|text| text.contains(" yet"))?;
    let end = sentence.find([' ', ':', '{', '('])?;
    Some(&sentence[..end])
        .filter(|field| field.starts_with("spec.") || field.starts_with("metadata."))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

#[test]
fn the_checks_bite() {
    assert_eq!(
        refused_field("    \"spec.volumes[].{source}: not handled yet; \\"),
        Some("spec.volumes[].")
    );
    assert_eq!(refused_field("    \"spec.a: fine\","), None);
    let page = "# T\n\n## Plugins\n\n| Plugin | Fields | A | B |\n|---|---|---|---|\n| One | a | b | `c.yaml` |\n\n## Next\n\n| Two | x | y | z |\n";
    assert_eq!(rows(page), [["One", "a", "b", "`c.yaml`"]]);
    assert!(spans("see `a` and `b`").eq(["a", "b"]));
}
