//! The planner: a demand and the believed cluster in, a plan or a refusal out; the cluster is as before.
//! Equal members are placed by one walk over the load index, which is complete for them. Members that
//! differ are placed big ones first; if that leaves some without a seat, by the complete search.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use smallvec::SmallVec;

use crate::cluster::Cluster;
use crate::cluster::draft::{Draft, Edit, Step};
use crate::cluster::ids::{AskId, NodeId, PodId, SignatureId};
use crate::cluster::node_set::NodeSet;
use crate::planner::beside;
use crate::planner::careful::{self, RoleSeat, Trial};
use crate::planner::demand::{Demand, Role};
use crate::planner::diagnose;
use crate::planner::exact::{End, Found, Goal, Need, Problem, Seats, Steps};
use crate::planner::plan::{Plan, Seat};
use crate::planner::refusal::{Cause, Certainty, GangShortfall, Refusal, SearchEnd};
use crate::planner::walk::{Walk, Wanted};
use crate::plugins::relation::{Newcomer, is_placed_carefully, is_related, is_wishing};
use crate::plugins::verdict::Verdicts;
use crate::plugins::{self, node_resources_fit};
use crate::workload::ask::Amounts;

/// Limits of the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The complete search for gangs whose members differ gives up after this many combinations.
    pub search_steps_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { search_steps_max: 200_000 }
    }
}

/// The minimum may cost a whole search; members beyond it, which can come later, so much less.
const EXTRAS_SHARE: u64 = 10;

/// Decides where pods go.
#[derive(Debug, Default)]
pub struct Planner {
    pub(super) settings: Settings,
    pub(super) verdicts: Verdicts,
    pub(super) walk: Walk,
    pub(super) steps: Vec<Step>,
    /// The same seats in the order in which they must be taken, where the careful search found them.
    in_order: Vec<RoleSeat>,
    log: Vec<Edit>,
    no_nodes: NodeSet,
}

/// Room that was found for a demand's members.
#[derive(Debug)]
pub(super) enum Room {
    /// For at least the minimum; `Planner::steps` says where.
    Enough,
    /// For fewer.
    Short(Shortage),
}

/// How far a search came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shortage {
    /// Members with room.
    pub(super) fitting: usize,
    pub(super) certainty: Certainty,
    pub(super) search: SearchEnd,
}

impl Planner {
    /// A planner with nothing cached.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Places the demand's members on nodes that are not in `keep_off`: at least its minimum, and of the
    /// others as many as fit beside them (members that differ: as many as a bounded search finds).
    /// The cluster is unchanged afterwards.
    ///
    /// # Errors
    /// The refusal if fewer than the minimum can be placed (or none was found, as it then says).
    pub fn plan(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
    ) -> Result<Plan, Refusal> {
        if let Some(refusal) = diagnose::unsupported(cluster, demand) {
            return Err(refusal);
        }
        let demand = &*demand.without_signatures_if_alone(cluster);
        if demand.expected.is_empty() {
            return self.plan_here(cluster, demand, keep_off);
        }
        let mut log = Vec::new();
        let mut draft = Draft::open(cluster, &mut log);
        demand.expected.iter().for_each(|expected| draft.hold(expected.step()));
        self.plan_here(draft.cluster_mut(), demand, keep_off)
    }

    /// The same where room is kept for those who are expected.
    fn plan_here(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
    ) -> Result<Plan, Refusal> {
        self.refresh(cluster, demand);
        match self.find_room(cluster, demand, keep_off) {
            Room::Enough if self.in_order.is_empty() => Ok(plan_of(demand, &mut self.steps)),
            Room::Enough => Ok(plan_in_order(demand, &self.in_order)),
            Room::Short(shortage) => Err(self.refuse(cluster, demand, keep_off, shortage)),
        }
    }

