//! The configuration as written: every field optional, none unknown, each value with its place in the file.
//! No defaults and no limits here: both are the business of `resolve`.
//! A field's name is its name in the file in another case, with the unit in it: `backoffSecondsMax`.

use serde::Deserialize;
use serde_saphyr::Spanned;

/// `apiVersion` of the file.
pub const API_VERSION: &str = "config.muster.dev/v1alpha1";

/// `kind` of the file.
pub const KIND: &str = "SchedulerConfiguration";

/// A value with its line and column; `None` where the file leaves it out.
pub type Given<T> = Option<Spanned<T>>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigurationFile {
    /// [`API_VERSION`].
    pub api_version: Given<String>,
    /// [`KIND`].
    pub kind: Given<String>,
    /// Names that pods may give as `spec.schedulerName` to be Muster's.
    pub scheduler_names: Given<Vec<String>>,
    /// The waiting line.
    #[serde(default)]
    pub backlog: Backlog,
    /// The binding of a gang once it has a plan.
    #[serde(default)]
    pub binding: Binding,
    /// Gangs that lose members after they have started.
    #[serde(default)]
    pub repair: Repair,
    /// The search for a placement.
    #[serde(default)]
    pub search: Search,
    /// One scheduling cycle.
    #[serde(default)]
    pub cycle: Cycle,
    /// Conditions and events.
    #[serde(default)]
    pub notices: Notices,
    /// Traffic with the Kubernetes API.
    #[serde(default)]
    pub kubernetes: Kubernetes,
    /// Which of several processes leads.
    #[serde(default)]
    pub leader_election: LeaderElection,
    /// Health, metrics, explanations.
    #[serde(default)]
    pub http: Http,
}

/// The waiting line.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backlog {
    /// Pause after the first failed attempt to bind.
    pub backoff_seconds_initial: Given<u32>,
    /// Longest pause; it doubles until then.
    pub backoff_seconds_max: Given<u32>,
    /// How long a gang may be overtaken before a place is kept for it.
    pub overtaking_seconds_max: Given<u32>,
}

/// The binding of a gang once it has a plan.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    /// How long it may take where the PodGroup does not say.
    pub timeout_seconds: Given<u32>,
    /// How long the claims of a pod may take to be bound once the pod has a node.
    pub volume_timeout_seconds: Given<u32>,
    /// Pause before a bind of which nobody knows what became of it is sent again.
    pub doubt_seconds_initial: Given<u32>,
    /// Longest such pause; it doubles until then.
    pub doubt_seconds_max: Given<u32>,
    /// How long the record of a plan is kept that nobody needs any more.
    pub record_seconds_kept: Given<u32>,
}

/// Gangs that lose members after they have started.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Repair {
    /// How long replacements are awaited.
    pub timeout_seconds: Given<u32>,
    /// What becomes of the gang then: `restart` or `hold`.
    pub afterwards: Given<String>,
    /// How long a node that turned a pod away takes no others.
    pub quarantine_seconds_initial: Given<u32>,
    /// Longest such time; it doubles until then.
    pub quarantine_seconds_max: Given<u32>,
}

/// The search for a placement.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Search {
    /// Combinations that one search tries before it gives up.
    pub steps_max: Given<u64>,
}

/// Limits of one scheduling cycle.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cycle {
    /// Gangs tried.
    pub attempts_max: Given<u32>,
    /// Pods placed.
    pub pods_max: Given<u32>,
}

/// Conditions and events.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Notices {
    /// Whether events are written beside conditions and statuses.
    pub events: Given<bool>,
    /// How long a gang is left in peace before its waiting is announced.
    pub delay_milliseconds: Given<u32>,
    /// Pause before the same reason is told again with other words.
    pub repeat_seconds_initial: Given<u32>,
    /// Longest such pause; it doubles until then.
    pub repeat_seconds_max: Given<u32>,
    /// Least time between two writes of one PodGroup's status.
    pub group_status_seconds_min: Given<u32>,
    /// Notices of one cycle.
    pub per_cycle_max: Given<u32>,
    /// Rest between cycles that were full of notices.
    pub pause_milliseconds: Given<u32>,
}

/// Traffic with the Kubernetes API.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubernetes {
    /// Bind requests under way at once.
    pub binds_concurrent_max: Given<u32>,
    /// Limit of one write.
    pub write_timeout_seconds: Given<u32>,
    /// Limit of one read or one page of a listing.
    pub read_timeout_seconds: Given<u32>,
    /// How long one watch request lasts before it is renewed.
    pub watch_timeout_seconds: Given<u32>,
    /// From one recount against fresh listings to the next.
    pub recount_period_seconds: Given<u32>,
}

/// Which of several processes leads.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaderElection {
    /// Whether there is an election.
    pub enabled: Given<bool>,
    /// Namespace of the Lease.
    pub namespace: Given<String>,
    /// Name of the Lease.
    pub name: Given<String>,
    /// How long a lease that does not change is respected.
    pub lease_duration_seconds: Given<u32>,
    /// How long a leader goes on without a renewal.
    pub renew_deadline_seconds: Given<u32>,
    /// From one renewal to the next.
    pub retry_period_seconds: Given<u32>,
    /// `IP:PORT` of the line for standbys; port 0 takes any.
    pub line_address: Given<String>,
}

/// Health, metrics, explanations.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// `HOST:PORT` to listen on.
    pub listen_address: Given<String>,
}
