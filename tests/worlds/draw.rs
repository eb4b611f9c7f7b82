//! What a seed draws: nodes, gangs and single pods as they arrive, schedulers, and how bad the network is until when.
//! What people, machines, and other schedulers do to them is in `mischief`. Nothing here runs anything.

use std::time::Duration;

use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

use crate::mischief::mischief;
use crate::network::Right;
use crate::network::Trap;
use crate::network::Weather;
use crate::volumes;

/// After this, the network is fair, and nobody dies or meddles any more.
pub(crate) const HEALED: Duration = Duration::from_secs(90);

/// Something that happens to the world.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Creates an object in the collection at a path.
    Create(String, Value),
    /// Deletes what is at a path, if it is there.
    Delete(String),
    /// Merges a patch into what is at a path, if it is there.
    Patch(String, Value),
    /// Another scheduler binds a member of a gang that waits, to this node.
    BindElsewhere(String),
    /// A person does this to the record of a gang's plan, if there is one.
    Record(Meddling),
    /// A scheduler's process ends, and another starts in its place after a while.
    End(Victim, Ending, Duration),
    /// A scheduler's process stands still for so long.
    Freeze(Victim, Duration),
    /// The process that makes a certain call dies of it.
    Arm(Trap),
    /// The calendars of new processes and of the API server are so many seconds off from now on.
    Calendar(i64),
    /// The schedulers have this right no more, or again.
    Right(Right, Grant),
    /// A webhook rejects each bind of this pod, until all is healed.
    Webhook(String),
    /// The network changes.
    Weather(Weather),
    /// etcd is backed up.
    Backup,
    /// The backup takes the place of what there is: versions go back, and watches end.
    Restore,
    /// Every watch is told that its version is too old.
    ExpireWatches,
    /// Every right is given back, every trap disarmed, and webhooks reject nobody but these pods.
    Heal(Vec<String>),
}

/// Whether a right is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    Taken,
    Given,
}

/// What a person does to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meddling {
    /// Deletes it.
    Delete,
    /// Writes that it is undone, by the way that the API lets it go.
    CallAborting,
    /// Writes that it is bound.
    CallBound,
    /// Writes a later plan that nobody made, with members that nobody can read.
    Garble,
    /// Puts a label on it, which matters to nobody.
    Label,
}

/// Which scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// Whoever holds the lease.
    Leader,
    /// The one in this place.
    Place(usize),
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGKILL: its kernel closes what it had open.
    Killed,
    /// Its machine is gone: nobody hears anything.
    Silent,
    /// SIGTERM.
    Told,
}

/// What a process does with a lease that it cannot renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nerve {
    /// It stops in time, by its own clock.
    Sound,
    /// Its clock stands still with it, as that of a suspended machine: it wakes and believes that it still leads.
    Sleeper,
}

/// A scheduler, in one place for as long as the world lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheduler {
    pub(crate) nerve: Nerve,
    /// How fast its clock goes, in percent: by it, it counts its lease and the limits of its requests.
    pub(crate) rate: i64,
}

/// A world before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// What happens when, in order of time.
    pub(crate) script: Vec<(Duration, Act)>,
    /// How the network is at first.
    pub(crate) weather: Weather,
    /// The schedulers.
    pub(crate) schedulers: Vec<Scheduler>,
    /// From one recount to the next.
    pub(crate) recount: Duration,
    /// Pods that stay rejected by a webhook for ever.
    pub(crate) rejected: Vec<String>,
}

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// Whatever the seed draws.
    Bad,
    /// The same without volumes, which were not drawn yet when most of what was found was found.
    AsFound,
    /// Nothing: the network is fair, one process leads, and nobody meddles.
    Good,
}

/// The collection of nodes.
pub(crate) const NODES: &str = "/api/v1/nodes";
/// The collection of pods.
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
/// The collection of Jobs.
pub(crate) const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const LABELLED: &str = "/apis/scheduling.x-k8s.io/v1alpha1/namespaces/default/podgroups";
const NATIVE: &str = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups";