    /// The floor of a gang's `minResources`: what all schedulable nodes together have left, the gang's
    /// own pods not counted, must reach `floor`.
    ///
    /// # Errors
    /// What is short, by resource, in the order of `floor`.
    pub fn check_floor(
        &self,
        cluster: &Cluster,
        floor: &Amounts,
        own: &[PodId],
    ) -> Result<(), Amounts> {
        let mut short = Amounts::new();
        for (name, amount) in floor {
            let lacking = i128::from(*amount) - free_without(cluster, name, own);
            if lacking > 0 {
                short.push((name.clone(), i64::try_from(lacking).unwrap_or(i64::MAX)));
            }
        }
        if short.is_empty() { Ok(()) } else { Err(short) }
    }

    pub(super) fn refresh(&mut self, cluster: &Cluster, demand: &Demand) {
        for role in &demand.roles {
            self.verdicts.refresh(cluster, cluster.interned(role.ask).constraint);
        }
        // A demand with more roles than verdicts are kept: the first ones may be gone again.
        for role in &demand.roles {
            let constraint = cluster.interned(role.ask).constraint;
            if self.verdicts.current(cluster, constraint).is_none() {
                self.verdicts.refresh(cluster, constraint);
            }
        }
    }

    /// Looks for room; where it is goes to `self.steps`, also if it is too little.
    pub(super) fn find_room(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
    ) -> Room {
        self.steps.clear();
        self.in_order.clear();
        let is_careful = |role: &Role| is_placed_carefully(cluster, role.ask, role.signature);
        let meets = demand.meets_anybody(cluster);
        if meets || demand.roles.iter().any(is_careful) {
            cluster.refresh_domains();
            let room = self.find_room_carefully(cluster, demand, keep_off);
            let is_related = |role: &Role| is_related(cluster, role.ask, role.signature);
            match &room {
                // To be placed well goes behind being placed: the search that follows is complete for such members.
                Room::Short(_) if !meets && !demand.roles.iter().any(is_related) => {
                    self.steps.clear();
                    self.in_order.clear();
                }
                Room::Short(_) | Room::Enough => return room,
            }
        }
        match &demand.roles[..] {
            [role] => self.find_room_for_equals(cluster, role, demand.minimum, keep_off),
            _ => self.find_room_for_mixed(cluster, demand, keep_off),
        }
    }

    /// Looks for room where members mean something to other pods, so that each must be judged beside those
    /// before it.
    fn find_room_carefully(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
    ) -> Room {
        if let [role] = &demand.roles[..]
            && role.members.len() == 1
            && demand.expected.is_empty()
            && !is_wishing(cluster, role.ask, role.signature)
        {
            return self.find_room_for_one(cluster, role, keep_off);
        }
        let candidates = demand.roles.iter().map(|role| self.ranked(cluster, role, keep_off));
        let candidates = candidates.collect();
        let mut order: Vec<usize> = (0..demand.roles.len()).collect();
        order.sort_by_cached_key(|role| hardness(cluster, demand.roles[*role].ask));
        let mut log = std::mem::take(&mut self.log);
        let meets = demand.meets_anybody(cluster);
        let mut trial = Trial::open(cluster, &mut log, (demand, &self.verdicts), candidates);
        trial.fill(&order);
        let (least, most) = (demand.minimum, demand.members());
        let greedy = trial.seats().len();
        let bound = self.settings.search_steps_max;
        let mut end = careful::End::Proved;
        // Where nodes are only ranked, another search follows, which is complete for such members.
        let related = |role: &Role| is_related(trial.cluster(), role.ask, role.signature);
        let searches = meets || demand.roles.iter().any(related);
        if greedy < most && searches {
            let mut steps = if greedy >= least { bound / EXTRAS_SHARE } else { bound };
            let goal = if greedy >= least { most } else { least };
            end = trial.search(&order, goal, &mut steps);
            trial.fill(&order);
        }
        self.in_order = trial.seats();
        drop(trial);
        self.log = log;
        let step = |(role, node): &RoleSeat| {
            let Role { ask, signature, .. } = demand.roles[*role];
            Step { node: *node, ask, signature, count: 1 }
        };
        self.steps.extend(self.in_order.iter().map(step));
        let fitting = self.in_order.len();
        if fitting >= least {
            return Room::Enough;
        }
        Room::Short(match end {
            careful::End::Proved => {
                Shortage { fitting, certainty: Certainty::AtMost, search: SearchEnd::Exhausted }
            }
            careful::End::OutOfSteps => Shortage {
                fitting,
                certainty: Certainty::AtLeast,
                search: SearchEnd::Bound { steps: bound },
            },
        })
    }

