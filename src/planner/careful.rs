//! The careful search, for demands whose members mean something to other pods or to each other: members are
//! placed one after the other on a draft, each judged beside those before it. First greedily, the best node
//! first, as often as anything more fits; if that leaves some without a seat, by trying every order and node.
//! A placement is feasible if there is an order of its members in which each is admitted; seats stand in it.
//! Invariant: the cluster is as before once the trial is dropped.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::beside;
use super::demand::{Demand, Role};
use crate::base::names::ObjectName;
use crate::base::random::Random;
use crate::cluster::Cluster;
use crate::cluster::draft::{Draft, Edit, Mark, Step};
use crate::cluster::ids::NodeId;
use crate::cluster::nominations::Expected;
use crate::cluster::relations::domains::Domain;
use crate::cluster::resources::PODS;
use crate::cluster::storage::promises::Promise;
use crate::plugins::census::Census;
use crate::plugins::gpu_packing::rank;
use crate::plugins::relation::{Newcomer, is_related, is_wishing};
use crate::plugins::verdict::Verdicts;
use crate::plugins::weighing::Follows;
use crate::plugins::{self, node_resources_fit, weighing};
use crate::workload::volumes::{claims_of, disks_of};

/// Looking at one node costs a fraction of placing a member there.
const LOOKS_PER_STEP: u64 = 16;

/// A member's seat: which role, and where.
pub(super) type RoleSeat = (usize, NodeId);

/// Members being placed.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    draft: Draft<'a>,
    census: Census,
    roles: &'a [Role],
    /// Those who are expected on nodes; their kinds stand behind the roles in the census.
    expected: &'a [Expected],
    verdicts: &'a Verdicts,
    /// Candidates of each role, best first; none that could not take one member at the start.
    candidates: Vec<Vec<NodeId>>,
    /// How many members of each role have no seat.
    left: Vec<usize>,
    seats: Vec<(RoleSeat, Mark)>,
    /// Which roles have several members who share a claim that is to be bound for the node of the first.
    shares_claim: Vec<bool>,
    /// A number for each promise that some state of the search held.
    promises: FxHashMap<(ObjectName, Promise), u64>,
}

/// What the first seat decides for the others: its domains, and its node where they share a claim.
type FirstSeat = (SmallVec<[Option<Domain>; 2]>, Option<NodeId>);

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Every placement was looked at, or one was found that is as good as any.
    Proved,
    /// The bound on its work ended it.
    OutOfSteps,
}

/// A point of the search: who is tried next, and where.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    role: usize,
    candidate: usize,
}

impl<'a> Trial<'a> {
    /// Begins with nobody placed.
    pub(super) fn open(
        cluster: &'a mut Cluster,
        log: &'a mut Vec<Edit>,
        (demand, verdicts): (&'a Demand, &'a Verdicts),
        candidates: Vec<Vec<NodeId>>,
    ) -> Self {
        let Demand { roles, expected, .. } = demand;
        let left = roles.iter().map(|role| role.members.len()).collect();
        let storage = cluster.storage();
        let shares = |Role { ask, members, .. }: &Role| {
            members.len() > 1 && storage.has_open_claims(cluster.ask(*ask))
        };
        let shares_claim = roles.iter().map(shares).collect();
        let mut kinds: Vec<_> = roles.iter().map(|role| (role.ask, role.signature)).collect();
        kinds.extend(beside::kinds(expected));
        let census = Census::take(cluster, &kinds);
        let draft = Draft::open(cluster, log);
        Self {
            draft,
            census,
            roles,
            expected,
            verdicts,
            candidates,
            left,
            seats: Vec::new(),
            shares_claim,
            promises: FxHashMap::default(),
        }
    }

    /// The cluster with the seats so far.
    pub(super) const fn cluster(&self) -> &Cluster {
        self.draft.cluster()
    }

    /// Seats so far, in the order in which they were taken.
    pub(super) fn seats(&self) -> Vec<RoleSeat> {
        self.seats.iter().map(|(seat, _)| *seat).collect()
    }

    /// Fills the best nodes first, role by role in the given order, until nobody finds a seat any more:
    /// to place one may make room for another, so that who found none is asked again.
    pub(super) fn fill(&mut self, order: &[usize]) {
        loop {
            let before = self.seats.len();
            for role in order {
                self.fill_role(*role);
            }
            let everybody = self.left.iter().all(|left| *left == 0);
            if everybody || self.seats.len() == before {
                return;
            }
        }
    }

