//! The Deployment controller: one ReplicaSet per template, named by the template's hash; rolling updates within
//! surge and unavailability, or `Recreate`; revisions and their history. It scales ReplicaSets and never
//! touches pods. Progress deadlines and proportional scaling of paused roll-outs are left out.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::owner::Condition;
use super::owner::Round;
use super::owner::positive;
use super::owner::put_condition;
use super::template::owner_reference;
use super::template::template_hash;
use crate::sim::object::Object;
use crate::sim::write::Write;

/// Annotation of Deployments and ReplicaSets: which template of the Deployment this is, counted from 1.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// Label that tells a ReplicaSet's pods from those of other templates.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// `spec.revisionHistoryLimit` where absent.
const HISTORY_DEFAULT: usize = 10;

/// A ReplicaSet of the Deployment.
#[derive(Clone, Copy, Debug)]
struct Set<'a> {
    object: Object<'a>,
    /// `spec.replicas`.
    wanted: i64,
    /// `status.replicas`.
    there: i64,
    ready: i64,
    available: i64,
    revision: i64,
}

impl<'a> Set<'a> {
    fn of(object: &'a Value) -> Self {
        let count = |part: &str, field: &str| object[part][field].as_i64();
        let view = Object(object);
        Self {
            object: view,
            wanted: count("spec", "replicas").unwrap_or(1),
            there: count("status", "replicas").unwrap_or(0),
            ready: count("status", "readyReplicas").unwrap_or(0),
            available: count("status", "availableReplicas").unwrap_or(0),
            revision: view.annotation(REVISION).and_then(|text| text.parse().ok()).unwrap_or(0),
        }
    }
}

/// How many pods may be there beyond the wanted ones, and how many of those may be missing, during a roll-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leeway {
    surge: i64,
    unavailable: i64,
}

/// Brings a Deployment's ReplicaSets and status to what they should be.
/// `sets` are the ReplicaSets that it controls, by name.
pub(super) fn reconcile(round: &mut Round<'_>, sets: &[&Value]) {
    if round.owner.deleting() {
        return;
    }
    let spec = &round.owner.0["spec"];
    let name = format!("{}-{}", round.owner.name(), template_hash(&spec["template"]));
    let replicas = spec["replicas"].as_i64().unwrap_or(1);
    let sets: Vec<Set<'_>> = sets.iter().map(|set| Set::of(set)).collect();
    let (new, old): (Vec<_>, Vec<_>) =
        sets.iter().copied().partition(|set| set.object.name() == name);
    let leeway = leeway(spec, replicas);
    if spec["paused"] != true {
        keep_revisions(round, &name, &sets);
        if spec["strategy"]["type"] == "Recreate" {
            recreate(round, &name, (new.first().copied(), &old), replicas);
        } else {
            roll(round, &name, (new.first().copied(), &old), (replicas, leeway));
        }
        clean_up(round, &old);
    } else if let ([only], []) = (&new[..], &old[..]) {
        scale(round, *only, replicas);
    }
    write_status(round, &name, &sets, (replicas, leeway));
}

/// The path of ReplicaSets in the Deployment's namespace.
fn sets_path(round: &Round<'_>) -> String {
    format!("/apis/apps/v1/namespaces/{}/replicasets", round.owner.namespace())
}

/// Surge and unavailability, in pods: percentages round up and down; both zero cannot be.
fn leeway(spec: &Value, replicas: i64) -> Leeway {
    let rolling = &spec["strategy"]["rollingUpdate"];
    let resolve = |field: &str, remainder: i64| {
        let share = |percent: i64| {
            percent.saturating_mul(replicas).saturating_add(remainder).div_euclid(100)
        };
        let given = &rolling[field];
        match given.as_str() {
            Some(text) => {
                text.strip_suffix('%').and_then(|number| number.parse().ok()).map_or(0, share)
            }
            None => given.as_i64().unwrap_or_else(|| share(25)),
        }
    };
    let leeway =
        Leeway { surge: resolve("maxSurge", 99), unavailable: resolve("maxUnavailable", 0) };
    if leeway == (Leeway { surge: 0, unavailable: 0 }) {
        return Leeway { unavailable: 1, ..leeway };
    }
    leeway
}

