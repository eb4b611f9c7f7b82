//! What the status of a PodGroup should say: phases and counters as scheduler-plugins' controller
//! writes them, the condition of native groups as kube-scheduler writes it. Pure; writes nothing.
//! Not copied from there: counting across namespaces, and `Failed` for ever after one failed pod.

use super::gangs::Gang;
use super::order::WaitReason;
use super::pods::{Pods, Standing};
use super::sentences::Sentence;
use crate::cluster::facts::{GroupCondition, GroupFact, GroupSource, GroupStatus};

/// The status that `fact` should show.
pub(super) fn wanted(
    gang: &Gang,
    fact: &GroupFact,
    told: Option<&Sentence>,
    pods: &Pods,
) -> GroupStatus {
    match fact.name.source {
        GroupSource::Coscheduling => coscheduling(gang, fact, pods),
        GroupSource::Native => native(gang, fact, told),
    }
}

fn coscheduling(gang: &Gang, fact: &GroupFact, pods: &Pods) -> GroupStatus {
    let tally = &gang.tally;
    let (running, succeeded, failed) =
        (tally.running, tally.of(Standing::Succeeded), tally.of(Standing::Failed));
    let minimum = fact.minimum.unwrap_or(1).max(1);
    let known = u32::try_from(gang.members.len()).unwrap_or(u32::MAX);
    let phase = if fact.status.phase == "Finished" {
        // What has finished stays finished when its pods are cleaned up.
        "Finished"
    } else if known < minimum {
        "Pending"
    } else if succeeded >= minimum {
        "Finished"
    } else if failed > 0 && failed + running + succeeded >= minimum {
        "Failed"
    } else if succeeded + running >= minimum {
        "Running"
    } else {
        "Scheduling"
    };
    let occupied_by = match &fact.status.occupied_by {
        known if !known.is_empty() => known.clone(),
        _ if phase == "Pending" => String::new(),
        _ => owner(gang, pods),
    };
    GroupStatus {
        phase: phase.to_owned(),
        occupied_by,
        running,
        succeeded,
        failed,
        condition: None,
    }
}

/// The owner of the first member that has one, as `NAMESPACE/NAME`.
fn owner(gang: &Gang, pods: &Pods) -> String {
    let owned = gang.members.iter().map(|id| &pods.get(*id).fact).find_map(|fact| {
        let controller = fact.controller.as_deref()?;
        let name = controller.rsplit('/').next().unwrap_or(controller);
        Some(format!("{}/{name}", fact.name.namespace))
    });
    owned.unwrap_or_default()
}

fn native(gang: &Gang, fact: &GroupFact, told: Option<&Sentence>) -> GroupStatus {
    let before = fact.status.condition.as_ref();
    if before.is_some_and(|condition| condition.holds) {
        // It speaks of the first time, and never goes back.
        return fact.status.clone();
    }
    let arrived = gang.tally.arrived();
    let say = |holds, reason: &str, message: String| GroupStatus {
        condition: Some(GroupCondition {
            holds,
            reason: reason.to_owned(),
            message,
            observed_generation: fact.generation,
        }),
        ..fact.status.clone()
    };
    let minimum = fact.minimum.unwrap_or(1).max(1);
    if arrived >= minimum {
        return say(
            true,
            "Scheduled",
            format!("{arrived} members are bound, {minimum} were needed"),
        );
    }
    let Some(told) = told else { return fact.status.clone() };
    match told.reason {
        WaitReason::Unschedulable => say(false, "Unschedulable", told.message.clone()),
        WaitReason::InvalidGang | WaitReason::Unsupported => {
            say(false, "SchedulerError", told.message.clone())
        }
        WaitReason::WaitingForMembers
        | WaitReason::WaitingForTurn
        | WaitReason::WaitingForVictims
        | WaitReason::WaitingForVolumes
        | WaitReason::SchedulingGated
        | WaitReason::GangAborted => match before {
            // An earlier refusal must not stand there when it is no longer true.
            Some(condition) => say(false, &condition.reason, told.message.clone()),
            None => fact.status.clone(),
        },
    }
}
