//! What a pod says about other pods: its host ports, required affinity and anti-affinity, and topology spread
//! constraints. What the API server would refuse is refused here too, with its words, since manifests may come
//! without one; what it would fill in is filled in. Knows no node and no other pod.

use serde_json::Value;

use super::objects::Container;
use super::objects::PodAffinityTerm;
use super::objects::PodObject;
use super::objects::Port;
use super::objects::PreferredPodTerm;
use super::objects::SpreadConstraint;
use super::shelves::Shelves;
use crate::base::labels::LabelSelector;
use crate::base::labels::Operator;
use crate::base::labels::Requirement;
use crate::workload::relations::HostPort;
use crate::workload::relations::InclusionPolicy;
use crate::workload::relations::PodTerm;
use crate::workload::relations::PodWish;
use crate::workload::relations::Protocol;
use crate::workload::relations::Relations;
use crate::workload::relations::Spread;
use crate::workload::relations::SpreadBy;

/// The relations of a pod; what is wrong with them goes to `problems`.
pub(super) fn relations(
    pod: &PodObject,
    shelves: &mut Shelves,
    problems: &mut Vec<String>,
) -> Relations {
    let affinity = &pod.spec.affinity;
    let mut terms = |written: &[PodAffinityTerm], field: &str| -> Vec<PodTerm> {
        let path = |at| {
            format!("spec.affinity.{field}.requiredDuringSchedulingIgnoredDuringExecution[{at}]")
        };
        let terms = written.iter().enumerate();
        terms
            .filter_map(|(at, term)| {
                let term = term_of(term, pod, shelves);
                term.map_err(|why| problems.push(format!("{}.{why}", path(at)))).ok()
            })
            .collect()
    };
    let required = terms(&affinity.pod_affinity.required, "podAffinity");
    let anti_affinity = terms(&affinity.pod_anti_affinity.required, "podAntiAffinity");
    let (spread, wished_spread) = spread(pod, shelves, problems);
    let mut wishes = Vec::new();
    for (field, sign, preferred) in [
        ("podAffinity", 1, &affinity.pod_affinity.preferred),
        ("podAntiAffinity", -1, &affinity.pod_anti_affinity.preferred),
    ] {
        for (at, preferred) in preferred.iter().enumerate() {
            match wish_of(preferred, pod, shelves) {
                Ok(wish) => wishes.push(PodWish { weight: sign * wish.weight, ..wish }),
                Err(why) => problems.push(format!(
                    "spec.affinity.{field}.preferredDuringSchedulingIgnoredDuringExecution[{at}].{why}"
                )),
            }
        }
    }
    Relations {
        host_ports: host_ports(pod, shelves, problems),
        affinity: required,
        anti_affinity,
        spread,
        wishes,
        wished_spread,
        spread_by: SpreadBy::Pod,
    }
}

fn term_of(
    written: &PodAffinityTerm,
    pod: &PodObject,
    shelves: &mut Shelves,
) -> Result<PodTerm, String> {
    if written.topology_key.is_empty() {
        return Err("topologyKey: Required value: can not be empty".to_owned());
    }
    let mut selector = selector(written.label_selector.as_ref(), "labelSelector")?;
    let namespace_selector =
        self::selector(written.namespace_selector.as_ref(), "namespaceSelector")?;
    if let Some(selector) = &mut selector {
        add_labels_of_pod(selector, &written.match_label_keys, Operator::In, pod);
        add_labels_of_pod(selector, &written.mismatch_label_keys, Operator::NotIn, pod);
    }
    let mut namespaces: Vec<_> = written.namespaces.iter().map(|name| shelves.name(name)).collect();
    if namespaces.is_empty() && namespace_selector.is_none() {
        namespaces.push(shelves.name(&pod.metadata.namespace));
    }
    namespaces.sort();
    namespaces.dedup();
    let topology_key = shelves.name(&written.topology_key);
    Ok(PodTerm { selector, namespaces, namespace_selector, topology_key })
}

fn wish_of(
    written: &PreferredPodTerm,
    pod: &PodObject,
    shelves: &mut Shelves,
) -> Result<PodWish, String> {
    let weight = written.weight;
    if !(1..=100).contains(&weight) {
        return Err(format!("weight: Invalid value: {weight}: must be in the range 1-100"));
    }
    let term = term_of(&written.pod_affinity_term, pod, shelves);
    let term = term.map_err(|why| format!("podAffinityTerm.{why}"))?;
    Ok(PodWish { weight, term })
}

/// A `metav1.LabelSelector`; `None` where it is absent, which is not the same as empty.
fn selector(written: Option<&Value>, field: &str) -> Result<Option<LabelSelector>, String> {
    let Some(written) = written.filter(|selector| !selector.is_null()) else { return Ok(None) };
    let parsed = LabelSelector::from_json(written);
    parsed.map(Some).map_err(|why| format!("{field}: Invalid value: {why}"))
}

/// What the API server adds for `matchLabelKeys` and `mismatchLabelKeys`: the pod's own values of these keys;
/// keys that it lacks are ignored. Added twice it is the same selector.
fn add_labels_of_pod(
    selector: &mut LabelSelector,
    keys: &[String],
    operator: Operator,
    pod: &PodObject,
) {
    for key in keys {
        if let Some(value) = pod.metadata.labels.get(key) {
            let added = Requirement::new(key, operator, vec![value.as_str().into()]);
            selector.requirements.push(added);
        }
    }
    selector.requirements.sort();
    selector.requirements.dedup();
}

