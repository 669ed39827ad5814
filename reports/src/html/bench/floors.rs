//! Floors: what the kernel itself took in the same rounds, and each figure beside its floor and as a multiple of it.

use record::bench::{Figure, Measured, Ratio, number};

use super::super::markup::Page;
use super::Group;

/// Writes both tables; nothing if no floor was measured.
pub(super) fn floors(page: &mut Page, group: &Group<'_>, names: &[&str]) {
    let Some((_, figures)) = group.cases.iter().find(|(_, figures)| !figures.floors.is_empty()) else {
        return;
    };
    let floors = &figures.floors;
    let rows: Vec<(String, Vec<String>)> = group
        .cases
        .iter()
        .flat_map(|(case, figures)| {
            let of = |measure: &Measured| {
                let ratio = measure.ratio.as_ref()?;
                let floor = floors.iter().find(|floor| floor.name == ratio.floor);
                let cells = names.iter().map(|name| cell(name, measure, ratio, floor));
                let heading = format!("{}: {}", case.header.subject, measure.name);
                Some((heading, std::iter::once(ratio.floor.clone()).chain(cells).collect()))
            };
            figures.measures.iter().filter_map(of)
        })
        .collect();
    if !rows.is_empty() {
        page.raw("<div class=\"wide\"><table class=\"counts\">\n<caption>Figures as multiples of their floors in the same rounds, with intervals of 95 % confidence</caption>\n");
        table(page, &["", "floor"], names, &rows);
    }
    page.raw("<div class=\"wide\"><table class=\"counts\">\n<caption>Floors: what the kernel itself takes, without a runtime</caption>\n");
    let rows: Vec<(String, Vec<String>)> = floors
        .iter()
        .map(|floor| {
            let of = |name: &&str| figure(&floor.figures, name).map_or_else(String::new, Figure::to_string);
            (
                format!("{}, {}", floor.name, floor.unit),
                names.iter().map(of).collect(),
            )
        })
        .collect();
    table(page, &[""], names, &rows);
}

/// `5.03 ms: 4.19x [3.9, 4.5] of 1.20`.
fn cell(name: &str, measure: &Measured, ratio: &Ratio, floor: Option<&Measured>) -> String {
    let Some(times) = figure(&ratio.figures, name) else {
        return String::new();
    };
    let value = |measured: &Measured| figure(&measured.figures, name).map(|figure| number(figure.value));
    let own = value(measure).map_or_else(String::new, |value| format!("{value} {}: ", measure.unit));
    let whole = floor
        .and_then(value)
        .map_or_else(String::new, |value| format!(" of {value}"));
    // What failed is not so many times anything.
    let behind = times.value.map_or("", |_| "x");
    let [times, low, high] = [times.value, times.low, times.high].map(number);
    format!("{own}{times}{behind} [{low}, {high}]{whole}")
}

fn figure<'f>(figures: &'f [Figure], name: &str) -> Option<&'f Figure> {
    figures.iter().find(|figure| figure.name == name)
}

fn table(page: &mut Page, first: &[&str], names: &[&str], rows: &[(String, Vec<String>)]) {
    let headings: Vec<&str> = first.iter().chain(names).copied().collect();
    page.columns(&headings);
    page.raw("<tbody>\n");
    for (heading, cells) in rows {
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        page.row(heading, &cells);
    }
    page.raw("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(name: &str, value: f64) -> Measured {
        Measured {
            name: name.into(),
            unit: "ms".into(),
            figures: vec![Figure {
                name: "p50".into(),
                value: Some(value),
                low: Some(value),
                high: Some(value),
            }],
            ..Measured::default()
        }
    }

    #[test]
    fn a_figure_stands_beside_its_floor_and_how_many_times_it_that_is() {
        let (own, floor) = (measured("total", 5.0), measured("L5", 1.25));
        let ratio = Ratio {
            floor: "L5".into(),
            figures: vec![Figure {
                name: "p50".into(),
                value: Some(4.0),
                low: Some(3.5),
                high: None,
            }],
        };
        assert_eq!(
            cell("p50", &own, &ratio, Some(&floor)),
            "5.00 ms: 4.00x [3.50, failed] of 1.25"
        );
        assert_eq!(cell("p50", &own, &ratio, None), "5.00 ms: 4.00x [3.50, failed]");
        assert_eq!(cell("p99", &own, &ratio, Some(&floor)), "");
    }
}
