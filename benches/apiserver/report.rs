//! Figures by name, in the order in which they came, and what becomes of them: medians, and whether they meet targets.
//! Ratios are taken within a round and their median shown, so that a machine that slows down slows down both sides.
//! Whole numbers only: percent and microseconds.

use std::time::Duration;

/// What a ratio should be, in percent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(u64),
    AtMost(u64),
}

#[derive(Debug)]
enum Figure {
    Time(Vec<Duration>),
    Limited(Vec<Duration>, Duration),
    Percentile(Vec<Duration>, Duration),
    Ratio(Vec<u64>, Target),
}

/// Figures of one comparison.
#[derive(Debug)]
pub(crate) struct Report {
    title: &'static str,
    figures: Vec<(String, Figure)>,
}

impl Report {
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, figures: Vec::new() }
    }

    /// A time that has no target of its own.
    pub(crate) fn note(&mut self, name: &str, time: Duration) {
        let figure = self.figure(name, || Figure::Time(Vec::new()));
        if let Figure::Time(times) = figure {
            times.push(time);
        }
    }

    /// A time that should not be longer than `limit`.
    pub(crate) fn limit(&mut self, name: &str, time: Duration, limit: Duration) {
        let figure = self.figure(name, || Figure::Limited(Vec::new(), limit));
        if let Figure::Limited(times, _) = figure {
            times.push(time);
        }
    }

    /// A time that should not be longer than `limit` 99 of 100 times.
    pub(crate) fn p99(&mut self, name: &str, time: Duration, limit: Duration) {
        let figure = self.figure(name, || Figure::Percentile(Vec::new(), limit));
        if let Figure::Percentile(times, _) = figure {
            times.push(time);
        }
    }

    /// How many hundredths of the second time the first one is.
    pub(crate) fn ratio(&mut self, name: &str, (time, of): (Duration, Duration), target: Target) {
        let percent = (time.as_micros() * 100 + of.as_micros() / 2) / of.as_micros().max(1);
        let percent = u64::try_from(percent).unwrap_or(u64::MAX);
        let figure = self.figure(name, || Figure::Ratio(Vec::new(), target));
        if let Figure::Ratio(ratios, _) = figure {
            ratios.push(percent);
        }
    }

    fn figure(&mut self, name: &str, new: impl FnOnce() -> Figure) -> &mut Figure {
        let place = self.figures.iter().position(|(known, _)| known == name);
        let place = place.unwrap_or_else(|| {
            self.figures.push((name.to_owned(), new()));
            self.figures.len() - 1
        });
        &mut self.figures[place].1
    }

    /// Prints medians, and in parentheses the least and the most; true if all targets are met.
    pub(crate) fn print(&self) -> bool {
        println!("{}: medians (least to most)", self.title);
        let mut all_met = true;
        for (name, figure) in &self.figures {
            let (shown, met) = match figure {
                Figure::Time(times) => (spread(times, time), None),
                Figure::Limited(times, limit) => {
                    let met = median(times) <= *limit;
                    (format!("{}; target at most {}", spread(times, time), time(limit)), Some(met))
                }
                Figure::Percentile(times, limit) => {
                    let most = percentile(times, 99);
                    let shown = format!(
                        "{}, p99 {}; target at most {}",
                        spread(times, time),
                        time(&most),
                        time(limit)
                    );
                    (shown, Some(most <= *limit))
                }
                Figure::Ratio(ratios, target) => {
                    let (wish, met) = match target {
                        Target::AtLeast(least) => {
                            (format!("at least {}", times(least)), median(ratios) >= *least)
                        }
                        Target::AtMost(most) => {
                            (format!("at most {}", times(most)), median(ratios) <= *most)
                        }
                    };
                    (format!("{}; target {wish}", spread(ratios, times)), Some(met))
                }
            };
            let verdict = met.map_or("", |met| if met { ": met" } else { ": MISSED" });
            println!("  {name}: {shown}{verdict}");
            all_met &= met != Some(false);
        }
        all_met
    }
}

fn median<T: Copy + Ord>(values: &[T]) -> T {
    percentile(values, 50)
}

/// The least value that so many of 100 do not exceed.
fn percentile<T: Copy + Ord>(values: &[T], percent: usize) -> T {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[(values.len() * percent).div_ceil(100).saturating_sub(1)]
}

fn spread<T: Copy + Ord>(values: &[T], show: fn(&T) -> String) -> String {
    let least = values.iter().min().expect("something was measured");
    let most = values.iter().max().expect("something was measured");
    format!("{} ({} to {})", show(&median(values)), show(least), show(most))
}

fn time(time: &Duration) -> String {
    if *time < Duration::from_millis(10) {
        format!("{} us", time.as_micros())
    } else {
        format!("{} ms", time.as_millis())
    }
}

fn times(percent: &u64) -> String {
    format!("{}.{:02}x", percent / 100, percent % 100)
}
