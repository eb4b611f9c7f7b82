//! The careful search, for demands whose members mean something to other pods or to each other: members are
//! placed one after the other on a draft, each judged beside those before it. First greedily, the best node
//! first, as often as anything more fits; if that leaves some without a seat, by trying every order and node.
//! A placement is feasible if there is an order of its members in which each is admitted; seats stand in it.
//! Invariant: the cluster is as before once the trial is dropped.

use rustc_hash::FxHashSet;

use super::demand::Role;
use crate::base::random::Random;
use crate::cluster::Cluster;
use crate::cluster::draft::{Draft, Edit, Mark, Step};
use crate::cluster::ids::NodeId;
use crate::plugins::relation::Newcomer;
use crate::plugins::{self, node_resources_fit};

/// Looking at one node costs a fraction of placing a member there.
const LOOKS_PER_STEP: u64 = 16;

/// A member's seat: which role, and where.
pub(super) type RoleSeat = (usize, NodeId);

/// Members being placed.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    draft: Draft<'a>,
    roles: &'a [Role],
    /// Candidates of each role, best first; none that could not take one member at the start.
    candidates: Vec<Vec<NodeId>>,
    /// How many members of each role have no seat.
    left: Vec<usize>,
    seats: Vec<(RoleSeat, Mark)>,
}

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
        roles: &'a [Role],
        candidates: Vec<Vec<NodeId>>,
    ) -> Self {
        let left = roles.iter().map(|role| role.members.len()).collect();
        Self { draft: Draft::open(cluster, log), roles, candidates, left, seats: Vec::new() }
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

    /// Looks for an order and nodes for `least` members, beginning with nobody placed; leaves the best that
    /// was found in place.
    pub(super) fn search(&mut self, least: usize, steps: &mut u64) -> End {
        let mut best = self.seats();
        self.undo_to(0);
        let end = self.descend(least, steps, &mut best);
        self.undo_to(0);
        for (role, node) in best {
            self.place(role, node);
        }
        end
    }

    /// Depth first. What can follow depends only on who is where, not on the order in which they came: a
    /// state that was seen is not entered again.
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
            let next = state.wrapping_add(fingerprint(role, node));
            if !seen.insert(next) {
                continue;
            }
            self.place(role, node);
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

    /// The next seat that could be taken, from `cursor` on, which moves behind it.
    fn next(&self, cursor: &mut Cursor, looks: &mut u64) -> Option<RoleSeat> {
        while cursor.role < self.roles.len() {
            let role = cursor.role;
            if self.left[role] > 0
                && let Some(node) = self.candidates[role].get(cursor.candidate)
            {
                cursor.candidate += 1;
                *looks += 1;
                if self.admits(role, *node) {
                    return Some((role, *node));
                }
            } else {
                *cursor = Cursor { role: role + 1, candidate: 0 };
            }
        }
        None
    }

    /// True if one more member of the role may go to the node, a candidate.
    fn admits(&self, role: usize, node: NodeId) -> bool {
        let Role { ask, signature, .. } = &self.roles[role];
        let cluster = self.draft.cluster();
        let ask = cluster.interned(*ask);
        let newcomer = Newcomer { cluster, ask, signature: *signature };
        node_resources_fit::fits(ask, cluster, node) && plugins::admits_beside(&newcomer, node)
    }

    fn place(&mut self, role: usize, node: NodeId) {
        let mark = self.draft.mark();
        let Role { ask, signature, .. } = self.roles[role];
        self.draft.place(Step { node, ask, signature, count: 1 });
        self.left[role] -= 1;
        self.seats.push(((role, node), mark));
    }

    /// Takes seats back, the latest first, until so many are left.
    fn undo_to(&mut self, count: usize) {
        while self.seats.len() > count {
            let ((role, _), mark) = self.seats.pop().expect("there are more than are to be left");
            self.left[role] += 1;
            self.draft.roll_back(mark);
        }
    }
}

/// A number for a seat, so that the sum over all seats stands for who is where, whatever the order. Of 128
/// bits: that two states of one search have one sum is less likely than that the machine fails.
fn fingerprint(role: usize, node: NodeId) -> u128 {
    let mut random = Random::new((role as u64) << 32 | u64::from(node.0));
    u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())
}
