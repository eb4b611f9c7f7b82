//! The live heap of `muster run` under churn, by a counting allocator: 2,000 nodes in an in-memory API of another
//! process, gangs that come, run, end, and are deleted, under names and labels that never were before.
//! What is measured is this very program, started again as `muster run`. Target: under 1% of growth in an hour.
//!
//! `MUSTER_SOAK_MINUTES=60 cargo bench --bench soak`; without the variable ten minutes, of which the first third
//! warms up. Growth is the slope between the thirds that follow, by the medians of their samples.

use std::collections::VecDeque;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;
use stats_alloc::INSTRUMENTED_SYSTEM;
use stats_alloc::StatsAlloc;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Set for the process that is measured: the file to which it writes how many bytes are live, once a second.
const HEAP: &str = "MUSTER_SOAK_HEAP";

/// Nodes of 8 GPUs.
const NODES: usize = 2000;

/// A new gang comes this often.
const GANG_EVERY: Duration = Duration::from_millis(500);

/// Members of a gang, at most.
const MEMBERS_MAX: u64 = 16;

/// Gangs that exist at once; the oldest are deleted. As many as there are shapes, which come round and round: what lives
/// is the same at all times, so that what grows is what is remembered of the dead.
const GANGS: usize = 128;

/// Minutes that it takes unless told otherwise.
const MINUTES: u64 = 10;

/// Growth in an hour that is allowed, in millionths of what is live.
const GROWTH_MAX: i64 = 10_000;

const GROUPS: &str = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// A process that is gone with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> ExitCode {
    if let Some(path) = std::env::var_os(HEAP) {
        let path = PathBuf::from(path);
        std::thread::spawn(move || write_live_bytes(&path));
        return muster::cli::main();
    }
    let scratch = std::env::temp_dir().join(format!("muster-soak-{}", std::process::id()));
    std::fs::create_dir(&scratch).expect("the temporary directory is writable");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.expect("a runtime can be made").block_on(soak(&scratch));
    std::fs::remove_dir_all(&scratch).expect("it was made");
    outcome
}

/// In the measured process: bytes allocated and not freed, as one line a second.
fn write_live_bytes(path: &Path) {
    let mut file = std::fs::File::create(path).expect("the temporary directory is writable");
    loop {
        let stats = ALLOCATOR.stats();
        let live = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated);
        writeln!(file, "{live}").expect("the temporary directory is writable");
        std::thread::sleep(Duration::from_secs(1));
    }
}

async fn soak(scratch: &Path) -> ExitCode {
    let minutes = std::env::var("MUSTER_SOAK_MINUTES").ok();
    let minutes =
        minutes.map_or(MINUTES, |text| text.parse().expect("MUSTER_SOAK_MINUTES is a number"));
    let fleet = write(
        scratch,
        "nodes.yaml",
        &format!("nodes:\n- {{name: \"n[0001-{NODES:04}]\", gpus: 8 x NVIDIA-H100-80GB-HBM3}}\n"),
    );
    let mut playground = Command::new(env!("CARGO_BIN_EXE_muster"));
    playground.args(["playground", "--no-scheduler", "--port", "0", "--nodes"]).arg(fleet);
    // It shows how things stand every few seconds.
    playground.stderr(Stdio::null());
    let mut playground =
        Process(playground.stdout(Stdio::piped()).spawn().expect("the binary is built"));
    let kubeconfig = kubeconfig_of(&mut playground.0);
    let heap = scratch.join("heap");
    let mut run = start_scheduler(scratch, &kubeconfig, &heap);
    let mut churn = Churn::over(&kubeconfig).await;
    let deadline = Instant::now() + Duration::from_secs(60 * minutes);
    let mut turn = tokio::time::interval(GANG_EVERY);
    while Instant::now() < deadline {
        turn.tick().await;
        churn.step().await;
        if let Some(status) = run.0.try_wait().expect("it is a child of this process") {
            let log = std::fs::read_to_string(scratch.join("log")).unwrap_or_default();
            println!("the scheduler ended by itself, {status}, after gang {}:\n{log}", churn.made);
            return ExitCode::FAILURE;
        }
    }
    let (gangs, bound) = (churn.made, churn.members_bound);
    println!(
        "{gangs} gangs came in {minutes} minutes; {bound} of their pods were bound when they were deleted"
    );
    println!("resident: {}", status(run.0.id(), "VmRSS:"));
    assert!(bound > 0, "nothing was scheduled");
    judge(&heap)
}

/// This program as `muster run`, with everything that comes round coming round more often than by default.
fn start_scheduler(scratch: &Path, kubeconfig: &Path, heap: &Path) -> Process {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = port.expect("loopback has free ports");
    let config = write(
        scratch,
        "config.yaml",
        &format!(
            "http: {{listenAddress: \"{address}\"}}\nbinding: {{recordSecondsKept: 30}}\n\
             kubernetes: {{recountPeriodSeconds: 60}}\n"
        ),
    );
    let log =
        std::fs::File::create(scratch.join("log")).expect("the temporary directory is writable");
    let mut run = Command::new(std::env::current_exe().expect("it runs"));
    run.arg("run").arg("--kubeconfig").arg(kubeconfig).arg("--config").arg(config);
    run.env(HEAP, heap).env("MUSTER_LOG", "warn").stderr(log);
    Process(run.spawn().expect("this program can be started"))
}

