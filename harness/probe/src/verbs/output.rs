//! Plain text in and out: `hello`, `stdin`, `id`, `cat`, `ls`, `pwd`.

use alloc::{format, string::String, vec::Vec};

use sys::freestanding::{
    descriptor, process,
    rustix::{
        io::{self, Errno},
        process::{getcwd, getgroups},
    },
};

use crate::{
    call::{self, Call, Failure},
    file,
};

fn write(bytes: &[u8]) -> Result<u8, Failure> {
    let stdout = descriptor::inherited(1).map_err(Failure::of("write to standard output"))?;
    call::write_all(stdout, bytes).map_err(Failure::of("write to standard output"))?;
    Ok(0)
}

/// Writes six bytes.
pub(super) fn hello(_call: &Call) -> Result<u8, Failure> {
    write(b"hello\n")
}

/// Copies standard input to standard output, and then tells how much it was.
pub(super) fn stdin(call: &Call) -> Result<u8, Failure> {
    let stdin = descriptor::inherited(0).map_err(Failure::of("read standard input"))?;
    let mut part = [0; 4096];
    let mut copied = 0_u64;
    loop {
        match io::read(stdin, &mut part) {
            Ok(0) => break,
            Ok(count) => {
                copied += count as u64;
                write(&part[..count])?;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::of("read standard input")(errno)),
        }
    }
    call.line(|json| json.key("copied").plain(copied))?;
    Ok(0)
}

/// Writes ids as `id -u`, `-g` and `-G` would, on one line.
pub(super) fn id(_call: &Call) -> Result<u8, Failure> {
    let [_, user, _] = process::user_ids();
    let [_, group, _] = process::group_ids();
    let groups = getgroups().map_err(Failure::of("ask for the groups"))?;
    let groups: Vec<String> = groups.iter().map(|group| format!("{}", group.as_raw())).collect();
    write(format!("uid={user} gid={group} groups={}\n", groups.join(",")).as_bytes())
}

/// Writes files.
pub(super) fn cat(call: &Call) -> Result<u8, Failure> {
    for path in call.words() {
        write(&file::read(path).map_err(Failure::of(format!("read `{path}`")))?)?;
    }
    Ok(0)
}

/// Writes the names in a directory, one a line.
pub(super) fn ls(call: &Call) -> Result<u8, Failure> {
    let path = call.words().next().unwrap_or(".");
    let (names, _) = file::names(path).map_err(Failure::of(format!("list `{path}`")))?;
    names
        .iter()
        .try_fold(0, |_, name| write(format!("{name}\n").as_bytes()))
}

/// Writes the working directory.
pub(super) fn pwd(_call: &Call) -> Result<u8, Failure> {
    let path = getcwd(Vec::new()).map_err(Failure::of("ask for the working directory"))?;
    write(path.to_bytes())?;
    write(b"\n")
}
