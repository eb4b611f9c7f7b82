//! What the adversary may do, and how often: the whole list, whether or not it would change anything.
//! Does nothing itself, and knows no promise.
//! Invariant: whatever is limited by a budget is listed only while something of it is left.

use muster::engine::order::Action;

use crate::api::{NODES, PODS};
use crate::world::{State, World};

/// How often each kind of mischief may happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// A scheduler ends and begins anew.
    pub(crate) crashes: u8,
    /// A scheduler gives a request up that is still under way.
    pub(crate) timeouts: u8,
    /// A request, or its reply, is lost, and its sender reads what became of it.
    pub(crate) losses: u8,
    /// A request arrives twice.
    pub(crate) repeats: u8,
    /// A pod is deleted. Its owner makes it again.
    pub(crate) deletions: u8,
    /// A scheduler gives a plan up.
    pub(crate) aborts: u8,
    /// The minimum is raised.
    pub(crate) raises: u8,
    /// A bind is refused for good.
    pub(crate) denials: u8,
    /// A step of the preparation fails.
    pub(crate) failing_steps: u8,
    /// The lease changes hands.
    pub(crate) passes: u8,
    /// A pod of another gang is bound.
    pub(crate) rivals: u8,
}

impl Budget {
    pub(crate) const NONE: Self = Self {
        crashes: 0,
        timeouts: 0,
        losses: 0,
        repeats: 0,
        deletions: 0,
        aborts: 0,
        raises: 0,
        denials: 0,
        failing_steps: 0,
        passes: 0,
        rivals: 0,
    };
}

/// When a call arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Now,
    Late,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Happening {
    /// A scheduler without a plan makes one, or takes up the one that is recorded.
    Begin(u8),
    /// A scheduler makes its next call.
    Next(u8),
    /// A scheduler makes its next call, which arrives late, if ever: it is given up on before.
    NextLate(u8),
    /// A scheduler sees everything as it is.
    See(u8),
    /// A scheduler repairs its plan.
    Repair(u8),
    /// A scheduler whose plan is over, or is not what the record says, forgets it.
    Forget(u8),
    /// A request arrives, and its reply.
    Arrive(usize),
    /// A request arrives, and its reply is lost.
    ArriveUnheard(usize),
    /// A request arrives, and will once more.
    ArriveTwice(usize),
    /// A request is lost.
    Lose(usize),
    /// A bind is refused.
    Deny(usize),
    /// A step fails.
    FailStep(u8),
    /// The sender asks what became of its request, which may still be under way.
    TimeOut(usize),
    Crash(u8),
    GiveUp(u8),
    Delete(u8),
    Recreate(u8),
    Raise,
    PassLease,
    /// The leader binds a pod of another gang to a node that it believes to be free.
    Rival(u8),
}

impl World {
    /// Everything that might happen, whether or not it changes anything.
    pub(crate) fn candidates(&self, state: &State) -> Vec<Happening> {
        let left = &state.left;
        let mut list = Vec::new();
        for by in 0..self.schedulers {
            list.extend([Happening::Begin(by), Happening::Next(by), Happening::See(by)]);
            list.extend([Happening::Repair(by), Happening::Forget(by)]);
            if left.crashes > 0 && state.machines[by as usize].is_some() {
                list.push(Happening::Crash(by));
            }
            if left.timeouts > 0 {
                list.push(Happening::NextLate(by));
            }
            if left.aborts > 0 {
                list.push(Happening::GiveUp(by));
            }
            if left.failing_steps > 0 {
                list.push(Happening::FailStep(by));
            }
        }
        for (at, request) in state.net.iter().enumerate() {
            let awaited = request.awaited.is_some();
            list.push(Happening::Arrive(at));
            let reads = matches!(request.action, Action::Verify { .. });
            if !awaited || (left.losses > 0 && !reads) {
                list.push(Happening::Lose(at));
            }
            if awaited && !reads && left.losses > 0 {
                list.push(Happening::ArriveUnheard(at));
            }
            if awaited && !reads && left.timeouts > 0 {
                list.push(Happening::TimeOut(at));
            }
            if !reads && left.repeats > 0 {
                list.push(Happening::ArriveTwice(at));
            }
            if awaited && left.denials > 0 && matches!(request.action, Action::Bind { .. }) {
                list.push(Happening::Deny(at));
            }
        }
        for pod in 0..PODS {
            let known = &state.api.pods[pod];
            if left.deletions > 0 && known.exists {
                list.push(Happening::Delete(pod as u8));
            }
            if !known.exists && known.incarnation < 4 {
                list.push(Happening::Recreate(pod as u8));
            }
        }
        if left.raises > 0 {
            list.push(Happening::Raise);
        }
        if left.passes > 0 {
            list.push(Happening::PassLease);
        }
        if left.rivals > 0 {
            list.extend((0..NODES as u8).map(Happening::Rival));
        }
        list
    }
}
