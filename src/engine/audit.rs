//! A recount of everything that is kept current step by step. A belief that does not survive it is
//! broken, and a broken belief must end the process: double booking is worse than a restart.
//! Changes nothing, and decides nothing by what it finds: that is the caller's.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::event::Event;
use super::gangs::{GangId, Tally};
use super::kept_place::Clock;
use super::pods::Place;
use super::verdict::{Verdict, judge};
use crate::base::names::Name;
use crate::cluster::facts::PodFact;
use crate::cluster::ids::PodId;

impl Engine {
    /// Names of the pods that have a seat whose bind is not settled.
    pub fn pods_with_seats(&self) -> BTreeSet<Name> {
        let seated = self.pods.iter().filter(|(_, pod)| pod.seat().is_some());
        seated.map(|(_, pod)| pod.fact.name.name.clone()).collect()
    }

    /// Recounts tallies, seats, orders, and the backlog from the pods. For tests, and for whoever
    /// wants to be sure; takes time in proportion to the number of pods.
    ///
    /// # Errors
    /// The first difference found, in words.
    pub fn audit(&self) -> Result<(), String> {
        let mut seats = 0;
        for (id, pod) in self.pods.iter() {
            let name = &pod.fact.name;
            let node = match pod.place {
                Place::Nowhere => None,
                Place::Assumed(seat) => {
                    seats += usize::from(!pod.has_plan_seat());
                    Some(seat.node)
                }
                Place::Bound(node) => Some(node),
            };
            if self.cluster.node_of(id) != node {
                return Err(format!("{name} counts at {node:?}, the cluster says otherwise"));
            }
        }
        let orders = self.binds_under_way() + self.provisions.seats_alone();
        if seats != orders {
            return Err(format!("{seats} seats are held for {orders} orders"));
        }
        let mut counted = BTreeMap::new();
        for (id, _) in self.gangs.iter() {
            self.audit_gang(id, &mut counted)?;
        }
        for (id, pod) in self.pods.iter() {
            if pod.gang != counted.get(&id).copied() {
                return Err(format!(
                    "{} and its gang do not agree that it is a member",
                    pod.fact.name
                ));
            }
        }
        Ok(())
    }

    /// What the engine believes otherwise than a fact that it was told as the latest of its object, in words.
    /// For a recount against fresh listings.
    pub fn disagreement(&self, told: &Event) -> Option<String> {
        match told {
            Event::Pod(fact) => self.pod_disagreement(fact),
            Event::Node(fact) => {
                let nodes = self.cluster.nodes();
                let known = nodes.id(&fact.name).and_then(|id| nodes.get(id).fact.as_ref());
                (known != Some(fact)).then(|| {
                    format!("node {} is believed to be {known:?}, it is {fact:?}", fact.name)
                })
            }
            Event::Group(fact) => {
                let gang = self.gangs.find(&fact.name);
                let known = gang.and_then(|id| self.gangs.get(id).fact.as_deref());
                (known != Some(fact)).then(|| {
                    format!(
                        "PodGroup {} is believed to be {known:?}, it is {fact:?}",
                        fact.name.name
                    )
                })
            }
            Event::Namespace(fact) => {
                let known = self.cluster.relations().namespace_labels(&fact.name);
                (known != fact.labels).then(|| {
                    format!(
                        "namespace {} is believed to have the labels {known:?}, it has {:?}",
                        fact.name, fact.labels
                    )
                })
            }
            Event::Storage(fact) => (!self.cluster.storage().agrees_with(fact)).then(|| {
                format!("{} {} is not believed as it is", fact.kind().kind(), fact.name())
            }),
            Event::Selecting(fact) => {
                let agrees = self.settings.selecting_kinds().is_empty()
                    || self.spreading.selecting.agrees_with(fact);
                (!agrees)
                    .then(|| format!("{} {} is not believed as it is", fact.kind.kind(), fact.name))
            }
            Event::DeviceClass(fact) => (!self.cluster.device_classes().agrees_with(fact))
                .then(|| format!("DeviceClass {} is not believed as it is", fact.name)),
            Event::SelectingGone { .. }
            | Event::DeviceClassGone { .. }
            | Event::StorageGone { .. }
            | Event::StorageSight { .. }
            | Event::NodeGone(_)
            | Event::NamespaceGone(_)
            | Event::PodGone { .. }
            | Event::GroupGone { .. }
            | Event::Record(_)
            | Event::RecordGone { .. }
            | Event::Settled { .. }
            | Event::Synced => None,
        }
    }

    fn pod_disagreement(&self, fact: &PodFact) -> Option<String> {
        let known = self.pods.find(&fact.name).map(|id| &*self.pods.get(id).fact);
        // A bind that is known to be done is believed before its own fact has come.
        let node = |known: &PodFact| fact.node.is_none() || known.node == fact.node;
        let rest = |known: &PodFact| {
            let mut same = fact.clone();
            same.node.clone_from(&known.node);
            self.complete(&mut same);
            same == *known
        };
        let agrees = known.is_some_and(|known| node(known) && rest(known));
        (!agrees).then(|| format!("pod {} is believed to be {known:?}, it is {fact:?}", fact.name))
    }

    fn audit_gang(&self, id: GangId, counted: &mut BTreeMap<PodId, GangId>) -> Result<(), String> {
        let gang = self.gangs.get(id);
        let name = gang.identity.name();
        let mut tally = Tally::default();
        for member in &gang.members {
            if counted.insert(*member, id).is_some() {
                return Err(format!("{name} shares a member with another gang"));
            }
            tally.add(self.pods.get(*member));
        }
        if tally != gang.tally {
            return Err(format!("{name} is tallied {:?}, a recount gives {tally:?}", gang.tally));
        }
        let backs_off = gang
            .setback
            .as_ref()
            .is_some_and(|setback| self.backing_off.contains(&(setback.until, id)));
        if gang.dirty || backs_off {
            // It is judged in the next cycle.
            return Ok(());
        }
        let ready = matches!(judge(gang, &self.settings, self.now), Verdict::Ready { .. });
        if ready != gang.queued.is_some() {
            return Err(format!(
                "{name} is ready: {ready}, its place in the backlog: {:?}",
                gang.queued
            ));
        }
        let Some(queued) = &gang.queued else {
            let stopped = gang.clock == Clock::Stopped;
            return if stopped { Ok(()) } else { Err(format!("{name} has a clock and no line")) };
        };
        let line = self.backlog.line(queued.line);
        if line.gangs.get(&queued.turn) != Some(&id) {
            return Err(format!("{name} does not stand where it believes"));
        }
        if line.parked.is_some() && gang.clock == Clock::Stopped {
            return Err(format!("{name} was refused and has no clock"));
        }
        Ok(())
    }
}
