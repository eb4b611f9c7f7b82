//! Microsoft's Philly cluster, 2017 (Jeon et al., USENIX ATC 2019), as a table of jobs with their runtimes.
//!
//! A job of up to 8 GPUs is one pod; a larger one is pods of 8 GPUs each, and one more for what is left over.
//! Submit times have no zone and are taken as UTC; `gpu_time` and the virtual cluster are not used.

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
    name: "philly",
    about: "Microsoft Philly 2017: timestamp,duration,num_gpus,gpu_time,cluster",
    calendar: Calendar::Dates,
    read,
};

const COLUMNS: [&str; 5] = ["timestamp", "duration", "num_gpus", "gpu_time", "cluster"];

/// GPUs of a node of that cluster, and so of its largest pod.
const GPUS_PER_POD: u32 = 8;

/// More than any job of the trace has.
const GPUS_MAX: u32 = 65_536;

fn read(text: &str) -> Result<Vec<Job>, TraceError> {
    rows::rows(text, &COLUMNS)?.iter().enumerate().map(|(index, row)| job(index, row)).collect()
}

fn job(index: usize, row: &Row) -> Result<Job, TraceError> {
    let timestamp = row.text("timestamp");
    let submitted = Time::from_rfc3339(&format!("{}Z", timestamp.replacen(' ', "T", 1)));
    let submitted = submitted.filter(|_| timestamp.len() == "2017-10-09 07:01:55".len());
    Ok(Job {
        name: format!("job-{index:06}"),
        submitted: submitted.ok_or_else(|| {
            row.error("timestamp", "is no time; write it as 2017-10-09 07:01:55, or delete the row")
        })?,
        duration: row.duration("duration")?,
        roles: roles(row.count("num_gpus", GPUS_MAX)?),
    })
}

fn roles(gpus: u32) -> Vec<Role> {
    let whole = Role { pods: gpus / GPUS_PER_POD, gpus_per_pod: GPUS_PER_POD };
    let rest = Role { pods: 1, gpus_per_pod: gpus % GPUS_PER_POD };
    [whole, rest].into_iter().filter(|role| role.pods > 0 && role.gpus_per_pod > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::read;
    use super::roles;
    use crate::base::time::Span;

    const HEADER: &str = "timestamp,duration,num_gpus,gpu_time,cluster\n";

    #[test]
    fn jobs_are_pods_of_up_to_eight_gpus() {
        let role = |pods, gpus_per_pod| Role { pods, gpus_per_pod };
        assert_eq!(roles(1), [role(1, 1)]);
        assert_eq!(roles(8), [role(1, 8)]);
        assert_eq!(roles(12), [role(1, 8), role(1, 4)]);
        assert_eq!(roles(128), [role(16, 8)]);
    }

    #[test]
    fn a_row_is_read_exactly() {
        let text = format!("{HEADER}2017-10-09 07:01:55,66.25,16,1060.0,11cb48\n");
        let jobs = read(&text).expect("a good row");
        assert_eq!(jobs[0].submitted.to_rfc3339(), "2017-10-09T07:01:55Z");
        assert_eq!(jobs[0].duration, Span::milliseconds(66_250));
        assert_eq!((jobs[0].gpus(), jobs[0].pods()), (16, 2));
    }

    #[test]
    fn rows_that_are_wrong_say_where_and_what_to_do() {
        let cases = [
            (
                "2017-10-09 07:01:55,66.0,1",
                "line 2: is cut short: 3 of 5 columns, the last is num_gpus \"1\"; complete the line or delete it",
            ),
            (
                "2017-10-09 07:01:55,66.0,1,66.0,a,b",
                "line 2: has 6 columns where the header has 5; delete what is too much",
            ),
            (
                "2017-10-09 07:01,66.0,1,66.0,a",
                "line 2, column timestamp: \"2017-10-09 07:01\" is no time; write it as 2017-10-09 07:01:55, or delete the row",
            ),
            (
                "2017-10-09 07:01:55,66.0,0,66.0,a",
                "line 2, column num_gpus: \"0\" is no whole number from 1 to 65536; write one, or delete the row",
            ),
            (
                "2017-10-09 07:01:55,-1,1,66.0,a",
                "line 2, column duration: \"-1\" is no number of seconds; write one, such as 90 or 61.5, or delete the row",
            ),
            (
                "2017-10-09 07:01:55,0.0,1,66.0,a",
                "line 2, column duration: \"0.0\" is no time at all; \
                 a job that never ran does not belong into a trace: delete the row",
            ),
        ];
        for (row, expected) in cases {
            let error = read(&format!("{HEADER}{row}\n")).expect_err(row);
            assert_eq!(error.to_string(), expected);
        }
        let header = read("job,submit_s\n").expect_err("another format's header");
        let expected = "line 1: the header is \"job,submit_s\"; \
                        this format has \"timestamp,duration,num_gpus,gpu_time,cluster\"";
        assert_eq!(header.to_string(), expected);
    }
}
