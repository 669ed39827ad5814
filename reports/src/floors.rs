//! Floors of benchmarks for people at a terminal: what the kernel itself took, and figures as multiples of it.

use std::fmt::Write as _;

use record::bench::{Figure, number};
use tabled::{
    builder::Builder,
    settings::{Padding, Style},
};

use crate::{measured, run::Run};

/// The figures that have a column.
const COLUMNS: [&str; 3] = ["p50", "p90", "p99"];

/// Writes both tables; nothing if nothing was measured beside.
pub(crate) fn floors(out: &mut String, run: &Run<'_>) {
    let cases = run.cases.iter().filter_map(|case| Some((case, case.figures?)));
    let mut multiples = Builder::default();
    multiples.push_record(["case", "measure", "floor", "p50", "p90", "p99"]);
    let measured = measured::floors(run);
    let mut any = false;
    for (case, figures) in cases {
        for measure in &figures.measures {
            let Some(ratio) = &measure.ratio else { continue };
            any = true;
            let row = [&case.header.id, &measure.name, &ratio.floor].map(Clone::clone);
            multiples.push_record(row.into_iter().chain(cells(&ratio.figures, "x")));
        }
    }
    if any {
        write(out, multiples);
    }
    if !measured.is_empty() {
        let mut floors = Builder::default();
        floors.push_record(["benchmark", "floor", "unit", "p50", "p90", "p99"]);
        for ((test, name), floor) in measured {
            let row = [test, name, &floor.unit].map(str::to_owned);
            floors.push_record(row.into_iter().chain(cells(&floor.figures, "")));
        }
        write(out, floors);
    }
}

fn cells(figures: &[Figure], behind: &str) -> Vec<String> {
    let cell = |name: &&str| {
        let figure = figures.iter().find(|figure| figure.name == **name);
        figure.map_or_else(String::new, |figure| {
            let [value, low, high] = [figure.value, figure.low, figure.high].map(number);
            // What failed is not so many times anything.
            let behind = figure.value.map_or("", |_| behind);
            format!("{value}{behind} [{low}, {high}]")
        })
    };
    COLUMNS.iter().map(cell).collect()
}

fn write(out: &mut String, table: Builder) {
    let mut table = table.build();
    table.with(Style::blank()).with(Padding::new(0, 2, 0, 0));
    let _ = writeln!(out);
    for line in table.to_string().lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_interval_and_a_figure_that_is_not_there_is_empty() {
        let figure = |name: &str, value| Figure {
            name: name.into(),
            value: Some(value),
            low: Some(value / 2.0),
            high: None,
        };
        let told = cells(&[figure("p50", 7.914), figure("p99", 123.4)], "x");
        assert_eq!(told, ["7.91x [3.96, failed]", "", "123.4x [61.7, failed]"]);
    }
}
