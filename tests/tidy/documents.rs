//! What is written for people: markdown, the map, scenarios, and what no file may mention.

use std::fs;

use super::source;

/// Reasons that no simulated world can bring about yet, and what will.
const NOT_REACHABLE_YET: [(&str, &str); 1] = [("WaitingForVictims", "comes with preemption")];

pub(crate) fn markdown() -> Vec<String> {
    let is_markdown = |(path, _): &(String, String)| path.ends_with(".md");
    source::text_files()
        .iter()
        .filter(|file| is_markdown(file))
        .flat_map(|(path, text)| titles_and_sentences(path, text))
        .collect()
}

fn titles_and_sentences(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut fenced = false;
    let mut titles = 0;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            titles += usize::from(line.starts_with("# "));
            if !line.trim_start().starts_with('|') && has_two_sentences(line) {
                complaints.push(format!("{path}:{}: two sentences on one line", index + 1));
            }
        }
    }
    if titles != 1 {
        complaints
            .push(format!("{path}: {titles} titles (lines that begin with \"# \"); one is right"));
    }
    complaints
}

/// True if a sentence ends and another begins on this line. Code spans count as words.
fn has_two_sentences(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after_marker = usize::from(
        words
            .first()
            .is_some_and(|word| word.trim_end_matches('.').chars().all(|c| c.is_ascii_digit())),
    );
    words[after_marker.min(words.len())..].windows(2).any(|pair| {
        let ends =
            pair[0].ends_with(['.', '!', '?']) && !["e.g.", "i.e.", "vs."].contains(&pair[0]);
        ends && pair[1].chars().next().is_some_and(|first| first.is_uppercase() || first == '`')
    })
}

pub(crate) fn architecture(rooms: &[&str]) -> Vec<String> {
    let path = source::root().join("docs/ARCHITECTURE.md");
    let Ok(text) = fs::read_to_string(&path) else { return vec!["is missing".to_owned()] };
    let named = |room: &&&str| text.contains(&format!("`{room}/`"));
    rooms
        .iter()
        .filter(|room| !named(room))
        .map(|room| format!("does not name `{room}/`"))
        .collect()
}

/// Folders whose files are named in documents by their path.
const NAMED_BY_PATH: [&str; 6] = ["src/", "tests/", "testdata/", "benches/", "docs/", "deploy/"];

/// What documents name and what is not there.
pub(crate) fn dead_paths() -> Vec<String> {
    let texts = source::text_files().into_iter().filter(|(path, _)| path.ends_with(".md"));
    let mut complaints = Vec::new();
    for (path, text) in texts {
        let named = paths_in(&text).into_iter();
        let missing = named.filter(|named| !source::root().join(named).exists());
        complaints.extend(missing.map(|named| format!("{path} names {named}, which is not there")));
    }
    complaints
}

/// The paths that a document names in code spans; those with a word in capitals stand for many.
fn paths_in(text: &str) -> Vec<&str> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let in_capitals = |part: &str| !part.is_empty() && part.chars().all(char::is_uppercase);
    let stands_for_many =
        |span: &str| !span.starts_with("docs/") && span.split(['/', '.']).any(in_capitals);
    let is_path = |span: &&str| {
        NAMED_BY_PATH.iter().any(|folder| span.starts_with(folder))
            && !span.contains(char::is_whitespace)
            && !stands_for_many(span)
    };
    spans.filter(is_path).collect()
}

/// What `docs/RELIABILITY.md` calls its evidence, and what no test or scenario is called.
pub(crate) fn dead_evidence() -> Vec<String> {
    let path = source::root().join("docs/RELIABILITY.md");
    let Ok(text) = fs::read_to_string(&path) else { return vec!["is missing".to_owned()] };
    let sources = source::all();
    let is_test =
        |name: &str| sources.iter().any(|source| source.code.contains(&format!("fn {name}(")));
    let stories = source::root().join("testdata/scenarios");
    let is_story = |name: &str| stories.join(format!("{name}.yaml")).exists();
    evidence_in(&text)
        .into_iter()
        .filter(|name| !is_test(name) && !is_story(name))
        .map(|name| format!("docs/RELIABILITY.md names {name}, which is no test and no scenario"))
        .collect()
}

/// Code spans that are sentences spelt as the names of tests (`_`) or of scenarios (`-`).
fn evidence_in(text: &str) -> Vec<&str> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let is_sentence = |span: &&str, space: char| {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        span.chars().all(|c| word(c) || c == space) && span.matches(space).count() >= 3
    };
    spans.filter(|span| is_sentence(span, '_') || is_sentence(span, '-')).collect()
}

