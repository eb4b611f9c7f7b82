//! What each node can give and has left, by resource, with an index of nodes by free amount. Kinds by which
//! nodes are packed are indexed with every place and release; of the others it is noted which nodes
//! changed, and their index catches up when it is asked for: most changes are undone before that.
//! Free amounts may be negative: facts are believed, not argued with. Knows no names, pods, or constraints.

use std::collections::BTreeMap;

use smallvec::SmallVec;

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
    #[inline]
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
    #[inline]
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
    #[inline]
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

    /// Moves a node from one band to another; [`Band::NONE`] is in no index.
    #[inline]
    fn move_node(&mut self, node: NodeId, before: Band, after: Band) {
        if before == after {
            return;
        }
        if before != Band::NONE {
            self.remove(node, before);
        }
        if after != Band::NONE {
            self.insert(node, after);
        }
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

/// How many amounts a line holds: as many as a cache line does.
const LINE: usize = 8;

/// Amounts of one node and eight kinds, in a cache line of their own.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Line([i64; LINE]);

/// How soon an index takes in what a place or a release changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indexing {
    /// At once: nodes are packed by this kind, so every search reads it.
    AtOnce,
    /// When it is asked for: this kind rarely decides, and a stream of pods changes it all the time.
    #[default]
    WhenAsked,
}

/// Amounts per node and resource. Rows lie node by node: a fit check reads one cache line.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Lines per node.
    stride: usize,
    free: Vec<Line>,
    allocatable: Vec<Line>,
    index: Vec<BandIndex>,
    indexing: Vec<Indexing>,
    /// Only these are in the index: nodes that exist.
    indexed: NodeSet,
    /// What of a free amount lies beyond an `i64`, where pods claim that much of a node: so that what is
    /// taken and given back cancels out. Empty in every sane cluster.
    beyond: BTreeMap<(NodeId, ResourceId), i128>,
    /// Nodes whose place in the indices that wait to be asked may be out of date, and where each stands
    /// in them: a row of `stride` lines per node, of kinds that are indexed at once meaningless.
    behind: NodeSet,
    filed: Vec<[Band; LINE]>,
}

impl Load {
    /// What `node` has left of `resource`.
    #[inline]
    pub fn free(&self, node: NodeId, resource: ResourceId) -> i64 {
        amount(row(&self.free, self.stride, node), resource)
    }

    /// The same where it is less than an `i64` can hold.
    pub(super) fn exact_free(&self, node: NodeId, resource: ResourceId) -> i128 {
        let beyond = self.beyond.get(&(node, resource)).copied().unwrap_or(0);
        i128::from(self.free(node, resource)) + beyond
    }

    /// What `node` offers of `resource` to pods, used or not.
    pub fn allocatable(&self, node: NodeId, resource: ResourceId) -> i64 {
        amount(row(&self.allocatable, self.stride, node), resource)
    }

    /// True when `node` has all of `requests` left.
    #[inline]
    pub fn fits(&self, node: NodeId, requests: &[(ResourceId, i64)]) -> bool {
        let row = row(&self.free, self.stride, node);
        requests.iter().all(|(resource, asked)| amount(row, *resource) >= *asked)
    }

    /// How many pods with `requests` fit on `node` one beside the other; without any, no number is too many.
    pub fn seats(&self, node: NodeId, requests: &[(ResourceId, i64)]) -> i64 {
        let row = row(&self.free, self.stride, node);
        let seats = requests.iter().map(|(resource, asked)| amount(row, *resource).max(0) / asked);
        seats.min().unwrap_or(i64::MAX)
    }

    /// Existing nodes by free amount of `resource`, which must be up to date: see [`Self::is_current`].
    #[inline]
    pub fn bands(&self, resource: ResourceId) -> &BandIndex {
        assert!(self.is_current(resource), "an index is brought up to date before it is walked");
        &self.index[resource.index()]
    }

    /// True if [`Self::bands`] may be asked for `resource`.
    #[inline]
    pub fn is_current(&self, resource: ResourceId) -> bool {
        self.behind.is_empty() || self.indexing[resource.index()] == Indexing::AtOnce
    }

