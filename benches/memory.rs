//! Memory of `muster run` with everything it watches: 15,000 nodes and 150,000 bound pods, served by an in-memory API
//! in another process. Prints the peak resident set of the scheduler's process. Target: at most 250 MiB.
//! Run it with `cargo bench --bench memory`; it needs 3 GB for the other process, and some minutes.

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
use std::process::ExitCode;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Nodes of 8 GPUs.
const NODES: usize = 15_000;

/// Pods on each of them.
const PODS_PER_NODE: usize = 10;

/// The target.
const MEBIBYTES_MAX: u64 = 250;

/// A process that is gone with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> ExitCode {
    let scratch = std::env::temp_dir().join(format!("muster-memory-{}", std::process::id()));
    std::fs::create_dir(&scratch).expect("the temporary directory is writable");
    let outcome = measure(&scratch);
    std::fs::remove_dir_all(&scratch).expect("it was made");
    outcome
}

fn measure(scratch: &Path) -> ExitCode {
    let nodes = write(
        scratch,
        "nodes.yaml",
        &format!("nodes:\n- {{name: \"n[00001-{NODES:05}]\", gpus: 8 x NVIDIA-H100-80GB-HBM3}}\n"),
    );
    let pods = write(scratch, "pods.yaml", &pods());
    let mut playground = Command::new(env!("CARGO_BIN_EXE_muster"));
    playground
        .args(["playground", "--no-scheduler", "--port", "0", "--nodes"])
        .arg(nodes)
        .arg("--apply")
        .arg(pods);
    let mut playground =
        Process(playground.stdout(Stdio::piped()).spawn().expect("the binary is built"));
    let (address, kubeconfig) = greeting(&mut playground.0);
    let expected = format!("\"remainingItemCount\":{}", NODES * PODS_PER_NODE - 1);
    wait("all pods exist", || get(&address, "/api/v1/pods?limit=1").contains(&expected));

    let config = write(scratch, "config.yaml", "http: {listenAddress: \"127.0.0.1:10391\"}\n");
    let mut run = Command::new(env!("CARGO_BIN_EXE_muster"));
    run.arg("run").arg("--kubeconfig").arg(kubeconfig).arg("--config").arg(config);
    let started = Instant::now();
    let run = Process(run.spawn().expect("the binary is built"));
    wait("everything is listed", || get("127.0.0.1:10391", "/readyz").ends_with("ok\n"));
    println!(
        "listed {NODES} nodes and {} pods in {:.1} s",
        NODES * PODS_PER_NODE,
        started.elapsed().as_secs_f32()
    );
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

fn write(scratch: &Path, name: &str, text: &str) -> PathBuf {
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
fn get(address: &str, path: &str) -> String {
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

fn wait(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !holds() {
        assert!(Instant::now() < deadline, "not within ten minutes: {what}");
        std::thread::sleep(Duration::from_millis(500));
    }
}
