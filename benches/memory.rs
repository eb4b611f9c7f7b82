//! Memory of `muster run` with everything it watches: 15,000 nodes and 150,000 bound pods, served by an in-memory API
//! in another process. Prints the peak resident set of the scheduler's process. Target: at most 250 MiB.
//! Run it with `cargo bench --bench memory`; it needs 3 GB for the other process, and some minutes.

#[path = "shared/large_fleet.rs"]
mod large_fleet;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use large_fleet::NODES;
use large_fleet::PODS;
use large_fleet::Playground;

/// The target.
const MEBIBYTES_MAX: u64 = 250;

fn main() -> ExitCode {
    let scratch = std::env::temp_dir().join(format!("muster-memory-{}", std::process::id()));
    std::fs::create_dir(&scratch).expect("the temporary directory is writable");
    let outcome = measure(&scratch);
    std::fs::remove_dir_all(&scratch).expect("it was made");
    outcome
}

fn measure(scratch: &Path) -> ExitCode {
    let playground = Playground::start(scratch);
    println!("the API is served at {}", playground.address);
    let text = "http: {listenAddress: \"127.0.0.1:10391\"}\n";
    let config = large_fleet::write(scratch, "config.yaml", text);
    let started = Instant::now();
    let run = large_fleet::start_scheduler(&playground.kubeconfig, &config);
    large_fleet::wait("everything is listed", || {
        large_fleet::get("127.0.0.1:10391", "/readyz").ends_with("ok\n")
    });
    println!("listed {NODES} nodes and {PODS} pods in {:.1} s", started.elapsed().as_secs_f32());
    // Watches go on, and the fleet's pods come up meanwhile.
    std::thread::sleep(Duration::from_secs(30));
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", run.0.id())).expect("Linux tells");
    let kibibytes = |key: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(key)).expect("Linux tells");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    };
    let (peak, now) = (kibibytes("VmHWM:") / 1024, kibibytes("VmRSS:") / 1024);
    println!("peak {peak} MiB, now {now} MiB, target {MEBIBYTES_MAX} MiB");
    if peak <= MEBIBYTES_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
