//! Objects that stand for others: fleets for nodes, workloads for pods.
//!
//! Knows nothing of time. Invariant: what the input holds already is not made again, so that the dump of a
//! cluster, which has workloads and their pods, means the cluster as it was.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::{Complaint, InputError};
use super::kind::Kind;
use super::read::Origin;
use super::sort::{Found, title};
use crate::base::names::ObjectName;
use crate::sim::controllers;
use crate::sim::controllers::Expansion;
use crate::sim::fleet;
use crate::sim::object::Object;

/// Who is whose child in the input.
pub(super) struct Family {
    /// Pods, by namespace, kind of the controller, and its name.
    pods: BTreeMap<(String, String, String), usize>,
    /// Deployments that have a ReplicaSet in the input, which stands for them.
    represented: BTreeSet<ObjectName>,
    /// The names that pods of the input have.
    taken: BTreeSet<ObjectName>,
    /// The nodes of the input, where it has a DaemonSet.
    nodes: Vec<Value>,
}

impl Family {
    /// Reads the owner references of all objects.
    pub(super) fn of(recognised: &[Found]) -> Self {
        let mut family = Self {
            pods: BTreeMap::new(),
            represented: BTreeSet::new(),
            taken: BTreeSet::new(),
            nodes: Vec::new(),
        };
        if recognised.iter().any(|found| found.kind == Kind::DaemonSet) {
            let nodes = recognised.iter().filter(|found| found.kind == Kind::Node);
            family.nodes = nodes.map(|found| found.object.clone()).collect();
        }
        for found in recognised {
            let controller = Object(&found.object).controller();
            if found.kind == Kind::Pod {
                family.taken.insert(found.name.clone());
                if let Some(owner) = controller {
                    let key = (found.name.namespace.to_string(), owner.kind, owner.name);
                    *family.pods.entry(key).or_default() += 1;
                }
            } else if found.kind == Kind::ReplicaSet
                && let Some(owner) = controller.filter(|owner| owner.kind == "Deployment")
            {
                family.represented.insert(ObjectName::new(&found.name.namespace, &owner.name));
            }
        }
        family
    }
}

/// The most pods that one workload may stand for; a mistyped count must not fill the memory.
const PODS_MAX: u64 = 1_000_000;

/// The pods that a workload stands for, beyond those that the input has already.
///
/// # Errors
/// A count that is none, or is absurd.
pub(super) fn expand(workload: &Found, family: &Family) -> Result<Vec<Found>, Box<InputError>> {
    if workload.kind == Kind::Deployment && family.represented.contains(&workload.name) {
        return Ok(Vec::new());
    }
    let refuse = |complaint: Complaint| {
        Box::new(InputError {
            origin: workload.origin.clone(),
            object: title(&workload.object, &workload.name),
            complaint,
        })
    };
    let field = if workload.kind == Kind::Job { "parallelism" } else { "replicas" };
    let written = &workload.object["spec"][field];
    if written.as_u64().is_some_and(|count| count > PODS_MAX) {
        return Err(refuse(Complaint {
            field: format!("spec.{field}"),
            value: Some(written.to_string()),
            problem: "too many pods to simulate".to_owned(),
            remedy: format!("write at most {PODS_MAX}"),
        }));
    }
    let pods = match controllers::expand(&workload.object) {
        Ok(Expansion::NotAWorkload) if workload.kind == Kind::DaemonSet => {
            controllers::daemon_pods(&workload.object, &family.nodes)
        }
        Ok(Expansion::Pods(pods)) => pods,
        Ok(Expansion::NotAWorkload) => Vec::new(),
        Err(bad) => {
            return Err(refuse(Complaint {
                field: bad.field.to_owned(),
                value: Some(bad.value),
                problem: "not a count".to_owned(),
                remedy: "write a whole number, 0 or more".to_owned(),
            }));
        }
    };
    let kind = workload.object["kind"].as_str().unwrap_or_default().to_owned();
    let key = (workload.name.namespace.to_string(), kind, workload.name.name.to_string());
    let existing = family.pods.get(&key).copied().unwrap_or(0);
    if workload.kind == Kind::DaemonSet && existing > 0 {
        // Which nodes have none, and why, is part of the cluster as it was.
        return Ok(Vec::new());
    }
    let missing = pods.len().saturating_sub(existing);
    Ok(pods
        .into_iter()
        .map(|object| Found {
            origin: workload.origin.clone(),
            kind: Kind::Pod,
            name: Object(&object).object_name(),
            object,
        })
        .filter(|pod| !family.taken.contains(&pod.name))
        .take(missing)
        .collect())
}

/// The nodes of a `kind: Fleet` document: a fleet file with `apiVersion` and `kind` on top.
///
/// # Errors
/// What the fleet file's reader finds wrong.
pub(super) fn fleet_nodes(origin: &Origin, object: &Value) -> Result<Vec<Found>, Vec<InputError>> {
    let mut file = object.clone();
    if let Some(fields) = file.as_object_mut() {
        for header in ["apiVersion", "kind", "metadata"] {
            fields.shift_remove(header);
        }
    }
    // JSON is YAML, so the reader takes it; all of it is one line, which is not worth telling.
    let nodes = fleet::read("", &file.to_string()).map_err(|error| {
        let refuse = |problem: &String| InputError {
            origin: origin.clone(),
            object: "Fleet".to_owned(),
            complaint: Complaint {
                problem: problem.strip_prefix("line 1: ").unwrap_or(problem).to_owned(),
                ..Complaint::default()
            },
        };
        error.problems.iter().map(refuse).collect::<Vec<_>>()
    })?;
    let found = |object: Value| Found {
        origin: origin.clone(),
        kind: Kind::Node,
        name: ObjectName::new("", Object(&object).name()),
        object,
    };
    Ok(nodes.into_iter().map(found).collect())
}
