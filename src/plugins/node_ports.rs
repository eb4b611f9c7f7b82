//! A node gives each host port to one pod. Follows kube-scheduler's NodePorts: ports conflict if number and
//! protocol are equal and the addresses are, or one of them stands for all.
//! Reads the ports in use on one node; a pod that leaves it may turn its "no".

use super::cures::Cures;
use super::relation::{Judge, Newcomer, Reasons, Stranger};
use super::{Filter, Rule};
use crate::cluster::Cluster;
use crate::cluster::ids::NodeId;
use crate::workload::ask::Ask;
use crate::workload::relations::HostPort;

/// The row.
pub const RULE: Rule = Rule {
    name: "NodePorts",
    filter: Filter::Relation(&NodePorts),
    score: None,
    cured_by: Cures::CAPACITY.and(Cures::NODE_ADDED),
};

/// kube-scheduler's words.
const REASON: &str = "node(s) didn't have free ports for the requested pod ports";

#[derive(Debug)]
struct NodePorts;

impl Judge for NodePorts {
    fn admits(&self, newcomer: &Newcomer<'_>, node: NodeId) -> bool {
        has_ports_free(newcomer.cluster, &newcomer.ask.ask, node)
    }

    fn rules_out(&self, stranger: &Stranger<'_>, node: NodeId) -> bool {
        !has_ports_free(stranger.cluster, stranger.cluster.ask(stranger.ask), node)
    }

    fn reasons(&self, _: &Newcomer<'_>, _: NodeId) -> Reasons {
        [REASON.into()].into_iter().collect()
    }
}

fn has_ports_free(cluster: &Cluster, ask: &Ask, node: NodeId) -> bool {
    let wanted = ask.relations.as_ref().map_or(&[][..], |relations| &relations.host_ports);
    let is_free = |used: &HostPort| !wanted.iter().any(|port| port.conflicts_with(used));
    wanted.is_empty() || cluster.relations().ports_on(node).all(is_free)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, node};
    use super::{REASON, RULE};
    use crate::workload::ask::Ask;
    use crate::workload::relations::{HostPort, Protocol, Relations};

    fn taking(ports: &[(u16, Protocol, Option<&str>)]) -> Ask {
        let port = |(port, protocol, address): &(u16, Protocol, Option<&str>)| HostPort {
            port: *port,
            protocol: *protocol,
            address: address.map(Into::into),
        };
        let relations =
            Relations { host_ports: ports.iter().map(port).collect(), ..Relations::default() };
        Ask { relations: relations.boxed(), ..Ask::default() }
    }

    #[test]
    fn a_port_is_given_once_per_node_protocol_and_address() {
        let mut fixture = Fixture::new([node("idle"), node("all"), node("one"), node("udp")]);
        fixture.run(0, "all", &taking(&[(80, Protocol::Tcp, None)]), &[]);
        fixture.run(1, "one", &taking(&[(80, Protocol::Tcp, Some("10.0.0.1"))]), &[]);
        fixture.run(2, "udp", &taking(&[(80, Protocol::Udp, None)]), &[]);
        fixture.run(3, "idle", &Ask::default(), &[]);
        for (wanted, closed) in [
            (vec![(80, Protocol::Tcp, None)], [false, true, true, false]),
            (vec![(80, Protocol::Tcp, Some("10.0.0.1"))], [false, true, true, false]),
            (vec![(80, Protocol::Tcp, Some("10.0.0.2"))], [false, true, false, false]),
            (vec![(81, Protocol::Tcp, None)], [false; 4]),
            (
                vec![(81, Protocol::Tcp, None), (80, Protocol::Udp, None)],
                [false, false, false, true],
            ),
            (vec![], [false; 4]),
        ] {
            let expected = closed.map(|closed| if closed { REASON } else { "" });
            assert_eq!(fixture.objections(&RULE, &taking(&wanted), &[]), expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_port_is_free_once_the_last_pod_that_has_it_is_gone() {
        let mut fixture = Fixture::new([node("a")]);
        let web = taking(&[(80, Protocol::Tcp, None)]);
        // Facts are believed, whoever let both in.
        fixture.run(0, "a", &web, &[]);
        fixture.run(1, "a", &web, &[]);
        assert_eq!(fixture.objections(&RULE, &web, &[]), [REASON]);
        fixture.cluster.release(crate::cluster::ids::PodId(0));
        assert_eq!(fixture.objections(&RULE, &web, &[]), [REASON]);
        fixture.cluster.release(crate::cluster::ids::PodId(1));
        assert_eq!(fixture.objections(&RULE, &web, &[]), [""]);
    }
}
