//! What a replay came to, in exact integers: waits, completion times, allocation, makespan.
//! Percentiles are nearest-rank: the p-th is the smallest value that at least p percent do not exceed.
//! Invariant: a job that never started is counted as unplaced and is in no other figure.

use std::collections::BTreeMap;

use super::Replayed;
use crate::base::time::Span;
use crate::base::time::Time;
use crate::sim::traces::Job;

/// One hundred percent, in the unit of [`Measures::allocation`].
pub const WHOLE: i128 = 10_000;

/// A distribution of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// How many there are.
    pub count: u64,
    /// The mean, rounded down to the nanosecond.
    pub mean: Span,
    /// The 50th percentile.
    pub median: Span,
    /// The 90th percentile.
    pub p90: Span,
    /// The 99th percentile.
    pub p99: Span,
    /// The largest.
    pub max: Span,
}

/// Waits and completion times of some jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Which jobs.
    pub jobs: Jobs,
    /// From submission to start.
    pub wait: Distribution,
    /// From submission to end.
    pub completion: Distribution,
}

/// Which jobs a class holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Jobs {
    /// Every job.
    All,
    /// Jobs of two pods or more.
    Gangs,
    /// Jobs of so many GPUs.
    OfGpus(u64),
}

/// The figures of one replay. Jobs that never started are in `unplaced` and in nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measures {
    /// All jobs, gangs where there are any, then each size.
    pub classes: Vec<Class>,
    /// Jobs that never started.
    pub unplaced: u64,
    /// Mean share of the GPUs that jobs held, from the first submission to the last end, in hundredths of a percent.
    pub allocation: i128,
    /// The same until the last submission.
    pub allocation_until_last_submission: i128,
    /// From the first submission to the last end.
    pub makespan: Span,
}

/// Measures what became of `jobs`.
pub fn measure(jobs: &[Job], replayed: &Replayed) -> Measures {
    let mut samples: BTreeMap<Jobs, Vec<(Span, Span)>> = BTreeMap::new();
    let mut unplaced = 0;
    for (job, start) in jobs.iter().zip(&replayed.starts) {
        let Some(start) = start else {
            unplaced += 1;
            continue;
        };
        let wait = *start - job.submitted;
        let sample = (wait, Span(wait.0 + job.duration.0));
        let gang = (job.pods() > 1).then_some(Jobs::Gangs);
        for class in [Some(Jobs::All), gang, Some(Jobs::OfGpus(job.gpus()))].into_iter().flatten() {
            samples.entry(class).or_default().push(sample);
        }
    }
    let last_submission = jobs.last().map_or(replayed.begin, |job| job.submitted);
    let share = |held: i128, end: Time| share(held, replayed.gpus, end - replayed.begin);
    Measures {
        classes: samples.into_iter().map(|(jobs, samples)| class(jobs, &samples)).collect(),
        unplaced,
        allocation: share(replayed.held, replayed.end),
        allocation_until_last_submission: share(
            replayed.held_until_last_submission,
            last_submission,
        ),
        makespan: replayed.end - replayed.begin,
    }
}

fn class(jobs: Jobs, samples: &[(Span, Span)]) -> Class {
    Class {
        jobs,
        wait: distribution(samples.iter().map(|(wait, _)| *wait).collect()),
        completion: distribution(samples.iter().map(|(_, completion)| *completion).collect()),
    }
}

/// `held` as a share of all GPUs over `span`, in hundredths of a percent, rounded to the nearest.
fn share(held: i128, gpus: u64, span: Span) -> i128 {
    let whole = i128::from(gpus) * i128::from(span.0);
    if whole == 0 { 0 } else { (held * WHOLE * 2 + whole) / (whole * 2) }
}

fn distribution(mut spans: Vec<Span>) -> Distribution {
    spans.sort_unstable();
    let Some(max) = spans.last().copied() else { return Distribution::default() };
    let count = spans.len();
    let sum: i128 = spans.iter().map(|span| i128::from(span.0)).sum();
    let percentile = |percent: usize| spans[(count * percent).div_ceil(100).max(1) - 1];
    Distribution {
        count: count as u64,
        mean: Span(i64::try_from(sum / count as i128).expect("a mean lies between its values")),
        median: percentile(50),
        p90: percentile(90),
        p99: percentile(99),
        max,
    }
}

#[cfg(test)]
mod tests {
    use super::Distribution;
    use super::distribution;
    use super::share;
    use crate::base::time::Span;

    #[test]
    fn percentiles_are_values_that_occur() {
        let hundred = distribution((1..=100).rev().map(Span).collect());
        let expected = Distribution {
            count: 100,
            mean: Span(50),
            median: Span(50),
            p90: Span(90),
            p99: Span(99),
            max: Span(100),
        };
        assert_eq!(hundred, expected);
        let three = distribution(vec![Span(5), Span(1), Span(9)]);
        assert_eq!((three.median, three.p90, three.mean), (Span(5), Span(9), Span(5)));
        assert_eq!(distribution(Vec::new()), Distribution::default());
    }

    #[test]
    fn a_share_is_rounded_to_the_nearest() {
        assert_eq!(share(1, 3, Span(1)), 3_333);
        assert_eq!(share(2, 3, Span(1)), 6_667);
        assert_eq!(share(8, 4, Span(2)), 10_000);
        assert_eq!(share(0, 0, Span(2)), 0);
    }
}
