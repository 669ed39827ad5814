//! Programs are judged by an interpreter of classic BPF and by the meaning of the profile, told apart from each other.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompBuilder,
    LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use proptest::prelude::*;
use sys::seccomp::Filter;

use super::{Error, Program, compile};

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug)]
struct Call {
    number: u32,
    architecture: u32,
    arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        let mut bytes = Vec::new();
        bytes.extend(self.number.to_ne_bytes());
        bytes.extend(self.architecture.to_ne_bytes());
        bytes.extend(0_u64.to_ne_bytes());
        bytes.extend(self.arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
        let at = offset as usize;
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }
}

/// What the kernel would return; panics at what its checker refuses.
fn interpret(program: &Program, call: &Call) -> u32 {
    let code: Vec<Filter> = program.instructions().collect();
    let mut accumulator = 0;
    let mut at = 0;
    loop {
        let Filter {
            code: operation,
            jt,
            jf,
            k,
        } = code[at];
        at += 1;
        let mut branch = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match operation {
            0x20 => {
                assert!(k % 4 == 0 && k < 64, "load from {k}");
                accumulator = call.word(k);
            }
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => branch(accumulator == k),
            0x25 => branch(accumulator > k),
            0x35 => branch(accumulator >= k),
            0x06 => return k,
            other => panic!("operation {other:#x}"),
        }
    }
}

const AUDIT_X86_64: u32 = 0xc000_003e;
const AUDIT_X86: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// The numbers of the names that the generated profiles use: x86_64, x86, and x32 without its bit.
type Numbers = (&'static str, Option<u32>, Option<u32>, Option<u32>);
const NAMES: [Numbers; 8] = [
    ("read", Some(0), Some(3), Some(0)),
    ("write", Some(1), Some(4), Some(1)),
    ("ioctl", Some(16), Some(54), Some(514)),
    ("clone", Some(56), Some(120), Some(56)),
    ("waitpid", None, Some(7), None),
    ("set_thread_area", Some(205), Some(243), None),
    ("clone3", Some(435), Some(435), Some(435)),
    ("no_such_call", None, None, None),
];

fn holds(argument: &LinuxSeccompArg, call: &Call, narrow: bool) -> bool {
    let (seen, value) = (call.arguments[argument.index()], argument.value());
    let two = argument.value_two().unwrap_or(0);
    let cut = |value: u64| if narrow { value & 0xffff_ffff } else { value };
    match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => seen != cut(value),
        LinuxSeccompOperator::ScmpCmpEq => seen == cut(value),
        LinuxSeccompOperator::ScmpCmpLt => seen < value,
        LinuxSeccompOperator::ScmpCmpLe => seen <= value,
        LinuxSeccompOperator::ScmpCmpGe => seen >= value,
        LinuxSeccompOperator::ScmpCmpGt => seen > value,
        LinuxSeccompOperator::ScmpCmpMaskedEq => seen & cut(value) == two & cut(value),
    }
}

fn value_of(action: LinuxSeccompAction, errno: Option<u32>) -> u32 {
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => 0,
        LinuxSeccompAction::ScmpActKillProcess => 0x8000_0000,
        LinuxSeccompAction::ScmpActTrap => 0x0003_0000,
        LinuxSeccompAction::ScmpActErrno => ERRNO + errno.unwrap_or(1),
        LinuxSeccompAction::ScmpActTrace => 0x7ff0_0000 + errno.unwrap_or(1),
        LinuxSeccompAction::ScmpActLog => 0x7ffc_0000,
        LinuxSeccompAction::ScmpActAllow => ALLOW,
        LinuxSeccompAction::ScmpActNotify => unreachable!("not generated"),
    }
}

/// The meaning of a profile, without tables, ranges or jumps.
fn meaning(profile: &LinuxSeccomp, call: &Call) -> u32 {
    let has = |arch| profile.architectures().iter().flatten().any(|&listed| listed == arch);
    let default = value_of(profile.default_action(), profile.default_errno_ret());
    let x32 = call.architecture == AUDIT_X86_64 && call.number >= 0x4000_0000 && call.number != u32::MAX;
    let known = match call.architecture {
        AUDIT_X86_64 => !x32 || has(Arch::ScmpArchX32),
        AUDIT_X86 => has(Arch::ScmpArchX86),
        _ => false,
    };
    if !known {
        return 0;
    }
    for entry in profile.syscalls().iter().flatten() {
        let named = entry.names().iter().any(|name| {
            let (_, long, short, x32_number) = NAMES.iter().find(|(known, ..)| known == name).unwrap();
            let number = match call.architecture {
                AUDIT_X86 => *short,
                _ if x32 => x32_number.map(|number| number + 0x4000_0000),
                _ => *long,
            };
            number == Some(call.number)
        });
        let value = value_of(entry.action(), entry.errno_ret());
        let narrow = x32 || call.architecture == AUDIT_X86;
        if named
            && value != default
            && entry
                .args()
                .iter()
                .flatten()
                .all(|argument| holds(argument, call, narrow))
        {
            return value;
        }
    }
    default
}

