//! Why something waits, for people: what `muster explain`, `simulate`, and tests read.
//! Made from the truth of the moment it is asked for; asking changes nothing.
//! Has no words of its own for why something waits: `sentences` has them.

use std::fmt;

use serde::Serialize;

use super::Engine;
use super::commitment::State;
use super::decide::No;
use super::gangs::{Gang, GangId, Identity};
use super::order::WaitReason;
use super::pods::{Pod, Standing};
use super::sentences::GATED;
use super::verdict::{Verdict, judge};
use crate::base::names::{Name, ObjectName};
use crate::base::time::Time;
use crate::cluster::facts::{GroupName, GroupSource};
use crate::planner::order::Turn;
use crate::planner::refusal::Refusal;
use crate::planner::survey;
use crate::planner::survey::Rejection;

/// How many nodes in quarantine an explanation lists.
const NODES_LISTED: usize = 10;

/// Members of one gang that wait for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingGang {
    /// The gang's namespace.
    pub namespace: Name,
    /// The PodGroup's name, else the pod's.
    pub gang: Name,
    /// Who waits, in the order in which people count names.
    pub pods: Vec<Name>,
    /// The word.
    pub reason: WaitReason,
    /// For people.
    pub message: String,
}

/// All there is to say about a gang.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `PodGroup`, or `Pod` for a pod without a group.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// Its priority.
    pub priority: i32,
    /// When its age began, as RFC 3339.
    pub since: String,
    /// How many members must be placed together; 0 where each is on its own.
    pub minimum: u32,
    /// Why members wait; `None` if none does, or only gated ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The sentence that goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it is tried again at the latest, as RFC 3339, where it rests after a bind that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try: Option<String>,
    /// The node that came closest, and what it lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest_miss: Option<String>,
    /// What would cure it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cured_by: Vec<String>,
    /// Its place among the waiting gangs, from 1, and how many those are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_in_turn: Option<(usize, usize)>,
    /// True if nodes are kept for it.
    pub place_is_kept: bool,
    /// True once its minimum was bound: members that come now are placed one by one.
    pub started: bool,
    /// The epoch of its latest plan; 0 before the first.
    pub epoch: u32,
    /// Where the binding of its minimum stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commitment: Option<&'static str>,
    /// What is done about members that it lost, while it has too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
    /// Nodes that it may not use now because they turned pods away; where it was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<String>,
    /// Another gang that has this name too, and how to have it explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namesake: Option<String>,
    /// Its members.
    pub members: Vec<MemberState>,
}

/// How a member stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberState {
    /// Its name.
    pub pod: Name,
    /// `waiting`, `gated`, `binding`, `bound`, `leaving`, `succeeded`, or `failed`.
    pub state: &'static str,
    /// Where it is bound or being bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Name>,
}

impl Engine {
    /// Every gang of which a member waits, in turn order; one entry for each of its reasons.
    pub fn waiting(&self, now: Time) -> Vec<WaitingGang> {
        let mut entries = Vec::new();
        for (_, id) in self.turns_with_volumes() {
            let gang = self.gangs.get(id);
            let name = gang.identity.name();
            let entry = |pods, reason, message| WaitingGang {
                namespace: name.namespace.clone(),
                gang: name.name.clone(),
                pods,
                reason,
                message,
            };
            let waiting = self.members_of_standing(gang, Standing::Waiting);
            if !waiting.is_empty()
                && let Some(sentence) = self.sentence(id, now.max(self.now))
            {
                entries.push(entry(waiting, sentence.reason, sentence.message));
            }
            // The others of their plan, whose volumes are ready, wait with them.
            if let Some(sentence) = self.awaiting_volumes(id) {
                let held = self.members_of_standing(gang, Standing::Assumed);
                entries.push(entry(held, sentence.reason, sentence.message));
            }
            let gated = self.members_of_standing(gang, Standing::Gated);
            if !gated.is_empty() {
                entries.push(entry(gated, WaitReason::SchedulingGated, GATED.to_owned()));
            }
        }
        entries
    }

    /// How many gangs wait, by reason.
    pub fn gangs_waiting(&self) -> Vec<(WaitReason, usize)> {
        let mut counts: Vec<(WaitReason, usize)> = Vec::new();
        for (id, gang) in self.gangs.iter() {
            let reason = match self.reason(id, self.now) {
                Some(_) if gang.tally.of(Standing::Waiting) == 0 => WaitReason::SchedulingGated,
                Some(reason) => reason,
                None if self.awaiting_volumes(id).is_some() => WaitReason::WaitingForVolumes,
                None => continue,
            };
            match counts.binary_search_by_key(&reason, |(known, _)| *known) {
                Ok(at) => counts[at].1 += 1,
                Err(at) => counts.insert(at, (reason, 1)),
            }
        }
        counts
    }

