//! The leader is killed, or paused for longer than its lease, at a random moment while gangs are being bound, and
//! another instance stands by. Afterwards every gang that has room is whole, and no promise was broken.
//!
//! `MUSTER_KILLS` and `MUSTER_PAUSES` say how often (20 and 1 by default, which CI runs; 200 and 20 for the long form)
//! and `MUSTER_SEED` which moments: `MUSTER_KILLS=200 MUSTER_PAUSES=20 cargo test --test kubernetes kills --
//! --nocapture`. A failure prints the seed and the logs of both instances.

use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;
use muster::base::random::Random;
use serde_json::Value;

use super::stage::GANGS_FIT;
use super::stage::MEMBERS;
use super::stage::Stage;
use crate::cluster::Cluster;
use crate::instance::Instance;
use crate::instance::Signal;

/// The lease that instances lead by, as the default configuration has it.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/muster";

/// Kills in CI.
const KILLS: u64 = 20;

/// Pauses in CI; each lasts longer than a lease.
const PAUSES: u64 = 1;

/// Binds of one round: the moment is drawn as a number of them that the server has accepted.
const BINDS: u64 = (GANGS_FIT * MEMBERS) as u64;

/// How long an instance may take to lead.
const LEADING_MAX: Duration = Duration::from_secs(60);

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}: {text}")))
}

/// Two instances, of which one leads.
struct Pair<'a> {
    stage: Stage<'a>,
    instances: Vec<Instance>,
    /// How many were started.
    started: u32,
}

impl<'a> Pair<'a> {
    async fn start(cluster: &'a Cluster) -> Self {
        let stage = Stage::set(cluster).await;
        let mut pair = Self { stage, instances: Vec::new(), started: 0 };
        pair.reinforce();
        pair.leader().await;
        pair
    }

    /// Starts instances until there are two.
    fn reinforce(&mut self) {
        self.instances.retain_mut(|instance| !instance.has_ended());
        while self.instances.len() < 2 {
            let name = format!("instance-{}", self.started);
            self.instances.push(Instance::start(self.stage.cluster, &name));
            self.started += 1;
        }
    }

    /// The place of the instance that holds the lease; waits until one of ours does.
    async fn leader(&mut self) -> usize {
        let deadline = Instant::now() + LEADING_MAX;
        loop {
            let lease = self.stage.board.send("GET", LEASE, &Value::Null).await.1;
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
            let is_holder =
                |instance: &Instance| holder.contains(&format!("-{}_", instance.process_id()));
            if let Some(place) = self.instances.iter().position(is_holder) {
                return place;
            }
            assert!(Instant::now() < deadline, "{holder:?} leads, none of ours:\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn logs(&self) -> String {
        self.instances.iter().map(|instance| instance.log() + "\n---\n").collect()
    }

    async fn settle(&mut self, round: u32, seed: u64) {
        if let Err(broken) = self.stage.settle(round).await {
            panic!("round {round} of MUSTER_SEED={seed}: {broken}\n{}", self.logs());
        }
    }
}

/// Sends `signal` once the server has accepted `moment` binds.
async fn signal_at(cluster: &Cluster, moment: usize, instance: &Instance, signal: Signal) {
    let deadline = Instant::now() + LEADING_MAX;
    while cluster.binds_accepted() < moment {
        assert!(Instant::now() < deadline, "{moment} binds are not reached:\n{}", instance.log());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    instance.signal(signal);
}

/// When the server answered the bind of `pod` with success.
fn bound_at(cluster: &Cluster, pod: &str) -> Option<Timestamp> {
    let is_it =
        |bind: &Value| bind["objectRef"]["name"] == pod && bind["responseStatus"]["code"] == 201;
    let bind = cluster.audit().into_iter().find(is_it)?;
    bind["stageTimestamp"].as_str()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_moment_leaves_no_gang_in_part() {
    let Some(cluster) = Cluster::start("kills").await else { return };
    let kills = u32::try_from(number("MUSTER_KILLS", KILLS)).expect("a number of kills");
    let seed = number("MUSTER_SEED", 1);
    let mut random = Random::new(seed);
    let mut pair = Pair::start(&cluster).await;
    let mut takeovers: Vec<Duration> = Vec::new();
    let mut in_the_middle = 0;
    for round in 0..kills {
        pair.reinforce();
        let leader = pair.leader().await;
        let before = pair.stage.binds();
        let moment = before + random.below(BINDS) as usize;
        tokio::join!(
            pair.stage.enter(round),
            signal_at(&cluster, moment, &pair.instances[leader], Signal::Kill)
        );
        let killed = Timestamp::now();
        // Something that fits at once, so that the successor has a first bind.
        let probe = format!("probe-{round}");
        pair.stage.make_probe(&probe).await;
        let done = pair.stage.binds() - before;
        in_the_middle += u32::from(done > 0 && done < BINDS as usize);
        pair.settle(round, seed).await;
        let bound = || async { bound_at(&cluster, &probe).is_some() };
        pair.stage.board.until("the successor binds", bound).await;
        let first = bound_at(&cluster, &probe).expect("it was just there");
        takeovers.push(first.duration_since(killed).unsigned_abs());
        pair.stage.clear().await;
    }
    takeovers.sort();
    let (middle, last) = (takeovers[takeovers.len() / 2], takeovers[takeovers.len() - 1]);
    let most = takeovers[(takeovers.len() * 99).div_ceil(100) - 1];
    println!(
        "{kills} kills, {in_the_middle} of them between the first and the last bind: 0 violations; from the kill to a \
         bind of the successor {middle:?} (median), {most:?} (99 of 100), {last:?} (longest)"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_after_its_lease_breaks_nothing() {
    let Some(cluster) = Cluster::start("pauses").await else { return };
    let seed = number("MUSTER_SEED", 1);
    let pauses = u32::try_from(number("MUSTER_PAUSES", PAUSES)).expect("a number of pauses");
    let mut random = Random::new(seed);
    let mut pair = Pair::start(&cluster).await;
    for round in 0..pauses {
        pair.reinforce();
        let paused = pair.leader().await;
        let moment = pair.stage.binds() + random.below(BINDS) as usize;
        tokio::join!(
            pair.stage.enter(round),
            signal_at(&cluster, moment, &pair.instances[paused], Signal::Stop)
        );
        let deadline = Instant::now() + LEADING_MAX;
        while pair.leader().await == paused {
            assert!(Instant::now() < deadline, "nobody takes the lease over:\n{}", pair.logs());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        pair.settle(round, seed).await;
        // It wakes with binds under way for seats that may be others' by now.
        pair.instances[paused].signal(Signal::Continue);
        tokio::time::sleep(Duration::from_secs(3)).await;
        pair.settle(round, seed).await;
        pair.stage.clear().await;
    }
    println!("{pauses} pauses of the leader for longer than its lease: 0 violations");
}
