//! `GangPlan` objects as facts: the records of gangs' plans. Lenient: what cannot be read makes that one record
//! malformed, with a message, and nothing is done by it. Knows nothing of what a record means for its gang.
//! Invariant: members read as they were written, in their order; a record of a newer schema is not guessed at.

use serde::Deserialize;
use serde_json::Value;

use super::objects::HasMetadata;
use super::objects::Metadata;
use super::pod::version;
use super::read::Read;
use super::read::nullable;
use super::read::read;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::cluster::facts::CommitMark;
use crate::cluster::facts::GroupName;
use crate::cluster::facts::GroupSource;
use crate::engine::record::RecordFact;
use crate::engine::record::RecordMember;
use crate::engine::record::RecordPart;
use crate::engine::record::RecordPhase;
use crate::engine::record::SCHEMA_VERSION;

/// `apiVersion` of the record of a gang's plan, kind `GangPlan`.
pub const GANG_PLAN_API_VERSION: &str = "muster.dev/v1alpha1";

/// Annotation of a PodGroup that names the plan which is decided for it.
pub const COMMIT_ANNOTATION: &str = "muster.dev/commit";

/// The digits in which uids are packed.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Before a uid that is no UUID and stands as it is.
const PLAIN_UID: char = '=';

/// A `GangPlan`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RecordObject {
    /// Metadata.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Spec.
    #[serde(deserialize_with = "nullable")]
    pub spec: RecordSpec,
}

