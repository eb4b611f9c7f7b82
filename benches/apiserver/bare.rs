//! The bare client: decides nothing, and binds every waiting pod to the next node, as fast as the server takes it.
//! It has what no scheduler can do without: a list of the pods, and one watch of them that is read.
//! Requests, connections, and preconditions are those of `muster run`; only the concurrency is a constant.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use futures::AsyncBufReadExt;
use futures::TryStreamExt;
use http_body_util::BodyExt;
use kube::Client;
use kube::Config;
use kube::api::WatchParams;
use kube::client::Body;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use muster::base::names::ObjectName;
use muster::engine::order::BindRole;
use muster::engine::order::PodRef;
use muster::kubernetes::requests;
use serde::Deserialize;

use crate::cluster::Cluster;
use crate::cluster::User;
use crate::ground::NODES;
use crate::ground::node_name;

/// Binds under way at once: what gives the most of them in a second on a server with two cores.
const CONCURRENT: usize = 16;

/// What of a pod is read.
#[derive(Debug, Deserialize)]
struct Pod {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    metadata: ListMetadata,
    items: Vec<Pod>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
}

/// A change as the watch tells it.
#[derive(Debug, Deserialize)]
struct Change {
    object: Pod,
}

/// Binds all pods.
pub(crate) async fn bind_all(cluster: &Cluster) {
    let kubeconfig =
        Kubeconfig::read_from(cluster.kubeconfig(User::Muster)).expect("it was written");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.expect("it names all that is needed");
    config.default_retry = false;
    let (reads, writes) = (client(&config), client(&config));
    let request = http::Request::get("/api/v1/pods").body(Vec::new()).expect("it is well formed");
    let list: List = reads.request(request).await.expect("the server lists pods");
    let watch =
        tokio::spawn(watch(reads, list.metadata.resource_version.clone(), list.items.len()));
    let next = AtomicUsize::new(0);
    let workers = (0..CONCURRENT).map(|_| async {
        while let Some((index, pod)) = take(&next, &list.items) {
            bind(&writes, pod, index).await;
        }
    });
    futures::future::join_all(workers).await;
    watch.await.expect("the watch shows every bind");
}

fn client(config: &Config) -> Client {
    Client::try_from(config.clone()).expect("the certificate can be read")
}

fn take<'a>(next: &AtomicUsize, pods: &'a [Pod]) -> Option<(usize, &'a Pod)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, pods.get(index)?))
}

async fn bind(client: &Client, pod: &Pod, index: usize) {
    let Metadata { name, namespace, uid, resource_version } = &pod.metadata;
    let reference = PodRef {
        name: ObjectName::new(namespace, name),
        uid: uid.as_str().into(),
        resource_version: resource_version.parse().expect("versions are numbers"),
    };
    let request = requests::bind(&reference, &node_name(index % NODES), 1, BindRole::Planned);
    let response = client.send(request.map(Body::from)).await.expect("the server answers");
    assert_eq!(response.status(), 201, "{name}");
    response.into_body().collect().await.expect("answers end");
}

/// Reads changes until there was one for each bind. A server that is busy may end a watch; then it goes on from there.
async fn watch(client: Client, mut version: String, binds: usize) {
    let mut seen = 0;
    while seen < binds {
        seen += watch_once(&client, &mut version, binds - seen).await;
    }
}

async fn watch_once(client: &Client, version: &mut String, binds: usize) -> usize {
    let request = kube::core::Request::new("/api/v1/pods");
    let request = request.watch(&WatchParams::default(), version).expect("it is well formed");
    let mut lines = client.request_stream(request).await.expect("the server shows changes").lines();
    for seen in 0..binds {
        let Ok(Some(line)) = lines.try_next().await else { return seen };
        let change: Change = serde_json::from_str(&line).expect("the server writes JSON");
        *version = change.object.metadata.resource_version;
    }
    binds
}
