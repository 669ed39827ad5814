//! What is under test: the argument vector of a runtime, the bundled cluster, or a cluster behind a kubeconfig.

pub(crate) mod build;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plan::benchmark::gate::REFERENCE;
use crate::plan::{HOST, KUBE, is_bundled_cluster, is_cluster};

/// How long a program may take to tell its version.
const VERSION_WITHIN: Duration = Duration::from_secs(5);

/// A subject on its command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `bundled`, the file name of the program, or the name that was given with it.
    pub name: String,
    /// Program and leading arguments; of a cluster behind a kubeconfig, how it was named.
    pub argv: Vec<String>,
    /// The cluster behind a kubeconfig that it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube: Option<Kube>,
}

/// A cluster behind a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kube {
    /// The file, absolute.
    pub kubeconfig: PathBuf,
    /// The context, if not the current one.
    pub context: Option<String>,
}

/// Why a `--subject` is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Neither `bundled` nor `oci:…`.
    #[error(
        "unknown subject `{0}`: expected `bundled`, `oci:ARGV…`, `NAME=oci:ARGV…`, `cluster`, \
         `cluster-bridge`, `cluster-vxlan`, `cluster-bridge-vxlan`, `cluster-dual` or `kube`"
    )]
    Unknown(String),
    /// The name in front of `=` cannot be part of the id of a case.
    #[error(
        "`{0}` cannot name a subject: expected letters, digits, `-`, `_` and `.`, but not `host`, `kube` or one of the \
         bundled cluster's"
    )]
    Name(String),
    /// `oci:` and nothing behind it.
    #[error("`oci:` names no runtime: expected `oci:ARGV…`, such as `oci:runc`")]
    Empty,
    /// Nobody said which cluster.
    #[error("subject `kube` needs `--kubeconfig FILE`")]
    NoKubeconfig,
    /// A quote is not closed.
    #[error("a quote in `{0}` is not closed")]
    Quote(String),
    /// There is nothing to compare with.
    #[error("`{0}` is no reference: expected the path of a runtime or of another plimsoll, `bundled` or `oci:ARGV…`")]
    Reference(String),
    /// The program is not there.
    #[error("there is no program `{0}` on the PATH")]
    NotFound(String),
}

impl Subject {
    /// Reads `bundled`, `cluster` and its like, `oci:ARGV…` or `NAME=oci:ARGV…`, words split as a shell does. `own` is this program's
    /// executable, `path` the value of `PATH`.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(text: &str, own: &Path, path: &str) -> Result<Self, ParseError> {
        let own_verb = |words: &[&str]| Self {
            name: text.into(),
            argv: std::iter::once(own.display().to_string())
                .chain(words.iter().map(|word| (*word).to_owned()))
                .collect(),
            kube: None,
        };
        match text {
            "bundled" => return Ok(own_verb(&["oci"])),
            cluster if is_bundled_cluster(cluster) => return Ok(own_verb(&["cluster", "serve"])),
            KUBE => return Err(ParseError::NoKubeconfig),
            _ => {}
        }
        let (given, rest) = match text.split_once("=oci:") {
            Some((name, _)) if !name.starts_with("oci:") => (Some(name), &text[name.len() + 1..]),
            Some(_) | None => (None, text),
        };
        let line = rest
            .strip_prefix("oci:")
            .ok_or_else(|| ParseError::Unknown(text.into()))?;
        if let Some(name) = given {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(fits) || name == HOST || is_cluster(name) {
                return Err(ParseError::Name(name.into()));
            }
        }
        let mut argv = split(line).ok_or_else(|| ParseError::Quote(line.into()))?;
        let program = argv.first_mut().ok_or(ParseError::Empty)?;
        *program = found(program, path).ok_or_else(|| ParseError::NotFound(program.clone()))?;
        let name = given.unwrap_or_else(|| name(&argv)).to_owned();
        if is_cluster(&name) {
            return Err(ParseError::Name(name));
        }
        Ok(Self { name, argv, kube: None })
    }

    /// What others are compared with: as [`Subject::parse`], or the path of a runtime or of another plimsoll, of which
    /// the bundled runtime is meant. The program is asked for its version to tell them apart.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn reference(text: &str, own: &Path, path: &str) -> Result<Self, ParseError> {
        let mut subject = if text == "bundled" || text.starts_with("oci:") {
            Self::parse(text, own, path)?
        } else {
            let program = std::path::absolute(text).ok().filter(|program| program.is_file());
            let program = program.ok_or_else(|| ParseError::Reference(text.into()))?;
            let mut argv = vec![program.display().to_string()];
            let nowhere = Path::new("/dev/null");
            let client = oci_runtime_client::Client::new(&argv, nowhere, nowhere, VERSION_WITHIN);
            let version = client.version().unwrap_or_default();
            if version.starts_with("plimsoll ") {
                argv.push("oci".into());
            }
            Self {
                name: String::new(),
                argv,
                kube: None,
            }
        };
        subject.name = REFERENCE.into();
        Ok(subject)
    }

    /// The cluster behind a kubeconfig.
    pub fn kube(kube: Kube) -> Self {
        let mut argv = vec!["--kubeconfig".to_owned(), kube.kubeconfig.display().to_string()];
        if let Some(context) = &kube.context {
            argv.extend(["--context".to_owned(), context.clone()]);
        }
        Self {
            name: KUBE.into(),
            argv,
            kube: Some(kube),
        }
    }

    /// Whether it is in this program, and this is a build for debugging.
    pub fn is_debug_build(&self) -> bool {
        cfg!(debug_assertions) && (self.name == "bundled" || is_bundled_cluster(&self.name))
    }

    /// Which build of its program it is, as far as that can be told: the version often stays the same.
    pub(crate) fn build(&self) -> String {
        let program = self.argv.first().filter(|_| self.kube.is_none());
        program
            .and_then(|program| build::of(Path::new(program)))
            .unwrap_or_default()
    }

    /// The same program as what others are compared with.
    #[must_use]
    pub fn unwatched(self) -> Self {
        Self {
            name: REFERENCE.into(),
            ..self
        }
    }

    /// Whether it is a cluster.
    pub fn is_cluster(&self) -> bool {
        is_cluster(&self.name)
    }
}

