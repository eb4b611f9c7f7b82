//! The scheduler with exactly the rights of `deploy/rbac/`, against an in-memory API that refuses every other request
//! as RBAC does, and notes it: binds, fences, evictions, leases, events, conditions, records, and their removal.
//! Each right taken away in turn is named in an event and a metric.
//! And the manifests of `deploy/` themselves: the least that is needed, and nothing that is dangerous.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::Response;
use kube::client::Body as ClientBody;
use muster::apiserver::face::SharedServer;
use muster::apiserver::store::failure::Failure;
use muster::apiserver::store::faults::FaultEffect;
use muster::apiserver::store::faults::FaultRule;
use muster::apiserver::store::faults::Target;
use muster::apiserver::store::faults::denied;
use muster::apiserver::store::patch::PatchKind;
use muster::apiserver::store::request::Verb;
use muster::telemetry::metrics;
use serde_json::Value;
use serde_json::json;

use crate::leadership::Kernels;
use crate::wires::answered;
use crate::world;
use crate::world::World;
use crate::world::member;
use crate::world::pod;

/// One right: a verb on a resource, everywhere, or in one namespace and perhaps on one name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    verb: String,
    /// `pods/binding`, `podgroups.scheduling.k8s.io`.
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

/// The documents of a manifest.
fn documents(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).expect("it is shipped");
    text.split("\n---\n").map(|part| serde_saphyr::from_str(part).expect("YAML")).collect()
}

/// What the shipped roles grant, spelt out.
fn rights() -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for role in documents("deploy/rbac/scheduler.yaml") {
        let namespace = match role["kind"].as_str() {
            Some("ClusterRole") => None,
            Some("Role") => Some(text(&role["metadata"]["namespace"])),
            _ => continue,
        };
        for rule in role["rules"].as_array().expect("a role has rules") {
            let mut names: Vec<Option<String>> =
                texts(&rule["resourceNames"]).into_iter().map(Some).collect();
            if names.is_empty() {
                names.push(None);
            }
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        rights.extend(names.iter().map(|name| Right {
                            verb: verb.clone(),
                            resource: spelt(&resource, &group),
                            namespace: namespace.clone(),
                            name: name.clone(),
                        }));
                    }
                }
            }
        }
    }
    rights
}

/// A resource with its group, as the API's own messages write it: `podgroups.scheduling.k8s.io/status`.
fn spelt(resource: &str, group: &str) -> String {
    let (plural, below) = resource.split_once('/').unwrap_or((resource, ""));
    let dot = if group.is_empty() { "" } else { "." };
    let slash = if below.is_empty() { "" } else { "/" };
    format!("{plural}{dot}{group}{slash}{below}")
}

/// Who may do what, and what was done with it.
struct Gate {
    server: SharedServer,
    rights: BTreeSet<Right>,
    used: Mutex<BTreeSet<Right>>,
    refused: Mutex<Vec<String>>,
}

impl Gate {
    /// The refusal of a request that no right covers. What is no request for objects, such as discovery, everybody may.
    fn check(&self, request: &Request<ClientBody>) -> Option<Response<Body>> {
        let target = request.uri().path_and_query()?.as_str();
        let method = request.method().as_str();
        let routed = self.server.read(|server| server.route(method, target)).ok()?;
        let below = routed.subresource.map_or("", |subresource| subresource.name());
        let slash = if below.is_empty() { "" } else { "/" };
        let resource = format!("{}{slash}{below}", routed.resource.subject());
        let covers = |right: &&Right| {
            right.verb == routed.verb.name()
                && right.resource == resource
                && right.namespace.as_ref().is_none_or(|namespace| *namespace == routed.namespace)
                && right.name.as_ref().is_none_or(|name| *name == routed.name)
        };
        if let Some(right) = self.rights.iter().find(covers) {
            self.used.lock().expect("one thread").insert(right.clone());
            return None;
        }
        let failure: Failure = denied(&routed);
        self.refused.lock().expect("one thread").push(failure.message.clone());
        let response = Response::builder().status(403).header("content-type", "application/json");
        Some(response.body(Body::from(failure.to_json().to_string())).expect("it is valid"))
    }
}

