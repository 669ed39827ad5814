//! The guard around a measurement, seen from outside: it is made, heard, and what it leaves is removed.

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Error, INSIDE, Measured, Regime, Subject, act, pass};

/// What the control groups of a measurement are called, before the id of its process.
const PREFIX: &str = "plimsoll-bench-";

/// Measures `rounds` starts of every subject in every regime, in a guard.
///
/// # Errors
/// [`Error::Plimsoll`] where the bundled runtime was not built; else what the guard could not do.
pub fn measure(plimsoll: &Path, rounds: usize) -> Result<Measured, Error> {
    let mut measured = Measured::default();
    listen(INSIDE, plimsoll, &[rounds.to_string()], |line| {
        hear(line, &mut measured).map(ControlFlow::Continue)
    })?;
    Ok(measured)
}

/// Calls this executable again in a guard, with `mode`, the runtime, `words` and a name for control groups; gives `hear` each
/// line that it says until it ends, or until `hear` has enough. A line that is not understood is handed back.
pub(crate) fn listen(
    mode: &str,
    plimsoll: &Path,
    words: &[String],
    hear: impl FnMut(String) -> Result<ControlFlow<()>, String>,
) -> Result<(), Error> {
    if !plimsoll.exists() {
        let path = plimsoll.to_owned();
        return Err(Error::Plimsoll { path });
    }
    sweep(None);
    let own = format!("{PREFIX}{}", std::process::id());
    let heard = guarded(mode, plimsoll, words, &own, hear);
    sweep(Some(&own));
    heard
}

fn guarded(
    mode: &str,
    plimsoll: &Path,
    words: &[String],
    group: &str,
    mut hear: impl FnMut(String) -> Result<ControlFlow<()>, String>,
) -> Result<(), Error> {
    let this = std::env::current_exe().map_err(act("find this executable"))?;
    let mut guard = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--cgroup"])
        .args(["--mount-proc", "--propagation", "private", "--kill-child", "--"])
        .arg(this)
        .arg(mode)
        .arg(plimsoll)
        .args(words)
        .arg(group)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(act("call `unshare`, which makes the guard"))?;
    let mut odd = None;
    // When this ends early the pipe is closed, and the next line that is said ends the guard.
    for line in guard
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines)
    {
        let line = line.map_err(act("listen to the guard"))?;
        match hear(line) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(line) => {
                odd.get_or_insert(line);
            }
        }
    }
    let status = guard.wait().map_err(act("wait for the guard"))?;
    match odd {
        _ if !status.success() => Err(Error::Guard { status }),
        Some(line) => Err(Error::Line { line }),
        None => Ok(()),
    }
}

/// A line is `sample REGIME SUBJECT NANOSECONDS` or `skipped REASON`.
fn hear(line: String, measured: &mut Measured) -> Result<(), String> {
    if let Some(reason) = line.strip_prefix("skipped ") {
        measured.skipped.push(reason.to_owned());
        return Ok(());
    }
    let words: Vec<&str> = line.split(' ').collect();
    let sample = match words[..] {
        ["sample", regime, subject, took] => (|| {
            let regime = Regime::ALL.into_iter().find(|known| known.name() == regime)?;
            let subject = Subject::ALL.into_iter().find(|known| known.name() == subject)?;
            Some((regime, subject, Duration::from_nanos(took.parse().ok()?)))
        })(),
        _ => None,
    };
    measured.samples.push(sample.ok_or(line)?);
    Ok(())
}

/// Where hierarchies of control groups are mounted.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let entries = fs_err::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| path.join("cgroup.procs").exists())
        .collect();
    found.sort();
    found
}

/// Removes the control groups called `own`, or else those of measurements whose process is gone.
fn sweep(own: Option<&str>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut roots = hierarchies();
    roots.push(PathBuf::from("/sys/fs/cgroup"));
    for root in roots {
        for entry in fs_err::read_dir(&root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(id) = name.strip_prefix(PREFIX) else { continue };
            let ours = own.map_or_else(|| !Path::new("/proc").join(id).exists(), |own| name == own);
            // The last process of a group may still be on its way out.
            while ours && !removed(&entry.path()) && Instant::now() < deadline {
                pass(Duration::from_millis(10));
            }
        }
    }
}

/// Removes a group and the groups below it.
fn removed(group: &Path) -> bool {
    for entry in fs_err::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            removed(&entry.path());
        }
    }
    fs_err::remove_dir(group).is_ok() || !group.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_heard_and_noise_is_not() {
        let mut measured = Measured::default();
        hear("sample back-to-back L5 1200".into(), &mut measured).unwrap();
        hear("skipped crun: not installed".into(), &mut measured).unwrap();
        assert_eq!(
            measured.of(Regime::BackToBack, Subject::Floor),
            [Duration::from_nanos(1200)]
        );
        assert_eq!(measured.skipped, ["crun: not installed"]);
        for noise in ["sample back-to-back L9 1", "sample back-to-back L5 soon", "hello", ""] {
            assert_eq!(hear(noise.into(), &mut measured), Err(noise.to_owned()));
        }
    }
}
