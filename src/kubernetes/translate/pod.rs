//! A pod object as a fact. Semantics of each field: kube-scheduler 1.37.
//! Finds what Muster does not honour yet and says so by field; wishes (preferred terms, `ScheduleAnyway`) that it
//! does not honour yet are left out, since leaving out a wish never breaks a promise.

use std::borrow::Cow;

use super::Scores;
use super::amounts;
use super::objects::Metadata;
use super::objects::NodeTermObject;
use super::objects::PodObject;
use super::objects::PodSpec;
use super::objects::Requirement;
use super::objects::TolerationObject;
use super::read::Read;
use super::relations;
use super::selecting;
use super::shelves::Shelves;
use super::storage;
use super::wishes;
use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::cluster::facts::GroupName;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::PodFact;
use crate::cluster::facts::PodPhase;
use crate::workload::ask::Amounts;
use crate::workload::ask::Ask;
use crate::workload::constraints::NodeTerm;
use crate::workload::constraints::PreferredTerm;
use crate::workload::constraints::TaintEffect;
use crate::workload::constraints::Toleration;
use crate::workload::constraints::TolerationOperator;
use crate::workload::node_terms;
use crate::workload::node_terms::WrittenRequirement;
use crate::workload::scored::Counted;
use crate::workload::scored::Scored;

/// The label that makes a pod a member of a coscheduling PodGroup.
pub const GROUP_LABEL: &str = "scheduling.x-k8s.io/pod-group";

/// The form of [`GROUP_LABEL`] that is seen in tutorials; it means the same.
pub const TUTORIAL_GROUP_LABEL: &str = "scheduling.k8s.io/pod-group";

/// The scheduler of pods that name none, as the API server fills in.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// The fact of a pod object.
pub(super) fn fact(read: &Read<PodObject>, shelves: &mut Shelves, scores: Scores) -> PodFact {
    let pod = &read.object;
    let metadata = &pod.metadata;
    let mut problems = read.problems.clone();
    let created = created(metadata, &mut problems);
    let group = group(pod, shelves, &mut problems);
    let mut ask = ask(pod, shelves, &mut problems);
    if scores == Scores::Read {
        ask.scored = Some(Box::new(scored(pod, shelves)));
    }
    let node = pod
        .spec
        .node_name
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(|name| shelves.name(name));
    let held = node.as_ref().filter(|_| amounts::is_reported(pod));
    let held = held.map(|_| {
        let counted = match scores {
            Scores::Read => amounts::held_counted(pod),
            Scores::Unread => Counted::NONE,
        };
        (amounts::held(pod, shelves), counted)
    });
    // Nearly all pods hold what they ask for.
    let is_as_asked = |held: &(Amounts, Counted)| {
        let asked = ask.scored.as_ref().map_or(Counted::NONE, |scored| scored.holding);
        held.0 == ask.requests && held.1 == asked
    };
    let (held, held_counted) = match held.filter(|held| !is_as_asked(held)) {
        Some((held, counted)) => (Some(held), counted),
        None => (None, Counted::NONE),
    };
    let controller = metadata.owner_references.iter().find(|owner| owner.controller);
    let of_daemon_set = controller.is_some_and(|owner| owner.kind == "DaemonSet");
    PodFact {
        name: ObjectName {
            namespace: shelves.name(&metadata.namespace),
            name: metadata.name.as_str().into(),
        },
        uid: metadata.uid.as_str().into(),
        resource_version: version(metadata),
        created,
        labels: shelves.labels(&metadata.namespace, &metadata.labels),
        scheduler: shelves.name(scheduler_name(&pod.spec)),
        group,
        priority: pod.spec.priority.unwrap_or(0),
        node,
        nominated: some(pod.status.nominated_node_name.as_deref(), shelves),
        phase: phase(pod.status.phase.as_deref()),
        reason: some(pod.status.reason.as_deref(), shelves),
        deleting: metadata.deletion_timestamp.is_some(),
        gates: pod.spec.scheduling_gates.iter().map(|gate| shelves.name(&gate.name)).collect(),
        ask: shelves.ask(ask),
        held,
        held_counted,
        controller: controller.map(|owner| shelves.name(&format!("{}/{}", owner.kind, owner.name))),
        selected_by: controller.and_then(selecting::kind_of_controller),
        pinned_to_node: of_daemon_set || metadata.annotations.mirror.is_some(),
        malformed: (!problems.is_empty()).then(|| problems.join("; ").into()),
    }
}

