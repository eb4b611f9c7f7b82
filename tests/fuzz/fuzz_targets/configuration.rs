//! Configuration files: what is refused says why, what is accepted resolves or says why not, always the same way.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::config;
use muster::config::resolve::resolve;
use muster_fuzz::limits;

fn check(text: &str) {
    match config::parse(text) {
        Ok(file) => {
            if let Err(error) = resolve(&file) {
                assert!(!error.message.is_empty());
            }
            assert_eq!(resolve(&file).is_ok(), resolve(&file).is_ok());
        }
        Err(error) => assert!(!error.message.is_empty()),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        limits::within(|| check(text));
    }
});
