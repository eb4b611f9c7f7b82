//! What a waiting gang is told, from the truth of this moment: the reason, and a sentence that names
//! what is missing. The one place where such text is made; conditions, events, `explain`, and
//! `simulate` all read it here. Knows no clock of notices.

use std::fmt::Write;

use super::Engine;
use super::decide::No;
use super::explain::unit;
use super::gangs::{Gang, GangId, Identity};
use super::order::WaitReason;
use super::pods::{Pod, Standing};
use super::verdict::{Block, Verdict, judge};
use crate::base::names::Name;
use crate::base::time::Time;
use crate::cluster::facts::{GroupName, GroupSource};
use crate::planner::refusal::Cause;
use crate::workload::ask::Amounts;

/// Why a gang waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// The word.
    pub(super) reason: WaitReason,
    /// For people; where the reason is `Unschedulable`, for autoscalers too.
    pub(super) message: String,
}

/// What the API server itself says of gated pods.
pub(super) const GATED: &str = "Scheduling is blocked due to non-empty scheduling gates";

/// The API groups of PodGroups.
const COSCHEDULING: &str = "scheduling.x-k8s.io";
const NATIVE: &str = "scheduling.k8s.io";

/// How many names a sentence lists before it says how many more there are.
const NAMES_LISTED: usize = 3;

impl Engine {
    /// The word for why the members of a gang wait that have no scheduling gates; `None` if nothing
    /// of it waits for this scheduler. Cheaper than the sentence.
    pub(super) fn reason(&self, id: GangId, now: Time) -> Option<WaitReason> {
        let gang = self.gangs.get(id);
        match judge(gang, &self.settings, now) {
            Verdict::Idle => None,
            Verdict::Blocked(block) => Some(block.reason(gang, &self.pods)),
            Verdict::Binding => Some(WaitReason::WaitingForTurn),
            Verdict::BackingOff(_) => Some(WaitReason::GangAborted),
            Verdict::Ready { .. } => {
                Some(self.refusal(gang).map_or(WaitReason::WaitingForTurn, No::reason))
            }
        }
    }

    /// Why the members of a gang wait that have no scheduling gates; `None` if nothing of it waits
    /// for this scheduler.
    pub(super) fn sentence(&self, id: GangId, now: Time) -> Option<Sentence> {
        let reason = self.reason(id, now)?;
        let gang = self.gangs.get(id);
        let message = match judge(gang, &self.settings, now) {
            Verdict::Idle => return None,
            Verdict::Blocked(block) => self.block_text(gang, block),
            Verdict::Binding => binding_text(gang),
            Verdict::BackingOff(_) => {
                let setback = gang.setback.as_ref().expect("who backs off was set back");
                format!("binding failed: {}; tried again after {}", setback.cause, setback.wait)
            }
            Verdict::Ready { .. } => match self.refusal(gang) {
                None => "waiting for its turn to be tried".to_owned(),
                Some(No::BelowFloor { short, .. }) => self.floor_text(short),
                Some(No::Refused { refusal, .. }) => match refusal.cause {
                    Cause::Unschedulable | Cause::Unsupported => refusal.to_string(),
                    Cause::KeptForAnother => self.turn_text(),
                },
            },
        };
        Some(Sentence { reason, message })
    }

    /// Why the line is parked in which a gang stands.
    pub(super) fn refusal(&self, gang: &Gang) -> Option<&No> {
        let queued = gang.queued.as_ref()?;
        self.backlog.line(queued.line).parked.as_ref()
    }

    fn turn_text(&self) -> String {
        match self.kept_places.kept() {
            Some(kept) => format!(
                "waiting for its turn: it would fit only on nodes that are kept for {}, which stands before it and was refused for long",
                kept.turn.name
            ),
            None => "waiting for its turn to be tried".to_owned(),
        }
    }

    /// In the form in which kube-scheduler reports what keeps a pod from every node before any node
    /// is looked at: each node may have room, so none is counted as lacking something.
    fn floor_text(&self, short: &Amounts) -> String {
        let nodes = self.cluster.node_count();
        let mut text = if nodes == 0 {
            String::from("no nodes available to schedule pods. ")
        } else {
            format!("0/{nodes} nodes are available: ")
        };
        text.push_str(
            "the PodGroup's minResources are not free in the cluster as a whole, missing ",
        );
        for (at, (resource, amount)) in short.iter().enumerate() {
            let separator = if at > 0 { ", " } else { "" };
            let _ = write!(text, "{separator}{amount}{} {resource}", unit(resource));
        }
        text.push('.');
        text
    }

    fn block_text(&self, gang: &Gang, block: Block) -> String {
        match block {
            Block::MixedSchedulers => self.mixed_text(gang),
            Block::MissingGroup => self.missing_text(gang),
            Block::MalformedGroup => {
                let fault =
                    gang.fact.as_ref().and_then(|fact| fact.malformed.clone()).unwrap_or_default();
                format!("PodGroup {} is not valid: {fault}", gang.identity.name())
            }
            Block::UnsupportedGroup => {
                let wants = gang.fact.as_ref().map_or(&[][..], |fact| &fact.unsupported);
                format!(
                    "PodGroup {} asks for what is not supported: {}",
                    gang.identity.name(),
                    join(wants)
                )
            }
            Block::TroubledMember => self.trouble_text(gang),
            Block::MissingMembers { exist, gated } => {
                let minimum = gang.minimum();
                let mut text = format!("waiting for members: {exist} of {minimum} exist");
                if gated > 0 {
                    let _ = write!(
                        text,
                        ", {gated} more {} scheduling gates",
                        if gated == 1 { "has" } else { "have" }
                    );
                }
                text
            }
            Block::Gated => GATED.to_owned(),
            Block::Restarting => format!(
                "waiting for members: the gang is restarted whole, and {} of its members are still to leave",
                gang.tally.of(Standing::Bound)
            ),
        }
    }

