//! Counts by domain, for the members of one demand: taken from the cluster once, then kept current by each
//! member that is placed or taken back, so that a rule reads a number per constraint and node.
//! Knows which rules ask for what; says nothing about who is admitted. Invariant: after as many places as
//! takings back, it is as it was taken.

mod lift;

use std::collections::BTreeMap;

use smallvec::SmallVec;

pub use self::lift::Waiting;

use super::{node_affinity, taint_toleration};
use crate::cluster::Cluster;
use crate::cluster::ids::{AskId, KeyId, NodeId, SelectorId, SignatureId, TermId};
use crate::cluster::node_set::NodeSet;
use crate::cluster::relations::column::Column;
use crate::cluster::relations::domains::Domain;
use crate::cluster::relations::selectors::Effect;
use crate::cluster::relations::wants::{Counted, SpreadWant, Wants};
use crate::workload::ask::Ask;
use crate::workload::profile::WishesOfOthers;
use crate::workload::relations::{InclusionPolicy, SpreadBy};

/// Which counts a sum is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// Pods that a selector matches.
    Pods(SelectorId),
    /// Pods that carry any of these terms, in id order; once for each that they carry.
    Carriers(SmallVec<[TermId; 1]>),
    /// Nothing that runs.
    Nothing,
}

/// A count per domain of one key.
#[derive(Clone, Debug)]
pub struct Tally {
    source: Source,
    /// Of which key the domains are.
    pub key: KeyId,
    /// Only these nodes count; `None` for all.
    among: Option<NodeSet>,
    by_domain: Vec<i64>,
    /// The sum over all domains.
    total: i64,
    /// For constraints that ask for it: the least count of a domain that has a node that counts.
    last: Option<Last>,
}

/// The domains with the least count.
#[derive(Clone, Debug)]
struct Last {
    /// Which domains have a node that counts.
    exists: Vec<bool>,
    domains: usize,
    count: i64,
    /// How many domains have just that count.
    having_it: usize,
}

/// A spread constraint of a role.
#[derive(Clone, Copy, Debug)]
pub struct SpreadTally {
    /// Its counts.
    pub tally: usize,
    /// By how much a domain may be ahead of the last one.
    pub max_skew: i64,
    /// With fewer domains than this, the last one counts as empty.
    pub min_domains: usize,
    /// 1 if the pod that is placed counts itself.
    pub itself: i64,
}

/// Required affinity of a role.
#[derive(Clone, Debug)]
pub struct AttractionTally {
    /// One per term.
    pub tallies: SmallVec<[usize; 1]>,
    /// The keys of the terms.
    pub keys: SmallVec<[KeyId; 1]>,
    /// True if the pod matches all its own terms.
    pub matches_itself: bool,
}

/// What the rules read for one role.
#[derive(Clone, Debug, Default)]
pub struct RoleTallies {
    /// Required affinity.
    pub attraction: Option<AttractionTally>,
    /// Its own required anti-affinity, term by term.
    pub repulsion: SmallVec<[usize; 1]>,
    /// Terms of other pods against it, those of one key together.
    pub repelled_by: SmallVec<[usize; 1]>,
    /// Spread constraints, in the order in which they are written.
    pub spread: SmallVec<[SpreadTally; 1]>,
    /// What each pod that a tally counts is worth in its domain: its own wishes, and those of others for it.
    pub wishes: SmallVec<[(usize, i64); 2]>,
    /// Spread constraints that are only wished for: `min_domains` and `itself` mean nothing here.
    pub wished_spread: SmallVec<[SpreadTally; 1]>,
    /// Tallies to which a member of the role adds when it is placed, and how much.
    raises: SmallVec<[(usize, i64); 4]>,
}

impl RoleTallies {
    fn raises(&self, tally: usize) -> bool {
        self.raises.iter().any(|(raised, _)| *raised == tally)
    }
}

/// Counts by domain for the roles of a demand.
#[derive(Clone, Debug, Default)]
pub struct Census {
    tallies: Vec<Tally>,
    roles: Vec<RoleTallies>,
}

