//! The one file that reads the calendar: wall time at the start, and from there by the monotonic clock,
//! so that time never goes back inside one process, whatever happens to the machine's calendar.
//! Everything that the engine is told is dated here; deadlines of single requests use tokio's clock directly.

use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use tokio::time::Instant;

use crate::base::time::Span;
use crate::base::time::Time;

/// Tells the time. Follows tokio's clock, also a paused one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    wall_at_start: Time,
    /// What the machine's calendar says; none where time is made up.
    calendar: Option<fn() -> Time>,
}

impl Clock {
    /// A clock that agrees with the wall clock now.
    pub fn start() -> Self {
        Self::following(calendar)
    }

    /// A clock that agrees now with `calendar`, which may go any way it likes afterwards.
    pub fn following(calendar: fn() -> Time) -> Self {
        Self { started: Instant::now(), wall_at_start: calendar(), calendar: Some(calendar) }
    }

    /// A clock that shows `wall` now, for worlds that must be the same each time they run.
    pub fn starting_at(wall: Time) -> Self {
        Self { started: Instant::now(), wall_at_start: wall, calendar: None }
    }

    /// The time.
    pub fn now(&self) -> Time {
        let elapsed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        Time(self.wall_at_start.0.saturating_add(elapsed))
    }

    /// How far the calendar is ahead of this clock: not at all, until somebody sets it or the machine sleeps.
    pub fn calendar_offset(&self) -> Span {
        self.calendar.map_or(Span::ZERO, |calendar| calendar() - self.now())
    }

    /// When the monotonic clock will show `time`; now, where that has passed.
    pub fn instant(&self, time: Time) -> Instant {
        let ahead = u64::try_from(time.0.saturating_sub(self.wall_at_start.0)).unwrap_or(0);
        // A century: farther wake-ups are never waited for, and must not overflow.
        self.started
            + std::time::Duration::from_nanos(ahead)
                .min(std::time::Duration::from_secs(3_155_760_000))
    }
}

/// The machine's calendar.
fn calendar() -> Time {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX))
}