    /// Explains a gang: a PodGroup by its name, else the gang of the pod of that name.
    pub fn explain(&self, now: Time, name: &ObjectName) -> Option<Explanation> {
        let group = |source| self.gangs.find(&GroupName { name: name.clone(), source });
        let (labelled, native) = (group(GroupSource::Coscheduling), group(GroupSource::Native));
        let of_pod = || self.pods.find(name).and_then(|pod| self.pods.get(pod).gang);
        let Some(id) = labelled.or(native).or_else(of_pod) else {
            return self.pods.find(name).map(|pod| self.explain_settled(self.pods.get(pod)));
        };
        let mut explanation = self.explain_gang(id, now.max(self.now));
        explanation.namesake = labelled.and(native).map(|other| {
            let member = self.gangs.get(other).members.first();
            let how = member.map_or_else(String::new, |pod| {
                format!("; for that one ask for its pod {}", self.pods.get(*pod).fact.name.name)
            });
            format!("a PodGroup of scheduling.k8s.io has this name too{how}")
        });
        Some(explanation)
    }

    /// The nodes that the rules reject for the pod, as if it were placed alone and now, each with the first
    /// rule that does and its reasons. `None` if there is no such pod.
    pub fn rejections(&mut self, pod: &ObjectName) -> Option<Vec<Rejection>> {
        let id = self.pods.find(pod)?;
        let pod = self.pods.get(id);
        let expected: Vec<_> =
            self.cluster.expected(pod.fact.priority).filter(|one| one.pod != id).collect();
        let kind = (pod.ask, self.cluster.signature_of(id));
        Some(survey::rejections(&mut self.cluster, kind, &expected))
    }

    /// The sum of kube-scheduler's scores for each node that takes the pod, as if it were placed alone and now;
    /// nothing where its nodes are ranked by Muster's own order. `None` if there is no such pod.
    pub fn scores(&mut self, pod: &ObjectName) -> Option<Vec<(Name, i64)>> {
        let id = self.pods.find(pod)?;
        self.cluster.refresh_domains();
        let ask = self.pods.get(id).ask;
        Some(survey::scores(&self.cluster, ask, self.cluster.signature_of(id)))
    }

    fn explain_gang(&self, id: GangId, now: Time) -> Explanation {
        let gang = self.gangs.get(id);
        let sentence = self.sentence(id, now).or_else(|| self.awaiting_volumes(id));
        let refusal = self.refusal(gang).and_then(|no| match no {
            No::Refused { refusal, .. } => Some(&**refusal),
            No::BelowFloor { .. } => None,
        });
        let turns = self.turns();
        let place =
            turns.iter().position(|(_, other)| *other == id).map(|at| (at + 1, turns.len()));
        let name = gang.identity.name();
        Explanation {
            kind: gang.identity.kind(),
            namespace: name.namespace.clone(),
            name: name.name.clone(),
            priority: gang.priority(),
            since: gang.since().to_rfc3339(),
            minimum: gang.minimum(),
            reason: sentence.as_ref().map(|sentence| sentence.reason.as_str()),
            message: sentence
                .map(|sentence| sentence.message + &self.elsewhere(gang).unwrap_or_default()),
            next_try: self.next_try(gang, now).map(Time::to_rfc3339),
            nearest_miss: refusal.and_then(nearest_miss),
            cured_by: refusal
                .map(|refusal| refusal.cured_by.words().map(str::to_owned).collect())
                .unwrap_or_default(),
            place_in_turn: place,
            place_is_kept: self.kept_places.kept().is_some_and(|kept| kept.gang == id),
            started: gang.has_started(),
            epoch: gang.epoch,
            namesake: None,
            repair: self.repair_text(id),
            quarantined: refusal.map(|_| self.quarantine_texts()).unwrap_or_default(),
            commitment: gang
                .commitment
                .as_ref()
                .map(|commitment| commitment.state())
                .or(gang.ended)
                .map(State::as_str),
            members: gang
                .members
                .iter()
                .map(|pod| self.member_state(self.pods.get(*pod)))
                .collect(),
        }
    }

    /// When the rest of a gang ends.
    fn next_try(&self, gang: &Gang, now: Time) -> Option<Time> {
        match judge(gang, &self.settings, now) {
            Verdict::BackingOff(until) => Some(until),
            Verdict::Idle | Verdict::Blocked(_) | Verdict::Binding | Verdict::Ready { .. } => None,
        }
    }

