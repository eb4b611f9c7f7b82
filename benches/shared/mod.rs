//! What the benches of planner and engine have in common: the fleet that they measure, and how a bench is
//! chosen. No bench of its own: Cargo takes folders with a `main.rs` for one.

pub(crate) mod fleet;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bench and the name by which it is chosen.
pub(crate) type Named = (&'static str, fn());

/// Runs the benches whose name contains the first argument that is not an option; all without one.
pub(crate) fn run(benches: &[Named]) {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_wanted =
        |name: &str| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    for (_, bench) in benches.iter().filter(|(name, _)| is_wanted(name)) {
        bench();
    }
}
