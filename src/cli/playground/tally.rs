//! What a playground has come to, from what anyone sees who watches nodes and pods. Changes nothing.
//! Knows neither engine nor kubelet; a pod counts as it was seen last, by its uid.
//! Times are those at which it saw something, so they include the way over the API.

use std::collections::BTreeMap;

use crate::apiserver::server::Server;
use crate::apiserver::store::watch::Watch;
use crate::apiserver::store::watch::WatchEvent;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::NodeFact;
use crate::cluster::facts::PodFact;
use crate::cluster::facts::PodPhase;
use crate::engine::event::Event;
use crate::kubernetes::translate::Kind;
use crate::kubernetes::translate::Translator;

/// Watches nodes and pods of one server.
#[derive(Debug)]
pub(super) struct Tally {
    translator: Translator,
    watches: Vec<(Kind, &'static str, Option<Watch>)>,
    nodes: BTreeMap<Name, i64>,
    pods: BTreeMap<Name, Seen>,
    binds: u64,
}

/// A gang: its name, and the API of its group. A pod without one is a gang of its own, whatever group has its name.
pub(super) type GangKey = (ObjectName, Option<GroupSource>);

/// A pod as it was last seen.
#[derive(Debug)]
struct Seen {
    gang: GangKey,
    name: Name,
    gpus: i64,
    node: Option<Name>,
    ended: bool,
    created: Time,
    bound: Option<Time>,
}

/// Nodes, GPUs, gangs, and pods in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) nodes: usize,
    pub(super) nodes_in_use: usize,
    pub(super) gpus: i64,
    pub(super) gpus_in_use: i64,
    pub(super) gangs_running: usize,
    pub(super) gangs_waiting: usize,
    pub(super) gangs_ended: usize,
    pub(super) pods: usize,
    /// Binds since the start.
    pub(super) binds: u64,
}

/// A gang in the summary.
#[derive(Clone, Debug, Default)]
pub(super) struct GangRow {
    pub(super) pods: usize,
    pub(super) bound: usize,
    pub(super) ended: usize,
    /// From the first pod to the last bind so far.
    pub(super) wait: Option<Span>,
    /// Pods by node, sorted by node.
    pub(super) nodes: BTreeMap<Name, usize>,
    /// A pod of it that waits.
    pub(super) waiting: Option<Name>,
    first: Option<Time>,
}

impl Tally {
    /// A tally that has seen nothing.
    pub(super) fn new() -> Self {
        Self {
            translator: Translator::new(),
            watches: vec![(Kind::Node, "/api/v1/nodes", None), (Kind::Pod, "/api/v1/pods", None)],
            nodes: BTreeMap::new(),
            pods: BTreeMap::new(),
            binds: 0,
        }
    }

    /// Takes in what has changed.
    pub(super) fn look(&mut self, now: Time, server: &mut Server) {
        for index in 0..self.watches.len() {
            let (kind, path, watch) = &mut self.watches[index];
            let kind = *kind;
            if watch.as_ref().is_none_or(Watch::has_ended) {
                // Those of these two kinds that went unseen are few and only numbers here.
                *watch = server.watch(path).ok();
            }
            let Some(watch) = watch else { continue };
            let mut events = server.poll(watch);
            while !events.is_empty() {
                for event in &events {
                    self.take(now, kind, event);
                }
                events = match &mut self.watches[index].2 {
                    Some(watch) => server.poll(watch),
                    None => Vec::new(),
                };
            }
        }
    }