fn any_action() -> impl Strategy<Value = (LinuxSeccompAction, Option<u32>)> {
    prop_oneof![
        Just((LinuxSeccompAction::ScmpActAllow, None)),
        Just((LinuxSeccompAction::ScmpActKill, None)),
        Just((LinuxSeccompAction::ScmpActKillProcess, None)),
        Just((LinuxSeccompAction::ScmpActTrap, None)),
        Just((LinuxSeccompAction::ScmpActLog, None)),
        prop::option::of(0_u32..4096).prop_map(|errno| (LinuxSeccompAction::ScmpActErrno, errno)),
        prop::option::of(0_u32..65536).prop_map(|message| (LinuxSeccompAction::ScmpActTrace, message)),
    ]
}

/// Numbers near each other and near the border between the halves.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..4,
        0xffff_fffe_u64..0x1_0000_0002,
        Just(u64::MAX),
        Just(0x7e02_0000),
        (0_u64..3, 0_u64..3).prop_map(|(high, low)| high << 32 | low),
        any::<u64>(),
    ]
}

fn any_argument() -> impl Strategy<Value = LinuxSeccompArg> {
    let operator = prop::sample::select(vec![
        LinuxSeccompOperator::ScmpCmpNe,
        LinuxSeccompOperator::ScmpCmpLt,
        LinuxSeccompOperator::ScmpCmpLe,
        LinuxSeccompOperator::ScmpCmpEq,
        LinuxSeccompOperator::ScmpCmpGe,
        LinuxSeccompOperator::ScmpCmpGt,
        LinuxSeccompOperator::ScmpCmpMaskedEq,
    ]);
    (0_usize..6, any_number(), any_number(), operator).prop_map(|(index, value, two, operator)| {
        let builder = LinuxSeccompArgBuilder::default()
            .index(index)
            .value(value)
            .value_two(two)
            .op(operator);
        builder.build().unwrap()
    })
}

fn any_entry() -> impl Strategy<Value = LinuxSyscall> {
    let names = prop::collection::vec(
        prop::sample::select(NAMES.map(|(name, ..)| name.to_owned()).to_vec()),
        1..4,
    );
    (names, any_action(), prop::collection::vec(any_argument(), 0..4)).prop_map(
        |(names, (action, errno), arguments)| {
            let mut builder = LinuxSyscallBuilder::default()
                .names(names)
                .action(action)
                .args(arguments);
            if let Some(errno) = errno {
                builder = builder.errno_ret(errno);
            }
            builder.build().unwrap()
        },
    )
}

fn any_profile() -> impl Strategy<Value = LinuxSeccomp> {
    let architectures = prop::sample::subsequence(
        vec![
            Arch::ScmpArchX86_64,
            Arch::ScmpArchX86,
            Arch::ScmpArchX32,
            Arch::ScmpArchAarch64,
        ],
        0..=4,
    );
    let entries = prop::collection::vec(any_entry(), 0..8);
    (any_action(), architectures, entries).prop_map(|((action, errno), architectures, entries)| {
        let mut profile = LinuxSeccompBuilder::default()
            .default_action(action)
            .architectures(architectures)
            .syscalls(entries)
            .build()
            .unwrap();
        profile.set_default_errno_ret(errno);
        profile
    })
}

/// Calls that the generated profiles name, and others; arguments that hit the conditions of `profile` or its borders.
fn any_call(profile: &LinuxSeccomp) -> impl Strategy<Value = Call> + use<> {
    let values: Vec<u64> = profile
        .syscalls()
        .iter()
        .flatten()
        .flat_map(|entry| entry.args().iter().flatten())
        .flat_map(|argument| {
            [
                argument.value(),
                argument.value() & 0xffff_ffff,
                argument.value_two().unwrap_or(0),
            ]
        })
        .flat_map(|value| [value.wrapping_sub(1), value, value.wrapping_add(1)])
        .chain([0])
        .collect();
    let numbers: Vec<u32> = NAMES.iter().flat_map(|&(_, a, b, c)| [a, b, c]).flatten().collect();
    let number = prop_oneof![
        8 => prop::sample::select(numbers.clone()),
        4 => prop::sample::select(numbers).prop_map(|number| number | 0x4000_0000),
        1 => prop::sample::select(vec![2, 15, 17, 513, 515, 0x3fff_ffff, 0x4000_0000, 0xffff_fffe, u32::MAX]),
        1 => any::<u32>(),
    ];
    let architecture = prop::sample::select(vec![AUDIT_X86_64, AUDIT_X86_64, AUDIT_X86, 0xc000_00b7]);
    let argument = prop_oneof![3 => prop::sample::select(values), 1 => any_number()];
    (number, architecture, prop::array::uniform6(argument)).prop_map(|(number, architecture, arguments)| {
        // The kernel shows the arguments of a 32-bit program without an upper half.
        let cut = |argument: u64| {
            if architecture == AUDIT_X86 {
                argument & 0xffff_ffff
            } else {
                argument
            }
        };
        Call {
            number,
            architecture,
            arguments: arguments.map(cut),
        }
    })
}

