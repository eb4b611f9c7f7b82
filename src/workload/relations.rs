//! What an ask wants of other pods: host ports of its own, and what it says about pods beside it.
//! Plain data, as written by the pod; what is refused by the API server never comes here.
//! Knows no node: which of them are admissible depends on what runs there, and is for `plugins` to say.
//! Invariant: an ask without any relation has none of this, so that one test tells.

use std::sync::Arc;

use crate::base::labels::LabelSelector;
use crate::base::names::Name;

/// Everything by which a pod depends on other pods, or they on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Relations {
    /// Ports that its containers and sidecars take on the node, sorted, no duplicates.
    pub host_ports: Vec<HostPort>,
    /// Required pod affinity: a node must be in a domain of each term with a pod that all terms match.
    pub affinity: Vec<PodTerm>,
    /// Required pod anti-affinity: a node must be in no domain with a pod that a term matches, and the pods
    /// that a term matches may come to no such domain of the pod.
    pub anti_affinity: Vec<PodTerm>,
    /// Topology spread constraints that a node must meet (`DoNotSchedule`).
    pub spread: Vec<Spread>,
    /// Preferred pod affinity and anti-affinity, of the pod for others and, once it runs, of others for it.
    pub wishes: Vec<PodWish>,
    /// Topology spread constraints that are only wished for (`ScheduleAnyway`).
    pub wished_spread: Vec<Spread>,
    /// Who says how it is spread.
    pub spread_by: SpreadBy,
}

/// Who says how a pod is spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpreadBy {
    /// The pod itself, or nobody.
    #[default]
    Pod,
    /// The profile of its scheduler, for pods that do not say it: `defaultConstraints`.
    Profile,
    /// Nobody, so that kube-scheduler's own defaults hold: wishes, of which a node without a key breaks none.
    System,
}

impl Relations {
    /// As an ask keeps it: `None` where there is no relation at all.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A term of pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodTerm {
    /// Which pods; `None`, a selector that is absent, matches none.
    pub selector: Option<LabelSelector>,
    /// Namespaces by name, sorted: the pod's own where it names none and selects none.
    pub namespaces: Vec<Name>,
    /// Namespaces by their labels, beside those by name.
    pub namespace_selector: Option<LabelSelector>,
    /// The node label whose values are the domains.
    pub topology_key: Name,
}

/// A preferred term of pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodWish {
    /// What each pod that the term matches is worth in its domain: 1 to 100, for anti-affinity below zero.
    pub weight: i32,
    /// The term.
    pub term: PodTerm,
}

/// A topology spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spread {
    /// By how much a domain may be ahead of the last one, from 1.
    pub max_skew: u32,
    /// The node label whose values are the domains.
    pub topology_key: Name,
    /// Which pods of its namespace are counted, `matchLabelKeys` included; `None` matches none.
    pub selector: Option<LabelSelector>,
    /// The pod's namespace.
    pub namespace: Name,
    /// With fewer domains than this, the last one counts as empty; at least 1.
    pub min_domains: u32,
    /// Whether nodes that the pod's node selector and affinity reject count as domains.
    pub node_affinity_policy: InclusionPolicy,
    /// Whether nodes with taints that the pod does not tolerate count as domains.
    pub node_taints_policy: InclusionPolicy,
}

/// Whether a rule on node objects decides which nodes a spread constraint counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InclusionPolicy {
    /// Nodes that it rejects do not count.
    Honor,
    /// All nodes count.
    Ignore,
}

/// Protocol of a host port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP, also where none is named.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port that a pod takes on its node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The number.
    pub port: u16,
    /// The protocol: equal numbers of two protocols are two ports.
    pub protocol: Protocol,
    /// The address; `None` for all of the node's, written as nothing or as `0.0.0.0`.
    pub address: Option<Name>,
}

impl HostPort {
    /// True if no two pods of one node may have these two. As upstream, `::` is an address like any other.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && match (&self.address, &other.address) {
                (Some(mine), Some(theirs)) => mine == theirs,
                (None, Some(_) | None) | (Some(_), None) => true,
            }
    }
}

/// What selectors read of a pod. Beside the ask and not in it: pods with equal asks and unlike labels share
/// one ask, and a gang whose members carry their index as a label is still one role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodLabels {
    /// `metadata.namespace`.
    pub namespace: Name,
    /// `metadata.labels`, sorted by key.
    pub pairs: Vec<(Name, Name)>,
}

/// Labels as facts carry them: shared, compared by content.
pub type SharedLabels = Arc<PodLabels>;

impl PodLabels {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.pairs.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        Some(&self.pairs[at].1)
    }
}

impl Default for PodLabels {
    fn default() -> Self {
        Self { namespace: "".into(), pairs: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::{HostPort, PodLabels, Protocol};

    fn port(port: u16, protocol: Protocol, address: Option<&str>) -> HostPort {
        HostPort { port, protocol, address: address.map(Into::into) }
    }

    #[test]
    fn ports_conflict_by_number_protocol_and_address() {
        let http = port(80, Protocol::Tcp, None);
        for (other, conflict) in [
            (port(80, Protocol::Tcp, None), true),
            (port(80, Protocol::Tcp, Some("10.0.0.1")), true),
            (port(80, Protocol::Tcp, Some("::")), true),
            (port(80, Protocol::Udp, None), false),
            (port(81, Protocol::Tcp, None), false),
        ] {
            assert_eq!(http.conflicts_with(&other), conflict, "{other:?}");
            assert_eq!(other.conflicts_with(&http), conflict, "{other:?}");
        }
        let local = port(80, Protocol::Tcp, Some("127.0.0.1"));
        assert!(!local.conflicts_with(&port(80, Protocol::Tcp, Some("10.0.0.1"))));
        assert!(!local.conflicts_with(&port(80, Protocol::Tcp, Some("::"))));
    }

    #[test]
    fn labels_are_found_by_key() {
        let pairs = vec![("app".into(), "web".into()), ("tier".into(), "".into())];
        let labels = PodLabels { namespace: "team".into(), pairs };
        assert_eq!(
            [labels.get("app"), labels.get("tier"), labels.get("z")],
            [Some("web"), Some(""), None]
        );
    }
}