impl Census {
    /// Counts what runs, as far as a rule asks for it for these roles. The domains must be up to date.
    pub fn take(cluster: &Cluster, roles: &[(AskId, SignatureId)]) -> Self {
        let mut census = Self::default();
        for (ask, signature) in roles {
            let tallies = census.tallies_of(cluster, *ask, *signature, roles);
            census.roles.push(tallies);
        }
        for (at, (ask, signature)) in roles.iter().enumerate() {
            let raised = |(at, tally): (usize, &Tally)| {
                Some((at, tally.raised_by(cluster, *ask, *signature))).filter(|(_, by)| *by > 0)
            };
            census.roles[at].raises =
                census.tallies.iter().enumerate().filter_map(raised).collect();
        }
        census
    }

    /// What the rules read for a role.
    #[inline]
    pub fn role(&self, role: usize) -> &RoleTallies {
        &self.roles[role]
    }

    /// A tally of a role.
    #[inline]
    pub fn tally(&self, tally: usize) -> &Tally {
        &self.tallies[tally]
    }

    /// Counts a member of the role in on `node` (1), or out (-1).
    pub fn shift(&mut self, cluster: &Cluster, role: usize, node: NodeId, count: i64) {
        for (tally, by) in &self.roles[role].raises {
            self.tallies[*tally].shift(cluster, node, by * count);
        }
    }

