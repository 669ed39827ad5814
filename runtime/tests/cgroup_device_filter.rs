//! The device filter of cgroup v2: the program against the meaning of the rules, and in the kernel.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};
use proptest::prelude::*;
use runtime::cgroup::devices::filter::{program, request};
use runtime::cgroup::devices::{Access, Kind, Rules};
use runtime::cgroup::{Layout, Plan};
use sys::bpf::Insn;

/// Runs a device filter; panics at what the verifier would refuse.
fn interpret(program: &[Insn], context: [u32; 3]) -> u64 {
    let mut registers = [0_u64; 11];
    let mut at = 0_usize;
    loop {
        let Insn {
            code,
            registers: which,
            offset,
            immediate,
        } = program[at];
        at += 1;
        let (to, from) = (usize::from(which & 15), usize::from(which >> 4));
        let wide = i64::from(immediate).cast_unsigned();
        let branch = |holds: bool| if holds { usize::try_from(offset).unwrap() } else { 0 };
        match code {
            0x61 => registers[to] = context[usize::try_from(offset).unwrap() / 4].into(),
            0xb7 => registers[to] = wide,
            0xbf => registers[to] = registers[from],
            0x57 => registers[to] &= wide,
            0x77 => registers[to] >>= wide,
            0x05 => at += branch(true),
            0x55 => at += branch(registers[to] != wide),
            0x45 => at += branch(registers[to] & wide != 0),
            0x95 => return registers[0],
            other => panic!("operation {other:#x}"),
        }
    }
}

fn any_rule() -> impl Strategy<Value = LinuxDeviceCgroup> {
    let kind = prop::sample::select(vec!["a", "b", "c", "u"]);
    let number = || prop::option::of(prop_oneof![Just(-1_i64), 0_i64..4, 9_i64..11]);
    let access = prop::sample::select(vec!["r", "w", "m", "rw", "rm", "wm", "rwm"]);
    (any::<bool>(), kind, number(), number(), access).prop_map(|(allow, kind, major, minor, access)| {
        let rule = serde_json::json!({"allow": allow, "type": kind, "major": major, "minor": minor, "access": access});
        serde_json::from_value(rule).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_filter_decides_as_its_rules_mean(
        rules in prop::collection::vec(any_rule(), 0..10),
        requests in prop::collection::vec(
            (prop::bool::ANY, prop_oneof![0_u32..6, 9_u32..12, Just(136_u32)], 0_u32..11, 1_u8..8),
            16,
        ),
    ) {
        let rules = Rules::new(&rules).unwrap();
        let program = program(&rules);
        for (block, major, minor, bits) in requests {
            let kind = if block { Kind::Block } else { Kind::Char };
            let access = [(1, Access::MKNOD), (2, Access::READ), (4, Access::WRITE)]
                .into_iter()
                .filter(|(bit, _)| bits & bit != 0)
                .map(|(_, access)| access)
                .reduce(Access::or)
                .unwrap();
            let allowed = interpret(&program, request(kind, major, minor, access)) == 1;
            prop_assert_eq!(allowed, rules.allows(kind, major, minor, access), "{:?} {}:{} {}", kind, major, minor, access);
        }
    }
}

#[test]
fn a_filter_is_enforced_and_replaced_in_the_kernel() {
    let host = Layout::detect().unwrap();
    let Some(mut unified) = host.unified.filter(|_| rustix::process::geteuid().is_root()) else {
        println!("skipped: needs root and the unified hierarchy");
        return;
    };
    // As if there were no other hierarchy; and no controller is switched on for this.
    unified.controllers.clear();
    let layout = Layout {
        v1: Vec::new(),
        unified: Some(unified),
    };
    let name = format!("/plimsoll-test-{}-filter", std::process::id());
    let resources: LinuxResources = serde_json::from_str(
        r#"{"devices": [{"allow": false, "access": "rwm"},
            {"allow": false, "type": "c", "major": 1, "minor": 5, "access": "w"}]}"#,
    )
    .unwrap();
    let cgroup = Plan::new(&layout, Some(&name), "test", Some(&resources), false)
        .unwrap()
        .create()
        .unwrap();
    let path = cgroup.v2_path().unwrap().to_path_buf();
    let run = |script: &str| {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::fs::write(path.join("cgroup.procs"), child.id().to_string()).unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        child.wait().unwrap().success()
    };
    let before = [
        run(": > /dev/null && : < /dev/zero"),
        run(": > /dev/zero"),
        run(": < /dev/kmsg"),
    ];
    let update = r#"{"devices": [{"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}"#;
    let updated = cgroup.update(&serde_json::from_str(update).unwrap());
    let attached = sys::bpf::device_filters(cgroup.v2_dir_fd().unwrap().unwrap()).map(|filters| filters.len());
    let after = [run(": < /dev/kmsg"), run(": > /dev/zero")];
    cgroup.destroy(Duration::from_secs(10)).unwrap();
    assert!(!path.exists());
    updated.unwrap();
    assert_eq!(attached, Ok(1), "the first filter was replaced");
    assert_eq!(before, [true, false, false], "supplied, denied by a rule, not supplied");
    assert_eq!(after, [true, true], "allowed by the update, and no longer denied");
}
