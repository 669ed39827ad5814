//! `unsafe` stands in `sys`, with notes that could be proved wrong.

use regex_lite::Regex;

use super::{Fault, File, Tree, code};

/// A note of fewer characters names no invariant; `takes no pointer.` does.
const SHORTEST_NOTE: usize = 16;

/// Unsafe code outside `sys`, and notes inside that say nothing.
pub(crate) fn faults(tree: &Tree) -> Vec<Fault> {
    let unsafe_word = Regex::new(r"\bunsafe\b").expect("the pattern is fixed");
    let mut faults = Vec::new();
    for file in tree.ending(".rs") {
        if file.path.starts_with("sys/") {
            faults.extend(notes(file).filter_map(|(line, note)| Some(Fault::at(file, line, ritual(&note)?))));
            continue;
        }
        let lines = (1..).zip(code::only(&file.text).lines().map(str::to_owned).collect::<Vec<_>>());
        let outside = lines.filter(|(_, line)| unsafe_word.is_match(line));
        faults.extend(outside.map(|(number, _)| Fault::at(file, number, "`unsafe` stands in `sys` alone")));
    }
    faults
}

/// The notes of a file: where each begins, and its text on one line.
fn notes(file: &File) -> impl Iterator<Item = (usize, String)> {
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    (0..lines.len()).filter_map(move |at| {
        let first = lines[at].strip_prefix("// SAFETY:")?;
        let rest = lines[at + 1..].iter().map_while(|line| line.strip_prefix("//"));
        let note = std::iter::once(first)
            .chain(rest)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(" ");
        Some((at + 1, note.trim().to_owned()))
    })
}

/// What is wrong with a note.
fn ritual(note: &str) -> Option<String> {
    let empty_words = Regex::new(
        r"(?i)^(the |all |these |this |our )*(parameters?|arguments?|pointers?|values?|calls?|syscalls?|code|it) (is|are) (all )?(valid|safe|sound|fine|correct|ok)( here)?\.?$",
    )
    .expect("the pattern is fixed");
    if empty_words.is_match(note) || note.to_lowercase().contains("parameters are valid") {
        return Some(format!(
            "`{note}` cannot be proved wrong: name the invariant and why it holds here"
        ));
    }
    (note.len() < SHORTEST_NOTE).then(|| format!("`{note}` is too short to name an invariant and why it holds here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        faults(&Tree::of(&[(path, text)]))
            .into_iter()
            .map(|fault| fault.place)
            .collect()
    }

    #[test]
    fn unsafe_code_outside_of_sys_is_a_fault() {
        assert_eq!(
            places("runtime/src/a.rs", "fn f() {\n    unsafe { g() }\n}"),
            ["runtime/src/a.rs:2"]
        );
        assert_eq!(
            places("runtime/src/a.rs", "//! unsafe\nlet unsafe_code = \"unsafe\";"),
            [""; 0]
        );
    }

    #[test]
    fn a_note_that_cannot_be_proved_wrong_is_a_fault() {
        for note in [
            "the parameters are valid.",
            "All arguments are valid",
            "this is safe",
            "fd",
            "it is safe because parameters are valid, we think",
        ] {
            assert_eq!(
                places("sys/src/a.rs", &format!("// SAFETY: {note}\nunsafe {{ f() }}")),
                ["sys/src/a.rs:1"],
                "{note}"
            );
        }
    }

    #[test]
    fn a_note_that_names_its_invariant_is_fine_even_on_two_lines() {
        let text = "// SAFETY: the kernel reads\n// size_of::<Args>() bytes of args.\nunsafe { f() }";
        assert_eq!(places("sys/src/a.rs", text), [""; 0]);
    }
}
