//! How many requests the write path keeps under way: as many as the server answers fast. Decides about pace only.
//! Grows by one while answers come nearly as fast as the fastest did, shrinks by one when they queue, halves when the
//! server refuses or is silent, and rests as long as it asks. The lease and the watches are not paced: they never wait.
//! Invariant: never more under way than the maximum, never fewer allowed than one, and fewer than at the start only
//! where the server refuses or is silent: slow answers alone may come from a machine that does other things as well.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How many requests are under way before anything is known of the server: as many as give the most binds in a second
/// on an API server with two cores. No server is troubled by so few.
const WINDOW_START: u64 = 16;

/// Longest rest that a server can ask for.
const REST_MAX: Duration = Duration::from_secs(5);

/// After so many rounds, the time of an answer when nothing queues is measured anew: the server may have changed.
const ROUNDS_PER_PROBE: u32 = 128;

/// So much narrower is the window then.
const PROBE_SHARE: u64 = 8;

/// How a request ended, as far as pace is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server answered, whatever it said.
    Answered,
    /// The server has too much to do (429, 5xx), or did not answer at all. How long it asks to be left alone.
    Overloaded(Option<Duration>),
}

/// Lets requests through.
#[derive(Debug)]
pub struct Pace {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    window: Window,
    under_way: u64,
    /// Nothing starts before this.
    rest_until: Option<Instant>,
}

/// A request that was let through. Dropped without an ending (its order was given up), it only makes room.
#[derive(Debug)]
pub struct Permit {
    pace: Arc<Pace>,
    started: Instant,
}

impl Pace {
    /// At most `maximum` requests at once.
    pub fn new(maximum: usize) -> Self {
        let window = Window::new(maximum as u64);
        let state = State { window, under_way: 0, rest_until: None };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits until one more request may start.
    pub async fn permit(self: &Arc<Self>) -> Permit {
        loop {
            let changed = self.changed.notified();
            let rest = {
                let mut state = self.lock();
                let now = Instant::now();
                match state.rest_until {
                    Some(until) if until > now => Some(until),
                    Some(_) | None if state.under_way < state.window.size => {
                        state.under_way += 1;
                        return Permit { pace: Arc::clone(self), started: now };
                    }
                    Some(_) | None => None,
                }
            };
            match rest {
                Some(until) => tokio::time::sleep_until(until).await,
                None => changed.await,
            }
        }
    }

    /// Requests that may be under way now.
    pub fn window(&self) -> u64 {
        self.lock().window.size
    }

    /// The state is right whoever panicked while reading it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The request has ended.
    pub fn end(self, ending: Ending) {
        let took = self.started.elapsed();
        let mut state = self.pace.lock();
        let before = state.window.size;
        match ending {
            Ending::Answered => state.window.answered(took),
            Ending::Overloaded(asked) => {
                state.window.overloaded();
                let rest = asked.map(|asked| Instant::now() + asked.min(REST_MAX));
                state.rest_until = state.rest_until.max(rest);
            }
        }
        if state.window.size > before {
            // One for the room that this request leaves, one for the room that is new.
            self.pace.changed.notify_one();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pace.lock().under_way -= 1;
        // Whoever waits looks at the window anew: it may have shrunk.
        self.pace.changed.notify_one();
    }
}

/// How many requests may be under way, by rounds: one round is as many answers as the window is wide.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    size: u64,
    maximum: u64,
    /// The time of an answer when nothing queues, in nanoseconds: the least since it was measured anew.
    unhurried: u64,
    /// Rounds since then.
    rounds: u32,
    /// While it is measured anew: the size to go back to.
    probed_from: Option<u64>,
    /// Answers that say nothing: their requests were sent when the window was wider.
    skip: u64,
    /// Answers of this round, and the sum and the least of their times.
    answers: u64,
    sum: u64,
    least: u64,
    /// Requests that were under way when the window was halved; their troubles are the same ones.
    forgiven: u64,
}

impl Window {
    fn new(maximum: u64) -> Self {
        let maximum = maximum.max(1);
        Self {
            size: WINDOW_START.min(maximum),
            maximum,
            unhurried: u64::MAX,
            rounds: 0,
            probed_from: None,
            skip: 0,
            answers: 0,
            sum: 0,
            least: u64::MAX,
            forgiven: 0,
        }
    }

