//! How fast placements are decided, against a plain scan in the same run: the same rules evaluated over an
//! array of node structs. Single pods on a nearly full cluster, a big gang, pods that each ask for something
//! new, pods that mean something to other pods, pods of which
//! nobody says anything. One thread. `cargo bench --bench placement [-- FILTER]`; both sides must choose the same nodes.

mod beside;
mod novel;
mod report;
mod scan;
#[path = "../shared/mod.rs"]
mod shared;
mod singles;
mod unused;
mod whole_gang;

use shared::fleet;

fn main() {
    shared::run(&[
        ("singles", singles::run),
        ("gang", whole_gang::run),
        ("novel", novel::run),
        ("beside", beside::run),
        ("unused", unused::run),
    ]);
}
