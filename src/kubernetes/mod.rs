//! Floor 8: the rim towards a Kubernetes API: watches become events, orders become requests. Decides nothing.

pub mod requests;
pub mod translate;
