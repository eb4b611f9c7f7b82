//! The kubelet and the controllers against the in-memory API: what `kubectl` users would see.

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::apiserver::store::state::Settings;
use crate::base::time::Span;
use crate::sim::fleet;
use crate::sim::kubelet::Fault;
use crate::sim::kubelet::KubeletSettings;
use crate::sim::machinery::ControllerMode;
use crate::sim::object::Object;

mod daemon_sets;

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const REPLICA_SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const STATEFUL_SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const DAEMON_SETS: &str = "/apis/apps/v1/namespaces/default/daemonsets";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// Monday, 2026-11-02, 00:00:00 UTC.
const START: Time = Time(1_793_577_600_000_000_000);

/// A server with machinery at work, in virtual time, and a scheduler's part played by hand.
struct Cluster {
    server: Server,
    attached: Attached,
    now: Time,
}

impl Cluster {
    fn new() -> Self {
        let server = Server::new(Settings::default(), START);
        let machinery = Machinery::new(KubeletSettings::virtual_time(), ControllerMode::Running);
        let mut attached = Attached::new(machinery);
        let nodes = "nodes:\n- {name: \"a[1-2]\", gpus: 8 x NVIDIA-H100-80GB-HBM3, rack: a}\n";
        let nodes = fleet::read("test.yaml", nodes).expect("a good fleet");
        attached.machinery().kubelet().register(START, nodes);
        let mut cluster = Self { server, attached, now: START };
        cluster.settle();
        cluster
    }

    /// Lets everything happen that happens at this instant.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let step = self.attached.step(self.now, &mut self.server, 10_000);
            assert!(step.refused.is_empty(), "{:?}", step.refused);
            if step.is_idle() {
                return;
            }
        }
        panic!("the machinery does not come to rest");
    }

    /// Lets time pass.
    fn pass(&mut self, span: Span) {
        let end = self.now + span;
        self.settle();
        while let Some(at) = self.attached.wakeup().filter(|at| *at <= end) {
            assert!(at >= self.now, "the past wakes nobody once it is settled");
            self.now = at;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn create(&mut self, path: &str, object: Value) {
        self.server.create(self.now, path, object).expect("a good object");
        self.pass(Span::seconds(1));
    }

    fn patch(&mut self, path: &str, patch: Value) {
        let write = Write::merge(path, &patch);
        perform(&write, self.now, &mut self.server).expect("a good patch");
        self.pass(Span::seconds(1));
    }

    fn get(&self, path: &str) -> Value {
        self.server.get(path).expect("it exists").value().as_ref().clone()
    }

    fn list(&self, path: &str) -> Vec<Value> {
        let listing = self.server.list(path).expect("a collection");
        listing.objects.iter().map(|object| object.value().as_ref().clone()).collect()
    }

    fn pods(&self) -> Vec<Value> {
        self.list(PODS)
    }

    fn names(&self) -> Vec<String> {
        self.pods().iter().map(|pod| Object(pod).name().to_owned()).collect()
    }

    /// Binds every pending pod to node a1.
    fn bind_all(&mut self) {
        for pod in self.pods() {
            let name = Object(&pod).name();
            if pod["spec"]["nodeName"].is_null() {
                let target = json!({"apiVersion": "v1", "kind": "Node", "name": "a1"});
                let binding = json!({"apiVersion": "v1", "kind": "Binding",
                    "metadata": {"name": name}, "target": target});
                let path = format!("{PODS}/{name}/binding");
                self.server.create(self.now, &path, binding).expect("it is free");
            }
        }
        self.pass(Span::seconds(1));
    }
}

fn template(annotations: Value) -> Value {
    json!({
        "metadata": {"labels": {"app": "x"}, "annotations": annotations},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]},
    })
}

fn job(name: &str, spec: Value, annotations: Value) -> Value {
    let mut job =
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec});
    job["spec"]["template"] = template(annotations);
    job
}

fn condition(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    found.map_or_else(String::new, |one| {
        format!("{} {}", one["status"].as_str().unwrap_or(""), one["reason"].as_str().unwrap_or(""))
    })
}

