//! Floor 3: the believed state of the cluster. Facts come in, drafts try changes and roll them back.
//! Knows nothing of gangs' turns, of plans, or of who asks.

pub mod facts;
pub mod ids;

pub mod asks;
pub mod audit;
pub mod change;
pub mod draft;
pub mod labels;
pub mod load;
pub mod node_set;
pub mod nodes;
pub mod resources;
pub mod state;

mod pods;

pub use self::state::{Cluster, Held};
