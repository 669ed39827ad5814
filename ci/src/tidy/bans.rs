//! Code that has no place in this repository.

use regex_lite::Regex;

use super::{Fault, Tree, code};

/// What is banned, and what to do instead.
const BANS: [(&str, &str); 4] = [
    (r"\btodo!", "`todo!` is a promise: leave it out until it is there"),
    (
        r"\bunimplemented!",
        "`unimplemented!` is a promise: leave it out until it is there",
    ),
    (
        r"#\[\s*ignore\b",
        "a test that does not run shows nothing: make it skip with a reason",
    ),
    (
        r"\bthread::sleep(_until)?\b",
        "only `wait` waits: a deadline and a last-seen status, never a bare sleep",
    ),
];

/// Banned words in code; comments and strings may speak of them.
pub(crate) fn faults(tree: &Tree) -> Vec<Fault> {
    let bans = BANS.map(|(pattern, advice)| (Regex::new(pattern).expect("the pattern is fixed"), advice));
    let mut faults = Vec::new();
    for file in tree.ending(".rs") {
        for (number, line) in (1..).zip(code::only(&file.text).lines()) {
            let broken = bans.iter().filter(|(pattern, _)| pattern.is_match(line));
            faults.extend(broken.map(|(_, advice)| Fault::at(file, number, *advice)));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_banned_word_is_found_in_code() {
        let text =
            "fn a() {\n    todo!();\n    unimplemented!();\n}\n#[ignore = \"x\"]\nfn b() { std::thread::sleep(d); }";
        let places: Vec<_> = faults(&Tree::of(&[("a.rs", text)]))
            .into_iter()
            .map(|fault| fault.place)
            .collect();
        assert_eq!(places, ["a.rs:2", "a.rs:3", "a.rs:5", "a.rs:6"]);
    }

    #[test]
    fn comments_and_strings_may_speak_of_them() {
        assert_eq!(
            faults(&Tree::of(&[("a.rs", "// todo!()\nlet a = \"thread::sleep\";")])),
            []
        );
    }
}
