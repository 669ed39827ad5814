//! An expression that matches every text.

use regex_lite::Regex;

use super::{Doubt, Lens, Lint};
use crate::{Op, fault::Fault};

pub(super) const LINT: Lint = Lint {
    name: "vacuous-regex",
    about: "a regular expression that matches every text, because it matches the empty one and is not anchored",
    look,
};

/// Texts that have nothing in common.
const STRANGERS: [&str; 4] = ["", "\u{1}\u{fffd}", "Zq 7\n-\t\"", "0"];

fn look(lens: &Lens<'_>, doubts: &mut Vec<Doubt>) {
    for (seat, look) in lens.looks() {
        for op in &look.matcher.0 {
            if let Op::Matches(expression) = op
                && !expression.contains("${")
                && is_vacuous(expression)
            {
                let at = look.place.key("matches");
                let lint = Fault::new(at.extent, format!("`{expression}` matches every text"))
                    .hint("it matches nothing at all, and so it matches somewhere in everything")
                    .help("say what the text must contain, or anchor the expression with `^` and `$`");
                doubts.push(Doubt::of(seat, lint));
            }
        }
    }
}

fn is_vacuous(expression: &str) -> bool {
    Regex::new(expression).is_ok_and(|regex| STRANGERS.iter().all(|text| regex.is_match(text)))
}

#[cfg(test)]
mod tests {
    use super::is_vacuous;

    #[test]
    fn an_expression_that_can_be_missed_is_not_vacuous() {
        for expression in [".*", "", "a*", "x?", "(a|)", "^", "$", "(?s)^.*$", "^[^x]*", "|ok"] {
            assert!(is_vacuous(expression), "{expression}");
        }
        for expression in [
            "^$", "^\\s*$", "^a*$", ".", ".+", "\\S", "a+", "^.*x", "a|b", "^(yes|)$", "[",
        ] {
            assert!(!is_vacuous(expression), "{expression}");
        }
    }
}
