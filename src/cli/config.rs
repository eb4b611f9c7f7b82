//! `muster config`: prints the configuration with all defaults, or checks a file.
//! What it prints is the file in `deploy/`; what it checks is judged by the code that `muster run` uses.
//! Writes no file and starts nothing.

use std::path::PathBuf;

use super::Failure;
use crate::config::shipped;

/// Print the configuration with all its defaults, or check a configuration file.
///
/// Start from `muster config > muster.yaml`; delete what you do not change.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Check this file instead, Muster's own or kube-scheduler's: exit status 0 if `muster run --config FILE` would
    /// accept it, else 2. Fields that have no effect are listed.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

pub(crate) fn execute(args: &Args) -> Result<(), Failure> {
    let Some(path) = &args.check else { return super::answer(shipped::CONFIGURATION) };
    let text = super::read_text(path)?;
    let resolved = crate::config::read(&text)
        .map_err(|error| Failure::BadInput(format!("{}: {error}", path.display())))?;
    let mut answer = format!("{}: valid\n", path.display());
    for warning in &resolved.warnings {
        answer.push_str(&format!("  {warning}\n"));
    }
    super::answer(&answer)
}
