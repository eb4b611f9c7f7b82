//! Jobs of a trace as the facts that a cluster would tell: PodGroups and pods that come, are bound, and go.
//! Uids are `JOB-MEMBER`, so that an order leads back to its job without a table.
//! Decides nothing, and knows no time beyond what the trace tells. A job of one pod has no PodGroup.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::cluster::facts::GroupFact;
use crate::cluster::facts::GroupName;
use crate::cluster::facts::GroupSource;
use crate::cluster::facts::GroupStatus;
use crate::cluster::facts::NodeFact;
use crate::cluster::facts::PodFact;
use crate::cluster::facts::PodPhase;
use crate::engine::event::Event;
use crate::sim::replay::policy::SCHEDULER_NAME;
use crate::sim::traces::Job;
use crate::sim::traces::Role;
use crate::workload::ask::Ask;
use crate::workload::ask::SharedAsk;
use crate::workload::constraints::Toleration;
use crate::workload::constraints::TolerationOperator;
use crate::workload::scored::Counted;

/// The resource that jobs ask for.
const GPU: &str = "nvidia.com/gpu";

/// The namespace of all jobs.
const NAMESPACE: &str = "trace";

/// A member of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Index of the job in the trace.
    pub(super) job: usize,
    /// Index of the member in the job, role by role.
    pub(super) member: u64,
}

impl Member {
    /// Reads back what [`Member::uid`] wrote.
    pub(super) fn of_uid(uid: &str) -> Self {
        let parts = uid
            .split_once('-')
            .and_then(|(job, member)| Some((job.parse().ok()?, member.parse().ok()?)));
        let (job, member) = parts.expect("every uid of this world is JOB-MEMBER");
        Self { job, member }
    }

    fn uid(self) -> Name {
        format!("{}-{}", self.job, self.member).into()
    }

    /// The role of this member.
    pub(super) fn role(self, job: &Job) -> Role {
        let mut before = 0;
        let role = job.roles.iter().find(|role| {
            before += u64::from(role.pods);
            self.member < before
        });
        *role.expect("a member belongs to a role of its job")
    }
}

/// The asks of a trace, one for each number of GPUs.
#[derive(Debug, Default)]
pub(super) struct Asks {
    by_gpus: BTreeMap<u32, SharedAsk>,
}

impl Asks {
    fn of(&mut self, gpus: u32) -> SharedAsk {
        let new = || {
            Arc::new(Ask {
                requests: vec![(GPU.into(), i64::from(gpus))],
                tolerations: vec![Toleration {
                    key: GPU.into(),
                    operator: TolerationOperator::Exists,
                    value: "".into(),
                    effect: None,
                }],
                ..Ask::default()
            })
        };
        self.by_gpus.entry(gpus).or_insert_with(new).clone()
    }
}

/// GPUs that a node offers.
pub(super) fn gpus_of(node: &NodeFact) -> u64 {
    let amount =
        node.allocatable.iter().find(|(name, _)| &**name == GPU).map_or(0, |(_, amount)| *amount);
    u64::try_from(amount).unwrap_or(0)
}

/// A job is submitted: its PodGroup, where it has several members, and its pods.
pub(super) fn arrival(asks: &mut Asks, job: &Job, index: usize) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some(name) = group_name(job) {
        events.push(Event::Group(Box::new(group(job, index, name))));
    }
    events.extend(members(job, index).map(|member| Event::Pod(Box::new(pod(asks, job, member)))));
    events
}

/// A job has ended: its pods and its PodGroup are gone.
pub(super) fn departure(job: &Job, index: usize) -> Vec<Event> {
    let pods = members(job, index)
        .map(|member| Event::PodGone { name: pod_name(job, member), uid: member.uid() });
    let mut events: Vec<Event> = pods.collect();
    events.extend(group_name(job).map(|name| Event::GroupGone { name, uid: group_uid(index) }));
    events
}

/// A member as it is after its bind: on `node`, running.
pub(super) fn bound(asks: &mut Asks, job: &Job, member: Member, node: Name) -> PodFact {
    PodFact {
        node: Some(node),
        phase: PodPhase::Running,
        resource_version: 2,
        ..pod(asks, job, member)
    }
}

fn members(job: &Job, index: usize) -> impl Iterator<Item = Member> {
    (0..job.pods()).map(move |member| Member { job: index, member })
}

fn pod_name(job: &Job, member: Member) -> ObjectName {
    if job.pods() == 1 {
        return ObjectName::new(NAMESPACE, &job.name);
    }
    ObjectName::new(NAMESPACE, &format!("{}-{}", job.name, member.member))
}

/// A job of one pod needs no group.
fn group_name(job: &Job) -> Option<GroupName> {
    (job.pods() > 1).then(|| GroupName {
        name: ObjectName::new(NAMESPACE, &job.name),
        source: GroupSource::Coscheduling,
    })
}

fn group_uid(index: usize) -> Name {
    format!("group-{index}").into()
}

fn pod(asks: &mut Asks, job: &Job, member: Member) -> PodFact {
    PodFact {
        name: pod_name(job, member),
        uid: member.uid(),
        resource_version: 1,
        created: job.submitted,
        scheduler: SCHEDULER_NAME.into(),
        labels: Arc::default(),
        group: group_name(job),
        priority: 0,
        node: None,
        nominated: None,
        phase: PodPhase::Pending,
        reason: None,
        deleting: false,
        gates: Vec::new(),
        ask: asks.of(member.role(job).gpus_per_pod),
        held: None,
        held_counted: Counted::NONE,
        controller: None,
        selected_by: None,
        pinned_to_node: false,
        malformed: None,
    }
}

fn group(job: &Job, index: usize, name: GroupName) -> GroupFact {
    GroupFact {
        name,
        uid: group_uid(index),
        resource_version: 1,
        generation: 1,
        created: job.submitted,
        minimum: Some(u32::try_from(job.pods()).expect("formats limit the pods of a job")),
        min_resources: Vec::new(),
        schedule_timeout: None,
        priority: None,
        unsupported: Vec::new(),
        malformed: None,
        commit: None,
        status: GroupStatus::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::Member;
    use crate::base::time::Span;
    use crate::base::time::Time;
    use crate::sim::traces::Job;
    use crate::sim::traces::Role;

    #[test]
    fn a_uid_leads_back_to_the_member_and_its_role() {
        let job = Job {
            name: "job".to_owned(),
            submitted: Time::EPOCH,
            duration: Span::seconds(1),
            roles: vec![Role { pods: 2, gpus_per_pod: 8 }, Role { pods: 1, gpus_per_pod: 4 }],
        };
        let gpus = |member| Member { job: 7, member }.role(&job).gpus_per_pod;
        assert_eq!([gpus(0), gpus(1), gpus(2)], [8, 8, 4]);
        let member = Member { job: 7, member: 2 };
        assert_eq!(Member::of_uid(&member.uid()), member);
    }
}
