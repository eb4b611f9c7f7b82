//! Double precision reckoned with integers gives, to the bit, what the machine's own does.

use muster::base::binary64::Binary64;
use muster::base::random::Random;

const ROUNDS: usize = 200_000;

/// A number as both sides have it.
#[derive(Clone, Copy, Debug)]
struct Both {
    ours: Binary64,
    machine: f64,
}

fn whole(random: &mut Random) -> Both {
    let drawn = random.next_u64() >> random.below(64);
    let sign = if random.chance(50) { 1 } else { -1 };
    let whole = i64::try_from(drawn >> 1).expect("a bit less than a word") * sign;
    Both { ours: Binary64::of(whole), machine: whole as f64 }
}

/// One more operation on a number.
#[expect(clippy::float_arithmetic, reason = "the machine's floats are the measure")]
fn step(random: &mut Random, number: Both) -> Both {
    let other = if random.chance(20) { number } else { whole(random) };
    let Both { ours, machine } = number;
    match random.below(5) {
        0 => Both { ours: ours + other.ours, machine: machine + other.machine },
        1 => Both { ours: ours - other.ours, machine: machine - other.machine },
        2 => Both { ours: ours * other.ours, machine: machine * other.machine },
        3 if other.machine != 0.0 => {
            Both { ours: ours / other.ours, machine: machine / other.machine }
        }
        _ => Both { ours: ours.abs().sqrt(), machine: machine.abs().sqrt() },
    }
}

#[test]
fn doubles_reckoned_with_integers_are_those_of_the_machine() {
    let mut random = Random::new(64);
    for round in 0..ROUNDS {
        let mut number = whole(&mut random);
        for _ in 0..1 + random.below(4) {
            let next = step(&mut random, number);
            // Beyond these, the machine's numbers have bounds.
            if next.machine != 0.0 && !(1e-200..1e200).contains(&next.machine.abs()) {
                break;
            }
            number = next;
        }
        // The same scaled into the range of whole numbers, where every bit of the mantissa is seen.
        assert_eq!(bits(number.ours), machine_bits(number.machine), "round {round}: {number:?}");
    }
}

/// The mantissa, with its sign, of a number other than zero; and how often it was doubled or halved for it.
fn bits(number: Binary64) -> (i64, i32) {
    let (two, mut number, mut times) = (Binary64::of(2), number, 0);
    if number == Binary64::ZERO {
        return (0, 0);
    }
    while number.truncated().unsigned_abs() < 1 << 52 {
        number = number * two;
        times += 1;
    }
    while number.truncated().unsigned_abs() >= 1 << 53 {
        number = number / two;
        times -= 1;
    }
    (number.truncated(), times)
}

#[expect(clippy::float_arithmetic, reason = "the machine's floats are the measure")]
fn machine_bits(mut number: f64) -> (i64, i32) {
    let mut times = 0;
    if number == 0.0 {
        return (0, 0);
    }
    while number.abs() < (1_u64 << 52) as f64 {
        number *= 2.0;
        times += 1;
    }
    while number.abs() >= (1_u64 << 53) as f64 {
        number /= 2.0;
        times -= 1;
    }
    (number as i64, times)
}
