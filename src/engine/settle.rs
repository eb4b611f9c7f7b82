//! Outcomes of orders. Done and failed are believed; unknown keeps the seat until a fact about the pod
//! tells, or the answer to the same bind, which is ordered again after growing pauses.
//! Knows no plan. Invariants: a seat is held exactly as long as its order is listed here;
//! an order is under way or in doubt, and what is in doubt has a time at which it is asked about.
//! What a fact has settled already is not settled again, so each order counts once.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::Engine;
use super::event::Outcome;
use super::gangs::{GangId, Setback, SetbackCure};
use super::observe::is_older;
use super::order::{Action, Order, OrderId, PodRef};
use super::pods::{Answer, Place, Seat};
use super::settings::Settings;
use crate::base::names::Name;
use crate::base::time::{Span, Time};
use crate::cluster::ids::PodId;

/// After so many plans of a gang with a member whose bind the API refused, the next such plan is undone at once.
pub(super) const REFUSED_PLANS_MAX: u32 = 3;

/// Orders whose outcome is not known yet, and the pods they bind.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    under_way: FxHashMap<OrderId, Listed>,
    /// Orders that came back as unknown, by the time at which they are given out again.
    in_doubt: BTreeSet<(Time, OrderId)>,
    last: u64,
}

/// An order whose outcome is not known.
#[derive(Clone, Copy, Debug)]
struct Listed {
    /// The pod that it binds.
    pod: PodId,
    /// When it is given out again, once it came back as unknown.
    again: Option<Time>,
}

impl Orders {
    /// A new order for `pod`.
    pub(super) fn issue(&mut self, pod: PodId) -> OrderId {
        self.last += 1;
        let order = OrderId(self.last);
        self.under_way.insert(order, Listed { pod, again: None });
        order
    }

    /// A new order that holds nothing: facts tell what became of it.
    pub(super) const fn issue_unlisted(&mut self) -> OrderId {
        self.last += 1;
        OrderId(self.last)
    }

    /// Forgets an order: what becomes of it is known, or matters no more.
    pub(super) fn forget(&mut self, order: OrderId) {
        if let Some(Listed { again: Some(due), .. }) = self.under_way.remove(&order) {
            self.in_doubt.remove(&(due, order));
        }
    }

    /// Notes when an order that came back as unknown is given out again.
    fn doubt(&mut self, order: OrderId, due: Time) {
        let listed = self.under_way.get_mut(&order).expect("only listed orders are in doubt");
        assert!(listed.again.replace(due).is_none(), "an order comes back once");
        self.in_doubt.insert((due, order));
    }

    /// When the next order in doubt is given out again.
    pub(super) fn due(&self) -> Option<Time> {
        self.in_doubt.first().map(|(due, _)| *due)
    }

    /// The first order in doubt whose time has come, and its pod; it is forgotten.
    fn take_due(&mut self, now: Time) -> Option<PodId> {
        let (_, order) = self.in_doubt.first().copied().filter(|(due, _)| *due <= now)?;
        let pod = self.under_way.get(&order).expect("orders in doubt are listed").pod;
        self.forget(order);
        Some(pod)
    }

    /// Number of orders whose outcome is not known.
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }
}

impl Engine {
    /// Orders whose outcome is not known yet.
    pub fn orders_under_way(&self) -> usize {
        self.orders.len() + self.calls.len() + self.provisions.calls_under_way()
    }

    /// Binds of single pods whose outcome is not known yet.
    pub(super) fn binds_under_way(&self) -> usize {
        self.orders.len()
    }

