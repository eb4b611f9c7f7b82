//! From what was written to settings: defaults filled in, limits checked. Every default of the file stands here.
//! Knows no file and no flag; errors name the field, its value, its place, and the remedy.
//! Invariant: what leaves here is complete and within its limits, so no other room checks it again.

use std::net::SocketAddr;

use super::ConfigurationError;
use super::file::API_VERSION;
use super::file::ConfigurationFile;
use super::file::Given;
use super::file::KIND;
use super::file::LeaderElection;
use super::rim::ElectionMode;
use super::rim::ElectionSettings;
use super::rim::HttpSettings;
use super::rim::KubernetesSettings;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::engine::settings::AfterRepair;
use crate::engine::settings::Notices;
use crate::engine::settings::Settings;
use crate::engine::settings::UnnamedScheduler;
use crate::planner;

const SCHEDULER_NAME: &str = "muster";
const BACKOFF_SECONDS_INITIAL: u32 = 1;
const BACKOFF_SECONDS_MAX: u32 = 10;
const OVERTAKING_SECONDS_MAX: u32 = 300;
const BINDING_TIMEOUT_SECONDS: u32 = 60;
const DOUBT_SECONDS_INITIAL: u32 = 1;
const DOUBT_SECONDS_MAX: u32 = 10;
const REPAIR_TIMEOUT_SECONDS: u32 = 300;
const QUARANTINE_SECONDS_INITIAL: u32 = 10;
const QUARANTINE_SECONDS_MAX: u32 = 600;
const RECORD_SECONDS_KEPT: u32 = 600;
const VOLUME_TIMEOUT_SECONDS: u32 = 600;
const NOTICE_DELAY_MILLISECONDS: u32 = 500;
const NOTICE_REPEAT_SECONDS_INITIAL: u32 = 10;
const NOTICE_REPEAT_SECONDS_MAX: u32 = 300;
const GROUP_STATUS_SECONDS_MIN: u32 = 1;
const NOTICES_PER_CYCLE_MAX: u32 = 500;
const NOTICE_PAUSE_MILLISECONDS: u32 = 100;
const ATTEMPTS_PER_CYCLE_MAX: u32 = 256;
const PODS_PER_CYCLE_MAX: u32 = 4096;
const SEARCH_STEPS_MAX: u64 = 200_000;
const BINDS_CONCURRENT_MAX: u32 = 64;
const WRITE_TIMEOUT_SECONDS: u32 = 2;
const READ_TIMEOUT_SECONDS: u32 = 5;
const WATCH_TIMEOUT_SECONDS: u32 = 60;
const RECOUNT_PERIOD_SECONDS: u32 = 600;
const LEASE_NAMESPACE: &str = "kube-system";
const LEASE_NAME: &str = "muster";
const LEASE_DURATION_SECONDS: u32 = 15;
const RENEW_DEADLINE_SECONDS: u32 = 10;
const RETRY_PERIOD_SECONDS: u32 = 2;
const LINE_ADDRESS: &str = "0.0.0.0:0";
const LISTEN_ADDRESS: &str = "0.0.0.0:10259";

/// A day: longer pauses and limits are slips of the pen.
const DAY_SECONDS: u32 = 86_400;

/// Everything that can be configured, checked and complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The engine's settings.
    pub engine: Settings,
    /// Traffic with the Kubernetes API.
    pub kubernetes: KubernetesSettings,
    /// Health, metrics, explanations.
    pub http: HttpSettings,
}

/// Fills in the defaults and checks the limits.
///
/// # Errors
/// A value out of its limits, or a file of another kind or version.
pub fn resolve(file: &ConfigurationFile) -> Result<Configuration, ConfigurationError> {
    exactly("apiVersion", &file.api_version, API_VERSION)?;
    exactly("kind", &file.kind, KIND)?;
    Ok(Configuration {
        engine: engine(file)?,
        kubernetes: kubernetes(file)?,
        http: http(&file.http.listen_address)?,
    })
}

