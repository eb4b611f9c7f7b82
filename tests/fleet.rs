//! `muster fleet` as a process beside `muster run`, both clients of an API that knows no nodes by itself: a gang is
//! bound and runs, the fleet comes back to its own nodes, and takes away nothing that it did not make.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that is gone with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An API server in a process of its own, and files beside it.
struct World {
    _playground: Process,
    scratch: PathBuf,
    address: String,
    kubeconfig: String,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }
}

impl World {
    fn start(name: &str) -> Self {
        let scratch =
            std::env::temp_dir().join(format!("muster-fleet-{}-{name}", std::process::id()));
        std::fs::create_dir(&scratch).expect("the temporary directory is writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(["playground", "--no-scheduler", "--no-fleet", "--port", "0"]);
        let mut playground =
            Process(command.stdout(Stdio::piped()).spawn().expect("the binary is built"));
        let (mut address, mut kubeconfig) = (None, None);
        let lines = BufReader::new(playground.0.stdout.take().expect("it is piped")).lines();
        for line in lines {
            let line = line.expect("text");
            if let Some((_, rest)) = line.split_once("http://") {
                let found = rest.split_whitespace().next().expect("an address");
                address = Some(found.trim_end_matches('.').to_owned());
            }
            if let Some((_, path)) = line.split_once("KUBECONFIG=") {
                kubeconfig = Some(path.to_owned());
                break;
            }
        }
        Self {
            _playground: playground,
            scratch,
            address: address.expect("the greeting names it"),
            kubeconfig: kubeconfig.expect("the greeting names it"),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scratch.join(name);
        std::fs::write(&path, text).expect("the temporary directory is writable");
        path
    }

    /// `muster` with this API server.
    fn muster(&self, command: &str) -> Command {
        let mut muster = Command::new(env!("CARGO_BIN_EXE_muster"));
        muster.args([command, "--kubeconfig", &self.kubeconfig]).stdout(Stdio::null());
        muster
    }

    fn fleet(&self, nodes: &Path) -> Command {
        let mut fleet = self.muster("fleet");
        fleet.arg("--nodes").arg(nodes);
        fleet
    }

    /// Sends a request; the answer as JSON.
    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(&self.address).expect("the API listens");
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("the API reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the API answers");
        let (_, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).expect("JSON")
    }

    fn get(&self, path: &str) -> Value {
        self.send("GET", path, &Value::Null)
    }

    fn nodes(&self) -> Vec<String> {
        let list = self.get("/api/v1/nodes");
        let nodes = list["items"].as_array().expect("a list");
        nodes
            .iter()
            .filter_map(|node| Some(node["metadata"]["name"].as_str()?.to_owned()))
            .collect()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Creates a gang of two pods that need a node each.
    fn create_gang(&self) {
        let group = json!({"apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
            "metadata": {"name": "train"}, "spec": {"minMember": 2}});
        self.send(
            "POST",
            "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups",
            &group,
        );
        for index in 0..2 {
            let pod = json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("train-{index}"),
                    "labels": {"scheduling.x-k8s.io/pod-group": "train"}},
                "spec": {"schedulerName": "muster", "containers": [{"name": "main", "image": "train",
                    "resources": {"limits": {"nvidia.com/gpu": "8"}}}]}});
            let created = self.send("POST", "/api/v1/namespaces/default/pods", &pod);
            assert_eq!(created["kind"], "Pod", "{created}");
        }
    }

    fn phases(&self) -> Vec<String> {
        let list = self.get("/api/v1/namespaces/default/pods");
        let pods = list["items"].as_array().expect("a list");
        pods.iter().map(|pod| pod["status"]["phase"].as_str().unwrap_or("").to_owned()).collect()
    }
}

const NODES: &str = "nodes:\n- {name: \"a[1-2]\", gpus: 8 x NVIDIA-H100-80GB-HBM3}\n";

#[test]
fn a_gang_is_bound_and_runs_on_nodes_that_a_client_simulates() {
    let world = World::start("gang");
    let nodes = world.file("nodes.yaml", NODES);
    let config = world.file("config.yaml", "http: {listenAddress: \"127.0.0.1:0\"}\n");
    let fleet = Process(world.fleet(&nodes).spawn().expect("the binary is built"));
    world.until("the nodes are there", |world| world.nodes() == ["a1", "a2"]);
    let _run = Process(
        world.muster("run").arg("--config").arg(config).spawn().expect("the binary is built"),
    );
    world.create_gang();
    world.until("the gang runs", |world| world.phases() == ["Running", "Running"]);
    let lease = world.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a1");
    assert_eq!(lease["spec"]["holderIdentity"], "a1", "{lease}");

    // A deletion waits for the kubelet, which says when the containers have stopped.
    world.send("DELETE", "/api/v1/namespaces/default/pods/train-0", &Value::Null);
    world.until("the pod is gone", |world| world.phases().len() == 1);

    // The fleet ends and its nodes stay; another one of the same file takes them over, with what runs there.
    drop(fleet);
    assert_eq!(world.nodes(), ["a1", "a2"]);
    let _fleet = Process(world.fleet(&nodes).spawn().expect("the binary is built"));
    world.send("DELETE", "/api/v1/namespaces/default/pods/train-1", &Value::Null);
    world.until("the pod is gone", |world| world.phases().is_empty());
}

#[test]
fn a_fleet_deletes_its_own_nodes_and_touches_no_others() {
    let world = World::start("delete");
    let nodes = world.file("nodes.yaml", NODES);
    world.send("POST", "/api/v1/nodes", &json!({"metadata": {"name": "real"}}));
    let fleet = Process(world.fleet(&nodes).spawn().expect("the binary is built"));
    world.until("the nodes are there", |world| world.nodes() == ["a1", "a2", "real"]);
    drop(fleet);

    let taken = world.file(
        "taken.yaml",
        "nodes:\n- {name: a1, cpu: 8, memory: 8Gi}\n- {name: real, cpu: 8, memory: 8Gi}\n",
    );
    let before = world.get("/api/v1/nodes/real");
    for delete in [None, Some("--delete")] {
        let output = world.fleet(&taken).args(delete).stderr(Stdio::piped()).output();
        let output = output.expect("the binary is built");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("node real exists and is not simulated"), "{told}");
    }
    assert_eq!(world.get("/api/v1/nodes/real"), before);
    assert_eq!(world.nodes(), ["a1", "a2", "real"]);

    let status = world.fleet(&nodes).arg("--delete").status().expect("the binary is built");
    assert_eq!(status.code(), Some(0));
    assert_eq!(world.nodes(), ["real"]);
    let again = world.fleet(&nodes).arg("--delete").status().expect("the binary is built");
    assert_eq!(again.code(), Some(0), "nothing to delete is no failure");
}

#[test]
fn bad_input_ends_with_status_two() {
    let scratch =
        std::env::temp_dir().join(format!("muster-fleet-{}-bad.yaml", std::process::id()));
    std::fs::write(&scratch, "nodes: []\n").expect("the temporary directory is writable");
    let bad = scratch.to_str().expect("a plain path");
    for (arguments, says) in [
        (["--nodes", "/nowhere/nodes.yaml"], "cannot read /nowhere/nodes.yaml"),
        (["--nodes", bad], "the list is empty"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        let output = command.arg("fleet").args(arguments).output().expect("the binary is built");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(says), "{told}");
    }
    std::fs::remove_file(&scratch).expect("it was made");
}
