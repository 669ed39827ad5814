//! The command line of an OCI runtime, as far as a fault must understand it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Verbs that faults may concern; what comes before the first of them is the program and its global options.
const VERBS: [&str; 15] = [
    "create", "start", "state", "kill", "delete", "run", "exec", "list", "ps", "pause", "resume", "update", "events",
    "features", "spec",
];

/// Global options with a value, of runc, crun, youki and the bundled runtime.
const GLOBAL: [&str; 6] = ["root", "log", "log-format", "log-level", "criu", "rootless"];

/// Options with a value that more than one verb has, and those of single verbs.
const CREATE: [&str; 5] = ["bundle", "console-socket", "pid-file", "preserve-fds", "pidfd-socket"];
const EXEC: [&str; 12] = [
    "console-socket",
    "cwd",
    "env",
    "user",
    "additional-gids",
    "process",
    "pid-file",
    "process-label",
    "apparmor",
    "cap",
    "preserve-fds",
    "cgroup",
];
const UPDATE: [&str; 16] = [
    "resources",
    "blkio-weight",
    "cpu-period",
    "cpu-quota",
    "cpu-burst",
    "cpu-share",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpu-idle",
    "cpuset-cpus",
    "cpuset-mems",
    "memory",
    "memory-reservation",
    "memory-swap",
    "pids-limit",
    "kernel-memory",
];

/// An option of a verb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Its long name without dashes; of a letter that nothing is known about, the letter with its dash.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Option<OsString>,
}

/// A command line that names a verb.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Program, global options, and whatever else stands before the verb.
    pub(crate) before: Vec<OsString>,
    /// The verb.
    pub(crate) verb: String,
    /// Its options.
    pub(crate) choices: Vec<Choice>,
    /// What is not an option: the container's name first, in all verbs that have one.
    pub(crate) words: Vec<OsString>,
    /// Value of `--root`.
    pub(crate) root: Option<PathBuf>,
}

impl Line {
    /// Reads a command line, program first; `None` if it names no verb.
    pub(crate) fn read(argv: &[OsString]) -> Option<Self> {
        let (mut at, mut root) = (1, None);
        let verb = loop {
            let word = argv.get(at)?.to_str()?;
            if let Some(option) = word.strip_prefix('-') {
                let option = option.strip_prefix('-').unwrap_or(option);
                let (name, mut value) = option
                    .split_once('=')
                    .map_or((option, None), |(name, value)| (name, Some(OsStr::new(value))));
                if value.is_none() && GLOBAL.contains(&name) {
                    at += 1;
                    value = argv.get(at).map(OsString::as_os_str);
                }
                if name == "root" {
                    root = value.map(PathBuf::from);
                }
            } else if VERBS.contains(&word) {
                break word.to_owned();
            }
            at += 1;
        };
        let mut line = Self {
            before: argv.get(..at)?.to_vec(),
            choices: Vec::new(),
            words: Vec::new(),
            root,
            verb,
        };
        line.read_rest(argv.get(at + 1..)?);
        Some(line)
    }

