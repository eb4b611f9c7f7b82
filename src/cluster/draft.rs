//! A draft: a reversible edit of the believed cluster. Searches try placements on it; dropping it, or
//! rolling back to a mark, restores every free amount and index exactly. Nothing is cloned.

use super::ids::{AskId, NodeId};
use super::state::Cluster;

/// A trial in progress. The cluster is as before once it is dropped.
#[derive(Debug)]
pub struct Draft<'a> {
    cluster: &'a mut Cluster,
    log: &'a mut Vec<Step>,
    base: usize,
}

/// One edit: `count` pods with `ask` placed on `node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub node: NodeId,
    /// What each of them takes.
    pub ask: AskId,
    /// How many.
    pub count: u32,
}

/// A point to roll back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl<'a> Draft<'a> {
    /// Begins a trial. `log` is memory to reuse; what it holds already stays untouched.
    pub const fn open(cluster: &'a mut Cluster, log: &'a mut Vec<Step>) -> Self {
        let base = log.len();
        Self { cluster, log, base }
    }

    /// The cluster as the trial has it now.
    pub const fn cluster(&self) -> &Cluster {
        self.cluster
    }

    /// Places `count` pods with `ask` on `node`, whether they fit or not.
    pub fn place(&mut self, ask: AskId, node: NodeId, count: u32) {
        let step = Step { node, ask, count };
        shift(self.cluster, step, -1);
        self.log.push(step);
    }

    /// What was placed so far.
    pub fn steps(&self) -> &[Step] {
        &self.log[self.base..]
    }

    /// A point to come back to.
    pub const fn mark(&self) -> Mark {
        Mark(self.log.len())
    }

    /// Undoes everything since `mark`.
    pub fn roll_back(&mut self, mark: Mark) {
        while self.log.len() > mark.0 {
            let step = self.log.pop().expect("the log is longer than the mark");
            shift(self.cluster, step, 1);
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.roll_back(Mark(self.base));
    }
}

fn shift(cluster: &mut Cluster, step: Step, sign: i64) {
    let requests = cluster.asks.get(step.ask).requests.clone();
    cluster.shift_free(step.node, &requests, sign * i64::from(step.count));
}
