//! Whose word is written next: first what is said of groups, then gangs by turns, so that a gang of thousands keeps no
//! other waiting; what is said of one gang's pods goes in order of arrival. Knows names only, and no words.
//! Invariant: a gang stands once among those whose turn comes while something is to be said of its pods, and else not.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::StateKey;
use crate::base::names::ObjectName;

/// The line. A name may stand in it whose word was withdrawn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    groups: VecDeque<StateKey>,
    /// Gangs that have something to say of their pods, each once.
    gangs: VecDeque<ObjectName>,
    pods: BTreeMap<ObjectName, VecDeque<StateKey>>,
}

/// A name in the line.
#[derive(Debug)]
pub(super) struct Place {
    /// Of what something is said.
    pub(super) key: StateKey,
    /// The gang of a pod; `None` of a group.
    pub(super) gang: Option<ObjectName>,
}

impl Turns {
    /// Joins the end of its gang's line.
    pub(super) fn push(&mut self, Place { key, gang }: Place) {
        let Some(gang) = gang else {
            self.groups.push_back(key);
            return;
        };
        let line = self.pods.entry(gang.clone()).or_default();
        if line.is_empty() {
            self.gangs.push_back(gang);
        }
        line.push_back(key);
    }

    /// Takes out whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Place> {
        if let Some(key) = self.groups.pop_front() {
            return Some(Place { key, gang: None });
        }
        let gang = self.gangs.pop_front()?;
        let line = self.pods.get_mut(&gang)?;
        let key = line.pop_front()?;
        if line.is_empty() {
            self.pods.remove(&gang);
        } else {
            self.gangs.push_back(gang.clone());
        }
        Some(Place { key, gang: Some(gang) })
    }

    /// Takes out who is given up where there are too many, now that somebody of `gang` has come: the first of that gang
    /// if it has several here, else whose turn it is.
    pub(super) fn give_up(&mut self, gang: Option<&ObjectName>) -> Option<StateKey> {
        let crowd = gang.and_then(|gang| self.pods.get_mut(gang)).filter(|line| line.len() > 1);
        match crowd {
            Some(line) => line.pop_front(),
            None => self.pop().map(|place| place.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(gang: &str, index: usize) -> Place {
        let key = StateKey::Pod(format!("{gang}-{index}").into());
        Place { key, gang: Some(ObjectName::new("d", gang)) }
    }

    fn names(turns: &mut Turns, count: usize) -> Vec<String> {
        let name = |key| match key {
            StateKey::Pod(uid) | StateKey::Group(uid) => uid.to_string(),
        };
        (0..count).filter_map(|_| turns.pop()).map(|place| name(place.key)).collect()
    }

    #[test]
    fn a_gang_of_thousands_keeps_no_other_waiting() {
        let mut turns = Turns::default();
        (0..10_000).for_each(|index| turns.push(pod("huge", index)));
        (0..2).for_each(|index| turns.push(pod("tiny", index)));
        turns.push(Place { key: StateKey::Group("huge".into()), gang: None });
        let first = ["huge", "huge-0", "tiny-0", "huge-1", "tiny-1", "huge-2", "huge-3"];
        assert_eq!(names(&mut turns, first.len()), first);
    }

    #[test]
    fn where_there_are_too_many_the_crowd_gives_up_first() {
        let mut turns = Turns::default();
        turns.push(pod("tiny", 0));
        (0..3).for_each(|index| turns.push(pod("huge", index)));
        let given_up = |turns: &mut Turns, gang| turns.give_up(Some(&ObjectName::new("d", gang)));
        assert_eq!(given_up(&mut turns, "huge"), Some(StateKey::Pod("huge-0".into())));
        assert_eq!(given_up(&mut turns, "huge"), Some(StateKey::Pod("huge-1".into())));
        assert_eq!(given_up(&mut turns, "tiny"), Some(StateKey::Pod("tiny-0".into())));
        assert_eq!(names(&mut turns, 9), ["huge-2"]);
    }
}
