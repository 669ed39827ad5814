//! Rust source without what is only said: comments and literals become blanks, lines stay where they are.

/// The code of a file; as many lines as the text.
pub(crate) fn only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_literal(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Where the comment or literal that begins here ends; here if none does.
fn end_of_literal(chars: &[char], at: usize) -> usize {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or('\0');
    let inside_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match chars[at] {
        '/' if next(1) == '/' => find(chars, at, |rest| rest[0] == '\n').unwrap_or(chars.len()),
        '/' if next(1) == '*' => end_of_block(chars, at),
        '"' => end_of_string(chars, at + 1),
        'r' if !inside_word || (at > 0 && matches!(chars[at - 1], 'b' | 'c')) => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if next(1 + hashes) != '"' {
                return at;
            }
            let closes =
                |rest: &[char]| rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#');
            find(chars, at + 2 + hashes, closes).map_or(chars.len(), |end| end + 1 + hashes)
        }
        // A character; a lifetime has no closing quote this near.
        '\'' if next(1) == '\\' => find(chars, at + 3, |rest| rest[0] == '\'').map_or(chars.len(), |end| end + 1),
        '\'' if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn end_of_string(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_block(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') if depth == 1 => return at + 2,
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

fn find(chars: &[char], from: usize, matches: impl Fn(&[char]) -> bool) -> Option<usize> {
    (from..chars.len()).find(|at| matches(&chars[*at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_gone_and_code_and_lines_stay() {
        for (text, code) in [
            ("a // todo\nb", "a        \nb"),
            ("a /* x /* y */ z */ b", "a                   b"),
            (r#"f("un\"safe")"#, "f(          )"),
            ("f(r#\"a\"b\"#, c)", "f(        , c)"),
            ("x('\"', '\\'', b'a')", "x(   ,     , b   )"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("\"a\nb\" c", "  \n   c"),
            ("for r in rows", "for r in rows"),
        ] {
            assert_eq!(only(text), code, "{text}");
        }
    }
}
