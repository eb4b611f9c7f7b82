//! kube-scheduler's own plugins as a process: one cluster a line goes in, one answer a line comes out.
//! The process is `envtest plugins`, which `tests/envtest/build` makes.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use serde::Deserialize;

use crate::binaries::Binaries;
use crate::case::Case;

/// What kube-scheduler says of one pod.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Answer {
    /// It could not be judged.
    pub(crate) error: Option<String>,
    /// It is not let into the queue.
    pub(crate) pre_enqueue: Option<Verdict>,
    /// It is rejected before any node is looked at.
    pub(crate) pre_filter: Option<Verdict>,
    /// By node; the others are feasible.
    pub(crate) rejected: BTreeMap<String, Verdict>,
    /// By feasible node.
    pub(crate) scores: BTreeMap<String, Score>,
    /// Of the condition, where no node is feasible.
    pub(crate) message: String,
}

/// A status that is not success.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Verdict {
    /// The first plugin that rejects.
    pub(crate) plugin: String,
    /// Its reasons.
    pub(crate) reasons: Vec<String>,
}

/// How good a node is.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Score {
    /// The weighted sum.
    pub(crate) total: i64,
    /// What it is made of, by plugin.
    pub(crate) plugins: BTreeMap<String, i64>,
}

/// A running oracle.
pub(crate) struct Upstream {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    line: String,
}

impl Upstream {
    /// Starts one; `None`, said on standard error, where this machine has none.
    pub(crate) fn start() -> Option<Self> {
        let Some(binaries @ Binaries::Together(_)) = Binaries::find() else {
            eprintln!(
                "skipped: no kube-scheduler plugins to compare with; tests/envtest/build makes them"
            );
            return None;
        };
        let command = binaries.command("plugins");
        let mut process = Command::new(&command[0])
            .args(&command[1..])
            // A cluster is a few kilobytes and forgotten at once: collecting garbage less often saves a fifth of the time.
            .env("GOGC", "400")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle can be started");
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("it is a pipe"));
        Some(Self { process, questions, answers, line: String::new() })
    }

    /// Sends a question without waiting for its answer. Few should be under way at once: pipes are finite.
    pub(crate) fn ask(&mut self, case: &Case) {
        let mut line = case.question().to_string();
        line.push('\n');
        let pipe = self.questions.as_mut().expect("it is open until the end");
        pipe.write_all(line.as_bytes())
            .expect("the oracle reads; was it built from these sources?");
    }

    /// The answer to the oldest question that has none yet.
    pub(crate) fn answer(&mut self) -> Answer {
        self.line.clear();
        let read = self.answers.read_line(&mut self.line).expect("the oracle writes text");
        assert!(
            read > 0,
            "the oracle ended; run tests/envtest/build if it is older than its sources"
        );
        serde_json::from_str(&self.line).expect("an answer has this form")
    }

    /// Asks and waits.
    pub(crate) fn judge(&mut self, case: &Case) -> Answer {
        self.ask(case);
        self.answer()
    }

    /// The names of all plugins of this release, sorted.
    pub(crate) fn plugin_names() -> Option<Vec<String>> {
        let binaries = Binaries::find().filter(|found| matches!(found, Binaries::Together(_)))?;
        let command = binaries.command("plugins");
        let output = Command::new(&command[0]).args(&command[1..]).arg("--list").output();
        let output = output.expect("the oracle can be started");
        let text = String::from_utf8(output.stdout).expect("names are text");
        Some(text.lines().map(str::to_owned).collect())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}
