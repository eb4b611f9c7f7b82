//! Turn: which gang is tried before which. Priority, then who lost members, then age, then namespace,
//! name, uid.
//! A total order without ties. Fairness between tenants will be another leading key here;
//! nothing outside this file may compare gangs.

use std::cmp::Ordering;

use crate::base::names::{Name, ObjectName};
use crate::base::time::Time;

/// A gang's place in the order of trying. The lesser turn goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The gang's priority; the higher goes first.
    pub priority: i32,
    /// Whether it lost what it had. Who did goes first.
    pub claim: Claim,
    /// The gang's age: when its group, else its first pod, was created. The earlier goes first.
    pub since: Time,
    /// The gang: its group's name, else its pod's.
    pub name: ObjectName,
    /// The uid of that object, which tells apart groups of one name from two sources.
    pub uid: Name,
}

/// What a gang asks seats for. The lesser goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// For members that it lost after it had started: until they are replaced, the others idle.
    Lost,
    /// For members that it never had.
    New,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .priority
            .cmp(&self.priority)
            .then_with(|| self.claim.cmp(&other.claim))
            .then_with(|| self.since.cmp(&other.since))
            .then_with(|| self.name.cmp(&other.name))
            .then_with(|| self.uid.cmp(&other.uid))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Turn};
    use crate::base::names::ObjectName;
    use crate::base::time::Time;

    fn turn(priority: i32, since: i64, name: &str, uid: &str) -> Turn {
        let name = ObjectName::new("team", name);
        Turn { priority, claim: Claim::New, since: Time(since), name, uid: uid.into() }
    }

    #[test]
    fn priority_goes_before_age_and_age_before_name() {
        let sorted = [
            turn(10, 9, "z", "9"),
            Turn { claim: Claim::Lost, ..turn(0, 8, "z", "9") },
            turn(0, 1, "z", "1"),
            turn(0, 2, "a", "2"),
            turn(0, 2, "a", "3"),
            turn(0, 2, "b", "0"),
            turn(-1, 0, "a", "0"),
        ];
        assert!(sorted.is_sorted());
    }
}
