//! kube-scheduler's own configuration, accepted as it is: what it says is translated into Muster's settings, what
//! makes no sense here is named in a warning, what kube-scheduler would refuse is refused.
//! Text of the file in, settings and warnings out. Invariant: no field is passed over in silence.

mod arguments;
pub mod file;
mod profile;
mod scores;
mod spreading;
#[cfg(test)]
mod tests;

use serde_saphyr::Spanned;

use self::file::API_VERSION;
use self::file::KIND;
use self::file::KubeSchedulerConfiguration;
use super::ConfigurationError;
use super::Resolved;
use super::diagnosis;
use super::file::Backlog;
use super::file::ConfigurationFile;
use super::file::Given;
use super::file::LeaderElection;
use super::resolve::resolve;
use crate::base::names::Name;
use crate::base::time::Span;

/// The scheduler of a profile that names none, if it is the only one.
const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// Fields of Muster's file that stand for fields of this one, in messages about their limits.
const NAMES: [(&str, &str); 8] = [
    ("leaderElection.leaseDurationSeconds", "leaderElection.leaseDuration"),
    ("leaderElection.renewDeadlineSeconds", "leaderElection.renewDeadline"),
    ("leaderElection.retryPeriodSeconds", "leaderElection.retryPeriod"),
    ("leaderElection.namespace", "leaderElection.resourceNamespace"),
    ("leaderElection.name", "leaderElection.resourceName"),
    ("backlog.backoffSecondsInitial", "podInitialBackoffSeconds"),
    ("backlog.backoffSecondsMax", "podMaxBackoffSeconds"),
    ("schedulerNames", "profiles[].schedulerName"),
];

/// Reads and resolves the file.
///
/// # Errors
/// What kube-scheduler refuses, and extenders and plugins of others, which cannot run here.
pub fn read(text: &str) -> Result<Resolved, ConfigurationError> {
    let file: KubeSchedulerConfiguration =
        serde_saphyr::from_str(text).map_err(|error| diagnosis::of(&error, text))?;
    exactly("apiVersion", &file.api_version, API_VERSION)?;
    exactly("kind", &file.kind, KIND)?;
    if file.extenders.as_ref().is_some_and(|extenders| !extenders.value.is_empty()) {
        let message =
            "extenders: are not called here, and what they refuse would be bound; remove them";
        return Err(wrong(&file.extenders, message.to_owned()));
    }
    percentage("percentageOfNodesToScore", &file.percentage_of_nodes_to_score)?;
    let mut warnings = without_effect(&file);
    let (names, profiles) = profiles(&file, &mut warnings)?;
    let election = leader_election(&file)?;
    let translated = ConfigurationFile {
        scheduler_names: Some(names),
        backlog: Backlog {
            backoff_seconds_initial: whole(
                "podInitialBackoffSeconds",
                &file.pod_initial_backoff_seconds,
            )?,
            backoff_seconds_max: whole("podMaxBackoffSeconds", &file.pod_max_backoff_seconds)?,
            ..Backlog::default()
        },
        leader_election: election,
        ..ConfigurationFile::default()
    };
    let mut configuration = resolve(&translated).map_err(renamed)?;
    configuration.engine.profiles = profiles;
    Ok(Resolved { configuration, warnings })
}

type Profiles = Vec<(Name, std::sync::Arc<crate::workload::profile::Profile>)>;

/// The schedulers' names, and the profiles of those that have one of their own.
fn profiles(
    file: &KubeSchedulerConfiguration,
    warnings: &mut Vec<String>,
) -> Result<(Spanned<Vec<String>>, Profiles), ConfigurationError> {
    let unplaced = serde_saphyr::Location::UNKNOWN;
    let written = file.profiles.as_deref().unwrap_or_default();
    let mut names = Vec::new();
    let mut own = Profiles::new();
    for (index, profile) in written.iter().enumerate() {
        let name = match &profile.scheduler_name {
            Some(name) => name.value.clone(),
            None if written.len() == 1 => DEFAULT_SCHEDULER.to_owned(),
            None => {
                let message = format!(
                    "profiles[{index}].schedulerName: is missing; name one for each profile"
                );
                return Err(ConfigurationError { at: None, message });
            }
        };
        percentage(
            &format!("profiles[{index}].percentageOfNodesToScore"),
            &profile.percentage_of_nodes_to_score,
        )?;
        if profile.percentage_of_nodes_to_score.is_some() {
            warnings.push(format!("profiles[{index}].percentageOfNodesToScore: {ALL_NODES}"));
        }
        let meaning = profile::meaning(index, profile)?;
        warnings.extend(meaning.warnings);
        own.extend(meaning.profile.map(|profile| (name.as_str().into(), profile)));
        names.push(name);
    }
    if written.is_empty() {
        names.push(DEFAULT_SCHEDULER.to_owned());
    }
    let first = written.first().and_then(|profile| profile.scheduler_name.as_ref());
    let place = first.map_or(unplaced, |name| name.referenced);
    Ok((Spanned::new(names, place, place), own))
}

/// Why a share of the nodes to score is of no use.
const ALL_NODES: &str = "is not needed: Muster looks at every node";

