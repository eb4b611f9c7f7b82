//! What other schedulers' issue trackers tell and a scenario cannot: views that trail behind, writes that hang, a
//! successor that knows too little, a store that was set back. Each test bears the name of its thread.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use muster::apiserver::server::Server;
use muster::apiserver::store::patch::PatchKind;
use muster::apiserver::store::state::Settings;
use muster::config::shipped;
use muster::kubernetes::driver::Fault;
use muster::kubernetes::traffic::Purpose;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::leadership::Kernels;
use crate::leadership::holder;
use crate::wires::answered;
use crate::wires::cut_off;
use crate::wires::hanging;
use crate::wires::is_watch_of;
use crate::wires::lagging;
use crate::wires::trailing;
use crate::world;
use crate::world::World;
use crate::world::member;
use crate::world::pod;

/// The scheduler still believes in the old minimum when two new pods fulfil it: the commit goes through the PodGroup
/// itself, in the version that the plan was made from, and fails there.
#[tokio::test(start_paused = true)]
async fn volcano_6010_a_trailing_view_of_the_group_binds_no_part_of_it() {
    let behind = Arc::new(AtomicBool::new(false));
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let world = world.start_through(|client| trailing(client, "podgroups", Arc::clone(&behind)));
    world.until_report("everything is listed", |report| report.synced).await;
    world.group("train", 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    behind.store(true, Ordering::Relaxed);
    let path = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups/train";
    let raised = json!({"spec": {"minMember": 4}});
    world
        .server
        .write(|server| server.patch(world.clock.now(), path, PatchKind::Merge, raised))
        .expect("a minimum may be raised");
    for index in 0..2 {
        world.create("pods", member(&format!("train-{index}"), "train", 2));
    }
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(world.bound(), Vec::<String>::new(), "two of a minimum of four");
    }
    let report = world.report().await;
    assert_eq!(report.engine.binds_ordered, 0, "{report:?}");
    assert!(report.engine.planned > 0, "without a plan nothing is shown: {report:?}");
    behind.store(false, Ordering::Relaxed);
    for index in 2..4 {
        world.create("pods", member(&format!("train-{index}"), "train", 2));
    }
    world.until("the gang is bound whole", |world| world.bound().len() == 4).await;
    world.stop().await;
}

