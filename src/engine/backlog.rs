//! The gangs that may be placed and are not yet. Gangs of equal shape form a line, since what is
//! refused for its head is refused for all behind it: only heads are tried, the best turn first.
//! A refused line is parked until a change could cure it. Invariants: a gang stands in one line or
//! none; no line is empty; a line is either active or parked.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasherDefault;

use priority_queue::PriorityQueue;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use super::gangs::GangId;
use super::order::WaitReason;
use crate::base::slab::Slab;
use crate::base::time::Time;
use crate::cluster::ids::{AskId, ConstraintId, ResourceId, SignatureId};
use crate::id_type;
use crate::planner::order::Turn;
use crate::workload::ask::Amounts;

id_type!(
    /// A line, for as long as somebody stands in it.
    LineId
);

/// How many wait of each ask and signature, in that order.
pub(super) type Roles = SmallVec<[((AskId, SignatureId), u32); 1]>;

/// Everything about a gang that the answer of the planner depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    /// Who waits.
    pub(super) roles: Roles,
    /// How many of them must be placed together.
    pub(super) needed: u32,
    /// What must be free before any search; empty where there is no floor.
    pub(super) floor: Amounts,
    /// The gang itself where members are expected on nodes: what is kept for them is in the way of all others.
    pub(super) nominated: Option<GangId>,
}

/// A gang's place in the backlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    /// Its line.
    pub(super) line: LineId,
    /// Its turn when it entered.
    pub(super) turn: Turn,
}

/// What an ask needs of one node at least: asks of one need differ in other kinds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    /// The scarcest kind that is asked for.
    pub(super) kind: ResourceId,
    /// How much of it.
    pub(super) amount: i64,
    /// What is asked of the node's object.
    pub(super) constraint: ConstraintId,
}

/// Parked lines with asks of one need, in the order of their heads' turns.
pub(super) type LinesInTurn = BTreeSet<(Turn, LineId, AskId)>;

/// Gangs of equal shape.
#[derive(Clone, Debug)]
pub(super) struct Line<No> {
    /// What they have in common.
    pub(super) shape: Shape,
    /// Who stands in it, in turn order.
    pub(super) gangs: BTreeMap<Turn, GangId>,
    /// Why it is parked; `None` while it is active.
    pub(super) parked: Option<No>,
    /// What its asks need, once it was parked.
    needs: Vec<(Need, AskId)>,
    /// Whether the shape would fit if no pod ran, and the version of the nodes it was asked of.
    pub(super) fits_empty: Option<(u64, bool)>,
    /// Who entered since it was refused last, and may have left again.
    fresh: SmallVec<[GangId; 1]>,
    /// What was said to all who stand in it; it goes with the line.
    pub(super) word: Word,
}

/// What was said to all who stand in a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// When it was said last, and for which reason.
    pub(super) told: Option<(Time, WaitReason)>,
    /// When it is said next.
    pub(super) due: Option<Time>,
}

impl<No> Line<No> {
    /// Who is tried first.
    #[inline]
    pub(super) fn head(&self) -> (&Turn, GangId) {
        let (turn, gang) = self.gangs.first_key_value().expect("no line is empty");
        (turn, *gang)
    }

    fn note_fresh(&mut self, gang: GangId) {
        // A line that is never refused must not remember everybody who passed through.
        if self.fresh.len() > 64 + 2 * self.gangs.len() {
            self.fresh.clear();
            self.fresh.extend(self.gangs.values().copied());
        } else {
            self.fresh.push(gang);
        }
    }
}

