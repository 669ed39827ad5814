//! Pasts as people read them.

use std::fmt::Write as _;

use crate::{CheckName, Overview, Past, Series};

/// The past of checks: what it comes to for each subject, then each run, newest first, at most `most` of them.
pub fn table(pasts: &[Past], most: usize) -> String {
    let mut out = String::new();
    for (n, past) in pasts.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", past.name);
        for series in &past.series {
            let _ = writeln!(out, "  {}", sentence(series));
        }
        let rows: Vec<[String; 6]> = past
            .entries
            .iter()
            .take(most)
            .map(|entry| {
                let attempts = match entry.attempts {
                    0 | 1 => entry.verdict.clone(),
                    all => format!("{} {}/{all}", entry.verdict, entry.failed),
                };
                [
                    entry.started.clone(),
                    entry.run.clone(),
                    entry.subject.clone(),
                    attempts,
                    entry.took.map_or_else(String::new, |took| format!("{took:.0}ms")),
                    entry.seen.replace('\n', " "),
                ]
            })
            .collect();
        columns(&mut out, &rows);
        if past.entries.len() > most {
            let _ = writeln!(out, "  and {} older", past.entries.len() - most);
        }
    }
    out
}

/// What stands out.
pub fn overview(overview: &Overview) -> String {
    let mut out = String::new();
    let counted = |count: usize, thing: &str| match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    };
    let (runs, checks) = (counted(overview.runs, "run"), counted(overview.checks, "check"));
    let _ = write!(out, "{runs}, {checks}");
    if let Some((first, last)) = &overview.between {
        let _ = write!(out, ", {first} to {last}");
    }
    out.push('\n');
    for (title, none, list) in [
        ("changed lately", "no check changed lately", &overview.changed),
        (
            "flaky: passed and did not pass under the same conditions",
            "no check is flaky",
            &overview.wavering,
        ),
    ] {
        if list.is_empty() {
            let _ = writeln!(out, "\n{none}");
            continue;
        }
        let _ = writeln!(out, "\n{title}");
        for (name, series) in list {
            let _ = writeln!(out, "  {}", line(name, series));
        }
    }
    out
}

fn line(name: &CheckName, series: &Series) -> String {
    format!("{name}  {}", sentence(series))
}

/// `bundled: passed 14 of 15 (93 %, 95 % interval 70 to 99 %), flaky in 1; from … to …, now pass since run 0039 (fail before)`
fn sentence(series: &Series) -> String {
    let rate = series.rate;
    let mut text = format!("{}: passed {} of {}", series.subject, rate.passed, rate.of);
    if rate.of > 0 {
        let percent = |share: f64| share * 100.0;
        let _ = write!(
            text,
            " ({:.0} %, 95 % interval {:.0} to {:.0} %)",
            percent(rate.passed as f64 / rate.of as f64),
            percent(rate.low),
            percent(rate.high)
        );
    }
    for (count, word) in [(series.flaky, "flaky"), (series.skipped, "skipped")] {
        if count > 0 {
            let _ = write!(text, ", {word} in {count}");
        }
    }
    let _ = write!(text, "; {} to {}; {}", series.first, series.last, series.verdict);
    match &series.change {
        Some(change) => {
            let _ = write!(text, " since run {}, {} before", change.run, change.from);
        }
        None => text.push_str(", never another"),
    }
    text
}

fn columns(out: &mut String, rows: &[[String; 6]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    for row in rows {
        let mut line = String::from(" ");
        for (text, width) in row.iter().zip(&widths) {
            let _ = write!(line, " {text:<width$} ");
        }
        let _ = write!(line, " {}", row[5]);
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