/// One step of a rolling update: the new set grows as far as the surge allows,
/// old ones shrink as far as enough pods stay available.
fn roll(
    round: &mut Round<'_>,
    name: &str,
    (new, old): (Option<Set<'_>>, &[Set<'_>]),
    (replicas, leeway): (i64, Leeway),
) {
    let old_wanted: i64 = old.iter().map(|set| set.wanted).sum();
    let new_wanted = new.map_or(0, |set| set.wanted);
    let room = (replicas + leeway.surge - old_wanted - new_wanted).max(0);
    let grown = if old_wanted == 0 || new_wanted > replicas {
        replicas
    } else {
        (new_wanted + room).min(replicas)
    };
    match new {
        None => create_set(round, name, grown),
        Some(set) => scale(round, set, grown),
    }
    // What is wanted of the new set and not available yet must not be counted on.
    let new_missing = new.map_or(0, |set| set.wanted - set.available).max(0);
    let mut removable =
        old_wanted + new_wanted - (replicas - leeway.unavailable).max(0) - new_missing;
    let mut kept: Vec<(Set<'_>, i64)> = old.iter().map(|set| (*set, set.wanted)).collect();
    kept.sort_by_key(|(set, _)| (set.revision, set.object.name().to_owned()));
    // Pods that are not available cost nothing to remove, so they go first.
    for (set, wanted) in &mut kept {
        let broken = (set.wanted - set.available).clamp(0, removable.max(0));
        *wanted -= broken;
        removable -= broken;
    }
    for (set, wanted) in &mut kept {
        let fewer = (*wanted).min(removable.max(0));
        *wanted -= fewer;
        removable -= fewer;
        scale(round, *set, *wanted);
    }
}

/// One step of `Recreate`: nothing of the new set before the last old pod is gone.
fn recreate(
    round: &mut Round<'_>,
    name: &str,
    (new, old): (Option<Set<'_>>, &[Set<'_>]),
    replicas: i64,
) {
    for set in old {
        scale(round, *set, 0);
    }
    let gone = |set: &Set<'_>| {
        let terminating = set.object.0["status"]["terminatingReplicas"].as_i64().unwrap_or(0);
        set.wanted == 0 && set.there == 0 && terminating == 0
    };
    let grown = if old.iter().all(gone) { replicas } else { 0 };
    match new {
        None => create_set(round, name, grown),
        Some(set) => scale(round, set, grown.max(set.wanted.min(replicas))),
    }
}

/// Asks for the ReplicaSet of the current template.
fn create_set(round: &mut Round<'_>, name: &str, replicas: i64) {
    let owner = round.owner;
    let spec = &owner.0["spec"];
    let hash = name.rsplit('-').next().unwrap_or(name);
    let mut template = spec["template"].clone();
    template["metadata"]["labels"][TEMPLATE_HASH] = json!(hash);
    let mut selector = spec["selector"].clone();
    selector["matchLabels"][TEMPLATE_HASH] = json!(hash);
    let revision = owner.annotation(REVISION).unwrap_or("1").to_owned();
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": owner.namespace(),
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: revision},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "replicas": replicas,
            "selector": selector,
            "template": template,
            "minReadySeconds": spec["minReadySeconds"].as_i64().unwrap_or(0),
        },
    });
    let path = sets_path(round);
    round.ensure(name, Write::create(path, &set));
}

/// Asks for `replicas` of a set, if it does not want them already.
fn scale(round: &mut Round<'_>, set: Set<'_>, replicas: i64) {
    if set.wanted != replicas {
        let path = format!("{}/{}", sets_path(round), set.object.name());
        let body = json!({"metadata": {"uid": set.object.uid()}, "spec": {"replicas": replicas}});
        round.ensure(set.object.name(), Write::merge(path, &body));
    }
}