fn engine(file: &ConfigurationFile) -> Result<Settings, ConfigurationError> {
    let [backoff, doubt, quarantine, repeat] = growing_pauses(file)?;
    let notices = &file.notices;
    let (overtaking, status) =
        (&file.backlog.overtaking_seconds_max, &notices.group_status_seconds_min);
    let (attempts, pods) = (&file.cycle.attempts_max, &file.cycle.pods_max);
    Ok(Settings {
        scheduler_names: scheduler_names(&file.scheduler_names)?,
        unnamed_scheduler: UnnamedScheduler::LeftAlone,
        backoff_initial: backoff.0,
        backoff_max: backoff.1,
        schedule_timeout: seconds(
            "binding.timeoutSeconds",
            &file.binding.timeout_seconds,
            BINDING_TIMEOUT_SECONDS,
        )?,
        volume_timeout: seconds(
            "binding.volumeTimeoutSeconds",
            &file.binding.volume_timeout_seconds,
            VOLUME_TIMEOUT_SECONDS,
        )?,
        doubt_initial: doubt.0,
        doubt_max: doubt.1,
        records_kept: seconds(
            "binding.recordSecondsKept",
            &file.binding.record_seconds_kept,
            RECORD_SECONDS_KEPT,
        )?,
        identity: Settings::default().identity,
        repair_timeout: seconds(
            "repair.timeoutSeconds",
            &file.repair.timeout_seconds,
            REPAIR_TIMEOUT_SECONDS,
        )?,
        after_repair: after_repair(&file.repair.afterwards)?,
        quarantine_initial: quarantine.0,
        quarantine_max: quarantine.1,
        overtaking_after: seconds(
            "backlog.overtakingSecondsMax",
            overtaking,
            OVERTAKING_SECONDS_MAX,
        )?,
        notices: told(&notices.events),
        notice_after: notice_delay(&notices.delay_milliseconds)?,
        notice_again_after: repeat.0,
        notice_again_max: repeat.1,
        group_status_every: seconds(
            "notices.groupStatusSecondsMin",
            status,
            GROUP_STATUS_SECONDS_MIN,
        )?,
        notices_per_cycle: count(
            "notices.perCycleMax",
            &notices.per_cycle_max,
            NOTICES_PER_CYCLE_MAX,
        )?,
        notice_pause: milliseconds(
            "notices.pauseMilliseconds",
            &notices.pause_milliseconds,
            NOTICE_PAUSE_MILLISECONDS,
            10_000,
        )?,
        attempts_per_cycle: count("cycle.attemptsMax", attempts, ATTEMPTS_PER_CYCLE_MAX)?,
        placed_per_cycle: count("cycle.podsMax", pods, PODS_PER_CYCLE_MAX)?,
        profiles: Vec::new(),
        planner: planner::Settings { search_steps_max: search_steps_max(&file.search.steps_max)? },
    })
}

/// The pauses that grow: first and longest of backoff, doubt, quarantine, and repetition.
fn growing_pauses(file: &ConfigurationFile) -> Result<[(Span, Span); 4], ConfigurationError> {
    let (backlog, binding) = (&file.backlog, &file.binding);
    let (repair, notices) = (&file.repair, &file.notices);
    let pauses = [
        Growing { section: "backlog", stem: "backoffSeconds" }.resolve(
            (&backlog.backoff_seconds_initial, BACKOFF_SECONDS_INITIAL),
            (&backlog.backoff_seconds_max, BACKOFF_SECONDS_MAX),
        )?,
        Growing { section: "binding", stem: "doubtSeconds" }.resolve(
            (&binding.doubt_seconds_initial, DOUBT_SECONDS_INITIAL),
            (&binding.doubt_seconds_max, DOUBT_SECONDS_MAX),
        )?,
        Growing { section: "repair", stem: "quarantineSeconds" }.resolve(
            (&repair.quarantine_seconds_initial, QUARANTINE_SECONDS_INITIAL),
            (&repair.quarantine_seconds_max, QUARANTINE_SECONDS_MAX),
        )?,
        Growing { section: "notices", stem: "repeatSeconds" }.resolve(
            (&notices.repeat_seconds_initial, NOTICE_REPEAT_SECONDS_INITIAL),
            (&notices.repeat_seconds_max, NOTICE_REPEAT_SECONDS_MAX),
        )?,
    ];
    Ok(pauses)
}

/// A pause that doubles from an initial to a longest value: `STEMInitial` and `STEMMax`.
struct Growing {
    section: &'static str,
    stem: &'static str,
}

impl Growing {
    fn resolve(
        &self,
        initial: (&Given<u32>, u32),
        longest: (&Given<u32>, u32),
    ) -> Result<(Span, Span), ConfigurationError> {
        let Self { section, stem } = self;
        let (initial_name, longest_name) =
            (format!("{section}.{stem}Initial"), format!("{section}.{stem}Max"));
        let least = seconds(&initial_name, initial.0, initial.1)?;
        let most = seconds(&longest_name, longest.0, longest.1)?;
        if most < least {
            let message =
                format!("{longest_name}: {most} must not be shorter than {initial_name} ({least})");
            return Err(ConfigurationError {
                at: place(longest.0).or_else(|| place(initial.0)),
                message,
            });
        }
        Ok((least, most))
    }
}

