//! From one plan to the next, and from a record to the machine that finishes or undoes it.
//! Whoever resumes knows nothing but the record and the pods. Makes no call and no choice of seats.
//! Invariant: a member that is bound stays where it is in every later plan of its gang.

use super::member::{Member, Standing};
use super::stage::Stage;
use super::{
    Action, BindRole, Call, Commitment, EvictCause, GroupRef, MEMBERS_PER_OBJECT, Owner, PodRef,
    Predecessor, Proposal, RecordFact, RecordMember, RecordPart, RecordPhase, RecordRef, Rules,
    Seat, Sight, part_name,
};
use crate::base::names::ObjectName;
use crate::base::time::Time;

/// How a member of a record stands now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Standpoint {
    /// What is known of the pod.
    pub sight: Sight,
    /// Who would make it again.
    pub owner: Owner,
}

impl<P: Copy> Commitment<P> {
    /// The next plan of the gang, which holds the bound members where they are. Only while no call is under way.
    pub fn repair(self, proposal: Proposal<P>) -> Self {
        assert!(self.is_quiet(), "a plan was replaced while calls of it were under way");
        // What this machine knows of its own binds is enough: only members that get other seats need a fence.
        let predecessor = Predecessor::Over;
        let record_version = self.record.resource_version;
        let proposal = Proposal { record_version, predecessor, ..proposal };
        let mut next = Self::hold(proposal, self.rules);
        for place in 0..next.members.len() {
            let before = self.place(&next.members[place].seat.uid);
            let member = &mut next.members[place];
            let Some(before) = before.map(|before| &self.members[before]) else {
                // Plans before the one that is repaired may have had it, and a bind of theirs may be late.
                member.moved = self.mark.epoch > 1;
                continue;
            };
            if before.is_bound() && self.rules.repairs_pin_the_bound {
                assert_eq!(before.seat.node, member.seat.node, "a bound member was moved");
                member.standing = Standing::Bound;
            } else {
                // Also the fence that the plan before owed is still due.
                member.moved = before.moved || before.seat.node != member.seat.node;
            }
        }
        next.trouble = self.trouble;
        next
    }

    /// Resumes the plan of a record that is decided, or that is being undone. `now` says how each member stands.
    pub fn resume(
        record: &RecordFact,
        group: GroupRef,
        steps: Vec<P>,
        rules: Rules,
        now: impl Fn(&RecordMember) -> Standpoint,
    ) -> Self {
        let mut members = Vec::with_capacity(record.members.len());
        for entry in &record.members {
            members.push(resumed(entry, record, now(entry)));
        }
        let begun = u32::try_from(steps.len()).expect("steps are few");
        let mut commitment = Self::hold(
            Proposal {
                group,
                record_version: record.resource_version,
                predecessor: Predecessor::Over,
                epoch: record.mark.epoch,
                minimum: record.minimum,
                seats: Vec::new(),
                steps,
                deadline: record.deadline,
                leader: record.leader.clone(),
            },
            rules,
        );
        commitment.record =
            RecordRef { name: record.name.clone(), resource_version: record.resource_version };
        commitment.members = members;
        commitment.index();
        commitment.mark = record.mark;
        match record.phase {
            RecordPhase::Proposed => {
                commitment.stage = Stage::Fencing;
                commitment.fence_what_a_repair_moved();
            }
            RecordPhase::Aborting => {
                commitment.begun = begun;
                commitment.stage = Stage::Undoing { steps: begun };
            }
            RecordPhase::Bound => commitment.stage = Stage::Sealed,
            RecordPhase::Aborted => commitment.stage = Stage::Aborted,
        }
        commitment
    }

    /// Whoever repaired may have ended before older binds of moved members were fenced off.
    fn fence_what_a_repair_moved(&mut self) {
        if self.mark.epoch < 2 || !self.rules.fences {
            return;
        }
        for member in &mut self.members {
            if matches!(member.standing, Standing::Open { .. }) {
                member.moved = true;
                member.standing = Standing::ToFence;
            }
        }
    }

    /// Forgets what makes no difference to the calls that may follow, once every rest is over: so that whoever
    /// explores all that can happen finds equal states equal.
    pub fn forget_the_past(&mut self) {
        const ANY_TIME: Time = Time(i64::MIN);
        self.trouble = None;
        self.failures = self.failures.min(1);
        self.rest_until = ANY_TIME;
        self.try_again = ANY_TIME;
        for member in &mut self.members {
            match &mut member.standing {
                Standing::Open { again, .. } => *again = ANY_TIME,
                Standing::Bound | Standing::Lost | Standing::Evicting | Standing::Evicted => {
                    member.seat.version = 0;
                    member.moved = false;
                }
                Standing::Batched(_)
                | Standing::ToBind(_)
                | Standing::Binding(_)
                | Standing::Elsewhere
                | Standing::Denied
                | Standing::ToFence
                | Standing::Fencing
                | Standing::Fenced
                | Standing::ToEvict
                | Standing::Kept => {}
            }
        }
    }

