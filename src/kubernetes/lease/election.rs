//! The election as one process sees it: is told what was read and written, and says what to do next. Pure.
//! Knows no client and reads no clock; times are of the local monotonic clock, never of the lease.
//! A deadline counts from before the renewal was sent, and a leader that reads another name, or none, has lost.
//!
//! ```text
//!            absent, released, expired, or its holder's process gone
//!  standing by ───────────────── compare-and-swap ─────────────────▶ leading ──▶ lost (the process ends)
//!       ▲  └── somebody else was faster: read again                    │  renewed before the deadline
//!       └──────────────────────────────────────────                    └──┘
//! ```

use super::record::LeaseRecord;
use crate::base::names::Name;
use crate::base::time::Span;
use crate::base::time::Time;

/// Times of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A lease that has not changed for so long may be taken.
    pub lease_duration: Span,
    /// A leader that could not renew for so long stops. Shorter than the duration by more than one write takes.
    pub renew_deadline: Span,
    /// From one renewal, or one look of a standby, to the next.
    pub retry_period: Span,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this.
    Wait(Time),
    /// Create the lease.
    Create,
    /// Take or renew the lease in place of this version.
    Take(LeaseRecord),
    /// Leadership is over.
    Lost,
}

/// The state.
#[derive(Debug)]
pub struct Election {
    identity: Name,
    times: Times,
    seen: Seen,
    /// A holder whose process is known to be gone.
    departed: Option<Name>,
    /// While leading: no write after this.
    deadline: Option<Time>,
    /// While leading: when the next renewal is due.
    renewal_due: Time,
}

#[derive(Debug)]
enum Seen {
    Nothing,
    Absent,
    Lease {
        record: LeaseRecord,
        /// When it was first seen as it is.
        since: Time,
    },
}

impl Election {
    /// A candidate that has seen nothing.
    pub const fn new(identity: Name, times: Times) -> Self {
        Self {
            identity,
            times,
            seen: Seen::Nothing,
            departed: None,
            deadline: None,
            renewal_due: Time::EPOCH,
        }
    }

    /// The lease was read; `None` where there is none.
    pub fn observe(&mut self, now: Time, lease: Option<LeaseRecord>) {
        let Some(record) = lease else {
            self.seen = Seen::Absent;
            return;
        };
        let since = match &self.seen {
            Seen::Lease { record: before, since } if !record.renewed_since(before) => *since,
            Seen::Lease { .. } | Seen::Absent | Seen::Nothing => now,
        };
        self.seen = Seen::Lease { record, since };
    }

    /// The process of `holder` is gone: its kernel has closed what it had open.
    pub fn departed(&mut self, holder: Name) {
        self.departed = Some(holder);
    }

    /// True if the process of `holder` is known to be gone.
    pub fn has_departed(&self, holder: &str) -> bool {
        self.departed.as_deref() == Some(holder)
    }

    /// A write that was sent at `sent` made this process the holder, in the version that `lease` has.
    pub fn won(&mut self, sent: Time, lease: LeaseRecord) {
        self.deadline = Some(sent + self.times.renew_deadline);
        self.renewal_due = sent + self.times.retry_period;
        self.seen = Seen::Lease { record: lease, since: sent };
    }

    /// A renewal failed without telling anything: it is tried again soon, and the deadline stays.
    pub fn renewal_failed(&mut self, now: Time) {
        self.renewal_due = now + Span(self.times.retry_period.0 / 4);
    }

    /// What to do at `now`.
    pub fn next(&self, now: Time) -> Next {
        match self.deadline {
            Some(deadline) => self.next_of_leader(now, deadline),
            None => self.next_of_standby(now),
        }
    }

    /// While leading: no write after this.
    pub const fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// The lease as last seen.
    pub const fn lease(&self) -> Option<&LeaseRecord> {
        match &self.seen {
            Seen::Lease { record, .. } => Some(record),
            Seen::Nothing | Seen::Absent => None,
        }
    }

    fn next_of_leader(&self, now: Time, deadline: Time) -> Next {
        let Seen::Lease { record, .. } = &self.seen else {
            // Somebody has deleted it, and everybody may create it: that is no place to insist.
            return Next::Lost;
        };
        if now >= deadline || record.holder() != &*self.identity {
            return Next::Lost;
        }
        if now < self.renewal_due {
            return Next::Wait(self.renewal_due.min(deadline));
        }
        Next::Take(record.clone())
    }

