//! How long nobody binds after the leader was killed, or told to end, at 15,000 nodes and 150,000 pods in an
//! in-memory API of another process: from the signal to the bind of a pod that fits and came with it, as a reader of
//! that pod sees it. `cargo bench --bench takeover`; `MUSTER_KILLS` (10) says how often. It needs 4 GB and minutes.
//! `cargo bench --bench apiserver -- takeover` is the same on a real API server, at a fifteenth of the size.

#[path = "shared/large_fleet.rs"]
mod large_fleet;

use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::time::Instant;

use large_fleet::Playground;
use large_fleet::Process;

/// How often the leader is ended in each way.
const KILLS: usize = 10;

/// Between two looks at the pod.
const LOOK: Duration = Duration::from_millis(5);

fn main() {
    let scratch = std::env::temp_dir().join(format!("muster-takeover-{}", std::process::id()));
    std::fs::create_dir(&scratch).expect("the temporary directory is writable");
    measure(&scratch);
    std::fs::remove_dir_all(&scratch).expect("it was made");
}

/// A scheduler and where it says whether it is ready.
struct Instance {
    process: Process,
    address: String,
}

fn start(scratch: &Path, kubeconfig: &Path, number: usize) -> Instance {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = port.expect("loopback has free ports").to_string();
    let text = format!("http: {{listenAddress: \"{address}\"}}\n");
    let config: PathBuf = large_fleet::write(scratch, &format!("config-{number}.yaml"), &text);
    Instance { process: large_fleet::start_scheduler(kubeconfig, &config), address }
}

impl Instance {
    fn says(&self, word: &str) -> bool {
        large_fleet::get(&self.address, "/readyz").ends_with(&format!("\r\n\r\n{word}\n"))
    }
}

fn measure(scratch: &Path) {
    let kills = std::env::var("MUSTER_KILLS").ok();
    let kills = kills.map_or(KILLS, |text| text.parse().expect("MUSTER_KILLS is a number"));
    let playground = Playground::start(scratch);
    println!("{} nodes, {} pods", large_fleet::NODES, large_fleet::PODS);
    let mut started = 0;
    let mut next = || {
        started += 1;
        start(scratch, &playground.kubeconfig, started)
    };
    let mut instances = [next(), next()];
    for signal in ["-KILL", "-TERM"] {
        let mut times: Vec<Duration> = (0..kills)
            .map(|round| {
                large_fleet::wait("one leads and one stands by", || {
                    instances.iter().any(|instance| instance.says("ok"))
                        && instances.iter().any(|instance| instance.says("ok: standing by"))
                });
                let leader = usize::from(instances[1].says("ok"));
                let pod = format!("probe{}-{round}", signal.to_lowercase());
                let time = end(&instances[leader], signal, &playground.address, &pod);
                instances[leader].process.0.wait().expect("it is our child");
                instances[leader] = next();
                time
            })
            .collect();
        times.sort();
        let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
        println!(
            "{kills} times kill {signal} to the successor's bind: median {median:?}, longest {last:?}"
        );
    }
}

/// Ends the leader, makes a pod that fits anywhere, and waits until somebody has bound it.
fn end(leader: &Instance, signal: &str, address: &str, pod: &str) -> Duration {
    let sent = Instant::now();
    let killed = Command::new("kill").args([signal, &leader.process.0.id().to_string()]).status();
    assert!(killed.expect("kill is there").success());
    let body = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{pod}\"}},\"spec\":{{\"schedulerName\":\"muster\",\
         \"containers\":[{{\"name\":\"main\",\"image\":\"pause\"}}]}}}}"
    );
    let mut stream = TcpStream::connect(address).expect("the API listens");
    write!(
        stream,
        "POST /api/v1/namespaces/default/pods HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the API reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the API answers");
    assert!(answer.contains(" 201 "), "{answer}");
    let path = format!("/api/v1/namespaces/default/pods/{pod}");
    while !large_fleet::get(address, &path).contains("\"nodeName\"") {
        assert!(sent.elapsed() < Duration::from_secs(60), "nobody binds");
        std::thread::sleep(LOOK);
    }
    sent.elapsed()
}
