//! Clients of the HTTP face other than kubectl: kube clients without and with a socket, and bare
//! HTTP. What is seen on the wire: pages, bookmarks, 410, Tables, metadata, refusals, and the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http;
use futures::AsyncBufReadExt;
use futures::StreamExt;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::Client;
use kube::api::DeleteParams;
use kube::api::ListParams;
use kube::api::Patch;
use kube::api::PatchParams;
use kube::api::PostParams;
use kube::api::WatchEvent;
use kube::api::WatchParams;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use muster::apiserver::face;
use muster::apiserver::face::SharedServer;
use muster::apiserver::server::Server;
use muster::apiserver::store::state::Settings;
use muster::kubernetes::clock::Clock;
use serde_json::Value;
use serde_json::json;

fn clock() -> face::Clock {
    let clock = Clock::start();
    Arc::new(move || clock.now())
}

fn fresh() -> SharedServer {
    SharedServer::new(Server::new(Settings::default(), Clock::start().now()))
}

/// A client that sits on the router itself, without a socket.
fn without_socket(server: &SharedServer) -> Client {
    Client::new(face::router(server.clone(), clock()), "default")
}

/// A client of a server on a free port; the server lives as long as the test.
async fn with_socket(server: &SharedServer) -> Client {
    let listener = face::bind(loopback(0)).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(face::serve(listener, server.clone(), clock(), std::future::pending()));
    let config =
        kube::Config::new(format!("http://{address}").parse().expect("an address is a URL"));
    Client::try_from(config).expect("plain HTTP needs nothing")
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": {"n": "0"}}))
        .expect("this is a ConfigMap")
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what).await.expect("it happens within seconds")
}

