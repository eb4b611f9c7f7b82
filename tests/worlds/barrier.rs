//! The read barrier as the wire shows it: whoever was elected writes nothing about pods and gangs before it has listed
//! every kind anew, by requests that were sent after its lease was written.
//! Knows requests and answers only; of a process it knows the name.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// What has to be listed.
const KINDS: [&str; 6] = [
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/api/v1/pods",
    "/apis/scheduling.x-k8s.io/v1alpha1/podgroups",
    "/apis/scheduling.k8s.io/v1beta1/podgroups",
    "/apis/muster.dev/v1alpha1/gangplans",
];

/// Whether a request was sent before its process was elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Before,
    Since,
}

/// What each process has listed since it was elected.
#[derive(Debug, Default)]
pub(crate) struct Barrier {
    elected: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Barrier {
    /// When a request that `process` sends now is sent.
    pub(crate) fn sent(&self, process: &str) -> Sent {
        if self.elected.contains_key(process) { Sent::Since } else { Sent::Before }
    }

    /// A request was carried out.
    pub(crate) fn carried_out(&mut self, process: &str, method: &str, path: &str) {
        if path.contains("/leases") && method != "GET" {
            self.elected.entry(process.to_owned()).or_default();
        }
    }

    /// The answer to a list has reached its process.
    pub(crate) fn listed(&mut self, process: &str, path: &str, sent: Sent) {
        let Some(listed) = self.elected.get_mut(process) else { return };
        let kind = KINDS.into_iter().find(|kind| *kind == path);
        listed.extend(kind.filter(|_| sent == Sent::Since));
    }

    /// What a write breaks, if it does.
    pub(crate) fn broken_by(&self, process: &str, method: &str, path: &str) -> Option<String> {
        let decides = method != "GET"
            && (path.ends_with("/binding")
                || path.contains("/gangplans")
                || (path.contains("/podgroups/") && !path.ends_with("/status"))
                || (path.contains("/pods/") && method == "DELETE"));
        if !decides {
            return None;
        }
        let nothing = BTreeSet::new();
        let listed = self.elected.get(process).unwrap_or(&nothing);
        let missing = KINDS.into_iter().find(|kind| !listed.contains(kind))?;
        Some(format!("{process} sends {method} {path} before it has listed {missing} as a leader"))
    }
}

#[test]
fn a_write_before_everything_was_listed_anew_is_noticed() {
    let mut barrier = Barrier::default();
    let bind = |barrier: &Barrier| barrier.broken_by("s", "POST", "/api/v1/pods/a/binding");
    let early = barrier.sent("s");
    assert!(bind(&barrier).is_some_and(|why| why.contains("/api/v1/nodes")));
    barrier.carried_out("s", "PUT", "/apis/coordination.k8s.io/v1/leases/muster");
    for kind in KINDS {
        barrier.listed("s", kind, early);
    }
    assert!(bind(&barrier).is_some(), "what was sent before the election proves nothing");
    for kind in KINDS {
        assert!(bind(&barrier).is_some());
        barrier.listed("s", kind, barrier.sent("s"));
    }
    assert_eq!(bind(&barrier), None);
    let status = "/apis/scheduling.k8s.io/v1beta1/namespaces/default/podgroups/g/status";
    assert_eq!(barrier.broken_by("other", "PATCH", status), None, "words are no decision");
}
