//! The verbs: what each does is in a file of its own, the table is here.

mod alloc_memory;
mod burn;
mod ending;
mod observe;
mod output;
mod sleep;

use alloc::string::String;

use crate::call::{Call, Failure};

/// One thing that the probe can be told to do.
pub(crate) struct Verb {
    /// The word for it, and the name of its link in `/bin`.
    pub(crate) name: &'static str,
    /// What follows the word.
    pub(crate) usage: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// Does it, and tells the exit code.
    pub(crate) run: fn(&Call) -> Result<u8, Failure>,
}

/// All verbs. The links of the image and `--verbs` come from here.
pub(crate) const ALL: &[Verb] = &[
    // observations
    Verb {
        name: "report",
        usage: "",
        about: "everything the probe can tell about itself",
        run: observe::report,
    },
    Verb {
        name: "processes",
        usage: "",
        about: "the processes that /proc shows",
        run: observe::processes,
    },
    Verb {
        name: "namespaces",
        usage: "",
        about: "namespace links, id maps, cgroups",
        run: observe::namespaces,
    },
    Verb {
        name: "mounts",
        usage: "",
        about: "the mount table",
        run: observe::mounts,
    },
    Verb {
        name: "interfaces",
        usage: "",
        about: "network interfaces and addresses",
        run: observe::interfaces,
    },
    Verb {
        name: "routes",
        usage: "",
        about: "routes of the main table",
        run: observe::routes,
    },
    Verb {
        name: "ids",
        usage: "",
        about: "user and group ids, umask",
        run: observe::ids,
    },
    Verb {
        name: "capabilities",
        usage: "",
        about: "the five capability sets",
        run: observe::capabilities,
    },
    Verb {
        name: "limits",
        usage: "",
        about: "resource limits",
        run: observe::limits,
    },
    Verb {
        name: "cwd",
        usage: "",
        about: "the working directory",
        run: observe::cwd,
    },
    Verb {
        name: "fds",
        usage: "",
        about: "open descriptors and terminals",
        run: observe::fds,
    },
    Verb {
        name: "seccomp",
        usage: "",
        about: "seccomp mode and no-new-privileges",
        run: observe::seccomp,
    },
    Verb {
        name: "signals",
        usage: "",
        about: "signal dispositions and mask",
        run: observe::signals,
    },
    Verb {
        name: "sockets",
        usage: "",
        about: "sockets that listen",
        run: observe::sockets,
    },
    Verb {
        name: "clock",
        usage: "",
        about: "monotonic, boot and wall clock",
        run: observe::clock,
    },
    Verb {
        name: "env",
        usage: "",
        about: "the environment",
        run: observe::env,
    },
    Verb {
        name: "hostname",
        usage: "",
        about: "host and domain name",
        run: observe::hostname,
    },
    // workloads
    Verb {
        name: "sleep",
        usage: "[SECONDS|forever]",
        about: "sleeps; for ever without a time",
        run: sleep::sleep,
    },
    Verb {
        name: "true",
        usage: "",
        about: "exits with 0",
        run: ending::succeed,
    },
    Verb {
        name: "false",
        usage: "",
        about: "exits with 1",
        run: ending::fail,
    },
    Verb {
        name: "exit",
        usage: "CODE",
        about: "exits with CODE",
        run: ending::exit,
    },
    Verb {
        name: "hello",
        usage: "",
        about: "writes `hello` as soon as it can",
        run: output::hello,
    },
    Verb {
        name: "burn",
        usage: "[--procs=N] [--for=DURATION]",
        about: "keeps N CPUs busy",
        run: burn::burn,
    },
    Verb {
        name: "alloc",
        usage: "[SIZE|--of-limit=PERCENT] [--step=SIZE] [--every=DURATION] [--then-exit=CODE|--then-sleep[=TIME]]",
        about: "really uses memory; PERCENT is of $LIMIT",
        run: alloc_memory::alloc,
    },
];

/// The verb called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Verb> {
    ALL.iter().find(|verb| verb.name == name)
}

/// What `--help` prints.
pub(crate) fn help() -> String {
    let mut text = String::from("usage: probe VERB [ARGUMENTS], or a link named VERB that leads to the probe\n\n");
    for verb in ALL {
        text.push_str("  ");
        text.push_str(verb.name);
        if !verb.usage.is_empty() {
            text.push(' ');
            text.push_str(verb.usage);
        }
        text.push_str("\n        ");
        text.push_str(verb.about);
        text.push('\n');
    }
    text
}
