//! Mutation of JSON as JSON: nodes are replaced, removed, repeated, and put under other keys, so that nearly every
//! input can be read and the interest lies in what it says. Keys and values come from the inputs seen before,
//! the seeds first, and from a list of awkward values.
//! Invariant: the same seed and the same inputs before give the same mutation.

use std::cell::RefCell;

use libfuzzer_sys::fuzzer_mutate;
use muster::base::random::Random;
use serde_json::Value;
use serde_json::json;

/// How many pairs of key and value are kept for use elsewhere.
const POOL_MAX: usize = 1024;

/// The most copies that one mutation makes of an item.
const COPIES_MAX: u64 = 64;

thread_local! {
    static POOL: RefCell<Vec<(String, Value)>> = const { RefCell::new(Vec::new()) };
}

/// Mutates `data[..size]` in place; returns the new size, `max_size` at most.
pub fn json(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random::new(seed.into());
    let Ok(mut value) = serde_json::from_slice::<Value>(&data[..size]) else {
        return fuzzer_mutate(data, size, max_size);
    };
    // Texts that are no JSON must be met as well.
    if random.chance(3) {
        return fuzzer_mutate(data, size, max_size);
    }
    POOL.with_borrow_mut(|pool| {
        harvest(&value, pool, &mut random);
        for _ in 0..=random.below(3) {
            change(&mut value, pool, &mut random);
        }
    });
    let text = value.to_string();
    if text.len() > max_size {
        return fuzzer_mutate(data, size, max_size);
    }
    data[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

/// Keeps some of what `value` holds.
fn harvest(value: &Value, pool: &mut Vec<(String, Value)>, random: &mut Random) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if pool.len() < POOL_MAX {
                    pool.push((key.clone(), value.clone()));
                } else if random.chance(5) {
                    let at = random.below(POOL_MAX as u64) as usize;
                    pool[at] = (key.clone(), value.clone());
                }
                harvest(value, pool, random);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| harvest(item, pool, random)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Changes one node, drawn by walking down from the root.
fn change(value: &mut Value, pool: &[(String, Value)], random: &mut Random) {
    let goes_on = random.chance(85);
    match value {
        Value::Object(fields) if goes_on && !fields.is_empty() => {
            let at = random.below(fields.len() as u64) as usize;
            let (_, child) = fields.iter_mut().nth(at).expect("drawn among them");
            change(child, pool, random);
        }
        Value::Array(items) if goes_on && !items.is_empty() => {
            let at = random.below(items.len() as u64) as usize;
            change(&mut items[at], pool, random);
        }
        _ => disturb(value, pool, random),
    }
}

/// Does one thing to this node.
fn disturb(value: &mut Value, pool: &[(String, Value)], random: &mut Random) {
    match value {
        Value::Object(fields) => match random.below(5) {
            0 if !fields.is_empty() => {
                let at = random.below(fields.len() as u64) as usize;
                let key = fields.keys().nth(at).expect("drawn among them").clone();
                fields.shift_remove(&key);
            }
            1 if !fields.is_empty() => {
                let at = random.below(fields.len() as u64) as usize;
                let (_, child) = fields.iter().nth(at).expect("drawn among them");
                let child = child.clone();
                fields.insert(text(pool, random), child);
            }
            2 => {
                for number in 0..random.below(COPIES_MAX) {
                    fields.insert(format!("{}{number}", text(pool, random)), scalar(random));
                }
            }
            3 => *value = scalar(random),
            _ if !pool.is_empty() => {
                let (key, child) = random.pick(pool).clone();
                fields.insert(key, child);
            }
            _ => {}
        },
        Value::Array(items) => match random.below(5) {
            0 if !items.is_empty() => {
                let at = random.below(items.len() as u64) as usize;
                items.remove(at);
            }
            1 if !items.is_empty() => {
                let copy = random.pick(items).clone();
                let copies = 1 + random.below(COPIES_MAX) as usize;
                items.extend(std::iter::repeat_n(copy, copies));
            }
            2 => random.shuffle(items),
            3 => *value = scalar(random),
            _ if !pool.is_empty() => items.push(random.pick(pool).1.clone()),
            _ => {}
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *value = if pool.is_empty() || random.chance(60) {
                scalar(random)
            } else {
                random.pick(pool).1.clone()
            };
        }
    }
}

fn text(pool: &[(String, Value)], random: &mut Random) -> String {
    if pool.is_empty() { "key".to_owned() } else { random.pick(pool).0.clone() }
}

/// An awkward value.
fn scalar(random: &mut Random) -> Value {
    match random.below(6) {
        0 => Value::Null,
        1 => Value::Bool(random.chance(50)),
        2 => random
            .pick(&[
                json!(0),
                json!(1),
                json!(-1),
                json!(2_147_483_647),
                json!(2_147_483_648_u32),
                json!(u32::MAX),
                json!(i64::MAX),
                json!(i64::MIN),
                json!(u64::MAX),
                json!(1e308),
                json!(0.5),
            ])
            .clone(),
        3 => json!(random.below(20)),
        4 => (*random.pick(&TEXTS)).into(),
        _ => Value::String("x".repeat(random.below(300) as usize)),
    }
}

/// Quantities, times, durations, names, and operators, right and wrong.
const TEXTS: [&str; 44] = [
    "",
    "0",
    "1",
    "-1",
    "7Ei",
    "8Ei",
    "1e30",
    "1n",
    "0.5",
    "500m",
    "64Gi",
    "nvidia.com/gpu",
    "cpu",
    "memory",
    "pods",
    "2026-11-02T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "0001-01-01T00:00:00Z",
    "60s",
    "1h30m",
    "In",
    "NotIn",
    "Exists",
    "DoesNotExist",
    "Gt",
    "Lt",
    "Equal",
    "NoSchedule",
    "NoExecute",
    "PreferNoSchedule",
    "Always",
    "Never",
    "Running",
    "Pending",
    "Failed",
    "Succeeded",
    "muster",
    "default",
    "a",
    "kubernetes.io/hostname",
    "metadata.name",
    "v1",
    "Proposed",
    "\u{e9}\u{1f680}\0",
];
