//! What is promised, judged from the stored objects and what the judges remember of the past.
//! Knows nothing of the machines, except that they are at rest where nothing more can happen.

use muster::engine::record::RecordPhase;
use stateright::Property;

use crate::api::{Api, NODES, node_name, pod_name, uid};
use crate::world::{State, World};

pub(crate) const AS_DECIDED: &str = "a bound pod is an entry of the plan that its bind names";
pub(crate) const FORWARD: &str = "epochs and phases only move forward";
pub(crate) const UNDONE: &str = "no living pod is bound by a plan that was called undone";
pub(crate) const SEALED: &str = "a plan is sealed only when all that lived were bound as planned";
pub(crate) const SEATS: &str = "no seat is taken twice";
pub(crate) const ENOUGH: &str = "a plan is decided only for the minimum as it is";
pub(crate) const STEPS: &str = "the steps of a plan are undone before it is called undone";
pub(crate) const SETTLED: &str =
    "where nothing more can happen, the gang is bound whole or not at all";
pub(crate) const BOUND: &str = "a gang is bound whole";
pub(crate) const ABORTED_THEN_BOUND: &str = "a gang is bound after a plan was undone";
pub(crate) const REPAIRED: &str = "a gang is bound by a repaired plan";

/// What must never be otherwise.
pub(crate) const ALWAYS: [&str; 8] =
    [AS_DECIDED, FORWARD, UNDONE, SEALED, SEATS, ENOUGH, STEPS, SETTLED];

pub(crate) fn properties() -> Vec<Property<World>> {
    vec![
        Property::always(AS_DECIDED, |_: &World, state: &State| as_decided(&state.api)),
        Property::always(FORWARD, |_: &World, state: &State| !state.api.went_back),
        Property::always(UNDONE, |_: &World, state: &State| {
            let undone = state.api.undone;
            state.api.pods.iter().all(|pod| !pod.exists || pod.node.is_none() || pod.epoch > undone)
        }),
        Property::always(SEALED, |_: &World, state: &State| !state.api.sealed_too_early),
        Property::always(SEATS, |_: &World, state: &State| seats(&state.api)),
        Property::always(ENOUGH, |_: &World, state: &State| !state.api.decided_too_few),
        Property::always(STEPS, |_: &World, state: &State| !state.api.left_prepared),
        Property::always(SETTLED, |world: &World, state: &State| {
            is_settled(&state.api, world) || !world.is_over(state)
        }),
        Property::sometimes(BOUND, |_: &World, state: &State| is_whole(&state.api)),
        Property::sometimes(ABORTED_THEN_BOUND, |_: &World, state: &State| {
            state.api.undone > 0 && is_whole(&state.api)
        }),
        Property::sometimes(REPAIRED, |_: &World, state: &State| {
            let repaired = state.api.record.as_ref().is_some_and(|record| record.mark.epoch > 1);
            state.api.undone == 0 && repaired && is_whole(&state.api)
        }),
    ]
}

fn as_decided(api: &Api) -> bool {
    api.pods.iter().enumerate().all(|(at, pod)| {
        let Some(node) = pod.node.filter(|_| pod.exists) else { return true };
        let plan = api.decided.iter().filter(|record| record.mark.epoch == pod.epoch);
        plan.flat_map(|record| &record.members).any(|entry| {
            entry.pod == pod_name(at).name
                && entry.uid == uid(at, pod.incarnation)
                && entry.node == node_name(node)
        })
    })
}

fn seats(api: &Api) -> bool {
    (0..NODES as u8).all(|node| {
        let bound = api.pods.iter().filter(|pod| pod.exists && pod.node == Some(node)).count();
        bound + usize::from(api.rival == Some(node)) <= 1
    })
}

/// Sealed, and every member that there is bound.
fn is_whole(api: &Api) -> bool {
    let sealed = api.record.as_ref().is_some_and(|record| record.phase == RecordPhase::Bound);
    sealed && api.pods.iter().all(|pod| pod.exists && pod.node.is_some())
}

fn is_settled(api: &Api, world: &World) -> bool {
    let bound = api.pods.iter().filter(|pod| pod.exists && pod.node.is_some()).count();
    let last = api.record.as_ref().is_some_and(|record| record.mark.epoch >= world.epochs);
    if last && world.schedulers > 1 {
        // There would be another plan, which is not explored.
        return true;
    }
    match &api.record {
        // What is lost after the seal is another matter: late binds and repair after the bind.
        Some(record) if record.phase == RecordPhase::Bound => true,
        Some(_) | None => bound == 0 || bound as u32 >= api.minimum,
    }
}
