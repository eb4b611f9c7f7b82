//! Numbers of IEEE 754 double precision, reckoned with integers: kube-scheduler rounds some of its scores by what
//! they are in floating point, and where a score lands on a whole number the last bit decides.
//! Pure rooms have no floats, since what a compiler makes of them may differ; this is the same on every machine.
//! Invariant: each operation rounds its exact result to the nearest number, ties to the even one. Exponents have no
//! bounds, so there is no infinity and nothing underflows.

use std::ops::{Add, Div, Mul, Sub};

/// Bits of a mantissa.
const PRECISION: u32 = 53;

/// By so many bits the larger summand is shifted up, so that what of the smaller one lies below only matters for
/// being there.
const GUARD: i32 = 70;

/// A number: its mantissa times two to the power of its exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary64 {
    sign: Sign,
    /// Of 53 bits, the highest of them set; 0 for zero.
    mantissa: u64,
    exponent: i32,
}

/// On which side of zero a number is; zero counts as positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Positive,
    Negative,
}

impl Sign {
    const fn of_product(self, other: Self) -> Self {
        match (self, other) {
            (Self::Positive, Self::Positive) | (Self::Negative, Self::Negative) => Self::Positive,
            (Self::Positive, Self::Negative) | (Self::Negative, Self::Positive) => Self::Negative,
        }
    }

    const fn flipped(self) -> Self {
        match self {
            Self::Positive => Self::Negative,
            Self::Negative => Self::Positive,
        }
    }
}

/// What lies below the last bit of an amount that is to be rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Below {
    Nothing,
    Something,
}

impl Binary64 {
    /// Zero.
    pub const ZERO: Self = Self { sign: Sign::Positive, mantissa: 0, exponent: 0 };

    /// The nearest number to a whole one.
    pub fn of(whole: i64) -> Self {
        let sign = if whole < 0 { Sign::Negative } else { Sign::Positive };
        Self::rounded(sign, u128::from(whole.unsigned_abs()), 0, Below::Nothing)
    }

    /// The number without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self { sign: Sign::Positive, ..self }
    }

    /// The square root; of a number below zero, which has none, zero.
    #[must_use]
    pub fn sqrt(self) -> Self {
        if self.mantissa == 0 || self.sign == Sign::Negative {
            return Self::ZERO;
        }
        // An even exponent, and a root with more bits than a mantissa has.
        let up = if self.exponent % 2 == 0 { 64 } else { 65 };
        let square = u128::from(self.mantissa) << up;
        let root = square.isqrt();
        let below = if root * root == square { Below::Nothing } else { Below::Something };
        Self::rounded(Sign::Positive, root, (self.exponent - up) / 2, below)
    }

    /// The whole number next to it towards zero; the nearest that there is where it is beyond an `i64`.
    pub fn truncated(self) -> i64 {
        let whole = match self.exponent {
            ..=-64 => 0,
            -63..=-1 => u128::from(self.mantissa >> -self.exponent),
            0..=64 => u128::from(self.mantissa) << self.exponent,
            65.. => u128::MAX,
        };
        let whole = i64::try_from(whole).unwrap_or(i64::MAX);
        match self.sign {
            Sign::Positive => whole,
            Sign::Negative => -whole,
        }
    }

    fn rounded(sign: Sign, amount: u128, exponent: i32, below: Below) -> Self {
        if amount == 0 {
            return Self::ZERO;
        }
        let bits = u128::BITS - amount.leading_zeros();
        if bits <= PRECISION {
            let up = PRECISION - bits;
            let mantissa = u64::try_from(amount << up).expect("it has 53 bits");
            return Self { sign, mantissa, exponent: exponent - up.cast_signed() };
        }
        let down = bits - PRECISION;
        let (kept, rest) = (amount >> down, amount & ((1 << down) - 1));
        let half = 1_u128 << (down - 1);
        let is_up = match rest.cmp(&half) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => below == Below::Something || kept % 2 == 1,
            std::cmp::Ordering::Greater => true,
        };
        let mantissa = u64::try_from(kept).expect("it has 53 bits") + u64::from(is_up);
        let exponent = exponent + down.cast_signed();
        if mantissa >> PRECISION == 0 {
            Self { sign, mantissa, exponent }
        } else {
            Self { sign, mantissa: mantissa >> 1, exponent: exponent + 1 }
        }
    }
}

