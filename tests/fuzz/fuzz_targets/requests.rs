//! Requests to the in-memory API: a list of `{"method", "path", "type", "body"}`, sent one after another to a server
//! in which nothing was made yet. Every answer is JSON, and a Status has the code of its status line.
//! That a client's mistake is answered 500 is no finding: the real server does that too, for some.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_mutator;
use libfuzzer_sys::fuzz_target;
use muster::apiserver::server::Server;
use muster::apiserver::store::state::Settings;
use muster::base::time::Time;
use muster_fuzz::limits;
use muster_fuzz::mutate;
use serde_json::Value;

/// More requests than this tell nothing that fewer would not.
const REQUESTS_MAX: usize = 8;

fn send(server: &mut Server, now: Time, request: &Value) {
    let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
    let body = match request.get("body") {
        None => Vec::new(),
        Some(Value::String(raw)) => raw.clone().into_bytes(),
        Some(body) => body.to_string().into_bytes(),
    };
    let built = http::Request::builder()
        .method(text("method"))
        .uri(text("path"))
        .header("content-type", text("type"))
        .body(body);
    let Ok(built) = built else { return };
    let response = server.handle(now, &built);
    let code = response.status().as_u16();
    let answer: Value = serde_json::from_slice(response.body()).expect("answers are JSON");
    if answer["kind"] == "Status" && answer["status"] == "Failure" {
        assert_eq!(answer["code"], code);
    }
}

/// When everything happens.
const NOW: Time = Time(1_793_577_600_000_000_000);

thread_local! {
    /// Made once: what is served is the same for every input, and takes longer to set up than most inputs.
    static EMPTY: Server = Server::new(Settings::default(), NOW);
}

fn check(requests: &[Value]) -> Duration {
    let now = NOW;
    let mut server = EMPTY.with(Server::clone);
    let times = requests.iter().map(|request| limits::time(|| send(&mut server, now, request)));
    times.max().unwrap_or_default()
}

fuzz_target!(|data: &[u8]| {
    let Ok(Value::Array(requests)) = serde_json::from_slice::<Value>(data) else { return };
    if requests.len() <= REQUESTS_MAX {
        limits::each_within(|| check(&requests));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::json(data, size, max_size, seed)
});
