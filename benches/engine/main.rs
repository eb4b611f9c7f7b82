//! How fast the whole engine decides: facts in, orders out, outcomes and facts about them in again.
//! Facts are made before the clock starts; everything else of a pod's life counts. One thread.
//! `cargo bench --bench engine [-- FILTER]`.

mod backlog;
mod pods;
#[path = "../shared/mod.rs"]
mod shared;
mod singles;
mod whole_gang;

use shared::fleet;

fn main() {
    shared::run(&[("singles", singles::run), ("gang", whole_gang::run), ("backlog", backlog::run)]);
}