    /// Adds to `into`, which holds no others, the existing nodes that have at least `amount` of
    /// `resource` left. Exact at any time; nodes whose changes are not indexed yet are looked at one by one.
    pub fn nodes_with(&self, resource: ResourceId, amount: i64, into: &mut NodeSet) {
        let boundary = Band::of(amount);
        let is_sure = |band: Band| band > boundary || band.least() >= amount;
        let index = &self.index[resource.index()];
        let bands = index.bands_from(boundary);
        into.unite_with_all(bands.filter(|(band, _)| is_sure(*band)).map(|(_, nodes)| nodes));
        if !is_sure(boundary) {
            for node in index.nodes(boundary).into_iter().flatten() {
                if self.free(node, resource) >= amount {
                    into.insert(node);
                }
            }
        }
        if self.indexing[resource.index()] == Indexing::WhenAsked {
            for node in &self.behind {
                into.set(node, (self.free(node, resource) >= amount).into());
            }
        }
    }

    /// Brings every index up to date. Takes time in proportion to the nodes that changed since.
    pub(super) fn catch_up(&mut self) {
        let mut behind = std::mem::take(&mut self.behind);
        for node in &behind {
            for kind in 0..self.index.len() {
                if self.indexing[kind] == Indexing::WhenAsked {
                    let kind = ResourceId::from_index(kind);
                    let band = Band::of(self.free(node, kind));
                    self.file(node, kind, band);
                }
            }
        }
        behind.clear();
        self.behind = behind;
    }

    /// Makes room for `nodes` rows of as many kinds as `indexing` has.
    pub(super) fn reserve(&mut self, nodes: usize, indexing: &[Indexing]) {
        if indexing.len() > self.stride * LINE {
            self.widen(indexing.len().div_ceil(LINE).next_power_of_two());
        }
        let lines = nodes * self.stride;
        if self.free.len() < lines {
            self.free.resize(lines, Line::default());
            self.allocatable.resize(lines, Line::default());
            self.filed.resize(lines, [Band::NONE; LINE]);
        }
        if self.index.len() < indexing.len() {
            self.index.resize_with(indexing.len(), BandIndex::default);
            self.indexing.extend_from_slice(&indexing[self.indexing.len()..]);
        }
    }

    fn widen(&mut self, stride: usize) {
        widen(&mut self.free, self.stride, stride, Line::default());
        widen(&mut self.allocatable, self.stride, stride, Line::default());
        widen(&mut self.filed, self.stride, stride, [Band::NONE; LINE]);
        self.stride = stride;
    }

