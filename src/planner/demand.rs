//! What a gang demands of one planning attempt. Filled by the engine, read by the search and the referee.
//! Speaks ids; knows no priority, no age, and nobody else who waits.
//! Invariants: no role is empty, no two roles are of one ask and one signature, the minimum is between 1 and the number of members.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::cluster::Cluster;
use crate::cluster::ids::{AskId, PodId, SignatureId};
use crate::cluster::nominations::Expected;
use crate::planner::beside;
use crate::plugins::relation::is_related;

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
    /// Others who wait, are expected on nodes, and are left their place there.
    pub expected: Vec<Expected>,
}

impl Demand {
    /// The same demand as members who mean nothing to other pods are placed: one role per ask, whichever
    /// selectors match them.
    pub(super) fn without_signatures_if_alone(&self, cluster: &Cluster) -> Cow<'_, Self> {
        let is_related = |role: &Role| is_related(cluster, role.ask, role.signature);
        let is_split = self.roles.iter().any(|role| role.signature != SignatureId::NONE);
        if !is_split || self.roles.iter().any(is_related) || self.meets_anybody(cluster) {
            return Cow::Borrowed(self);
        }
        let mut roles: Vec<Role> = Vec::with_capacity(self.roles.len());
        let mut of_ask: BTreeMap<AskId, usize> = BTreeMap::new();
        for role in &self.roles {
            match of_ask.get(&role.ask) {
                Some(at) => roles[*at].members.extend(&role.members),
                None => {
                    of_ask.insert(role.ask, roles.len());
                    roles.push(Role { signature: SignatureId::NONE, ..role.clone() });
                }
            }
        }
        Cow::Owned(Self { roles, expected: self.expected.clone(), ..*self })
    }

    /// True if somebody who is expected may mean something to members, whatever they mean themselves.
    pub(super) fn meets_anybody(&self, cluster: &Cluster) -> bool {
        beside::means_anything(cluster, &self.expected)
    }

    /// Number of unplaced members.
    pub fn members(&self) -> usize {
        self.roles.iter().map(|role| role.members.len()).sum()
    }
}
