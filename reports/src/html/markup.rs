//! HTML under construction.

use std::borrow::Cow;

use crate::visible::visible;

/// A page. Only what stands in this crate's own source gets in as it is; every other text is escaped.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Markup of this crate's own.
    pub(super) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// Text, escaped.
    pub(super) fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
    }

    /// `<tag name="value">`; a name without a value (`open`, `hidden`) has an empty one.
    pub(super) fn open(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            if !value.is_empty() {
                self.0.push_str("=\"");
                self.0.push_str(&escaped(value));
                self.0.push('"');
            }
        }
        self.0.push('>');
    }

    /// An element that has no end.
    pub(super) fn void(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) {
        self.open(tag, attributes);
    }

    /// `</tag>`
    pub(super) fn close(&mut self, tag: &'static str) {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
    }

    /// An element with nothing but text in it.
    pub(super) fn element(&mut self, tag: &'static str, attributes: &[(&'static str, &str)], text: &str) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    /// Text whose lines and spaces are to be seen as they are. It can be reached by keyboard, because it may scroll.
    pub(super) fn block(&mut self, label: &str, text: &str) {
        self.open("pre", &[("tabindex", "0"), ("role", "region"), ("aria-label", label)]);
        // A parser drops the first line feed of a `pre`.
        self.0.push('\n');
        self.text(text);
        self.close("pre");
        self.0.push('\n');
    }

    /// A list of sentences.
    pub(super) fn list(&mut self, lines: &[String]) {
        self.raw("<ul>\n");
        for line in lines {
            self.element("li", &[], line);
            self.raw("\n");
        }
        self.raw("</ul>\n");
    }

    /// A row of a table whose first cell is its heading.
    pub(super) fn row(&mut self, heading: &str, cells: &[&str]) {
        self.raw("<tr>");
        self.element("th", &[("scope", "row")], heading);
        for cell in cells {
            self.element("td", &[], cell);
        }
        self.raw("</tr>\n");
    }

    /// The headings of a table's columns.
    pub(super) fn columns(&mut self, headings: &[&str]) {
        self.raw("<thead><tr>");
        for heading in headings {
            self.element("th", &[("scope", "col")], heading);
        }
        self.raw("</tr></thead>\n");
    }

    /// How many bytes there are by now.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The whole page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Text that stays text between tags and in quoted values (HTML, 13.1.2.3 and 13.3), with what is invisible in it shown.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let text = visible(text);
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 32);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_wherever_it_stands() {
        let evil = "</script></pre>\"' onload='x' <img src=x onerror=alert(1)>&lt;\0\x1b[2J";
        let mut page = Page::default();
        page.element("p", &[("title", evil), ("open", "")], evil);
        page.block(evil, evil);
        let text = page.finish();
        assert_eq!(text.matches('<').count(), 4, "{text}");
        assert_eq!(text.matches('>').count(), 4, "{text}");
        assert_eq!(text.matches('"').count(), 8, "{text}");
        assert!(!text.contains(['\'', '\0', '\x1b']), "{text}");
        assert!(text.contains("&amp;lt;␀␛[2J"), "{text}");
    }
}
