//! All files of a volume change at once: they lie in a directory of their own, and one symbolic link says which.
//!
//! `..TIME/` holds the files, `..data` leads to it, and each name leads through `..data`. Replacing `..data` by rename(2)
//! replaces everything.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::SystemTime;

use super::payload::Payload;

const DATA: &str = "..data";
const FRESH: &str = "..data_tmp";

/// Whether the volume shows just this.
fn shows(directory: &Path, payload: &Payload) -> bool {
    let data = directory.join(DATA);
    let mut count = 0;
    let same = payload.iter().all(|(path, file)| {
        let at = data.join(path);
        std::fs::read(&at).is_ok_and(|bytes| bytes == file.bytes)
    });
    walk(&data, &mut |_| count += 1);
    same && count == payload.len() && data.exists()
}

fn walk(directory: &Path, seen: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), seen),
            _ => seen(&entry.path()),
        }
    }
}

/// Makes the volume show `payload`. Answers whether anything changed.
pub(crate) fn write(directory: &Path, payload: &Payload, group: Option<u32>, now: SystemTime) -> io::Result<bool> {
    if shows(directory, payload) {
        return Ok(false);
    }
    let before = std::fs::read_link(directory.join(DATA)).ok();
    let stamp = humantime::format_rfc3339_nanos(now)
        .to_string()
        .replace(['-', ':', 'T'], "_");
    let name = format!("..{}", stamp.trim_end_matches('Z'));
    let fresh = directory.join(&name);
    let mode = if group.is_some() { 0o2755 } else { 0o755 };
    make_directory(&fresh, mode, group)?;
    for (path, file) in payload {
        let mut above = fresh.clone();
        for part in Path::new(path).parent().into_iter().flat_map(Path::components) {
            above.push(part);
            if !above.exists() {
                make_directory(&above, mode, group)?;
            }
        }
        let at = fresh.join(path);
        let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
        let mut options = std::fs::File::options();
        let mut made = options.write(true).create_new(true).mode(0o600).open(&at)?;
        io::Write::write_all(&mut made, &file.bytes)?;
        if let Some(group) = group {
            chown(&at, None, Some(group))?;
        }
        std::fs::set_permissions(&at, std::fs::Permissions::from_mode(mode))?;
    }
    match std::fs::remove_file(directory.join(FRESH)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(&name, directory.join(FRESH))?;
    std::fs::rename(directory.join(FRESH), directory.join(DATA))?;

    let tops: BTreeSet<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    for top in &tops {
        match symlink(Path::new(DATA).join(top), directory.join(top)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    for entry in std::fs::read_dir(directory)?.flatten() {
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        if !shown.starts_with("..") && !tops.contains(&*shown) {
            std::fs::remove_file(entry.path())?;
        }
    }
    if let Some(before) = before.filter(|before| *before != Path::new(&name)) {
        std::fs::remove_dir_all(directory.join(before))?;
    }
    Ok(true)
}

fn make_directory(path: &Path, mode: u32, group: Option<u32>) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o755).create(path)?;
    if let Some(group) = group {
        chown(path, None, Some(group))?;
    }
    // The process' umask has taken part in the making.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::payload::File;
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |text: &str| File {
            bytes: text.as_bytes().to_vec(),
            mode: 0o640,
        };
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), file(text)))
            .collect()
    }

    #[test]
    fn files_change_all_at_once_and_the_old_are_gone() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| std::fs::read_to_string(directory.path().join(name)).ok();
        let now = UNIX_EPOCH + Duration::from_secs(5);
        let first = payload(&[("a", "1"), ("deep/b", "2")]);
        assert!(write(directory.path(), &first, None, now).unwrap());
        assert_eq!((at("a"), at("deep/b")), (Some("1".into()), Some("2".into())));
        let mode = std::fs::metadata(directory.path().join("a"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);

        assert!(
            !write(directory.path(), &first, None, now).unwrap(),
            "nothing changed, nothing is written"
        );
        let second = payload(&[("a", "3"), ("c", "4")]);
        assert!(write(directory.path(), &second, None, now + Duration::from_secs(1)).unwrap());
        assert_eq!(
            (at("a"), at("deep/b"), at("c")),
            (Some("3".into()), None, Some("4".into()))
        );
        let mut names: Vec<String> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["..1970_01_01_00_00_06.000000000", "..data", "a", "c"]);
    }
}
