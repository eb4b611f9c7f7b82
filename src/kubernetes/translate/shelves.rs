//! Sharing: names and asks that many objects repeat are kept once.
//! What nobody uses any more is swept out when a shelf has doubled, so a long life does not grow it.
//! Invariant: equal values on a shelf are one allocation. Knows nothing of what names and asks mean.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use crate::base::names::Name;
use crate::workload::ask::Ask;
use crate::workload::ask::SharedAsk;
use crate::workload::relations::PodLabels;
use crate::workload::relations::SharedLabels;

/// A shelf is never swept while it holds fewer values than this.
const SWEEP_MIN: usize = 1024;

/// Values of one type, each kept once.
#[derive(Debug)]
struct Shelf<T: ?Sized> {
    values: HashSet<Arc<T>>,
    sweep_at: usize,
}

impl<T: ?Sized + Eq + Hash> Shelf<T> {
    fn new() -> Self {
        Self { values: HashSet::new(), sweep_at: SWEEP_MIN }
    }

    fn keep(&mut self, value: Arc<T>) -> Arc<T> {
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.sweep_at = (2 * self.values.len()).max(SWEEP_MIN);
        }
        self.values.insert(Arc::clone(&value));
        value
    }
}

/// The shelves of one translator.
#[derive(Debug)]
pub(super) struct Shelves {
    names: Shelf<str>,
    asks: Shelf<Ask>,
    labels: Shelf<PodLabels>,
}

impl Shelves {
    pub(super) fn new() -> Self {
        Self { names: Shelf::new(), asks: Shelf::new(), labels: Shelf::new() }
    }

    /// A name that other objects are likely to repeat: node names, label keys, namespaces.
    pub(super) fn name(&mut self, text: &str) -> Name {
        match self.names.values.get(text) {
            Some(name) => Arc::clone(name),
            None => self.names.keep(text.into()),
        }
    }

    /// A pod's labels; pods of one template share one allocation.
    pub(super) fn labels(
        &mut self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> SharedLabels {
        let pairs = labels.iter().map(|(key, value)| (self.name(key), self.name(value))).collect();
        let labels = PodLabels { namespace: self.name(namespace), pairs };
        match self.labels.values.get(&labels) {
            Some(shared) => Arc::clone(shared),
            None => self.labels.keep(Arc::new(labels)),
        }
    }

    /// An ask; equal asks share one allocation.
    pub(super) fn ask(&mut self, ask: Ask) -> SharedAsk {
        match self.asks.values.get(&ask) {
            Some(shared) => Arc::clone(shared),
            None => self.asks.keep(Arc::new(ask)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{SWEEP_MIN, Shelves};
    use crate::workload::ask::Ask;

    #[test]
    fn equal_values_are_one() {
        let mut shelves = Shelves::new();
        assert!(Arc::ptr_eq(&shelves.name("a"), &shelves.name("a")));
        let ask = || Ask { requests: vec![("cpu".into(), 1)], ..Ask::default() };
        assert!(Arc::ptr_eq(&shelves.ask(ask()), &shelves.ask(ask())));
    }

    #[test]
    fn what_nobody_uses_is_swept_and_what_is_used_stays() {
        let mut shelves = Shelves::new();
        let kept = shelves.name("kept");
        for index in 0..10 * SWEEP_MIN {
            shelves.name(&format!("gone-{index}"));
        }
        assert!(shelves.names.values.len() <= SWEEP_MIN + 1);
        assert!(Arc::ptr_eq(&kept, &shelves.name("kept")));
    }
}
