//! Keeping a place: whether a demand would fit if no pod ran, and which nodes to keep for it then.
//! So that a big gang is not overtaken for ever by small ones.
//! Tries on a draft without pods; the cluster is as before afterwards. When to keep a place is the engine's to say.

use std::cmp::Reverse;

use crate::cluster::Cluster;
use crate::cluster::draft::{Draft, Edit};
use crate::cluster::ids::NodeId;
use crate::cluster::node_set::NodeSet;
use crate::planner::decide::{Planner, Room};
use crate::planner::demand::Demand;
use crate::plugins::node_resources_fit;

impl Planner {
    /// True if the demand could be placed if no pod ran: such a gang is worth keeping a place for.
    pub fn would_fit_empty(&mut self, cluster: &mut Cluster, demand: &Demand) -> bool {
        !self.choose_place(cluster, demand).is_empty()
    }

    /// Nodes to keep for a demand that has no room now: enough for its minimum once they are empty, those
    /// with most seats for it now. Empty if it would not fit on an empty cluster.
    pub fn choose_place(&mut self, cluster: &mut Cluster, demand: &Demand) -> NodeSet {
        if demand.roles.iter().any(|role| !cluster.ask(role.ask).unsupported.is_empty()) {
            return NodeSet::new();
        }
        let demand = &*demand.without_signatures_if_alone(cluster);
        self.refresh(cluster, demand);
        let candidates = self.by_seats_now(cluster, demand);
        let mut log: Vec<Edit> = Vec::new();
        let mut draft = Draft::open(cluster, &mut log);
        draft.remove_all();
        // The least number of candidates, best first, on which it fits; more nodes never fit less.
        let (mut too_few, mut enough) = (0, candidates.len() + 1);
        let mut place = NodeSet::new();
        while enough - too_few > 1 {
            let count =
                if enough > candidates.len() { candidates.len() } else { (too_few + enough) / 2 };
            let keep_off = candidates[count..].iter().copied().collect();
            match self.find_room(draft.cluster_mut(), demand, &keep_off) {
                Room::Enough => {
                    enough = count;
                    place = self.steps.iter().map(|step| step.node).collect();
                }
                Room::Short(_) => {
                    too_few = count;
                }
            }
        }
        place
    }

    /// The nodes that rules allow to some member, those with most seats now first.
    fn by_seats_now(&self, cluster: &Cluster, demand: &Demand) -> Vec<NodeId> {
        let mut allowed = NodeSet::new();
        for role in &demand.roles {
            allowed.unite_with(&self.verdicts.get(cluster.interned(role.ask).constraint).allowed);
        }
        let seats_now = |node: &NodeId| -> usize {
            let on_node = |role: &crate::planner::demand::Role| {
                let ask = cluster.interned(role.ask);
                if !self.verdicts.get(ask.constraint).allowed.contains(*node) {
                    return 0;
                }
                node_resources_fit::seats(ask, cluster, *node).min(role.members.len())
            };
            demand.roles.iter().map(on_node).sum()
        };
        let mut nodes: Vec<NodeId> = allowed.iter().collect();
        nodes.sort_by_cached_key(|node| (Reverse(seats_now(node)), *node));
        nodes
    }
}
