//! Sets of nodes as bitsets with two levels of 64-ary summaries above them, so that a search skips
//! 4,096 absent nodes with one comparison. Sets of different capacity mix freely: what lies beyond
//! a set's capacity is not in it. Iteration is always in the order of node ids.

use super::ids::NodeId;

/// A set of nodes.
#[derive(Clone, Debug, Default)]
pub struct NodeSet {
    /// One bit per node.
    words: Vec<u64>,
    /// One bit per word that is not zero.
    groups: Vec<u64>,
    /// One bit per group that is not zero.
    regions: Vec<u64>,
    len: usize,
}

const BITS: usize = 64;

impl NodeSet {
    /// The empty set.
    #[inline]
    pub const fn new() -> Self {
        Self { words: Vec::new(), groups: Vec::new(), regions: Vec::new(), len: 0 }
    }

    /// How many nodes are in it.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when no node is in it.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True when `node` is in it.
    #[inline]
    pub fn contains(&self, node: NodeId) -> bool {
        let at = node.0 as usize;
        self.words.get(at / BITS).is_some_and(|word| word >> (at % BITS) & 1 == 1)
    }

    /// Adds `node`; false if it was in already.
    #[inline]
    pub fn insert(&mut self, node: NodeId) -> bool {
        let at = node.0 as usize;
        let word = at / BITS;
        self.reserve_words(word + 1);
        let bit = 1 << (at % BITS);
        let before = self.words[word];
        if before & bit != 0 {
            return false;
        }
        self.words[word] = before | bit;
        self.len += 1;
        if before == 0 {
            self.summarise(word);
        }
        true
    }

    /// Takes `node` out; false if it was not in.
    #[inline]
    pub fn remove(&mut self, node: NodeId) -> bool {
        let at = node.0 as usize;
        let word = at / BITS;
        let bit = 1 << (at % BITS);
        let Some(slot) = self.words.get_mut(word).filter(|slot| **slot & bit != 0) else {
            return false;
        };
        *slot &= !bit;
        self.len -= 1;
        if *slot == 0 {
            self.summarise(word);
        }
        true
    }

    /// Puts `node` in or takes it out; true if that changed the set.
    #[inline]
    pub fn set(&mut self, node: NodeId, membership: Membership) -> bool {
        match membership {
            Membership::In => self.insert(node),
            Membership::Out => self.remove(node),
        }
    }

    /// Empties the set, keeping its memory.
    pub fn clear(&mut self) {
        self.words.fill(0);
        self.groups.fill(0);
        self.regions.fill(0);
        self.len = 0;
    }

    /// Becomes a copy of `other`, reusing memory.
    pub fn copy_from(&mut self, other: &Self) {
        self.words.clone_from(&other.words);
        self.groups.clone_from(&other.groups);
        self.regions.clone_from(&other.regions);
        self.len = other.len;
    }

    /// Keeps only what is also in `other`.
    pub fn intersect_with(&mut self, other: &Self) {
        self.rewrite_words(|at, word| word & other.word(at));
    }

    /// Takes out what is in `other`.
    pub fn subtract(&mut self, other: &Self) {
        self.rewrite_words(|at, word| word & !other.word(at));
    }

    /// Adds what is in `other`.
    pub fn unite_with(&mut self, other: &Self) {
        self.reserve_words(other.words.len());
        self.rewrite_words(|at, word| word | other.word(at));
    }

    /// Adds what is in each of `others`. The summaries are built once, at the end.
    pub fn unite_with_all<'a>(&mut self, others: impl IntoIterator<Item = &'a Self>) {
        for other in others {
            self.reserve_words(other.words.len());
            for (word, more) in self.words.iter_mut().zip(&other.words) {
                *word |= more;
            }
        }
        self.rewrite_words(|_, word| word);
    }

    /// How many nodes are in both sets.
    pub fn common_len(&self, other: &Self) -> usize {
        self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum()
    }

    /// True when some node is in both sets.
    pub fn meets(&self, other: &Self) -> bool {
        Common::new(self, other).next().is_some()
    }

    /// The nodes in id order.
    #[inline]
    pub fn iter(&self) -> Common<'_> {
        Common::new(self, self)
    }

    /// The nodes in both sets, in id order.
    #[inline]
    pub fn common<'a>(&'a self, other: &'a Self) -> Common<'a> {
        Common::new(self, other)
    }

    /// The lowest node id in the set.
    pub fn first(&self) -> Option<NodeId> {
        self.iter().next()
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }

    fn reserve_words(&mut self, words: usize) {
        if self.words.len() < words {
            self.words.resize(words, 0);
            self.groups.resize(words.div_ceil(BITS), 0);
            self.regions.resize(words.div_ceil(BITS * BITS), 0);
        }
    }

    /// Brings the summaries over word `word` up to date.
    #[inline]
    fn summarise(&mut self, word: usize) {
        let group = word / BITS;
        let bit = 1 << (word % BITS);
        if self.words[word] == 0 {
            self.groups[group] &= !bit;
        } else {
            self.groups[group] |= bit;
        }
        let bit = 1 << (group % BITS);
        if self.groups[group] == 0 {
            self.regions[group / BITS] &= !bit;
        } else {
            self.regions[group / BITS] |= bit;
        }
    }

    fn rewrite_words(&mut self, rewrite: impl Fn(usize, u64) -> u64) {
        self.len = 0;
        self.regions.fill(0);
        for group in 0..self.groups.len() {
            let mut summary = 0;
            let first = group * BITS;
            let last = (first + BITS).min(self.words.len());
            for (offset, word) in self.words[first..last].iter_mut().enumerate() {
                *word = rewrite(first + offset, *word);
                self.len += word.count_ones() as usize;
                summary |= u64::from(*word != 0) << offset;
            }
            self.groups[group] = summary;
            self.regions[group / BITS] |= u64::from(summary != 0) << (group % BITS);
        }
    }
}

