//! Rows of a comma-separated trace with their line numbers, and the values that formats read from them.
//! The header must be exactly the one that the format declares.
//! Knows no job: a value that is not what it should be becomes an error with line, column, value, and remedy.

use std::fmt;

use csv::ReaderBuilder;
use csv::StringRecord;

use super::TraceError;
use crate::base::time::Span;

/// One row.
pub(super) struct Row {
    columns: &'static [&'static str],
    record: StringRecord,
    line: u64,
}

/// Reads all rows below the header `columns`.
pub(super) fn rows(text: &str, columns: &'static [&'static str]) -> Result<Vec<Row>, TraceError> {
    let mut reader =
        ReaderBuilder::new().flexible(true).has_headers(false).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut header = true;
    for record in reader.records() {
        let record = record
            .map_err(|error| TraceError::of_file(format!("is no comma-separated text: {error}")))?;
        let line = record.position().map_or(0, csv::Position::line);
        if header {
            check_header(&record, columns, line)?;
            header = false;
            continue;
        }
        check_length(&record, columns, line)?;
        rows.push(Row { columns, record, line });
    }
    if header {
        return Err(TraceError::of_file(format!(
            "is empty; expected the header {}",
            columns.join(",")
        )));
    }
    Ok(rows)
}

fn check_header(record: &StringRecord, columns: &[&str], line: u64) -> Result<(), TraceError> {
    if record.iter().eq(columns.iter().copied()) {
        return Ok(());
    }
    let found: Vec<&str> = record.iter().collect();
    let message =
        format!("the header is {:?}; this format has {:?}", found.join(","), columns.join(","));
    Err(TraceError { line: Some(line), column: None, message })
}

fn check_length(
    record: &StringRecord,
    columns: &[&'static str],
    line: u64,
) -> Result<(), TraceError> {
    if record.len() == columns.len() {
        return Ok(());
    }
    let message = if record.len() < columns.len() {
        let last = record.len() - 1;
        format!(
            "is cut short: {} of {} columns, the last is {} {:?}; complete the line or delete it",
            record.len(),
            columns.len(),
            columns[last],
            record.get(last).unwrap_or_default()
        )
    } else {
        format!(
            "has {} columns where the header has {}; delete what is too much",
            record.len(),
            columns.len()
        )
    };
    Err(TraceError { line: Some(line), column: None, message })
}

impl Row {
    /// The text of a column that the format declared.
    pub(super) fn text(&self, column: &'static str) -> &str {
        let index = self.columns.iter().position(|name| *name == column);
        let index = index.expect("a format asks only for columns that it declares");
        self.record.get(index).expect("rows have as many columns as the header").trim()
    }

    /// An error about a column of this row.
    pub(super) fn error(&self, column: &'static str, remedy: impl fmt::Display) -> TraceError {
        let message = format!("{:?} {remedy}", self.text(column));
        TraceError { line: Some(self.line), column: Some(column), message }
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, column: &'static str, most: u32) -> Result<u32, TraceError> {
        let number = self.text(column).parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| {
            self.error(
                column,
                format_args!("is no whole number from 1 to {most}; write one, or delete the row"),
            )
        })
    }

    /// Seconds with or without decimals.
    pub(super) fn seconds(&self, column: &'static str) -> Result<Span, TraceError> {
        let text = self.text(column);
        let plain = text.starts_with(|c: char| c.is_ascii_digit())
            && text.ends_with(|c: char| c.is_ascii_digit());
        let span = if plain { format!("{text}s").parse::<Span>().ok() } else { None };
        span.ok_or_else(|| {
            self.error(
                column,
                "is no number of seconds; write one, such as 90 or 61.5, or delete the row",
            )
        })
    }

    /// Seconds, more than nothing.
    pub(super) fn duration(&self, column: &'static str) -> Result<Span, TraceError> {
        let span = self.seconds(column)?;
        if span == Span::ZERO {
            return Err(self.error(
                column,
                "is no time at all; a job that never ran does not belong into a trace: delete the row",
            ));
        }
        Ok(span)
    }
}
