//! Facts in: each replaces what was known of its object, in any order of arrival, twice or late.
//! Knows no plan and decides nothing; what changed is marked, and judged in the next cycle.
//! Invariants: a fact older than what is known of its object is dropped; a bound pod never counts as unbound again.

use super::Engine;
use super::event::Event;
use super::gangs::{GangId, SetbackCure};
use super::order::BindRole;
use super::pods::{Answer, Place, Pod, Standing};
use super::settle::Match;
use super::sightings::wishes_the_same;
use crate::base::names::{Name, ObjectName};
use crate::base::time::Time;
use crate::cluster::Held;
use crate::cluster::facts::{GroupFact, GroupName, PodFact, PodPhase};
use crate::cluster::ids::PodId;
use crate::cluster::relations::{Life, PodTraits};

impl Engine {
    /// Takes in a fact. Taking it twice changes nothing; one that is older than what is known is ignored.
    pub fn observe(&mut self, now: Time, event: Event) {
        self.now = self.now.max(now);
        match event {
            Event::Node(fact) => {
                let before = self.cluster.nodes().version();
                let changes = self.cluster.observe_node(&fact);
                self.note(changes);
                self.requarantine(&fact);
                self.nodes_changed_since(before);
            }
            Event::NodeGone(name) => {
                let before = self.cluster.nodes().version();
                let changes = self.cluster.remove_node(&name);
                self.provisions.node_gone(&name);
                self.note(changes);
                self.nodes_changed_since(before);
            }
            Event::Namespace(fact) => {
                self.cluster.observe_namespace(&fact.name, Some(&fact.labels));
            }
            Event::NamespaceGone(name) => self.cluster.observe_namespace(&name, None),
            Event::Pod(fact) => self.observe_pod(fact),
            Event::PodGone { name, uid } => self.observe_pod_gone(&name, &uid),
            Event::Group(fact) => self.observe_group(fact),
            Event::GroupGone { name, uid } => self.observe_group_gone(&name, &uid),
            Event::Record(fact) => self.observe_record(*fact),
            Event::RecordGone { name, uid } => self.observe_record_gone(&name, &uid),
            Event::Storage(fact) => self.observe_storage(*fact),
            Event::StorageGone { kind, name, uid } => self.observe_storage_gone(kind, &name, &uid),
            Event::StorageSight { kind, sight } => self.observe_storage_sight(kind, sight),
            Event::Selecting(fact) => self.observe_selecting(&fact),
            Event::SelectingGone { kind, name, uid } => {
                self.observe_selecting_gone(kind, &name, &uid);
            }
            Event::DeviceClass(fact) => {
                let resources = self.cluster.observe_device_class(&fact);
                self.try_those_who_ask_for(&resources);
            }
            Event::DeviceClassGone { name, uid } => {
                let resources = self.cluster.forget_device_class(&name, &uid);
                self.try_those_who_ask_for(&resources);
            }
            Event::Settled { order, outcome } => self.settle(order, outcome),
            Event::Synced => {
                self.synced = true;
                self.spread_all_anew();
                self.resume_all();
            }
        }
    }

    /// Heartbeats of nodes change nothing; other changes may make a gang worth a place.
    fn nodes_changed_since(&mut self, version: u64) {
        if self.cluster.nodes().version() != version {
            self.kept_places.reconsider();
        }
    }

    fn observe_pod(&mut self, mut fact: Box<PodFact>) {
        self.complete(&mut fact);
        let Some(id) = self.pods.find(&fact.name) else { return self.admit_pod(fact) };
        let known = &self.pods.get(id).fact;
        if is_older(fact.resource_version, known.resource_version) {
            self.counters.facts_stale += 1;
        } else if known.uid != fact.uid {
            // Deleted and made again; the news of the deletion was missed or is still to come.
            self.forget_pod(id);
            self.admit_pod(fact);
        } else {
            self.update_pod(id, fact);
        }
    }

