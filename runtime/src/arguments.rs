//! A small parser for the command line: options of a fixed list, then words.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// An option that a verb knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its long name, without dashes.
    pub(crate) name: &'static str,
    /// Its letter.
    pub(crate) short: Option<char>,
    /// The name of its value, if it takes one.
    pub(crate) value: Option<&'static str>,
    /// What it is for.
    pub(crate) help: &'static str,
}

/// An option without a value.
pub(crate) const fn switch(name: &'static str, short: Option<char>, help: &'static str) -> Flag {
    Flag {
        name,
        short,
        value: None,
        help,
    }
}

/// An option with a value.
pub(crate) const fn value(name: &'static str, short: Option<char>, value: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        short,
        value: Some(value),
        help,
    }
}

/// The options and words of a verb.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    switches: HashMap<&'static str, bool>,
    values: HashMap<&'static str, Vec<OsString>>,
    /// What is not an option.
    pub(crate) words: Vec<OsString>,
}

impl Arguments {
    /// Parses until the words are `stop_after`, if that is given: what follows then are words, whatever they look like.
    /// Returns what is left of the arguments as well.
    pub(crate) fn parse(flags: &[Flag], args: &[OsString], stop_after: Option<usize>) -> Result<(Arguments, usize)> {
        let mut parsed = Arguments::default();
        let mut at = 0;
        while at < args.len() {
            let argument = &args[at];
            if stop_after.is_some_and(|n| parsed.words.len() >= n) {
                break;
            }
            let text = argument.to_str();
            at += 1;
            match text {
                Some("--") => {
                    parsed.words.extend_from_slice(&args[at..]);
                    return Ok((parsed, args.len()));
                }
                Some(text) if text.starts_with("--") => at = parsed.long(flags, &text[2..], args, at)?,
                // A single dash is standard input, and a negative number no option.
                Some(text) if text.len() > 1 && text.starts_with('-') => {
                    at = parsed.short(flags, &text[1..], args, at)?
                }
                _ => parsed.words.push(argument.clone()),
            }
        }
        Ok((parsed, at))
    }

    fn long(&mut self, flags: &[Flag], text: &str, args: &[OsString], at: usize) -> Result<usize> {
        let (name, given) = text
            .split_once('=')
            .map_or((text, None), |(name, value)| (name, Some(value)));
        let flag = flags.iter().find(|f| f.name == name);
        let flag = flag.ok_or_else(|| Error::usage(format!("unknown option `--{name}`")))?;
        self.take(flag, &format!("--{name}"), given.map(OsString::from), args, at)
    }

    fn short(&mut self, flags: &[Flag], text: &str, args: &[OsString], mut at: usize) -> Result<usize> {
        // `-root x` is as good as `--root x`: some callers write it so.
        let (name, given) = text
            .split_once('=')
            .map_or((text, None), |(name, value)| (name, Some(value)));
        if name.len() > 1
            && let Some(flag) = flags.iter().find(|f| f.name == name)
        {
            return self.take(flag, &format!("-{name}"), given.map(OsString::from), args, at);
        }
        for (i, letter) in text.char_indices() {
            let flag = flags.iter().find(|f| f.short == Some(letter));
            let flag = flag.ok_or_else(|| Error::usage(format!("unknown option `-{letter}`")))?;
            let rest = &text[i + letter.len_utf8()..];
            if flag.value.is_some() && !rest.is_empty() {
                let rest = rest.strip_prefix('=').unwrap_or(rest);
                return self.take(flag, &format!("-{letter}"), Some(rest.into()), args, at);
            }
            at = self.take(flag, &format!("-{letter}"), None, args, at)?;
        }
        Ok(at)
    }

