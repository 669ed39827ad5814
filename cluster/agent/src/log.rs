//! Container logs in the CRI format: `TIME STREAM TAG TEXT`, one file for each run of a container.
//!
//! See <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>.

pub(crate) mod read;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

/// A longer line is written in parts.
const LONGEST: usize = 16 << 10;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

/// The log of one run of a container.
#[derive(Debug)]
pub(crate) struct Log {
    file: Mutex<File>,
    grown: watch::Sender<u64>,
}

impl Log {
    /// Opens it for appending.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(Self {
            file: Mutex::new(file),
            grown: watch::Sender::new(0),
        })
    }

    /// Changes whenever something was written.
    pub(crate) fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    fn append(&self, text: &[u8]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A disk that is full loses lines; the container goes on.
        let _lost = file.write_all(text).is_err();
        drop(file);
        self.grown.send_modify(|count| *count += 1);
    }
}

/// Cuts what a container writes into lines.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: Stream,
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// Takes bytes and writes the lines that are whole.
    pub(crate) fn take(&mut self, bytes: &[u8], now: SystemTime, log: &Log) {
        let text = self.cut(bytes, now);
        if !text.is_empty() {
            log.append(&text);
        }
    }

    /// Writes what has no end, because nothing more comes.
    pub(crate) fn end(&mut self, now: SystemTime, log: &Log) {
        if !self.rest.is_empty() {
            let mut text = Vec::new();
            entry(&mut text, now, self.stream, "P", &std::mem::take(&mut self.rest));
            log.append(&text);
        }
    }

    fn cut(&mut self, bytes: &[u8], now: SystemTime) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let mut text = Vec::new();
        let mut from = 0;
        loop {
            let rest = &self.rest[from..];
            let line = rest.iter().take(LONGEST + 1).position(|byte| *byte == b'\n');
            match line {
                Some(at) => {
                    entry(&mut text, now, self.stream, "F", &rest[..at]);
                    from += at + 1;
                }
                None if rest.len() > LONGEST => {
                    entry(&mut text, now, self.stream, "P", &rest[..LONGEST]);
                    from += LONGEST;
                }
                None => break,
            }
        }
        self.rest.drain(..from);
        text
    }
}

fn entry(text: &mut Vec<u8>, now: SystemTime, stream: Stream, tag: &str, line: &[u8]) {
    let time = humantime::format_rfc3339_nanos(now);
    text.extend(format!("{time} {} {tag} ", stream.word()).as_bytes());
    text.extend_from_slice(line);
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let now = UNIX_EPOCH + Duration::new(1_000_000_000, 5);
        let mut lines = Lines::new(Stream::Out);
        assert_eq!(lines.cut(b"he", now), b"");
        let text = String::from_utf8(lines.cut(b"llo\nworld\npart", now)).unwrap();
        assert_eq!(
            text,
            "2001-09-09T01:46:40.000000005Z stdout F hello\n2001-09-09T01:46:40.000000005Z stdout F world\n"
        );
        assert_eq!(lines.rest, b"part");
    }

    #[test]
    fn a_line_that_is_too_long_is_written_in_parts() {
        let mut lines = Lines::new(Stream::Err);
        let long = [vec![b'x'; LONGEST * 2 + 3], b"\n".to_vec()].concat();
        let text = String::from_utf8(lines.cut(&long, UNIX_EPOCH)).unwrap();
        let tags: Vec<&str> = text.lines().filter_map(|line| line.split(' ').nth(2)).collect();
        assert_eq!(tags, ["P", "P", "F"]);
        assert!(text.lines().all(|line| line.contains(" stderr ")));
    }
}