    fn observe_pod_gone(&mut self, name: &ObjectName, uid: &Name) {
        let Some(id) = self.pods.find(name) else { return };
        if self.pods.get(id).fact.uid == *uid {
            self.forget_pod(id);
        }
    }

    fn admit_pod(&mut self, mut fact: Box<PodFact>) {
        let ask = self.cluster.intern(&fact.ask);
        fact.ask = self.cluster.interned(ask).ask.clone();
        let pod = Pod { fact, ask, gang: None, place: Place::Nowhere, told: 0 };
        let id = self.pods.insert(pod);
        self.follow_selection(id);
        self.describe(id);
        self.declare_volumes(id);
        self.settle_place(id);
        self.settle_gang(id);
        self.settle_nomination(id);
    }

    fn forget_pod(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        if let Some(gang) = pod.gang.filter(|_| pod.standing() == Standing::Succeeded) {
            self.gangs.get_mut(gang).ended_well += 1;
        }
        self.leave_gang(id);
        if let Some(seat) = self.pods.get(id).seat() {
            self.orders.forget(seat.order);
        }
        self.drop_provision(id);
        self.forget_nomination(id);
        let changes = self.cluster.release(id);
        self.note(changes);
        self.volumes_freed(id);
        self.cluster.undescribe(id);
        self.forget_volumes(id);
        let pod = self.pods.remove(id);
        self.cluster.forget_ask(pod.ask);
    }

    pub(super) fn update_pod(&mut self, id: PodId, mut fact: Box<PodFact>) {
        if let Some((node, reason)) = self.rejection(self.pods.get(id), &fact) {
            self.node_rejected(node, reason);
        }
        self.count_out(id);
        let pod = self.pods.get_mut(id);
        let newer = is_older(pod.fact.resource_version, fact.resource_version);
        let strange = pod.fact.node.is_none() && fact.node.is_some() && self.is_nobodys_bind(id);
        let mut replaced = None;
        let pod = self.pods.get_mut(id);
        if pod.fact.ask == fact.ask {
            fact.ask = pod.fact.ask.clone();
        } else {
            replaced = Some(pod.ask);
            let ask = self.cluster.intern(&fact.ask);
            fact.ask = self.cluster.interned(ask).ask.clone();
            self.pods.get_mut(id).ask = ask;
        }
        let pod = self.pods.get_mut(id);
        let was_labelled = pod.fact.labels == fact.labels;
        let was_described =
            replaced.is_none() && pod.fact.deleting == fact.deleting && was_labelled;
        let edited = replaced.is_some()
            || !was_labelled
            || pod.fact.gates != fact.gates
            || pod.fact.malformed != fact.malformed;
        replace_fact(&mut pod.fact, fact);
        if !was_described {
            self.describe(id);
            self.declare_volumes(id);
        }
        self.settle_nomination(id);
        if let Some(before) = replaced {
            self.cluster.forget_ask(before);
        }
        self.settle_place(id);
        if strange {
            self.bind_was_seen(id, Match::Unasked);
        }
        self.count_in(id);
        self.settle_gang(id);
        self.show_member(id);
        self.provisions.pod_changed(id);
        let pod = self.pods.get(id);
        let Some(gang) = pod.gang.filter(|_| pod.standing() == Standing::Waiting) else { return };
        if newer {
            self.end_setback_of_old_version(id);
        }
        if edited {
            self.shorten_rest(gang);
        }
    }

    /// Tells the cluster what the pod is to other pods.
    fn describe(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        let life = if pod.fact.deleting { Life::Leaving } else { Life::Staying };
        let traits = PodTraits { ask: pod.ask, labels: &pod.fact.labels, life };
        self.cluster.describe(id, &traits);
    }

    /// True if no bind of a member can be ours: nobody has chosen a node for it, and no plan of its gang is open.
    fn is_nobodys_bind(&self, id: PodId) -> bool {
        let pod = self.pods.get(id);
        let Some(gang) = pod.gang.filter(|_| self.synced) else { return false };
        let gang = self.gangs.get(gang);
        pod.standing() == Standing::Waiting
            && !gang.is_plain()
            && gang.commitment.is_none()
            && self.settings.answers_to(&pod.fact.scheduler)
    }

