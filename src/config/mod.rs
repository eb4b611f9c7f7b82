//! Floor 7: configuration. The file as written, resolved into settings structs.
//! Text in, settings out: reading the file is the caller's.
//! Settings of pure rooms live in those rooms; settings of the rim (higher floors) live in [`rim`].
//! Every default of the file stands in [`resolve`]; a test holds the engine's own defaults equal to them.

pub mod diagnosis;
pub mod file;
pub mod kube_scheduler;
mod places;
pub mod resolve;
pub mod rim;
pub mod shipped;

use std::fmt;

use serde::Deserialize;

use self::file::ConfigurationFile;
use self::resolve::Configuration;

/// What is wrong with a configuration, and where. Shows as `line 3, column 1: ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationError {
    /// Line and column, both from 1, where they are known.
    pub at: Option<(u64, u64)>,
    /// Field, value, and remedy.
    pub message: String,
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for ConfigurationError {}

/// A configuration that can be used, and what of its file has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Complete and within its limits.
    pub configuration: Configuration,
    /// Fields that are written and not honoured, each with what Muster does instead; said once at start.
    pub warnings: Vec<String>,
}

/// Reads and resolves a configuration: Muster's own file, or kube-scheduler's as it is.
///
/// # Errors
/// A file that cannot be read, a field that does not exist, a value out of its limits.
pub fn read(text: &str) -> Result<Resolved, ConfigurationError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Header {
        api_version: Option<String>,
    }
    let header: Option<Header> = serde_saphyr::from_str(text).ok();
    let group = kube_scheduler::file::API_VERSION.split('/').next();
    let version = header.and_then(|header| header.api_version).unwrap_or_default();
    if version.split('/').next() == group {
        return kube_scheduler::read(text);
    }
    let configuration = resolve::resolve(&parse(text)?)?;
    Ok(Resolved { configuration, warnings: Vec::new() })
}

/// Reads a configuration as written. An empty text is a valid file that changes no default.
///
/// # Errors
/// YAML that does not parse, a field that does not exist, a value of the wrong type.
pub fn parse(text: &str) -> Result<ConfigurationFile, ConfigurationError> {
    let only_comments = text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    if only_comments {
        return Ok(ConfigurationFile::default());
    }
    serde_saphyr::from_str(text).map_err(|error| diagnosis::of(&error, text))
}
