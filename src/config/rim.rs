//! Settings of the rooms above this floor, which cannot keep them themselves: the rim towards Kubernetes and HTTP.
//! Plain values, already checked.
//! Nothing here is optional or textual: `resolve` has applied defaults and limits.

use std::net::SocketAddr;

use crate::base::time::Span;

/// How the rim talks to the Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesSettings {
    /// Bind requests under way at once, at least 1. kube's connection pool has no limit of its own.
    pub binds_concurrent_max: usize,
    /// Limit of one write; what became of a write that took longer is unknown until a read tells.
    pub write_timeout: Span,
    /// Limit of one read or one page of a listing.
    pub read_timeout: Span,
    /// How long one watch request lasts before it is renewed; bounds the blindness on a dead link.
    pub watch_timeout: Span,
    /// From one recount against fresh listings to the next.
    pub recount_period: Span,
}

/// The HTTP endpoints of `muster run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where `/healthz`, `/readyz`, `/metrics`, and the explanations are served.
    pub listen_address: SocketAddr,
}