    /// Brings the pod's place in line with its fact.
    fn settle_place(&mut self, id: PodId) {
        let pod = self.pods.get_mut(id);
        let finished = matches!(pod.fact.phase, PodPhase::Succeeded | PodPhase::Failed);
        match (&pod.fact.node, pod.place) {
            (_, Place::Assumed(_) | Place::Bound(_)) if finished => self.vacate(id),
            (_, Place::Nowhere) if finished => {}
            (Some(_), Place::Assumed(_) | Place::Bound(_) | Place::Nowhere) => self.occupy(id),
            // Its gang's commitment knows what to do.
            (None, Place::Assumed(seat)) if seat.role == BindRole::Planned => {}
            (None, Place::Assumed(seat)) => {
                // The bind named a version that is past: if nobody knows what became of it, this tells.
                let unknown = seat.answer == Answer::Unknown;
                if unknown && is_older(seat.version, pod.fact.resource_version) {
                    self.give_seat_back(
                        id,
                        "its outcome was never learnt",
                        SetbackCure::NewerVersion,
                    );
                }
            }
            (None, Place::Nowhere) => {}
            (None, Place::Bound(_)) => unreachable!("a known node is kept in the fact"),
        }
    }

    /// Counts the pod on the node that its fact names.
    pub(super) fn occupy(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        let name = pod.fact.node.as_ref().expect("only pods with a node occupy one");
        let believed = match pod.place {
            Place::Nowhere => None,
            Place::Assumed(seat) => Some(seat.node),
            Place::Bound(node) => Some(node),
        };
        let node = match believed.filter(|node| self.cluster.node_name(*node) == name) {
            Some(node) => node,
            None => self.cluster.node_or_unknown(name),
        };
        let counted = pod.fact.held_counted;
        let held = match &pod.fact.held {
            None => Held::AsAsked(pod.ask),
            Some(amounts) => Held::Other { amounts, counted },
        };
        let changes = self.cluster.occupy(id, held, node);
        let seat = pod.seat();
        self.note(changes);
        if let Some(seat) = seat {
            self.orders.forget(seat.order);
            self.drop_provision(id);
            let matches = if seat.node == node { Match::AsPlanned } else { Match::Elsewhere };
            self.bind_was_seen(id, matches);
        }
        self.pods.get_mut(id).place = Place::Bound(node);
    }

    /// Takes the pod off its node, or gives up its seat.
    fn vacate(&mut self, id: PodId) {
        if let Some(seat) = self.pods.get(id).seat() {
            self.orders.forget(seat.order);
        }
        self.drop_provision(id);
        let changes = self.cluster.release(id);
        self.note(changes);
        self.volumes_freed(id);
        self.pods.get_mut(id).place = Place::Nowhere;
    }

    /// Brings the pod's membership in line with its fact.
    pub(super) fn settle_gang(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        let before = pod.gang;
        let wanted = match &pod.fact.group {
            Some(group) => Some(self.gangs.of_group(group)),
            None => self.plain_gang(id),
        };
        if before == wanted {
            return;
        }
        if before.is_some() {
            self.leave_gang(id);
        }
        if let Some(gang) = wanted {
            self.gangs.join(gang, id, &self.pods);
            self.pods.get_mut(id).gang = Some(gang);
            self.mark(gang);
        }
    }

    /// The gang of a pod without a group: it has one while somebody may ask why it waits.
    fn plain_gang(&mut self, id: PodId) -> Option<GangId> {
        let pod = self.pods.get(id);
        let waits = match pod.standing() {
            Standing::Waiting | Standing::Gated | Standing::Assumed => true,
            Standing::Bound | Standing::Leaving | Standing::Succeeded | Standing::Failed => false,
        };
        if !waits || !self.settings.answers_to(&pod.fact.scheduler) {
            return None;
        }
        let known = pod.gang.filter(|gang| self.gangs.get(*gang).is_plain());
        Some(known.unwrap_or_else(|| self.gangs.of_plain(&pod.fact.name)))
    }

