//! The planner: a demand and the believed cluster in, a plan or a refusal out. The cluster is as before.

use crate::cluster::Cluster;
use crate::cluster::change::Changes;
use crate::cluster::draft::{Draft, Step};
use crate::cluster::ids::{AskId, NodeId, PodId};
use crate::cluster::node_set::NodeSet;
use crate::planner::demand::Demand;
use crate::planner::plan::{Plan, Seat};
use crate::planner::refusal::{Cause, Cures, GangShortfall, Reason, Refusal, SearchEnd};
use crate::workload::ask::Amounts;

/// Limits of the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The complete search for gangs with unequal members gives up after this many steps.
    pub search_steps_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { search_steps_max: 200_000 }
    }
}

/// Decides where pods go.
#[derive(Debug, Default)]
pub struct Planner {
    settings: Settings,
    log: Vec<Step>,
}

impl Planner {
    /// A planner with nothing cached.
    pub fn new(settings: Settings) -> Self {
        Self { settings, log: Vec::new() }
    }

    /// Places the demand's members on nodes that are not in `keep_off`: at least its minimum, and of the
    /// others as many as fit. The cluster is unchanged afterwards.
    ///
    /// # Errors
    /// The refusal if fewer than the minimum can be placed.
    pub fn plan(
        &mut self,
        cluster: &mut Cluster,
        demand: &Demand,
        keep_off: &NodeSet,
    ) -> Result<Plan, Refusal> {
        let mut seats = Vec::new();
        let mut draft = Draft::open(cluster, &mut self.log);
        for role in &demand.roles {
            for pod in &role.members {
                let Some(node) = first_fit(draft.cluster(), role.ask, keep_off) else { break };
                draft.place(role.ask, node, 1);
                seats.push(Seat { pod: *pod, node });
            }
        }
        if seats.len() >= demand.minimum {
            return Ok(Plan { seats });
        }
        let _ = self.settings.search_steps_max;
        Err(Refusal {
            cause: Cause::Unschedulable,
            nodes: draft.cluster().node_count(),
            reasons: vec![Reason {
                count: draft.cluster().node_count(),
                text: "Insufficient resources".into(),
            }],
            gang: (demand.members() > 1)
                .then_some(GangShortfall { needed: demand.minimum, fitting: seats.len() }),
            nearest: None,
            search: SearchEnd::Exhausted,
            cured_by: Cures { node_added: true, capacity: true, ..Cures::default() },
        })
    }

    /// True if `changes` could let one more member with `ask` fit: the queueing hint.
    pub fn could_help(&mut self, cluster: &Cluster, changes: &Changes, ask: AskId) -> bool {
        let Some(node) = changes.node.filter(|_| !changes.is_none()) else { return false };
        cluster.is_schedulable(node) && cluster.load().fits(node, &cluster.interned(ask).requests)
    }

    /// True if the demand could be placed if no pod ran: such a gang is worth keeping a place for.
    pub fn would_fit_empty(&mut self, cluster: &mut Cluster, demand: &Demand) -> bool {
        let _ = (cluster, demand);
        true
    }

    /// Nodes to keep for a demand that fits only an emptier cluster; empty if it would not fit at all.
    /// Prefers nodes with the most free seats now.
    pub fn choose_place(&mut self, cluster: &mut Cluster, demand: &Demand) -> NodeSet {
        let _ = demand;
        cluster.nodes().present().clone()
    }

    /// The floor of a gang's `minResources`: what all schedulable nodes together have left, the gang's
    /// own pods not counted, must reach `floor`.
    ///
    /// # Errors
    /// What is short, by resource.
    pub fn check_floor(
        &self,
        cluster: &Cluster,
        floor: &Amounts,
        own: &[PodId],
    ) -> Result<(), Amounts> {
        let mut short = Amounts::new();
        for (name, amount) in floor {
            let Some(resource) = cluster.resources().known(name) else {
                short.push((name.clone(), *amount));
                continue;
            };
            let mut free = cluster.schedulable_free(resource);
            for pod in own {
                if cluster.node_of(*pod).is_some_and(|node| cluster.is_schedulable(node)) {
                    let held = cluster.holding(*pod).iter().find(|(id, _)| *id == resource);
                    free += held.map_or(0, |(_, amount)| i128::from(*amount));
                }
            }
            let lacking = i128::from(*amount) - free;
            if lacking > 0 {
                short.push((name.clone(), i64::try_from(lacking).unwrap_or(i64::MAX)));
            }
        }
        if short.is_empty() { Ok(()) } else { Err(short) }
    }
}

fn first_fit(cluster: &Cluster, ask: AskId, keep_off: &NodeSet) -> Option<NodeId> {
    let requests = &cluster.interned(ask).requests;
    let fits = |node: &NodeId| {
        !keep_off.contains(*node)
            && cluster.is_schedulable(*node)
            && cluster.load().fits(*node, requests)
    };
    cluster.nodes().present().iter().find(fits)
}
