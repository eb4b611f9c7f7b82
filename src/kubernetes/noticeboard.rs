//! Notices on their way to the API: the latest of each subject, gangs by turns, bounded. Pure.
//! People can do without any of these, so they wait while binds wait, and the oldest events are dropped first.
//! Invariants: at most one write about a subject is under way; what has been overtaken is never written.

mod series;
mod turns;

use std::collections::BTreeMap;
use std::collections::VecDeque;

use axum::http::Request;

use self::series::Series;
use self::series::SeriesKey;
use self::series::Telling;
use self::series::Told;
use self::turns::Place;
use self::turns::Turns;
use super::requests::ConditionStamp;
use super::requests::EventText;
use super::requests::NativeVersion;
use super::requests::Regarding;
use super::requests::Reporter;
use super::requests::create_event;
use super::requests::event_name;
use super::requests::group_status;
use super::requests::pod_condition;
use super::requests::repeat_event;
use super::views::View;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::engine::order::Notice;
use crate::engine::order::Subject;

/// Conditions and statuses that may wait; beyond it the oldest are dropped.
const STATES_MAX: usize = 200_000;

/// Events that may wait; beyond it the oldest are dropped.
const EVENTS_MAX: usize = 20_000;

/// A state whose write the API server forbids is written again after this: the right may be given any time, and
/// nothing else would say the word again.
const FORBIDDEN_REST: Span = Span::seconds(10);

/// Names a write about a state; a newer one about the same replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKey {
    /// Condition of the pod with this uid.
    Pod(Name),
    /// Status of the PodGroup with this uid.
    Group(Name),
}

/// A write that was taken off the board.
#[derive(Debug)]
pub struct Posting {
    /// What to send.
    pub request: Request<Vec<u8>>,
    /// Set for states, which are put back where the write failed for a passing reason.
    pub state: Option<(StateKey, Notice)>,
}

/// When a write that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// As soon as there is room.
    Soon,
    /// After a rest, while others go first.
    Later,
}

/// Whether a word that is being written still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Holds,
    /// It was withdrawn meanwhile: should the write fail, it is not tried again.
    Withdrawn,
}

/// The board.
#[derive(Debug)]
pub struct Noticeboard {
    reporter: Reporter,
    states: BTreeMap<StateKey, Notice>,
    turns: Turns,
    under_way: BTreeMap<StateKey, Standing>,
    /// States that rest before they are written again, and in which order their rests end.
    resting: BTreeMap<StateKey, Notice>,
    rests: VecDeque<(Time, StateKey)>,
    events: VecDeque<(Subject, EventText)>,
    series: Series,
    stamps: u64,
    dropped: u64,
}

impl Noticeboard {
    /// An empty board.
    pub fn new(reporter: Reporter) -> Self {
        Self {
            reporter,
            states: BTreeMap::new(),
            turns: Turns::default(),
            under_way: BTreeMap::new(),
            resting: BTreeMap::new(),
            rests: VecDeque::new(),
            events: VecDeque::new(),
            series: Series::default(),
            stamps: 0,
            dropped: 0,
        }
    }

    /// Puts a notice up.
    pub fn post(&mut self, notice: Notice) {
        match notice {
            Notice::Waiting { ref pod, .. } => self.put(StateKey::Pod(pod.uid.clone()), notice),
            Notice::Group { ref uid, .. } => self.put(StateKey::Group(uid.clone()), notice),
            Notice::Event { about, warning, reason, action, note } => {
                self.events.push_back((about, EventText { warning, reason, action, note }));
                if self.events.len() > EVENTS_MAX {
                    self.events.pop_front();
                    self.dropped += 1;
                }
            }
        }
    }

    /// The pod is bound or gone: it no longer waits, so nothing may say so.
    pub fn withdraw_pod(&mut self, uid: &Name) {
        let key = StateKey::Pod(uid.clone());
        self.states.remove(&key);
        self.resting.remove(&key);
        self.series.withdraw(uid);
        if let Some(standing) = self.under_way.get_mut(&key) {
            *standing = Standing::Withdrawn;
        }
    }

    /// Takes the next write off the board: states before events.
    pub fn take(&mut self, now: Time, pods: &mut View, native: NativeVersion) -> Option<Posting> {
        self.end_rests(now);
        if let Some(posting) = self.take_state(now, pods, native) {
            return Some(posting);
        }
        while let Some((subject, text)) = self.events.pop_front() {
            if let Some(request) = self.event_request(subject, text, now, (pods, native)) {
                return Some(Posting { request, state: None });
            }
        }
        None
    }