/// A world whose API grants only what is shipped, and of that not what is `missing`.
fn gated(world: &World, missing: Option<&Right>) -> Arc<Gate> {
    let mut rights = rights();
    rights.retain(|right| Some(right) != missing);
    Arc::new(Gate {
        server: world.server.clone(),
        rights,
        used: Mutex::default(),
        refused: Mutex::default(),
    })
}

/// The pod as one of a Job, which would make it again: only such pods are deleted when their gang is undone.
fn owned(mut pod: Value, job: &str) -> Value {
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": "undone", "controller": true, "uid": job,
    });
    pod["metadata"]["ownerReferences"] = json!([owner]);
    pod
}

/// Creates a Job that nobody carries out; gives its uid.
fn job(world: &World) -> String {
    let main = json!({"name": "main", "image": "pause"});
    let object = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "undone"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [main]}}},
    });
    let path = "/apis/batch/v1/namespaces/default/jobs";
    let created = world.server.write(|server| server.create(world.clock.now(), path, object));
    created.expect("it is valid").uid().to_owned()
}

fn native_member(name: &str, group: &str) -> Value {
    let mut pod = pod(name, 1);
    pod["spec"]["schedulingGroup"] = json!({"podGroupName": group});
    pod
}

fn deny(world: &World, times: u32, verb: Verb, resource: &str, pod: &str) {
    let target = Target::of(verb, resource).named("default", pod);
    let rule = FaultRule { target, skip: 0, times: Some(times), effect: FaultEffect::Deny };
    world.server.write(|server| server.faults().add(rule));
}

/// The next reply to such a request is lost, so that what became of it has to be read.
fn lose_the_reply(world: &World, verb: Verb, resource: &str) {
    let target = Target::of(verb, resource);
    let rule = FaultRule { target, skip: 0, times: Some(1), effect: FaultEffect::LoseReply };
    world.server.write(|server| server.faults().add(rule));
}

fn create(world: &World, path: &str, object: Value) {
    let created = world.server.write(|server| server.create(world.clock.now(), path, object));
    created.expect("it is valid");
}

fn patch(world: &World, path: &str, patch: Value) {
    let now = world.clock.now();
    let patched = world.server.write(|server| server.patch(now, path, PatchKind::Merge, patch));
    // Where the scheduler never sent what was to lose its reply, this one does; the patch is done all the same.
    let code = patched.map_or_else(|failure| failure.code, |_| 200);
    assert!([200, 504].contains(&code), "PATCH {path}: {code}");
}

const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";

/// Two pods with a claim each: one takes a volume that exists, the other has one provisioned. What the controllers of a
/// cluster do is done here by hand, once the scheduler has said its word.
async fn volumes(world: &World) {
    lose_the_reply(world, Verb::Patch, "persistentvolumes");
    lose_the_reply(world, Verb::Patch, "persistentvolumeclaims");
    for (class, provisioner) in
        [("local", "kubernetes.io/no-provisioner"), ("fast", "csi.example.com")]
    {
        let object = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
            "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer",
        });
        create(world, CLASSES, object);
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": class},
            "spec": {
                "storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        });
        create(world, CLAIMS, claim);
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": class},
            "spec": {
                "storageClassName": "local", "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/mnt"},
            },
        });
        create(world, VOLUMES, volume);
    }
    patch(world, &format!("{VOLUMES}/local/status"), json!({"status": {"phase": "Available"}}));
    for claim in ["local", "fast"] {
        let mut pod = pod(&format!("stored-{claim}"), 0);
        let source = json!({"claimName": claim});
        pod["spec"]["volumes"] = json!([{"name": "data", "persistentVolumeClaim": source}]);
        world.create("pods", pod);
    }
    let told = |world: &World| {
        let claims = world.list(CLAIMS);
        let node = "volume.kubernetes.io/selected-node";
        let selected =
            claims.iter().any(|claim| claim["metadata"]["annotations"][node].is_string());
        let taken = world.list(VOLUMES).iter().any(|volume| volume["spec"]["claimRef"].is_object());
        selected && taken
    };
    settle(world, told).await;
    for claim in ["local", "fast"] {
        let annotations = json!({"pv.kubernetes.io/bind-completed": "yes"});
        let bound =
            json!({"metadata": {"annotations": annotations}, "spec": {"volumeName": claim}});
        patch(world, &format!("{CLAIMS}/{claim}"), bound);
    }
    settle(world, |world| count_bound(world, "stored-") == 2).await;
}

