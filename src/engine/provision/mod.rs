//! Binding the volumes of pods that have a seat, before the pods are bound: claims are told their volume or node, and
//! waited for until they are bound. Chooses nothing: what each claim gets was promised when the seat was held.
//! A pod on its own is bound when its claims are; a gang's plan goes on when those of all its members are.
//! Invariants: a pod is listed here as long as it has a seat and its claims are not all bound; what it was promised is
//! held as long. A write names the version that was judged; one that fails is judged anew.

mod claims;
mod undo;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use self::claims::Judgement;
use super::Engine;
use super::action::{Action, VolumeWrite};
use super::commitment::{Call, PrepareStep};
use super::event::Outcome;
use super::gangs::{GangId, SetbackCure};
use super::order::{BindRole, Order, OrderId, PodRef};
use super::pods::{Answer, Place, Seat, Standing};
use crate::base::names::{Name, ObjectName};
use crate::base::time::{Span, Time};
use crate::cluster::facts::CommitMark;
use crate::cluster::ids::{NodeId, PodId};
use crate::cluster::storage::promises::Promise;

/// What upstream says of volumes that were not bound in time.
const TOO_LATE: &str = "binding volumes: context deadline exceeded";

/// Pods whose volumes are being bound.
#[derive(Debug, Default)]
pub(super) struct Provisions {
    pods: BTreeMap<PodId, Provision>,
    /// Who waits for a claim.
    by_claim: BTreeMap<ObjectName, BTreeSet<PodId>>,
    /// Pods to be looked at.
    due: BTreeSet<PodId>,
    /// When pods are given up.
    limits: BTreeSet<(Time, PodId)>,
    /// When pods that still wait are told what for.
    words: BTreeSet<(Time, PodId)>,
    /// Writes under way.
    calls: FxHashMap<OrderId, Called>,
    /// Plans that wait for the volumes of their members.
    preparing: BTreeMap<GangId, CommitMark>,
    /// Plans whose writes are being undone.
    undoing: BTreeMap<GangId, Undoing>,
}

/// The volumes of one pod.
#[derive(Debug)]
struct Provision {
    node: Name,
    /// `None` while its gang's plan is not decided.
    until: Option<Time>,
    /// When it is told what it waits for; `None` once it was.
    word: Option<Time>,
    claims: Vec<Wanted>,
    purpose: Purpose,
    /// What the API said when it refused a write for good.
    refused: Option<String>,
}

/// A claim that is to be bound.
#[derive(Debug)]
struct Wanted {
    claim: ObjectName,
    promise: Promise,
    /// The write under way.
    order: Option<OrderId>,
    /// The version of its object that the last write named.
    tried: u64,
    /// The version in which its object says what was promised, once it does.
    written: Option<u64>,
}

/// What follows when a pod's volumes are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The pod is bound.
    Alone,
    /// The plan of its gang goes on.
    Planned(GangId),
}

/// A write under way.
#[derive(Clone, Debug)]
enum Called {
    /// Of a pod's claim.
    Bind(PodId, ObjectName),
    /// That undoes one for a plan.
    UndoPlan(GangId),
    /// That undoes one for a pod on its own: nobody waits.
    Undo,
}

/// A plan whose writes are being undone.
#[derive(Debug)]
struct Undoing {
    mark: CommitMark,
    left: usize,
    /// What went wrong.
    doubt: Option<String>,
}

impl Provisions {
    /// When to look again although nothing happens: at once, where somebody is due.
    pub(super) fn wakeup(&self, now: Time) -> Option<Time> {
        if self.due.is_empty() { self.limits.first().map(|(until, _)| *until) } else { Some(now) }
    }

    /// How many writes are under way.
    pub(super) fn calls_under_way(&self) -> usize {
        self.calls.len()
    }

    /// Pods on their own whose volumes are being bound: they have a seat, and no bind is under way.
    pub(super) fn seats_alone(&self) -> usize {
        self.pods.values().filter(|provision| provision.purpose == Purpose::Alone).count()
    }

    /// Whoever waits for `claim` is to be looked at.
    pub(super) fn claim_changed(&mut self, claim: &ObjectName) {
        self.due.extend(self.by_claim.get(claim).into_iter().flatten());
    }

    /// The pod, if it waits for volumes, is to be looked at.
    pub(super) fn pod_changed(&mut self, pod: PodId) {
        if !self.pods.is_empty() && self.pods.contains_key(&pod) {
            self.due.insert(pod);
        }
    }

    /// Whoever has a seat on `node` is to be looked at.
    pub(super) fn node_gone(&mut self, node: &str) {
        let there = self.pods.iter().filter(|(_, provision)| *provision.node == *node);
        self.due.extend(there.map(|(pod, _)| *pod));
    }
}

