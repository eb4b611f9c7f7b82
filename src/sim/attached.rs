//! Machinery attached to an in-memory API within one process: watches in, writes out, no connection.
//! Serves the playground and tests, which say what time it is and hold the server; virtual time, whose
//! deliveries take time, has `sim::world` instead, and shares the form of a write.
//! Survives what a client must: a cut watch, an expired one, a refused write.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::machinery::Kind;
use super::machinery::Machinery;
use super::machinery::Sight;
use super::machinery::WATCHED;
use super::write::Write;
use crate::apiserver::server::Incoming;
use crate::apiserver::server::Server;
use crate::apiserver::store::failure::Failure;
use crate::apiserver::store::shelf;
use crate::apiserver::store::state::Payload;
use crate::apiserver::store::watch::Watch;
use crate::apiserver::store::watch::WatchEvent;
use crate::base::names::ObjectName;
use crate::base::time::Time;

/// One watched collection.
#[derive(Debug)]
struct Collection {
    kind: Kind,
    path: &'static str,
    /// `None` before the first watch and after one has ended.
    watch: Option<Watch>,
    /// What was last seen of each object, so that those that went unseen can be told.
    known: BTreeMap<ObjectName, shelf::Object>,
}

/// What one step did.
#[derive(Debug, Default)]
pub struct Step {
    /// Objects seen or seen to be gone.
    pub observed: usize,
    /// Writes that the server carried out.
    pub written: usize,
    /// Writes that it did not, and why. They are repeated where they still make sense.
    pub refused: Vec<(Write, Box<Failure>)>,
}

impl Step {
    /// True if nothing happened.
    pub fn is_idle(&self) -> bool {
        self.observed == 0 && self.written == 0 && self.refused.is_empty()
    }
}

/// Machinery and its watches on one server.
#[derive(Debug)]
pub struct Attached {
    machinery: Machinery,
    collections: Vec<Collection>,
    waiting: VecDeque<Write>,
}

impl Attached {
    /// Attaches `machinery`; the first step lists what is there.
    pub fn new(machinery: Machinery) -> Self {
        let collections = WATCHED
            .iter()
            .map(|(kind, path)| Collection {
                kind: *kind,
                path,
                watch: None,
                known: BTreeMap::new(),
            })
            .collect();
        Self { machinery, collections, waiting: VecDeque::new() }
    }

    /// The machinery: to register nodes, to inject faults, to hear complaints.
    pub fn machinery(&mut self) -> &mut Machinery {
        &mut self.machinery
    }

    /// Takes in everything that changed; returns how many objects. Writes nothing.
    pub fn observe(&mut self, now: Time, server: &mut Server) -> usize {
        let machinery = &mut self.machinery;
        self.collections
            .iter_mut()
            .map(|collection| collection.observe(now, server, machinery))
            .sum()
    }

    /// The next writes to carry out, in order, at most `limit`; none when nothing is left to do now.
    pub fn take_writes(&mut self, now: Time, limit: usize) -> Vec<Write> {
        self.waiting.extend(self.machinery.act(now));
        let count = limit.min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    /// Takes in everything that changed, and carries out at most `limit` writes.
    pub fn step(&mut self, now: Time, server: &mut Server, limit: usize) -> Step {
        let mut step = Step { observed: self.observe(now, server), ..Step::default() };
        for write in self.take_writes(now, limit) {
            match perform(&write, now, server) {
                Ok(()) => step.written += 1,
                Err(failure) => step.refused.push((write, failure)),
            }
        }
        step
    }

    /// When to step again if nothing changes before; a time that has passed means at once.
    pub fn wakeup(&self) -> Option<Time> {
        if self.waiting.is_empty() { self.machinery.wakeup() } else { Some(Time(i64::MIN)) }
    }
}

/// Carries out a write.
///
/// # Errors
/// What the server answers, unless it is success.
pub fn perform(write: &Write, now: Time, server: &mut Server) -> Result<(), Box<Failure>> {
    server.execute(now, incoming(write)).result.map(|_| ()).map_err(Box::new)
}

/// A write as a server in the same process takes it.
pub fn incoming(write: &Write) -> Incoming<'_> {
    Incoming {
        method: write.verb.method_name(),
        target: &write.path,
        content_type: write.verb.content_type(),
        payload: Payload::Text(write.text()),
    }
}

impl Collection {
    /// Gives `machinery` what changed since the last time; returns how much.
    fn observe(&mut self, now: Time, server: &mut Server, machinery: &mut Machinery) -> usize {
        let mut observed = 0;
        if self.watch.as_ref().is_none_or(Watch::has_ended) {
            // A server without this kind has nothing to show. It may have it later.
            let Ok(watch) = server.watch(self.path) else { return 0 };
            observed += self.forget_missing(now, server, machinery);
            self.watch = Some(watch);
        }
        let Some(watch) = &mut self.watch else { return observed };
        loop {
            let events = server.poll(watch);
            if events.is_empty() {
                return observed;
            }
            for event in events {
                let gone = matches!(event, WatchEvent::Deleted(_));
                let Some(shown) = event.shown() else { continue };
                let object = &shown.object;
                observed += 1;
                if gone {
                    self.known.remove(&object.name());
                    machinery.observe(now, self.kind, Sight::Gone(&object.value()));
                } else {
                    machinery.observe(now, self.kind, Sight::Present(&object.value()));
                    self.known.insert(object.name(), object.clone());
                }
            }
        }
    }

    /// Tells of objects that went while nobody watched. A new watch shows the others by itself.
    fn forget_missing(&mut self, now: Time, server: &Server, machinery: &mut Machinery) -> usize {
        let Ok(listing) = server.list(self.path) else { return 0 };
        let mut missing = std::mem::take(&mut self.known);
        for object in &listing.objects {
            let name = object.name();
            if missing.get(&name).is_some_and(|before| before.uid() == object.uid())
                && let Some(before) = missing.remove(&name)
            {
                self.known.insert(name, before);
            }
        }
        for object in missing.values() {
            machinery.observe(now, self.kind, Sight::Gone(&object.value()));
        }
        missing.len()
    }
}

#[cfg(test)]
mod tests;
