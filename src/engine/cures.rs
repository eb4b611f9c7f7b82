//! Finds the parked lines that a change of the cluster could help, first in turn first, one at a time:
//! once what a change gave is taken, nobody else need hear of it. Plans nothing, and parks nobody.
//! Invariant: a change is kept until no parked line that was refused before it could be helped by it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::Engine;
use super::backlog::{Line, LineId, Need, Roles};
use super::decide::No;
use crate::base::id::Id;
use crate::cluster::Cluster;
use crate::cluster::change::Changes;
use crate::cluster::ids::{AskId, ResourceId, SignatureId};
use crate::planner::order::Turn;
use crate::planner::{Company, Hopes};
use crate::plugins::census::{Census, Waiting};
use crate::plugins::relation::is_related;

/// Where more changes than this are pending, a line of which one gang was placed is simply tried until it is
/// refused: to look for the next with every change would take longer.
const CHANGES_LOOKED_AT: usize = 4;

/// So often one cycle looks whether other pods stand in the way of a line that a change could help; each look may take a
/// pass over all nodes. After that lines are tried without it, of which a cycle tries a bounded number.
const LOOKS_PER_CYCLE: usize = 256;

/// A change that parked lines may profit from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// What changed.
    pub(super) changes: Changes,
    /// The version of the cluster with the change. A refusal of this version or a later one knows of it.
    pub(super) version: u64,
}

/// Who is helped first by each pending change.
#[derive(Clone, Debug, Default)]
pub(super) struct Cures {
    first: BinaryHeap<Reverse<Helped>>,
    /// How many of the pending changes were looked at.
    looked_at: usize,
    /// How often a parked line had got an earlier head by then.
    earlier_heads: u64,
    looks: Looks,
}

/// What was counted of other pods for lines of one pod, and how often more may be looked.
#[derive(Clone, Debug, Default)]
struct Looks {
    left: usize,
    /// The version of the cluster that was counted.
    version: u64,
    counted: FxHashMap<(AskId, SignatureId), Census>,
    hoped: FxHashMap<(Roles, u32), Hopes>,
}

impl Looks {
    /// What was counted serves all changes until somebody is placed.
    fn refresh(&mut self, cluster: &Cluster) {
        if self.version != cluster.version() {
            self.version = cluster.version();
            self.counted.clear();
            self.hoped.clear();
        }
    }
}

/// A parked line that a pending change could help.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Helped {
    /// The turn of the line's head.
    turn: Turn,
    line: LineId,
    /// Which of the pending changes.
    change: usize,
}

impl Engine {
    /// Remembers a change of the cluster until no parked line could be helped by it any more.
    pub(super) fn note(&mut self, changes: Changes) {
        // Before the first decision nobody is parked; a standby would remember without end.
        if self.synced && !changes.is_none() {
            self.changes.push(Pending { changes, version: self.cluster.version() });
        }
    }

    /// Looks for whom each pending change could help first.
    pub(super) fn look_for_cures(&mut self) {
        self.cures.first.clear();
        self.cures.looks = Looks { left: LOOKS_PER_CYCLE, ..Looks::default() };
        if !self.backlog.is_anyone_parked() {
            self.changes.clear();
        }
        merge_by_node(&mut self.changes);
        if let Some(latest) = self.changes.iter().map(|pending| pending.version).max() {
            self.activate_floored(latest);
        }
        self.activate_related();
        if self.cluster.relations().is_awake() && !self.changes.is_empty() {
            self.cluster.refresh_domains();
        }
        self.cures.looked_at = self.changes.len();
        self.find_first_helped();
    }

    /// Other pods that come and go help wherever they are: lines to whom those mean something are simply tried.
    fn activate_related(&mut self) {
        let moved = self.cluster.take_moved();
        if moved.is_none() {
            return;
        }
        for line in self.backlog.parked_related() {
            let row = self.backlog.line(line);
            let version = self.cluster.version();
            let refused = row.parked.as_ref().is_some_and(|no| no.version() < version);
            let helped = row.shape.roles.iter().any(|((ask, signature), _)| {
                let own = (*ask, self.cluster.ask(*ask));
                self.cluster.relations().could_help(&moved, own, *signature)
            });
            if refused && helped {
                self.backlog.activate(line);
            }
        }
    }

    /// Parked lines that ask for one of the resources are tried again: a DeviceClass says something new of it.
    pub(super) fn try_those_who_ask_for(&mut self, resources: &[ResourceId]) {
        if resources.is_empty() {
            return;
        }
        let asks = |line: &Line<No>| {
            let mut asks = line.shape.roles.iter().map(|((ask, _), _)| self.cluster.interned(*ask));
            asks.any(|ask| resources.iter().any(|resource| ask.need(*resource) > 0))
        };
        let parked = self.backlog.parked();
        let asking: Vec<LineId> = parked.filter(|(_, line)| asks(line)).map(|(id, _)| id).collect();
        for line in asking {
            self.backlog.activate(line);
        }
    }

    /// What is free in all counts towards a floor, on whichever node: such lines are simply tried.
    fn activate_floored(&mut self, latest: u64) {
        for line in self.backlog.parked_with_floor() {
            let refused = self.backlog.line(line).parked.as_ref();
            if refused.is_some_and(|no| no.version() < latest) {
                self.backlog.activate(line);
            }
        }
    }

    fn find_first_helped(&mut self) {
        self.cures.earlier_heads = self.backlog.earlier_heads();
        let mut looks = std::mem::take(&mut self.cures.looks);
        let changes = 0..self.cures.looked_at;
        let helped = changes.filter_map(|at| self.first_helped_by(at, &mut looks));
        self.cures.first = helped.map(Reverse).collect();
        self.cures.looks = looks;
    }