impl Engine {
    /// Promises the claims of a pod what they get on `node`, where a seat is held for it as a member of a plan.
    pub(super) fn promise_for_plan(&mut self, id: PodId, node: NodeId) {
        if let Some(gang) = self.pods.get(id).gang {
            self.promise_volumes(id, node, Purpose::Planned(gang));
        }
    }

    /// True if a member of the gang has volumes to be bound before its plan is.
    pub(super) fn plan_has_volumes(&self, gang: GangId) -> bool {
        let listed = &self.provisions.pods;
        !listed.is_empty()
            && self.gangs.get(gang).members.iter().any(|pod| listed.contains_key(pod))
    }

    /// Holds a seat for a pod on its own whose volumes are to be bound first. False if there are none.
    ///
    /// Nothing is recorded of that. Whoever takes over after a crash finds the claim's node or the volume's claim
    /// written, which the search heeds: the pod gets that node and that volume again, or waits where the node has no
    /// room any more, until the provisioner or the controller has bound the claim, as after a crash of kube-scheduler.
    pub(super) fn hold_for_volumes(
        &mut self,
        id: PodId,
        node: NodeId,
        (epoch, role): (u32, BindRole),
    ) -> bool {
        if self.pods.get(id).fact.ask.volumes.is_empty()
            || !self.promise_volumes(id, node, Purpose::Alone)
        {
            return false;
        }
        self.count_out(id);
        let pod = self.pods.get_mut(id);
        let (order, doubts, answer) = (OrderId::NONE, 0, Answer::Awaited);
        let version = pod.fact.resource_version;
        pod.place = Place::Assumed(Seat { node, order, version, epoch, role, doubts, answer });
        pod.told = 0;
        self.seat(id, node);
        self.count_in(id);
        self.start_provision(id);
        true
    }

    fn promise_volumes(&mut self, id: PodId, node: NodeId, purpose: Purpose) -> bool {
        let ask = self.pods.get(id).fact.ask.clone();
        if ask.volumes.is_empty() {
            return false;
        }
        self.drop_provision(id);
        let (promised, refused) = match self.cluster.promise_volumes(&ask, node) {
            Ok(promised) if promised.is_empty() => return false,
            Ok(promised) => (promised, None),
            // Whoever takes a plan over may find that things have changed: the seat is given up at the first look.
            Err(lack) => (Vec::new(), Some(claims::words(lack).to_owned())),
        };
        let wanted =
            |(claim, promise)| Wanted { claim, promise, order: None, tried: 0, written: None };
        let claims: Vec<Wanted> = promised.into_iter().map(wanted).collect();
        for wanted in &claims {
            self.provisions.by_claim.entry(wanted.claim.clone()).or_default().insert(id);
        }
        let node = self.cluster.node_name(node).clone();
        let (until, word) = (None, None);
        let provision = Provision { node, until, word, claims, purpose, refused };
        self.provisions.pods.insert(id, provision);
        true
    }

    /// How long the claims of a gang's members may take to be bound: as long as those of the most patient one.
    pub(super) fn volume_timeout_of_gang(&self, gang: GangId) -> Span {
        let members = self.gangs.get(gang).members.iter();
        let limits = members.map(|pod| self.volume_timeout_of(*pod));
        limits.max().unwrap_or(self.settings.volume_timeout)
    }

    fn volume_timeout_of(&self, id: PodId) -> Span {
        self.settings.volume_timeout_of(&self.pods.get(id).fact.ask)
    }

    fn start_provision(&mut self, id: PodId) {
        let until = self.now + self.volume_timeout_of(id);
        let provision = self.provisions.pods.get_mut(&id).expect("it was listed before");
        if let Some(before) = provision.until.replace(until) {
            self.provisions.limits.remove(&(before, id));
        }
        self.provisions.limits.insert((until, id));
        self.provisions.due.insert(id);
        self.word_on_volumes_is_due(id);
    }

    /// A pod has no seat any more, or its volumes are bound: what was promised for it is let go.
    pub(super) fn drop_provision(&mut self, id: PodId) {
        if self.provisions.pods.is_empty() {
            return;
        }
        let Some(provision) = self.provisions.pods.remove(&id) else { return };
        self.provisions.due.remove(&id);
        if let Some(until) = provision.until {
            self.provisions.limits.remove(&(until, id));
        }
        if let Some(word) = provision.word {
            self.provisions.words.remove(&(word, id));
        }
        for wanted in &provision.claims {
            if let Some(waiting) = self.provisions.by_claim.get_mut(&wanted.claim) {
                waiting.remove(&id);
                if waiting.is_empty() {
                    self.provisions.by_claim.remove(&wanted.claim);
                }
            }
        }
        if self.cluster.end_promises(provision.claims.iter().map(|wanted| &wanted.claim)) {
            self.promises_ended();
        }
        match provision.purpose {
            Purpose::Alone => {}
            Purpose::Planned(gang) => self.check_prepared(gang),
        }
    }

