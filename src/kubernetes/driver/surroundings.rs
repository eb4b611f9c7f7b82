//! What is wrong around this process and lasts, told as events: nobody reads the log of last week.
//! Others find it (watches, discovery, the clock); here it is only put into words, for the board of notices.
//! Invariant: told by whoever leads and by nobody else, when it is new or other, and now and then while it lasts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Driver;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::engine::order::Notice;
use crate::engine::order::Subject;
use crate::kubernetes::lease::tenure::Tenure;
use crate::kubernetes::traffic::BLINDNESS_MAX;
use crate::kubernetes::traffic::TrafficCounts;

/// What lasts is told again after this: API servers keep events for an hour.
const AGAIN_AFTER: Span = Span::seconds(1800);

/// Other words about the same are told this late after the last.
const OTHER_WORDS_AFTER: Span = Span::seconds(60);

/// Calendars are set right by less than this all the time.
const CALENDAR_OFF_MIN: Span = Span::seconds(60);

/// What is wrong around this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// The CRD of PodGroups is served in other versions than the one that is read.
    UnreadPodGroups,
    /// Something cannot be listed or watched.
    WatchFailing,
    /// The API server refuses requests for lack of a right.
    RightMissing,
    /// The machine's calendar has moved away from the clock that this process counts by.
    CalendarMoved,
}

impl Trouble {
    /// The reason of its event.
    const fn as_str(self) -> &'static str {
        match self {
            Self::UnreadPodGroups => "UnreadPodGroups",
            Self::WatchFailing => "WatchFailing",
            Self::RightMissing => "RightMissing",
            Self::CalendarMoved => "CalendarMoved",
        }
    }
}

/// What was said about the surroundings of this process.
#[derive(Debug)]
pub struct Surroundings {
    tenure: Arc<Tenure>,
    lease: ObjectName,
    told: BTreeMap<Trouble, (Time, String)>,
}

impl Surroundings {
    /// Nothing was said yet. Only while `tenure` holds will anything be; what concerns this process itself is said
    /// about `lease`, where people look for who leads.
    pub fn new(tenure: &Arc<Tenure>, lease: &ObjectName) -> Self {
        Self { tenure: Arc::clone(tenure), lease: lease.clone(), told: BTreeMap::new() }
    }

    /// What is to be told of what is found wrong at `now`.
    fn tell(&mut self, found: BTreeMap<Trouble, String>, now: Time) -> Vec<Notice> {
        self.told.retain(|trouble, _| found.contains_key(trouble));
        let mut notices = Vec::new();
        for (trouble, note) in found {
            let due = self.told.get(&trouble).map(|(when, before)| {
                *when + if *before == note { AGAIN_AFTER } else { OTHER_WORDS_AFTER }
            });
            if due.is_none_or(|due| due <= now) {
                notices.push(self.notice(trouble, note.clone()));
                self.told.insert(trouble, (now, note));
            }
        }
        notices
    }

    fn notice(&self, trouble: Trouble, note: String) -> Notice {
        let about = match trouble {
            Trouble::UnreadPodGroups => Subject::Other {
                api_version: "apiextensions.k8s.io/v1",
                kind: "CustomResourceDefinition",
                name: ObjectName::new("", "podgroups.scheduling.x-k8s.io"),
            },
            Trouble::WatchFailing | Trouble::RightMissing | Trouble::CalendarMoved => {
                Subject::Other {
                    api_version: "coordination.k8s.io/v1",
                    kind: "Lease",
                    name: self.lease.clone(),
                }
            }
        };
        let reason = trouble.as_str();
        Notice::Event { about, warning: true, reason, action: "Scheduling", note }
    }
}

impl Driver {
    /// Tells what is wrong around this process, where it is news.
    pub(super) fn tell_surroundings(&mut self) {
        if !self.channels.surroundings.tenure.holds() || !self.engine.tells_events() {
            return;
        }
        let found = troubles(&self.traffic.counts(), self.clock.calendar_offset());
        for notice in self.channels.surroundings.tell(found, self.clock.now()) {
            self.board.post(notice);
        }
    }
}

fn troubles(traffic: &TrafficCounts, offset: Span) -> BTreeMap<Trouble, String> {
    let mut found = BTreeMap::new();
    if let Some(versions) = &traffic.foreign_group_versions {
        let note = format!(
            "PodGroups of scheduling.x-k8s.io are served as {versions} and not as v1alpha1, the version that is read: \
             their gangs wait until they are"
        );
        found.insert(Trouble::UnreadPodGroups, note);
    }
    let lasting = traffic.watch_troubles.iter();
    let lasting = lasting.filter(|(_, trouble)| trouble.since.elapsed() > BLINDNESS_MAX);
    let failing: Vec<String> =
        lasting.map(|(kind, trouble)| format!("{}: {}", kind.as_str(), trouble.why)).collect();
    if !failing.is_empty() {
        let note = format!("what cannot be listed or watched is not known: {}", failing.join("; "));
        found.insert(Trouble::WatchFailing, note);
    }
    let missing = traffic.rights_missing().filter(|(_, is_missing)| *is_missing);
    let missing: Vec<&str> = missing.map(|(right, _)| right).collect();
    if !missing.is_empty() {
        let note = format!(
            "the API server refuses for lack of a right: {}; the shipped role has all that are needed",
            missing.join(", ")
        );
        found.insert(Trouble::RightMissing, note);
    }
    if offset.0.saturating_abs() >= CALENDAR_OFF_MIN.0 {
        let minutes = offset.0.saturating_abs() / CALENDAR_OFF_MIN.0;
        let way = if offset.0 > 0 { "forward" } else { "back" };
        let note = format!(
            "the machine's calendar went {way} by about {minutes} min while this process ran: it decides nothing by it, \
             and dates what it writes by the clock of its start until it starts again"
        );
        found.insert(Trouble::CalendarMoved, note);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn told(surroundings: &mut Surroundings, offset: Span, at: i64) -> usize {
        let found = troubles(&TrafficCounts::default(), offset);
        surroundings.tell(found, Time::EPOCH + Span::seconds(at)).len()
    }

    #[test]
    fn what_lasts_is_told_when_it_is_new_and_every_half_hour() {
        let lease = ObjectName::new("kube-system", "muster");
        let mut surroundings = Surroundings::new(&Arc::new(Tenure::forever()), &lease);
        let hour = Span::seconds(3600);
        assert_eq!(told(&mut surroundings, Span::seconds(59), 0), 0, "that happens all the time");
        assert_eq!(told(&mut surroundings, hour, 10), 1);
        assert_eq!(told(&mut surroundings, hour, 1809), 0);
        assert_eq!(told(&mut surroundings, hour, 1810), 1);
        assert_eq!(told(&mut surroundings, Span(-hour.0), 1820), 0, "it may go to and fro");
        assert_eq!(told(&mut surroundings, Span(-hour.0), 1870), 1);
        assert_eq!(told(&mut surroundings, Span::ZERO, 1880), 0);
        assert_eq!(told(&mut surroundings, hour, 1890), 1, "it was right in between");
    }
}
