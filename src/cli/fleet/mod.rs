//! `muster fleet`: simulated nodes and their kubelets as a client of any API server. Puts the kubelets of `sim`
//! behind feeds of nodes, pods, and PodGroups, and sends what they write; decides nothing.
//! Invariant: a node that does not bear the fleet's label is never written to, and no node goes unless asked for.

mod lanes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use kube::Client;
use kube::core::ApiResource;
use serde_json::Value;
use serde_json::json;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::mpsc;

use self::lanes::Lanes;
use super::Failure;
use crate::base::time::Time;
use crate::config::file::ConfigurationFile;
use crate::config::resolve::resolve;
use crate::kubernetes::clients;
use crate::kubernetes::clock::Clock;
use crate::kubernetes::feed::Fed;
use crate::kubernetes::feed::Feed;
use crate::sim::fleet;
use crate::sim::kubelet::KubeletSettings;
use crate::sim::kubelet::Serves;
use crate::sim::machinery::ControllerMode;
use crate::sim::machinery::Kind;
use crate::sim::machinery::Machinery;
use crate::sim::machinery::Sight;
use crate::sim::object::Object;
use crate::sim::write::Write;
use crate::telemetry::log;
use crate::telemetry::log::LogFormat;

/// Label of the nodes that a fleet has made.
const SIMULATED: &str = "muster.dev/simulated";

/// Objects that wait to be taken in, before the API server is read more slowly.
const FED_MAX: usize = 4096;

/// Objects taken in at once, before what follows from them is written.
const TAKEN_AT_ONCE: usize = 512;

/// Simulated GPU nodes, with their kubelets, as a client of any API server: to try Muster without GPUs.
///
/// Creates the nodes of a file, keeps their leases, runs the pods that are bound to them, and rejects what does not
/// fit. Touches only nodes with the label muster.dev/simulated=true, which it sets on those that it creates.
/// Ends at SIGTERM and Ctrl-C; the nodes stay, and --delete removes them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The fleet: a file of nodes
    #[arg(long, value_name = "FILE")]
    nodes: PathBuf,

    /// How to reach the API server; default as kubectl
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Delete the nodes of the file that a fleet has made, and end
    #[arg(long)]
    delete: bool,
}

pub(crate) fn execute(args: &Args) -> Result<(), Failure> {
    log::start(LogFormat::Text, "warn");
    let text = super::read_text(&args.nodes)?;
    let nodes = fleet::read(&args.nodes.display().to_string(), &text)
        .map_err(|error| Failure::BadInput(error.to_string()))?;
    if let Some(path) = &args.kubeconfig {
        // A file that is not there is wrong usage; what it says is judged later.
        super::read_text(path)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::CouldNot(format!("cannot start: {error}")))?;
    runtime.block_on(run(args, nodes))
}

