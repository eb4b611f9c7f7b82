//! One measurement each: a cluster in its stored state, somebody who binds what waits there, and the server's log.
//! Ends once everything is bound, and where events are written, once the last of them is.
//! The process that binds is started for the measurement and ended after it.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;

use crate::audit::AuditLog;
use crate::audit::Entry;
use crate::bare;
use crate::cluster::Cluster;
use crate::cluster::User;
use crate::ground::Ground;
use crate::ground::Load;
use crate::instance::Instance;
use crate::usage;

/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at the log; looking must not disturb what is measured.
const LOOK: Duration = Duration::from_millis(50);

/// What the API server is left alone for after its start.
const CALM: Duration = Duration::from_secs(1);

/// Whether events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Events {
    Written,
    Off,
}

/// What one measurement came to.
#[derive(Debug)]
pub(crate) struct Lap {
    /// When the process that binds was started.
    started: Timestamp,
    entries: Vec<Entry>,
    /// What it used of the processors until the last write.
    pub(crate) processor: Duration,
}

impl Lap {
    fn span(&self, first: Timestamp, is_last: impl Fn(&Entry) -> bool) -> Duration {
        let last =
            self.entries.iter().filter(|entry| is_last(entry)).map(|entry| entry.answered).max();
        last.expect("there was one").duration_since(first).unsigned_abs()
    }

    fn first(&self, is_it: impl Fn(&Entry) -> bool) -> Timestamp {
        let first =
            self.entries.iter().filter(|entry| is_it(entry)).map(|entry| entry.received).min();
        first.expect("there was one")
    }

    /// From the first bind's arrival to the last one's answer.
    pub(crate) fn binds(&self) -> Duration {
        self.span(self.first(Entry::is_bind), Entry::is_bind)
    }

    /// From the first bind's arrival to the last event's answer.
    pub(crate) fn to_last_event(&self) -> Duration {
        self.span(self.first(Entry::is_bind), Entry::is_event)
    }

    /// From the commit of a gang to its seal: the second and the third write of its record and its group.
    pub(crate) fn commit_to_seal(&self) -> Duration {
        let commit = self.first(|entry| entry.kind() == "patch podgroups");
        self.span(commit, |entry| entry.kind() == "patch gangplans")
    }

    /// From the start of the process to the answer of the last bind.
    pub(crate) fn since_start(&self) -> Duration {
        self.span(self.started, Entry::is_bind)
    }

    /// From the start of the process to the answer of the last event.
    pub(crate) fn since_start_with_events(&self) -> Duration {
        self.span(self.started, Entry::is_event)
    }

    /// How many writes there were of each kind.
    pub(crate) fn writes(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.kind()).or_default() += 1;
        }
        let shown: Vec<String> =
            counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        shown.join(", ")
    }
}

/// The bare client.
pub(crate) async fn bare(ground: &Ground, load: Load) -> Lap {
    let cluster = ready(ground, load).await;
    let (started, before) = (Timestamp::now(), usage::processor(std::process::id()));
    bare::bind_all(&cluster).await;
    let processor = usage::processor(std::process::id()) - before;
    let mut log = AuditLog::at(cluster.file("audit.log"));
    until(&mut log, "every bind is in the log", |log| log.count(Entry::is_bind) == load.pods())
        .await;
    Lap { started, entries: log.entries, processor }
}

/// `muster run` with its defaults, and with or without events.
pub(crate) async fn muster(ground: &Ground, load: Load, events: Events) -> Lap {
    let cluster = ready(ground, load).await;
    let configuration = match events {
        Events::Written => "",
        Events::Off => "notices: {events: false}\n",
    };
    let mut log = AuditLog::at(cluster.file("audit.log"));
    let started = Timestamp::now();
    let instance = Instance::start_with(&cluster, "muster", configuration);
    let is_over = |log: &AuditLog| {
        let events = events == Events::Off || log.count(Entry::is_event) >= load.pods();
        let seals = load.groups() == 0 || log.count(|entry| entry.kind() == "patch gangplans") > 0;
        log.count(Entry::is_bind) == load.pods() && events && seals
    };
    until(&mut log, "every pod is bound", is_over).await;
    let processor = usage::processor(instance.process_id());
    Lap { started, entries: log.entries, processor }
}

/// kube-scheduler without an election and with a client that does not throttle itself; `None` where there is none.
/// Pods of a shape are measured until the last event as well.
pub(crate) async fn kube_scheduler(ground: &Ground, load: Load) -> Option<Lap> {
    let mut cluster = ready(ground, load).await;
    let config = cluster.file("kube-scheduler.yaml");
    let text = format!(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n\
         leaderElection: {{leaderElect: false}}\n\
         clientConnection: {{kubeconfig: '{}', qps: 5000, burst: 5000}}\n\
         profiles: [{{schedulerName: muster}}]\n",
        cluster.kubeconfig(User::Administrator).display()
    );
    std::fs::write(&config, text).expect("the cluster's folder can be written");
    let arguments = [
        format!("--config={}", config.display()),
        "--secure-port=0".to_owned(),
        "--feature-gates=GenericWorkload=true,TopologyAwareWorkloadScheduling=true".to_owned(),
    ];
    let mut log = AuditLog::at(cluster.file("audit.log"));
    let started = Timestamp::now();
    if !cluster.start_beside("kube-scheduler", &arguments) {
        return None;
    }
    let is_over = |log: &AuditLog| {
        let events = match load {
            Load::Shape(_) => load.pods(),
            Load::Gang | Load::Gangs | Load::Singles | Load::Bound => 0,
        };
        log.count(Entry::is_bind) == load.pods() && log.count(Entry::is_event) >= events
    };
    until(&mut log, "kube-scheduler has bound every pod, and said so", is_over).await;
    Some(Lap { started, entries: log.entries, processor: Duration::ZERO })
}

async fn ready(ground: &Ground, load: Load) -> Cluster {
    let cluster = ground.cluster(load).await;
    tokio::time::sleep(CALM).await;
    cluster
}

async fn until(log: &mut AuditLog, what: &str, holds: impl Fn(&AuditLog) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        log.read();
        if holds(log) {
            return;
        }
        let binds = log.count(Entry::is_bind);
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}; {binds} binds");
        tokio::time::sleep(LOOK).await;
    }
}