    fn take(
        &mut self,
        flag: &Flag,
        written: &str,
        given: Option<OsString>,
        args: &[OsString],
        mut at: usize,
    ) -> Result<usize> {
        if flag.value.is_none() {
            let on = match given.as_deref().and_then(|g| g.to_str()) {
                None if given.is_none() => true,
                Some("true" | "1") => true,
                Some("false" | "0") => false,
                _ => return Err(Error::usage(format!("option `{written}` takes no value"))),
            };
            self.switches.insert(flag.name, on);
            return Ok(at);
        }
        let value = match given {
            Some(value) => value,
            None => {
                let next = args.get(at).cloned();
                at += 1;
                next.ok_or_else(|| Error::usage(format!("option `{written}` needs a value")))?
            }
        };
        self.values.entry(flag.name).or_default().push(value);
        Ok(at)
    }

    /// Whether a switch is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.switches.get(name).copied().unwrap_or(false)
    }

    /// The last value of an option.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.values.get(name).and_then(|v| v.last()).map(PathBuf::from)
    }

    /// The last value of an option, as text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some(value) = self.values.get(name).and_then(|v| v.last()) else {
            return Ok(None);
        };
        value
            .to_str()
            .map(Some)
            .ok_or_else(|| Error::usage(format!("option `--{name}`: the value is not UTF-8")))
    }

    /// All values of an option, as text.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>> {
        let values = self.values.get(name).map(Vec::as_slice).unwrap_or_default();
        let text = |value: &OsString| {
            let text = value.to_str().map(String::from);
            text.ok_or_else(|| Error::usage(format!("option `--{name}`: the value is not UTF-8")))
        };
        values.iter().map(text).collect()
    }

    /// The last value of an option, as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let wrong = |_| Error::usage(format!("option `--{name}`: `{text}` is not a number"));
        text.parse().map(Some).map_err(wrong)
    }

    /// The only word: the container's name.
    pub(crate) fn id(&self) -> Result<String> {
        match self.words.as_slice() {
            [] => Err(Error::usage("the container's name is missing")),
            [id] => word(id),
            [_, extra, ..] => Err(Error::usage(format!("unexpected argument `{}`", extra.display()))),
        }
    }
}

/// A word as text.
pub(crate) fn word(word: &OsString) -> Result<String> {
    word.to_str()
        .map(String::from)
        .ok_or_else(|| Error::usage(format!("`{}` is not UTF-8", word.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [Flag; 4] = [
        value("bundle", Some('b'), "DIR", ""),
        switch("detach", Some('d'), ""),
        switch("tty", Some('t'), ""),
        value("env", Some('e'), "VAR", ""),
    ];

    fn parse(words: &[&str]) -> Result<Arguments> {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        Arguments::parse(&FLAGS, &args, None).map(|(parsed, _)| parsed)
    }

    #[test]
    fn values_follow_or_are_attached() {
        for words in [
            &["--bundle", "/x", "id"][..],
            &["--bundle=/x", "id"],
            &["-b", "/x", "id"],
            &["-b/x", "id"],
        ] {
            let parsed = parse(words).unwrap();
            assert_eq!(parsed.path("bundle"), Some("/x".into()), "{words:?}");
            assert_eq!(parsed.id().unwrap(), "id");
        }
    }

    #[test]
    fn letters_may_stand_together() {
        let parsed = parse(&["-dt", "-eA=1", "-e", "B=2"]).unwrap();
        assert!(parsed.on("detach") && parsed.on("tty"));
        assert_eq!(parsed.texts("env").unwrap(), ["A=1", "B=2"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parse(&["--frob"]).unwrap_err().to_string(), "unknown option `--frob`");
        assert_eq!(parse(&["-b"]).unwrap_err().to_string(), "option `-b` needs a value");
        assert_eq!(
            parse(&["a", "b"]).unwrap().id().unwrap_err().to_string(),
            "unexpected argument `b`"
        );
    }

    #[test]
    fn after_the_words_that_are_counted_nothing_is_an_option() {
        let args: Vec<OsString> = ["-t", "id", "ls", "-la"].iter().map(OsString::from).collect();
        let (parsed, at) = Arguments::parse(&FLAGS, &args, Some(1)).unwrap();
        assert_eq!((parsed.id().unwrap().as_str(), at), ("id", 2));
    }
}
