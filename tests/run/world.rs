//! An in-memory API with nodes, and the scheduler's rim at work on it without a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use kube::Client;
use muster::apiserver::face;
use muster::apiserver::face::SharedServer;
use muster::apiserver::server::Server;
use muster::apiserver::store::state::Settings;
use muster::base::names::Name;
use muster::base::time::Time;
use muster::config::file::ConfigurationFile;
use muster::config::resolve::resolve;
use muster::config::shipped;
use muster::kubernetes::clients::Clients;
use muster::kubernetes::clock::Clock;
use muster::kubernetes::driver::Fault;
use muster::kubernetes::driver::Question;
use muster::kubernetes::driver::Report;
use muster::kubernetes::requests::Reporter;
use muster::kubernetes::rim::Candidacy;
use muster::kubernetes::rim::Rim;
use muster::kubernetes::rim::Running;
use muster::workload::profile::Profile;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

/// The calendar of every world: 2026-01-01.
pub(crate) const BEGINNING: Time = Time(1_767_225_600_000_000_000);

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// An API, and the scheduler once it is started.
pub(crate) struct World {
    pub(crate) server: SharedServer,
    pub(crate) clock: Clock,
    /// Profiles of the schedulers that are started here, beside the default one.
    profiles: Vec<(Name, Arc<Profile>)>,
    running: Option<Scheduler>,
}

/// A node of 8 GPUs.
pub(crate) fn node(name: &str) -> Value {
    let amounts = json!({"cpu": "64", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": "8"});
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"capacity": amounts, "allocatable": amounts},
    })
}

/// A pod that asks for GPUs.
pub(crate) fn pod(name: &str, gpus: u32) -> Value {
    let mut limits = json!({"cpu": "1"});
    if gpus > 0 {
        limits["nvidia.com/gpu"] = gpus.to_string().into();
    }
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"schedulerName": "muster", "containers": [
            {"name": "main", "image": "pause", "resources": {"limits": limits, "requests": limits}},
        ]},
    })
}

/// A member of a gang.
pub(crate) fn member(name: &str, group: &str, gpus: u32) -> Value {
    let mut pod = pod(name, gpus);
    pod["metadata"]["labels"] = json!({"scheduling.x-k8s.io/pod-group": group});
    pod
}

impl World {
    /// An API that knows PodGroups, with nodes, and a scheduler that has seen them.
    pub(crate) async fn with_nodes(count: usize) -> Self {
        let world = Self::unsynced();
        for index in 1..=count {
            world.create("nodes", node(&format!("n{index}")));
        }
        let world = world.start();
        world.until_report("everything is listed", |report| report.synced).await;
        world
    }

    /// An API that knows PodGroups; no scheduler yet.
    pub(crate) fn unsynced() -> Self {
        let world = Self::without_groups();
        world.install_groups();
        world
    }

    /// An API that knows no PodGroup of the CRD; no scheduler yet.
    pub(crate) fn without_groups() -> Self {
        // Where time leaps, the machine's calendar stays behind: this one keeps pace.
        let clock = Clock::starting_at(BEGINNING);
        let server = SharedServer::new(Server::new(Settings::default(), clock.now()));
        Self { server, clock, running: None, profiles: Vec::new() }
    }

    /// Installs the CRDs of PodGroups and of the records of their plans.
    pub(crate) fn install_groups(&self) {
        for crd in shipped::CRDS {
            let crd: Value = serde_saphyr::from_str(crd).expect("the shipped CRD is YAML");
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            self.server
                .write(|server| server.create(self.clock.now(), path, crd))
                .expect("the shipped CRD is valid");
        }
    }

    /// Schedulers that are started here have the profiles of a `KubeSchedulerConfiguration`.
    pub(crate) fn configured(mut self, text: &str) -> Self {
        let read = muster::config::read(text).expect("the configuration is valid");
        self.profiles = read.configuration.engine.profiles;
        self
    }

    /// Starts the scheduler.
    pub(crate) fn start(self) -> Self {
        self.start_through(|client| client)
    }

    /// Starts the scheduler, with something between it and the API: `wrap` makes each client another.
    pub(crate) fn start_through(mut self, wrap: impl Fn(Client) -> Client) -> Self {
        self.running = Some(self.scheduler(wrap, None));
        self
    }

    /// One more scheduler, which is stopped by whoever started it.
    pub(crate) fn scheduler(
        &self,
        wrap: impl Fn(Client) -> Client,
        candidacy: Option<Candidacy>,
    ) -> Scheduler {
        let clock = self.clock;
        let time: face::Clock = Arc::new(move || clock.now());
        let client =
            || wrap(Client::new(face::router(self.server.clone(), Arc::clone(&time)), "default"));
        let configuration = resolve(&ConfigurationFile::default()).expect("the defaults are valid");
        let rim = Rim {
            clients: Clients { watches: client(), writes: client(), lease: client() },
            clock,
            traffic: configuration.kubernetes,
            engine: muster::engine::settings::Settings {
                profiles: self.profiles.clone(),
                ..configuration.engine
            },
            reporter: Reporter { controller: "muster".into(), instance: "muster-test".into() },
            candidacy,
        };
        Scheduler(rim.start())
    }

