//! One line of JSON, written from front to back.

use alloc::string::String;
use core::fmt::{Display, Write as _};

/// A document that grows at its end; commas come by themselves.
#[derive(Default)]
pub(crate) struct Json {
    text: String,
    comma: bool,
}

impl Json {
    /// What was written so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// `{…}` with the fields that `fields` writes.
    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Json)) {
        self.enclosed('{', '}', fields);
    }

    /// `[…]` with the values that `values` writes.
    pub(crate) fn array(&mut self, values: impl FnOnce(&mut Json)) {
        self.enclosed('[', ']', values);
    }

    fn enclosed(&mut self, open: char, close: char, inside: impl FnOnce(&mut Json)) {
        self.separate();
        self.text.push(open);
        self.comma = false;
        inside(self);
        self.text.push(close);
        self.comma = true;
    }

    /// `"name":`, to be followed by one value.
    pub(crate) fn key(&mut self, name: &str) -> &mut Json {
        self.string(name);
        self.text.push(':');
        self.comma = false;
        self
    }

    /// A string.
    pub(crate) fn string(&mut self, value: &str) {
        self.separate();
        self.text.push('"');
        for letter in value.chars() {
            match letter {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\t' => self.text.push_str("\\t"),
                '\r' => self.text.push_str("\\r"),
                control if control < ' ' => {
                    // Writing to a string does not fail.
                    let _written = write!(self.text, "\\u{:04x}", control as u32);
                }
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }

    /// A string of bytes; what is not UTF-8 is replaced.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.string(&String::from_utf8_lossy(value));
    }

    /// A number, or `true`, or `false`: what is written as it displays itself.
    pub(crate) fn plain(&mut self, value: impl Display) {
        self.separate();
        // Writing to a string does not fail.
        let _written = write!(self.text, "{value}");
    }

    /// `null`.
    pub(crate) fn null(&mut self) {
        self.plain("null");
    }

    /// A plain value, or `null`.
    pub(crate) fn plain_or_null(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.plain(value),
            None => self.null(),
        }
    }

    /// A string, or `null`.
    pub(crate) fn bytes_or_null(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.bytes(value),
            None => self.null(),
        }
    }

    fn separate(&mut self) {
        if self.comma {
            self.text.push(',');
        }
        self.comma = true;
    }
}
