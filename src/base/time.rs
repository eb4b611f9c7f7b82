//! Instants and spans in integer nanoseconds. Nothing here reads a clock.

use std::fmt;
use std::ops::{Add, Sub};

/// An instant: nanoseconds since the Unix epoch, in whichever world runs (real or virtual).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

impl Time {
    /// The Unix epoch; also where virtual worlds begin that have no calendar.
    pub const EPOCH: Self = Self(0);
    /// Later than every instant that occurs.
    pub const FAR_FUTURE: Self = Self(i64::MAX);
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `n` nanoseconds.
    pub const fn nanoseconds(n: i64) -> Self {
        Self(n)
    }
    /// `n` milliseconds.
    pub const fn milliseconds(n: i64) -> Self {
        Self(n.saturating_mul(1_000_000))
    }
    /// `n` seconds.
    pub const fn seconds(n: i64) -> Self {
        Self(n.saturating_mul(1_000_000_000))
    }
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Time {
    type Output = Span;
    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// Writes a span as Go does and `kubectl` users know it: `1h2m3.5s`, `12m0s`, `150ms`, `0s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let total = self.0.unsigned_abs();
        if total == 0 {
            return f.write_str("0s");
        }
        if total < 1_000_000_000 {
            let (unit, name) = match total {
                1_000_000.. => (1_000_000, "ms"),
                1_000.. => (1_000, "µs"),
                _ => (1, "ns"),
            };
            write_decimal(f, total, unit)?;
            return f.write_str(name);
        }
        let seconds = total / 1_000_000_000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write_decimal(f, total % 60_000_000_000, 1_000_000_000)?;
        f.write_str("s")
    }
}

/// Writes `total / unit` with as many decimals as are needed, none if it is whole.
fn write_decimal(f: &mut fmt::Formatter<'_>, total: u64, unit: u64) -> fmt::Result {
    write!(f, "{}", total / unit)?;
    let mut rest = total % unit;
    if rest == 0 {
        return Ok(());
    }
    f.write_str(".")?;
    let mut scale = unit / 10;
    while rest > 0 {
        write!(f, "{}", rest / scale)?;
        rest %= scale;
        scale /= 10;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn spans_print_as_go_prints_them() {
        let shown = [
            (Span::ZERO, "0s"),
            (Span::seconds(720), "12m0s"),
            (Span::milliseconds(3_723_500), "1h2m3.5s"),
            (Span::milliseconds(150), "150ms"),
            (Span::nanoseconds(1_500), "1.5µs"),
            (Span::seconds(7200), "2h0m0s"),
            (Span::seconds(-1), "-1s"),
        ];
        for (span, text) in shown {
            assert_eq!(span.to_string(), text);
        }
    }
}