#[test]
fn a_fleet_registers_ready_nodes() {
    let cluster = Cluster::new();
    let nodes = cluster.list("/api/v1/nodes");
    assert_eq!(nodes.len(), 2);
    assert_eq!(Object(&nodes[0]).condition("Ready"), "True");
    assert_eq!(nodes[0]["status"]["allocatable"]["nvidia.com/gpu"], "8");
    assert_eq!(cluster.attached.machinery.wakeup(), None, "nothing is left to do");
}

#[test]
fn a_job_completes_once_its_pods_are_bound_and_have_run() {
    let mut cluster = Cluster::new();
    let spec = json!({"parallelism": 2, "completions": 3});
    cluster.create(JOBS, job("train", spec, json!({"muster.dev/runs-for": "60s"})));
    assert_eq!(cluster.pods().len(), 2);
    let first = &cluster.pods()[0];
    assert_eq!(Object(first).label("job-name"), Some("train"));
    assert_eq!(Object(first).controller().map(|owner| owner.kind).as_deref(), Some("Job"));
    let seen = cluster.get(&format!("{JOBS}/train"));
    assert_eq!((&seen["status"]["active"], &seen["status"]["ready"]), (&json!(2), &json!(0)));
    cluster.bind_all();
    assert_eq!(cluster.get(&format!("{JOBS}/train"))["status"]["ready"], 2);
    cluster.pass(Span::seconds(60));
    let seen = cluster.get(&format!("{JOBS}/train"));
    assert_eq!((&seen["status"]["succeeded"], &seen["status"]["active"]), (&json!(2), &json!(1)));
    assert_eq!(cluster.pods().len(), 3);
    cluster.bind_all();
    cluster.pass(Span::seconds(60));
    let seen = cluster.get(&format!("{JOBS}/train"));
    assert_eq!(seen["status"]["succeeded"], 3);
    assert_eq!(seen["status"]["active"], Value::Null);
    assert_eq!(condition(&seen, "Complete"), "True CompletionsReached");
    assert!(seen["status"]["completionTime"].is_string());
    assert_eq!(cluster.attached.wakeup(), None, "a finished Job asks for nothing");
}

#[test]
fn an_indexed_job_has_a_pod_for_each_index() {
    let mut cluster = Cluster::new();
    let spec = json!({"parallelism": 3, "completions": 3, "completionMode": "Indexed"});
    cluster.create(JOBS, job("idx", spec, json!({"muster.dev/runs-for": "10s"})));
    for (index, pod) in cluster.pods().iter().enumerate() {
        let name = Object(pod).name();
        assert!(name.starts_with(&format!("idx-{index}-")), "{name}");
        let text = index.to_string();
        assert_eq!(Object(pod).label("batch.kubernetes.io/job-completion-index"), Some(&*text));
        assert_eq!(
            Object(pod).annotation("batch.kubernetes.io/job-completion-index"),
            Some(&*text)
        );
        assert_eq!(pod["spec"]["hostname"], format!("idx-{index}"));
        assert_eq!(pod["spec"]["containers"][0]["env"][0]["name"], "JOB_COMPLETION_INDEX");
    }
    cluster.bind_all();
    cluster.pass(Span::seconds(20));
    let seen = cluster.get(&format!("{JOBS}/idx"));
    assert_eq!(seen["status"]["completedIndexes"], "0-2");
    assert_eq!(condition(&seen, "Complete"), "True CompletionsReached");
}

#[test]
fn a_failing_job_is_tried_again_after_a_wait_and_then_given_up() {
    let mut cluster = Cluster::new();
    let annotations = json!({"muster.dev/runs-for": "1s", "muster.dev/exit-code": "1"});
    cluster.create(JOBS, job("bad", json!({"backoffLimit": 1}), annotations));
    cluster.bind_all();
    cluster.pass(Span::seconds(2));
    assert_eq!(cluster.get(&format!("{JOBS}/bad"))["status"]["failed"], 1);
    assert_eq!(cluster.pods().len(), 1, "the second try waits ten seconds");
    cluster.pass(Span::seconds(10));
    assert_eq!(cluster.pods().len(), 2);
    cluster.bind_all();
    cluster.pass(Span::seconds(3));
    let seen = cluster.get(&format!("{JOBS}/bad"));
    assert_eq!(condition(&seen, "Failed"), "True BackoffLimitExceeded");
    assert_eq!(seen["status"]["failed"], 2);
    cluster.pass(Span::seconds(1000));
    assert_eq!(cluster.pods().len(), 2, "nothing more is tried");
}

