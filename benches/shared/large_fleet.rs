//! A fleet of 15,000 nodes and 150,000 bound pods in an in-memory API of another process, for the benches that
//! measure `muster run` at that size. No bench of its own.

use std::fmt::Write as _;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Nodes of 8 GPUs.
pub(crate) const NODES: usize = 15_000;

/// Pods on all of them.
pub(crate) const PODS: usize = NODES * PODS_PER_NODE;

/// Pods on each of them.
const PODS_PER_NODE: usize = 10;

/// A process that is gone with the bench.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other process, and where it serves.
pub(crate) struct Playground {
    #[expect(dead_code, reason = "held for its end")]
    process: Process,
    /// Host and port.
    pub(crate) address: String,
    pub(crate) kubeconfig: PathBuf,
}

impl Playground {
    /// Starts it with files in `scratch`, and waits until everything exists.
    pub(crate) fn start(scratch: &Path) -> Self {
        let fleet = format!(
            "nodes:\n- {{name: \"n[00001-{NODES:05}]\", gpus: 8 x NVIDIA-H100-80GB-HBM3}}\n"
        );
        let nodes = write(scratch, "nodes.yaml", &fleet);
        let pods = write(scratch, "pods.yaml", &pods());
        let mut playground = Command::new(env!("CARGO_BIN_EXE_muster"));
        playground.args(["playground", "--no-scheduler", "--port", "0", "--nodes"]).arg(nodes);
        playground.arg("--apply").arg(pods).stdout(Stdio::piped());
        let mut process = Process(playground.spawn().expect("the binary is built"));
        let (address, kubeconfig) = greeting(&mut process.0);
        let expected = format!("\"remainingItemCount\":{}", PODS - 1);
        wait("all pods exist", || get(&address, "/api/v1/pods?limit=1").contains(&expected));
        Self { process, address, kubeconfig }
    }
}

/// Starts `muster run` with this configuration.
pub(crate) fn start_scheduler(kubeconfig: &Path, config: &Path) -> Process {
    let mut run = Command::new(env!("CARGO_BIN_EXE_muster"));
    run.arg("run").arg("--kubeconfig").arg(kubeconfig).arg("--config").arg(config);
    Process(run.spawn().expect("the binary is built"))
}

/// Writes a file.
pub(crate) fn write(scratch: &Path, name: &str, text: &str) -> PathBuf {
    let path = scratch.join(name);
    std::fs::write(&path, text).expect("the temporary directory is writable");
    path
}

/// Pods that have their nodes, as a cluster has them: some labels, an owner, and an environment that nobody reads.
fn pods() -> String {
    let mut text = String::new();
    for node in 1..=NODES {
        for pod in 0..PODS_PER_NODE {
            write!(
                text,
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: service-{node:05}-{pod}\n  \
                 labels: {{app: service-{pod}, pod-template-hash: abcdef{pod}}}\nspec:\n  nodeName: n{node:05}\n  \
                 containers:\n  - name: main\n    image: registry.example.com/team/service:v1.2.3\n    \
                 env: [{{name: MODE, value: production}}, {{name: REGION, value: north}}]\n    \
                 resources: {{requests: {{cpu: {pod}00m, memory: 1Gi}}}}\n---\n"
            )
            .expect("writing to a string does not fail");
        }
    }
    text
}

/// The address and the kubeconfig that the playground prints.
fn greeting(playground: &mut Child) -> (String, PathBuf) {
    let stdout = BufReader::new(playground.stdout.take().expect("it is piped"));
    let (mut address, mut kubeconfig) = (None, None);
    for line in stdout.lines() {
        let line = line.expect("text");
        if let Some((_, rest)) = line.split_once("http://") {
            address =
                rest.split_whitespace().next().map(|found| found.trim_end_matches('.').to_owned());
        }
        if let Some((_, path)) = line.split_once("KUBECONFIG=") {
            kubeconfig = Some(PathBuf::from(path));
        }
        if let (Some(address), Some(kubeconfig)) = (&address, &kubeconfig) {
            return (address.clone(), kubeconfig.clone());
        }
    }
    panic!("the playground ended without a greeting");
}

/// A bare HTTP exchange; empty where nobody answers yet.
pub(crate) fn get(address: &str, path: &str) -> String {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    exchange().unwrap_or_default()
}

/// Waits for something that must happen.
pub(crate) fn wait(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten minutes: {what}");
        std::thread::sleep(Duration::from_millis(500));
    }
}