    /// The best node that takes a pod that is alone, and the walk ends there.
    fn find_room_for_one(
        &mut self,
        cluster: &mut Cluster,
        role: &Role,
        keep_off: &NodeSet,
    ) -> Room {
        cluster.catch_up();
        let census = careful::take_census(cluster, std::slice::from_ref(role));
        let ask = cluster.interned(role.ask);
        let verdict = self.verdicts.get(ask.constraint);
        let newcomer = Newcomer { cluster, ask, census: &census, role: 0 };
        let in_order = &mut self.in_order;
        self.walk.run(&Wanted { cluster, ask, verdict, keep_off }, |node| {
            if !plugins::admits_beside(&newcomer, node) {
                return ControlFlow::Continue(());
            }
            in_order.push((0, node));
            ControlFlow::Break(())
        });
        let Some((_, node)) = self.in_order.first() else {
            let (certainty, search) = (Certainty::AtMost, SearchEnd::Exhausted);
            return Room::Short(Shortage { fitting: 0, certainty, search });
        };
        let Role { ask, signature, .. } = *role;
        self.steps.push(Step { node: *node, ask, signature, count: 1 });
        Room::Enough
    }

    /// The nodes that could take one member of the role if it meant nothing to others, best first.
    fn ranked(&mut self, cluster: &mut Cluster, role: &Role, keep_off: &NodeSet) -> Vec<NodeId> {
        cluster.catch_up();
        let ask = cluster.interned(role.ask);
        let verdict = self.verdicts.get(ask.constraint);
        let mut nodes = Vec::new();
        self.walk.run(&Wanted { cluster, ask, verdict, keep_off }, |node| {
            nodes.push(node);
            ControlFlow::Continue(())
        });
        nodes
    }

    fn find_room_for_equals(
        &mut self,
        cluster: &mut Cluster,
        role: &Role,
        minimum: usize,
        keep_off: &NodeSet,
    ) -> Room {
        let fitting = self.walk_role(cluster, role.ask, role.members.len(), keep_off);
        if fitting >= minimum {
            return Room::Enough;
        }
        Room::Short(Shortage {
            fitting,
            certainty: Certainty::AtMost,
            search: SearchEnd::Exhausted,
        })
    }