fn kubernetes(file: &ConfigurationFile) -> Result<KubernetesSettings, ConfigurationError> {
    let given = &file.kubernetes;
    let binds = within(
        "kubernetes.bindsConcurrentMax",
        &given.binds_concurrent_max,
        BINDS_CONCURRENT_MAX,
        (1, 256),
    )?;
    let write_timeout = seconds(
        "kubernetes.writeTimeoutSeconds",
        &given.write_timeout_seconds,
        WRITE_TIMEOUT_SECONDS,
    )?;
    Ok(KubernetesSettings {
        binds_concurrent_max: binds as usize,
        write_timeout,
        read_timeout: seconds(
            "kubernetes.readTimeoutSeconds",
            &given.read_timeout_seconds,
            READ_TIMEOUT_SECONDS,
        )?,
        watch_timeout: seconds(
            "kubernetes.watchTimeoutSeconds",
            &given.watch_timeout_seconds,
            WATCH_TIMEOUT_SECONDS,
        )?,
        recount_period: seconds(
            "kubernetes.recountPeriodSeconds",
            &given.recount_period_seconds,
            RECOUNT_PERIOD_SECONDS,
        )?,
        election: election(&file.leader_election, write_timeout)?,
    })
}

fn election(
    given: &LeaderElection,
    write_timeout: Span,
) -> Result<ElectionSettings, ConfigurationError> {
    let enabled = given.enabled.as_ref().is_none_or(|enabled| enabled.value);
    let lease_duration = seconds(
        "leaderElection.leaseDurationSeconds",
        &given.lease_duration_seconds,
        LEASE_DURATION_SECONDS,
    )?;
    let deadline_name = "leaderElection.renewDeadlineSeconds";
    let renew_deadline =
        seconds(deadline_name, &given.renew_deadline_seconds, RENEW_DEADLINE_SECONDS)?;
    let retry_name = "leaderElection.retryPeriodSeconds";
    let retry_period = seconds(retry_name, &given.retry_period_seconds, RETRY_PERIOD_SECONDS)?;
    if renew_deadline.0 + write_timeout.0 >= lease_duration.0 {
        let remedy = format!(
            "with kubernetes.writeTimeoutSeconds ({write_timeout}) must be shorter than \
             leaderElection.leaseDurationSeconds ({lease_duration}): a write begun in time must not end too late"
        );
        return Err(wrong(
            deadline_name,
            &given.renew_deadline_seconds,
            &renew_deadline.to_string(),
            &remedy,
        ));
    }
    if 2 * retry_period.0 > renew_deadline.0 {
        let remedy = format!("must be at most half of {deadline_name} ({renew_deadline})");
        return Err(wrong(
            retry_name,
            &given.retry_period_seconds,
            &retry_period.to_string(),
            &remedy,
        ));
    }
    let object_name = |field: &str, given: &Given<String>, default: &str| {
        let name = given.as_ref().map_or(default, |name| name.value.as_str()).to_owned();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if name.is_empty() || name.len() > 253 || !name.chars().all(fits) {
            let remedy =
                "is no name of a Kubernetes object; use lower-case letters, digits, and dashes";
            return Err(wrong(field, given, &format!("{name:?}"), remedy));
        }
        Ok(name)
    };
    let namespace = object_name("leaderElection.namespace", &given.namespace, LEASE_NAMESPACE)?;
    let name = object_name("leaderElection.name", &given.name, LEASE_NAME)?;
    Ok(ElectionSettings {
        mode: if enabled { ElectionMode::Elected } else { ElectionMode::Alone },
        lease: ObjectName::new(&namespace, &name),
        lease_duration,
        renew_deadline,
        retry_period,
        line_address: address("leaderElection.lineAddress", &given.line_address, LINE_ADDRESS)?,
    })
}

fn scheduler_names(given: &Given<Vec<String>>) -> Result<Vec<Name>, ConfigurationError> {
    let Some(names) = given else { return Ok(vec![SCHEDULER_NAME.into()]) };
    if names.value.is_empty() {
        return Err(wrong(
            "schedulerNames",
            given,
            "[]",
            "must name at least one scheduler; leave it out for [muster]",
        ));
    }
    for (index, name) in names.value.iter().enumerate() {
        if name.is_empty() || name.len() > 253 || name.chars().any(char::is_whitespace) {
            let remedy = "is no scheduler name; use the word that pods give as spec.schedulerName";
            return Err(wrong("schedulerNames", given, &format!("{name:?}"), remedy));
        }
        if names.value[..index].contains(name) {
            return Err(wrong(
                "schedulerNames",
                given,
                &format!("{name:?}"),
                "is listed twice; list it once",
            ));
        }
    }
    Ok(names.value.iter().map(|name| name.as_str().into()).collect())
}

