//! `muster crds`: prints the CustomResourceDefinitions that Muster ships, ready for `kubectl apply -f -`.
//! Talks to no API server, so what a cluster has already is not looked at.
//! The files in `deploy/` are the only copies.

use super::Failure;
use crate::config::shipped;

/// Print the CustomResourceDefinitions that Muster ships.
///
/// Install them with `muster crds | kubectl apply -f -`.
/// A cluster that has the PodGroup of the coscheduling plugin already needs none of this.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn execute(_args: &Args) -> Result<(), Failure> {
    super::answer(&shipped::CRDS.join("---\n"))
}