/// There a lock that a hanging call held stopped the whole loop for ten minutes.
#[tokio::test(start_paused = true)]
async fn volcano_4692_a_write_that_hangs_holds_up_nobody_else() {
    let world = World::unsynced();
    for index in 1..=2 {
        world.create("nodes", world::node(&format!("n{index}")));
    }
    let world = world.start_through(|client| {
        hanging(client, |request| request.uri().path().ends_with("/pods/stuck-0/binding"))
    });
    world.until_report("everything is listed", |report| report.synced).await;
    world.group("stuck", 2);
    for index in 0..2 {
        world.create("pods", member(&format!("stuck-{index}"), "stuck", 4));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for index in 0..8 {
        let begun = Instant::now();
        let name = format!("p{index}");
        world.create("pods", pod(&name, 1));
        world.until("it is bound", |world| world.bound().contains(&name)).await;
        assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    world.stop().await;
}

/// There a helper pod whose deletion never ended kept the binder from binding anybody ("cluster is scaling up").
#[tokio::test(start_paused = true)]
async fn kai_611_a_pod_whose_deletion_never_ends_keeps_its_own_place_and_holds_up_nobody() {
    let world = World::with_nodes(1).await;
    let held = |name: &str, gpus: u32| {
        let mut held = pod(name, gpus);
        held["metadata"]["finalizers"] = json!(["example.com/held"]);
        world.create("pods", held);
    };
    held("scaling", 3);
    world.until("it is bound", |world| world.bound() == ["scaling"]).await;
    held("too-big", 9);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for name in ["scaling", "too-big"] {
        world.delete_pod(name);
    }
    let begun = Instant::now();
    world.group("train", 2);
    for index in 0..2 {
        world.create("pods", member(&format!("train-{index}"), "train", 2));
    }
    world.until("the gang is bound", |world| world.bound().len() == 3).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    world.create("pods", pod("late", 4));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.bound().len(), 3, "what is being deleted may still use its cards");
    let path = "/api/v1/namespaces/default/pods/scaling";
    let let_go = json!({"metadata": {"finalizers": null}});
    world
        .server
        .write(|server| server.patch(world.clock.now(), path, PatchKind::Merge, let_go))
        .expect("a finalizer may be taken away");
    world.until("its place is free", |world| world.bound().contains(&"late".to_owned())).await;
    world.stop().await;
}

/// There the old leader went on binding after it had lost its lease, beside its successor.
#[tokio::test(start_paused = true)]
async fn kubernetes_65257_and_81306_who_lost_the_lease_binds_nothing_beside_the_successor() {
    let kernels = Kernels::new();
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let cut = Arc::new(AtomicBool::new(false));
    let mut a = kernels.start_through(&world, "a", |client| cut_off(client, Arc::clone(&cut)));
    a.until("a decides", |report| report.synced).await;
    let b = kernels.start(&world, "b");
    b.until("b knows everything", |report| report.listed).await;
    // Its watches go on, so it sees every pod and would bind them; nothing that it sends is answered.
    cut.store(true, Ordering::Relaxed);
    for index in 0..2 {
        world.create("pods", pod(&format!("p{index}"), 8));
    }
    let fault = a.failed().await;
    assert!(matches!(&fault, Fault::LeadershipLost(_)), "{fault}");
    assert_eq!(world.bound(), Vec::<String>::new(), "b waits until the lease is over");
    b.until("b decides", |report| report.synced).await;
    world.until("one of the two is bound", |world| world.bound().len() == 1).await;
    cut.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((holder(&world), world.bound().len()), (json!("b"), 1), "one place, one pod");
    assert_eq!(b.report().await.engine.binds_done, 1, "and b has bound it");
    a.stop().await;
    b.stop().await;
}

/// There one machine got 168 pods where 110 fit, from a view that trailed behind what another had bound.
#[tokio::test(start_paused = true)]
async fn kubernetes_136782_a_successor_whose_view_trails_overfills_no_node() {
    const ROOM: usize = 10;
    let kernels = Kernels::new();
    let world = World::unsynced();
    let mut node = world::node("n1");
    for part in ["capacity", "allocatable"] {
        node["status"][part]["pods"] = ROOM.to_string().into();
    }
    world.create("nodes", node);
    let a = kernels.start(&world, "a");
    a.until("a decides", |report| report.synced).await;
    let late = Duration::from_secs(4);
    let b = kernels.start_through(&world, "b", |client| lagging(client, "pods", late));
    b.until("b knows everything", |report| report.listed).await;
    for index in 0..ROOM + 5 {
        world.create("pods", pod(&format!("p{index:02}"), 0));
    }
    world.until("a has filled the node", |world| world.bound().len() == ROOM).await;
    a.kill();
    kernels.close("a");
    b.until("b decides", |report| report.synced).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.bound().len(), ROOM);
    let report = b.report().await;
    assert_eq!((report.engine.binds_ordered, report.pods), (0, ROOM + 5), "{report:?}");
    b.stop().await;
}

/// There a client asked again and again for a version that the server did not have, for ever.
#[tokio::test(start_paused = true)]
async fn kubernetes_107133_a_version_that_the_server_does_not_have_is_not_asked_for_for_ever() {
    let refusing = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicUsize::new(0));
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let world = world.start_through(|client| {
        let (refusing, refused) = (Arc::clone(&refusing), Arc::clone(&refused));
        let answer = move |request: &axum::http::Request<kube::client::Body>| {
            let lists = request.uri().path().ends_with("/pods")
                && !request.uri().query().unwrap_or_default().contains("watch=true");
            if lists {
                // The list shows the server's own version, from which a watch goes on.
                refusing.store(false, Ordering::Relaxed);
            }
            if !refusing.load(Ordering::Relaxed) || !is_watch_of(request, "pods") {
                return None;
            }
            refused.fetch_add(1, Ordering::Relaxed);
            Some(too_large_a_version())
        };
        answered(client, Arc::new(answer))
    });
    world.until_report("everything is listed", |report| report.synced).await;
    refusing.store(true, Ordering::Relaxed);
    // The watch that is open ends by itself within the minute; the next one is refused.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(refused.load(Ordering::Relaxed) > 0, "no watch was refused");
    assert!(!refusing.load(Ordering::Relaxed), "pods were never listed anew");
    world.create("pods", pod("p", 1));
    world.until("it is seen, and bound", |world| world.bound() == ["p"]).await;
    world.stop().await;
}

