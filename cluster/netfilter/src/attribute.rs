//! Attributes of netlink messages: type, length, value, to multiples of four bytes. See `netlink(7)`.

use netlink_packet_core::NlasIterator;

/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;
/// Bytes of an attribute before its value.
const HEADER: usize = 4;

/// Messages that are being written. Integers are in network byte order, as all of netfilter's are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that are no attribute: headers.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Overwrites what was written before.
    pub(crate) fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn head(&mut self, kind: u16, length: usize) {
        // A length that does not fit is one that the kernel refuses.
        let length = u16::try_from(HEADER + length).unwrap_or(u16::MAX);
        self.raw(&length.to_ne_bytes());
        self.raw(&kind.to_ne_bytes());
    }

    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        self.head(kind, value.len());
        self.raw(value);
        self.pad();
    }

    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.head(kind, value.len() + 1);
        self.raw(value.as_bytes());
        self.raw(&[0]);
        self.pad();
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, kind: u16, value: u64) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Attributes in an attribute.
    pub(crate) fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) {
        let begin = self.len();
        self.head(kind | NESTED, 0);
        inside(self);
        let length = u16::try_from(self.len() - begin).unwrap_or(u16::MAX);
        self.patch(begin, &length.to_ne_bytes());
    }
}

/// Attributes that were read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// Each attribute's type and value, up to the first that is damaged.
    pub(crate) fn all(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        NlasIterator::new(self.0).map_while(|attribute| {
            let attribute = attribute.ok()?;
            let kind = attribute.kind();
            let length = usize::from(attribute.length());
            // The value borrows from the buffer, not from the view of it.
            let bytes = attribute.into_inner();
            Some((kind, bytes.get(HEADER..length)?))
        })
    }

    pub(crate) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.all().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }

    pub(crate) fn nested(self, kind: u16) -> Option<Self> {
        self.get(kind).map(Self)
    }

    pub(crate) fn text(self, kind: u16) -> Option<String> {
        let bytes = self.get(kind)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    pub(crate) fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    pub(crate) fn u16(self, kind: u16) -> Option<u16> {
        Some(u16::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    pub(crate) fn u32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }

    pub(crate) fn u64(self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(self.get(kind)?.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let mut writer = Writer::default();
        writer.nest(7, |inside| {
            inside.text(1, "name");
            inside.put(2, &[9]);
            inside.u64(3, 1 << 40);
        });
        writer.u32(8, 5);
        assert_eq!(writer.len() % 4, 0);
        let read = Reader(writer.bytes());
        assert_eq!(read.u32(8), Some(5));
        let inside = read.nested(7).unwrap();
        assert_eq!(inside.text(1).as_deref(), Some("name"));
        assert_eq!(
            (inside.u8(2), inside.u64(3), inside.u32(4)),
            (Some(9), Some(1 << 40), None)
        );
    }

    #[test]
    fn a_damaged_end_ends_the_reading() {
        let mut writer = Writer::default();
        writer.u32(1, 1);
        writer.raw(&[200, 0, 2, 0]);
        assert_eq!(Reader(writer.bytes()).all().count(), 1);
    }
}
