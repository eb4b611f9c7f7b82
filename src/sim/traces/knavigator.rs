//! The gang-scheduling benchmark of NVIDIA's knavigator: jobs of equal workers, submit times in seconds from 0.
//! A job is one role: each worker is a pod with the same number of GPUs.
//! Refuses a job number that occurs twice, and counts beyond what any such benchmark has.

use std::collections::BTreeSet;

use super::Calendar;
use super::Format;
use super::Job;
use super::Role;
use super::TraceError;
use super::rows;
use super::rows::Row;
use crate::base::time::Time;

/// Its row in the table of formats.
pub const FORMAT: Format = Format {
    name: "knavigator",
    about: "NVIDIA knavigator's gangs: job,submit_s,workers,gpus_per_worker,duration_s",
    calendar: Calendar::Offsets,
    read,
};

const COLUMNS: [&str; 5] = ["job", "submit_s", "workers", "gpus_per_worker", "duration_s"];

/// More workers than any benchmark has.
const WORKERS_MAX: u32 = 100_000;

/// More GPUs than any node has.
const GPUS_PER_WORKER_MAX: u32 = 1_024;

fn read(text: &str) -> Result<Vec<Job>, TraceError> {
    let mut seen = BTreeSet::new();
    let rows = rows::rows(text, &COLUMNS)?;
    rows.iter().map(|row| job(row, &mut seen)).collect()
}

fn job(row: &Row, seen: &mut BTreeSet<u32>) -> Result<Job, TraceError> {
    let number: u32 = row
        .text("job")
        .parse()
        .map_err(|_| row.error("job", "is no whole number; write the job's own, such as 17"))?;
    if !seen.insert(number) {
        return Err(row.error("job", "names two jobs; give each its own number"));
    }
    let role = Role {
        pods: row.count("workers", WORKERS_MAX)?,
        gpus_per_pod: row.count("gpus_per_worker", GPUS_PER_WORKER_MAX)?,
    };
    Ok(Job {
        name: format!("job-{number:06}"),
        submitted: Time::EPOCH + row.seconds("submit_s")?,
        duration: row.duration("duration_s")?,
        roles: vec![role],
    })
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::base::time::Span;
    use crate::base::time::Time;

    #[test]
    fn a_row_is_a_gang_of_equal_workers() {
        let jobs = read("job,submit_s,workers,gpus_per_worker,duration_s\n7,2.5,16,8,120\n")
            .expect("a good row");
        assert_eq!(jobs[0].name, "job-000007");
        assert_eq!(jobs[0].submitted, Time::EPOCH + Span::milliseconds(2_500));
        assert_eq!(
            (jobs[0].gpus(), jobs[0].pods(), jobs[0].duration),
            (128, 16, Span::seconds(120))
        );
    }

    #[test]
    fn a_job_has_one_row() {
        let text = "job,submit_s,workers,gpus_per_worker,duration_s\n1,0,1,8,9\n1,0,1,8,9\n";
        let error = read(text).expect_err("two jobs of one number");
        assert_eq!(
            error.to_string(),
            "line 3, column job: \"1\" names two jobs; give each its own number"
        );
    }
}
