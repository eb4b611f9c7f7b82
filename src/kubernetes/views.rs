//! What was told of the objects of one kind: who exists, in which version. Pure.
//! Turns a relist into the difference that it makes (by uid, since a name may be taken again), and drops what is
//! older than what is known; a recount compares it with a list that was taken aside.
//! Compact: versions and names only, never objects; names are shared with the facts.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::HashSet;

use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Time;

/// The objects of one kind.
#[derive(Debug, Default)]
pub struct View {
    known: HashMap<Name, Known>,
    /// Counts the lists; an object that the running list has not shown carries an older number.
    round: u32,
    listing: bool,
    /// Counts the recounts, in the same way.
    recount: u32,
    /// The highest version of any object so far.
    highest: u64,
    /// The same when the running recount began.
    recount_floor: u64,
}

/// What is remembered of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Namespace and name.
    pub name: ObjectName,
    /// The latest version that was seen; 0 where the server gives none.
    pub version: u64,
    /// Pods: `metadata.generation`.
    pub generation: i64,
    /// When it was first seen.
    pub seen: Time,
    /// Pods: whether the condition `PodScheduled` is `False` already.
    pub said_to_wait: bool,
    /// Pods: `spec.schedulerName`.
    pub scheduler: Option<Name>,
    round: u32,
    recount: u32,
}

/// How an object that was just seen relates to what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It says something new, or may do so.
    New,
    /// It is older than what is known: a watch replayed the past.
    Stale,
    /// A list shows an older version than a watch did before: the server went back in time (a restored backup).
    WentBack,
}

/// How an object that a recount lists relates to what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It is known in this very version.
    Same,
    /// A later version is known: the watch is ahead of the list.
    Ahead,
    /// It is not known, or only in an earlier version: the watch is behind, or has lost it.
    Behind,
}

/// Where an object was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a list.
    List,
    /// In a watch.
    Watch,
}

impl View {
    /// A list begins.
    pub fn begin(&mut self) {
        self.round += 1;
        self.listing = true;
    }

    /// True while a list is being taken in.
    pub const fn is_listing(&self) -> bool {
        self.listing
    }

    /// Compares a version of the object `uid` with what is known. Call before the object is translated.
    pub fn judge(&mut self, uid: &str, version: u64, origin: Origin) -> Freshness {
        let round = self.round;
        let Some(known) = self.known.get_mut(uid) else { return Freshness::New };
        known.round = round;
        match (version < known.version, origin) {
            (false, Origin::List | Origin::Watch) => Freshness::New,
            (true, Origin::Watch) => Freshness::Stale,
            (true, Origin::List) => Freshness::WentBack,
        }
    }

    /// Remembers an object that was told at `now`.
    pub fn remember(
        &mut self,
        uid: &Name,
        name: &ObjectName,
        version: u64,
        now: Time,
    ) -> &mut Known {
        let (round, recount) = (self.round, self.recount);
        self.highest = self.highest.max(version);
        let known = self.known.entry(uid.clone()).or_insert_with(|| Known {
            name: name.clone(),
            version,
            generation: 0,
            seen: now,
            said_to_wait: false,
            scheduler: None,
            round,
            // What is first seen while a recount runs may be younger than its list.
            recount,
        });
        known.version = version;
        known.round = round;
        known
    }

    /// What is known of the object `uid`.
    pub fn get(&self, uid: &str) -> Option<&Known> {
        self.known.get(uid)
    }

    /// What is known of the object `uid`, to be amended.
    pub fn get_mut(&mut self, uid: &str) -> Option<&mut Known> {
        self.known.get_mut(uid)
    }

    /// The object `uid` is gone. True if it was known.
    pub fn forget(&mut self, uid: &str) -> bool {
        self.known.remove(uid).is_some()
    }

    /// A list is complete: forgets and returns what it did not show, sorted by name and uid.
    pub fn end(&mut self) -> Vec<(ObjectName, Name)> {
        self.listing = false;
        let round = self.round;
        self.take_if(|known| known.round != round)
    }

    /// The kind is no longer served: forgets and returns everything.
    pub fn clear(&mut self) -> Vec<(ObjectName, Name)> {
        self.take_if(|_| true)
    }

    /// Names among `names` that some known object bears.
    pub fn taken(&self, names: &[(ObjectName, Name)]) -> HashSet<ObjectName> {
        let asked: HashSet<&ObjectName> = names.iter().map(|(name, _)| name).collect();
        self.known
            .values()
            .filter(|known| asked.contains(&known.name))
            .map(|known| known.name.clone())
            .collect()
    }

    /// A recount begins.
    pub fn begin_recount(&mut self) {
        self.recount += 1;
        self.recount_floor = self.highest;
    }

    /// The highest version that was seen before the recount began: its list cannot be older.
    pub const fn recount_floor(&self) -> u64 {
        self.recount_floor
    }

