//! Floor 10: the commands: each a file of its own and a row in [`Command`]. Start-up, arguments, and printing only.
//!
//! Exit status: 0 done; 1 it could not be done; 2 wrong usage, or input that an API server would reject.
//! What a command answers goes to stdout; errors (`error: ...`), progress, and logs go to stderr.

mod config;
mod crds;
mod explain;
mod fleet;
mod playground;
mod replay;
mod run;
mod simulate;

use std::fmt;
use std::io;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

/// Muster, a gang scheduler for GPU clusters: pods that belong together are bound together or not at all.
#[derive(Debug, Parser)]
#[command(
    name = "muster",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit status: 0 done; 1 it could not be done; 2 wrong usage or invalid input.\n\
                  `muster COMMAND --help` tells more about one command."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

/// The commands, in the order in which help lists them.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Playground(playground::Args),
    Fleet(fleet::Args),
    Simulate(simulate::Args),
    Replay(replay::Args),
    Explain(explain::Args),
    Crds(crds::Args),
    Config(config::Args),
}

impl Command {
    fn execute(self) -> Result<(), Failure> {
        match self {
            Self::Playground(args) => playground::execute(&args),
            Self::Run(args) => run::execute(&args),
            Self::Fleet(args) => fleet::execute(&args),
            Self::Simulate(args) => simulate::execute(&args),
            Self::Replay(args) => replay::execute(&args),
            Self::Explain(args) => explain::execute(&args),
            Self::Crds(args) => crds::execute(&args),
            Self::Config(args) => config::execute(&args),
        }
    }
}

/// Why a command did not do what was asked; the message names object, field, value, and remedy.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be done: exit status 1.
    CouldNot(String),
    /// Wrong usage, or input that an API server would reject: exit status 2.
    BadInput(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CouldNot(message) | Self::BadInput(message) => f.write_str(message),
        }
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match CommandLine::parse().command.execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(match failure {
                Failure::CouldNot(_) => 1,
                Failure::BadInput(_) => 2,
            })
        }
    }
}

/// Writes a command's answer to stdout. A reader that went away (`muster config | head`) is no failure.
fn answer(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::CouldNot(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Reads a text file that the user named; a file that cannot be read is wrong usage.
fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::BadInput(format!("cannot read {}: {error}", path.display())))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::BadInput(format!(
            "{}: byte {at} is not UTF-8; save the file as UTF-8",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
