//! A recount of everything that is kept current step by step. A belief that does not survive it is
//! broken, and a broken belief must end the process: double booking is worse than a restart.
//! Changes nothing, and decides nothing by what it finds: that is the caller's.

use std::collections::BTreeSet;

use super::Engine;
use super::gangs::{GangId, Tally};
use super::kept_place::Clock;
use super::pods::Place;
use super::verdict::{Verdict, judge};
use crate::base::names::Name;
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
                    seats += 1;
                    Some(seat.node)
                }
                Place::Bound(node) => Some(node),
            };
            if self.cluster.node_of(id) != node {
                return Err(format!("{name} counts at {node:?}, the cluster says otherwise"));
            }
            let listed = pod.gang.is_none_or(|gang| self.gangs.get(gang).members.contains(&id));
            if !listed {
                return Err(format!("{name} is missing among the members of its gang"));
            }
        }
        if seats != self.orders_under_way() {
            let orders = self.orders_under_way();
            return Err(format!("{seats} seats are held for {orders} orders"));
        }
        let mut counted = BTreeSet::new();
        for (id, _) in self.gangs.iter() {
            self.audit_gang(id, &mut counted)?;
        }
        let in_gangs = self.pods.iter().filter(|(_, pod)| pod.gang.is_some()).count();
        if counted.len() == in_gangs {
            return Ok(());
        }
        Err(format!("gangs list {} members, {in_gangs} pods say they are one", counted.len()))
    }

    fn audit_gang(&self, id: GangId, counted: &mut BTreeSet<PodId>) -> Result<(), String> {
        let gang = self.gangs.get(id);
        let name = gang.identity.name();
        let mut tally = Tally::default();
        for member in &gang.members {
            if !counted.insert(*member) {
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
