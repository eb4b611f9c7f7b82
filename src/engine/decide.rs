//! One bounded cycle: judge what changed, wake what a change could cure, try the first in turn until
//! nothing more can be done or the cycle's bound is reached. Bounds count work, never time.
//! Sends nothing: orders are values for the rim. Invariant: no seat is held that the referee did not judge before.

use super::backlog::{LineId, Shape};
use super::gangs::{Gang, GangId, count_in};
use super::order::{Action, BindRole, Order, OrderId, PodRef, WaitReason};
use super::pods::{Answer, Place, Seat, Standing};
use super::verdict::{Verdict, judge};
use super::{Cycle, Engine};
use crate::base::time::Time;
use crate::cluster::ids::NodeId;
use crate::cluster::ids::PodId;
use crate::cluster::ids::SignatureId;
use crate::cluster::node_set::NodeSet;
use crate::planner::demand::{Demand, Role};
use crate::planner::order::{Claim, Turn};
use crate::planner::plan::Plan;
use crate::planner::referee;
use crate::planner::refusal::{Cause, Refusal, SearchEnd};
use crate::plugins::relation::is_related;
use crate::workload::ask::Amounts;
use smallvec::SmallVec;

/// Why a line is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum No {
    /// The planner refused it.
    Refused {
        /// Why.
        refusal: Box<Refusal>,
        /// The version of the cluster that it speaks of.
        version: u64,
    },
    /// Less is free than its group's `minResources`.
    BelowFloor {
        /// What is short, by resource.
        short: Amounts,
        /// The version of the cluster that it speaks of.
        version: u64,
    },
}

impl No {
    /// True if only a kept place stands in the way.
    pub(super) fn is_of_turn(&self) -> bool {
        match self {
            Self::Refused { refusal, .. } => refusal.cause == Cause::KeptForAnother,
            Self::BelowFloor { .. } => false,
        }
    }

    /// The word for it.
    pub(super) const fn reason(&self) -> WaitReason {
        match self {
            Self::BelowFloor { .. } => WaitReason::Unschedulable,
            Self::Refused { refusal, .. } => match refusal.cause {
                Cause::Unschedulable => WaitReason::Unschedulable,
                Cause::Unsupported => WaitReason::Unsupported,
                Cause::KeptForAnother => WaitReason::WaitingForTurn,
            },
        }
    }

    /// The version of the cluster that it speaks of.
    pub(super) const fn version(&self) -> u64 {
        match self {
            Self::Refused { version, .. } | Self::BelowFloor { version, .. } => *version,
        }
    }
}

impl Engine {
    /// Runs one cycle: what can be placed is placed, in turn, up to the cycle's bound.
    /// Call again when [`Engine::wakeup`] says so, or after new facts.
    pub fn decide(&mut self, now: Time) -> Cycle {
        self.now = self.now.max(now);
        let mut cycle = Cycle::default();
        if !self.synced {
            return cycle;
        }
        self.counters.cycles += 1;
        self.put_nodes_in_order();
        self.end_backoffs();
        self.end_quarantines();
        self.judge_changed();
        self.restart_overdue(&mut cycle.orders);
        self.judge_changed();
        self.look_for_cures();
        self.look_at_storage();
        self.keep_place();
        self.ask_again(&mut cycle.orders);
        self.advance_provisions(&mut cycle.orders);
        self.call(&mut cycle.orders);
        self.judge_changed();
        let mut attempts = 0;
        while attempts < self.settings.attempts_per_cycle
            && cycle.orders.len() < self.settings.placed_per_cycle
            && let Some(line) = self.next_line()
        {
            self.try_head(line, &mut cycle.orders);
            attempts += 1;
            self.judge_changed();
            self.keep_place();
        }
        self.forget_spent_changes();
        self.advance_provisions(&mut cycle.orders);
        self.call(&mut cycle.orders);
        self.judge_changed();
        self.tell(&mut cycle.notices);
        cycle
    }

    fn end_backoffs(&mut self) {
        while let Some((until, id)) =
            self.backing_off.first().copied().filter(|(until, _)| *until <= self.now)
        {
            self.backing_off.remove(&(until, id));
            // The wait may have been forgotten, and the gang be gone since.
            if self.gangs.known(id).is_some() {
                self.mark(id);
            }
        }
    }

