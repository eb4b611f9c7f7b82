//! Which kinds of change may turn a rule's rejection. A refused gang sleeps until one of them comes.
//! A set in one word. Knows no node, no gang, and no change that happened: only kinds of them.
//! A kind too many wakes a gang in vain; a kind too few lets it sleep for ever, so in doubt a rule names more.

use std::ops::BitOr;

/// A set of kinds of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cures(u16);

impl Cures {
    /// No change to the cluster helps; only the pod's author can.
    pub const NONE: Self = Self(0);
    /// A node that comes into being.
    pub const NODE_ADDED: Self = Self(1);
    /// A node that is uncordoned.
    pub const UNCORDONED: Self = Self(2);
    /// A node whose taints change.
    pub const TAINTS: Self = Self(4);
    /// A node whose labels change.
    pub const LABELS: Self = Self(8);
    /// Pods that leave or shrink, or a node that offers more.
    pub const CAPACITY: Self = Self(16);
    /// A place kept for another gang that is used or given up.
    pub const PLACE_FREED: Self = Self(32);
    /// The end of a node's quarantine.
    pub const QUARANTINE: Self = Self(64);
    /// Other pods that come, leave, or change their labels, on whichever node.
    pub const PODS: Self = Self(128);
    /// What is said of claims, volumes, classes, drivers, capacities, or attachments.
    pub const STORAGE: Self = Self(256);
    /// Services and controllers, and whom they select.
    pub const SELECTING: Self = Self(512);
    /// DeviceClasses, and the resources behind which they stand.
    pub const DEVICE_CLASSES: Self = Self(1024);

    /// True if all of `kinds` are in the set.
    pub const fn contains(self, kinds: Self) -> bool {
        self.0 & kinds.0 == kinds.0
    }

    /// Both sets together; usable in constants.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The kinds in words, in a fixed order.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        const WORDS: [(Cures, &str); 11] = [
            (Cures::NODE_ADDED, "a node that is added"),
            (Cures::UNCORDONED, "a node that is uncordoned"),
            (Cures::TAINTS, "a taint that goes"),
            (Cures::LABELS, "a node label that changes"),
            (Cures::CAPACITY, "pods that leave, or nodes that offer more"),
            (Cures::PODS, "other pods that come, leave, or change their labels"),
            (Cures::SELECTING, "a Service or controller that selects other pods than before"),
            (Cures::STORAGE, "a claim, volume, or storage class that is added or changes"),
            (Cures::DEVICE_CLASSES, "a DeviceClass that goes or stands behind another resource"),
            (Cures::QUARANTINE, "a quarantine that ends"),
            (Cures::PLACE_FREED, "the kept place when it is used or given up"),
        ];
        WORDS.into_iter().filter(move |(kind, _)| self.contains(*kind)).map(|(_, word)| word)
    }
}

impl BitOr for Cures {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

#[cfg(test)]
mod tests {
    use super::Cures;

    #[test]
    fn sets_hold_what_was_put_in() {
        let both = Cures::TAINTS | Cures::NODE_ADDED;
        assert!(both.contains(Cures::TAINTS) && both.contains(Cures::NODE_ADDED));
        assert!(!both.contains(Cures::CAPACITY) && !both.contains(Cures::TAINTS | Cures::LABELS));
        assert!(both.words().eq(["a node that is added", "a taint that goes"]));
        assert_eq!(Cures::NONE.words().count(), 0);
    }
}
