//! Things of a storage class by the node label that they are pinned to, so that a node's own are found without
//! looking at everybody's: local volumes by host name, capacities by the topology key of their driver.
//! Knows only keys and values. Invariant: what is not pinned to one value of one label is found from every node.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::names::Name;

/// A node label and its one value.
pub(super) type Pin = (Name, Name);

/// Things by class and pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pools<T> {
    by_class: BTreeMap<Name, Pool<T>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pool<T> {
    anywhere: BTreeSet<T>,
    /// By key, then value.
    pinned: BTreeMap<Name, BTreeMap<Name, BTreeSet<T>>>,
}

impl<T> Default for Pools<T> {
    fn default() -> Self {
        Self { by_class: BTreeMap::new() }
    }
}

impl<T: Ord> Pools<T> {
    /// Adds a thing.
    pub(super) fn insert(&mut self, class: &Name, pin: Option<&Pin>, thing: T) {
        let pool = self
            .by_class
            .entry(class.clone())
            .or_insert_with(|| Pool { anywhere: BTreeSet::new(), pinned: BTreeMap::new() });
        let set = match pin {
            None => &mut pool.anywhere,
            Some((key, value)) => {
                pool.pinned.entry(key.clone()).or_default().entry(value.clone()).or_default()
            }
        };
        set.insert(thing);
    }

    /// Takes a thing out again, which was added with this class and pin.
    pub(super) fn remove(&mut self, class: &Name, pin: Option<&Pin>, thing: &T) {
        let Some(pool) = self.by_class.get_mut(class) else { return };
        match pin {
            None => {
                pool.anywhere.remove(thing);
            }
            Some((key, value)) => {
                let Some(values) = pool.pinned.get_mut(key) else { return };
                if let Some(set) = values.get_mut(value) {
                    set.remove(thing);
                    if set.is_empty() {
                        values.remove(value);
                    }
                }
                if values.is_empty() {
                    pool.pinned.remove(key);
                }
            }
        }
        if pool.anywhere.is_empty() && pool.pinned.is_empty() {
            self.by_class.remove(class);
        }
    }

    /// The sets of a class that a node with these labels can find something in.
    pub(super) fn sets<'b>(
        &self,
        class: &str,
        label: impl Fn(&str) -> Option<&'b str>,
    ) -> Vec<&BTreeSet<T>> {
        let Some(pool) = self.by_class.get(class) else { return Vec::new() };
        let pinned = pool.pinned.iter().filter_map(|(key, values)| values.get(label(key)?));
        std::iter::once(&pool.anywhere).chain(pinned).collect()
    }

    /// True if nothing is in it.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_class.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Pools;

    #[test]
    fn a_node_finds_what_is_pinned_to_it_and_what_is_pinned_nowhere() {
        let mut pools = Pools::default();
        let pin = |value: &str| ("host".into(), value.into());
        pools.insert(&"fast".into(), None, 1);
        pools.insert(&"fast".into(), Some(&pin("a")), 2);
        pools.insert(&"fast".into(), Some(&pin("b")), 3);
        pools.insert(&"slow".into(), Some(&pin("a")), 4);
        let found = |pools: &Pools<i32>, class: &str, host: Option<&'static str>| -> Vec<i32> {
            let label = |key: &str| if key == "host" { host } else { None };
            pools.sets(class, label).into_iter().flatten().copied().collect()
        };
        assert_eq!(found(&pools, "fast", Some("a")), [1, 2]);
        assert_eq!(found(&pools, "fast", None), [1]);
        assert_eq!(found(&pools, "slow", Some("b")), [0; 0]);
        assert_eq!(found(&pools, "none", Some("a")), [0; 0]);
        pools.remove(&"fast".into(), None, &1);
        pools.remove(&"fast".into(), Some(&pin("a")), &2);
        pools.remove(&"fast".into(), Some(&pin("b")), &3);
        assert_eq!(found(&pools, "slow", Some("a")), [4]);
        pools.remove(&"slow".into(), Some(&pin("a")), &4);
        assert!(pools.is_empty());
    }
}
