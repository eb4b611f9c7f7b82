//! Timing and the lines that are printed. Whole nanoseconds: nothing here needs fractions.

use std::time::Duration;
use std::time::Instant;

/// The time per round, for rounds until `budget` is spent, but at least one.
pub(crate) fn time_per_round(budget: Duration, mut round: impl FnMut()) -> Duration {
    let start = Instant::now();
    let mut rounds = 0_u32;
    loop {
        // The clock is read once per batch, so that it does not count.
        let batch = 1 + rounds / 8;
        for _ in 0..batch {
            round();
        }
        rounds += batch;
        let spent = start.elapsed();
        if spent >= budget {
            return spent / rounds;
        }
    }
}

/// The shortest of `rounds` runs of what `round` times itself.
pub(crate) fn best_of(rounds: usize, mut round: impl FnMut() -> Duration) -> Duration {
    (0..rounds).map(|_| round()).min().unwrap_or_default()
}

/// `1.25 µs` and the like.
pub(crate) fn shown(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0..10_000 => format!("{nanos} ns"),
        10_000..10_000_000 => format!("{} µs", nanos / 1_000),
        _ => format!("{} ms", nanos / 1_000_000),
    }
}

/// How many times longer `slow` is than `fast`.
pub(crate) fn times(slow: Duration, fast: Duration) -> String {
    let tenths = slow.as_nanos() * 10 / fast.as_nanos().max(1);
    if tenths >= 100 {
        format!("{}x", tenths / 10)
    } else {
        format!("{}.{}x", tenths / 10, tenths % 10)
    }
}