    /// Creates an object of `default`, or of the cluster where it is a node.
    pub(crate) fn create(&self, plural: &str, object: Value) {
        let path = match plural {
            "nodes" => "/api/v1/nodes".to_owned(),
            plural => format!("/api/v1/namespaces/default/{plural}"),
        };
        self.server
            .write(|server| server.create(self.clock.now(), &path, object))
            .expect("it is valid");
    }

    /// Deletes a pod of `default` at once.
    pub(crate) fn delete_pod(&self, name: &str) {
        let path = format!("/api/v1/namespaces/default/pods/{name}");
        let at_once = json!({"gracePeriodSeconds": 0});
        self.server
            .write(|server| server.delete(self.clock.now(), &path, at_once))
            .expect("it exists");
    }

    /// Creates a PodGroup.
    pub(crate) fn group(&self, name: &str, minimum: u32) {
        let object = json!({
            "apiVersion": "scheduling.x-k8s.io/v1alpha1", "kind": "PodGroup",
            "metadata": {"name": name}, "spec": {"minMember": minimum},
        });
        let path = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups";
        self.server
            .write(|server| server.create(self.clock.now(), path, object))
            .expect("it is valid");
    }

    /// What a client reads at `path`.
    pub(crate) fn get(&self, path: &str) -> Value {
        let request = Request::get(path).body(Vec::new()).expect("the path is valid");
        let response = self.server.handle(self.clock.now(), &request);
        serde_json::from_slice(response.body()).expect("answers are JSON")
    }

    /// All objects of a collection, as they are kept.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let listing = self.server.read(|server| server.list(path)).expect("it is served");
        listing.objects.iter().map(|object| object.value().as_ref().clone()).collect()
    }

    /// Names of pods that have a node.
    pub(crate) fn bound(&self) -> Vec<String> {
        let pods = self.list("/api/v1/pods");
        let bound = pods.iter().filter(|pod| !pod["spec"]["nodeName"].is_null());
        bound.filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect()
    }

    /// Condition `PodScheduled` of a pod; null where there is none.
    pub(crate) fn condition(&self, pod: &str) -> Value {
        let path = format!("/api/v1/namespaces/default/pods/{pod}");
        let pod = self.server.read(|server| server.get(&path)).expect("it exists");
        let conditions =
            pod.value()["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions
            .into_iter()
            .find(|condition| condition["type"] == "PodScheduled")
            .unwrap_or_default()
    }

    /// `status.phase` of a PodGroup; empty where there is none.
    pub(crate) fn group_phase(&self, group: &str) -> String {
        let path =
            format!("/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups/{group}");
        let group = self.server.read(|server| server.get(&path)).expect("it exists");
        group.value()["status"]["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Where the driver takes questions.
    pub(crate) fn questions(&self) -> mpsc::Sender<Question> {
        self.started().0.questions.clone()
    }

    /// How the scheduler stands.
    pub(crate) async fn report(&self) -> Report {
        self.started().report().await
    }

    fn started(&self) -> &Scheduler {
        self.running.as_ref().expect("it was started")
    }

    /// Waits for something that must happen.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self) {
            if tokio::time::Instant::now() > deadline {
                panic!("not within {PATIENCE:?}: {what}; {:#?}", self.report().await);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the scheduler says something.
    pub(crate) async fn until_report(&self, what: &str, holds: impl Fn(&Report) -> bool) {
        self.started().until(what, holds).await;
    }

    /// Waits until the scheduler ends by itself, and says why.
    pub(crate) async fn failed(&mut self) -> Fault {
        self.running.as_mut().expect("it was started").failed().await
    }

    /// Stops the scheduler.
    pub(crate) async fn stop(mut self) {
        self.running.take().expect("it was started").stop().await;
    }
}

/// A scheduler at work.
pub(crate) struct Scheduler(Running);

impl Scheduler {
    /// How it stands.
    pub(crate) async fn report(&self) -> Report {
        let (sender, receiver) = oneshot::channel();
        self.0.questions.send(Question::Report(sender)).await.expect("the driver lives");
        receiver.await.expect("the driver answers")
    }

    /// Waits until it says something.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Report) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let report = self.report().await;
            if holds(&report) {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "not within {PATIENCE:?}: {what}; {report:#?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it ends by itself, and says why.
    pub(crate) async fn failed(&mut self) -> Fault {
        tokio::time::timeout(Duration::from_secs(3600), self.ended())
            .await
            .expect("it ends within an hour")
    }

    /// The same, however long it takes.
    pub(crate) async fn ended(&mut self) -> Fault {
        self.0.failed().await
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.0.stop().await;
    }

    /// Ends it as SIGKILL does.
    pub(crate) fn kill(self) {
        self.0.abort();
    }
}
