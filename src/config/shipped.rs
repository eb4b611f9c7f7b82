//! What the binary carries from `deploy/`, so that one file is enough to install and to try Muster.
//! The files in `deploy/` are the only copies; nothing is repeated here.
//! Text only: whoever prints, serves, or reads one of them says what it means.

/// The documented configuration with every default, as `muster config` prints it.
pub const CONFIGURATION: &str = include_str!("../../deploy/config.yaml");

/// The PodGroup of `scheduling.x-k8s.io/v1alpha1`, compatible with the coscheduling plugin's.
pub const POD_GROUP_CRD: &str =
    include_str!("../../deploy/crds/scheduling.x-k8s.io_podgroups.yaml");

/// The record of a gang's plan, `GangPlan` of `muster.dev/v1alpha1`.
pub const GANG_PLAN_CRD: &str = include_str!("../../deploy/crds/muster.dev_gangplans.yaml");

/// Every CustomResourceDefinition that Muster ships, one YAML document each.
pub const CRDS: [&str; 2] = [POD_GROUP_CRD, GANG_PLAN_CRD];
