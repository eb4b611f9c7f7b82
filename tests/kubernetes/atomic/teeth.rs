//! That the oracle finds a gang in part where there is one: a scheduler is killed between two binds, and nobody
//! finishes what it began. Without this, tests that find nothing broken would show nothing.

use std::time::Duration;
use std::time::Instant;

use super::stage::Stage;
use crate::cluster::Cluster;
use crate::instance::Instance;
use crate::instance::Signal;

/// Kills until one must have come between two binds.
const KILLS_MAX: u32 = 20;

/// How long a scheduler may take until it binds.
const BEGINNING_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn without_a_successor_a_kill_leaves_a_gang_in_part_and_that_is_found() {
    let Some(cluster) = Cluster::start("teeth").await else { return };
    let mut stage = Stage::set(&cluster).await;
    for round in 0..KILLS_MAX {
        // One bind at a time, so that there is a moment between two.
        let slowly = "kubernetes: {bindsConcurrentMax: 1}\n";
        let mut only = Instance::start_with(&cluster, &format!("only-{round}"), slowly);
        let before = stage.binds();
        stage.enter(round).await;
        let deadline = Instant::now() + BEGINNING_MAX;
        while stage.binds() == before {
            assert!(Instant::now() < deadline, "nothing is bound:\n{}", only.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        only.signal(Signal::Kill);
        only.wait();
        // What was under way when it died arrives.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let violations = stage.look().await.violations();
        if violations.iter().any(|violation| violation.contains("members bound")) {
            return;
        }
        stage.clear().await;
    }
    panic!("{KILLS_MAX} kills between two binds, and no gang in part was ever found");
}
