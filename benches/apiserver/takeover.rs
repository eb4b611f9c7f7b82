//! How long nobody binds after the leader was killed, or told to end: from the signal to the first bind of its
//! successor that the server accepted, with default settings, 1,000 nodes, 5,000 bound pods, and pods that wait.
//! The two instances have tokens of their own, by which the audit log tells whose bind it was.

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;
use muster::base::random::Random;
use serde_json::json;

use crate::audit::AuditLog;
use crate::audit::Entry;
use crate::board::Board;
use crate::board::paths;
use crate::cluster::Cluster;
use crate::cluster::User;
use crate::ground;
use crate::ground::Ground;
use crate::ground::Load;
use crate::instance::Instance;
use crate::instance::Signal;
use crate::report::Report;

/// Pods that come in each round; the signal is sent while the first half of them is bound.
const PODS: usize = 200;

/// From the kill to the successor's first bind, 99 of 100 times.
const KILLED_MAX: Duration = Duration::from_millis(2500);

/// The same where the leader is told to end.
const TOLD_MAX: Duration = Duration::from_millis(300);

/// How long the server is left alone before it is asked what is bound, and between two such questions.
const CALM: Duration = Duration::from_millis(500);

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Selects the pods of the rounds.
const COMING: &str = "/api/v1/namespaces/default/pods?labelSelector=app%3Dcoming";

const USERS: [User; 2] = [User::Muster, User::OtherMuster];

/// Ends the leader so many times, in both ways.
pub(crate) async fn measure(times: usize) -> Option<Report> {
    let ground = Ground::prepare(&[Load::Bound]).await?;
    let cluster = ground.cluster(Load::Bound).await;
    let mut arena = Arena::open(&cluster).await;
    let mut report = Report::new("takeover");
    let ways = [(Signal::Kill, "SIGKILL", KILLED_MAX), (Signal::Terminate, "SIGTERM", TOLD_MAX)];
    for (signal, name, limit) in ways {
        let name = format!("{times} times {name} to the successor's first bind");
        for round in 0..times {
            let time = loop {
                if let Some(time) = arena.round(signal, round).await {
                    break time;
                }
            };
            report.p99(&name, time, limit);
        }
    }
    println!("pods bound twice: {}", arena.bound_twice);
    Some(report)
}

/// Two instances, of which one leads, and what the server says of both.
struct Arena<'a> {
    cluster: &'a Cluster,
    board: Board,
    instances: [Instance; 2],
    log: AuditLog,
    random: Random,
    started: usize,
    bound_twice: usize,
}

impl<'a> Arena<'a> {
    async fn open(cluster: &'a Cluster) -> Self {
        let instances = USERS.map(|user| Instance::start_as(cluster, user, user.token(), ""));
        let log = AuditLog::at(cluster.file("audit.log"));
        let board = Board::of(cluster).await;
        let random = Random::new(1);
        Self { cluster, board, instances, log, random, started: 2, bound_twice: 0 }
    }

    /// The place of the instance that decides, once the other one is ready to take over.
    async fn leader(&self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let words: Vec<String> = self.instances.iter().map(Instance::readiness).collect();
            let leads = words.iter().position(|word| word == "ok\n");
            let stands_by = words.iter().any(|word| word == "ok: standing by\n");
            if let (Some(place), true) = (leads, stands_by) {
                return place;
            }
            assert!(Instant::now() < deadline, "{words:?}\n{}", self.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the leader while pods come and are bound; how long it took until its successor had bound one, unless the
    /// leader had bound them all before its end.
    async fn round(&mut self, signal: Signal, round: usize) -> Option<Duration> {
        let leader = self.leader().await;
        let successor = format!("uid-of-{}", USERS[1 - leader].token());
        self.log.read();
        let before = self.log.entries.len();
        let moment = self.random.below(PODS as u64 / 2) as usize;
        // One after the other: the server's processors are for those who are measured.
        let come = async {
            for index in 0..PODS {
                let mut pod = ground::pod(&format!("coming-{round:03}-{index:03}"));
                pod["metadata"]["labels"] = json!({"app": "coming"});
                self.board.create(paths::PODS, &pod).await;
            }
        };
        let end = end_at((&mut self.log, before + moment), &self.instances[leader], signal);
        let ((), sent) = tokio::join!(come, end);
        self.until_bound().await;
        self.log.read();
        let is_first = |entry: &&Entry| entry.is_bind() && entry.user.uid == successor;
        let of_successor = self.log.entries[before..].iter().filter(is_first);
        let first = of_successor.map(|entry| entry.answered).min();
        self.count_twice(before);
        let (code, answer) =
            self.board.send("DELETE", COMING, &json!({"gracePeriodSeconds": 0})).await;
        assert_eq!(code, 200, "{answer}");
        self.started += 1;
        let name = format!("instance-{}", self.started);
        self.instances[leader].wait();
        self.instances[leader] = Instance::start_as(self.cluster, USERS[leader], &name, "");
        Some(first?.duration_since(sent).unsigned_abs())
    }

    /// Asks the pods: of a bind whose sender was killed meanwhile the log may not tell the answer.
    async fn until_bound(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // The server looks through all pods for each such list: what is measured goes first.
        tokio::time::sleep(CALM).await;
        loop {
            let pods = self.board.list(COMING).await;
            let bound = pods.iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count();
            if bound == PODS {
                return;
            }
            assert!(Instant::now() < deadline, "{bound} of {PODS} are bound:\n{}", self.logs());
            tokio::time::sleep(CALM).await;
        }
    }

    fn count_twice(&mut self, before: usize) {
        let names: Vec<&str> = bound_since(&self.log, before).collect();
        let different: BTreeSet<&str> = names.iter().copied().collect();
        self.bound_twice += names.len() - different.len();
    }

    fn logs(&self) -> String {
        self.instances.iter().map(|instance| instance.log() + "\n---\n").collect()
    }
}

fn bound_since(log: &AuditLog, before: usize) -> impl Iterator<Item = &str> {
    let binds = log.entries[before..].iter().filter(|entry| entry.is_bind());
    binds.map(|entry| entry.object.name.as_str())
}

/// Sends `signal` once the log is longer than `moment`; when that was.
async fn end_at(
    (log, moment): (&mut AuditLog, usize),
    instance: &Instance,
    signal: Signal,
) -> Timestamp {
    let deadline = Instant::now() + PATIENCE;
    loop {
        log.read();
        if log.entries.len() > moment {
            let sent = Timestamp::now();
            instance.signal(signal);
            return sent;
        }
        assert!(Instant::now() < deadline, "nothing is bound:\n{}", instance.log());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
