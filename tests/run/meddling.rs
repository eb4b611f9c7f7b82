//! What people, webhooks, roles, and other schedulers do to a gang behind Muster's back: each is named in an event and
//! a metric, hurts nobody else, and once it is over the gang is whole. In virtual time.

use std::cell::Cell;
use std::time::Duration;

use axum::body::Body;
use axum::body::to_bytes;
use axum::http::Request;
use muster::apiserver::store::failure::Failure;
use muster::apiserver::store::faults::FaultEffect;
use muster::apiserver::store::faults::FaultRule;
use muster::apiserver::store::faults::Target;
use muster::apiserver::store::patch::PatchKind;
use muster::apiserver::store::request::Verb;
use muster::base::time::Span;
use muster::base::time::Time;
use muster::config::shipped;
use muster::kubernetes::clock::Clock;
use muster::kubernetes::driver::Report;
use muster::kubernetes::translate::Kind;
use muster::telemetry::http;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::world::BEGINNING;
use crate::world::World;
use crate::world::member;
use crate::world::node;
use crate::world::pod;

pub(crate) const RECORD: &str =
    "/apis/muster.dev/v1alpha1/namespaces/default/gangplans/coscheduling.g";

/// All events of a reason in a namespace.
fn events(world: &World, namespace: &str, reason: &str) -> Vec<Value> {
    let mut events = world.list(&format!("/api/v1/namespaces/{namespace}/events"));
    events.retain(|event| event["reason"] == reason);
    events
}

/// The notes of all events of a reason in `default`.
pub(crate) fn notes(world: &World, reason: &str) -> Vec<String> {
    let events = events(world, "default", reason);
    events.iter().filter_map(|event| event["message"].as_str().map(str::to_owned)).collect()
}

pub(crate) fn gang(world: &World, members: u32, gpus: u32) {
    world.group("g", members);
    for index in 0..members {
        world.create("pods", member(&format!("g-{index}"), "g", gpus));
    }
}

fn fault(world: &World, target: Target, effect: FaultEffect) {
    let rule = FaultRule { target, skip: 0, times: None, effect };
    world.server.write(|server| server.faults().add(rule));
}

pub(crate) fn no_more_faults(world: &World) {
    world.server.write(|server| server.faults().clear());
}

/// A webhook that rejects the binds of `g-1`.
pub(crate) fn reject(world: &World) {
    let denied = Failure::bad_request("admission webhook \"no.example.com\" denied the request");
    let target = Target::of(Verb::Create, "pods/binding").named("default", "g-1");
    fault(world, target, FaultEffect::FailBefore(denied));
}

fn patch(world: &World, path: &str, patch: Value) {
    let now = world.clock.now();
    let patched = world.server.write(|server| server.patch(now, path, PatchKind::Merge, patch));
    patched.expect("the API takes it");
}

