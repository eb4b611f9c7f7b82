//! Builds refusals: counts reasons over all nodes for one member that did not fit, on the draft that
//! holds those that did. Counts come from sets and the load index, not from visiting nodes.
//! Writes no sentence: `refusal` says what is counted here. The cluster stays as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::beside::Met;
use super::refusal::{Cause, GangShortfall, NearestMiss, Reason, Refusal, SearchEnd};
use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::asks::InternedAsk;
use crate::cluster::ids::{AskId, NodeId};
use crate::cluster::load::Band;
use crate::cluster::node_set::NodeSet;
use crate::planner::demand::Demand;
use crate::planner::walk::Wanted;
use crate::plugins::cures::Cures;
use crate::plugins::relation::{Newcomer, Reasons};
use crate::plugins::verdict::Verdict;
use crate::plugins::{self, Filter, REGISTRY, Rule, rules};
use crate::plugins::{node_resources_fit, pod_topology_spread};
use crate::workload::ask::Ask;
use crate::workload::relations::SpreadBy;

/// Why nodes of a kept place are not available.
const KEPT: &str = "node(s) were kept for a gang that stands before it";

/// The refusal of a demand that wants what Muster does not honour, or cannot see, if it does.
pub(super) fn unsupported(cluster: &Cluster, demand: &Demand) -> Option<Refusal> {
    demand.roles.iter().find_map(|role| {
        let ask = cluster.ask(role.ask);
        unhonoured(ask, cluster.node_count()).or_else(|| storage_unseen(cluster, ask))
    })
}

fn unhonoured(ask: &Ask, nodes: usize) -> Option<Refusal> {
    let faults = REGISTRY.iter().find_map(|rule| match rule.filter {
        Filter::Ask(faults) => Some(faults(ask)).filter(|faults| !faults.is_empty()),
        Filter::Nothing | Filter::Objects { .. } | Filter::Load { .. } | Filter::Relation(_) => {
            None
        }
    })?;
    Some(Refusal::unsupported(nodes, faults.iter().cloned(), Cures::NONE))
}

/// The refusal of an ask with volumes while some kind of storage cannot be watched: half a view would be none.
fn storage_unseen(cluster: &Cluster, ask: &Ask) -> Option<Refusal> {
    let kind = cluster.storage().hidden().filter(|_| !ask.volumes.is_empty())?;
    let text = format!(
        "spec.volumes: this scheduler cannot list {}, and so cannot say which nodes the volumes allow; \
         give it the rights of deploy/rbac/scheduler.yaml",
        kind.plural()
    );
    Some(Refusal::unsupported(cluster.node_count(), [text.into()], Cures::STORAGE))
}

/// The refusal of a demand for a resource that no node reports, and that a DeviceClass stands behind: upstream would
/// allocate devices of the class on nodes that lack the resource.
pub(super) fn devices_unallocated(cluster: &Cluster, demand: &Demand) -> Option<Refusal> {
    demand.roles.iter().find_map(|role| device_unallocated(cluster, role.ask))
}

fn device_unallocated(cluster: &Cluster, id: AskId) -> Option<Refusal> {
    let InternedAsk { ask, looked_for, .. } = cluster.interned(id);
    if ask.turns_off("DynamicResources") {
        return None;
    }
    let (classes, resources) = (cluster.device_classes(), cluster.resources());
    let behind = |id| classes.behind(id, resources);
    let mut claimed = looked_for.iter().filter_map(|(id, _)| Some((*id, behind(*id)?)));
    let (resource, class) = claimed.find(|(id, _)| !cluster.is_offered(*id))?;
    let name = resources.name(resource);
    let text = format!(
        "spec.containers[].resources: {name} is offered by DeviceClass {class} alone, whose devices are not allocated \
         yet; ask for a resource that nodes report in status.allocatable, as device plugins have them do"
    );
    let cured_by = Cures::DEVICE_CLASSES | Cures::NODE_ADDED | node_resources_fit::RULE.cured_by;
    Some(Refusal::unsupported(cluster.node_count(), [text.into()], cured_by))
}

