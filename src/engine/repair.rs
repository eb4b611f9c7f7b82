//! Repair after the bind: a gang that has started and lost members gets the replacements that their owners
//! make, near the others and before newcomers; where they do not come or do not fit in time it is restarted
//! whole, or held. Knows no kubelet: a lost member is one that no longer counts.
//! Invariants: a gang is restarted only if all that is left of it will be made again by controllers, and
//! never once a member has ended well, since then it is merely finishing.

use std::collections::BTreeSet;

use super::Engine;
use super::gangs::{Gang, GangId};
use super::order::{Action, EvictCause, Notice, Order, PodRef, Subject};
use super::pods::Standing;
use super::settings::{AfterRepair, Settings};
use super::settle::doubled;
use crate::base::names::Name;
use crate::base::time::{Span, Time};
use crate::cluster::node_set::NodeSet;

/// A gang that has fewer members than it needs, after it had them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repair {
    /// Since when.
    pub(super) since: Time,
    /// When it is looked at next, unless it is held: then when its members change.
    due: Time,
    /// What is done about it.
    pub(super) stage: Stage,
}

/// How far a repair is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Replacements are awaited, and placed as they come.
    Awaiting,
    /// Time is over, and it may not be restarted.
    Held(Hold),
    /// Its members are evicted; this was asked for so many times.
    Restarting {
        /// From 1.
        rounds: u32,
    },
}

/// Why a gang is not restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// The configuration says so.
    Configured,
    /// A member has ended well: the others are finishing.
    Finishing,
    /// This member has no controller that would make it again, or is none to be moved.
    Bare(Name),
}

/// Gangs under repair, by the time at which each is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Repairs {
    due: BTreeSet<(Time, GangId)>,
}

impl Repairs {
    /// When the next one is looked at.
    pub(super) fn due(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }
}

impl Gang {
    /// True if it has started, some of it is left, and that is fewer than it needs.
    fn is_crippled(&self) -> bool {
        !self.is_plain()
            && self.has_started()
            && self.tally.of(Standing::Bound) > 0
            && self.tally.counted() + self.ended_well < self.minimum()
    }

    fn is_finishing(&self) -> bool {
        self.ended_well > 0 || self.tally.of(Standing::Succeeded) > 0
    }

    /// True while its members are made to leave, so that nobody is placed among them.
    pub(super) const fn is_restarting(&self) -> bool {
        matches!(self.repair, Some(Repair { stage: Stage::Restarting { .. }, .. }))
    }
}

impl Engine {
    /// Begins or ends the repair of a gang whose members changed.
    pub(super) fn watch_repair(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        match (&gang.repair, gang.is_crippled()) {
            (Some(Repair { stage: Stage::Held(hold), .. }), true) => {
                let before = hold.clone();
                if self.why_held(self.gangs.get(id)) != Some(before) {
                    self.look_again(id);
                }
            }
            (None, true) => {
                let due = self.now + self.settings.repair_timeout;
                gang.repair = Some(Repair { since: self.now, due, stage: Stage::Awaiting });
                self.repairs.due.insert((due, id));
                self.counters.gangs_crippled += 1;
                let text =
                    format!("{}; replacements are placed as they come", self.muster_text(id));
                self.tell_repair(id, "MembersLost", text);
            }
            (Some(_), false) => self.end_repair(id),
            (None, false) | (Some(_), true) => {}
        }
    }

    /// What held a gang may hold it no more.
    fn look_again(&mut self, id: GangId) {
        let now = self.now;
        if let Some(repair) = &mut self.gangs.get_mut(id).repair {
            self.repairs.due.remove(&(repair.due, id));
            repair.due = now;
            self.repairs.due.insert((now, id));
        }
    }

    /// Forgets the repair of a gang that is whole again, or gone.
    pub(super) fn end_repair(&mut self, id: GangId) {
        if let Some(repair) = self.gangs.get_mut(id).repair.take() {
            self.repairs.due.remove(&(repair.due, id));
        }
    }

    /// Looks at the gangs whose time is over: they are restarted, or held.
    pub(super) fn restart_overdue(&mut self, orders: &mut Vec<Order>) {
        while let Some((due, id)) = self.repairs.due.first().copied()
            && due <= self.now
        {
            self.repairs.due.remove(&(due, id));
            let (stage, again) = self.next_stage(id);
            let repair = self.gangs.get_mut(id).repair.as_mut().expect("listed gangs are repaired");
            let before = std::mem::replace(&mut repair.stage, stage.clone());
            if let Some(pause) = again {
                repair.due = self.now + pause;
                self.repairs.due.insert((repair.due, id));
            }
            match stage {
                Stage::Awaiting => {}
                Stage::Held(_) if before == stage => {}
                Stage::Held(_) => {
                    self.counters.gangs_held += u64::from(!matches!(before, Stage::Held(_)));
                    let text = self.repair_text(id).unwrap_or_default();
                    self.tell_repair(id, "GangHeld", text);
                }
                Stage::Restarting { rounds } => {
                    if rounds == 1 {
                        self.counters.gangs_restarted += 1;
                        let text = format!("{}; it is restarted whole", self.muster_text(id));
                        self.tell_repair(id, "GangRestarted", text);
                    }
                    self.evict_members(id, orders);
                }
            }
            self.mark(id);
        }
    }

