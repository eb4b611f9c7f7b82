//! The rim for real: the scheduler's watches, driver, and executor over a kube client against the in-memory API.
//! No cluster, and no socket but where the process itself is what is tested.

mod leadership;
mod meddling;
mod process;
mod regressions;
mod rights;
mod spreading;
mod versions;
mod virtual_time;
mod wires;
mod world;

use std::time::Duration;

use axum::body::Body;
use axum::body::to_bytes;
use axum::http::Request;
use axum::http::StatusCode;
use muster::apiserver::store::faults::FaultEffect;
use muster::apiserver::store::faults::FaultRule;
use muster::apiserver::store::faults::Target;
use muster::apiserver::store::faults::WatchEnd;
use muster::apiserver::store::request::Verb;
use muster::kubernetes::traffic::Purpose;
use muster::kubernetes::translate::Kind;
use muster::telemetry::http;
use serde_json::Value;
use serde_json::json;
use tower::ServiceExt;

use crate::world::World;
use crate::world::member;
use crate::world::pod;

/// A rule that hits the first `times` requests of `verb` on `resource`.
fn first(times: u32, verb: Verb, resource: &str, effect: FaultEffect) -> FaultRule {
    FaultRule { target: Target::of(verb, resource), skip: 0, times: Some(times), effect }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gang_is_bound_whole_and_everything_says_so() {
    let world = World::with_nodes(2).await;
    world.group("train", 4);
    for index in 0..4 {
        world.create("pods", member(&format!("train-{index}"), "train", 4));
    }
    world.until("all four are bound", |world| world.bound().len() == 4).await;
    let pods = world.list("/api/v1/pods");
    let epochs: Vec<&Value> =
        pods.iter().map(|pod| &pod["metadata"]["annotations"]["muster.dev/gang-epoch"]).collect();
    assert!(epochs.iter().all(|epoch| *epoch == &json!("1")), "{epochs:?}");
    let scheduled = |world: &World| {
        let mut events = world.get("/apis/events.k8s.io/v1/events")["items"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        events.retain(|event| event["reason"] == "Scheduled");
        events
    };
    world.until("each has its event", |world| scheduled(world).len() == 4).await;
    let event = &scheduled(&world)[0];
    assert_eq!(
        (&event["reportingController"], &event["action"]),
        (&json!("muster"), &json!("Binding"))
    );
    let note = event["note"].as_str().expect("a note");
    assert!(note.starts_with("Successfully assigned default/train-"), "{note}");
    // Nobody runs the pods here, so the group is on its way and not running.
    world
        .until("the group's status is written", |world| world.group_phase("train") == "Scheduling")
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_says_within_two_seconds_what_it_waits_for() {
    let world = World::with_nodes(1).await;
    world.group("train", 4);
    for index in 0..3 {
        world.create("pods", member(&format!("train-{index}"), "train", 1));
    }
    world.create("pods", pod("big", 9));
    let conditions = |world: &World| (world.condition("train-0"), world.condition("big"));
    let started = std::time::Instant::now();
    world
        .until("both say so", |world| {
            let (train, big) = conditions(world);
            train["status"] == "False" && big["status"] == "False"
        })
        .await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let (train, big) = conditions(&world);
    assert_eq!(train["reason"], "WaitingForMembers");
    assert!(train["message"].as_str().expect("text").contains("3 of 4"), "{train}");
    assert_eq!(big["reason"], "Unschedulable");
    assert!(
        big["message"]
            .as_str()
            .expect("text")
            .starts_with("0/1 nodes are available: 1 Insufficient nvidia.com/gpu"),
        "{big}"
    );
    let since = big["lastTransitionTime"].clone();
    assert!(since.is_string(), "{big}");

    // What changes is the message; the pod has waited since it first said so.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    world.create("pods", member("train-3", "train", 1));
    world.until("the gang is complete", |world| world.bound().len() == 4).await;
    world.create("nodes", world::node("n2"));
    assert_eq!(world.condition("big")["lastTransitionTime"], since);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_expires_is_listed_anew_and_what_went_meanwhile_is_noticed() {
    let world = World::with_nodes(1).await;
    world.create("pods", pod("first", 8));
    world.until("it is bound", |world| world.bound() == ["first"]).await;
    // In one go, so that no watch shows it: only a list that lacks the pod tells.
    world.server.write(|server| {
        server.faults().cut_watches("pods", WatchEnd::Expired);
        let now = world.clock.now();
        server
            .delete(now, "/api/v1/namespaces/default/pods/first", json!({"gracePeriodSeconds": 0}))
            .expect("it exists");
        server.compact();
    });
    world.create("pods", pod("second", 8));
    world.until("its place is free again", |world| world.bound() == ["second"]).await;
    let report = world.report().await;
    assert!(report.traffic.lists[&Kind::Pod] >= 2, "{:?}", report.traffic.lists);
    assert_eq!(report.pods, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_goes_on_from_where_it_was() {
    let world = World::with_nodes(1).await;
    let lists = world.report().await.traffic.lists;
    for round in 0..3 {
        world.server.write(|server| server.faults().cut_watches("", WatchEnd::Cut));
        world.create("pods", pod(&format!("p{round}"), 1));
        world.until("it is bound", |world| world.bound().len() == round + 1).await;
    }
    assert_eq!(world.report().await.traffic.lists, lists);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_settled_by_a_read_and_the_pod_is_bound_once() {
    let world = World::with_nodes(1).await;
    world.server.write(|server| {
        server.faults().add(first(1, Verb::Create, "pods/binding", FaultEffect::LoseReply));
    });
    world.create("pods", pod("p", 1));
    world.until("it is bound", |world| world.bound() == ["p"]).await;
    world.until_report("the order came back", |report| report.orders_under_way == 0).await;
    let report = world.report().await;
    assert_eq!((report.engine.binds_ordered, report.engine.binds_done), (1, 1));
    let count =
        |purpose, status| report.traffic.requests.get(&(purpose, status)).copied().unwrap_or(0);
    assert_eq!(
        (count(Purpose::Bind, 0), count(Purpose::InDoubt, 200)),
        (1, 1),
        "{:?}",
        report.traffic
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_request_is_sent_again() {
    let world = World::with_nodes(1).await;
    world.server.write(|server| {
        server.faults().add(first(2, Verb::Create, "pods/binding", FaultEffect::LoseRequest));
    });
    world.create("pods", pod("p", 1));
    world.until("it is bound", |world| world.bound() == ["p"]).await;
    world.until_report("the order came back", |report| report.engine.binds_done == 1).await;
    assert_eq!(world.report().await.engine.binds_ordered, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_bind_is_tried_again_later() {
    let world = World::with_nodes(1).await;
    world.server.write(|server| {
        server.faults().add(first(1, Verb::Create, "pods/binding", FaultEffect::Deny));
    });
    world.create("pods", pod("p", 1));
    world.until("it is bound at the second attempt", |world| world.bound() == ["p"]).await;
    let report = world.report().await;
    assert_eq!((report.engine.binds_refused, report.engine.binds_ordered), (1, 2));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_list_keeps_everything_waiting_until_it_is_allowed() {
    let world = World::unsynced();
    world
        .server
        .write(|server| server.faults().add(first(1, Verb::List, "nodes", FaultEffect::Deny)));
    world.create("nodes", world::node("n1"));
    world.create("pods", pod("p", 1));
    let world = world.start();
    let router = http::router(world.questions());
    let ready = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("it answers").status()
    };
    assert_eq!(ready("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready("/healthz").await, StatusCode::OK);
    world.until("it is bound in the end", |world| world.bound() == ["p"]).await;
    assert_eq!(ready("/readyz").await, StatusCode::OK);
    assert_eq!(world.report().await.traffic.watch_errors[&Kind::Node], 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_pod_groups_gets_them_later() {
    let world = World::without_groups();
    world.create("nodes", world::node("n1"));
    world.create("pods", pod("p", 1));
    let world = world.start();
    world.until("a plain pod needs no PodGroups", |world| world.bound() == ["p"]).await;
    world.install_groups();
    world.group("g", 1);
    world.create("pods", member("m", "g", 1));
    world.until("the group is found", |world| world.bound().len() == 2).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_stop_nothing_is_bound_and_what_was_under_way_is_finished() {
    let world = World::with_nodes(1).await;
    for index in 0..8 {
        world.create("pods", pod(&format!("p{index}"), 1));
    }
    world.until_report("binds are ordered", |report| report.engine.binds_ordered == 8).await;
    let (server, started) = (world.server.clone(), std::time::Instant::now());
    world.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let unbound = |server: &muster::apiserver::face::SharedServer| {
        let pods = server.read(|server| server.list("/api/v1/pods").expect("pods are served"));
        pods.objects.iter().filter(|pod| pod.value()["spec"]["nodeName"].is_null()).count()
    };
    assert_eq!(unbound(&server), 0);
    server.write(|server| {
        let now = muster::kubernetes::clock::Clock::start().now();
        server.create(now, "/api/v1/namespaces/default/pods", pod("late", 0)).expect("it is valid");
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(unbound(&server), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_explanations_are_served() {
    let world = World::with_nodes(1).await;
    world.create("pods", pod("fits", 8));
    world.until("it is bound", |world| world.bound() == ["fits"]).await;
    world.create("pods", pod("waits", 1));
    world.until("it says so", |world| world.condition("waits")["status"] == "False").await;
    let router = http::router(world.questions());
    let get = async |path: &str, accept: &str| {
        let request =
            Request::get(path).header("accept", accept).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("it answers");
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        (status, String::from_utf8(bytes.to_vec()).expect("text"))
    };
    let (status, metrics) = get("/metrics", "*/*").await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "scheduler_schedule_attempts_total{result=\"scheduled\",profile=\"muster\"} 1",
        "muster_gangs_waiting{reason=\"Unschedulable\"} 1",
        "muster_api_requests_total{purpose=\"bind\",code=\"201\"} 1",
        "scheduler_cache_size{type=\"pods\"} 2",
        "muster_synced 1",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "missing {line} in\n{metrics}");
    }
    let (status, json) = get("/explain/default/waits", "application/json").await;
    assert_eq!(status, StatusCode::OK);
    let explanation: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(explanation["reason"], "Unschedulable");
    let (_, text) = get("/explain/default/waits", "text/plain").await;
    assert!(text.contains("waits: Unschedulable"), "{text}");
    assert_eq!(get("/explain/default/nobody", "*/*").await.0, StatusCode::NOT_FOUND);
    world.stop().await;
}
