//! The whole path over real HTTP: 1,000 simulated nodes, 10,000 pods in gangs of 1 to 256, from their creation to
//! the last bind. Writes the manifests, runs `muster playground --apply ... --until-idle`, and reads its summary.
//! Target: all bound within 20 s of being created. Run it with `cargo bench --bench playground`.

use std::fmt::Write;
use std::process::Command;
use std::process::ExitCode;

use muster::base::random::Random;

/// Pods in all.
const PODS: u64 = 10_000;

/// The largest gang.
const GANG_MAX: u64 = 256;

/// The fleet: 1,000 nodes of 8 GPUs.
const FLEET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/clusters/nodes-1000.yaml");

fn main() -> ExitCode {
    let path = std::env::temp_dir().join(format!("muster-bench-{}.yaml", std::process::id()));
    let (text, gangs) = manifests();
    std::fs::write(&path, text).expect("the temporary directory is writable");
    let output = Command::new(env!("CARGO_BIN_EXE_muster"))
        .args(["playground", "--port", "0", "--nodes", FLEET, "--until-idle", "--apply"])
        .arg(&path)
        .output()
        .expect("the binary is built");
    std::fs::remove_file(&path).expect("it was written");
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let result =
        |begins: &str| shown.lines().find(|line| line.starts_with(begins)).map(str::to_owned);
    println!("{PODS} pods in {gangs} gangs on 1000 nodes");
    let all = result(&format!("{PODS} pods in {gangs} gangs: {gangs} running, 0 ended, 0 waiting"));
    match (all, result("from the first pod")) {
        (Some(all), Some(time)) if output.status.success() => {
            println!("{all}\n{time}");
            ExitCode::SUCCESS
        }
        _ => {
            println!("not all were bound:\n{shown}{errors}");
            ExitCode::FAILURE
        }
    }
}

/// Gangs of random sizes in random order; every second one asks for a GPU for each member, so that all fit.
fn manifests() -> (String, usize) {
    let mut random = Random::new(3);
    let mut text = String::new();
    let (mut pods, mut gangs) = (0, 0);
    while pods < PODS {
        let size = (1 + random.below(GANG_MAX)).min(PODS - pods);
        gangs += 1;
        let device = if gangs % 2 == 0 { "nvidia.com/gpu: 1" } else { "ephemeral-storage: 1Gi" };
        write!(
            text,
            "apiVersion: scheduling.x-k8s.io/v1alpha1\nkind: PodGroup\nmetadata: {{name: gang-{gangs}}}\n\
             spec: {{minMember: {size}}}\n---\n"
        )
        .expect("writing to a string does not fail");
        for index in 0..size {
            write!(
                text,
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: gang-{gangs}-{index}\n  \
                 labels: {{scheduling.x-k8s.io/pod-group: gang-{gangs}}}\nspec:\n  schedulerName: muster\n  \
                 containers:\n  - name: main\n    image: registry.k8s.io/pause:3.10\n    \
                 resources: {{limits: {{cpu: 500m, memory: 1Gi, {device}}}}}\n---\n"
            )
            .expect("writing to a string does not fail");
        }
        pods += size;
    }
    (text, gangs)
}
