//! Plain counters of what went over the wire, shared by the tasks of the rim. Telemetry reads copies.
//! The only lock of this room, held for one addition or one copy and never across a wait.
//! Nothing is decided by these numbers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use super::translate::Kind;

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
    /// Lists that were begun, by kind; the first of each is the start.
    pub lists: BTreeMap<Kind, u64>,
    /// Notices dropped unwritten.
    pub notices_dropped: u64,
    /// Objects that were older than what was known.
    pub stale_objects: u64,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A bind.
    Bind,
    /// A read that settles a doubtful bind.
    ReadPod,
    /// A condition, status, or event.
    Notice,
    /// Which APIs are served.
    Discovery,
}

impl Purpose {
    /// As metrics show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::ReadPod => "read_pod",
            Self::Notice => "notice",
            Self::Discovery => "discovery",
        }
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

    /// The counters as they stand.
    pub fn counts(&self) -> TrafficCounts {
        self.lock().clone()
    }

    /// A counter is right whoever panicked while adding to another.
    fn lock(&self) -> MutexGuard<'_, TrafficCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