    fn leave_gang(&mut self, id: PodId) {
        let Some(gang) = self.pods.get(id).gang else { return };
        let uid = self.pods.get(id).fact.uid.clone();
        self.lose_member(gang, &uid);
        self.leave_preparation(id, gang);
        self.gangs.leave(gang, id, &self.pods);
        self.pods.get_mut(id).gang = None;
        self.mark(gang);
        self.retire_if_empty(gang);
    }

    /// Drops a gang that has neither members nor an object.
    fn retire_if_empty(&mut self, id: GangId) {
        let gang = self.gangs.get(id);
        if !gang.members.is_empty() || gang.fact.is_some() {
            return;
        }
        self.withdraw(id);
        self.end_repair(id);
        self.pump.forget(self.gangs.get(id), id);
        self.rests.remove(&id);
        self.gangs.remove(id);
    }

    /// Takes the pod out of its gang's tallies before it changes.
    pub(super) fn count_out(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        if let Some(gang) = pod.gang {
            self.gangs.get_mut(gang).tally.subtract(pod);
        }
    }

    /// Puts the pod back into its gang's tallies after it changed.
    pub(super) fn count_in(&mut self, id: PodId) {
        let pod = self.pods.get(id);
        if let Some(gang) = pod.gang {
            self.gangs.get_mut(gang).tally.add(pod);
            self.mark(gang);
        }
    }

    /// A bind failed since it named an old version; now a newer one is known.
    pub(super) fn end_setback_of_old_version(&mut self, id: PodId) {
        let Some(gang) = self.pods.get(id).gang else { return };
        let now = self.now;
        if let Some(setback) = &mut self.gangs.get_mut(gang).setback
            && setback.cure == SetbackCure::NewerVersion
            && setback.until > now
        {
            let until = std::mem::replace(&mut setback.until, now);
            self.backing_off.remove(&(until, gang));
            self.mark(gang);
        }
    }

    fn observe_group(&mut self, fact: Box<GroupFact>) {
        let id = self.gangs.of_group(&fact.name);
        let gang = self.gangs.get_mut(id);
        let before = gang.fact.clone();
        if let Some(known) = &gang.fact {
            if is_older(fact.resource_version, known.resource_version) {
                self.counters.facts_stale += 1;
                return;
            }
            if known.uid != fact.uid {
                gang.forget_object();
            }
        }
        let edited = before.as_ref().is_none_or(|before| !wishes_the_same(before, &fact));
        gang.fact = Some(fact);
        self.mark(id);
        if edited {
            self.shorten_rest(id);
        }
        self.show_group(id, before.as_deref());
        self.settle_record(id);
    }

    fn observe_group_gone(&mut self, name: &GroupName, uid: &Name) {
        let Some(id) = self.gangs.find(name) else { return };
        let gang = self.gangs.get_mut(id);
        if gang.fact.as_ref().is_none_or(|known| known.uid != *uid) {
            return;
        }
        gang.forget_object();
        self.mark(id);
        self.retire_if_empty(id);
    }
}

/// Puts a newer fact about the same pod in the place of an older one. What did not change keeps its memory,
/// so that the new copies are freed, which lie in the processor's caches, and long-lived ones never move.
fn replace_fact(known: &mut PodFact, mut fact: Box<PodFact>) {
    std::mem::swap(&mut fact.name, &mut known.name);
    std::mem::swap(&mut fact.uid, &mut known.uid);
    if fact.labels == known.labels {
        std::mem::swap(&mut fact.labels, &mut known.labels);
    }
    // A bound pod cannot be unbound: a fact without a node was read before the bind that we know of.
    if fact.node.is_none() || fact.node == known.node {
        std::mem::swap(&mut fact.node, &mut known.node);
    }
    std::mem::swap(known, &mut *fact);
}

/// True if version `left` came before version `right`; versions that are not known never did.
pub(super) const fn is_older(left: u64, right: u64) -> bool {
    left != 0 && right != 0 && left < right
}
