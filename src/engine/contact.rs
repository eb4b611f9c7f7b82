//! Time during which the API answered. Deadlines of bindings count by it: an outage gives nobody's seats away.
//! Reads no clock. Invariant: it never goes faster than time itself, and stands still from the moment at which an
//! order was given out whose outcome nobody could learn until something is heard again.

use crate::base::time::{Span, Time};

/// The clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contact {
    /// When something was heard last.
    heard: Time,
    /// Since when nothing was heard, where that was noticed.
    silent_since: Option<Time>,
    /// How long it was silent in all, before that.
    lost: Span,
}

impl Default for Contact {
    fn default() -> Self {
        Self { heard: Time(i64::MIN), silent_since: None, lost: Span::ZERO }
    }
}

impl Contact {
    /// A clear outcome came at `now`. True if that ends a silence: times that had no [`Self::when`] have one again.
    pub(super) fn heard(&mut self, now: Time) -> bool {
        let silent_since = self.silent_since.take();
        if let Some(since) = silent_since {
            self.lost = Span(self.lost.0.saturating_add((now - since).0.max(0)));
        }
        self.heard = self.heard.max(now);
        silent_since.is_some()
    }

    /// An order that was given out at `issued` came back without an outcome.
    pub(super) fn unheard(&mut self, issued: Time) {
        self.silent_since.get_or_insert(issued.max(self.heard));
    }

    /// What the clock shows at `now`.
    pub(super) fn shows(&self, now: Time) -> Time {
        let until = self.silent_since.map_or(now, |since| now.min(since));
        Time(until.0.saturating_sub(self.lost.0))
    }

    /// When it will show `time`; `None` while it stands still before that.
    pub(super) fn when(&self, time: Time) -> Option<Time> {
        let at = Time(time.0.saturating_add(self.lost.0));
        match self.silent_since {
            Some(since) if at > since => None,
            Some(_) | None => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Contact;
    use crate::base::time::{Span, Time};

    fn at(seconds: i64) -> Time {
        Time::EPOCH + Span::seconds(seconds)
    }

    #[test]
    fn an_outage_does_not_count() {
        let mut contact = Contact::default();
        assert!(!contact.heard(at(10)));
        assert_eq!(contact.shows(at(12)), at(12));
        contact.unheard(at(11));
        contact.unheard(at(15));
        assert_eq!(contact.shows(at(30)), at(11));
        assert_eq!(contact.when(at(20)), None);
        assert!(contact.heard(at(40)));
        assert_eq!(contact.shows(at(41)), at(12));
        assert_eq!(contact.when(at(20)), Some(at(49)));
    }

    #[test]
    fn what_was_heard_while_an_order_was_under_way_counts_as_contact() {
        let mut contact = Contact::default();
        contact.heard(at(20));
        contact.unheard(at(5));
        assert_eq!(contact.shows(at(30)), at(20));
    }
}
