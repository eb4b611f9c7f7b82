//! Telling people: conditions and events of what waits, `Scheduled` events, the status of groups.
//! Texts are made when they are due, from the truth of that moment; nothing unchanged is repeated,
//! and a cycle tells a bounded number. Decides nothing about placement.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::Engine;
use super::backlog::LineId;
use super::decide::No;
use super::gangs::{Gang, GangId, Identity};
use super::order::{Notice, PodRef, Subject, WaitReason};
use super::pods::{Pod, Standing};
use super::sentences::Sentence;
use super::settings::Notices;
use super::settle::Match;
use super::status;
use crate::base::names::ObjectName;
use crate::base::time::{Span, Time};
use crate::cluster::facts::GroupStatus;
use crate::cluster::ids::PodId;

/// What was said about a gang.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Since when members wait without a word of why.
    waits_since: Option<Time>,
    /// When the next word about its members is due.
    due: Option<Time>,
    /// The last word, and when it was said.
    last: Option<(Time, Sentence)>,
    /// How long a change of text alone waits after the last word.
    patience: Span,
    /// When its group's status is to be looked at.
    status_due: Option<Time>,
    /// The status written last, when, and which version of the group it was written over.
    status: Option<(Time, GroupStatus, u64)>,
    /// Whether it was said that its members' priorities differ.
    mixed_priorities: bool,
    /// Whether it is listed as touched in this cycle.
    touched: bool,
}

/// What is to be told, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Pump {
    /// Gangs that were judged since the last cycle spoke.
    touched: Vec<GangId>,
    /// Gangs about whose members something may have to be said.
    due: BTreeSet<(Time, GangId)>,
    /// Gangs whose group's status may have to be written.
    status_due: BTreeSet<(Time, GangId)>,
    /// Lines that were refused anew: a word to each who stands there. A line may be gone by then, and its id
    /// another's; the line itself knows when a word to it is due.
    lines_due: BTreeSet<(Time, LineId)>,
    /// The version of the cluster that every parked line was told of, or will be.
    swept_version: u64,
    /// When that was looked at last.
    swept: Time,
    /// When it is looked at next, if the cluster changed.
    sweep_due: Option<Time>,
    /// Notices that are ready.
    ready: VecDeque<Notice>,
    /// Nothing is told before this.
    rest_until: Time,
}

impl Told {
    /// The group's object is another now.
    pub(super) fn forget_group(&mut self) {
        self.status = None;
        self.mixed_priorities = false;
    }

    /// The last word about its members.
    pub(super) fn last_sentence(&self) -> Option<&Sentence> {
        self.last.as_ref().map(|(_, sentence)| sentence)
    }
}

impl Pump {
    /// When something is to be told next.
    pub(super) fn due(&self) -> Option<Time> {
        let first = [
            self.due.first().map(|(due, _)| *due),
            self.status_due.first().map(|(due, _)| *due),
            self.lines_due.first().map(|(due, _)| *due),
            self.sweep_due,
            (!self.ready.is_empty()).then_some(self.rest_until),
        ];
        first.into_iter().flatten().min().map(|due| due.max(self.rest_until))
    }

    /// When something else that is due then may be told at the earliest.
    pub(super) fn not_before(&self, due: Time) -> Time {
        due.max(self.rest_until)
    }

    /// Lists a notice to be told.
    pub(super) fn push(&mut self, notice: Notice) {
        self.ready.push_back(notice);
    }

    /// Forgets a gang that goes.
    pub(super) fn forget(&mut self, gang: &Gang, id: GangId) {
        if let Some(due) = gang.told.due {
            self.due.remove(&(due, id));
        }
        if let Some(due) = gang.told.status_due {
            self.status_due.remove(&(due, id));
        }
    }
}

impl Engine {
    /// A gang was judged: there may be something to tell.
    pub(super) fn something_to_tell(&mut self, id: GangId) {
        let told = &mut self.gangs.get_mut(id).told;
        if self.settings.notices != Notices::Silent && !told.touched {
            told.touched = true;
            self.pump.touched.push(id);
        }
    }

    /// A line was refused: there may be something to tell to all who stand there. Soon, if the
    /// reason is new to them; if only the text may have changed, once in a while.
    pub(super) fn line_has_something_to_tell(&mut self, line: LineId) {
        if self.settings.notices == Notices::Silent {
            return;
        }
        let row = self.backlog.line(line);
        let reason = row.parked.as_ref().map(No::reason);
        let soon = self.now + self.settings.notice_after;
        let due = match row.word.told {
            Some((when, before)) if Some(before) == reason => {
                soon.max(when + self.settings.notice_again_after)
            }
            Some(_) | None => soon,
        };
        self.word_to_line_is_due(line, due);
    }

