//! What the rules say of every node for one pod, node by node: for people who ask "why not there?", and for
//! comparing Muster's rules with kube-scheduler's. Shows the first rule that rejects a node, with all its reasons.
//! Costs time in proportion to the nodes, so no decision is made by it. Changes nothing; knows no gang.

use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::cluster::draft::Draft;
use crate::cluster::ids::AskId;
use crate::cluster::ids::NodeId;
use crate::cluster::ids::SignatureId;
use crate::cluster::node_set::NodeSet;
use crate::cluster::nominations::Expected;
use crate::planner::beside;
use crate::planner::beside::Met;
use crate::planner::demand::Role;
use crate::plugins;
use crate::plugins::Filter;
use crate::plugins::Rule;
use crate::plugins::census::Census;
use crate::plugins::node_resources_fit;
use crate::plugins::relation::Newcomer;
use crate::plugins::rules;
use crate::plugins::weighing;

/// A node that one pod may not use as things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The node.
    pub node: Name,
    /// The first rule that rejects it, by the name of the registry.
    pub rule: &'static str,
    /// Why, in kube-scheduler's words; not empty.
    pub reasons: Vec<Name>,
}

/// The nodes that the rules reject for one pod with `ask`, by name; the others have room for it beside those who are
/// `expected` there.
pub fn rejections(
    cluster: &mut Cluster,
    (ask, signature): (AskId, SignatureId),
    expected: &[Expected],
) -> Vec<Rejection> {
    cluster.refresh_domains();
    let mut log = Vec::new();
    let mut draft = Draft::open(cluster, &mut log);
    expected.iter().for_each(|expected| draft.hold(expected.step()));
    let met = beside::rejections(&mut draft, &Role { ask, signature, members: vec![] }, expected);
    let cluster = draft.cluster();
    let census = Census::take(cluster, &[(ask, signature)]);
    let newcomer = &Newcomer { cluster, ask: cluster.interned(ask), census: &census, role: 0 };
    let nodes = newcomer.cluster.nodes().present().iter();
    let mut rejections: Vec<_> = match plugins::fault(newcomer) {
        Some((rule, fault)) => {
            let everywhere = |node| Rejection {
                node: cluster.node_name(node).clone(),
                rule: rule.name,
                reasons: vec![(*fault).into()],
            };
            nodes.map(everywhere).collect()
        }
        None => nodes.filter_map(|node| rejection(newcomer, node, met.get(&node))).collect(),
    };
    rejections.sort_by(|one, other| one.node.cmp(&other.node));
    rejections
}

/// The sum of kube-scheduler's scores for each node that no rule rejects, by name; nothing for a pod whose nodes are
/// ranked by Muster's own order. The cluster's domains must be fresh.
pub fn scores(cluster: &Cluster, ask: AskId, signature: SignatureId) -> Vec<(Name, i64)> {
    let census = Census::take(cluster, &[(ask, signature)]);
    let newcomer = &Newcomer { cluster, ask: cluster.interned(ask), census: &census, role: 0 };
    let Some(weighing) = newcomer.ask.ask.weighing() else { return Vec::new() };
    let takes = |node: &NodeId| rejection(newcomer, *node, None).is_none();
    let nodes: Vec<NodeId> = cluster.nodes().present().iter().filter(takes).collect();
    let totals = weighing::totals(newcomer, weighing, &nodes);
    let named = nodes.iter().map(|node| cluster.node_name(*node).clone());
    let mut scores: Vec<_> = named.zip(totals).collect();
    scores.sort();
    scores
}

/// Why the node does not take the newcomer: `met` is what speaks against it beside those who are expected there.
fn rejection(newcomer: &Newcomer<'_>, node: NodeId, met: Option<&Met>) -> Option<Rejection> {
    rules(&newcomer.ask.ask).find_map(|rule| {
        let reasons = match (&rule.filter, met) {
            (Filter::Relation(_) | Filter::Load { .. }, Some(met)) if met.rule == rule.name => {
                met.reasons.iter().map(|reason| (**reason).into()).collect()
            }
            (Filter::Relation(_) | Filter::Load { .. }, Some(_)) => Vec::new(),
            (
                Filter::Nothing
                | Filter::Ask(_)
                | Filter::Objects { .. }
                | Filter::Relation(_)
                | Filter::Load { .. },
                _,
            ) => reasons(rule, newcomer, node),
        };
        (!reasons.is_empty()).then(|| Rejection {
            node: newcomer.cluster.node_name(node).clone(),
            rule: rule.name,
            reasons,
        })
    })
}

/// Why `rule` rejects the node; empty if it does not.
fn reasons(rule: &Rule, newcomer: &Newcomer<'_>, node: NodeId) -> Vec<Name> {
    let Newcomer { cluster, ask, .. } = *newcomer;
    let mut only: NodeSet = [node].into_iter().collect();
    match rule.filter {
        Filter::Nothing => Vec::new(),
        Filter::Ask(faults) => faults(&ask.ask).to_vec(),
        Filter::Objects { retain, reason, .. } => {
            retain(&ask.ask, cluster.nodes(), &mut only);
            if only.is_empty() { vec![reason.into()] } else { Vec::new() }
        }
        Filter::Load { .. } => node_resources_fit::count_lacking(ask, cluster, &only)
            .into_iter()
            .map(|(resource, _)| node_resources_fit::reason(cluster, resource).into())
            .collect(),
        Filter::Relation(judge) if judge.admits(newcomer, node) => Vec::new(),
        Filter::Relation(judge) => {
            judge.reasons(newcomer, node).iter().map(|reason| (&**reason).into()).collect()
        }
    }
}
