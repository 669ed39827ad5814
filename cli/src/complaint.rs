//! What is wrong with specs, on standard error.

use harness::plan::SpecFile;
use spec::Fault;

use crate::streams::Streams;

/// Prints complaints, each with its source line, and a count of them.
pub(crate) fn complain(faults: &[Fault], files: &[SpecFile], streams: &mut Streams) {
    for fault in faults {
        let source = files
            .iter()
            .find(|file| file.path == fault.file)
            .map_or("", |file| file.text.as_str());
        let text = fault.render(source, streams.err_colour);
        streams.err(&text);
        streams.err("");
    }
    let mut named: Vec<&str> = faults.iter().map(|fault| fault.file.as_str()).collect();
    named.sort_unstable();
    named.dedup();
    streams.err(&format!(
        "{} in {}",
        counted(faults.len(), "fault"),
        counted(named.len(), "file")
    ));
}

/// Prints what is doubtful in specs.
pub(crate) fn warn(files: &[SpecFile], streams: &mut Streams) {
    for file in files {
        for lint in &file.loaded.lints {
            let text = lint.render(&file.text, streams.err_colour);
            streams.err(&text);
            streams.err("");
        }
    }
}

/// `1 fault`, `2 faults`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}
