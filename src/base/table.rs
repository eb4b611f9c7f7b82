//! A column: values stored densely by a typed id.
//! Rows are appended and overwritten, never taken out; rows that come and go are for `slab`.
//! A table cannot be indexed by another table's ids: the types differ.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use super::id::Id;

/// A vector that can be indexed only by its own id type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<I, T> {
    rows: Vec<T>,
    id: PhantomData<I>,
}

impl<I: Id, T> Table<I, T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { rows: Vec::new(), id: PhantomData }
    }

    /// Appends a row and returns its id.
    #[inline]
    pub fn push(&mut self, row: T) -> I {
        self.rows.push(row);
        I::from_index(self.rows.len() - 1)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of `id`, if it exists.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        self.rows.get(id.index())
    }

    /// Rows with their ids, in id order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (I, &T)> {
        self.rows.iter().enumerate().map(|(index, row)| (I::from_index(index), row))
    }

    /// The raw rows, in id order.
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// The raw rows, in id order.
    pub fn rows_mut(&mut self) -> &mut [T] {
        &mut self.rows
    }

    /// Grows to at least `len` rows, filling with `fill`.
    pub fn grow_to(&mut self, len: usize, fill: T)
    where
        T: Clone,
    {
        if self.rows.len() < len {
            self.rows.resize(len, fill);
        }
    }
}

impl<I: Id, T> Default for Table<I, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;
    #[inline]
    fn index(&self, id: I) -> &T {
        &self.rows[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for Table<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.rows[id.index()]
    }
}