    /// Brings the backlog in line with the gangs that changed.
    pub(super) fn judge_changed(&mut self) {
        for pod in self.cluster.take_resigned() {
            // The pod may be gone, its id may be another's; judging a gang in vain does no harm.
            if let Some(gang) = self.pods.known(pod).and_then(|pod| pod.gang) {
                self.mark(gang);
            }
        }
        while let Some(id) = self.dirty.pop() {
            // The gang may be gone, its id may be another's; judging twice does no harm.
            if let Some(gang) = self.gangs.known(id) {
                gang.dirty = false;
                self.judge_gang(id);
            }
        }
    }

    fn judge_gang(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        gang.count_arrivals();
        let may_be_over = gang.epoch > 0 && gang.commitment.is_none();
        self.watch_repair(id);
        let gang = self.gangs.get_mut(id);
        let verdict = judge(gang, &self.settings, self.now);
        match verdict {
            Verdict::Ready { needed } => {
                gang.ready_since.get_or_insert(self.now);
                let shape = self.shape_of(id, needed);
                self.queue(id, shape);
            }
            Verdict::BackingOff(until) => {
                self.withdraw(id);
                self.backing_off.insert((until, id));
            }
            Verdict::Idle => {
                gang.ready_since = None;
                self.withdraw(id);
            }
            Verdict::Blocked(_) | Verdict::Binding => {
                gang.ready_since = None;
                self.withdraw(id);
            }
        }
        self.something_to_tell(id);
        if may_be_over {
            self.note_idle_of(id);
        }
    }

    /// The shape of a gang that may be placed.
    fn shape_of(&self, id: GangId, needed: u32) -> Shape {
        let gang = self.gangs.get(id);
        let floor = match &gang.fact {
            Some(fact) if !gang.has_started() => fact.min_resources.clone(),
            Some(_) | None => Amounts::new(),
        };
        let nominated = self.has_nominated(id).then_some(id);
        if !self.cluster.relations().is_awake() {
            let roles = gang.tally.roles.iter();
            let roles = roles.map(|(ask, count)| ((*ask, SignatureId::NONE), *count)).collect();
            return Shape { roles, needed, floor, nominated };
        }
        let mut roles = SmallVec::new();
        for id in &gang.members {
            let pod = self.pods.get(*id);
            if pod.standing() == Standing::Waiting {
                count_in(&mut roles, (pod.ask, self.cluster.signature_of(*id)));
            }
        }
        Shape { roles, needed, floor, nominated }
    }

    /// Lets a gang stand in the line of its shape, at its turn.
    fn queue(&mut self, id: GangId, shape: Shape) {
        let turn = self.turn_of(id);
        if let Some(queued) = &self.gangs.get(id).queued {
            if queued.turn == turn && self.backlog.line(queued.line).shape == shape {
                return;
            }
            self.withdraw(id);
        }
        let queued = self.backlog.enter(id, shape, turn);
        let line = queued.line;
        // Who stands before the gang that a place is kept for may use that place.
        let exempt = self.kept_places.kept().is_some_and(|kept| queued.turn < kept.turn);
        self.gangs.get_mut(id).queued = Some(queued);
        match &self.backlog.line(line).parked {
            Some(no) if no.is_of_turn() && exempt => {
                self.backlog.activate(line);
            }
            Some(_) => self.start_clock(id),
            None => {}
        }
    }

    /// Takes a gang out of the backlog, if it stands there.
    pub(super) fn withdraw(&mut self, id: GangId) {
        let gang = self.gangs.get_mut(id);
        if let Some(setback) = &gang.setback {
            self.backing_off.remove(&(setback.until, id));
        }
        let Some(queued) = gang.queued.take() else { return };
        self.backlog.leave(&queued);
        self.stop_clock(id, &queued.turn);
    }

    pub(super) fn turn_of(&self, id: GangId) -> Turn {
        let gang = self.gangs.get(id);
        let uid = match &gang.fact {
            Some(fact) => &fact.uid,
            None => &self.pods.get(gang.members[0]).fact.uid,
        };
        Turn {
            priority: gang.priority(),
            claim: if gang.repair.is_some() { Claim::Lost } else { Claim::New },
            since: gang.since(),
            name: gang.identity.name().clone(),
            uid: uid.clone(),
        }
    }

