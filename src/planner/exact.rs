//! The complete search for gangs whose members differ: depth first over nodes, each taking one of the
//! fullest combinations of members that it can hold, until enough are placed or nothing is left to try.
//! Works on numbers copied from the cluster; knows no index and edits nothing.
//!
//! Why only fullest combinations: a member placed on a later node, or nowhere, may move to an earlier node
//! with room for it without loss. Why a state is tried once: what the nodes from here on can add depends
//! only on which members are left; so permutations among equal nodes meet in one state.

use std::cmp::Reverse;

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::cluster::Cluster;
use crate::cluster::ids::{AskId, NodeId, ResourceId};

/// How many members of each role, in the problem's order of roles.
type Counts = SmallVec<[u32; 8]>;

/// Node, ask, how many.
pub(super) type Seats = Vec<(NodeId, AskId, u32)>;

/// A role as the search sees it.
#[derive(Clone, Debug)]
pub(super) struct Need {
    /// What each member asks for.
    pub(super) ask: AskId,
    /// How many members are to be placed.
    pub(super) count: u32,
}

/// Which placements a search looks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    /// Fewer members are no placement.
    pub(super) least: usize,
    /// A placement of so many ends the search.
    pub(super) most: usize,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The placement of the most members that was found; `None` if none was that reaches the goal.
    pub(super) seats: Option<Seats>,
    /// Whether there may be one of more members.
    pub(super) end: End,
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// No placement within the goal has more members.
    Proved,
    /// The bound on its work ended it.
    OutOfSteps,
}

/// A packing problem in plain numbers.
#[derive(Debug)]
pub(super) struct Problem {
    needs: Vec<Need>,
    /// Requests of one member, role by role, in the order of `kinds`.
    requests: Vec<Vec<i64>>,
    nodes: Vec<Candidate>,
    /// For each kind the roles by what they request of it, least first.
    cheapest: Vec<Vec<usize>>,
    /// Of the nodes from a position on: seats for each role if it were alone, and free amounts.
    seats_from: Vec<Vec<u64>>,
    free_from: Vec<Vec<i128>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    /// Seats for each role if it were alone; 0 where rules forbid the node.
    seats: Vec<u32>,
    /// What is left of each kind, as far as the gang could use it.
    free: Vec<i64>,
    node: NodeId,
}

/// A node on the path, and the combination that it holds now.
#[derive(Debug)]
struct Frame {
    position: usize,
    counts: Option<Counts>,
}

/// Looking at one role on one node costs a fraction of trying a combination.
const CELLS_PER_STEP: u64 = 16;

/// Steps that may still be done.
#[derive(Debug)]
pub(super) struct Steps(pub(super) u64);

/// The bound on work was reached.
#[derive(Debug)]
struct OutOfSteps;

impl Steps {
    fn spend(&mut self) -> Result<(), OutOfSteps> {
        self.0 = self.0.checked_sub(1).ok_or(OutOfSteps)?;
        Ok(())
    }
}

impl Problem {
    /// True if the problem is small enough to be written down within the bound on work.
    pub(super) fn is_writable(cluster: &Cluster, roles: usize, steps_max: u64) -> bool {
        (cluster.node_count() as u64).saturating_mul(roles as u64)
            <= steps_max.saturating_mul(CELLS_PER_STEP)
    }

    /// Copies what matters from the cluster. `allowed` says whether rules let a role on a node.
    pub(super) fn new(
        cluster: &Cluster,
        mut needs: Vec<Need>,
        allowed: impl Fn(AskId, NodeId) -> bool,
    ) -> Self {
        let mut kinds: Vec<ResourceId> = needs
            .iter()
            .flat_map(|need| &cluster.interned(need.ask).looked_for)
            .map(|(id, _)| *id)
            .collect();
        // Scarce kinds last; by name and not by id, which depends on what was seen first.
        let resources = cluster.resources();
        kinds.sort_by_cached_key(|kind| {
            (Reverse(resources.class(*kind)), resources.name(*kind).clone())
        });
        kinds.dedup();
        let requests_of =
            |ask| kinds.iter().map(|kind| cluster.interned(ask).need(*kind)).collect();
        // Members that need much of the scarce kinds first: they stand last.
        needs.sort_by_cached_key(|need| {
            let mut amounts: Vec<i64> = requests_of(need.ask);
            amounts.reverse();
            (Reverse(amounts), cluster.interned(need.ask).ask.clone())
        });
        let requests: Vec<Vec<i64>> = needs.iter().map(|need| requests_of(need.ask)).collect();
        let cheapest = (0..kinds.len())
            .map(|kind| {
                let mut roles: Vec<usize> = (0..needs.len()).collect();
                roles.sort_by_key(|role| requests[*role][kind]);
                roles
            })
            .collect();
        let mut problem = Self {
            needs,
            requests,
            nodes: Vec::new(),
            cheapest,
            seats_from: Vec::new(),
            free_from: Vec::new(),
        };
        problem.take_nodes(cluster, &kinds, allowed);
        problem.sum_suffixes(kinds.len());
        problem
    }

