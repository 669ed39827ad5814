//! Rules as a program of classic BPF.
//!
//! The program looks for the architecture, then for the number of the call by bisection over the ranges of numbers that
//! are treated alike, then at the conditions. Jumps go forwards only, so pieces are put together from the end.

use sys::seccomp::Filter;

use super::Error;
use super::architecture::{Architecture, X32_BIT};
use super::rules::{Comparison, Condition, KILL_THREAD, Rule, Rules, Table};

/// `BPF_MAXINSNS`.
const MOST: usize = 4096;

// `BPF_LD | BPF_W | BPF_ABS` and so on, of `linux/bpf_common.h`.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

// Offsets in `struct seccomp_data`; both architectures are little-endian, so the lower half of an argument is first.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

type Code = Vec<Filter>;

fn one(code: u16, k: u32) -> Filter {
    Filter { code, jt: 0, jf: 0, k }
}

/// A jump over `yes` instructions if the comparison holds, over `no` if not; both are bounded by the callers.
fn jump(code: u16, k: u32, yes: usize, no: usize) -> Filter {
    let distance = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
    Filter {
        code,
        jt: distance(yes),
        jf: distance(no),
        k,
    }
}

/// `no` if the comparison does not hold, else `yes`; either may be of any length.
fn choose(code: u16, k: u32, yes: Code, mut no: Code) -> Code {
    let mut all = Vec::with_capacity(2 + yes.len() + no.len());
    match u8::try_from(no.len()) {
        Ok(_) => all.push(jump(code, k, no.len(), 0)),
        Err(_) => {
            all.push(jump(code, k, 0, 1));
            // More than the kernel takes is refused at the end.
            all.push(one(JUMP, u32::try_from(no.len()).unwrap_or(u32::MAX)));
        }
    }
    all.append(&mut no);
    all.extend(yes);
    all
}

/// What becomes of the calls of a range of numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment<'a> {
    Rules(&'a [Rule]),
    Kill,
}

/// The program for `rules`, each instruction as it lies in memory.
pub(super) fn filter(rules: &Rules) -> Result<Vec<u64>, Error> {
    let mut all = vec![one(RETURN, KILL_THREAD)];
    let x32 = rules
        .tables
        .iter()
        .find(|(architecture, _)| architecture.is_x32())
        .map(|(_, table)| table);
    for (architecture, table) in rules
        .tables
        .iter()
        .rev()
        .filter(|(architecture, _)| !architecture.is_x32())
    {
        let mut section = vec![one(LOAD, NUMBER)];
        section.append(&mut bisect(&ranges(*architecture, table, x32), rules.default));
        all = choose(IF_EQUAL, architecture.audit(), section, all);
    }
    all.insert(0, one(LOAD, ARCHITECTURE));
    if all.len() > MOST {
        return Err(Error::TooLong {
            instructions: all.len(),
        });
    }
    Ok(all.into_iter().map(packed).collect())
}

/// The ranges of numbers that are treated alike, each from its number to that of the next one.
fn ranges<'a>(architecture: Architecture, table: &'a Table, x32: Option<&'a Table>) -> Vec<(u32, Treatment<'a>)> {
    let default = Treatment::Rules(&[]);
    let x32 = x32.filter(|_| architecture.has_x32());
    let mut all = vec![(0, default)];
    for (&number, rules) in table.iter().chain(x32.into_iter().flatten()) {
        // The last entry is the start of the gap before this number, which may have no length.
        all.retain(|(start, _)| *start != number);
        all.push((number, Treatment::Rules(rules)));
        all.push((number + 1, default));
    }
    if architecture.has_x32() && x32.is_none() {
        // What libseccomp does with the calls of an architecture that the profile does not know. A tracer's -1, which
        // means *no call*, is none of those.
        all.push((X32_BIT, Treatment::Kill));
        all.push((u32::MAX, default));
    }
    all.dedup_by(|next, last| next.1 == last.1);
    all
}

