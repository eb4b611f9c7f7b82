//! How a profile spreads pods that say nothing of it: the arguments of PodTopologySpread, read strictly and checked as
//! upstream checks them, and what they mean beside the profile's filters and scores.
//! Invariant: constraints that no filter and no score would read are not kept, so that nobody is watched for them.

use serde::Deserialize;
use serde_json::Value;

use super::arguments::Checked;
use super::file::Plugins;
use super::profile::is_on;
use crate::base::label_syntax::is_label_key;
use crate::workload::profile::DefaultSpread;
use crate::workload::profile::Profile;
use crate::workload::relations::InclusionPolicy;
use crate::workload::relations::Spread;
use crate::workload::relations::SpreadBy;

/// The plugin.
pub(super) const PLUGIN: &str = "PodTopologySpread";

/// kube-scheduler's own constraints: the key, and by how much a domain may be ahead.
const OF_SYSTEM: [(&str, u32); 2] =
    [("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5)];

/// Arguments of PodTopologySpread.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct PodTopologySpread {
    default_constraints: Vec<Constraint>,
    defaulting_type: String,
}

/// A constraint, in the form that pods have too.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Constraint {
    max_skew: i64,
    topology_key: String,
    when_unsatisfiable: String,
    label_selector: Option<Value>,
    min_domains: Option<i64>,
    match_label_keys: Vec<String>,
    node_affinity_policy: Option<String>,
    node_taints_policy: Option<String>,
}

impl Checked for PodTopologySpread {
    fn fault(&self) -> Option<String> {
        match self.defaulting_type.as_str() {
            "List" => {}
            "" | "System" if self.default_constraints.is_empty() => {}
            "" | "System" => {
                return Some(
                    "defaultConstraints: must be empty unless defaultingType is List".to_owned(),
                );
            }
            other => return Some(format!("defaultingType: {other:?} must be System or List")),
        }
        let constraints = &self.default_constraints;
        constraints.iter().enumerate().find_map(|(at, constraint)| {
            let fault = constraint.fault().or_else(|| {
                let is_same = |other: &Constraint| {
                    (&other.topology_key, &other.when_unsatisfiable)
                        == (&constraint.topology_key, &constraint.when_unsatisfiable)
                };
                constraints[..at].iter().any(is_same).then(|| {
                    let Constraint { topology_key, when_unsatisfiable, .. } = constraint;
                    format!("topologyKey: {topology_key} with {when_unsatisfiable} is listed twice")
                })
            });
            fault.map(|fault| format!("defaultConstraints[{at}].{fault}"))
        })
    }
}

impl Constraint {
    fn fault(&self) -> Option<String> {
        let above_zero = |field: &str, number: i64| {
            let fits = u32::try_from(number).is_ok_and(|number| number > 0);
            (!fits).then(|| format!("{field}: {number} must be greater than 0"))
        };
        let policy = |field: &str, written: &Option<String>| {
            let known = ["Honor", "Ignore"];
            let other = written.as_ref().filter(|policy| !known.contains(&policy.as_str()))?;
            Some(format!("{field}: {other:?} must be Honor or Ignore"))
        };
        let key = || {
            (!is_label_key(&self.topology_key)).then(|| {
                format!("topologyKey: {:?} must be the key of a node label", self.topology_key)
            })
        };
        let when = || {
            let known = ["DoNotSchedule", "ScheduleAnyway"];
            (!known.contains(&self.when_unsatisfiable.as_str())).then(|| {
                format!(
                    "whenUnsatisfiable: {:?} must be DoNotSchedule or ScheduleAnyway",
                    self.when_unsatisfiable
                )
            })
        };
        let selector = || {
            self.label_selector.as_ref().filter(|selector| !selector.is_null()).map(|_| {
                "labelSelector: must not be given: it follows from what selects each pod".to_owned()
            })
        };
        above_zero("maxSkew", self.max_skew)
            .or_else(key)
            .or_else(when)
            .or_else(selector)
            .or_else(|| above_zero("minDomains", self.min_domains.unwrap_or(1)))
            .or_else(|| policy("nodeAffinityPolicy", &self.node_affinity_policy))
            .or_else(|| policy("nodeTaintsPolicy", &self.node_taints_policy))
    }

    /// The constraint without a selector, which each pod brings.
    fn template(&self) -> Spread {
        let number = |number: i64| u32::try_from(number).unwrap_or(1);
        let policy = |written: &Option<String>, default: InclusionPolicy| match written.as_deref() {
            Some("Honor") => InclusionPolicy::Honor,
            Some(_ignore) => InclusionPolicy::Ignore,
            None => default,
        };
        Spread {
            max_skew: number(self.max_skew),
            topology_key: self.topology_key.as_str().into(),
            selector: None,
            namespace: "".into(),
            min_domains: number(self.min_domains.unwrap_or(1)),
            node_affinity_policy: policy(&self.node_affinity_policy, InclusionPolicy::Honor),
            node_taints_policy: policy(&self.node_taints_policy, InclusionPolicy::Ignore),
        }
    }
}

/// What the arguments mean for pods that say nothing of it, in a profile whose filters and scores are known. `path` is
/// where they stand.
pub(super) fn meaning(
    path: &str,
    written: &PodTopologySpread,
    (profile, plugins): (&Profile, &Plugins),
    warnings: &mut Vec<String>,
) -> Option<DefaultSpread> {
    let is_filter = !profile.turns_off(PLUGIN);
    // Without kube-scheduler's scores, wishes rank nodes in an order of Muster's own.
    let is_score = match &profile.weighing {
        Some(weighing) => weighing.weight(PLUGIN) > 0,
        None => is_on(plugins, &plugins.score, PLUGIN),
    };
    if written.defaulting_type != "List" {
        let by_scores = profile.weighing.is_some() && is_score;
        if !by_scores && !written.defaulting_type.is_empty() {
            warnings.push(format!(
                "{path}.args.defaultingType: has no effect here: the system's own spreading is a score, and the profile \
                 asks for none"
            ));
        }
        return by_scores.then(of_system);
    }
    for (at, constraint) in written.default_constraints.iter().enumerate() {
        if !constraint.match_label_keys.is_empty() {
            warnings.push(format!(
                "{path}.args.defaultConstraints[{at}].matchLabelKeys: has no effect, as in kube-scheduler: what selects \
                 each pod tells which pods count"
            ));
        }
    }
    let of_kind = |kind: &str| -> Vec<Spread> {
        let constraints = written.default_constraints.iter();
        let wanted = constraints.filter(|constraint| constraint.when_unsatisfiable == kind);
        wanted.map(Constraint::template).collect()
    };
    let required = if is_filter { of_kind("DoNotSchedule") } else { Vec::new() };
    let wished = if is_score { of_kind("ScheduleAnyway") } else { Vec::new() };
    let is_any = !required.is_empty() || !wished.is_empty();
    is_any.then_some(DefaultSpread { required, wished, by: SpreadBy::Profile })
}

/// kube-scheduler's own constraints, which are wishes.
fn of_system() -> DefaultSpread {
    let constraint = |(key, max_skew): (&str, u32)| Spread {
        max_skew,
        topology_key: key.into(),
        selector: None,
        namespace: "".into(),
        min_domains: 1,
        node_affinity_policy: InclusionPolicy::Honor,
        node_taints_policy: InclusionPolicy::Ignore,
    };
    DefaultSpread {
        required: Vec::new(),
        wished: OF_SYSTEM.into_iter().map(constraint).collect(),
        by: SpreadBy::System,
    }
}