    /// What a call asks of the API; `None` for the steps of a capability, which knows by itself.
    pub fn action(&self, call: &Call<P>) -> Option<Action> {
        let (record, mark) = (self.record.clone(), self.mark);
        Some(match call {
            Call::ProposePart(part) => Action::Propose(Box::new(self.part(*part))),
            Call::Propose => Action::Propose(Box::new(self.part(0))),
            Call::Commit => Action::Commit { group: self.group.clone(), mark },
            Call::Prepare(_) | Call::Undo(_) => return None,
            Call::Verify => Action::Verify { record, group: self.group.clone(), mark },
            Call::Bind(place) => self.bind(*place),
            Call::Seal => Action::Seal { record, mark },
            Call::Abort => Action::Abort { record, mark },
            Call::Fence(place) => Action::Fence {
                pod: self.pod(*place, self.seat(*place).version),
                gang: self.gang().clone(),
                epoch: mark.epoch,
            },
            Call::Evict(place) => Action::Evict {
                pod: self.pod(*place, 0),
                gang: self.gang().clone(),
                cause: EvictCause::GangAborted,
                message: format!(
                    "gang {} could not be bound whole in time (plan {})",
                    self.gang(),
                    mark.epoch
                ),
            },
            Call::FinishAbort => Action::FinishAbort { record, mark },
        })
    }

    /// What a call about the record asks of the API; `None` for all others.
    pub fn record_action(&self, call: &Call<P>) -> Option<Action> {
        match call {
            Call::ProposePart(_)
            | Call::Propose
            | Call::Verify
            | Call::Seal
            | Call::Abort
            | Call::FinishAbort => self.action(call),
            Call::Commit
            | Call::Prepare(_)
            | Call::Undo(_)
            | Call::Bind(_)
            | Call::Fence(_)
            | Call::Evict(_) => None,
        }
    }

    /// True if a record in `phase` says what this machine believes of it.
    pub const fn agrees_with(&self, phase: RecordPhase) -> bool {
        match phase {
            RecordPhase::Proposed => matches!(
                self.stage,
                Stage::Proposing { .. }
                    | Stage::Committing
                    | Stage::Fencing
                    | Stage::Preparing { .. }
                    | Stage::Publishing
                    | Stage::Sealing
                    | Stage::Aborting
            ),
            RecordPhase::Bound => matches!(self.stage, Stage::Sealed),
            RecordPhase::Aborting => {
                matches!(self.stage, Stage::Undoing { .. } | Stage::Clearing | Stage::Finishing)
            }
            RecordPhase::Aborted => matches!(self.stage, Stage::Aborted),
        }
    }

    const fn gang(&self) -> &ObjectName {
        &self.group.name.name
    }

    fn bind(&self, place: u32) -> Action {
        let member = &self.members[place as usize];
        let Standing::Binding(version) = member.standing else {
            unreachable!("only members that are being bound are bound")
        };
        let version = if self.rules.binds_name_versions { version } else { 0 };
        Action::Bind {
            pod: self.pod(place, version),
            node: member.seat.node.clone(),
            gang: self.gang().clone(),
            epoch: self.mark.epoch,
            role: BindRole::Planned,
        }
    }

    fn pod(&self, place: u32, resource_version: u64) -> PodRef {
        let seat = &self.members[place as usize].seat;
        PodRef { name: seat.pod.clone(), uid: seat.uid.clone(), resource_version }
    }

    /// The object number `part` of the record: 0 is the record itself.
    fn part(&self, part: u32) -> RecordFact {
        let from = part as usize * MEMBERS_PER_OBJECT;
        let members = self.members.iter().skip(from).take(MEMBERS_PER_OBJECT);
        let entry = |member: &Member| RecordMember {
            pod: member.seat.pod.name.clone(),
            uid: member.seat.uid.clone(),
            node: member.seat.node.clone(),
        };
        let (name, part, version) = match part {
            0 => (
                self.record.name.clone(),
                RecordPart::Head { further: self.further() },
                self.record.resource_version,
            ),
            index => (
                part_name(&self.group.name, self.mark.epoch, index),
                RecordPart::Further { index },
                0,
            ),
        };
        RecordFact {
            name,
            uid: "".into(),
            resource_version: version,
            group: self.group.name.clone(),
            group_uid: self.group.uid.clone(),
            group_version: self.group.resource_version,
            part,
            phase: RecordPhase::Proposed,
            mark: self.mark,
            minimum: self.minimum,
            members: members.map(entry).collect(),
            deadline: self.deadline,
            leader: self.leader.clone(),
            malformed: None,
        }
    }
}

fn resumed(entry: &RecordMember, record: &RecordFact, at: Standpoint) -> Member {
    let mut member = Member::new(Seat {
        pod: ObjectName { namespace: record.name.namespace.clone(), name: entry.pod.clone() },
        uid: entry.uid.clone(),
        node: entry.node.clone(),
        version: 0,
        owner: at.owner,
    });
    match at.sight {
        Sight::Unbound(version) => {
            member.seat.version = version;
            member.standing = Standing::Open { tried: 0, again: Time(i64::MIN) };
        }
        Sight::Bound(node) if node == entry.node => member.standing = Standing::Bound,
        Sight::Bound(node) => {
            member.seat.node = node;
            member.standing = Standing::Elsewhere;
        }
        Sight::Lost => member.standing = Standing::Lost,
    }
    member
}
