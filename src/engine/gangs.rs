//! Gangs: which pods belong together and how many of them must be placed together.
//! A gang is a PodGroup of either source, whether or not its object exists yet, or a pod without a group.
//! Knows no node and no turn of others. Invariant: the tallies equal a recount of the members.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::backlog::Queued;
use super::commitment::{Commitment, State};
use super::kept_place::Clock;
use super::notices::Told;
use super::pods::{Pod, Pods, Standing};
use super::repair::Repair;
use crate::base::names::{Name, ObjectName, compare_naturally};
use crate::base::slab::Slab;
use crate::base::time::{Span, Time};
use crate::cluster::facts::{CommitMark, GroupFact, GroupName, PodPhase};
use crate::cluster::ids::{AskId, PodId};
use crate::id_type;

id_type!(
    /// A gang, for as long as it has members or a group object.
    GangId
);

/// What a gang is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// A pod without a group.
    Plain(ObjectName),
    /// A PodGroup.
    Group(GroupName),
}

impl Identity {
    /// Namespace and name of the group, else of the pod.
    pub(super) const fn name(&self) -> &ObjectName {
        match self {
            Self::Plain(name) => name,
            Self::Group(group) => &group.name,
        }
    }
}

/// A gang.
#[derive(Clone, Debug)]
pub(super) struct Gang {
    /// What it is called.
    pub(super) identity: Identity,
    /// The group's object, where it exists.
    pub(super) fact: Option<Box<GroupFact>>,
    /// All members, in the order in which people count their names.
    pub(super) members: SmallVec<[PodId; 1]>,
    /// What the members count as.
    pub(super) tally: Tally,
    /// The earliest creation of a pod that it ever had: its age if no group has one.
    pub(super) first_created: Time,
    /// Epoch of its latest plan; 0 before the first.
    pub(super) epoch: u32,
    /// The binding of its minimum, while there is one.
    pub(super) commitment: Option<Box<Commitment>>,
    /// Its place in the order in which plans were made.
    pub(super) planned: u64,
    /// How the last one ended.
    pub(super) ended: Option<State>,
    /// When the binding is given up, by the time during which the API answered.
    pub(super) deadline: Option<Time>,
    /// The greatest minimum that it was bound with since it last stood empty.
    pub(super) reached: u32,
    /// Members that ended well, and whose objects are gone since, while it was not empty.
    pub(super) ended_well: u32,
    /// What is done about lost members, while too few are left.
    pub(super) repair: Option<Repair>,
    /// What went wrong with its binds since the last that went well.
    pub(super) setback: Option<Setback>,
    /// So many plans in a row had a member whose bind the API refused; counted until one is sealed.
    pub(super) refused_plans: u32,
    /// The last of them.
    pub(super) refused_epoch: u32,
    /// The version of its record of which it was said last that somebody else has written it.
    pub(super) foreign_record: u64,
    /// Of which refusal of a call of its plan it was told last.
    pub(super) refusal_told: Option<(CommitMark, Name)>,
    /// Its place in the backlog.
    pub(super) queued: Option<Queued>,
    /// Since when it could be placed and was not.
    pub(super) ready_since: Option<Time>,
    /// For how long it was refused.
    pub(super) clock: Clock,
    /// Whether it stands in the list of gangs to be judged again.
    pub(super) dirty: bool,
    /// What was said about it.
    pub(super) told: Told,
}

/// Binds that failed in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setback {
    /// How many attempts failed.
    pub(super) failures: u32,
    /// No attempt before this.
    pub(super) until: Time,
    /// How long that was from the failure on.
    pub(super) wait: Span,
    /// What the API said.
    pub(super) cause: Name,
    /// Whether a newer version of the pods ends the wait early.
    pub(super) cure: SetbackCure,
}

/// What ends a setback besides time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetbackCure {
    /// The bind named an old version: a newer one may be bound at once.
    NewerVersion,
    /// Only time.
    Time,
}

/// Sums over a gang's members, kept current.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counts: [u32; Standing::COUNT],
    /// Members whose phase is `Running`.
    pub(super) running: u32,
    /// Waiting members that are malformed or ask for what is not supported.
    pub(super) troubled: u32,
    /// Waiting members by ask, in ask order.
    pub(super) roles: SmallVec<[(AskId, u32); 1]>,
    /// Living members by the scheduler they name, by name.
    pub(super) schedulers: SmallVec<[(Name, u32); 1]>,
    /// Living members by priority, the lowest first.
    pub(super) priorities: SmallVec<[(i32, u32); 1]>,
}

