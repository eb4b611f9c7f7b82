//! The answer of `muster replay`: tables for people, or JSON.
//! Formatting only; the figures come as exact integers and are rounded here, where they are shown.
//! The JSON holds everything, the tables what people compare.

use std::path::Path;

use comfy_table::CellAlignment;
use comfy_table::Table;
use serde_json::Value;
use serde_json::json;

use crate::base::time::Span;
use crate::cluster::facts::NodeFact;
use crate::sim::replay::Replayed;
use crate::sim::replay::measure::Class;
use crate::sim::replay::measure::Distribution;
use crate::sim::replay::measure::Jobs;
use crate::sim::replay::measure::Measures;
use crate::sim::replay::measure::WHOLE;
use crate::sim::replay::policy::Policy;
use crate::sim::traces::Job;

/// Jobs that never started are named up to this many; the JSON has them all.
const UNPLACED_SHOWN_MAX: usize = 10;

/// What was replayed.
pub(super) struct Subject<'a> {
    pub(super) format: &'static str,
    pub(super) trace: &'a Path,
    pub(super) cluster: &'a Path,
    pub(super) jobs: &'a [Job],
    pub(super) nodes: &'a [NodeFact],
}

/// What became of it under one policy.
pub(super) struct PolicyResult {
    pub(super) policy: &'static Policy,
    pub(super) replayed: Replayed,
    pub(super) measures: Measures,
    pub(super) wall: Span,
}

/// The tables: one line per policy, then each policy's waits and completion times by size.
pub(super) fn tables(subject: &Subject, results: &[PolicyResult]) -> String {
    let gpus = results.first().map_or(0, |result| result.replayed.gpus);
    let mut text = format!(
        "{} jobs of {} on {} nodes with {gpus} GPUs; times in seconds\n\n",
        subject.jobs.len(),
        subject.trace.display(),
        subject.nodes.len(),
    );
    text.push_str(&format!("{}\n", overview(subject, results)));
    for result in results {
        let name = result.policy.name;
        text.push_str(&format!(
            "\n{name}: wait from submission to start\n{}\n",
            by_size(result, |class| class.wait)
        ));
        text.push_str(&format!(
            "\n{name}: completion, from submission to end\n{}\n",
            by_size(result, |class| class.completion)
        ));
        text.push_str(&unplaced(result));
    }
    text
}

fn overview(subject: &Subject, results: &[PolicyResult]) -> Table {
    let mut table = plain_table(&[
        "POLICY",
        "MEAN WAIT",
        "OF GANGS",
        "MEAN COMPLETION",
        "GPUS HELD",
        "UNTIL LAST SUBMISSION",
        "MAKESPAN",
        "NEVER STARTED",
        "BINDS",
        "CYCLES",
        "WALL TIME",
    ]);
    for PolicyResult { policy, replayed, measures, wall } in results {
        let of = |jobs: Jobs| measures.classes.iter().find(|class| class.jobs == jobs);
        let mean = |class: Option<&Class>, which: fn(&Class) -> Distribution| {
            class.map_or_else(|| "-".to_owned(), |class| whole_seconds(which(class).mean))
        };
        table.add_row([
            policy.name.to_owned(),
            mean(of(Jobs::All), |class| class.wait),
            mean(of(Jobs::Gangs), |class| class.wait),
            mean(of(Jobs::All), |class| class.completion),
            percent(measures.allocation),
            until_last_submission(subject.jobs, measures),
            whole_seconds(measures.makespan),
            measures.unplaced.to_string(),
            replayed.binds.to_string(),
            replayed.cycles.to_string(),
            format!("{} s", decimal_seconds(*wall)),
        ]);
    }
    align(table)
}

/// Nothing where all jobs were submitted at once.
fn until_last_submission(jobs: &[Job], measures: &Measures) -> String {
    let (first, last) = (jobs.first(), jobs.last());
    if first.map(|job| job.submitted) == last.map(|job| job.submitted) {
        return "-".to_owned();
    }
    percent(measures.allocation_until_last_submission)
}

fn by_size(result: &PolicyResult, which: fn(&Class) -> Distribution) -> Table {
    let mut table = plain_table(&["GPUS", "JOBS", "MEAN", "MEDIAN", "P90", "P99", "MAX"]);
    for class in &result.measures.classes {
        let Distribution { count, mean, median, p90, p99, max } = which(class);
        let mut row = vec![jobs_name(class.jobs), count.to_string()];
        row.extend([mean, median, p90, p99, max].map(whole_seconds));
        table.add_row(row);
    }
    align(table)
}

