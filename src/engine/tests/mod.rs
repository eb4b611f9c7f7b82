//! Tests of the engine as a whole: facts in, orders and notices out. Each file is one theme.

mod binding;
mod membership;
mod stage;