    fn answered(&mut self, took: Duration) {
        self.forgiven = self.forgiven.saturating_sub(1);
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.answers += 1;
        self.sum = self.sum.saturating_add(took);
        self.least = self.least.min(took);
        if self.answers >= self.size {
            self.end_round();
        }
    }

    fn end_round(&mut self) {
        let mean = self.sum / self.answers;
        self.unhurried = self.unhurried.min(self.least);
        self.rounds += 1;
        if let Some(size) = self.probed_from.take() {
            self.size = size;
        } else if self.rounds >= ROUNDS_PER_PROBE {
            // A queue of our own making hides how fast the server is; a narrow window shows it.
            self.probed_from = Some(self.size);
            self.skip = self.size;
            self.size = (self.size / PROBE_SHARE).max(1);
            (self.rounds, self.unhurried) = (0, u64::MAX);
        } else {
            self.adjust(mean);
        }
        self.begin_round();
    }

    fn adjust(&mut self, mean: u64) {
        // What share of the requests under way only stands in a queue: less than half is worth one more.
        let late = mean.saturating_sub(self.unhurried);
        if late.saturating_mul(2) < mean || self.size < WINDOW_START {
            self.size = (self.size + 1).min(self.maximum);
        } else if late.saturating_mul(4) > mean.saturating_mul(3) && self.size > WINDOW_START {
            self.size -= 1;
        }
    }

    fn overloaded(&mut self) {
        if self.forgiven > 0 {
            self.forgiven -= 1;
            return;
        }
        // Those that were sent along with this one will say the same.
        self.forgiven = self.size - 1;
        let size = self.probed_from.take().unwrap_or(self.size);
        self.size = (size / 2).max(1);
        self.begin_round();
    }

    fn begin_round(&mut self) {
        (self.answers, self.sum, self.least) = (0, 0, u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Ending, Pace, Window};

    /// A server that works on `lanes` requests at once, 4 ms each, and lets the others queue.
    fn settle(window: &mut Window, lanes: u64, rounds: u32) {
        for _ in 0..rounds {
            let size = window.size;
            for _ in 0..size + window.skip {
                window.answered(Duration::from_micros(4000 * size.max(lanes) / lanes));
            }
        }
    }

    #[test]
    fn the_window_finds_what_a_server_can_do() {
        let mut window = Window::new(64);
        settle(&mut window, 15, 1000);
        // Twice what is worked on at once: always somebody ready, and nobody long in the queue.
        assert!((20..=60).contains(&window.size), "{window:?}");
        settle(&mut window, 100, 200);
        assert_eq!(window.size, 64, "a faster server is used");
        settle(&mut window, 2, 400);
        assert_eq!(window.size, 16, "and a slow one is not left idle: {window:?}");
        let mut one = Window::new(1);
        settle(&mut one, 10, 100);
        assert_eq!(one.size, 1);
    }

    #[test]
    fn trouble_halves_the_window_once_for_all_that_was_under_way() {
        let mut window = Window::new(64);
        settle(&mut window, 100, 200);
        for _ in 0..64 {
            window.overloaded();
        }
        assert_eq!(window.size, 32);
        for _ in 0..1000 {
            window.overloaded();
        }
        assert_eq!(window.size, 1, "{window:?}");
        settle(&mut window, 100, 200);
        assert_eq!(window.size, 64, "and it comes back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_to_be_left_alone_is() {
        let pace = Arc::new(Pace::new(4));
        let started = Instant::now();
        let permit = pace.permit().await;
        permit.end(Ending::Overloaded(Some(Duration::from_secs(3))));
        let again = pace.permit().await;
        assert_eq!(started.elapsed(), Duration::from_secs(3));
        again.end(Ending::Overloaded(Some(Duration::from_secs(3600))));
        pace.permit().await.end(Ending::Answered);
        assert_eq!(started.elapsed(), Duration::from_secs(8), "within reason");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_the_window_is_under_way_and_what_is_given_up_makes_room() {
        let pace = Arc::new(Pace::new(2));
        let (first, second) = (pace.permit().await, pace.permit().await);
        let third = tokio::time::timeout(Duration::from_secs(1), pace.permit()).await;
        assert!(third.is_err());
        drop(first);
        let third = tokio::time::timeout(Duration::from_secs(1), pace.permit()).await;
        assert!(third.is_ok());
        drop(second);
        assert_eq!(pace.window(), 2);
    }
}