    /// A pod leaves a gang, and with it the gang's plan, if it has volumes for that.
    pub(super) fn leave_preparation(&mut self, id: PodId, gang: GangId) {
        let provision = self.provisions.pods.get(&id);
        if provision.is_some_and(|provision| provision.purpose == Purpose::Planned(gang)) {
            self.drop_provision(id);
        }
    }

    /// Looks at every pod that is due: writes what is to be written, and goes on with whoever is done.
    pub(super) fn advance_provisions(&mut self, orders: &mut Vec<Order>) {
        while let Some((_, id)) =
            self.provisions.limits.first().copied().filter(|(until, _)| *until <= self.now)
        {
            self.fail_provision(id, TOO_LATE, orders);
        }
        while let Some(id) = self.provisions.due.pop_first() {
            self.look_at_provision(id, orders);
        }
    }

    fn look_at_provision(&mut self, id: PodId, orders: &mut Vec<Order>) {
        let Some(provision) = self.provisions.pods.get_mut(&id) else { return };
        if provision.until.is_none() {
            return;
        }
        if let Some(why) = provision.refused.take() {
            return self.fail_provision(id, &why, orders);
        }
        if self.pods.get(id).standing() != Standing::Assumed {
            return match provision.purpose {
                // The plan knows what to do about a member that leaves.
                Purpose::Planned(_) => self.drop_provision(id),
                Purpose::Alone => self.fail_provision(id, "the pod is leaving", orders),
            };
        }
        let known = self.cluster.node(&provision.node);
        let Some(node) = known.filter(|node| self.cluster.node_exists(*node)) else {
            let why = format!("node \"{}\" not found", provision.node);
            return self.fail_provision(id, &why, orders);
        };
        let judgement = claims::judge(&self.cluster, node, &mut provision.claims);
        match judgement {
            Judgement::Bound => self.finish_provision(id, orders),
            Judgement::Failed(why) => self.fail_provision(id, &why, orders),
            Judgement::Open(writes) => {
                let gang = self.gang_name(id);
                for (claim, write) in writes {
                    let order =
                        self.order_write(Called::Bind(id, claim.clone()), &gang, write, orders);
                    let provision = self.provisions.pods.get_mut(&id).expect("it is listed");
                    let wanted = provision.claims.iter_mut().find(|wanted| wanted.claim == claim);
                    wanted.expect("it was judged").order = Some(order);
                }
            }
        }
    }

    fn order_write(
        &mut self,
        called: Called,
        gang: &ObjectName,
        write: VolumeWrite,
        orders: &mut Vec<Order>,
    ) -> OrderId {
        let id = self.orders.issue_unlisted();
        self.provisions.calls.insert(id, called);
        self.counters.volume_writes += 1;
        orders.push(Order { id, action: Action::Volume { write, gang: gang.clone() } });
        id
    }

    /// The gang of a pod, or its own name.
    fn gang_name(&self, id: PodId) -> ObjectName {
        let pod = self.pods.get(id);
        let gang = pod.gang.map(|gang| self.gangs.get(gang).identity.name().clone());
        gang.unwrap_or_else(|| pod.fact.name.clone())
    }

    /// All claims of a pod are bound.
    fn finish_provision(&mut self, id: PodId, orders: &mut Vec<Order>) {
        let purpose = self.provisions.pods[&id].purpose;
        self.drop_provision(id);
        match purpose {
            Purpose::Planned(_) => {}
            Purpose::Alone => self.bind_with_volumes(id, orders),
        }
    }

    /// Orders the bind of a pod whose seat is held.
    fn bind_with_volumes(&mut self, id: PodId, orders: &mut Vec<Order>) {
        let gang = self.gang_name(id);
        let order = self.orders.issue(id);
        let pod = self.pods.get_mut(id);
        let seat = pod.seat().expect("its seat was held for its volumes");
        let version = pod.fact.resource_version;
        pod.place = Place::Assumed(Seat { order, version, ..seat });
        let reference = PodRef {
            name: pod.fact.name.clone(),
            uid: pod.fact.uid.clone(),
            resource_version: version,
        };
        let node = self.cluster.node_name(seat.node).clone();
        let Seat { epoch, role, .. } = seat;
        self.counters.binds_ordered += 1;
        let action = Action::Bind { pod: reference, node, gang, epoch, role };
        orders.push(Order { id: order, action });
    }