    fn take_nodes(
        &mut self,
        cluster: &Cluster,
        kinds: &[ResourceId],
        allowed: impl Fn(AskId, NodeId) -> bool,
    ) {
        let usable: Vec<i64> = (0..kinds.len())
            .map(|kind| {
                let all = self.needs.iter().zip(&self.requests);
                all.fold(0_i64, |sum, (need, requests)| {
                    sum.saturating_add(requests[kind].saturating_mul(i64::from(need.count)))
                })
            })
            .collect();
        for node in cluster.nodes().present() {
            let free = |kind: usize| cluster.load().free(node, kinds[kind]);
            let seats_of = |role: usize| {
                if !allowed(self.needs[role].ask, node) {
                    return 0;
                }
                let asked =
                    self.requests[role].iter().enumerate().filter(|(_, amount)| **amount > 0);
                let seats = asked.map(|(kind, amount)| free(kind).max(0) / amount).min();
                // Who looks for nothing has room anywhere.
                let count = i64::from(self.needs[role].count);
                seats.map_or(count, |seats| seats.min(count)) as u32
            };
            let seats: Vec<u32> = (0..self.needs.len()).map(seats_of).collect();
            if seats.iter().any(|seats| *seats > 0) {
                let free = (0..kinds.len()).map(|kind| free(kind).clamp(0, usable[kind])).collect();
                self.nodes.push(Candidate { seats, free, node });
            }
        }
        // Equal nodes side by side, and of each kind no more than there are members.
        self.nodes.sort_unstable();
        let members: usize = self.needs.iter().map(|need| need.count as usize).sum();
        let mut run = 0;
        let mut previous: Option<(Vec<u32>, Vec<i64>)> = None;
        self.nodes.retain(|candidate| {
            let kind = (&candidate.seats, &candidate.free);
            if previous.as_ref().is_some_and(|(seats, free)| (seats, free) == kind) {
                run += 1;
            } else {
                run = 1;
                previous = Some((candidate.seats.clone(), candidate.free.clone()));
            }
            run <= members
        });
    }

    fn sum_suffixes(&mut self, kinds: usize) {
        let mut seats = vec![0_u64; self.needs.len()];
        let mut free = vec![0_i128; kinds];
        self.seats_from.push(seats.clone());
        self.free_from.push(free.clone());
        for candidate in self.nodes.iter().rev() {
            for (sum, more) in seats.iter_mut().zip(&candidate.seats) {
                *sum += u64::from(*more);
            }
            for (sum, more) in free.iter_mut().zip(&candidate.free) {
                *sum += i128::from(*more);
            }
            self.seats_from.push(seats.clone());
            self.free_from.push(free.clone());
        }
        self.seats_from.reverse();
        self.free_from.reverse();
    }

    /// Looks for the placement of the most members within `goal`, as long as there are `steps`.
    pub(super) fn solve(&self, goal: Goal, steps: &mut Steps) -> Found {
        let mut seats = None;
        let end = match self.descend(goal, steps, &mut seats) {
            Ok(()) => End::Proved,
            Err(OutOfSteps) => End::OutOfSteps,
        };
        Found { seats, end }
    }

