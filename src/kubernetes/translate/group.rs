//! PodGroup objects of every API as one kind of fact: the coscheduling CRD `scheduling.x-k8s.io/v1alpha1`
//! and the native `scheduling.k8s.io` v1beta1 (Kubernetes 1.37) and v1alpha2 (1.36).
//! Also the tutorials' manifest (`scheduling.k8s.io/v1alpha1` with `minMember`), as an alias of the CRD.

use serde_json::Value;

use super::amounts;
use super::objects::GroupObject;
use super::objects::GroupStatusObject;
use super::pod::created;
use super::pod::version;
use super::read::Read;
use super::shelves::Shelves;
use super::wishes;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::cluster::facts::GroupCondition;
use crate::cluster::facts::GroupFact;
use crate::cluster::facts::GroupName;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::GroupStatus;

/// Condition of a native PodGroup since 1.37.
pub const CONDITION: &str = "PodGroupInitiallyScheduled";

/// Its name in 1.36.
pub const CONDITION_1_36: &str = "PodGroupScheduled";

/// `apiVersion` of the CRD.
pub const COSCHEDULING_API_VERSION: &str = "scheduling.x-k8s.io/v1alpha1";

/// The tutorials' form (`scheduling.k8s.io/v1alpha1`, `kind: PodGroup`, `spec.minMember`) in the form that works on
/// every cluster: the same object of [`COSCHEDULING_API_VERSION`]. `None` for every other object.
/// A real API server refuses the tutorials' form, so only `simulate` and `playground` take it.
pub fn works_everywhere(object: &Value) -> Option<Value> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let is_tutorial_form = text("apiVersion") == Some("scheduling.k8s.io/v1alpha1")
        && text("kind") == Some("PodGroup")
        && object.get("spec").is_some_and(|spec| spec.get("minMember").is_some());
    is_tutorial_form.then(|| {
        let mut written = object.clone();
        written["apiVersion"] = COSCHEDULING_API_VERSION.into();
        written
    })
}

/// The fact of a PodGroup object of `source`.
pub(super) fn fact(
    read: &Read<GroupObject>,
    source: GroupSource,
    shelves: &mut Shelves,
) -> GroupFact {
    let group = &read.object;
    let metadata = &group.metadata;
    let mut problems = read.problems.clone();
    let minimum = match source {
        GroupSource::Coscheduling => min_member(group.spec.min_member, &mut problems),
        GroupSource::Native => min_count(group, &mut problems),
    };
    let mut unsupported = wishes::required_topology(&metadata.annotations);
    let constraints =
        group.spec.scheduling_constraints.iter().flat_map(|constraints| &constraints.topology);
    unsupported.extend(constraints.map(|constraint| {
        wishes::not_honoured(&format!(
            "spec.schedulingConstraints.topology[].key \"{}\"",
            constraint.key
        ))
    }));
    let name = ObjectName {
        namespace: shelves.name(&metadata.namespace),
        name: shelves.name(&metadata.name),
    };
    GroupFact {
        name: GroupName { name, source },
        uid: metadata.uid.as_str().into(),
        resource_version: version(metadata),
        generation: metadata.generation,
        created: created(metadata, &mut problems),
        minimum,
        min_resources: amounts::listed(
            "spec.minResources",
            &group.spec.min_resources,
            shelves,
            &mut problems,
        ),
        schedule_timeout: schedule_timeout(group.spec.schedule_timeout_seconds, &mut problems),
        priority: group.spec.priority.filter(|_| source == GroupSource::Native),
        unsupported: unsupported.into_iter().map(Into::into).collect(),
        malformed: (!problems.is_empty()).then(|| problems.join("; ").into()),
        // What is no mark commits to nothing.
        commit: metadata.annotations.commit.as_ref().and_then(|mark| mark.parse().ok()),
        status: status(&group.status),
    }
}

/// Absent means 1. The CRD's schema refuses less, but a cluster may carry another CRD of that name.
fn min_member(written: Option<i64>, problems: &mut Vec<String>) -> Option<u32> {
    let written = written.unwrap_or(1);
    Some(positive("spec.minMember", written, problems))
}

fn min_count(group: &GroupObject, problems: &mut Vec<String>) -> Option<u32> {
    let Some(policy) = &group.spec.scheduling_policy else {
        problems
            .push("spec.schedulingPolicy: missing; write gang.minCount, or basic: {}".to_owned());
        return None;
    };
    match (&policy.gang, &policy.basic) {
        (Some(gang), None) => Some(positive(
            "spec.schedulingPolicy.gang.minCount",
            gang.min_count.unwrap_or(0),
            problems,
        )),
        (None, Some(_)) => None,
        (Some(_), Some(_)) | (None, None) => {
            problems.push("spec.schedulingPolicy: write exactly one of gang and basic".to_owned());
            None
        }
    }
}

fn positive(field: &str, written: i64, problems: &mut Vec<String>) -> u32 {
    match u32::try_from(written) {
        Ok(minimum) if minimum >= 1 && i32::try_from(minimum).is_ok() => minimum,
        _ => {
            problems.push(format!(
                "{field}: {written} is out of range; write the number of members, 1 to 2147483647"
            ));
            1
        }
    }
}

/// Zero means the default, as the coscheduling plugin has it.
fn schedule_timeout(written: Option<i64>, problems: &mut Vec<String>) -> Option<Span> {
    let seconds = written.filter(|seconds| *seconds != 0)?;
    if seconds < 0 {
        problems.push(format!(
            "spec.scheduleTimeoutSeconds: {seconds} is negative; write the seconds that binding may take"
        ));
        return None;
    }
    Some(Span::seconds(seconds))
}

fn status(written: &GroupStatusObject) -> GroupStatus {
    let condition = written
        .conditions
        .iter()
        .find(|condition| condition.kind == CONDITION || condition.kind == CONDITION_1_36);
    GroupStatus {
        phase: written.phase.clone(),
        occupied_by: written.occupied_by.clone(),
        running: written.running,
        succeeded: written.succeeded,
        failed: written.failed,
        condition: condition.map(|condition| GroupCondition {
            holds: condition.status == "True",
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            observed_generation: condition.observed_generation,
        }),
    }
}