#[cfg(target_arch = "x86_64")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_program_returns_what_its_profile_means(
        (profile, calls) in any_profile().prop_flat_map(|profile| {
            let calls = prop::collection::vec(any_call(&profile), 16);
            (Just(profile), calls)
        })
    ) {
        let program = compile(&profile).unwrap();
        for call in &calls {
            prop_assert_eq!(interpret(&program, call), meaning(&profile, call), "{:?}", call);
        }
    }
}

fn docker() -> LinuxSeccomp {
    serde_json::from_str(include_str!("docker-default.json")).unwrap()
}

#[cfg(target_arch = "x86_64")]
fn call(number: u32, first: u64) -> Call {
    Call {
        number,
        architecture: AUDIT_X86_64,
        arguments: [first, 0, 0, 0, 0, 0],
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_default_profile_of_docker_allows_and_refuses_what_it_says() {
    let program = compile(&docker()).unwrap();
    assert!(program.filter().len() < 1500, "{} instructions", program.filter().len());
    for (number, first, wanted, name) in [
        (0, 0, ALLOW, "read"),
        (59, 0, ALLOW, "execve"),
        (165, 0, ERRNO + 1, "mount"),
        (169, 0, ERRNO + 1, "reboot"),
        (321, 0, ERRNO + 1, "bpf"),
        (435, 0, ERRNO + 38, "clone3"),
        (56, 17, ALLOW, "clone of a process"),
        (56, 0x1000_0011, ERRNO + 1, "clone of a user namespace"),
        (41, 2, ALLOW, "socket of AF_INET"),
        (41, 40, ERRNO + 1, "socket of AF_VSOCK"),
        (135, 0xffff_ffff, ALLOW, "personality, asked"),
        (135, 0x0004_0000, ERRNO + 1, "personality without random addresses"),
        (0x4000_0000 + 520, 0, ALLOW, "execve of x32"),
        (0x4000_0000 + 165, 0, ERRNO + 1, "mount of x32"),
        (9999, 0, ERRNO + 1, "no call"),
    ] {
        assert_eq!(interpret(&program, &call(number, first)), wanted, "{name}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_multiplexer_of_32_bit_programs_is_no_way_around() {
    let profile: LinuxSeccomp = serde_json::from_str(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
            "syscalls": [{"names": ["connect", "shmat"], "action": "SCMP_ACT_ERRNO"}]}"#,
    )
    .unwrap();
    let program = compile(&profile).unwrap();
    let call = |number, first| Call {
        number,
        architecture: AUDIT_X86,
        arguments: [first, 0, 0, 0, 0, 0],
    };
    assert_eq!(interpret(&program, &call(362, 0)), ERRNO + 1, "connect");
    assert_eq!(interpret(&program, &call(102, 3)), ERRNO + 1, "socketcall of connect");
    assert_eq!(interpret(&program, &call(102, 2)), ALLOW, "socketcall of bind");
    assert_eq!(interpret(&program, &call(117, 21)), ERRNO + 1, "ipc of shmat");
    assert_eq!(interpret(&program, &call(117, 22)), ALLOW, "ipc of shmdt");
}

#[test]
fn what_cannot_be_honoured_names_its_field() {
    for (profile, complaint) in [
        (
            r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
            "linux.seccomp.defaultAction: notifying a listener is not supported",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent"}"#,
            "linux.seccomp.listenerPath: notifying a listener is not supported",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}"#,
            "linux.seccomp.flags[1]: waiting for a listener is not supported",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 3}"#,
            "linux.seccomp.defaultErrnoRet: 3 cannot be returned by this action",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5000}]}"#,
            "linux.seccomp.syscalls[0].errnoRet: 5000 cannot be returned by this action",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}]}"#,
            "linux.seccomp.syscalls[0].action: notifying a listener is not supported",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_LOG"}]}"#,
            "linux.seccomp.syscalls[0].names: names no system call",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG",
                "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
            "linux.seccomp.syscalls[0].args[0].index: 6 is not below 6",
        ),
    ] {
        let profile: LinuxSeccomp = serde_json::from_str(profile).unwrap();
        assert_eq!(compile(&profile).unwrap_err().to_string(), complaint);
    }
}

#[test]
fn flags_are_passed_on() {
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}"#;
    assert_eq!(compile(&serde_json::from_str(profile).unwrap()).unwrap().flags(), 7);
}

#[test]
fn more_than_the_kernel_takes_is_refused() {
    let argument = |value: u64| {
        let builder = LinuxSeccompArgBuilder::default().index(0_usize).value(value);
        builder.op(LinuxSeccompOperator::ScmpCmpGt).build().unwrap()
    };
    let entry = |value: u64| {
        let builder = LinuxSyscallBuilder::default().names(vec!["read".to_owned()]);
        builder
            .action(LinuxSeccompAction::ScmpActErrno)
            .args(vec![argument(value)])
            .build()
            .unwrap()
    };
    let profile = LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActAllow)
        .syscalls((0..1000).map(entry).collect::<Vec<_>>())
        .build()
        .unwrap();
    assert!(matches!(
        compile(&profile),
        Err(Error::TooLong { instructions: 4097.. })
    ));
}
