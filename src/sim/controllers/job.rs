//! The Job controller: parallelism, completions, Indexed and plain, back-off limit, deadline, suspension,
//! time to live. pod failure policy. Follows batch/v1 of Kubernetes 1.37 without success policies, limits per
//! index, and tracking finalizers: what its pods no longer tell is remembered here, and read from the status after a restart.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use super::children::Child;
use super::children::Phase;
use super::expand::COMPLETION_INDEX;
use super::failure_policy;
use super::failure_policy::Judgement;
use super::job_status;
use super::job_status::Verdict;
use super::owner::Round;
use super::template::generated_name;
use super::template::pod_from;
use super::template::set_annotation;
use super::template::set_label;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::sim::write::Write;

/// `spec.backoffLimit` where absent.
const BACKOFF_LIMIT_DEFAULT: usize = 6;
/// The wait after a first failure, doubled with each further one ...
const BACKOFF_FIRST: Span = Span::seconds(10);
/// ... up to this.
const BACKOFF_MAX: Span = Span::seconds(600);

/// What is remembered of a Job's pods, which may be gone.
#[derive(Clone, Debug, Default)]
pub(super) struct JobMemory {
    /// Whether what the status said before this controller began has been taken in.
    begun: bool,
    /// Uids of pods that succeeded, with their index.
    succeeded: BTreeMap<String, Option<u32>>,
    failed: BTreeSet<String>,
    /// Uids of pods whose failure the policy passes over.
    ignored: BTreeSet<String>,
    /// Why the policy has failed the Job.
    failed_by_policy: Option<String>,
    /// Counts from the status that no pod here accounts for.
    succeeded_before: usize,
    failed_before: usize,
    indexes_before: BTreeSet<u32>,
    /// Failures since the last success, and when the last one was noticed.
    failures_in_a_row: u32,
    last_failure: Time,
}

/// A Job's wishes and where it stands.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) parallelism: usize,
    pub(super) completions: Option<usize>,
    pub(super) indexed: bool,
    pub(super) suspended: bool,
    pub(super) active: usize,
    pub(super) ready: usize,
    pub(super) terminating: usize,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
    /// Completed indexes, where Indexed.
    pub(super) completed: BTreeSet<u32>,
}

/// Brings a Job's pods and status to what they should be.
pub(super) fn reconcile(round: &mut Round<'_>) {
    if round.owner.deleting() {
        return;
    }
    let path = format!(
        "/apis/batch/v1/namespaces/{}/jobs/{}",
        round.owner.namespace(),
        round.owner.name()
    );
    count_ended(round);
    let mut progress = progress(round);
    if job_status::is_finished(round.owner) {
        remove_active(round, usize::MAX);
        expire(round, &path);
        return;
    }
    let verdict = verdict(round, &progress);
    match verdict {
        Verdict::Failed { .. } | Verdict::Complete | Verdict::Suspended => {
            remove_active(round, usize::MAX);
        }
        Verdict::Running => {
            let wanted = wanted(&progress);
            let expected = progress.active + round.children.expected();
            if expected > wanted {
                remove_active(round, expected - wanted);
            } else if expected < wanted {
                create_pods(round, &progress, wanted - expected);
            }
        }
    }
    // What was just removed is no longer active; what was just asked for is not there yet.
    progress.count_pods(round);
    let status = job_status::status(round, &progress, &verdict);
    round.write_status(&path, status);
}

