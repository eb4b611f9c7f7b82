//! `muster run` on a real API server, with exactly the rights of `deploy/`: gangs of both kinds of PodGroup and plain
//! pods are bound, what waits says why, and everything that Muster writes is accepted.

use serde_json::Value;
use serde_json::json;

use crate::atomic::objects::group;
use crate::atomic::objects::member;
use crate::atomic::objects::native_group;
use crate::atomic::objects::native_member;
use crate::atomic::objects::node;
use crate::atomic::objects::pod;
use crate::board::Board;
use crate::board::paths;
use crate::cluster::Cluster;
use crate::cluster::Release;
use crate::instance::Instance;
use crate::instance::Signal;

/// How many pods of `pods` have a node.
fn bound(pods: &[Value]) -> usize {
    pods.iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count()
}

fn condition(object: &Value, kind: &str) -> Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.find(|condition| condition["type"] == kind).cloned().unwrap_or_default()
}

/// Makes gangs of both kinds and a plain pod, all of which fit; gives how many pods that is.
async fn make_what_fits(board: &Board, release: Release) -> usize {
    board.create(paths::GROUPS, &group("train", 2)).await;
    for index in 0..2 {
        board.create(paths::PODS, &member(&format!("train-{index}"), "train", 8)).await;
    }
    board.create(paths::PODS, &pod("plain", 1)).await;
    if release < Release::V1_37 {
        return 3;
    }
    board.create(paths::NATIVE_GROUPS, &native_group("native", 2)).await;
    for index in 0..2 {
        board.create(paths::PODS, &native_member(&format!("native-{index}"), "native", 2)).await;
    }
    5
}

/// What a gang that is too large is told, once all four members are told something.
async fn refusal_of_a_gang_too_large(board: &Board) -> String {
    board.create(paths::GROUPS, &group("too-big", 4)).await;
    for index in 0..4 {
        board.create(paths::PODS, &member(&format!("too-big-{index}"), "too-big", 8)).await;
    }
    board
        .until("what does not fit says so", || async {
            let pods = board.list(paths::PODS).await;
            let waits = |pod: &&Value| condition(pod, "PodScheduled")["reason"] == "Unschedulable";
            pods.iter().filter(waits).count() == 4
        })
        .await;
    let waiting = board.send("GET", &format!("{}/too-big-0", paths::PODS), &Value::Null).await.1;
    let message = condition(&waiting, "PodScheduled")["message"].clone();
    message.as_str().unwrap_or_default().to_owned()
}

/// Waits until everything that is told of what was bound is written.
async fn until_told(board: &Board, release: Release, bound: usize) {
    board
        .until("binds have their events", || async {
            let events = board.list("/apis/events.k8s.io/v1/namespaces/default/events").await;
            events.iter().filter(|event| event["reason"] == "Scheduled").count() == bound
        })
        .await;
    board
        .until("the group's status is written", || async {
            let path = format!("{}/train", paths::GROUPS);
            let group = board.send("GET", &path, &Value::Null).await.1;
            group["status"]["phase"].is_string()
        })
        .await;
    if release < Release::V1_37 {
        return;
    }
    board
        .until("the native group says that it was scheduled", || async {
            let path = format!("{}/native", paths::NATIVE_GROUPS);
            let group = board.send("GET", &path, &Value::Null).await.1;
            condition(&group, "PodGroupInitiallyScheduled")["status"] == json!("True")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_api_server_gangs_are_bound_whole_and_what_waits_says_why() {
    let Some(cluster) = Cluster::start("quickstart").await else { return };
    let board = Board::of(&cluster).await;
    board.install().await;
    for name in ["n1", "n2", "n3"] {
        board.create(paths::NODES, &node(name)).await;
    }
    let mut muster = Instance::start(&cluster, "muster-0");
    let expected = make_what_fits(&board, cluster.release).await;
    board
        .until("everything that fits is bound", || async {
            bound(&board.list(paths::PODS).await) == expected
        })
        .await;
    let message = refusal_of_a_gang_too_large(&board).await;
    assert!(message.starts_with("0/3 nodes are available: "), "{message}");
    assert_eq!(bound(&board.list(paths::PODS).await), expected, "a gang is bound whole or not");
    until_told(&board, cluster.release, expected).await;

    muster.signal(Signal::Terminate);
    let status = muster.wait();
    let log = muster.log();
    assert_eq!(status.code(), Some(0), "{log}");
    // The API server's word for 403; the number itself may be part of an identity.
    for word in ["orbidden", " WARN ", " ERROR "] {
        assert!(!log.contains(word), "the shipped rights suffice and nothing is given up: {log}");
    }
}
