//! A draft: a reversible edit of the believed cluster. Searches try placements and departures on it;
//! dropping it, or rolling back to a mark, restores every free amount and index exactly.
//! Nothing is cloned. Facts never come in while a draft is open: it borrows the cluster.

use super::asks::Requests;
use super::ids::{AskId, NodeId, PodId, SignatureId};
use super::state::Cluster;

/// A trial in progress. The cluster is as before once it is dropped.
#[derive(Debug)]
pub struct Draft<'a> {
    cluster: &'a mut Cluster,
    log: &'a mut Vec<Edit>,
    base: usize,
}

/// `count` pods with `ask` placed on `node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub node: NodeId,
    /// What each of them takes.
    pub ask: AskId,
    /// Which selectors match each of them.
    pub signature: SignatureId,
    /// How many.
    pub count: u32,
}

/// One edit, as the log keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Pods were placed.
    Place(Step),
    /// A pod was taken off its node.
    Remove(PodId),
    /// Room was kept for pods: what they ask for, and nothing of what they mean to others.
    Hold(Step),
    /// Pods were met: what they mean to others, and nothing of what they ask for.
    Meet(Step),
}

/// A point to roll back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl<'a> Draft<'a> {
    /// Begins a trial. `log` is memory to reuse; what it holds already stays untouched.
    pub const fn open(cluster: &'a mut Cluster, log: &'a mut Vec<Edit>) -> Self {
        let base = log.len();
        Self { cluster, log, base }
    }

    /// The cluster as the trial has it now.
    pub const fn cluster(&self) -> &Cluster {
        self.cluster
    }

    /// The same, for searches that leave it as they find it.
    pub const fn cluster_mut(&mut self) -> &mut Cluster {
        self.cluster
    }

    /// Places pods, whether they fit or not.
    pub fn place(&mut self, step: Step) {
        apply(self.cluster, Edit::Place(step), Direction::Do);
        self.log.push(Edit::Place(step));
    }

    /// Keeps room for pods that may come, whether there is any or not.
    pub fn hold(&mut self, step: Step) {
        apply(self.cluster, Edit::Hold(step), Direction::Do);
        self.log.push(Edit::Hold(step));
    }

    /// Counts pods that may come for what they mean to others: ports, labels, terms, and volumes that they use; what
    /// their claims would get is not promised.
    pub fn meet(&mut self, step: Step) {
        apply(self.cluster, Edit::Meet(step), Direction::Do);
        self.log.push(Edit::Meet(step));
    }

    /// Takes a pod off its node. The caller takes each pod off once.
    pub fn remove(&mut self, pod: PodId) {
        apply(self.cluster, Edit::Remove(pod), Direction::Do);
        self.log.push(Edit::Remove(pod));
    }

    /// Takes every pod off its node.
    pub fn remove_all(&mut self) {
        let nodes: Vec<NodeId> = self.cluster.nodes.known().map(|(id, _)| id).collect();
        for node in nodes {
            for at in 0..self.cluster.pods.on(node).len() {
                self.remove(self.cluster.pods.on(node)[at].pod);
            }
        }
    }

    /// A point to come back to.
    pub const fn mark(&self) -> Mark {
        Mark(self.log.len())
    }

    /// Undoes everything since `mark`.
    pub fn roll_back(&mut self, mark: Mark) {
        while self.log.len() > mark.0 {
            let edit = self.log.pop().expect("the log is longer than the mark");
            apply(self.cluster, edit, Direction::Undo);
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.roll_back(Mark(self.base));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Do,
    Undo,
}

fn apply(cluster: &mut Cluster, edit: Edit, direction: Direction) {
    let sign = if direction == Direction::Do { 1 } else { -1 };
    match edit {
        Edit::Place(step) => {
            let count = sign * i64::from(step.count);
            let requests: Requests = cluster.asks.get(step.ask).requests.clone();
            cluster.shift_free(step.node, &requests, -count);
            let counted = cluster.asks.get(step.ask).counted;
            cluster.counts.shift(step.node, counted, count);
            cluster.relations.shift(&cluster.asks, step, count);
            cluster.shift_volumes(step, count);
        }
        Edit::Hold(step) => {
            let requests: Requests = cluster.asks.get(step.ask).requests.clone();
            cluster.shift_free(step.node, &requests, -sign * i64::from(step.count));
        }
        Edit::Meet(step) => {
            cluster.relations.shift(&cluster.asks, step, sign * i64::from(step.count));
            cluster.shift_mounts(step, sign * i64::from(step.count));
        }
        Edit::Remove(pod) => {
            let node = cluster.node_of(pod).expect("only placed pods are taken off");
            let requests: Requests = cluster.holding(pod).into();
            cluster.shift_free(node, &requests, sign);
            let counted = cluster.counted_by(pod);
            cluster.counts.shift(node, counted, -sign);
            cluster.relations.shift_pod(&cluster.asks, pod, node, -sign);
            cluster.shift_volumes_of(pod, node, -sign);
        }
    }
}
