//! Compiled profiles, kept between starts: reading one takes a tenth of the time of compiling it.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hasher};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::LinuxSeccomp;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;

use super::{Error, Program, compile};

/// Changes whenever the compiler gives another program for the same profile.
const VERSION: u64 = 1;
const MAGIC: &[u8; 8] = b"plimsecc";

/// [`compile`], or what it gave before, from `directory`.
///
/// The directory is made if it is not there. It is only used if it belongs to this user and nobody else may look into
/// it, and so for the files in it. A file holds the whole profile that it was made from, so that two profiles with the
/// same hash are not taken for each other. A cache that cannot be used is none, and no error.
///
/// # Errors
/// As [`compile`].
pub fn cached(profile: &LinuxSeccomp, directory: &Path) -> Result<Program, Error> {
    let Some(directory) = open_own(directory) else {
        return compile(profile);
    };
    let key = key(profile);
    let mut hasher = DefaultHasher::new();
    hasher.write(&key);
    let name = format!("{:016x}", hasher.finish());
    if let Some(program) = read(&directory, &name, &key) {
        return Ok(program);
    }
    let program = compile(profile)?;
    // A full disk costs the next start some time, not this one its success.
    if let Err(_unkept) = write(&directory, &name, &key, &program) {}
    Ok(program)
}

/// Everything that the program depends on, each text with its length so that no two profiles give the same bytes.
fn key(profile: &LinuxSeccomp) -> Vec<u8> {
    let mut key = Vec::with_capacity(16 * 1024);
    let number = |key: &mut Vec<u8>, number: u64| key.extend_from_slice(&number.to_ne_bytes());
    let option = |key: &mut Vec<u8>, value: Option<u64>| {
        key.push(u8::from(value.is_some()));
        key.extend_from_slice(&value.unwrap_or(0).to_ne_bytes());
    };
    let text = |key: &mut Vec<u8>, text: &[u8]| {
        key.extend_from_slice(&(text.len() as u64).to_ne_bytes());
        key.extend_from_slice(text);
    };
    number(&mut key, VERSION);
    number(&mut key, profile.default_action() as u64);
    option(&mut key, profile.default_errno_ret().map(u64::from));
    text(
        &mut key,
        profile
            .listener_path()
            .as_ref()
            .map_or(b"", |path| path.as_os_str().as_encoded_bytes()),
    );
    text(
        &mut key,
        profile.listener_metadata().as_deref().unwrap_or_default().as_bytes(),
    );
    number(&mut key, profile.architectures().iter().flatten().count() as u64);
    for &architecture in profile.architectures().iter().flatten() {
        number(&mut key, architecture as u64);
    }
    number(&mut key, profile.flags().iter().flatten().count() as u64);
    for &flag in profile.flags().iter().flatten() {
        number(&mut key, flag as u64);
    }
    number(&mut key, profile.syscalls().iter().flatten().count() as u64);
    for entry in profile.syscalls().iter().flatten() {
        number(&mut key, entry.action() as u64);
        option(&mut key, entry.errno_ret().map(u64::from));
        number(&mut key, entry.names().len() as u64);
        for name in entry.names() {
            text(&mut key, name.as_bytes());
        }
        number(&mut key, entry.args().iter().flatten().count() as u64);
        for argument in entry.args().iter().flatten() {
            number(&mut key, argument.index() as u64);
            number(&mut key, argument.value());
            option(&mut key, argument.value_two());
            number(&mut key, argument.op() as u64);
        }
    }
    key
}

/// The directory, if it is ours alone.
fn open_own(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            rustix::fs::mkdir(path, Mode::RWXU).ok()?;
            rustix::fs::open(path, flags, Mode::empty()).ok()?
        }
        opened => opened.ok()?,
    };
    is_own(&directory, FileType::Directory).then_some(directory)
}

fn is_own(file: impl AsFd, kind: FileType) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| {
        let mode = stat.st_mode as RawMode;
        stat.st_uid == rustix::process::geteuid().as_raw() && mode & 0o077 == 0 && FileType::from_raw_mode(mode) == kind
    })
}

fn read(directory: &OwnedFd, name: &str, key: &[u8]) -> Option<Program> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty()).ok()?;
    if !is_own(&file, FileType::RegularFile) {
        return None;
    }
    let size = usize::try_from(rustix::fs::fstat(&file).ok()?.st_size).ok()?;
    // A program is at most 32 KiB.
    if size > key.len() + 64 * 1024 {
        return None;
    }
    let mut content = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match rustix::io::read(&file, &mut content[filled..]) {
            Ok(0) => return None,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
    decode(&content, key)
}

