//! What a test does to a cluster as its administrator: creating, reading, deleting objects, applying manifests,
//! and waiting for something to become true.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use kube::Client;
use kube::client::Body;
use serde_json::Value;

use http_body_util::BodyExt;

use crate::cluster::Cluster;
use crate::cluster::User;

/// How long a test waits for what must happen. A machine that is busy building needs most of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The collection of a kind in the namespace `default`, or of the cluster.
pub(crate) mod paths {
    pub(crate) const NODES: &str = "/api/v1/nodes";
    pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
    pub(crate) const GROUPS: &str =
        "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups";
    pub(crate) const NATIVE_GROUPS: &str =
        "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups";
}

/// A cluster in the hands of its administrator.
pub(crate) struct Board {
    client: Client,
    kubeconfig: PathBuf,
}

impl Board {
    pub(crate) async fn of(cluster: &Cluster) -> Self {
        let client = cluster.client(User::Administrator).await;
        Self { client, kubeconfig: cluster.kubeconfig(User::Administrator) }
    }

    /// Sends a request; gives code and body.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let kind =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header(http::header::CONTENT_TYPE, kind).body(Body::from(text));
        let response = self.client.send(request.expect("it is well formed")).await;
        let response = response.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.expect("answers end").to_bytes();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Creates an object.
    pub(crate) async fn create(&self, path: &str, object: &Value) {
        let (code, answer) = self.send("POST", path, object).await;
        assert_eq!(code, 201, "POST {path}: {answer}");
    }

    /// All objects of a collection.
    pub(crate) async fn list(&self, path: &str) -> Vec<Value> {
        let (code, answer) = self.send("GET", path, &Value::Null).await;
        assert_eq!(code, 200, "GET {path}: {answer}");
        answer["items"].as_array().cloned().unwrap_or_default()
    }

    /// `kubectl` with `arguments`; gives what it printed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let program = std::env::var_os("KUBECTL").map_or_else(|| "kubectl".into(), PathBuf::from);
        let mut command = Command::new(&program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        // Its cache of what is served belongs to this cluster only.
        command.env("KUBECACHEDIR", self.kubeconfig.with_extension("cache"));
        let output = command.output().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {text}{errors}");
        text
    }

    /// Installs what `deploy/` ships: CRDs and rights, with the real kubectl, and waits until the CRDs are served.
    pub(crate) async fn install(&self) {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let file = |name: &str| deploy.join(name).display().to_string();
        self.kubectl(&[
            "apply",
            "-f",
            &file("crds"),
            "-f",
            &file("rbac"),
            "-f",
            &file("flow-schemas.yaml"),
        ]);
        self.until("the CRDs are served", || async {
            let mut served = true;
            for path in [paths::GROUPS, "/apis/muster.dev/v1alpha1/gangplans"] {
                served &= self.send("GET", path, &Value::Null).await.0 == 200;
            }
            served
        })
        .await;
    }

    /// Waits for something that must happen.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let deadline = Instant::now() + PATIENCE;
        while !holds().await {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
