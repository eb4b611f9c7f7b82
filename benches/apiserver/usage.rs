//! Processor time of a process, user and system, as Linux counts it.

use std::time::Duration;

/// Linux shows times in hundredths of a second on every architecture that we run on.
const TICK: Duration = Duration::from_millis(10);

/// What a process has used since its start. Fields 14 and 15 of `/proc/PID/stat`.
pub(crate) fn processor(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The name may hold spaces and stands in parentheses; the state follows as field 3.
    let (_, fields) = text.rsplit_once(") ").expect("Linux tells");
    let ticks: u32 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u32>().expect("a number"))
        .sum();
    TICK * ticks
}