/// Magic, length of the profile, profile, flags, number of instructions, instructions, check sum of all that.
fn decode(content: &[u8], key: &[u8]) -> Option<Program> {
    let (content, sum) = content.split_last_chunk::<8>()?;
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    if hasher.finish() != u64::from_ne_bytes(*sum) {
        return None;
    }
    let rest = content.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    if u64::from_ne_bytes(*length) != key.len() as u64 {
        return None;
    }
    let rest = rest.strip_prefix(key)?;
    let (flags, rest) = rest.split_first_chunk::<4>()?;
    let (words, []) = rest.as_chunks::<8>() else {
        return None;
    };
    let filter: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    (!filter.is_empty()).then_some(Program {
        flags: u32::from_ne_bytes(*flags),
        filter,
    })
}

fn encode(key: &[u8], program: &Program) -> Vec<u8> {
    let mut content = Vec::with_capacity(key.len() + 8 * program.filter.len() + 64);
    content.extend_from_slice(MAGIC);
    content.extend_from_slice(&(key.len() as u64).to_ne_bytes());
    content.extend_from_slice(key);
    content.extend_from_slice(&program.flags.to_ne_bytes());
    for word in &program.filter {
        content.extend_from_slice(&word.to_ne_bytes());
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    content.extend_from_slice(&hasher.finish().to_ne_bytes());
    content
}

/// Writes beside, then renames, so that a reader sees all of it or nothing.
fn write(directory: &OwnedFd, name: &str, key: &[u8], program: &Program) -> Result<(), Errno> {
    let beside = OsString::from(format!("{name}.{}", rustix::process::getpid().as_raw_nonzero()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &beside, flags, Mode::RUSR | Mode::WUSR)?;
    let content = encode(key, program);
    let mut left = content.as_slice();
    let written = loop {
        if left.is_empty() {
            break rustix::fs::renameat(directory, &beside, directory, name);
        }
        match rustix::io::write(&file, left) {
            Ok(0) => break Err(Errno::NOSPC),
            Ok(length) => left = &left[length..],
            Err(Errno::INTR) => {}
            Err(errno) => break Err(errno),
        }
    };
    if written.is_err() {
        rustix::fs::unlinkat(directory, &beside, AtFlags::empty())?;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::{cached, key, open_own};
    use oci_spec::runtime::LinuxSeccomp;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn profile() -> LinuxSeccomp {
        serde_json::from_str(include_str!("docker-default.json")).unwrap()
    }

    #[test]
    fn a_second_start_reads_what_the_first_compiled() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("seccomp");
        let first = cached(&profile(), &cache).unwrap();
        assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
        let files: Vec<_> = fs::read_dir(&cache)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let open = open_own(&cache).unwrap();
        let name = files[0].file_name().unwrap().to_str().unwrap();
        assert_eq!(super::read(&open, name, &key(&profile())), Some(first.clone()));
        assert_eq!(cached(&profile(), &cache).unwrap(), first);
    }

    #[test]
    fn a_damaged_or_foreign_file_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("seccomp");
        let first = cached(&profile(), &cache).unwrap();
        let file = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
        let good = fs::read(&file).unwrap();
        let open = open_own(&cache).unwrap();
        let name = file.file_name().unwrap().to_str().unwrap();
        for position in [0, 9, 100, good.len() / 2, good.len() - 9, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&file, &bad).unwrap();
            assert_eq!(super::read(&open, name, &key(&profile())), None, "byte {position}");
            assert_eq!(cached(&profile(), &cache).unwrap(), first);
        }
        fs::write(&file, &good[..good.len() / 2]).unwrap();
        assert_eq!(super::read(&open, name, &key(&profile())), None);
        fs::write(&file, &good).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(super::read(&open, name, &key(&profile())), None, "readable by others");
    }

    #[test]
    fn a_directory_that_others_may_enter_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("seccomp");
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, Permissions::from_mode(0o755)).unwrap();
        cached(&profile(), &cache).unwrap();
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
        let link = directory.path().join("link");
        fs::set_permissions(&cache, Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::symlink(&cache, &link).unwrap();
        cached(&profile(), &link).unwrap();
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    }

    #[test]
    fn profiles_that_differ_have_different_keys() {
        let mut other = profile();
        other.set_default_errno_ret(Some(38));
        assert_ne!(key(&profile()), key(&other));
    }
}
