//! Which selectors match sets of labels, each combination once: sets that the same selectors match share a signature.
//! What thousands of sets gain or lose at once is said once for each signature that they had, and where all of its sets
//! are meant, its list is changed in place.
//! Invariant: no two signatures in use are of the same selectors; a signature's id is never used for another.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::base::random::Random;
use crate::cluster::ids::{SelectorId, SignatureId};

/// Selectors that match, in id order.
pub(super) type Matched = SmallVec<[SelectorId; 4]>;

/// The same for all orders in which selectors are added and taken away. 128 bits that look drawn by lot: that two
/// combinations have the same is less likely than that memory fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Print(u128);

impl Print {
    fn of(selector: SelectorId) -> Self {
        let mut random = Random::new(u64::from(selector.0));
        Self(u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()))
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

/// One combination.
#[derive(Clone, Debug)]
struct Row {
    matched: Matched,
    print: Print,
    /// How many sets of labels have it.
    users: u32,
}

/// All signatures in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Signatures {
    rows: FxHashMap<SignatureId, Row>,
    by_print: FxHashMap<Print, SignatureId>,
    last: u32,
}

impl Signatures {
    /// The selectors of a signature; none for one that is no longer in use.
    #[inline]
    pub(super) fn matched(&self, id: SignatureId) -> &[SelectorId] {
        // Most pods are matched by none, and cost no call.
        if id == SignatureId::NONE { &[] } else { self.looked_up(id) }
    }

    fn looked_up(&self, id: SignatureId) -> &[SelectorId] {
        self.rows.get(&id).map_or(&[], |row| &row.matched)
    }

    /// The signature of one set more that these selectors match.
    pub(super) fn enter(&mut self, matched: Matched) -> SignatureId {
        let print = matched.iter().fold(Print::default(), |print, id| print.with(Print::of(*id)));
        self.put(Row { matched, print, users: 1 })
    }

    /// One set less has it.
    pub(super) fn leave(&mut self, id: SignatureId) {
        self.take(id, 1);
    }

    /// The signature of so many sets of `id` that one selector more matches.
    pub(super) fn gain(&mut self, id: SignatureId, selector: SelectorId, sets: u32) -> SignatureId {
        let mut row = self.take(id, sets);
        if let Err(at) = row.matched.binary_search(&selector) {
            row.matched.insert(at, selector);
            row.print = row.print.with(Print::of(selector));
        }
        self.put(row)
    }

    /// The signature of so many sets of `id` that a selector matches no more.
    pub(super) fn lose(&mut self, id: SignatureId, selector: SelectorId, sets: u32) -> SignatureId {
        let mut row = self.take(id, sets);
        if let Ok(at) = row.matched.binary_search(&selector) {
            row.matched.remove(at);
            row.print = row.print.without(Print::of(selector));
        }
        self.put(row)
    }

    /// Takes so many sets out of a signature; its own list where these are all.
    fn take(&mut self, id: SignatureId, sets: u32) -> Row {
        let Some(row) = self.rows.get_mut(&id) else {
            return Row { matched: Matched::new(), print: Print::default(), users: sets };
        };
        if row.users > sets {
            row.users -= sets;
            return Row { users: sets, ..row.clone() };
        }
        let row = self.rows.remove(&id).expect("it was just looked at");
        self.by_print.remove(&row.print);
        row
    }

    fn put(&mut self, row: Row) -> SignatureId {
        if row.matched.is_empty() {
            return SignatureId::NONE;
        }
        if let Some(id) = self.by_print.get(&row.print) {
            let known = self.rows.get_mut(id).expect("prints are those of rows");
            assert_eq!(known.matched.len(), row.matched.len(), "two signatures with one print");
            known.users += row.users;
            return *id;
        }
        self.last += 1;
        let id = SignatureId(self.last);
        self.by_print.insert(row.print, id);
        self.rows.insert(id, row);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::{Matched, SignatureId, Signatures};
    use crate::cluster::ids::SelectorId;

    fn of(ids: &[u32]) -> Matched {
        ids.iter().map(|id| SelectorId(*id)).collect()
    }

    #[test]
    fn combinations_are_known_again_however_they_came_about() {
        let mut signatures = Signatures::default();
        let ab = signatures.enter(of(&[1, 2]));
        let a = signatures.enter(of(&[1]));
        assert_eq!(signatures.gain(a, SelectorId(2), 1), ab);
        assert_eq!(signatures.matched(a), [], "nobody has it any more");
        let b = signatures.lose(ab, SelectorId(1), 1);
        assert_ne!(b, ab);
        assert_eq!(signatures.matched(b), &of(&[2])[..]);
        assert_eq!(signatures.matched(ab), &of(&[1, 2])[..], "the other set still has it");
        let none = signatures.lose(b, SelectorId(2), 1);
        assert_eq!(none, SignatureId::NONE);
        let all = signatures.gain(ab, SelectorId(0), 1);
        assert_eq!(signatures.matched(all), &of(&[0, 1, 2])[..]);
        assert_eq!(signatures.matched(ab), []);
        signatures.leave(all);
        assert!(signatures.rows.is_empty() && signatures.by_print.is_empty());
    }
}
