//! One case of the contract as a file has it: requests, and the transcript under the last key, `expect`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Release;

/// Where the transcript begins.
const EXPECT: &str = "expect: |\n";

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The first release, such as `1.37`, that answers like this; any if left out.
    #[serde(default)]
    since: Option<String>,
    requests: Vec<Asked>,
    #[serde(default)]
    expect: String,
}

/// One request and what of its answer is shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// `METHOD TARGET`, or `COMPACT`: the store forgets its history. A target without a leading `/` is below the case's namespace of the core API. `$(name)`
    /// stands for what an earlier request kept; `$(ns)` is the case's namespace.
    pub(crate) send: String,
    /// The body; `$(name)` is replaced in its strings.
    #[serde(default)]
    pub(crate) body: Value,
    /// The body as text, where it is not JSON.
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// Form of the body: `json`, `merge`, `strategic`, `apply` for patches, or a media type.
    #[serde(default, rename = "as")]
    pub(crate) form: Option<String>,
    /// What is accepted: `table`, `metadata`, or a media type.
    #[serde(default)]
    pub(crate) accept: Option<String>,
    /// Reads this many lines of a stream instead of one whole answer.
    #[serde(default)]
    pub(crate) lines: Option<usize>,
    /// Sends the request again until the answer has this code: for what a server does in its own time.
    #[serde(default)]
    pub(crate) until: Option<u16>,
    /// Values to keep, by name: JSON pointers into the answer.
    #[serde(default)]
    pub(crate) keep: BTreeMap<String, String>,
    /// What the in-memory API answers otherwise, and why that may stay. Its answer must differ then, so that no such
    /// remark outlives its reason.
    #[serde(default)]
    pub(crate) differs: Option<String>,
    /// JSON pointers to show, `*` for each element of a list. Refusals are shown whole.
    #[serde(default)]
    pub(crate) show: Vec<String>,
}

/// A case.
#[derive(Debug)]
pub(crate) struct Case {
    text: String,
    written: Written,
}

impl Case {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let written = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
        Ok(Self { text, written })
    }

    /// In their order.
    pub(crate) fn requests(&self) -> &[Asked] {
        &self.written.requests
    }

    /// The transcript in the file, one part for each request.
    pub(crate) fn expected(&self) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for line in self.written.expect.lines() {
            match parts.last_mut().filter(|_| line.starts_with(' ')) {
                Some(part) => part.push_str(line),
                None => parts.push(line.to_owned()),
            }
            parts.last_mut().expect("one was just filled").push('\n');
        }
        parts
    }

    /// Whether a server of `release` is expected to answer like this.
    pub(crate) fn holds_since(&self, release: Release) -> bool {
        let since = self.written.since.as_deref();
        since.is_none_or(|since| Release::read(since).is_some_and(|since| since <= release))
    }

    /// The file with another transcript.
    pub(crate) fn rewritten(&self, transcript: &[String]) -> String {
        let head = self.text.split(EXPECT).next().unwrap_or_default();
        let head = head.strip_suffix('\n').unwrap_or(head);
        let mut text = format!("{head}\n{EXPECT}");
        for line in transcript.iter().flat_map(|part| part.lines()) {
            text.push_str("  ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}