/// The waiting lines. `No` is what is remembered of a refusal.
#[derive(Clone, Debug)]
pub(super) struct Backlog<No> {
    lines: Slab<LineId, Line<No>>,
    by_shape: FxHashMap<Shape, LineId>,
    /// Active lines by the turn of their heads. The turn is a total order, so ties cannot occur.
    active: PriorityQueue<LineId, Reverse<Turn>, BuildHasherDefault<FxHasher>>,
    parked: BTreeSet<LineId>,
    /// Parked lines by what their asks need.
    by_need: BTreeMap<Need, LinesInTurn>,
    /// Those of them with a floor.
    floored: BTreeSet<LineId>,
    /// Those of them to whom other pods mean something.
    related: BTreeSet<LineId>,
    /// How often a parked line got an earlier head.
    earlier_heads: u64,
}

impl<No> Default for Backlog<No> {
    fn default() -> Self {
        Self {
            lines: Slab::new(),
            by_shape: FxHashMap::default(),
            active: PriorityQueue::with_hasher(BuildHasherDefault::default()),
            parked: BTreeSet::new(),
            by_need: BTreeMap::new(),
            floored: BTreeSet::new(),
            related: BTreeSet::new(),
            earlier_heads: 0,
        }
    }
}

impl<No> Backlog<No> {
    /// Lets a gang enter the line of its shape. A parked line stays parked.
    pub(super) fn enter(&mut self, gang: GangId, shape: Shape, turn: Turn) -> Queued {
        let line = if let Some(line) = self.by_shape.get(&shape) {
            *line
        } else {
            let row = Line {
                shape: shape.clone(),
                gangs: BTreeMap::new(),
                parked: None,
                needs: Vec::new(),
                fits_empty: None,
                fresh: SmallVec::new(),
                word: Word::default(),
            };
            let line = self.lines.insert(row);
            self.by_shape.insert(shape, line);
            line
        };
        let row = &mut self.lines[line];
        let leads = row.gangs.first_key_value().is_none_or(|(head, _)| turn < *head);
        let is_parked = row.parked.is_some();
        if is_parked && leads {
            self.unlist(line);
            self.earlier_heads += 1;
        }
        let row = &mut self.lines[line];
        let before = row.gangs.insert(turn.clone(), gang);
        assert!(before.is_none(), "two gangs of one turn");
        if !is_parked {
            row.note_fresh(gang);
        }
        match (is_parked, leads) {
            (true, true) => self.list(line),
            (false, true) => {
                self.active.push(line, Reverse(turn.clone()));
            }
            (true | false, false) => {}
        }
        Queued { line, turn }
    }

    /// Lets a gang go.
    pub(super) fn leave(&mut self, queued: &Queued) {
        let row = &mut self.lines[queued.line];
        let was_head = *row.head().0 == queued.turn;
        let is_parked = row.parked.is_some();
        if is_parked && was_head {
            self.unlist(queued.line);
        }
        let row = &mut self.lines[queued.line];
        row.gangs.remove(&queued.turn).expect("a queued gang stands in its line");
        if row.gangs.is_empty() {
            let row = self.lines.remove(queued.line).expect("the line was there");
            self.by_shape.remove(&row.shape);
            self.active.remove(&queued.line);
            self.parked.remove(&queued.line);
            self.floored.remove(&queued.line);
            self.related.remove(&queued.line);
        } else if was_head && is_parked {
            self.list(queued.line);
        } else if was_head {
            let next = row.head().0.clone();
            self.active.push(queued.line, Reverse(next));
        }
    }

    /// The active line whose head is first in turn.
    pub(super) fn first(&self) -> Option<LineId> {
        self.active.peek().map(|(line, _)| *line)
    }

    /// Parks an active line, whose asks have these needs, or notes a new refusal of a parked one. Returns
    /// who entered since the refusal before, of whom some may have left again.
    pub(super) fn park(
        &mut self,
        line: LineId,
        no: No,
        needs: Vec<(Need, AskId)>,
    ) -> SmallVec<[GangId; 1]> {
        let row = &mut self.lines[line];
        let fresh = std::mem::take(&mut row.fresh);
        if row.parked.replace(no).is_some() {
            return fresh;
        }
        row.needs = needs;
        if !row.shape.floor.is_empty() {
            self.floored.insert(line);
        }
        self.active.remove(&line);
        self.parked.insert(line);
        self.list(line);
        fresh
    }

