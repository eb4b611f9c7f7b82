//! How fast the whole engine decides: facts in, orders out, outcomes and facts about them in again.
//! Facts are made before the clock starts; everything else of a pod's life counts. One thread.
//! `cargo bench --bench engine [-- FILTER]`.

mod backlog;
mod fleet;
mod singles;
mod whole_gang;

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    if wanted("singles") {
        singles::run();
    }
    if wanted("gang") {
        whole_gang::run();
    }
    if wanted("backlog") {
        backlog::run();
    }
}
