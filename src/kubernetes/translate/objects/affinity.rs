//! The parts of a pod that speak of other pods: affinity between pods and topology spread constraints.
//! Serde's mirror of the API like its parent, and nothing else.
//! Everything is optional here as there.

use serde::Deserialize;
use serde_json::Value;

use crate::kubernetes::translate::read::nullable;

/// Affinity or anti-affinity between pods.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    /// Required terms.
    #[serde(
        rename = "requiredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    pub required: Vec<PodAffinityTerm>,
    /// Preferred terms.
    #[serde(
        rename = "preferredDuringSchedulingIgnoredDuringExecution",
        deserialize_with = "nullable"
    )]
    pub preferred: Vec<PreferredPodTerm>,
}

/// A preferred term of pod affinity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PreferredPodTerm {
    /// 1 to 100.
    pub weight: i32,
    /// The term.
    #[serde(deserialize_with = "nullable")]
    pub pod_affinity_term: PodAffinityTerm,
}

/// One required term of pod affinity.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodAffinityTerm {
    /// Which pods (a `metav1.LabelSelector`); absent matches none, empty matches all.
    pub label_selector: Option<Value>,
    /// Namespaces by name.
    #[serde(deserialize_with = "nullable")]
    pub namespaces: Vec<String>,
    /// Namespaces by label; `{}` means all of them.
    pub namespace_selector: Option<Value>,
    /// The node label whose values are the domains.
    pub topology_key: String,
    /// Labels whose value the other pods must share with this one.
    #[serde(deserialize_with = "nullable")]
    pub match_label_keys: Vec<String>,
    /// Labels whose value the other pods must not share with this one.
    #[serde(deserialize_with = "nullable")]
    pub mismatch_label_keys: Vec<String>,
}

/// A topology spread constraint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(missing_docs, reason = "field names and meanings are those of core/v1")]
pub struct SpreadConstraint {
    pub max_skew: i64,
    pub topology_key: String,
    pub when_unsatisfiable: String,
    pub label_selector: Option<Value>,
    pub min_domains: Option<i64>,
    #[serde(deserialize_with = "nullable")]
    pub match_label_keys: Vec<String>,
    pub node_affinity_policy: Option<String>,
    pub node_taints_policy: Option<String>,
}
