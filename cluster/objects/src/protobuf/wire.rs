//! The form of protobuf: numbers of fields, each with a number or with bytes.

use super::ProtobufError;

/// What a field holds, before it is known what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Eight or four bytes: no message of the table has such a field.
    Fixed,
}

/// A field with a number.
#[cfg(test)]
pub(super) fn tagged(number: u32, value: u64) -> Vec<u8> {
    [varint(u64::from(number) << 3), varint(value)].concat()
}

/// A field with bytes: text, or a message.
pub(crate) fn bytes(number: u32, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u64;
    [varint(u64::from(number) << 3 | 2), varint(length), bytes.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field; nothing at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Word<'a>)>, ProtobufError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let number = u32::try_from(tag >> 3)
            .ok()
            .filter(|number| *number > 0)
            .ok_or(ProtobufError::Malformed)?;
        let word = match tag & 7 {
            0 => Word::Number(self.number()?),
            1 => self.take(8).map(|_| Word::Fixed)?,
            2 => {
                let length = self.number()?;
                Word::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Word::Fixed)?,
            _ => return Err(ProtobufError::Malformed),
        };
        Ok(Some((number, word)))
    }

    /// The next of numbers that follow each other without tags; nothing at the end.
    pub(super) fn packed(&mut self) -> Result<Option<u64>, ProtobufError> {
        if self.rest.is_empty() {
            Ok(None)
        } else {
            self.number().map(Some)
        }
    }

    fn number(&mut self) -> Result<u64, ProtobufError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(ProtobufError::Cut)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ProtobufError::Malformed)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], ProtobufError> {
        let length = usize::try_from(length).map_err(|_| ProtobufError::Cut)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ProtobufError::Cut)?;
        self.rest = rest;
        Ok(taken)
    }
}
