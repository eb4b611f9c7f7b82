//! Traces of every format: what is read obeys the limits that each format declares, in the order of submission;
//! what is not says line and column. The format is the one whose header the text begins with, else each.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::sim::traces;
use muster::sim::traces::FORMATS;
use muster_fuzz::limits;

/// The first bytes of a compressed trace.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

fn check(data: &[u8]) {
    for format in &FORMATS {
        match traces::read(format, data) {
            Ok(jobs) => {
                assert!(!jobs.is_empty());
                assert!(jobs.is_sorted_by_key(|job| job.submitted));
                for job in &jobs {
                    assert!(job.pods() > 0 && job.gpus() > 0 && job.duration.0 > 0, "{job:?}");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    // A compressed file costs what it holds, however short it is.
    if !data.starts_with(&ZSTD_MAGIC) {
        limits::within(|| check(data));
    }
});
