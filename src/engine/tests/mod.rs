//! Tests of the engine as a whole: facts in, orders and notices out. Each file is one theme.

mod binding;
mod changes;
mod determinism;
mod explaining;
mod kept_place;
mod meddling;
mod membership;
mod outcomes;
mod property;
mod repair;
mod spreading;
mod stage;
mod status;
mod telling;
mod turn;
