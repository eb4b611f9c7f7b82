//! Topology wishes in annotations, on PodGroups and on their pods. Until Muster places gangs by topology,
//! a required domain refuses the gang by name; a preferred one is only a wish and is left out.
//! The one list of the annotations that count as such a wish.

use super::objects::Annotations;

/// What the annotations require and Muster cannot honour yet.
pub(super) fn required_topology(annotations: &Annotations) -> Vec<String> {
    let required = [
        ("muster.dev/required-topology", &annotations.required_topology),
        ("kueue.x-k8s.io/podset-required-topology", &annotations.kueue_required_topology),
        (
            "kueue.x-k8s.io/podset-slice-required-topology",
            &annotations.kueue_slice_required_topology,
        ),
    ];
    required
        .into_iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)))
        .map(|(key, value)| not_honoured(&format!("metadata.annotations[{key}] \"{value}\"")))
        .collect()
}

/// The sentence for a required domain named by `field`.
pub(super) fn not_honoured(field: &str) -> String {
    format!(
        "{field}: required topology is not honoured yet; use muster.dev/preferred-topology or a node selector"
    )
}
