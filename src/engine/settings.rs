//! What an operator may set about the engine, resolved: every field has a value and a unit.
//! The configuration file is read elsewhere; nothing here is optional or textual.
//! Plain values; whether they are within their limits is checked where the file is read.

use std::sync::Arc;

use crate::base::names::Name;
use crate::base::time::Span;
use crate::cluster::facts::{PodFact, SelectingKind};
use crate::planner;
use crate::workload::ask::Ask;
use crate::workload::profile::Profile;

/// The engine's settings. `Settings::default()` is what the documentation calls the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The `spec.schedulerName`s that this engine schedules. Default: `muster`.
    pub scheduler_names: Vec<Name>,
    /// Whether pods that name no scheduler are scheduled. Default: they are left alone;
    /// a real API server fills the name in, a manifest on its way to `simulate` may lack it.
    pub unnamed_scheduler: UnnamedScheduler,
    /// Wait before the first new attempt of a gang whose binding failed. Default: 1 s, as kube-scheduler.
    pub backoff_initial: Span,
    /// The wait doubles with each failure in a row up to this. Default: 10 s, as kube-scheduler.
    pub backoff_max: Span,
    /// How long the binding of a gang may take where its group does not say. Default: 60 s, as coscheduling.
    pub schedule_timeout: Span,
    /// How long the claims of a pod may take to be bound once it has a seat. Default: 600 s, as kube-scheduler.
    pub volume_timeout: Span,
    /// A bind of which nobody knows what became of it is ordered again after this; the same bind again
    /// does no harm. The pause doubles with each time. Default: 1 s.
    pub doubt_initial: Span,
    /// The doubling of `doubt_initial` ends here. Default: 10 s.
    pub doubt_max: Span,
    /// How long a gang that lost members waits for replacements. Default: 300 s, for which pods stay on a
    /// node that fell silent.
    pub repair_timeout: Span,
    /// What becomes of it then. Default: it is restarted whole.
    pub after_repair: AfterRepair,
    /// A node that turned a pod away takes no new pods for so long. Default: 10 s.
    pub quarantine_initial: Span,
    /// The quarantine doubles with each time in a row up to this. Default: 600 s.
    pub quarantine_max: Span,
    /// A gang refused for so long, though the cluster without running pods would hold it,
    /// gets a place kept. Default: 300 s.
    pub overtaking_after: Span,
    /// Whether conditions, events, and group status are composed at all. Default: they are.
    pub notices: Notices,
    /// Nothing is said about a gang that is younger than this: it may be about to be bound. Default: 500 ms.
    pub notice_after: Span,
    /// A message about the cluster of which only the text changed is said again no sooner than this
    /// after the last; the wait doubles with each repetition. For messages about the gang's own
    /// members the wait grows from `notice_after` to this. Default: 10 s.
    pub notice_again_after: Span,
    /// The doubling of `notice_again_after` ends here. Default: 300 s.
    pub notice_again_max: Span,
    /// The status of one PodGroup is written at most once in this time. Default: 1 s.
    pub group_status_every: Span,
    /// At most so many notices leave one cycle; the rest follow after `notice_pause`. Default: 500.
    pub notices_per_cycle: usize,
    /// Rest between two cycles that were full of notices. Default: 100 ms.
    pub notice_pause: Span,
    /// At most so many planning attempts in one cycle. Default: 256.
    pub attempts_per_cycle: usize,
    /// A cycle ends once it has placed so many pods (the gang that reaches it is placed whole). Default: 4096.
    pub placed_per_cycle: usize,
    /// Records of plans that were undone, or whose gang has no living pod, are kept for this long. Default: 600 s.
    pub records_kept: Span,
    /// How this scheduler calls itself in the records that it writes. Default: `muster`.
    pub identity: Name,
    /// Profiles other than the default one, by the scheduler that pods name. Default: none.
    pub profiles: Vec<(Name, Arc<Profile>)>,
    /// Limits of the planner.
    pub planner: planner::Settings,
}

