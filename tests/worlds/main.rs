//! Seeded worlds: the scheduler's own rim over `kube::Client` against the in-memory API, in virtual time, under
//! the faults that a seed draws; then the faults stop, and everything must come to rest as promised.
//! `MUSTER_SEED=17 cargo test --test worlds -- --nocapture` shows one, with all that went over the wire;
//! `MUSTER_WORLDS=1000000 cargo test --release --test worlds` runs more.

mod draw;
mod network;
mod settled;
mod world;

use muster::base::random::Random;

/// Worlds in an ordinary run, which is not optimised.
const WORLDS: u64 = 40;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number; write digits")))
}

#[test]
fn no_gang_is_ever_left_in_part_whatever_the_network_does() {
    if let Some(seed) = number("MUSTER_SEED") {
        let ending = world::run(seed);
        println!("{}", ending.trace.join("\n"));
        assert!(ending.broken.is_empty(), "seed {seed}: {:#?}", ending.broken);
        return;
    }
    let worlds = number("MUSTER_WORLDS").unwrap_or(WORLDS);
    let mut bound = 0;
    for seed in 1..=worlds {
        let ending = world::run(seed);
        assert!(
            ending.broken.is_empty(),
            "seed {seed}: {:#?}\nMUSTER_SEED={seed} cargo test --test worlds -- --nocapture",
            ending.broken
        );
        assert_eq!(ending, world::run(seed), "seed {seed} is not the same twice");
        bound += ending.bound;
    }
    assert!(bound as u64 > worlds, "worlds in which nothing is bound prove nothing");
}

#[test]
fn worlds_differ() {
    let drawn = |seed| format!("{:?}", draw::draw(&mut Random::new(seed)));
    assert_ne!(drawn(1), drawn(2));
}
