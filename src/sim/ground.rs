//! What a node is to a pod besides the room that it has: its name, its labels, its taints.
//! Judged apart from any scheduler, in the kubelet's way, so that kubelets and controllers of a simulated cluster
//! can be held against what was scheduled. Knows no amounts and no other pods.

use crate::base::names::Name;
use crate::cluster::facts::NodeFact;
use crate::workload::ask::Ask;
use crate::workload::constraints::NodeOperator;
use crate::workload::constraints::NodeRequirement;
use crate::workload::constraints::NodeTerm;
use crate::workload::constraints::Taint;
use crate::workload::constraints::TaintEffect;

/// A node's name, labels, and taints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ground {
    name: Option<Name>,
    labels: Vec<(Name, Name)>,
    pub(super) taints: Vec<Taint>,
}

impl Ground {
    /// As the node object says it.
    pub(super) fn of(fact: &NodeFact) -> Self {
        let (name, labels) = (Some(fact.name.clone()), fact.labels.clone());
        Self { name, labels, taints: fact.taints.clone() }
    }

    /// True if the node has what `nodeSelector` and required node affinity want.
    pub(super) fn attracts(&self, ask: &Ask) -> bool {
        let selected = ask
            .node_selector
            .iter()
            .all(|(key, value)| self.label(key).is_some_and(|found| found == &**value));
        let terms = ask.required_terms.as_ref();
        selected && terms.is_none_or(|terms| terms.iter().any(|term| self.matches(term)))
    }

    /// True if the node has a taint of this effect that is not tolerated.
    pub(super) fn repels(&self, ask: &Ask, effect: TaintEffect) -> bool {
        let tolerated =
            |taint: &Taint| ask.tolerations.iter().any(|toleration| toleration.tolerates(taint));
        self.taints.iter().any(|taint| taint.effect == effect && !tolerated(taint))
    }

    fn matches(&self, term: &NodeTerm) -> bool {
        let empty = term.match_expressions.is_empty() && term.match_fields.is_empty();
        let labels = |wanted: &NodeRequirement| holds(wanted, self.label(&wanted.key));
        // The only field that exists is `metadata.name`.
        let fields = |wanted: &NodeRequirement| holds(wanted, self.name.as_deref());
        !empty
            && term.malformed.is_none()
            && term.match_expressions.iter().all(labels)
            && term.match_fields.iter().all(fields)
    }

    fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
        Some(&self.labels[found].1)
    }
}

/// True if a label's value (or its absence) is what is wanted.
fn holds(wanted: &NodeRequirement, found: Option<&str>) -> bool {
    let listed = || wanted.values.iter().any(|value| found == Some(&**value));
    let numbers = || {
        let [bound] = &wanted.values[..] else { return None };
        Some((found?.parse::<i64>().ok()?, bound.parse::<i64>().ok()?))
    };
    match wanted.operator {
        NodeOperator::In => listed(),
        NodeOperator::NotIn => !listed(),
        NodeOperator::Exists => found.is_some(),
        NodeOperator::DoesNotExist => found.is_none(),
        NodeOperator::Gt => numbers().is_some_and(|(found, bound)| found > bound),
        NodeOperator::Lt => numbers().is_some_and(|(found, bound)| found < bound),
    }
}
