//! Programs that the stages run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It did not start.
    #[error("failed to start `{0}`")]
    Start(String, #[source] std::io::Error),
    /// It ran and said no.
    #[error("`{command}` ended with {status}{complaint}")]
    Status {
        command: String,
        status: std::process::ExitStatus,
        complaint: String,
    },
}

/// Whether the program is on the `PATH`, or where Debian puts what only root needs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// `cargo`, the one that runs this program, as from a shell: build scripts that look at what cargo tells this program about
/// its own package (that of `ring`) would be run again, and all that stands on them be built again.
pub(crate) fn cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace);
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs it with this program's own output; its exit code, 128 + n after signal n. A standard input that is a pipe stays
/// open, and silent, until it has ended.
pub(crate) fn exit_code(command: &mut Command) -> Result<u8, CommandError> {
    use std::os::unix::process::ExitStatusExt as _;
    let mut child = command
        .spawn()
        .map_err(|error| CommandError::Start(line(command), error))?;
    let input = child.stdin.take();
    let ended = child.wait();
    drop(input);
    let status = ended.map_err(|error| CommandError::Start(line(command), error))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Runs it and takes its standard output; what it wrote to standard error is in the error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, CommandError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| CommandError::Start(line(command), error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.trim();
    let complaint = if complaint.is_empty() {
        String::new()
    } else {
        format!(": {complaint}")
    };
    Err(CommandError::Status {
        command: line(command),
        status: output.status,
        complaint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_an_error_with_its_complaint() {
        let error = output(Command::new("sh").args(["-c", "echo no >&2; exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c echo no >&2; exit 3` ended with exit status: 3: no"
        );
    }

    #[test]
    fn a_signal_is_128_and_its_number() {
        assert_eq!(exit_code(Command::new("sh").args(["-c", "kill -9 $$"])).unwrap(), 137);
    }

    #[test]
    fn a_program_that_is_nowhere_is_not_found() {
        assert_eq!(find("no-such-program"), None);
        assert!(find("sh").is_some());
    }
}
