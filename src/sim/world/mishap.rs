//! What may befall the scheduler of a virtual world at one of its calls to the API, counted from the start.
//! Decides nothing and draws nothing: who explores mishaps says which call is hit, and how.
//! Invariant: a scheduler that ended leaves nothing behind but what the API holds; the next one begins from listings.

use super::{Happening, World, deliveries};
use crate::engine::Engine;
use crate::kubernetes::translate::Translator;

/// What happens at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// The scheduler ends before the request is sent.
    EndsBefore,
    /// The request takes effect, and the scheduler ends before the reply comes.
    EndsAfter,
    /// The request is lost, and the scheduler lives.
    RequestLost,
    /// The request takes effect, its reply is lost, and the scheduler lives.
    ReplyLost,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::EndsBefore, Self::EndsAfter, Self::RequestLost, Self::ReplyLost];

    /// True if the request takes effect.
    pub(super) const fn applies(self) -> bool {
        matches!(self, Self::EndsAfter | Self::ReplyLost)
    }

    /// True if the scheduler ends.
    pub(super) const fn is_an_end(self) -> bool {
        matches!(self, Self::EndsBefore | Self::EndsAfter)
    }
}

impl World {
    /// Lets `mishap` befall the call of that number, from 1.
    pub const fn arm(&mut self, call: u64, mishap: Mishap) {
        self.armed = Some((call, mishap));
    }

    /// Calls that the scheduler made so far.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Counts a call; what befalls it.
    pub(super) fn count_call(&mut self) -> Option<Mishap> {
        self.calls += 1;
        let (_, mishap) = self.armed.take_if(|(call, _)| *call == self.calls)?;
        self.has_ended |= mishap.is_an_end();
        Some(mishap)
    }

    /// Another scheduler takes over from what the API holds, if the one before has ended.
    pub(super) fn take_over(&mut self) {
        if !std::mem::take(&mut self.has_ended) {
            return;
        }
        self.engine = Engine::new(self.settings.engine.clone());
        self.translator = Translator::for_engine(&self.settings.engine);
        let selecting = self.settings.engine.selecting_kinds();
        self.subscriptions = deliveries::subscribe(&mut self.server, selecting);
        self.agenda.retain(|happening| !matches!(happening, Happening::Attempt(_)));
        self.synced = false;
    }
}