/// A gang as drawn.
#[derive(Clone, Debug)]
pub(crate) struct Gang {
    pub(crate) name: String,
    pub(crate) native: bool,
    pub(crate) members: u64,
    pub(crate) gpus: u64,
    /// Whether a Job makes its pods.
    pub(crate) owned: bool,
    /// The PodGroup.
    pub(crate) group: Value,
}

/// A world while it is being drawn.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) random: &'a mut Random,
    pub(crate) script: Vec<(Duration, Act)>,
    pub(crate) nodes: Vec<Value>,
    pub(crate) gangs: Vec<Gang>,
    /// Pods that nobody makes again.
    pub(crate) bare: Vec<String>,
    pub(crate) rejected: Vec<String>,
}

/// Draws a world.
pub(crate) fn draw(seed: u64, random: &mut Random, luck: Luck) -> Drawn {
    let weather = match luck {
        Luck::Bad | Luck::AsFound => weather(random),
        Luck::Good => Weather::FAIR,
    };
    let mut draft = Draft {
        random,
        script: Vec::new(),
        nodes: Vec::new(),
        gangs: Vec::new(),
        bare: Vec::new(),
        rejected: Vec::new(),
    };
    for index in 0..2 + draft.random.below(3) {
        draft.node(index);
    }
    for index in 0..1 + draft.random.below(4) {
        draft.gang(index);
    }
    for index in 0..draft.random.below(4) {
        draft.solo(index);
    }
    let mut schedulers = vec![Scheduler { nerve: Nerve::Sound, rate: 100 }];
    if luck != Luck::Good {
        schedulers = draft.schedulers();
        mischief(&mut draft, schedulers.len());
        if draft.random.chance(30) {
            draft.outage(weather);
        }
    }
    let recount = Duration::from_secs(*draft.random.pick(&[25, 70, 600]));
    draft.script.push((HEALED, Act::Weather(Weather::FAIR)));
    let rejected = draft.rejected.clone();
    draft.script.push((HEALED, Act::Heal(rejected)));
    draft.script.push((HEALED, Act::ExpireWatches));
    let Draft { mut script, nodes, gangs, rejected, .. } = draft;
    if luck == Luck::Bad {
        volumes::add(seed, &mut script, &nodes, &gangs);
    }
    script.sort_by_key(|(at, _)| *at);
    Drawn { script, weather, schedulers, recount, rejected }
}

/// Each fault is drawn alone, so that many worlds have only a few of them.
fn weather(random: &mut Random) -> Weather {
    let mut rate = |most: u64| if random.chance(50) { random.below(most + 1) } else { 0 };
    let (slow, refused, lost, unanswered) = (rate(10), rate(30), rate(20), rate(20));
    let (repeated, cut, stalled) = (rate(20), rate(10), rate(3));
    let delay = Duration::from_micros(*random.pick(&[100, 5_000, 50_000]));
    let lag = Duration::from_micros(*random.pick(&[100, 20_000, 2_000_000]));
    Weather { delay, slow, refused, lost, unanswered, repeated, cut, stalled, lag, outage: false }
}