impl HasMetadata for RecordObject {
    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// `spec` of a `GangPlan`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of the CRD")]
pub struct RecordSpec {
    #[serde(deserialize_with = "nullable")]
    pub schema_version: u32,
    #[serde(deserialize_with = "nullable")]
    pub pod_group: RecordGroup,
    #[serde(deserialize_with = "nullable")]
    pub epoch: u32,
    #[serde(deserialize_with = "nullable")]
    pub hash: String,
    #[serde(deserialize_with = "nullable")]
    pub phase: String,
    #[serde(deserialize_with = "nullable")]
    pub part: RecordPartObject,
    #[serde(deserialize_with = "nullable")]
    pub minimum: u32,
    #[serde(deserialize_with = "nullable")]
    pub deadline: String,
    #[serde(deserialize_with = "nullable")]
    pub leader: String,
    #[serde(deserialize_with = "nullable")]
    pub prefix: String,
    #[serde(deserialize_with = "nullable")]
    pub nodes: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub members: String,
}

/// Whose plan it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of the CRD")]
pub struct RecordGroup {
    #[serde(deserialize_with = "nullable")]
    pub api_version: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub uid: String,
    #[serde(deserialize_with = "nullable")]
    pub resource_version: String,
}

/// What of the plan the object holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "field names and meanings are those of the CRD")]
pub struct RecordPartObject {
    pub further: Option<u32>,
    pub index: Option<u32>,
}

/// The record that `object` is; `name` stands in where it names itself nowhere.
pub fn record_of(object: &Value, name: &ObjectName) -> RecordFact {
    let mut read = read::<RecordObject>(object);
    if read.object.metadata.name.is_empty() {
        read.object.metadata.name = name.name.to_string();
        read.object.metadata.namespace = name.namespace.to_string();
    }
    fact(&read)
}

/// The fact of a `GangPlan`.
pub(super) fn fact(read: &Read<RecordObject>) -> RecordFact {
    let RecordObject { metadata, spec } = &read.object;
    let mut problems = read.problems.clone();
    if spec.schema_version > SCHEMA_VERSION {
        problems.push(format!(
            "spec.schemaVersion: {} was written by a newer Muster; let that one finish this gang, or update this one",
            spec.schema_version
        ));
    }
    let hash = u64::from_str_radix(&spec.hash, 16).unwrap_or_else(|_| {
        problems.push(format!(
            "spec.hash: \"{}\" is no hash; restore the 16 hexadecimal digits",
            spec.hash
        ));
        0
    });
    let phase = RecordPhase::of(&spec.phase).unwrap_or_else(|| {
        problems.push(format!(
            "spec.phase: \"{}\" is no phase; write Proposed, Bound, Aborting, or Aborted",
            spec.phase
        ));
        RecordPhase::Proposed
    });
    let namespace: Name = metadata.namespace.as_str().into();
    let source = if spec.pod_group.api_version.starts_with("scheduling.k8s.io/") {
        GroupSource::Native
    } else {
        GroupSource::Coscheduling
    };
    RecordFact {
        name: ObjectName { namespace: namespace.clone(), name: metadata.name.as_str().into() },
        uid: metadata.uid.as_str().into(),
        resource_version: version(metadata),
        group: GroupName {
            name: ObjectName { namespace, name: spec.pod_group.name.as_str().into() },
            source,
        },
        group_uid: spec.pod_group.uid.as_str().into(),
        group_version: spec.pod_group.resource_version.parse().unwrap_or(0),
        part: match spec.part.index {
            Some(index) => RecordPart::Further { index },
            None => RecordPart::Head { further: spec.part.further.unwrap_or(0) },
        },
        phase,
        mark: CommitMark { epoch: spec.epoch, hash },
        minimum: spec.minimum,
        members: members(spec, &mut problems),
        deadline: Time::from_rfc3339(&spec.deadline).unwrap_or(Time::EPOCH),
        leader: spec.leader.as_str().into(),
        malformed: (!problems.is_empty()).then(|| problems.join("; ").into()),
    }
}

fn members(spec: &RecordSpec, problems: &mut Vec<String>) -> Vec<RecordMember> {
    if spec.members.is_empty() {
        return Vec::new();
    }
    // One name for each node: thousands of members may share it.
    let nodes: Vec<Name> = spec.nodes.iter().map(|node| node.as_str().into()).collect();
    let mut members = Vec::new();
    for entry in spec.members.split(',') {
        match member(entry, &spec.prefix, &nodes) {
            Some(member) => members.push(member),
            None => {
                problems.push(format!(
                    "spec.members: \"{entry}\" cannot be read; write NAME:UID:NODE as Muster does, or delete the record"
                ));
                return Vec::new();
            }
        }
    }
    members
}

fn member(entry: &str, prefix: &str, nodes: &[Name]) -> Option<RecordMember> {
    let (name, rest) = entry.split_once(':')?;
    let (uid, node) = rest.rsplit_once(':')?;
    Some(RecordMember {
        pod: format!("{prefix}{name}").as_str().into(),
        uid: unpack_uid(uid)?.as_str().into(),
        node: nodes.get(node.parse::<usize>().ok()?)?.clone(),
    })
}

/// A uid in 22 characters if it is a UUID as Kubernetes writes them, else as it is.
pub fn pack_uid(uid: &str) -> String {
    let Some(mut number) = uuid(uid) else { return format!("{PLAIN_UID}{uid}") };
    let mut digits = [DIGITS[0]; 22];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(number & 63).expect("below 64")];
        number >>= 6;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// The uid that was packed.
fn unpack_uid(packed: &str) -> Option<String> {
    if let Some(plain) = packed.strip_prefix(PLAIN_UID) {
        return Some(plain.to_owned());
    }
    if packed.len() != 22 {
        return None;
    }
    let mut number: u128 = 0;
    for character in packed.bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == character)?;
        number = number.checked_mul(64)?.checked_add(digit as u128)?;
    }
    let text = format!("{number:032x}");
    Some([&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-"))
}

/// The number that a UUID is, if it is written exactly as Kubernetes writes them.
fn uuid(text: &str) -> Option<u128> {
    let canonical = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    if !canonical {
        return None;
    }
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{pack_uid, unpack_uid};

    #[test]
    fn uids_are_packed_and_come_back() {
        let uuid = "0f5c1e0a-7d1b-4a5e-9a34-ffeeddccbbaa";
        assert_eq!(pack_uid(uuid).len(), 22);
        let odd = ["", "a-uid", "0F5C1E0A-7D1B-4A5E-9A34-FFEEDDCCBBAA", uuid];
        let extreme =
            ["ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000"];
        for uid in odd.into_iter().chain(extreme) {
            assert_eq!(unpack_uid(&pack_uid(uid)).as_deref(), Some(uid));
        }
        for wrong in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAA!", "______________________"] {
            assert_eq!(unpack_uid(wrong), None, "{wrong:?}");
        }
    }
}