/// Notes every pod that has ended, succeeded or not, once.
fn count_ended(round: &mut Round<'_>) {
    let lost = round.children.take_lost();
    let children = &*round.children;
    let job = &mut round.memory.job;
    let mut failed_now: Vec<&Child> = lost.iter().collect();
    let mut succeeded_now = false;
    for child in children.seen() {
        match child.phase {
            Phase::Succeeded => {
                succeeded_now |= job.succeeded.insert(child.uid.clone(), child.index).is_none();
            }
            Phase::Failed => failed_now.push(child),
            Phase::Pending | Phase::Running if child.deleting && !children.is_removed(child) => {
                failed_now.push(child);
            }
            Phase::Pending | Phase::Running => {}
        }
    }
    if succeeded_now {
        job.failures_in_a_row = 0;
    }
    for child in failed_now {
        if job.failed.contains(&child.uid) || job.ignored.contains(&child.uid) {
            continue;
        }
        match failure_policy::judge(round.owner, child) {
            Judgement::Ignored => {
                job.ignored.insert(child.uid.clone());
                continue;
            }
            Judgement::FailsJob(why) => job.failed_by_policy = Some(why),
            Judgement::Counted => {}
        }
        job.failed.insert(child.uid.clone());
        if job.begun {
            job.failures_in_a_row += 1;
            job.last_failure = round.now;
        }
    }
    if !job.begun {
        job.begun = true;
        let status = &round.owner.0["status"];
        let count =
            |field: &str| status[field].as_u64().and_then(|count| usize::try_from(count).ok());
        job.succeeded_before = count("succeeded").unwrap_or(0).saturating_sub(job.succeeded.len());
        job.failed_before = count("failed").unwrap_or(0).saturating_sub(job.failed.len());
        job.indexes_before =
            job_status::read_indexes(status["completedIndexes"].as_str().unwrap_or(""));
    }
}

/// Where the Job stands.
fn progress(round: &Round<'_>) -> Progress {
    let spec = &round.owner.0["spec"];
    let completions = round.spec_count("completions");
    let indexed = spec["completionMode"] == "Indexed";
    let job = &round.memory.job;
    let mut completed = BTreeSet::new();
    if let Some(completions) = completions.filter(|_| indexed) {
        let all = job.succeeded.values().flatten().chain(&job.indexes_before);
        completed = all.copied().filter(|index| (*index as usize) < completions).collect();
    }
    let succeeded =
        if indexed { completed.len() } else { job.succeeded.len() + job.succeeded_before };
    let mut progress = Progress {
        parallelism: round.spec_count("parallelism").unwrap_or(1),
        completions,
        indexed,
        suspended: spec["suspend"] == true,
        active: 0,
        ready: 0,
        terminating: 0,
        succeeded,
        failed: job.failed.len() + job.failed_before,
        completed,
    };
    progress.count_pods(round);
    progress
}

impl Progress {
    /// Counts the pods that have not ended.
    fn count_pods(&mut self, round: &Round<'_>) {
        let children = &*round.children;
        let going = |child: &&Child| child.deleting || children.is_removed(child);
        self.active = children.active().count();
        self.ready = children.active().filter(|child| child.ready).count();
        self.terminating = children.seen().filter(|child| !child.ended()).filter(going).count();
    }
}

/// What is to become of the Job now.
fn verdict(round: &mut Round<'_>, progress: &Progress) -> Verdict {
    if let Some(why) = &round.memory.job.failed_by_policy {
        return Verdict::Failed { reason: "PodFailurePolicy", message: why.clone().into() };
    }
    let limit = round.spec_count("backoffLimit").unwrap_or(BACKOFF_LIMIT_DEFAULT);
    if progress.failed > limit {
        return Verdict::Failed {
            reason: "BackoffLimitExceeded",
            message: "Job has reached the specified backoff limit".into(),
        };
    }
    let none_left = progress.active + round.children.expected() == 0;
    let complete = match progress.completions {
        Some(completions) => progress.succeeded >= completions,
        None => progress.succeeded > 0 && none_left,
    };
    if complete {
        return Verdict::Complete;
    }
    if progress.suspended {
        return Verdict::Suspended;
    }
    if let Some(deadline) = round.owner.0["spec"]["activeDeadlineSeconds"].as_i64()
        && let Some(started) = job_status::start_time(round.owner)
    {
        let ends = started + Span::seconds(deadline);
        if ends <= round.now {
            return Verdict::Failed {
                reason: "DeadlineExceeded",
                message: "Job was active longer than specified deadline".into(),
            };
        }
        round.wake_at(ends);
    }
    Verdict::Running
}

/// How many pods should be active.
fn wanted(progress: &Progress) -> usize {
    match progress.completions {
        Some(completions) => progress.parallelism.min(completions - progress.succeeded),
        // Once one has succeeded, a Job without completions only waits for the others.
        None if progress.succeeded > 0 => progress.active.min(progress.parallelism),
        None => progress.parallelism,
    }
}

