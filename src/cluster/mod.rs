//! Floor 3: the believed state of the cluster. Facts come in, drafts try changes and roll them back.
//! Knows nothing of gangs' turns, of plans, or of who asks.
//! Invariants: what is kept current step by step equals a recount (`audit`); a draft that is dropped leaves no trace.

pub mod facts;
pub mod ids;

pub mod asks;
pub mod audit;
pub mod change;
pub mod device_classes;
pub mod draft;
pub mod images;
pub mod labels;
pub mod load;
pub mod node_set;
pub mod nodes;
pub mod nominations;
pub mod relations;
pub mod renumbering;
pub mod resources;
pub mod selecting;
pub mod state;
pub mod storage;

mod counts;
mod pods;

pub use self::state::{Cluster, Held};