/// Numbers templates: a new one, or an old one that is wanted again, gets the next revision.
fn keep_revisions(round: &mut Round<'_>, name: &str, sets: &[Set<'_>]) {
    let own = sets.iter().find(|set| set.object.name() == name);
    let others = sets.iter().filter(|set| set.object.name() != name);
    let highest = others.map(|set| set.revision).max().unwrap_or(0);
    let wanted = match own {
        Some(set) if set.revision > highest => set.revision,
        Some(_) | None => highest + 1,
    };
    let wanted_text = wanted.to_string();
    let body =
        |uid: &str| json!({"metadata": {"uid": uid, "annotations": {REVISION: wanted_text}}});
    if let Some(set) = own.filter(|set| set.revision != wanted) {
        let path = format!("{}/{name}", sets_path(round));
        let write = Write::merge(path, &body(set.object.uid()));
        round.ensure(&format!("revision of {name}"), write);
    }
    let owner = round.owner;
    if owner.annotation(REVISION) != Some(&wanted_text) {
        let path =
            format!("/apis/apps/v1/namespaces/{}/deployments/{}", owner.namespace(), owner.name());
        round.ensure("revision", Write::merge(path, &body(owner.uid())));
    }
}

/// Deletes the oldest empty ReplicaSets beyond the history that is kept.
fn clean_up(round: &mut Round<'_>, old: &[Set<'_>]) {
    let limit = round.spec_count("revisionHistoryLimit").unwrap_or(HISTORY_DEFAULT);
    let mut empty: Vec<&Set<'_>> = old
        .iter()
        .filter(|set| set.wanted == 0 && set.there == 0 && !set.object.deleting())
        .collect();
    empty.sort_by_key(|set| set.revision);
    let surplus = old.len().saturating_sub(limit);
    for set in empty.into_iter().take(surplus) {
        let path = format!("{}/{}", sets_path(round), set.object.name());
        let write = Write::delete(path, set.object.uid(), None);
        round.ensure(&format!("end of {}", set.object.name()), write);
    }
}

fn write_status(
    round: &mut Round<'_>,
    name: &str,
    sets: &[Set<'_>],
    (replicas, leeway): (i64, Leeway),
) {
    let total = |read: fn(&Set<'_>) -> i64| sets.iter().map(read).sum::<i64>();
    let there = total(|set| set.there);
    let available = total(|set| set.available);
    let updated = sets.iter().find(|set| set.object.name() == name).map_or(0, |set| set.there);
    let before = round.believed_status();
    let mut conditions = before["conditions"].as_array().cloned().unwrap_or_default();
    let enough = available >= replicas - leeway.unavailable;
    let done = updated == replicas && there == replicas && available >= replicas;
    let (status, reason, message) = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    put_condition(
        &mut conditions,
        Condition { kind: "Available", status, reason, message },
        round.now,
    );
    let (reason, message) = if done {
        ("NewReplicaSetAvailable", format!("ReplicaSet \"{name}\" has successfully progressed."))
    } else {
        ("ReplicaSetUpdated", format!("ReplicaSet \"{name}\" is progressing."))
    };
    let progressing = Condition { kind: "Progressing", status: "True", reason, message: &message };
    put_condition(&mut conditions, progressing, round.now);
    let count = |number: i64| positive(usize::try_from(number).unwrap_or(0));
    let status: Map<String, Value> = [
        ("replicas", count(there)),
        ("updatedReplicas", count(updated)),
        ("readyReplicas", count(total(|set| set.ready))),
        ("availableReplicas", count(available)),
        ("unavailableReplicas", count(total(|set| set.wanted) - available)),
        ("observedGeneration", json!(round.owner.generation())),
        ("conditions", json!(conditions)),
    ]
    .into_iter()
    .map(|(field, value)| (field.to_owned(), value))
    .collect();
    let path = format!(
        "/apis/apps/v1/namespaces/{}/deployments/{}",
        round.owner.namespace(),
        round.owner.name()
    );
    round.write_status(&path, status);
}
