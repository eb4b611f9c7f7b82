//! Instants and spans in integer nanoseconds. Nothing here reads a clock.
//! Texts follow Kubernetes and Go: RFC 3339 for instants, `1h2m3.5s` for spans.
//! Sums and differences saturate; a text that 64 bits of nanoseconds cannot hold does not parse.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

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

impl Time {
    /// The instant as RFC 3339 in UTC, with as many decimals as it needs: none for whole seconds,
    /// as the Kubernetes API writes `metadata.creationTimestamp`.
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .expect("64 bits of nanoseconds end in the year 2262, within the calendar")
            .to_string()
    }

    /// Reads RFC 3339, with or without decimals. `None` where the text is no instant
    /// or lies outside of what 64 bits of nanoseconds can hold (years 1677 to 2262).
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let instant = text.parse::<jiff::Timestamp>().ok()?;
        i64::try_from(instant.as_nanosecond()).ok().map(Self)
    }
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

/// Why a text is no [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanError;

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a duration: write numbers with units, such as 90s, 1h30m, 1.5s, or 500ms")
    }
}

impl std::error::Error for SpanError {}

/// Reads what Go's `time.ParseDuration` reads: `1h2m3.5s`, `150ms`, `-1s`, `0`.
/// Digits below a nanosecond are dropped, as there.
impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let (sign, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(SpanError);
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let (part, after) = leading_span(rest).ok_or(SpanError)?;
            total = total.checked_add(part).ok_or(SpanError)?;
            rest = after;
        }
        i64::try_from(sign * total).map(Self).map_err(|_| SpanError)
    }
}

/// The first number with its unit, in nanoseconds, and what follows it.
fn leading_span(text: &str) -> Option<(i128, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && decimals.is_empty() {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0),
        text => text.parse::<i128>().ok(),
    };
    if decimals.contains('.') {
        return None;
    }
    // 13 decimals reach below a nanosecond even of an hour.
    let decimals = &decimals[..decimals.len().min(13)];
    let scale = 10_i128.pow(u32::try_from(decimals.len()).expect("at most 13"));
    let total = digits(whole)?.checked_mul(unit)? + digits(decimals)? * unit / scale;
    Some((total, rest))
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
    use super::{Span, Time};

    #[test]
    fn spans_are_read_as_go_reads_them() {
        let read = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1h2m3.5s", Some(3_723_500_000_000)),
            (".5s", Some(500_000_000)),
            ("5.s", Some(5_000_000_000)),
            ("-1m", Some(-60_000_000_000)),
            ("+1us", Some(1_000)),
            ("1µs", Some(1_000)),
            ("0.3333333333333333333h", Some(1_199_999_999_999)),
            ("", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("1.0000000000000.5s", None),
            ("1d", None),
            ("1s ", None),
            ("9999999999h", None),
        ];
        for (text, nanoseconds) in read {
            assert_eq!(text.parse::<Span>().ok(), nanoseconds.map(Span), "{text:?}");
        }
    }

    #[test]
    fn instants_go_through_rfc3339_and_back() {
        for text in
            ["2026-11-01T12:00:00Z", "2026-11-01T12:00:00.000000003Z", "1970-01-01T00:00:00Z"]
        {
            assert_eq!(Time::from_rfc3339(text).map(Time::to_rfc3339).as_deref(), Some(text));
        }
        assert_eq!(
            Time::from_rfc3339("2026-11-01T13:00:00+01:00"),
            Time::from_rfc3339("2026-11-01T12:00:00Z")
        );
        assert_eq!(Time::from_rfc3339("yesterday"), None);
    }

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
