//! What happened, for operators: one line per instant, gang, and kind of happening.
//!
//! Knows only the chronicle and the result. Invariant: the same world gives the same text, byte for byte,
//! and times are spans since time 0.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Deserialize;

use crate::base::names::ObjectName;
use crate::base::time::Time;
use crate::sim::world::chronicle::{Entry, What};

/// Width of the column of times.
const TIME_WIDTH: usize = 7;

/// What a transcript shows besides what happens to pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Nothing.
    #[default]
    Pods,
    /// The status of PodGroups too.
    Groups,
}

/// Entries that make one line.
struct Line<'a> {
    at: Time,
    namespace: &'a str,
    gang: &'a str,
    first: &'a What,
    entries: Vec<&'a Entry>,
}

/// The lines of `entries`.
pub fn transcript(entries: &[Entry], zero: Time, detail: Detail) -> String {
    let mut text = String::new();
    for line in lines(entries, detail) {
        let time = (line.at - zero).to_string();
        let gang = match line.namespace {
            "default" => line.gang.to_owned(),
            namespace => format!("{namespace}/{}", line.gang),
        };
        writeln!(text, "{time:<TIME_WIDTH$} {gang} {}", told(&line)).expect("a String takes all");
    }
    text
}

/// Gathers what belongs on one line: same instant, same gang, same happening.
fn lines(entries: &[Entry], detail: Detail) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for entry in entries {
        if detail == Detail::Pods && matches!(entry.what, What::Group { .. }) {
            continue;
        }
        let same_instant = lines.iter_mut().rev().take_while(|line| line.at == entry.at);
        let fitting = same_instant.into_iter().find(|line| {
            line.gang == entry.gang
                && line.namespace == &*entry.name.namespace
                && joins(line.first, &entry.what)
        });
        match fitting {
            Some(line) => line.entries.push(entry),
            None => lines.push(Line {
                at: entry.at,
                namespace: &entry.name.namespace,
                gang: &entry.gang,
                first: &entry.what,
                entries: vec![entry],
            }),
        }
    }
    lines
}

/// True where two happenings are told together.
fn joins(first: &What, other: &What) -> bool {
    match (first, other) {
        (What::Bound { .. }, What::Bound { .. }) => true,
        (What::Evicted { reason, .. }, What::Evicted { reason: other, .. }) => reason == other,
        (What::Ended { .. } | What::Leaving | What::Gone | What::Waits { .. }, _) => first == other,
        (What::Bound { .. } | What::Evicted { .. } | What::Group { .. }, _) => false,
    }
}

/// The line after time and gang.
fn told(line: &Line<'_>) -> String {
    let names: Vec<&ObjectName> = line.entries.iter().map(|entry| &entry.name).collect();
    let who = if names.len() == 1 && &*names[0].name == line.gang {
        String::new()
    } else {
        format!(" {}", compact(names.iter().map(|name| &*name.name)))
    };
    match line.first {
        What::Bound { .. } => format!("bound: {}", places(&line.entries)),
        What::Ended { phase, reason } if reason.is_empty() => format!("ended:{who} {phase}"),
        What::Ended { phase, reason } => format!("ended:{who} {phase} ({reason})"),
        What::Evicted { reason, .. } => format!("evicted:{who} ({reason})"),
        What::Leaving => format!("told to stop:{who}").trim_end_matches(':').to_owned(),
        What::Gone => format!("gone:{who}").trim_end_matches(':').to_owned(),
        What::Waits { reason, message } => format!("waits:{who} {reason}: {message}"),
        What::Group { status } => format!("PodGroup says: {status}"),
    }
}

/// Who went where, node by node in the order of the binds.
fn places(entries: &[&Entry]) -> String {
    let mut nodes: Vec<(&str, Vec<&str>)> = Vec::new();
    for entry in entries {
        let What::Bound { node } = &entry.what else {
            continue;
        };
        match nodes.iter_mut().find(|(name, _)| name == node) {
            Some((_, pods)) => pods.push(&entry.name.name),
            None => nodes.push((node, vec![&entry.name.name])),
        }
    }
    let told = nodes.into_iter().map(|(node, pods)| format!("{} on {node}", compact(pods)));
    told.collect::<Vec<_>>().join(", ")
}

/// Names in natural order, runs of numbers drawn together: `train-0..3 late`.
fn compact<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let sorted: BTreeSet<(&str, Option<u64>, &str)> = names.into_iter().map(numbered).collect();
    let mut told: Vec<String> = Vec::new();
    let mut run: Option<(&str, u64, u64)> = None;
    let end_run = |run: &mut Option<(&str, u64, u64)>, told: &mut Vec<String>| {
        if let Some((stem, first, last)) = run.take() {
            told.push(match last - first {
                0 => format!("{stem}-{first}"),
                _ => format!("{stem}-{first}..{last}"),
            });
        }
    };
    for (stem, number, name) in sorted {
        match (number, &mut run) {
            (Some(number), Some((running, _, last))) if *running == stem && *last + 1 == number => {
                *last = number;
            }
            (Some(number), _) => {
                end_run(&mut run, &mut told);
                run = Some((stem, number, number));
            }
            (None, _) => {
                end_run(&mut run, &mut told);
                told.push(name.to_owned());
            }
        }
    }
    end_run(&mut run, &mut told);
    told.join(" ")
}

/// A name as stem and number where it ends in `-NUMBER`.
fn numbered(name: &str) -> (&str, Option<u64>, &str) {
    let parts = name.rsplit_once('-').and_then(|(stem, digits)| {
        let plain = digits == "0" || !digits.starts_with('0');
        digits.parse::<u64>().ok().filter(|_| plain).map(|number| (stem, number))
    });
    match parts {
        Some((stem, number)) => (stem, Some(number), name),
        None => (name, None, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_drawn_together() {
        assert_eq!(compact(["w-2", "w-0", "w-1", "w-10", "lead", "x-0"]), "lead w-0..2 w-10 x-0");
        assert_eq!(compact(["p-007", "p-008"]), "p-007 p-008");
    }

    #[test]
    fn one_line_tells_one_thing_about_one_gang() {
        let entry = |seconds: i64, pod: &str, gang: &str, what: What| Entry {
            at: Time(seconds * 1_000_000_000),
            name: ObjectName::new("default", pod),
            gang: gang.to_owned(),
            what,
        };
        let bound = |node: &str| What::Bound { node: node.to_owned() };
        let waits =
            What::Waits { reason: "Unschedulable".to_owned(), message: "no room".to_owned() };
        let entries = [
            entry(0, "t-0", "t", bound("a1")),
            entry(0, "t-1", "t", bound("a2")),
            entry(0, "solo", "solo", bound("a2")),
            entry(0, "t-2", "t", bound("a1")),
            entry(60, "big-0", "big", waits.clone()),
            entry(60, "big-1", "big", waits),
            entry(90, "solo", "solo", What::Gone),
        ];
        assert_eq!(
            transcript(&entries, Time::EPOCH, Detail::Pods),
            "0s      t bound: t-0 t-2 on a1, t-1 on a2\n\
             0s      solo bound: solo on a2\n\
             1m0s    big waits: big-0..1 Unschedulable: no room\n\
             1m30s   solo gone\n"
        );
    }
}