/// Fields of the file itself that are written and have no effect.
fn without_effect(file: &KubeSchedulerConfiguration) -> Vec<String> {
    let connection = file.client_connection.as_ref();
    let of_connection = |given: fn(&file::ClientConnection) -> bool| connection.is_some_and(given);
    let paced =
        "requests are paced by how fast the server answers; see kubernetes.bindsConcurrentMax";
    let told = [
        (file.parallelism.is_some(), "parallelism", "decisions are made by one thread"),
        (file.percentage_of_nodes_to_score.is_some(), "percentageOfNodesToScore", ""),
        (file.enable_profiling.is_some(), "enableProfiling", "there is no such endpoint"),
        (
            file.enable_contention_profiling.is_some(),
            "enableContentionProfiling",
            "there is no such endpoint",
        ),
        (
            file.delay_cache_until_active.as_ref().is_some_and(|delay| delay.value),
            "delayCacheUntilActive",
            "standbys know everything, so that they take over at once",
        ),
        (
            of_connection(|connection| {
                connection.kubeconfig.as_ref().is_some_and(|path| !path.value.is_empty())
            }),
            "clientConnection.kubeconfig",
            "name the file with --kubeconfig",
        ),
        (of_connection(|connection| connection.qps.is_some()), "clientConnection.qps", paced),
        (of_connection(|connection| connection.burst.is_some()), "clientConnection.burst", paced),
        (
            of_connection(|connection| {
                connection.content_type.is_some() || connection.accept_content_types.is_some()
            }),
            "clientConnection.contentType",
            "requests are JSON",
        ),
    ];
    let written = told.into_iter().filter(|(written, ..)| *written);
    let sentence = |(_, field, instead): (bool, &str, &str)| match instead {
        "" => format!("{field}: {ALL_NODES}"),
        instead => format!("{field}: has no effect here: {instead}"),
    };
    written.map(sentence).collect()
}

fn leader_election(
    file: &KubeSchedulerConfiguration,
) -> Result<LeaderElection, ConfigurationError> {
    let Some(given) = &file.leader_election else { return Ok(LeaderElection::default()) };
    exactly("leaderElection.resourceLock", &given.resource_lock, "leases")?;
    let copied = |text: &Given<String>| text.as_ref().map(clone_of);
    Ok(LeaderElection {
        enabled: given.leader_elect.as_ref().map(clone_of),
        namespace: copied(&given.resource_namespace),
        name: copied(&given.resource_name),
        lease_duration_seconds: duration("leaderElection.leaseDuration", &given.lease_duration)?,
        renew_deadline_seconds: duration("leaderElection.renewDeadline", &given.renew_deadline)?,
        retry_period_seconds: duration("leaderElection.retryPeriod", &given.retry_period)?,
        line_address: None,
    })
}

fn clone_of<T: Clone>(given: &Spanned<T>) -> Spanned<T> {
    Spanned::new(given.value.clone(), given.referenced, given.defined)
}

/// A duration such as `15s`, in whole seconds; absent and 0 mean the default, as upstream.
fn duration(field: &str, given: &Given<String>) -> Result<Given<u32>, ConfigurationError> {
    let Some(text) = given else { return Ok(None) };
    let Ok(span) = text.value.parse::<Span>() else {
        let message = format!("{field}: {:?} is no duration; write 15s or 1m30s", text.value);
        return Err(wrong(given, message));
    };
    if span == Span::ZERO {
        return Ok(None);
    }
    let seconds = u32::try_from(span.0 / Span::seconds(1).0).ok();
    match seconds.filter(|seconds| Span::seconds(i64::from(*seconds)) == span) {
        Some(seconds) => Ok(Some(Spanned::new(seconds, text.referenced, text.defined))),
        None => Err(wrong(given, format!("{field}: {span} must be a whole number of seconds"))),
    }
}

fn whole(field: &str, given: &Given<i64>) -> Result<Given<u32>, ConfigurationError> {
    let Some(number) = given else { return Ok(None) };
    match u32::try_from(number.value) {
        Ok(value) => Ok(Some(Spanned::new(value, number.referenced, number.defined))),
        Err(_) => Err(wrong(given, format!("{field}: {} must be greater than 0", number.value))),
    }
}

fn percentage(field: &str, given: &Given<i64>) -> Result<(), ConfigurationError> {
    match given {
        Some(share) if !(0..=100).contains(&share.value) => {
            Err(wrong(given, format!("{field}: {} must be between 0 and 100", share.value)))
        }
        _ => Ok(()),
    }
}

fn exactly(field: &str, given: &Given<String>, expected: &str) -> Result<(), ConfigurationError> {
    match given {
        Some(text) if text.value != expected => Err(wrong(
            given,
            format!(
                "{field}: {:?} is not understood by this release; write {expected}",
                text.value
            ),
        )),
        _ => Ok(()),
    }
}

fn wrong<T>(given: &Given<T>, message: String) -> ConfigurationError {
    let at = given.as_ref().map(|given| (given.referenced.line(), given.referenced.column()));
    ConfigurationError { at, message }
}

/// The error in the names of this file.
fn renamed(error: ConfigurationError) -> ConfigurationError {
    let rename = |message: String, (ours, theirs): (&str, &str)| message.replace(ours, theirs);
    ConfigurationError { message: NAMES.into_iter().fold(error.message, rename), ..error }
}
