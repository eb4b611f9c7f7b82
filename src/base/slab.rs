//! A table whose rows come and go: freed ids are given out again, the latest first.
//! Deterministic: the same inserts and removals give the same ids. Holds no generation;
//! whoever keeps an id must hear of the removal.

use std::ops::{Index, IndexMut};

use super::id::Id;

/// Rows by reusable ids.
#[derive(Clone, Debug)]
pub struct Slab<I, T> {
    rows: Vec<Option<T>>,
    free: Vec<I>,
}

impl<I: Id, T> Slab<I, T> {
    /// An empty slab.
    pub const fn new() -> Self {
        Self { rows: Vec::new(), free: Vec::new() }
    }

    /// Stores a row and returns the id that names it until it is removed.
    #[inline]
    pub fn insert(&mut self, row: T) -> I {
        if let Some(id) = self.free.pop() {
            self.rows[id.index()] = Some(row);
            return id;
        }
        self.rows.push(Some(row));
        I::from_index(self.rows.len() - 1)
    }

    /// Takes the row out; its id may be given out again. `None` if there is no such row.
    #[inline]
    pub fn remove(&mut self, id: I) -> Option<T> {
        let row = self.rows.get_mut(id.index())?.take()?;
        self.free.push(id);
        Some(row)
    }

    /// The row of `id`, if there is one.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        self.rows.get(id.index())?.as_ref()
    }

    /// The row of `id`, if there is one.
    #[inline]
    pub fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.rows.get_mut(id.index())?.as_mut()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows with their ids, in id order.
    pub fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.rows
            .iter()
            .enumerate()
            .filter_map(|(index, row)| row.as_ref().map(|row| (I::from_index(index), row)))
    }

    /// Rows with their ids, in id order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (I, &mut T)> {
        self.rows
            .iter_mut()
            .enumerate()
            .filter_map(|(index, row)| row.as_mut().map(|row| (I::from_index(index), row)))
    }
}

impl<I: Id, T> Default for Slab<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Id, T> Index<I> for Slab<I, T> {
    type Output = T;
    #[inline]
    fn index(&self, id: I) -> &T {
        self.rows[id.index()].as_ref().expect("an id is kept no longer than its row")
    }
}

impl<I: Id, T> IndexMut<I> for Slab<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        self.rows[id.index()].as_mut().expect("an id is kept no longer than its row")
    }
}

#[cfg(test)]
mod tests {
    use super::Slab;

    crate::id_type!(RowId);

    #[test]
    fn ids_are_given_out_again_and_the_others_stay() {
        let mut slab: Slab<RowId, &str> = Slab::new();
        let first = slab.insert("first");
        let second = slab.insert("second");
        assert_eq!(slab.remove(first), Some("first"));
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.len(), 1);
        assert_eq!(slab.insert("third"), first);
        assert_eq!(slab[second], "second");
        let rows: Vec<_> = slab.iter().map(|(_, row)| *row).collect();
        assert_eq!(rows, ["third", "second"]);
    }
}