fn jobs_name(jobs: Jobs) -> String {
    match jobs {
        Jobs::All => "all".to_owned(),
        Jobs::Gangs => "all gangs of several pods".to_owned(),
        Jobs::OfGpus(gpus) => gpus.to_string(),
    }
}

fn unplaced(result: &PolicyResult) -> String {
    let unplaced = &result.replayed.unplaced;
    if unplaced.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}: never started\n", result.policy.name);
    for job in unplaced.iter().take(UNPLACED_SHOWN_MAX) {
        text.push_str(&format!("{}  {}: {}\n", job.job, job.reason, job.message));
    }
    if unplaced.len() > UNPLACED_SHOWN_MAX {
        text.push_str(&format!(
            "and {} more; -o json names them all\n",
            unplaced.len() - UNPLACED_SHOWN_MAX
        ));
    }
    text
}

fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    table
}

/// Numbers to the right, names to the left.
fn align(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The object of `-o json`.
pub(super) fn json(subject: &Subject, results: &[PolicyResult]) -> String {
    let policies: Vec<Value> = results.iter().map(policy_json).collect();
    let value = json!({
        "apiVersion": "muster.dev/v1alpha1",
        "kind": "ReplayResult",
        "trace": {"format": subject.format, "path": subject.trace, "jobs": subject.jobs.len()},
        "cluster": {
            "path": subject.cluster,
            "nodes": subject.nodes.len(),
            "gpus": results.first().map_or(0, |result| result.replayed.gpus),
        },
        "policies": policies,
    });
    format!("{}\n", serde_json::to_string_pretty(&value).expect("JSON values can be written"))
}

fn policy_json(result: &PolicyResult) -> Value {
    let PolicyResult { policy, replayed, measures, wall } = result;
    let classes: Vec<Value> = measures.classes.iter().map(class_json).collect();
    let unplaced: Vec<Value> = replayed
        .unplaced
        .iter()
        .map(|job| json!({"job": job.job, "reason": job.reason, "message": job.message}))
        .collect();
    json!({
        "policy": policy.name,
        "classes": classes,
        "gpusHeldPercent": number(&hundredths(measures.allocation)),
        "gpusHeldPercentUntilLastSubmission": number(&hundredths(measures.allocation_until_last_submission)),
        "makespanSeconds": seconds(measures.makespan),
        "binds": replayed.binds,
        "cycles": replayed.cycles,
        "refusals": replayed.refusals,
        "wallSeconds": seconds(*wall),
        "unplaced": unplaced,
    })
}

fn class_json(class: &Class) -> Value {
    let (jobs, gpus) = match class.jobs {
        Jobs::All => ("all", None),
        Jobs::Gangs => ("gangs", None),
        Jobs::OfGpus(gpus) => ("ofGpus", Some(gpus)),
    };
    json!({
        "jobs": jobs,
        "gpus": gpus,
        "count": class.wait.count,
        "waitSeconds": distribution_json(class.wait),
        "completionSeconds": distribution_json(class.completion),
    })
}

fn distribution_json(distribution: Distribution) -> Value {
    let Distribution { count: _, mean, median, p90, p99, max } = distribution;
    json!({
        "mean": seconds(mean),
        "median": seconds(median),
        "p90": seconds(p90),
        "p99": seconds(p99),
        "max": seconds(max),
    })
}

fn seconds(span: Span) -> Value {
    number(&decimal_seconds(span))
}

/// A decimal as a JSON number.
fn number(decimal: &str) -> Value {
    serde_json::from_str(decimal).expect("digits with one point are a JSON number")
}

/// Seconds, rounded down to the millisecond.
fn decimal_seconds(span: Span) -> String {
    let milliseconds = span.0 / 1_000_000;
    format!("{}.{:03}", milliseconds / 1_000, milliseconds % 1_000)
}

/// Whole seconds, rounded to the nearest.
fn whole_seconds(span: Span) -> String {
    ((span.0 + 500_000_000) / 1_000_000_000).to_string()
}

fn percent(share: i128) -> String {
    format!("{} %", hundredths(share))
}

fn hundredths(share: i128) -> String {
    let whole = WHOLE / 100;
    format!("{}.{:02}", share / whole, share % whole)
}

#[cfg(test)]
mod tests {
    use super::decimal_seconds;
    use super::number;
    use super::percent;
    use super::whole_seconds;
    use crate::base::time::Span;

    #[test]
    fn figures_are_printed_without_loss_or_noise() {
        assert_eq!(decimal_seconds(Span::milliseconds(61_005)), "61.005");
        assert_eq!(number("61.500").to_string(), "61.5");
        assert_eq!(whole_seconds(Span::milliseconds(1_500)), "2");
        assert_eq!(percent(9_805), "98.05 %");
    }
}
