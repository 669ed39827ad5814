//! Samples and figures of benchmarks as comma-separated values (RFC 4180, with line feeds alone), for spreadsheets and
//! statistics programs: one table, a row for each sample, for each figure, for each figure as a multiple of its floor, and for each
//! figure of a floor.

use record::bench::Figure;

use crate::{
    ReportError,
    measured::{Line, floors, lines},
    run::Run,
};

/// The columns. `row` is `sample`, `figure`, `ratio` or `floor`; a sample has a round, the others the name of a figure and the ends of
/// its interval. A ratio has the floor that it is a multiple of. A floor is nobody's: it has no case and no subject, and its
/// measure is its own name.
const COLUMNS: [&str; 15] = [
    "row",
    "run",
    "started",
    "case",
    "benchmark",
    "subject",
    "version",
    "measure",
    "unit",
    "figure",
    "round",
    "value",
    "low",
    "high",
    "floor",
];

pub(crate) fn csv(run: &Run<'_>) -> Result<String, ReportError> {
    let mut out = String::new();
    put(&mut out, COLUMNS.map(str::to_owned));
    for line in lines(run)? {
        for (round, value) in line.samples() {
            let own = [
                String::new(),
                round.to_string(),
                text(value),
                String::new(),
                String::new(),
            ];
            put(&mut out, row("sample", run, &line, &line.measure.unit, own, ""));
        }
        for figure in &line.measure.figures {
            put(
                &mut out,
                row("figure", run, &line, &line.measure.unit, ends(figure), ""),
            );
        }
        if let Some(ratio) = &line.measure.ratio {
            for figure in &ratio.figures {
                put(&mut out, row("ratio", run, &line, "x", ends(figure), &ratio.floor));
            }
        }
    }
    for ((benchmark, name), floor) in floors(run) {
        for figure in &floor.figures {
            let [figure, round, value, low, high] = ends(figure);
            let own = ["floor", run.id, run.started, "", benchmark, "", "", name, &floor.unit].map(str::to_owned);
            let [kind, id, started, case, benchmark, subject, version, measure, unit] = own;
            put(
                &mut out,
                [
                    kind,
                    id,
                    started,
                    case,
                    benchmark,
                    subject,
                    version,
                    measure,
                    unit,
                    figure,
                    round,
                    value,
                    low,
                    high,
                    String::new(),
                ],
            );
        }
    }
    Ok(out)
}

/// The name of a figure, no round, its value and the ends of its interval.
fn ends(figure: &Figure) -> [String; 5] {
    let [value, low, high] = [figure.value, figure.low, figure.high].map(text);
    [figure.name.clone(), String::new(), value, low, high]
}

fn row(kind: &str, run: &Run<'_>, line: &Line<'_>, unit: &str, own: [String; 5], floor: &str) -> [String; 15] {
    let header = line.case.header;
    let [figure, round, value, low, high] = own;
    [
        kind.into(),
        run.id.into(),
        run.started.into(),
        header.id.clone(),
        header.test.clone(),
        header.subject.clone(),
        line.version(run).into(),
        line.measure.name.clone(),
        unit.into(),
        figure,
        round,
        value,
        low,
        high,
        floor.into(),
    ]
}

/// A number as it was measured; nothing for what failed.
fn text(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn put(out: &mut String, fields: [String; 15]) {
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        out.push_str(&quoted(field));
    }
    out.push('\n');
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_ends_another_or_its_row() {
        assert_eq!(quoted("a"), "a");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("a\"b\nc"), "\"a\"\"b\nc\"");
    }
}