    fn fill_role(&mut self, role: usize) {
        let Role { ask, signature, .. } = self.roles[role];
        let cluster = self.draft.cluster();
        let is_scored = cluster.interned(ask).ask.weighing().is_some();
        if is_scored && !is_related(cluster, ask, signature) {
            return self.fill_by_scores(role);
        }
        if is_wishing(self.draft.cluster(), ask, signature) {
            while self.left[role] > 0
                && let Some(node) = self.best(role)
            {
                self.place(role, node);
            }
            return;
        }
        for at in 0..self.candidates[role].len() {
            let node = self.candidates[role][at];
            while self.left[role] > 0 && self.admits(role, node) {
                self.place(role, node);
            }
            if self.left[role] == 0 {
                return;
            }
        }
    }

    /// As often as [`Self::best`] finds a node, for members who mean nothing to other pods: then a member changes
    /// only what the node says on which it is placed, until that one is full.
    fn fill_by_scores(&mut self, role: usize) {
        const STEADY: &[Follows] = &[Follows::Objects, Follows::Pods];
        while self.left[role] > 0 {
            let nodes = self.admitting(role);
            let (steady, mut by_load) =
                (self.scores(role, &nodes, STEADY), self.scores(role, &nodes, &[Follows::Load]));
            let best = |trial: &Self, by_load: &[i64]| {
                let sums = steady.iter().zip(by_load).map(|(steady, load)| steady + load);
                let ranked = sums.zip(&nodes).zip(0..).map(|((sum, node), at)| {
                    (sum, trial.emptiness(role, *node), Reverse(*node), at)
                });
                ranked.max().map(|(.., Reverse(node), at): (i64, _, _, usize)| (node, at))
            };
            if nodes.is_empty() {
                return;
            }
            while self.left[role] > 0
                && let Some((node, at)) = best(self, &by_load)
            {
                self.place(role, node);
                if !self.admits(role, node) {
                    break;
                }
                by_load[at] = self.scores(role, &[node], &[Follows::Load])[0];
            }
        }
    }

    /// The candidates that admit one more member.
    fn admitting(&mut self, role: usize) -> Vec<NodeId> {
        let candidates = std::mem::take(&mut self.candidates[role]);
        let admits = |node: &NodeId| self.admits(role, *node);
        let admitting = candidates.iter().copied().filter(admits).collect();
        self.candidates[role] = candidates;
        admitting
    }

    /// Sums of kube-scheduler's scores for one more member of the role, whose profile asks for them.
    fn scores(&self, role: usize, nodes: &[NodeId], of: &[Follows]) -> Vec<i64> {
        let cluster = self.draft.cluster();
        let ask = cluster.interned(self.roles[role].ask);
        let newcomer = Newcomer { cluster, ask, census: &self.census, role };
        let weighing = ask.ask.weighing().expect("its nodes are ranked by scores");
        weighing::totals_of(&newcomer, weighing, nodes, of)
    }

    /// What ranks nodes of one score for members who look for no room, so that not all go to the first: for how many more
    /// pods there is room. The same for all nodes where the members look for it themselves.
    fn emptiness(&self, role: usize, node: NodeId) -> i64 {
        let cluster = self.draft.cluster();
        let looks = !cluster.interned(self.roles[role].ask).looked_for.is_empty();
        if looks { 0 } else { cluster.load().free(node, PODS) }
    }

