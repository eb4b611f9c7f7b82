//! The part of the referee that judges what pods mean to each other: seat by seat, in the plan's order, against
//! the pods that run and the seats before it. Reads what pods wrote, node labels, and who is where; nothing that
//! the search counted. Only clusters with such pods come here.

use rustc_hash::FxHashMap;

use super::Violation;
use super::ledger::{Ledger, matches, value};
use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::facts::NodeFact;
use crate::cluster::ids::{AskId, NodeId, PodId};
use crate::cluster::labels::NodeGroup;
use crate::cluster::relations::Life;
use crate::workload::relations::{HostPort, PodLabels, PodTerm, Relations};

/// A seat with what its pod asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seated {
    pub(super) pod: PodId,
    pub(super) node: NodeId,
    pub(super) ask: AskId,
}

/// What one ask wants, with counts that are kept current from seat to seat.
#[derive(Debug)]
struct Book<'a> {
    ask: AskId,
    wants: &'a Relations,
    affinity: Vec<Ledger<'a>>,
    anti_affinity: Vec<Ledger<'a>>,
    spread: Vec<Ledger<'a>>,
}

/// A term of anti-affinity: of which ask, and which of its terms.
type TermOf = (AskId, usize);

/// True if the pod and others mean something to each other. That a selector with terms against its pods matches
/// this one is taken from the kept signature, which the audit recounts; what the terms say is read anew.
pub(super) fn concerns(cluster: &Cluster, pod: PodId, ask: AskId) -> bool {
    cluster.ask(ask).relations.is_some() || may_be_repelled(cluster, pod)
}

fn may_be_repelled(cluster: &Cluster, pod: PodId) -> bool {
    let relations = cluster.relations();
    let mut matched = relations.matched(cluster.signature_of(pod)).iter();
    matched.any(|selector| !relations.repelling(*selector).is_empty())
}

/// Judges the seats one after the other, those before the seat `from` taken as they are.
///
/// # Errors
/// The first violation found.
pub(super) fn judge(cluster: &Cluster, seats: &[Seated], from: usize) -> Result<(), Violation> {
    let mut books: Vec<Book<'_>> = Vec::new();
    for seat in seats {
        if let Some(wants) = cluster.ask(seat.ask).relations.as_deref()
            && books.iter().all(|book| book.ask != seat.ask)
        {
            books.push(Book::open(cluster, seat.ask, wants));
        }
    }
    // Seats so far whose pods carry a term of anti-affinity, by domain.
    let mut carriers: FxHashMap<(TermOf, Name), usize> = FxHashMap::default();
    let nobody = PodLabels::default();
    // Members of a gang share their labels as a rule, in one place: whom terms are about is looked up once then.
    let mut against: (Option<*const PodLabels>, Vec<TermOf>) = (None, Vec::new());
    for (at, seat) in seats.iter().enumerate() {
        let traits = cluster.relations().traits_of(seat.pod);
        let labels = traits.map_or(&nobody, |traits| &**traits.labels);
        let closed = |because| {
            let node = cluster.node_name(seat.node).clone();
            Err(Violation::NodeClosed { node, because })
        };
        let fact = cluster.nodes().get(seat.node).fact.as_ref();
        let Some(fact) = fact else { return closed("its object does not exist") };
        let ports_judged = !cluster.ask(seat.ask).turns_off("NodePorts");
        let judged = at >= from;
        if judged && ports_judged && port_is_taken(cluster, seat, &seats[..at]) {
            return closed("another pod there has a host port that the pod takes");
        }
        let neighbours_judged = !cluster.ask(seat.ask).turns_off("InterPodAffinity");
        if against.0 != Some(std::ptr::from_ref(labels)) {
            let terms = if may_be_repelled(cluster, seat.pod) {
                terms_against(cluster, labels)
            } else {
                Vec::new()
            };
            against = (Some(std::ptr::from_ref(labels)), terms);
        }
        let terms = if neighbours_judged { &against.1[..] } else { &[] };
        for (ask, term) in terms {
            let key = key_of(cluster, (*ask, *term));
            let Some(domain) = value(fact, key) else { continue };
            let before = carriers.contains_key(&((*ask, *term), domain.clone()));
            if judged && (before || runs_in_domain(cluster, *ask, key, domain)) {
                return closed("a pod of its domain wants no such pod beside it");
            }
        }
        if let Some(book) = books.iter_mut().find(|book| book.ask == seat.ask) {
            if judged && let Some(because) = book.objection(cluster, labels, fact) {
                return closed(because);
            }
            for (term, written) in book.wants.anti_affinity.iter().enumerate() {
                if let Some(domain) = value(fact, &written.topology_key) {
                    *carriers.entry(((seat.ask, term), domain.clone())).or_default() += 1;
                }
            }
        }
        let life = traits.map_or(Life::Staying, |traits| traits.life);
        for ledger in books.iter_mut().flat_map(Book::ledgers) {
            ledger.enter(cluster, seat.node, labels, life);
        }
    }
    Ok(())
}

