//! What was told of the objects of one kind: who exists, in which version. Pure.
//! Turns a relist into the difference that it makes (by uid, since a name may be taken again), and drops what is
//! older than what is known. Compact: versions and names only, never objects; names are shared with the facts.

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
    round: u32,
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
        let round = self.round;
        let known = self.known.entry(uid.clone()).or_insert_with(|| Known {
            name: name.clone(),
            version,
            generation: 0,
            seen: now,
            said_to_wait: false,
            round,
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
    use super::{Freshness, Origin, View};
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
    fn a_kind_that_is_no_longer_served_leaves_nothing() {
        let mut view = View::default();
        told(&mut view, "1", "a", 5, Origin::Watch);
        assert_eq!(view.clear().len(), 1);
        assert!(view.is_empty());
    }
}