    fn next_of_standby(&self, now: Time) -> Next {
        let (record, since) = match &self.seen {
            Seen::Nothing => return Next::Wait(now),
            Seen::Absent => return Next::Create,
            Seen::Lease { record, since } => (record, *since),
        };
        let holder = record.holder();
        // Ours already: a write of ours took effect whose reply was lost. Writing again tells since when.
        let free = holder.is_empty() || holder == &*self.identity;
        if free || self.has_departed(holder) {
            return Next::Take(record.clone());
        }
        // Whoever is configured for longer is waited for longer.
        let duration = record.duration().unwrap_or(Span::ZERO).max(self.times.lease_duration);
        let expiry = since + duration;
        if now >= expiry {
            return Next::Take(record.clone());
        }
        Next::Wait(expiry.min(now + self.times.retry_period))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TIMES: Times = Times {
        lease_duration: Span::seconds(15),
        renew_deadline: Span::seconds(10),
        retry_period: Span::seconds(2),
    };

    fn at(seconds: i64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    fn lease(holder: &str, version: u64) -> LeaseRecord {
        LeaseRecord::new(json!({
            "metadata": {"resourceVersion": version.to_string()},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": version.to_string()},
        }))
    }

    fn candidate() -> Election {
        Election::new("me".into(), TIMES)
    }

    #[test]
    fn what_is_absent_or_released_is_taken_at_once() {
        let mut election = candidate();
        assert_eq!(election.next(at(0)), Next::Wait(at(0)), "nothing was read yet");
        election.observe(at(0), None);
        assert_eq!(election.next(at(0)), Next::Create);
        election.observe(at(1), Some(lease("", 3)));
        assert_eq!(election.next(at(1)), Next::Take(lease("", 3)));
    }

    #[test]
    fn a_silent_holder_is_waited_for_by_the_local_clock_since_its_last_change() {
        let mut election = candidate();
        election.observe(at(100), Some(lease("other", 3)));
        assert_eq!(election.next(at(100)), Next::Wait(at(102)));
        election.observe(at(110), Some(lease("other", 4)));
        election.observe(at(124), Some(lease("other", 4)));
        assert_eq!(election.next(at(124)), Next::Wait(at(125)));
        election.observe(at(125), Some(lease("other", 4)));
        assert_eq!(election.next(at(125)), Next::Take(lease("other", 4)));
    }

    #[test]
    fn what_others_annotate_is_no_sign_of_life() {
        let mut election = candidate();
        election.observe(at(0), Some(lease("other", 3)));
        let mut annotated = json!({"metadata": {"resourceVersion": "9"}});
        annotated["spec"] =
            json!({"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": "3"});
        let annotated = LeaseRecord::new(annotated);
        election.observe(at(15), Some(annotated.clone()));
        assert_eq!(election.next(at(15)), Next::Take(annotated));
    }

    #[test]
    fn a_holder_whose_process_is_gone_is_not_waited_for_and_its_successor_is() {
        let mut election = candidate();
        election.observe(at(0), Some(lease("other", 3)));
        election.departed("other".into());
        assert_eq!(election.next(at(0)), Next::Take(lease("other", 3)));
        election.observe(at(0), Some(lease("third", 4)));
        assert_eq!(election.next(at(0)), Next::Wait(at(2)));
    }

    #[test]
    fn the_deadline_counts_from_before_the_renewal_was_sent() {
        let mut election = candidate();
        election.won(at(0), lease("me", 3));
        assert_eq!(election.next(at(1)), Next::Wait(at(2)));
        assert_eq!(election.next(at(2)), Next::Take(lease("me", 3)));
        election.renewal_failed(at(4));
        assert_eq!(election.next(at(4)), Next::Wait(at(4) + Span::milliseconds(500)));
        assert_eq!(election.next(at(9)), Next::Take(lease("me", 3)));
        assert_eq!(election.next(at(10)), Next::Lost);
        election.won(at(9), lease("me", 5));
        assert_eq!(election.deadline(), Some(at(19)));
    }

    #[test]
    fn a_leader_that_reads_another_name_or_none_has_lost() {
        let mut election = candidate();
        election.won(at(0), lease("me", 3));
        election.observe(at(1), Some(lease("other", 4)));
        assert_eq!(election.next(at(1)), Next::Lost);
        election.won(at(0), lease("me", 3));
        election.observe(at(1), None);
        assert_eq!(election.next(at(1)), Next::Lost);
    }

    #[test]
    fn a_win_whose_reply_was_lost_is_confirmed_by_writing_again() {
        let mut election = candidate();
        election.observe(at(3), Some(lease("me", 4)));
        assert_eq!(election.next(at(3)), Next::Take(lease("me", 4)));
    }
}
