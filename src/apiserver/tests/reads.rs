//! Lists and watches: pages at one version, selectors, history, bookmarks, the two forms of events.

use serde_json::Value;
use serde_json::json;

use super::PODS;
use super::START;
use super::bind;
use super::done;
use super::pod;
use super::refused;
use super::send_as;
use super::server;
use crate::apiserver::server::Server;
use crate::apiserver::store::shelf::HistoryLimit;
use crate::apiserver::store::state::Settings;
use crate::apiserver::store::watch::Watch;
use crate::apiserver::store::watch::WatchEvent;

fn labelled(name: &str, team: &str) -> Value {
    let mut pod = pod(name);
    pod["metadata"]["labels"] = json!({"team": team});
    pod
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("is a list").iter();
    items.map(|item| item["metadata"]["name"].as_str().unwrap_or_default()).collect()
}

fn shown(events: &[WatchEvent]) -> Vec<String> {
    let show = |event: &WatchEvent| {
        let line: Value = serde_json::from_slice(&event.line()).expect("a line is JSON");
        let object = &line["object"];
        let about =
            object["metadata"]["name"].as_str().or(object["message"].as_str()).unwrap_or_default();
        format!("{} {about}", line["type"].as_str().unwrap_or_default())
    };
    events.iter().map(show).collect()
}

fn label(server: &mut Server, name: &str, team: Value) {
    let patch = json!({"metadata": {"labels": {"team": team}}});
    let (code, answer) =
        send_as(server, "PATCH", &format!("{PODS}/{name}"), "application/merge-patch+json", patch);
    assert_eq!(code, 200, "{answer}");
}

fn begin(server: &mut Server, target: &str) -> Watch {
    server.watch(target).expect("the watch begins")
}

#[test]
fn pages_show_one_version_whatever_happens_between_them() {
    let mut server = server();
    for name in ["a", "b", "c", "d", "e"] {
        done(&mut server, "POST", PODS, pod(name));
    }
    let first = done(&mut server, "GET", &format!("{PODS}?limit=2"), json!(null));
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    for name in ["a", "d"] {
        done(&mut server, "DELETE", &format!("{PODS}/{name}"), json!(null));
    }
    done(&mut server, "POST", PODS, pod("cc"));
    label(&mut server, "e", json!("late"));
    let token = first["metadata"]["continue"].as_str().expect("there is more").replace('/', "%2F");
    let second = done(&mut server, "GET", &format!("{PODS}?limit=2&continue={token}"), json!(null));
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().expect("there is more").replace('/', "%2F");
    let third = done(&mut server, "GET", &format!("{PODS}?limit=2&continue={token}"), json!(null));
    assert_eq!(names(&third), ["e"]);
    assert_eq!(third["items"][0]["metadata"].get("labels"), None, "the label came later");
    assert_eq!(third["metadata"].get("continue"), None);
    server.compact();
    let (code, answer) =
        super::send(&mut server, "GET", &format!("{PODS}?limit=2&continue={token}"), json!(null));
    assert_eq!((code, &answer["reason"]), (410, &json!("Expired")));
    let token = answer["metadata"]["continue"].as_str().expect("one may go on").replace('/', "%2F");
    let rest = done(&mut server, "GET", &format!("{PODS}?limit=2&continue={token}"), json!(null));
    assert_eq!(names(&rest), ["e"]);
}