    /// The next state that may be written; those of which an earlier word is under way keep their turn.
    fn take_state(&mut self, now: Time, pods: &mut View, native: NativeVersion) -> Option<Posting> {
        let mut held = Vec::new();
        let mut taken = None;
        while taken.is_none()
            && let Some(place) = self.turns.pop()
        {
            if self.under_way.contains_key(&place.key) {
                held.push(place);
                continue;
            }
            let key = place.key;
            let Some(notice) = self.states.remove(&key) else { continue };
            let Some(request) = state_request(&notice, now, pods, native) else { continue };
            self.under_way.insert(key.clone(), Standing::Holds);
            taken = Some(Posting { request, state: Some((key, notice)) });
        }
        held.into_iter().for_each(|place| self.turns.push(place));
        taken
    }

    /// A write about a state has ended at `now`. `again` puts it back, unless something newer is up or it no longer
    /// holds.
    pub fn settled(&mut self, key: StateKey, again: Option<(Notice, Again)>, now: Time) {
        let standing = self.under_way.remove(&key);
        let Some((notice, when)) = again else { return };
        if standing == Some(Standing::Withdrawn) || self.states.contains_key(&key) {
            return;
        }
        match when {
            Again::Soon => self.put(key, notice),
            Again::Later => {
                self.rests.push_back((now + FORBIDDEN_REST, key.clone()));
                self.resting.insert(key, notice);
            }
        }
    }

    /// When the next rest ends.
    pub fn rest_ends(&self) -> Option<Time> {
        let rests = self.rests.front().map(|(until, _)| *until);
        rests.into_iter().chain(self.series.next_due()).min()
    }

    fn end_rests(&mut self, now: Time) {
        while let Some((_, key)) = self.rests.pop_front_if(|(until, _)| *until <= now) {
            if let Some(notice) = self.resting.remove(&key) {
                self.put(key, notice);
            }
        }
        while let Some(event) = self.series.take_due(now) {
            self.events.push_back(event);
        }
    }

    /// Writes that wait.
    pub fn len(&self) -> usize {
        self.states.len() + self.events.len()
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if a write may be taken at `now`.
    pub fn is_ready(&self, now: Time) -> bool {
        !self.is_empty() || self.rest_ends().is_some_and(|until| until <= now)
    }

    /// Notices that were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn put(&mut self, key: StateKey, notice: Notice) {
        self.resting.remove(&key);
        let gang = match &notice {
            Notice::Waiting { gang, .. } => Some(gang.clone()),
            Notice::Group { .. } | Notice::Event { .. } => None,
        };
        if self.states.insert(key.clone(), notice).is_none() {
            self.turns.push(Place { key, gang: gang.clone() });
        }
        while self.states.len() > STATES_MAX {
            let Some(given_up) = self.turns.give_up(gang.as_ref()) else { break };
            self.dropped += u64::from(self.states.remove(&given_up).is_some());
        }
    }

    /// The write that tells an event; `None` where it waits.
    fn event_request(
        &mut self,
        subject: Subject,
        text: EventText,
        now: Time,
        (pods, native): (&View, NativeVersion),
    ) -> Option<Request<Vec<u8>>> {
        let (name, uid, scheduler) = match &subject {
            // A pod reads who speaks as the scheduler that it asked for.
            Subject::Pod { name, uid } => {
                (name, uid, pods.get(uid).and_then(|known| known.scheduler.clone()))
            }
            Subject::Group { name, uid } => (&name.name, uid, None),
            Subject::Other { name, .. } => (name, &name.name, None),
        };
        let reporter = Reporter {
            controller: scheduler.unwrap_or_else(|| self.reporter.controller.clone()),
            instance: self.reporter.instance.clone(),
        };
        let key: SeriesKey = (uid.clone(), text.reason);
        // Only complaints repeat; what went well happens once.
        if text.warning {
            match self.series.judge(&key, &text.note, now) {
                Telling::Anew => {}
                Telling::Repeat(told) => return Some(repeat_event(&told.name, told.count, now)),
                Telling::Later(due) => {
                    self.series.keep(key, due, subject, text);
                    return None;
                }
            }
        }
        let name = self.name(name, now);
        let about = Regarding { subject: &subject, native };
        let request = create_event(&name, about, &text, &reporter, now);
        if text.warning {
            self.series.begin(key, Told { name, note: text.note, count: 1, at: now });
        }
        Some(request)
    }

