//! The limits of one input: 10 ms of processor time and 64 MiB of memory beyond what was held before it.
//! Time is that of the thread, not of the wall, and of the quickest of several runs: another process may cost
//! the machine's caches, but it cannot make every run slow.
//! Invariant: the limit of memory is exact; it is held by the allocator.

use std::alloc::System;
use std::time::Duration;

use cap::Cap;
use cpu_time::ThreadTime;

/// The processor time that one input may take.
pub const TIME_MAX: Duration = Duration::from_millis(10);

/// The memory that one input may take, in bytes.
pub const MEMORY_MAX: usize = 64 << 20;

/// How often an input that was too slow is tried again. The first run may have filled what is filled once.
const TRIES: usize = 5;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Runs `input` within the limits.
///
/// # Panics
/// When it took too long each time. Too much memory ends the process at the allocation that was too much.
pub fn within(input: impl Fn()) {
    each_within(|| time(&input));
}

/// The same for an input of several parts, each of which may take as long; `input` gives the time of the slowest.
///
/// # Panics
/// When a part took too long each time.
pub fn each_within(input: impl Fn() -> Duration) {
    MEMORY
        .set_limit(MEMORY.allocated() + MEMORY_MAX)
        .expect("the limit is above what is allocated");
    let mut took = input();
    for _ in 0..TRIES {
        if took <= TIME_MAX {
            break;
        }
        took = took.min(input());
    }
    MEMORY.set_limit(usize::MAX).expect("everything is below it");
    assert!(took <= TIME_MAX, "one input took {took:?} of processor time");
}

/// The processor time that `part` takes.
pub fn time(part: impl FnOnce()) -> Duration {
    let begin = ThreadTime::now();
    part();
    begin.elapsed()
}
