//! The node affinity of a volume of an in-tree plugin as its CSI driver reads it: zones under the driver's own label.
//! Follows the translation that kube-scheduler 1.37 applies on nodes which have migrated the plugin.
//! Knows no node; a volume's own affinity stays as it is beside this.

use crate::base::names::Name;
use crate::workload::constraints::{NodeOperator, NodeRequirement, NodeTerm};

const ZONE: &str = "topology.kubernetes.io/zone";
const OLD_ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";
const OLD_REGION: &str = "failure-domain.beta.kubernetes.io/region";

/// The label by which the driver of a migrated plugin tells zones; `None` where it does without.
fn zone_label(plugin: &str) -> Option<&'static str> {
    match plugin {
        "kubernetes.io/aws-ebs" => Some("topology.ebs.csi.aws.com/zone"),
        "kubernetes.io/cinder" => Some("topology.cinder.csi.openstack.org/zone"),
        "kubernetes.io/gce-pd" => Some("topology.gke.io/zone"),
        _ => None,
    }
}

/// The terms of a volume with these labels and terms, where `plugin` was migrated.
pub(super) fn migrated(
    plugin: &str,
    labels: &[(Name, Name)],
    written: Option<&[NodeTerm]>,
) -> Option<Vec<NodeTerm>> {
    let mut terms = written.map(<[NodeTerm]>::to_vec);
    let Some(driver_label) = zone_label(plugin) else { return terms };
    let label =
        |key: &str| labels.iter().find(|(known, _)| **known == *key).map(|(_, value)| value);
    let names = |key: &str| requirements(terms.as_deref()).any(|wanted| *wanted.key == *key);
    let is_old =
        !names(ZONE) && (names(OLD_ZONE) || label(ZONE).is_none() && label(OLD_ZONE).is_some());
    let zone = if is_old { OLD_ZONE } else { ZONE };
    if lists_values(terms.as_deref(), zone) {
        rename(&mut terms, zone, driver_label);
    } else if let Some(zones) = label(zone) {
        require_one_of(&mut terms, driver_label, zones);
    }
    // The old name of the region means the new one; that of the zone is gone by now.
    if is_old && lists_values(terms.as_deref(), OLD_REGION) {
        rename(&mut terms, OLD_REGION, REGION);
    }
    terms
}

fn requirements(terms: Option<&[NodeTerm]>) -> impl Iterator<Item = &NodeRequirement> {
    terms.into_iter().flatten().flat_map(|term| &term.match_expressions)
}

fn lists_values(terms: Option<&[NodeTerm]>, key: &str) -> bool {
    requirements(terms).any(|wanted| *wanted.key == *key && !wanted.values.is_empty())
}

fn rename(terms: &mut Option<Vec<NodeTerm>>, from: &str, to: &str) {
    let all = terms.iter_mut().flatten().flat_map(|term| &mut term.match_expressions);
    for wanted in all.filter(|wanted| *wanted.key == *from) {
        wanted.key = to.into();
    }
}

/// Adds to every term that `key` must have one of the values in `zones`, which `__` separates; a volume without terms
/// gets one.
fn require_one_of(terms: &mut Option<Vec<NodeTerm>>, key: &str, zones: &str) {
    let mut values: Vec<Name> =
        zones.split("__").map(str::trim).filter(|zone| !zone.is_empty()).map(Into::into).collect();
    values.sort_unstable();
    values.dedup();
    if values.is_empty() {
        return;
    }
    let terms = terms.get_or_insert_default();
    if terms.is_empty() {
        terms.push(NodeTerm::default());
    }
    let wanted = NodeRequirement { key: key.into(), operator: NodeOperator::In, values };
    terms.iter_mut().for_each(|term| term.match_expressions.push(wanted.clone()));
}

#[cfg(test)]
mod tests {
    use super::{OLD_REGION, OLD_ZONE, REGION, ZONE, migrated};
    use crate::base::names::Name;
    use crate::workload::constraints::{NodeOperator, NodeRequirement, NodeTerm};

    const PD: &str = "kubernetes.io/gce-pd";
    const DRIVER: &str = "topology.gke.io/zone";

    fn term(wanted: &[(&str, &[&str])]) -> NodeTerm {
        let one = |(key, values): &(&str, &[&str])| NodeRequirement {
            key: (*key).into(),
            operator: NodeOperator::In,
            values: values.iter().map(|value| (*value).into()).collect(),
        };
        NodeTerm { match_expressions: wanted.iter().map(one).collect(), ..NodeTerm::default() }
    }

    fn labels(pairs: &[(&str, &str)]) -> Vec<(Name, Name)> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn zones_of_the_affinity_go_under_the_label_of_the_driver() {
        let written = [term(&[(ZONE, &["a", "b"]), ("disk", &["ssd"])])];
        let read = term(&[(DRIVER, &["a", "b"]), ("disk", &["ssd"])]);
        assert_eq!(migrated(PD, &labels(&[(ZONE, "c")]), Some(&written)), Some(vec![read]));
        let old = [term(&[(OLD_ZONE, &["a"]), (OLD_REGION, &["r"])])];
        let read = term(&[(DRIVER, &["a"]), (REGION, &["r"])]);
        assert_eq!(migrated(PD, &[], Some(&old)), Some(vec![read]));
        assert_eq!(
            migrated("kubernetes.io/azure-disk", &[], Some(&written)),
            Some(written.to_vec()),
            "this driver's volumes stay as they are"
        );
    }

    #[test]
    fn without_zones_in_the_affinity_those_of_the_labels_are_required() {
        let read = term(&[(DRIVER, &["a", "b"])]);
        assert_eq!(migrated(PD, &labels(&[(ZONE, "b__a")]), None), Some(vec![read.clone()]));
        assert_eq!(migrated(PD, &labels(&[(OLD_ZONE, "b__a")]), Some(&[])), Some(vec![read]));
        let written = [term(&[("disk", &["ssd"])])];
        let read = term(&[("disk", &["ssd"]), (DRIVER, &["a"])]);
        assert_eq!(migrated(PD, &labels(&[(ZONE, "a")]), Some(&written)), Some(vec![read]));
        assert_eq!(migrated(PD, &labels(&[(ZONE, " __ ")]), None), None);
        assert_eq!(migrated(PD, &[], None), None);
    }
}
