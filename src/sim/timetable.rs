//! Things to do later, ordered by time, then by the order in which they were planned.
//! Knows no clock: whoever owns a timetable says what time it is.
//! Invariant: what is cancelled or taken out is gone; an entry is handed out once.

use std::collections::BTreeMap;

use crate::base::time::Time;

/// Names one entry, so that it can be struck out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Appointment {
    at: Time,
    number: u64,
}

/// What to do and when.
#[derive(Clone, Debug)]
pub struct Timetable<T> {
    entries: BTreeMap<Appointment, T>,
    planned: u64,
}

impl<T> Default for Timetable<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Timetable<T> {
    /// An empty timetable.
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new(), planned: 0 }
    }

    /// Plans `what` for `at`.
    pub fn plan(&mut self, at: Time, what: T) -> Appointment {
        let appointment = Appointment { at, number: self.planned };
        self.planned += 1;
        self.entries.insert(appointment, what);
        appointment
    }

    /// Strikes out an entry; nothing happens if it is gone already.
    pub fn cancel(&mut self, appointment: Appointment) {
        self.entries.remove(&appointment);
    }

    /// Keeps what `keep` says, and strikes out the rest.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.entries.retain(|_, what| keep(what));
    }

    /// When the earliest entry is due.
    pub fn next(&self) -> Option<Time> {
        self.entries.first_key_value().map(|(appointment, _)| appointment.at)
    }

    /// Takes out the earliest entry that is due by `now`, with the time it was planned for.
    pub fn pop_due(&mut self, now: Time) -> Option<(Time, T)> {
        let entry = self.entries.first_entry()?;
        let at = entry.key().at;
        (at <= now).then(|| (at, entry.remove()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_by_time_and_then_as_planned() {
        let mut table = Timetable::default();
        table.plan(Time(20), "c");
        table.plan(Time(10), "a");
        table.plan(Time(10), "b");
        let struck = table.plan(Time(5), "struck");
        table.cancel(struck);
        table.cancel(struck);
        assert_eq!(table.next(), Some(Time(10)));
        assert_eq!(table.pop_due(Time(9)), None);
        assert_eq!(table.pop_due(Time(30)), Some((Time(10), "a")));
        assert_eq!(table.pop_due(Time(30)), Some((Time(10), "b")));
        assert_eq!(table.pop_due(Time(30)), Some((Time(20), "c")));
        assert_eq!(table.next(), None);
    }
}
