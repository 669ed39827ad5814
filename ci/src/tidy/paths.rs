//! A path that a document names is there.

use regex_lite::Regex;

use super::{Fault, File, Tree};

/// Files of these kinds are meant when they are named without a folder.
const KINDS: [&str; 5] = [".rs", ".toml", ".md", ".yaml", ".csv"];

/// Paths in code spans and links of documents that lead nowhere.
pub(crate) fn faults(tree: &Tree) -> Vec<Fault> {
    let span = Regex::new("`([^`]+)`").expect("the pattern is fixed");
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("the pattern is fixed");
    let mut faults = Vec::new();
    // A golden report tells of files that were never there.
    for file in tree.ending(".md").filter(|file| !file.path.contains("/golden/")) {
        for (number, line) in prose(&file.text) {
            let words = span.captures_iter(line).flat_map(|span| {
                let text = span.get(1).map_or("", |text| text.as_str());
                let words: Vec<_> = text.split_whitespace().filter_map(|word| path_of(tree, word)).collect();
                words
            });
            let targets = link.captures_iter(line).filter_map(|link| {
                let target = link.get(1).map_or("", |target| target.as_str());
                target_of(file, target)
            });
            let dead = words.chain(targets).filter(|path| !tree.holds(path));
            faults.extend(dead.map(|path| Fault::at(file, number, format!("`{path}` is not there"))));
        }
    }
    faults
}

/// The lines outside of fenced blocks, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The path that a word of a code span names, if it looks like one of this repository: it starts in a folder of the
/// root, or it is a source file.
fn path_of(tree: &Tree, word: &str) -> Option<String> {
    let word = word.trim_start_matches("./").trim_end_matches([',', '.', ';']);
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    let path = word.split_once(':').map_or(word, |(path, _)| path);
    if path.is_empty() || !path.chars().all(plain) || path.starts_with(['/', '-', '.']) {
        return None;
    }
    let source = KINDS.iter().any(|kind| path.ends_with(kind));
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let in_folder = !rest.is_empty() && tree.holds(first);
    let whole_folder = path.ends_with('/') && rest.is_empty() && !["target"].contains(&first);
    (source || in_folder || whole_folder).then(|| path.trim_end_matches('/').to_owned())
}

/// The path from the root that a link leads to; none of a link that leaves the repository.
fn target_of(file: &File, target: &str) -> Option<String> {
    let target = target
        .split_once('#')
        .map_or(target, |(path, _)| path)
        .trim_end_matches('/');
    if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let mut parts: Vec<&str> = file.path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("docs/A.md", text),
            ("sys/src/lib.rs", ""),
            ("specs/a/b.yaml", ""),
            ("Cargo.toml", ""),
        ]);
        faults(&tree).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_path_that_is_not_there_is_a_fault() {
        for (text, path) in [
            ("see `sys/src/gone.rs`", "sys/src/gone.rs"),
            ("a line of `sys/src/gone.rs:12:3`", "sys/src/gone.rs"),
            ("run `plimsoll run specs/gone/`", "specs/gone"),
            ("a folder `cluster/`", "cluster"),
            ("a file `deny.toml`", "deny.toml"),
            ("a [link](../sys/gone.rs#L1)", "sys/gone.rs"),
        ] {
            assert_eq!(complaints(text), [format!("docs/A.md:1: `{path}` is not there")]);
        }
    }

    #[test]
    fn what_is_there_and_what_is_no_path_is_fine() {
        let text = "`sys/src/lib.rs`, `specs/`, `./specs/a/b.yaml:1`, `Cargo.toml`, `run.jsonl`, `/etc/passwd`, `a/b`,\n\
                    `specs/<area>/<name>.yaml` `.plimsoll/runs/` [x](https://a.b/c) [y](#z) [z](../specs/a)\n\
                    ```\nsys/src/gone.rs `sys/gone.rs`\n```\n`target/`";
        assert_eq!(complaints(text), [""; 0]);
    }
}
