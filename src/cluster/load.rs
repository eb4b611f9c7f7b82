//! What each node can give and has left, by resource, with an index of nodes by free amount that every
//! place and release keeps current. Free amounts may be negative: facts are believed, not argued with.
//! Knows no names, pods, or constraints.

use std::collections::BTreeMap;

use super::ids::{NodeId, ResourceId};
use super::node_set::NodeSet;
use super::renumbering::Renumbering;
use crate::base::id::Id;

/// A class of free amounts: exact below 64 (devices), then eight bands per doubling (cores, bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Band(u16);

/// Free amounts below this have a band each.
const EXACT: i64 = 64;
/// Bands of the largest amount an `i64` holds.
const BANDS: usize = 64 + 57 * 8;

impl Band {
    /// Nothing is free, or less than nothing.
    pub const NONE: Self = Self(0);

    /// The band of `free`. Larger amounts never have a lower band.
    pub const fn of(free: i64) -> Self {
        if free <= 0 {
            return Self::NONE;
        }
        if free < EXACT {
            return Self(free as u16);
        }
        let octave = free.ilog2();
        let eighth = (free >> (octave - 3)) & 7;
        Self(64 + ((octave - 6) * 8) as u16 + eighth as u16)
    }

    /// The least amount in this band.
    pub const fn least(self) -> i64 {
        if (self.0 as i64) < EXACT {
            return self.0 as i64;
        }
        let octave = (self.0 - 64) / 8 + 6;
        let eighth = ((self.0 - 64) % 8) as i64;
        (8 + eighth) << (octave - 3)
    }
}

/// Nodes by the band of what they have free of one resource. Nodes with nothing free are not in it.
#[derive(Clone, Debug, Default)]
pub struct BandIndex {
    sets: Vec<NodeSet>,
    populated: [u64; BANDS / 64 + 1],
}

impl BandIndex {
    /// The nodes of `band`.
    pub fn nodes(&self, band: Band) -> Option<&NodeSet> {
        self.sets.get(band.0 as usize)
    }

    /// The lowest band from `band` on that has nodes.
    pub fn next_populated(&self, band: Band) -> Option<Band> {
        let at = band.0 as usize;
        let mut word = at / 64;
        let mut bits = self.populated.get(word)? & (u64::MAX << (at % 64));
        while bits == 0 {
            word += 1;
            bits = *self.populated.get(word)?;
        }
        Some(Band((word * 64) as u16 + bits.trailing_zeros() as u16))
    }

    /// The populated bands from `band` on, lowest first, with their nodes.
    pub fn bands_from(&self, band: Band) -> impl Iterator<Item = (Band, &NodeSet)> {
        let mut next = self.next_populated(band);
        std::iter::from_fn(move || {
            let band = next?;
            next = self.next_populated(Band(band.0 + 1));
            Some((band, &self.sets[band.0 as usize]))
        })
    }

    fn insert(&mut self, node: NodeId, band: Band) {
        let at = band.0 as usize;
        if self.sets.len() <= at {
            self.sets.resize_with(at + 1, NodeSet::new);
        }
        self.sets[at].insert(node);
        self.populated[at / 64] |= 1 << (at % 64);
    }

    fn remove(&mut self, node: NodeId, band: Band) {
        let at = band.0 as usize;
        self.sets[at].remove(node);
        if self.sets[at].is_empty() {
            self.populated[at / 64] &= !(1 << (at % 64));
        }
    }
}

/// Amounts per node and resource. Rows lie node by node: a fit check reads one or two cache lines.
#[derive(Clone, Debug, Default)]
pub struct Load {
    stride: usize,
    free: Vec<i64>,
    allocatable: Vec<i64>,
    index: Vec<BandIndex>,
    /// Only these are in the index: nodes that exist.
    indexed: NodeSet,
    /// What of a free amount lies beyond an `i64`, where pods claim that much of a node: so that what is
    /// taken and given back cancels out. Empty in every sane cluster.
    beyond: BTreeMap<(NodeId, ResourceId), i128>,
}

impl Load {
    /// What `node` has left of `resource`.
    pub fn free(&self, node: NodeId, resource: ResourceId) -> i64 {
        self.free[node.index() * self.stride + resource.index()]
    }

    /// The same where it is less than an `i64` can hold.
    pub(super) fn exact_free(&self, node: NodeId, resource: ResourceId) -> i128 {
        let beyond = self.beyond.get(&(node, resource)).copied().unwrap_or(0);
        i128::from(self.free(node, resource)) + beyond
    }

