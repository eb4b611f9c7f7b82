//! Typed ids: dense `u32` indices that are meaningful inside one process only.
//! They never reach logs, journals, or tests' expectations; names and uids do.
//! Each table has its own type of id, so an id of one cannot index another.

/// Declares a `u32` newtype usable as the index of a [`Table`](super::table::Table).
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        // A room may keep its ids to itself.
        #[allow(unreachable_pub)]
        pub struct $name(pub u32);

        impl $crate::base::id::Id for $name {
            #[inline]
            fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).expect("more than 2^32 rows in one table"))
            }
            #[inline]
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

/// A dense index into a table.
pub trait Id: Copy + Eq + Ord {
    /// The id of row `index`.
    fn from_index(index: usize) -> Self;
    /// The row this id names.
    fn index(self) -> usize;
}
