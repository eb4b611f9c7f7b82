//! What changed about other pods, as a value: waiting gangs whose members want something of them are woken by it.
//! Knows no node: such a change may help on nodes far from where it happened.
//! Selectors from the 64th on share bits with others, so that a change may be claimed wrongly but is never missed.

use crate::base::id::Id;
use crate::cluster::ids::SelectorId;

/// What facts changed about the relations of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    selectors: u64,
    domains: bool,
}

impl Moved {
    /// True if nothing changed.
    pub const fn is_none(&self) -> bool {
        self.selectors == 0 && !self.domains
    }

    /// True if a pod that `selector` matches came or went, or one that is against such pods.
    pub fn has_selector(&self, selector: SelectorId) -> bool {
        self.selectors & bit(selector) != 0
    }

    /// True if a node came, went, or changed, so that domains did.
    pub const fn has_domains(&self) -> bool {
        self.domains
    }

    /// Both changes.
    pub const fn absorb(&mut self, later: &Self) {
        self.selectors |= later.selectors;
        self.domains |= later.domains;
    }

    pub(super) fn note_selector(&mut self, selector: SelectorId) {
        self.selectors |= bit(selector);
    }

    pub(super) const fn note_domains(&mut self) {
        self.domains = true;
    }
}

fn bit(selector: SelectorId) -> u64 {
    1 << (selector.index() % 64)
}
