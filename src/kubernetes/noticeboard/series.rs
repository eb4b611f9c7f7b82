//! Events that repeat: the same note counts into the event that was created, another note waits until a new event about
//! the same subject and reason may be created. Knows no requests.
//! Invariant: no event is counted again for something that it does not say.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::engine::order::Subject;
use crate::kubernetes::requests::EventText;

/// Events that are remembered for their repeats.
const SERIES_MAX: usize = 10_000;

/// A repeat within this time counts into the series of the first, as in kube-scheduler's clients.
pub(super) const SERIES_SPAN: Span = Span::seconds(360);

/// A changed note about the same subject and reason is a new event at most this often.
pub(super) const NOTE_CHANGE_SPAN: Span = Span::seconds(60);

/// Uid of the subject, and reason.
pub(super) type SeriesKey = (Name, &'static str);

/// Events that may repeat.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) told: BTreeMap<SeriesKey, Told>,
    /// When each was begun, in that order; one that was begun anew since stands here twice.
    pub(super) order: VecDeque<(Time, SeriesKey)>,
    /// Other notes that wait, the latest of each series.
    late: BTreeMap<SeriesKey, (Time, Subject, EventText)>,
    /// When they may be told.
    due: BTreeSet<(Time, SeriesKey)>,
}

/// An event that was created, and how often it has happened.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) name: ObjectName,
    pub(super) note: String,
    pub(super) count: u32,
    pub(super) at: Time,
}

/// What is to be done with an event.
#[derive(Debug)]
pub(super) enum Telling {
    /// It is a new one.
    Anew,
    /// It is this one again.
    Repeat(Told),
    /// It says something else than one that was created a moment ago, and waits until then.
    Later(Time),
}

impl Series {
    /// Judges an event, and counts it where it is a repeat.
    pub(super) fn judge(&mut self, key: &SeriesKey, note: &str, now: Time) -> Telling {
        // Whatever waits has been overtaken.
        self.forget_late(key);
        let Some(told) = self.told.get_mut(key) else { return Telling::Anew };
        let age = now - told.at;
        if told.note == note && age <= SERIES_SPAN {
            told.count += 1;
            return Telling::Repeat(told.clone());
        }
        if told.note != note && age < NOTE_CHANGE_SPAN {
            return Telling::Later(told.at + NOTE_CHANGE_SPAN);
        }
        Telling::Anew
    }

    /// An event was created.
    pub(super) fn begin(&mut self, key: SeriesKey, told: Told) {
        let now = told.at;
        self.order.push_back((told.at, key.clone()));
        self.told.insert(key, told);
        // What is older counts no repeat any more.
        while self.order.len() > SERIES_MAX
            || self.order.front().is_some_and(|(begun, _)| now - *begun > SERIES_SPAN)
        {
            let Some((begun, key)) = self.order.pop_front() else { break };
            if self.told.get(&key).is_some_and(|told| told.at == begun) {
                self.told.remove(&key);
            }
        }
    }

    /// Keeps an event until it may be told.
    pub(super) fn keep(&mut self, key: SeriesKey, due: Time, about: Subject, text: EventText) {
        self.due.insert((due, key.clone()));
        self.late.insert(key, (due, about, text));
    }

    /// Takes out an event that may be told now.
    pub(super) fn take_due(&mut self, now: Time) -> Option<(Subject, EventText)> {
        let (_, key) = self.due.first().filter(|(due, _)| *due <= now).cloned()?;
        self.forget_late(&key)
    }

    /// When the next event that waits may be told.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    /// What waits to be told of this subject holds no longer.
    pub(super) fn withdraw(&mut self, uid: &Name) {
        let keys = self.late.range((uid.clone(), "")..).map(|(key, _)| key);
        let keys: Vec<SeriesKey> = keys.take_while(|(of, _)| of == uid).cloned().collect();
        for key in keys {
            self.forget_late(&key);
        }
    }

    fn forget_late(&mut self, key: &SeriesKey) -> Option<(Subject, EventText)> {
        let (due, about, text) = self.late.remove(key)?;
        self.due.remove(&(due, key.clone()));
        Some((about, text))
    }
}
