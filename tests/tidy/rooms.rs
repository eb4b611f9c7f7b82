//! Who may use whom: floors of rooms, purity, and the rooms of each package.

use std::collections::BTreeSet;

use super::source::Source;

/// The rooms and their floors. A room uses rooms on lower floors; rooms on one floor are strangers.
/// Rooms that come later keep their place here.
const FLOORS: [(&str, u32); 15] = [
    ("base", 0),
    ("gpu", 1),
    ("topology", 1),
    ("workload", 2),
    ("cluster", 3),
    ("plugins", 4),
    ("planner", 5),
    ("engine", 6),
    ("config", 7),
    ("journal", 7),
    ("kubernetes", 8),
    ("apiserver", 8),
    ("sim", 9),
    ("telemetry", 9),
    ("cli", 10),
];

/// Rooms of the table that nothing needs yet.
const NOT_BUILT_YET: [&str; 3] = ["gpu", "topology", "journal"];

/// Below this floor everything is pure.
const FIRST_RIM_FLOOR: u32 = 8;

/// Parts of rim rooms that are pure all the same.
const PURE_PARTS: [&str; 4] =
    ["src/apiserver/store/", "src/sim/kubelet", "src/sim/controllers/", "src/sim/replay/"];

/// What no pure file may say, and what it would mean.
const IMPURE: [(&str, &str); 12] = [
    ("std::time", "a clock"),
    ("Instant", "a clock"),
    ("SystemTime", "a clock"),
    ("std::thread", "threads"),
    ("std::fs", "files"),
    ("std::env", "the environment"),
    ("TcpStream", "sockets"),
    ("TcpListener", "sockets"),
    ("async", "async"),
    ("f32", "floats"),
    ("f64", "floats"),
    ("HashMap::new", "a randomly seeded map; take BTreeMap, or FxHashMap that is never iterated"),
];

/// Packages and the rooms that may use them; a name that ends in `.rs` is one file.
const PACKAGES: [(&str, &[&str]); 15] = [
    ("kube", &["kubernetes", "cli"]),
    ("k8s_openapi", &["kubernetes", "apiserver", "sim", "cli"]),
    ("tokio", &["kubernetes", "apiserver", "sim", "telemetry", "cli"]),
    ("futures", &["kubernetes", "apiserver", "sim", "telemetry", "cli"]),
    ("axum", &["kubernetes", "apiserver", "sim", "telemetry", "cli"]),
    ("dashmap", &["kubernetes", "apiserver", "telemetry", "cli"]),
    ("clap", &["cli"]),
    ("comfy_table", &["cli", "sim"]),
    ("indicatif", &["cli"]),
    ("kube_cel", &["apiserver"]),
    ("priority_queue", &["engine"]),
    ("prometheus_client", &["telemetry"]),
    ("tracing_subscriber", &["telemetry", "cli"]),
    ("csv", &["sim"]),
    ("ruzstd", &["sim"]),
];

pub(crate) fn names() -> Vec<&'static str> {
    let built = |room: &&str| !NOT_BUILT_YET.contains(room);
    FLOORS.iter().map(|(room, _)| *room).filter(built).collect()
}

fn floor(room: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Rooms named by paths such as `crate::planner::plan` or `super::super::planner`.
fn rooms_named(line: &str) -> Vec<&str> {
    let by_crate = line.split("crate::").skip(1);
    let by_super = line.split("super::super::").skip(1);
    by_crate
        .chain(by_super)
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
        })
        .filter(|room| floor(room).is_some())
        .collect()
}

pub(crate) fn floors(source: &Source) -> Vec<String> {
    let Some((room, own)) = source.room().and_then(|room| Some((room, floor(room)?))) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for (index, line) in source.code.lines().enumerate() {
        for used in rooms_named(line) {
            if used != room && floor(used).is_some_and(|floor| floor >= own) {
                let what = format!("{room} (floor {own}) uses {used}, which is not below it");
                complaints.push(source.complaint(index, &what));
            }
        }
    }
    complaints
}

pub(crate) fn table_matches(sources: &[Source]) -> Vec<String> {
    let found: BTreeSet<&str> = sources.iter().filter_map(Source::room).collect();
    let expected: BTreeSet<&str> = names().into_iter().collect();
    found
        .symmetric_difference(&expected)
        .map(|room| format!("{room}: in one of them only"))
        .collect()
}

fn is_pure(source: &Source) -> bool {
    PURE_PARTS.iter().any(|part| source.path.starts_with(part))
        || source.room().and_then(floor).is_some_and(|floor| floor < FIRST_RIM_FLOOR)
}

pub(crate) fn purity(source: &Source) -> Vec<String> {
    if !is_pure(source) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (index, line) in source.code.lines().enumerate() {
        // A JSON text may hold a fraction; it is kept as it is and never reckoned with.
        // So too where serde wants every type of number named.
        if line.contains("fn visit_f64") || line.contains("u128 f32 f64 char") {
            continue;
        }
        for (word, meaning) in IMPURE.iter().filter(|(word, _)| has_word(line, word)) {
            complaints
                .push(source.complaint(index, &format!("{word} in a pure file means {meaning}")));
        }
    }
    complaints
}

pub(crate) fn packages(source: &Source) -> Vec<String> {
    let room = source.room().unwrap_or("none");
    let mut complaints = Vec::new();
    for (index, line) in source.code.lines().enumerate() {
        for (package, rooms) in PACKAGES {
            if !rooms.contains(&room) && has_word(line, &format!("{package}::")) {
                let what = format!("{package} belongs into {} only", rooms.join(", "));
                complaints.push(source.complaint(index, &what));
            }
        }
    }
    complaints
}

/// True if `word` stands in `line` and is not a part of a longer word.
/// A word that follows `crate::` or `super::` names a module of ours, not a package.
fn has_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = &line[..at];
        let ours = ["crate::", "super::", "self::"].iter().any(|path| before.ends_with(path));
        let open_end = word.ends_with(part_of_word);
        let after = line[at + word.len()..].chars().next();
        let inner = before.ends_with(part_of_word) || (open_end && after.is_some_and(part_of_word));
        !ours && !inner
    })
}

#[test]
fn the_rules_of_rooms_bite() {
    let upward = Source::new("src/planner/search.rs", "use crate::engine::event::Event;\n");
    let sideways = Source::new("src/sim/world.rs", "fn f() { super::super::telemetry::count() }\n");
    let downward =
        Source::new("src/engine/decide.rs", "use crate::planner::plan::Plan;\n// crate::cli\n");
    assert_eq!(floors(&upward).len(), 1);
    assert_eq!(floors(&sideways).len(), 1);
    assert!(floors(&downward).is_empty());
    let clock =
        Source::new("src/engine/decide.rs", "let now = std::time::Instant::now();\nlet x: f64;\n");
    assert_eq!(purity(&clock).len(), 3);
    let store = Source::new("src/apiserver/store/rows.rs", "async fn f() {}\n");
    assert_eq!(purity(&store).len(), 1);
    let face = Source::new("src/apiserver/face.rs", "async fn f() {}\n");
    assert!(purity(&face).is_empty());
    let client = Source::new("src/planner/search.rs", "use kube::Client;\nuse crate::kube::x;\n");
    assert_eq!(packages(&client).len(), 1);
}
