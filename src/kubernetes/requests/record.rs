//! Records of gangs' plans as objects of kind `GangPlan`, written and moved from phase to phase. Pure.
//! Members are kept in few bytes: names without what they share, uids as 22 characters, nodes by number.
//! Invariant: every write of a record names the version that it replaces, or that there is none.

use axum::http::Method;
use axum::http::Request;
use rustc_hash::FxHashMap;
use serde_json::Value;
use serde_json::json;

use super::NativeVersion;
use super::request;
use crate::base::names::ObjectName;
use crate::cluster::facts::GroupSource;
use crate::engine::order::RecordRef;
use crate::engine::record::RecordFact;
use crate::engine::record::RecordMember;
use crate::engine::record::RecordPart;
use crate::engine::record::RecordPhase;
use crate::engine::record::SCHEMA_VERSION;
use crate::kubernetes::translate::COSCHEDULING_API_VERSION;
use crate::kubernetes::translate::GANG_PLAN_API_VERSION;
use crate::kubernetes::translate::pack_uid;

/// Where the records of all namespaces are listed and watched.
pub const RECORDS_PATH: &str = "/apis/muster.dev/v1alpha1/gangplans";

/// Creates the record, or replaces the version that it names.
pub(super) fn propose(record: &RecordFact, native: NativeVersion) -> Request<Vec<u8>> {
    let body = object(record, native);
    match record.resource_version {
        0 => request(Method::POST, collection(&record.name), "application/json", &body),
        _ => request(Method::PUT, path(&record.name), "application/json", &body),
    }
}

/// Moves the record to `phase`.
pub(super) fn move_to(record: &RecordRef, phase: RecordPhase) -> Request<Vec<u8>> {
    let patch = json!({
        "metadata": {"resourceVersion": record.resource_version.to_string()},
        "spec": {"phase": phase.as_str()},
    });
    request(Method::PATCH, path(&record.name), "application/merge-patch+json", &patch)
}

/// Deletes the record in exactly this version.
pub(super) fn remove(record: &RecordRef) -> Request<Vec<u8>> {
    let options = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"resourceVersion": record.resource_version.to_string()},
        "propagationPolicy": "Background",
    });
    request(Method::DELETE, path(&record.name), "application/json", &options)
}

/// Reads the record.
pub(super) fn read(name: &ObjectName) -> Request<Vec<u8>> {
    super::read(path(name))
}

fn path(name: &ObjectName) -> String {
    format!("{}/{}", collection(name), name.name)
}

fn collection(name: &ObjectName) -> String {
    format!("/apis/{GANG_PLAN_API_VERSION}/namespaces/{}/gangplans", name.namespace)
}

fn object(record: &RecordFact, native: NativeVersion) -> Value {
    let api_version = match record.group.source {
        GroupSource::Coscheduling => COSCHEDULING_API_VERSION.to_owned(),
        GroupSource::Native => format!("scheduling.k8s.io/{}", native.as_str()),
    };
    let group_name = &*record.group.name.name;
    let mut metadata = json!({
        "name": &*record.name.name,
        "namespace": &*record.name.namespace,
        "ownerReferences": [{
            "apiVersion": api_version,
            "kind": "PodGroup",
            "name": group_name,
            "uid": &*record.group_uid,
        }],
    });
    if record.resource_version != 0 {
        metadata["resourceVersion"] = record.resource_version.to_string().into();
    }
    let prefix = shared_prefix(&record.members);
    let (nodes, members) = packed(&record.members, prefix.len());
    let part = match record.part {
        RecordPart::Head { further } => json!({"further": further}),
        RecordPart::Further { index } => json!({"index": index}),
    };
    json!({
        "apiVersion": GANG_PLAN_API_VERSION,
        "kind": "GangPlan",
        "metadata": metadata,
        "spec": {
            "schemaVersion": SCHEMA_VERSION,
            "podGroup": {
                "apiVersion": api_version,
                "name": group_name,
                "uid": &*record.group_uid,
                "resourceVersion": record.group_version.to_string(),
            },
            "epoch": record.mark.epoch,
            "hash": format!("{:016x}", record.mark.hash),
            "phase": record.phase.as_str(),
            "part": part,
            "minimum": record.minimum,
            "deadline": record.deadline.to_rfc3339(),
            "leader": &*record.leader,
            "prefix": prefix,
            "nodes": nodes,
            "members": members,
        },
    })
}

