//! Big gangs are not overtaken for ever: one that was refused for long, though the cluster without
//! running pods would hold it, gets nodes kept that nothing behind it in turn may use. One gang at a time,
//! the first in turn. Invariant: only a gang that stands in the backlog has a clock or a place.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::backlog::LineId;
use super::decide::No;
use super::gangs::GangId;
use crate::base::time::Time;
use crate::cluster::node_set::NodeSet;
use crate::cluster::renumbering::Renumbering;
use crate::planner::order::Turn;
use crate::planner::refusal::Cause;

/// Who was refused for how long, and for whom nodes are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptPlaces {
    /// When each refused gang will have been refused for long.
    clocks: BTreeSet<(Time, GangId)>,
    /// Gangs that were refused for long.
    overdue: BTreeMap<Turn, GangId>,
    kept: Option<KeptPlace>,
    /// Whether something changed since nobody was found worth a place.
    reconsider: bool,
}

/// Nodes kept for a gang.
#[derive(Clone, Debug)]
pub(super) struct KeptPlace {
    /// For whom.
    pub(super) gang: GangId,
    /// Its turn; who stands behind it keeps off.
    pub(super) turn: Turn,
    /// Which nodes.
    pub(super) nodes: NodeSet,
}

/// A gang's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Clock {
    /// It was not refused since it entered the backlog.
    #[default]
    Stopped,
    /// It will have been refused for long at this time.
    Running(Time),
    /// It was refused for long.
    Overdue,
}

impl KeptPlaces {
    /// When the next clock runs out; at once if a place could be kept now.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        if self.is_worth_a_look() {
            return Some(now);
        }
        self.clocks.first().map(|(due, _)| *due)
    }

    /// The place that is kept, if one is.
    pub(super) const fn kept(&self) -> Option<&KeptPlace> {
        self.kept.as_ref()
    }

    /// Nodes changed: who was not worth a place may be now.
    pub(super) const fn reconsider(&mut self) {
        self.reconsider = true;
    }

    /// Gives the nodes that are kept their new ids.
    pub(super) fn renumber_nodes(&mut self, new: &Renumbering) {
        if let Some(kept) = &mut self.kept {
            kept.nodes = new.set(&kept.nodes);
        }
    }

    fn is_worth_a_look(&self) -> bool {
        self.kept.is_none() && self.reconsider && !self.overdue.is_empty()
    }
}

impl Engine {
    /// Starts the clock of a gang whose line was refused.
    pub(super) fn start_clock(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        if gang.clock != Clock::Stopped {
            return;
        }
        let due = gang.ready_since.unwrap_or(self.now) + self.settings.overtaking_after;
        gang.clock = Clock::Running(due);
        self.kept_places.clocks.insert((due, id));
    }

    /// Starts the clock of a gang if it still stands in that line.
    pub(super) fn start_clock_if_in(&mut self, line: LineId, id: GangId) {
        let queued = self.gangs.known(id).and_then(|gang| gang.queued.as_ref());
        if queued.is_some_and(|queued| queued.line == line) {
            self.start_clock(id);
        }
    }

    /// Stops the clock of a gang that leaves the backlog, and gives up a place that is kept for it.
    pub(super) fn stop_clock(&mut self, id: GangId, turn: &Turn) {
        match std::mem::take(&mut self.gangs.get_mut(id).clock) {
            Clock::Stopped => {}
            Clock::Running(due) => {
                self.kept_places.clocks.remove(&(due, id));
            }
            Clock::Overdue => {
                self.kept_places.overdue.remove(turn);
            }
        }
        if self.kept_places.kept.take_if(|kept| kept.gang == id).is_some() {
            self.kept_places.reconsider = true;
            self.wake_kept_off();
        }
    }

    /// Moves on the clocks, and keeps a place for the first gang in turn that deserves one.
    pub(super) fn keep_place(&mut self) {
        while let Some((due, id)) =
            self.kept_places.clocks.first().copied().filter(|(due, _)| *due <= self.now)
        {
            self.kept_places.clocks.remove(&(due, id));
            let gang = self.gangs.get_mut(id);
            gang.clock = Clock::Overdue;
            let turn = gang.queued.as_ref().expect("only queued gangs have clocks").turn.clone();
            self.kept_places.overdue.insert(turn, id);
            self.kept_places.reconsider = true;
        }
        if !self.kept_places.is_worth_a_look() {
            return;
        }
        self.kept_places.reconsider = false;
        let candidates: Vec<_> = self.kept_places.overdue.values().copied().collect();
        for gang in candidates {
            let queued =
                self.gangs.get(gang).queued.as_ref().expect("only queued gangs are overdue");
            if self.backlog.line(queued.line).parked.is_none() {
                // It is about to be tried once more; after that is time enough.
                self.kept_places.reconsider = true;
                continue;
            }
            let turn = queued.turn.clone();
            if let Some(nodes) = self.place_worth_keeping(gang) {
                self.counters.places_kept += 1;
                self.kept_places.kept = Some(KeptPlace { gang, turn, nodes });
                return;
            }
        }
    }

    /// Chooses anew for the gang that has a place, after its line was tried and refused again.
    pub(super) fn choose_place_again(&mut self, line: LineId) {
        let Some(kept) = &self.kept_places.kept else { return };
        let queued = self.gangs.get(kept.gang).queued.as_ref();
        if queued.is_none_or(|queued| queued.line != line) {
            return;
        }
        let nodes = self.place_worth_keeping(kept.gang).unwrap_or_default();
        let kept = self.kept_places.kept.as_mut().expect("it was there");
        if nodes.is_empty() {
            self.kept_places.kept = None;
            self.kept_places.reconsider = true;
        } else if kept.nodes == nodes {
            return;
        } else {
            kept.nodes = nodes;
        }
        self.wake_kept_off();
    }

    /// Nodes to keep for a refused gang; `None` if even an empty cluster would not hold it.
    fn place_worth_keeping(&mut self, id: GangId) -> Option<NodeSet> {
        let line = self.gangs.get(id).queued.as_ref()?.line;
        match self.backlog.line(line).parked.as_ref()? {
            No::Refused { refusal, .. } if refusal.cause == Cause::Unschedulable => {}
            No::Refused { .. } | No::BelowFloor { .. } => return None,
        }
        let nodes_version = self.cluster.nodes().version();
        let fits = match self.backlog.line(line).fits_empty {
            Some((version, fits)) if version == nodes_version => fits,
            Some(_) | None => {
                let demand = self.demand_of(id);
                let fits = self.planner.would_fit_empty(&mut self.cluster, &demand);
                self.backlog.note_fits_empty(line, nodes_version, fits);
                fits
            }
        };
        if !fits {
            return None;
        }
        let demand = self.demand_of(id);
        Some(self.planner.choose_place(&mut self.cluster, &demand))
            .filter(|nodes| !nodes.is_empty())
    }

    /// Lets every line be tried again that was refused because of a kept place.
    pub(super) fn wake_kept_off(&mut self) {
        let woken: Vec<_> = self
            .backlog
            .parked()
            .filter(|(_, line)| line.parked.as_ref().is_some_and(No::is_of_turn))
            .map(|(id, _)| id)
            .collect();
        for line in woken {
            self.backlog.activate(line);
        }
    }
}