fn http(given: &Given<String>) -> Result<HttpSettings, ConfigurationError> {
    let listen_address = address("http.listenAddress", given, LISTEN_ADDRESS)?;
    Ok(HttpSettings { listen_address })
}

fn address(
    field: &str,
    given: &Given<String>,
    default: &str,
) -> Result<SocketAddr, ConfigurationError> {
    let text = given.as_ref().map_or(default, |address| address.value.as_str());
    text.parse().map_err(|_| {
        let remedy =
            "is no address to listen on; write IP:PORT, such as 127.0.0.1:10259 or [::]:10259";
        wrong(field, given, &format!("{text:?}"), remedy)
    })
}

fn search_steps_max(given: &Given<u64>) -> Result<u64, ConfigurationError> {
    let steps = given.as_ref().map_or(SEARCH_STEPS_MAX, |steps| steps.value);
    if steps < 1_000 {
        let remedy =
            "must be at least 1000; a search that ends sooner misses placements that exist";
        return Err(wrong("search.stepsMax", given, &steps.to_string(), remedy));
    }
    Ok(steps)
}

fn after_repair(given: &Given<String>) -> Result<AfterRepair, ConfigurationError> {
    match given.as_ref().map_or("restart", |given| given.value.as_str()) {
        "restart" => Ok(AfterRepair::Restart),
        "hold" => Ok(AfterRepair::Hold),
        other => {
            Err(wrong("repair.afterwards", given, &format!("{other:?}"), "must be restart or hold"))
        }
    }
}

/// Events are written unless the file says otherwise.
fn told(events: &Given<bool>) -> Notices {
    let written = events.as_ref().is_none_or(|given| given.value);
    if written { Notices::Told } else { Notices::WithoutEvents }
}

fn notice_delay(given: &Given<u32>) -> Result<Span, ConfigurationError> {
    // Every waiting gang says within 2 s what it waits for; that promise leaves 1.5 s at most.
    milliseconds("notices.delayMilliseconds", given, NOTICE_DELAY_MILLISECONDS, 1_500)
}

fn milliseconds(
    field: &str,
    given: &Given<u32>,
    default: u32,
    most: u32,
) -> Result<Span, ConfigurationError> {
    Ok(Span::milliseconds(i64::from(within(field, given, default, (0, most))?)))
}

fn count(field: &str, given: &Given<u32>, default: u32) -> Result<usize, ConfigurationError> {
    Ok(within(field, given, default, (1, 1_000_000))? as usize)
}

fn seconds(field: &str, given: &Given<u32>, default: u32) -> Result<Span, ConfigurationError> {
    Ok(Span::seconds(i64::from(within(field, given, default, (1, DAY_SECONDS))?)))
}

fn within(
    field: &str,
    given: &Given<u32>,
    default: u32,
    (least, most): (u32, u32),
) -> Result<u32, ConfigurationError> {
    let value = given.as_ref().map_or(default, |given| given.value);
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(wrong(field, given, &value.to_string(), &format!("must be between {least} and {most}")))
}

fn exactly(field: &str, given: &Given<String>, expected: &str) -> Result<(), ConfigurationError> {
    match given {
        Some(given_value) if given_value.value != expected => {
            let remedy = format!("is not understood by this release; write {expected}");
            Err(wrong(field, given, &format!("{:?}", given_value.value), &remedy))
        }
        _ => Ok(()),
    }
}

fn wrong<T>(field: &str, given: &Given<T>, value: &str, remedy: &str) -> ConfigurationError {
    ConfigurationError { at: place(given), message: format!("{field}: {value} {remedy}") }
}

