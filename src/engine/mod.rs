//! Floor 6: the scheduler as one owner of all state. Facts and time in; orders, notices, and a wake-up time out.
//! No I/O, no clock, no threads: the same facts at the same times give the same orders, byte for byte.
//! Invariants: nothing is decided before all facts of the start were told; a waiting gang holds nothing;
//! no member of a gang is bound outside a plan for its minimum, or after that minimum was bound.

pub mod action;
pub mod event;
pub mod order;
pub mod record;
pub mod settings;

pub mod counters;
pub mod explain;

mod atomic;
mod audit;
mod backlog;
pub mod commitment;
mod contact;
mod cures;
mod decide;
mod default_spread;
mod gangs;
mod kept_place;
mod node_order;
mod nominated;
mod notices;
mod observe;
mod pods;
mod provision;
mod quarantine;
mod records;
mod repair;
mod sentences;
mod settle;
mod sightings;
mod status;
mod storage;
mod takeover;
mod verdict;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use priority_queue::PriorityQueue;

use self::atomic::Calls;
use self::backlog::Backlog;
use self::contact::Contact;
use self::counters::Counters;
use self::cures::{Cures, Pending};
use self::decide::No;
use self::default_spread::DefaultSpreading;
use self::gangs::{GangId, Gangs};
use self::kept_place::KeptPlaces;
use self::notices::Pump;
use self::order::{Notice, Order};
use self::pods::Pods;
use self::provision::Provisions;
use self::quarantine::Quarantine;
use self::records::Records;
use self::repair::Repairs;
use self::settings::Settings;
use self::settle::Orders;
use self::storage::StorageChange;
use crate::base::time::Time;
use crate::cluster::Cluster;
use crate::planner::Planner;

/// The scheduler.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    cluster: Cluster,
    planner: Planner,
    pods: Pods,
    spreading: DefaultSpreading,
    gangs: Gangs,
    backlog: Backlog<No>,
    /// Gangs whose binding failed, by the time of their next attempt.
    backing_off: BTreeSet<(Time, GangId)>,
    /// Gangs to be judged again, in the order in which they changed; each marks itself as listed.
    dirty: Vec<GangId>,
    /// Changes of the cluster that could still help a parked line.
    changes: Vec<Pending>,
    /// Changes of storage since parked lines were looked at.
    storage_changes: Vec<StorageChange>,
    cures: Cures,
    kept_places: KeptPlaces,
    orders: Orders,
    repairs: Repairs,
    quarantine: Quarantine,
    /// Calls of commitments.
    calls: Calls,
    /// Gangs whose commitments may have calls to make.
    busy: BTreeSet<GangId>,
    /// Gangs whose commitments rest, or are to be given up, by the time at which they are looked at again.
    rests: PriorityQueue<GangId, Reverse<(Time, GangId)>>,
    /// Gangs whose deadlines have no time, since the API does not answer: looked at again when it does.
    clocks_stopped: BTreeSet<GangId>,
    /// Pods whose volumes are being bound.
    provisions: Provisions,
    records: Records,
    contact: Contact,
    pump: Pump,
    counters: Counters,
    /// Whether all facts of the start were told.
    synced: bool,
    /// The latest time that was told.
    now: Time,
}

/// What one cycle came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Effects on the world, whose outcomes must come back.
    pub orders: Vec<Order>,
    /// Things to tell people.
    pub notices: Vec<Notice>,
}

/// Why the engine wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WakeReason {
    /// The last cycle ended at its bound, or facts came since.
    MoreWork,
    /// The wait after a failed binding is over.
    BackoffEnds,
    /// A bind of which nobody knows what became of it is to be given out again.
    DoubtDue,
    /// A gang that lost members is to be restarted whole, or held.
    RepairDue,
    /// A node that turned pods away may be used again.
    QuarantineEnds,
    /// A call of a commitment is to be made again, or its time is over.
    CallDue,
    /// The record of a plan that nobody needs any more may be removed.
    RecordIdle,
    /// A gang was refused for so long that a place may be kept for it.
    Overtaking,
    /// Something is to be told.
    NoticeDue,
}

impl Engine {
    /// What it was told to do.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// An engine that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            planner: Planner::new(settings.planner.clone()),
            settings,
            cluster: Cluster::new(),
            pods: Pods::default(),
            spreading: DefaultSpreading::default(),
            gangs: Gangs::default(),
            backlog: Backlog::default(),
            backing_off: BTreeSet::new(),
            dirty: Vec::new(),
            changes: Vec::new(),
            storage_changes: Vec::new(),
            cures: Cures::default(),
            kept_places: KeptPlaces::default(),
            orders: Orders::default(),
            repairs: Repairs::default(),
            quarantine: Quarantine::default(),
            calls: Calls::default(),
            busy: BTreeSet::new(),
            rests: PriorityQueue::new(),
            clocks_stopped: BTreeSet::new(),
            provisions: Provisions::default(),
            records: Records::default(),
            contact: Contact::default(),
            pump: Pump::default(),
            counters: Counters::default(),
            synced: false,
            now: Time::EPOCH,
        }
    }

    /// When to call [`Engine::decide`] next, and why, if no fact comes before. A time that is not
    /// in the future means at once. `None`: only a fact can move anything.
    pub fn wakeup(&self) -> Option<(Time, WakeReason)> {
        if !self.synced {
            return None;
        }
        let more = !self.dirty.is_empty()
            || !self.busy.is_empty()
            || !self.changes.is_empty()
            || self.cluster.relations().has_news()
            || !self.storage_changes.is_empty()
            || self.backlog.has_work();
        let backoff = self.backing_off.first().map(|(until, _)| *until);
        [
            more.then_some((self.now, WakeReason::MoreWork)),
            backoff.map(|until| (until, WakeReason::BackoffEnds)),
            self.orders.due().map(|due| (due, WakeReason::DoubtDue)),
            self.repairs.due().map(|due| (due, WakeReason::RepairDue)),
            self.quarantine.due().map(|due| (due, WakeReason::QuarantineEnds)),
            self.rests.peek().map(|(_, Reverse((due, _)))| (*due, WakeReason::CallDue)),
            self.provisions.wakeup(self.now).map(|due| (due, WakeReason::CallDue)),
            self.records.next_removal().map(|due| (due, WakeReason::RecordIdle)),
            self.kept_places.due(self.now).map(|due| (due, WakeReason::Overtaking)),
            self.pump.due().map(|due| (due, WakeReason::NoticeDue)),
            self.provisions
                .word_due()
                .map(|due| (self.pump.not_before(due), WakeReason::NoticeDue)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Plain numbers about what was done so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many lines of equal gangs stand in the backlog.
    pub fn backlog_lines(&self) -> usize {
        self.backlog.lines()
    }

    /// Whether events are composed.
    pub const fn tells_events(&self) -> bool {
        self.settings.notices.with_events()
    }

    /// The believed cluster, for reports about capacity.
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Lists a gang to be judged again in the next cycle.
    fn mark(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        if !gang.dirty {
            gang.dirty = true;
            self.dirty.push(id);
        }
    }
}