/// From the number of the call to what is returned.
fn bisect(ranges: &[(u32, Treatment<'_>)], default: u32) -> Code {
    match ranges {
        [] => vec![one(RETURN, default)],
        [(_, Treatment::Kill)] => vec![one(RETURN, KILL_THREAD)],
        [(_, Treatment::Rules(rules))] => chain(rules, default),
        ranges => {
            let (below, above) = ranges.split_at(ranges.len() / 2);
            choose(
                IF_GREATER_OR_EQUAL,
                above[0].0,
                bisect(above, default),
                bisect(below, default),
            )
        }
    }
}

/// The first rule whose conditions hold decides.
fn chain(rules: &[Rule], default: u32) -> Code {
    let mut all = Code::new();
    for rule in rules {
        let mut body = vec![one(RETURN, rule.returns)];
        for condition in rule.conditions.iter().rev() {
            let mut code = check(*condition, body.len());
            code.append(&mut body);
            body = code;
        }
        all.append(&mut body);
        if rule.conditions.is_empty() {
            return all;
        }
    }
    all.push(one(RETURN, default));
    all
}

/// Goes on behind itself if `condition` holds, else over the `rest` instructions that follow it.
fn check(condition: Condition, rest: usize) -> Code {
    let low = ARGUMENTS + 8 * u32::from(condition.argument);
    let halves = |value: u64| ((value >> 32) as u32, (value & 0xffff_ffff) as u32);
    let load_high = one(LOAD, low + 4);
    let load_low = one(LOAD, low);
    // If the upper halves differ, they decide, and else the lower ones do.
    let ordered = |value: u64, greater_holds: bool, code: u16| {
        let (high_half, low_half) = halves(value);
        let (at_greater, at_less) = if greater_holds { (3, rest + 2) } else { (rest + 3, 2) };
        let last = if greater_holds {
            jump(code, low_half, 0, rest)
        } else {
            jump(code, low_half, rest, 0)
        };
        vec![
            load_high,
            jump(IF_GREATER, high_half, at_greater, 0),
            jump(IF_EQUAL, high_half, 0, at_less),
            load_low,
            last,
        ]
    };
    match condition.comparison {
        Comparison::Equal(value) => {
            let (high_half, low_half) = halves(value);
            vec![
                load_high,
                jump(IF_EQUAL, high_half, 0, rest + 2),
                load_low,
                jump(IF_EQUAL, low_half, 0, rest),
            ]
        }
        Comparison::NotEqual(value) => {
            let (high_half, low_half) = halves(value);
            vec![
                load_high,
                jump(IF_EQUAL, high_half, 0, 2),
                load_low,
                jump(IF_EQUAL, low_half, rest, 0),
            ]
        }
        Comparison::Greater(value) => ordered(value, true, IF_GREATER),
        Comparison::GreaterOrEqual(value) => ordered(value, true, IF_GREATER_OR_EQUAL),
        // Not greater or equal, and not greater.
        Comparison::Less(value) => ordered(value, false, IF_GREATER_OR_EQUAL),
        Comparison::LessOrEqual(value) => ordered(value, false, IF_GREATER),
        Comparison::Masked(mask, value) => {
            let (high_mask, low_mask) = halves(mask);
            let (high_half, low_half) = halves(value);
            vec![
                load_high,
                one(AND, high_mask),
                jump(IF_EQUAL, high_half, 0, rest + 3),
                load_low,
                one(AND, low_mask),
                jump(IF_EQUAL, low_half, 0, rest),
            ]
        }
    }
}

fn packed(filter: Filter) -> u64 {
    let code = filter.code.to_ne_bytes();
    let k = filter.k.to_ne_bytes();
    u64::from_ne_bytes([code[0], code[1], filter.jt, filter.jf, k[0], k[1], k[2], k[3]])
}

pub(super) fn unpacked(word: u64) -> Filter {
    let [c0, c1, jt, jf, k0, k1, k2, k3] = word.to_ne_bytes();
    Filter {
        code: u16::from_ne_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_ne_bytes([k0, k1, k2, k3]),
    }
}
