//! Seeded worlds: rival schedulers, each the rim of `muster run` over kube's client, against the in-memory API in
//! virtual time, under the faults that a seed draws; every write is judged; then the faults stop, and everything must
//! come to rest as promised. `MUSTER_SEED=17 cargo test --test worlds -- --nocapture` shows one, with all that went
//! over the wire; `MUSTER_WORLDS=1000000 cargo test --profile worlds --test worlds` runs more.

mod barrier;
mod complaints;
mod draw;
mod gangs;
mod judge;
mod mischief;
mod network;
mod processes;
mod settled;
mod volumes;
mod world;

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use muster::base::random::Random;

use crate::draw::Luck;

/// Worlds in an ordinary run, which is not optimised.
const WORLDS: u64 = 30;

/// Worlds without a fault in an ordinary run.
const CALM_WORLDS: u64 = 10;

/// Worlds that found something wrong in Muster: a word that was forbidden once and never said again, a pod that was
/// told that it waits when it was bound, a person's lie that was believed, a plan that was replaced while its binds
/// were being verified.
const FOUND: [u64; 9] = [159, 349, 747, 855, 915, 951, 1203, 1228, 1762];

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number; write digits")))
}

/// How to see a failure again.
fn command(seed: u64) -> String {
    let commit = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let commit = commit.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let commit = commit.unwrap_or_else(|_| "unknown".to_owned());
    format!(
        "at commit {commit}; to see it again: MUSTER_SEED={seed} cargo test --profile worlds --test worlds no_gang -- --nocapture"
    )
}

/// Runs one world twice; returns how many pods were bound.
fn twice(seed: u64, luck: Luck) -> usize {
    let end = world::run(seed, luck);
    assert!(end.broken.is_empty(), "seed {seed}: {:#?}\n{}", end.broken, command(seed));
    let again = world::run(seed, luck);
    let differs = end.trace.iter().zip(&again.trace).position(|(left, right)| left != right);
    assert!(
        end == again,
        "seed {seed} is not the same twice, from line {differs:?}\n{}",
        command(seed)
    );
    end.bound
}

#[test]
fn no_gang_is_ever_left_in_part_whatever_happens() {
    if let Some(seed) = number("MUSTER_SEED") {
        let end = world::run(seed, Luck::Bad);
        println!("{}", end.trace.join("\n"));
        assert!(end.broken.is_empty(), "seed {seed}: {:#?}", end.broken);
        return;
    }
    let worlds = number("MUSTER_WORLDS").unwrap_or(WORLDS);
    let first = number("MUSTER_FIRST").unwrap_or(1);
    let (next, bound) = (AtomicU64::new(first), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + worlds {
                        return;
                    }
                    let pods = twice(seed, Luck::Bad) as u64;
                    bound.fetch_add(pods, Ordering::Relaxed);
                }
            });
        }
    });
    let bound = bound.into_inner();
    println!("{worlds} worlds from seed {first} on, each run twice: {bound} pods were bound");
    assert!(bound > worlds, "worlds in which nothing is bound prove nothing");
}

#[test]
fn what_was_found_once_is_found_no_more() {
    for seed in FOUND {
        twice(seed, Luck::AsFound);
    }
}

#[test]
fn in_calm_worlds_writes_keep_to_their_budget_and_nobody_complains() {
    for seed in 1..=CALM_WORLDS {
        let (complaints, end) = complaints::of(|| world::run(seed, Luck::Good));
        assert!(complaints.is_empty(), "calm seed {seed}: {complaints:#?}");
        assert!(end.broken.is_empty(), "calm seed {seed}: {:#?}", end.broken);
        let calls = |method: &str, part: &str, but: &str| {
            let is_one = |line: &&String| {
                let mut words = line.split_whitespace().skip(2);
                let (verb, target) = (words.next(), words.next().unwrap_or_default());
                verb == Some(method) && target.contains(part) && !target.ends_with(but)
            };
            end.trace.iter().filter(is_one).count()
        };
        let binds = calls("POST", "/binding", "?");
        assert_eq!(binds, end.bound, "calm seed {seed}: each pod is bound once, by one write");
        let decisions = calls("PATCH", "/podgroups/", "/status");
        let records = calls("POST", "/gangplans", "?") + calls("PUT", "/gangplans/", "?");
        let seals = calls("PATCH", "/gangplans/", "?");
        assert!(decisions > 0 || end.bound < 8, "calm seed {seed}: no gang was bound");
        assert_eq!(
            (records, seals),
            (decisions, decisions),
            "calm seed {seed}: three writes for each gang"
        );
    }
}

#[test]
fn worlds_differ() {
    let drawn = |seed| format!("{:?}", draw::draw(seed, &mut Random::new(seed), Luck::Bad));
    assert_ne!(drawn(1), drawn(2));
}