    /// Explains a pod without a group that is bound, finished, or somebody else's.
    fn explain_settled(&self, pod: &Pod) -> Explanation {
        let fact = &pod.fact;
        Explanation {
            kind: "Pod",
            namespace: fact.name.namespace.clone(),
            name: fact.name.name.clone(),
            priority: fact.priority,
            since: fact.created.to_rfc3339(),
            minimum: 1,
            reason: None,
            message: (!self.settings.answers_to(&fact.scheduler)).then(|| {
                format!("this pod names the scheduler {:?}, which is not this one", fact.scheduler)
            }),
            next_try: None,
            nearest_miss: None,
            cured_by: Vec::new(),
            place_in_turn: None,
            place_is_kept: false,
            namesake: None,
            started: pod.fact.node.is_some(),
            epoch: 0,
            commitment: None,
            repair: None,
            quarantined: Vec::new(),
            members: vec![self.member_state(pod)],
        }
    }

    fn quarantine_texts(&self) -> Vec<String> {
        let listed = self.quarantined().into_iter().take(NODES_LISTED);
        listed.map(|quarantined| quarantined.to_string()).collect()
    }

    fn member_state(&self, pod: &Pod) -> MemberState {
        let seat = pod.seat().map(|seat| self.cluster.node_name(seat.node).clone());
        MemberState {
            pod: pod.fact.name.name.clone(),
            state: pod.standing().as_str(),
            node: seat.or_else(|| pod.fact.node.clone()),
        }
    }

    /// Gangs of which a member waits for this scheduler, in turn order.
    fn turns(&self) -> Vec<(Turn, GangId)> {
        let waiting =
            self.gangs.iter().filter(|(_, gang)| gang.tally.unplaced() > 0 && self.is_ours(gang));
        let mut turns: Vec<_> = waiting.map(|(id, _)| (self.turn_of(id), id)).collect();
        turns.sort();
        turns
    }

    /// The same, and gangs of which a member has a seat and waits for its volumes.
    fn turns_with_volumes(&self) -> Vec<(Turn, GangId)> {
        let mut turns = self.turns();
        let gangs = self.provisions.pods_waiting().filter_map(|pod| self.pods.get(pod).gang);
        turns.extend(gangs.map(|id| (self.turn_of(id), id)));
        turns.sort();
        turns.dedup();
        turns
    }

    fn is_ours(&self, gang: &Gang) -> bool {
        gang.tally.schedulers.iter().any(|(name, _)| self.settings.answers_to(name))
    }

    fn members_of_standing(&self, gang: &Gang, standing: Standing) -> Vec<Name> {
        let members = gang.members.iter().map(|id| self.pods.get(*id));
        members
            .filter(|pod| {
                pod.standing() == standing && self.settings.answers_to(&pod.fact.scheduler)
            })
            .map(|pod| pod.fact.name.name.clone())
            .collect()
    }
}

impl Identity {
    /// The kind of object that it is named after.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Plain(_) => "Pod",
            Self::Group(_) => "PodGroup",
        }
    }
}

fn nearest_miss(refusal: &Refusal) -> Option<String> {
    let miss = refusal.nearest.as_ref()?;
    let lacking: Vec<_> = miss
        .lacking
        .iter()
        .map(|(resource, amount)| format!("{amount}{} {resource}", unit(resource)))
        .collect();
    Some(format!("{} lacks {}", miss.node, lacking.join(", ")))
}

/// The unit in which amounts of a resource are counted, as Kubernetes writes it.
pub(super) fn unit(resource: &str) -> &'static str {
    if resource == "cpu" { "m" } else { "" }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)?;
        writeln!(
            f,
            ", priority {}, since {}, minimum {}",
            self.priority, self.since, self.minimum
        )?;
        if let Some(reason) = self.reason {
            writeln!(f, "  waits: {reason}")?;
        }
        if let Some(message) = &self.message {
            writeln!(f, "  {message}")?;
        }
        if let Some(next) = &self.next_try {
            writeln!(f, "  next try: {next}, or soon after its PodGroup or a member is edited")?;
        }
        if let Some(miss) = &self.nearest_miss {
            writeln!(f, "  nearest miss: {miss}")?;
        }
        if !self.cured_by.is_empty() {
            writeln!(f, "  could be cured by: {}", self.cured_by.join("; "))?;
        }
        if let Some((place, of)) = self.place_in_turn {
            writeln!(f, "  turn: {place} of {of} waiting")?;
        }
        if self.place_is_kept {
            writeln!(f, "  nodes are kept for it")?;
        }
        if let Some(commitment) = self.commitment {
            writeln!(f, "  binding: {commitment}, epoch {}", self.epoch)?;
        }
        if let Some(repair) = &self.repair {
            writeln!(f, "  repair: {repair}")?;
        }
        for node in &self.quarantined {
            writeln!(f, "  in quarantine: {node}")?;
        }
        if let Some(namesake) = &self.namesake {
            writeln!(f, "  {namesake}")?;
        }
        for member in &self.members {
            write!(f, "  {} {}", member.pod, member.state)?;
            match &member.node {
                Some(node) => writeln!(f, " {node}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