/// Tests that `docs/TESTING.md` does not name.
pub(crate) fn unnamed_tests() -> Vec<String> {
    let path = source::root().join("docs/TESTING.md");
    let Ok(text) = fs::read_to_string(&path) else { return vec!["is missing".to_owned()] };
    let entries = fs::read_dir(source::root().join("tests")).expect("the folder of tests exists");
    let mut complaints: Vec<String> = entries
        .map(|entry| {
            entry.expect("an entry can be read").file_name().to_string_lossy().into_owned()
        })
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|name| !text.contains(&format!("`tests/{name}")))
        .map(|name| format!("docs/TESTING.md does not name tests/{name}"))
        .collect();
    complaints.sort();
    complaints.dedup();
    complaints
}

pub(crate) fn foreign_paths() -> Vec<String> {
    // Spelt in halves, so that this file does not complain about itself.
    let outside = [concat!("/wo", "rk/"), concat!("../sha", "red")];
    let mut complaints = Vec::new();
    for (path, text) in source::text_files() {
        // Tests may look for trace data beside the repository; they skip, saying so, where there is none.
        let may_look_beside = path.starts_with("tests/") || path.starts_with("benches/");
        for mark in outside.iter().filter(|mark| !(may_look_beside && mark.starts_with(".."))) {
            if text.contains(mark) {
                complaints.push(format!("{path} mentions {mark}"));
            }
        }
    }
    complaints
}

pub(crate) fn reasons_shown() -> Vec<String> {
    let orders = fs::read_to_string(source::root().join("src/engine/order.rs"))
        .expect("the reasons' file exists");
    let reasons = reasons_in(&orders);
    assert!(reasons.len() > 5, "WaitReason::as_str is where the words stand");
    let scenarios: Vec<String> = source::text_files()
        .into_iter()
        .filter(|(path, _)| path.starts_with("testdata/scenarios/"))
        .map(|(_, text)| text)
        .collect();
    let shown = |reason: &str| scenarios.iter().any(|text| transcript(text).contains(reason));
    let excused = |reason: &str| NOT_REACHABLE_YET.iter().any(|(name, _)| *name == reason);
    let missing = reasons.iter().filter(|reason| !shown(reason) && !excused(reason));
    let mut complaints: Vec<String> =
        missing.map(|reason| format!("no transcript shows {reason}")).collect();
    let stale = NOT_REACHABLE_YET.iter().filter(|(reason, _)| shown(reason));
    complaints.extend(
        stale.map(|(reason, _)| format!("{reason} is shown; take it off the list of excuses")),
    );
    complaints
}

/// The words that `WaitReason::as_str` maps to.
fn reasons_in(orders: &str) -> Vec<String> {
    let arms = orders
        .lines()
        .filter(|line| line.trim_start().starts_with("Self::") && line.contains("=> \""));
    arms.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

/// What a scenario expects to see, below its last key.
fn transcript(scenario: &str) -> &str {
    scenario.rsplit_once("\nexpect: |").map_or("", |(_, transcript)| transcript)
}

#[test]
fn the_rules_of_documents_bite() {
    assert_eq!(titles_and_sentences("a.md", "# A\n\nOne. Two.\n").len(), 1);
    assert_eq!(titles_and_sentences("a.md", "# A\n\n# B\n").len(), 1);
    let good = "# A\n\n1. One thing, e.g. `this`.\n```\n# One. Two.\n```\n| a. B | c |\n";
    assert!(titles_and_sentences("a.md", good).is_empty());
    let named = "See `src/a.rs`, `docs/ARCHITECTURE.md`, `src/plugins/RULE.rs`, and `tests/` or `kubectl get`.";
    assert_eq!(paths_in(named), ["src/a.rs", "docs/ARCHITECTURE.md", "tests/"]);
    let evidence =
        "`a_test_of_ours`, a story `a-story-of-ours`, and `src/a_b_c_d.rs` or `min_member`";
    assert_eq!(evidence_in(evidence), ["a_test_of_ours", "a-story-of-ours"]);
    assert_eq!(reasons_in("        Self::A => \"Alpha\",\n"), ["Alpha"]);
    assert_eq!(transcript("a: 1\nexpect: |\n  Alpha\n"), "\n  Alpha\n");
}
