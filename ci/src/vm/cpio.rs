//! The archive that the kernel unpacks into its first root: cpio in the "new ASCII" format.
//!
//! See <https://www.kernel.org/doc/html/latest/driver-api/early-userspace/buffer-format.html>.

/// An archive that grows.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    inode: usize,
}

const FOLDER: usize = 0o040_755;
const PROGRAM: usize = 0o100_755;

impl Archive {
    /// Adds a folder; those above it come first.
    pub(super) fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER, &[]);
    }

    /// Adds a file that may be executed.
    pub(super) fn file(&mut self, path: &str, contents: &[u8]) {
        self.entry(path, PROGRAM, contents);
    }

    /// All of it.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: usize, contents: &[u8]) {
        self.inode += 1;
        let links = 1;
        // Inode, mode, uid, gid, links, mtime, size, device of the file (2), device that it is (2), length of the name
        // with its null byte, and a checksum that this format does not use.
        let fields = [
            self.inode,
            mode,
            0,
            0,
            links,
            0,
            contents.len(),
            0,
            0,
            0,
            0,
            path.len() + 1,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_contents_each_padded_to_four_bytes() {
        let mut archive = Archive::default();
        archive.file("init", b"hello");
        let bytes = archive.finish();
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[14..22], b"000081ed");
        assert_eq!(&bytes[54..62], b"00000005");
        assert_eq!(&bytes[94..102], b"00000005");
        assert_eq!(&bytes[110..124], b"init\0\0hello\0\0\0");
        assert_eq!(&bytes[124..130], b"070701");
        assert!(bytes.len().is_multiple_of(4));
    }
}
