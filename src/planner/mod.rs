//! Floor 5: decides everything and touches nothing. A demand goes in; a complete plan or a refusal comes out.
//! Every plan is judged by the referee, whose code shares nothing with the search.
//! Invariant: the believed state after planning is the one before. Knows no clock and no order under way.

pub mod demand;
pub mod order;

pub mod decide;
pub mod hints;
pub mod place;

pub mod plan;
pub mod referee;
pub mod refusal;
pub mod survey;

pub use self::decide::{Planner, Settings};
pub use self::hints::{Company, Hopes};

mod beside;
mod careful;
mod diagnose;
mod exact;
mod walk;

#[cfg(test)]
mod tests;