#[test]
fn a_disrupted_pod_costs_a_job_nothing_that_ignores_it_and_a_fatal_code_ends_the_job() {
    let rules = json!({"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
    ]});
    let spec =
        json!({"parallelism": 2, "completions": 2, "backoffLimit": 0, "podFailurePolicy": rules});
    let mut cluster = Cluster::new();
    cluster.create(JOBS, job("j", spec.clone(), json!({})));
    cluster.bind_all();
    let victim = format!("{PODS}/{}", cluster.names()[0]);
    let disrupted =
        json!([{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]);
    cluster.patch(&format!("{victim}/status"), json!({"status": {"conditions": disrupted}}));
    cluster.server.delete(cluster.now, &victim, Value::Null).expect("it exists");
    cluster.pass(Span::seconds(31));
    let seen = cluster.get(&format!("{JOBS}/j"));
    assert_eq!((seen["status"].get("failed"), &*condition(&seen, "Failed")), (None, ""), "{seen}");
    assert_eq!(cluster.pods().len(), 2, "another pod stands in for it, at once");

    let annotations = json!({"muster.dev/runs-for": "1s", "muster.dev/exit-code": "42"});
    let patient = json!({"backoffLimit": 100, "podFailurePolicy": spec["podFailurePolicy"]});
    cluster.create(JOBS, job("fatal", patient, annotations));
    cluster.bind_all();
    cluster.pass(Span::seconds(3));
    let seen = cluster.get(&format!("{JOBS}/fatal"));
    assert_eq!(condition(&seen, "Failed"), "True PodFailurePolicy");
    assert_eq!(seen["status"]["failed"], 1);
}

#[test]
fn a_suspended_job_has_no_pods_until_it_is_resumed() {
    let mut cluster = Cluster::new();
    let path = format!("{JOBS}/s");
    cluster.create(JOBS, job("s", json!({"parallelism": 2, "suspend": true}), json!({})));
    assert!(cluster.pods().is_empty());
    assert_eq!(condition(&cluster.get(&path), "Suspended"), "True JobSuspended");
    cluster.patch(&path, json!({"spec": {"suspend": false}}));
    assert_eq!(cluster.pods().len(), 2);
    assert_eq!(condition(&cluster.get(&path), "Suspended"), "False JobResumed");
    cluster.bind_all();
    cluster.patch(&path, json!({"spec": {"suspend": true}}));
    cluster.pass(Span::seconds(31));
    assert!(cluster.pods().is_empty());
    let seen = cluster.get(&path);
    assert_eq!(condition(&seen, "Suspended"), "True JobSuspended");
    assert_eq!(seen["status"]["failed"], Value::Null, "suspending is no failure");
}

#[test]
fn a_job_that_shrinks_and_grows_keeps_the_pods_that_came_furthest() {
    let mut cluster = Cluster::new();
    let path = format!("{JOBS}/w");
    cluster.create(JOBS, job("w", json!({"parallelism": 2}), json!({})));
    cluster.bind_all();
    let running = cluster.names();
    cluster.patch(&path, json!({"spec": {"parallelism": 4}}));
    assert_eq!(cluster.pods().len(), 4);
    cluster.patch(&path, json!({"spec": {"parallelism": 2}}));
    assert_eq!(cluster.names(), running);
}

#[test]
fn a_deleted_pod_of_a_job_is_a_failure_and_is_replaced() {
    let mut cluster = Cluster::new();
    cluster.create(JOBS, job("j", json!({}), json!({})));
    cluster.bind_all();
    let first = cluster.names();
    cluster
        .server
        .delete(cluster.now, &format!("{PODS}/{}", first[0]), Value::Null)
        .expect("there");
    cluster.pass(Span::seconds(45));
    assert_ne!(cluster.names(), first);
    assert_eq!(cluster.pods().len(), 1);
    assert_eq!(cluster.get(&format!("{JOBS}/j"))["status"]["failed"], 1);
}

