//! What keeps a process that stands by from the lease: since when, in which words, and when people are told. Pure.
//! Nobody leads while it lasts, so nobody else would say it.
//! Invariant: what lasts for less than half a minute is told to nobody.

use axum::http::Request;

use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::engine::order::Subject;
use crate::kubernetes::requests::EventText;
use crate::kubernetes::requests::NativeVersion;
use crate::kubernetes::requests::Regarding;
use crate::kubernetes::requests::Reporter;
use crate::kubernetes::requests::create_event;
use crate::kubernetes::requests::event_name;

/// What lasts for so long is told.
const TOLD_AFTER: Span = Span::seconds(30);

/// What lasts is told again after this: API servers keep events for an hour.
const AGAIN_AFTER: Span = Span::seconds(1800);

/// Other words are told this late after the last; and what could not be told is tried again.
const OTHER_WORDS_AFTER: Span = Span::seconds(60);

/// What keeps the lease from being had.
#[derive(Debug, Default)]
pub struct Obstacle {
    why: String,
    /// `None` while there is none.
    since: Option<Time>,
    told: Option<Told>,
}

/// An event about it.
#[derive(Debug)]
struct Told {
    at: Time,
    /// What it said; `None` where the API server did not take it.
    why: Option<String>,
}

impl Obstacle {
    /// The lease could not be read or written at `now`. True if that is news.
    pub fn met(&mut self, now: Time, why: &str) -> bool {
        self.since = self.since.or(Some(now));
        let is_news = self.why != why;
        why.clone_into(&mut self.why);
        is_news
    }

    /// The lease was read, and written if that was tried.
    pub fn is_gone(&mut self) {
        self.since = None;
        self.told = None;
    }

    /// Whether people are to be told at `now`.
    pub fn is_due(&self, now: Time) -> bool {
        let due = match &self.told {
            None => self.since.map(|since| since + TOLD_AFTER),
            Some(told) if told.why.as_ref() == Some(&self.why) => Some(told.at + AGAIN_AFTER),
            Some(told) => Some(told.at + OTHER_WORDS_AFTER),
        };
        due.is_some_and(|due| due <= now)
    }

    /// People were told at `now`.
    pub fn told(&mut self, now: Time) {
        self.told = Some(Told { at: now, why: Some(self.why.clone()) });
    }

    /// People were to be told at `now`, and the API server did not take it.
    pub fn not_told(&mut self, now: Time) {
        self.told = Some(Told { at: now, why: None });
    }

    /// The event about it, on the lease, where people look for who leads.
    pub fn event(&self, lease: &ObjectName, reporter: &Reporter, now: Time) -> Request<Vec<u8>> {
        let subject = Subject::Other {
            api_version: "coordination.k8s.io/v1",
            kind: "Lease",
            name: lease.clone(),
        };
        let about = Regarding { subject: &subject, native: NativeVersion::V1Beta1 };
        let text = EventText {
            warning: true,
            reason: "LeaseUnavailable",
            action: "LeaderElection",
            note: format!("no leader can be elected: the lease {lease}: {}", self.why),
        };
        let name = event_name(lease, now.0.unsigned_abs());
        create_event(&name, about, &text, reporter, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::EPOCH + Span::seconds(1_000 + seconds)
    }

    #[test]
    fn what_lasts_is_told_after_half_a_minute_and_every_half_hour() {
        let mut obstacle = Obstacle::default();
        assert!(obstacle.met(at(0), "forbidden"));
        assert!(!obstacle.met(at(29), "forbidden"));
        assert!(!obstacle.is_due(at(29)));
        obstacle.is_gone();
        obstacle.met(at(31), "forbidden");
        assert!(!obstacle.is_due(at(60)), "it was away in between");
        assert!(obstacle.is_due(at(61)));
        obstacle.told(at(61));
        obstacle.met(at(1_860), "forbidden");
        assert!(!obstacle.is_due(at(1_860)));
        assert!(obstacle.is_due(at(1_861)));
    }

    #[test]
    fn other_words_are_told_after_a_minute_and_so_is_what_could_not_be_told() {
        let mut obstacle = Obstacle::default();
        obstacle.met(at(0), "forbidden");
        assert!(obstacle.met(at(20), "away"), "that is news for the log");
        assert!(!obstacle.is_due(at(29)) && obstacle.is_due(at(30)));
        obstacle.told(at(30));
        assert!(obstacle.met(at(40), "forbidden"));
        assert!(!obstacle.is_due(at(89)) && obstacle.is_due(at(90)));
        obstacle.not_told(at(90));
        assert!(!obstacle.is_due(at(149)) && obstacle.is_due(at(150)));
    }
}
