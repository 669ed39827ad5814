//! Reading logs back: the last lines, those since a time, with or without times, up to so many bytes.

use std::time::SystemTime;

use objects::time;

/// What of a log is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Lines from the end.
    pub(crate) tail: Option<usize>,
    /// Only what was written from then on.
    pub(crate) since: Option<SystemTime>,
    /// With the time of each line.
    pub(crate) timestamps: bool,
    /// At most so many bytes.
    pub(crate) limit: Option<usize>,
}

/// Turns the lines of a log file into what is shown, in pieces as the file grows.
#[derive(Debug)]
pub(crate) struct Reader {
    wanted: Wanted,
    rest: Vec<u8>,
    first: bool,
    /// The line before was a part, so that the next goes on where it ended.
    within: bool,
    sent: usize,
}

struct Entry<'a> {
    time: &'a [u8],
    partial: bool,
    text: &'a [u8],
}

fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let (time, _stream, tag, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Entry {
        time,
        partial: tag == b"P",
        text,
    })
}

impl Reader {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            rest: Vec::new(),
            first: true,
            within: false,
            sent: 0,
        }
    }

    /// Whether the limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.wanted.limit.is_some_and(|limit| self.sent >= limit)
    }

    /// Takes what was read of the file. The first call must bring all that is there, because lines are counted from its end.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(bytes);
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        let mut lines: Vec<Entry<'_>> = text.split(|byte| *byte == b'\n').filter_map(parse).collect();
        if let Some(since) = self.wanted.since {
            lines.retain(|line| {
                let at = std::str::from_utf8(line.time).ok().and_then(time::parse);
                at.is_none_or(|at| at >= since)
            });
        }
        if std::mem::take(&mut self.first)
            && let Some(tail) = self.wanted.tail
        {
            let mut left = tail;
            let mut from = lines.len();
            for (at, line) in lines.iter().enumerate().rev() {
                if !line.partial || at + 1 == lines.len() {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                }
                from = at;
            }
            lines.drain(..from);
        }
        let mut out = Vec::new();
        for line in lines {
            if self.wanted.timestamps && !self.within {
                out.extend_from_slice(line.time);
                out.push(b' ');
            }
            out.extend_from_slice(line.text);
            if !line.partial {
                out.push(b'\n');
            }
            self.within = line.partial;
        }
        if let Some(limit) = self.wanted.limit {
            out.truncate(limit.saturating_sub(self.sent));
        }
        self.sent += out.len();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"2026-01-01T00:00:01.000000001Z stdout F one\n2026-01-01T00:00:02.000000000Z stdout P tw\n\
        2026-01-01T00:00:02.000000001Z stdout F o\n2026-01-01T00:00:03.000000000Z stderr F three\n";

    fn read(wanted: Wanted) -> String {
        String::from_utf8(Reader::new(wanted).take(FILE)).unwrap()
    }

    #[test]
    fn parts_become_lines_again() {
        assert_eq!(read(Wanted::default()), "one\ntwo\nthree\n");
    }

    #[test]
    fn the_last_lines_are_counted_as_they_were_written() {
        let tail = |count| {
            read(Wanted {
                tail: Some(count),
                ..Wanted::default()
            })
        };
        assert_eq!(
            (tail(0).as_str(), tail(1).as_str(), tail(2).as_str()),
            ("", "three\n", "two\nthree\n")
        );
    }

    #[test]
    fn times_since_and_limit() {
        let since = time::parse("2026-01-01T00:00:03Z");
        assert_eq!(
            read(Wanted {
                since,
                timestamps: true,
                ..Wanted::default()
            }),
            "2026-01-01T00:00:03.000000000Z three\n"
        );
        assert_eq!(
            read(Wanted {
                limit: Some(5),
                ..Wanted::default()
            }),
            "one\nt"
        );
    }

    #[test]
    fn a_file_that_grows_is_read_line_by_line() {
        let mut reader = Reader::new(Wanted::default());
        assert_eq!(reader.take(&FILE[..50]), b"one\n");
        assert_eq!(reader.take(&FILE[50..]), b"two\nthree\n");
    }
}