impl Tally {
    /// Members of a standing.
    #[inline]
    pub(super) const fn of(&self, standing: Standing) -> u32 {
        self.counts[standing as usize]
    }

    /// Members that count towards the minimum without being placed anew.
    #[inline]
    pub(super) const fn counted(&self) -> u32 {
        self.arrived() + self.of(Standing::Assumed)
    }

    /// Members that are bound and alive, or have finished well.
    #[inline]
    pub(super) const fn arrived(&self) -> u32 {
        self.of(Standing::Bound) + self.of(Standing::Succeeded)
    }

    /// Members that are unbound and unseated.
    #[inline]
    pub(super) const fn unplaced(&self) -> u32 {
        self.of(Standing::Waiting) + self.of(Standing::Gated)
    }

    /// Counts a member in.
    pub(super) fn add(&mut self, pod: &Pod) {
        let standing = pod.standing();
        self.counts[standing as usize] += 1;
        self.running += u32::from(pod.fact.phase == PodPhase::Running);
        if standing == Standing::Waiting {
            self.troubled += u32::from(is_troubled(pod));
            count_in(&mut self.roles, pod.ask);
        }
        if is_living(standing) {
            count_in(&mut self.schedulers, pod.fact.scheduler.clone());
            count_in(&mut self.priorities, pod.fact.priority);
        }
    }

    /// Counts a member out, which must not have changed since it was counted in.
    pub(super) fn subtract(&mut self, pod: &Pod) {
        let standing = pod.standing();
        self.counts[standing as usize] -= 1;
        self.running -= u32::from(pod.fact.phase == PodPhase::Running);
        if standing == Standing::Waiting {
            self.troubled -= u32::from(is_troubled(pod));
            count_out(&mut self.roles, &pod.ask);
        }
        if is_living(standing) {
            count_out(&mut self.schedulers, &pod.fact.scheduler);
            count_out(&mut self.priorities, &pod.fact.priority);
        }
    }
}

/// True if the pod itself keeps its gang from being placed.
pub(super) fn is_troubled(pod: &Pod) -> bool {
    pod.fact.malformed.is_some() || !pod.fact.ask.unsupported.is_empty()
}

const fn is_living(standing: Standing) -> bool {
    match standing {
        Standing::Waiting | Standing::Gated | Standing::Assumed | Standing::Bound => true,
        Standing::Leaving | Standing::Succeeded | Standing::Failed => false,
    }
}

/// Counts one more of `key`.
pub(super) fn count_in<K: Ord>(counts: &mut SmallVec<[(K, u32); 1]>, key: K) {
    match counts.binary_search_by(|(known, _)| known.cmp(&key)) {
        Ok(index) => counts[index].1 += 1,
        Err(index) => counts.insert(index, (key, 1)),
    }
}

fn count_out<K: Ord>(counts: &mut SmallVec<[(K, u32); 1]>, key: &K) {
    let index = counts.binary_search_by(|(known, _)| known.cmp(key)).expect("it was counted in");
    counts[index].1 -= 1;
    if counts[index].1 == 0 {
        counts.remove(index);
    }
}

impl Gang {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            fact: None,
            members: SmallVec::new(),
            tally: Tally::default(),
            first_created: Time::FAR_FUTURE,
            epoch: 0,
            commitment: None,
            planned: 0,
            ended: None,
            deadline: None,
            reached: 0,
            ended_well: 0,
            repair: None,
            setback: None,
            refused_plans: 0,
            refused_epoch: 0,
            foreign_record: 0,
            refusal_told: None,
            queued: None,
            ready_since: None,
            clock: Clock::default(),
            dirty: false,
            told: Told::default(),
        }
    }

    /// True for a pod without a group.
    #[inline]
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.identity, Identity::Plain(_))
    }

    /// How many members must be placed together; 0 where each is on its own.
    #[inline]
    pub(super) fn minimum(&self) -> u32 {
        match (&self.identity, &self.fact) {
            (Identity::Plain(_), _) => 1,
            (Identity::Group(_), Some(fact)) => fact.minimum.unwrap_or(0),
            (Identity::Group(_), None) => 1,
        }
    }

    /// When it was created: its group, else its first pod.
    pub(super) fn since(&self) -> Time {
        self.fact.as_ref().map_or(self.first_created, |fact| fact.created)
    }

    /// Its priority: the group's own, else the lowest of its members'.
    pub(super) fn priority(&self) -> i32 {
        let own = self.fact.as_ref().and_then(|fact| fact.priority);
        own.or_else(|| self.tally.priorities.first().map(|(priority, _)| *priority)).unwrap_or(0)
    }

    /// True once its minimum, as it is now, was bound: what comes after is placed one by one.
    pub(super) fn has_started(&self) -> bool {
        self.reached > 0 && self.minimum() <= self.reached
    }
}

