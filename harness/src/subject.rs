//! What is under test: an argument vector.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A subject on its command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `bundled`, the file name of the program, or the name that was given with it.
    pub name: String,
    /// Program and leading arguments.
    pub argv: Vec<String>,
}

/// Why a `--subject` is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Neither `bundled` nor `oci:…`.
    #[error("unknown subject `{0}`: expected `bundled`, `oci:ARGV…` or `NAME=oci:ARGV…`")]
    Unknown(String),
    /// The name in front of `=` cannot be part of the id of a case.
    #[error("`{0}` cannot name a subject: expected letters, digits, `-`, `_` and `.`, but not `host`")]
    Name(String),
    /// `oci:` and nothing behind it.
    #[error("`oci:` names no runtime: expected `oci:ARGV…`, such as `oci:runc`")]
    Empty,
    /// A quote is not closed.
    #[error("a quote in `{0}` is not closed")]
    Quote(String),
    /// The program is not there.
    #[error("there is no program `{0}` on the PATH")]
    NotFound(String),
}

impl Subject {
    /// Reads `bundled`, `oci:ARGV…` or `NAME=oci:ARGV…`, words split as a shell does. `own` is this program's executable, `path` the
    /// value of `PATH`.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(text: &str, own: &Path, path: &str) -> Result<Self, ParseError> {
        if text == "bundled" {
            return Ok(Self {
                name: text.into(),
                argv: vec![own.display().to_string(), "oci".into()],
            });
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
            if name.is_empty() || !name.chars().all(fits) || name == crate::plan::HOST {
                return Err(ParseError::Name(name.into()));
            }
        }
        let mut argv = split(line).ok_or_else(|| ParseError::Quote(line.into()))?;
        let program = argv.first_mut().ok_or(ParseError::Empty)?;
        *program = found(program, path).ok_or_else(|| ParseError::NotFound(program.clone()))?;
        let name = given.unwrap_or_else(|| name(&argv)).to_owned();
        Ok(Self { name, argv })
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
        let mut argv = vec![own.display().to_string()];
        argv.extend(["saboteur", "--fault", fault, "--log", crate::drive::FAULT_LOG, "--"].map(str::to_owned));
        argv.extend(self.argv);
        Self { name: self.name, argv }
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