/// A gang of two, of which one is bound and the other rejected by a webhook.
async fn halfway() -> World {
    let world = World::with_nodes(3).await;
    reject(&world);
    gang(&world, 2, 8);
    world.until("one is bound", |world| world.bound() == ["g-0"]).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_member_that_another_scheduler_binds_is_named_and_counts() {
    let world = World::with_nodes(2).await;
    world.group("g", 2);
    world.create("pods", member("g-0", "g", 8));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let binding = json!({"metadata": {"name": "g-0"}, "target": {"kind": "Node", "name": "n2"}});
    world.create("pods/g-0/binding", binding);
    world.create("pods", member("g-1", "g", 8));
    world.until("the other is bound beside it", |world| world.bound().len() == 2).await;
    world.until("it is said", |world| !notes(world, "ForeignBinding").is_empty()).await;
    let told = notes(&world, "ForeignBinding");
    assert_eq!(told, ["bound to n2 by somebody else before a node was chosen for it"]);
    assert_eq!(world.report().await.engine.binds_foreign, 1);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_deleted_while_its_gang_is_bound_is_named_and_the_rest_planned_anew() {
    let world = halfway().await;
    world
        .server
        .write(|server| server.delete(world.clock.now(), RECORD, json!({})))
        .expect("it is there");
    world.until("it is said", |world| !notes(world, "GangPlanLost").is_empty()).await;
    assert!(world.report().await.engine.records_lost > 0);
    no_more_faults(&world);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.bound().len(), 2, "the rest is planned anew");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_a_person_calls_bound_is_named_and_its_gang_is_completed() {
    let world = halfway().await;
    patch(&world, RECORD, json!({"spec": {"phase": "Bound"}}));
    world.until("it is said", |world| !notes(world, "GangPlanChanged").is_empty()).await;
    let told = notes(&world, "GangPlanChanged");
    assert!(told[0].contains("it says Bound for plan "), "{told:?}");
    assert_eq!(world.report().await.engine.records_changed, 1);
    no_more_faults(&world);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.bound().len(), 2);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_that_nobody_can_read_is_named_and_its_gang_goes_on_without_it() {
    let world = halfway().await;
    let epoch = world.get(RECORD)["spec"]["epoch"].as_u64().expect("a number");
    let garbage =
        json!({"spec": {"epoch": epoch + 1, "phase": "Proposed", "members": "who knows"}});
    patch(&world, RECORD, garbage);
    world.until("it is said", |world| !notes(world, "InvalidGangPlan").is_empty()).await;
    let told = notes(&world, "InvalidGangPlan");
    let named =
        "nothing is done by GangPlan coscheduling.g: spec.members: \"who knows\" cannot be read";
    assert!(told[0].starts_with(named), "{told:?}");
    assert!(world.report().await.engine.records_malformed > 0);
    no_more_faults(&world);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.bound().len(), 2, "the gang is planned anew");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_rejects_a_member_is_named_and_others_go_on() {
    let world = halfway().await;
    world
        .until("why is said", |world| {
            let text = world.condition("g-1")["message"].as_str().unwrap_or_default().to_owned();
            text.contains("no.example.com")
        })
        .await;
    world
        .until("an event names it", |world| {
            notes(world, "FailedScheduling").iter().any(|note| note.contains("no.example.com"))
        })
        .await;
    world.create("pods", pod("solo", 8));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(world.bound().contains(&"solo".to_owned()), "nobody else waits for it");
    let refused = world.report().await.engine.binds_refused;
    // The member that is bound has no controller, so the gang is held and tried further, at most once in ten seconds.
    assert!((2..=70).contains(&refused), "{refused} tries in ten minutes");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_bind_a_pod_says_so_and_is_bound_once_it_is_given() {
    let world = World::with_nodes(1).await;
    fault(&world, Target::of(Verb::Create, "pods/binding"), FaultEffect::Deny);
    world.create("pods", pod("p", 1));
    tokio::time::sleep(Duration::from_secs(30)).await;
    let said = world.condition("p")["message"].as_str().expect("a message").to_owned();
    assert!(said.contains("pods/binding"), "{said}");
    let requests = world.report().await.traffic.requests;
    let forbidden = requests.iter().filter(|((_, status), _)| *status == 403).count();
    assert_eq!(forbidden, 1, "{requests:?}");
    let told = notes(&world, "FailedScheduling");
    assert!(told.iter().any(|note| note.contains("pods/binding")), "{told:?}");
    no_more_faults(&world);
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(world.bound(), ["p"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_right_that_a_gang_needs_it_says_which_and_is_bound_once_it_is_given() {
    for (verb, resource) in [
        (Verb::Create, "gangplans.muster.dev"),
        (Verb::Patch, "podgroups.scheduling.x-k8s.io"),
        (Verb::Create, "pods/binding"),
    ] {
        let world = World::with_nodes(1).await;
        fault(&world, Target::of(verb, resource), FaultEffect::Deny);
        gang(&world, 2, 1);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(world.bound().len(), 0, "{resource}");
        let plural = resource.split(['.', '/']).next().expect("it has a name");
        let mut told = notes(&world, "FailedScheduling");
        told.extend(notes(&world, "GangPlanRefused"));
        let names_it = |note: &String| note.contains("forbidden") && note.contains(plural);
        assert!(told.iter().any(names_it), "{resource}: {told:?}");
        let requests = world.report().await.traffic.requests;
        assert!(requests.keys().any(|(_, status)| *status == 403), "{resource}: {requests:?}");
        no_more_faults(&world);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(world.bound().len(), 2, "{resource}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_listed_is_named_about_the_lease_until_it_may() {
    let world = World::unsynced();
    for verb in [Verb::List, Verb::Watch] {
        fault(&world, Target::of(verb, "nodes"), FaultEffect::Deny);
    }
    world.create("nodes", node("n1"));
    world.create("pods", pod("p", 1));
    let world = world.start();
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert!(events(&world, "kube-system", "WatchFailing").is_empty(), "it may be over soon");
    tokio::time::sleep(Duration::from_secs(300)).await;
    let told = events(&world, "kube-system", "WatchFailing");
    assert_eq!(told.len(), 1, "{told:#?}");
    let about = &told[0]["involvedObject"];
    assert_eq!((&about["kind"], &about["name"]), (&json!("Lease"), &json!("muster")));
    let note = told[0]["message"].as_str().expect("text");
    assert!(note.contains("nodes: ") && note.contains("cannot list resource"), "{note}");
    assert!(world.report().await.traffic.watch_errors[&Kind::Node] > 5);
    no_more_faults(&world);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.bound(), ["p"]);
    world.stop().await;
}

thread_local! {
    /// By how much somebody has set the machine's calendar.
    static SET_BY: Cell<Span> = const { Cell::new(Span::ZERO) };
    static STARTED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A calendar that keeps pace with time as it leaps here, but for what it was set by.
fn calendar() -> Time {
    let started = STARTED.get().unwrap_or_else(Instant::now);
    STARTED.set(Some(started));
    let elapsed = i64::try_from(started.elapsed().as_nanos()).expect("it is not long");
    BEGINNING + Span::nanoseconds(elapsed) + SET_BY.get()
}

#[tokio::test(start_paused = true)]
async fn a_calendar_that_jumps_by_an_hour_is_named_and_changes_nothing() {
    for (hours, way) in [(1, "forward"), (-1, "back")] {
        SET_BY.set(Span::ZERO);
        STARTED.set(None);
        let mut world = World::unsynced();
        world.clock = Clock::following(calendar);
        world.create("nodes", node("n1"));
        let world = world.start();
        world.until_report("everything is listed", |report| report.synced).await;
        gang(&world, 2, 1);
        SET_BY.set(Span::seconds(3600 * hours));
        world.until("the gang is bound", |world| world.bound().len() == 2).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let told = events(&world, "kube-system", "CalendarMoved");
        assert_eq!(told.len(), 1, "{told:#?}");
        let note = told[0]["message"].as_str().expect("text");
        assert!(note.contains(&format!("went {way} by about 60 min")), "{note}");
        let report = world.report().await;
        assert_eq!(report.calendar_offset, Span::seconds(3600 * hours));
        world.create("pods", pod("late", 1));
        world.until("what comes later is bound too", |world| world.bound().len() == 3).await;
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_write_conditions_they_are_written_once_it_is_given() {
    let world = World::with_nodes(1).await;
    fault(&world, Target::of(Verb::Patch, "pods/status"), FaultEffect::Deny);
    world.create("pods", pod("p", 9));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.condition("p"), Value::Null);
    assert!(!notes(&world, "FailedScheduling").is_empty(), "events go out meanwhile");
    no_more_faults(&world);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(world.condition("p")["reason"], "Unschedulable");
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_group_crd_of_another_version_is_named_until_it_is_one_that_is_read() {
    let world = World::without_groups();
    let mut crd: Value = serde_saphyr::from_str(shipped::CRDS[0]).expect("the shipped CRD is YAML");
    assert_eq!(crd["metadata"]["name"], "podgroups.scheduling.x-k8s.io");
    crd["spec"]["versions"][0]["name"] = "v1beta1".into();
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let installed =
        world.server.write(|server| server.create(world.clock.now(), crds, crd.clone()));
    installed.expect("it is valid");
    let world = world.start();
    let foreign = |report: &Report| report.traffic.foreign_group_versions.clone();
    world.until_report("it is said", |report| foreign(report).as_deref() == Some("v1beta1")).await;
    let router = http::router(world.questions());
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("it answers");
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    let page = String::from_utf8(bytes.to_vec()).expect("text");
    assert!(page.contains("muster_pod_group_api_unread{versions=\"v1beta1\"} 1"), "{page}");
    world
        .until("an event about the CRD says so", |world| {
            !notes(world, "UnreadPodGroups").is_empty()
        })
        .await;
    let told = events(&world, "default", "UnreadPodGroups");
    let about = &told[0]["involvedObject"];
    assert_eq!(about["kind"], "CustomResourceDefinition");
    assert_eq!(about["name"], "podgroups.scheduling.x-k8s.io");
    let note = told[0]["message"].as_str().expect("text");
    assert!(note.contains("served as v1beta1 and not as v1alpha1"), "{note}");
    let path = format!("{crds}/podgroups.scheduling.x-k8s.io");
    let gone = world.server.write(|server| server.delete(world.clock.now(), &path, Value::Null));
    gone.expect("it was there");
    world.install_groups();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(foreign(&world.report().await), None);
    world.create("nodes", node("n1"));
    gang(&world, 2, 4);
    world.until("its gangs are bound", |world| world.bound().len() == 2).await;
    world.stop().await;
}