    /// Tries the head of a line: it is placed whole and leaves, or its line is parked.
    fn try_head(&mut self, line: LineId, orders: &mut Vec<Order>) {
        let id = self.backlog.line(line).head().1;
        match self.attempt(line) {
            Ok(plan) => {
                self.counters.planned += 1;
                self.commit(id, &plan, orders);
                self.head_was_placed(line);
            }
            Err(no) => {
                self.count_refusal(&no);
                self.park(line, no);
                self.choose_place_again(line);
            }
        }
    }

    /// Parks a line that was refused.
    pub(super) fn park(&mut self, line: LineId, no: No) {
        let needs = self.needs_of(line);
        for gang in self.backlog.park(line, no, needs) {
            self.start_clock_if_in(line, gang);
        }
        let mut roles = self.backlog.line(line).shape.roles.iter();
        if roles.any(|((ask, signature), _)| is_related(&self.cluster, *ask, *signature)) {
            self.backlog.note_related(line);
        }
        self.line_has_something_to_tell(line);
    }

    /// Plans for the head of a line. Nothing is changed.
    pub(super) fn attempt(&mut self, line: LineId) -> Result<Plan, No> {
        let (turn, id) = self.backlog.line(line).head();
        let nothing = NodeSet::new();
        let keep_off = match self.kept_places.kept() {
            Some(kept) if *turn > kept.turn => &kept.nodes,
            Some(_) | None => &nothing,
        };
        let version = self.cluster.version();
        let gang = self.gangs.get(id);
        let floor = &self.backlog.line(line).shape.floor;
        if !floor.is_empty() {
            self.planner
                .check_floor(&self.cluster, floor, &gang.members)
                .map_err(|short| No::BelowFloor { short, version })?;
        }
        let demand = self.demand_of(id);
        let near = self.near(id).or_else(|| self.nominated_for(&demand)).and_then(|near| {
            let mut far = self.cluster.nodes().present().clone();
            far.subtract(&near);
            far.unite_with(keep_off);
            self.planner.plan(&mut self.cluster, &demand, &far).ok()
        });
        let mut plan = match near {
            Some(plan) => plan,
            None => self
                .planner
                .plan(&mut self.cluster, &demand, keep_off)
                .map_err(|refusal| No::Refused { refusal: Box::new(refusal), version })?,
        };
        if let Err(violation) = referee::judge(&self.cluster, &demand, &plan) {
            let name = self.gangs.get(id).identity.name();
            panic!("the planner broke a rule for gang {name}: {violation}");
        }
        self.seat_where_nominated(&demand, &mut plan);
        Ok(plan)
    }

    /// What a queued gang demands: its waiting members by ask, in the order in which people count them.
    pub(super) fn demand_of(&self, id: GangId) -> Demand {
        let gang = self.gangs.get(id);
        let queued = gang.queued.as_ref().expect("only queued gangs demand");
        let minimum = self.backlog.line(queued.line).shape.needed as usize;
        let asks = &gang.tally.roles;
        // Roles stand in the order of their first members: ids depend on what came before.
        let mut roles_of_ask: Vec<SmallVec<[usize; 1]>> = vec![SmallVec::new(); asks.len()];
        let mut roles: Vec<Role> = Vec::with_capacity(asks.len());
        for id in &gang.members {
            let pod = self.pods.get(*id);
            if pod.standing() != Standing::Waiting {
                continue;
            }
            let at =
                asks.binary_search_by(|(ask, _)| ask.cmp(&pod.ask)).expect("it was counted in");
            let signature = self.cluster.signature_of(*id);
            let known = roles_of_ask[at].iter().find(|role| roles[**role].signature == signature);
            match known {
                Some(role) => roles[*role].members.push(*id),
                None => {
                    roles_of_ask[at].push(roles.len());
                    let mut members = Vec::with_capacity(asks[at].1 as usize);
                    members.push(*id);
                    roles.push(Role { ask: pod.ask, signature, members });
                }
            }
        }
        Demand { roles, minimum, expected: self.expected_beside(id) }
    }