/// How many pods with such a name are bound.
fn count_bound(world: &World, prefix: &str) -> usize {
    world.bound().iter().filter(|name| name.starts_with(prefix)).count()
}

/// Waits until something holds, and no longer than a scheduler without one of its rights is worth waiting for.
async fn settle(world: &World, holds: impl Fn(&World) -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds(world) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A gang lacks a member, gets one, and loses it again: what holds again is counted into the event that said it first.
async fn dwindle(world: &World) {
    let says = |text: &'static str| {
        move |world: &World| {
            let message = &world.condition("dwindling-0")["message"];
            message.as_str().is_some_and(|message| message.contains(text))
        }
    };
    world.group("dwindling", 3);
    world.create("pods", member("dwindling-0", "dwindling", 1));
    settle(world, says("1 of 3 exist")).await;
    world.create("pods", member("dwindling-1", "dwindling", 1));
    settle(world, says("2 of 3 exist")).await;
    world.delete_pod("dwindling-1");
    settle(world, says("1 of 3 exist")).await;
    world.delete_pod("dwindling-0");
}

/// The gang that cannot be bound whole is not bound in part any more.
fn is_undone(world: &World) -> bool {
    let pods = world.list("/api/v1/pods");
    !pods.iter().any(|pod| {
        pod["metadata"]["name"] == "undone-0" && pod["metadata"]["deletionTimestamp"].is_null()
    })
}

/// A profile that spreads pods that say nothing of it.
const SPREADING: &str = "
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: muster
  pluginConfig:
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints: [{maxSkew: 5, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]
";

/// Objects of which one is read where a recount differs from the watches.
const READ_IN_DOUBT: [&str; 7] = [
    "deviceclasses.resource.k8s.io",
    "nodes",
    "namespaces",
    "services",
    "replicationcontrollers",
    "replicasets.apps",
    "statefulsets.apps",
];

/// Gangs of both kinds, plain pods, what waits and says so, and a gang that is undone. What of it a scheduler cannot
/// do, it leaves.
async fn everything(world: &World) {
    lose_the_reply(world, Verb::Create, "pods/binding");
    lose_the_reply(world, Verb::Patch, "podgroups.scheduling.x-k8s.io");
    lose_the_reply(world, Verb::Patch, "podgroups.scheduling.k8s.io");
    world.group("train", 2);
    for index in 0..2 {
        world.create("pods", member(&format!("train-{index}"), "train", 1));
    }
    let native = json!({
        "apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup",
        "metadata": {"name": "native", "namespace": "default"},
        "spec": {"schedulingPolicy": {"gang": {"minCount": 2}}},
    });
    let path = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups";
    world
        .server
        .write(|server| server.create(world.clock.now(), path, native))
        .expect("native groups are served");
    for index in 0..2 {
        world.create("pods", native_member(&format!("native-{index}"), "native"));
    }
    world.create("pods", pod("plain", 1));
    world.create("pods", pod("too-big", 64));
    settle(world, |world| world.bound().len() == 5).await;
    settle(world, |world| world.condition("too-big").is_object()).await;
    dwindle(world).await;
    volumes(world).await;
    // One member's bind is refused until the time of the gang is over: the other is evicted, this one fenced.
    deny(world, 1_000, Verb::Create, "pods/binding", "undone-1");
    world.group("undone", 2);
    let job = job(world);
    for index in 0..2 {
        world.create("pods", owned(member(&format!("undone-{index}"), "undone", 1), &job));
    }
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if is_undone(world) {
            break;
        }
    }
    for index in 0..2 {
        world.delete_pod(&format!("train-{index}"));
    }
    // Long enough for the records that nobody needs any more to be removed, and for a recount.
    tokio::time::sleep(Duration::from_secs(1_800)).await;
}