    /// Depth first. What is looked for rises with what was found, so a state that led to no more members
    /// than were looked for then leads to no more than are looked for now.
    fn descend(
        &self,
        goal: Goal,
        steps: &mut Steps,
        found: &mut Option<Seats>,
    ) -> Result<(), OutOfSteps> {
        let mut least = goal.least;
        let mut left: Counts = self.needs.iter().map(|need| need.count).collect();
        let mut placed = 0;
        let mut dead: FxHashSet<(usize, Counts)> = FxHashSet::default();
        let mut path = Vec::new();
        if self.most_from(0, &left) >= least as u64 {
            path.push(Frame { position: 0, counts: None });
        }
        while let Some(frame) = path.last_mut() {
            steps.spend()?;
            if let Some(counts) = &frame.counts {
                placed -= put_back(&mut left, counts);
            }
            let Some(counts) =
                self.next_fullest(frame.position, &left, frame.counts.take(), steps)?
            else {
                dead.insert((frame.position, left.clone()));
                path.pop();
                continue;
            };
            placed += take_out(&mut left, &counts);
            frame.counts = Some(counts);
            let position = frame.position + 1;
            if placed >= least {
                *found = Some(self.seats(&path));
                if placed >= goal.most {
                    return Ok(());
                }
                least = placed + 1;
            }
            let reachable = placed as u64 + self.most_from(position, &left) >= least as u64;
            if reachable && !dead.contains(&(position, left.clone())) {
                path.push(Frame { position, counts: None });
            }
        }
        Ok(())
    }

    /// No more members than this can be placed on the nodes from `position` on.
    fn most_from(&self, position: usize, left: &Counts) -> u64 {
        let by_seats: u64 = left
            .iter()
            .zip(&self.seats_from[position])
            .map(|(left, seats)| u64::from(*left).min(*seats))
            .sum();
        let mut most = by_seats;
        for (kind, roles) in self.cheapest.iter().enumerate() {
            let mut free = self.free_from[position][kind];
            let mut members = 0;
            for &role in roles {
                let request = i128::from(self.requests[role][kind]);
                let count = i128::from(left[role]);
                let fitting = if request == 0 { count } else { count.min(free / request) };
                members += fitting as u64;
                free -= fitting * request;
            }
            most = most.min(members);
        }
        most
    }

    /// The next combination that leaves no room for any member that is left: the one after `previous` in
    /// descending order, or the first.
    fn next_fullest(
        &self,
        position: usize,
        left: &Counts,
        previous: Option<Counts>,
        steps: &mut Steps,
    ) -> Result<Option<Counts>, OutOfSteps> {
        let Some(node) = self.nodes.get(position) else { return Ok(None) };
        let mut counts = match previous {
            None => {
                let mut counts = Counts::from_elem(0, left.len());
                self.fill(node, left, &mut counts, 0);
                return Ok(Some(counts));
            }
            Some(previous) => previous,
        };
        loop {
            // The last role always takes all it can; the ones before it count down like an odometer.
            let Some(role) = (0..counts.len() - 1).rev().find(|role| counts[*role] > 0) else {
                return Ok(None);
            };
            counts[role] -= 1;
            steps.spend()?;
            self.fill(node, left, &mut counts, role + 1);
            let room = |role: usize| self.room(node, left, &counts, role) > 0;
            if !(0..=role).any(room) {
                return Ok(Some(counts));
            }
        }
    }

    /// Gives each role from `first` on as many seats as are left, one role after the other.
    fn fill(&self, node: &Candidate, left: &Counts, counts: &mut Counts, first: usize) {
        counts[first..].fill(0);
        for role in first..counts.len() {
            counts[role] = self.room(node, left, counts, role);
        }
    }

    /// How many members of `role` fit beside `counts`, of those that are left.
    fn room(&self, node: &Candidate, left: &Counts, counts: &Counts, role: usize) -> u32 {
        let most =
            left[role].min(node.seats[role]) - counts[role].min(left[role].min(node.seats[role]));
        if most == 0 {
            return 0;
        }
        let mut room = i64::from(most);
        for (kind, request) in
            self.requests[role].iter().enumerate().filter(|(_, request)| **request > 0)
        {
            let used: i64 =
                (0..counts.len()).map(|r| self.requests[r][kind] * i64::from(counts[r])).sum();
            room = room.min((node.free[kind] - used) / request);
        }
        u32::try_from(room.max(0)).expect("no more than members are left")
    }

    fn seats(&self, path: &[Frame]) -> Seats {
        let mut seats = Vec::new();
        for frame in path {
            let Some(counts) = &frame.counts else { continue };
            for (need, count) in self.needs.iter().zip(counts) {
                if *count > 0 {
                    seats.push((self.nodes[frame.position].node, need.ask, *count));
                }
            }
        }
        seats
    }
}

