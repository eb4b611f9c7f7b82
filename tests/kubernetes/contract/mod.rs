//! The contract: the same requests get the same answers from the in-memory API and from a real API server.
//!
//! Each file of `testdata/contract/` is one case: requests, and the answers that the real server gave, normalised
//! where two servers may differ (uids, versions, times). The in-memory API must give them too. The real server is
//! the author: `UPDATE_EXPECT=1 cargo test --test kubernetes contract::the_real` rewrites the files from it.

mod case;
mod normal;
mod target;
mod transcript;

use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use self::case::Case;
use self::target::Target;
use self::transcript::transcript;
use crate::cluster::Cluster;
use crate::cluster::Release;
use crate::cluster::User;

/// All cases in the order of their names.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/contract");
    let entries = std::fs::read_dir(folder).expect("the cases are part of the repository");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable directory").path()).collect();
    files.sort();
    // MUSTER_CONTRACT=part-of-a-name runs some of them.
    let wanted = std::env::var("MUSTER_CONTRACT").unwrap_or_default();
    files.retain(|file| file.to_string_lossy().contains(&wanted));
    assert!(!files.is_empty(), "no case is named {wanted}");
    files
}

/// What one case came to.
struct Outcome {
    name: String,
    case: Case,
    file: PathBuf,
    /// One part for each request.
    went: Vec<String>,
}

/// Who is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// Where a request says `differs`, it must.
    InMemory,
    Real,
    /// A real server of a release before the one that wrote the answers: see [`gist`].
    OlderReal,
}

impl Outcome {
    fn complaint(&self, judged: Judged) -> Option<String> {
        let expected = self.case.expected();
        let mut text = String::new();
        for (index, asked) in self.case.requests().iter().enumerate() {
            let part = |parts: &[String]| parts.get(index).cloned().unwrap_or_default();
            let (mut old, mut new) = (part(&expected), part(&self.went));
            if judged == Judged::OlderReal {
                (old, new) = (gist(&old), gist(&new));
            }
            let may_differ = judged == Judged::InMemory && asked.differs.is_some();
            match (old == new, may_differ) {
                (true, false) | (false, true) => {}
                (false, false) => {
                    text.push_str(&format!("request {}\n{}", index + 1, difference(&old, &new)));
                }
                (true, true) => {
                    let alike = "answers alike now: remove its `differs`";
                    text.push_str(&format!("request {}\n  {alike}\n", index + 1));
                }
            }
        }
        (!text.is_empty()).then(|| format!("=== {}\n{text}", self.name))
    }
}

/// What a refusal says in every release. 1.36 lists a cause as often as it validates, and both show what an update
/// changed as lines of their own structs, which differ.
fn gist(part: &str) -> String {
    static STRUCTS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\\n@@(\\.|[^"\\])*"#).expect("the expression is valid"));
    let line = |line: &str| {
        let details = line.strip_prefix("  details: ").and_then(|text| text.parse().ok());
        let Some(mut details): Option<Value> = details else { return line.to_owned() };
        if let Some(causes) = details["causes"].as_array_mut() {
            causes.dedup();
        }
        format!("  details: {details}")
    };
    let lines: Vec<String> = part.lines().map(line).collect();
    STRUCTS.replace_all(&lines.join("\n"), "").into_owned()
}

#[test]
fn the_gist_of_a_refusal_is_one_cause_without_structs() {
    let details = r#"  details: {"causes":[{"message":"no\n@@ -1 \"X\": y"},{"message":"no\n@@ -1 \"X\": y"}]}"#;
    assert_eq!(gist(details), r#"  details: {"causes":[{"message":"no"}]}"#);
    let message = r#"  message: "no\n@@ -1 \"X\": y""#;
    assert_eq!(gist(message), r#"  message: "no""#);
    assert_ne!(gist("  message: other"), gist("  message: no"));
}

/// The lines of one request's part, those that only one side has marked.
fn difference(expected: &str, went: &str) -> String {
    let mut text = String::new();
    for line in expected.lines() {
        let mark = if went.lines().any(|other| other == line) { ' ' } else { '-' };
        text.push_str(&format!("{mark} {line}\n"));
    }
    for line in went.lines().filter(|line| !expected.lines().any(|other| other == *line)) {
        text.push_str(&format!("+ {line}\n"));
    }
    text
}

/// Performs a case, unless it is of a later release.
async fn perform(file: PathBuf, target: &Target, release: Release) -> Option<Outcome> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let case = Case::read(&file).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    if !case.holds_since(release) {
        return None;
    }
    let went = transcript(&case, &name, target).await;
    Some(Outcome { name, case, file, went })
}

fn judge(outcomes: &[Outcome], judged: Judged) {
    let complaints: Vec<String> =
        outcomes.iter().filter_map(|outcome| outcome.complaint(judged)).collect();
    assert!(
        complaints.is_empty(),
        "{} of {} cases went another way ({judged:?}); lines with - are the real server's:\n{}",
        complaints.len(),
        outcomes.len(),
        complaints.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory_it_is_kept() {
    let mut outcomes = Vec::new();
    for file in cases() {
        // A server of its own for each, so that no case leans on another.
        outcomes.extend(perform(file, &Target::in_memory(), Release::V1_37).await);
    }
    judge(&outcomes, Judged::InMemory);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_keeps_it() {
    let Some(cluster) = Cluster::start("contract").await else { return };
    let target = Target::real(cluster.client(User::Administrator).await, cluster.etcd());
    let mut outcomes = Vec::new();
    for file in cases() {
        outcomes.extend(perform(file, &target, cluster.release).await);
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        for outcome in &outcomes {
            std::fs::write(&outcome.file, outcome.case.rewritten(&outcome.went))
                .expect("the cases can be written");
        }
        return;
    }
    let older = cluster.release < Release::V1_37;
    judge(&outcomes, if older { Judged::OlderReal } else { Judged::Real });
}
