//! get, get -w, describe, events, api-resources, version, auth can-i, logs and exec.

use std::io::BufRead;
use std::io::BufReader;

use crate::POD;
use crate::playing::assert_table;
use crate::playing::playing;

const NODE: &str = "
apiVersion: v1
kind: Node
metadata:
  name: reading-a1
  labels: {nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3, node-role.kubernetes.io/worker: ''}
spec: {}
status:
  capacity: {cpu: '96', memory: 1Ti, pods: '110', nvidia.com/gpu: '8'}
  allocatable: {cpu: '96', memory: 1Ti, pods: '110', nvidia.com/gpu: '8'}
  addresses: [{type: InternalIP, address: 10.0.0.1}]
  nodeInfo: {kubeletVersion: v1.37.1, osImage: Simulated, kernelVersion: '6.1', containerRuntimeVersion: none, architecture: amd64, bootID: '', machineID: '', operatingSystem: linux, systemUUID: '', kubeProxyVersion: ''}
  conditions: [{type: Ready, status: 'True', reason: KubeletReady, message: simulated}]
";

const EVENT: &str = "
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: trainer.1}
eventTime: '2026-01-01T00:00:00.000000Z'
action: Scheduling
reason: FailedScheduling
type: Warning
note: '0/1 nodes are available: 1 Insufficient nvidia.com/gpu.'
regarding: {apiVersion: v1, kind: Pod, name: trainer, namespace: describing, uid: UID}
reportingController: muster
reportingInstance: muster-0
";

/// What a kubelet writes once the only container runs.
const RUNNING: &str = r#"{"status":{"phase":"Running","podIP":"10.1.0.7","podIPs":[{"ip":"10.1.0.7"}],"conditions":[{"type":"Ready","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"main","image":"example.org/trainer:1","imageID":"","ready":true,"started":true,"restartCount":0,"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}"#;

