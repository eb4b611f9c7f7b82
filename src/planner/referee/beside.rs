//! The part of the referee that judges what pods mean to each other: seat by seat, in the plan's order, against
//! the pods that run and the seats before it. Reads what pods wrote, never what the search counted.
//! Only plans with somebody who has such a relation come here.

use super::Violation;
use crate::cluster::Cluster;
use crate::cluster::ids::{AskId, NodeId};
use crate::workload::relations::HostPort;

/// A seat with what its pod asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seated {
    pub(super) node: NodeId,
    pub(super) ask: AskId,
}

/// Judges the seats one after the other.
///
/// # Errors
/// The first violation found.
pub(super) fn judge(cluster: &Cluster, seats: &[Seated]) -> Result<(), Violation> {
    for (at, seat) in seats.iter().enumerate() {
        let closed =
            |because| Violation::NodeClosed { node: cluster.node_name(seat.node).clone(), because };
        if port_is_taken(cluster, seat, &seats[..at]) {
            return Err(closed("another pod there has a host port that the pod takes"));
        }
    }
    Ok(())
}

fn port_is_taken(cluster: &Cluster, seat: &Seated, before: &[Seated]) -> bool {
    let wanted = ports_of(cluster, seat.ask);
    if wanted.is_empty() {
        return false;
    }
    let running =
        cluster.pods_on(seat.node).filter_map(|(pod, _)| cluster.relations().traits_of(pod));
    let seated = before.iter().filter(|other| other.node == seat.node).map(|other| other.ask);
    let mut taken =
        running.map(|traits| traits.ask).chain(seated).flat_map(|ask| ports_of(cluster, ask));
    taken.any(|theirs| wanted.iter().any(|mine| clash(mine, theirs)))
}

fn ports_of(cluster: &Cluster, ask: AskId) -> &[HostPort] {
    cluster.ask(ask).relations.as_ref().map_or(&[], |relations| &relations.host_ports)
}

fn clash(mine: &HostPort, theirs: &HostPort) -> bool {
    let same_address =
        mine.address.is_none() || theirs.address.is_none() || mine.address == theirs.address;
    same_address && (mine.protocol, mine.port) == (theirs.protocol, theirs.port)
}
