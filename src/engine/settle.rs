//! Outcomes of orders. Done and failed are believed; unknown keeps the seat until a fact about the pod tells.
//! Knows no plan. Invariant: a seat is held exactly as long as its order is listed here.
//! What a fact has settled already is not settled again, so each order counts once.

use rustc_hash::FxHashMap;

use super::Engine;
use super::event::Outcome;
use super::gangs::{GangId, Setback, SetbackCure};
use super::observe::is_older;
use super::order::OrderId;
use super::pods::{Answer, Place, Seat};
use crate::base::names::Name;
use crate::base::time::Span;
use crate::cluster::ids::PodId;

/// Orders whose outcome is not known yet, and the pods they bind.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    under_way: FxHashMap<OrderId, PodId>,
    last: u64,
}

impl Orders {
    /// A new order for `pod`.
    pub(super) fn issue(&mut self, pod: PodId) -> OrderId {
        self.last += 1;
        let order = OrderId(self.last);
        self.under_way.insert(order, pod);
        order
    }

    /// Forgets an order: what becomes of it is known, or matters no more.
    pub(super) fn forget(&mut self, order: OrderId) {
        self.under_way.remove(&order);
    }

    /// Number of orders whose outcome is not known.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }
}

impl Engine {
    /// Orders whose outcome is not known yet.
    pub fn orders_under_way(&self) -> usize {
        self.orders.len()
    }

    /// Takes in what became of an order. Outcomes of orders that a fact has settled already are ignored.
    pub(super) fn settle(&mut self, order: OrderId, outcome: Outcome) {
        let Some(pod) = self.orders.under_way.get(&order).copied() else { return };
        match outcome {
            // A bind has no other good outcome than done.
            Outcome::Done | Outcome::Written { .. } | Outcome::BoundTo(_) => self.bind_done(pod),
            Outcome::Superseded(record) => {
                self.counters.binds_conflicted += 1;
                let cause = format!("the plan was superseded by {}", record.mark);
                self.bind_failed(pod, &cause, SetbackCure::NewerVersion);
            }
            Outcome::Conflict(cause) => {
                self.counters.binds_conflicted += 1;
                self.bind_failed(pod, &cause, SetbackCure::NewerVersion);
            }
            Outcome::Gone => {
                self.counters.binds_gone += 1;
                self.bind_failed(pod, "the pod is gone", SetbackCure::Time);
            }
            Outcome::Refused(cause) => {
                self.counters.binds_refused += 1;
                self.bind_failed(pod, &cause, SetbackCure::Time);
            }
            Outcome::Unknown(cause) => {
                self.counters.binds_unknown += 1;
                self.bind_unknown(pod, &cause);
            }
        }
    }

    fn bind_done(&mut self, id: PodId) {
        self.count_out(id);
        let pod = self.pods.get_mut(id);
        let seat = pod.seat().expect("a listed order has a seat");
        pod.fact.node = Some(self.cluster.node_name(seat.node).clone());
        pod.place = Place::Bound(seat.node);
        self.orders.forget(seat.order);
        self.bind_was_seen(id, Match::AsPlanned);
        self.count_in(id);
        self.settle_gang(id);
    }

    /// A pod with a seat turned out to be bound.
    pub(super) fn bind_was_seen(&mut self, id: PodId, matches: Match) {
        match matches {
            Match::AsPlanned => self.counters.binds_done += 1,
            Match::Elsewhere => self.counters.binds_foreign += 1,
        }
        let now = self.now;
        if let Some(gang) = self.pods.get(id).gang {
            let gang = self.gangs.get_mut(gang);
            gang.setback.take_if(|setback| setback.until <= now);
        }
        self.tell_bound(id, matches);
    }

    fn bind_failed(&mut self, id: PodId, cause: &str, cure: SetbackCure) {
        self.count_out(id);
        self.give_seat_back(id, cause, cure);
        self.count_in(id);
        self.settle_gang(id);
    }

    fn bind_unknown(&mut self, id: PodId, cause: &str) {
        let pod = self.pods.get_mut(id);
        let seat = pod.seat().expect("a listed order has a seat");
        if is_older(seat.version, pod.fact.resource_version) {
            // A later version is still unbound, so the bind, which names an earlier one, cannot apply.
            self.bind_failed(id, cause, SetbackCure::NewerVersion);
        } else {
            let answer = Answer::Unknown;
            pod.place = Place::Assumed(Seat { answer, ..seat });
        }
    }

    /// Releases a seat whose bind will never apply. Its caller counts the pod out and in.
    pub(super) fn give_seat_back(&mut self, id: PodId, cause: &str, cure: SetbackCure) {
        let pod = self.pods.get_mut(id);
        let seat = pod.seat().expect("only held seats are given back");
        let newer = is_older(seat.version, pod.fact.resource_version);
        pod.place = Place::Nowhere;
        self.orders.forget(seat.order);
        let changes = self.cluster.release(id);
        self.note(changes);
        let Some(gang) = self.pods.get(id).gang else { return };
        let at_once = newer && cure == SetbackCure::NewerVersion;
        self.set_back(gang, cause.into(), cure);
        if at_once {
            self.end_setback_of_old_version(id);
        }
    }

    /// Makes a gang wait before its next attempt: longer with each failure in a row.
    fn set_back(&mut self, id: GangId, cause: Name, cure: SetbackCure) {
        let now = self.now;
        let before = self.gangs.get_mut(id).setback.take();
        // Binds that fail together are one failure, and who must wait for time waits.
        let setback = match before {
            Some(before) if before.until > now => Setback {
                cure: if before.cure == SetbackCure::Time { before.cure } else { cure },
                cause,
                ..before
            },
            Some(Setback { failures, .. }) => self.new_setback(failures + 1, cause, cure),
            None => self.new_setback(1, cause, cure),
        };
        self.gangs.get_mut(id).setback = Some(setback);
    }

    fn new_setback(&self, failures: u32, cause: Name, cure: SetbackCure) -> Setback {
        let wait = self.wait_after(failures);
        Setback { failures, until: self.now + wait, wait, cause, cure }
    }

    /// The wait after so many failures in a row.
    fn wait_after(&self, failures: u32) -> Span {
        let doublings = failures.saturating_sub(1).min(32);
        let wait = self.settings.backoff_initial.0.saturating_mul(1 << doublings);
        Span(wait.min(self.settings.backoff_max.0))
    }
}

/// Whether a bind is where it was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It is.
    AsPlanned,
    /// Somebody else bound the pod to another node.
    Elsewhere,
}
