//! How far the members of a gang could even out the domains of its spread constraints themselves, and whether that is far
//! enough. An upper bound: room is counted for each role as if it were alone, and what else keeps members apart is left
//! out, so that what is impossible by it is impossible. Knows no search.

use super::{Census, Last, SpreadTally, Tally};
use crate::cluster::Cluster;
use crate::cluster::ids::NodeId;

/// The members of a gang that wait.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// How many there are of each role.
    pub members: &'a [u32],
    /// How many of them must be placed together.
    pub needed: u32,
}

/// Room of one domain.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// For members that raise the domain's count.
    raising: i64,
    /// For members of the role itself, where they are counted.
    counted: i64,
    /// And where they are not.
    uncounted: i64,
}

impl Census {
    /// Raises the least count of each spread constraint as far as all members together could, where `seats` tells how many
    /// of a role have room on a node. Counts of domains stay what they are: they only grow, too. False if even so some
    /// constraint keeps the gang below what it needs.
    pub fn lift(
        &mut self,
        cluster: &Cluster,
        waiting: Waiting<'_>,
        seats: impl Fn(usize, NodeId) -> usize,
    ) -> bool {
        let all: i64 = waiting.members.iter().map(|count| i64::from(*count)).sum();
        let seats = |role, node| i64::try_from(seats(role, node)).unwrap_or(i64::MAX).min(all);
        let mut is_enough = true;
        for role in 0..self.roles.len() {
            let others = all - i64::from(waiting.members[role]);
            for spread in self.roles[role].spread.clone() {
                let raises = |other: &usize| self.roles[*other].raises(spread.tally);
                let raising: Vec<usize> = (0..self.roles.len()).filter(raises).collect();
                let pods = raising.iter().map(|other| i64::from(waiting.members[*other])).sum();
                let tally = &mut self.tallies[spread.tally];
                let rooms = tally.rooms(cluster, |node| {
                    let raising = raising.iter().map(|role| seats(*role, node)).sum();
                    (raising, seats(role, node))
                });
                if let Some(last) = &mut tally.last {
                    last.count = last.lifted(&tally.by_domain, &rooms, pods);
                }
                let takes = tally.takes(&spread, &rooms, raising.contains(&role));
                is_enough &= takes + others >= i64::from(waiting.needed);
            }
        }
        is_enough
    }
}

impl Tally {
    /// The rooms of all domains, from those of a node for all that raise its count and for the role itself.
    fn rooms(&self, cluster: &Cluster, on: impl Fn(NodeId) -> (i64, i64)) -> Vec<Room> {
        let domains = cluster.relations().key(self.key);
        let mut rooms = vec![Room::default(); self.by_domain.len()];
        for node in domains.nodes().iter() {
            let Some(domain) = domains.domain(node) else { continue };
            let room = &mut rooms[domain.index()];
            let (raising, own) = on(node);
            if self.among.as_ref().is_none_or(|among| among.contains(node)) {
                room.raising += raising;
                room.counted += own;
            } else {
                room.uncounted += own;
            }
        }
        rooms
    }

    /// At most so many members of the role, which may raise the count, find a domain not too far ahead of the last.
    fn takes(&self, spread: &SpreadTally, rooms: &[Room], raises: bool) -> i64 {
        let limit = self.least(spread.min_domains) + spread.max_skew - spread.itself;
        let of_domain = |(count, room): (&i64, &Room)| match limit - count {
            ..0 => 0,
            ahead if raises => room.counted.min(ahead + 1) + room.uncounted,
            _ => room.counted + room.uncounted,
        };
        self.by_domain.iter().zip(rooms).map(of_domain).sum()
    }
}

impl Last {
    /// The highest least count that so many more pods can make, of which each domain takes as many as it has room for.
    fn lifted(&self, by_domain: &[i64], rooms: &[Room], pods: i64) -> i64 {
        let existing = || {
            let domains = by_domain.iter().zip(rooms).zip(&self.exists);
            domains.filter(|(_, exists)| **exists).map(|(domain, _)| domain)
        };
        let ceiling = existing().map(|(count, room)| count + room.raising.min(pods)).min();
        let lacking =
            |least: i64| -> i64 { existing().map(|(count, _)| (least - count).max(0)).sum() };
        let (mut reached, mut beyond) = (self.count, ceiling.unwrap_or(self.count) + 1);
        while beyond - reached > 1 {
            let middle = reached.midpoint(beyond);
            if lacking(middle) <= pods {
                reached = middle;
            } else {
                beyond = middle;
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::{Last, Room};

    #[test]
    fn the_least_rises_as_far_as_pods_and_room_last() {
        let lifted = |counts: [i64; 3], rooms: [i64; 3], pods: i64| {
            let mut last = Last { exists: vec![true; 3], domains: 3, count: 0, having_it: 0 };
            last.recount(&counts);
            last.lifted(&counts, &rooms.map(|raising| Room { raising, ..Room::default() }), pods)
        };
        assert_eq!(lifted([0, 0, 0], [9, 9, 9], 2), 0, "one domain is left out");
        assert_eq!(lifted([0, 0, 0], [9, 9, 9], 3), 1);
        assert_eq!(
            lifted([5, 1, 3], [9, 9, 9], 5),
            4,
            "three and one, and the fifth is not enough"
        );
        assert_eq!(lifted([5, 1, 3], [9, 9, 9], 6), 5);
        assert_eq!(lifted([5, 1, 3], [9, 1, 9], 6), 2, "it has room for one only");
        assert_eq!(lifted([5, 1, 3], [0, 0, 0], 6), 1);
        let two = Last { exists: vec![true, false, true], domains: 2, count: 3, having_it: 1 };
        let rooms = [Room { raising: 9, ..Room::default() }; 3];
        assert_eq!(two.lifted(&[5, 1, 3], &rooms, 2), 5, "a domain without nodes is none");
    }
}