/// Whether a node belongs to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does.
    In,
    /// It does not.
    Out,
}

impl From<bool> for Membership {
    fn from(belongs: bool) -> Self {
        if belongs { Self::In } else { Self::Out }
    }
}

/// Capacity is not part of a set's value.
impl PartialEq for NodeSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.common_len(other) == self.len
    }
}

impl Eq for NodeSet {}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<T: IntoIterator<Item = NodeId>>(nodes: T) -> Self {
        let mut set = Self::new();
        for node in nodes {
            set.insert(node);
        }
        set
    }
}

impl<'a> IntoIterator for &'a NodeSet {
    type Item = NodeId;
    type IntoIter = Common<'a>;
    fn into_iter(self) -> Common<'a> {
        self.iter()
    }
}

/// Walks the nodes that two sets share, in id order, skipping by the summaries of both.
#[derive(Clone, Debug)]
pub struct Common<'a> {
    a: &'a NodeSet,
    b: &'a NodeSet,
    /// Index of the next region, group, and word to look at, and what is left of the current ones.
    region: usize,
    region_bits: u64,
    group: usize,
    group_bits: u64,
    word: usize,
    word_bits: u64,
}

impl<'a> Common<'a> {
    #[inline]
    fn new(a: &'a NodeSet, b: &'a NodeSet) -> Self {
        let shared = |at: usize| {
            a.regions.get(at).copied().unwrap_or(0) & b.regions.get(at).copied().unwrap_or(0)
        };
        Self {
            a,
            b,
            region: 0,
            region_bits: shared(0),
            group: 0,
            group_bits: 0,
            word: 0,
            word_bits: 0,
        }
    }
}

/// Takes the lowest bit out of `bits` and returns its position.
const fn take_lowest(bits: &mut u64) -> usize {
    let position = bits.trailing_zeros() as usize;
    *bits &= *bits - 1;
    position
}

impl Iterator for Common<'_> {
    type Item = NodeId;

    #[inline]
    fn next(&mut self) -> Option<NodeId> {
        while self.word_bits == 0 {
            while self.group_bits == 0 {
                while self.region_bits == 0 {
                    self.region += 1;
                    if self.region >= self.a.regions.len().min(self.b.regions.len()) {
                        return None;
                    }
                    self.region_bits = self.a.regions[self.region] & self.b.regions[self.region];
                }
                self.group = self.region * BITS + take_lowest(&mut self.region_bits);
                self.group_bits = self.a.groups[self.group] & self.b.groups[self.group];
            }
            self.word = self.group * BITS + take_lowest(&mut self.group_bits);
            self.word_bits = self.a.words[self.word] & self.b.words[self.word];
        }
        let position = take_lowest(&mut self.word_bits);
        Some(NodeId((self.word * BITS + position) as u32))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{NodeId, NodeSet};
    use crate::base::random::Random;

    fn random_set(random: &mut Random, span: u64) -> (NodeSet, BTreeSet<NodeId>) {
        let (mut set, mut model) = (NodeSet::new(), BTreeSet::new());
        for _ in 0..random.below(400) {
            let node = NodeId(random.below(span) as u32);
            if random.chance(70) {
                assert_eq!(set.insert(node), model.insert(node));
            } else {
                assert_eq!(set.remove(node), model.remove(&node));
            }
        }
        (set, model)
    }

    #[test]
    fn it_behaves_as_an_ordered_set() {
        let mut random = Random::new(1);
        for round in 0..300 {
            let span = if round % 3 == 0 { 100 } else { 600_000 };
            let (a, in_a) = random_set(&mut random, span);
            let (b, in_b) = random_set(&mut random, span / 2);
            assert!(a.iter().eq(in_a.iter().copied()));
            assert!(a.common(&b).eq(in_a.intersection(&in_b).copied()));
            assert_eq!(a.meets(&b), !in_a.is_disjoint(&in_b));
            assert_eq!(a.first(), in_a.first().copied());
            let mut united = a.clone();
            united.unite_with(&b);
            assert!(united.iter().eq(in_a.union(&in_b).copied()));
            let mut at_once = NodeSet::new();
            at_once.unite_with_all([&a, &b]);
            assert!(at_once == united && at_once.iter().eq(united.iter()));
            let mut without = a.clone();
            without.subtract(&b);
            assert!(without.iter().eq(in_a.difference(&in_b).copied()));
            assert_eq!(without.len(), in_a.difference(&in_b).count());
            let mut both = a.clone();
            both.intersect_with(&b);
            assert_eq!(both, a.common(&b).collect());
            assert_eq!(a.common_len(&b), both.len());
        }
    }

    #[test]
    fn capacity_is_not_part_of_its_value() {
        let mut wide = NodeSet::new();
        wide.insert(NodeId(1_000_000));
        wide.insert(NodeId(3));
        wide.remove(NodeId(1_000_000));
        assert_eq!(wide, [NodeId(3)].into_iter().collect());
        assert!(!wide.contains(NodeId(5_000_000)));
    }
}