    /// Changes what `node` has left by `count` times `requests`.
    #[inline]
    pub(super) fn shift_free(&mut self, node: NodeId, requests: &[(ResourceId, i64)], count: i64) {
        let is_indexed = self.indexed.contains(node);
        let mut falls_behind = false;
        let first = node.index() * self.stride;
        for (resource, asked) in requests {
            let delta = asked.saturating_mul(count);
            let at = resource.index();
            let before = self.free[first + at / LINE].0[at % LINE];
            let after = match before.checked_add(delta) {
                Some(after) if self.beyond.is_empty() => after,
                Some(_) | None => self.shift_beyond(node, *resource, delta),
            };
            self.free[first + at / LINE].0[at % LINE] = after;
            match self.indexing[at] {
                Indexing::AtOnce if is_indexed => {
                    self.index[at].move_node(node, Band::of(before), Band::of(after));
                }
                Indexing::AtOnce => {}
                Indexing::WhenAsked => falls_behind = true,
            }
        }
        if falls_behind && is_indexed {
            self.behind.insert(node);
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

    /// Puts `node` into `band` of an index that waits to be asked.
    fn file(&mut self, node: NodeId, resource: ResourceId, band: Band) {
        let at = resource.index();
        let slot = &mut self.filed[node.index() * self.stride + at / LINE][at % LINE];
        let before = std::mem::replace(slot, band);
        self.index[at].move_node(node, before, band);
    }

    /// Changes what `node` offers of `resource`; what is in use stays in use. Returns by how much it grew.
    pub(super) fn set_allocatable(
        &mut self,
        node: NodeId,
        resource: ResourceId,
        amount: i64,
    ) -> i64 {
        let at = resource.index();
        let line = &mut self.allocatable[node.index() * self.stride + at / LINE];
        let delta = amount.saturating_sub(line.0[at % LINE]);
        line.0[at % LINE] = amount;
        if delta != 0 {
            self.shift_free(node, &[(resource, delta)], 1);
        }
        delta
    }

    /// Gives all nodes their new ids.
    pub(super) fn renumber(&mut self, new: &Renumbering) {
        for column in [&mut self.free, &mut self.allocatable] {
            *column = renumbered(column, self.stride, new, Line::default());
        }
        self.filed = renumbered(&self.filed, self.stride, new, [Band::NONE; LINE]);
        for set in self.index.iter_mut().flat_map(|index| &mut index.sets) {
            if !set.is_empty() {
                *set = new.set(set);
            }
        }
        self.indexed = new.set(&self.indexed);
        self.behind = new.set(&self.behind);
    }

    /// Lets searches find `node`.
    pub(super) fn enter_index(&mut self, node: NodeId) {
        self.indexed.insert(node);
        self.behind.insert(node);
        for kind in self.kinds_indexed_at_once() {
            let band = Band::of(self.free(node, kind));
            self.index[kind.index()].move_node(node, Band::NONE, band);
        }
    }

    /// Hides `node` from searches.
    pub(super) fn leave_index(&mut self, node: NodeId) {
        for kind in self.kinds_indexed_at_once() {
            let band = Band::of(self.free(node, kind));
            self.index[kind.index()].move_node(node, band, Band::NONE);
        }
        for kind in 0..self.index.len() {
            if self.indexing[kind] == Indexing::WhenAsked {
                self.file(node, ResourceId::from_index(kind), Band::NONE);
            }
        }
        self.behind.remove(node);
        self.indexed.remove(node);
    }

    fn kinds_indexed_at_once(&self) -> SmallVec<[ResourceId; 4]> {
        let kinds = self.indexing.iter().enumerate();
        kinds
            .filter(|(_, indexing)| **indexing == Indexing::AtOnce)
            .map(|(kind, _)| ResourceId::from_index(kind))
            .collect()
    }
}

#[inline]
fn row<T>(rows: &[T], stride: usize, node: NodeId) -> &[T] {
    &rows[node.index() * stride..][..stride]
}

#[inline]
fn amount(row: &[Line], resource: ResourceId) -> i64 {
    row[resource.index() / LINE].0[resource.index() % LINE]
}

/// The rows under their nodes' new ids.
fn renumbered<T: Copy>(rows: &[T], stride: usize, new: &Renumbering, fill: T) -> Vec<T> {
    let mut moved = vec![fill; new.nodes() * stride];
    for (old, row) in rows.chunks(stride).enumerate() {
        if let Some(new) = new.of(NodeId::from_index(old)) {
            moved[new.index() * stride..][..stride].copy_from_slice(row);
        }
    }
    moved
}

/// Makes every row longer, keeping what it holds.
fn widen<T: Copy>(rows: &mut Vec<T>, before: usize, stride: usize, fill: T) {
    let mut wide = Vec::new();
    for row in rows.chunks(before.max(1)) {
        wide.extend_from_slice(row);
        wide.resize(wide.len() + stride - row.len(), fill);
    }
    *rows = wide;
}

#[cfg(test)]
mod tests {
    use super::{BANDS, Band, Indexing, Load, NodeId, NodeSet, ResourceId};
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
        load.reserve(1, &[Indexing::AtOnce]);
        load.enter_index(node);
        load.set_allocatable(node, kind, 64);
        for _ in 0..3 {
            load.shift_free(node, &[(kind, -i64::MAX)], 1);
        }
        assert_eq!(load.exact_free(node, kind), 64 - 3 * i128::from(i64::MAX));
        load.set_allocatable(node, kind, 60);
        for left in (0..3).rev() {
            load.shift_free(node, &[(kind, i64::MAX)], 1);
            assert_eq!(load.exact_free(node, kind), 60 - left * i128::from(i64::MAX));
        }
        assert_eq!(load.free(node, kind), 60);
        assert!(load.beyond.is_empty());
    }

    #[test]
    fn nodes_with_enough_are_found_whatever_changes() {
        let mut random = Random::new(3);
        let mut load = Load::default();
        let mut indexing = vec![Indexing::AtOnce, Indexing::WhenAsked];
        load.reserve(500, &indexing);
        let kinds = [ResourceId(0), ResourceId(1)];
        for node in (0..500).map(NodeId) {
            load.enter_index(node);
            load.set_allocatable(node, kinds[0], random.below(9) as i64);
            load.set_allocatable(node, kinds[1], random.below(300_000) as i64);
        }
        load.leave_index(NodeId(17));
        for round in 0..2_000 {
            let (node, kind) = (NodeId(random.below(500) as u32), *random.pick(&kinds));
            load.shift_free(node, &[(kind, random.below(2_001) as i64 - 1_000)], 1);
            if round == 1_000 {
                indexing.resize(30, Indexing::WhenAsked);
                load.reserve(600, &indexing);
            }
            if random.chance(1) {
                load.catch_up();
                assert!(kinds.iter().all(|kind| load.is_current(*kind)));
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