    /// What `node` offers of `resource` to pods, used or not.
    pub fn allocatable(&self, node: NodeId, resource: ResourceId) -> i64 {
        self.allocatable[node.index() * self.stride + resource.index()]
    }

    /// True when `node` has all of `requests` left.
    pub fn fits(&self, node: NodeId, requests: &[(ResourceId, i64)]) -> bool {
        let row = &self.free[node.index() * self.stride..][..self.stride];
        requests.iter().all(|(resource, amount)| row[resource.index()] >= *amount)
    }

    /// How many pods with `requests` fit on `node` one beside the other.
    pub fn seats(&self, node: NodeId, requests: &[(ResourceId, i64)]) -> i64 {
        let row = &self.free[node.index() * self.stride..][..self.stride];
        let seats = requests.iter().map(|(resource, amount)| row[resource.index()].max(0) / amount);
        seats.min().unwrap_or(0)
    }

    /// Existing nodes by free amount of `resource`.
    pub fn bands(&self, resource: ResourceId) -> &BandIndex {
        &self.index[resource.index()]
    }

    /// Adds to `into` the existing nodes that have at least `amount` of `resource` left.
    pub fn nodes_with(&self, resource: ResourceId, amount: i64, into: &mut NodeSet) {
        let boundary = Band::of(amount);
        let is_sure = |band: Band| band > boundary || band.least() >= amount;
        let bands = self.bands(resource).bands_from(boundary);
        into.unite_with_all(bands.filter(|(band, _)| is_sure(*band)).map(|(_, nodes)| nodes));
        if is_sure(boundary) {
            return;
        }
        for node in self.bands(resource).nodes(boundary).into_iter().flatten() {
            if self.free(node, resource) >= amount {
                into.insert(node);
            }
        }
    }

    /// Makes room for `nodes` rows of `kinds` amounts.
    pub(super) fn reserve(&mut self, nodes: usize, kinds: usize) {
        if kinds > self.stride {
            self.widen(kinds.next_power_of_two().max(8));
        }
        if self.free.len() < nodes * self.stride {
            self.free.resize(nodes * self.stride, 0);
            self.allocatable.resize(nodes * self.stride, 0);
        }
        if self.index.len() < kinds {
            self.index.resize_with(kinds, BandIndex::default);
        }
    }

    fn widen(&mut self, stride: usize) {
        let widen = |rows: &[i64], old: usize| {
            let mut wide = Vec::with_capacity(rows.len() / old.max(1) * stride);
            for row in rows.chunks(old.max(1)) {
                wide.extend_from_slice(row);
                wide.resize(wide.len() + stride - row.len(), 0);
            }
            wide
        };
        self.free = widen(&self.free, self.stride);
        self.allocatable = widen(&self.allocatable, self.stride);
        self.stride = stride;
    }

    /// Changes what `node` has left of `resource` by `delta`.
    pub(super) fn shift_free(&mut self, node: NodeId, resource: ResourceId, delta: i64) {
        let at = node.index() * self.stride + resource.index();
        let before = self.free[at];
        let after = match before.checked_add(delta) {
            Some(after) if self.beyond.is_empty() => after,
            Some(_) | None => self.shift_beyond(node, resource, delta),
        };
        self.free[at] = after;
        let (before, after) = (Band::of(before), Band::of(after));
        if before != after && self.indexed.contains(node) {
            self.rebucket(node, resource, before, after);
        }
    }

    /// Shifts an amount that may lie beyond an `i64`; returns the nearest that does not.
    fn shift_beyond(&mut self, node: NodeId, resource: ResourceId, delta: i64) -> i64 {
        let exact = self.exact_free(node, resource) + i128::from(delta);
        let nearest = exact.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        if exact == nearest {
            self.beyond.remove(&(node, resource));
        } else {
            self.beyond.insert((node, resource), exact - nearest);
        }
        i64::try_from(nearest).expect("clamped to what an i64 holds")
    }

    fn rebucket(&mut self, node: NodeId, resource: ResourceId, before: Band, after: Band) {
        let index = &mut self.index[resource.index()];
        if before != Band::NONE {
            index.remove(node, before);
        }
        if after != Band::NONE {
            index.insert(node, after);
        }
    }