impl Add for Binary64 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        if self.mantissa == 0 {
            return other;
        }
        if other.mantissa == 0 {
            return self;
        }
        let key = |number: &Self| (number.exponent, number.mantissa);
        let (large, small) = if key(&self) >= key(&other) { (self, other) } else { (other, self) };
        let apart = large.exponent - small.exponent;
        let exponent = large.exponent - GUARD;
        let whole = u128::from(large.mantissa) << GUARD;
        let (part, below) = if apart <= GUARD {
            (u128::from(small.mantissa) << (GUARD - apart), Below::Nothing)
        } else {
            let down = (apart - GUARD).min(127);
            let part = u128::from(small.mantissa) >> down;
            let is_exact = part << down == u128::from(small.mantissa);
            (part, if is_exact { Below::Nothing } else { Below::Something })
        };
        if large.sign == small.sign {
            return Self::rounded(large.sign, whole + part, exponent, below);
        }
        // What is left of the last bit once something below it was taken away.
        let borrowed = u128::from(below == Below::Something);
        Self::rounded(large.sign, whole - part - borrowed, exponent, below)
    }
}

impl Sub for Binary64 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        if other.mantissa == 0 {
            return self;
        }
        self + Self { sign: other.sign.flipped(), ..other }
    }
}

impl Mul for Binary64 {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = u128::from(self.mantissa) * u128::from(other.mantissa);
        let sign = self.sign.of_product(other.sign);
        Self::rounded(sign, product, self.exponent + other.exponent, Below::Nothing)
    }
}

impl Div for Binary64 {
    type Output = Self;

    /// By zero, which nobody divides by, it is zero.
    fn div(self, other: Self) -> Self {
        if other.mantissa == 0 {
            return Self::ZERO;
        }
        let (dividend, divisor) = (u128::from(self.mantissa) << 64, u128::from(other.mantissa));
        let below = if dividend % divisor == 0 { Below::Nothing } else { Below::Something };
        let sign = self.sign.of_product(other.sign);
        Self::rounded(sign, dividend / divisor, self.exponent - other.exponent - 64, below)
    }
}

#[cfg(test)]
mod tests {
    use super::Binary64;

    fn of(whole: i64) -> Binary64 {
        Binary64::of(whole)
    }

    /// So many hundredths, as a program reads them.
    fn hundredths(count: i64) -> Binary64 {
        of(count) / of(100)
    }

    #[test]
    fn the_last_bit_decides_as_it_does_in_floating_point() {
        // Known from every language: 0.1 + 0.2 is not 0.3, and 100 * 0.29 is 28.999999999999996.
        assert_ne!(hundredths(10) + hundredths(20), hundredths(30));
        assert_eq!((of(100) * hundredths(29)).truncated(), 28);
        assert_eq!((of(100) * (of(58) / of(100))).truncated(), 57);
        assert_eq!((of(100) * hundredths(50)).truncated(), 50);
        assert_eq!(((of(1) - hundredths(10)) * of(100)).truncated(), 90);
    }

    #[test]
    fn whole_numbers_stay_what_they_are() {
        for whole in [0, 1, -1, 7, -100, 1 << 52, -(1 << 53), i64::MIN] {
            assert_eq!(of(whole).truncated(), whole.max(-i64::MAX));
        }
        assert_eq!((of(7) / of(-2)).truncated(), -3);
        assert_eq!((of(9) - of(9)).truncated(), 0);
        assert_eq!((of(2).sqrt() * of(1_000)).truncated(), 1_414);
        assert_eq!(of(49).sqrt(), of(7));
        assert_eq!((of(3) - of(5)).abs(), of(2));
        assert_eq!((of(1) / of(0)).truncated(), 0);
    }
}
