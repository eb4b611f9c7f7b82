//! What a gang may do now, judged from its members, its group, and its commitment alone.
//! Knows no node, no capacity, and no other gang. Constant time: it reads tallies.
//! The one place that says whether a gang may be tried: backlog, sentences, and the audit ask here.

use super::gangs::{Gang, Identity};
use super::order::WaitReason;
use super::pods::Standing;
use super::settings::Settings;
use crate::base::time::Time;

/// What a gang may do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// None of its members waits for this scheduler.
    Idle,
    /// It waits for a change of its own objects.
    Blocked(Block),
    /// Its minimum is being bound; more than the minimum comes after.
    Binding,
    /// Its last binding failed; no attempt before this.
    BackingOff(Time),
    /// It may be placed: so many of its waiting members together.
    Ready {
        /// At least 1.
        needed: u32,
    },
}

/// Which change of its own objects a gang waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Members name different schedulers.
    MixedSchedulers,
    /// The PodGroup does not exist.
    MissingGroup,
    /// The PodGroup contradicts itself.
    MalformedGroup,
    /// The PodGroup asks for what is not supported.
    UnsupportedGroup,
    /// A member contradicts itself, or asks for what is not supported.
    TroubledMember,
    /// Too few members exist.
    MissingMembers {
        /// How many count: bound, assumed, waiting, or finished well.
        exist: u32,
        /// How many of the others have scheduling gates.
        gated: u32,
    },
    /// All that wait have scheduling gates, and no more are needed.
    Gated,
    /// Its members are made to leave, so that it starts over whole.
    Restarting,
}

/// Judges a gang.
pub(super) fn judge(gang: &Gang, settings: &Settings, now: Time) -> Verdict {
    let tally = &gang.tally;
    if tally.unplaced() == 0 || !tally.schedulers.iter().any(|(name, _)| settings.answers_to(name))
    {
        return Verdict::Idle;
    }
    if tally.schedulers.len() > 1 {
        return Verdict::Blocked(Block::MixedSchedulers);
    }
    if gang.is_restarting() {
        return Verdict::Blocked(Block::Restarting);
    }
    if let Some(block) = group_block(gang) {
        return Verdict::Blocked(block);
    }
    if tally.troubled > 0 {
        return Verdict::Blocked(Block::TroubledMember);
    }
    let waiting = tally.of(Standing::Waiting);
    if waiting == 0 && gang.is_plain() {
        return Verdict::Blocked(Block::Gated);
    }
    let needed = needed(gang);
    match needed {
        Needed::Some(needed) if waiting < needed => {
            let exist = tally.counted() + waiting;
            return Verdict::Blocked(Block::MissingMembers {
                exist,
                gated: tally.of(Standing::Gated),
            });
        }
        Needed::Some(_) | Needed::EachOnItsOwn | Needed::Underway => {}
    }
    if waiting == 0 {
        return Verdict::Blocked(Block::Gated);
    }
    if let Some(setback) = gang.setback.as_ref().filter(|setback| setback.until > now) {
        return Verdict::BackingOff(setback.until);
    }
    match needed {
        Needed::Some(needed) => Verdict::Ready { needed },
        Needed::EachOnItsOwn => Verdict::Ready { needed: 1 },
        Needed::Underway => Verdict::Binding,
    }
}

enum Needed {
    /// So many of the waiting members, together.
    Some(u32),
    /// The minimum is met; each of the rest is placed when it fits.
    EachOnItsOwn,
    /// Seats are held for the minimum; the rest comes after the seal.
    Underway,
}

fn needed(gang: &Gang) -> Needed {
    let minimum = gang.minimum();
    let counted = gang.tally.counted();
    if let Some(commitment) = &gang.commitment {
        // While calls are under way the plan must not be replaced.
        let repair = counted < minimum && commitment.is_quiet() && commitment.wants_repair();
        return if repair { Needed::Some(minimum - counted) } else { Needed::Underway };
    }
    if minimum == 0 || gang.has_started() {
        return Needed::EachOnItsOwn;
    }
    if counted < minimum {
        return Needed::Some(minimum - counted);
    }
    // The last that were missing are being bound by themselves.
    if gang.tally.of(Standing::Assumed) == 0 { Needed::EachOnItsOwn } else { Needed::Underway }
}

fn group_block(gang: &Gang) -> Option<Block> {
    let Identity::Group(_) = gang.identity else { return None };
    let Some(fact) = &gang.fact else { return Some(Block::MissingGroup) };
    if fact.malformed.is_some() {
        return Some(Block::MalformedGroup);
    }
    (!fact.unsupported.is_empty()).then_some(Block::UnsupportedGroup)
}

impl Block {
    /// The word for it; for a troubled member, what troubles it decides.
    pub(super) fn reason(self, gang: &Gang, pods: &super::pods::Pods) -> WaitReason {
        match self {
            Self::MixedSchedulers | Self::MalformedGroup => WaitReason::InvalidGang,
            Self::MissingGroup | Self::MissingMembers { .. } | Self::Restarting => {
                WaitReason::WaitingForMembers
            }
            Self::UnsupportedGroup => WaitReason::Unsupported,
            Self::TroubledMember => {
                let malformed =
                    gang.members.iter().map(|id| pods.get(*id)).any(|pod| {
                        pod.standing() == Standing::Waiting && pod.fact.malformed.is_some()
                    });
                if malformed { WaitReason::InvalidGang } else { WaitReason::Unsupported }
            }
            Self::Gated => WaitReason::SchedulingGated,
        }
    }
}