/// 504, as an API server answers whose cache is older than the version that is asked for.
fn too_large_a_version() -> Response<Body> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Timeout: Too large resource version: 4711, current: 42", "reason": "Timeout",
        "details": {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        "code": 504,
    });
    let response = Response::builder().status(504).header("content-type", "application/json");
    response.body(Body::from(status.to_string())).expect("the parts are valid")
}

/// There a restored backup took versions back, and clients kept what they remembered of the time that never was.
#[tokio::test(start_paused = true)]
async fn kubernetes_118501_a_store_that_was_set_back_is_read_anew_by_a_new_process() {
    let mut world = World::with_nodes(1).await;
    for index in 0..40 {
        world.create("pods", pod(&format!("lost-{index}"), 0));
    }
    world.until("they are bound", |world| world.bound().len() == 40).await;
    // The backup knows none of these pods: another store, at a lower version, with the node and one pod.
    let backup = backup(&world);
    world.server.write(|server| *server = backup);
    let begun = Instant::now();
    let fault = world.failed().await;
    assert!(
        matches!(&fault, Fault::WentBack { .. } | Fault::StoreWentBack { .. } | Fault::Differs(_)),
        "{fault}"
    );
    assert!(begun.elapsed() < Duration::from_secs(690), "{:?}", begun.elapsed());
    let world = world.start();
    world.until("the next process binds what there is", |world| world.bound() == ["kept"]).await;
    assert_eq!(world.report().await.pods, 1);
    world.stop().await;
}

fn backup(world: &World) -> Server {
    let now = world.clock.now();
    let mut server = Server::new(Settings::default(), now);
    let crds = shipped::CRDS.iter().map(|crd| {
        let crd: Value = serde_saphyr::from_str(crd).expect("the shipped CRD is YAML");
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    });
    let objects = crds.chain([
        ("/api/v1/nodes", world::node("n1")),
        ("/api/v1/namespaces/default/pods", pod("kept", 1)),
    ]);
    for (path, object) in objects {
        server.create(now, path, object).expect("it is valid");
    }
    server
}

/// Bursts of members whose binds the server refuses with 500 must not leave requests behind that are sent for ever.
#[tokio::test(start_paused = true)]
async fn kubernetes_140263_binds_that_fail_after_the_decision_are_sent_again_and_end() {
    let failing = Arc::new(AtomicBool::new(true));
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let world = world.start_through(|client| {
        let failing = Arc::clone(&failing);
        let answer = move |request: &axum::http::Request<kube::client::Body>| {
            let binds_odd = request.uri().path().ends_with("1/binding");
            (binds_odd && failing.load(Ordering::Relaxed)).then(|| {
                Response::builder().status(500).body(Body::from("{}")).expect("it is valid")
            })
        };
        answered(client, Arc::new(answer))
    });
    world.until_report("everything is listed", |report| report.synced).await;
    world.group("train", 2);
    for index in 0..2 {
        world.create("pods", member(&format!("train-{index}"), "train", 4));
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.bound(), ["train-0"], "the other's bind fails each time");
    failing.store(false, Ordering::Relaxed);
    world.until("the gang is whole", |world| world.bound().len() == 2).await;
    let report = world.report().await;
    let binds = |report: &muster::kubernetes::driver::Report| {
        let all = report.traffic.requests.iter();
        all.filter(|((purpose, _), _)| *purpose == Purpose::Bind)
            .map(|(_, count)| *count)
            .sum::<u64>()
    };
    let sent = binds(&report);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(binds(&world.report().await), sent, "nothing more is sent once all are bound");
    world.stop().await;
}