/// Constraints that must be met, and those that are only wished for.
fn spread(
    pod: &PodObject,
    shelves: &mut Shelves,
    problems: &mut Vec<String>,
) -> (Vec<Spread>, Vec<Spread>) {
    let (mut required, mut wished) = (Vec::new(), Vec::new());
    for (at, written) in pod.spec.topology_spread_constraints.iter().enumerate() {
        match spread_of(written, pod, shelves) {
            Ok((spread, Unsatisfiable::DoNotSchedule)) => required.push(spread),
            Ok((spread, Unsatisfiable::ScheduleAnyway)) => wished.push(spread),
            Err(why) => problems.push(format!("spec.topologySpreadConstraints[{at}].{why}")),
        }
    }
    (required, wished)
}

/// `whenUnsatisfiable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsatisfiable {
    DoNotSchedule,
    ScheduleAnyway,
}

fn spread_of(
    written: &SpreadConstraint,
    pod: &PodObject,
    shelves: &mut Shelves,
) -> Result<(Spread, Unsatisfiable), String> {
    let above_zero = |field: &str, number: i64| match u32::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        Ok(_) | Err(_) => {
            Err(format!("{field}: Invalid value: {number}: must be greater than zero"))
        }
    };
    let max_skew = above_zero("maxSkew", written.max_skew)?;
    if written.topology_key.is_empty() {
        return Err("topologyKey: Required value: can not be empty".to_owned());
    }
    let unsatisfiable = match written.when_unsatisfiable.as_str() {
        "DoNotSchedule" => Unsatisfiable::DoNotSchedule,
        "ScheduleAnyway" => Unsatisfiable::ScheduleAnyway,
        other => {
            return Err(format!(
                "whenUnsatisfiable: Unsupported value: \"{other}\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\""
            ));
        }
    };
    let min_domains = match written.min_domains {
        None => 1,
        Some(number) => above_zero("minDomains", number)?,
    };
    if unsatisfiable == Unsatisfiable::ScheduleAnyway && written.min_domains.is_some() {
        return Err(format!(
            "minDomains: Invalid value: {min_domains}: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway"
        ));
    }
    let mut selector = selector(written.label_selector.as_ref(), "labelSelector")?;
    if let Some(selector) = &mut selector {
        add_labels_of_pod(selector, &written.match_label_keys, Operator::In, pod);
    }
    let spread = Spread {
        max_skew,
        topology_key: shelves.name(&written.topology_key),
        selector,
        namespace: shelves.name(&pod.metadata.namespace),
        min_domains,
        node_affinity_policy: policy(
            "nodeAffinityPolicy",
            written.node_affinity_policy.as_deref(),
            InclusionPolicy::Honor,
        )?,
        node_taints_policy: policy(
            "nodeTaintsPolicy",
            written.node_taints_policy.as_deref(),
            InclusionPolicy::Ignore,
        )?,
    };
    Ok((spread, unsatisfiable))
}

fn policy(
    field: &str,
    written: Option<&str>,
    default: InclusionPolicy,
) -> Result<InclusionPolicy, String> {
    match written {
        None => Ok(default),
        Some("Honor") => Ok(InclusionPolicy::Honor),
        Some("Ignore") => Ok(InclusionPolicy::Ignore),
        Some(other) => Err(format!(
            "{field}: Unsupported value: \"{other}\": supported values: \"Honor\", \"Ignore\""
        )),
    }
}

/// Ports of containers that run with the pod: ordinary ones and sidecars.
fn host_ports(pod: &PodObject, shelves: &mut Shelves, problems: &mut Vec<String>) -> Vec<HostPort> {
    let spec = &pod.spec;
    let is_sidecar = |(_, container): &(usize, &Container)| {
        container.restart_policy.as_deref() == Some("Always")
    };
    let ordinary = spec.containers.iter().enumerate().map(|at| ("containers", at));
    let sidecars = spec.init_containers.iter().enumerate().filter(is_sidecar);
    let containers = ordinary.chain(sidecars.map(|at| ("initContainers", at)));
    let mut ports = Vec::new();
    for (list, (at, container)) in containers {
        for (index, port) in container.ports.iter().enumerate() {
            let number = host_port(port, spec.host_network);
            if number == 0 {
                continue;
            }
            match host_port_of(port, number, shelves) {
                Ok(port) => ports.push(port),
                Err(why) => problems.push(format!("spec.{list}[{at}].ports[{index}].{why}")),
            }
        }
    }
    ports.sort();
    ports.dedup();
    ports
}

/// The port on the node, 0 for none: pods on the node's own network take the ports that they listen on, as the
/// API server fills in.
const fn host_port(port: &Port, host_network: bool) -> i64 {
    if port.host_port == 0 && host_network { port.container_port } else { port.host_port }
}

fn host_port_of(port: &Port, number: i64, shelves: &mut Shelves) -> Result<HostPort, String> {
    let number = u16::try_from(number).map_err(|_| {
        format!("hostPort: Invalid value: {number}: must be between 1 and 65535, inclusive")
    })?;
    let protocol = match port.protocol.as_str() {
        "" | "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        other => {
            return Err(format!(
                "protocol: Unsupported value: \"{other}\": supported values: \"SCTP\", \"TCP\", \"UDP\""
            ));
        }
    };
    let address = match port.host_ip.as_str() {
        "" | "0.0.0.0" => None,
        address => Some(shelves.name(address)),
    };
    Ok(HostPort { port: number, protocol, address })
}
