//! The device filter of cgroup v2: the rules as an eBPF program of the type `BPF_PROG_TYPE_CGROUP_DEVICE`.

use std::os::fd::AsFd;

use sys::bpf::{self, Insn};

use super::super::Error;
use super::super::directory::Directory;
use super::{Access, Kind, Rules};

const FIELD: &str = "linux.resources.devices";

// Operations, from `linux/bpf.h` and `linux/bpf_common.h`.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const JUMP_UNLESS_ANY: u8 = 0x45;
const JUMP: u8 = 0x05;
const EXIT: u8 = 0x95;

// What each register holds.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
/// The accesses that no rule has decided yet.
const PENDING: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// The program for `rules`: 1 lets a request pass, 0 refuses it (`EPERM`).
///
/// From the last rule to the first: a rule that covers the node takes the accesses it allows off the list of pending
/// ones, or refuses if it denies one that is pending. With nothing pending the request passes.
#[must_use]
pub fn program(rules: &Rules) -> Vec<Insn> {
    let insn = |code, to: u8, from: u8, offset, immediate| Insn {
        code,
        registers: from << 4 | to,
        offset,
        immediate,
    };
    // `struct bpf_cgroup_dev_ctx`: access in the upper and kind in the lower half of the first word, then the numbers.
    let mut program = vec![
        insn(LOAD_WORD, KIND, CONTEXT, 0, 0),
        insn(MOVE_REGISTER, PENDING, KIND, 0, 0),
        insn(SHIFT_RIGHT, PENDING, 0, 0, 16),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    let finish = |program: &mut Vec<Insn>, result| {
        program.push(insn(MOVE, RESULT, 0, 0, result));
        program.push(insn(EXIT, 0, 0, 0, 0));
    };
    for rule in rules.rules.iter().rev() {
        let mut conditions = vec![(
            KIND,
            match rule.nodes.kind {
                Kind::Block => 1,
                Kind::Char => 2,
            },
        )];
        conditions.extend(rule.nodes.major.map(|major| (MAJOR, major.cast_signed())));
        conditions.extend(rule.nodes.minor.map(|minor| (MINOR, minor.cast_signed())));
        let access = i32::from(rule.access.0);
        let mut body = Vec::with_capacity(4);
        if rule.allow {
            body.push(insn(AND, PENDING, 0, 0, !access));
            body.push(insn(JUMP_IF_NOT_EQUAL, PENDING, 0, 2, 0));
            finish(&mut body, 1);
        } else {
            body.push(insn(JUMP_UNLESS_ANY, PENDING, 0, 1, access));
            body.push(insn(JUMP, 0, 0, 2, 0));
            finish(&mut body, 0);
        }
        // A condition that fails skips those after it and the body; there are at most 3 + 4 instructions.
        let mut left = (0_i16..).take(conditions.len() + body.len()).last().unwrap_or(0);
        for (register, number) in conditions {
            program.push(insn(JUMP_IF_NOT_EQUAL, register, 0, left, number));
            left -= 1;
        }
        program.append(&mut body);
    }
    finish(&mut program, i32::from(rules.allow_by_default));
    program
}

/// Attaches the filter to `directory`, in the place of those that are attached to it already.
pub(in super::super) fn attach(rules: &Rules, directory: &Directory, new: bool) -> Result<(), Error> {
    let failed = |act| {
        move |errno: rustix::io::Errno| Error::DeviceFilter {
            field: FIELD.into(),
            act,
            path: directory.path().into(),
            source: errno.into(),
        }
    };
    let program = bpf::load_device_filter(&program(rules)).map_err(failed("load"))?;
    let old = if new {
        Vec::new()
    } else {
        bpf::device_filters(directory.as_fd()).map_err(failed("query"))?
    };
    let mut old = old.iter();
    match old.next() {
        None => {
            bpf::attach_device_filter(directory.as_fd(), program.as_fd(), None).map_err(failed("attach"))?;
        }
        Some(first) => {
            let replaced = bpf::attach_device_filter(directory.as_fd(), program.as_fd(), Some(first.as_fd()));
            if replaced.is_err() {
                // Before Linux 5.6: both for a moment, which allows nothing that either denies.
                bpf::attach_device_filter(directory.as_fd(), program.as_fd(), None).map_err(failed("attach"))?;
                bpf::detach_device_filter(directory.as_fd(), first.as_fd()).map_err(failed("detach"))?;
            }
        }
    }
    for other in old {
        bpf::detach_device_filter(directory.as_fd(), other.as_fd()).map_err(failed("detach"))?;
    }
    Ok(())
}

/// A request as the program sees it, for those who interpret it: the three words of `struct bpf_cgroup_dev_ctx`.
#[must_use]
pub fn request(kind: Kind, major: u32, minor: u32, access: Access) -> [u32; 3] {
    let kind = match kind {
        Kind::Block => 1,
        Kind::Char => 2,
    };
    [u32::from(access.0) << 16 | kind, major, minor]
}
