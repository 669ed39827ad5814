//! Guards as the harness holds them: a process that takes one case after the other, so that only the first pays for its
//! start. Everything that a case can touch is made anew for each (`crate::guard`).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::guard::{Job, Line};

/// A guard that runs. Dropped, it is told to end, and waited for.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    out: BufReader<ChildStdout>,
    /// Lent to whoever ends guards while a case runs.
    pipe: Option<ChildStdin>,
    stderr: File,
    stderr_path: PathBuf,
}

impl Guard {
    /// Starts `own` as a guard. What it says on standard error goes to a file of this name.
    pub(super) fn start(own: &Path, stderr_path: PathBuf) -> Result<Self, String> {
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(&stderr_path)
            .map_err(|e| format!("failed to make `{}`: {e}", stderr_path.display()))?;
        let said = stderr
            .try_clone()
            .map_err(|e| format!("failed to open `{}` twice: {e}", stderr_path.display()))?;
        let mut child = Command::new(own)
            .arg("__guard")
            // Not in the terminal's group: the harness hears of Ctrl-C, and ends its guards in order.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .map_err(|e| format!("failed to start the guard `{}`: {e}", own.display()))?;
        let pipe = child.stdin.take();
        let out = BufReader::new(child.stdout.take().ok_or("the guard has no standard output")?);
        Ok(Self {
            child,
            out,
            pipe,
            stderr,
            stderr_path,
        })
    }

    /// Hands over a case. Answers the pipe, whose end is the end of the case.
    pub(super) fn hand(&mut self, job: &Job) -> Result<ChildStdin, String> {
        let mut line = serde_json::to_vec(job).map_err(|e| e.to_string())?;
        line.push(b'\n');
        // What an earlier case said is not this one's.
        let _kept = self.stderr.set_len(0);
        let mut pipe = self.pipe.take().ok_or("the guard has no standard input")?;
        pipe.write_all(&line)
            .map_err(|e| format!("failed to hand the guard its case: {e}"))?;
        Ok(pipe)
    }

    /// Takes the pipe back, for the next case.
    pub(super) fn keep(&mut self, pipe: ChildStdin) {
        self.pipe = Some(pipe);
    }

    /// The next line, as it comes; the last one of a case is written when all of it is gone.
    pub(super) fn line(&mut self) -> Option<Line> {
        let mut text = String::new();
        loop {
            text.clear();
            if !matches!(self.out.read_line(&mut text), Ok(n) if n > 0) {
                return None;
            }
            if let Ok(line) = serde_json::from_str(&text) {
                return Some(line);
            }
        }
    }

    /// How a guard that did not tell the last line of a case ended.
    pub(super) fn end(&mut self) -> String {
        self.pipe = None;
        let status = self.child.wait();
        let stderr = std::fs::read_to_string(&self.stderr_path).unwrap_or_default();
        let said = stderr.lines().take(3).collect::<Vec<_>>().join(" / ");
        match status {
            Ok(status) => format!("the guard ended early ({status}) {said}"),
            Err(error) => format!("the guard cannot be waited for: {error}"),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.pipe = None;
        // It has been waited for already, or ends now that its pipe is closed.
        let _ended = self.child.wait();
        let _not_there = std::fs::remove_file(&self.stderr_path);
    }
}
