//! Runs every story of `testdata/scenarios/` twice and compares the transcript with the one in the file.
//! `UPDATE_EXPECT=1 cargo test` rewrites the files; read the difference before you commit it.

use std::path::{Path, PathBuf};

use muster::sim::manifests::read::documents_of;
use muster::sim::manifests::sort::sort;
use muster::sim::scenario::Scenario;
use muster::sim::world::{SCHEDULER_NAMES, World, WorldSettings};
use serde_json::Value;

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

/// What is wrong with the end of a simulation of a story's manifests alone, without its script and its duration.
fn loose_end(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).expect("it was just listed");
    let (body, _) = text.rsplit_once("\n---\n")?;
    // Bad input is a story too, and has no end.
    let input = sort(documents_of("story", body).ok()?).ok()?;
    let mut world = World::new(input, WorldSettings::default()).ok()?;
    world.run(None);
    let result = world.result();
    let is_ours = |pod: &Value| {
        let scheduler = pod["spec"]["schedulerName"].as_str().unwrap_or("default-scheduler");
        SCHEDULER_NAMES.contains(&scheduler)
    };
    let pods = world.snapshot().pods;
    let told = |pod: &Value| {
        let (namespace, name) = (&pod["metadata"]["namespace"], &pod["metadata"]["name"]);
        let entries = result.waiting.iter().filter(|entry| namespace == entry.namespace.as_str());
        entries.flat_map(|entry| &entry.pods).filter(|pod| name == pod.as_str()).count()
    };
    let mut unbound = pods.iter().filter(|pod| {
        pod["spec"]["nodeName"].is_null() && pod["status"]["phase"] == "Pending" && is_ours(pod)
    });
    let wrong = unbound.find(|pod| told(pod) != 1)?;
    Some(format!("{} is in {} entries", wrong["metadata"]["name"], told(wrong)))
}

#[test]
fn every_simulation_ends_and_each_pod_that_waits_is_in_one_entry() {
    let complaints: Vec<String> = scenario_files()
        .iter()
        .filter_map(|file| loose_end(file).map(|why| format!("{}: {why}", file.display())))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