impl<'a> Book<'a> {
    fn open(cluster: &'a Cluster, ask: AskId, wants: &'a Relations) -> Self {
        let affinity = wants.affinity.iter();
        let anti_affinity = wants.anti_affinity.iter();
        let spread = wants
            .spread
            .iter()
            .map(|spread| Ledger::of_spread(cluster, cluster.ask(ask), &wants.spread, spread));
        Self {
            ask,
            wants,
            affinity: affinity
                .map(|term| Ledger::of_terms(cluster, &wants.affinity, &term.topology_key))
                .collect(),
            anti_affinity: anti_affinity
                .map(|term| {
                    Ledger::of_terms(cluster, std::slice::from_ref(term), &term.topology_key)
                })
                .collect(),
            spread: spread.collect(),
        }
    }

    fn ledgers(&mut self) -> impl Iterator<Item = &mut Ledger<'a>> {
        self.affinity.iter_mut().chain(&mut self.anti_affinity).chain(&mut self.spread)
    }

    /// What the ask has against one more of its pods on the node.
    fn objection(
        &mut self,
        cluster: &Cluster,
        labels: &PodLabels,
        fact: &NodeFact,
    ) -> Option<&'static str> {
        let ask = cluster.ask(self.ask);
        if !ask.turns_off("InterPodAffinity") {
            if !self.attracts(cluster, labels, fact) {
                return Some("no pod that it must be near is in its domain");
            }
            for (term, ledger) in self.wants.anti_affinity.iter().zip(&self.anti_affinity) {
                if value(fact, &term.topology_key).is_some_and(|domain| ledger.count(domain) > 0) {
                    return Some("a pod that it must not be near is in its domain");
                }
            }
        }
        if ask.turns_off("PodTopologySpread") {
            return None;
        }
        for (spread, ledger) in self.wants.spread.iter().zip(&mut self.spread) {
            let Some(domain) = value(fact, &spread.topology_key) else {
                return Some("it lacks a label by which the pod is to be spread");
            };
            let itself = spread.selector.as_ref();
            let itself = i64::from(itself.is_some_and(|s| s.matches(|key| labels.get(key))));
            let least = ledger.count(domain) + itself - i64::from(spread.max_skew);
            if !ledger.all_have(cluster, least, spread.min_domains as usize) {
                return Some("its domain would be too far ahead of another");
            }
        }
        None
    }

    fn attracts(&self, cluster: &Cluster, labels: &PodLabels, fact: &NodeFact) -> bool {
        let terms = &self.wants.affinity;
        let near = |(term, ledger): (&PodTerm, &Ledger<'_>)| {
            value(fact, &term.topology_key).is_some_and(|domain| ledger.count(domain) > 0)
        };
        if terms.iter().zip(&self.affinity).all(near) {
            return true;
        }
        self.affinity.iter().all(|ledger| ledger.total() == 0)
            && terms.iter().all(|term| value(fact, &term.topology_key).is_some())
            && terms.iter().all(|term| matches(cluster, term, labels))
    }
}

/// Terms of anti-affinity, of any ask, that are about a pod with these labels.
fn terms_against(cluster: &Cluster, labels: &PodLabels) -> Vec<TermOf> {
    let mut found = Vec::new();
    for ask in cluster.relations().asks_that_may_repel(labels) {
        let wants = cluster.ask(ask).relations.as_deref();
        let terms = wants.map_or(&[][..], |wants| &wants.anti_affinity).iter().enumerate();
        let about = terms.filter(|(_, term)| matches(cluster, term, labels));
        found.extend(about.map(|(at, _)| (ask, at)));
    }
    found
}

fn key_of(cluster: &Cluster, (ask, term): TermOf) -> &str {
    let wants = cluster.ask(ask).relations.as_deref().expect("the term was found there");
    &wants.anti_affinity[term].topology_key
}

/// True if a pod with this ask runs on a node whose label `key` has the value `domain`.
fn runs_in_domain(cluster: &Cluster, ask: AskId, key: &str, domain: &str) -> bool {
    let runs_on = |node: NodeId| {
        cluster.pods_on(node).any(|(pod, _)| {
            cluster.relations().traits_of(pod).is_some_and(|traits| traits.ask == ask)
        })
    };
    match cluster.nodes().labels().value(key, domain) {
        None => false,
        Some(NodeGroup::List(nodes)) => nodes.iter().any(|node| runs_on(*node)),
        Some(NodeGroup::Set(nodes)) => nodes.iter().any(runs_on),
    }
}

fn port_is_taken(cluster: &Cluster, seat: &Seated, before: &[Seated]) -> bool {
    let wanted = ports_of(cluster, seat.ask);
    if wanted.is_empty() {
        return false;
    }
    let running =
        cluster.pods_on(seat.node).filter_map(|(pod, _)| cluster.relations().traits_of(pod));
    let seated = before.iter().filter(|other| other.node == seat.node).map(|other| other.ask);
    let mut taken =
        running.map(|traits| traits.ask).chain(seated).flat_map(|ask| ports_of(cluster, ask));
    taken.any(|theirs| wanted.iter().any(|mine| clash(mine, theirs)))
}

fn ports_of(cluster: &Cluster, ask: AskId) -> &[HostPort] {
    cluster.ask(ask).relations.as_ref().map_or(&[], |relations| &relations.host_ports)
}

fn clash(mine: &HostPort, theirs: &HostPort) -> bool {
    let same_address =
        mine.address.is_none() || theirs.address.is_none() || mine.address == theirs.address;
    same_address && (mine.protocol, mine.port) == (theirs.protocol, theirs.port)
}
