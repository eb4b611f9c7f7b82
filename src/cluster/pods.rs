//! What each placed pod holds, and where. Rows are indexed by the engine's pod ids.

use super::asks::Requests;
use super::ids::{AskId, NodeId, PodId};
use crate::base::id::Id;

/// What a pod holds on its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// Exactly what its ask says.
    Ask(AskId),
    /// Something else (resized in place), by resource.
    Amounts(Box<Requests>),
}

/// A placed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) node: NodeId,
    pub(super) holding: Holding,
}

/// All placed pods.
#[derive(Clone, Debug, Default)]
pub(super) struct Pods {
    rows: Vec<Option<Placement>>,
}

impl Pods {
    pub(super) fn get(&self, pod: PodId) -> Option<&Placement> {
        self.rows.get(pod.index())?.as_ref()
    }

    pub(super) fn put(&mut self, pod: PodId, placement: Placement) {
        let at = pod.index();
        if self.rows.len() <= at {
            self.rows.resize(at + 1, None);
        }
        self.rows[at] = Some(placement);
    }

    pub(super) fn take(&mut self, pod: PodId) -> Option<Placement> {
        self.rows.get_mut(pod.index())?.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Placement> {
        self.rows.iter().flatten()
    }
}
