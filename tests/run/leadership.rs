//! Two schedulers and one lease, in virtual time: who decides, who takes over and when, and what it knows by then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::Response;
use axum::http::StatusCode;
use kube::Client;
use kube::client::Body as ClientBody;
use muster::base::names::Name;
use muster::kubernetes::driver::Fault;
use muster::kubernetes::lease::line::Lines;
use muster::kubernetes::rim::Candidacy;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::wires::answered;
use crate::wires::cut_off;
use crate::wires::deafened;
use crate::world;
use crate::world::Scheduler;
use crate::world::World;
use crate::world::pod;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/muster";

/// Whose processes are known to be gone: what kernels tell over TCP.
pub(crate) struct Kernels {
    gone: watch::Sender<BTreeSet<Name>>,
}

impl Kernels {
    pub(crate) fn new() -> Self {
        Self { gone: watch::Sender::new(BTreeSet::new()) }
    }

    fn lines(&self) -> Lines {
        let receiver = self.gone.subscribe();
        Arc::new(move |_, holder| {
            let mut receiver = receiver.clone();
            Box::pin(async move {
                // The sender lives as long as the test.
                let _ = receiver.wait_for(|gone| gone.contains(&holder)).await;
            })
        })
    }

    pub(crate) fn close(&self, process: &str) {
        self.gone.send_modify(|gone| {
            gone.insert(process.into());
        });
    }

    pub(crate) fn start(&self, world: &World, identity: &str) -> Scheduler {
        self.start_through(world, identity, |client| client)
    }

