//! The rim in virtual time: what takes minutes on a clock takes none here, and pace can be measured exactly.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use muster::apiserver::store::faults::FaultEffect;
use muster::apiserver::store::faults::FaultRule;
use muster::apiserver::store::faults::Target;
use muster::apiserver::store::faults::WatchEnd;
use muster::apiserver::store::request::Verb;
use muster::kubernetes::traffic::Purpose;
use muster::kubernetes::traffic::Recounted;
use muster::kubernetes::translate::Kind;
use muster::telemetry::http;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::wires::deafened;
use crate::wires::slowed;
use crate::world;
use crate::world::World;
use crate::world::pod;

#[tokio::test(start_paused = true)]
async fn events_are_written_at_the_pace_of_their_writers() {
    const PODS: usize = 2000;
    let world = World::unsynced();
    for index in 0..PODS / 8 {
        world.create("nodes", world::node(&format!("n{index}")));
    }
    let delay = Duration::from_millis(10);
    let world = world.start_through(|client| slowed(client, delay));
    world.until_report("everything is listed", |report| report.synced).await;
    for index in 0..PODS {
        world.create("pods", pod(&format!("p{index}"), 1));
    }
    world.until_report("all are bound", |report| report.engine.binds_done == PODS as u64).await;
    let bound = Instant::now();
    world
        .until_report("every event is written", |report| {
            report.orders_under_way == 0 && report.notices_waiting == 0
        })
        .await;
    let written = world.report().await.traffic.requests[&(Purpose::Notice, 201)];
    // One request for each event and none besides.
    assert_eq!(written, PODS as u64);
    let events = world.get("/apis/events.k8s.io/v1/events");
    assert_eq!(events["items"].as_array().map(Vec::len), Some(PODS));
    // Eight writers, 10 ms each: 800 a second. It must not be far from that.
    let took = bound.elapsed();
    assert!(took < Duration::from_millis(3000), "{took:?}");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_recount_agrees_with_a_world_that_changes_all_the_time() {
    let world = World::with_nodes(4).await;
    world.group("g", 2);
    for index in 0..120 {
        let name = format!("p{index}");
        world.create("pods", world::member(&name, "g", 0));
        if index % 3 == 0 {
            world.delete_pod(&name);
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let report = world.report().await;
    let recounts = |result| report.traffic.recounts.get(&result).copied().unwrap_or(0);
    assert!(recounts(Recounted::Agreed) + recounts(Recounted::Explained) >= 3, "{report:?}");
    assert_eq!(report.pods, 80);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_recount_finds_what_a_watch_has_lost_and_ends_the_process() {
    for lost in ["a new pod", "a deletion"] {
        let deaf = Arc::new(AtomicBool::new(false));
        let world = World::unsynced();
        world.create("nodes", world::node("n1"));
        let mut world = world.start_through(|client| deafened(client, Arc::clone(&deaf)));
        world.create("pods", pod("old", 1));
        world.until("it is bound", |world| world.bound() == ["old"]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        deaf.store(true, Ordering::Relaxed);
        match lost {
            "a new pod" => world.create("pods", pod("new", 1)),
            _ => world.delete_pod("old"),
        }
        let started = Instant::now();
        let fault = world.failed().await.to_string();
        let says = match lost {
            "a new pod" => "shows default/new (pods, uid ",
            _ => "default/old (pods, uid ",
        };
        assert!(fault.contains(says) && fault.contains("no watch has told of it"), "{fault}");
        // The recount is due every ten minutes, and leaves a watch the time to be renewed.
        assert!(started.elapsed() < Duration::from_secs(690), "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_makes_the_process_unready_and_is_said_until_it_is_back() {
    let world = World::with_nodes(1).await;
    let router = http::router(world.questions());
    let ready = async || {
        let request = Request::get("/readyz").body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("it answers");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let deny = |verb| FaultRule {
        target: Target::of(verb, "nodes"),
        skip: 0,
        times: Some(20),
        effect: FaultEffect::Deny,
    };
    world.server.write(|server| {
        server.faults().add(deny(Verb::Watch));
        server.faults().cut_watches("nodes", WatchEnd::Cut);
    });
    assert_eq!(ready().await.0, StatusCode::OK, "a moment of blindness is nothing");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (status, text) = ready().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.starts_with("nodes cannot be listed or watched since "), "{text}");
    assert!(text.contains("cannot watch resource"), "{text}");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let traffic = world.report().await.traffic;
    // Pauses grow to half a minute, and lists that go well in between do not shorten them.
    assert_eq!(traffic.watch_errors[&Kind::Node], 20, "{traffic:?}");
    assert!(traffic.lists[&Kind::Node] <= 6, "{traffic:?}");
    assert_eq!(ready().await, (StatusCode::OK, "ok\n".to_owned()));
    world.stop().await;
}