/// All gangs.
#[derive(Clone, Debug, Default)]
pub(super) struct Gangs {
    rows: Slab<GangId, Gang>,
    by_group: FxHashMap<GroupName, GangId>,
}

impl Gangs {
    /// The gang of a group, known or not.
    pub(super) fn find(&self, group: &GroupName) -> Option<GangId> {
        self.by_group.get(group).copied()
    }

    /// The gang of a group, made if it is new.
    pub(super) fn of_group(&mut self, group: &GroupName) -> GangId {
        if let Some(id) = self.by_group.get(group) {
            return *id;
        }
        let id = self.rows.insert(Gang::new(Identity::Group(group.clone())));
        self.by_group.insert(group.clone(), id);
        id
    }

    /// A new gang for a pod without a group.
    pub(super) fn of_plain(&mut self, pod: &ObjectName) -> GangId {
        self.rows.insert(Gang::new(Identity::Plain(pod.clone())))
    }

    /// Takes an empty gang out.
    pub(super) fn remove(&mut self, id: GangId) {
        let gang = self.rows.remove(id).expect("only known gangs are removed");
        assert!(gang.members.is_empty() && gang.queued.is_none(), "a gang in use was removed");
        match gang.identity {
            Identity::Plain(_) => {}
            Identity::Group(group) => {
                self.by_group.remove(&group);
            }
        }
    }

    /// The gang of `id`, which must exist.
    #[inline]
    pub(super) fn get(&self, id: GangId) -> &Gang {
        &self.rows[id]
    }

    /// The gang of `id`, which must exist.
    #[inline]
    pub(super) fn get_mut(&mut self, id: GangId) -> &mut Gang {
        &mut self.rows[id]
    }

    /// The gang of `id`, if it still exists.
    #[inline]
    pub(super) fn known(&mut self, id: GangId) -> Option<&mut Gang> {
        self.rows.get_mut(id)
    }

    /// All gangs, in id order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (GangId, &Gang)> {
        self.rows.iter()
    }

    /// Makes `pod` a member: counts it in, in its place.
    pub(super) fn join(&mut self, id: GangId, pod: PodId, pods: &Pods) {
        let gang = &mut self.rows[id];
        let row = pods.get(pod);
        gang.first_created = gang.first_created.min(row.fact.created);
        gang.tally.add(row);
        let index = position(&gang.members, row, pods).expect_err("nobody joins twice");
        gang.members.insert(index, pod);
    }

    /// Ends the membership of `pod`, which must not have changed since it was counted in.
    pub(super) fn leave(&mut self, id: GangId, pod: PodId, pods: &Pods) {
        let gang = &mut self.rows[id];
        let row = pods.get(pod);
        gang.tally.subtract(row);
        // Most gangs are a pod of its own: no names need be compared to find it.
        let index = match &gang.members[..] {
            [only] if *only == pod => 0,
            members => position(members, row, pods).expect("a member is listed"),
        };
        gang.members.remove(index);
    }
}

/// Where `pod` stands or would stand among `members`.
fn position(members: &[PodId], pod: &Pod, pods: &Pods) -> Result<usize, usize> {
    let compare = |other: &PodId| {
        let other = &pods.get(*other).fact;
        compare_naturally(&other.name.name, &pod.fact.name.name)
            .then_with(|| other.uid.cmp(&pod.fact.uid))
    };
    // Members mostly arrive in order.
    if members.last().is_none_or(|last| compare(last).is_lt()) {
        return Err(members.len());
    }
    members.binary_search_by(compare)
}