    /// Lets a parked line be found by its needs, at the turn of its head.
    fn list(&mut self, line: LineId) {
        let row = &self.lines[line];
        for (need, ask) in &row.needs {
            let entry = (row.head().0.clone(), line, *ask);
            self.by_need.entry(*need).or_default().insert(entry);
        }
    }

    /// Takes a line out of where [`Self::list`] put it, before its head changes.
    fn unlist(&mut self, line: LineId) {
        let row = &self.lines[line];
        for (need, ask) in &row.needs {
            let lines = self.by_need.get_mut(need).expect("a listed line is under its needs");
            lines.remove(&(row.head().0.clone(), line, *ask));
            if lines.is_empty() {
                self.by_need.remove(need);
            }
        }
    }

    /// Parked lines of which an ask is packed by `kind` and needs at most so much of it, need by need.
    pub(super) fn parked_needing_at_most(
        &self,
        kind: ResourceId,
        amount: i64,
    ) -> impl Iterator<Item = &LinesInTurn> {
        let need = |amount, constraint| Need { kind, amount, constraint };
        let range = need(0, ConstraintId(0))..=need(amount.max(0), ConstraintId(u32::MAX));
        self.by_need.range(range).map(|(_, lines)| lines)
    }

    /// Parked lines with a floor, in id order.
    pub(super) fn parked_with_floor(&self) -> Vec<LineId> {
        self.floored.iter().copied().collect()
    }

    /// Notes that other pods mean something to a parked line.
    pub(super) fn note_related(&mut self, line: LineId) {
        self.related.insert(line);
    }

    /// Parked lines to whom other pods mean something, in id order.
    pub(super) fn parked_related(&self) -> Vec<LineId> {
        self.related.iter().copied().collect()
    }

    /// Moves when a parked line gets an earlier head.
    pub(super) const fn earlier_heads(&self) -> u64 {
        self.earlier_heads
    }

    /// Notes whether a line's shape would fit if no pod ran, for that version of the nodes.
    pub(super) fn note_fits_empty(&mut self, line: LineId, version: u64, fits: bool) {
        self.lines[line].fits_empty = Some((version, fits));
    }

    /// True if some line is parked.
    pub(super) fn is_anyone_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Makes a parked line active; returns why it was parked.
    pub(super) fn activate(&mut self, line: LineId) -> Option<No> {
        let row = &mut self.lines[line];
        let no = row.parked.take()?;
        let turn = row.head().0.clone();
        self.unlist(line);
        self.parked.remove(&line);
        self.floored.remove(&line);
        self.related.remove(&line);
        self.active.push(line, Reverse(turn));
        Some(no)
    }

    /// The line of `id`, which must exist.
    #[inline]
    pub(super) fn line(&self, id: LineId) -> &Line<No> {
        &self.lines[id]
    }

    /// The line of `id`, if it still exists.
    #[inline]
    pub(super) fn known(&self, id: LineId) -> Option<&Line<No>> {
        self.lines.get(id)
    }

    /// The line of `id`, if there is one: it may be another than the one that had this id before.
    #[inline]
    pub(super) fn known_mut(&mut self, id: LineId) -> Option<&mut Line<No>> {
        self.lines.get_mut(id)
    }

    /// What was said to all who stand in the line of `id`, which must exist.
    pub(super) fn word_mut(&mut self, id: LineId) -> &mut Word {
        &mut self.lines[id].word
    }

    /// Parked lines, in id order.
    pub(super) fn parked(&self) -> impl Iterator<Item = (LineId, &Line<No>)> {
        self.parked.iter().map(|id| (*id, &self.lines[*id]))
    }

    /// True if some line is active.
    pub(super) fn has_work(&self) -> bool {
        !self.active.is_empty()
    }

