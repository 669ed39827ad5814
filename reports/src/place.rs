//! Where a check stands in its spec file.

use crate::run::{Case, Outcome};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// The spec file, as it was given to the run.
    pub(crate) file: &'a str,
    /// Line and column, both from 1; none of a failure that belongs to no check of the spec.
    pub(crate) at: Option<(u32, u32)>,
}

impl<'a> Place<'a> {
    /// That of a check; of its case's file if nothing more is known.
    pub(crate) fn of(case: &Case<'a>, outcome: &Outcome<'a>) -> Self {
        Self::parse(outcome.at).unwrap_or(Self {
            file: &case.header.file,
            at: None,
        })
    }

    /// Takes `file:line:column` apart; the file's name may have colons, too.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.rsplitn(3, ':');
        let column = parts.next()?.parse().ok().filter(|column| *column > 0)?;
        let line = parts.next()?.parse().ok().filter(|line| *line > 0)?;
        let file = parts.next().filter(|file| !file.is_empty())?;
        Some(Self {
            file,
            at: Some((line, column)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_all_but_the_last_two_numbers() {
        let place = Place::parse("specs/a:b.yaml:10:7").unwrap();
        assert_eq!((place.file, place.at), ("specs/a:b.yaml", Some((10, 7))));
        for none in [
            "",
            "specs/a.yaml",
            "specs/a.yaml:10",
            ":1:2",
            "a:0:1",
            "a:1:x",
            "a:-1:2",
        ] {
            assert_eq!(Place::parse(none), None, "{none}");
        }
    }
}