/// What becomes of pods that name no scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnnamedScheduler {
    /// They are somebody else's.
    LeftAlone,
    /// They are scheduled as if they named one of `scheduler_names`.
    Adopted,
}

/// What becomes of a gang whose lost members were not replaced in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRepair {
    /// What is left of it is evicted where controllers make it again, and it starts over.
    Restart,
    /// It stays as it is.
    Hold,
}

/// Whether notices are composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notices {
    /// Conditions, events, and group status are told.
    Told,
    /// Conditions and group status are told, and no events: on a busy cluster they are half of all writes.
    WithoutEvents,
    /// Nobody listens (a replay of a trace); no work is spent on them.
    Silent,
}

impl Notices {
    /// Whether events are among them.
    pub const fn with_events(self) -> bool {
        match self {
            Self::Told => true,
            Self::WithoutEvents | Self::Silent => false,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scheduler_names: vec!["muster".into()],
            unnamed_scheduler: UnnamedScheduler::LeftAlone,
            backoff_initial: Span::seconds(1),
            backoff_max: Span::seconds(10),
            schedule_timeout: Span::seconds(60),
            volume_timeout: Span::seconds(600),
            doubt_initial: Span::seconds(1),
            doubt_max: Span::seconds(10),
            repair_timeout: Span::seconds(300),
            after_repair: AfterRepair::Restart,
            quarantine_initial: Span::seconds(10),
            quarantine_max: Span::seconds(600),
            overtaking_after: Span::seconds(300),
            notices: Notices::Told,
            notice_after: Span::milliseconds(500),
            notice_again_after: Span::seconds(10),
            notice_again_max: Span::seconds(300),
            group_status_every: Span::seconds(1),
            notices_per_cycle: 500,
            notice_pause: Span::milliseconds(100),
            attempts_per_cycle: 256,
            placed_per_cycle: 4096,
            records_kept: Span::seconds(600),
            identity: "muster".into(),
            profiles: Vec::new(),
            planner: planner::Settings::default(),
        }
    }
}

impl Settings {
    /// Gives the pod's ask the profile of its scheduler, if that is not the default one.
    pub(super) fn apply_profile(&self, fact: &mut PodFact) {
        let Some((_, profile)) = self.profiles.iter().find(|(name, _)| *name == fact.scheduler)
        else {
            return;
        };
        let ask = Arc::make_mut(&mut fact.ask);
        ask.profile = Some(profile.clone());
        if profile.turns_off("DynamicResources") {
            ask.unsupported.retain(|field| !field.starts_with("spec.resourceClaims"));
        }
    }

    /// The kinds of object of which it has to know whom they select: all, where a profile spreads pods that say nothing of
    /// it, and else none.
    pub fn selecting_kinds(&self) -> &'static [SelectingKind] {
        let spreads = |(_, profile): &(Name, Arc<Profile>)| profile.default_spread.is_some();
        if self.profiles.iter().any(spreads) { &SelectingKind::ALL } else { &[] }
    }

    /// How long the claims of a pod may take to be bound once it has a seat.
    pub(super) fn volume_timeout_of(&self, ask: &Ask) -> Span {
        let own = ask.profile.as_ref().and_then(|profile| profile.bind_timeout);
        own.unwrap_or(self.volume_timeout)
    }

    /// True if some profile ranks nodes by kube-scheduler's scores.
    pub fn ranks_by_scores(&self) -> bool {
        self.profiles.iter().any(|(_, profile)| profile.weighing.is_some())
    }

    /// True if a pod that names `scheduler` is this engine's to schedule.
    pub fn answers_to(&self, scheduler: &str) -> bool {
        if scheduler.is_empty() {
            return self.unnamed_scheduler == UnnamedScheduler::Adopted;
        }
        self.scheduler_names.iter().any(|name| &**name == scheduler)
    }
}