#[test]
fn a_job_past_its_deadline_fails_and_a_finished_one_expires() {
    let mut cluster = Cluster::new();
    let spec = json!({"activeDeadlineSeconds": 30, "ttlSecondsAfterFinished": 60});
    cluster.create(JOBS, job("d", spec, json!({})));
    cluster.bind_all();
    cluster.pass(Span::seconds(30));
    let seen = cluster.get(&format!("{JOBS}/d"));
    assert_eq!(condition(&seen, "FailureTarget"), "True DeadlineExceeded");
    cluster.pass(Span::seconds(35));
    assert_eq!(condition(&cluster.get(&format!("{JOBS}/d")), "Failed"), "True DeadlineExceeded");
    cluster.pass(Span::seconds(70));
    assert!(cluster.list(JOBS).is_empty());
}

fn deployment(replicas: u64, image: &str) -> Value {
    let mut template = template(json!({}));
    template["spec"]["containers"][0]["image"] = json!(image);
    template["spec"].as_object_mut().expect("a map").remove("restartPolicy");
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "x"}}, "template": template,
    }})
}

#[test]
fn a_deployment_rolls_out_and_keeps_enough_pods_available() {
    let mut cluster = Cluster::new();
    let path = format!("{DEPLOYMENTS}/web");
    cluster.create(DEPLOYMENTS, deployment(4, "one"));
    cluster.bind_all();
    let seen = cluster.get(&path);
    assert_eq!(seen["status"]["availableReplicas"], 4);
    assert_eq!(condition(&seen, "Available"), "True MinimumReplicasAvailable");
    assert_eq!(condition(&seen, "Progressing"), "True NewReplicaSetAvailable");
    assert_eq!(Object(&seen).annotation("deployment.kubernetes.io/revision"), Some("1"));

    let two =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    cluster.patch(&path, two);
    for _ in 0..10 {
        let live = |pod: &&Value| !Object(pod).deleting();
        let pods = cluster.pods();
        let ready = pods.iter().filter(live).filter(|pod| Object(pod).condition("Ready") == "True");
        assert!(ready.count() >= 3, "a quarter may be missing");
        assert!(pods.iter().filter(live).count() <= 5, "one more may be there");
        cluster.bind_all();
    }
    cluster.pass(Span::seconds(40));
    let images: Vec<_> =
        cluster.pods().iter().map(|pod| pod["spec"]["containers"][0]["image"].clone()).collect();
    assert_eq!(images, ["two"; 4]);
    let sets = cluster.list(REPLICA_SETS);
    let mut wanted: Vec<_> = sets.iter().map(|set| set["spec"]["replicas"].clone()).collect();
    wanted.sort_by_key(Value::as_u64);
    assert_eq!(wanted, [0, 4]);
    let seen = cluster.get(&path);
    assert_eq!(seen["status"]["updatedReplicas"], 4);
    assert_eq!(Object(&seen).annotation("deployment.kubernetes.io/revision"), Some("2"));

    // Back to the first template: its ReplicaSet is used again.
    let one = json!({"spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "c", "image": "one"}]}}}});
    cluster.patch(&path, one);
    for _ in 0..10 {
        cluster.bind_all();
    }
    assert_eq!(cluster.list(REPLICA_SETS).len(), 2);
    let seen = cluster.get(&path);
    assert_eq!(seen["status"]["updatedReplicas"], 2);
    assert_eq!(Object(&seen).annotation("deployment.kubernetes.io/revision"), Some("3"));
}

#[test]
fn a_deployment_that_recreates_has_no_pods_of_two_templates() {
    let mut cluster = Cluster::new();
    let mut object = deployment(2, "one");
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.create(DEPLOYMENTS, object);
    cluster.bind_all();
    let two =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    cluster.patch(&format!("{DEPLOYMENTS}/web"), two);
    cluster.pass(Span::seconds(10));
    let images = |cluster: &Cluster| -> Vec<_> {
        cluster.pods().iter().map(|pod| pod["spec"]["containers"][0]["image"].clone()).collect()
    };
    assert_eq!(images(&cluster), ["one", "one"], "the old ones terminate");
    cluster.pass(Span::seconds(40));
    assert_eq!(images(&cluster), ["two", "two"]);
}

#[test]
fn a_replica_set_replaces_what_is_lost_and_removes_what_is_too_many() {
    let mut cluster = Cluster::new();
    let mut set = deployment(3, "one");
    set["kind"] = json!("ReplicaSet");
    cluster.create(REPLICA_SETS, set);
    cluster.bind_all();
    let names = cluster.names();
    assert_eq!(names.len(), 3);
    cluster
        .server
        .delete(cluster.now, &format!("{PODS}/{}", names[0]), json!({"gracePeriodSeconds": 0}))
        .expect("there");
    cluster.pass(Span::seconds(5));
    assert_eq!(cluster.pods().len(), 3);
    cluster.patch(&format!("{REPLICA_SETS}/web"), json!({"spec": {"replicas": 2}}));
    assert_eq!(cluster.names(), names[1..], "the one that does not run goes first");
    let status = &cluster.get(&format!("{REPLICA_SETS}/web"))["status"];
    assert_eq!((&status["replicas"], &status["readyReplicas"]), (&json!(2), &json!(2)));
}

fn stateful_set(policy: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
        "replicas": 3, "podManagementPolicy": policy, "serviceName": "db",
        "selector": {"matchLabels": {"app": "x"}}, "template": deployment(1, "one")["spec"]["template"],
    }})
}