    /// Number of lines.
    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Backlog, GangId, LineId, Need, Shape};
    use crate::base::names::ObjectName;
    use crate::base::time::Time;
    use crate::cluster::ids::{AskId, ConstraintId, ResourceId, SignatureId};
    use crate::planner::order::{Claim, Turn};

    fn shape(ask: u32) -> Shape {
        let role = ((AskId(ask), SignatureId::NONE), 1);
        Shape { roles: [role].into_iter().collect(), needed: 1, floor: Vec::new(), nominated: None }
    }

    fn turn(since: i64) -> Turn {
        Turn {
            priority: 0,
            claim: Claim::New,
            since: Time(since),
            name: ObjectName::new("team", "gang"),
            uid: "uid".into(),
        }
    }

    #[test]
    fn the_best_head_of_all_active_lines_goes_first() {
        let mut backlog: Backlog<()> = Backlog::default();
        let late = backlog.enter(GangId(0), shape(0), turn(5));
        let early = backlog.enter(GangId(1), shape(1), turn(3));
        assert_eq!(backlog.first(), Some(early.line));
        let earliest = backlog.enter(GangId(2), shape(0), turn(1));
        assert_eq!(earliest.line, late.line, "equal shapes share a line");
        assert_eq!(backlog.first(), Some(late.line));
        backlog.leave(&earliest);
        assert_eq!(backlog.first(), Some(early.line), "a line moves back with its next head");
    }

    #[test]
    fn a_parked_line_stays_out_until_it_is_activated() {
        let mut backlog: Backlog<&str> = Backlog::default();
        let first = backlog.enter(GangId(0), shape(0), turn(1));
        backlog.park(first.line, "full", Vec::new());
        let second = backlog.enter(GangId(1), shape(0), turn(0));
        assert_eq!(backlog.first(), None, "who joins a refused line is refused");
        assert_eq!(backlog.activate(first.line), Some("full"));
        assert_eq!(backlog.line(first.line).head().1, GangId(1));
        backlog.leave(&second);
        backlog.leave(&first);
        assert_eq!((backlog.first(), backlog.lines()), (None, 0));
    }

    #[test]
    fn parked_lines_are_found_by_what_they_need_in_the_order_of_their_heads() {
        let need = |amount| Need { kind: ResourceId(3), amount, constraint: ConstraintId(0) };
        let mut backlog: Backlog<()> = Backlog::default();
        let found = |backlog: &Backlog<()>, amount| -> Vec<LineId> {
            let needs = backlog.parked_needing_at_most(ResourceId(3), amount);
            needs.flatten().map(|(_, line, _)| *line).collect()
        };
        let late = backlog.enter(GangId(0), shape(0), turn(5));
        let early = backlog.enter(GangId(1), shape(1), turn(3));
        let big = backlog.enter(GangId(2), shape(2), turn(1));
        for (queued, amount) in [(&late, 1), (&early, 1), (&big, 8)] {
            backlog.park(queued.line, (), vec![(need(amount), AskId(0))]);
        }
        assert_eq!(found(&backlog, 0), []);
        assert_eq!(found(&backlog, 1), [early.line, late.line]);
        assert_eq!(found(&backlog, 8), [early.line, late.line, big.line], "need by need");
        assert_eq!(found(&backlog, -1), []);
        // A new head moves its line forward, and says so; when it leaves, the line moves back.
        let heads = backlog.earlier_heads();
        let first = backlog.enter(GangId(3), shape(0), turn(2));
        assert_eq!(found(&backlog, 1), [late.line, early.line]);
        assert_ne!(backlog.earlier_heads(), heads);
        backlog.leave(&first);
        assert_eq!(found(&backlog, 1), [early.line, late.line]);
        // Who is active, or gone, is not found.
        backlog.activate(early.line);
        assert_eq!(found(&backlog, 1), [late.line]);
        backlog.leave(&late);
        assert_eq!(found(&backlog, 8), [big.line]);
    }
}
