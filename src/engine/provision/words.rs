//! What pods that have a seat wait for while their volumes are made ready, in words: for their conditions, `explain`,
//! and `simulate`. Made from the truth of the moment; changes nothing but when the next word is due.
//! A pod is told once for each seat, and only if it waits for long: most volumes are there within seconds.

use std::fmt::Write;

use super::{Provision, Provisions, Wanted};
use crate::base::time::Time;
use crate::cluster::ids::PodId;
use crate::cluster::storage::promises::Promise;
use crate::engine::Engine;
use crate::engine::gangs::GangId;
use crate::engine::order::{Notice, PodRef, Subject, WaitReason};
use crate::engine::sentences::Sentence;
use crate::engine::settings::Notices;

/// How many claims a sentence lists before it says how many more there are.
const CLAIMS_LISTED: usize = 3;

impl Provisions {
    /// When a pod is to be told next what it waits for.
    pub(in crate::engine) fn word_due(&self) -> Option<Time> {
        self.words.first().map(|(due, _)| *due)
    }

    /// Pods whose volumes are being made ready.
    pub(in crate::engine) fn pods_waiting(&self) -> impl Iterator<Item = PodId> {
        self.pods.iter().filter(|(_, provision)| provision.until.is_some()).map(|(pod, _)| *pod)
    }
}

impl Engine {
    /// A pod has begun to wait for its volumes: it is told, if it still waits after a while.
    pub(super) fn word_on_volumes_is_due(&mut self, id: PodId) {
        if self.settings.notices == Notices::Silent {
            return;
        }
        let due = self.now + self.settings.notice_again_after;
        if let Some(provision) = self.provisions.pods.get_mut(&id) {
            if let Some(before) = provision.word.replace(due) {
                self.provisions.words.remove(&(before, id));
            }
            self.provisions.words.insert((due, id));
        }
    }

    /// Tells pods that have waited for their volumes for long what they wait for; up to `most` notices in all.
    pub(in crate::engine) fn tell_of_volumes(&mut self, notices: &mut Vec<Notice>, most: usize) {
        while notices.len() < most
            && let Some((due, id)) =
                self.provisions.words.first().copied().filter(|(due, _)| *due <= self.now)
        {
            self.provisions.words.remove(&(due, id));
            let Some(provision) = self.provisions.pods.get_mut(&id) else { continue };
            provision.word = None;
            let Some(sentence) = self.sentence_of_volumes(&[id]) else { continue };
            let fact = &self.pods.get(id).fact;
            let pod = PodRef {
                name: fact.name.clone(),
                uid: fact.uid.clone(),
                resource_version: fact.resource_version,
            };
            if self.settings.notices.with_events() {
                notices.push(Notice::Event {
                    about: Subject::Pod { name: pod.name.clone(), uid: pod.uid.clone() },
                    warning: false,
                    reason: sentence.reason.as_str(),
                    action: "Binding",
                    note: sentence.message.clone(),
                });
            }
            let Sentence { reason, message } = sentence;
            let gang = self.pods.get(id).gang.map(|gang| self.gangs.get(gang).identity.name());
            let gang = gang.unwrap_or(&pod.name).clone();
            notices.push(Notice::Waiting { pod, gang, reason, message });
        }
    }

    /// What members of a gang that have a seat wait for before they are bound: volumes. `None` if nobody does.
    pub(in crate::engine) fn awaiting_volumes(&self, gang: GangId) -> Option<Sentence> {
        if self.provisions.pods.is_empty() {
            return None;
        }
        let members = self.gangs.get(gang).members.iter().copied();
        let waiting: Vec<PodId> = members.filter(|id| self.provision_under_way(*id)).collect();
        self.sentence_of_volumes(&waiting)
    }

    fn provision_under_way(&self, id: PodId) -> bool {
        self.provisions.pods.get(&id).is_some_and(|provision| provision.until.is_some())
    }

    fn sentence_of_volumes(&self, pods: &[PodId]) -> Option<Sentence> {
        let provisions = pods.iter().filter_map(|id| self.provisions.pods.get(id));
        let mut claims: Vec<(&Provision, &Wanted)> = provisions
            .flat_map(|provision| provision.claims.iter().map(move |wanted| (provision, wanted)))
            .collect();
        // Members that share a claim wait for one.
        claims.sort_by(|(_, one), (_, other)| one.claim.cmp(&other.claim));
        claims.dedup_by(|(_, one), (_, other)| one.claim == other.claim);
        let texts: Vec<String> = claims
            .into_iter()
            .filter_map(|(provision, wanted)| self.claim_text(provision, wanted))
            .collect();
        let listed = texts.iter().take(CLAIMS_LISTED).map(String::as_str).collect::<Vec<_>>();
        if listed.is_empty() {
            return None;
        }
        let mut message = format!("waiting for volumes: {}", listed.join(", "));
        if texts.len() > CLAIMS_LISTED {
            let _ = write!(message, ", and {} more", texts.len() - CLAIMS_LISTED);
        }
        Some(Sentence { reason: WaitReason::WaitingForVolumes, message })
    }

    /// What becomes of a claim; `None` once it is bound.
    fn claim_text(&self, provision: &Provision, wanted: &Wanted) -> Option<String> {
        let storage = self.cluster.storage();
        let bound = storage.claim(&wanted.claim).and_then(|claim| claim.bound_to());
        let (claim, node) = (&wanted.claim.name, &provision.node);
        match (bound, &wanted.promise) {
            (Some(volume), _) if storage.volume(volume).is_some() => None,
            (Some(volume), _) => {
                Some(format!("claim {claim} is bound to volume {volume}, which is yet to be seen"))
            }
            (None, Promise::Volume(volume)) => {
                Some(format!("claim {claim} is being bound to volume {volume} for node {node}"))
            }
            (None, Promise::Provisioned(node)) => {
                Some(format!("claim {claim} is being provisioned for node {node}"))
            }
        }
    }
}