#[test]
fn get_prints_tables_as_people_know_them() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("reading");
    assert_eq!(
        kubectl.fails("get pods/nothing").trim(),
        r#"Error from server (NotFound): pods "nothing" not found"#
    );
    kubectl.ok_with("create -f -", POD);
    let pods = kubectl.ok("get pods");
    assert_table(
        &pods,
        &["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
        &["trainer", "0/1", "Pending", "0"],
    );

    kubectl.ok(&format!("patch pod trainer --subresource=status --type=merge -p '{RUNNING}'"));
    let wide = kubectl.ok("get pods -o wide");
    let headings = [
        "NAME",
        "READY",
        "STATUS",
        "RESTARTS",
        "AGE",
        "IP",
        "NODE",
        "NOMINATED NODE",
        "READINESS GATES",
    ];
    assert_table(&wide, &headings, &["trainer", "1/1", "Running", "0"]);
    assert!(wide.contains("10.1.0.7   <none>"), "{wide}");

    assert_eq!(kubectl.ok("get pods -o name"), "pod/trainer\n");
    assert_eq!(kubectl.ok("get pod trainer -o jsonpath={.spec.schedulerName}"), "muster");
    assert!(
        kubectl.ok("get pod trainer -o yaml").starts_with("apiVersion: v1\nkind: Pod\nmetadata:\n")
    );
    assert!(kubectl.ok("get pods -o json").contains(r#""kind": "List""#));
    let all = kubectl.ok("get pods --all-namespaces --show-labels");
    assert!(all.starts_with("NAMESPACE"), "{all}");
    assert!(all.contains("app=trainer"), "{all}");
    assert_eq!(kubectl.ok("get pods -l app=other"), "");
    assert!(kubectl.ok("get pods --field-selector status.phase=Running").contains("trainer"));
    assert!(kubectl.ok("get pods --sort-by=.metadata.name").contains("trainer"));
    assert!(kubectl.ok("get all").contains("pod/trainer"));

    kubectl.ok_with("apply -f -", NODE);
    let nodes = kubectl.ok("get nodes");
    assert_table(
        &nodes,
        &["NAME", "STATUS", "ROLES", "AGE", "VERSION"],
        &["reading-a1", "Ready", "worker"],
    );
    let namespaces = kubectl.ok("get namespaces");
    assert_table(&namespaces, &["NAME", "STATUS", "AGE"], &["reading", "Active"]);
}

#[test]
fn get_watch_prints_each_change_once() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("watching");
    kubectl.ok_with("create -f -", POD);
    let mut watch = kubectl.start("get pods --watch");
    let mut lines = BufReader::new(watch.stdout.take().expect("it was piped")).lines();
    let mut next = || lines.next().expect("the watch goes on").expect("it is text");
    assert!(next().starts_with("NAME      READY   STATUS"));
    assert!(next().contains("Pending"));
    kubectl.ok(&format!("patch pod trainer --subresource=status --type=merge -p '{RUNNING}'"));
    let line = next();
    assert!(line.contains("1/1") && line.contains("Running"), "{line}");
    kubectl.ok("delete pod trainer --grace-period=0 --force --wait=false");
    assert!(next().contains("trainer"));
    watch.kill().expect("it still runs");
    watch.wait().expect("it was killed");
}

#[test]
fn describe_and_events_tell_about_pods_nodes_and_jobs() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("describing");
    kubectl.ok_with("create -f -", POD);
    let uid = kubectl.ok("get pod trainer -o jsonpath={.metadata.uid}");
    kubectl.ok_with("create -f -", &EVENT.replace("UID", &uid));
    let pod = kubectl.ok("describe pod trainer");
    for line in [
        "Name:             trainer",
        "Status:           Pending",
        "FailedScheduling",
        "Insufficient nvidia.com/gpu.",
    ] {
        assert!(pod.contains(line), "{line} is missing in\n{pod}");
    }
    let events = kubectl.ok("events");
    assert_table(&events, &["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"], &[]);
    assert!(events.contains("Pod/trainer"), "{events}");
    let events = kubectl.ok("get events");
    assert!(events.contains("pod/trainer"), "{events}");

    kubectl.ok_with("apply -f -", &NODE.replace("reading-a1", "describing-a1"));
    kubectl.ok_with(
        "create -f -",
        &POD.replace("name: trainer", "name: bound")
            .replace("schedulerName: muster", "nodeName: describing-a1"),
    );
    let node = kubectl.ok("describe node describing-a1");
    for line in ["Name:               describing-a1", "nvidia.com/gpu     1", "bound"] {
        assert!(node.contains(line), "{line} is missing in\n{node}");
    }
    kubectl.ok("create job once --image=example.org/x");
    let job = kubectl.ok("describe job once");
    assert!(job.contains("Parallelism:") && job.contains("Completions:"), "{job}");
    let jobs = kubectl.ok("get jobs");
    assert_table(
        &jobs,
        &["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"],
        &["once", "Running", "0/1"],
    );
}

#[test]
fn the_server_says_what_it_is_and_what_one_may_do() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("asking");
    assert!(kubectl.ok("version").contains("Server Version: v1.37"));
    let resources = kubectl.ok("api-resources");
    let resources: Vec<Vec<&str>> =
        resources.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        ["pods", "po", "v1", "true", "Pod"].as_slice(),
        &["deployments", "deploy", "apps/v1", "true", "Deployment"],
        &["podgroups", "scheduling.k8s.io/v1beta1", "true", "PodGroup"],
        &["nodes", "no", "v1", "false", "Node"],
    ] {
        assert!(resources.iter().any(|found| found == row), "no {row:?} in {resources:?}");
    }
    assert!(kubectl.ok("api-versions").contains("batch/v1\n"));
    assert_eq!(kubectl.ok("auth can-i create pods"), "yes\n");
    assert_eq!(kubectl.ok("get --raw /readyz"), "ok");
    assert!(
        kubectl
            .fails("get nonsense")
            .contains(r#"the server doesn't have a resource type "nonsense""#)
    );
    let who = kubectl.fails("auth whoami");
    assert!(who.contains("selfsubjectreviews API is not enabled"), "{who}");
    let token = kubectl.fails("create token default");
    assert!(token.contains("NotFound") || token.contains("could not find"), "{token}");
}

#[test]
fn logs_and_exec_say_that_there_is_no_container() {
    let Some(playing) = playing() else { return };
    let kubectl = playing.namespace("logging");
    kubectl.ok_with("create -f -", POD);
    assert!(kubectl.fails("logs trainer").contains("simulated and run no containers"));
    assert!(kubectl.fails("exec trainer -- true").contains("simulated and run no containers"));
}
