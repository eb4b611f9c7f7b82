//! Connections for writes, opened before they are needed: neither a gang's first binds nor a successor's wait for
//! handshakes. hyper closes what has idled for 90 s, so idle connections are used once in a while.
//! Asks what every server answers anybody (`/version`), and reads no answer.

use std::time::Duration;

use axum::http::Request;
use futures::future::join_all;

use super::execute::Wire;
use super::traffic::Purpose;

/// From one use to the next: less than connections may idle.
const PERIOD: Duration = Duration::from_secs(60);

/// Keeps so many connections open.
pub(super) async fn keep(wire: Wire, connections: u64) {
    loop {
        // At once: one after the other they would all take the same connection.
        let questions = (0..connections).map(|_| {
            let request = Request::get("/version").body(Vec::new());
            wire.read(Purpose::Connect, request.expect("the path is constant"))
        });
        join_all(questions).await;
        tokio::time::sleep(PERIOD).await;
    }
}
