//! The durable record of a gang's plan, `GangPlan` in the API, in kube-free form: who is to be bound where.
//! It decides nothing by itself: a proposed record counts if and only if its PodGroup carries its mark.
//! Knows no capacity and no request. Invariant: epoch and phase only move forward, each by compare-and-swap.

use crate::base::names::{Name, ObjectName};
use crate::base::time::Time;
use crate::cluster::facts::{CommitMark, GroupName, GroupSource};

/// The version of the record's form that this binary writes. It reads all up to this one.
pub const SCHEMA_VERSION: u32 = 1;

/// Members that one object holds; a larger plan has further parts, written before the record itself.
pub const MEMBERS_PER_OBJECT: usize = 8_192;

/// The API's limit for an object's name, in bytes.
const NAME_MAX: usize = 253;

/// Where a plan stands, as its record says. Within an epoch only forward, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordPhase {
    /// Written down. Decided once the PodGroup carries its mark, void before.
    Proposed,
    /// Every member that lived was bound as planned.
    Bound,
    /// Being undone: no bind of it may be sent any more.
    Aborting,
    /// Undone: no living pod is bound by it.
    Aborted,
}

/// One entry of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordMember {
    /// The pod's name, in the record's namespace.
    pub pod: Name,
    /// Its uid.
    pub uid: Name,
    /// Where it is to be bound.
    pub node: Name,
}

/// What an object of kind `GangPlan` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordPart {
    /// The record itself, with the first [`MEMBERS_PER_OBJECT`] members.
    Head {
        /// How many further objects there are.
        further: u32,
    },
    /// More members. Immutable.
    Further {
        /// From 1.
        index: u32,
    },
}

/// A record, or a further part of one, as its object says or is to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordFact {
    /// The object's own namespace and name.
    pub name: ObjectName,
    /// `metadata.uid`; empty where it is to be written.
    pub uid: Name,
    /// `metadata.resourceVersion`. Where it is to be written: the version that is replaced, 0 to create it.
    pub resource_version: u64,
    /// The gang's PodGroup, which owns the record.
    pub group: GroupName,
    /// The uid of that PodGroup.
    pub group_uid: Name,
    /// The version of the PodGroup that the plan was made from. For people.
    pub group_version: u64,
    /// What of the record this object is.
    pub part: RecordPart,
    /// Where the plan stands.
    pub phase: RecordPhase,
    /// Which plan it is.
    pub mark: CommitMark,
    /// How many members the gang needed when the plan was made.
    pub minimum: u32,
    /// The members in this object, in plan order.
    pub members: Vec<RecordMember>,
    /// When the binding is to be given up, as planned; each scheduler counts by its own clock.
    pub deadline: Time,
    /// Who wrote it. For people: nothing is decided by it.
    pub leader: Name,
    /// What of the object cannot be read (field, value, remedy). Nothing is done for such a gang.
    pub malformed: Option<Name>,
}

/// The name of the record of `group`: no two groups share one, whatever APIs they are of.
/// Too long a name is cut and told apart by a hash.
pub fn record_name(group: &GroupName) -> ObjectName {
    named(group, "")
}

/// The name of part `index` of the plan `epoch` of `group`.
pub fn part_name(group: &GroupName, epoch: u32, index: u32) -> ObjectName {
    named(group, &format!("part-{epoch}-{index}."))
}

fn named(group: &GroupName, before: &str) -> ObjectName {
    let source = match group.source {
        GroupSource::Coscheduling => "coscheduling",
        GroupSource::Native => "native",
    };
    let name = &*group.name.name;
    let whole = format!("{before}{source}.{name}");
    let name = if whole.len() <= NAME_MAX {
        whole
    } else {
        let mut hash = Fingerprint::new();
        hash.text(name);
        let end = format!("-{:016x}", hash.value());
        let kept = NAME_MAX - end.len();
        // Names of objects are ASCII; a cut may leave a dot, which must not stand before a dash.
        format!("{}{end}", whole[..kept].trim_end_matches(['.', '-']))
    };
    ObjectName { namespace: group.name.namespace.clone(), name: name.as_str().into() }
}

/// What a plan says, as one number that stays the same between versions of Muster (FNV-1a, 64 bits).
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a text, and where it ends.
    pub fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            self.byte(byte);
        }
        // No text of an object's name holds this byte.
        self.byte(0xff);
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        for byte in number.to_le_bytes() {
            self.byte(byte);
        }
    }

    const fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordPhase {
    /// The word as the API shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "Proposed",
            Self::Bound => "Bound",
            Self::Aborting => "Aborting",
            Self::Aborted => "Aborted",
        }
    }

    /// Reads the word of the API.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Proposed, Self::Bound, Self::Aborting, Self::Aborted]
            .into_iter()
            .find(|phase| phase.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::{part_name, record_name};
    use crate::base::names::ObjectName;
    use crate::cluster::facts::{GroupName, GroupSource};

    fn group(source: GroupSource, name: &str) -> GroupName {
        GroupName { name: ObjectName::new("team", name), source }
    }

    #[test]
    fn no_two_records_share_a_name() {
        let long = "a".repeat(253);
        let longer = format!("{}b", "a".repeat(252));
        let mut names = std::collections::BTreeSet::new();
        for source in [GroupSource::Coscheduling, GroupSource::Native] {
            for name in ["train", "native.train", "part-1-1.native.train", &long, &longer] {
                let group = group(source, name);
                for name in [record_name(&group), part_name(&group, 1, 1), part_name(&group, 1, 2)]
                {
                    assert!(name.name.len() <= 253, "{name}");
                    assert!(names.insert(name.clone()), "{name} is taken");
                }
            }
        }
        assert_eq!(
            record_name(&group(GroupSource::Native, "train")).to_string(),
            "team/native.train"
        );
    }
}
