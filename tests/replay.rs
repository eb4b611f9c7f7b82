//! Traces replayed on the engine: the small ones of `testdata/traces/`, and the published ones where they lie
//! beside the repository, in `../shared/traces`; where they do not, those tests say so and pass.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use muster::base::time::Span;
use muster::base::time::Time;
use muster::cluster::facts::NodeFact;
use muster::sim::replay::Replayed;
use muster::sim::replay::cluster;
use muster::sim::replay::measure::Jobs;
use muster::sim::replay::measure::Measures;
use muster::sim::replay::measure::WHOLE;
use muster::sim::replay::measure::measure;
use muster::sim::replay::policy;
use muster::sim::replay::replay;
use muster::sim::traces;
use muster::sim::traces::Job;
use muster::sim::traces::Role;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn jobs(format: &str, path: &Path) -> Vec<Job> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let format = traces::format(format).expect("the format exists");
    traces::read(format, &bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn nodes(count: u32) -> Vec<NodeFact> {
    let text = format!(
        "nodes:\n- {{name: \"n[1-{count}]\", gpus: 8 x NVIDIA-H100-80GB-HBM3, cpu: 64, memory: 1Ti}}\n"
    );
    cluster::nodes("fleet.yaml", &text).expect("the fleet is valid")
}

fn run(policy: &str, jobs: &[Job], nodes: &[NodeFact]) -> (Replayed, Measures) {
    let settings = policy::policy(policy).expect("the policy exists").settings();
    let replayed = replay(jobs, nodes, settings, &mut |_| {});
    let measures = measure(jobs, &replayed);
    (replayed, measures)
}

fn mean_wait(measures: &Measures, of: Jobs) -> Span {
    measures.classes.iter().find(|class| class.jobs == of).expect("there are such jobs").wait.mean
}

/// A published trace, where it is there.
fn published(path: &str) -> Option<PathBuf> {
    let path = root().join("../shared/traces").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: there is no {}", path.display());
    None
}

#[test]
fn gangs_that_can_fill_a_cluster_fill_it() {
    let jobs = jobs("knavigator", &root().join("testdata/traces/knavigator.csv"));
    let (replayed, measures) = run("muster", &jobs, &nodes(4));
    // 20 workers of a whole node, 60 s each, on 4 nodes: no schedule is shorter.
    assert_eq!((measures.makespan, measures.allocation), (Span::seconds(300), WHOLE));
    assert_eq!((replayed.binds, measures.unplaced), (20, 0));
}

#[test]
fn a_compressed_trace_is_the_same_trace() {
    let folder = root().join("testdata/traces");
    assert_eq!(
        jobs("philly", &folder.join("philly.csv")),
        jobs("philly", &folder.join("philly.csv.zst"))
    );
}

#[test]
fn a_replay_repeats_itself() {
    let jobs = jobs("philly", &root().join("testdata/traces/philly.csv"));
    assert_eq!(run("muster", &jobs, &nodes(2)), run("muster", &jobs, &nodes(2)));
}

#[test]
fn a_kept_place_ends_the_overtaking_of_a_big_gang() {
    let jobs = jobs("philly", &root().join("testdata/traces/philly.csv"));
    let (kept, skipping) = (run("muster", &jobs, &nodes(2)).1, run("skipping", &jobs, &nodes(2)).1);
    assert_eq!((kept.unplaced, skipping.unplaced), (0, 0));
    let (with, without) = (mean_wait(&kept, Jobs::Gangs), mean_wait(&skipping, Jobs::Gangs));
    assert!(
        Span(with.0 * 2) < without,
        "gangs wait {with} with a kept place and {without} without"
    );
}

#[test]
fn a_job_larger_than_the_cluster_never_starts_and_stops_nobody() {
    let job = |name: &str, pods, submitted| Job {
        name: name.to_owned(),
        submitted: Time::EPOCH + Span::seconds(submitted),
        duration: Span::seconds(100),
        roles: vec![Role { pods, gpus_per_pod: 8 }],
    };
    let jobs = [job("big", 3, 0), job("fits", 2, 0), job("later", 1, 5_000)];
    let (replayed, measures) = run("muster", &jobs, &nodes(2));
    let at = |seconds| Some(Time::EPOCH + Span::seconds(seconds));
    assert_eq!(replayed.starts, [None, at(0), at(5_000)]);
    assert_eq!(measures.unplaced, 1);
    let unplaced = &replayed.unplaced[0];
    assert_eq!((unplaced.job.as_str(), unplaced.reason), ("big", "Unschedulable"));
    assert!(unplaced.message.starts_with("0/2 nodes are available: "), "{}", unplaced.message);
}

#[test]
fn the_knavigator_benchmark_reaches_its_optimum() {
    let Some(path) = published("knavigator/gang_53jobs.csv") else { return };
    let (replayed, measures) = run("muster", &jobs("knavigator", &path), &nodes(32));
    assert_eq!((measures.makespan, measures.allocation), (Span::seconds(1_080), WHOLE));
    assert_eq!((replayed.binds, measures.unplaced), (288, 0));
}

#[test]
fn two_weeks_of_philly_run_to_the_end() {
    let Some(path) = published("philly/philly.csv.zst") else { return };
    let day = |text: &str| Time::from_rfc3339(text).expect("a time");
    let (from, to) = (day("2017-10-01T00:00:00Z"), day("2017-10-15T00:00:00Z"));
    let mut jobs = jobs("philly", &path);
    assert_eq!(jobs.len(), 82_247);
    jobs.retain(|job| (from..to).contains(&job.submitted));
    let (replayed, measures) = run("muster", &jobs, &nodes(64));
    assert_eq!((replayed.gpus, measures.unplaced), (512, 0));
    assert_eq!(replayed.binds, jobs.iter().map(Job::pods).sum::<u64>());
}

/// The README's table of two months of Philly is what a replay gives today: a figure that does not depend on the machine
/// must not drift away from what is written.
#[test]
fn the_readme_says_what_two_months_of_philly_wait() {
    let Some(path) = published("philly/philly.csv.zst") else { return };
    let text = |path: &str| fs::read_to_string(root().join(path)).expect("it is in the repository");
    let day = |text: &str| Time::from_rfc3339(text).expect("a time");
    let (from, to) = (day("2017-10-01T00:00:00Z"), day("2017-12-01T00:00:00Z"));
    let mut jobs = jobs("philly", &path);
    jobs.retain(|job| (from..to).contains(&job.submitted));
    let cluster = "testdata/clusters/h100-64x8.yaml";
    let nodes = cluster::nodes(cluster, &text(cluster)).expect("the fleet is valid");
    let readme = text("README.md");
    for policy in ["muster", "skipping"] {
        let (_, measures) = run(policy, &jobs, &nodes);
        let wait = |of| thousands((mean_wait(&measures, of).0 + 500_000_000) / 1_000_000_000);
        let figures = format!("| {} s | {} s |", wait(Jobs::All), wait(Jobs::Gangs));
        let is_told =
            |line: &str| line.starts_with(&format!("| `{policy}`")) && line.contains(&figures);
        assert!(readme.lines().any(is_told), "README.md does not say of {policy}: {figures}");
    }
}

/// `1234567` as `1,234,567`.
fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups = groups.map(|group| std::str::from_utf8(group).expect("digits are ASCII"));
    groups.collect::<Vec<_>>().join(",")
}
