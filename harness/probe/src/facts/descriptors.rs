//! Open descriptors, terminals among them.

use alloc::{format, string::String, vec::Vec};

use sys::freestanding::{
    descriptor, device,
    rustix::fs::{self, FileType},
};

use crate::{file, json::Json};

/// How far to look for descriptors when there is no /proc.
const FAR: i32 = 1024;

/// The numbers of the open descriptors but the one that was opened to look.
pub(crate) fn open_numbers() -> Vec<i32> {
    match file::names("/proc/self/fd") {
        Ok((names, own)) => {
            let mut numbers: Vec<i32> = names
                .iter()
                .filter_map(|name| name.parse().ok())
                .filter(|number| *number != own)
                .collect();
            numbers.sort_unstable();
            numbers
        }
        Err(_) => (0..FAR)
            .filter(|number| descriptor::inherited(*number).is_ok())
            .collect(),
    }
}

/// What a file mode says about the kind of file.
pub(crate) fn kind(mode: u32) -> &'static str {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => "file",
        FileType::Directory => "directory",
        FileType::Symlink => "link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "char",
        FileType::BlockDevice => "block",
        FileType::Unknown => "anon",
    }
}

/// `fds: [{fd, target, type}]`; `target` is null without /proc.
pub(crate) fn open(json: &mut Json) {
    let numbers = open_numbers();
    json.key("fds").array(|json| {
        for number in numbers {
            let target = fs::readlink(format!("/proc/self/fd/{number}").as_str(), Vec::new()).ok();
            let stat = descriptor::inherited(number).and_then(fs::fstat).ok();
            json.object(|json| {
                json.key("fd").plain(number);
                json.key("target")
                    .bytes_or_null(target.as_ref().map(|target| target.to_bytes()));
                json.key("type")
                    .bytes_or_null(stat.map(|stat| kind(stat.st_mode).as_bytes()));
            });
        }
    });
}

/// `tty: {stdin, stdout, stderr}`: null, or `{rows, columns}` of the terminal.
pub(crate) fn terminals(json: &mut Json) {
    json.key("tty").object(|json| {
        for (number, name) in [(0, "stdin"), (1, "stdout"), (2, "stderr")] {
            match descriptor::inherited(number).and_then(device::window_size) {
                Ok((rows, columns)) => json.key(name).object(|json| {
                    json.key("rows").plain(rows);
                    json.key("columns").plain(columns);
                }),
                Err(_) => json.key(name).null(),
            }
        }
    });
}

/// The lines of a file, or null.
pub(crate) fn lines(json: &mut Json, path: &str) {
    match file::text(path) {
        Ok(text) => json.array(|json| text.lines().for_each(|line| json.string(line))),
        Err(_) => json.null(),
    }
}

/// The trimmed contents of a file.
pub(crate) fn trimmed(path: &str) -> Option<String> {
    file::text(path).ok().map(|text| String::from(text.trim()))
}
