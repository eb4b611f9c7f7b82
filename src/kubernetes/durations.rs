//! Durations counted into buckets: plain integers, read by telemetry.
//! The bounds double from the first, so twenty of them span six orders of magnitude.
//! Keeps sums and counts, never a single duration; knows no name or unit of a metric.

use crate::base::time::Span;

/// Number of buckets with an upper bound.
const BUCKETS: usize = 20;

/// A histogram whose bounds double.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durations {
    first_bound: Span,
    counts: [u64; BUCKETS + 1],
    sum: Span,
}

impl Durations {
    /// An empty histogram whose first bucket ends at `first_bound`.
    pub const fn new(first_bound: Span) -> Self {
        Self { first_bound, counts: [0; BUCKETS + 1], sum: Span::ZERO }
    }

    /// Counts one duration.
    pub fn count(&mut self, span: Span) {
        let within = |bucket: &usize| span <= self.bound(*bucket);
        let bucket = (0..BUCKETS).find(within).unwrap_or(BUCKETS);
        self.counts[bucket] += 1;
        self.sum = Span(self.sum.0.saturating_add(span.0));
    }

    /// The upper bound of each bucket and how many durations ended in it.
    /// The last bucket has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Span>, u64)> {
        self.counts
            .iter()
            .enumerate()
            .map(|(bucket, count)| ((bucket < BUCKETS).then(|| self.bound(bucket)), *count))
    }

    /// All of them together.
    pub fn sum(&self) -> Span {
        self.sum
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn bound(&self, bucket: usize) -> Span {
        Span(self.first_bound.0.saturating_mul(1 << bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::Durations;
    use crate::base::time::Span;

    #[test]
    fn each_duration_is_in_the_first_bucket_that_holds_it() {
        let mut durations = Durations::new(Span::milliseconds(1));
        for milliseconds in [0, 1, 2, 3, 1_000_000_000] {
            durations.count(Span::milliseconds(milliseconds));
        }
        let buckets: Vec<_> = durations.buckets().collect();
        assert_eq!(buckets[0], (Some(Span::milliseconds(1)), 2));
        assert_eq!(buckets[1], (Some(Span::milliseconds(2)), 1));
        assert_eq!(buckets[2], (Some(Span::milliseconds(4)), 1));
        assert_eq!(buckets[20], (None, 1));
        assert_eq!((durations.total(), durations.sum()), (5, Span::milliseconds(1_000_000_006)));
    }
}
