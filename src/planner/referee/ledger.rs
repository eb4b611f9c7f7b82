//! The referee's own counts by domain, for one constraint of one ask: from the labels of the pods that run, with
//! each seat that is judged added. Domains are named by their label values here, not numbered.
//! Invariant: counts every pod that is placed and every seat entered so far, as far as the constraint reads it.

use rustc_hash::FxHashMap;

use crate::base::labels::LabelSelector;
use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::NodeId;
use crate::cluster::relations::Life;
use crate::workload::relations::{PodLabels, PodTerm, Spread};

/// Which pods a ledger counts.
#[derive(Clone, Copy, Debug)]
enum Counted<'a> {
    /// Those that all of these terms match, leaving or not.
    Terms(&'a [PodTerm]),
    /// Those of the constraint's namespace that its selector matches, unless they are leaving.
    Spread(&'a Spread),
}

/// Pods by the value of a node label.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    counted: Counted<'a>,
    key: &'a str,
    counts: FxHashMap<Name, i64>,
    total: i64,
    /// For spread constraints: the nodes that count.
    among: Option<Vec<bool>>,
}

impl<'a> Ledger<'a> {
    /// Counts the pods that all of `terms` match, by the values of `key`.
    pub(super) fn of_terms(cluster: &Cluster, terms: &'a [PodTerm], key: &'a str) -> Self {
        let mut ledger = Self {
            counted: Counted::Terms(terms),
            key,
            counts: FxHashMap::default(),
            total: 0,
            among: None,
        };
        let first = terms.iter().filter_map(|term| {
            let namespaces = term.namespace_selector.is_none().then_some(&term.namespaces[..]);
            Some((term.selector.as_ref()?, namespaces))
        });
        if let Some((selector, namespaces)) = first.take(1).next() {
            ledger.count_running(cluster, selector, namespaces);
        }
        ledger
    }

    /// Counts the pods that a spread constraint counts, on the nodes that `counts_node` lets in.
    pub(super) fn of_spread(
        cluster: &Cluster,
        spread: &'a Spread,
        counts_node: impl Fn(&NodeFact) -> bool,
    ) -> Self {
        let key: &str = &spread.topology_key;
        let counted = Counted::Spread(spread);
        let (mut among, mut counts) = (Vec::new(), FxHashMap::default());
        for node in cluster.nodes().present() {
            let fact = cluster.nodes().get(node).fact.as_ref().expect("present nodes have objects");
            if !counts_node(fact) {
                continue;
            }
            let at = node.0 as usize;
            if among.len() <= at {
                among.resize(at + 1, false);
            }
            among[at] = true;
            if let Some(domain) = value(fact, key) {
                counts.entry(domain.clone()).or_insert(0);
            }
        }
        let mut ledger = Self { counted, key, counts, total: 0, among: Some(among) };
        // As upstream: a selector that selects everything counts no pod that runs, nor any seat.
        if let Some(selector) = &spread.selector
            && !selector.is_everything()
        {
            let namespace = std::slice::from_ref(&spread.namespace);
            ledger.count_running(cluster, selector, Some(namespace));
        }
        ledger
    }

    fn count_running(
        &mut self,
        cluster: &Cluster,
        selector: &LabelSelector,
        namespaces: Option<&[Name]>,
    ) {
        for pod in cluster.relations().pods_that_may_match(selector, namespaces) {
            let Some(node) = cluster.node_of(pod) else { continue };
            let Some(traits) = cluster.relations().traits_of(pod) else { continue };
            self.enter(cluster, node, traits.labels, traits.life);
        }
    }

    /// Adds a pod on `node`, if it counts.
    pub(super) fn enter(&mut self, cluster: &Cluster, node: NodeId, pod: &PodLabels, life: Life) {
        let counts_node = self
            .among
            .as_ref()
            .is_none_or(|among| among.get(node.0 as usize).copied().unwrap_or(false));
        if !counts_node || !self.counts(cluster, pod, life) {
            return;
        }
        let fact = cluster.nodes().get(node).fact.as_ref();
        if let Some(domain) = fact.and_then(|fact| value(fact, self.key)) {
            *self.counts.entry(domain.clone()).or_insert(0) += 1;
            self.total += 1;
        }
    }

    fn counts(&self, cluster: &Cluster, pod: &PodLabels, life: Life) -> bool {
        match self.counted {
            Counted::Terms(terms) => terms.iter().all(|term| matches(cluster, term, pod)),
            Counted::Spread(spread) => {
                life == Life::Staying
                    && pod.namespace == spread.namespace
                    && spread.selector.as_ref().is_some_and(|selector| {
                        !selector.is_everything() && selector.matches(|key| pod.get(key))
                    })
            }
        }
    }

    /// How many are in a domain.
    pub(super) fn count(&self, domain: &Name) -> i64 {
        self.counts.get(domain).copied().unwrap_or(0)
    }

    /// How many are in any domain.
    pub(super) const fn total(&self) -> i64 {
        self.total
    }

    /// True if the last domain is known to have at least `count`. Stops at the first that has fewer.
    pub(super) fn all_have(&self, count: i64, min_domains: usize) -> bool {
        if count <= 0 {
            return true;
        }
        self.counts.len() >= min_domains.max(1) && self.counts.values().all(|found| *found >= count)
    }
}

/// The value of a node's label.
pub(super) fn value<'a>(fact: &'a NodeFact, key: &str) -> Option<&'a Name> {
    fact.labels.iter().find(|(known, _)| &**known == key).map(|(_, value)| value)
}

/// True if a term of affinity or anti-affinity is about a pod with these labels.
pub(super) fn matches(cluster: &Cluster, term: &PodTerm, pod: &PodLabels) -> bool {
    let by_label = || {
        let labels = cluster.relations().namespace_labels(&pod.namespace);
        let value = |key: &str| labels.iter().find(|(known, _)| &**known == key);
        term.namespace_selector
            .as_ref()
            .is_some_and(|selector| selector.matches(|key| value(key).map(|(_, value)| &**value)))
    };
    (term.namespaces.contains(&pod.namespace) || by_label())
        && term.selector.as_ref().is_some_and(|selector| selector.matches(|key| pod.get(key)))
}
