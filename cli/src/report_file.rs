//! Reports in files.

use std::{
    borrow::Cow,
    io::{self, Write},
    path::Path,
};

use record::Event;
use reports::{Format, Look, render};

use crate::{arguments::ReportForm, error::Error, past, stored_run, streams::Streams};

/// Writes all that are asked for. One that cannot be written does not keep the others from it, and is told at the end.
///
/// `events` are of the run that is recorded in `record`, which is read again if a report tells more than they do.
pub(crate) fn write_all(events: &[Event], form: &ReportForm, record: &Path) -> Result<(), Error> {
    let look = Look {
        passes: form.verbose,
        record: Some(record.display().to_string()),
        ..Look::default()
    };
    let mut failed = None;
    for (format, file) in form.outputs() {
        let written = told_by(format, events, record)
            .and_then(|events| Ok(render(format, &events, &with_past(format, &look, &events, record))?))
            .and_then(|text| put(file, &text));
        failed = failed.or(written.err());
    }
    failed.map_or(Ok(()), Err)
}

/// A report on standard output.
pub(crate) fn print(
    format: Format,
    events: &[Event],
    verbose: bool,
    record: &Path,
    streams: &mut Streams,
) -> Result<(), Error> {
    let look = Look {
        colour: streams.out_colour,
        passes: verbose,
        record: Some(record.display().to_string()),
        ..Look::default()
    };
    let told = told_by(format, events, record)?;
    let text = render(format, &told, &with_past(format, &look, &told, record))?;
    streams.out(&text)
}

/// With what benchmarks measured in earlier runs, for a format that tells of it.
fn with_past(format: Format, look: &Look, events: &[Event], record: &Path) -> Look {
    let mut look = look.clone();
    if format.tells_all() {
        look.pasts = past::of_benchmarks(events, record);
    }
    look
}

/// The events that a format tells of: those at hand, or all of the record.
fn told_by<'e>(format: Format, events: &'e [Event], record: &Path) -> Result<Cow<'e, [Event]>, Error> {
    let is_whole = || events.iter().any(|event| matches!(event, Event::Spec { .. }));
    if format.tells_all() && !is_whole() {
        return stored_run::read_file(record).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(events))
}

/// Puts a file in place whole, so that whoever reads it meanwhile (a collector of metrics) sees the old one or the new one. What
/// is no regular file (a pipe, `/dev/stdout`) is written to.
fn put(file: &Path, text: &str) -> Result<(), Error> {
    let put = || -> io::Result<()> {
        // A link stays, and what it leads to is replaced.
        let place = match fs_err::metadata(file) {
            Ok(there) if !there.is_file() => return fs_err::write(file, text),
            Ok(_) => fs_err::canonicalize(file)?,
            Err(_) => file.to_owned(),
        };
        let folder = match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let mut name = std::ffi::OsString::from(".");
        name.push(place.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let unborn = folder.join(name);
        let written = fs_err::File::create_new(&unborn)
            .and_then(|mut unborn| unborn.write_all(text.as_bytes()))
            .and_then(|()| fs_err::rename(&unborn, &place));
        if written.is_err() {
            // Nothing is lost with it, and the cause is told.
            let _removed = fs_err::remove_file(&unborn);
        }
        written
    };
    put().map_err(Error::Write)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("metrics.prom"), folder.path().join("link"));
        put(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        let before = fs_err::File::open(&file).unwrap();
        put(&link, "new").unwrap();
        assert_eq!(fs_err::read_to_string(&file).unwrap(), "new");
        // Who had it open reads the old one to its end.
        assert_eq!(io::read_to_string(before).unwrap(), "old");
        let left: Vec<_> = fs_err::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn what_is_no_regular_file_is_written_to() {
        put(Path::new("/dev/null"), "text").unwrap();
        assert!(!fs_err::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = put(&folder.path().join("no/report.html"), "text").unwrap_err();
        assert!(harness::chain(&error).contains("no/"), "{}", harness::chain(&error));
    }
}