#[tokio::test(start_paused = true)]
async fn the_shipped_rights_are_enough_for_everything_and_none_of_them_is_idle() {
    let kernels = Kernels::new();
    // Whom Services and controllers select matters where a profile spreads by it, and nowhere else.
    let world = World::unsynced().configured(SPREADING);
    world.create("nodes", world::node("n1"));
    let gate = gated(&world, None);
    let through = |client| {
        let gate = Arc::clone(&gate);
        answered(client, Arc::new(move |request| gate.check(request)))
    };
    let a = kernels.start_through(&world, "a", through);
    a.until("a decides", |report| report.synced).await;
    everything(&world).await;
    assert_eq!(["native-", "plain", "stored-"].map(|name| count_bound(&world, name)), [2, 1, 2]);
    assert!(world.condition("too-big").is_object(), "what does not fit says so");
    assert!(is_undone(&world), "the gang that cannot be bound whole is not undone");
    let b = kernels.start_through(&world, "b", through);
    b.until("b knows everything", |report| report.listed).await;
    a.stop().await;
    kernels.close("a");
    b.until("b decides", |report| report.synced).await;
    b.stop().await;
    let refused = gate.refused.lock().expect("one thread").clone();
    assert!(refused.is_empty(), "the scheduler did what its role does not grant: {refused:#?}");
    let used = gate.used.lock().expect("one thread");
    let idle = gate.rights.iter().filter(|right| !used.contains(right) && !is_for_doubt(right));
    let idle: Vec<&Right> = idle.collect();
    assert!(idle.is_empty(), "rights that nothing needs: {idle:#?}");
}

/// A recount reads one of these where it differs from the watches, which does not happen here.
fn is_for_doubt(right: &Right) -> bool {
    right.verb == "get" && READ_IN_DOUBT.contains(&right.resource.as_str())
}