/// Writes, reads, pages, conflicts, and refusals, as every client meets them.
async fn exercise(client: Client) {
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    for index in 0..7 {
        let made = maps.create(&PostParams::default(), &config_map(&format!("m{index}"))).await;
        made.expect("the name is free");
    }
    let mut names = Vec::new();
    let mut page = ListParams::default().limit(3);
    loop {
        let list = maps.list(&page).await.expect("a page");
        names.extend(list.items.iter().filter_map(|map| map.metadata.name.clone()));
        let Some(token) = list.metadata.continue_.filter(|token| !token.is_empty()) else { break };
        assert_eq!(list.items.len(), 3);
        page = page.continue_token(&token);
    }
    assert_eq!(names, ["m0", "m1", "m2", "m3", "m4", "m5", "m6"]);

    let old = maps.get("m0").await.expect("it exists");
    let merge = Patch::Merge(json!({"data": {"n": "1"}}));
    let new = maps.patch("m0", &PatchParams::default(), &merge).await.expect("it can be patched");
    assert_ne!(old.metadata.resource_version, new.metadata.resource_version);
    let Err(kube::Error::Api(status)) = maps.replace("m0", &PostParams::default(), &old).await
    else {
        panic!("a stale write must be refused");
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let Err(kube::Error::Api(status)) = maps.get("none").await else { panic!("there is none") };
    assert_eq!((status.code, status.message.as_str()), (404, r#"configmaps "none" not found"#));
    maps.delete("m0", &DeleteParams::default()).await.expect("it exists");
    let list: kube::core::ObjectList<PartialObjectMeta<ConfigMap>> =
        maps.list_metadata(&ListParams::default()).await.expect("metadata alone");
    assert_eq!(list.items.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kube_client_needs_no_socket() {
    exercise(without_socket(&fresh())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kube_client_works_over_a_socket() {
    exercise(with_socket(&fresh()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_what_exists_and_what_happens() {
    let server = fresh();
    for client in [without_socket(&server), with_socket(&server).await] {
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        maps.create(&PostParams::default(), &config_map("first")).await.expect("free");
        for config in
            [watcher::Config::default().page_size(1), watcher::Config::default().streaming_lists()]
        {
            let mut events = Box::pin(watcher(maps.clone(), config));
            let mut next =
                async || soon(events.try_next()).await.expect("no error").expect("no end");
            assert!(matches!(next().await, watcher::Event::Init));
            assert!(
                matches!(next().await, watcher::Event::InitApply(map) if map.metadata.name.as_deref() == Some("first"))
            );
            assert!(matches!(next().await, watcher::Event::InitDone));
            maps.create(&PostParams::default(), &config_map("second")).await.expect("free");
            assert!(matches!(next().await, watcher::Event::Apply(_)));
            maps.delete("second", &DeleteParams::default()).await.expect("it exists");
            assert!(matches!(next().await, watcher::Event::Delete(_)));
        }
        maps.delete("first", &DeleteParams::default()).await.expect("it exists");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_watch_gets_bookmarks_and_ends_at_its_time_out() {
    let server = fresh();
    let maps: Api<ConfigMap> = Api::default_namespaced(without_socket(&server));
    let others: Api<Pod> = Api::namespaced(without_socket(&server), "kube-system");
    let parameters = WatchParams::default().timeout(150);
    let mut watch = Box::pin(maps.watch(&parameters, "0").await.expect("it starts"));
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pod: Pod = serde_json::from_value(pod).expect("this is a Pod");
    let pod = others.create(&PostParams::default(), &pod).await.expect("free");
    let mut seen = Vec::new();
    while let Some(event) = watch.try_next().await.expect("no error") {
        let WatchEvent::Bookmark(bookmark) = event else { panic!("nothing happened: {event:?}") };
        seen.push(Some(bookmark.metadata.resource_version));
    }
    // At the version of the write that concerned others, and no second one in 150 s: nothing came since.
    assert_eq!(seen, [pod.metadata.resource_version]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_a_forgotten_version_is_told_so() {
    let server = fresh();
    let maps: Api<ConfigMap> = Api::default_namespaced(without_socket(&server));
    maps.create(&PostParams::default(), &config_map("m")).await.expect("free");
    server.write(Server::compact);
    let mut watch = Box::pin(maps.watch(&WatchParams::default(), "1").await.expect("it starts"));
    let event = soon(watch.try_next()).await.expect("no error").expect("one event");
    assert!(matches!(event, WatchEvent::Error(status) if status.code == 410), "410 in the stream");
    assert!(soon(watch.try_next()).await.expect("no error").is_none(), "and then its end");
}

/// Sends a bare request and returns status and body.
async fn send(client: &Client, request: http::Request<Vec<u8>>) -> (u16, String) {
    let response = client.send(request.map(kube::client::Body::from)).await.expect("an answer");
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body");
    (status, String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

fn get(path: &str, accept: &str) -> http::Request<Vec<u8>> {
    let request = http::Request::get(path).header("accept", accept);
    request.body(Vec::new()).expect("a request")
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_negotiated_and_mistakes_are_told() {
    let client = without_socket(&fresh());
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let (status, body) = send(&client, get("/api/v1/namespaces?limit=2", table)).await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &body["kind"]), (200, &json!("Table")));
    assert_eq!(body["rows"].as_array().map(Vec::len), Some(2));
    assert!(body["metadata"]["continue"].is_string(), "a Table has pages too");
    let bare = get("/api/v1/namespaces?includeObject=None", table);
    let body: Value = serde_json::from_str(&send(&client, bare).await.1).expect("JSON");
    assert_eq!(body["rows"][0]["object"], json!(null));

    let (status, _) =
        send(&client, get("/api/v1/pods", "application/vnd.kubernetes.protobuf")).await;
    assert_eq!(status, 406);
    let (status, body) = send(&client, get("/api/v1/nonsense", "*/*")).await;
    assert_eq!(status, 404);
    assert!(body.contains(r#""kind":"Status""#), "{body}");
    let unserved = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let review = http::Request::post(unserved)
        .header("content-type", "application/vnd.kubernetes.protobuf")
        .body(b"k8s\x00\n\x2d\n\x18authentication.k8s.io/v1\x12\x11SelfSubjectReview".to_vec());
    let (status, body) = send(&client, review.expect("a request")).await;
    assert_eq!(status, 404, "{body}");
    let large =
        http::Request::post("/api/v1/namespaces/default/configmaps").body(vec![b' '; 4 << 20]);
    assert_eq!(send(&client, large.expect("a request")).await.0, 413);
    let foreign = http::Request::get("/api").header("host", "example.org").body(Vec::new());
    assert_eq!(send(&client, foreign.expect("a request")).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_says_the_same_in_both_forms() {
    let client = without_socket(&fresh());
    let aggregated =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let (_, body) = send(&client, get("/apis", aggregated)).await;
    let all: Value = serde_json::from_str(&body).expect("JSON");
    let groups = all["items"].as_array().expect("a list");
    assert!(groups.iter().any(|group| group["metadata"]["name"] == "apps"));
    for group in groups {
        for version in group["versions"].as_array().expect("a list") {
            let (name, version_name) = (&group["metadata"]["name"], &version["version"]);
            let path = format!(
                "/apis/{}/{}",
                name.as_str().expect("text"),
                version_name.as_str().expect("text")
            );
            let (status, body) = send(&client, get(&path, "application/json")).await;
            assert_eq!(status, 200, "{path}");
            let legacy: Value = serde_json::from_str(&body).expect("JSON");
            let legacy: Vec<&str> = legacy["resources"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|r| r["name"].as_str())
                .collect();
            let mut here = Vec::new();
            for resource in version["resources"].as_array().expect("a list") {
                let plural = resource["resource"].as_str().expect("text");
                here.push(plural.to_owned());
                for part in resource["subresources"].as_array().into_iter().flatten() {
                    here.push(format!("{plural}/{}", part["subresource"].as_str().expect("text")));
                }
            }
            assert_eq!(here, legacy, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_named_by_their_hash() {
    let client = without_socket(&fresh());
    let (_, body) = send(&client, get("/openapi/v3", "*/*")).await;
    let index: Value = serde_json::from_str(&body).expect("JSON");
    let url = index["paths"]["api/v1"]["serverRelativeURL"].as_str().expect("core is described");
    let (status, body) = send(&client, get(url, "application/json")).await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&body).expect("JSON");
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Pod");
    let parameters = patch["parameters"].as_array().expect("a list");
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_watches_see_each_write_and_end_with_the_server() {
    let server = fresh();
    let listener = face::bind(loopback(0)).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("it listens");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(face::serve(listener, server.clone(), clock(), async move {
        let _ = stopped.await;
    }));
    let config = kube::Config::new(format!("http://{address}").parse().expect("a URL"));
    let client = Client::try_from(config).expect("plain HTTP");
    let mut watches = Vec::new();
    for _ in 0..200 {
        let path = "/api/v1/namespaces/default/configmaps?watch=true";
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        watches.push(client.request_stream(request).await.expect("it starts").lines());
    }
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    for name in ["a", "b", "c"] {
        maps.create(&PostParams::default(), &config_map(name)).await.expect("free");
    }
    for watch in &mut watches {
        for name in ["a", "b", "c"] {
            let line = soon(watch.next()).await.expect("it goes on").expect("it is text");
            let event: Value = serde_json::from_str(&line).expect("one event a line");
            assert_eq!(
                (&event["type"], &event["object"]["metadata"]["name"]),
                (&json!("ADDED"), &json!(name))
            );
        }
    }
    stop.send(()).expect("the server waits for it");
    for watch in &mut watches {
        assert!(soon(watch.next()).await.is_none(), "the watch ends whole");
    }
    soon(serving).await.expect("no panic").expect("no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_loopback_is_served_and_a_taken_port_is_named() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = face::bind(everywhere).await.expect_err("others could reach it");
    assert!(error.to_string().contains("serves loopback only"), "{error}");
    let first = face::bind(loopback(0)).await.expect("a free port");
    let port = first.local_addr().expect("it listens").port();
    let error = face::bind(loopback(port)).await.expect_err("it is taken");
    let text = error.to_string();
    assert!(text.contains(&format!("port {port}")) && text.contains("--port"), "{text}");
}
