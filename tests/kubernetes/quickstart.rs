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
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|condition| condition["type"] == kind).cloned().next().unwrap_or_default()
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

    board.create(paths::GROUPS, &group("train", 2)).await;
    for index in 0..2 {
        board.create(paths::PODS, &member(&format!("train-{index}"), "train", 8)).await;
    }
    let native = cluster.release >= Release::V1_37;
    let mut expected = 3;
    if native {
        board.create(paths::NATIVE_GROUPS, &native_group("native", 2)).await;
        for index in 0..2 {
            board
                .create(paths::PODS, &native_member(&format!("native-{index}"), "native", 2))
                .await;
        }
        expected += 2;
    }
    board.create(paths::PODS, &pod("plain", 1)).await;
    board
        .until("everything that fits is bound", || async {
            bound(&board.list(paths::PODS).await) == expected
        })
        .await;

    board.create(paths::GROUPS, &group("too-big", 4)).await;
    for index in 0..4 {
        board.create(paths::PODS, &member(&format!("too-big-{index}"), "too-big", 8)).await;
    }
    board
        .until("what does not fit says so", || async {
            let pods = board.list(paths::PODS).await;
            let waiting =
                |pod: &&Value| condition(pod, "PodScheduled")["reason"] == "Unschedulable";
            pods.iter().filter(waiting).count() == 4
        })
        .await;
    let waiting = board.send("GET", &format!("{}/too-big-0", paths::PODS), &Value::Null).await.1;
    let message = condition(&waiting, "PodScheduled")["message"].clone();
    let message = message.as_str().unwrap_or_default();
    assert!(message.starts_with("0/3 nodes are available: "), "{message}");
    assert_eq!(
        bound(&board.list(paths::PODS).await),
        expected,
        "a gang is bound whole or not at all"
    );

    board
        .until("binds have their events", || async {
            let events = board.list("/apis/events.k8s.io/v1/namespaces/default/events").await;
            events.iter().filter(|event| event["reason"] == "Scheduled").count() == expected
        })
        .await;
    board
        .until("the group's status is written", || async {
            let group =
                board.send("GET", &format!("{}/train", paths::GROUPS), &Value::Null).await.1;
            group["status"]["phase"].is_string()
        })
        .await;
    if native {
        board
            .until("the native group says that it was scheduled", || async {
                let path = format!("{}/native", paths::NATIVE_GROUPS);
                let group = board.send("GET", &path, &Value::Null).await.1;
                condition(&group, "PodGroupInitiallyScheduled")["status"] == json!("True")
            })
            .await;
    }

    muster.signal(Signal::Terminate);
    let status = muster.wait();
    let log = muster.log();
    assert_eq!(status.code(), Some(0), "{log}");
    for word in ["403", "forbidden", "Forbidden", " WARN ", " ERROR "] {
        assert!(!log.contains(word), "the shipped rights suffice and nothing is given up: {log}");
    }
}
