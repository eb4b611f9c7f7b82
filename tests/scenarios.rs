//! Runs every story of `testdata/scenarios/` twice and compares the transcript with the one in the file.
//! `UPDATE_EXPECT=1 cargo test` rewrites the files; read the difference before you commit it.

use std::path::{Path, PathBuf};

use muster::sim::scenario::Scenario;

/// A story must fit on a screen.
const LINES_MAX: usize = 40;

fn scenario_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/scenarios");
    let entries = std::fs::read_dir(directory).expect("the scenarios are part of the repository");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable directory").path()).collect();
    files.sort();
    files
}

/// What is wrong with one story; `None` if nothing is.
fn complaint(file: &Path) -> Option<String> {
    let scenario = match Scenario::read(file) {
        Ok(scenario) => scenario,
        Err(problem) => return Some(problem),
    };
    let (first, second) = match (scenario.run(), scenario.run()) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(problem), _) | (_, Err(problem)) => return Some(problem),
    };
    if first != second {
        return Some(format!("two runs differ:\n{first}\nand\n{second}"));
    }
    if first.lines().count() > LINES_MAX {
        return Some(format!("more than {LINES_MAX} lines:\n{first}"));
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, scenario.rewritten(&first)).expect("the scenarios can be written");
        return None;
    }
    let expected = scenario.expected();
    (expected != first).then(|| format!("expected:\n{expected}\nbut it went:\n{first}"))
}

#[test]
fn every_story_goes_as_it_is_told() {
    let files = scenario_files();
    assert!(files.len() >= 45, "only {} scenarios were found", files.len());
    let complaints: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            complaint(file).map(|complaint| format!("=== {name}\n{complaint}"))
        })
        .collect();
    assert!(
        complaints.is_empty(),
        "{} of {} stories went another way (UPDATE_EXPECT=1 rewrites them):\n{}",
        complaints.len(),
        files.len(),
        complaints.join("\n")
    );
}
