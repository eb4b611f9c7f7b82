//! The ReplicaSet controller: as many pods of one template as asked for. Pods that ended, or are about to go,
//! do not count and are replaced. Pods of others are not adopted; a ready pod counts as available at once
//! (`minReadySeconds` is not waited for).

use serde_json::Value;
use serde_json::json;

use super::children::Child;
use super::owner::Round;
use super::template::generated_name;
use super::template::pod_from;

/// Brings a ReplicaSet's pods and status to what they should be.
pub(super) fn reconcile(round: &mut Round<'_>) {
    if round.owner.deleting() {
        return;
    }
    round.children.take_lost();
    let wanted = round.spec_count("replicas").unwrap_or(1);
    let there = round.children.active().count() + round.children.expected();
    if there < wanted {
        for _ in there..wanted {
            let owner = round.owner;
            let name = round
                .children
                .free_name(|number| generated_name(owner.name(), owner.uid(), number));
            round.create(pod_from(owner, &name));
        }
    } else {
        let names = surplus(round, there - wanted);
        round.remove(&names);
    }
    let path = format!(
        "/apis/apps/v1/namespaces/{}/replicasets/{}",
        round.owner.namespace(),
        round.owner.name()
    );
    let active = round.children.active().count();
    let ready = round.children.active().filter(|child| child.ready).count();
    let terminating =
        round.children.seen().filter(|child| child.deleting && !child.ended()).count();
    let status: [(&str, Value); 6] = [
        ("replicas", json!(active)),
        ("fullyLabeledReplicas", super::owner::positive(active)),
        ("readyReplicas", super::owner::positive(ready)),
        ("availableReplicas", super::owner::positive(ready)),
        ("terminatingReplicas", json!(terminating)),
        ("observedGeneration", json!(round.owner.generation())),
    ];
    let status = status.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    round.write_status(&path, status);
}

/// The `count` pods that are missed least: not assigned before assigned, pending before running,
/// not ready before ready, young before old.
fn surplus(round: &Round<'_>, count: usize) -> Vec<String> {
    if count == 0 {
        return Vec::new();
    }
    fn rank(child: &Child) -> impl Ord + '_ {
        let age = std::cmp::Reverse(child.created);
        (child.assigned, child.phase, child.ready, age, child.name.as_str())
    }
    let mut active: Vec<&Child> = round.children.active().collect();
    active.sort_unstable_by(|left, right| rank(left).cmp(&rank(right)));
    active.into_iter().take(count).map(|child| child.name.clone()).collect()
}
