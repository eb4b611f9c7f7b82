//! Spreading by default over the real rim: Services and controllers are watched, listed after an election, recounted,
//! and a change of whom they select reaches the pods that wait. Where no profile spreads, none of them is asked for.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::Request;
use kube::client::Body as ClientBody;
use serde_json::json;

use crate::wires::answered;
use crate::world;
use crate::world::World;
use crate::world::pod;

const SPREADING: &str = "
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: muster
  pluginConfig:
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
";

const SELECTING: [&str; 4] =
    ["/services", "/replicationcontrollers", "/replicasets", "/statefulsets"];

/// A world with a node in no zone, and what it is asked for.
fn watched(world: World) -> (World, Arc<Mutex<Vec<String>>>) {
    world.create("nodes", world::node("n1"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let world = world.start_through(|client| {
        let notes = Arc::clone(&notes);
        let note = move |request: &Request<ClientBody>| {
            notes.lock().expect("one thread").push(request.uri().path().to_owned());
            None
        };
        answered(client, Arc::new(note))
    });
    (world, asked)
}

/// How often a path that ends so was asked for.
fn times(asked: &Mutex<Vec<String>>, end: &str) -> usize {
    let asked = asked.lock().expect("one thread");
    asked.iter().filter(|path| path.ends_with(end)).count()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_selects_a_pod_no_more_lets_it_go_and_a_recount_agrees() {
    let (world, asked) = watched(World::unsynced().configured(SPREADING));
    world.until_report("everything is listed", |report| report.synced).await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    });
    world.create("services", service);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for name in ["web", "batch"] {
        let mut pod = pod(name, 1);
        pod["metadata"]["labels"] = json!({"app": name});
        world.create("pods", pod);
    }
    world.until("nobody selects this one", |world| world.bound() == ["batch"]).await;
    world.until("the other says why", |world| world.condition("web").is_object()).await;
    let message = world.condition("web")["message"].clone();
    let missing = "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints \
                   (missing required label).";
    assert_eq!(message, missing);
    // Long enough for recounts, of which each compares what waits and what runs with the API.
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    assert_eq!(world.bound(), ["batch"]);
    let path = "/api/v1/namespaces/default/services/web";
    let now = world.clock.now();
    world.server.write(|server| server.delete(now, path, json!({}))).expect("it exists");
    world.until("nobody selects it any more", |world| world.bound().len() == 2).await;
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    for kind in SELECTING {
        let times = times(&asked, kind);
        assert!(times > 2, "{kind} was asked for {times} times, and is to be recounted");
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn where_no_profile_spreads_nobody_asks_whom_services_select() {
    let (world, asked) = watched(World::unsynced());
    world.until_report("everything is listed", |report| report.synced).await;
    world.create("pods", pod("plain", 1));
    world.until("it is bound", |world| world.bound() == ["plain"]).await;
    tokio::time::sleep(Duration::from_secs(1_800)).await;
    assert_eq!(SELECTING.map(|kind| times(&asked, kind)), [0; 4]);
    assert!(times(&asked, "/namespaces") > 2, "others are asked for");
    world.stop().await;
}