fn place<T>(given: &Given<T>) -> Option<(u64, u64)> {
    given.as_ref().map(|given| (given.referenced.line(), given.referenced.column()))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::super::shipped::CONFIGURATION;
    use super::Configuration;
    use super::Settings;
    use super::resolve;

    fn check(text: &str) -> Result<Configuration, String> {
        parse(text).and_then(|file| resolve(&file)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shipped_file_shows_every_field_at_its_default() {
        assert_eq!(
            check(CONFIGURATION),
            check(""),
            "deploy/config.yaml must show the defaults of resolve.rs"
        );
        let written = format!("{:?}", parse(CONFIGURATION).expect("the shipped file parses"));
        assert!(!written.contains("None"), "deploy/config.yaml leaves a field out: {written}");
    }

    #[test]
    fn the_engine_has_the_same_defaults() {
        assert_eq!(check("").expect("the defaults are valid").engine, Settings::default());
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let mut expected = check("").expect("the defaults are valid");
        expected.engine.scheduler_names = vec!["muster".into(), "coscheduling".into()];
        assert_eq!(check("schedulerNames: [muster, coscheduling]\n"), Ok(expected));
    }

    #[test]
    fn errors_name_place_field_value_and_remedy() {
        let cases = [
            (
                "kind: SchedulerConfiguration\nbacklog:\n  backoffSecondMax: 3\n",
                "line 3, column 3: unknown field \"backoffSecondMax\": did you mean \"backoffSecondsMax\"? \
                 Valid here: backoffSecondsInitial, backoffSecondsMax, overtakingSecondsMax",
            ),
            (
                "kubernetes:\n  bindsConcurrentMax: 0\n",
                "line 2, column 23: kubernetes.bindsConcurrentMax: 0 must be between 1 and 256",
            ),
            (
                "backlog: {backoffSecondsInitial: 20}\n",
                "line 1, column 34: backlog.backoffSecondsMax: 10s must not be shorter than \
                 backlog.backoffSecondsInitial (20s)",
            ),
            (
                "apiVersion: v1\n",
                "line 1, column 13: apiVersion: \"v1\" is not understood by this release; \
                 write config.muster.dev/v1alpha1",
            ),
            (
                "http: {listenAddress: \":80\"}\n",
                "line 1, column 23: http.listenAddress: \":80\" is no address to listen on; \
                 write IP:PORT, such as 127.0.0.1:10259 or [::]:10259",
            ),
            (
                "schedulerNames: []\n",
                "line 1, column 17: schedulerNames: [] must name at least one scheduler; leave it out for [muster]",
            ),
            (
                "schedulerNames: [a, b, a]\n",
                "line 1, column 17: schedulerNames: \"a\" is listed twice; list it once",
            ),
            (
                "search: {stepsMax: 3}\n",
                "line 1, column 20: search.stepsMax: 3 must be at least 1000; \
                 a search that ends sooner misses placements that exist",
            ),
            (
                "repair: {afterwards: kill}\n",
                "line 1, column 22: repair.afterwards: \"kill\" must be restart or hold",
            ),
            (
                "leaderElection: {renewDeadlineSeconds: 13}\n",
                "line 1, column 40: leaderElection.renewDeadlineSeconds: 13s with kubernetes.writeTimeoutSeconds \
                 (2s) must be shorter than leaderElection.leaseDurationSeconds (15s): a write begun in time must not \
                 end too late",
            ),
            (
                "leaderElection: {retryPeriodSeconds: 6}\n",
                "line 1, column 38: leaderElection.retryPeriodSeconds: 6s must be at most half of \
                 leaderElection.renewDeadlineSeconds (10s)",
            ),
            (
                "leaderElection: {namespace: My_Own}\n",
                "line 1, column 29: leaderElection.namespace: \"My_Own\" is no name of a Kubernetes object; \
                 use lower-case letters, digits, and dashes",
            ),
            (
                "notices:\n  delayMilliseconds: 4000\n",
                "line 2, column 22: notices.delayMilliseconds: 4000 must be between 0 and 1500",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(check(text).expect_err(text), expected);
        }
    }

    #[test]
    fn values_of_the_wrong_type_and_broken_yaml_say_where() {
        let cases = [
            (
                "backlog: {backoffSecondsMax: soon}\n",
                "line 1, column 30: backlog.backoffSecondsMax: \"soon\" must be a whole number from 0 to 4294967295",
            ),
            (
                "binding: {timeoutSeconds: -5}\n",
                "line 1, column 27: binding.timeoutSeconds: -5 must be a whole number from 0 to 4294967295",
            ),
            (
                "search:\n  stepsMax: 99999999999999999999\n",
                "line 2, column 13: search.stepsMax: 99999999999999999999 must be a whole number from 0 to \
                 18446744073709551615",
            ),
            (
                "leaderElection: {enabled: 7}\n",
                "line 1, column 27: leaderElection.enabled: 7 must be true or false",
            ),
            ("- a\n", "line 1, column 1: expected mapping start in `- a`"),
        ];
        for (text, expected) in cases {
            assert_eq!(check(text).expect_err(text), expected);
        }
        for text in ["backlog: [\n", "kind: a\nkind: b\n", "kind: \"a\n"] {
            let error = check(text).expect_err(text);
            assert!(error.starts_with("line "), "{text:?}: {error}");
        }
    }
}
