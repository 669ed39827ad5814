//! Text of a tool that is searched where the harness looks at the thing itself.

use super::{Doubt, Lens, Lint};
use crate::{Action, Subject, Target, fault::Fault, step::OciVerb};

pub(super) const LINT: Lint = Lint {
    name: "text-over-type",
    about: "a search in a command's text for what a typed check sees in the kernel",
    look,
};

fn look(lens: &Lens<'_>, doubts: &mut Vec<Doubt>) {
    for seat in &lens.seats {
        let Subject::Output(output) = &seat.check.subject else {
            continue;
        };
        // In a cluster the harness does not look at containers from outside.
        let in_cluster = lens.test.targets.iter().any(|target| target.value == Target::Cluster);
        if seat.check.on.is_some() || output.stdout.is_none() || in_cluster {
            continue;
        }
        let better = match &seat.step.action {
            Some(Action::Oci(oci)) => match oci.op {
                OciVerb::State | OciVerb::Features | OciVerb::Events => Some("`output: {json: …}` reads it by path"),
                _ => None,
            },
            Some(Action::Exec(exec)) => typed(exec.args.iter().map(String::as_str)),
            Some(Action::Script(script)) if !script.run.contains(['|', ';', '&', '\n', '$']) => {
                typed(script.run.split_whitespace())
            }
            _ => None,
        };
        if let Some(better) = better {
            let at = seat.place.key("output").label("stdout");
            let lint = Fault::new(at, "text is searched for what a typed check sees").hint(better);
            doubts.push(Doubt::of(seat, lint));
        }
    }
}

/// The check that looks at what a command line prints.
fn typed<'w>(mut words: impl Iterator<Item = &'w str>) -> Option<&'static str> {
    let program = words.next()?.rsplit('/').next()?;
    let arguments: Vec<&str> = words.collect();
    let reads = |part: &str| arguments.iter().any(|argument| argument.contains(part));
    match program {
        "ps" | "pgrep" | "pidof" => Some("`process` looks at the processes themselves"),
        "findmnt" => Some("`mounts` looks at the mount table itself"),
        "mount" if arguments.is_empty() => Some("`mounts` looks at the mount table itself"),
        "ip" | "ifconfig" | "ss" | "netstat" => Some("`network` looks at interfaces, routes and sockets themselves"),
        "readlink" | "ls" if reads("/ns/") || reads("/proc/self/ns") => {
            Some("`namespace` compares the namespaces themselves")
        }
        "cat" | "grep" | "head" if reads("/sys/fs/cgroup") => Some("`cgroup` reads the same key on v1 and v2"),
        "cat" | "grep" if reads("/mountinfo") || reads("/mounts") => Some("`mounts` looks at the mount table itself"),
        "cat" | "grep" if reads("/proc/net/") || reads("/net/dev") => {
            Some("`network` looks at interfaces, routes and sockets themselves")
        }
        _ => None,
    }
}