/// What a gang is like.
struct Shape {
    minimum: usize,
    gpus: u64,
    /// Of each member.
    runs_for: Vec<String>,
}

impl Shape {
    fn draw(random: &mut Random) -> Self {
        let members = 1 + random.below(MEMBERS_MAX);
        let runs_for: Vec<_> = (0..members).map(|_| format!("{}s", 5 + random.below(30))).collect();
        // Some wait for more members than ever come, and some ask for more than a node has: words are said of them.
        let minimum = runs_for.len() + usize::from(random.below(10) == 0);
        let gpus = if random.below(20) == 0 { 9 } else { 1 + random.below(8) };
        Self { minimum, gpus, runs_for }
    }
}

/// Gangs that come and go.
struct Churn {
    client: Client,
    shapes: Vec<Shape>,
    living: VecDeque<String>,
    made: usize,
    members_bound: usize,
}

impl Churn {
    async fn over(kubeconfig: &Path) -> Self {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the playground has written it");
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("it is complete")).expect("it is plain HTTP");
        let mut random = Random::new(1);
        let shapes = (0..GANGS).map(|_| Shape::draw(&mut random)).collect();
        Self { client, shapes, living: VecDeque::new(), made: 0, members_bound: 0 }
    }

    /// One gang comes, and where there are enough, the oldest goes.
    async fn step(&mut self) {
        let shape = &self.shapes[self.made % GANGS];
        self.made += 1;
        let name = format!("gang-{:06}", self.made);
        let group = json!({
            "apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
            "metadata": {"name": name}, "spec": {"minMember": shape.minimum},
        });
        self.send("POST", GROUPS, &group).await;
        for (index, runs_for) in shape.runs_for.iter().enumerate() {
            self.send("POST", PODS, &member(&name, index, shape.gpus, runs_for)).await;
        }
        self.living.push_back(name);
        if self.living.len() > GANGS
            && let Some(oldest) = self.living.pop_front()
        {
            let mine = format!("{PODS}?labelSelector=scheduling.x-k8s.io%2Fpod-group%3D{oldest}");
            let pods = self.send("GET", &mine, &Value::Null).await;
            let pods = pods["items"].as_array().cloned().unwrap_or_default();
            self.members_bound +=
                pods.iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count();
            self.send("DELETE", &mine, &json!({"gracePeriodSeconds": 0})).await;
            self.send("DELETE", &format!("{GROUPS}/{oldest}"), &Value::Null).await;
        }
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let text = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header(http::header::CONTENT_TYPE, "application/json").body(text);
        let answer = self.client.request(request.expect("it is well formed")).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

fn member(gang: &str, index: usize, gpus: u64, runs_for: &str) -> Value {
    let amounts = json!({"cpu": "1", "memory": "4Gi", "nvidia.com/gpu": gpus.to_string()});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{gang}-{index}"),
            "labels": {"scheduling.x-k8s.io/pod-group": gang, "job-name": gang, "index": format!("{gang}-{index}")},
            "annotations": {"muster.dev/runs-for": runs_for},
        },
        "spec": {
            "schedulerName": "muster", "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "containers": [{"name": "main", "image": "pause", "resources": {"limits": amounts, "requests": amounts}}],
        },
    })
}

/// Prints how the live heap went, and whether it is flat.
fn judge(heap: &Path) -> ExitCode {
    let text = std::fs::read_to_string(heap).expect("the measured process writes it");
    let samples: Vec<i64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let third = samples.len() / 3;
    let (middle, last) = (median(&samples[third..2 * third]), median(&samples[2 * third..]));
    for (minute, samples) in samples.chunks(60).enumerate().step_by((samples.len() / 600).max(1)) {
        println!("  minute {minute:>3}: {:>6} KiB live", median(samples) / 1024);
    }
    let hour = (last - middle) * 3600 / i64::try_from(third).expect("it is small");
    let share = hour * 1_000_000 / middle;
    println!(
        "live heap: {} KiB in the second third, {} KiB in the last; growth in an hour {} KiB, {share} millionths; \
         target under {GROWTH_MAX}",
        middle / 1024,
        last / 1024,
        hour / 1024
    );
    if share < GROWTH_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn median(samples: &[i64]) -> i64 {
    let mut samples = samples.to_vec();
    samples.sort_unstable();
    samples[samples.len() / 2]
}

fn status(process: u32, key: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.trim_start_matches(key).trim().to_owned()
}

fn write(scratch: &Path, name: &str, text: &str) -> PathBuf {
    let path = scratch.join(name);
    std::fs::write(&path, text).expect("the temporary directory is writable");
    path
}

/// The kubeconfig that the playground prints.
fn kubeconfig_of(playground: &mut Child) -> PathBuf {
    let stdout = BufReader::new(playground.stdout.take().expect("it is piped"));
    let mut lines = stdout.lines().map(|line| line.expect("text"));
    let found =
        lines.find_map(|line| line.split_once("KUBECONFIG=").map(|(_, path)| PathBuf::from(path)));
    // What it prints later must find a reader.
    std::thread::spawn(move || lines.for_each(drop));
    found.expect("the playground prints where its kubeconfig is")
}