    /// The line to be tried next: the first in turn of those that are active or could be helped.
    pub(super) fn next_line(&mut self) -> Option<LineId> {
        let helped = self.first_helped();
        let turn = |line: &LineId| self.backlog.line(*line).head().0;
        [self.backlog.first(), helped].into_iter().flatten().min_by_key(turn)
    }

    /// A head was placed. Its line is activated if to look for who is helped next would be the longer way.
    pub(super) fn head_was_placed(&mut self, line: LineId) {
        if self.cures.looked_at > CHANGES_LOOKED_AT && self.backlog.known(line).is_some() {
            self.backlog.activate(line);
        }
    }

    /// Forgets the changes that help nobody any more.
    pub(super) fn forget_spent_changes(&mut self) {
        if self.cures.first.is_empty() {
            self.changes.drain(..std::mem::take(&mut self.cures.looked_at));
        }
    }

    /// The first in turn of the parked lines that could be helped as things stand now.
    fn first_helped(&mut self) -> Option<LineId> {
        if self.cures.earlier_heads != self.backlog.earlier_heads() {
            self.find_first_helped();
        }
        let mut looks = std::mem::take(&mut self.cures.looks);
        let mut first = None;
        while let Some(Reverse(helped)) = self.cures.first.peek() {
            if self.is_still_helped(helped, &mut looks) {
                first = Some(helped.line);
                break;
            }
            let change = helped.change;
            self.cures.first.pop();
            if let Some(next) = self.first_helped_by(change, &mut looks) {
                self.cures.first.push(Reverse(next));
            }
        }
        self.cures.looks = looks;
        first
    }

    fn is_still_helped(&self, helped: &Helped, looks: &mut Looks) -> bool {
        let Some(line) = self.backlog.known(helped.line) else { return false };
        let asks = line.shape.roles.iter().map(|((ask, _), _)| *ask);
        *line.head().0 == helped.turn
            && asks.into_iter().any(|ask| self.helps(helped.change, (ask, helped.line), looks))
    }

    /// True if a change could help a line that was refused before it to a place for one member.
    fn helps(&self, change: usize, (ask, line): (AskId, LineId), looks: &mut Looks) -> bool {
        let Pending { changes, version } = &self.changes[change];
        let Line { parked, shape, .. } = self.backlog.line(line);
        if parked.as_ref().is_none_or(|no| no.version() >= *version)
            || !self.planner.could_help(&self.cluster, changes, ask)
        {
            return false;
        }
        let Some(node) = changes.node else { return false };
        let kinds: Vec<(AskId, SignatureId)> = shape.roles.iter().map(|(kind, _)| *kind).collect();
        let is_alone = matches!(&shape.roles[..], [(_, 1)]);
        let Self { cluster, planner, .. } = self;
        // Other pods may stand in the way, of which the change tells nothing.
        kinds.iter().filter(|kind| kind.0 == ask).any(|kind| {
            if looks.left == 0 || !is_related(cluster, kind.0, kind.1) {
                return true;
            }
            looks.left -= 1;
            looks.refresh(cluster);
            let company = if is_alone {
                let counted = looks.counted.entry(*kind);
                Company::Alone(counted.or_insert_with(|| Census::take(cluster, &[*kind])))
            } else {
                let hoped =
                    looks.hoped.entry((shape.roles.clone(), shape.needed)).or_insert_with(|| {
                        let members: Vec<u32> =
                            shape.roles.iter().map(|(_, count)| *count).collect();
                        let waiting = Waiting { members: &members, needed: shape.needed };
                        planner.hopes(cluster, &kinds, waiting)
                    });
                Company::Gang { kinds: &kinds, hopes: hoped }
            };
            !planner.is_ruled_out(cluster, *kind, node, company)
        })
    }

    /// The parked line, first in turn, that a change could help.
    fn first_helped_by(&self, change: usize, looks: &mut Looks) -> Option<Helped> {
        let node = self.changes[change].changes.node?;
        if !self.cluster.node_exists(node) {
            return None;
        }
        let mut first: Option<(&Turn, LineId)> = None;
        for kind in (0..self.cluster.resources().len()).map(ResourceId::from_index) {
            let free = self.cluster.load().free(node, kind);
            for lines in self.backlog.parked_needing_at_most(kind, free) {
                let admits = |ask| self.planner.admits(&self.cluster, ask, node);
                if !lines.first().is_some_and(|(_, _, ask)| admits(*ask)) {
                    continue;
                }
                for (turn, line, ask) in lines {
                    if first.is_some_and(|(before, _)| before <= turn) {
                        break;
                    }
                    if self.helps(change, (*ask, *line), looks) {
                        first = Some((turn, *line));
                    }
                }
            }
        }
        first.map(|(turn, line)| Helped { turn: turn.clone(), line, change })
    }

    /// What the lines' asks need, so that they are found by what is free.
    pub(super) fn needs_of(&self, line: LineId) -> Vec<(Need, AskId)> {
        let need = |ask| {
            let interned = self.cluster.interned(ask);
            Need {
                kind: interned.packed_by,
                amount: interned.need(interned.packed_by),
                constraint: interned.constraint,
            }
        };
        let roles = self.backlog.line(line).shape.roles.iter();
        roles.map(|((ask, _), _)| (need(*ask), *ask)).collect()
    }
}

/// Leaves one change per node.
fn merge_by_node(changes: &mut Vec<Pending>) {
    if changes.len() < 2 {
        return;
    }
    changes.sort_by_key(|pending| pending.changes.node);
    changes.dedup_by(|later, earlier| {
        let same = later.changes.node == earlier.changes.node;
        if same {
            earlier.changes.absorb(&later.changes);
            earlier.version = earlier.version.max(later.version);
        }
        same
    });
}
