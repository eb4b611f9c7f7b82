//! What people ask the driver, and how everything stands in plain numbers. Read between two cycles; changes nothing.
//! Knows no metric format and no page: telemetry and the commands make those of it.
//! Figures are as of one moment: what is asked between two cycles is answered between the same two.

use tokio::sync::oneshot;

use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::engine::counters::Counters;
use crate::engine::explain::Explanation;
use crate::engine::explain::WaitingGang;
use crate::engine::order::WaitReason;
use crate::kubernetes::durations::Durations;
use crate::kubernetes::traffic::TrafficCounts;

/// Something that people ask the driver.
#[derive(Debug)]
pub enum Question {
    /// Why the gang or pod of that name waits.
    Explain(ObjectName, oneshot::Sender<Option<Explanation>>),
    /// How everything stands.
    Report(oneshot::Sender<Report>),
    /// Every gang of which a member waits, in turn order.
    Waiting(oneshot::Sender<Vec<WaitingGang>>),
}

/// How everything stands, in plain numbers.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether every kind was listed.
    pub listed: bool,
    /// Whether decisions are made: everything was listed, and this process leads.
    pub synced: bool,
    /// Whether this process leads and has caught up, or is the only one.
    pub leads: bool,
    /// The name of the lease, where there is an election.
    pub lease: Option<Name>,
    /// What the engine did.
    pub engine: Counters,
    /// What went over the wire.
    pub traffic: TrafficCounts,
    /// Gangs that wait, by reason.
    pub waiting: Vec<(WaitReason, usize)>,
    /// Nodes that are known.
    pub nodes: usize,
    /// Pods that are known.
    pub pods: usize,
    /// PodGroups that are known.
    pub groups: usize,
    /// Binds ordered and not settled.
    pub orders_under_way: usize,
    /// Requests that the write path may keep under way now.
    pub write_window: u64,
    /// Notices not written yet.
    pub notices_waiting: usize,
    /// How far the machine's calendar is ahead of the clock that this process counts by.
    pub calendar_offset: Span,
    /// Whether the engine has something to decide that no fact has to bring: not counting words said again.
    pub work_is_due: bool,
    /// How long cycles took.
    pub cycles: Durations,
    /// From a pod's first sight to its bind.
    pub scheduling: Durations,
}