impl Draft<'_> {
    /// A moment within the first seconds.
    pub(crate) fn moment(&mut self, seconds: u64) -> Duration {
        Duration::from_millis(self.random.below(seconds * 1000))
    }

    /// Something happens then.
    pub(crate) fn at(&mut self, when: Duration, act: Act) {
        self.script.push((when, act));
    }

    fn node(&mut self, index: u64) {
        let gpus = (2 + self.random.below(7)).to_string();
        let offered =
            json!({"cpu": "64", "memory": "256Gi", "pods": "110", "nvidia.com/gpu": gpus});
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{index}")},
            "status": {"capacity": offered, "allocatable": offered},
        });
        self.nodes.push(node.clone());
        self.at(Duration::ZERO, Act::Create(NODES.into(), node));
    }

    fn solo(&mut self, index: u64) {
        let name = format!("solo-{index}");
        let gpus = self.random.below(5);
        let pod = self.pod(&name, None, gpus);
        let at = self.moment(60);
        self.at(at, Act::Create(PODS.into(), pod));
        self.bare.push(name);
    }

    fn schedulers(&mut self) -> Vec<Scheduler> {
        let count = if self.random.chance(25) { 3 } else { 2 };
        let sleepers = self.random.chance(25);
        let nerve = |random: &mut Random| match sleepers && random.chance(60) {
            true => Nerve::Sleeper,
            false => Nerve::Sound,
        };
        let uneven = self.random.chance(25);
        let rate =
            |random: &mut Random| if uneven { *random.pick(&[50, 80, 125, 200]) } else { 100 };
        let scheduler = |_| Scheduler { nerve: nerve(self.random), rate: rate(self.random) };
        (0..count).map(scheduler).collect()
    }

    fn outage(&mut self, weather: Weather) {
        let begin = self.moment(60);
        let end = begin + self.moment(25);
        self.at(begin, Act::Weather(Weather { outage: true, ..weather }));
        self.at(end, Act::Weather(weather));
    }

    fn gang(&mut self, index: u64) {
        let name = format!("gang-{index}");
        let minimum = 2 + self.random.below(3);
        let members = minimum + self.random.below(2);
        let gpus = 1 + self.random.below(4);
        let native = self.random.chance(40);
        let (version, mut spec) = if native {
            let spec = json!({"schedulingPolicy": {"gang": {"minCount": minimum}}});
            ("scheduling.k8s.io/v1beta1", spec)
        } else {
            ("scheduling.x-k8s.io/v1alpha1", json!({"minMember": minimum}))
        };
        if !native && self.random.chance(40) {
            spec["scheduleTimeoutSeconds"] = json!(2 + self.random.below(30));
        }
        let group = json!({"apiVersion": version, "kind": "PodGroup", "metadata": {"name": name}, "spec": spec});
        let begin = self.moment(50);
        let owned = self.random.chance(50);
        let gang = Gang { name, native, members, gpus, owned, group };
        self.at(begin, Act::Create(gang.collection().into(), gang.group.clone()));
        if owned {
            self.job(&gang, begin);
        } else {
            for member in 0..members {
                let name = format!("{}-{member}", gang.name);
                let pod = self.pod(&name, Some(&gang), gpus);
                let at = begin + self.moment(3);
                self.at(at, Act::Create(PODS.into(), pod));
                self.bare.push(name);
            }
        }
        self.gangs.push(gang);
    }

    fn job(&mut self, gang: &Gang, begin: Duration) {
        let pod = self.pod(&gang.name, Some(gang), gang.gpus);
        let metadata = json!({"labels": pod["metadata"]["labels"], "annotations": pod["metadata"]["annotations"]});
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": gang.name},
            "spec": {
                "parallelism": gang.members, "completions": gang.members, "backoffLimit": 1000,
                "template": {"metadata": metadata, "spec": pod["spec"]},
            },
        });
        self.at(begin, Act::Create(JOBS.into(), job));
    }

    /// A pod that asks for GPUs.
    pub(crate) fn pod(&mut self, name: &str, gang: Option<&Gang>, gpus: u64) -> Value {
        let mut limits = json!({"cpu": "1"});
        if gpus > 0 {
            limits["nvidia.com/gpu"] = json!(gpus.to_string());
        }
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {}, "annotations": {}},
            "spec": {
                "schedulerName": "muster", "restartPolicy": "Never",
                "terminationGracePeriodSeconds": self.random.below(10),
                "containers": [{"name": "main", "image": "pause", "resources": {"limits": limits, "requests": limits}}],
            },
        });
        match gang {
            None => {}
            Some(gang) if gang.native => {
                pod["spec"]["schedulingGroup"] = json!({"podGroupName": gang.name});
            }
            Some(gang) => {
                pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = json!(gang.name);
            }
        }
        if self.random.chance(40) {
            let runs = format!("{}s", 1 + self.random.below(90));
            pod["metadata"]["annotations"]["muster.dev/runs-for"] = json!(runs);
        }
        pod
    }
}

impl Gang {
    /// Where PodGroups like its own are.
    pub(crate) fn collection(&self) -> &'static str {
        if self.native { NATIVE } else { LABELLED }
    }

    /// The patch that makes its minimum another.
    pub(crate) fn minimum_patch(&self, minimum: u64) -> Value {
        if self.native {
            json!({"spec": {"schedulingPolicy": {"gang": {"minCount": minimum}}}})
        } else {
            json!({"spec": {"minMember": minimum}})
        }
    }
}
