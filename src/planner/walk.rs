//! Walks the nodes with room for an ask, best rank first, over the load index: classes of points, then
//! bands of free amounts, then node order. Visits exactly what sorting all nodes by rank would visit.
//! Tries candidates one by one first; once many had no room, narrows all of them by set algebra.

use std::ops::ControlFlow;

use crate::cluster::Cluster;
use crate::cluster::asks::InternedAsk;
use crate::cluster::ids::NodeId;
use crate::cluster::load::Band;
use crate::cluster::node_set::NodeSet;
use crate::plugins::gpu_packing::{Rank, rank};
use crate::plugins::node_resources_fit;
use crate::plugins::points::Class;
use crate::plugins::verdict::Verdict;

/// After this many candidates without room, all of them are narrowed at once.
const MISSES_MAX: usize = 32;

/// A class of at most this many nodes is sorted instead of searched through the index.
const SMALL_CLASS: usize = 32;

/// Memory for walks. Nothing in it changes what the next one finds.
#[derive(Clone, Debug, Default)]
pub(super) struct Walk {
    /// Nodes with room, once narrowed.
    roomy: NodeSet,
    enough: NodeSet,
    candidates: NodeSet,
    ranked: Vec<(Rank, NodeId)>,
    /// Whether the walk before this one narrowed: the next is likely to do so too.
    has_narrowed: bool,
}

/// What a walk looks for and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) ask: &'a InternedAsk,
    pub(super) verdict: &'a Verdict,
    pub(super) keep_off: &'a NodeSet,
}

impl Wanted<'_> {
    fn has_room(&self, node: NodeId) -> bool {
        !self.keep_off.contains(node) && node_resources_fit::fits(self.ask, self.cluster, node)
    }
}

/// Whether candidates are still tried one by one.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Trying { misses: usize },
    Narrowed,
}

impl Walk {
    /// True if the last walk read the index of every kind: it should be up to date for the next.
    pub(super) const fn has_narrowed(&self) -> bool {
        self.has_narrowed
    }

    /// Calls `visit` with each allowed node that has room for one pod, best first, until it breaks.
    pub(super) fn run(
        &mut self,
        wanted: &Wanted<'_>,
        mut visit: impl FnMut(NodeId) -> ControlFlow<()>,
    ) {
        self.has_narrowed = false;
        let mut mode = Mode::Trying { misses: 0 };
        for class in &wanted.verdict.classes {
            let flow = if class.nodes.len() <= SMALL_CLASS {
                self.walk_small(wanted, class, &mut visit)
            } else {
                self.walk_class(wanted, class, &mut mode, &mut visit)
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn walk_small(
        &mut self,
        wanted: &Wanted<'_>,
        class: &Class,
        visit: &mut impl FnMut(NodeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let load = wanted.cluster.load();
        let roomy = class.nodes.iter().filter(|node| wanted.has_room(*node));
        self.ranked.clear();
        self.ranked.extend(
            roomy.map(|node| {
                (rank(class.points, load.free(node, wanted.ask.packed_by), node), node)
            }),
        );
        self.ranked.sort_unstable_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        self.ranked.iter().try_for_each(|(_, node)| visit(*node))
    }

    fn walk_class(
        &mut self,
        wanted: &Wanted<'_>,
        class: &Class,
        mode: &mut Mode,
        visit: &mut impl FnMut(NodeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if let Mode::Narrowed = mode {
            self.narrow_class(class);
        }
        let least = Band::of(wanted.ask.need(wanted.ask.packed_by));
        let index = wanted.cluster.load().bands(wanted.ask.packed_by);
        for (_, band) in index.bands_from(least) {
            let mut last_tried = None;
            if let Mode::Trying { misses } = mode {
                last_tried = try_one_by_one(wanted, class.nodes.common(band), misses, visit)?;
                if last_tried.is_none() {
                    continue;
                }
                self.narrow(wanted);
                self.narrow_class(class);
                *mode = Mode::Narrowed;
            }
            let rest = self.candidates.common(band).skip_while(|node| Some(*node) <= last_tried);
            for node in rest {
                visit(node)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Finds all nodes with room, whatever their class.
    fn narrow(&mut self, wanted: &Wanted<'_>) {
        self.has_narrowed = true;
        self.roomy.copy_from(&wanted.verdict.allowed);
        self.roomy.subtract(wanted.keep_off);
        for (resource, amount) in &wanted.ask.looked_for {
            self.enough.clear();
            wanted.cluster.load().nodes_with(*resource, *amount, &mut self.enough);
            self.roomy.intersect_with(&self.enough);
        }
    }

    fn narrow_class(&mut self, class: &Class) {
        self.candidates.copy_from(&class.nodes);
        self.candidates.intersect_with(&self.roomy);
    }
}

/// Visits the candidates with room until too many had none; gives the last one tried then.
fn try_one_by_one(
    wanted: &Wanted<'_>,
    candidates: impl Iterator<Item = NodeId>,
    misses: &mut usize,
    visit: &mut impl FnMut(NodeId) -> ControlFlow<()>,
) -> ControlFlow<(), Option<NodeId>> {
    for node in candidates {
        if wanted.has_room(node) {
            visit(node)?;
            continue;
        }
        *misses += 1;
        if *misses > MISSES_MAX {
            return ControlFlow::Continue(Some(node));
        }
    }
    ControlFlow::Continue(None)
}
