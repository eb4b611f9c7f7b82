//! The driver's part in a recount: compares what was listed aside with what was told and what the engine made of it.
//! Invariant: a difference that an event under way may explain is a doubt, one that nothing explains is a fault.
//! May not ask the API (`recount.rs` does) and changes nothing that is believed.

use super::Driver;
use super::Fault;
use super::identity;
use crate::base::names::ObjectName;
use crate::engine::event::Event;
use crate::kubernetes::recount::Check;
use crate::kubernetes::recount::Claim;
use crate::kubernetes::recount::Doubt;
use crate::kubernetes::recount::Progress;
use crate::kubernetes::views::Counted;
use crate::kubernetes::watch::Object;

impl Driver {
    /// Answers a recount.
    pub(super) fn check(&mut self, check: Check) -> Result<(), Fault> {
        // A recount that was given up does not wait for its answers.
        match check {
            Check::Begin(kind, reply) => {
                self.view(kind).begin_recount();
                let _ = reply.send(self.progress());
            }
            Check::Versions(kind, versions, reply) => {
                let view = self.view(kind);
                let behind = versions
                    .into_iter()
                    .filter(|(_, uid, version)| view.counted(uid, *version) == Counted::Behind)
                    .map(|(name, uid, version)| Doubt {
                        kind,
                        name,
                        uid,
                        claim: Claim::Exists(version),
                    });
                let _ = reply.send(behind.collect());
            }
            Check::Page(objects, reply) => {
                let mut doubts = Vec::new();
                for object in &objects {
                    doubts.extend(self.doubt(object)?);
                }
                let _ = reply.send(doubts);
            }
            Check::End { kind, version, reply } => {
                let seen = self.view(kind).recount_floor();
                if version < seen {
                    return Err(Fault::StoreWentBack { kind, listed: version, seen });
                }
                let gone = self.view(kind).uncounted(version).into_iter();
                let doubt = |(name, uid)| Doubt { kind, name, uid, claim: Claim::Gone };
                let _ = reply.send(gone.map(doubt).collect());
            }
            Check::Again(mut doubts, reply) => {
                doubts.retain(|doubt| self.remains(doubt));
                let _ = reply.send(doubts);
            }
            Check::Confirmed(doubt) => return Err(Fault::Differs(doubt.to_string())),
            Check::Sums => self.engine.audit().map_err(Fault::Differs)?,
        }
        Ok(())
    }

    /// What may be wrong with what is known of a listed object.
    fn doubt(&mut self, object: &Object) -> Result<Option<Doubt>, Fault> {
        let (kind, metadata) = identity(object);
        let version = metadata.resource_version.parse().unwrap_or(0);
        match self.view(kind).counted(&metadata.uid, version) {
            Counted::Ahead => Ok(None),
            Counted::Behind => Ok(Some(Doubt {
                kind,
                name: ObjectName::new(&metadata.namespace, &metadata.name),
                uid: metadata.uid.as_str().into(),
                claim: Claim::Exists(version),
            })),
            // While a kind is listed anew, an object and its successor of the same name may both be known.
            Counted::Same if self.view(kind).is_listing() => Ok(None),
            // The same version was told, so the engine must believe just this.
            Counted::Same => {
                let translated = self.translate(object);
                let own = translated.events.last();
                match own.and_then(|event: &Event| self.engine.disagreement(event)) {
                    None => Ok(None),
                    Some(difference) => Err(Fault::Differs(difference)),
                }
            }
        }
    }

    fn progress(&self) -> Progress {
        if self.synced {
            Progress::Deciding
        } else if self.is_listed() {
            Progress::StandingBy
        } else {
            Progress::Listing
        }
    }

    fn remains(&self, doubt: &Doubt) -> bool {
        let known = self.views[&doubt.kind].get(&doubt.uid);
        match doubt.claim {
            Claim::Exists(version) => known.is_none_or(|known| known.version < version),
            Claim::Gone => known.is_some(),
        }
    }
}