    /// The claims of a pod cannot be bound as promised.
    fn fail_provision(&mut self, id: PodId, why: &str, orders: &mut Vec<Order>) {
        let Some(provision) = self.provisions.pods.get_mut(&id) else { return };
        self.counters.volumes_failed += 1;
        // Said once, whoever is to go on with it.
        if let Some(until) = provision.until.take() {
            self.provisions.limits.remove(&(until, id));
        }
        let (purpose, node) = (provision.purpose, provision.node.clone());
        let claims: Vec<ObjectName> =
            provision.claims.iter().map(|wanted| wanted.claim.clone()).collect();
        match purpose {
            Purpose::Alone => {
                let gang = self.gang_name(id);
                self.drop_provision(id);
                for write in self.writes_to_undo(&claims, &node) {
                    self.order_write(Called::Undo, &gang, write, orders);
                }
                self.bind_failed(id, why, SetbackCure::Time);
            }
            Purpose::Planned(gang) => {
                self.settle_preparation(gang, Outcome::Conflict(why.to_owned()))
            }
        }
    }

    /// A write to a claim or volume came back. False if the order is none.
    pub(super) fn volume_write_settled(&mut self, order: OrderId, outcome: &Outcome) -> bool {
        let Some(called) = self.provisions.calls.remove(&order) else { return false };
        match called {
            Called::Undo => {}
            Called::UndoPlan(gang) => self.undo_settled(gang, outcome),
            Called::Bind(pod, claim) => self.claim_write_settled(pod, &claim, outcome),
        }
        true
    }

    fn claim_write_settled(&mut self, id: PodId, claim: &ObjectName, outcome: &Outcome) {
        let Some(provision) = self.provisions.pods.get_mut(&id) else { return };
        let wanted = provision.claims.iter_mut().find(|wanted| wanted.claim == *claim);
        let Some(wanted) = wanted else { return };
        wanted.order = None;
        match outcome {
            Outcome::Written { resource_version } => wanted.written = Some(*resource_version),
            // Written again, if its object still says nothing of it: twice does no harm.
            Outcome::Unknown(_) => wanted.tried = 0,
            Outcome::Refused(why) => provision.refused = Some(why.clone()),
            // It is judged anew, once a newer version is known.
            Outcome::Conflict(_)
            | Outcome::Gone
            | Outcome::Done
            | Outcome::BoundTo(_)
            | Outcome::Superseded(_) => {}
        }
        self.provisions.due.insert(id);
    }

    /// Carries out a call that is no single request: a step of the preparation.
    pub(super) fn carry_out(
        &mut self,
        id: GangId,
        call: &Call,
        mark: CommitMark,
        orders: &mut Vec<Order>,
    ) {
        match call {
            Call::Prepare(PrepareStep::Volumes) => self.prepare_plan(id, mark),
            Call::Undo(PrepareStep::Volumes) => self.undo_plan(id, mark, orders),
            Call::ProposePart(_)
            | Call::Propose
            | Call::Commit
            | Call::Verify
            | Call::Bind(_)
            | Call::Seal
            | Call::Abort
            | Call::Fence(_)
            | Call::Evict(_)
            | Call::FinishAbort => unreachable!("these are single requests"),
        }
    }

    /// The plan of a gang is decided: the volumes of its members are bound.
    pub(super) fn prepare_plan(&mut self, gang: GangId, mark: CommitMark) {
        self.provisions.preparing.insert(gang, mark);
        for pod in self.gangs.get(gang).members.clone() {
            if self.provisions.pods.contains_key(&pod) {
                self.start_provision(pod);
            }
        }
        self.check_prepared(gang);
    }

    /// Lets a plan go on once no member of it waits for volumes any more.
    fn check_prepared(&mut self, gang: GangId) {
        if !self.provisions.preparing.contains_key(&gang) {
            return;
        }
        if self.gangs.known(gang).is_none() {
            self.provisions.preparing.remove(&gang);
        } else if !self.plan_has_volumes(gang) {
            self.settle_preparation(gang, Outcome::Done);
        }
    }

    /// A plan was given up while it waited for volumes.
    pub(super) fn give_up_preparation(&mut self, gang: GangId) {
        self.settle_preparation(gang, Outcome::Conflict(TOO_LATE.to_owned()));
    }

    fn settle_preparation(&mut self, gang: GangId, outcome: Outcome) {
        let Some(mark) = self.provisions.preparing.remove(&gang) else { return };
        if let Some(known) = self.gangs.known(gang) {
            for pod in known.members.clone() {
                if let Some(provision) = self.provisions.pods.get_mut(&pod)
                    && let Some(until) = provision.until.take()
                {
                    self.provisions.limits.remove(&(until, pod));
                    self.provisions.due.remove(&pod);
                }
            }
        }
        self.plan_call_settled(gang, mark, Call::Prepare(PrepareStep::Volumes), &outcome);
    }
}