/// A name that is not empty.
fn some(text: Option<&str>, shelves: &mut Shelves) -> Option<Name> {
    text.filter(|text| !text.is_empty()).map(|text| shelves.name(text))
}

/// `metadata.resourceVersion` as a number; 0 where there is none (a manifest, a server before 1.35).
pub(super) fn version(metadata: &Metadata) -> u64 {
    metadata.resource_version.parse().unwrap_or(0)
}

/// `metadata.creationTimestamp`; the epoch where it is missing.
pub(super) fn created(metadata: &Metadata, problems: &mut Vec<String>) -> Time {
    let Some(text) = &metadata.creation_timestamp else { return Time::EPOCH };
    Time::from_rfc3339(text).unwrap_or_else(|| {
        problems.push(format!(
            "metadata.creationTimestamp: \"{text}\" is no instant; write it as 2026-11-01T12:00:00Z"
        ));
        Time::EPOCH
    })
}

fn scheduler_name(spec: &PodSpec) -> &str {
    spec.scheduler_name.as_deref().filter(|name| !name.is_empty()).unwrap_or(DEFAULT_SCHEDULER)
}

/// `Unknown` counts as running: the node is out of contact, and what it runs may still hold its resources.
fn phase(text: Option<&str>) -> PodPhase {
    match text {
        Some("Running" | "Unknown") => PodPhase::Running,
        Some("Succeeded") => PodPhase::Succeeded,
        Some("Failed") => PodPhase::Failed,
        Some(_) | None => PodPhase::Pending,
    }
}

fn group(pod: &PodObject, shelves: &mut Shelves, problems: &mut Vec<String>) -> Option<GroupName> {
    let label =
        |key| pod.metadata.labels.get(key).map(String::as_str).filter(|name| !name.is_empty());
    let (labelled, tutorial) = (label(GROUP_LABEL), label(TUTORIAL_GROUP_LABEL));
    let native =
        pod.spec.scheduling_group.as_ref().and_then(|group| group.pod_group_name.as_deref());
    if let (Some(one), Some(other)) = (labelled, tutorial)
        && one != other
    {
        problems.push(format!(
            "metadata.labels: {GROUP_LABEL} is \"{one}\" but {TUTORIAL_GROUP_LABEL} is \"{other}\"; keep one of them"
        ));
    }
    let by_label = labelled.or(tutorial);
    if let (Some(native), Some(label)) = (native, by_label) {
        problems.push(format!(
            "spec.schedulingGroup.podGroupName is \"{native}\" and a pod-group label says \"{label}\"; \
             a pod is a member of one group: remove the label or the field"
        ));
    }
    let (name, source) = match native {
        Some(name) => (name, GroupSource::Native),
        None => (by_label?, GroupSource::Coscheduling),
    };
    let namespace = shelves.name(&pod.metadata.namespace);
    Some(GroupName { name: ObjectName { namespace, name: shelves.name(name) }, source })
}

fn ask(pod: &PodObject, shelves: &mut Shelves, problems: &mut Vec<String>) -> Ask {
    let spec = &pod.spec;
    let requests = amounts::asked(pod, shelves, problems);
    let affinity = &spec.affinity.node_affinity;
    Ask {
        requests,
        node_selector: pairs(&spec.node_selector, shelves),
        required_terms: affinity.required.as_ref().map(|selector| {
            selector.node_selector_terms.iter().map(|term| node_term(term, shelves)).collect()
        }),
        preferred_terms: affinity
            .preferred
            .iter()
            .map(|preferred| PreferredTerm {
                weight: preferred.weight,
                term: node_term(&preferred.preference, shelves),
            })
            .collect(),
        tolerations: spec.tolerations.iter().map(|written| toleration(written, shelves)).collect(),
        relations: relations::relations(pod, shelves, problems).boxed(),
        features: super::features::features(pod, shelves),
        profile: None,
        scored: None,
        volumes: storage::volumes_of(pod, shelves),
        unsupported: unsupported(pod).iter().map(|entry| shelves.name(entry)).collect(),
    }
}

