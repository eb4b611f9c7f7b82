//! The StatefulSet controller: pods with fixed names, NAME-0 on. `OrderedReady` brings them up and down one by
//! one, `Parallel` all at once; `RollingUpdate` replaces pods of an old template from the highest ordinal down
//! to the partition. Claims are made for pods that are not ready, and never taken away.

use serde_json::Value;
use serde_json::json;

use super::children::Child;
use super::owner::Round;
use super::owner::positive;
use super::template::claims_of_pod;
use super::template::mount_claims;
use super::template::pod_from;
use super::template::set_label;
use super::template::template_hash;
use crate::sim::object::Object;
use crate::sim::write::Write;

/// Brings a StatefulSet's pods and status to what they should be.
pub(super) fn reconcile(round: &mut Round<'_>) {
    if round.owner.deleting() {
        return;
    }
    round.children.take_lost();
    let spec = &round.owner.0["spec"];
    let set = Wishes {
        first: spec["ordinals"]["start"].as_u64().unwrap_or(0),
        replicas: spec["replicas"].as_u64().unwrap_or(1),
        ordered: spec["podManagementPolicy"] != "Parallel",
        revision: format!("{}-{}", round.owner.name(), template_hash(&spec["template"])),
    };
    let settled = fill(round, &set) && shrink(round, &set);
    if settled {
        update(round, &set);
    }
    write_status(round, &set);
}

/// What a StatefulSet asks for.
#[derive(Debug)]
struct Wishes {
    first: u64,
    replicas: u64,
    /// One at a time.
    ordered: bool,
    /// The template's name.
    revision: String,
}

impl Wishes {
    fn ordinals(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.replicas
    }
}

fn healthy(child: &Child) -> bool {
    child.ready && !child.deleting && !child.ended()
}

/// Makes missing pods; an ordered set waits for each to be ready. True once all are there (and ready).
fn fill(round: &mut Round<'_>, set: &Wishes) -> bool {
    let mut complete = true;
    for ordinal in set.ordinals() {
        let name = format!("{}-{ordinal}", round.owner.name());
        let ready = match round.children.named(&name) {
            Some(child) if child.ended() && !child.deleting => {
                // An ended pod is removed, so that its name is free again.
                round.remove(std::slice::from_ref(&name));
                false
            }
            Some(child) => healthy(child),
            None => {
                if !round.children.taken(&name) {
                    let pod = numbered_pod(round, &name, ordinal, &set.revision);
                    round.create(pod);
                }
                false
            }
        };
        if !ready {
            make_claims(round, &name);
        }
        complete &= ready;
        if set.ordered && !ready {
            return false;
        }
    }
    complete || !set.ordered
}

/// Asks for the claims of a pod; those that exist stay as they are.
fn make_claims(round: &mut Round<'_>, pod: &str) {
    let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims", round.owner.namespace());
    for claim in claims_of_pod(round.owner, pod) {
        round.ensure(Object(&claim).name(), Write::create(path.as_str(), &claim));
    }
}

/// Removes pods beyond the wanted ones, from the highest; an ordered set one at a time.
/// True once there are none.
fn shrink(round: &mut Round<'_>, set: &Wishes) -> bool {
    let wanted = set.ordinals();
    let mut surplus: Vec<(u64, String)> = round
        .children
        .seen()
        .filter_map(|child| Some((ordinal(round, &child.name)?, child.name.clone())))
        .filter(|(ordinal, _)| !wanted.contains(ordinal))
        .collect();
    surplus.sort();
    let count = if set.ordered { 1 } else { surplus.len() };
    let names: Vec<String> =
        surplus.iter().rev().take(count).map(|(_, name)| name.clone()).collect();
    round.remove(&names);
    surplus.is_empty()
}

/// Removes the highest pod of an old template; it comes back from the new one.
fn update(round: &mut Round<'_>, set: &Wishes) {
    let strategy = &round.owner.0["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return;
    }
    let partition = strategy["rollingUpdate"]["partition"].as_u64().unwrap_or(0);
    for ordinal in set.ordinals().rev().take_while(|ordinal| *ordinal >= partition) {
        let name = format!("{}-{ordinal}", round.owner.name());
        let Some(child) = round.children.named(&name) else { return };
        if child.revision != set.revision {
            round.remove(&[name]);
            return;
        }
        if !healthy(child) {
            return;
        }
    }
}

/// The ordinal in a pod's name.
fn ordinal(round: &Round<'_>, name: &str) -> Option<u64> {
    name.strip_prefix(round.owner.name())?.strip_prefix('-')?.parse().ok()
}

/// The pod of one ordinal.
fn numbered_pod(round: &Round<'_>, name: &str, ordinal: u64, revision: &str) -> Value {
    let mut pod = pod_from(round.owner, name);
    set_label(&mut pod, "apps.kubernetes.io/pod-index", &ordinal.to_string());
    set_label(&mut pod, "statefulset.kubernetes.io/pod-name", name);
    set_label(&mut pod, "controller-revision-hash", revision);
    mount_claims(round.owner, &mut pod);
    pod["spec"]["hostname"] = json!(name);
    if let Some(service) = round.owner.0["spec"]["serviceName"].as_str() {
        pod["spec"]["subdomain"] = json!(service);
    }
    pod
}

fn write_status(round: &mut Round<'_>, set: &Wishes) {
    let path = format!(
        "/apis/apps/v1/namespaces/{}/statefulsets/{}",
        round.owner.namespace(),
        round.owner.name()
    );
    let mine = |child: &&Child| !child.ended() && ordinal(round, &child.name).is_some();
    let pods: Vec<&Child> = round.children.seen().filter(mine).collect();
    let ready = pods.iter().filter(|child| healthy(child)).count();
    let updated =
        pods.iter().filter(|child| child.revision == set.revision && !child.deleting).count();
    let before = round.believed_status();
    let done = updated as u64 == set.replicas && ready as u64 == set.replicas;
    let current = match before["currentRevision"].as_str() {
        Some(current) if !done => current.to_owned(),
        Some(_) | None => set.revision.clone(),
    };
    let of_current =
        pods.iter().filter(|child| child.revision == current && !child.deleting).count();
    let status: [(&str, Value); 9] = [
        ("replicas", json!(pods.len())),
        ("readyReplicas", positive(ready)),
        ("availableReplicas", json!(ready)),
        ("currentReplicas", positive(of_current)),
        ("updatedReplicas", positive(updated)),
        ("currentRevision", json!(current)),
        ("updateRevision", json!(set.revision)),
        ("collisionCount", json!(0)),
        ("observedGeneration", json!(round.owner.generation())),
    ];
    let status = status.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    round.write_status(&path, status);
}
