//! Kubernetes quantities, exactly: `500m`, `2`, `64Gi`, `1.5e3`. No floats, no rounding before the caller asks.
//! Grammar and limits follow `k8s.io/apimachinery/pkg/api/resource`: at most 2^63-1 either way (larger values are
//! capped), nothing finer than 10^-9 (rounded away from zero).

use std::fmt;
use std::ops::Add;
use std::str::FromStr;

/// Nanounits in one unit.
const NANO: i128 = 1_000_000_000;

/// The largest magnitude, in nanounits.
const LARGEST: i128 = (i64::MAX as i128) * NANO;

/// An exact amount of anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity {
    nanos: i128,
}

/// A text that is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantityError;

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no quantity: write a number with an optional unit, such as 500m, 2, or 64Gi")
    }
}

impl std::error::Error for QuantityError {}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0 };

    /// Reads a quantity.
    ///
    /// # Errors
    /// When the text does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && decimals.is_empty()) || decimals.contains('.') {
            return Err(QuantityError);
        }
        let magnitude = magnitude(whole, decimals, unit(suffix)?);
        Ok(Self { nanos: if negative { -magnitude } else { magnitude } })
    }

    /// A text in its canonical form, as API servers write quantities: no fraction, the largest suffix of
    /// its kind (binary, decimal, or exponent) that loses nothing. `None` if it is no quantity.
    pub fn canonical(text: &str) -> Option<String> {
        let Self { nanos } = Self::parse(text).ok()?;
        let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        if suffix.ends_with('i') && nanos.abs() >= 1024 * NANO && nanos % NANO == 0 {
            const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
            let (number, power) = without_factor(nanos / NANO, 1024, BINARY.len() - 1);
            return Some(format!("{number}{}", BINARY[power]));
        }
        const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        let (number, power) = without_factor(nanos, 1000, DECIMAL.len() - 1);
        let has_exponent = suffix.len() > 1 && suffix.starts_with(['e', 'E']);
        Some(match (number, 3 * (power as i64 - 3)) {
            (0, _) => "0".to_owned(),
            (number, 0) => number.to_string(),
            (number, exponent) if has_exponent => format!("{number}e{exponent}"),
            (number, _) => format!("{number}{}", DECIMAL[power]),
        })
    }

    /// `units` whole units.
    pub const fn whole(units: i64) -> Self {
        Self { nanos: units as i128 * NANO }
    }

    /// So many thousandths.
    pub const fn milli(thousandths: i64) -> Self {
        Self { nanos: thousandths as i128 * (NANO / 1000) }
    }

    /// True below zero.
    pub const fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whole units, rounded up.
    pub fn ceil(self) -> i64 {
        ceiling(self.nanos, NANO)
    }

    /// Thousandths, rounded up.
    pub fn milli_ceil(self) -> i64 {
        ceiling(self.nanos, NANO / 1000)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::parse(text)
    }
}

impl Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos).clamp(-LARGEST, LARGEST) }
    }
}

/// `number` divided by `factor` for as long as nothing is lost, `most` times at most, and how often.
fn without_factor(mut number: i128, factor: i128, most: usize) -> (i128, usize) {
    let mut times = 0;
    while number != 0 && number % factor == 0 && times < most {
        number /= factor;
        times += 1;
    }
    (number, times)
}

/// What a suffix multiplies by: powers of two and of ten.
#[derive(Clone, Copy)]
struct Unit {
    twos: u32,
    tens: i32,
}

fn unit(suffix: &str) -> Result<Unit, QuantityError> {
    let (twos, tens) = match suffix {
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "" => (0, 0),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        exponent => (0, exponent_of(exponent)?),
    };
    Ok(Unit { twos, tens })
}

/// `e3`, `E-2`, `e+06`.
fn exponent_of(text: &str) -> Result<i32, QuantityError> {
    let digits = text.strip_prefix(['e', 'E']).ok_or(QuantityError)?;
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError);
    }
    digits.parse().map_err(|_| QuantityError)
}

/// `whole.decimals` times `unit` in nanounits, rounded up and capped. Exact for any number of digits.
fn magnitude(whole: &str, decimals: &str, unit: Unit) -> i128 {
    let digit = |byte: u8| i128::from(byte - b'0');
    let count = whole.len() + decimals.len();
    // So many digits stand before the decimal point once the power of ten has moved it; it may be far off either end.
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(i64::from(unit.tens));
    let before = usize::try_from(point).unwrap_or(0);

    let mut units: i128 = 0;
    for byte in whole.bytes().chain(decimals.bytes()).take(before) {
        units = units * 10 + digit(byte);
        if units > i128::from(i64::MAX) {
            return LARGEST;
        }
    }
    let mut zeros = before.saturating_sub(count);
    while zeros > 0 && units > 0 && units <= i128::from(i64::MAX) {
        units *= 10;
        zeros -= 1;
    }
    // Below 2^67 before the shift: no overflow.
    units <<= unit.twos;
    if units > i128::from(i64::MAX) {
        return LARGEST;
    }

    // What stands behind the point, from its last digit on: each step is exact but for what it marks as dropped.
    let factor = NANO << unit.twos;
    let (mut part, mut dropped) = (0, false);
    let mut divide = |value: i128| {
        dropped |= value % 10 != 0;
        value / 10
    };
    let behind = count - before.min(count);
    for byte in decimals.bytes().rev().chain(whole.bytes().rev()).take(behind) {
        part = divide(digit(byte) * factor + part);
    }
    let mut zeros = point.min(0).unsigned_abs();
    while zeros > 0 && part > 0 {
        part = divide(part);
        zeros -= 1;
    }
    (units * NANO + part + i128::from(dropped)).min(LARGEST)
}