/// The refusal for the member that is `wanted` and found no room. `newcomer` is the same member where rules
/// about other pods have a say; `met` says where those who are expected keep it away.
pub(super) fn unschedulable(
    wanted: &Wanted<'_>,
    (newcomer, met): (Option<&Newcomer<'_>>, &BTreeMap<NodeId, Met>),
    gang: Option<GangShortfall>,
    search: SearchEnd,
) -> Refusal {
    let Wanted { cluster, ask, verdict, keep_off } = *wanted;
    let nodes = cluster.node_count();
    if let Some((rule, fault)) = newcomer.and_then(plugins::fault) {
        let reasons = vec![Reason { count: 0, text: (*fault).into() }];
        let (cause, nearest, cured_by) = (Cause::Unschedulable, None, rule.cured_by);
        return Refusal { cause, nodes, reasons, gang, nearest, search, cured_by };
    }
    let mut reasons = Vec::new();
    let mut cured_by = Cures::NODE_ADDED;
    let mut add = |count: usize, text: Name, cures: Cures| {
        reasons.push(Reason { count, text });
        cured_by = cured_by | cures;
    };
    for rejected in &verdict.rejected {
        add(rejected.count, rejected.reason.into(), rejected.cured_by);
    }
    let mut open = verdict.allowed.clone();
    open.subtract(keep_off);
    if open.len() < verdict.allowed.len() {
        add(verdict.allowed.len() - open.len(), KEPT.into(), Cures::PLACE_FREED);
    }
    if let Some(newcomer) = newcomer {
        for (text, (count, cures)) in count_one_by_one(newcomer, &open, met) {
            add(count, (*text).into(), cures);
        }
    } else {
        for (resource, count) in node_resources_fit::count_lacking(ask, cluster, &open) {
            let text = node_resources_fit::reason(cluster, resource);
            add(count, text.into(), node_resources_fit::RULE.cured_by);
        }
    }
    reasons.sort_by_cached_key(Reason::to_string);
    // Where other pods stand in the way, a node with enough left is not near for that.
    let nearest =
        nearest(cluster, ask, &open).filter(|near| newcomer.is_none() || !near.lacking.is_empty());
    Refusal { cause: Cause::Unschedulable, nodes, reasons, gang, nearest, search, cured_by }
}

/// Of the open nodes, how many each reason of the first rule that rejects them holds for, and what may turn it.
fn count_one_by_one(
    newcomer: &Newcomer<'_>,
    open: &NodeSet,
    met: &BTreeMap<NodeId, Met>,
) -> BTreeMap<Cow<'static, str>, (usize, Cures)> {
    let mut counts = BTreeMap::new();
    let mut add = |reason: Cow<'static, str>, cured_by: Cures| {
        let (count, cures) = counts.entry(reason).or_insert((0, Cures::NONE));
        *count += 1;
        *cures = *cures | cured_by;
    };
    for node in open {
        // As upstream, with those who are expected there first.
        if let Some(met) = met.get(&node) {
            met.reasons.iter().for_each(|reason| add(reason.clone(), met.cured_by));
            continue;
        }
        for rule in rules(&newcomer.ask.ask) {
            let reasons = first_reasons(rule, newcomer, node);
            let rejects = !reasons.is_empty();
            for reason in reasons {
                let by_profile =
                    rule.name == pod_topology_spread::RULE.name && is_spread_by_profile(newcomer);
                let selecting = if by_profile { Cures::SELECTING } else { Cures::NONE };
                add(reason, rule.cured_by | selecting);
            }
            if rejects {
                break;
            }
        }
    }
    counts
}

/// True if what the pod must meet follows from what selects it.
fn is_spread_by_profile(newcomer: &Newcomer<'_>) -> bool {
    let relations = newcomer.ask.ask.relations.as_ref();
    relations.is_some_and(|relations| relations.spread_by == SpreadBy::Profile)
}

/// Why the rule rejects a node that rules on node objects allow; none if it does not.
pub(super) fn first_reasons(rule: &Rule, newcomer: &Newcomer<'_>, node: NodeId) -> Reasons {
    let Newcomer { cluster, ask, .. } = *newcomer;
    match rule.filter {
        Filter::Nothing | Filter::Ask(_) | Filter::Objects { .. } => Reasons::new(),
        Filter::Load { .. } => {
            let lacks = |(kind, amount): &&(_, i64)| cluster.load().free(node, *kind) < *amount;
            let lacking = ask.looked_for.iter().filter(lacks);
            lacking.map(|(kind, _)| node_resources_fit::reason(cluster, *kind).into()).collect()
        }
        Filter::Relation(judge) if judge.admits(newcomer, node) => Reasons::new(),
        Filter::Relation(judge) => judge.reasons(newcomer, node),
    }
}

/// The open node that has most left of the resource by which the ask is packed.
fn nearest(cluster: &Cluster, ask: &InternedAsk, open: &NodeSet) -> Option<NearestMiss> {
    let index = cluster.load().bands(ask.packed_by);
    let with_most =
        index.bands_from(Band::of(1)).filter_map(|(_, nodes)| nodes.common(open).next()).last();
    let node = with_most.or_else(|| open.first())?;
    Some(NearestMiss {
        node: cluster.node_name(node).clone(),
        lacking: lacking(cluster, ask, node),
    })
}

fn lacking(cluster: &Cluster, ask: &InternedAsk, node: NodeId) -> Vec<(Name, i64)> {
    let short = |(resource, amount): &(_, i64)| {
        let short = amount.saturating_sub(cluster.load().free(node, *resource));
        (short > 0).then(|| (cluster.resources().name(*resource).clone(), short))
    };
    ask.looked_for.iter().filter_map(short).collect()
}

/// True if rules on node objects allow the ask on `node`; `verdict` is used where it is current.
pub(super) fn admits(
    cluster: &Cluster,
    ask: &Ask,
    verdict: Option<&Verdict>,
    node: NodeId,
) -> bool {
    match verdict {
        Some(verdict) => verdict.allowed.contains(node),
        None => {
            let fact = cluster.nodes().get(node).fact.as_ref();
            fact.is_some_and(|fact| crate::plugins::admits(ask, fact))
        }
    }
}