#[test]
fn versions_in_lists_mean_what_they_mean_upstream() {
    let mut server = server();
    let made = done(&mut server, "POST", PODS, pod("a"));
    let version = made["metadata"]["resourceVersion"].as_str().expect("has one").to_owned();
    done(&mut server, "POST", PODS, pod("b"));
    let ask = |server: &mut Server, query: &str| {
        done(server, "GET", &format!("{PODS}?{query}"), json!(null))
    };
    assert_eq!(names(&ask(&mut server, "resourceVersion=0")), ["a", "b"]);
    assert_eq!(names(&ask(&mut server, &format!("resourceVersion={version}"))), ["a", "b"]);
    let exact = ask(&mut server, &format!("resourceVersion={version}&resourceVersionMatch=Exact"));
    assert_eq!(
        (names(&exact), &exact["metadata"]["resourceVersion"]),
        (vec!["a"], &json!(version))
    );
    let (code, message) =
        refused(&mut server, "GET", &format!("{PODS}?resourceVersion=999"), json!(null));
    assert_eq!(
        (code, message.as_str()),
        (504, "Timeout: Too large resource version: 999, current: 8")
    );
    let (code, message) =
        refused(&mut server, "GET", &format!("{PODS}?resourceVersionMatch=Exact"), json!(null));
    assert_eq!(
        (code, message.as_str()),
        (
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is \
             forbidden unless resourceVersion is provided"
        )
    );
}

#[test]
fn selectors_select_and_unknown_fields_are_named() {
    let mut server = server();
    for (name, team) in [("a", "red"), ("b", "blue"), ("c", "red")] {
        done(&mut server, "POST", PODS, labelled(name, team));
    }
    bind(&mut server, "c", "n1");
    for (query, expected) in [
        ("labelSelector=team%3Dred", vec!["a", "c"]),
        ("labelSelector=team+notin+(red)", vec!["b"]),
        ("fieldSelector=spec.nodeName%3D", vec!["a", "b"]),
        ("fieldSelector=spec.nodeName!%3D,status.phase%3DPending", vec!["c"]),
        ("fieldSelector=metadata.name%3Db,metadata.namespace%3Ddefault", vec!["b"]),
    ] {
        let list = done(&mut server, "GET", &format!("{PODS}?{query}"), json!(null));
        assert_eq!(names(&list), expected, "{query}");
    }
    for (target, message) in [
        (format!("{PODS}?fieldSelector=spec.foo%3Dbar"), "field label not supported: spec.foo"),
        (
            "/api/v1/configmaps?fieldSelector=data%3Dx".to_owned(),
            "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        (
            format!("{PODS}?labelSelector=a%3Db%3Dc"),
            "unable to parse requirement: found '=', expected: ',' or 'end of string'",
        ),
    ] {
        assert_eq!(refused(&mut server, "GET", &target, json!(null)), (400, message.to_owned()));
    }
}

#[test]
fn a_watch_tells_what_its_selection_gains_and_loses() {
    let mut server = server();
    done(&mut server, "POST", PODS, labelled("a", "red"));
    done(&mut server, "POST", PODS, labelled("b", "blue"));
    let mut watch = begin(&mut server, "/api/v1/pods?labelSelector=team%3Dred");
    assert_eq!(shown(&server.poll(&mut watch)), ["ADDED a"]);
    label(&mut server, "b", json!("red"));
    label(&mut server, "a", json!("green"));
    done(&mut server, "POST", PODS, labelled("c", "blue"));
    bind(&mut server, "b", "n1");
    done(&mut server, "DELETE", &format!("{PODS}/b"), json!({"gracePeriodSeconds": 0}));
    let events = server.poll(&mut watch);
    assert_eq!(shown(&events), ["ADDED b", "DELETED a", "MODIFIED b", "MODIFIED b", "DELETED b"]);
    let gone: Value = serde_json::from_slice(&events[1].line()).expect("a line is JSON");
    assert_eq!(
        gone["object"]["metadata"]["labels"]["team"], "red",
        "as it was when it was selected"
    );
    assert!(server.poll(&mut watch).is_empty());
}