async fn run(args: &Args, nodes: Vec<Value>) -> Result<(), Failure> {
    let terminate = signal(SignalKind::terminate());
    let mut terminate = terminate
        .map_err(|error| Failure::CouldNot(format!("cannot listen for SIGTERM: {error}")))?;
    let server =
        clients::configuration(args.kubeconfig.as_deref()).await.map_err(Failure::CouldNot)?;
    let traffic = resolve(&ConfigurationFile::default())
        .map_err(|error| Failure::CouldNot(error.to_string()))?
        .kubernetes;
    let clients = clients::clients(&server, &traffic).map_err(Failure::CouldNot)?;
    let work = async {
        let mut at_work = AtWork::begin(clients.watches, clients.writes);
        let existing = at_work.existing_nodes().await;
        refuse_strangers(&nodes, &existing)?;
        if args.delete {
            return at_work.delete(&nodes, &existing).await;
        }
        let count = nodes.len();
        at_work.register(nodes, &existing);
        super::answer(&format!(
            "{count} simulated nodes at {}. Ctrl-C ends it; the nodes stay until muster fleet --delete.\n",
            server.cluster_url
        ))?;
        at_work.go_on().await;
        Ok(())
    };
    tokio::select! {
        result = work => result,
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Nodes of the API server by name.
type Existing = BTreeMap<String, Value>;

/// The kubelets, what they hear, and where their writes go.
struct AtWork {
    clock: Clock,
    machinery: Machinery,
    client: Client,
    to: mpsc::Sender<(Kind, Fed)>,
    fed: mpsc::Receiver<(Kind, Fed)>,
    lanes: Lanes,
}

impl AtWork {
    fn begin(feeds: Client, writes: Client) -> Self {
        let settings =
            KubeletSettings { serves: Serves::RegisteredNodes, ..KubeletSettings::wall_clock() };
        let (to, fed) = mpsc::channel(FED_MAX);
        Self {
            clock: Clock::start(),
            machinery: Machinery::new(settings, ControllerMode::Absent),
            client: feeds,
            to,
            fed,
            lanes: Lanes::open(&writes),
        }
    }

    /// Begins to feed a collection.
    fn feed(&self, kind: Kind, resource: ApiResource, fields: Option<&'static str>) {
        let feed = Feed { resource, fields, kind, to: self.to.clone() };
        tokio::spawn(feed.run(self.client.clone()));
    }

    /// Every node there is, and news of nodes from then on. Waits while the API server is out of reach.
    async fn existing_nodes(&mut self) -> Existing {
        self.feed(Kind::Node, resource("", "v1", "Node", "nodes"), None);
        let mut existing = Existing::new();
        while let Some((_, fed)) = self.fed.recv().await {
            match fed {
                Fed::Present(node) => {
                    existing.insert(Object(&node).name().to_owned(), node);
                }
                Fed::Gone(node) => {
                    existing.remove(Object(&node).name());
                }
                Fed::Complete => break,
            }
        }
        existing
    }

    /// Makes the nodes that are missing, brings the others up to date, and hears of pods from now on.
    fn register(&mut self, nodes: Vec<Value>, existing: &Existing) {
        let now = self.clock.now();
        for mut node in nodes {
            node["metadata"]["labels"][SIMULATED] = json!("true");
            match existing.get(Object(&node).name()) {
                Some(present) => {
                    for write in renewed(&node, present) {
                        self.lanes.send(write);
                    }
                    self.machinery.kubelet().take_over(now, node, present);
                }
                None => self.machinery.kubelet().register(now, vec![node]),
            }
        }
        let groups = |group, version| resource(group, version, "PodGroup", "podgroups");
        self.feed(Kind::PodGroup, groups("scheduling.x-k8s.io", "v1alpha1"), None);
        self.feed(Kind::PodGroup, groups("scheduling.k8s.io", "v1beta1"), None);
        // Pods that wait for a scheduler are none of a kubelet's business.
        self.feed(Kind::Pod, resource("", "v1", "Pod", "pods"), Some("spec.nodeName!="));
    }

    /// Takes in what is fed and writes what the kubelets want written, for ever.
    async fn go_on(&mut self) {
        loop {
            for write in self.machinery.act(self.clock.now()) {
                self.lanes.send(write);
            }
            for complaint in self.machinery.complaints() {
                tracing::warn!(complaint, "the simulated fleet cannot do what is asked");
            }
            let wakeup = self.machinery.wakeup().unwrap_or(Time::FAR_FUTURE);
            let first = tokio::select! {
                fed = self.fed.recv() => fed,
                () = tokio::time::sleep_until(self.clock.instant(wakeup)) => None,
            };
            let now = self.clock.now();
            let mut next = first;
            for _ in 0..TAKEN_AT_ONCE {
                let Some((kind, fed)) = next else { break };
                self.take(now, kind, &fed);
                next = self.fed.try_recv().ok();
            }
            if let Some((kind, fed)) = next {
                self.take(now, kind, &fed);
            }
        }
    }

    fn take(&mut self, now: Time, kind: Kind, fed: &Fed) {
        match fed {
            Fed::Present(object) => self.machinery.observe(now, kind, Sight::Present(object)),
            Fed::Gone(object) => self.machinery.observe(now, kind, Sight::Gone(object)),
            Fed::Complete => {}
        }
    }

    /// Deletes the fleet's nodes; returns once they are gone.
    async fn delete(&mut self, nodes: &[Value], existing: &Existing) -> Result<(), Failure> {
        let mut left: BTreeMap<&str, &Value> = nodes
            .iter()
            .filter_map(|node| existing.get_key_value(Object(node).name()))
            .map(|(name, node)| (name.as_str(), node))
            .collect();
        let count = left.len();
        for (name, node) in &left {
            let path = format!("/api/v1/nodes/{name}");
            self.lanes.send(Write::delete(path, Object(node).uid(), None));
        }
        while !left.is_empty() {
            let Some((_, fed)) = self.fed.recv().await else { break };
            if let Fed::Gone(node) = fed {
                left.remove(Object(&node).name());
            }
        }
        super::answer(&format!("{count} simulated nodes deleted.\n"))
    }
}

/// A node that is not the fleet's own must not become so by its name.
fn refuse_strangers(nodes: &[Value], existing: &Existing) -> Result<(), Failure> {
    let stranger = nodes.iter().map(|node| Object(node).name()).find(|name| {
        existing.get(*name).is_some_and(|node| Object(node).label(SIMULATED) != Some("true"))
    });
    match stranger {
        None => Ok(()),
        Some(name) => Err(Failure::CouldNot(format!(
            "node {name} exists and is not simulated (no label {SIMULATED}=true); nothing was changed; \
             give the node of the file another name"
        ))),
    }
}

/// What makes a node that exists say what the file says. Taints stay as people have set them.
fn renewed(node: &Value, present: &Value) -> Vec<Write> {
    let path = format!("/api/v1/nodes/{}", Object(node).name());
    let mut writes = Vec::new();
    let uid = Object(present).uid();
    let [labels, annotations] = ["labels", "annotations"].map(|field| &node["metadata"][field]);
    if !says(&present["metadata"]["labels"], labels)
        || !says(&present["metadata"]["annotations"], annotations)
    {
        let body = json!({"metadata": {"uid": uid, "labels": labels, "annotations": annotations}});
        writes.push(Write::strategic(path.as_str(), &body));
    }
    let [capacity, allocatable] = ["capacity", "allocatable"].map(|field| &node["status"][field]);
    if !says(&present["status"]["capacity"], capacity)
        || !says(&present["status"]["allocatable"], allocatable)
    {
        let status = json!({"capacity": capacity, "allocatable": allocatable});
        let body = json!({"metadata": {"uid": uid}, "status": status});
        writes.push(Write::strategic(format!("{path}/status"), &body));
    }
    writes
}

/// True if every entry of `wanted` is in `present`.
fn says(present: &Value, wanted: &Value) -> bool {
    wanted.as_object().into_iter().flatten().all(|(key, value)| present.get(key) == Some(value))
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, labels: Value) -> Value {
        json!({"metadata": {"name": name, "uid": "u", "labels": labels},
            "status": {"capacity": {"cpu": "8"}, "allocatable": {"cpu": "8"}}})
    }

    #[test]
    fn a_node_of_others_is_refused_by_name() {
        let nodes = [node("n1", json!({}))];
        let existing = |labels| Existing::from([("n1".to_owned(), node("n1", labels))]);
        assert!(refuse_strangers(&nodes, &existing(json!({SIMULATED: "true"}))).is_ok());
        assert!(refuse_strangers(&nodes, &Existing::new()).is_ok());
        let Err(Failure::CouldNot(message)) = refuse_strangers(&nodes, &existing(json!({}))) else {
            panic!("a real node would be taken over");
        };
        assert!(message.starts_with("node n1 exists and is not simulated"), "{message}");
    }

    #[test]
    fn a_node_that_says_it_all_is_left_alone_and_another_is_brought_up_to_date() {
        let wanted = node("n1", json!({"a": "b"}));
        assert!(renewed(&wanted, &node("n1", json!({"a": "b", "by": "others"}))).is_empty());
        let relabelled = renewed(&wanted, &node("n1", json!({"a": "c"})));
        assert_eq!(relabelled.len(), 1);
        assert_eq!(relabelled[0].body()["metadata"]["labels"], json!({"a": "b"}));
        let mut smaller = wanted.clone();
        smaller["status"]["allocatable"] = json!({"cpu": "4"});
        let resized = renewed(&wanted, &smaller);
        assert_eq!(resized.len(), 1);
        assert_eq!(resized[0].path, "/api/v1/nodes/n1/status");
    }
}