    /// Which PodGroup is missing, what names it, and where it has to be made.
    fn missing_text(&self, gang: &Gang) -> String {
        let name = gang.identity.name();
        let known = gang.tally.counted() + gang.tally.of(Standing::Waiting);
        let (names, their) = if known == 1 { ("pod names", "its") } else { ("pods name", "their") };
        let mut text = format!(
            "waiting for members: PodGroup {} does not exist in namespace {} ({known} {names} it in ",
            name.name, name.namespace
        );
        let Identity::Group(group) = &gang.identity else { return text };
        let _ = match group.source {
            GroupSource::Coscheduling => write!(text, "{their} pod-group label"),
            GroupSource::Native => write!(text, "spec.schedulingGroup.podGroupName"),
        };
        let (source, api, other_api, remedy) = match group.source {
            GroupSource::Coscheduling => (
                GroupSource::Native,
                COSCHEDULING,
                NATIVE,
                "pods name it in spec.schedulingGroup.podGroupName",
            ),
            GroupSource::Native => (
                GroupSource::Coscheduling,
                NATIVE,
                COSCHEDULING,
                "pods name it in the pod-group label",
            ),
        };
        let other = self.gangs.find(&GroupName { source, ..group.clone() });
        let _ = match other.filter(|id| self.gangs.get(*id).fact.is_some()) {
            Some(_) => write!(text, "); the one there is of {other_api}: {remedy}"),
            None => write!(text, "); create it there, in the API group {api}"),
        };
        text
    }

    /// Where else there is a PodGroup of the name that the members of `gang` give: the first such namespace.
    /// Looks through all gangs, so it is for those who ask about one.
    pub(super) fn elsewhere(&self, gang: &Gang) -> Option<String> {
        let Identity::Group(wanted) = &gang.identity else { return None };
        if gang.fact.is_some() {
            return None;
        }
        let namesakes = self.gangs.iter().filter_map(|(_, other)| match &other.identity {
            Identity::Group(group)
                if other.fact.is_some() && group.name.name == wanted.name.name =>
            {
                Some(&group.name.namespace)
            }
            Identity::Group(_) | Identity::Plain(_) => None,
        });
        let found = namesakes.filter(|namespace| **namespace != wanted.name.namespace).min()?;
        Some(format!(
            "; namespace {found} has a PodGroup {}, and pods join only groups of their own namespace",
            wanted.name.name
        ))
    }

    fn mixed_text(&self, gang: &Gang) -> String {
        let mut text = String::from("the members of a gang must name one scheduler; they name ");
        for (at, (scheduler, count)) in gang.tally.schedulers.iter().enumerate() {
            let separator = if at > 0 { " and " } else { "" };
            let shown = if scheduler.is_empty() { "none" } else { scheduler };
            let _ = write!(text, "{separator}{shown} (");
            let names = gang
                .members
                .iter()
                .map(|id| self.pods.get(*id))
                .filter(|pod| pod.fact.scheduler == *scheduler && is_alive(pod));
            write_names(&mut text, names, *count as usize);
            text.push(')');
        }
        text
    }

    fn trouble_text(&self, gang: &Gang) -> String {
        let waiting = || {
            let pods = gang.members.iter().map(|id| self.pods.get(*id));
            pods.filter(|pod| pod.standing() == Standing::Waiting)
        };
        if let Some(pod) = waiting().find(|pod| pod.fact.malformed.is_some()) {
            let fault = pod.fact.malformed.as_deref().unwrap_or_default();
            return format!("pod {} is not valid: {fault}", pod.fact.name.name);
        }
        let troubled = waiting().find(|pod| !pod.fact.ask.unsupported.is_empty());
        let pod = troubled.expect("a gang is troubled by one of its waiting members");
        let text = join(&pod.fact.ask.unsupported);
        format!("pod {} asks for what is not supported: {text}", pod.fact.name.name)
    }
}

fn is_alive(pod: &Pod) -> bool {
    match pod.standing() {
        Standing::Waiting | Standing::Gated | Standing::Assumed | Standing::Bound => true,
        Standing::Leaving | Standing::Succeeded | Standing::Failed => false,
    }
}

fn binding_text(gang: &Gang) -> String {
    let (bound, minimum) = (gang.tally.arrived(), gang.minimum());
    format!(
        "waiting for its turn: members beyond the minimum follow when it is bound; {bound} of {minimum} are"
    )
}

fn write_names<'a>(text: &mut String, pods: impl Iterator<Item = &'a Pod>, count: usize) {
    for (at, pod) in pods.take(NAMES_LISTED).enumerate() {
        let separator = if at > 0 { ", " } else { "" };
        let _ = write!(text, "{separator}{}", pod.fact.name.name);
    }
    if count > NAMES_LISTED {
        let _ = write!(text, ", and {} more", count - NAMES_LISTED);
    }
}

fn join(names: &[Name]) -> String {
    names.iter().map(|name| &**name).collect::<Vec<_>>().join("; ")
}