/// What the names of all members begin with.
fn shared_prefix(members: &[RecordMember]) -> &str {
    let Some(first) = members.first() else { return "" };
    let shared = |other: &RecordMember| {
        first.pod.bytes().zip(other.pod.bytes()).take_while(|(left, right)| left == right).count()
    };
    // Names of objects are ASCII, so every byte is a boundary.
    let length = members.iter().map(shared).min().unwrap_or(0);
    first.pod.get(..length).unwrap_or_default()
}

/// The names of the nodes, and `REST:UID:NODE` for each member, separated by commas.
fn packed(members: &[RecordMember], prefix: usize) -> (Vec<&str>, String) {
    let mut numbers: FxHashMap<&str, usize> = FxHashMap::default();
    let mut nodes = Vec::new();
    let mut text = String::with_capacity(members.len() * 32);
    for member in members {
        let number = *numbers.entry(&member.node).or_insert_with(|| {
            nodes.push(&*member.node);
            nodes.len() - 1
        });
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&member.pod[prefix..]);
        text.push(':');
        text.push_str(&pack_uid(&member.uid));
        text.push(':');
        text.push_str(&number.to_string());
    }
    (nodes, text)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::super::tests::{body, kind};
    use super::*;
    use crate::base::names::Name;
    use crate::base::time::Time;
    use crate::cluster::facts::{CommitMark, GroupName};
    use crate::kubernetes::translate::record_of;

    fn uid(number: u64) -> Name {
        format!("0f5c1e0a-7d1b-4a5e-9a34-{number:012x}").as_str().into()
    }

    fn record(members: u64) -> RecordFact {
        let member = |at: u64| RecordMember {
            pod: format!("train-{at}").as_str().into(),
            uid: uid(at),
            node: format!("gpu-{:05}", at / 8).as_str().into(),
        };
        RecordFact {
            name: ObjectName::new("team", "native.train"),
            uid: "".into(),
            resource_version: 0,
            group: GroupName {
                name: ObjectName::new("team", "train"),
                source: GroupSource::Native,
            },
            group_uid: uid(1_000_000),
            group_version: 7,
            part: RecordPart::Head { further: 1 },
            phase: RecordPhase::Proposed,
            mark: CommitMark { epoch: 3, hash: 0xfeed },
            minimum: 2,
            members: (0..members).map(member).collect(),
            deadline: Time::from_rfc3339("2026-11-22T04:00:00Z").expect("an instant"),
            leader: "muster-0".into(),
            malformed: None,
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        for (members, part) in
            [(0, RecordPart::Head { further: 0 }), (20, RecordPart::Further { index: 2 })]
        {
            let written = RecordFact { part, ..record(members) };
            let read = record_of(&body(&propose(&written, NativeVersion::V1Beta1)), &written.name);
            assert_eq!(read, written);
        }
    }

    #[test]
    fn a_new_record_is_created_and_a_known_one_replaced_in_its_version() {
        let new = propose(&record(2), NativeVersion::V1Alpha2);
        let collection = "/apis/muster.dev/v1alpha1/namespaces/team/gangplans";
        assert_eq!(kind(&new), (&Method::POST, collection.to_owned(), "application/json"));
        let owner = &body(&new)["metadata"]["ownerReferences"][0];
        assert_eq!(owner["apiVersion"], "scheduling.k8s.io/v1alpha2");
        let known = RecordFact { resource_version: 9, ..record(2) };
        let replaced = propose(&known, NativeVersion::V1Beta1);
        assert_eq!(kind(&replaced).0, Method::PUT);
        assert_eq!(body(&replaced)["metadata"]["resourceVersion"], "9");
        let reference = RecordRef { name: known.name, resource_version: 9 };
        let moved = body(&move_to(&reference, RecordPhase::Aborting));
        assert_eq!(
            moved,
            json!({"metadata": {"resourceVersion": "9"}, "spec": {"phase": "Aborting"}})
        );
    }

    #[test]
    fn the_largest_object_stays_far_below_what_etcd_holds() {
        let members = crate::engine::record::MEMBERS_PER_OBJECT as u64;
        let request = propose(&record(members), NativeVersion::V1Beta1);
        let bytes = request.body().len() as u64;
        assert!(bytes < 512 * 1024, "{bytes} bytes");
        assert!(bytes / members < 36, "{} bytes for each member", bytes / members);
    }
}
