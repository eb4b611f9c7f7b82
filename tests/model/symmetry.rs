//! Which states are one: what differs only in the order of requests, or in which scheduler is called the first.
//! Neither scheduler is told apart where both believe that they lead; where the lease decides, they are.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::world::{State, World};

impl World {
    /// Turns a state into the one that stands for all that are the same.
    pub(crate) fn put_in_order(&self, state: &mut State) {
        let is_symmetric = self.schedulers == 2 && !self.elected && !self.lease;
        let swapped = is_symmetric
            && match (&state.machines[0], &state.machines[1]) {
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (None, None) | (Some(_), Some(_)) => weight(state, 1) < weight(state, 0),
            };
        if swapped {
            state.machines.swap(0, 1);
            state.net.iter_mut().for_each(|request| request.by = 1 - request.by);
        }
        state.net.sort_by_cached_key(fingerprint);
    }
}

/// The same for all orders of the scheduler's requests.
fn weight(state: &State, by: u8) -> u64 {
    let own = state.net.iter().filter(|request| request.by == by);
    let requests = own.map(|request| fingerprint(&(&request.action, &request.awaited)));
    requests.fold(fingerprint(&state.machines[usize::from(by)]), u64::wrapping_add)
}

fn fingerprint(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
