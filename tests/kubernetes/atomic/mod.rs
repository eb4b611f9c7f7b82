//! Gangs while schedulers are killed and paused: the promise that a gang is bound whole or not at all.

mod kills;
pub(crate) mod objects;
mod oracle;
mod stage;
mod teeth;
