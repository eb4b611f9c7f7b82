//! The real kubectl against `muster playground`: a claim that waits for its first consumer is bound once a pod uses it,
//! and kubectl shows so.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::playing::assert_table;
use crate::playing::playing;

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

const MANIFEST: &str = "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: csi.example.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}}
";

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  containers:
  - {name: main, image: pause, resources: {limits: {nvidia.com/gpu: 1}}}
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: data}}
";

/// A playground with its scheduler, and where its kubeconfig lies.
struct Playground {
    process: Child,
    kubeconfig: String,
}

impl Drop for Playground {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Playground {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.args(["playground", "--port", "0"]).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the binary is built");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let kubeconfig = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("KUBECONFIG=")?.1.to_owned()))
            .expect("the greeting names it");
        Self { process, kubeconfig }
    }
}

#[test]
fn a_claim_is_bound_once_a_pod_uses_it() {
    let Some(playing) = playing() else { return };
    let playground = Playground::start();
    let kubectl = playing.elsewhere("default", &playground.kubeconfig);
    kubectl.ok_with("apply -f -", MANIFEST);
    let headings = [
        "NAME",
        "STATUS",
        "VOLUME",
        "CAPACITY",
        "ACCESS MODES",
        "STORAGECLASS",
        "VOLUMEATTRIBUTESCLASS",
        "AGE",
    ];
    assert_table(&kubectl.ok("get pvc"), &headings, &["data", "Pending"]);
    kubectl.ok_with("apply -f -", POD);
    kubectl.ok("wait pvc/data --for=jsonpath={.status.phase}=Bound --timeout=30s");
    kubectl.ok("wait pod/reader --for=condition=Ready --timeout=30s");
    assert_table(&kubectl.ok("get pvc"), &headings, &["data", "Bound"]);
    let volume = kubectl.ok("get pvc data -o jsonpath={.spec.volumeName}");
    let claim = kubectl.ok(&format!("get pv {volume} -o jsonpath={{.spec.claimRef.name}}"));
    assert_eq!(claim, "data");
    let node = kubectl.ok("get pod reader -o jsonpath={.spec.nodeName}");
    let begun = Instant::now();
    loop {
        let attached = kubectl.ok("get volumeattachments -o jsonpath={.items[*].spec.nodeName}");
        if attached == node {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "attached to {attached:?}, the pod is on {node}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
