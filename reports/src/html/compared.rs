//! What several subjects came to, side by side.

use super::{badge, class, markup::Page};
use crate::{compare::Comparison, run::Run};

/// The comparison of a run whose subjects were asked the same.
pub(super) struct Matrix<'r, 'a>(Comparison<'r, 'a>);

impl<'r, 'a> Matrix<'r, 'a> {
    /// None if no check was for two subjects.
    pub(super) fn of(run: &'r Run<'a>) -> Option<Self> {
        let comparison = Comparison::of(run);
        let shared = comparison.rows.iter().any(|row| row.cells.iter().flatten().count() > 1);
        shared.then_some(Self(comparison))
    }

    /// Disagreements with what each side showed, and all rows below.
    pub(super) fn write(&self, page: &mut Page) {
        page.element("p", &[], &self.0.counts());
        let disagreements = self.0.disagreements();
        let names: Vec<&str> = std::iter::once("check")
            .chain(self.0.subjects.iter().map(|subject| subject.name.as_str()))
            .collect();
        if !disagreements.is_empty() {
            page.raw("<div class=\"wide\"><table class=\"compare\">\n<caption>Disagreements</caption>\n");
            page.columns(&names);
            page.raw("<tbody>\n");
            for row in disagreements {
                page.raw("<tr>");
                page.open("th", &[("scope", "row")]);
                page.text(&row.name());
                page.element("code", &[("class", "at")], row.at);
                page.close("th");
                for cell in &row.cells {
                    let Some(cell) = cell else {
                        page.raw("<td>not run</td>");
                        continue;
                    };
                    page.raw("<td>");
                    badge(page, cell.outcome.word());
                    page.raw("<dl>");
                    for (name, text) in crate::telling::lines(self.0.run, cell.case, cell.outcome) {
                        page.element("dt", &[], name);
                        page.element("dd", &[], &text);
                    }
                    page.raw("</dl></td>");
                }
                page.raw("</tr>\n");
            }
            page.raw("</tbody></table></div>\n");
        }
        page.raw("<details class=\"kept\"><summary>All checks by subject</summary>\n<div class=\"wide\"><table class=\"compare\">\n");
        page.columns(&names);
        page.raw("<tbody>\n");
        for row in &self.0.rows {
            page.raw("<tr>");
            page.element("th", &[("scope", "row")], &row.name());
            for cell in &row.cells {
                match cell {
                    Some(cell) => {
                        let word = cell.outcome.word();
                        page.element("td", &[("class", class(word))], word.text());
                    }
                    None => page.raw("<td>-</td>"),
                }
            }
            page.raw("</tr>\n");
        }
        page.raw("</tbody></table></div></details>\n");
    }
}