#[test]
fn an_ordered_stateful_set_comes_up_one_by_one_and_goes_down_from_the_top() {
    let mut cluster = Cluster::new();
    cluster.create(STATEFUL_SETS, stateful_set("OrderedReady"));
    for expected in [&["db-0"][..], &["db-0", "db-1"], &["db-0", "db-1", "db-2"]] {
        assert_eq!(cluster.names(), expected);
        cluster.bind_all();
    }
    let status = &cluster.get(&format!("{STATEFUL_SETS}/db"))["status"];
    assert_eq!((&status["readyReplicas"], &status["updatedReplicas"]), (&json!(3), &json!(3)));
    let pod = &cluster.pods()[2];
    assert_eq!(Object(pod).label("apps.kubernetes.io/pod-index"), Some("2"));
    assert_eq!(pod["spec"]["hostname"], "db-2");
    cluster.patch(&format!("{STATEFUL_SETS}/db"), json!({"spec": {"replicas": 1}}));
    cluster.pass(Span::seconds(40));
    assert_eq!(cluster.names(), ["db-0", "db-1"]);
    cluster.pass(Span::seconds(40));
    assert_eq!(cluster.names(), ["db-0"]);
}

#[test]
fn a_parallel_stateful_set_comes_up_at_once_and_rolls_from_the_top() {
    let mut cluster = Cluster::new();
    cluster.create(STATEFUL_SETS, stateful_set("Parallel"));
    assert_eq!(cluster.names(), ["db-0", "db-1", "db-2"]);
    cluster.bind_all();
    let two =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "two"}]}}}});
    cluster.patch(&format!("{STATEFUL_SETS}/db"), two);
    let images = |cluster: &Cluster| -> Vec<_> {
        cluster.pods().iter().map(|pod| pod["spec"]["containers"][0]["image"].clone()).collect()
    };
    for expected in [["one", "one", "two"], ["one", "two", "two"], ["two", "two", "two"]] {
        cluster.pass(Span::seconds(40));
        assert_eq!(images(&cluster), expected);
        cluster.bind_all();
    }
    let status = &cluster.get(&format!("{STATEFUL_SETS}/db"))["status"];
    assert_eq!(status["currentRevision"], status["updateRevision"]);
}

