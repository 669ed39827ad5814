//! What is wrong with a spec, and where: file, line, column, the source line, a caret and a did-you-mean.

use std::{borrow::Cow, fmt};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle};

use crate::{Position, node::Extent};

/// Most characters of a source line that are shown whole.
const WHOLE: usize = 160;

/// Most characters that are shown before and after a fault in a longer line.
const CONTEXT: usize = 60;

/// Whether a spec is unusable or only doubtful.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing of the file may run.
    #[default]
    Error,
    /// It may run; a person should look.
    Warning,
}

/// One thing that is wrong at one place of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// The file as it was named.
    pub file: String,
    /// Where, and how many characters.
    pub extent: Extent,
    /// What is wrong: lower case, the object in backticks.
    pub message: String,
    /// What stands at the caret: most often what was expected.
    pub hint: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Error or warning.
    pub severity: Severity,
    /// Of a warning: the name of the lint.
    pub lint: Option<&'static str>,
}

impl Fault {
    /// A fault at a place; the file is filled in by [`crate::load()`].
    pub fn new(extent: Extent, message: impl Into<String>) -> Self {
        Self {
            extent,
            message: message.into(),
            ..Self::default()
        }
    }

    /// With the text at the caret.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With `did you mean` as advice, if one of the known names is close to what was written.
    #[must_use]
    pub fn suggest<'n>(mut self, written: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        if let Some(name) = closest(written, known) {
            self.help = Some(format!("did you mean `{name}`?"));
        }
        self
    }

    /// Where it begins.
    pub fn position(&self) -> Position {
        self.extent.at
    }

    /// The complaint as a person reads it, with the source line. `source` is the text of the file. Never panics,
    /// whatever the text and wherever the fault. Ends without a line break.
    pub fn render(&self, source: &str, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(printable(&self.message));
        let title = match self.lint {
            Some(name) => title.id(name),
            None => title,
        };
        let Position { line, column } = self.extent.at;
        let mut group = if line == 0 {
            // Of the file as a whole.
            Group::with_title(title).element(Origin::path(printable(&self.file)))
        } else {
            let excerpt = Excerpt::of(source, self.extent);
            let annotation = AnnotationKind::Primary
                .span(excerpt.start..excerpt.end)
                .label(self.hint.as_deref().map(printable));
            let snippet = Snippet::source(excerpt.text).line_start(line as usize);
            let group = Group::with_title(title);
            if excerpt.is_cut {
                // The column cannot be told from what is left of the line.
                let origin = Origin::path(printable(&self.file)).line(line as usize);
                group
                    .element(origin.char_column(column as usize))
                    .element(snippet.annotation(annotation))
            } else {
                group.element(snippet.path(printable(&self.file)).annotation(annotation))
            }
        };
        if line == 0
            && let Some(hint) = &self.hint
        {
            group = group.element(Level::NOTE.message(printable(hint)));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let shown = renderer.decor_style(DecorStyle::Ascii).term_width(240).render(&[group]);
        // Between a place of its own and an excerpt stands a line of nothing but `:::`.
        let lines = shown.lines().filter(|line| bare(line).trim() != ":::");
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Fault {
    /// In one line: `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.extent.at;
        match line {
            0 => write!(f, "{}: {}", self.file, self.message),
            _ => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for Fault {}

/// The name that is closest to what was written, if any is close.
pub fn closest<'n>(written: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::osa_distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= allowed && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A line without its colours.
fn bare(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| part.split_once('m').map_or("", |(_, text)| text));
    std::iter::once(first).chain(rest).collect()
}

/// Control characters are not let through to a terminal.
fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| c.is_control() && c != '\n') {
        Cow::Owned(
            text.chars()
                .map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// The part of a line that is shown, and the byte range of the fault in it.
struct Excerpt {
    text: String,
    start: usize,
    end: usize,
    /// Whether the beginning of the line is left out, or the fault lies behind its end.
    is_cut: bool,
}

impl Excerpt {
    fn of(source: &str, extent: Extent) -> Self {
        let line = source
            .split('\n')
            .nth(extent.at.line as usize - 1)
            .unwrap_or_default()
            .trim_end_matches('\r');
        let column = (extent.at.column as usize).saturating_sub(1);
        let is_long = line.chars().nth(WHOLE).is_some();
        let (before, after) = if is_long { (CONTEXT, CONTEXT) } else { (column, WHOLE) };
        let first = column.saturating_sub(before);
        let length = (extent.length as usize).clamp(1, WHOLE);
        let mut shown = Self {
            text: String::new(),
            start: 0,
            end: 0,
            is_cut: first > 0 || column > line.chars().count(),
        };
        let mut characters = line.chars().enumerate().skip(first);
        if first > 0 {
            shown.text.push('…');
        }
        shown.start = shown.text.len();
        shown.end = shown.start;
        let mut cut = false;
        for (n, character) in characters.by_ref() {
            if n >= column + length + after {
                cut = true;
                break;
            }
            if n == column {
                shown.start = shown.text.len();
            }
            shown.text.push(if character.is_control() && character != '\t' {
                '\u{fffd}'
            } else {
                character
            });
            if n < column {
                // A fault behind the end of the line is shown behind it.
                shown.start = shown.text.len();
            }
            if n < column + length {
                shown.end = shown.text.len();
            }
        }
        if cut {
            shown.text.push('…');
        }
        shown.end = shown.end.max(shown.start);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_the_line_the_caret_and_what_was_expected() {
        let fault = Fault {
            file: "specs/bad/unknown-namespace.yaml".into(),
            ..Fault::new(Extent::at(2, 20, 4), "unknown namespace `uts2`")
                .hint("expected one of pid, uts")
                .suggest("uts2", ["pid", "uts"])
        };
        let shown = fault.render("spec:\n      namespaces: [uts2]\n", false);
        assert_eq!(
            shown,
            "error: unknown namespace `uts2`\n \
             --> specs/bad/unknown-namespace.yaml:2:20\n  |\n\
             2 |       namespaces: [uts2]\n  |                    ^^^^ expected one of pid, uts\n  |\n  \
             = help: did you mean `uts`?"
        );
    }

    #[test]
    fn wide_characters_tabs_and_long_lines_do_not_break_the_picture() {
        for (source, extent) in [
            ("ключ: 值值值", Extent::at(1, 7, 3)),
            ("\tkey: x", Extent::at(1, 2, 3)),
            ("a\u{7}b", Extent::at(1, 1, 9)),
            ("", Extent::at(7, 9, 2)),
            (&"x".repeat(100_000), Extent::at(1, 50_000, 70_000)),
            (&"x".repeat(100), Extent::at(1, 4_000_000, 1)),
        ] {
            let shown = Fault::new(extent, "wrong").render(source, true);
            assert!(shown.len() < 2000 && shown.contains("wrong"), "{shown}");
            let place = format!(":{}:{}", extent.at.line, extent.at.column);
            assert!(shown.contains(&place), "{shown}");
        }
    }

    #[test]
    fn a_suggestion_is_close_or_not_made() {
        assert_eq!(closest("cotains", ["contains", "count"]), Some("contains"));
        assert_eq!(closest("zebra", ["contains", "count"]), None);
        assert_eq!(closest("x", ["a"]), None);
    }
}