    /// The keys of all affinity, once each: by which domains members may have to be together.
    pub fn attraction_keys(&self) -> SmallVec<[KeyId; 2]> {
        let attractions = self.roles.iter().filter_map(|role| role.attraction.as_ref());
        let mut keys: SmallVec<[KeyId; 2]> =
            attractions.flat_map(|attraction| attraction.keys.iter().copied()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// True if members of the role, alone on the nodes that they may use, are as many as can be once none more
    /// finds a seat, whichever seats they took. So it is where what one member means to the next is one limit
    /// per domain of one key; then every set of seats to which none can be added has the same size.
    pub fn any_full_set_is_a_largest(&self, role: usize) -> bool {
        let of_role = &self.roles[role];
        let raises = |tally: &usize| of_role.raises(*tally);
        if of_role.attraction.as_ref().is_some_and(|near| near.tallies.iter().any(raises)) {
            return false;
        }
        let apart = of_role.repulsion.iter().chain(&of_role.repelled_by);
        let mut keys: SmallVec<[KeyId; 2]> =
            apart.filter(|tally| raises(tally)).map(|tally| self.tallies[*tally].key).collect();
        keys.sort_unstable();
        keys.dedup();
        let spreads = of_role.spread.iter().filter(|spread| raises(&spread.tally)).count();
        keys.len() + spreads <= 1
    }

    fn tallies_of(
        &mut self,
        cluster: &Cluster,
        ask: AskId,
        signature: SignatureId,
        roles: &[(AskId, SignatureId)],
    ) -> RoleTallies {
        let relations = cluster.relations();
        let matched = relations.matched(signature);
        let mut of_role = RoleTallies::default();
        let repelling = matched.iter().flat_map(|selector| relations.repelling(*selector));
        let matters = |term: &&TermId| {
            let carried = |(ask, _): &(AskId, _)| carries(cluster, *ask, **term);
            !relations.carriers(**term).is_empty() || roles.iter().any(carried)
        };
        let mut against: BTreeMap<KeyId, SmallVec<[TermId; 1]>> = BTreeMap::new();
        for term in repelling.filter(matters) {
            against.entry(relations.term(*term).key).or_default().push(*term);
        }
        for (key, terms) in against {
            of_role.repelled_by.push(self.carriers(cluster, terms, key));
        }
        let wishes = cluster.ask(ask).wishes_of_others();
        let mut wishing: BTreeMap<(KeyId, i64), SmallVec<[TermId; 1]>> = BTreeMap::new();
        for term in matched.iter().flat_map(|selector| relations.wishing(*selector)) {
            let weight = match (relations.term(*term).effect, wishes) {
                (Effect::Weighs(weight), WishesOfOthers::Count { .. }) => weight,
                (Effect::Binds, WishesOfOthers::Count { bond }) => bond,
                (Effect::Repels, _) | (_, WishesOfOthers::Ignored) => 0,
            };
            if weight != 0 {
                wishing.entry((relations.term(*term).key, weight)).or_default().push(*term);
            }
        }
        for ((key, weight), terms) in wishing {
            of_role.wishes.push((self.carriers(cluster, terms, key), weight));
        }
        let Some(wants) = relations.wants(ask) else { return of_role };
        for wish in &wants.wishes {
            let tally = self.shared(cluster, Source::Pods(wish.selector), wish.key);
            of_role.wishes.push((tally, wish.weight));
        }
        for repulsion in &wants.repulsion {
            let source = Source::Pods(repulsion.selector);
            of_role.repulsion.push(self.shared(cluster, source, repulsion.key));
        }
        if let Some(attraction) = &wants.affinity {
            let source = attraction.selector.map_or(Source::Nothing, Source::Pods);
            let keys = attraction.keys.iter();
            of_role.attraction = Some(AttractionTally {
                tallies: keys.map(|key| self.shared(cluster, source.clone(), *key)).collect(),
                keys: attraction.keys.clone(),
                matches_itself: attraction.selector.is_some_and(|id| matched.contains(&id)),
            });
        }
        of_role.spread = self.spread_of(cluster, ask, &wants.spread, matched);
        of_role.wished_spread = self.spread_of(cluster, ask, &wants.wished_spread, matched);
        of_role
    }

    fn spread_of(
        &mut self,
        cluster: &Cluster,
        ask: AskId,
        constraints: &[SpreadWant],
        matched: &[SelectorId],
    ) -> SmallVec<[SpreadTally; 1]> {
        let mut tallies = SmallVec::new();
        if constraints.is_empty() {
            return tallies;
        }
        let mut with_keys = cluster.nodes().present().clone();
        if !is_spread_by_system(cluster.ask(ask)) {
            for spread in constraints {
                with_keys.intersect_with(cluster.relations().key(spread.key).nodes());
            }
        }
        for spread in constraints {
            let (source, itself) = match spread.counted {
                Counted::Nobody => (Source::Nothing, 0),
                Counted::OnlyItself => (Source::Nothing, 1),
                Counted::Selected(id) => (Source::Pods(id), i64::from(matched.contains(&id))),
            };
            let among = counting(cluster, cluster.ask(ask), spread, with_keys.clone());
            let tally = Tally::of_spread(cluster, source, spread.key, among);
            self.tallies.push(tally);
            tallies.push(SpreadTally {
                tally: self.tallies.len() - 1,
                max_skew: spread.max_skew,
                min_domains: spread.min_domains,
                itself,
            });
        }
        tallies
    }

    /// A tally of those who carry these terms, all of one key.
    fn carriers(
        &mut self,
        cluster: &Cluster,
        mut terms: SmallVec<[TermId; 1]>,
        key: KeyId,
    ) -> usize {
        terms.sort_unstable();
        self.shared(cluster, Source::Carriers(terms), key)
    }

    /// A tally over all nodes, which roles share.
    fn shared(&mut self, cluster: &Cluster, source: Source, key: KeyId) -> usize {
        let known = self
            .tallies
            .iter()
            .position(|tally| tally.source == source && tally.key == key && tally.among.is_none());
        known.unwrap_or_else(|| {
            self.tallies.push(Tally::new(cluster, source, key, None));
            self.tallies.len() - 1
        })
    }
}

/// True if the ask is spread by kube-scheduler's own defaults: a node that lacks the key of one of them is spread by
/// the others.
pub fn is_spread_by_system(ask: &Ask) -> bool {
    let relations = ask.relations.as_ref();
    relations.is_some_and(|relations| match relations.spread_by {
        SpreadBy::System => true,
        SpreadBy::Pod | SpreadBy::Profile => false,
    })
}

/// The nodes that a spread constraint counts, of those that carry all keys.
fn counting(cluster: &Cluster, ask: &Ask, spread: &SpreadWant, mut among: NodeSet) -> NodeSet {
    match spread.node_affinity_policy {
        InclusionPolicy::Honor => node_affinity::retain(ask, cluster.nodes(), &mut among),
        InclusionPolicy::Ignore => {}
    }
    match spread.node_taints_policy {
        InclusionPolicy::Honor => taint_toleration::retain(ask, cluster.nodes(), &mut among),
        InclusionPolicy::Ignore => {}
    }
    among
}

fn carries(cluster: &Cluster, ask: AskId, term: TermId) -> bool {
    let wants = cluster.relations().wants(ask);
    wants.is_some_and(|wants| wants.carried().any(|carried| carried == term))
}

impl Tally {
    fn new(cluster: &Cluster, source: Source, key: KeyId, among: Option<NodeSet>) -> Self {
        let relations = cluster.relations();
        let domains = relations.key(key);
        let by_domain = vec![0; domains.count()];
        let mut columns: SmallVec<[&Column; 1]> = SmallVec::new();
        match &source {
            Source::Pods(selector) => columns.push(relations.pods(*selector)),
            Source::Carriers(terms) => {
                columns.extend(terms.iter().map(|term| relations.carriers(*term)));
            }
            Source::Nothing => {}
        }
        let mut tally = Self { source, key, among, by_domain, total: 0, last: None };
        for (node, count) in columns.into_iter().flat_map(Column::iter) {
            tally.shift(cluster, node, count);
        }
        tally
    }

    fn of_spread(cluster: &Cluster, source: Source, key: KeyId, among: NodeSet) -> Self {
        let domains = cluster.relations().key(key);
        let mut exists = vec![false; domains.count()];
        for domain in among.iter().filter_map(|node| domains.domain(node)) {
            exists[domain.index()] = true;
        }
        let mut tally = Self::new(cluster, source, key, Some(among));
        let domains = exists.iter().filter(|exists| **exists).count();
        let mut last = Last { exists, domains, count: 0, having_it: 0 };
        last.recount(&tally.by_domain);
        tally.last = Some(last);
        tally
    }

    /// The count of a domain.
    #[inline]
    pub fn count(&self, domain: Domain) -> i64 {
        self.by_domain[domain.index()]
    }

    /// The sum over all domains.
    #[inline]
    pub const fn total(&self) -> i64 {
        self.total
    }

    /// The count of the domain that has least; 0 where there are fewer domains than that.
    #[inline]
    pub fn least(&self, min_domains: usize) -> i64 {
        let last = self.last.as_ref().filter(|last| last.domains >= min_domains.max(1));
        last.map_or(0, |last| last.count)
    }

    fn shift(&mut self, cluster: &Cluster, node: NodeId, count: i64) {
        if self.among.as_ref().is_some_and(|among| !among.contains(node)) {
            return;
        }
        let Some(domain) = cluster.relations().key(self.key).domain(node) else { return };
        let before = self.by_domain[domain.index()];
        self.by_domain[domain.index()] = before + count;
        self.total += count;
        if let Some(last) = &mut self.last {
            last.note(&self.by_domain, before, before + count);
        }
    }

    /// How much a member of this ask and signature adds to it.
    fn raised_by(&self, cluster: &Cluster, ask: AskId, signature: SignatureId) -> i64 {
        let relations = cluster.relations();
        match &self.source {
            Source::Pods(id) => i64::from(relations.matched(signature).binary_search(id).is_ok()),
            Source::Carriers(terms) => {
                let carried = relations.wants(ask).into_iter().flat_map(Wants::carried);
                let counted = carried.filter(|term| terms.binary_search(term).is_ok());
                i64::try_from(counted.count()).expect("a pod has few terms")
            }
            Source::Nothing => 0,
        }
    }
}

impl Last {
    fn recount(&mut self, by_domain: &[i64]) {
        let counts = || by_domain.iter().zip(&self.exists).filter(|(_, e)| **e).map(|(n, _)| *n);
        let least = counts().min().unwrap_or(0);
        self.having_it = counts().filter(|count| *count == least).count();
        self.count = least;
    }

    /// Takes in that one domain, which exists, has another count.
    fn note(&mut self, by_domain: &[i64], before: i64, after: i64) {
        if before == self.count {
            self.having_it -= 1;
        }
        if after < self.count {
            (self.count, self.having_it) = (after, 1);
        } else if after == self.count {
            self.having_it += 1;
        }
        if self.having_it == 0 {
            self.recount(by_domain);
        }
    }
}