    /// Compares an object that a recount lists with what is known of it.
    pub fn counted(&mut self, uid: &str, version: u64) -> Counted {
        let Some(known) = self.known.get_mut(uid) else { return Counted::Behind };
        known.recount = self.recount;
        match version.cmp(&known.version) {
            Ordering::Less => Counted::Ahead,
            Ordering::Equal => Counted::Same,
            Ordering::Greater => Counted::Behind,
        }
    }

    /// A recount is complete: what it did not list although it was known before and is no younger than
    /// `version`, the list's own. Sorted by name and uid.
    pub fn uncounted(&self, version: u64) -> Vec<(ObjectName, Name)> {
        let missing = |known: &Known| known.recount != self.recount && known.version <= version;
        let mut found: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| missing(known))
            .map(|(uid, known)| (known.name.clone(), uid.clone()))
            .collect();
        found.sort();
        found
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True if no object is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn take_if(&mut self, gone: impl Fn(&Known) -> bool) -> Vec<(ObjectName, Name)> {
        let mut taken: Vec<_> = self
            .known
            .extract_if(|_, known| gone(known))
            .map(|(uid, known)| (known.name, uid))
            .collect();
        taken.sort();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, Freshness, Origin, View};
    use crate::base::names::ObjectName;
    use crate::base::time::Time;

    fn told(view: &mut View, uid: &str, name: &str, version: u64, origin: Origin) -> Freshness {
        let freshness = view.judge(uid, version, origin);
        if freshness == Freshness::New {
            view.remember(&uid.into(), &ObjectName::new("d", name), version, Time::EPOCH);
        }
        freshness
    }

    #[test]
    fn a_list_tells_what_is_gone_by_uid() {
        let mut view = View::default();
        view.begin();
        told(&mut view, "1", "a", 5, Origin::List);
        told(&mut view, "2", "b", 6, Origin::List);
        assert!(view.end().is_empty());
        told(&mut view, "3", "c", 7, Origin::Watch);
        view.begin();
        told(&mut view, "2", "b", 6, Origin::List);
        // Recreated under the same name: another object.
        told(&mut view, "4", "a", 9, Origin::List);
        let gone = view.end();
        assert_eq!(
            gone,
            [(ObjectName::new("d", "a"), "1".into()), (ObjectName::new("d", "c"), "3".into())]
        );
        assert_eq!(view.taken(&gone).into_iter().collect::<Vec<_>>(), [ObjectName::new("d", "a")]);
        assert_eq!(view.len(), 2);
    }

    #[test]
    fn a_broken_off_list_forgets_nothing() {
        let mut view = View::default();
        view.begin();
        told(&mut view, "1", "a", 5, Origin::List);
        view.end();
        view.begin();
        view.begin();
        told(&mut view, "1", "a", 5, Origin::List);
        assert!(view.end().is_empty());
    }

    #[test]
    fn the_past_is_dropped_and_a_list_from_the_past_is_noticed() {
        let mut view = View::default();
        assert_eq!(told(&mut view, "1", "a", 5, Origin::Watch), Freshness::New);
        assert_eq!(told(&mut view, "1", "a", 5, Origin::Watch), Freshness::New);
        assert_eq!(told(&mut view, "1", "a", 4, Origin::Watch), Freshness::Stale);
        assert_eq!(told(&mut view, "1", "a", 4, Origin::List), Freshness::WentBack);
        assert!(view.forget("1"));
        assert!(!view.forget("1"));
        assert_eq!(told(&mut view, "1", "a", 4, Origin::Watch), Freshness::New);
    }

    #[test]
    fn a_recount_finds_what_is_behind_and_what_should_be_gone() {
        let mut view = View::default();
        for (uid, version) in [("1", 5), ("2", 9), ("3", 6), ("4", 8)] {
            told(&mut view, uid, uid, version, Origin::Watch);
        }
        view.begin_recount();
        assert_eq!(view.counted("1", 5), Counted::Same);
        assert_eq!(view.counted("2", 7), Counted::Ahead);
        assert_eq!(view.counted("5", 7), Counted::Behind);
        // Seen for the first time while the list was read: nothing can be said about it.
        told(&mut view, "6", "6", 7, Origin::Watch);
        let gone = view.uncounted(7);
        // "4" is younger than the list.
        assert_eq!(gone, [(ObjectName::new("d", "3"), "3".into())]);
        view.begin_recount();
        assert_eq!(view.recount_floor(), 9);
        told(&mut view, "1", "1", 10, Origin::Watch);
        view.begin_recount();
        assert_eq!(view.counted("1", 11), Counted::Behind);
    }

    #[test]
    fn a_kind_that_is_no_longer_served_leaves_nothing() {
        let mut view = View::default();
        told(&mut view, "1", "a", 5, Origin::Watch);
        assert_eq!(view.clear().len(), 1);
        assert!(view.is_empty());
    }
}