/// Where a scheduler that lacks a right does not say so. It is given all that needs the right, and time until it has.
async fn silent_without(missing: &Right) -> Vec<String> {
    let kernels = Kernels::new();
    let world = World::unsynced().configured(SPREADING);
    world.create("nodes", world::node("n1"));
    let gate = gated(&world, Some(missing));
    let start = |life: u32| {
        kernels.start_through(&world, &format!("life-{life}"), |client| {
            let gate = Arc::clone(&gate);
            answered(client, Arc::new(move |request| gate.check(request)))
        })
    };
    let (mut life, mut scheduler) = (0, start(0));
    let mut load = std::pin::pin!(everything(&world));
    let mut is_over = false;
    loop {
        tokio::select! {
            biased;
            () = &mut load, if !is_over => is_over = true,
            _ = scheduler.ended() => {
                // As a kubelet starts a process again that has ended.
                kernels.close(&format!("life-{life}"));
                tokio::time::sleep(Duration::from_secs(10)).await;
                life += 1;
                scheduler = start(life);
            }
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
        let silent = silent(&world, &metrics::text(scheduler.report().await), missing);
        if silent.is_empty() || is_over {
            scheduler.kill();
            return silent;
        }
    }
}

/// Where nothing names the right.
fn silent(world: &World, page: &str, missing: &Right) -> Vec<String> {
    let right = format!("{} {}", missing.verb, missing.resource);
    let mut silent = Vec::new();
    if !page.contains(&format!("muster_right_missing{{right=\"{right}\"}}")) {
        silent.push(format!("no metric names {right}"));
    }
    let events = world.list("/api/v1/events");
    let words = [format!("{right},"), format!("{right};"), in_full(missing)];
    let names_it = |event: &Value| {
        let message = text(&event["message"]);
        words.iter().any(|words| message.contains(words))
    };
    // Without the right to create events there is none.
    if right != "create events.events.k8s.io" && !events.iter().any(names_it) {
        silent.push(format!("no event names {right}"));
    }
    silent
}

/// As the API server words it.
fn in_full(right: &Right) -> String {
    let (resource, below) = right.resource.split_once('/').unwrap_or((&right.resource, ""));
    let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
    let slash = if below.is_empty() { "" } else { "/" };
    let verb = &right.verb;
    format!("cannot {verb} resource \"{plural}{slash}{below}\" in API group \"{group}\"")
}

#[tokio::test(start_paused = true)]
async fn each_right_that_is_missing_is_named_in_an_event_and_a_metric() {
    let mut silent = Vec::new();
    for missing in rights().iter().filter(|right| !is_for_doubt(right)) {
        silent.extend(silent_without(missing).await);
    }
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn the_manifests_grant_little() {
    let granted = rights();
    let forbidden = |right: &&Right| {
        let plural = right.resource.split(['.', '/']).next().unwrap_or_default();
        let writes = !["get", "list", "watch"].contains(&right.verb.as_str());
        let dangerous = ["secrets", "configmaps", "serviceaccounts", "customresourcedefinitions"];
        let parts = [&right.verb, &right.resource].map(|part| part.contains('*'));
        parts.contains(&true)
            || dangerous.contains(&plural)
            || ["impersonate", "escalate", "bind"].contains(&right.verb.as_str())
            || (plural == "nodes" && writes)
            || right.resource.contains("/exec")
            || right.resource.contains("/token")
            || (right.resource == "pods"
                && ["create", "patch", "update"].contains(&right.verb.as_str()))
            || (plural == "leases" && right.namespace.is_none())
    };
    let found: Vec<&Right> = granted.iter().filter(forbidden).collect();
    assert!(found.is_empty(), "{found:#?}");
    for document in documents("deploy/rbac/scheduler.yaml") {
        let subjects = document["subjects"].as_array().cloned().unwrap_or_default();
        for subject in subjects {
            assert_eq!(
                (&subject["kind"], &subject["name"], &subject["namespace"]),
                (&json!("ServiceAccount"), &json!("muster"), &json!("muster-system")),
                "nobody but the scheduler gets its rights"
            );
        }
    }
    let expected = include_str!("rights.txt");
    let shown: String = granted.iter().map(|right| format!("{}\n", told(right))).collect();
    assert_eq!(
        shown, expected,
        "a right was added or taken away: tests/run/rights.txt says which there are"
    );
}

fn told(right: &Right) -> String {
    let namespace = right.namespace.as_ref().map_or(String::new(), |place| format!(" in {place}"));
    let name = right.name.as_ref().map_or(String::new(), |name| format!(" named {name}"));
    format!("{} {}{namespace}{name}", right.verb, right.resource)
}

#[test]
fn every_flow_schema_is_for_the_scheduler_and_for_what_it_may_do() {
    let granted = rights();
    for schema in documents("deploy/flow-schemas.yaml") {
        for rule in schema["spec"]["rules"].as_array().expect("it has rules") {
            for subject in rule["subjects"].as_array().expect("it has subjects") {
                assert_eq!(subject["serviceAccount"]["name"], "muster");
                assert_eq!(subject["serviceAccount"]["namespace"], "muster-system");
            }
            for resource in rule["resourceRules"].as_array().expect("it has resources") {
                for group in texts(&resource["apiGroups"]) {
                    for plural in texts(&resource["resources"]) {
                        let spelt = spelt(&plural, &group);
                        let known = granted.iter().any(|right| right.resource == spelt);
                        assert!(known, "{spelt} is given a priority, and no right");
                    }
                }
            }
        }
    }
}
