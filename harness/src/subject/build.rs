//! Which build of a program it is: what a version that stays the same from build to build does not tell.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Type of the note that has the id (`NT_GNU_BUILD_ID`, `elf.h`).
const BUILD_ID: u32 = 3;

/// Type of a segment that has notes (`PT_NOTE`, `elf(5)`).
const NOTES: u32 = 4;

/// Most bytes of notes that are read; there are some dozens.
const MOST: u64 = 1 << 16;

/// The id that the linker wrote into the file (`ld(1)`, `--build-id`), hex; without one, `sha256:` and the first half of the
/// file's hash. None of what cannot be read.
pub(crate) fn of(program: &Path) -> Option<String> {
    let file = File::open(program).ok()?;
    if let Ok(Some(id)) = linked(&file) {
        return Some(hex(&id));
    }
    let hash = hashed(file).ok()?;
    Some(format!("sha256:{}", hex(&hash[..hash.len() / 2])))
}

/// The id in the notes of an executable of 64 bits (`elf(5)`), if it is one and has one.
fn linked(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0)?;
    // Little-endian, as all machines are that this program is built for.
    if header[..6] != *b"\x7fELF\x02\x01" {
        return Ok(None);
    }
    let (at, size, count) = (long(&header, 32), short(&header, 54), short(&header, 56));
    for number in 0..u64::from(count) {
        let mut segment = [0; 56];
        file.read_exact_at(&mut segment, at.saturating_add(number * u64::from(size)))?;
        if word(&segment, 0) != NOTES {
            continue;
        }
        let (from, length) = (long(&segment, 8), long(&segment, 32).min(MOST));
        let mut notes = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut notes, from)?;
        if let Some(id) = noted(&notes) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The id among notes, each of which is its sizes, its type, its owner and its description.
fn noted(mut notes: &[u8]) -> Option<Vec<u8>> {
    while notes.len() >= 12 {
        let [owner, description] = [word(notes, 0), word(notes, 4)].map(|size| usize::try_from(size).ok());
        let kind = word(notes, 8);
        let begin = 12 + owner?.checked_next_multiple_of(4)?;
        let end = begin.checked_add(description?)?;
        if kind == BUILD_ID && notes.get(12..16) == Some(b"GNU\0") {
            return Some(notes.get(begin..end)?.to_vec());
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
    None
}

fn hashed(mut file: File) -> io::Result<Vec<u8>> {
    let mut digest = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut part)? {
            0 => return Ok(digest.finalize().to_vec()),
            count => digest.update(&part[..count]),
        }
    }
}

/// Of bytes that are there, or 0.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let part = bytes.get(at..at + N).and_then(|part| part.try_into().ok());
    part.unwrap_or([0; N])
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(owner: &[u8], kind: u32, description: &[u8]) -> Vec<u8> {
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let mut note = [size(owner), size(description), kind.to_le_bytes()].concat();
        for part in [owner, description] {
            note.extend_from_slice(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    /// A file with a header, a segment that is none of notes, and one that is.
    fn executable(notes: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64 + 2 * 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = 2;
        file[64] = 1;
        let segment = 64 + 56;
        file[segment] = 4;
        file[segment + 8] = 64 + 2 * 56;
        file[segment + 32] = u8::try_from(notes.len()).unwrap();
        file.extend_from_slice(notes);
        file
    }

    fn told(bytes: &[u8]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        std::fs::write(&path, bytes).unwrap();
        of(&path)
    }

    #[test]
    fn the_linkers_id_is_found_behind_other_notes() {
        let notes = [
            note(b"GNU\0", 1, &[1; 16]),
            note(b"Go\0\0", 4, b"x"),
            note(b"GNU\0", 3, &[0xab, 0xcd, 7]),
        ]
        .concat();
        assert_eq!(told(&executable(&notes)).as_deref(), Some("abcd07"));
    }

    #[test]
    fn a_file_without_an_id_is_told_by_its_hash() {
        let script = told(b"#!/bin/sh").unwrap();
        assert_eq!(script.len(), "sha256:".len() + 32, "{script}");
        assert_ne!(Some(script), told(b"#!/bin/sh\n"));
        let without = executable(&note(b"GNU\0", 1, &[1; 16]));
        assert!(told(&without).unwrap().starts_with("sha256:"));
        assert_eq!(of(Path::new("/no/such/program")), None);
    }

    #[test]
    fn notes_that_are_cut_off_or_lie_about_their_sizes_are_none() {
        let whole = note(b"GNU\0", 3, &[1; 20]);
        for length in 0..whole.len() {
            assert_eq!(noted(&whole[..length]), None, "{length}");
        }
        assert_eq!(noted(&[0xff; 64]), None);
        let cut = executable(&whole);
        assert!(told(&cut[..cut.len() - 4]).unwrap().starts_with("sha256:"));
    }
}
