//! What `muster simulate -o json` prints: a contract that others parse.
//!
//! Field names, order, and meaning are fixed by `docs/SPECIFICATION.md`; adding a field is allowed, changing
//! or dropping one is not. Instants are spans since time 0, written as Go writes durations.

use serde::Serialize;

/// The `apiVersion` of the document.
pub const API_VERSION: &str = "muster.dev/v1alpha1";
/// The `kind` of the document.
pub const KIND: &str = "SimulationResult";

/// The whole outcome of a simulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SimulationResult {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// [`KIND`].
    pub kind: &'static str,
    /// When a pod last changed; heartbeats and retries do not count.
    pub end: String,
    /// In the order in which they happened: by time, then plan order, then namespace and name.
    pub bindings: Vec<Binding>,
    /// In the order in which they happened.
    pub evictions: Vec<Eviction>,
    /// One entry per gang and reason, in turn order, with every unbound pod once.
    pub waiting: Vec<Waiting>,
    /// Every pod that exists at the end, sorted by namespace and name.
    pub pods: Vec<PodState>,
}

/// A pod that was bound. Pods that the input shows as bound are not among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// When.
    pub at: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The PodGroup's name, or the pod's own.
    pub gang: String,
    /// Where to.
    pub node: String,
}

/// A pod that was made to leave its node. It counts as evicted when that is asked for, not when it has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Eviction {
    /// When.
    pub at: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The PodGroup's name, or the pod's own.
    pub gang: String,
    /// Where it ran.
    pub node: String,
    /// `Preempted`, `Moved`, `GangAborted`, or `GangRestarted`.
    pub reason: String,
    /// For whom, as `namespace/gang`; absent for the last two reasons.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub beneficiary: Option<String>,
}

/// Pods of one gang that wait for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// The gang's namespace.
    pub namespace: String,
    /// The PodGroup's name, or the pod's own.
    pub gang: String,
    /// The pods, in natural order of their names.
    pub pods: Vec<String>,
    /// One of the words of `WaitReason`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// A pod at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodState {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its node: null while unbound, kept when finished.
    pub node: Option<String>,
    /// `Pending`, `Running`, `Succeeded`, or `Failed`.
    pub phase: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_what_the_contract_shows() {
        let result = SimulationResult {
            api_version: API_VERSION,
            kind: KIND,
            end: "12m0s".to_owned(),
            bindings: vec![Binding {
                at: "0s".to_owned(),
                namespace: "default".to_owned(),
                pod: "train-0".to_owned(),
                gang: "train".to_owned(),
                node: "a1".to_owned(),
            }],
            evictions: vec![Eviction {
                at: "1m0s".to_owned(),
                namespace: "default".to_owned(),
                pod: "low-0".to_owned(),
                gang: "low".to_owned(),
                node: "a2".to_owned(),
                reason: "Preempted".to_owned(),
                beneficiary: Some("default/train".to_owned()),
            }],
            waiting: vec![Waiting {
                namespace: "default".to_owned(),
                gang: "big".to_owned(),
                pods: vec!["big-0".to_owned()],
                reason: "Unschedulable",
                message: "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.".to_owned(),
            }],
            pods: vec![PodState {
                namespace: "default".to_owned(),
                name: "late".to_owned(),
                node: None,
                phase: "Pending".to_owned(),
            }],
        };
        let text = serde_json::to_string(&result).expect("plain data");
        assert_eq!(
            text,
            concat!(
                r#"{"apiVersion":"muster.dev/v1alpha1","kind":"SimulationResult","end":"12m0s","#,
                r#""bindings":[{"at":"0s","namespace":"default","pod":"train-0","gang":"train","node":"a1"}],"#,
                r#""evictions":[{"at":"1m0s","namespace":"default","pod":"low-0","gang":"low","node":"a2","#,
                r#""reason":"Preempted","for":"default/train"}],"#,
                r#""waiting":[{"namespace":"default","gang":"big","pods":["big-0"],"reason":"Unschedulable","#,
                r#""message":"0/2 nodes are available: 2 Insufficient nvidia.com/gpu."}],"#,
                r#""pods":[{"namespace":"default","name":"late","node":null,"phase":"Pending"}]}"#,
            )
        );
    }
}