    /// The node that admits one more member and is best for it as things stand, whom it wishes for included.
    fn best(&mut self, role: usize) -> Option<NodeId> {
        let nodes = self.admitting(role);
        let cluster = self.draft.cluster();
        let ask = cluster.interned(self.roles[role].ask);
        let newcomer = Newcomer { cluster, ask, census: &self.census, role };
        if let Some(weighing) = ask.ask.weighing() {
            let totals = weighing::totals(&newcomer, weighing, &nodes);
            let ranked = totals
                .into_iter()
                .zip(nodes)
                .map(|(total, node)| (total, self.emptiness(role, node), Reverse(node)));
            return ranked.max().map(|(.., Reverse(node))| node);
        }
        let points = plugins::points_beside(&newcomer, &nodes);
        let verdict = self.verdicts.get(ask.constraint);
        let ranked = nodes.into_iter().zip(points).map(|(node, points)| {
            let points = points + verdict.points(node).unwrap_or(0);
            (rank(points, cluster.load().free(node, ask.packed_by), node), node)
        });
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, node)| node)
    }

    /// Looks for an order and nodes for `least` members, beginning with nobody placed; leaves the best that
    /// was found in place. `order` is that of [`Self::fill`], which has left somebody without a seat.
    pub(super) fn search(&mut self, order: &[usize], least: usize, steps: &mut u64) -> End {
        if self.filled_is_most() {
            return End::Proved;
        }
        let mut best = self.seats();
        let mut end = self.try_domains(order, least, steps, &mut best);
        // Where the first seat decides and every first seat was tried, nothing is left to be looked at.
        let looked_at_all = self.fills_are_largest();
        if end == End::Proved && best.len() < least && !looked_at_all {
            self.undo_to(0);
            end = self.descend(least, steps, &mut best);
        }
        self.undo_to(0);
        for (role, node) in best {
            self.place(role, node);
        }
        end
    }

    /// True if no other choice of seats could have given seats to more members.
    fn filled_is_most(&self) -> bool {
        self.fills_are_largest() && !self.shares_claim[0]
    }

    /// True if filling gives seats to as many members as any choice of seats does; where members share claims that
    /// are bound for the node of the first: as any choice with the same first seat does.
    fn fills_are_largest(&self) -> bool {
        // A port, and a disk that nobody shares, is a limit per node, which lies within any domain: beside one more
        // limit it changes nothing, but beside spreading it does. Volumes that are bound admit the same nodes whoever
        // came before, and count once on each.
        match self.roles {
            // Those who are expected on a node mean something there and nowhere else.
            [_] if !self.expected.is_empty() => false,
            [only] => {
                let ask = &self.draft.cluster().interned(only.ask).ask;
                let wants = ask.relations.as_ref();
                let takes_ports = wants.is_some_and(|wants| !wants.host_ports.is_empty());
                let takes_disks = disks_of(&ask.volumes).any(|disk| disk.conflicts_with(disk));
                let is_spread = wants.is_some_and(|wants| !wants.spread.is_empty());
                let mixes = (takes_ports || takes_disks) && is_spread;
                !mixes && self.census.any_full_set_is_a_largest(0)
            }
            _ => false,
        }
    }

    /// Where members must be together, the domain of the first decides for all, and where they share a claim that is
    /// bound for a node, its node does: tries each as the first, and fills from there. Finds what a search by single
    /// seats would not come to within its bound.
    fn try_domains(
        &mut self,
        order: &[usize],
        least: usize,
        steps: &mut u64,
        best: &mut Vec<RoleSeat>,
    ) -> End {
        let keys = self.census.attraction_keys();
        let round = self.candidates.iter().map(|nodes| nodes.len() as u64).sum::<u64>();
        for role in order {
            let own_node = self.shares_claim[*role];
            if keys.is_empty() && !own_node {
                continue;
            }
            let mut tried: FxHashSet<FirstSeat> = FxHashSet::default();
            for at in 0..self.candidates[*role].len() {
                let node = self.candidates[*role][at];
                let relations = self.draft.cluster().relations();
                let domains = keys.iter().map(|key| relations.key(*key).domain(node)).collect();
                if !tried.insert((domains, own_node.then_some(node))) {
                    continue;
                }
                let Some(left) = steps.checked_sub(round / LOOKS_PER_STEP + 1) else {
                    return End::OutOfSteps;
                };
                *steps = left;
                self.undo_to(0);
                if self.admits(*role, node) {
                    self.place(*role, node);
                    self.fill(order);
                }
                if self.seats.len() > best.len() {
                    *best = self.seats();
                    if best.len() >= least {
                        return End::Proved;
                    }
                }
            }
        }
        End::Proved
    }

    /// Depth first. What can follow depends only on who is where and which claim got which volume, not on the order
    /// in which they came: a state that was seen is not entered again.
    fn descend(&mut self, least: usize, steps: &mut u64, best: &mut Vec<RoleSeat>) -> End {
        let mut seen: FxHashSet<u128> = FxHashSet::default();
        let mut looks = 0;
        let mut path = vec![(Cursor::default(), 0_u128)];
        while let Some((cursor, state)) = path.last_mut() {
            let state = *state;
            let found = self.next(cursor, &mut looks);
            let spent = looks / LOOKS_PER_STEP + 1;
            looks %= LOOKS_PER_STEP;
            let Some(left) = steps.checked_sub(spent) else { return End::OutOfSteps };
            *steps = left;
            let Some((role, node)) = found else {
                path.pop();
                self.undo_to(path.len().saturating_sub(1));
                continue;
            };
            let Some(next) = self.enter((role, node), state, &mut seen) else { continue };
            if self.seats.len() > best.len() {
                *best = self.seats();
                if best.len() >= least {
                    return End::Proved;
                }
            }
            path.push((Cursor::default(), next));
        }
        End::Proved
    }

    /// Takes a seat if that leads from `state` to one that was not seen yet; says to which.
    fn enter(
        &mut self,
        (role, node): RoleSeat,
        state: u128,
        seen: &mut FxHashSet<u128>,
    ) -> Option<u128> {
        let seat = (role as u64) << 32 | u64::from(node.0);
        let next = state.wrapping_add(fingerprint(Part::Seat, seat));
        if self.draft.cluster().ask(self.roles[role].ask).volumes.is_empty() {
            if !seen.insert(next) {
                return None;
            }
            self.place(role, node);
            return Some(next);
        }
        self.place(role, node);
        let next = next.wrapping_add(self.promised(role));
        if !seen.insert(next) {
            self.undo_to(self.seats.len() - 1);
            return None;
        }
        Some(next)
    }

    /// A number for what the claims of a member of the role, who has just been placed, were promised.
    fn promised(&mut self, role: usize) -> u128 {
        let cluster = self.draft.cluster();
        let promises = cluster.storage().promises();
        let mut sum = 0_u128;
        for claim in claims_of(&cluster.ask(self.roles[role].ask).volumes) {
            let Some(promise) = promises.of(claim) else { continue };
            let new = self.promises.len() as u64;
            let number = *self.promises.entry((claim.clone(), promise.clone())).or_insert(new);
            sum = sum.wrapping_add(fingerprint(Part::Promise, number));
        }
        sum
    }

    /// The next seat that could be taken, from `cursor` on, which moves behind it.
    fn next(&mut self, cursor: &mut Cursor, looks: &mut u64) -> Option<RoleSeat> {
        while cursor.role < self.roles.len() {
            let role = cursor.role;
            if self.left[role] > 0
                && let Some(node) = self.candidates[role].get(cursor.candidate).copied()
            {
                cursor.candidate += 1;
                *looks += 1;
                if self.admits(role, node) {
                    return Some((role, node));
                }
            } else {
                *cursor = Cursor { role: role + 1, candidate: 0 };
            }
        }
        None
    }

    /// True if one more member of the role may go to the node, a candidate: with those who are expected there, and
    /// without them.
    fn admits(&mut self, role: usize, node: NodeId) -> bool {
        let ask = self.roles[role].ask;
        let admits = |draft: &Draft<'_>, census: &Census| {
            let cluster = draft.cluster();
            let ask = cluster.interned(ask);
            let newcomer = Newcomer { cluster, ask, census, role };
            node_resources_fit::fits(ask, cluster, node) && plugins::admits_beside(&newcomer, node)
        };
        if !admits(&self.draft, &self.census) {
            return false;
        }
        let is_met = self.expected.iter().any(|one| one.node == node);
        !is_met || {
            let (first, expected) = (self.roles.len(), self.expected);
            let state = (&mut self.draft, &mut self.census);
            beside::with_expected(state, first, (node, expected), admits)
        }
    }

    fn place(&mut self, role: usize, node: NodeId) {
        let mark = self.draft.mark();
        let Role { ask, signature, .. } = self.roles[role];
        self.draft.place(Step { node, ask, signature, count: 1 });
        self.census.shift(self.draft.cluster(), role, node, 1);
        self.left[role] -= 1;
        self.seats.push(((role, node), mark));
    }

    /// Takes seats back, the latest first, until so many are left.
    fn undo_to(&mut self, count: usize) {
        while self.seats.len() > count {
            let ((role, node), mark) =
                self.seats.pop().expect("there are more than are to be left");
            self.left[role] += 1;
            self.census.shift(self.draft.cluster(), role, node, -1);
            self.draft.roll_back(mark);
        }
    }
}

/// Counts for all roles, whose domains must be up to date.
pub(super) fn take_census(cluster: &Cluster, roles: &[Role]) -> Census {
    let roles: Vec<_> = roles.iter().map(|role| (role.ask, role.signature)).collect();
    Census::take(cluster, &roles)
}

/// What makes up a state of the search.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Somebody's seat.
    Seat,
    /// What a claim was promised.
    Promise,
}

/// A number for a part of a state, so that the sum over all parts stands for the state, in whatever order they came.
/// Of 128 bits: that two states of one search have one sum is less likely than that the machine fails.
fn fingerprint(part: Part, number: u64) -> u128 {
    let seed = match part {
        Part::Seat => number,
        // Roles are far fewer than 2^31.
        Part::Promise => number | 1 << 63,
    };
    let mut random = Random::new(seed);
    u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())
}
