//! Where the gangs of these tests play: nodes with room for some of the gangs, and somebody who makes members again
//! that were deleted, as a Job's controller would. Everything is read from the API server.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use serde_json::json;

use super::objects::group;
use super::objects::member;
use super::objects::node;
use super::objects::pod;
use super::oracle::GROUP_LABEL;
use super::oracle::Settled;
use crate::board::Board;
use crate::board::paths;
use crate::cluster::Cluster;

/// Members of a gang; each takes a node whole.
pub(crate) const MEMBERS: u32 = 8;

/// Gangs that have room at once.
pub(crate) const GANGS_FIT: u32 = 3;

/// Gangs that want it: one always waits, so that a seat given away twice has somebody to take it.
pub(crate) const GANGS: u32 = GANGS_FIT + 1;

/// How long everything may take to settle after a kill: the deadline of a gang's binding, and more.
const SETTLING_MAX: Duration = Duration::from_secs(120);

/// A cluster with gangs in it.
pub(crate) struct Stage<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) board: Board,
    /// Makes names that were never used.
    made: u64,
}

impl<'a> Stage<'a> {
    /// Nodes, CRDs, and rights; no gangs yet.
    pub(crate) async fn set(cluster: &'a Cluster) -> Self {
        let board = Board::of(cluster).await;
        board.install().await;
        for index in 0..GANGS_FIT * MEMBERS {
            board.create(paths::NODES, &node(&format!("n{index:02}"))).await;
        }
        Self { cluster, board, made: 0 }
    }

    /// Makes the gangs of one round, all their groups first.
    pub(crate) async fn enter(&mut self, round: u32) {
        for gang in gangs(round) {
            self.board.create(paths::GROUPS, &group(&gang, MEMBERS)).await;
        }
        for gang in gangs(round) {
            for _ in 0..MEMBERS {
                self.make_member(&gang).await;
            }
        }
    }

    async fn make_member(&mut self, gang: &str) {
        self.made += 1;
        let name = format!("{gang}-{:05}", self.made);
        self.board.create(paths::PODS, &member(&name, gang, 8)).await;
    }

    /// Makes a pod that fits anywhere.
    pub(crate) async fn make_probe(&self, name: &str) {
        self.board.create(paths::PODS, &pod(name, 0)).await;
    }

    /// What the API server holds now.
    pub(crate) async fn look(&self) -> Settled {
        Settled {
            nodes: self.board.list(paths::NODES).await,
            pods: self.board.list(paths::PODS).await,
            groups: self.board.list(paths::GROUPS).await,
            audit: self.cluster.audit(),
        }
    }

    /// Waits until as many gangs are whole as have room and nothing is broken, making lost members again.
    ///
    /// # Errors
    /// What is broken, or missing, when the time is over.
    pub(crate) async fn settle(&mut self, round: u32) -> Result<(), String> {
        let deadline = Instant::now() + SETTLING_MAX;
        let wanted = (GANGS_FIT * MEMBERS) as usize;
        loop {
            let settled = self.look().await;
            let members = settled.bound_members();
            let violations = settled.violations();
            if members == wanted && violations.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{members} of {wanted} members are bound; {violations:?}"));
            }
            self.replace_lost(round, &settled).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn replace_lost(&mut self, round: u32, settled: &Settled) {
        let mut present: BTreeMap<String, u32> = BTreeMap::new();
        for pod in &settled.pods {
            let gang = pod["metadata"]["labels"][GROUP_LABEL].as_str().unwrap_or_default();
            *present.entry(gang.to_owned()).or_default() += 1;
        }
        for gang in gangs(round) {
            for _ in present.get(&gang).copied().unwrap_or(0)..MEMBERS {
                self.make_member(&gang).await;
            }
        }
    }

    /// Takes all pods and groups away.
    pub(crate) async fn clear(&self) {
        let at_once = json!({"gracePeriodSeconds": 0});
        for path in [paths::PODS, paths::GROUPS] {
            let (code, answer) = self.board.send("DELETE", path, &at_once).await;
            assert_eq!(code, 200, "{answer}");
        }
        self.board
            .until("everything of the round is gone", || async {
                self.board.list(paths::PODS).await.is_empty()
            })
            .await;
    }

    /// How many binds the server has accepted.
    pub(crate) fn binds(&self) -> usize {
        self.cluster.binds_accepted()
    }
}

fn gangs(round: u32) -> impl Iterator<Item = String> {
    (0..GANGS).map(move |index| format!("r{round}-g{index}"))
}
