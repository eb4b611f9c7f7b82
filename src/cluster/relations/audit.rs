//! Recounts relations from what is described and placed alone: every selector against every pod.
//! Changes nothing; for tests and for doubts, since it takes time in proportion to selectors times pods.
//! Shares no index with what is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::column::Column;
use super::ports::PortsInUse;
use super::wants::Wants;
use super::{Attention, Relations};
use crate::base::id::Id;
use crate::cluster::asks::AskTable;
use crate::cluster::ids::{AskId, NodeId, PodId, SelectorId};
use crate::cluster::pods::Pods;

/// The first thing that is kept otherwise than a recount gives.
pub(in crate::cluster) fn difference(
    relations: &Relations,
    asks: &AskTable,
    pods: &Pods,
) -> Option<String> {
    let placed: Vec<(PodId, NodeId)> =
        pods.placed().filter(|(pod, _)| relations.row(*pod).is_some()).collect();
    let row = |pod: PodId| relations.row(pod).expect("only described pods are looked at");
    let mut ports = PortsInUse::default();
    for (pod, node) in &placed {
        let written = asks.get(row(*pod).ask).ask.relations.as_ref();
        for port in written.into_iter().flat_map(|written| &written.host_ports) {
            ports.shift(*node, port, 1);
        }
    }
    if placed.iter().any(|(_, node)| ports.on(*node) != relations.ports.on(*node)) {
        return Some("host ports in use".into());
    }
    let mut repelled_by: BTreeMap<SelectorId, BTreeSet<AskId>> = BTreeMap::new();
    for (at, wants) in relations.wants.iter().enumerate() {
        for repulsion in wants.iter().flat_map(|wants| &wants.repulsion) {
            repelled_by.entry(repulsion.selector).or_default().insert(AskId::from_index(at));
        }
    }
    for (id, selector) in relations.selectors.iter() {
        if repelled_by.remove(&id).unwrap_or_default() != selector.repelled_by {
            return Some(format!("asks against the pods of selector {id:?}"));
        }
        let mut recounted = Column::default();
        for (pod, node) in &placed {
            let row = row(*pod);
            let namespace = relations.namespace(&row.labels.namespace);
            if selector.what.matches(&row.labels, namespace)
                && selector.what.counts.include(row.life)
            {
                recounted.shift(*node, 1);
            }
        }
        if recounted != selector.pods {
            return Some(format!("pods of selector {id:?}"));
        }
    }
    for (id, term) in relations.selectors.terms() {
        let mut recounted = Column::default();
        for (pod, node) in &placed {
            let wants = relations.wants(row(*pod).ask);
            let carried = wants.into_iter().flat_map(Wants::carried);
            let times = carried.filter(|carried| *carried == id).count();
            if times > 0 {
                recounted.shift(*node, i64::try_from(times).expect("a pod has few terms"));
            }
        }
        if recounted != term.carriers {
            return Some(format!("carriers of term {id:?}"));
        }
    }
    signatures(relations)
}

fn signatures(relations: &Relations) -> Option<String> {
    if relations.attention == Attention::Asleep {
        return None;
    }
    for pod in (0..relations.rows.len()).map(PodId::from_index) {
        let Some(row) = relations.row(pod) else { continue };
        let namespace = relations.namespace(&row.labels.namespace);
        let matches = relations
            .selectors
            .iter()
            .filter(|(_, selector)| selector.what.matches(&row.labels, namespace));
        let signature = relations.signature_of(pod);
        if !matches.map(|(id, _)| id).eq(relations.matched(signature).iter().copied()) {
            return Some(format!("signature of {pod:?}"));
        }
    }
    None
}