    /// What is to be done about a gang whose time is over, and when to look again.
    fn next_stage(&self, id: GangId) -> (Stage, Option<Span>) {
        let Settings { doubt_initial, doubt_max, .. } = self.settings;
        let gang = self.gangs.get(id);
        if let Some(Repair { stage: Stage::Restarting { rounds }, .. }) = gang.repair {
            // What was evicted and stays is evicted again: an order that got lost does no harm.
            let rounds = rounds + 1;
            let pause = doubled(doubt_initial, rounds, doubt_max);
            return (Stage::Restarting { rounds }, Some(pause));
        }
        if let Some(hold) = self.why_held(gang) {
            return (Stage::Held(hold), None);
        }
        if gang.tally.of(Standing::Assumed) > 0 {
            // A replacement is being bound, and what becomes of it is soon known.
            return (Stage::Awaiting, Some(doubt_initial));
        }
        (Stage::Restarting { rounds: 1 }, Some(doubt_initial))
    }

    /// Why a gang must not be restarted, if it must not.
    fn why_held(&self, gang: &Gang) -> Option<Hold> {
        match self.settings.after_repair {
            AfterRepair::Hold => Some(Hold::Configured),
            AfterRepair::Restart if gang.is_finishing() => Some(Hold::Finishing),
            AfterRepair::Restart => self.bare_member(gang).map(Hold::Bare),
        }
    }

    /// A bound member that nobody would make again, or that is pinned to its node.
    fn bare_member(&self, gang: &Gang) -> Option<Name> {
        let mut members = gang.members.iter().map(|id| self.pods.get(*id));
        let bare = members.find(|pod| {
            pod.standing() == Standing::Bound
                && (pod.fact.controller.is_none() || pod.fact.pinned_to_node)
        });
        bare.map(|pod| pod.fact.name.name.clone())
    }

    fn evict_members(&mut self, id: GangId, orders: &mut Vec<Order>) {
        let gang = self.gangs.get(id);
        let name = gang.identity.name();
        let message = format!("gang {name} is restarted whole: {}", self.muster_text(id));
        let first = orders.len();
        for member in &gang.members {
            let pod = self.pods.get(*member);
            if pod.standing() != Standing::Bound {
                continue;
            }
            let action = Action::Evict {
                pod: PodRef {
                    name: pod.fact.name.clone(),
                    uid: pod.fact.uid.clone(),
                    resource_version: pod.fact.resource_version,
                },
                gang: name.clone(),
                cause: EvictCause::GangRestarted,
                message: message.clone(),
            };
            orders.push(Order { id: self.orders.issue_unlisted(), action });
        }
        self.counters.evictions_ordered += (orders.len() - first) as u64;
    }

    /// The nodes on which members of a gang under repair run; `None` for other gangs.
    pub(super) fn near(&self, id: GangId) -> Option<NodeSet> {
        let gang = self.gangs.get(id);
        gang.repair.as_ref()?;
        let bound =
            gang.members.iter().filter(|id| self.pods.get(**id).standing() == Standing::Bound);
        Some(bound.filter_map(|id| self.cluster.node_of(*id)).collect())
    }

    /// What is said about the repair of a gang; `None` for others.
    pub(super) fn repair_text(&self, id: GangId) -> Option<String> {
        let repair = self.gangs.get(id).repair.as_ref()?;
        let muster = self.muster_text(id);
        Some(match &repair.stage {
            Stage::Awaiting => {
                let end = match self.settings.after_repair {
                    AfterRepair::Restart => "restarted whole",
                    AfterRepair::Hold => "held",
                };
                format!("{muster}; it is {end} after {}", repair.due.to_rfc3339())
            }
            Stage::Held(Hold::Configured) => format!("{muster}; it is held by configuration"),
            Stage::Held(Hold::Finishing) => {
                format!("{muster}; it is not restarted, since members have ended well")
            }
            Stage::Held(Hold::Bare(pod)) => {
                format!("{muster}; it is held, since nothing would make pod {pod} again")
            }
            Stage::Restarting { .. } => format!("{muster}; it is restarted whole"),
        })
    }

    /// How many members a gang under repair has left, since when, and of how many.
    fn muster_text(&self, id: GangId) -> String {
        let gang = self.gangs.get(id);
        let left = gang.tally.counted() + gang.ended_well;
        let since = gang.repair.as_ref().map_or(self.now, |repair| repair.since);
        format!("{left} of {} members are left since {}", gang.minimum(), since.to_rfc3339())
    }

    fn tell_repair(&mut self, id: GangId, reason: &'static str, note: String) {
        self.tell_group(id, reason, "Repair", note);
    }

    /// Tells people what happened to the record of a gang's plan.
    pub(super) fn tell_of_record(&mut self, id: GangId, reason: &'static str, note: String) {
        self.tell_group(id, reason, "Binding", note);
    }

    fn tell_group(&mut self, id: GangId, reason: &'static str, action: &'static str, note: String) {
        let Some(fact) = &self.gangs.get(id).fact else { return };
        if !self.settings.notices.with_events() {
            return;
        }
        let about = Subject::Group { name: fact.name.clone(), uid: fact.uid.clone() };
        self.pump.push(Notice::Event { about, warning: true, reason, action, note });
    }
}