    /// A name that no other event of this process has, also within one instant.
    fn name(&mut self, subject: &ObjectName, now: Time) -> ObjectName {
        self.stamps = self.stamps.wrapping_add(1).max(now.0.unsigned_abs());
        event_name(subject, self.stamps)
    }
}

fn state_request(
    notice: &Notice,
    now: Time,
    pods: &mut View,
    native: NativeVersion,
) -> Option<Request<Vec<u8>>> {
    match notice {
        Notice::Waiting { pod, reason, message, .. } => {
            // A pod that is not known any more is gone, and its condition with it.
            let known = pods.get_mut(&pod.uid)?;
            let transition = (!known.said_to_wait).then_some(now);
            known.said_to_wait = true;
            let stamp = ConditionStamp {
                transition,
                observed_generation: known.generation,
                version: known.version,
            };
            Some(pod_condition(pod, *reason, message, stamp))
        }
        Notice::Group { name, uid, status } => group_status(name, uid, status, native, now),
        Notice::Event { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::facts::GroupName;
    use crate::cluster::facts::GroupSource;
    use crate::cluster::facts::GroupStatus;
    use crate::engine::order::PodRef;
    use crate::engine::order::WaitReason;

    fn board() -> Noticeboard {
        Noticeboard::new(Reporter { controller: "muster".into(), instance: "m".into() })
    }

    fn waiting(pod: &str, message: &str) -> Notice {
        let pod = PodRef { name: ObjectName::new("d", pod), uid: pod.into(), resource_version: 1 };
        let (gang, reason) = (pod.name.clone(), WaitReason::Unschedulable);
        Notice::Waiting { pod, gang, reason, message: message.to_owned() }
    }

    fn failed(pod: &str, note: &str) -> Notice {
        let about = Subject::Pod { name: ObjectName::new("d", pod), uid: pod.into() };
        Notice::Event {
            about,
            warning: true,
            reason: "FailedScheduling",
            action: "Scheduling",
            note: note.to_owned(),
        }
    }

    fn pods(names: &[&str]) -> View {
        let mut view = View::default();
        for name in names {
            view.remember(&(*name).into(), &ObjectName::new("d", name), 1, Time::EPOCH);
        }
        view
    }

    fn taken(
        board: &mut Noticeboard,
        pods: &mut View,
        at: i64,
    ) -> Option<(String, Option<StateKey>)> {
        let posting = board.take(Time(at), pods, NativeVersion::V1Beta1)?;
        let body = String::from_utf8(posting.request.body().clone()).expect("JSON is text");
        Some((
            format!("{} {} {body}", posting.request.method(), posting.request.uri()),
            posting.state.map(|(key, _)| key),
        ))
    }

    #[test]
    fn only_the_latest_word_about_a_pod_is_written() {
        let (mut board, mut view) = (board(), pods(&["a", "b"]));
        board.post(waiting("a", "first"));
        board.post(waiting("b", "other"));
        board.post(waiting("a", "second"));
        let (text, key) = taken(&mut board, &mut view, 0).expect("two wait");
        assert!(text.contains("second") && text.contains("/pods/a/status"), "{text}");
        // While that one is under way, nothing else is written about the same pod.
        board.post(waiting("a", "third"));
        assert!(taken(&mut board, &mut view, 0).expect("b waits").0.contains("/pods/b/"));
        assert!(taken(&mut board, &mut view, 0).is_none());
        board.settled(key.expect("a state"), None, Time::EPOCH);
        assert!(taken(&mut board, &mut view, 0).expect("the third").0.contains("third"));
    }

    #[test]
    fn what_no_longer_holds_is_not_written() {
        let (mut board, mut view) = (board(), pods(&["a"]));
        board.post(waiting("a", "m"));
        board.withdraw_pod(&"a".into());
        board.post(waiting("gone", "m"));
        assert!(taken(&mut board, &mut view, 0).is_none());
        assert!(board.is_empty());
        // Nor is it written again where it was withdrawn while its first write was under way and failed.
        board.post(waiting("a", "m"));
        let posting = board.take(Time(0), &mut view, NativeVersion::V1Beta1).expect("one waits");
        let (key, notice) = posting.state.expect("a state");
        board.withdraw_pod(&"a".into());
        board.settled(key, Some((notice, Again::Soon)), Time::EPOCH);
        assert!(board.is_empty());
    }

    #[test]
    fn a_failed_write_is_put_back_unless_it_was_overtaken() {
        let (mut board, mut view) = (board(), pods(&["a"]));
        board.post(waiting("a", "first"));
        let posting = board.take(Time(0), &mut view, NativeVersion::V1Beta1).expect("one waits");
        let (key, notice) = posting.state.expect("a state");
        board.settled(key.clone(), Some((notice.clone(), Again::Soon)), Time::EPOCH);
        assert_eq!(board.len(), 1);
        board.take(Time(0), &mut view, NativeVersion::V1Beta1).expect("it is back");
        board.post(waiting("a", "second"));
        board.settled(key, Some((notice, Again::Soon)), Time::EPOCH);
        assert!(taken(&mut board, &mut view, 0).expect("the newer one").0.contains("second"));
    }

    #[test]
    fn the_first_write_says_since_when_and_later_ones_leave_that_alone() {
        let (mut board, mut view) = (board(), pods(&["a"]));
        for expected in [true, false] {
            board.post(waiting("a", "m"));
            let (text, key) = taken(&mut board, &mut view, 0).expect("one waits");
            assert_eq!(text.contains("lastTransitionTime"), expected, "{text}");
            board.settled(key.expect("a state"), None, Time::EPOCH);
        }
    }

    #[test]
    fn repeats_become_a_series_and_changed_notes_wait() {
        let second = 1_000_000_000;
        let (mut board, mut view) = (board(), pods(&[]));
        let mut told = |note: Option<&str>, at: i64| {
            note.into_iter().for_each(|note| board.post(failed("a", note)));
            let said = taken(&mut board, &mut view, at * second).map(|(text, _)| text);
            (said, board.rest_ends().map(|until| until.0 / second))
        };
        let is = |said: &Option<String>, what: &[&str]| {
            let said = said.as_deref().expect("something is said");
            assert!(what.iter().all(|what| said.contains(what)), "{said}");
        };
        is(&told(Some("x"), 0).0, &["POST", "x"]);
        // Nothing is said again that holds no longer, and what holds now is said in time, in its last words.
        assert_eq!(told(Some("y"), 20), (None, Some(60)));
        assert_eq!(told(Some("z"), 30), (None, Some(60)));
        assert_eq!(told(None, 59), (None, Some(60)));
        is(&told(None, 60).0, &["POST", "z"]);
        let (repeat, waits) = told(Some("z"), 100);
        is(&repeat, &["PATCH", "\"count\":2"]);
        assert_eq!(waits, None);
        // What is said again overtakes what waits.
        assert_eq!(told(Some("x"), 110), (None, Some(120)));
        let (repeat, waits) = told(Some("z"), 115);
        is(&repeat, &["PATCH", "\"count\":3"]);
        assert_eq!(waits, None);
        is(&told(Some("z"), 500).0, &["POST", "z"]);
    }

    #[test]
    fn a_group_whose_status_is_under_way_holds_nobody_up() {
        let (mut board, mut view) = (board(), pods(&["a"]));
        let name = GroupName { name: ObjectName::new("d", "g"), source: GroupSource::Coscheduling };
        let status = |running| Notice::Group {
            name: name.clone(),
            uid: "g".into(),
            status: GroupStatus { running, ..GroupStatus::default() },
        };
        board.post(status(1));
        let (_, key) = taken(&mut board, &mut view, 0).expect("the status");
        board.post(status(2));
        board.post(waiting("a", "no room"));
        assert!(taken(&mut board, &mut view, 0).expect("a waits").0.contains("/pods/a/"));
        assert!(taken(&mut board, &mut view, 0).is_none());
        board.settled(key.expect("a state"), None, Time::EPOCH);
        assert!(taken(&mut board, &mut view, 0).expect("the later status").0.contains("/g/status"));
    }

    #[test]
    fn what_waits_to_be_told_of_a_pod_is_not_told_once_it_is_bound() {
        let (mut board, mut view) = (board(), pods(&["a"]));
        for note in ["1 of 2 exist", "no room"] {
            board.post(failed("a", note));
            taken(&mut board, &mut view, 0);
        }
        assert!(board.rest_ends().is_some());
        board.withdraw_pod(&"a".into());
        assert_eq!(board.rest_ends(), None);
        assert!(taken(&mut board, &mut view, 2 * series::NOTE_CHANGE_SPAN.0).is_none());
    }

    #[test]
    fn a_series_that_takes_no_repeat_any_more_is_forgotten() {
        let (mut board, mut view) = (board(), pods(&["a", "b", "c"]));
        let span = series::SERIES_SPAN.0;
        for (pod, at) in [("a", 0), ("b", 1), ("a", span + 1), ("c", span + 2)] {
            board.post(failed(pod, "no room"));
            taken(&mut board, &mut view, at).expect("it is an event of its own");
        }
        // That of `a` has begun anew.
        let told: Vec<&str> = board.series.told.keys().map(|(pod, _)| &**pod).collect();
        assert_eq!((told, board.series.order.len()), (vec!["a", "c"], 2));
    }

    #[test]
    fn an_event_about_a_pod_comes_from_the_scheduler_that_the_pod_names() {
        let (mut board, mut view) = (board(), pods(&["a", "b"]));
        view.get_mut("a").expect("it is known").scheduler = Some("coscheduling".into());
        for (pod, controller) in [("a", "coscheduling"), ("b", "muster"), ("gone", "muster")] {
            board.post(failed(pod, "n"));
            let (text, _) = taken(&mut board, &mut view, 0).expect("one waits");
            assert!(
                text.contains(&format!("\"reportingController\":\"{controller}\"")),
                "{pod}: {text}"
            );
        }
    }

    #[test]
    fn too_many_events_drop_the_oldest() {
        let (mut board, mut view) = (board(), pods(&[]));
        for index in 0..EVENTS_MAX + 5 {
            board.post(failed(&format!("p{index}"), "n"));
        }
        assert_eq!((board.len(), board.dropped()), (EVENTS_MAX, 5));
        assert!(taken(&mut board, &mut view, 0).expect("many wait").0.contains("p5."));
    }

    #[test]
    fn events_of_one_instant_have_names_of_their_own_and_states_go_first() {
        let (mut board, mut view) = (board(), pods(&["a"]));
        board.post(failed("a", "n"));
        board.post(failed("b", "n"));
        let name = GroupName { name: ObjectName::new("d", "g"), source: GroupSource::Coscheduling };
        board.post(Notice::Group { name, uid: "g".into(), status: GroupStatus::default() });
        let texts: Vec<String> =
            (0..3).map(|_| taken(&mut board, &mut view, 7).expect("three wait").0).collect();
        assert!(texts[0].contains("podgroups/g/status"));
        assert!(
            texts[1].contains("a.0000000000000007") && texts[2].contains("b.0000000000000008"),
            "{texts:?}"
        );
    }

    #[test]
    fn what_is_forbidden_rests_while_others_go_first() {
        let (mut board, mut pods) = (board(), pods(&["a", "b"]));
        board.post(waiting("a", "no room"));
        let posting = board.take(Time(0), &mut pods, NativeVersion::V1Beta1).expect("one");
        let (key, notice) = posting.state.expect("a state");
        board.settled(key, Some((notice, Again::Later)), Time(5));
        board.post(failed("b", "no room"));
        let (request, state) = taken(&mut board, &mut pods, 6).expect("the event");
        assert!(request.contains("FailedScheduling") && state.is_none(), "{request}");
        let over = Time(5) + FORBIDDEN_REST;
        assert_eq!(board.rest_ends(), Some(over));
        assert!(!board.is_ready(Time(over.0 - 1)) && board.is_ready(over));
        assert!(taken(&mut board, &mut pods, over.0 - 1).is_none());
        let (request, _) = taken(&mut board, &mut pods, over.0).expect("the state again");
        assert!(request.contains("no room"), "{request}");

        board.post(waiting("b", "no room"));
        let posting = board.take(Time(0), &mut pods, NativeVersion::V1Beta1).expect("one");
        let (key, notice) = posting.state.expect("a state");
        board.settled(key, Some((notice, Again::Later)), Time(0));
        board.withdraw_pod(&"b".into());
        assert!(taken(&mut board, &mut pods, over.0).is_none(), "a bound pod waits no more");
    }
}
