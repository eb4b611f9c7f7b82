//! How fast placements are decided, against a plain scan in the same run: the same rules evaluated over an
//! array of node structs. Single pods on a nearly full cluster, a big gang, pods that each ask for something
//! new. One thread. `cargo bench --bench placement [-- FILTER]`; both sides must choose the same nodes.

mod fleet;
mod novel;
mod report;
mod scan;
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
    if wanted("novel") {
        novel::run();
    }
}
