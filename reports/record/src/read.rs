//! Reading a record back.

use std::io::BufRead;

use crate::{Event, VERSION};

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("failed to read line {line} of the record")]
    Read {
        /// Line, from 1.
        line: usize,
        /// Cause.
        source: std::io::Error,
    },
    /// A line is not an event.
    #[error("line {line} of the record is not an event of version {VERSION}")]
    Parse {
        /// Line, from 1.
        line: usize,
        /// Cause.
        source: serde_json::Error,
    },
    /// The record is newer than this program.
    #[error("the record has version {found}, this plimsoll reads up to {VERSION}")]
    Newer {
        /// Version found.
        found: u64,
    },
    /// The first line is not the `run` event.
    #[error("the file does not begin with a `run` event: it is not a record of plimsoll")]
    NotARecord,
}

/// Reads every event. A last line that was cut off by a crash is left out.
///
/// # Errors
/// [`ReadError`] if the file is no record, is newer, or has a damaged line before its last.
pub fn read(input: impl BufRead) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    let mut lines = input.lines().enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        let text = line.map_err(|source| ReadError::Read { line: n + 1, source })?;
        if n == 0 {
            let head: serde_json::Value = serde_json::from_str(&text).map_err(|_| ReadError::NotARecord)?;
            if head["event"] != "run" {
                return Err(ReadError::NotARecord);
            }
            match head["version"].as_u64() {
                Some(found) if found > u64::from(VERSION) => return Err(ReadError::Newer { found }),
                Some(_) => {}
                None => return Err(ReadError::NotARecord),
            }
        }
        match serde_json::from_str(&text) {
            Ok(event) => events.push(event),
            Err(_) if n > 0 && lines.peek().is_none() => break,
            Err(source) => return Err(ReadError::Parse { line: n + 1, source }),
        }
    }
    if events.is_empty() {
        Err(ReadError::NotARecord)
    } else {
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"event":"run","version":1,"id":"1","started":"","plimsoll":"","argv":[],"host":{"kernel":"","machine":"","cpu":"","cpus":1,"memory":1,"cgroup":"v1","uid":0},"subjects":[]}"#;

    #[test]
    fn a_newer_record_is_told_and_not_guessed() {
        let newer = HEAD.replace("\"version\":1", "\"version\":99");
        assert!(matches!(read(newer.as_bytes()), Err(ReadError::Newer { found: 99 })));
    }

    #[test]
    fn a_line_cut_off_by_a_crash_is_left_out() {
        let cut = format!("{HEAD}\n{{\"event\":\"caseE");
        assert_eq!(read(cut.as_bytes()).unwrap().len(), 1);
        let damaged = format!("{HEAD}\n{{\"event\":\"caseE\n{HEAD}");
        assert!(matches!(
            read(damaged.as_bytes()),
            Err(ReadError::Parse { line: 2, .. })
        ));
    }

    #[test]
    fn another_file_is_no_record() {
        for text in ["", "{}", "hello\n", "{\"event\":\"look\"}"] {
            assert!(matches!(read(text.as_bytes()), Err(ReadError::NotARecord)), "{text}");
        }
    }
}
