//! Until when this process may write. Shared by the election, which extends it, and by the wires, which obey it.
//! Knows no lease and takes no decision; the clock is the monotonic one, so a tenure ends by itself.
//! Invariant: once it was given up it stays over.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::time::Instant;

/// The right to write.
#[derive(Debug)]
pub struct Tenure {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is no election: whoever runs may write.
    Forever,
    /// Not elected yet.
    Awaited,
    /// Elected, and no renewal bought more than this.
    Until(Instant),
    /// It was lost or given up.
    Over,
}

impl Tenure {
    /// For a process without election.
    pub const fn forever() -> Self {
        Self { state: Mutex::new(State::Forever) }
    }

    /// For a process that has to be elected first.
    pub const fn awaited() -> Self {
        Self { state: Mutex::new(State::Awaited) }
    }

    /// It was gained, or renewed.
    pub fn extend(&self, until: Instant) {
        let mut state = self.lock();
        match *state {
            State::Awaited | State::Until(_) => *state = State::Until(until),
            State::Forever | State::Over => {}
        }
    }

    /// It is over.
    pub fn end(&self) {
        *self.lock() = State::Over;
    }

    /// Whether a write may begin now.
    pub fn holds(&self) -> bool {
        match *self.lock() {
            State::Forever => true,
            State::Until(until) => Instant::now() < until,
            State::Awaited | State::Over => false,
        }
    }

    /// The state is right whoever panicked while reading it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Tenure;

    #[tokio::test(start_paused = true)]
    async fn a_tenure_ends_by_itself_and_never_comes_back_once_it_was_given_up() {
        let tenure = Tenure::awaited();
        assert!(!tenure.holds());
        tenure.extend(Instant::now() + Duration::from_secs(10));
        assert!(tenure.holds());
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(!tenure.holds());
        tenure.extend(Instant::now() + Duration::from_secs(10));
        assert!(tenure.holds(), "a renewal that came late but in time for others is one");
        tenure.end();
        tenure.extend(Instant::now() + Duration::from_secs(10));
        assert!(!tenure.holds());
        assert!(Tenure::forever().holds());
    }
}
