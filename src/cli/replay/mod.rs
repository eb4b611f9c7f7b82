//! `muster replay`: a trace on a cluster in virtual time, under one policy or several side by side.
//! Reads the files, shows progress on stderr, measures wall time; what happens is decided elsewhere.
//! Every problem with flags and files is told before the first job is replayed.

mod print;

use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;

use super::Failure;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::cluster::facts::NodeFact;
use crate::sim::replay;
use crate::sim::replay::cluster;
use crate::sim::replay::measure;
use crate::sim::replay::policy;
use crate::sim::replay::policy::Policy;
use crate::sim::traces;
use crate::sim::traces::Calendar;
use crate::sim::traces::Format;
use crate::sim::traces::Job;

use self::print::PolicyResult;

/// Replay a trace of a real GPU cluster in virtual time.
///
/// The engine is the one that `muster run` uses. Every job of the trace becomes a gang: its pods are bound together or not at all, and it runs for the
/// duration that the trace tells. Binding takes no time here. The answer is a table of waiting and completion
/// times, GPU allocation, and makespan.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(crate) struct Args {
    /// The trace and its format; the file may be compressed with zstd.
    #[arg(long, value_name = "FORMAT:PATH")]
    trace: String,

    /// The fleet file that describes the nodes.
    #[arg(long, value_name = "PATH")]
    cluster: PathBuf,

    /// Replay under this policy; give it several times to compare. Default: muster.
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,

    /// Only jobs submitted at this date (2017-10-01) or time (2017-10-01T08:00:00Z) or later.
    #[arg(long, value_name = "DATE")]
    from: Option<String>,

    /// Only jobs submitted before this date or time.
    #[arg(long, value_name = "DATE")]
    to: Option<String>,

    /// How to print the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Tables for people.
    Table,
    /// One JSON object.
    Json,
}

fn after_help() -> String {
    let mut help = String::from("Formats:\n");
    for format in &traces::FORMATS {
        help.push_str(&format!("  {:<12} {}\n", format.name, format.about));
    }
    help.push_str("\nPolicies:\n");
    for policy in &policy::POLICIES {
        help.push_str(&format!("  {:<12} {}\n", policy.name, policy.about));
    }
    help
}

pub(crate) fn execute(args: &Args) -> Result<(), Failure> {
    let (format, path) = format_and_path(&args.trace)?;
    let policies = policies(&args.policies)?;
    let window = window(args, format)?;
    let jobs = jobs(format, path, window)?;
    let fleet = super::read_text(&args.cluster)?;
    let nodes =
        cluster::nodes(&args.cluster.display().to_string(), &fleet).map_err(Failure::BadInput)?;
    let results: Vec<PolicyResult> =
        policies.into_iter().map(|policy| run(policy, &jobs, &nodes)).collect();
    let subject = print::Subject {
        format: format.name,
        trace: path,
        cluster: &args.cluster,
        jobs: &jobs,
        nodes: &nodes,
    };
    super::answer(&match args.output {
        Output::Table => print::tables(&subject, &results),
        Output::Json => print::json(&subject, &results),
    })
}

fn format_and_path(trace: &str) -> Result<(&'static Format, &Path), Failure> {
    let known = || traces::FORMATS.map(|format| format.name).join(", ");
    let Some((name, path)) = trace.split_once(':') else {
        let message = format!(
            "--trace: {trace:?} has no format; write FORMAT:PATH, where FORMAT is one of {}",
            known()
        );
        return Err(Failure::BadInput(message));
    };
    let Some(format) = traces::format(name) else {
        let message = format!("--trace: unknown format {name:?}; this release knows {}", known());
        return Err(Failure::BadInput(message));
    };
    Ok((format, Path::new(path)))
}

fn policies(names: &[String]) -> Result<Vec<&'static Policy>, Failure> {
    if names.is_empty() {
        return Ok(vec![&policy::POLICIES[0]]);
    }
    let find = |name: &String| {
        policy::policy(name).ok_or_else(|| {
            let known = policy::POLICIES.each_ref().map(|policy| policy.name).join(", ");
            Failure::BadInput(format!(
                "--policy: unknown policy {name:?}; this release knows {known}"
            ))
        })
    };
    names.iter().map(find).collect()
}

/// The window of submissions: from the first time on, until before the second.
type Window = (Option<Time>, Option<Time>);

fn window(args: &Args, format: &Format) -> Result<Window, Failure> {
    let given = args.from.is_some() || args.to.is_some();
    if given && format.calendar == Calendar::Offsets {
        let message = format!(
            "--from and --to need dates, and traces of the format {} have none",
            format.name
        );
        return Err(Failure::BadInput(message));
    }
    let window = (date("--from", args.from.as_deref())?, date("--to", args.to.as_deref())?);
    if let (Some(from), Some(to)) = window
        && to <= from
    {
        let message = "--to: must be later than --from; it is the first time that is left out";
        return Err(Failure::BadInput(message.to_owned()));
    }
    Ok(window)
}

fn date(flag: &str, text: Option<&str>) -> Result<Option<Time>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let time = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    let time = Time::from_rfc3339(&time);
    let remedy = "is no date; write 2017-10-01 or 2017-10-01T08:00:00Z";
    time.map(Some).ok_or_else(|| Failure::BadInput(format!("{flag}: {text:?} {remedy}")))
}

fn jobs(format: &Format, path: &Path, (from, to): Window) -> Result<Vec<Job>, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::BadInput(format!("cannot read {}: {error}", path.display())))?;
    let mut jobs = traces::read(format, &bytes)
        .map_err(|error| Failure::BadInput(format!("{}: {error}", path.display())))?;
    let (first, last) = (jobs[0].submitted, jobs[jobs.len() - 1].submitted);
    jobs.retain(|job| {
        from.is_none_or(|from| job.submitted >= from) && to.is_none_or(|to| job.submitted < to)
    });
    if jobs.is_empty() {
        let span = format!("from {} to {}", first.to_rfc3339(), last.to_rfc3339());
        let message = format!(
            "{}: no job was submitted in the window; the trace goes {span}",
            path.display()
        );
        return Err(Failure::BadInput(message));
    }
    Ok(jobs)
}

fn run(policy: &'static Policy, jobs: &[Job], nodes: &[NodeFact]) -> PolicyResult {
    let bar = ProgressBar::new(jobs.len() as u64);
    let style =
        ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} jobs, {elapsed}, {eta} to go");
    bar.set_style(style.expect("the template is correct"));
    bar.set_prefix(policy.name);
    let begin = Instant::now();
    let replayed =
        replay::replay(jobs, nodes, policy.settings(), &mut |ended| bar.set_position(ended as u64));
    let wall = begin.elapsed();
    bar.finish_and_clear();
    let wall = Span::nanoseconds(i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX));
    PolicyResult { policy, measures: measure::measure(jobs, &replayed), replayed, wall }
}
