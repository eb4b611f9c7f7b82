//! Settings of the rooms above this floor, which cannot keep them themselves: the rim towards Kubernetes and HTTP.
//! Plain values, already checked.
//! Nothing here is optional or textual: `resolve` has applied defaults and limits.

use std::net::SocketAddr;

use crate::base::names::ObjectName;
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
    /// Which of several processes leads.
    pub election: ElectionSettings,
}

/// Which of several processes leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionSettings {
    /// Whether there is an election at all.
    pub mode: ElectionMode,
    /// Namespace and name of the Lease.
    pub lease: ObjectName,
    /// A lease that has not changed for so long may be taken by another process.
    pub lease_duration: Span,
    /// A leader that could not renew its lease for so long stops; shorter than the duration by a write's limit.
    pub renew_deadline: Span,
    /// From one renewal, or one look of a standby, to the next.
    pub retry_period: Span,
    /// Where a leader holds the line for standbys, which learn from its end that the process is gone.
    pub line_address: SocketAddr,
}

/// Whether a process has to be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionMode {
    /// It decides once it holds the lease.
    Elected,
    /// It is the only one, and decides at once.
    Alone,
}

/// The HTTP endpoints of `muster run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Where `/healthz`, `/readyz`, `/metrics`, and the explanations are served.
    pub listen_address: SocketAddr,
}