    fn take(&mut self, now: Time, kind: Kind, event: &WatchEvent) {
        let Some(shown) = event.shown() else { return };
        let translated = match event {
            WatchEvent::Deleted(_) => self.translator.deleted(kind, &shown.object.value()),
            WatchEvent::Added(_)
            | WatchEvent::Modified(_)
            | WatchEvent::Bookmark(_)
            | WatchEvent::Error(_) => self.translator.applied(kind, &shown.object.value()),
        };
        for event in translated.events {
            match event {
                Event::Node(fact) => {
                    self.nodes.insert(fact.name.clone(), gpus_of(&fact));
                }
                Event::NodeGone(name) => {
                    self.nodes.remove(&name);
                }
                Event::Pod(fact) => self.pod(now, &fact),
                Event::PodGone { uid, .. } => {
                    self.pods.remove(&uid);
                }
                Event::Namespace(_)
                | Event::NamespaceGone(_)
                | Event::Group(_)
                | Event::GroupGone { .. }
                | Event::Record(_)
                | Event::RecordGone { .. }
                | Event::Storage(_)
                | Event::StorageGone { .. }
                | Event::StorageSight { .. }
                | Event::Selecting(_)
                | Event::DeviceClass(_)
                | Event::DeviceClassGone { .. }
                | Event::SelectingGone { .. }
                | Event::Settled { .. }
                | Event::Synced => {}
            }
        }
    }

    fn pod(&mut self, now: Time, fact: &PodFact) {
        let seen = self.pods.entry(fact.uid.clone()).or_insert_with(|| Seen {
            gang: fact.group.as_ref().map_or_else(
                || (fact.name.clone(), None),
                |group| (group.name.clone(), Some(group.source)),
            ),
            name: fact.name.name.clone(),
            gpus: gpus(&fact.ask.requests),
            node: None,
            ended: false,
            created: now,
            bound: None,
        });
        if seen.node.is_none() && fact.node.is_some() {
            seen.bound = Some(now);
            self.binds += 1;
        }
        seen.node.clone_from(&fact.node);
        seen.ended = matches!(fact.phase, PodPhase::Succeeded | PodPhase::Failed);
    }

    /// Everything in numbers.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals {
            nodes: self.nodes.len(),
            gpus: self.nodes.values().sum(),
            pods: self.pods.len(),
            binds: self.binds,
            ..Totals::default()
        };
        let mut in_use = std::collections::BTreeSet::new();
        for seen in self.pods.values().filter(|seen| !seen.ended) {
            if let Some(node) = &seen.node {
                totals.gpus_in_use += seen.gpus;
                in_use.insert(node);
            }
        }
        totals.nodes_in_use = in_use.len();
        for row in self.gangs().values() {
            if row.waiting.is_some() {
                totals.gangs_waiting += 1;
            } else if row.ended == row.pods {
                totals.gangs_ended += 1;
            } else {
                totals.gangs_running += 1;
            }
        }
        totals
    }

    /// From the first sight of a pod to the last bind; `None` while nothing is bound.
    pub(super) fn binding_span(&self) -> Option<Span> {
        let first = self.pods.values().map(|seen| seen.created).min()?;
        let last = self.pods.values().filter_map(|seen| seen.bound).max()?;
        Some(last - first)
    }

    /// Gangs by name.
    pub(super) fn gangs(&self) -> BTreeMap<GangKey, GangRow> {
        let mut gangs: BTreeMap<GangKey, GangRow> = BTreeMap::new();
        for seen in self.pods.values() {
            let row = gangs.entry(seen.gang.clone()).or_default();
            row.pods += 1;
            row.ended += usize::from(seen.ended);
            let first = row.first.map_or(seen.created, |first| first.min(seen.created));
            row.first = Some(first);
            match (&seen.node, seen.bound) {
                (Some(node), Some(_)) => {
                    row.bound += 1;
                    *row.nodes.entry(node.clone()).or_default() += 1;
                }
                _ if !seen.ended => row.waiting = Some(seen.name.clone()),
                _ => {}
            }
        }
        for seen in self.pods.values() {
            if let (Some(bound), Some(row)) = (seen.bound, gangs.get_mut(&seen.gang)) {
                let wait = bound - row.first.unwrap_or(bound);
                row.wait = Some(row.wait.map_or(wait, |longest| longest.max(wait)));
            }
        }
        gangs
    }
}

fn gpus_of(node: &NodeFact) -> i64 {
    gpus(&node.allocatable)
}

/// Whole GPUs of every vendor (`nvidia.com/gpu`, `amd.com/gpu`); MIG instances are resources of their own.
fn gpus(amounts: &[(Name, i64)]) -> i64 {
    amounts.iter().filter(|(name, _)| name.ends_with("/gpu")).map(|(_, amount)| *amount).sum()
}
