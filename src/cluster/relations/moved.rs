//! What changed about other pods, as a value: waiting gangs whose members want something of them are woken by it.
//! Knows no node: such a change may help on nodes far from where it happened. Tells who came from who left, since pods
//! that come help those who want to be near, and pods that leave those who want to be apart.
//! Invariant: takes room in proportion to the selectors and keys in use, however much happens before it is asked for.

use crate::base::id::Id;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::{KeyId, SelectorId};

/// What facts changed about the relations of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    came: Bits,
    left: Bits,
    freed: Bits,
    keys: Bits,
    keys_with_pods: Bits,
    labels: bool,
    taints: bool,
}

/// Numbers of ids, as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bits(Vec<u64>);

impl Bits {
    fn put(&mut self, id: impl Id) {
        let (word, bit) = (id.index() / 64, id.index() % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    fn has(&self, id: impl Id) -> bool {
        self.0.get(id.index() / 64).is_some_and(|word| word & (1 << (id.index() % 64)) != 0)
    }
}

/// A node object before and after; `None` where there was none, or is none any more.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster) struct NodeChange<'a> {
    pub(in crate::cluster) before: Option<&'a NodeFact>,
    pub(in crate::cluster) after: Option<&'a NodeFact>,
    pub(in crate::cluster) tenants: Tenants,
}

/// Whether pods stand on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) enum Tenants {
    /// At least one.
    Some,
    /// None.
    None,
}

impl Moved {
    /// True if nothing changed.
    pub const fn is_none(&self) -> bool {
        // Bits are only ever put in, so an empty list has none.
        self.came.0.is_empty()
            && self.left.0.is_empty()
            && self.freed.0.is_empty()
            && self.keys.0.is_empty()
            && !self.labels
            && !self.taints
    }

    /// True if a pod that `selector` matches came.
    pub fn came(&self, selector: SelectorId) -> bool {
        self.came.has(selector)
    }

    /// True if a pod that `selector` matches left.
    pub fn left(&self, selector: SelectorId) -> bool {
        self.left.has(selector)
    }

    /// True if a pod left that is against the pods that `selector` matches.
    pub fn freed(&self, selector: SelectorId) -> bool {
        self.freed.has(selector)
    }

    /// True if a node has another value of the key than before, or one for the first or last time.
    pub fn changed(&self, key: KeyId) -> bool {
        self.keys.has(key)
    }

    /// The same of a node on which pods stand, so that they are in other domains than before.
    pub fn moved_pods(&self, key: KeyId) -> bool {
        self.keys_with_pods.has(key)
    }

    /// True if labels of a node changed that stayed.
    pub const fn labels(&self) -> bool {
        self.labels
    }

    /// True if taints of a node changed that stayed.
    pub const fn taints(&self) -> bool {
        self.taints
    }

    pub(super) fn note_came(&mut self, selector: SelectorId) {
        self.came.put(selector);
    }

    pub(super) fn note_left(&mut self, selector: SelectorId) {
        self.left.put(selector);
    }

    pub(super) fn note_freed(&mut self, selector: SelectorId) {
        self.freed.put(selector);
    }

    /// Takes in that a node object came, went, or changed, as far as `keys`, those in use, are concerned.
    pub(super) fn note_node<'a>(
        &mut self,
        change: NodeChange<'_>,
        keys: impl Iterator<Item = (KeyId, &'a str)>,
    ) {
        let NodeChange { before, after, tenants } = change;
        let value = |fact: Option<&NodeFact>, key: &str| {
            let labels = &fact?.labels;
            let at = labels.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
            Some(labels[at].1.clone())
        };
        for (id, _) in keys.filter(|(_, key)| value(before, key) != value(after, key)) {
            self.keys.put(id);
            match tenants {
                Tenants::Some => self.keys_with_pods.put(id),
                Tenants::None => {}
            }
        }
        if let (Some(before), Some(after)) = (before, after) {
            self.labels |= before.labels != after.labels;
            self.taints |= before.taints != after.taints;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_told_and_nothing_else() {
        let mut moved = Moved::default();
        assert!(moved.is_none());
        moved.note_left(SelectorId(1));
        moved.note_came(SelectorId(130));
        moved.note_freed(SelectorId(64));
        let told = |id: u32| {
            let id = SelectorId(id);
            [moved.came(id), moved.left(id), moved.freed(id)]
        };
        assert_eq!(told(1), [false, true, false]);
        assert_eq!(told(130), [true, false, false]);
        assert_eq!(told(64), [false, false, true]);
        assert_eq!((told(0), told(65), told(2_000)), ([false; 3], [false; 3], [false; 3]));
        assert!(!moved.is_none());
    }
}