    pub(crate) fn start_through(
        &self,
        world: &World,
        identity: &str,
        wrap: impl Fn(Client) -> Client,
    ) -> Scheduler {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("it is a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
        let candidacy = Candidacy {
            identity: identity.into(),
            line: Some((listener, format!("line of {identity}"))),
            lines: self.lines(),
        };
        world.scheduler(wrap, Some(candidacy))
    }
}

pub(crate) fn holder(world: &World) -> Value {
    world.get(LEASE)["spec"]["holderIdentity"].clone()
}

/// A world with one node, `a` that leads and `b` that stands by.
async fn two(kernels: &Kernels) -> (World, Scheduler, Scheduler) {
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let a = kernels.start(&world, "a");
    a.until("a decides", |report| report.synced).await;
    let b = kernels.start(&world, "b");
    b.until("b knows everything", |report| report.listed).await;
    (world, a, b)
}

#[tokio::test(start_paused = true)]
async fn one_decides_and_the_other_knows() {
    let kernels = Kernels::new();
    let (world, a, b) = two(&kernels).await;
    for index in 0..4 {
        world.create("pods", pod(&format!("p{index}"), 1));
    }
    world.until("all are bound", |world| world.bound().len() == 4).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(holder(&world), "a");
    assert_eq!(world.get(LEASE)["spec"]["leaseTransitions"], 0);
    assert_eq!(world.get(LEASE)["metadata"]["annotations"]["muster.dev/leader-line"], "line of a");
    let (first, second) = (a.report().await, b.report().await);
    assert_eq!((first.leads, first.engine.binds_done, first.pods), (true, 4, 4));
    assert_eq!((second.leads, second.engine.binds_ordered, second.pods), (false, 0, 4));
    assert!(second.listed && !second.synced);
    let writes = |report: &muster::kubernetes::driver::Report| {
        let mut purposes = report.traffic.requests.keys().map(|(purpose, _)| purpose.as_str());
        purposes.any(|purpose| purpose == "notice" || purpose == "bind")
    };
    assert!(writes(&first) && !writes(&second), "{second:?}");
    a.stop().await;
    b.stop().await;
    assert_eq!(holder(&world), "", "whoever ends cleanly releases the lease");
}

#[tokio::test(start_paused = true)]
async fn who_ends_cleanly_is_succeeded_at_once() {
    let kernels = Kernels::new();
    let (world, a, b) = two(&kernels).await;
    a.stop().await;
    kernels.close("a");
    let ended = Instant::now();
    world.create("pods", pod("p", 1));
    world.until("b binds it", |world| world.bound() == ["p"]).await;
    assert!(ended.elapsed() < Duration::from_millis(100), "{:?}", ended.elapsed());
    assert_eq!(holder(&world), "b");
    assert_eq!(world.get(LEASE)["spec"]["leaseTransitions"], 1);
    b.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_killed_is_succeeded_at_once_and_a_silent_one_when_its_lease_is_over() {
    for (silent, between) in [(false, 0..100), (true, 13_000..17_600)] {
        let kernels = Kernels::new();
        let (world, a, b) = two(&kernels).await;
        tokio::time::sleep(Duration::from_secs(61)).await;
        a.kill();
        if !silent {
            kernels.close("a");
        }
        let killed = Instant::now();
        world.create("pods", pod("p", 1));
        world.until("b binds it", |world| world.bound() == ["p"]).await;
        let took = killed.elapsed().as_millis();
        assert!(between.contains(&took), "silent: {silent}, took {took} ms");
        assert_eq!(holder(&world), "b");
        b.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_standby_whose_leader_and_server_are_both_gone_tries_twice_a_second_and_no_more() {
    let kernels = Kernels::new();
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let a = kernels.start(&world, "a");
    a.until("a decides", |report| report.synced).await;
    let (down, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let b = kernels.start_through(&world, "b", |client| {
        let (down, calls) = (Arc::clone(&down), Arc::clone(&calls));
        let refuse = move |request: &Request<ClientBody>| {
            if !down.load(Ordering::Relaxed) {
                return None;
            }
            calls.fetch_add(usize::from(request.uri().path() == LEASE), Ordering::Relaxed);
            let answer = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR);
            Some(answer.body(Body::empty()).expect("an answer"))
        };
        answered(client, Arc::new(refuse))
    });
    b.until("b knows everything", |report| report.listed).await;
    down.store(true, Ordering::Relaxed);
    a.kill();
    kernels.close("a");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let calls = calls.load(Ordering::Relaxed);
    assert!((10..=150).contains(&calls), "{calls} calls about the lease in 30 s");
    down.store(false, Ordering::Relaxed);
    b.until("b decides", |report| report.synced).await;
    b.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_has_stopped_before_another_begins() {
    let kernels = Kernels::new();
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let cut = Arc::new(AtomicBool::new(false));
    let mut a = kernels.start_through(&world, "a", |client| cut_off(client, Arc::clone(&cut)));
    a.until("a decides", |report| report.synced).await;
    let b = kernels.start(&world, "b");
    b.until("b knows everything", |report| report.listed).await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    cut.store(true, Ordering::Relaxed);
    let started = Instant::now();
    let fault = a.failed().await;
    let stopped = started.elapsed();
    assert!(matches!(&fault, Fault::LeadershipLost(_)), "{fault}");
    assert!(fault.to_string().contains("could not be renewed for 10 s"), "{fault}");
    assert!(stopped > Duration::from_secs(7) && stopped <= Duration::from_secs(10), "{stopped:?}");
    assert_eq!(holder(&world), "a", "nobody has taken it yet");
    b.until("b decides", |report| report.synced).await;
    // More than the time of a write that a began at its last moment.
    assert!(started.elapsed() > stopped + Duration::from_secs(2), "{:?}", started.elapsed());
    // Nothing of a comes through any more, also not once it is heard again.
    cut.store(false, Ordering::Relaxed);
    a.stop().await;
    assert_eq!(holder(&world), "b");
    b.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_decides_nothing_on_a_view_that_is_older_than_its_lease() {
    let kernels = Kernels::new();
    let world = World::unsynced();
    world.create("nodes", world::node("n1"));
    let a = kernels.start(&world, "a");
    a.until("a decides", |report| report.synced).await;
    let deaf = Arc::new(AtomicBool::new(false));
    let mut b = kernels.start_through(&world, "b", |client| deafened(client, Arc::clone(&deaf)));
    b.until("b knows everything", |report| report.listed).await;
    // Both are created unseen by b; a gives the only node to the first.
    deaf.store(true, Ordering::Relaxed);
    world.create("pods", pod("first", 8));
    world.until("a binds it", |world| world.bound() == ["first"]).await;
    a.kill();
    kernels.close("a");
    let killed = Instant::now();
    let fault = b.failed().await;
    assert!(matches!(&fault, Fault::Blind(_)), "{fault}");
    assert!(fault.to_string().contains("default/first"), "{fault}");
    assert!(killed.elapsed() < Duration::from_secs(11), "{:?}", killed.elapsed());
    assert_eq!(world.bound(), ["first"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_deleted_is_elected_anew() {
    let kernels = Kernels::new();
    let (world, mut a, b) = two(&kernels).await;
    world
        .server
        .write(|server| server.delete(world.clock.now(), LEASE, serde_json::json!({})))
        .expect("it exists");
    let fault = a.failed().await;
    assert!(fault.to_string().contains("was deleted"), "{fault}");
    b.until("b decides", |report| report.synced).await;
    assert_eq!(holder(&world), "b");
    b.stop().await;
}
