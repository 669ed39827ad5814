//! Text of strangers, made so that nothing in it works unseen.

use std::{borrow::Cow, fmt::Write as _};

/// Shows what would be invisible or would change how the text around it looks: control characters as Unicode's pictures of
/// them, and what turns or joins text (<https://www.unicode.org/reports/tr36/>, bidirectional spoofing) as `\u{202e}`. Line
/// feeds and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\u{7f}' => out.push('\u{2421}'),
            c if is_hidden(c) && c < ' ' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or(' ')),
            c if is_hidden(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The same on one line.
pub(crate) fn one_line(text: &str) -> String {
    visible(&text.replace(['\n', '\r', '\t'], " ")).into_owned()
}

/// Its first characters, with a mark if there are more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

fn is_hidden(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    turns || (c.is_control() && c != '\n' && c != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_works_unseen() {
        assert_eq!(visible("\x1b[31mred\0\x7f\r"), "␛[31mred␀␡␍");
        assert_eq!(visible("a\u{202e}b\u{85}\u{feff}"), "a\\u{202e}b\\u{85}\\u{feff}");
        assert_eq!(visible("a\n\tö → 漢"), "a\n\tö → 漢");
        assert_eq!(one_line("a\nb\u{2028}c"), "a b\\u{2028}c");
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö…");
    }
}
