//! Floor 3: the believed state of the cluster. Facts come in, drafts try changes and roll them back.
//! Knows nothing of gangs' turns, of plans, or of who asks.

pub mod facts;
pub mod ids;
