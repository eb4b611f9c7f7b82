//! Traces of real GPU clusters, read into jobs. One file and one row of [`FORMATS`] per format.
//!
//! Strict: a row that does not say what the format promises is an error with line, column, value, and remedy.
//! Knows no scheduler and no cluster.

pub mod knavigator;
pub mod philly;
mod rows;

use std::fmt;
use std::io::Read;

use crate::base::time::Span;
use crate::base::time::Time;

/// Members of a job that ask for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role {
    /// How many pods, at least 1.
    pub pods: u32,
    /// GPUs of each pod, at least 1.
    pub gpus_per_pod: u32,
}

/// One job of a trace: a gang, all of whose members are required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// A name that no other job of the trace has, usable in Kubernetes.
    pub name: String,
    /// When it was submitted; since the epoch, or since the trace's own beginning.
    pub submitted: Time,
    /// How long it runs once all its members are bound; more than nothing.
    pub duration: Span,
    /// Its members; never empty.
    pub roles: Vec<Role>,
}

impl Job {
    /// GPUs of all its members.
    pub fn gpus(&self) -> u64 {
        self.roles.iter().map(|role| u64::from(role.pods) * u64::from(role.gpus_per_pod)).sum()
    }

    /// Number of its members.
    pub fn pods(&self) -> u64 {
        self.roles.iter().map(|role| u64::from(role.pods)).sum()
    }
}

/// Whether a trace tells dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    /// Submit times are dates, taken as UTC.
    Dates,
    /// Submit times count from the trace's own beginning.
    Offsets,
}

/// A trace format.
#[derive(Debug)]
pub struct Format {
    /// Its name in `--trace FORMAT:PATH`.
    pub name: &'static str,
    /// What it is, for help and errors.
    pub about: &'static str,
    /// Whether a window of submit dates makes sense.
    pub calendar: Calendar,
    /// Reads a whole trace.
    pub read: fn(&str) -> Result<Vec<Job>, TraceError>,
}

/// Every format there is.
pub const FORMATS: [Format; 2] = [philly::FORMAT, knavigator::FORMAT];

/// The format called `name`.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// What is wrong with a trace, and where. Shows as `line 7, column duration: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The line, from 1, where one is at fault.
    pub line: Option<u64>,
    /// The column's name, where one is at fault.
    pub column: Option<&'static str>,
    /// Value and remedy.
    pub message: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => {
                write!(f, "line {line}, column {column}: {}", self.message)
            }
            (Some(line), None) => write!(f, "line {line}: {}", self.message),
            (None, _) => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for TraceError {}

impl TraceError {
    fn of_file(message: impl Into<String>) -> Self {
        Self { line: None, column: None, message: message.into() }
    }
}

/// The first bytes of every zstd frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Reads a trace from the bytes of its file, which may be compressed with zstd.
/// Jobs are in the order of their submission; of one instant, in the order of the file.
///
/// # Errors
/// A file that is damaged, or a row that the format does not allow.
pub fn read(format: &Format, bytes: &[u8]) -> Result<Vec<Job>, TraceError> {
    let text = if bytes.starts_with(&ZSTD_MAGIC) { decompress(bytes)? } else { bytes.to_vec() };
    let text = String::from_utf8(text).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        TraceError {
            line: Some(line),
            column: None,
            message: "is not UTF-8; is this a trace?".to_owned(),
        }
    })?;
    let mut jobs = (format.read)(&text)?;
    if jobs.is_empty() {
        return Err(TraceError::of_file("holds no jobs below its header"));
    }
    jobs.sort_by_key(|job| job.submitted);
    Ok(jobs)
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, TraceError> {
    let damaged = |error: &dyn fmt::Display| {
        TraceError::of_file(format!("is damaged zstd data ({error}); fetch or compress it again"))
    };
    let mut rest = bytes;
    let mut text = Vec::new();
    // A file may hold several frames, one after another.
    while !rest.is_empty() {
        let mut decoder =
            ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(|error| damaged(&error))?;
        decoder.read_to_end(&mut text).map_err(|error| damaged(&error))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::FORMATS;
    use super::read;

    #[test]
    fn formats_have_distinct_names() {
        for (index, format) in FORMATS.iter().enumerate() {
            assert!(FORMATS[..index].iter().all(|other| other.name != format.name));
        }
    }

    #[test]
    fn damaged_compressed_files_and_binary_files_are_told_apart_from_traces() {
        let format = &FORMATS[0];
        let damaged =
            read(format, &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff]).expect_err("no frame");
        assert!(damaged.to_string().starts_with("is damaged zstd data ("), "{damaged}");
        let binary = read(format, b"timestamp\n\xff\xfe").expect_err("no text");
        assert_eq!(binary.to_string(), "line 2: is not UTF-8; is this a trace?");
    }
}