    /// Seats up to `members` members by one walk, adding to `self.steps`; says how many. Filling a node
    /// before going on is what seating one after the other would do: a node never gets worse by filling.
    fn walk_role(
        &mut self,
        cluster: &mut Cluster,
        ask: AskId,
        members: usize,
        keep_off: &NodeSet,
    ) -> usize {
        if !cluster.load().is_current(cluster.interned(ask).packed_by) || self.walk.has_narrowed() {
            cluster.catch_up();
        }
        let interned = cluster.interned(ask);
        let verdict = self.verdicts.get(interned.constraint);
        let wanted = Wanted { cluster, ask: interned, verdict, keep_off };
        let steps = &mut self.steps;
        let mut left = members;
        self.walk.run(&wanted, |node| {
            let seats = if left == 1 {
                1
            } else {
                node_resources_fit::seats(interned, cluster, node).min(left)
            };
            steps.push(Step { node, ask, signature: SignatureId::NONE, count: seats as u32 });
            left -= seats;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        members - left
    }

    fn find_room_for_mixed(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
    ) -> Room {
        let counts: Vec<(AskId, usize)> =
            demand.roles.iter().map(|role| (role.ask, role.members.len())).collect();
        let greedy = self.fill_greedily(cluster, &counts, keep_off);
        let (least, most) = (demand.minimum, demand.members());
        if greedy == most {
            return Room::Enough;
        }
        let bound = self.settings.search_steps_max;
        let steps_max = if greedy >= least { bound / EXTRAS_SHARE } else { bound };
        let bounded = Room::Short(Shortage {
            fitting: greedy,
            certainty: Certainty::AtLeast,
            search: SearchEnd::Bound { steps: bound },
        });
        let otherwise = if greedy >= least { Room::Enough } else { bounded };
        if !Problem::is_writable(cluster, counts.len(), steps_max) {
            return otherwise;
        }
        let needs =
            counts.iter().map(|(ask, count)| Need { ask: *ask, count: *count as u32 }).collect();
        let verdicts = &self.verdicts;
        let allowed = |ask, node| {
            let verdict = verdicts.get(cluster.interned(ask).constraint);
            verdict.allowed.contains(node) && !keep_off.contains(node)
        };
        let problem = Problem::new(cluster, needs, allowed);
        let mut steps = Steps(steps_max);
        let more = problem.solve(Goal { least: least.max(greedy + 1), most }, &mut steps);
        match (more.seats, more.end) {
            (Some(seats), _) => {
                self.take_seats(seats);
                Room::Enough
            }
            (None, End::Proved) if greedy < least => {
                let below = Goal { least: greedy + 1, most: least - 1 };
                self.shortage(greedy, problem.solve(below, &mut steps))
            }
            (None, End::Proved | End::OutOfSteps) => otherwise,
        }
    }

    /// The minimum has no room, that is proved; `found` says for how many more than `greedy` there is.
    fn shortage(&mut self, greedy: usize, found: Found) -> Room {
        let fitting = found.seats.map_or(greedy, |seats| self.take_seats(seats));
        let certainty = match found.end {
            End::Proved => Certainty::AtMost,
            End::OutOfSteps => Certainty::AtLeast,
        };
        Room::Short(Shortage { fitting, certainty, search: SearchEnd::Exhausted })
    }

    /// Makes what a search found the room that was found; says for how many members it is.
    fn take_seats(&mut self, seats: Seats) -> usize {
        self.steps.clear();
        let step = |(node, ask, count)| Step { node, ask, signature: SignatureId::NONE, count };
        self.steps.extend(seats.into_iter().map(step));
        self.steps.iter().map(|step| step.count as usize).sum()
    }

    /// Adds seats to `self.steps`, hard members first, until none is left or none fits. Says how many
    /// members have a seat then.
    fn fill_greedily(
        &mut self,
        cluster: &mut Cluster,
        counts: &[(AskId, usize)],
        keep_off: &NodeSet,
    ) -> usize {
        let mut log = std::mem::take(&mut self.log);
        let mut draft = Draft::open(cluster, &mut log);
        let mut left: Vec<(AskId, usize)> = counts.to_vec();
        left.sort_unstable();
        for step in &self.steps {
            draft.place(*step);
            let role = left.binary_search_by_key(&step.ask, |(ask, _)| *ask);
            left[role.expect("seats are for roles")].1 -= step.count as usize;
        }
        left.sort_by_cached_key(|(ask, _)| hardness(draft.cluster(), *ask));
        for (ask, count) in left.iter().filter(|(_, count)| *count > 0) {
            let first = self.steps.len();
            self.walk_role(draft.cluster_mut(), *ask, *count, keep_off);
            for step in &self.steps[first..] {
                draft.place(*step);
            }
        }
        drop(draft);
        self.log = log;
        self.steps.iter().map(|step| step.count as usize).sum()
    }

    fn refuse(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
        shortage: Shortage,
    ) -> Refusal {
        if let Some(refusal) = diagnose::devices_unallocated(cluster, demand) {
            return refusal;
        }
        let mut refusal = self.explain(cluster, demand, keep_off, shortage);
        if !keep_off.is_empty() {
            let no_nodes = std::mem::take(&mut self.no_nodes);
            if let Room::Enough = self.find_room(cluster, demand, &no_nodes) {
                refusal.cause = Cause::KeptForAnother;
            }
            self.no_nodes = no_nodes;
        }
        refusal
    }

    /// Says why the next member has no room beside those in `self.steps`.
    fn explain(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
        shortage: Shortage,
    ) -> Refusal {
        let mut log = std::mem::take(&mut self.log);
        let mut draft = Draft::open(cluster, &mut log);
        for step in &self.steps {
            draft.place(*step);
        }
        draft.cluster_mut().catch_up();
        let mut seated: BTreeMap<(AskId, SignatureId), usize> = BTreeMap::new();
        for step in &self.steps {
            *seated.entry((step.ask, step.signature)).or_default() += step.count as usize;
        }
        let is_unplaced = |role: &&Role| {
            let seated = seated.get(&(role.ask, role.signature));
            seated.copied().unwrap_or(0) < role.members.len()
        };
        let unplaced = demand.roles.iter().filter(is_unplaced);
        let hardest = unplaced.min_by_key(|role| hardness(draft.cluster(), role.ask));
        let role = hardest.expect("the demand is larger than what fits");
        let verdict = self.verdicts.get(draft.cluster().interned(role.ask).constraint);
        let met = beside::rejections(&mut draft, role, &demand.expected);
        let cluster = draft.cluster();
        let ask = cluster.interned(role.ask);
        let wanted = Wanted { cluster, ask, verdict, keep_off };
        let related = !met.is_empty() || is_related(cluster, role.ask, role.signature);
        let census = related.then(|| careful::take_census(cluster, std::slice::from_ref(role)));
        let newcomer = census.as_ref().map(|census| Newcomer { cluster, ask, census, role: 0 });
        let gang = (demand.members() > 1).then_some(GangShortfall {
            needed: demand.minimum,
            fitting: shortage.fitting,
            certainty: shortage.certainty,
        });
        let refusal =
            diagnose::unschedulable(&wanted, (newcomer.as_ref(), &met), gang, shortage.search);
        drop(draft);
        self.log = log;
        refusal
    }
}

/// Orders asks by how hard they are to seat: those for scarce kinds first, of these the biggest first, of these
/// those that want something of other pods.
fn hardness(cluster: &Cluster, ask: AskId) -> impl Ord + use<> {
    let interned = cluster.interned(ask);
    let class = cluster.resources().class(interned.packed_by);
    let rest: i128 = interned.looked_for.iter().map(|(_, amount)| i128::from(*amount)).sum();
    let is_free = interned.ask.relations.is_none();
    (class, -interned.need(interned.packed_by), -rest, is_free, interned.ask.clone())
}

fn free_without(cluster: &Cluster, name: &str, own: &[PodId]) -> i128 {
    let Some(resource) = cluster.resources().known(name) else { return 0 };
    let counts =
        |pod: &&PodId| cluster.node_of(**pod).is_some_and(|node| cluster.is_schedulable(node));
    let held_by_own = own.iter().filter(counts).flat_map(|pod| cluster.holding(*pod));
    let returned: i128 =
        held_by_own.filter(|(id, _)| *id == resource).map(|(_, amount)| i128::from(*amount)).sum();
    cluster.schedulable_free(resource) + returned
}

/// Names the members for the seats that were found, role by role, each role's members in their order.
fn plan_of(demand: &Demand, steps: &mut [Step]) -> Plan {
    // Stable: within a role the best nodes stay first.
    steps.sort_by_key(|step| step.ask);
    let mut seats = SmallVec::new();
    for role in &demand.roles {
        let first = steps.partition_point(|step| step.ask < role.ask);
        let of_role = steps[first..].iter().take_while(|step| step.ask == role.ask);
        let nodes = of_role.flat_map(|step| std::iter::repeat_n(step.node, step.count as usize));
        seats.extend(role.members.iter().zip(nodes).map(|(pod, node)| Seat { pod: *pod, node }));
    }
    Plan { seats }
}

/// Names the members for seats that must be taken in this order.
fn plan_in_order(demand: &Demand, seats: &[RoleSeat]) -> Plan {
    let mut members: Vec<_> = demand.roles.iter().map(|role| role.members.iter()).collect();
    let seats = seats.iter().map(|(role, node)| {
        let pod = members[*role].next().expect("no role has more seats than members");
        Seat { pod: *pod, node: *node }
    });
    Plan { seats: seats.collect() }
}