    /// Holds the plan's seats. Several members of a gang's minimum are bound by a commitment; all else at once.
    fn commit(&mut self, id: GangId, plan: &Plan, orders: &mut Vec<Order>) {
        self.withdraw(id);
        let gang = self.gangs.get_mut(id);
        gang.ready_since = None;
        let role = gang.role_of_binds(plan.seats.len());
        if role == BindRole::Planned {
            self.begin_plan(id, plan);
            // What is ordered in one cycle stands in the order in which it was planned.
            return self.call_for(id, orders);
        }
        let epoch = gang.epoch_of_single_binds();
        let name = gang.identity.name().clone();
        orders.reserve(plan.seats.len());
        for seat in &plan.seats {
            if self.hold_for_volumes(seat.pod, seat.node, (epoch, role)) {
                continue;
            }
            self.counters.binds_ordered += 1;
            let (pod, order) = self.hold(seat.pod, seat.node, epoch, role);
            let node = self.cluster.node_name(seat.node).clone();
            orders.push(Order {
                id: order,
                action: Action::Bind { pod, node, gang: name.clone(), epoch, role },
            });
        }
        let count = plan.seats.len() as u64;
        match role {
            BindRole::Late => self.counters.binds_late += count,
            BindRole::Alone | BindRole::Planned => {}
        }
        self.mark(id);
    }

    /// Counts a pod as placed until its bind is settled.
    fn hold(&mut self, id: PodId, node: NodeId, epoch: u32, role: BindRole) -> (PodRef, OrderId) {
        self.count_out(id);
        let order = self.orders.issue(id);
        let pod = self.pods.get_mut(id);
        let version = pod.fact.resource_version;
        pod.place = Place::Assumed(Seat {
            node,
            order,
            version,
            epoch,
            role,
            doubts: 0,
            answer: Answer::Awaited,
        });
        pod.told = 0;
        let reference = PodRef {
            name: pod.fact.name.clone(),
            uid: pod.fact.uid.clone(),
            resource_version: version,
        };
        self.seat(id, node);
        self.count_in(id);
        (reference, order)
    }

    fn count_refusal(&mut self, no: &No) {
        match no {
            No::BelowFloor { .. } => self.counters.refused_by_floor += 1,
            No::Refused { refusal, .. } => {
                match refusal.cause {
                    Cause::KeptForAnother => self.counters.refused_for_turn += 1,
                    Cause::Unschedulable | Cause::Unsupported => self.counters.refused += 1,
                }
                match refusal.search {
                    SearchEnd::Exhausted => {}
                    SearchEnd::Bound { .. } => self.counters.searches_cut_short += 1,
                }
            }
        }
    }
}

impl Gang {
    /// Takes in how many members arrived, which may begin or end its story.
    fn count_arrivals(&mut self) {
        if self.commitment.is_some() {
            return;
        }
        let arrived = self.tally.arrived();
        let minimum = self.minimum();
        if self.tally.of(Standing::Bound) + self.tally.of(Standing::Assumed) == 0 {
            self.reached = 0;
            self.ended_well = 0;
        } else if minimum > 0 && arrived >= minimum {
            self.reached = self.reached.max(minimum);
        } else if self.reached == 0
            && self.was_scheduled_before()
            && self.tally.of(Standing::Bound) > 0
        {
            self.reached = minimum;
        }
    }

    /// True if the group's status says that its minimum was bound once: what an earlier run left behind.
    fn was_scheduled_before(&self) -> bool {
        let condition = self.fact.as_ref().and_then(|fact| fact.status.condition.as_ref());
        condition.is_some_and(|condition| condition.holds)
    }

    /// What binds of so many members at once are to the gang's plan.
    fn role_of_binds(&self, members: usize) -> BindRole {
        if self.commitment.is_some() {
            return BindRole::Planned;
        }
        if self.is_plain() || self.minimum() == 0 {
            return BindRole::Alone;
        }
        if self.has_started() || self.tally.counted() >= self.minimum() {
            return BindRole::Late;
        }
        // The last that was missing is planned together with those that are bound: should it never be bound, there is a
        // record by which they are undone.
        if members == 1 && self.minimum() == 1 { BindRole::Alone } else { BindRole::Planned }
    }

    /// The epoch that binds outside of a commitment carry: that of the gang's plan; they rewrite nothing.
    fn epoch_of_single_binds(&mut self) -> u32 {
        if self.is_plain() {
            return 0;
        }
        self.epoch = self.epoch.max(1);
        self.epoch
    }

    /// Forgets what was known of the group's object, which is gone.
    pub(super) fn forget_object(&mut self) {
        self.fact = None;
        self.reached = 0;
        self.told.forget_group();
    }
}
