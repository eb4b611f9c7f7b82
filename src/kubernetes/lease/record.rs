//! The Lease object: what is read of it and how it is written. Pure: JSON in, requests out.
//! Fields that are not understood here are written back as they were read.
//! Knows no clock and no election; a write bears the version that was read, so that two cannot both succeed.

use axum::http::Method;
use axum::http::Request;
use serde_json::Value;
use serde_json::json;

use crate::base::names::Name;
use crate::base::names::ObjectName;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::kubernetes::requests::microseconds;
use crate::kubernetes::requests::request;

/// Annotation of the lease: where the holder's line is (`IP:PORT`), over which a standby hears that it is gone.
pub const LINE_ANNOTATION: &str = "muster.dev/leader-line";

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    object: Value,
}

/// What a holder writes into a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Unique to this process.
    pub identity: Name,
    /// Where its line is.
    pub line: Option<String>,
    /// How long others wait after the last change before they take the lease.
    pub duration: Span,
}

impl LeaseRecord {
    /// Takes a Lease as the API server shows it.
    pub const fn new(object: Value) -> Self {
        Self { object }
    }

    /// Who holds it; empty where it was released or never held.
    pub fn holder(&self) -> &str {
        self.text("/spec/holderIdentity")
    }

    /// How long its holder said that others should wait.
    pub fn duration(&self) -> Option<Span> {
        self.object.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64).map(Span::seconds)
    }

    /// How often it has changed hands.
    pub fn transitions(&self) -> i64 {
        self.object.pointer("/spec/leaseTransitions").and_then(Value::as_i64).unwrap_or(0)
    }

    /// Where the holder's line is.
    pub fn line(&self) -> Option<&str> {
        let annotation =
            self.object.get("metadata")?.get("annotations")?.get(LINE_ANNOTATION)?.as_str()?;
        (!annotation.is_empty()).then_some(annotation)
    }

    /// `metadata.resourceVersion`.
    pub fn version(&self) -> u64 {
        self.text("/metadata/resourceVersion").parse().unwrap_or(0)
    }

    /// True if `other` differs in what a holder writes; what others annotate is no sign of its life.
    pub fn renewed_since(&self, other: &Self) -> bool {
        self.object.get("spec") != other.object.get("spec")
    }

    fn text(&self, path: &str) -> &str {
        self.object.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// The request that makes `tenant` the holder from `now` on, in place of exactly this version.
    pub fn taken(&self, name: &ObjectName, tenant: &Tenant, now: Time) -> Request<Vec<u8>> {
        let mut object = self.object.clone();
        let changes_hands = self.holder() != &*tenant.identity;
        let spec = &mut object["spec"];
        spec["holderIdentity"] = (&*tenant.identity).into();
        spec["leaseDurationSeconds"] = (tenant.duration.0 / 1_000_000_000).into();
        spec["renewTime"] = microseconds(now).into();
        if changes_hands {
            spec["acquireTime"] = microseconds(now).into();
            spec["leaseTransitions"] = self.transitions().saturating_add(1).into();
        }
        object["metadata"]["annotations"][LINE_ANNOTATION] =
            tenant.line.clone().unwrap_or_default().into();
        request(Method::PUT, path(name), "application/json", &object)
    }

    /// The request that gives the lease up, in place of exactly this version: whoever waits may take it at once.
    pub fn released(&self, name: &ObjectName, now: Time) -> Request<Vec<u8>> {
        let mut object = self.object.clone();
        let spec = &mut object["spec"];
        spec["holderIdentity"] = "".into();
        // As client-go releases: readers of other make, which wait for the duration, need not wait.
        spec["leaseDurationSeconds"] = 1.into();
        spec["renewTime"] = microseconds(now).into();
        request(Method::PUT, path(name), "application/json", &object)
    }
}

impl Tenant {
    /// The request that creates the lease, held by this tenant from `now` on.
    pub fn create(&self, name: &ObjectName, now: Time) -> Request<Vec<u8>> {
        let body = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": &*name.name,
                "namespace": &*name.namespace,
                "annotations": {LINE_ANNOTATION: self.line.clone().unwrap_or_default()},
            },
            "spec": {
                "holderIdentity": &*self.identity,
                "leaseDurationSeconds": self.duration.0 / 1_000_000_000,
                "acquireTime": microseconds(now),
                "renewTime": microseconds(now),
                "leaseTransitions": 0,
            },
        });
        request(Method::POST, collection(&name.namespace), "application/json", &body)
    }
}

/// Reads the lease, from the store and not a cache.
pub fn read(name: &ObjectName) -> Request<Vec<u8>> {
    Request::get(path(name)).body(Vec::new()).expect("names of leases are checked at start")
}

fn collection(namespace: &str) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
}

fn path(name: &ObjectName) -> String {
    format!("{}/{}", collection(&name.namespace), name.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_of_any_count_of_transitions_can_be_taken() {
        let name = ObjectName::new("kube-system", "muster");
        let tenant =
            Tenant { identity: "me".into(), line: None, duration: Span::milliseconds(15_000) };
        for (written, expected) in
            [(json!(4), 5), (json!(i64::MAX), i64::MAX), (json!(u64::MAX), 1), (json!("many"), 1)]
        {
            let object = json!({"metadata": {}, "spec": {"leaseTransitions": written}});
            let request = LeaseRecord::new(object).taken(&name, &tenant, Time::EPOCH);
            let body: Value = serde_json::from_slice(request.body()).expect("JSON");
            assert_eq!(body["spec"]["leaseTransitions"], expected, "{written}");
            assert_eq!(body["spec"]["holderIdentity"], "me");
        }
    }
}
