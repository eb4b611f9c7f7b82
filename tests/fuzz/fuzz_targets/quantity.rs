//! Quantities against an oracle of its own: whole numbers of any size, no code shared with the parser.
//! What is a quantity, its value in nanounits, the capping and the rounding, the canonical form, and sums.

#![no_main]

use libfuzzer_sys::fuzz_target;
use muster::base::quantity::Quantity;
use muster_fuzz::limits;
use num_bigint::BigInt;

/// Beyond these powers of ten everything is capped, or rounded up to one nanounit.
const EXPONENT_MAX: i64 = 40;

/// 2^63-1 units, in nanounits.
fn largest() -> BigInt {
    BigInt::from(i64::MAX) * 1_000_000_000
}

/// Nanounits of a text; `None` if it is no quantity.
fn oracle(text: &str) -> Option<BigInt> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits);
    let (decimals, suffix) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        None => ("", rest),
    };
    if whole.len() + decimals.len() == 0 {
        return None;
    }
    let (twos, tens) = suffix_of(suffix)?;
    let all = format!("{whole}{decimals}");
    let significant = all.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some(BigInt::ZERO);
    }
    let stripped = all.trim_start_matches('0').len() - significant.len();
    // The value is `significant` times ten to this, in nanounits, times two to `twos`.
    let power = tens + 9 - decimals.len() as i64 + stripped as i64;
    let largest = largest();
    if power > EXPONENT_MAX {
        return Some(largest * sign);
    }
    let number = BigInt::parse_bytes(significant.as_bytes(), 10).expect("digits");
    let number = number << twos;
    let magnitude = if power >= 0 {
        number * BigInt::from(10).pow(power as u32)
    } else if -power > significant.len() as i64 + EXPONENT_MAX {
        BigInt::from(1)
    } else {
        let divisor = BigInt::from(10).pow(u32::try_from(-power).expect("checked"));
        (number + &divisor - 1) / divisor
    };
    Some(magnitude.min(largest) * sign)
}

/// Powers of two and of ten.
fn suffix_of(suffix: &str) -> Option<(u32, i64)> {
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if let Some(at) = binary.iter().position(|known| *known == suffix) {
        return Some((10 * (at as u32 + 1), 0));
    }
    let decimal = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if let Some(at) = decimal.iter().position(|known| *known == suffix) {
        return Some((0, 3 * (at as i64 - 3)));
    }
    let digits = suffix.strip_prefix('e').or_else(|| suffix.strip_prefix('E'))?;
    let unsigned = digits.strip_prefix('-').or_else(|| digits.strip_prefix('+')).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Exponents are 32 bits wide, as upstream; a longer one is refused.
    digits.parse::<i32>().ok().map(|exponent| (0, i64::from(exponent)))
}

/// Rounded up, within 64 bits.
fn ceiling(nanos: &BigInt, unit: i64) -> i64 {
    let (quotient, remainder) = (nanos / unit, nanos % unit);
    let up = i32::from(remainder > BigInt::ZERO);
    let rounded = quotient + up;
    i64::try_from(&rounded).unwrap_or(if rounded < BigInt::ZERO { i64::MIN } else { i64::MAX })
}

fn check(text: &str) {
    let read = Quantity::parse(text);
    let Some(nanos) = oracle(text) else {
        assert!(read.is_err(), "{text:?} is no quantity, and was read as {read:?}");
        assert_eq!(Quantity::canonical(text), None);
        return;
    };
    let Ok(read) = read else { panic!("{text:?} is a quantity of {nanos} nanounits") };
    assert_eq!(read.ceil(), ceiling(&nanos, 1_000_000_000), "{text:?}");
    assert_eq!(read.milli_ceil(), ceiling(&nanos, 1_000_000), "{text:?}");
    assert_eq!(read.is_negative(), nanos < BigInt::ZERO, "{text:?}");
    assert_eq!(Ok(read), Quantity::parse(&format!("{nanos}n")), "{text:?} is {nanos} nanounits");
    let twice: BigInt = (&nanos * 2_i32).clamp(-largest(), largest());
    assert_eq!((read + read).milli_ceil(), ceiling(&twice, 1_000_000), "twice {text:?}");
    let canonical = Quantity::canonical(text).expect("a quantity has a canonical form");
    assert_eq!(oracle(&canonical), Some(nanos), "{text:?} is not {canonical:?}");
    assert!(!canonical.contains('.'), "{canonical:?} has a fraction");
    assert_eq!(Quantity::canonical(&canonical), Some(canonical));
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        limits::within(|| check(text));
    }
});