    fn word_to_line_is_due(&mut self, line: LineId, due: Time) {
        let word = self.backlog.word_mut(line);
        if let Some(before) = word.due {
            if before <= due {
                return;
            }
            self.pump.lines_due.remove(&(before, line));
        }
        word.due = Some(due);
        self.pump.lines_due.insert((due, line));
    }

    /// A pod that had a seat is bound.
    pub(super) fn tell_bound(&mut self, id: PodId, matches: Match) {
        if !self.settings.notices.with_events() {
            return;
        }
        let fact = &self.pods.get(id).fact;
        let node = fact.node.as_deref().unwrap_or_default();
        let (warning, reason, note) = match matches {
            Match::AsPlanned => {
                (false, "Scheduled", format!("Successfully assigned {} to {node}", fact.name))
            }
            Match::Elsewhere => (
                true,
                "ForeignBinding",
                format!("bound to {node} by somebody else while another node was chosen for it"),
            ),
            Match::Unasked => (
                true,
                "ForeignBinding",
                format!("bound to {node} by somebody else before a node was chosen for it"),
            ),
        };
        let about = Subject::Pod { name: fact.name.clone(), uid: fact.uid.clone() };
        self.pump.ready.push_back(Notice::Event {
            about,
            warning,
            reason,
            action: "Binding",
            note,
        });
    }

    /// Tells what is due, up to the cycle's bound.
    pub(super) fn tell(&mut self, notices: &mut Vec<Notice>) {
        if self.settings.notices == Notices::Silent {
            return;
        }
        self.list_touched();
        if self.now < self.pump.rest_until {
            return;
        }
        let bound = self.settings.notices_per_cycle;
        let mut looks = 0;
        while notices.len() < bound
            && let Some(notice) = self.pump.ready.pop_front()
        {
            notices.push(notice);
        }
        self.tell_of_volumes(notices, bound);
        self.sweep();
        self.list_lines();
        // A group's status is one write for all its members.
        while notices.len() + looks < bound
            && let Some((due, id)) =
                self.pump.status_due.first().copied().filter(|(due, _)| *due <= self.now)
        {
            self.pump.status_due.remove(&(due, id));
            self.gangs.get_mut(id).told.status_due = None;
            let before = notices.len();
            self.tell_status(id, notices);
            looks += usize::from(notices.len() == before);
        }
        while notices.len() + looks < bound
            && let Some((due, id)) =
                self.pump.due.first().copied().filter(|(due, _)| *due <= self.now)
        {
            self.pump.due.remove(&(due, id));
            self.gangs.get_mut(id).told.due = None;
            let before = notices.len();
            self.tell_gang(id, notices);
            looks += usize::from(notices.len() == before);
        }
        if notices.len() + looks >= bound {
            self.pump.rest_until = self.now + self.settings.notice_pause;
        }
        self.counters.notices += notices.len() as u64;
    }

    /// Lists gangs that were judged at the time when a word about them is due.
    fn list_touched(&mut self) {
        for id in std::mem::take(&mut self.pump.touched) {
            let Some(gang) = self.gangs.known(id) else { continue };
            gang.told.touched = false;
            if let Identity::Group(_) = gang.identity {
                self.status_is_due(id);
                self.tell_mixed_priorities(id);
            }
            let gang = self.gangs.get_mut(id);
            if gang.tally.unplaced() == 0 {
                gang.told.waits_since = None;
                gang.told.last = None;
                if let Some(due) = gang.told.due.take() {
                    self.pump.due.remove(&(due, id));
                }
                continue;
            }
            let since = *gang.told.waits_since.get_or_insert(self.now);
            // Changes of one gang come in bursts: its next word waits for the end of this one.
            let settled = gang.told.last.as_ref().map_or(since, |_| self.now);
            self.word_is_due(id, (settled + self.settings.notice_after).max(self.now));
        }
    }

