//! Pasts as people read them.

use std::fmt::Write as _;

use record::bench::number;

use crate::{CheckName, Course, Overview, Past, Series, Shift, fewest};

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

/// The courses of figures: where each changed, then each run, newest first, at most `most` of them.
pub fn courses(courses: &[Course], most: usize) -> String {
    let mut out = String::new();
    for (n, course) in courses.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let on = course.points.last().map_or("", |point| point.host.cpu.as_str());
        let on = if on.is_empty() {
            String::new()
        } else {
            format!(", on {on}")
        };
        let _ = writeln!(out, "{}, {}: {}{on}", course.name, course.name.unit, course.subject);
        let _ = writeln!(out, "  {}", since(course));
        for shift in course.shifts.iter().rev() {
            let _ = writeln!(out, "  {}\n    {}", step(course, shift), beside(shift));
        }
        let rows: Vec<[String; 6]> = course
            .points
            .iter()
            .enumerate()
            .rev()
            .take(most)
            .map(|(at, point)| {
                let failed = match point.failures {
                    0 => String::new(),
                    failures => format!(", {failures} failed"),
                };
                let is_first = course.shifts.iter().any(|shift| shift.at == at);
                [
                    point.started.clone(),
                    point.run.clone(),
                    number(point.value),
                    interval(point.low, point.high),
                    match point.samples {
                        1 => format!("1 sample{failed}"),
                        count => format!("{count} samples{failed}"),
                    },
                    if is_first { "< changed".into() } else { String::new() },
                ]
            })
            .collect();
        columns(&mut out, &rows);
        if course.points.len() > most {
            let _ = writeln!(out, "  and {} older", course.points.len() - most);
        }
    }
    out
}

/// `[11.9, 12.8]`; nothing if neither end is known.
fn interval(low: Option<f64>, high: Option<f64>) -> String {
    let end = |end: Option<f64>| end.map_or_else(|| "open".to_owned(), |end| number(Some(end)));
    match (low, high) {
        (None, None) => String::new(),
        (low, high) => format!("[{}, {}]", end(low), end(high)),
    }
}

/// How many runs there are, and whether it changed.
fn since(course: &Course) -> String {
    let runs = match course.points.len() {
        1 => "1 run".to_owned(),
        count => format!("{count} runs"),
    };
    let comparable = course.points.iter().filter(|point| point.value.is_some()).count();
    match course.shifts.len() {
        0 if comparable < fewest() => format!("{runs}; a change can be told from {} on", fewest()),
        0 => format!("{runs}; no change"),
        1 => format!("{runs}; 1 change"),
        count => format!("{runs}; {count} changes"),
    }
}

/// What else changed.
pub fn beside(shift: &Shift) -> String {
    let all = match shift.beside.as_slice() {
        [] => "nothing that the history knows of".to_owned(),
        all => all.join("; "),
    };
    format!("changed beside it: {all}")
}

/// `2026-01-16T00:00:00Z, run 0016: 12.3 → 14.1 ms, 14.6 % worse (p 0.005)`
pub fn step(course: &Course, shift: &Shift) -> String {
    let share = (shift.after / shift.before - 1.0).abs() * 100.0;
    let share = if share.is_finite() {
        format!("{share:.1} % ")
    } else {
        String::new()
    };
    format!(
        "{}, run {}: {} → {} {}, {share}{} (p {:.3})",
        shift.started,
        shift.run,
        number(Some(shift.before)),
        number(Some(shift.after)),
        course.name.unit,
        if shift.worse { "worse" } else { "better" },
        shift.p
    )
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
    if !overview.benchmarks.is_empty() {
        let _ = writeln!(out, "\nbenchmarks, of which `--bench NAME` tells more");
        for name in &overview.benchmarks {
            let _ = writeln!(out, "  {name}");
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
