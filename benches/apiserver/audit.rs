//! What the API server says that it was asked, when, and what it answered: its audit log, read as it grows.
//! The clock is the server's, and the same one for all who are measured.
//! Knows requests and nothing of who sends them.

use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

/// Writes that schedulers send: binds, what is said about pods and groups, and gangs' records.
pub(crate) const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete]
  resources:
  - {group: '', resources: [pods/binding, pods/status, events]}
  - {group: events.k8s.io, resources: [events]}
  - {group: muster.dev, resources: [gangplans]}
  - {group: scheduling.x-k8s.io, resources: [podgroups, podgroups/status]}
  - {group: scheduling.k8s.io, resources: [podgroups, podgroups/status]}
- {level: None}
";

/// A request and its answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub(crate) verb: String,
    #[serde(rename = "objectRef")]
    pub(crate) object: Object,
    /// None where the sender was gone before it was answered.
    #[serde(rename = "responseStatus", default)]
    pub(crate) answer: Answer,
    pub(crate) user: Sender,
    /// When the request came.
    #[serde(rename = "requestReceivedTimestamp")]
    pub(crate) received: Timestamp,
    /// When it was answered.
    #[serde(rename = "stageTimestamp")]
    pub(crate) answered: Timestamp,
}

/// What a request was about.
#[derive(Debug, Deserialize)]
pub(crate) struct Object {
    pub(crate) resource: String,
    #[serde(default)]
    pub(crate) subresource: String,
    #[serde(default)]
    pub(crate) name: String,
}

/// What was answered.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) code: u16,
}

/// Who sent a request.
#[derive(Debug, Deserialize)]
pub(crate) struct Sender {
    /// Tells tokens of one account apart.
    pub(crate) uid: String,
}

impl Entry {
    /// A bind that was accepted.
    pub(crate) fn is_bind(&self) -> bool {
        self.object.subresource == "binding" && self.answer.code == 201
    }

    /// A new event that was accepted.
    pub(crate) fn is_event(&self) -> bool {
        self.object.resource == "events" && self.answer.code == 201
    }

    /// Verb and resource, as in `patch podgroups/status`.
    pub(crate) fn kind(&self) -> String {
        let Object { resource, subresource, .. } = &self.object;
        let slash = if subresource.is_empty() { "" } else { "/" };
        format!("{} {resource}{slash}{subresource}", self.verb)
    }
}

/// The log, as far as it was read.
#[derive(Debug)]
pub(crate) struct AuditLog {
    path: PathBuf,
    offset: u64,
    /// The beginning of a line whose end was not written yet.
    rest: Vec<u8>,
    pub(crate) entries: Vec<Entry>,
}

impl AuditLog {
    pub(crate) const fn at(path: PathBuf) -> Self {
        Self { path, offset: 0, rest: Vec::new(), entries: Vec::new() }
    }

    /// Reads what is new.
    pub(crate) fn read(&mut self) {
        let Ok(mut file) = std::fs::File::open(&self.path) else { return };
        file.seek(SeekFrom::Start(self.offset)).expect("the log only grows");
        let read = file.read_to_end(&mut self.rest).expect("the log can be read");
        self.offset += read as u64;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let entry = serde_json::from_slice(line);
            self.entries.push(entry.expect("the server writes audit events"));
        }
    }

    /// How many entries are so.
    pub(crate) fn count(&self, is_so: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().filter(|entry| is_so(entry)).count()
    }
}