    /// What cannot cure a line still dates the counts that its people were told: once in a while
    /// every parked line whose refusal speaks of an older cluster is looked at again.
    fn sweep(&mut self) {
        let version = self.cluster.version();
        if !self.backlog.is_anyone_parked() || self.pump.swept_version == version {
            self.pump.sweep_due = None;
            return;
        }
        let due = self.pump.swept + self.settings.notice_again_after;
        if due > self.now {
            self.pump.sweep_due = Some(due);
            return;
        }
        self.pump.sweep_due = None;
        self.pump.swept = self.now;
        self.pump.swept_version = version;
        let outdated = self
            .backlog
            .parked()
            .filter(|(_, line)| line.parked.as_ref().is_some_and(|no| no.version() != version));
        let outdated: Vec<LineId> = outdated.map(|(id, _)| id).collect();
        for line in outdated {
            self.word_to_line_is_due(line, self.now);
        }
    }

    /// Lists everybody in lines that were refused anew.
    fn list_lines(&mut self) {
        while let Some((due, line)) =
            self.pump.lines_due.first().copied().filter(|(due, _)| *due <= self.now)
        {
            self.pump.lines_due.remove(&(due, line));
            let row = self.backlog.known_mut(line).filter(|row| row.word.due == Some(due));
            let Some(row) = row else { continue };
            row.word.due = None;
            let Some(reason) = row.parked.as_ref().map(No::reason) else { continue };
            row.word.told = Some((self.now, reason));
            let gangs: Vec<_> = row.gangs.values().copied().collect();
            for id in gangs {
                let since = self.gangs.get(id).told.waits_since.unwrap_or(self.now);
                self.word_is_due(id, (since + self.settings.notice_after).max(self.now));
            }
        }
    }

    fn word_is_due(&mut self, id: GangId, due: Time) {
        let told = &mut self.gangs.get_mut(id).told;
        if let Some(before) = told.due {
            if before <= due {
                return;
            }
            self.pump.due.remove(&(before, id));
        }
        told.due = Some(due);
        self.pump.due.insert((due, id));
    }

    fn status_is_due(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        if gang.fact.is_none() || gang.told.status_due.is_some() {
            return;
        }
        let soon = self.now + self.settings.notice_after;
        let last =
            gang.told.status.as_ref().map(|(when, ..)| *when + self.settings.group_status_every);
        let due = last.map_or(soon, |last| last.max(soon));
        gang.told.status_due = Some(due);
        self.pump.status_due.insert((due, id));
    }

    fn tell_mixed_priorities(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        let Some(fact) = &gang.fact else { return };
        let Some((highest, _)) =
            gang.tally.priorities.last().filter(|_| gang.tally.priorities.len() > 1)
        else {
            return;
        };
        if fact.priority.is_some() || std::mem::replace(&mut gang.told.mixed_priorities, true) {
            return;
        }
        if !self.settings.notices.with_events() {
            return;
        }
        let lowest = gang.tally.priorities[0].0;
        let note = format!(
            "the members' priorities differ, from {lowest} to {highest}; the gang is scheduled with the lowest"
        );
        let about = Subject::Group { name: fact.name.clone(), uid: fact.uid.clone() };
        self.pump.ready.push_back(Notice::Event {
            about,
            warning: true,
            reason: "MixedPriorities",
            action: "Scheduling",
            note,
        });
    }

    /// Says why a gang waits, to each of its members that was not told so yet.
    fn tell_gang(&mut self, id: GangId, notices: &mut Vec<Notice>) {
        if let Freshness::ToBeTried = self.refresh(id) {
            return;
        }
        let Some(sentence) = self.sentence(id, self.now) else { return };
        if sentence.reason == WaitReason::SchedulingGated || !self.may_say(id, &sentence) {
            return;
        }
        let print = fingerprint(&sentence);
        let gang = self.gangs.get(id).identity.name().clone();
        for at in 0..self.gangs.get(id).members.len() {
            let member = self.gangs.get(id).members[at];
            let pod = self.pods.get_mut(member);
            let ours = self.settings.answers_to(&pod.fact.scheduler);
            if pod.standing() != Standing::Waiting || pod.told == print || !ours {
                continue;
            }
            if notices.len() >= self.settings.notices_per_cycle {
                self.word_is_due(id, self.now);
                return;
            }
            pod.told = print;
            let [condition, event] = word_to(pod, &gang, &sentence);
            notices.push(condition);
            notices.extend(self.settings.notices.with_events().then_some(event));
        }
        self.status_is_due(id);
    }