#[test]
fn a_watch_goes_on_from_any_version_that_history_holds() {
    let history = HistoryLimit { changes: 3, bytes: usize::MAX };
    let mut server = Server::new(Settings { history, ..Settings::default() }, START);
    let made = done(&mut server, "POST", PODS, pod("a"));
    let version = made["metadata"]["resourceVersion"].as_str().expect("has one").to_owned();
    for name in ["b", "c", "d"] {
        done(&mut server, "POST", PODS, pod(name));
    }
    let mut watch = begin(&mut server, &format!("{PODS}?resourceVersion={version}"));
    assert_eq!(shown(&server.poll(&mut watch)), ["ADDED b", "ADDED c", "ADDED d"]);
    done(&mut server, "POST", PODS, pod("e"));
    let mut late = begin(&mut server, &format!("{PODS}?resourceVersion={version}"));
    let events = server.poll(&mut late);
    assert_eq!(shown(&events), [format!("ERROR too old resource version: {version} (8)")]);
    let WatchEvent::Error(status) = &events[0] else { panic!("an error was shown") };
    assert_eq!((&status["code"], &status["reason"]), (&json!(410), &json!("Expired")));
    assert!(late.has_ended());
    for name in ["f", "g", "h", "i"] {
        done(&mut server, "POST", PODS, pod(name));
    }
    assert_eq!(shown(&server.poll(&mut watch))[0], "ERROR too old resource version: 10 (12)");
}

#[test]
fn bookmarks_carry_the_version_and_end_the_initial_events() {
    let mut server = server();
    done(&mut server, "POST", PODS, pod("a"));
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = begin(&mut server, &format!("{PODS}?{query}"));
    let events = server.poll(&mut watch);
    assert_eq!(shown(&events), ["ADDED a", "BOOKMARK "]);
    assert!(watch.bookmark().is_none(), "nothing came since");
    let WatchEvent::Bookmark(bookmark) = &events[1] else { panic!("a bookmark was shown") };
    assert_eq!(bookmark["kind"], "Pod");
    assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    done(&mut server, "POST", "/api/v1/nodes", super::node("n1"));
    assert!(server.poll(&mut watch).is_empty());
    let Some(WatchEvent::Bookmark(bookmark)) = watch.bookmark() else {
        panic!("bookmarks are allowed")
    };
    assert_eq!(bookmark["metadata"]["resourceVersion"], server.version().to_string());
    let mut unwanted = begin(&mut server, PODS);
    server.poll(&mut unwanted);
    assert!(unwanted.bookmark().is_none());
}

#[test]
fn events_have_two_forms_of_one_object() {
    let mut server = server();
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e1", "namespace": "default"},
        "eventTime": "2026-11-02T00:00:00.000000Z", "reportingController": "muster", "reportingInstance": "muster-0",
        "action": "Binding", "reason": "Scheduled", "type": "Normal", "note": "Successfully assigned default/a to n1",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "a", "apiVersion": "v1"},
    });
    let newer = "/apis/events.k8s.io/v1/namespaces/default/events";
    let made = done(&mut server, "POST", newer, event);
    assert_eq!(made["note"], "Successfully assigned default/a to n1");
    let query = "fieldSelector=involvedObject.name%3Da,involvedObject.kind%3DPod";
    let list = done(
        &mut server,
        "GET",
        &format!("/api/v1/namespaces/default/events?{query}"),
        json!(null),
    );
    assert_eq!(names(&list), ["e1"]);
    let older = &list["items"][0];
    assert_eq!(
        (&older["message"], &older["reportingComponent"]),
        (&made["note"], &json!("muster"))
    );
    assert_eq!(older["apiVersion"], "v1");
    let list =
        done(&mut server, "GET", &format!("{newer}?fieldSelector=regarding.name%3Da"), json!(null));
    assert_eq!(names(&list), ["e1"]);
    let mut watch = begin(&mut server, newer);
    let WatchEvent::Added(added) = &server.poll(&mut watch)[0] else {
        panic!("the event is there")
    };
    assert_eq!(added.json()["regarding"]["name"], "a");
    let later = crate::base::time::Time(START.0 + 3_700_000_000_000);
    let gone = server.handle(
        later,
        &http::Request::get("/api/v1/events").body(Vec::new()).expect("well formed"),
    );
    let gone: Value = serde_json::from_slice(gone.body()).expect("answers are JSON");
    assert_eq!(names(&gone), [""; 0], "events are kept for an hour");
}