    fn read_rest(&mut self, rest: &[OsString]) {
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            let text = word.to_str().unwrap_or_default();
            // What follows the container's name is the command of `exec`.
            if self.verb == "exec" && !self.words.is_empty() {
                self.words.push(word.clone());
            } else if text == "--" {
                self.words.extend(words.by_ref().cloned());
            } else if let Some(option) = text.strip_prefix("--") {
                let (name, value) = match option.split_once('=') {
                    Some((name, value)) => (name, Some(OsString::from(value))),
                    None if self.takes_value(option) => (option, words.next().cloned()),
                    None => (option, None),
                };
                self.choose(name, value);
            } else if let Some(letters) = text.strip_prefix('-').filter(|l| !l.is_empty()) {
                let mut rest = letters;
                while let Some(letter) = rest.chars().next() {
                    rest = &rest[letter.len_utf8()..];
                    let Some(name) = self.long(letter) else {
                        self.choose(&format!("-{letter}"), None);
                        continue;
                    };
                    if self.takes_value(name) {
                        let attached = rest.strip_prefix('=').unwrap_or(rest);
                        let value = if attached.is_empty() {
                            words.next().cloned()
                        } else {
                            Some(attached.into())
                        };
                        self.choose(name, value);
                        break;
                    }
                    self.choose(name, None);
                }
            } else {
                self.words.push(word.clone());
            }
        }
    }

    fn choose(&mut self, name: &str, value: Option<OsString>) {
        let name = name.to_owned();
        self.choices.push(Choice { name, value });
    }

    fn takes_value(&self, name: &str) -> bool {
        match self.verb.as_str() {
            "create" | "run" => CREATE.contains(&name),
            "exec" => EXEC.contains(&name),
            "update" => UPDATE.contains(&name),
            "list" | "ps" => name == "format",
            "events" => name == "interval",
            "spec" => name == "bundle",
            _ => false,
        }
    }

    fn long(&self, letter: char) -> Option<&'static str> {
        Some(match (self.verb.as_str(), letter) {
            ("create" | "run" | "spec", 'b') => "bundle",
            ("run" | "exec", 'd') => "detach",
            ("exec", 'e') => "env",
            ("exec", 'u') => "user",
            ("exec", 'g') => "additional-gids",
            ("exec", 'p') => "process",
            ("exec", 'c') => "cap",
            ("exec", 't') => "tty",
            ("update", 'r') => "resources",
            ("delete", 'f') => "force",
            ("list" | "ps", 'f') => "format",
            ("list", 'q') => "quiet",
            ("kill", 'a') => "all",
            _ => return None,
        })
    }

    /// The container's name.
    pub(crate) fn id(&self) -> Option<&str> {
        self.words.first()?.to_str()
    }

    /// Whether an option is given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.choices.iter().any(|choice| choice.name == name)
    }

    /// The last value of an option.
    pub(crate) fn value(&self, name: &str) -> Option<&OsStr> {
        let mut given = self.choices.iter().rev().filter(|choice| choice.name == name);
        given.next()?.value.as_deref()
    }

    /// Takes an option away.
    pub(crate) fn drop(&mut self, name: &str) {
        self.choices.retain(|choice| choice.name != name);
    }

    /// Gives an option this value, in place of all that it had.
    pub(crate) fn put(&mut self, name: &str, value: impl Into<OsString>) {
        self.drop(name);
        self.choose(name, Some(value.into()));
    }

    /// The argument vector that means this.
    pub(crate) fn argv(&self) -> Vec<OsString> {
        let mut argv = self.before.clone();
        argv.push(self.verb.clone().into());
        for choice in &self.choices {
            let name = match choice.name.strip_prefix('-') {
                Some(letter) => format!("-{letter}"),
                None => format!("--{}", choice.name),
            };
            match &choice.value {
                // A switch that was given a value must keep it in the same word.
                Some(value) if !self.takes_value(&choice.name) => {
                    let mut word = OsString::from(format!("{name}="));
                    word.push(value);
                    argv.push(word);
                }
                Some(value) => argv.extend([name.into(), value.clone()]),
                None => argv.push(name.into()),
            }
        }
        argv.extend(self.words.iter().cloned());
        argv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let argv: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        Line::read(&argv).unwrap()
    }

    fn text(line: &Line) -> String {
        let words: Vec<_> = line.argv().iter().map(|w| w.to_str().unwrap().to_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn a_call_of_runc_is_understood_and_written_as_it_was() {
        let text_of = "runc --root /x --log /l --log-format json create --bundle /b --pid-file /p id";
        let create = line(text_of);
        assert_eq!((create.verb.as_str(), create.id()), ("create", Some("id")));
        assert_eq!(create.root, Some("/x".into()));
        assert_eq!(create.value("bundle"), Some(OsStr::new("/b")));
        assert_eq!(text(&create), text_of);
    }

    #[test]
    fn the_bundled_runtime_has_a_word_before_the_verb() {
        let kill = line("/bin/plimsoll oci --root=/create kill -a id 9");
        assert_eq!(
            (kill.verb.as_str(), kill.root.clone()),
            ("kill", Some("/create".into()))
        );
        assert!(kill.has("all"));
        assert_eq!(kill.words, ["id", "9"]);
    }

    #[test]
    fn the_command_of_exec_keeps_its_options() {
        let exec = line("crun exec -e A=1 -d --cwd /x id sh -c --user");
        assert!(exec.has("detach") && !exec.has("user"));
        assert_eq!(exec.words, ["id", "sh", "-c", "--user"]);
        assert_eq!(text(&exec), "crun exec --env A=1 --detach --cwd /x id sh -c --user");
    }

    #[test]
    fn a_switch_keeps_the_value_that_it_was_given() {
        let mut kill = line("runc kill --all=true id TERM");
        assert_eq!(text(&kill), "runc kill --all=true id TERM");
        kill.drop("all");
        assert_eq!(text(&kill), "runc kill id TERM");
    }

    #[test]
    fn what_names_no_verb_is_none() {
        let argv: Vec<OsString> = ["runc", "--root", "create", "--version"].map(OsString::from).to_vec();
        assert!(Line::read(&argv).is_none());
    }
}
