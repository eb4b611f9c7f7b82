//! The two servers that the contract binds, behind one kind of client: raw HTTP requests and answers.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use muster::apiserver::face;
use muster::apiserver::face::SharedServer;
use muster::apiserver::server::Server;
use muster::apiserver::store::state::Settings;
use muster::kubernetes::clock::Clock;

use crate::cluster::Etcd;

/// How long an answer, or the next line of a stream, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who answers.
pub(crate) struct Target {
    client: Client,
    history: History,
}

/// Who keeps the history of what was written.
enum History {
    InMemory(SharedServer),
    Etcd(Etcd),
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// Texts of `Warning` headers, without the code and the agent.
    pub(crate) warnings: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Target {
    /// A fresh in-memory API, without a socket.
    pub(crate) fn in_memory() -> Self {
        let clock = Clock::start();
        let server = SharedServer::new(Server::new(Settings::default(), clock.now()));
        let time: face::Clock = Arc::new(move || clock.now());
        let client = Client::new(face::router(server.clone(), time), "default");
        Self { client, history: History::InMemory(server) }
    }

    /// A real API server, and the etcd that it writes to.
    pub(crate) fn real(client: Client, etcd: Etcd) -> Self {
        Self { client, history: History::Etcd(etcd) }
    }

    /// Makes it forget all history, as time does.
    pub(crate) async fn compact(&self) {
        match &self.history {
            History::InMemory(server) => server.write(Server::compact),
            History::Etcd(etcd) => etcd.compact().await,
        }
    }

    /// Sends a request. `lines` ends the answer after that many lines, where it is given.
    pub(crate) async fn send(
        &self,
        request: http::Request<Vec<u8>>,
        lines: Option<usize>,
    ) -> Answer {
        let target = request.uri().to_string();
        let response = tokio::time::timeout(PATIENCE, self.client.send(request.map(Body::from)));
        let response = response.await.unwrap_or_else(|_| panic!("no answer to {target}"));
        let response = response.unwrap_or_else(|error| panic!("{target}: {error}"));
        let warnings = response.headers().get_all(http::header::WARNING).iter();
        let warnings = warnings.filter_map(|warning| quoted(warning.to_str().ok()?)).collect();
        let code = response.status().as_u16();
        // A refusal is not a stream.
        let lines = if code < 300 { lines } else { None };
        let mut body = response.into_body();
        let mut read = Vec::new();
        while lines.is_none_or(|lines| count_lines(&read) < lines) {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            let frame =
                frame.unwrap_or_else(|_| panic!("{target} goes silent after {}", shown(&read)));
            let Some(frame) = frame else { break };
            let frame = frame.unwrap_or_else(|error| panic!("{target}: {error}"));
            if let Some(data) = frame.data_ref() {
                read.extend_from_slice(data);
            }
        }
        if let Some(lines) = lines {
            // A frame may hold the beginning of a line that is not asked for.
            let ends = read.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
            if let Some((end, _)) = ends.take(lines).last() {
                read.truncate(end + 1);
            }
        }
        Answer { code, warnings, body: read }
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The text of `299 - "TEXT"`.
fn quoted(warning: &str) -> Option<String> {
    let text = warning.split_once('"')?.1.rsplit_once('"')?.0;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}