/// The file name of the program; behind the saboteur, that of the runtime that it misleads, because what is known about
/// that one holds for it still.
fn name(argv: &[String]) -> &str {
    match argv {
        [_, word, rest @ ..] if word == "oci" && rest.is_empty() => "bundled",
        [_, word, rest @ ..] if word == "saboteur" => {
            let behind = rest.iter().position(|word| word == "--").map(|at| &rest[at + 1..]);
            behind.filter(|argv| !argv.is_empty()).map_or("saboteur", name)
        }
        [program, ..] => program.rsplit('/').next().unwrap_or(program),
        [] => "",
    }
}

impl Subject {
    /// The same subject behind the saboteur: it disobeys in one way, and what it changed is written down.
    pub(crate) fn disobeying(self, fault: &str, own: &Path) -> Self {
        // The bundled cluster is told of its faults in its configuration.
        if self.is_cluster() {
            return self;
        }
        let mut argv = vec![own.display().to_string()];
        argv.extend(["saboteur", "--fault", fault, "--log", crate::drive::FAULT_LOG, "--"].map(str::to_owned));
        argv.extend(self.argv.iter().cloned());
        Self { argv, ..self }
    }
}

fn found(program: &str, path: &str) -> Option<String> {
    if program.contains('/') {
        let absolute = std::path::absolute(program).ok()?;
        return absolute.is_file().then(|| absolute.display().to_string());
    }
    // /usr/sbin is where Debian puts runc, and not on every user's PATH.
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"])
        .filter(|d| !d.is_empty())
        .map(|d| Path::new(d).join(program))
        .find(|p| p.is_file())
        .map(|p| p.display().to_string())
}

fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        end if end == c => break,
                        '\\' if c == '"' => word.push(chars.next()?),
                        inner => word.push(inner),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        let words = split(r#"a 'b c' "d \"e\"" f\ g "#).unwrap();
        assert_eq!(words, ["a", "b c", "d \"e\"", "f g"]);
        assert_eq!(split("a 'b"), None);
    }

    #[test]
    fn a_subject_is_named_after_its_program() {
        let subject = Subject::parse("oci:/bin/sh -c x", Path::new("/p"), "").unwrap();
        assert_eq!((subject.name.as_str(), subject.argv.len()), ("sh", 3));
        assert_eq!(
            Subject::parse("bundled", Path::new("/p"), "").unwrap().argv,
            ["/p", "oci"]
        );
    }

    #[test]
    fn a_runtime_keeps_its_name_behind_the_saboteur() {
        let name = |text: &str| Subject::parse(text, Path::new("/p"), "").unwrap().name;
        assert_eq!(name("oci:/bin/sh saboteur --fault none -- /usr/sbin/runc"), "runc");
        assert_eq!(name("oci:/bin/sh saboteur --fault none -- /p/plimsoll oci"), "bundled");
        assert_eq!(name("oci:/bin/sh saboteur"), "saboteur");
    }

    #[test]
    fn a_subject_may_be_given_another_name() {
        let parse = |text: &str| Subject::parse(text, Path::new("/p"), "");
        let subject = parse("left=oci:/bin/sh -c a=oci:b").unwrap();
        assert_eq!((subject.name.as_str(), subject.argv.len()), ("left", 3));
        assert_eq!(parse("oci:/bin/sh a=oci:b").unwrap().name, "sh");
        for name in ["host", "", "a b", "a@b"] {
            assert_eq!(
                parse(&format!("{name}=oci:/bin/sh")),
                Err(ParseError::Name(name.into()))
            );
        }
    }

    #[test]
    fn a_reference_is_a_subject_or_a_program_that_is_asked_what_it_is() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let program = |name: &str, version: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\necho '{version}'\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path.display().to_string()
        };
        let (old, other) = (program("old", "plimsoll 0.0.9"), program("other", "runc version 1"));
        let reference =
            |text: &str| Subject::reference(text, Path::new("/p"), "").map(|subject| (subject.name, subject.argv));
        let of = |argv: &[&str]| {
            Ok((
                REFERENCE.to_owned(),
                argv.iter().map(|word| (*word).to_owned()).collect(),
            ))
        };
        assert_eq!(reference(&old), of(&[&old, "oci"]));
        assert_eq!(reference(&other), of(&[&other]));
        assert_eq!(reference("bundled"), of(&["/p", "oci"]));
        assert_eq!(reference("oci:/bin/sh -x"), of(&["/bin/sh", "-x"]));
        assert_eq!(reference("/no/such"), Err(ParseError::Reference("/no/such".into())));
        assert_eq!(reference("crun"), Err(ParseError::Reference("crun".into())));
    }

    #[test]
    fn what_is_no_subject_is_told() {
        let own = Path::new("/p");
        assert_eq!(
            Subject::parse("docker", own, ""),
            Err(ParseError::Unknown("docker".into()))
        );
        assert_eq!(Subject::parse("oci:", own, ""), Err(ParseError::Empty));
        assert_eq!(
            Subject::parse("oci:no-such-program", own, ""),
            Err(ParseError::NotFound("no-such-program".into()))
        );
    }
}
