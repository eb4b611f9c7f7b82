//! Plain counters of what went over the wire, shared by the tasks of the rim. Telemetry reads copies.
//! The only lock of this room, held for one addition or one copy and never across a wait.
//! Nothing is decided by these numbers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::translate::Kind;

/// A watch that fails for longer than this is told: the process counts as blind.
pub const BLINDNESS_MAX: Duration = Duration::from_secs(30);

/// A right that nothing was refused for so long counts as given. What is tried seldom is tried within it.
const RIGHT_MISSED_MAX: Duration = Duration::from_secs(600);

/// Counters that tasks add to.
#[derive(Debug, Default)]
pub struct Traffic {
    counts: Mutex<TrafficCounts>,
}

/// Sums since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Writes and single reads by what they were for and HTTP status; status 0 where no answer came.
    pub requests: BTreeMap<(Purpose, u16), u64>,
    /// Watch and list errors by kind.
    pub watch_errors: BTreeMap<Kind, u64>,
    /// What keeps a kind from being listed or watched now.
    pub watch_troubles: BTreeMap<Kind, Trouble>,
    /// Lists that were begun, by kind; the first of each is the start.
    pub lists: BTreeMap<Kind, u64>,
    /// Watches that had to wait because those before them ended at once.
    pub watches_slowed: BTreeMap<Kind, u64>,
    /// Notices dropped unwritten.
    pub notices_dropped: u64,
    /// Recounts by what they came to.
    pub recounts: BTreeMap<Recounted, u64>,
    /// Objects that were older than what was known.
    pub stale_objects: u64,
    /// The versions of the PodGroup CRD, where Muster reads none of them.
    pub foreign_group_versions: Option<String>,
    /// Rights that the API server has missed, as in `create pods/binding`, and when last.
    pub rights_missed: BTreeMap<String, Instant>,
}

impl TrafficCounts {
    /// Every right that was ever missed, and whether it still counts as missing: it was missed not long ago.
    pub fn rights_missing(&self) -> impl Iterator<Item = (&str, bool)> {
        let missing = self.rights_missed.iter();
        missing.map(|(right, last)| (right.as_str(), last.elapsed() < RIGHT_MISSED_MAX))
    }
}

/// A list or watch that fails, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Instant,
    /// The latest error.
    pub why: String,
}

/// What a recount came to. One that finds a difference which nothing explains ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recounted {
    /// Everything is as believed.
    Agreed,
    /// Events under way explained what differed.
    Explained,
    /// The API server did not answer.
    Failed,
}

impl Recounted {
    /// Every result there is.
    pub const ALL: [Self; 3] = [Self::Agreed, Self::Explained, Self::Failed];

    /// As metrics show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Explained => "explained",
            Self::Failed => "failed",
        }
    }
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A bind.
    Bind,
    /// A read that settles a doubtful write.
    InDoubt,
    /// A record of a gang's plan.
    Record,
    /// The annotation that decides a plan.
    Commit,
    /// A read before binds go out.
    Verify,
    /// A touch that fences off binds under way.
    Fence,
    /// An eviction.
    Evict,
    /// A claim or a volume.
    Volume,
    /// A condition, status, or event.
    Notice,
    /// Which APIs are served.
    Discovery,
    /// A question that opens a connection before it is needed.
    Connect,
    /// The lease, read and written.
    Lease,
}

impl Purpose {
    /// As metrics show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::InDoubt => "in_doubt",
            Self::Record => "record",
            Self::Commit => "commit",
            Self::Verify => "verify",
            Self::Fence => "fence",
            Self::Evict => "evict",
            Self::Volume => "volume",
            Self::Notice => "notice",
            Self::Discovery => "discovery",
            Self::Connect => "connect",
            Self::Lease => "lease",
        }
    }

    /// Whether of an answer that grants it only the status is read: servers send back what was written.
    pub const fn needs_no_answer(self) -> bool {
        matches!(self, Self::Bind | Self::Notice | Self::Connect)
    }
}

impl Traffic {
    /// Adds to the counters.
    pub fn count(&self, add: impl FnOnce(&mut TrafficCounts)) {
        add(&mut self.lock());
    }

    /// Counts a request and the status that it came back with.
    pub fn request(&self, purpose: Purpose, status: u16) {
        self.count(|counts| *counts.requests.entry((purpose, status)).or_default() += 1);
    }

    /// A request was refused with this message; remembers the right that it lacked, where that is why.
    pub fn refused(&self, message: &str) {
        if let Some(right) = right_missed(message) {
            self.lock().rights_missed.insert(right, Instant::now());
        }
    }

    /// A list or watch of `kind` failed. True if that was not known yet, or has another cause now.
    pub fn watch_failed(&self, kind: Kind, why: String) -> bool {
        self.refused(&why);
        let mut counts = self.lock();
        *counts.watch_errors.entry(kind).or_default() += 1;
        match counts.watch_troubles.get_mut(&kind) {
            Some(trouble) if trouble.why == why => false,
            Some(trouble) => {
                trouble.why = why;
                true
            }
            None => {
                counts.watch_troubles.insert(kind, Trouble { since: Instant::now(), why });
                true
            }
        }
    }

    /// A watch of `kind` has started. True if it had failed before.
    pub fn watch_stands(&self, kind: Kind) -> bool {
        self.lock().watch_troubles.remove(&kind).is_some()
    }

    /// The counters as they stand.
    pub fn counts(&self) -> TrafficCounts {
        self.lock().clone()
    }

    /// A counter is right whoever panicked while adding to another.
    fn lock(&self) -> MutexGuard<'_, TrafficCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Verb and resource of an authorizer's refusal: `... cannot VERB resource "RESOURCE" in API group "GROUP" ...`. Webhooks
/// and quotas refuse with the same status, and in other words.
fn right_missed(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("\" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, _) = rest.split_once('"')?;
    let (plural, below) = match resource.split_once('/') {
        Some((plural, below)) => (plural, format!("/{below}")),
        None => (resource, String::new()),
    };
    let dot = if group.is_empty() { "" } else { "." };
    Some(format!("{verb} {plural}{dot}{group}{below}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_read_from_the_words_of_the_authorizer_and_from_no_others() {
        let bind = r#"pods "p" is forbidden: User "system:serviceaccount:muster-system:muster" cannot create resource "pods/binding" in API group "" in the namespace "default""#;
        assert_eq!(right_missed(bind).as_deref(), Some("create pods/binding"));
        let list = r#"podgroups.scheduling.k8s.io is forbidden: User "x" cannot list resource "podgroups" in API group "scheduling.k8s.io" at the cluster scope"#;
        assert_eq!(right_missed(list).as_deref(), Some("list podgroups.scheduling.k8s.io"));
        let status = r#"podgroups.scheduling.x-k8s.io "g" is forbidden: User "x" cannot patch resource "podgroups/status" in API group "scheduling.x-k8s.io" in the namespace "default""#;
        let expected = Some("patch podgroups.scheduling.x-k8s.io/status");
        assert_eq!(right_missed(status).as_deref(), expected);
        for other in [
            r#"pods "p" is forbidden: exceeded quota: few"#,
            r#"admission webhook "no.example.com" denied the request: you cannot"#,
            "",
        ] {
            assert_eq!(right_missed(other), None, "{other}");
        }
    }
}
