//! The referee's own counts by domain, for one constraint of one ask: from the labels of the pods that run, with
//! each seat that is judged added. Domains are named by their label values here, not numbered.
//! Invariant: counts every pod that is placed and every seat entered so far, as far as the constraint reads it.

use rustc_hash::FxHashMap;

use super::{closed_by_affinity, closed_by_taints};
use crate::base::labels::LabelSelector;
use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::NodeId;
use crate::cluster::labels::NodeGroup;
use crate::cluster::relations::Life;
use crate::workload::ask::Ask;
use crate::workload::relations::{InclusionPolicy, PodLabels, PodTerm, Spread};

/// Which pods a ledger counts.
#[derive(Clone, Copy, Debug)]
enum Counted<'a> {
    /// Those that all of these terms match, leaving or not.
    Terms(&'a [PodTerm]),
    /// Those of the constraint's namespace that its selector matches, unless they are leaving, on nodes that it
    /// counts for the ask whose constraints these are.
    Spread(&'a Spread, &'a Ask, &'a [Spread]),
}

/// Pods by the value of a node label.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    counted: Counted<'a>,
    key: &'a str,
    counts: FxHashMap<Name, i64>,
    total: i64,
    /// All domains are known to have so many: counts never fall while seats are judged.
    all_have: i64,
}

impl<'a> Ledger<'a> {
    /// Counts the pods that all of `terms` match, by the values of `key`.
    pub(super) fn of_terms(cluster: &Cluster, terms: &'a [PodTerm], key: &'a str) -> Self {
        let mut ledger = Self {
            counted: Counted::Terms(terms),
            key,
            counts: FxHashMap::default(),
            total: 0,
            all_have: 0,
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

    /// Counts the pods that a constraint counts, one of `all` that the ask has.
    pub(super) fn of_spread(
        cluster: &Cluster,
        ask: &'a Ask,
        all: &'a [Spread],
        spread: &'a Spread,
    ) -> Self {
        let mut ledger = Self {
            counted: Counted::Spread(spread, ask, all),
            key: &spread.topology_key,
            counts: FxHashMap::default(),
            total: 0,
            all_have: 0,
        };
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
        let Some(fact) = cluster.nodes().get(node).fact.as_ref() else { return };
        if !self.counts(cluster, pod, life) || !self.counts_node(fact) {
            return;
        }
        if let Some(domain) = value(fact, self.key) {
            *self.counts.entry(domain.clone()).or_insert(0) += 1;
            self.total += 1;
        }
    }

    fn counts_node(&self, fact: &NodeFact) -> bool {
        let (spread, ask, all) = match self.counted {
            Counted::Terms(_) => return true,
            Counted::Spread(spread, ask, all) => (spread, ask, all),
        };
        let by_affinity = match spread.node_affinity_policy {
            InclusionPolicy::Honor => closed_by_affinity(ask, fact).is_none(),
            InclusionPolicy::Ignore => true,
        };
        let by_taints = match spread.node_taints_policy {
            InclusionPolicy::Honor => closed_by_taints(ask, fact).is_none(),
            InclusionPolicy::Ignore => true,
        };
        let has_key = |spread: &Spread| value(fact, &spread.topology_key).is_some();
        by_affinity && by_taints && all.iter().all(has_key)
    }

    fn counts(&self, cluster: &Cluster, pod: &PodLabels, life: Life) -> bool {
        match self.counted {
            Counted::Terms(terms) => terms.iter().all(|term| matches(cluster, term, pod)),
            Counted::Spread(spread, _, _) => {
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

    /// True if every domain, of which there must be `min_domains`, has at least `count`.
    pub(super) fn all_have(&mut self, cluster: &Cluster, count: i64, min_domains: usize) -> bool {
        if count <= self.all_have {
            return true;
        }
        let counts_node = |node: NodeId| {
            cluster.nodes().get(node).fact.as_ref().is_some_and(|fact| self.counts_node(fact))
        };
        let exists = |nodes: &NodeGroup| match nodes {
            NodeGroup::List(nodes) => nodes.iter().any(|node| counts_node(*node)),
            NodeGroup::Set(nodes) => nodes.iter().any(counts_node),
        };
        let mut domains = 0;
        let key = cluster.nodes().labels().key(self.key);
        for (domain, nodes) in key.into_iter().flat_map(|key| &key.values) {
            if exists(nodes) {
                domains += 1;
                if self.count(domain) < count {
                    return false;
                }
            }
        }
        let proved = domains >= min_domains.max(1);
        if proved {
            self.all_have = count;
        }
        proved
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
