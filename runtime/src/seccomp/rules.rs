//! A profile as rules by number.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};

use super::Error;
use super::architecture::Architecture;

/// `SECCOMP_RET_KILL_THREAD`, which libseccomp answers to an architecture that the profile does not know.
pub(super) const KILL_THREAD: u32 = 0;

const EPERM: u32 = 1;
const MAX_ERRNO: u32 = 4095;

/// How an argument is compared, all numbers unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Equal(u64),
    GreaterOrEqual(u64),
    Greater(u64),
    /// The bits of the first that are set in the argument are those set in the second.
    Masked(u64, u64),
}

/// One condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) argument: u8,
    pub(super) comparison: Comparison,
}

/// What to return if all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) returns: u32,
}

/// The rules of one architecture, by number of the call, in the order of the profile.
pub(super) type Table = BTreeMap<u32, Vec<Rule>>;

/// A whole profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) default: u32,
    pub(super) tables: Vec<(Architecture, Table)>,
}

impl Rules {
    pub(super) fn new(profile: &LinuxSeccomp) -> Result<Self, Error> {
        let (default_action, default_errno) = (profile.default_action(), profile.default_errno_ret());
        let field = |name: &str| format!("linux.seccomp.default{name}");
        let default = returned(default_action, default_errno, || field("Action"), || field("ErrnoRet"))?;

        // The native architecture is always known, as for libseccomp: otherwise the container could not even exit.
        let mut architectures = vec![Architecture::NATIVE];
        architectures.extend(
            profile
                .architectures()
                .iter()
                .flatten()
                .filter_map(|&arch| Architecture::of(arch)),
        );
        architectures.sort_unstable();
        architectures.dedup();
        let mut tables: Vec<(Architecture, Table)> = architectures
            .into_iter()
            .map(|architecture| (architecture, Table::new()))
            .collect();

        for (index, entry) in profile.syscalls().iter().flatten().enumerate() {
            let field = |name: &str| format!("linux.seccomp.syscalls[{index}].{name}");
            let returns = returned(
                entry.action(),
                entry.errno_ret(),
                || field("action"),
                || field("errnoRet"),
            )?;
            if entry.names().is_empty() {
                return Err(Error::NoNames { field: field("names") });
            }
            let arguments = entry.args().as_deref().unwrap_or_default();
            // Up to here a jump reaches over all of them.
            if arguments.len() > 32 {
                return Err(Error::TooManyConditions {
                    field: field("args"),
                    count: arguments.len(),
                });
            }
            if let Some((number, argument)) = arguments.iter().enumerate().find(|(_, argument)| argument.index() > 5) {
                let field = field(&format!("args[{number}].index"));
                return Err(Error::ArgumentIndex {
                    field,
                    index: argument.index(),
                });
            }
            if returns == default {
                continue;
            }
            for (architecture, table) in &mut tables {
                let conditions: Vec<Condition> = arguments
                    .iter()
                    .map(|argument| condition(*architecture, argument))
                    .collect();
                for name in entry.names() {
                    if let Some(number) = architecture.number(name) {
                        add(
                            table,
                            number,
                            Rule {
                                conditions: conditions.clone(),
                                returns,
                            },
                        );
                    }
                    // What a multiplexer is given lies behind a pointer: only the call itself can be told.
                    if let (true, Some((number, first))) = (conditions.is_empty(), architecture.multiplexed(name)) {
                        let which = Condition {
                            argument: 0,
                            comparison: Comparison::Equal(first & 0xffff_ffff),
                        };
                        add(
                            table,
                            number,
                            Rule {
                                conditions: vec![which],
                                returns,
                            },
                        );
                    }
                }
            }
        }
        Ok(Self { default, tables })
    }
}

/// Adds a rule, unless an earlier one decides whenever this one would.
fn add(table: &mut Table, number: u32, rule: Rule) {
    let rules = table.entry(number).or_default();
    if !rules
        .iter()
        .any(|known| known.conditions.is_empty() || known.conditions == rule.conditions)
    {
        rules.push(rule);
    }
}

fn condition(architecture: Architecture, argument: &LinuxSeccompArg) -> Condition {
    // The value of a 32-bit argument may be written as a negative number of 64 bits.
    let bits = if architecture.is_32_bit() {
        0xffff_ffff
    } else {
        u64::MAX
    };
    let value = argument.value();
    let comparison = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => Comparison::NotEqual(value & bits),
        LinuxSeccompOperator::ScmpCmpLt => Comparison::Less(value),
        LinuxSeccompOperator::ScmpCmpLe => Comparison::LessOrEqual(value),
        LinuxSeccompOperator::ScmpCmpEq => Comparison::Equal(value & bits),
        LinuxSeccompOperator::ScmpCmpGe => Comparison::GreaterOrEqual(value),
        LinuxSeccompOperator::ScmpCmpGt => Comparison::Greater(value),
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            let mask = value & bits;
            Comparison::Masked(mask, argument.value_two().unwrap_or(0) & mask)
        }
    };
    // An index above 5 has been refused.
    Condition {
        argument: u8::try_from(argument.index()).unwrap_or(0),
        comparison,
    }
}

/// `SECCOMP_RET_…` with its data.
fn returned(
    action: LinuxSeccompAction,
    errno: Option<u32>,
    action_field: impl Fn() -> String,
    errno_field: impl Fn() -> String,
) -> Result<u32, Error> {
    let refused = |value| {
        Err(Error::ErrnoRet {
            field: errno_field(),
            value,
        })
    };
    let plain = |value: u32| errno.map_or(Ok(value), refused);
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => plain(KILL_THREAD),
        LinuxSeccompAction::ScmpActKillProcess => plain(0x8000_0000),
        LinuxSeccompAction::ScmpActTrap => plain(0x0003_0000),
        LinuxSeccompAction::ScmpActLog => plain(0x7ffc_0000),
        LinuxSeccompAction::ScmpActAllow => plain(0x7fff_0000),
        LinuxSeccompAction::ScmpActErrno => match errno.unwrap_or(EPERM) {
            errno @ ..=MAX_ERRNO => Ok(0x0005_0000 | errno),
            errno => refused(errno),
        },
        LinuxSeccompAction::ScmpActTrace => match errno.unwrap_or(EPERM) {
            message @ ..=0xffff => Ok(0x7ff0_0000 | message),
            message => refused(message),
        },
        LinuxSeccompAction::ScmpActNotify => Err(Error::Notify { field: action_field() }),
    }
}
