//! Facts about storage, and which pods have volumes: what comes in goes to the believed cluster, and the parked lines
//! that such a change concerns are tried again. Decides nothing.
//! Invariants: a line without volumes is never woken by storage, and one with volumes only by what it looks at.

use super::Engine;
use crate::base::names::{Name, ObjectName};
use crate::cluster::ids::PodId;
use crate::cluster::storage::facts::{ClaimFact, StorageFact, StorageKind};
use crate::cluster::storage::{Sight, Storage};
use crate::plugins::cures::Cures;
use crate::workload::ask::Ask;
use crate::workload::volumes::claims_of;

use super::backlog::{Line, LineId};
use super::decide::No;

/// A change of storage that may help a parked line, and whom it concerns.
#[derive(Clone, Debug)]
pub(super) struct StorageChange {
    whom: Whom,
    /// The version of the cluster with the change.
    version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    /// Those that use the claim.
    UsersOf(ObjectName),
    /// Those with a claim of the class, or with a claim that is bound to the volume.
    Class(Name, Option<Name>),
    /// All that have volumes.
    Everybody,
}

impl Whom {
    /// Whom a fact may help, beside what is known; `None` if nobody.
    fn of(fact: &StorageFact, storage: &Storage) -> Option<Self> {
        Some(match fact {
            StorageFact::Claim(fact) => Self::UsersOf(fact.name.clone()),
            StorageFact::Volume(fact) => Self::Class(fact.class.clone(), Some(fact.name.clone())),
            StorageFact::Class(fact) => Self::Class(fact.name.clone(), None),
            StorageFact::Capacity(fact) => {
                // Drivers tell of less all the time, as volumes are made.
                let shrank = storage.capacity(&fact.name).is_some_and(|before| {
                    (&before.class, &before.topology) == (&fact.class, &fact.topology)
                        && before.limit >= fact.limit
                });
                if shrank {
                    return None;
                }
                Self::Class(fact.class.clone(), None)
            }
            StorageFact::CsiNode(_) | StorageFact::Driver(_) => Self::Everybody,
            // One more only takes room.
            StorageFact::Attachment(_) => return None,
        })
    }

    fn includes(&self, ask: &Ask, storage: &Storage) -> bool {
        let mut claims = claims_of(&ask.volumes);
        match self {
            Self::UsersOf(claim) => claims.any(|used| used == claim),
            Self::Class(class, volume) => {
                let looks_at = |claim: &ClaimFact| {
                    claim.shape.class == *class || volume.is_some() && claim.volume == *volume
                };
                claims.filter_map(|used| storage.claim(used)).any(looks_at)
            }
            Self::Everybody => !ask.volumes.is_empty(),
        }
    }
}

impl Engine {
    /// Takes in a fact about storage.
    pub(super) fn observe_storage(&mut self, fact: StorageFact) {
        let whom = Whom::of(&fact, self.cluster.storage());
        match &fact {
            StorageFact::Claim(fact) => self.provisions.claim_changed(&fact.name),
            StorageFact::Volume(fact) => {
                let promised = self.cluster.storage().promises().claim_of(&fact.name);
                let own = fact.claim.as_ref().map(|reference| &reference.claim);
                for claim in promised.into_iter().chain(own) {
                    self.provisions.claim_changed(claim);
                }
            }
            StorageFact::Class(_)
            | StorageFact::CsiNode(_)
            | StorageFact::Driver(_)
            | StorageFact::Capacity(_)
            | StorageFact::Attachment(_) => {}
        }
        if self.cluster.observe_storage(fact)
            && let Some(whom) = whom
        {
            self.note_storage(whom);
        }
    }

    /// Takes in that an object of storage is gone: a loss, which helps nobody unless it was in somebody's way.
    pub(super) fn observe_storage_gone(&mut self, kind: StorageKind, name: &ObjectName, uid: &str) {
        if !self.cluster.forget_storage(kind, name, uid) {
            return;
        }
        match kind {
            StorageKind::Claim => self.provisions.claim_changed(name),
            StorageKind::Attachment | StorageKind::Driver => self.note_storage(Whom::Everybody),
            StorageKind::Volume
            | StorageKind::Class
            | StorageKind::CsiNode
            | StorageKind::Capacity => {}
        }
    }

    /// Takes in that a kind of storage cannot be watched, or can.
    pub(super) fn observe_storage_sight(&mut self, kind: StorageKind, sight: Sight) {
        if self.cluster.see_storage(kind, sight) {
            self.note_storage(Whom::Everybody);
        }
    }

    /// What was promised to somebody is free again.
    pub(super) fn promises_ended(&mut self) {
        self.note_storage(Whom::Everybody);
    }

    /// Tells the believed cluster which volumes a pod has.
    pub(super) fn declare_volumes(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        self.cluster.declare_volumes(id, &pod.fact.ask);
    }

    /// Tells the believed cluster that a pod is gone, and its volumes with it.
    pub(super) fn forget_volumes(&mut self, id: PodId) {
        self.cluster.forget_volumes(id);
    }

    /// A pod has left its node: what it alone may use, another may use now, on whichever node.
    pub(super) fn volumes_freed(&mut self, id: PodId) {
        let ask = &self.pods.get(id).fact.ask;
        if ask.volumes.is_empty() {
            return;
        }
        let claims: Vec<ObjectName> = claims_of(&ask.volumes).cloned().collect();
        for claim in claims {
            self.note_storage(Whom::UsersOf(claim));
        }
    }

    fn note_storage(&mut self, whom: Whom) {
        let version = self.cluster.version();
        // Before the first decision nobody is parked; a standby would remember without end.
        if self.synced && self.storage_changes.last().is_none_or(|last| last.whom != whom) {
            self.storage_changes.push(StorageChange { whom, version });
        } else if let Some(last) = self.storage_changes.last_mut() {
            last.version = version;
        }
    }

    /// Lets the parked lines be tried again that a change of storage concerns.
    pub(super) fn look_at_storage(&mut self) {
        let changes = std::mem::take(&mut self.storage_changes);
        if changes.is_empty() {
            return;
        }
        let storage = self.cluster.storage();
        let is_concerned = |line: &Line<No>| {
            let Some(No::Refused { refusal, version }) = &line.parked else { return false };
            let helps = |ask: &Ask| {
                let mut news = changes.iter().filter(|change| change.version > *version);
                !ask.volumes.is_empty() && news.any(|change| change.whom.includes(ask, storage))
            };
            refusal.cured_by.contains(Cures::STORAGE)
                && line.shape.roles.iter().any(|((ask, _), _)| helps(self.cluster.ask(*ask)))
        };
        let parked = self.backlog.parked();
        let woken: Vec<LineId> =
            parked.filter(|(_, line)| is_concerned(line)).map(|(id, _)| id).collect();
        for line in woken {
            self.backlog.activate(line);
        }
    }
}
