//! What a gang demands of one planning attempt. Filled by the engine, read by the search and the referee.
//! Speaks ids; knows no priority, no age, and nobody else who waits.
//! Invariants: no role is empty, no two roles are of one ask and one signature, the minimum is between 1 and the number of members.

use crate::cluster::ids::{AskId, PodId, SignatureId};

/// Members with equal asks that the same selectors match, in the order in which they should be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// What each of them asks for.
    pub ask: AskId,
    /// Which of the selectors that are in use match each of them.
    pub signature: SignatureId,
    /// The members that are not placed yet.
    pub members: Vec<PodId>,
}

/// One attempt for one gang.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Unplaced members by role; no role is empty, no two are of one ask and one signature.
    pub roles: Vec<Role>,
    /// How many of these members must be placed together, at least 1.
    /// Members beyond it are placed in the same plan where they fit.
    pub minimum: usize,
}

impl Demand {
    /// Number of unplaced members.
    pub fn members(&self) -> usize {
        self.roles.iter().map(|role| role.members.len()).sum()
    }
}