/// Asks for `count` pods, unless the Job waits after failures.
fn create_pods(round: &mut Round<'_>, progress: &Progress, count: usize) {
    let job = &round.memory.job;
    if job.failures_in_a_row > 0 {
        let doublings = (job.failures_in_a_row - 1).min(10);
        let wait = Span(BACKOFF_FIRST.0 << doublings).min(BACKOFF_MAX);
        let until = job.last_failure + wait;
        if round.now < until {
            round.wake_at(until);
            return;
        }
    }
    if progress.indexed {
        let mut used = round.children.expected_indexes();
        used.extend(round.children.active().filter_map(|child| child.index));
        let completions = u32::try_from(progress.completions.unwrap_or(0)).unwrap_or(u32::MAX);
        let free = (0..completions)
            .filter(|index| !used.contains(index) && !progress.completed.contains(index))
            .take(count);
        for index in free.collect::<Vec<_>>() {
            let pod = indexed_pod(round, index);
            round.create(pod);
        }
    } else {
        for _ in 0..count {
            let owner = round.owner;
            let name = round
                .children
                .free_name(|number| generated_name(owner.name(), owner.uid(), number));
            let pod = plain_pod(round, &name);
            round.create(pod);
        }
    }
}

/// A pod with the labels of its Job.
fn plain_pod(round: &Round<'_>, name: &str) -> Value {
    let owner = round.owner;
    let mut pod = pod_from(owner, name);
    for prefix in ["", "batch.kubernetes.io/"] {
        set_label(&mut pod, &format!("{prefix}job-name"), owner.name());
        set_label(&mut pod, &format!("{prefix}controller-uid"), owner.uid());
    }
    pod
}

/// The pod of one completion index; it finds the index in its environment, its label, and its host name.
fn indexed_pod(round: &Round<'_>, index: u32) -> Value {
    let owner = round.owner;
    let prefix = format!("{}-{index}", owner.name());
    let names = (0..).map(|attempt| generated_name(&prefix, owner.uid(), attempt));
    let name = names.into_iter().find(|name| !round.children.taken(name));
    let mut pod = plain_pod(round, &name.expect("there are more names than pods"));
    set_label(&mut pod, COMPLETION_INDEX, &index.to_string());
    set_annotation(&mut pod, COMPLETION_INDEX, &index.to_string());
    if pod["spec"]["hostname"].is_null() {
        pod["spec"]["hostname"] = json!(prefix);
    }
    let variable = json!({"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef":
        {"fieldPath": format!("metadata.labels['{COMPLETION_INDEX}']")}}});
    for list in ["initContainers", "containers"] {
        for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
            match container["env"].as_array_mut() {
                Some(variables) => variables.push(variable.clone()),
                None => container["env"] = json!([variable]),
            }
        }
    }
    pod
}

/// Removes `count` active pods: those that have come least far first, then the highest index, then the youngest.
fn remove_active(round: &mut Round<'_>, count: usize) {
    fn rank(child: &Child) -> impl Ord + '_ {
        let order = (std::cmp::Reverse(child.index), std::cmp::Reverse(child.created));
        (child.ready, child.phase, order, child.name.as_str())
    }
    let mut active: Vec<&Child> = round.children.active().collect();
    active.sort_unstable_by(|left, right| rank(left).cmp(&rank(right)));
    let names: Vec<String> =
        active.into_iter().take(count).map(|child| child.name.clone()).collect();
    round.remove(&names);
}

/// Deletes a finished Job once its time to live is over.
fn expire(round: &mut Round<'_>, path: &str) {
    let Some(seconds) = round.owner.0["spec"]["ttlSecondsAfterFinished"].as_i64() else { return };
    let Some(finished) = job_status::finish_time(round.owner) else { return };
    let expires = finished + Span::seconds(seconds);
    if round.now < expires {
        round.wake_at(expires);
    } else {
        round.writes.push(Write::delete(path, round.owner.uid(), None));
        round.wake_at(round.now + Span::seconds(60));
    }
}