/// What kube-scheduler's scores read of the pod.
fn scored(pod: &PodObject, shelves: &mut Shelves) -> Scored {
    let (asking, holding) = amounts::counted(pod, shelves);
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let mounted = pod.spec.volumes.iter().filter_map(|volume| volume.image.as_ref());
    let images = containers.map(|container| container.image.as_str());
    let images = images.chain(mounted.map(|image| image.reference.as_str()));
    let mut images: Vec<Name> = images.map(|image| shelves.name(&with_tag(image))).collect();
    images.sort();
    Scored { asking, holding, images }
}

/// An image's name as nodes list it: one without a tag or digest means `latest`.
fn with_tag(image: &str) -> Cow<'_, str> {
    let has_tag = image.rfind(':') > image.rfind('/');
    if has_tag { image.into() } else { format!("{image}:latest").into() }
}

/// Key-value pairs sorted by key.
pub(super) fn pairs(
    map: &std::collections::BTreeMap<String, String>,
    shelves: &mut Shelves,
) -> Vec<(Name, Name)> {
    map.iter().map(|(key, value)| (shelves.name(key), shelves.name(value))).collect()
}

fn toleration(written: &TolerationObject, shelves: &mut Shelves) -> Toleration {
    let effect = taint_effect(&written.effect);
    let operator = match written.operator.as_str() {
        // An effect that does not exist tolerates no taint that does.
        _ if effect.is_none() && !written.effect.is_empty() => TolerationOperator::Never,
        "" | "Equal" => TolerationOperator::Equal,
        "Exists" => TolerationOperator::Exists,
        _ => TolerationOperator::Never,
    };
    Toleration {
        key: shelves.name(&written.key),
        operator,
        value: shelves.name(&written.value),
        effect,
    }
}

/// A taint's effect by its name.
pub(super) fn taint_effect(text: &str) -> Option<TaintEffect> {
    match text {
        "NoSchedule" => Some(TaintEffect::NoSchedule),
        "PreferNoSchedule" => Some(TaintEffect::PreferNoSchedule),
        "NoExecute" => Some(TaintEffect::NoExecute),
        _ => None,
    }
}

pub(super) fn node_term(written: &NodeTermObject, shelves: &mut Shelves) -> NodeTerm {
    fn list(requirements: &[Requirement]) -> Vec<WrittenRequirement<'_>> {
        let written = requirements.iter().map(|one| WrittenRequirement {
            key: &one.key,
            operator: &one.operator,
            values: &one.values,
        });
        written.collect()
    }
    node_terms::term(&list(&written.match_expressions), &list(&written.match_fields), |text| {
        shelves.name(text)
    })
}

/// What the pod requires and Muster cannot honour: field, and what to do instead.
fn unsupported(pod: &PodObject) -> Vec<String> {
    let spec = &pod.spec;
    let mut found = Vec::new();
    if !spec.resource_claims.is_empty() {
        found.push(
            "spec.resourceClaims: claims are not allocated yet; ask for the devices as extended resources".to_owned(),
        );
    }
    found.extend(wishes::required_topology(&pod.metadata.annotations));
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_holds_what_it_asks_for_may_still_count_as_another_in_scores() {
        let object = json!({
            "metadata": {"name": "p", "namespace": "d", "uid": "u"},
            "spec": {"nodeName": "n", "containers": [{"name": "c"}]},
            "status": {
                "containerStatuses": [{"name": "c", "allocatedResources": {"cpu": "0"}}],
                "conditions": [{"type": "PodResizePending", "reason": "Infeasible"}],
            },
        });
        let read = super::super::read::read::<PodObject>(&object);
        let told = fact(&read, &mut Shelves::new(), Scores::Read);
        let holding = told.ask.scored.as_ref().expect("scores are read").holding;
        assert_eq!((holding, told.held_counted.cpu), (Counted::UNSTATED, 0));
        assert_eq!(told.held, Some(Amounts::default()), "nothing, as it asks for");
        let told = fact(&read, &mut Shelves::new(), Scores::Unread);
        assert_eq!((told.held, told.held_counted), (None, Counted::NONE));
    }
}
