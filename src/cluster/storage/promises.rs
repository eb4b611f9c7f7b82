//! Promises: what was decided for claims that are not bound yet. A claim gets a volume that exists, or one that is
//! provisioned for a node; the objects say so only after a write, and the claim is bound later still. Until then the
//! promise counts. Knows neither why nor for whom. Invariant: a claim has one promise, a volume is promised once.

use std::collections::BTreeMap;

use crate::base::names::{Name, ObjectName};

/// What a claim is to get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Promise {
    /// This volume.
    Volume(Name),
    /// A volume that is provisioned for this node.
    Provisioned(Name),
}

/// What was promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    by_claim: BTreeMap<ObjectName, Promised>,
    volumes: BTreeMap<Name, ObjectName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Promised {
    promise: Promise,
    /// How many pods rely on it.
    holders: u32,
}

impl Promises {
    /// What `claim` was promised.
    pub fn of(&self, claim: &ObjectName) -> Option<&Promise> {
        self.by_claim.get(claim).map(|promised| &promised.promise)
    }

    /// The claim that `volume` was promised to.
    pub fn claim_of(&self, volume: &str) -> Option<&ObjectName> {
        self.volumes.get(volume)
    }

    /// Promises `claim` something on behalf of `pods` pods; the promise that it has already must be the same.
    pub(super) fn make(&mut self, claim: &ObjectName, promise: &Promise, pods: u32) {
        let promised = self.by_claim.entry(claim.clone()).or_insert_with(|| {
            if let Promise::Volume(volume) = promise {
                let before = self.volumes.insert(volume.clone(), claim.clone());
                assert!(before.is_none(), "volume {volume} is promised to two claims");
            }
            Promised { promise: promise.clone(), holders: 0 }
        });
        assert!(promised.promise == *promise, "claim {claim} is promised two things");
        promised.holders += pods;
    }

    /// `pods` pods rely on what `claim` was promised no more. True if the promise ended with it.
    pub(super) fn release(&mut self, claim: &ObjectName, pods: u32) -> bool {
        let Some(promised) = self.by_claim.get_mut(claim) else { return false };
        promised.holders -= pods;
        if promised.holders > 0 {
            return false;
        }
        if let Some(Promised { promise: Promise::Volume(volume), .. }) = self.by_claim.remove(claim)
        {
            self.volumes.remove(&volume);
        }
        true
    }

    /// True if nothing is promised.
    pub fn is_empty(&self) -> bool {
        self.by_claim.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::{Promise, Promises};
    use crate::base::names::ObjectName;

    #[test]
    fn a_promise_lasts_as_long_as_somebody_relies_on_it() {
        let (mut promises, claim) = (Promises::default(), ObjectName::new("d", "c"));
        let promise = Promise::Volume("v".into());
        promises.make(&claim, &promise, 1);
        promises.make(&claim, &promise, 2);
        assert_eq!(promises.claim_of("v"), Some(&claim));
        assert!(!promises.release(&claim, 2) && promises.of(&claim) == Some(&promise));
        assert!(promises.release(&claim, 1) && promises.is_empty());
        assert_eq!((promises.of(&claim), promises.claim_of("v")), (None, None));
        assert!(!promises.release(&claim, 1), "what was not promised needs no release");
    }

    #[test]
    #[should_panic(expected = "volume v is promised to two claims")]
    fn a_volume_is_promised_once() {
        let mut promises = Promises::default();
        let promise = Promise::Volume("v".into());
        promises.make(&ObjectName::new("d", "c"), &promise, 1);
        promises.make(&ObjectName::new("d", "e"), &promise, 1);
    }
}
