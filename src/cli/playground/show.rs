//! What a playground shows while it runs and when it ends: progress on stderr, the table of the summary.
//! Formats numbers that the tally has counted; changes nothing and waits for nobody.
//! Where stderr is no terminal, a line comes now and then, and only if something has changed.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use tokio::time::Instant;

use super::tally::GangKey;
use super::tally::GangRow;
use super::tally::Tally;
use super::tally::Totals;
use crate::base::names::Name;
use crate::base::time::Span;
use crate::engine::explain::WaitingGang;

/// Gangs that the table lists one by one; more are only counted.
const ROWS_MAX: usize = 40;

/// How often a line is written where stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Live progress.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    last_line: Instant,
    last_totals: Totals,
    /// Binds and time of a moment about a second ago, for the rate.
    mark: (Instant, u64),
    rate: u64,
}

impl Progress {
    /// Begins to show.
    pub(super) fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}").expect("the template is constant"),
            );
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        let now = Instant::now();
        Self { bar, last_line: now, last_totals: Totals::default(), mark: (now, 0), rate: 0 }
    }

    /// Shows how it stands.
    pub(super) fn show(&mut self, totals: Totals) {
        let now = Instant::now();
        let elapsed = now - self.mark.0;
        if elapsed >= Duration::from_secs(1) {
            let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
            self.rate = (totals.binds - self.mark.1) * 1000 / milliseconds;
            self.mark = (now, totals.binds);
        }
        let line = format!(
            "nodes {}/{} in use, GPUs {}/{}, gangs {} running, {} waiting, {} ended, {} binds/s",
            totals.nodes_in_use,
            totals.nodes,
            totals.gpus_in_use,
            totals.gpus,
            totals.gangs_running,
            totals.gangs_waiting,
            totals.gangs_ended,
            self.rate
        );
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None if totals != self.last_totals && now - self.last_line >= LINE_EVERY => {
                eprintln!("{line}");
                self.last_line = now;
                self.last_totals = totals;
            }
            None => {}
        }
    }

    /// Clears the line.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The summary: what became of each gang, and what waits and why.
pub(super) fn summary(tally: &Tally, waiting: &[WaitingGang]) -> String {
    let totals = tally.totals();
    let gangs = tally.gangs();
    let mut text = format!(
        "{} pods in {} gangs: {} running, {} ended, {} waiting; {} of {} nodes and {} of {} GPUs in use\n",
        totals.pods,
        gangs.len(),
        totals.gangs_running,
        totals.gangs_ended,
        totals.gangs_waiting,
        totals.nodes_in_use,
        totals.nodes,
        totals.gpus_in_use,
        totals.gpus,
    );
    let longest = gangs.values().filter_map(|row| row.wait).max();
    if let (Some(span), Some(longest)) = (tally.binding_span(), longest) {
        let (span, longest) = (tenths(span), tenths(longest));
        text.push_str(&format!(
            "from the first pod to the last bind: {span}; longest wait of one gang: {longest}\n"
        ));
    }
    if !gangs.is_empty() {
        text.push('\n');
        text.push_str(&table(&gangs));
    }
    if !waiting.is_empty() {
        text.push_str("\nwaiting:\n");
        for entry in waiting.iter().take(ROWS_MAX) {
            text.push_str(&format!(
                "  {}/{} ({} pods) {}: {}\n",
                entry.namespace,
                entry.gang,
                entry.pods.len(),
                entry.reason.as_str(),
                entry.message
            ));
        }
        if waiting.len() > ROWS_MAX {
            text.push_str(&format!("  and {} more\n", waiting.len() - ROWS_MAX));
        }
    }
    text
}

fn table(gangs: &BTreeMap<GangKey, GangRow>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["NAMESPACE", "GANG", "PODS", "BOUND", "ENDED", "WAIT", "NODES"]);
    // Gangs that wait are what people look for; they are listed first where not all have room.
    let mut rows: Vec<_> = gangs.iter().collect();
    if rows.len() > ROWS_MAX {
        rows.sort_by_key(|(key, row)| (row.waiting.is_none(), (*key).clone()));
    }
    for ((name, _), row) in rows.iter().take(ROWS_MAX) {
        table.add_row([
            name.namespace.to_string(),
            name.name.to_string(),
            row.pods.to_string(),
            row.bound.to_string(),
            row.ended.to_string(),
            row.wait.map_or_else(|| "-".to_owned(), tenths),
            nodes(&row.nodes),
        ]);
    }
    let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if rows.len() > ROWS_MAX {
        text.push_str(&format!("and {} more gangs\n", rows.len() - ROWS_MAX));
    }
    text
}

/// `a1 x4, a2 x4`, cut where there are many.
fn nodes(nodes: &BTreeMap<Name, usize>) -> String {
    const SHOWN: usize = 6;
    if nodes.is_empty() {
        return "-".to_owned();
    }
    let shown: Vec<String> = nodes
        .iter()
        .take(SHOWN)
        .map(|(node, pods)| if *pods == 1 { node.to_string() } else { format!("{node} x{pods}") })
        .collect();
    let rest = if nodes.len() > SHOWN {
        format!(" and {} more", nodes.len() - SHOWN)
    } else {
        String::new()
    };
    format!("{}{rest}", shown.join(", "))
}

/// A span to a tenth of a second: what people compare.
fn tenths(span: Span) -> String {
    const TENTH: i64 = 100_000_000;
    Span((span.0 + TENTH / 2) / TENTH * TENTH).to_string()
}
