//! The mount table of a process (`/proc/PID/mountinfo`, `proc_pid_mountinfo(5)`).

use record::Seen;
use record::seen::MountSeen;

use super::{Target, pid_of};
use crate::drive::World;

pub(super) fn look(target: Target<'_>, world: &mut World<'_>) -> Seen {
    let pid = match pid_of(target, world) {
        Ok(pid) => pid,
        Err(what) => return Seen::Absent { what },
    };
    let source = format!("/proc/{pid}/mountinfo");
    match std::fs::read_to_string(&source) {
        Ok(text) => Seen::Mounts {
            list: parse(&text),
            source,
        },
        Err(error) => Seen::Unmeasured {
            why: format!("failed to read `{source}`: {error}"),
        },
    }
}

/// The mounts of a mount table, in its order.
pub(crate) fn parse(text: &str) -> Vec<MountSeen> {
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut left = left.split(' ');
            let (root, destination, own) = (left.nth(3)?, left.next()?, left.next()?);
            let tags: Vec<&str> = left.collect();
            let mut right = right.split(' ');
            let (kind, source, supers) = (right.next()?, right.next()?, right.next()?);
            let has = |tag: &str| tags.iter().any(|t| t.starts_with(tag));
            let propagation = match (has("shared:"), has("master:"), has("unbindable")) {
                (true, true, _) => "shared,slave",
                (true, false, _) => "shared",
                (false, true, _) => "slave",
                (false, false, true) => "unbindable",
                (false, false, false) => "private",
            };
            let mut options: Vec<String> = own.split(',').map(String::from).collect();
            for option in supers.split(',') {
                // `rw` of the file system says nothing where the mount says `ro`.
                if option != "rw" && !options.iter().any(|o| o == option) {
                    options.push(option.to_owned());
                }
            }
            Some(MountSeen {
                root: plain(root),
                destination: plain(destination),
                options,
                propagation: propagation.into(),
                kind: kind.into(),
                source: plain(source),
            })
        })
        .collect()
}

/// Blanks, tabs, newlines and backslashes stand as octal escapes.
fn plain(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_becomes_a_mount() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 ro,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue\n";
        let mount = &parse(line)[0];
        assert_eq!(mount.destination, "/mnt 2");
        assert_eq!(mount.options, ["ro", "noatime", "errors=continue"]);
        assert_eq!(
            (mount.propagation.as_str(), mount.kind.as_str(), mount.root.as_str()),
            ("shared,slave", "ext3", "/mnt1")
        );
    }
}