    /// True if a sentence may be said now: it is the last one, or of another reason, or the last one
    /// is old enough. Notes that it is said, or when it may be.
    fn may_say(&mut self, id: GangId, sentence: &Sentence) -> bool {
        let now = self.now;
        let (shortest, longest) = self.patience_with(sentence.reason);
        let told = &mut self.gangs.get_mut(id).told;
        match &told.last {
            Some((_, last)) if last == sentence => return true,
            Some((when, last)) if last.reason == sentence.reason => {
                let next = *when + told.patience;
                if now < next {
                    self.word_is_due(id, next);
                    return false;
                }
                told.patience = Span(told.patience.0.saturating_mul(2)).min(longest);
            }
            Some(_) | None => told.patience = shortest,
        }
        told.last = Some((now, sentence.clone()));
        true
    }

    /// How long a text of this reason stands at least before it is said in other words, at first and
    /// in the end. What the gang's own members and group change is said soon; the counts of a busy
    /// cluster change all the time.
    const fn patience_with(&self, reason: WaitReason) -> (Span, Span) {
        let settings = &self.settings;
        match reason {
            WaitReason::Unschedulable
            | WaitReason::WaitingForTurn
            | WaitReason::WaitingForVictims => {
                (settings.notice_again_after, settings.notice_again_max)
            }
            WaitReason::WaitingForMembers
            | WaitReason::WaitingForVolumes
            | WaitReason::SchedulingGated
            | WaitReason::InvalidGang
            | WaitReason::Unsupported
            | WaitReason::GangAborted => (settings.notice_after, settings.notice_again_after),
        }
    }

    /// Plans once more for a parked line if the cluster changed in ways that could not cure it,
    /// so that no old count is told.
    fn refresh(&mut self, id: GangId) -> Freshness {
        let Some(queued) = &self.gangs.get(id).queued else { return Freshness::Current };
        let line = queued.line;
        let Some(no) = &self.backlog.line(line).parked else { return Freshness::ToBeTried };
        if no.version() == self.cluster.version() {
            return Freshness::Current;
        }
        match self.attempt(line) {
            Ok(_) => {
                // It fits after all: the next cycle places it.
                self.backlog.activate(line);
                Freshness::ToBeTried
            }
            Err(no) => {
                self.park(line, no);
                Freshness::Current
            }
        }
    }

    fn tell_status(&mut self, id: GangId, notices: &mut Vec<Notice>) {
        let gang = self.gangs.get(id);
        let Some(fact) = &gang.fact else { return };
        let ours = |id: &PodId| self.settings.answers_to(&self.pods.get(*id).fact.scheduler);
        if !gang.members.is_empty() && !gang.members.iter().any(ours) {
            return;
        }
        let status = status::wanted(gang, fact, gang.told.last_sentence(), &self.pods);
        let version = fact.resource_version;
        let said = gang
            .told
            .status
            .as_ref()
            .is_some_and(|(_, said, over)| *said == status && *over == version);
        if status == fact.status || said {
            return;
        }
        notices.push(Notice::Group {
            name: fact.name.clone(),
            uid: fact.uid.clone(),
            status: status.clone(),
        });
        let now = self.now;
        self.gangs.get_mut(id).told.status = Some((now, status, version));
    }
}

/// Whether what is known of a gang's refusal may be told.
enum Freshness {
    /// It speaks of the cluster as it is.
    Current,
    /// The gang is about to be tried; what comes of that will be told.
    ToBeTried,
}

/// The condition of a waiting pod, and the event that goes with it.
fn word_to(pod: &Pod, gang: &ObjectName, sentence: &Sentence) -> [Notice; 2] {
    let fact = &pod.fact;
    let reference = PodRef {
        name: fact.name.clone(),
        uid: fact.uid.clone(),
        resource_version: fact.resource_version,
    };
    let condition = Notice::Waiting {
        pod: reference,
        gang: gang.clone(),
        reason: sentence.reason,
        message: sentence.message.clone(),
    };
    let event = Notice::Event {
        about: Subject::Pod { name: fact.name.clone(), uid: fact.uid.clone() },
        warning: true,
        reason: "FailedScheduling",
        action: "Scheduling",
        note: sentence.message.clone(),
    };
    [condition, event]
}

/// Tells sentences apart; never 0, which means that nothing was said.
fn fingerprint(sentence: &Sentence) -> u64 {
    let mut hasher = FxHasher::default();
    sentence.reason.hash(&mut hasher);
    sentence.message.hash(&mut hasher);
    hasher.finish().max(1)
}
