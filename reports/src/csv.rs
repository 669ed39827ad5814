//! Samples and figures of benchmarks as comma-separated values (RFC 4180, with line feeds alone), for spreadsheets and
//! statistics programs: one table, a row for each sample and one for each figure.

use crate::{
    ReportError,
    measured::{Line, lines},
    run::Run,
};

/// The columns. `row` is `sample` or `figure`; a sample has a round, a figure a name and the ends of its interval.
const COLUMNS: [&str; 14] = [
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
            put(&mut out, row("sample", run, &line, own));
        }
        for figure in &line.measure.figures {
            let [value, low, high] = [figure.value, figure.low, figure.high].map(text);
            let own = [figure.name.clone(), String::new(), value, low, high];
            put(&mut out, row("figure", run, &line, own));
        }
    }
    Ok(out)
}

fn row(kind: &str, run: &Run<'_>, line: &Line<'_>, own: [String; 5]) -> [String; 14] {
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
        line.measure.unit.clone(),
        figure,
        round,
        value,
        low,
        high,
    ]
}

/// A number as it was measured; nothing for what failed.
fn text(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn put(out: &mut String, fields: [String; 14]) {
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