    /// Changes what `node` offers of `resource`; what is in use stays in use.
    pub(super) fn set_allocatable(
        &mut self,
        node: NodeId,
        resource: ResourceId,
        amount: i64,
    ) -> i64 {
        let slot = &mut self.allocatable[node.index() * self.stride + resource.index()];
        let delta = amount.saturating_sub(*slot);
        *slot = amount;
        self.shift_free(node, resource, delta);
        delta
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        let stride = self.stride;
        for column in [&mut self.free, &mut self.allocatable] {
            let mut moved = vec![0; new.nodes() * stride];
            for (old, row) in column.chunks(stride).enumerate() {
                if let Some(new) = new.of(NodeId::from_index(old)) {
                    moved[new.index() * stride..][..stride].copy_from_slice(row);
                }
            }
            *column = moved;
        }
        for set in self.index.iter_mut().flat_map(|index| &mut index.sets) {
            if !set.is_empty() {
                *set = new.set(set);
            }
        }
        self.indexed = new.set(&self.indexed);
    }

    /// Lets searches find `node`.
    pub(super) fn enter_index(&mut self, node: NodeId, kinds: usize) {
        self.indexed.insert(node);
        for kind in (0..kinds).map(ResourceId::from_index) {
            let band = Band::of(self.free(node, kind));
            self.rebucket(node, kind, Band::NONE, band);
        }
    }

    /// Hides `node` from searches.
    pub(super) fn leave_index(&mut self, node: NodeId, kinds: usize) {
        for kind in (0..kinds).map(ResourceId::from_index) {
            let band = Band::of(self.free(node, kind));
            self.rebucket(node, kind, band, Band::NONE);
        }
        self.indexed.remove(node);
    }
}

#[cfg(test)]
mod tests {
    use super::{BANDS, Band, Load, NodeId, NodeSet, ResourceId};
    use crate::base::random::Random;

    #[test]
    fn bands_are_monotonic_and_start_at_their_least_amount() {
        let mut random = Random::new(2);
        let mut amounts: Vec<i64> = (-3..5_000).collect();
        amounts.extend((0..20_000).map(|_| (random.next_u64() >> (1 + random.below(62))) as i64));
        amounts.push(i64::MAX);
        amounts.sort_unstable();
        for pair in amounts.windows(2) {
            assert!(Band::of(pair[0]) <= Band::of(pair[1]), "{pair:?}");
        }
        for amount in amounts {
            let band = Band::of(amount);
            assert!((band.0 as usize) < BANDS);
            assert_eq!(Band::of(band.least()), band);
            assert!(band.least() <= amount.max(0));
            assert!(amount >= 64 || band.least() == amount.max(0), "devices are counted exactly");
        }
    }

    #[test]
    fn what_is_claimed_beyond_all_reason_is_given_back_exactly() {
        let (mut load, node, kind) = (Load::default(), NodeId(0), ResourceId(0));
        load.reserve(1, 1);
        load.enter_index(node, 1);
        load.set_allocatable(node, kind, 64);
        for _ in 0..3 {
            load.shift_free(node, kind, -i64::MAX);
        }
        assert_eq!(load.exact_free(node, kind), 64 - 3 * i128::from(i64::MAX));
        load.set_allocatable(node, kind, 60);
        for left in (0..3).rev() {
            load.shift_free(node, kind, i64::MAX);
            assert_eq!(load.exact_free(node, kind), 60 - left * i128::from(i64::MAX));
        }
        assert_eq!(load.free(node, kind), 60);
        assert!(load.beyond.is_empty());
    }

    #[test]
    fn nodes_with_enough_are_found_whatever_changes() {
        let mut random = Random::new(3);
        let mut load = Load::default();
        load.reserve(500, 2);
        let kinds = [ResourceId(0), ResourceId(1)];
        for node in (0..500).map(NodeId) {
            load.enter_index(node, 2);
            load.set_allocatable(node, kinds[0], random.below(9) as i64);
            load.set_allocatable(node, kinds[1], random.below(300_000) as i64);
        }
        load.leave_index(NodeId(17), 2);
        for round in 0..2_000 {
            let (node, kind) = (NodeId(random.below(500) as u32), *random.pick(&kinds));
            load.shift_free(node, kind, random.below(2_001) as i64 - 1_000);
            if round == 1_000 {
                load.reserve(600, 30);
            }
            if round % 50 != 0 {
                continue;
            }
            let amount =
                if random.chance(50) { random.below(10) } else { random.below(300_000) } as i64 + 1;
            let mut found = NodeSet::new();
            load.nodes_with(kind, amount, &mut found);
            let expected =
                (0..500).map(NodeId).filter(|n| n.0 != 17 && load.free(*n, kind) >= amount);
            assert!(found.iter().eq(expected), "{amount} of {kind:?}");
        }
    }
}
