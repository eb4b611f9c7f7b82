//! The etcd below a real API server, asked over its JSON gateway: only to make it forget what time would.
//! Writes nothing that an API server would read as an object.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kube::Client;
use kube::Config;
use serde_json::Value;
use serde_json::json;

/// Where API servers write down how far history was compacted, for others to know.
const COMPACTED: &str = "compact_rev_key";

/// One etcd.
pub(crate) struct Etcd {
    client: Client,
}

impl Etcd {
    /// The one that listens on this port of the loopback.
    pub(super) fn at(port: u16) -> Self {
        let address = format!("http://127.0.0.1:{port}");
        let config = Config::new(address.parse().expect("it is an address"));
        Self { client: Client::try_from(config).expect("plain HTTP needs nothing else") }
    }

    /// Forgets all history up to now, and says so where API servers look.
    pub(crate) async fn compact(&self) {
        let key = BASE64_STANDARD.encode(COMPACTED);
        let known = self.ask("range", json!({"key": key})).await;
        let revision = known["header"]["revision"].as_str().expect("every answer has one");
        let value = BASE64_STANDARD.encode(revision);
        self.ask("put", json!({"key": key, "value": value})).await;
        self.ask("compaction", json!({"revision": revision, "physical": true})).await;
    }

    async fn ask(&self, method: &str, body: Value) -> Value {
        let request = http::Request::post(format!("/v3/kv/{method}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .expect("it is well formed");
        self.client.request(request).await.unwrap_or_else(|error| panic!("etcd {method}: {error}"))
    }
}
