//! What a pod says about other pods: its host ports.
//! What the API server would refuse is refused here too, with its words, since manifests may come without one.
//! Knows no node and no other pod.

use super::objects::Container;
use super::objects::PodObject;
use super::objects::Port;
use super::shelves::Shelves;
use crate::workload::relations::HostPort;
use crate::workload::relations::Protocol;
use crate::workload::relations::Relations;

/// The relations of a pod; what is wrong with them goes to `problems`.
pub(super) fn relations(
    pod: &PodObject,
    shelves: &mut Shelves,
    problems: &mut Vec<String>,
) -> Relations {
    Relations { host_ports: host_ports(pod, shelves, problems) }
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
