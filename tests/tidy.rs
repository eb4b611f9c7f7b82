//! The rules of the house, held by a test: floors, purity, packages, sizes, names, documents.
//! `docs/ARCHITECTURE.md` and `docs/STYLE.md` say why. Each rule is a function from a file to complaints,
//! shown to bite on a bad example at the end of its file.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;

use source::Source;

/// Everything that may stand at the top of the repository, dotfiles and `target` aside.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "deploy",
    "docs",
    "src",
    "testdata",
    "tests",
];

fn hold(rule: &str, complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

fn each(sources: &[Source], check: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    sources.iter().flat_map(check).collect()
}

#[test]
fn a_room_uses_only_lower_floors() {
    hold("a room uses lower floors only", each(&source::library(), rooms::floors));
}

#[test]
fn every_room_has_a_floor_and_every_floor_a_room() {
    hold(
        "the rooms of src/ and the table of floors agree",
        rooms::table_matches(&source::library()),
    );
}

#[test]
fn pure_rooms_touch_nothing_of_the_world() {
    hold(
        "pure rooms have no clock, thread, file, socket, async, float",
        each(&source::library(), rooms::purity),
    );
}

#[test]
fn packages_stay_in_their_rooms() {
    hold("each package in its rooms", each(&source::library(), rooms::packages));
}

#[test]
fn files_and_functions_stay_small() {
    hold("files, functions, and parameter lists have limits", each(&source::all(), shape::sizes));
}

#[test]
fn every_file_says_what_it_is_for() {
    hold("each file begins with a few //! lines", each(&source::all(), shape::header));
}

#[test]
fn names_say_something() {
    hold("names are full words of the field", each(&source::all(), shape::names));
}

#[test]
fn nothing_is_left_undone_or_unwrapped() {
    hold("no leftovers", each(&source::all(), shape::leftovers));
}

#[test]
fn imports_stand_alone() {
    hold("one import per line, no groups", each(&source::all(), shape::imports));
}

#[test]
fn the_top_of_the_repository_is_what_it_should_be() {
    assert_eq!(source::top_level(), TOP_LEVEL);
}

#[test]
fn documents_are_one_title_and_one_sentence_per_line() {
    hold("markdown", documents::markdown());
}

#[test]
fn the_architecture_names_every_room() {
    hold("docs/ARCHITECTURE.md", documents::architecture(&rooms::names()));
}

#[test]
fn documents_name_what_is_there() {
    hold("paths in documents", documents::dead_paths());
}

#[test]
fn documents_name_tests_and_stories_that_exist() {
    hold("tests and scenarios in docs/RELIABILITY.md", documents::dead_evidence());
}

#[test]
fn the_testing_page_names_every_test() {
    hold("docs/TESTING.md", documents::unnamed_tests());
}

#[test]
fn nothing_points_outside_the_repository() {
    hold("no foreign paths", documents::foreign_paths());
}

#[test]
fn every_reason_to_wait_is_shown_by_a_scenario() {
    hold("testdata/scenarios", documents::reasons_shown());
}
