//! Constraints between a pod and a node object: taints, tolerations, node selectors.
//! Semantics: kube-scheduler 1.37, plugins TaintToleration and NodeAffinity.
//! Kept as written, also what is malformed: whether a term makes sense is judged where it is matched.

use crate::base::names::Name;

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaintEffect {
    /// Not scheduled there.
    NoSchedule,
    /// Scheduled there only where nothing better is.
    PreferNoSchedule,
    /// Not scheduled there, and evicted by the node lifecycle controller.
    NoExecute,
}

/// A taint on a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// Taint key.
    pub key: Name,
    /// Taint value, possibly empty.
    pub value: Name,
    /// What it does.
    pub effect: TaintEffect,
}

/// How a toleration compares its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TolerationOperator {
    /// The values must be equal.
    Equal,
    /// Any value.
    Exists,
    /// `Gt`, `Lt`, or unknown to this release: tolerates nothing, as upstream without its alpha gate.
    Never,
}

/// A toleration of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// Key; empty means every key.
    pub key: Name,
    /// How values compare.
    pub operator: TolerationOperator,
    /// Value for [`TolerationOperator::Equal`].
    pub value: Name,
    /// Effect; `None` means every effect.
    pub effect: Option<TaintEffect>,
}

impl Toleration {
    /// True if this toleration covers `taint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|effect| effect == taint.effect)
            && (self.key.is_empty() || self.key == taint.key)
            && match self.operator {
                TolerationOperator::Equal => self.value == taint.value,
                TolerationOperator::Exists => true,
                TolerationOperator::Never => false,
            }
    }
}

/// Operator of a node selector requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeOperator {
    /// The label has one of the values.
    In,
    /// The label is missing or has none of the values.
    NotIn,
    /// The label exists.
    Exists,
    /// The label is missing.
    DoesNotExist,
    /// The label, as an integer, is greater than the one value.
    Gt,
    /// The label, as an integer, is less than the one value.
    Lt,
}

/// One requirement on a label (or, in `match_fields`, on `metadata.name`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRequirement {
    /// Label key or field path.
    pub key: Name,
    /// How the values are compared.
    pub operator: NodeOperator,
    /// Values, as written.
    pub values: Vec<Name>,
}

/// One term: all requirements must hold. An empty term matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeTerm {
    /// Requirements on labels.
    pub match_expressions: Vec<NodeRequirement>,
    /// Requirements on fields; only `metadata.name` exists.
    pub match_fields: Vec<NodeRequirement>,
    /// A term that does not parse matches no node, as upstream; its reason is kept for messages.
    pub malformed: Option<Name>,
}

impl NodeTerm {
    /// True if the term matches an object with these labels and no name, as upstream matches the node affinity of a
    /// volume: requirements on fields meet no field.
    pub fn matches_labels<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let empty = self.match_expressions.is_empty() && self.match_fields.is_empty();
        !empty
            && self.malformed.is_none()
            && self.match_expressions.iter().all(|wanted| wanted.holds(label(&wanted.key)))
            && self.match_fields.iter().all(|wanted| wanted.holds(None))
    }
}

impl NodeRequirement {
    /// True if an object with `value` under the key (`None`: key absent) meets this.
    pub fn holds(&self, value: Option<&str>) -> bool {
        let listed = value.is_some_and(|value| self.values.iter().any(|known| **known == *value));
        let number = |text: &str| text.parse::<i64>().ok();
        let numbers =
            || value.and_then(number).zip(self.values.first().and_then(|one| number(one)));
        match self.operator {
            NodeOperator::In => listed,
            NodeOperator::NotIn => !listed,
            NodeOperator::Exists => value.is_some(),
            NodeOperator::DoesNotExist => value.is_none(),
            NodeOperator::Gt => numbers().is_some_and(|(value, bound)| value > bound),
            NodeOperator::Lt => numbers().is_some_and(|(value, bound)| value < bound),
        }
    }
}

/// A preferred term and its weight (1 to 100).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PreferredTerm {
    /// Added to a node's score where the term matches.
    pub weight: i32,
    /// The term.
    pub term: NodeTerm,
}
