//! The verbs: what each does is in a file of its own, the table is here.

mod alloc_memory;
mod attempt;
mod blocks;
mod burn;
mod dial;
mod ending;
mod fork;
mod http;
mod observe;
mod orphans;
mod output;
mod progress;
mod resolve;
mod serve;
mod sleep;
mod trap;

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
    Verb {
        name: "attempt",
        usage: "NAME=OPERATION[:WORD…]… [--here] [--then-sleep[=TIME]]",
        about: "tries each in a copy of itself and tells `ok`, an errno, or what killed the copy",
        run: attempt::attempt,
    },
    Verb {
        name: "hold",
        usage: "OPERATION…",
        about: "does these itself, tells, and sleeps",
        run: attempt::hold,
    },
    Verb {
        name: "fork",
        usage: "N [--hold]",
        about: "forks N children and tells how many it got",
        run: fork::fork,
    },
    Verb {
        name: "forkbomb",
        usage: "[--max=N]",
        about: "all processes fork, N times together",
        run: fork::bomb,
    },
    Verb {
        name: "blocks",
        usage: "PATH SIZE [--direct] [--bs=SIZE]",
        about: "writes a file",
        run: blocks::write,
    },
    Verb {
        name: "readblocks",
        usage: "PATH SIZE [--direct] [--bs=SIZE]",
        about: "reads a file",
        run: blocks::read,
    },
    Verb {
        name: "serve",
        usage: "[--port=N] [--body=hostname|peer|TEXT] [--udp] [--tell]",
        about: "answers HTTP with its name, the address of who asks, or a text, and echoes datagrams; tells of each",
        run: serve::serve,
    },
    Verb {
        name: "dial",
        usage: "HOST:PORT… [--protocol=tcp|udp] [--send=TEXT] [--family=IPv4|IPv6] [--repeat=N] [--every=TIME] [--timeout=TIME] [--within=TIME]",
        about: "connects, and with `--send` or by datagram waits for an answer; several addresses at the same time",
        run: dial::dial,
    },
    Verb {
        name: "send",
        usage: "HOST:PORT --data=TEXT [--protocol=udp|tcp] [--family=IPv4|IPv6] [--repeat=N] [--every=TIME] [--timeout=TIME] [--within=TIME]",
        about: "sends and waits for no answer",
        run: dial::send,
    },
    Verb {
        name: "http",
        usage: "URL [--method=WORD] [--header=LINE]… [--body=TEXT] [--family=IPv4|IPv6] [--repeat=N] [--every=TIME] [--timeout=TIME] [--within=TIME]",
        about: "sends HTTP requests, each on a connection of its own",
        run: http::http,
    },
    Verb {
        name: "resolve",
        usage: "NAME [--type=A|AAAA|CNAME|PTR|SRV|TXT] [--server=ADDRESS[:PORT]] [--tcp] [--timeout=TIME]",
        about: "asks a name server",
        run: resolve::resolve,
    },
    Verb {
        name: "trap",
        usage: "SIGNAL[=CODE|ignore|default],…",
        about: "tells each signal it catches; exits with CODE where one is given",
        run: trap::trap,
    },
    Verb {
        name: "orphans",
        usage: "[N]",
        about: "leaves N orphans to PID 1, counts zombies",
        run: orphans::orphans,
    },
    Verb {
        name: "counter",
        usage: "[PATH] [--every=TIME] [--for=TIME]",
        about: "counts in a file, or in lines",
        run: progress::counter,
    },
    Verb {
        name: "where",
        usage: "[--for=TIME]",
        about: "the CPUs it ran on",
        run: progress::whereabouts,
    },
    Verb {
        name: "stdin",
        usage: "",
        about: "copies standard input to standard output",
        run: output::stdin,
    },
    Verb {
        name: "id",
        usage: "",
        about: "ids as plain text",
        run: output::id,
    },
    Verb {
        name: "cat",
        usage: "FILE…",
        about: "writes files",
        run: output::cat,
    },
    Verb {
        name: "ls",
        usage: "[DIRECTORY]",
        about: "writes the names in a directory",
        run: output::ls,
    },
    Verb {
        name: "pwd",
        usage: "",
        about: "writes the working directory",
        run: output::pwd,
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