fn take_out(left: &mut Counts, counts: &Counts) -> usize {
    for (left, count) in left.iter_mut().zip(counts) {
        *left -= count;
    }
    counts.iter().map(|count| *count as usize).sum()
}

fn put_back(left: &mut Counts, counts: &Counts) -> usize {
    for (left, count) in left.iter_mut().zip(counts) {
        *left += count;
    }
    counts.iter().map(|count| *count as usize).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{End, Found, Goal, Need, Problem, Steps};
    use crate::cluster::Cluster;
    use crate::cluster::facts::NodeFact;
    use crate::cluster::ids::AskId;
    use crate::workload::ask::Ask;

    fn cluster(cards: impl IntoIterator<Item = i64>) -> Cluster {
        let mut cluster = Cluster::new();
        for (at, cards) in cards.into_iter().enumerate() {
            cluster.observe_node(&NodeFact {
                name: format!("n{at}").into(),
                uid: "".into(),
                allocatable: vec![("pods".into(), 110), ("nvidia.com/gpu".into(), cards)],
                ..NodeFact::default()
            });
        }
        cluster
    }

    /// Roles given as cards per member and number of members; looks for placements of `least` to all.
    fn solve(cluster: &mut Cluster, roles: &[(i64, u32)], least: usize, steps: u64) -> Found {
        let needs = roles.iter().map(|(cards, count)| {
            let requests = vec![("nvidia.com/gpu".into(), *cards)];
            let ask: AskId = cluster.intern(&Arc::new(Ask { requests, ..Ask::default() }));
            Need { ask, count: *count }
        });
        let needs = needs.collect();
        let most = roles.iter().map(|(_, count)| *count as usize).sum();
        Problem::new(cluster, needs, |_, _| true).solve(Goal { least, most }, &mut Steps(steps))
    }

    /// Members placed, and how the search ended.
    fn seats(found: &Found) -> (Option<usize>, End) {
        let count = |seats: &super::Seats| seats.iter().map(|(_, _, count)| *count as usize).sum();
        (found.seats.as_ref().map(count), found.end)
    }

    #[test]
    fn what_only_one_cut_allows_is_found() {
        // Largest first puts 5 and 4 together and strands a 3.
        let mut cluster = cluster([9, 10]);
        let found = solve(&mut cluster, &[(5, 2), (3, 3)], 5, 1_000);
        assert_eq!(seats(&found), (Some(5), End::Proved));
        let all = solve(&mut cluster, &[(5, 2), (4, 1), (3, 2)], 5, 1_000);
        assert_eq!(seats(&all), (None, End::Proved));
    }

    #[test]
    fn the_most_is_found_and_proved() {
        let mut cluster = cluster([9, 10]);
        let most = solve(&mut cluster, &[(5, 2), (4, 1), (3, 2)], 1, 1_000);
        assert_eq!(seats(&most), (Some(4), End::Proved));
        let none = solve(&mut cluster, &[(11, 2), (12, 1)], 1, 1_000);
        assert_eq!(seats(&none), (None, End::Proved));
    }

    #[test]
    fn many_equal_nodes_are_no_more_work_than_few() {
        // Sums alone allow it: 8,000 cards for 7,000. Cutting does not: a 5 leaves 3 on a node of 8.
        let mut cluster = cluster(std::iter::repeat_n(8, 1_000));
        let found = solve(&mut cluster, &[(5, 1_000), (4, 500)], 1_500, 200_000);
        assert_eq!(seats(&found), (None, End::Proved));
        let found = solve(&mut cluster, &[(5, 700), (3, 700), (4, 600)], 2_000, 200_000);
        assert_eq!(seats(&found), (Some(2_000), End::Proved));
    }

    #[test]
    fn the_bound_ends_a_search_and_says_so() {
        let mut cluster = cluster([31, 31, 31, 31, 31]);
        let roles = [(17, 2), (13, 3), (11, 2), (9, 2), (7, 4)];
        // Four members at most on a node: 13 take more than three combinations.
        let found = solve(&mut cluster, &roles, 13, 3);
        assert_eq!(seats(&found), (None, End::OutOfSteps));
    }

    #[test]
    fn a_problem_too_large_to_write_down_is_known_before() {
        let cluster = cluster([1; 100]);
        assert!(Problem::is_writable(&cluster, 16, 100));
        assert!(!Problem::is_writable(&cluster, 17, 100));
    }
}
