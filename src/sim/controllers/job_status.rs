//! What a Job's status says: counts, completed indexes, times, conditions, in the Job controller's words.
//! Decides nothing: the verdict on the Job comes in, the whole status goes out.
//! Invariant: the final condition waits for the last pod, so nothing of a finished Job runs on.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::job::Progress;
use super::owner::Condition;
use super::owner::Round;
use super::owner::positive;
use super::owner::put_condition;
use crate::base::time::Time;
use crate::sim::object::Object;
use crate::sim::object::timestamp;

/// What is to become of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It runs on.
    Running,
    /// Its pods go until it is resumed.
    Suspended,
    /// All that was wanted has succeeded.
    Complete,
    /// It will not be tried any further.
    Failed { reason: &'static str, message: Cow<'static, str> },
}

/// True once the Job is complete or has failed.
pub(super) fn is_finished(job: Object<'_>) -> bool {
    job.condition("Complete") == "True" || job.condition("Failed") == "True"
}

/// `status.startTime`.
pub(super) fn start_time(job: Object<'_>) -> Option<Time> {
    Time::from_rfc3339(job.0["status"]["startTime"].as_str()?)
}

/// When the Job finished, by its final condition.
pub(super) fn finish_time(job: Object<'_>) -> Option<Time> {
    let conditions = job.0["status"]["conditions"].as_array()?;
    let last = conditions.iter().find(|condition| {
        (condition["type"] == "Complete" || condition["type"] == "Failed")
            && condition["status"] == "True"
    })?;
    Time::from_rfc3339(last["lastTransitionTime"].as_str()?)
}

/// The whole status; `null` where a field is to be absent.
pub(super) fn status(
    round: &Round<'_>,
    progress: &Progress,
    verdict: &Verdict,
) -> Map<String, Value> {
    let before = json!({"status": round.believed_status()});
    let suspended = Object(&before).condition("Suspended") == "True";
    let before = &before["status"];
    let now = round.now;
    let mut conditions = before["conditions"].as_array().cloned().unwrap_or_default();
    let mut start = before["startTime"].clone();
    if start.is_null() {
        start = timestamp(now);
    }
    let mut completion = before["completionTime"].clone();
    // The final condition waits for the last pod, so that nothing of a finished Job runs on.
    let none_left = progress.active + progress.terminating == 0;
    let mut put = |kind, status, reason, message| {
        put_condition(&mut conditions, Condition { kind, status, reason, message }, now);
    };
    match verdict {
        Verdict::Running => {
            if suspended {
                put("Suspended", "False", "JobResumed", "Job resumed");
                start = timestamp(now);
            }
        }
        Verdict::Suspended => {
            put("Suspended", "True", "JobSuspended", "Job suspended");
            start = Value::Null;
        }
        Verdict::Complete => {
            let message = "Reached expected number of succeeded pods";
            put("SuccessCriteriaMet", "True", "CompletionsReached", message);
            if none_left {
                put("Complete", "True", "CompletionsReached", message);
                if completion.is_null() {
                    completion = timestamp(now);
                }
            }
        }
        Verdict::Failed { reason, message } => {
            put("FailureTarget", "True", reason, message);
            if none_left {
                put("Failed", "True", reason, message);
            }
        }
    }
    let indexes =
        if progress.indexed { json!(write_indexes(&progress.completed)) } else { Value::Null };
    let fields = [
        ("active", positive(progress.active)),
        ("ready", json!(progress.ready)),
        ("terminating", json!(progress.terminating)),
        ("succeeded", positive(progress.succeeded)),
        ("failed", positive(progress.failed)),
        ("completedIndexes", if indexes == "" { Value::Null } else { indexes }),
        ("startTime", start),
        ("completionTime", completion),
        ("conditions", if conditions.is_empty() { Value::Null } else { json!(conditions) }),
        ("uncountedTerminatedPods", json!({})),
    ];
    fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect()
}

/// `0-2,5` for 0, 1, 2, 5.
fn write_indexes(indexes: &BTreeSet<u32>) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for index in indexes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let shown =
        runs.iter().map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            },
        );
    shown.collect::<Vec<_>>().join(",")
}

/// The indexes of `0-2,5`; parts that are no range are passed over.
pub(super) fn read_indexes(text: &str) -> BTreeSet<u32> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_written_in_runs_and_read_back() {
        for text in ["", "0", "0-2,5", "1,3,7-9"] {
            assert_eq!(write_indexes(&read_indexes(text)), text);
        }
        assert_eq!(read_indexes("x,1"), BTreeSet::from([1]));
    }
}
