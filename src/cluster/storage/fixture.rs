//! Facts about storage for tests, in their plainest form: tests change what they are about.
//! Compiled for tests only; shared by the tests of what is believed and of the rules.
//! Knows no cluster.

use super::facts::*;
use crate::base::names::ObjectName;
use crate::workload::constraints::{NodeOperator, NodeRequirement, NodeTerm};

const RWO: [&str; 1] = ["ReadWriteOnce"];

/// An unbound claim of class `local` in namespace `d`, for so many bytes.
pub(crate) fn claim(name: &str, request: i64) -> ClaimFact {
    ClaimFact {
        name: ObjectName::new("d", name),
        uid: name.into(),
        resource_version: 1,
        deleting: false,
        lost: false,
        volume: None,
        bind_completed: false,
        selected_node: None,
        controller: None,
        shape: ClaimShape {
            class: "local".into(),
            request: Some(request),
            modes: AccessModes::of(RWO),
            ..ClaimShape::default()
        },
    }
}

/// A free volume of class `local`, reachable from one host or from all.
pub(crate) fn volume(name: &str, capacity: i64, host: Option<&str>) -> VolumeFact {
    let on_host = |host: &str| {
        let wanted = NodeRequirement {
            key: "kubernetes.io/hostname".into(),
            operator: NodeOperator::In,
            values: vec![host.into()],
        };
        vec![NodeTerm { match_expressions: vec![wanted], ..NodeTerm::default() }]
    };
    VolumeFact {
        name: name.into(),
        uid: name.into(),
        resource_version: 1,
        deleting: false,
        available: true,
        claim: None,
        bound_by_controller: false,
        labels: Vec::new(),
        node_terms: host.map(on_host),
        class: "local".into(),
        capacity,
        modes: AccessModes::of(RWO),
        mode: VolumeMode::Filesystem,
        attributes_class: "".into(),
        backing: Backing::Uncounted,
    }
}

/// A storage class.
pub(crate) fn class(name: &str, provisioner: &str, binding: BindingMode) -> StorageFact {
    let (name, uid) = (name.into(), name.into());
    let topologies = Vec::new();
    StorageFact::Class(ClassFact {
        name,
        uid,
        provisioner: provisioner.into(),
        binding,
        topologies,
    })
}