#[test]
fn old_views_make_nothing_twice() {
    let mut cluster = Cluster::new();
    let mut object = job("j", json!({"parallelism": 3}), json!({}));
    object["metadata"]["namespace"] = json!("default");
    object["metadata"]["uid"] = json!("u");
    let machinery = cluster.attached.machinery();
    machinery.observe(START, Kind::Job, Sight::Present(&object));
    let created = |writes: Vec<Write>| writes.iter().filter(|write| write.path == PODS).count();
    let first = machinery.act(START);
    assert_eq!(created(first.clone()), 3);
    machinery.observe(START, Kind::Job, Sight::Present(&object));
    assert_eq!(created(machinery.act(START + Span::seconds(1))), 0);
    // Nothing came of it: the same pods are asked for again, under the same names.
    let again = machinery.act(START + Span::seconds(6));
    let pods = |writes: &[Write]| -> BTreeMap<_, _> {
        let pods = writes.iter().filter(|write| write.path == PODS).map(Write::body);
        pods.map(|pod| (Object(&pod).name().to_owned(), pod)).collect()
    };
    assert_eq!(pods(&again), pods(&first));
}

#[test]
fn a_cut_watch_is_made_up_for() {
    let mut cluster = Cluster::new();
    cluster.create(JOBS, job("j", json!({"parallelism": 2}), json!({})));
    cluster.bind_all();
    let names = cluster.names();
    for collection in &mut cluster.attached.collections {
        if let Some(watch) = &mut collection.watch {
            watch.cut();
        }
    }
    let path = format!("{PODS}/{}", names[0]);
    cluster.server.delete(cluster.now, &path, json!({"gracePeriodSeconds": 0})).expect("there");
    cluster.pass(Span::seconds(30));
    let left = cluster.names();
    assert_eq!(left.len(), 2);
    assert!(!left.contains(&names[0]));
}

#[test]
fn a_deleted_job_takes_its_pods_with_it() {
    let mut cluster = Cluster::new();
    cluster.create(JOBS, job("j", json!({"parallelism": 2}), json!({})));
    cluster.bind_all();
    cluster
        .server
        .delete(cluster.now, &format!("{JOBS}/j"), json!({"propagationPolicy": "Background"}))
        .expect("there");
    cluster.pass(Span::seconds(60));
    assert!(cluster.pods().is_empty());
    assert_eq!(cluster.attached.wakeup(), None);
}

#[test]
fn a_silent_node_loses_its_pods_after_their_toleration_and_they_are_replaced() {
    let mut cluster = Cluster::new();
    cluster.create(DEPLOYMENTS, deployment(2, "one"));
    cluster.bind_all();
    let before = cluster.names();
    let now = cluster.now;
    cluster.attached.machinery().kubelet().inject(now, "a1", Fault::Silent);
    cluster.pass(Span::seconds(51));
    let node = cluster.get("/api/v1/nodes/a1");
    assert_eq!(Object(&node).condition("Ready"), "Unknown");
    assert_eq!(cluster.names(), before, "pods tolerate a lost node for 300 s by default");
    cluster.pass(Span::seconds(301));
    let pods = cluster.pods();
    assert_eq!(pods.len(), 4, "nobody confirms that the old ones are gone");
    assert_eq!(pods.iter().filter(|pod| Object(pod).deleting()).count(), 2);
    let now = cluster.now;
    cluster.attached.machinery().kubelet().heal(now, "a1");
    cluster.pass(Span::seconds(1));
    assert_eq!(cluster.pods().len(), 4, "their grace begins when their kubelet hears of it");
    cluster.pass(Span::seconds(30));
    assert_eq!(cluster.pods().len(), 2);
    let node = cluster.get("/api/v1/nodes/a1");
    assert_eq!(Object(&node).condition("Ready"), "True");
    assert!(node["spec"]["taints"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn pods_of_a_deleted_node_are_collected_and_replaced() {
    let mut cluster = Cluster::new();
    cluster.create(DEPLOYMENTS, deployment(2, "one"));
    cluster.bind_all();
    cluster.server.delete(cluster.now, "/api/v1/nodes/a1", Value::Null).expect("there");
    cluster.pass(Span::seconds(45));
    let pods = cluster.pods();
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["spec"]["nodeName"].is_null()));
}