    /// Takes in what became of an order. Outcomes of orders that a fact has settled already are ignored.
    pub(super) fn settle(&mut self, order: OrderId, outcome: Outcome) {
        if self.call_settled(order, &outcome) || self.volume_write_settled(order, &outcome) {
            return;
        }
        let Some(Listed { pod, again: None }) = self.orders.under_way.get(&order).copied() else {
            return;
        };
        match outcome {
            Outcome::Done => self.bind_done(pod),
            // Only fences are answered so.
            Outcome::Written { .. } => {
                self.bind_failed(
                    pod,
                    "its node closed before it was bound",
                    SetbackCure::NewerVersion,
                );
            }
            Outcome::BoundTo(node) => self.bind_found(pod, node),
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

    pub(super) fn bind_done(&mut self, id: PodId) {
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

    /// A fence found the pod bound.
    fn bind_found(&mut self, id: PodId, node: Name) {
        self.count_out(id);
        self.pods.get_mut(id).fact.node = Some(node);
        self.occupy(id);
        self.count_in(id);
        self.settle_gang(id);
    }

    /// A pod with a seat turned out to be bound.
    pub(super) fn bind_was_seen(&mut self, id: PodId, matches: Match) {
        match matches {
            Match::AsPlanned => self.counters.binds_done += 1,
            Match::Elsewhere | Match::Unasked => self.counters.binds_foreign += 1,
        }
        let now = self.now;
        if let Some(gang) = self.pods.get(id).gang {
            let gang = self.gangs.get_mut(gang);
            gang.setback.take_if(|setback| setback.until <= now);
        }
        self.tell_bound(id, matches);
    }

    pub(super) fn bind_failed(&mut self, id: PodId, cause: &str, cure: SetbackCure) {
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
            let doubts = seat.doubts + 1;
            pod.place = Place::Assumed(Seat { answer: Answer::Unknown, doubts, ..seat });
            let Settings { doubt_initial, doubt_max, .. } = self.settings;
            self.orders.doubt(seat.order, self.now + doubled(doubt_initial, doubts, doubt_max));
        }
    }

    /// Gives out binds again whose outcome nobody knows. A bind names the pod's uid and version, so it
    /// applies once at most however often it is sent, and its answer tells what became of the first.
    /// Where the node is closed by now, the pod is fenced off instead, which tells as well.
    pub(super) fn ask_again(&mut self, orders: &mut Vec<Order>) {
        while let Some(id) = self.orders.take_due(self.now) {
            let order = self.orders.issue(id);
            let pod = self.pods.get_mut(id);
            let seat = pod.seat().expect("a listed order has a seat");
            pod.place = Place::Assumed(Seat { order, answer: Answer::Awaited, ..seat });
            let fact = &pod.fact;
            let gang = pod.gang.map(|gang| self.gangs.get(gang).identity.name().clone());
            let gang = gang.unwrap_or_else(|| fact.name.clone());
            let (name, uid, resource_version) = (fact.name.clone(), fact.uid.clone(), seat.version);
            let pod = PodRef { name, uid, resource_version };
            let Seat { epoch, role, .. } = seat;
            let action = if self.cluster.is_schedulable(seat.node) {
                let node = self.cluster.node_name(seat.node).clone();
                Action::Bind { pod, node, gang, epoch, role }
            } else {
                Action::Fence { pod, gang, epoch }
            };
            orders.push(Order { id: order, action });
            self.counters.binds_repeated += 1;
        }
    }

    /// Releases a seat whose bind will never apply. Its caller counts the pod out and in.
    pub(super) fn give_seat_back(&mut self, id: PodId, cause: &str, cure: SetbackCure) {
        let pod = self.pods.get_mut(id);
        let seat = pod.seat().expect("only held seats are given back");
        let newer = is_older(seat.version, pod.fact.resource_version);
        pod.place = Place::Nowhere;
        self.orders.forget(seat.order);
        self.drop_provision(id);
        let changes = self.cluster.release(id);
        self.note(changes);
        self.volumes_freed(id);
        let Some(gang) = self.pods.get(id).gang else { return };
        let at_once = newer && cure == SetbackCure::NewerVersion;
        self.set_back(gang, cause.into(), cure);
        if at_once {
            self.end_setback_of_old_version(id);
        }
    }

    /// Makes a gang wait before its next attempt: longer with each failure in a row.
    pub(super) fn set_back(&mut self, id: GangId, cause: Name, cure: SetbackCure) {
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

    /// A plan was undone. A gang that the API turns away for what it is rests as long as a node that turns pods away:
    /// it holds nothing meanwhile.
    pub(super) fn rest_after_undoing(&mut self, id: GangId, cause: Name) {
        self.set_back(id, cause, SetbackCure::Time);
        let Settings { quarantine_initial, quarantine_max, .. } = self.settings;
        let now = self.now;
        let gang = self.gangs.get_mut(id);
        let times = gang.refused_plans.saturating_sub(REFUSED_PLANS_MAX);
        if times > 0
            && let Some(setback) = &mut gang.setback
        {
            setback.wait = doubled(quarantine_initial, times, quarantine_max);
            let until = std::mem::replace(&mut setback.until, now + setback.wait);
            self.backing_off.remove(&(until, id));
        }
    }

    /// Somebody changed the gang's own objects: what the API refused, it may take now. The rest is no longer than the
    /// longest back-off then, so that objects that change all the time cost no more than a bind that fails.
    pub(super) fn shorten_rest(&mut self, id: GangId) {
        let (now, longest) = (self.now, self.settings.backoff_max);
        let Some(setback) = &mut self.gangs.get_mut(id).setback else { return };
        if setback.until <= now || setback.wait <= longest {
            return;
        }
        let began = Time(setback.until.0.saturating_sub(setback.wait.0));
        let before = std::mem::replace(&mut setback.until, (began + longest).max(now));
        setback.wait = setback.until - began;
        self.backing_off.remove(&(before, id));
        self.mark(id);
    }

    fn new_setback(&self, failures: u32, cause: Name, cure: SetbackCure) -> Setback {
        let Settings { backoff_initial, backoff_max, .. } = self.settings;
        let wait = doubled(backoff_initial, failures, backoff_max);
        Setback { failures, until: self.now + wait, wait, cause, cure }
    }
}

/// The wait after the `times`th failure in a row: `initial` after the first, doubled with each, `most` at most.
pub(super) fn doubled(initial: Span, times: u32, most: Span) -> Span {
    let doublings = times.saturating_sub(1).min(32);
    Span(initial.0.saturating_mul(1 << doublings).min(most.0))
}

/// Whether a bind is where it was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// It is.
    AsPlanned,
    /// Somebody else bound the pod to another node.
    Elsewhere,
    /// Somebody else bound the pod before a node was chosen for it.
    Unasked,
}