fn ceiling(nanos: i128, unit: i128) -> i64 {
    let rounded = nanos.div_euclid(unit) + i128::from(nanos.rem_euclid(unit) != 0);
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    fn milli(text: &str) -> Option<i64> {
        Quantity::parse(text).ok().map(Quantity::milli_ceil)
    }

    fn whole(text: &str) -> Option<i64> {
        Quantity::parse(text).ok().map(Quantity::ceil)
    }

    #[test]
    fn every_suffix() {
        let read = [
            ("0", 0),
            ("5", 5),
            ("5.", 5),
            (".5", 1),
            ("+2", 2),
            ("-2", -2),
            ("-1500m", -1),
            ("1n", 1),
            ("1u", 1),
            ("1500m", 2),
            ("1k", 1_000),
            ("1M", 1_000_000),
            ("1G", 1_000_000_000),
            ("1T", 1_000_000_000_000),
            ("1P", 1_000_000_000_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("1Ki", 1 << 10),
            ("1Mi", 1 << 20),
            ("1.5Gi", 3 << 29),
            ("1Ti", 1 << 40),
            ("1Pi", 1 << 50),
            ("7Ei", 7 << 60),
            ("1e3", 1_000),
            ("1E3", 1_000),
            ("12e-1", 2),
            ("1e+06", 1_000_000),
        ];
        for (text, units) in read {
            assert_eq!(whole(text), Some(units), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity() {
        for text in [
            "",
            "-",
            ".",
            "Gi",
            "1 Gi",
            "1gi",
            "1K",
            "0x10",
            "1e",
            "1e+",
            "1e1.5",
            "1.2.3",
            "--1",
            "1Gii",
            "ten",
            "1e99999999999",
            "é",
        ] {
            assert_eq!(whole(text), None, "{text:?}");
        }
    }

    #[test]
    fn large_values_are_capped_and_small_ones_rounded_up() {
        for text in [
            "8Ei",
            "9223372036854775807",
            "9223372036854775808",
            "1e30",
            "1e400",
            "123456789012345678901234567890",
        ] {
            assert_eq!(whole(text), Some(i64::MAX), "{text}");
        }
        assert_eq!(whole("9223372036854775806"), Some(i64::MAX - 1));
        assert_eq!(Quantity::parse("0.1n"), Quantity::parse("1n"));
        assert_eq!(Quantity::parse("1e-400"), Quantity::parse("1n"));
        assert_eq!(
            Quantity::parse("1.0000000000000000000000000001"),
            Quantity::parse("1.000000001")
        );
        assert_eq!(Quantity::parse("0.00000000000000000000000000"), Ok(Quantity::ZERO));
        assert_eq!(Quantity::parse("00000000000000000000000000042"), Ok(Quantity::whole(42)));
        assert_eq!(whole("0.0000000001e20"), Some(10_000_000_000));
    }

    #[test]
    fn many_digits_are_all_kept() {
        let nanos = |text: &str| Quantity::parse(text).expect("a quantity").nanos;
        assert_eq!(nanos("6789067890106490056.78"), 6_789_067_890_106_490_056_780_000_000);
        assert_eq!(nanos("123456789012345678.123456789"), 123_456_789_012_345_678_123_456_789);
        assert_eq!(nanos("0.000000000000000000000000001Ei"), 2);
        assert_eq!(nanos("0.1234567890123456789012345Ki"), 126_419_751_949);
        assert_eq!(nanos("7.9999999999999999999999999999Ei"), super::LARGEST);
    }

    #[test]
    fn sums_are_exact_until_they_are_rounded() {
        let half = Quantity::parse("0.5m").expect("a quantity");
        assert_eq!((half + half).milli_ceil(), 1);
        assert_eq!(half.milli_ceil(), 1);
        assert_eq!(milli("0.1"), Some(100));
        assert_eq!(milli("100u"), Some(1));
        let most = Quantity::parse("8Ei").expect("a quantity");
        assert_eq!((most + most).ceil(), i64::MAX);
        assert_eq!((most + most).milli_ceil(), i64::MAX);
    }

    #[test]
    fn the_canonical_form_loses_nothing_and_has_no_fraction() {
        for (text, canonical) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("1000", "1k"),
            ("128000", "128k"),
            ("0", "0"),
            ("0Gi", "0"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("0.1Gi", "107374182400m"),
            ("1e3", "1e3"),
            ("1500e0", "1500"),
            ("1E", "1E"),
            ("-2000", "-2k"),
            ("+3", "3"),
            ("100n", "100n"),
        ] {
            assert_eq!(Quantity::canonical(text).as_deref(), Some(canonical), "{text}");
        }
        assert_eq!(Quantity::canonical("much"), None);
    }
}
